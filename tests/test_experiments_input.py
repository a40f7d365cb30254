"""What experiments are given: names that would be taken for one another, and settings that would change nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import INPUT, INTERRUPTED, MODEL, refused, run
from training_runs import draw_clips

from siamtrack.datasets.crops import CropSettings
from siamtrack.errors import DataError, SettingsError
from siamtrack.experiments import data_size, scales
from siamtrack.experiments.overrides import refuse_overrides
from siamtrack.experiments.squares_training import Effort
from siamtrack.experiments.thesis_3 import Compared, run_thesis_3
from siamtrack.experiments.videos import beginning, origins, square_videos, videos_in
from siamtrack.training.sources import open_data


def test_videos_of_one_name_are_refused(tmp_path: Path) -> None:
    """The second would be taken as tracked already, by the boxes of the first."""
    (draw_clips(tmp_path, clips=1) / "clip0").rename(tmp_path / "squares-4px")
    videos = [*square_videos(0), *videos_in(tmp_path)]
    with pytest.raises(DataError, match=r"Two videos are called 'squares-4px'.*rename"):
        origins(videos)
    with pytest.raises(DataError, match="Two videos"):
        run_thesis_3(tmp_path / "out", Effort(), Compared(videos=tmp_path))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("setting", [("--set", "epochs=3"), ("--quick",)], ids=lambda setting: setting[0])
def test_settings_of_a_training_that_is_not_done_are_refused(tmp_path: Path, setting: tuple[str, ...]) -> None:
    line = ("experiment", "thesis-3", "--out", "out", "--trained", "run", *setting)
    refused(line, INPUT, f"{setting[0]} changes a training, and with --trained there is none", folder=tmp_path)


@pytest.mark.parametrize("experiment", ["thesis-2", "thesis-3"])
def test_models_of_other_networks_are_refused(tmp_path: Path, experiment: str) -> None:
    line = ("experiment", experiment, "--out", "out", "--model", "siamnano")
    refused(line, MODEL, "'siamnano'", "this experiment compares networks of siamfc", folder=tmp_path)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("experiment", "setting", "why"),
    [
        (("losses",), "loss=logistic", "trains with each of"),
        (("losses",), "loss = bce", "trains with each of"),  # the recipe's own, too
        (("data-size", "--data", "squares", "--videos", "clips"), "validation_pairs=10", "none is held out"),
        (("data-size", "--data", "squares", "--videos", "clips"), "select=best", "the last weights are taken"),
        (("data-size", "--data", "squares", "--videos", "clips"), "sampling.validation_share=0.1", "none is held out"),
        (("data-size", "--data", "squares", "--videos", "clips"), "sampling={validation_share=0.2}", "none is held out"),
        (("data-size", "--data", "squares", "--videos", "clips"), '"tracking_clips" = 3', "none is held out"),
    ],
)
def test_settings_that_the_experiment_makes_itself_are_refused(
    tmp_path: Path, experiment: tuple[str, ...], setting: str, why: str
) -> None:
    draw_clips(tmp_path / "clips", clips=1)
    name = "sampling.validation_share" if "sampling" in setting else setting.partition("=")[0].strip().strip('"')
    line = ("experiment", *experiment, "--out", "out", "--quick", "--set", setting)
    refused(line, INPUT, f"--set {name} would change nothing in this experiment", why, "Leave it out", folder=tmp_path)
    assert not (tmp_path / "out").exists()


def test_a_table_without_such_a_setting_is_taken() -> None:
    refuse_overrides(["sampling={max_frame_gap=5}", "epochs=2"], {"sampling.validation_share": "x"})


def test_ctrl_c_says_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("siamtrack.experiments.thesis_2.follow", stopped)
    ended = run("experiment", "thesis-2", "--out", "out", folder=tmp_path)
    assert (ended.code, ended.out) == (INTERRUPTED, "")
    kept = "What was finished, and trainings up to their last checkpoint, is kept in out; the same command goes on."
    assert ended.err == f"Stopped by Ctrl-C. {kept}\n"


@pytest.mark.slow
def test_scales_quickly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scales, "QUICK_FRAMES", 8)
    monkeypatch.setattr(scales, "QUICK_SCENES", 1)
    ended = run("experiment", "scales", "--quick", "--out", "out", folder=tmp_path)
    assert ended.code == 0, ended.err
    report = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "* 1 video, 8 frames: rendered scenes" in report
    assert "(--quick: the first 8 frames of each)" in report
    refused(("experiment", "scales", "--out", "out"), 5, "experiment.quick True, not False", folder=tmp_path)


def test_the_beginning_of_a_video(tmp_path: Path) -> None:
    (video,) = square_videos(0, (4,))
    short = beginning(video, 7)
    assert [frame.index for frame in short.frames()] == list(range(7))
    np.testing.assert_array_equal(short.boxes, video.boxes[:7])
    assert (short.origin["frames"], short.name) == (7, video.name)
    assert len(beginning(short, 20).boxes) == 7


@pytest.mark.parametrize("name", ["got10k", "pictures"])
def test_data_that_need_a_folder(name: str) -> None:
    with pytest.raises(SettingsError, match=f"'{name}' needs a folder.*{name}=PATH"):
        open_data([(name, None)], CropSettings())


def test_data_are_told_with_their_folders_where_they_have_one() -> None:
    assert data_size.data_in_words([("squares", None), ("got10k", Path("a/b"))]) == f"squares, got10k ({Path('a/b')})"
