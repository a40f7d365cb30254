"""LaSOT, training part (Fan et al., CVPR 2019; vision.cs.stonybrook.edu/~lasot): 1,120 of 1,400 long videos of one target each.

CATEGORY/CATEGORY-1/ holds img/00000001.jpg and so on, groundtruth.txt (x,y,w,h a line), full_occlusion.txt and out_of_view.txt
(0 or 1 a frame between commas, on one line).

* Training and test videos lie side by side: the training ones are those named in training_set.txt, which comes with the data
  set and belongs beside the categories. Without it, all but those in testing_set.txt are taken; with neither the set is
  refused, since training on test videos would go unnoticed.
* Boxes are 1-based, as the authors say (HengLan/LaSOT_Evaluation_Toolkit, issue 14): 1 is taken from x and y.
* Fully occluded or out of view: the box becomes NaN and the visibility 0. Nothing is said about the visibility elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from siamtrack.datasets.clips import Clip, TrainingSet
from siamtrack.datasets.sequence_folders import (
    folders_in,
    listed_names,
    numbered_frames,
    read_frame_boxes,
    read_frame_labels,
    require_folders,
    single_target_clip,
)
from siamtrack.errors import DataError

_TRAINING, _TESTING = "training_set.txt", "testing_set.txt"
_VIDEOS_A_CATEGORY = 20


class LaSOT(TrainingSet):
    """See `TrainingSet`."""

    name = "lasot"

    def __init__(self, root: Path) -> None:
        self.root = root
        if (root / _TRAINING).is_file():
            self._names = listed_names(root / _TRAINING)
            categories = {_category(name) for name in self._names}
            require_folders(self._names, _sequences(root, categories), listed_in=root / _TRAINING, looked_in=root)
        elif (root / _TESTING).is_file():
            self._names = sorted(_sequences(root, folders_in(root)) - set(listed_names(root / _TESTING)))
        else:
            raise DataError(
                f"There is neither '{root / _TRAINING}' nor '{_TESTING}' beside it, so training and test videos cannot be told "
                "apart. Both lists come with LaSOT: put one of them there."
            )
        if not self._names:
            raise DataError(f"There is no training sequence in '{root}'; expected folders CATEGORY/CATEGORY-1 and so on.")

    @classmethod
    def recognises(cls, root: Path) -> bool:
        """Whether one of the first folders holds sequences named after it, with labels of full occlusion."""
        folders = islice((path for path in root.iterdir() if path.is_dir()), 5)
        return any(
            (folder / f"{folder.name}-{number}" / "full_occlusion.txt").is_file()
            for folder in folders
            for number in range(1, _VIDEOS_A_CATEGORY + 1)
        )

    @property
    def names(self) -> Sequence[str]:
        """See `TrainingSet`."""
        return self._names

    def clip(self, name: str) -> Clip:
        """See `TrainingSet`."""
        folder = self.root / _category(name) / name
        frames = numbered_frames(folder / "img")
        boxes = read_frame_boxes(folder / "groundtruth.txt", frames, first_pixel=1)
        absent = np.zeros(len(frames), bool)
        for file in ("full_occlusion.txt", "out_of_view.txt"):
            absent |= read_frame_labels(folder / file, frames, highest=1) == 1
        boxes[absent] = np.nan
        return single_target_clip(name, frames, boxes, category=_category(name), visibility=np.where(absent, 0.0, np.nan))


def _category(name: str) -> str:
    return name.rpartition("-")[0]


def _sequences(root: Path, categories: set[str]) -> set[str]:
    """Names of the folders that are called like a category they lie in, with a number."""
    return {name for category in categories for name in folders_in(root / category) if _category(name) == category}


TRAINING_SET = LaSOT
