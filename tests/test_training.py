"""Training on a handful of drawn pictures: it learns, it goes on exactly where it stopped, and it says why it stops."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training_runs import RECIPE, draw_clips, draw_pictures, of_pictures, parameters, rows, same, stop_after

from siamtrack.box import Box
from siamtrack.errors import OutputError, SettingsError, TrainingError
from siamtrack.export import checkpoint as export
from siamtrack.layers.folding import fold_batch_norm, unfold_batch_norm
from siamtrack.library import recipe_names
from siamtrack.models.checkpoints import read_checkpoint
from siamtrack.models.siamfc import SiamFC
from siamtrack.synthetic.material import Material
from siamtrack.training.checkpoint import BEST, CHECKPOINTS, last_checkpoint, load_checkpoint
from siamtrack.training.lessons import feature_loss, response_loss
from siamtrack.training.loop import train
from siamtrack.training.origin import _check_origin, origin_of
from siamtrack.training.recipes import read_recipe
from siamtrack.training.sources import TrainingData
from siamtrack.training.teacher import check_teacher
from siamtrack.training.validation import Validation

ONE_EPOCH = replace(RECIPE, epochs=1)
LEARNT = ("step", "epoch", "learning_rate", "loss", "accuracy", "gradient_norm", "skipped", "validation_loss")


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """Pictures of blobs."""
    return draw_pictures(tmp_path_factory.mktemp("material") / "pictures")


@pytest.fixture(scope="module")
def data(material: Material) -> TrainingData:
    """The same as the data of a run."""
    return of_pictures(material)


def state_of(run: Path) -> dict[str, Any]:
    path = last_checkpoint(run)
    assert path is not None
    return load_checkpoint(path)


# Going on


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"optimizer": "sgd", "schedule": "geometric", "select": "best"},
        {"ema_decay": 0.9, "first_epoch": {"backbone.conv1": 1.0, "backbone.conv2": 1.0}, "log_steps": 2},
    ],
    ids=["adamw", "sgd", "staged with a moving average"],
)
@pytest.mark.parametrize("stop", [1, 3, 5])
def test_resuming_is_exact(
    tmp_path: Path, data: TrainingData, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], stop: int
) -> None:
    """Six steps at once, and with a stop before, at and after the end of the first epoch: the same to the last bit."""
    recipe = replace(RECIPE, **change)
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    network = train(recipe, data, straight, workers=0)
    assert not network.training
    with monkeypatch.context() as patch:
        stop_after(patch, stop)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, data, stopped, workers=0)
    assert (state_of(stopped)["step"] if last_checkpoint(stopped) else 0) == {1: 0, 3: 3, 5: 4}[stop]
    torch.manual_seed(99)  # what happens between the two runs has no influence
    train(recipe, data, stopped, workers=0)

    assert same(parameters(straight), parameters(stopped))
    a, b = state_of(straight), state_of(stopped)
    assert a["step"] == b["step"] == 6
    assert same(a["network"], b["network"])
    for index, moments in a["optimizer"]["state"].items():
        for name, value in moments.items():
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(b["optimizer"]["state"][index][name]))
    assert rows(straight, *LEARNT) == rows(stopped, *LEARNT)


@pytest.mark.slow
def test_resuming_after_kill_9_is_exact(tmp_path: Path) -> None:
    """With a loading process and clips, by the command line, killed in the middle of an epoch wherever that happens to be."""
    draw_clips(tmp_path / "clips")
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(
        "epochs = 2\npairs_per_epoch = 80\nbatch_size = 2\nlearning_rate = 1e-3\ncheckpoint_steps = 3\nvalidation_pairs = 4\n"
        "[network]\nwidth = 0.05\ntemplate_size = 95\nsearch_size = 127\n[sampling]\ncrop_size = 143\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "siamtrack", "train", recipe, "--data", f"folder={tmp_path / 'clips'}", "--out"]
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([*command, tmp_path / "killed"], **silent)
    deadline = time.monotonic() + 100
    while (last := last_checkpoint(tmp_path / "killed")) is None or int(last.stem[5:]) < 12:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed" / "weights.safetensors").exists()
    for run in ("killed", "straight"):
        subprocess.run([*command, tmp_path / run], check=True, **silent)
    assert same(parameters(tmp_path / "killed"), parameters(tmp_path / "straight"))
    assert rows(tmp_path / "killed", *LEARNT) == rows(tmp_path / "straight", *LEARNT)
    assert (tmp_path / "killed" / "curves.png").stat().st_size > 10_000


def test_a_finished_run_is_left_as_it_is(tmp_path: Path, data: TrainingData, monkeypatch: pytest.MonkeyPatch) -> None:
    train(ONE_EPOCH, data, tmp_path, workers=0)
    before, log = parameters(tmp_path), rows(tmp_path)
    stop_after(monkeypatch, 0)  # no step may be made
    train(ONE_EPOCH, data, tmp_path, workers=0)
    assert same(parameters(tmp_path), before)
    assert rows(tmp_path) == log


@pytest.mark.parametrize("change", [{"learning_rate": 2e-3}, {"seed": 1}, {"first_epoch": {"bias": 1.0}}])
def test_another_recipe_in_the_same_folder_is_refused(tmp_path: Path, data: TrainingData, change: dict[str, Any]) -> None:
    train(ONE_EPOCH, data, tmp_path, workers=0)
    before = parameters(tmp_path)
    with pytest.raises(TrainingError, match=f"other settings .*{next(iter(change))}"):
        train(replace(ONE_EPOCH, **change), data, tmp_path, workers=0)
    assert same(parameters(tmp_path), before)


def test_a_run_from_before_a_setting_goes_on(tmp_path: Path, data: TrainingData) -> None:
    """As if it had begun with the default of what did not exist then, and with nothing else."""
    train(ONE_EPOCH, data, tmp_path, workers=0)
    path = last_checkpoint(tmp_path)
    assert path is not None
    state = load_checkpoint(path)
    del state["recipe"]["world"]["elsewhere"]
    origin = origin_of(ONE_EPOCH, data, None, None)
    _check_origin(tmp_path, state, origin)
    state["recipe"]["world"]["exits"] = 0.9
    with pytest.raises(TrainingError, match=r"other settings \(world\)"):
        _check_origin(tmp_path, state, origin)


@pytest.mark.parametrize("name", recipe_names())
def test_a_run_of_any_recipe_goes_on_with_its_own(tmp_path: Path, name: str) -> None:
    """What a checkpoint of another kind of network lacks is not made up."""
    recipe = asdict(read_recipe(name))
    origin = {"recipe": recipe, "data": [], "teacher": None, "initial": None, "backbone": None}
    _check_origin(tmp_path, origin, origin)
    with pytest.raises(TrainingError, match=r"other settings \(seed\)"):
        _check_origin(tmp_path, origin | {"recipe": recipe | {"seed": 99}}, origin)


def test_what_begins_at_random_and_late_is_told(tmp_path: Path, data: TrainingData, capsys: pytest.CaptureFixture[str]) -> None:
    """But not of a network that is begun with."""
    recipe = replace(ONE_EPOCH, pairs_per_epoch=4, validation_pairs=0, first_epoch={"backbone.conv1": 5.0})
    train(recipe, data, tmp_path / "random", workers=0)
    assert "learn later only: backbone.conv1 (after 5 epochs). Is --backbone or --from missing?" in capsys.readouterr().err
    train(recipe, data, tmp_path / "from", initial=SiamFC(RECIPE.network), workers=0)
    assert "learn later only" not in capsys.readouterr().err


def test_other_data_or_another_network_are_refused(tmp_path: Path, material: Material) -> None:
    recipe = replace(ONE_EPOCH, teacher_weight=1.0, batch_norm="frozen")
    given = [SiamFC(RECIPE.network).eval() for _ in range(2)]
    train(recipe, of_pictures(material), tmp_path, teacher=given[0], initial=given[1], workers=0)
    train(recipe, of_pictures(material), tmp_path, teacher=given[0], initial=given[1], workers=0)
    fewer = replace(material, stills=material.stills[:-1])
    swapped = replace(material, stills=material.stills[::-1])
    annotated = replace(material, stills=(replace(material.stills[0], boxes=(Box(1, 2, 30, 40),)), *material.stills[1:]))
    for other in (fewer, swapped, annotated):
        with pytest.raises(TrainingError, match="other data"):
            train(recipe, of_pictures(other), tmp_path, teacher=given[0], initial=given[1], workers=0)
    with pytest.raises(TrainingError, match="another teacher"):
        train(recipe, of_pictures(material), tmp_path, teacher=given[1], initial=given[1], workers=0)
    with pytest.raises(TrainingError, match="another network"):
        train(recipe, of_pictures(material), tmp_path, teacher=given[0], initial=given[0], workers=0)


# Learning


def test_seeds_differ(tmp_path: Path, data: TrainingData) -> None:
    runs = [tmp_path / name for name in ("a", "b", "c")]
    for run, seed in zip(runs, (0, 0, 1), strict=True):
        train(replace(ONE_EPOCH, seed=seed), data, run, workers=0)
    assert same(parameters(runs[0]), parameters(runs[1]))
    assert not same(parameters(runs[0]), parameters(runs[2]))


def test_parts_of_a_batch_sum_up_to_it(tmp_path: Path, data: TrainingData) -> None:
    """With batch norm frozen nothing depends on how a batch is divided."""
    torch.manual_seed(5)
    initial = SiamFC(RECIPE.network).eval()
    recipe = replace(RECIPE, batch_norm="frozen", optimizer="sgd", momentum=0.0, learning_rate=0.1)
    for accumulation in (1, 2, 4):
        train(replace(recipe, accumulation=accumulation), data, tmp_path / str(accumulation), initial=initial, workers=0)
    whole = rows(tmp_path / "1", "loss", "gradient_norm")
    for accumulation in (2, 4):
        for mine, theirs in zip(rows(tmp_path / str(accumulation), "loss", "gradient_norm"), whole, strict=True):
            assert [float(v) for v in mine.values()] == pytest.approx([float(v) for v in theirs.values()], rel=1e-4)


def test_bfloat16_trains_with_parameters_in_float32(tmp_path: Path, data: TrainingData) -> None:
    train(replace(ONE_EPOCH, precision="bfloat16"), data, tmp_path, workers=0)
    assert {value.dtype for value in parameters(tmp_path).values() if value.is_floating_point()} == {torch.float32}
    assert all(np.isfinite(float(row["loss"])) for row in rows(tmp_path))


def test_frozen_batch_norm_stays(tmp_path: Path, data: TrainingData) -> None:
    with pytest.raises(SettingsError, match="begin with a network, such as --from siamfc"):
        train(replace(ONE_EPOCH, batch_norm="frozen"), data, tmp_path, workers=0)
    initial = SiamFC(RECIPE.network).eval()
    before = {name: value.clone() for name, value in initial.state_dict().items()}
    train(replace(ONE_EPOCH, batch_norm="frozen"), data, tmp_path, initial=initial, workers=0)
    after = parameters(tmp_path)
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert {"backbone.conv1.0.weight", "backbone.conv5.0.bias", "bias"} <= changed
    of_norms = {name for name in after if ".1." in name}
    assert of_norms & changed == {name for name in of_norms if name.endswith(".bias")}  # not its statistics, nor its scale
    folded = unfold_batch_norm(SiamFC(RECIPE.network), fold_batch_norm(SiamFC(RECIPE.network)))  # as in a model folder
    with pytest.raises(SettingsError, match="batch_norm=frozen"):
        train(ONE_EPOCH, data, tmp_path / "b", initial=folded, workers=0)
    with pytest.raises(SettingsError, match=r"width 0\.1, the recipe's 0\.05"):
        train(ONE_EPOCH, data, tmp_path / "b", initial=SiamFC(replace(RECIPE.network, width=0.1)), workers=0)


def test_the_best_epoch_is_selected_where_the_recipe_says_so(
    tmp_path: Path, data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([0.5, 0.2, 0.9])
    monkeypatch.setattr(Validation, "measure", lambda *_: ({"validation_loss": next(losses)}, []))
    recipe = replace(RECIPE, epochs=3, select="best")
    train(recipe, data, tmp_path, workers=0)
    best = load_checkpoint(tmp_path / CHECKPOINTS / BEST)
    assert best["step"] == 6
    assert same(parameters(tmp_path), best["network"])
    assert not same(parameters(tmp_path), state_of(tmp_path)["network"])
    assert [row["validation_loss"] for row in rows(tmp_path)] == ["", "", "0.5", "", "", "0.2", "", "", "0.9"]


def test_the_log_has_every_step_once(tmp_path: Path, data: TrainingData, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        stop_after(patch, 5)
        with pytest.raises(KeyboardInterrupt):
            train(RECIPE, data, tmp_path, workers=0)
    log = tmp_path / "log.csv"
    first = log.read_text().splitlines()[1]
    assert [row["step"] for row in rows(tmp_path)] == ["1", "2", "3", "4", "5"]
    with log.open("a") as file:
        file.write("6,0.1")  # torn
    train(RECIPE, data, tmp_path, workers=0)
    assert log.read_text().splitlines()[1] == first
    assert [row["step"] for row in rows(tmp_path)] == ["1", "2", "3", "4", "5", "6"]
    rates = [float(row["learning_rate"]) for row in rows(tmp_path)]
    assert rates == pytest.approx([RECIPE.learning_rate_at(step) for step in range(6)], rel=1e-5)
    log.write_text("step,lr\nmany,few\n")
    (tmp_path / CHECKPOINTS / "step-000000006.pt").unlink()  # there is something left to do
    with pytest.raises(TrainingError, match=r"log\.csv' is no log"):
        train(RECIPE, data, tmp_path, workers=0)


# Teacher


def test_a_teacher_is_listened_to(tmp_path: Path, data: TrainingData) -> None:
    with pytest.raises(SettingsError, match="no teacher was given"):
        train(replace(RECIPE, teacher_weight=1.0), data, tmp_path, workers=0)
    torch.manual_seed(5)
    teacher = SiamFC(RECIPE.network).eval()
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    train(ONE_EPOCH, data, tmp_path / "alone", workers=0)
    train(replace(ONE_EPOCH, teacher_weight=1.0), data, tmp_path / "taught", teacher=teacher, workers=0)
    assert not same(parameters(tmp_path / "alone"), parameters(tmp_path / "taught"))
    assert same(before, teacher.state_dict())


def test_a_teacher_fades_and_is_not_asked_afterwards(tmp_path: Path, data: TrainingData) -> None:
    asked: list[float] = []
    teacher = SiamFC(RECIPE.network).eval()
    teacher.register_forward_hook(lambda *_: asked.append(1.0))
    recipe = replace(RECIPE, teacher_weight=1.0, teacher_fade=0.5, validation_pairs=0)
    assert [recipe.teacher_share_at(step) for step in range(6)] == pytest.approx([1, 2 / 3, 1 / 3, 0, 0, 0])
    assert replace(recipe, teacher_fade=0).teacher_share_at(5) == 1
    train(recipe, data, tmp_path / "fading", teacher=teacher, workers=0)
    assert len(asked) == 3
    train(replace(recipe, teacher_fade=0), data, tmp_path / "steady", teacher=teacher, workers=0)
    assert len(asked) == 3 + 6
    assert not same(parameters(tmp_path / "fading"), parameters(tmp_path / "steady"))


def test_a_teacher_and_its_weights_belong_together(tmp_path: Path, data: TrainingData) -> None:
    teacher = SiamFC(RECIPE.network).eval()
    check_teacher(teacher, replace(RECIPE, teacher_weight=1.0))
    check_teacher(None, RECIPE)
    with pytest.raises(SettingsError, match="teacher_response_weight but no teacher"):
        check_teacher(None, replace(RECIPE, teacher_response_weight=1.0))
    with pytest.raises(SettingsError, match="teacher_weight=0"):
        train(RECIPE, data, tmp_path / "run", teacher=teacher, workers=0)
    assert not (tmp_path / "run").exists()


def test_the_teacher_loss_does_not_see_the_scale_of_the_features() -> None:
    features = torch.randn(2, 8, 5, 5, generator=torch.Generator().manual_seed(0))
    assert float(feature_loss(7 * features, features)) == pytest.approx(0, abs=1e-6)
    assert float(feature_loss(-features, features)) > 1


def test_the_response_loss_sees_shapes_alone() -> None:
    maps = torch.randn(3, 5, 5, generator=torch.Generator().manual_seed(0))
    assert float(response_loss(4 * maps - 9, maps)) == pytest.approx(0, abs=1e-6)
    assert float(response_loss(-maps, maps)) > 1
    assert float(response_loss(torch.ones(3, 5, 5), maps)) == pytest.approx(1, abs=0.1)  # flat: no direction, no NaN


@pytest.mark.parametrize("weight", ["teacher_weight", "teacher_response_weight"])
def test_a_teacher_of_another_width_teaches(tmp_path: Path, data: TrainingData, weight: str) -> None:
    torch.manual_seed(5)
    wide = SiamFC(replace(RECIPE.network, width=0.1)).eval()
    recipe = replace(ONE_EPOCH, **{weight: 1.0})
    train(ONE_EPOCH, data, tmp_path / "alone", workers=0)
    train(recipe, data, tmp_path / "taught", teacher=wide, workers=0)
    assert not same(parameters(tmp_path / "alone"), parameters(tmp_path / "taught"))


# Export


def test_export_uses_the_sizes_of_the_run(tmp_path: Path, data: TrainingData, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of tracking, where training has smaller search patches."""
    train(replace(ONE_EPOCH, context=0.75, search_size=111), data, tmp_path, workers=0)
    found: list[Any] = []
    monkeypatch.setattr(export, "export_model", lambda network, folder, description: found.extend((network, description)))
    export.export_checkpoint(tmp_path, tmp_path / "m", licence="", card="", overrides=["scales=1", "search_size=143"])
    network, description = found
    assert (network.settings.template_size, network.settings.search_size) == (95, 127)
    assert (description.network["template_size"], description.network["search_size"]) == (95, 127)
    settings = description.settings
    assert (settings["template_size"], settings["search_size"], settings["context"]) == (95, 143, 0.75)
    (tmp_path / "busy").mkdir()
    (tmp_path / "busy" / "mine").write_text("")
    with pytest.raises(OutputError, match="is no model folder"):
        export.export_checkpoint(
            tmp_path, tmp_path / "busy", licence="", card="", begins=lambda: pytest.fail("it has not begun")
        )
    with pytest.raises(SettingsError, match="built for 95"):
        export.export_checkpoint(tmp_path, tmp_path / "m", licence="", card="", overrides=["template_size=127"])
    (tmp_path / "recipe.toml").write_text("epoch = 1\n")
    with pytest.raises(SettingsError, match=r"recipe\.toml"):
        export.export_checkpoint(tmp_path, tmp_path / "m", licence="", card="")
    assert read_checkpoint(tmp_path / "weights.safetensors").settings.width == pytest.approx(0.05, abs=0.01)
