"""Training on a handful of drawn pictures: it learns, it goes on exactly where it stopped, and it says why it stops."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from siamtrack.box import Box
from siamtrack.errors import DataError, SettingsError, TrainingError, WeightsError
from siamtrack.export import siamfc as export
from siamtrack.models.siamfc import SiamFC, SiamFCNetworkSettings
from siamtrack.models.siamfc_checkpoints import read_checkpoint
from siamtrack.settings import from_mapping, read_toml
from siamtrack.synthetic.material import Material, Still, find_material
from siamtrack.synthetic.pairs import PairSettings, PairSource
from siamtrack.training import loop
from siamtrack.training.checkpoint import RUN_CHECKPOINT, RUN_WEIGHTS, load_checkpoint, save_checkpoint
from siamtrack.training.data import batches
from siamtrack.training.loop import Recipe, train
from siamtrack.training.teacher import check_teacher, feature_loss

RECIPE = Recipe(
    pairs=24,
    batch_size=4,
    checkpoint_steps=2,
    validation_pairs=4,
    bfloat16=False,
    learning_rate=1e-3,
    network=SiamFCNetworkSettings(width=0.05, template_size=95, search_size=127),
    data=PairSettings(max_shift=12.0),
)


SIZES = {"template_size": 95, "search_size": 127}


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """Fifteen pictures of blobs, some more of those that their names put into validation, and a cut-out."""
    folder = tmp_path_factory.mktemp("material") / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(100):
        if number >= 15 and Material((Still(folder / f"{number}.png"),), (), ()).part("validation").stills == ():
            continue
        coarse = rng.uniform(0, 255, (9, 12, 3)).astype(np.float32)
        picture = cv2.resize(coarse, (192, 144), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)
        assert cv2.imwrite(str(folder / f"{number}.png"), picture)
    alpha = cv2.circle(np.zeros((60, 60), np.uint8), (30, 30), 28, 255, -1)
    assert cv2.imwrite(str(folder / "disc.png"), np.dstack([np.full((60, 60, 3), 90, np.uint8), alpha]))
    return find_material([folder])


def stop_after(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """The batch after so many ends the run as Ctrl-C does."""

    def interrupted(*args: Any, **options: Any) -> Iterator[Any]:
        for number, batch in enumerate(batches(*args, **options)):
            if number == steps:
                raise KeyboardInterrupt
            yield batch

    monkeypatch.setattr(loop, "batches", interrupted)


def parameters(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / RUN_WEIGHTS)


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_material_has_both_parts(material: Material) -> None:
    assert material.part("validation").stills
    assert len(material.part("training").stills) >= 10


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_resuming_is_exact(tmp_path: Path, material: Material, monkeypatch: pytest.MonkeyPatch, optimizer: str) -> None:
    """Six steps at once, and six steps with a stop after the third, one after a checkpoint: the same to the last bit."""
    recipe = replace(RECIPE, optimizer=optimizer)
    network = train(recipe, material, tmp_path / "straight", workers=0)
    assert not network.training

    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, material, tmp_path / "stopped", workers=0)
    assert load_checkpoint(tmp_path / "stopped" / RUN_CHECKPOINT)["step"] == 2
    assert not (tmp_path / "stopped" / RUN_WEIGHTS).exists()  # an unfinished run has no result
    torch.manual_seed(99)  # what happens between the two runs has no influence
    train(recipe, material, tmp_path / "stopped", workers=0)

    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    assert same(parameters(straight), parameters(stopped))
    a, b = (load_checkpoint(run / RUN_CHECKPOINT) for run in (straight, stopped))
    assert a["step"] == b["step"] == 6
    for index, moments in a["optimizer"]["state"].items():
        for name, value in moments.items():
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(b["optimizer"]["state"][index][name]))
    assert rows(straight)[0].keys() >= {"step", "lr", "loss", "accuracy", "validation_loss", "validation_accuracy"}
    assert [row["step"] for row in rows(straight)] == ["2", "4", "6"]
    assert rows(straight)[-1]["validation_loss"] == rows(stopped)[-1]["validation_loss"]
    assert read_checkpoint(straight / RUN_WEIGHTS).settings.width == pytest.approx(0.05, abs=0.01)


def test_a_finished_run_is_left_as_it_is(tmp_path: Path, material: Material, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = replace(RECIPE, pairs=8)
    train(recipe, material, tmp_path, workers=0)
    before, log = parameters(tmp_path), rows(tmp_path)
    stop_after(monkeypatch, 0)  # no step may be made
    train(recipe, material, tmp_path, workers=0)
    assert same(parameters(tmp_path), before)
    assert rows(tmp_path) == log


def test_seeds_differ(tmp_path: Path, material: Material) -> None:
    recipe = replace(RECIPE, pairs=4)
    runs = [tmp_path / name for name in ("a", "b", "c")]
    for run, seed in zip(runs, (0, 0, 1), strict=True):
        train(replace(recipe, seed=seed), material, run, workers=0)
    assert same(parameters(runs[0]), parameters(runs[1]))
    assert not same(parameters(runs[0]), parameters(runs[2]))


def test_two_pairs_are_learnt_by_heart(tmp_path: Path, material: Material, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss of the same two pairs over and over falls to a fraction."""
    first = PairSource.__getitem__
    monkeypatch.setattr(PairSource, "__getitem__", lambda source, number: first(source, number % 2))
    network = replace(RECIPE.network, gain=1e-2)
    recipe = replace(
        RECIPE, pairs=2 * 30, batch_size=2, checkpoint_steps=6, learning_rate=5e-3, validation_pairs=0, network=network
    )
    train(recipe, material, tmp_path, workers=0)
    losses = [float(row["loss"]) for row in rows(tmp_path)]
    assert losses[-1] < 0.4 * losses[0]
    assert float(rows(tmp_path)[-1]["accuracy"]) == 1
    assert "validation_loss" not in rows(tmp_path)[0]


def test_bfloat16_trains_with_parameters_in_float32(tmp_path: Path, material: Material) -> None:
    train(replace(RECIPE, pairs=8, bfloat16=True), material, tmp_path, workers=0)
    assert {value.dtype for value in parameters(tmp_path).values() if value.is_floating_point()} == {torch.float32}
    assert all(np.isfinite(float(row["loss"])) for row in rows(tmp_path))


@pytest.mark.parametrize("change", [{"learning_rate": 2e-3}, {"seed": 1}, {"data": PairSettings(max_shift=3.0)}])
def test_another_recipe_in_the_same_folder_is_refused(tmp_path: Path, material: Material, change: dict[str, Any]) -> None:
    recipe = replace(RECIPE, pairs=4)
    train(recipe, material, tmp_path, workers=0)
    before = (tmp_path / RUN_CHECKPOINT).read_bytes()
    with pytest.raises(TrainingError, match=f"other settings .*{next(iter(change))}"):
        train(replace(recipe, **change), material, tmp_path, workers=0)
    assert (tmp_path / RUN_CHECKPOINT).read_bytes() == before


def test_a_loss_that_is_not_finite_stops_with_its_batch(
    tmp_path: Path, material: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    correct = loop.balanced_logistic_loss

    def fails_at_the_third(responses: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return correct(responses, targets) * (float("nan") if len(calls) == 3 else 1)

    monkeypatch.setattr(loop, "balanced_logistic_loss", fails_at_the_third)
    with pytest.raises(TrainingError, match="nan at step 2"):
        train(replace(RECIPE, validation_pairs=0), material, tmp_path, workers=0)
    saved = torch.load(tmp_path / "bad_batch.pt", weights_only=True)
    source = PairSource(material.part("training"), RECIPE.data, seed=0, **SIZES)
    expected = list(batches(source, first=0, count=12, batch_size=4, workers=0))[2]
    assert saved["step"] == 2
    assert all(torch.equal(a, b) for a, b in zip(saved["batch"], expected, strict=True))
    assert all(torch.isfinite(v).all() for v in load_checkpoint(tmp_path / RUN_CHECKPOINT)["network"].values())


@pytest.mark.parametrize("damage", ["truncated", "altered", "empty", "text", "code", "list", "tensors"])
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, material: Material, damage: str) -> None:
    """And left where it is: the user may still rescue something from it."""
    recipe = replace(RECIPE, pairs=4)
    train(recipe, material, tmp_path, workers=0)
    path = tmp_path / RUN_CHECKPOINT
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
        train(recipe, material, tmp_path, workers=0)
    assert path.read_bytes() == broken


def test_a_checkpoint_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / RUN_CHECKPOINT
    state = {"recipe": {}, "step": 1, "network": {}, "optimizer": {}}
    save_checkpoint(path, state)

    def full(content: object, file: Any) -> None:
        file.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(TrainingError, match="No space left"):
        save_checkpoint(path, state | {"step": 2})
    monkeypatch.undo()
    assert load_checkpoint(path) == state
    assert [p.name for p in tmp_path.iterdir()] == [RUN_CHECKPOINT]  # no half-written file is left


def test_a_gradient_that_is_not_finite_stops_before_it_is_used(
    tmp_path: Path, material: Material, monkeypatch: pytest.MonkeyPatch
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
    correct = loop.balanced_logistic_loss

    def fails_at_the_second(responses: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        loss = correct(responses, targets)
        return Poison.apply(loss) if len(calls) == 2 else loss

    monkeypatch.setattr(loop, "balanced_logistic_loss", fails_at_the_second)
    with pytest.raises(TrainingError, match=r"gradient is .* at step 1"):
        train(replace(RECIPE, validation_pairs=0, checkpoint_steps=1), material, tmp_path, workers=0)
    assert torch.load(tmp_path / "bad_batch.pt", weights_only=True)["step"] == 1
    state = load_checkpoint(tmp_path / RUN_CHECKPOINT)
    assert state["step"] == 1
    assert all(torch.isfinite(v).all() for v in state["network"].values())


def test_other_pictures_or_another_teacher_are_refused(tmp_path: Path, material: Material) -> None:
    recipe = replace(RECIPE, pairs=4, teacher_weight=1.0)
    teachers = [SiamFC(RECIPE.network).eval() for _ in range(2)]
    train(recipe, material, tmp_path, teacher=teachers[0], workers=0)
    train(recipe, material, tmp_path, teacher=teachers[0], workers=0)
    fewer = replace(material, stills=material.stills[:-1])
    swapped = replace(material, stills=material.stills[::-1])
    annotated = replace(material, stills=(replace(material.stills[0], boxes=(Box(1, 2, 30, 40),)), *material.stills[1:]))
    for other in (fewer, swapped, annotated):
        with pytest.raises(TrainingError, match="other pictures"):
            train(recipe, other, tmp_path, teacher=teachers[0], workers=0)
    with pytest.raises(TrainingError, match="another teacher"):
        train(recipe, material, tmp_path, teacher=teachers[1], workers=0)
    state = load_checkpoint(tmp_path / RUN_CHECKPOINT)
    del state["teacher"]
    save_checkpoint(tmp_path / RUN_CHECKPOINT, state)
    with pytest.raises(TrainingError, match="older version"):
        train(recipe, material, tmp_path, teacher=teachers[0], workers=0)


def test_the_log_has_every_checkpoint_once(tmp_path: Path, material: Material, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        with pytest.raises(KeyboardInterrupt):
            train(RECIPE, material, tmp_path, workers=0)
    log = tmp_path / "log.csv"
    first = log.read_text().splitlines()[1]
    log.write_text(log.read_text() + first.replace("2,", "4,", 1) + "\n" + "6,0.1")  # later than the checkpoint
    train(RECIPE, material, tmp_path, workers=0)
    assert log.read_text().splitlines()[1] == first
    assert [row["step"] for row in rows(tmp_path)] == ["2", "4", "6"]
    assert [float(row["lr"]) for row in rows(tmp_path)] == pytest.approx(
        [RECIPE.learning_rate_at(step) for step in (1, 3, 5)], rel=1e-5
    )
    log.write_text("step,lr\nmany,few\n")
    with pytest.raises(TrainingError, match=r"log\.csv' is no log"):
        train(RECIPE, material, tmp_path, workers=0)


def test_held_out_pictures_that_make_no_pairs_are_no_error(tmp_path: Path, material: Material) -> None:
    pasted = replace(RECIPE, pairs=4, data=PairSettings(warp_share=0, paste_share=1, track_share=0, max_shift=12.0))
    assert not material.part("validation").cutouts
    train(pasted, material, tmp_path, workers=0)
    assert "validation_loss" not in rows(tmp_path)[0]
    with pytest.raises(DataError, match="No pairs can be made"):
        train(replace(pasted, data=replace(pasted.data, paste_share=0, track_share=1)), material, tmp_path / "b", workers=0)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("recipe_is_there", [True, False])
def test_export_uses_the_sizes_of_the_run(
    tmp_path: Path, material: Material, monkeypatch: pytest.MonkeyPatch, recipe_is_there: bool
) -> None:
    recipe = replace(RECIPE, pairs=4, data=replace(RECIPE.data, context=0.75))
    train(recipe, material, tmp_path, workers=0)
    found: list[Any] = []
    monkeypatch.setattr(export, "export_model", lambda network, folder, description: found.extend((network, description)))
    if not recipe_is_there:
        state = load_checkpoint(tmp_path / RUN_CHECKPOINT)
        save_checkpoint(tmp_path / RUN_CHECKPOINT, state | {"recipe": {}})
        with pytest.raises(WeightsError, match="another kind"):
            export.export_siamfc(tmp_path, tmp_path / "m", licence="", card="")
        return
    export.export_siamfc(tmp_path, tmp_path / "m", licence="", card="", overrides=["scales=1", "search_size=143"])
    network, description = found
    assert (network.settings.template_size, network.settings.search_size) == (95, 127)
    assert {key: description.network[key] for key in SIZES} == SIZES
    settings = description.settings
    assert (settings["template_size"], settings["search_size"], settings["context"]) == (95, 143, 0.75)
    with pytest.raises(SettingsError, match="built for 95"):
        export.export_siamfc(tmp_path, tmp_path / "m", licence="", card="", overrides=["template_size=127"])


# Recipes


def test_the_recipe_of_the_embedded_model_is_one() -> None:
    path = Path(__file__).parents[1] / "recipes" / "siamfc.toml"
    recipe = from_mapping(Recipe, read_toml(path), where=str(path))
    assert recipe.network == SiamFCNetworkSettings()
    assert recipe.steps > 1000


def test_an_unknown_key_of_a_recipe_is_named() -> None:
    with pytest.raises(SettingsError, match=r"'batchsize' in r\.toml\. Did you mean 'batch_size'"):
        from_mapping(Recipe, {"batchsize": 3}, where="r.toml")
    with pytest.raises(SettingsError, match=r"'warp_shar' in 'data' in r\.toml\. Did you mean 'warp_share'"):
        from_mapping(Recipe, {"data": {"warp_shar": 0.3}}, where="r.toml")


@pytest.mark.parametrize(
    "change",
    [
        {"optimizer": "adam"},
        {"batch_size": 0},
        {"pairs": 3},
        {"checkpoint_steps": 0},
        {"batch_size": -1},
        {"learning_rate": -1.0},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"final_learning_rate": -1e-6},
        {"clip_norm": -1.0},
        {"clip_norm": 0.0},
        {"warmup_share": 9.0},
        {"weight_decay": float("nan")},
        {"momentum": 1.0},
        {"teacher_weight": -1.0},
        {"seed": -1},
        {"validation_pairs": -1},
        {"network": SiamFCNetworkSettings(template_size=95, search_size=130)},
    ],
)
def test_impossible_recipes_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        replace(RECIPE, **change)


def test_the_learning_rate_warms_up_and_falls() -> None:
    recipe = Recipe(pairs=16_000, warmup_share=0.1)
    rates = [recipe.learning_rate_at(step) for step in range(recipe.steps + 1)]
    assert rates[0] == pytest.approx(1e-3 / 100)
    assert max(rates) == rates[100] == pytest.approx(1e-3)
    assert (np.diff(rates[:100]) > 0).all()
    assert (np.diff(rates[100:]) < 0).all()
    assert rates[-1] == pytest.approx(1e-6)


# Teacher


def test_a_teacher_is_listened_to(tmp_path: Path, material: Material) -> None:
    with pytest.raises(SettingsError, match="no teacher was given"):
        train(replace(RECIPE, teacher_weight=1.0), material, tmp_path, workers=0)
    torch.manual_seed(5)
    teacher = SiamFC(RECIPE.network).eval()
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    recipe = replace(RECIPE, pairs=4)
    train(recipe, material, tmp_path / "alone", workers=0)
    train(replace(recipe, teacher_weight=1.0), material, tmp_path / "taught", teacher=teacher, workers=0)
    assert not same(parameters(tmp_path / "alone"), parameters(tmp_path / "taught"))
    assert same(before, teacher.state_dict())


def test_teachers_that_cannot_teach_are_refused(tmp_path: Path, material: Material) -> None:
    state = torch.get_rng_state()
    wide, right = SiamFC(replace(RECIPE.network, width=0.1)).eval(), SiamFC(RECIPE.network).eval()
    torch.set_rng_state(state)
    check_teacher(right, 1.0, RECIPE.network)
    check_teacher(None, 0.0, RECIPE.network)
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(SettingsError, match=r"teacher has the width 0\.1 and the student 0\.05"):
        train(replace(RECIPE, teacher_weight=1.0), material, tmp_path / "run", teacher=wide, workers=0)
    with pytest.raises(SettingsError, match="teacher_weight=0"):
        train(RECIPE, material, tmp_path / "run", teacher=right, workers=0)
    assert not (tmp_path / "run").exists()


def test_the_teacher_loss_does_not_see_the_scale_of_the_features() -> None:
    torch.manual_seed(0)
    teacher = SiamFC(RECIPE.network).eval()
    pixels = torch.rand(2, 3, 95, 95) * 255
    with torch.no_grad():
        features = teacher.embed(pixels)
    assert float(feature_loss(7 * features, teacher, pixels)) == pytest.approx(0, abs=1e-6)
    assert float(feature_loss(-features, teacher, pixels)) > 1


# Batches


def test_batches_go_on_where_the_number_says(material: Material) -> None:
    source = PairSource(material, RECIPE.data, seed=0, **SIZES)
    whole = list(batches(source, first=0, count=10, batch_size=3, workers=0))
    assert len(whole) == 3  # the incomplete one is left out
    (later,) = batches(source, first=6, count=3, batch_size=3, workers=0)
    assert all(torch.equal(a, b) for a, b in zip(whole[2], later, strict=True))
    assert later.templates.shape == (3, 3, 95, 95)
    assert later.templates.dtype == torch.uint8
    assert (later.searches[1].permute(1, 2, 0).numpy() == source[7].search).all()
    assert (later.offsets[1].numpy() == source[7].offset).all()


def test_a_loading_process_gives_the_same_batches(material: Material) -> None:
    source = PairSource(material, RECIPE.data, seed=0, **SIZES)
    here, there = (list(batches(source, first=0, count=4, batch_size=2, workers=workers)) for workers in (0, 1))
    assert len(here) == len(there) == 2
    assert all(torch.equal(a, b) for pair in zip(here, there, strict=True) for a, b in zip(*pair, strict=True))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bad_picture_is_named_whoever_loads_it(tmp_path: Path, workers: int) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    source = PairSource(find_material([tmp_path]), PairSettings(), seed=0)
    with pytest.raises(DataError, match=r"^'.*broken\.jpg' cannot be decoded as an image; remove it or replace it\.$"):
        list(batches(source, first=0, count=4, batch_size=2, workers=workers))
