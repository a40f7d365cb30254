"""What ends a run, and what it leaves behind: numbers that are not finite, damaged files, full disks, unreadable pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from training_runs import RECIPE, draw_clips, draw_pictures, of_pictures, rows, same, stop_after

from siamtrack.errors import DataError, OutputError, SettingsError, TrainingError
from siamtrack.layers.losses import LOSSES, balanced_logistic_loss
from siamtrack.models.siamfc import SiamFC
from siamtrack.synthetic.material import find_material
from siamtrack.training import loop
from siamtrack.training.checkpoint import BEST, CHECKPOINTS, last_checkpoint, load_checkpoint, save_checkpoint, save_weights
from siamtrack.training.data import batches, shares
from siamtrack.training.loop import train
from siamtrack.training.origin import alone, begin_or_go_on, origin_of
from siamtrack.training.sources import TrainingData, open_data

STATE = {"recipe": {}, "step": 1, "network": {}, "optimizer": {}}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    """Pictures of blobs."""
    return of_pictures(draw_pictures(tmp_path_factory.mktemp("material") / "pictures"))


def test_a_loss_that_is_not_finite_stops_with_its_batch(
    tmp_path: Path, data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def fails_at_the_third(responses: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return balanced_logistic_loss(responses, targets) * (float("nan") if len(calls) == 3 else 1)

    monkeypatch.setitem(LOSSES, "logistic", fails_at_the_third)  # type: ignore[misc]
    recipe = replace(RECIPE, validation_pairs=0)
    with pytest.raises(TrainingError, match=r"loss is nan .* at step 2"):
        train(recipe, data, tmp_path, workers=0)
    saved = torch.load(tmp_path / "bad_batch.pt", weights_only=True)
    expected = list(batches(data.pairs(recipe, "training"), range(12), batch_size=4, workers=0))[2]
    assert saved["step"] == 2
    assert all(torch.equal(a, b) for a, b in zip(saved["batch"][:4], expected[:4], strict=True))
    path = last_checkpoint(tmp_path)
    assert path is not None
    assert all(torch.isfinite(v).all() for v in load_checkpoint(path)["network"].values())


def test_a_gradient_that_is_not_finite_stops_before_it_is_used(
    tmp_path: Path, data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the loss itself is finite."""

    class Poison(torch.autograd.Function):
        @staticmethod
        def forward(context: Any, value: torch.Tensor) -> torch.Tensor:
            return value.clone()

        @staticmethod
        def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
            return gradient * float("inf")

    calls = []

    def fails_at_the_second(responses: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        loss = balanced_logistic_loss(responses, targets)
        return Poison.apply(loss) if len(calls) == 2 else loss

    monkeypatch.setitem(LOSSES, "logistic", fails_at_the_second)  # type: ignore[misc]
    with pytest.raises(TrainingError, match=r"gradient (nan|inf) at step 1"):
        train(replace(RECIPE, validation_pairs=0, checkpoint_steps=1), data, tmp_path, workers=0)
    assert torch.load(tmp_path / "bad_batch.pt", weights_only=True)["step"] == 1
    path = last_checkpoint(tmp_path)
    assert path is not None
    assert load_checkpoint(path)["step"] == 1


@pytest.mark.parametrize("damage", ["truncated", "altered", "empty", "text", "code", "list", "tensors"])
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, data: TrainingData, damage: str) -> None:
    """And left where it is: the user may still rescue something from it."""
    recipe = replace(RECIPE, epochs=1, validation_pairs=0)
    train(recipe, data, tmp_path, workers=0)
    path = last_checkpoint(tmp_path)
    assert path is not None
    whole = path.read_bytes()
    if damage == "code":
        torch.save({"recipe": Path("x")}, path)
    elif damage in ("list", "tensors"):
        torch.save([1, 2] if damage == "list" else {"weight": torch.zeros(3)}, path)
    else:
        middle = len(whole) // 2
        path.write_bytes(
            {
                "truncated": whole[:middle],
                "altered": whole[:-400] + bytes(400),  # the directory of the archive
                "empty": b"",
                "text": b"this is no checkpoint",
            }[damage]
        )
    broken = path.read_bytes()
    with pytest.raises(TrainingError, match="is no checkpoint"):
        train(recipe, data, tmp_path, workers=0)
    assert path.read_bytes() == broken
    path.unlink()  # as the message says: the one before it is good
    train(recipe, data, tmp_path, workers=0)
    assert last_checkpoint(tmp_path) == path


def test_the_last_three_checkpoints_and_the_best_are_kept(tmp_path: Path) -> None:
    for step in range(1, 7):
        save_checkpoint(tmp_path, STATE | {"step": step}, best=step == 2)
    names = sorted(path.name for path in (tmp_path / CHECKPOINTS).iterdir())
    assert names == [BEST, *(f"step-{step:09d}.pt" for step in (4, 5, 6))]
    assert load_checkpoint(tmp_path / CHECKPOINTS / BEST)["step"] == 2
    assert last_checkpoint(tmp_path) == tmp_path / CHECKPOINTS / names[-1]


def test_a_full_disk_leaves_the_last_good_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(tmp_path, STATE, best=True)

    def full(content: object, file: Any) -> None:
        file.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(TrainingError, match=r"No space left on device.*last good one is kept"):
        save_checkpoint(tmp_path, STATE | {"step": 2}, best=True)
    monkeypatch.undo()
    assert sorted(p.name for p in (tmp_path / CHECKPOINTS).iterdir()) == [BEST, "step-000000001.pt"]  # and nothing half-written
    assert load_checkpoint(tmp_path / CHECKPOINTS / BEST) == STATE


@pytest.mark.slow
def test_a_stop_between_the_best_checkpoint_and_the_last_loses_neither(
    tmp_path: Path, data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever of the two writes at the end of the first epoch is the one that fails."""
    recipe = replace(RECIPE, select="best", checkpoint_steps=100)
    train(recipe, data, tmp_path / "straight", workers=0)
    whole = load_file(tmp_path / "straight" / "weights.safetensors")
    for number in (1, 2):
        run, writes, write = tmp_path / str(number), [], torch.save

        def fails(*arguments: Any, number: int = number, writes: list[int] = writes, write: Any = write) -> None:
            writes.append(1)
            if len(writes) == number:
                raise OSError("No space left on device")
            write(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(torch, "save", fails)
            with pytest.raises(TrainingError, match="No space left"):
                train(recipe, data, run, workers=0)
        train(recipe, data, run, workers=0)
        assert same(load_file(run / "weights.safetensors"), whole)


def test_a_folder_with_files_of_something_else_is_refused(tmp_path: Path, data: TrainingData) -> None:
    (tmp_path / "recipe.toml").write_text("# mine\nepochs = 3\n")
    with pytest.raises(TrainingError, match=r"another '.*recipe\.toml'"):
        train(RECIPE, data, tmp_path, workers=0)
    assert (tmp_path / "recipe.toml").read_text().startswith("# mine")
    (tmp_path / "recipe.toml").write_text("width = ")
    with pytest.raises(SettingsError, match=r"recipe\.toml' is no valid TOML"):
        train(RECIPE, data, tmp_path, workers=0)
    (tmp_path / "recipe.toml").unlink()
    (tmp_path / "log.csv").write_text("1,2\n3,4\n")
    with pytest.raises(OutputError, match=r"holds something else \(log\.csv\)"):
        train(RECIPE, data, tmp_path, workers=0)
    assert [path.name for path in tmp_path.iterdir()] == ["log.csv"]
    (tmp_path / "log.csv").unlink()
    begin_or_go_on(tmp_path, origin_of(RECIPE, data, None, None), write=True)
    (tmp_path / "log.csv").write_text("1,2\n3,4\n")
    with pytest.raises(TrainingError, match="no log of a training run"):
        train(RECIPE, data, tmp_path, workers=0)
    assert (tmp_path / "log.csv").read_text() == "1,2\n3,4\n"


def test_two_trainings_in_one_folder_are_refused(tmp_path: Path, data: TrainingData) -> None:
    begin_or_go_on(tmp_path / "run", origin_of(RECIPE, data, None, None), write=True)
    with alone(tmp_path / "run"), pytest.raises(OutputError, match="Another process is training"):
        train(RECIPE, data, tmp_path / "run", workers=0)
    with alone(tmp_path / "run"):  # free again
        pass


def test_a_bad_batch_that_cannot_be_saved_does_not_hide_why(
    tmp_path: Path, data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setitem(LOSSES, "logistic", lambda r, t: balanced_logistic_loss(r, t) * float("nan"))  # type: ignore[misc]
    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(TrainingError, match=r"loss is nan .* could not be saved \(No space left"):
        train(replace(RECIPE, validation_pairs=0), data, tmp_path, workers=0)


def test_weights_that_cannot_be_written_leave_the_old_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "weights.safetensors"
    save_weights(path, SiamFC(RECIPE.network))
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("siamtrack.training.checkpoint.save_file", full)
    with pytest.raises(TrainingError, match="No space left"):
        save_weights(path, SiamFC(RECIPE.network))
    assert path.read_bytes() == before


# Pictures that cannot be read


@pytest.mark.slow
def test_a_few_unreadable_frames_are_skipped_counted_and_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = draw_clips(tmp_path / "clips", frames=8) / "clip1" / "img" / "00000003.png"
    broken.write_bytes(b"no picture")
    clips = open_data([("folder", tmp_path / "clips")], RECIPE.crops)
    recipe = replace(RECIPE, pairs_per_epoch=40, batch_size=4, seed=3, checkpoint_steps=6)
    train(recipe, clips, tmp_path / "run", workers=0)
    lines = (tmp_path / "run" / "skipped.txt").read_text(encoding="utf-8").splitlines()
    assert lines
    assert all(str(broken) in line for line in lines)
    assert rows(tmp_path / "run")[-1]["skipped"] == str(len(lines))
    with monkeypatch.context() as patch:
        stop_after(patch, 15)  # after a checkpoint: what was skipped since then comes again
        with pytest.raises(KeyboardInterrupt):
            train(recipe, clips, tmp_path / "stopped", workers=0)
    train(recipe, clips, tmp_path / "stopped", workers=0)
    assert (tmp_path / "stopped" / "skipped.txt").read_text(encoding="utf-8").splitlines() == lines
    monkeypatch.setattr(loop, "FEW_SKIPPED", 0)
    with pytest.raises(TrainingError, match=r"more than 1 %.*skipped\.txt"):
        train(recipe, clips, tmp_path / "strict", workers=0)


def test_made_up_pairs_replace_a_picture_that_cannot_be_read(tmp_path: Path) -> None:
    material = draw_pictures(tmp_path / "pictures")
    still = next(still for still in material.part("training").stills)
    still.path.write_bytes(b"no picture")
    pairs = of_pictures(material).pairs(RECIPE, "training")
    skipped = [text for number in range(60) for text in pairs[number].skipped]
    assert skipped
    assert all(str(still.path) in text for text in skipped)


# with a loading process: apart from the others, after all of which the test process has ended here without a word, twice
@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_pictures_that_are_all_bad_are_an_error_whoever_loads_them(tmp_path: Path, workers: int) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    pairs = TrainingData(material=find_material([tmp_path])).pairs(RECIPE, "training")
    with pytest.raises(DataError, match=r"^20 pairs in a row cannot be made; the last one: '.*broken\.jpg' cannot be decoded"):
        list(batches(pairs, range(4), batch_size=2, workers=workers))


# Batches


def test_batches_go_on_where_the_number_says(data: TrainingData) -> None:
    source = data.pairs(RECIPE, "training")
    whole = list(batches(source, range(10), batch_size=3, workers=0))
    assert len(whole) == 3  # the incomplete one is left out
    (later,) = batches(source, range(6, 9), batch_size=3, workers=0)
    assert all(torch.equal(a, b) for a, b in zip(whole[2][:4], later[:4], strict=True))
    assert later.templates.shape == (3, 3, 95, 95)
    assert later.templates.dtype == torch.uint8
    assert (later.searches[1].permute(1, 2, 0).numpy() == source[7].search).all()
    assert (later.offsets[1].numpy() == source[7].offset).all()
    assert (later.boxes[1].numpy() == source[7].box).all()


def test_processes_share_every_batch() -> None:
    alone = list(shares(range(2, 5), batch_size=6))
    assert alone == list(range(12, 30))
    both = [list(shares(range(2, 5), batch_size=6, rank=rank, world=2)) for rank in (0, 1)]
    assert both[0] == [12, 13, 14, 18, 19, 20, 24, 25, 26]
    assert sorted(both[0] + both[1]) == alone


def test_a_loading_process_gives_the_same_batches(data: TrainingData) -> None:
    source = data.pairs(RECIPE, "training")
    here, there = (list(batches(source, range(4), batch_size=2, workers=workers)) for workers in (0, 1))
    assert len(here) == len(there) == 2
    assert all(
        torch.equal(a, b) for pair in zip(here, there, strict=True) for a, b in zip(pair[0][:4], pair[1][:4], strict=True)
    )


def test_a_run_goes_on_that_was_stopped_before_a_setting_existed(tmp_path: Path, data: TrainingData) -> None:
    """Before its first checkpoint, too, when there is nothing but its recipe."""
    first = train(RECIPE, data, tmp_path / "whole", workers=0).state_dict()
    written = (tmp_path / "whole" / "recipe.toml").read_text()
    older = written.replace("perspective = 0.0\n", "")
    assert older != written
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "recipe.toml").write_text(older)
    assert same(train(RECIPE, data, tmp_path / "old", workers=0).state_dict(), first)
