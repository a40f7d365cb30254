"""The experiment data-size: which videos are learnt from and which are followed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from experiment_runs import EFFORT, OF_SHARES, is_picture, table
from training_runs import draw_clips

from siamtrack.box import center_error
from siamtrack.datasets.crop_manifest import Storing
from siamtrack.datasets.crop_writing import write_crops
from siamtrack.errors import DataError, SettingsError
from siamtrack.experiments import data_size, published
from siamtrack.experiments.data_size import ShareOfClips, run_data_size
from siamtrack.experiments.squares_training import recipe_of
from siamtrack.experiments.videos import videos_in
from siamtrack.library import open_training_set
from siamtrack.results import read_boxes
from siamtrack.synthetic.square_video import SquareVideoSettings, write_square_video
from siamtrack.training.checkpoint import last_checkpoint, load_checkpoint
from siamtrack.training.sources import open_data


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three annotated sequences of five frames."""
    return draw_clips(tmp_path_factory.mktemp("clips"), clips=3)


def test_shares_of_the_videos_are_nested(tmp_path: Path) -> None:
    (crops,) = open_data([("folder", draw_clips(tmp_path, clips=25, frames=1))], recipe_of(EFFORT).crops).crops
    shares = {share: set(ShareOfClips(crops, share).names) for share in published.DATA_SIZE}
    assert [len(names) for names in shares.values()] == [1, 1, 2, 4, 8, 25]
    for smaller, larger in zip([*shares.values()][:-1], [*shares.values()][1:], strict=True):
        assert smaller <= larger
    assert len({ShareOfClips(crops, share).digest() for share in shares}) == 5


def test_data_size_trains_on_each_share(clips: Path, tmp_path: Path) -> None:
    out, places, others = tmp_path / "out", [("folder", clips)], draw_clips(tmp_path / "others", clips=2, first=3)
    run_data_size(out, OF_SHARES, data=places, videos=others)
    rows = table(out / "data-size.csv")
    assert [row["share %"] for row in rows] == ["2", "4", "8", "16", "32", "100"]
    assert [row["videos"] for row in rows] == ["1", "1", "1", "1", "1", "3"]
    assert [row["pairs"] for row in rows] == ["16", "", "", "", "", "16"]  # the others are the same video
    assert [float(row["published EAO"]) for row in rows] == [0.168, 0.192, 0.193, 0.219, 0.234, 0.274]
    assert sorted(path.name for path in (out / "runs").iterdir()) == ["1-videos", "3-videos"]
    for row in (rows[0], rows[-1]):
        errors = [
            center_error(read_boxes(out / "tracks" / f"{row['videos']}-videos" / f"{video.name}.txt")[1:], video.boxes[1:])
            for video in videos_in(others)
        ]
        assert len(errors) == 2
        assert float(row["centre error px"]) == pytest.approx(np.mean([e.mean() for e in errors]), abs=1e-5)
    assert is_picture(out / "data-size.png")
    report = (out / "report.md").read_text(encoding="utf-8")
    assert "A dash: the share comes out as the same videos as the one above it" in report
    assert "* 2 %, 4 %, 8 %, 16 %, 32 %: 1 video. 2 epochs" in report
    assert "* 100 %: 3 videos. 2 epochs" in report
    assert data_size._recipe(OF_SHARES).sampling.validation_share == 0
    last = last_checkpoint(out / "runs" / "3-videos")
    assert last is not None
    assert load_checkpoint(last)["initial"] == ""  # as `siamtrack train siamfc-paper` begins


def test_pictures_have_no_share_of_videos(clips: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"No share.*pictures"):
        run_data_size(tmp_path / "out", OF_SHARES, data=[("folder", clips), ("pictures", clips)], videos=clips)


@pytest.mark.parametrize("data", ["folder", "link", "crops", "video"])
def test_videos_that_are_learnt_from_are_not_followed(clips: Path, tmp_path: Path, data: str) -> None:
    places, followed = clips, draw_clips(tmp_path / "others", clips=1, first=3)
    if data == "video":
        places = tmp_path / "videos"
        for seed in (0, 1):
            list(write_square_video(SquareVideoSettings(frames=3, seed=seed), places / f"squares{seed}" / "a.mp4"))
        (followed / "squares").symlink_to(places / "squares0")
    elif data == "crops":
        places = tmp_path / "crops"
        write_crops(open_training_set(clips, "folder"), places, Storing(crops=recipe_of(OF_SHARES).crops))
    if data != "video":
        (followed / "mine").symlink_to(clips / "clip1")
    if data == "link":
        places = tmp_path / "linked"
        places.symlink_to(clips)
    with pytest.raises(DataError, match=r"'(clip1|squares0)' among the videos to follow is the clip .*Give other --videos"):
        run_data_size(tmp_path / "out", OF_SHARES, data=[("folder", places)], videos=followed)
    assert not (tmp_path / "out").exists()


def test_targets_below_the_limits_are_told_before_anything_is_written(clips: Path, tmp_path: Path) -> None:
    effort = replace(OF_SHARES, overrides=(*OF_SHARES.overrides, "sampling.min_side_px=400"))
    other = draw_clips(tmp_path / "other", clips=1, first=7)
    with pytest.raises(DataError, match=r"Change these limits: --set sampling\.min_side_px=VALUE"):
        run_data_size(tmp_path / "out", effort, data=[("folder", clips)], videos=other)
    assert not (tmp_path / "out").exists()


def test_a_part_of_a_data_set_that_is_not_learnt_from_can_be_followed(clips: Path, tmp_path: Path) -> None:
    """As LaSOT's test videos, which lie between those for training."""
    places = tmp_path / "crops"
    draw_clips(tmp_path / "all", clips=2)
    write_crops(open_training_set(tmp_path / "all", "folder"), places, Storing(crops=recipe_of(OF_SHARES).crops))
    draw_clips(tmp_path / "all" / "later", clips=1, first=5)
    opened = open_data([("folder", places)], recipe_of(OF_SHARES).crops)
    data_size._check_apart(opened, videos_in(tmp_path / "all" / "later"))
    with pytest.raises(DataError, match="'clip0' among the videos to follow"):
        data_size._check_apart(opened, videos_in(tmp_path / "all"))
