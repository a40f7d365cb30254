"""DAVIS 2017 and 2016, training parts (Pont-Tuset et al., 2017; Perazzi et al., CVPR 2016; davischallenge.org).

JPEGImages/480p/VIDEO/00000.jpg, Annotations/480p/VIDEO/00000.png for every frame, and a list of the training videos:

* 2017, ImageSets/2017/train.txt, a name a line (60 videos). Masks number the objects from 1; 255 marks pixels that belong to
  none for certain and is left out.
* 2016, ImageSets/480p/train.txt, a frame and its mask a line (30 videos). Masks are 0 and 255: all that is not 0 is the one
  object, named 1. Taken where the list of 2017 is missing; the archive of 2017 also repeats videos of 2016 with its own masks.

Boxes are tight around the pixels of an object, NaN in frames where it has none. Categories are not in these archives.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from siamtrack.datasets.clips import Clip, Target, TrainingSet
from siamtrack.datasets.palette_masks import LabelMasks, tight_boxes
from siamtrack.datasets.sequence_folders import folders_in, listed_names, numbered_frames, require_folders
from siamtrack.errors import DataError

_LIST_2017 = Path("ImageSets", "2017", "train.txt")
_LIST_2016 = Path("ImageSets", "480p", "train.txt")
_FRAMES = Path("JPEGImages", "480p")
_MASKS = Path("Annotations", "480p")
_VOID = 255


class DAVIS(TrainingSet):
    """See `TrainingSet`. Masks are decoded once for the boxes of a clip, and again for each mask that is asked for."""

    name = "davis"

    def __init__(self, root: Path) -> None:
        self.root = root
        self._single = not (root / _LIST_2017).is_file()  # 2016
        listed = root / (_LIST_2016 if self._single else _LIST_2017)
        if not listed.is_file():
            raise DataError(f"There is neither '{_LIST_2017}' nor '{_LIST_2016}' in '{root}'; expected the folder DAVIS.")
        self._names = sorted({_video(line, listed) for line in listed_names(listed)})
        for folder in (root / _FRAMES, root / _MASKS):
            require_folders(self._names, folders_in(folder), listed_in=listed, looked_in=folder)

    @classmethod
    def recognises(cls, root: Path) -> bool:
        """Whether there are frames and masks of 480p and a list of training videos."""
        lists = (root / _LIST_2017).is_file() or (root / _LIST_2016).is_file()
        return lists and (root / _FRAMES).is_dir() and (root / _MASKS).is_dir()

    @property
    def names(self) -> Sequence[str]:
        """See `TrainingSet`."""
        return self._names

    def clip(self, name: str) -> Clip:
        """See `TrainingSet`."""
        frames = numbered_frames(self.root / _FRAMES / name)
        folder = self.root / _MASKS / name
        masks = LabelMasks(tuple(folder / f"{path.stem}.png" for path in frames.paths), single=self._single)
        if (count := len(list(folder.glob("[0-9]*.png")))) != len(frames):
            raise DataError(f"'{folder}' holds {count} masks for the {len(frames)} frames in '{self.root / _FRAMES / name}'.")
        boxes, size = tight_boxes(masks, range(len(frames)))
        if set(boxes) == {_VOID}:
            raise DataError(f"The masks in '{folder}' hold 0 and 255 only, as those of 2016 do, and '{_LIST_2017}' is of 2017.")
        boxes.pop(_VOID, None)
        if not boxes:
            raise DataError(f"The masks in '{folder}' show no object.")
        everywhere, unknown = np.arange(len(frames)), np.full(len(frames), np.nan)
        targets = [
            Target(name=str(number), positions=everywhere, boxes=boxes[number], visibility=unknown) for number in sorted(boxes)
        ]
        return Clip(name=name, frames=frames, targets=tuple(targets), size=size, masks=masks)


def _video(line: str, listed: Path) -> str:
    """The video of a line, a name or "/JPEGImages/480p/bear/00000.jpg /Annotations/480p/bear/00000.png"."""
    parts = line.split()[0].split("/")
    if len(parts) == 1:
        return parts[0]
    if not line.startswith("/JPEGImages/480p/") or len(parts) != 5:
        raise DataError(f"'{listed}': found '{line[:60]}', expected a name, or /JPEGImages/480p/NAME/00000.jpg and its mask.")
    return parts[3]


TRAINING_SET = DAVIS
