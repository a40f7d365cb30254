"""Experiments on tiny networks: what is written can be recomputed, published numbers stand beside it, nothing is done twice."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer
from experiment_runs import EFFORT, FRAMES, TINY, all_files, is_picture, table
from training_runs import draw_clips, stop_after
from typer.testing import CliRunner, Result

from siamtrack.box import center_error, iou
from siamtrack.cli.experiment import COMMANDS
from siamtrack.errors import DataError, OutputError, SettingsError, SiamtrackError, WeightsError
from siamtrack.experiments import published, videos
from siamtrack.experiments.following import follow
from siamtrack.experiments.losses import _accuracy, run_losses
from siamtrack.experiments.models import open_run, open_tracker
from siamtrack.experiments.report import Folder, Table
from siamtrack.experiments.scales import PRESETS, run_scales
from siamtrack.experiments.squares_training import QUICK, Effort, differences, recipe_of, xavier
from siamtrack.experiments.thesis_1 import run_thesis_1
from siamtrack.experiments.thesis_2 import run_thesis_2
from siamtrack.experiments.thesis_3 import Compared, run_thesis_3
from siamtrack.experiments.videos import scene_videos, square_videos, videos_in
from siamtrack.frames import Frame
from siamtrack.layers.losses import LOSSES
from siamtrack.results import read_boxes
from siamtrack.training.recipes import read_recipe


def refuse(*_: object) -> Iterable[Frame]:
    raise AssertionError("a video was tracked again")


@pytest.fixture(scope="module", autouse=True)
def _short_videos() -> Iterator[None]:
    """A tenth of the squares' 300 frames, as nothing here depends on more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(videos, "SQUARE_FRAMES", FRAMES)
        yield


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny thesis-1."""
    out = tmp_path_factory.mktemp("thesis-1") / "out"
    run_thesis_1(out, EFFORT)
    return out


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three annotated sequences of five frames."""
    return draw_clips(tmp_path_factory.mktemp("clips"), clips=3)


# thesis-1


def test_the_numbers_of_thesis_1_are_those_of_its_boxes(first: Path) -> None:
    (row,) = table(first / "errors.csv")
    (video,) = square_videos(0, (4,))
    boxes = read_boxes(first / "tracks" / "trained-on-squares" / "squares-4px.txt")
    assert boxes[0] == pytest.approx(video.boxes[0])
    errors = center_error(boxes[1:], video.boxes[1:])
    offsets = (boxes[1:, :2] + boxes[1:, 2:] / 2) - (video.boxes[1:, :2] + 20)
    assert float(row["centre error px"]) == pytest.approx(errors.mean(), abs=1e-5)
    assert [float(row["mean x px"]), float(row["mean y px"])] == pytest.approx(offsets.mean(0).tolist(), abs=1e-5)
    assert float(row["largest px"]) == pytest.approx(np.abs(offsets).max(), abs=1e-5)
    assert float(row["published px"]) == published.THESIS_1_PX == 1.70
    assert f"| {errors.mean():.2f} | 1.70 |" in (first / "report.md").read_text(encoding="utf-8")
    assert np.allclose(boxes[:, 2:], 40)  # one scale


def test_thesis_1_says_what_it_was(first: Path) -> None:
    settings = tomllib.loads((first / "settings.toml").read_text(encoding="utf-8"))
    assert settings["experiment"]["name"] == "thesis-1"
    assert settings["recipe"]["loss"] == "bce"
    assert settings["recipe"]["network"]["width"] == 0.05
    assert settings["squares"]["groups"] == 2000
    assert settings["videos"]["squares-4px"]["max_displacement"] == 4.0
    assert settings["made_with"]["torch"]
    assert settings["trained"]["trained on squares"] == open_run(first).sha256
    report = (first / "report.md").read_text(encoding="utf-8")
    assert "2 epochs of 8 pairs" in report
    assert "epochs = 2 (published 50)" in report
    assert "boxes that agree exactly have 20/21 = 0.952" in report
    for name in ("error-histograms.png", "curves.png", "snapshots.png"):
        assert f"({name})" in report
        assert is_picture(first / name)


def test_a_finished_experiment_is_not_repeated(first: Path) -> None:
    before = all_files(first)
    run_thesis_1(first, EFFORT, watch=refuse)
    assert all_files(first) == before


@pytest.mark.slow
def test_an_interrupted_experiment_comes_to_the_same_end(first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        with pytest.raises(KeyboardInterrupt):
            run_thesis_1(tmp_path / "out", EFFORT)
    assert not (tmp_path / "out" / "report.md").exists()

    def interrupted(frames: Iterable[Frame], total: int, text: str) -> Iterable[Frame]:
        assert total == FRAMES
        for frame in frames:
            if frame.index == 7:
                raise KeyboardInterrupt
            yield frame

    with pytest.raises(KeyboardInterrupt):
        run_thesis_1(tmp_path / "out", EFFORT, watch=interrupted)
    assert not list((tmp_path / "out").rglob("squares-4px.txt"))
    run_thesis_1(tmp_path / "out", EFFORT)
    (a,), (b,) = table(first / "errors.csv"), table(tmp_path / "out" / "errors.csv")
    assert a == b


def test_a_folder_of_something_else_is_refused(first: Path, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear reader")
    with pytest.raises(OutputError, match="something else"):
        run_thesis_1(tmp_path, EFFORT)
    told = r"other settings \(effort\.seed 0, not 1; recipe\.seed 0, not 1; squares\.seed 0, not 1; videos\.\S+ 0, not 1\)"
    with pytest.raises(OutputError, match=told):
        run_thesis_1(first, replace(EFFORT, seed=1))
    with pytest.raises(OutputError, match=r"experiment\.name thesis-1, not thesis-2.*; \.\.\.\)"):
        run_thesis_2(first)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_folder_that_holds_settings_alone_becomes_another_experiments(tmp_path: Path) -> None:
    """As one is left where a training was refused."""
    for device in ("nowhere", "elsewhere"):
        with pytest.raises(SettingsError, match=f"cannot train on '{device}'"):
            run_thesis_1(tmp_path / "out", replace(EFFORT, device=device))
        assert tomllib.loads((tmp_path / "out" / "settings.toml").read_text(encoding="utf-8"))["effort"]["device"] == device
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["settings.toml"]
    (tmp_path / "out" / "settings.toml").write_text("mine = 1", encoding="utf-8")
    with pytest.raises(OutputError, match="something else than an experiment"):
        run_thesis_1(tmp_path / "out", EFFORT)
    assert (tmp_path / "out" / "settings.toml").read_text(encoding="utf-8") == "mine = 1"


def test_a_setting_that_there_is_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="Did you mean 'pairs_per_epoch'"):
        run_thesis_1(tmp_path / "out", Effort(overrides=("pairs_per_epok=3",)))
    assert not (tmp_path / "out").exists()


def test_published_settings_are_those_of_the_thesis() -> None:
    recipe = recipe_of(Effort())
    assert (recipe.epochs, recipe.pairs_per_epoch, recipe.batch_size, recipe.learning_rate) == (50, 53_200, 8, 1e-2)
    assert (recipe.loss, recipe.precision, recipe.drop_epochs, recipe.drop_factor) == ("bce", "float32", 25, 0.1)
    assert recipe.augment.translation == 3.0
    assert differences(recipe) == "none"
    quick = recipe_of(Effort(quick=True))
    assert quick.epochs * quick.pairs_per_epoch <= 10_000
    told = differences(quick)
    assert all(text.partition("=")[0] in told for text in QUICK)
    assert differences(recipe_of(Effort(overrides=["rate_factor.backbone=0.5"]))) == (
        "rate_factor.backbone = 0.5 (published none)"
    )


def test_initial_weights_are_xaviers() -> None:
    recipe = read_recipe("siamfc-thesis", ["network.width=0.5"])
    network, again, other = xavier(recipe), xavier(recipe), xavier(replace(recipe, seed=1))
    for (name, value), same, differs in zip(
        network.state_dict().items(), again.state_dict().values(), other.state_dict().values(), strict=True
    ):
        assert value.equal(same)
        if name.endswith(".0.weight"):
            limit = (6 / (value[0].numel() + value[:, 0].numel())) ** 0.5
            assert float(value.abs().max()) == pytest.approx(limit, rel=0.01)
            assert not value.equal(differs)
        if name.endswith(".0.bias"):
            assert value.unique().tolist() == pytest.approx([0.1])


# thesis-2 and thesis-3


@pytest.mark.slow
def test_the_model_of_thesis_2_follows_the_square(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(videos, "SQUARE_FRAMES", 300)  # a mean over fewer says less
    run_thesis_2(tmp_path / "out")
    (row,) = table(tmp_path / "out" / "errors.csv")
    assert float(row["centre error px"]) < 1.0
    assert abs(float(row["mean x px"])) < 0.1  # the thesis has a visible shift to the left here
    assert abs(float(row["mean y px"])) < 0.1
    assert float(row["published px"]) == published.THESIS_2_PX == 4.19
    settings = tomllib.loads((tmp_path / "out" / "settings.toml").read_text(encoding="utf-8"))
    assert settings["tracker"]["scales"] == 1
    assert settings["model"]["weights_sha256"] == open_tracker("siamfc").sha256
    assert is_picture(tmp_path / "out" / "snapshots.png")
    assert is_picture(tmp_path / "out" / "error-histograms.png")
    assert (tmp_path / "out" / "tracks" / "model" / "squares-4px.txt").is_file()  # whatever the model is called


@pytest.mark.slow
def test_thesis_3_compares_both_trackers(first: Path, clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_thesis_3(out, EFFORT, Compared(trained=first, model=str(first), videos=clips))
    rows = table(out / "center-errors.csv")
    assert [row["video"] for row in rows] == ["squares-4px", "squares-16px", "squares-32px", "clip0", "clip1", "clip2"]
    then = [(float(row["published, squares px"]), float(row["published, ImageNet px"])) for row in rows[:3]]
    assert then == [(3.95, 4.19), (4.18, 17.70), (4.34, 18.72)]
    assert rows[3]["published, squares px"] == ""
    known = {video.name: video for video in [*square_videos(0), *videos_in(clips)]}
    for folder, column in (("trained-on-squares", "trained on squares px"), ("model", "model px")):
        for row in rows:
            boxes, truth = read_boxes(out / "tracks" / folder / f"{row['video']}.txt"), known[row["video"]].boxes
            assert float(row[column]) == pytest.approx(center_error(boxes[1:], truth[1:]).mean(), abs=1e-5)
    assert rows[0]["trained on squares px"] == rows[0]["model px"]  # here the model is the same run
    assert len(table(out / "errors.csv")) == 12
    report = (out / "report.md").read_text(encoding="utf-8")
    assert all(f"(snapshots-{name}.png)" in report and is_picture(out / f"snapshots-{name}.png") for name in known)
    run_thesis_3(out, EFFORT, Compared(trained=first, model=str(first), videos=clips), watch=refuse)


def test_a_run_that_is_not_finished_is_refused(first: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no training run"):
        run_thesis_3(tmp_path / "out", EFFORT, Compared(trained=tmp_path))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recipe.toml").write_bytes((first / "run" / "recipe.toml").read_bytes())
    with pytest.raises(WeightsError, match="not finished"):
        run_thesis_3(tmp_path / "out", EFFORT, Compared(trained=tmp_path))
    assert not (tmp_path / "out").exists()


# the others


@pytest.mark.slow
def test_scales_are_measured_and_timed(clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_scales(out, videos=clips)
    rows = table(out / "scales.csv")
    assert [(row["preset"], row["scales"]) for row in rows] == [("siamfc-1s", "1"), ("siamfc-3s", "3"), ("siamfc-5s", "5")]
    assert [float(row["ms a frame"]) for row in rows] == [float(row["ms a frame"]) for row in table(out / "speed.csv")]
    assert all(float(row["ms a frame"]) * float(row["frames a second"]) == pytest.approx(1000) for row in rows)
    for row in rows:
        overlaps = [
            iou(read_boxes(out / "tracks" / row["preset"] / f"{video.name}.txt")[1:], video.boxes[1:]).mean()
            for video in videos_in(clips)
        ]
        assert float(row["mean IoU"]) == pytest.approx(np.mean(overlaps), abs=1e-5)
    assert len(table(out / "videos.csv")) == 3 * len(PRESETS)
    assert is_picture(out / "accuracy-speed.png")
    assert "0.289 with 3 scales and 0.274 with 5, at 86 and 58" in (out / "report.md").read_text(encoding="utf-8")
    run_scales(out, videos=clips, watch=refuse)
    assert table(out / "scales.csv") == rows  # not timed again


def test_targets_of_rendered_scenes_grow(tmp_path: Path) -> None:
    for video in scene_videos(0, count=3):
        areas = video.boxes[:, 2] * video.boxes[:, 3]
        assert areas.max() > 1.5 * areas.min()
        assert sum(1 for _ in video.frames()) == len(video.boxes)


@pytest.mark.slow
def test_losses_learn_from_the_same_pairs(tmp_path: Path, clips: Path) -> None:
    out = tmp_path / "out"
    run_losses(out, EFFORT, videos=clips)
    rows = {row["loss"]: row for row in table(out / "losses.csv")}
    assert set(rows) == set(LOSSES)
    logs = {loss: table(out / "runs" / loss / "log.csv") for loss in LOSSES}
    assert {len(log) for log in logs.values()} == {4}
    # the first step of all is made by the same weights on the same pairs
    assert len({log[0]["accuracy"] for log in logs.values()}) == 1
    assert float(logs["logistic"][0]["loss"]) == pytest.approx(float(logs["bce"][0]["loss"]), rel=1e-4)
    # ... with its own loss: the gradients of the two that are one function agree, the others do not
    assert len({round(float(log[0]["gradient_norm"]), 3) for log in logs.values()}) == 3
    for loss in LOSSES:
        assert tomllib.loads((out / "runs" / loss / "recipe.toml").read_text(encoding="utf-8"))["loss"] == loss
    for loss, row in rows.items():
        best = min((line for line in logs[loss] if line["validation_loss"]), key=lambda line: float(line["validation_loss"]))
        assert row["peaks on the target, held-out pairs"] == str(float(best["validation_accuracy"]))
        boxes = read_boxes(out / "tracks" / loss / "squares-16px.txt")
        (video,) = square_videos(0, (16,))
        expected = center_error(boxes[1:], video.boxes[1:]).mean()
        assert float(row["squares-16px, centre error px"]) == pytest.approx(expected, abs=1e-5)
        assert 0 <= float(row["videos, success AUC"]) <= 20 / 21
    assert all(is_picture(out / name) for name in ("curves.png", "errors.png", "videos.png"))


def test_the_share_of_peaks_is_that_of_the_epoch_that_is_tracked_with(tmp_path: Path) -> None:
    lines = ["step,validation_loss,validation_accuracy", "1,,", "2,0.5,0.25", "3,0.2,0.75", "4,0.3,1"]
    (tmp_path / "log.csv").write_text("\n".join(lines), encoding="utf-8")
    recipe = recipe_of(EFFORT)
    assert [_accuracy(tmp_path, replace(recipe, select=select)) for select in ("best", "last")] == [0.75, 1.0]
    (tmp_path / "log.csv").write_text("\n".join(lines[:2]), encoding="utf-8")
    assert _accuracy(tmp_path, recipe) is None


# bad input


def test_videos_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        videos_in(tmp_path / "nowhere")
    with pytest.raises(DataError, match="no sequence"):
        videos_in(tmp_path)
    folder = draw_clips(tmp_path / "clips", clips=1)
    truth = folder / "clip0" / "groundtruth.txt"
    lines = truth.read_text(encoding="utf-8").splitlines()
    truth.write_text("\n".join(["nan,nan,nan,nan", *lines[1:]]), encoding="utf-8")
    with pytest.raises(DataError, match=r"'clip0' cannot begin.*not finite"):
        videos_in(folder)
    truth.write_text("\n".join([*lines, lines[-1]]), encoding="utf-8")
    with pytest.raises(DataError, match="has 5 frames, but 6 boxes"):
        follow(open_tracker("siamfc").tracker, videos_in(folder), tmp_path / "tracks")
    assert not (tmp_path / "tracks").exists()


def test_a_target_that_is_away_does_not_count(tmp_path: Path) -> None:
    folder = draw_clips(tmp_path / "clips", clips=1)
    truth = folder / "clip0" / "groundtruth.txt"
    lines = truth.read_text(encoding="utf-8").splitlines()
    truth.write_text("\n".join([lines[0], "nan,nan,nan,nan", *lines[2:]]), encoding="utf-8")
    (tracked,) = follow(open_tracker("siamfc").tracker, videos_in(folder), tmp_path / "tracks")
    expected = center_error(tracked.boxes[2:], tracked.video.boxes[2:]).mean()
    assert tracked.errors.shape == (3, 2)
    assert tracked.scores.center_error == pytest.approx(expected)
    assert not np.isnan(tracked.scores).any()


def test_tables_are_read_back(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "out", {"experiment": {"name": "x", "nothing": None, "sides": (1, 2)}})
    folder.write_table("t", Table({"name": 0, "px": 2, "count": 0}, [["a, b", 1 / 3, 3], ["c", None, 4]]))
    assert table(tmp_path / "out" / "t.csv")[0] == {"name": "a, b", "px": str(1 / 3), "count": "3"}
    lines = (tmp_path / "out" / "t.md").read_text(encoding="utf-8").splitlines()
    assert lines[1:] == ["| --- | ---: | ---: |", "| a, b | 0.33 | 3 |", "| c | - | 4 |"]
    Folder(tmp_path / "out", {"experiment": {"name": "x", "sides": (1, 2)}})


# the command line


def command(*arguments: object) -> Result:
    app = typer.Typer()
    for name, function in COMMANDS.items():
        app.command(name)(function)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_commands_run_and_print_their_table(first: Path, clips: Path) -> None:
    settings = [part for text in TINY for part in ("--set", text)]
    done = command("thesis-1", "--out", first, "--quick", "--device", "cpu", "--workers", 0, *settings)
    assert done.exit_code == 0, done.output
    assert "1.70" in done.output
    assert "report.md" in done.output


@pytest.mark.parametrize("name", list(COMMANDS))
def test_commands_explain_themselves(name: str) -> None:
    done = command(name, "--help")
    assert done.exit_code == 0
    assert "--out" in done.output


def test_commands_refuse_what_they_cannot_read(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for arguments in (
        ("scales", "--videos", tmp_path / "nowhere"),
        ("losses", "--videos", tmp_path),
        ("thesis-2", "--model", tmp_path),
        ("thesis-3", "--trained", tmp_path),
        ("data-size", "--data", "folder", "--videos", tmp_path),
    ):
        done = command(*arguments, "--out", out)
        assert isinstance(done.exception, SiamtrackError), (arguments, done.output, done.exception)
    assert not out.exists()
