"""What experiments are given: names that would be taken for one another, and settings that would change nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import INPUT, refused
from training_runs import draw_clips

from siamtrack.datasets.crops import CropSettings
from siamtrack.errors import DataError, SettingsError
from siamtrack.experiments import data_size
from siamtrack.experiments.squares_training import Effort
from siamtrack.experiments.thesis_3 import Compared, run_thesis_3
from siamtrack.experiments.videos import origins, square_videos, videos_in
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


def test_settings_of_a_training_that_is_not_done_are_refused(tmp_path: Path) -> None:
    line = ("experiment", "thesis-3", "--out", "out", "--trained", "run", "--set", "epochs=3")
    refused(line, INPUT, "--set", folder=tmp_path)


@pytest.mark.parametrize("name", ["got10k", "pictures"])
def test_data_that_need_a_folder(name: str) -> None:
    with pytest.raises(SettingsError, match=f"'{name}' needs a folder.*{name}=PATH"):
        open_data([(name, None)], CropSettings())


def test_data_are_told_with_their_folders_where_they_have_one() -> None:
    assert data_size.data_in_words([("squares", None), ("got10k", Path("a/b"))]) == f"squares, got10k ({Path('a/b')})"
