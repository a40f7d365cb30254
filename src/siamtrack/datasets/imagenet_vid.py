"""ImageNet VID, training part (Russakovsky et al., IJCV 2015; ILSVRC2015 and 2017): videos of 30 kinds of moving objects.

Annotations/VID/train/ILSVRC2015_VID_train_0000/ILSVRC2015_train_00000000/000000.xml, one file a frame from 000000 on, and the
frame itself under Data/ as .JPEG. A frame without objects has a file without <object>. Links named a to e, as PySOT's and
SiamFC's scripts make them, are passed over: they lead to the same videos again, and e to the validation part.

* Boxes: see `ilsvrc_xml`. They are around the visible part; most are drawn by hand, the others interpolated (<generated>) and
  taken alike.
* A target has a row in the frames where it is annotated and none elsewhere: it is not in view there. VID also pauses tracks by
  leaving objects out, and where an object came back with another trackid it is another target.
* Visibility is 1 where the object is not occluded. Where it is, nobody says by how much: NaN.
* Categories are WordNet ids, as in the files.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from siamtrack.datasets.clips import Clip, PictureFiles, Target, TrainingSet
from siamtrack.datasets.ilsvrc_xml import LabelledObject, has_task, read_annotation, training_folders
from siamtrack.datasets.sequence_folders import folders_in
from siamtrack.errors import DataError

_PARTS = "ILSVRC*_VID_train_*"


class ImageNetVID(TrainingSet):
    """See `TrainingSet`."""

    name = "imagenet_vid"

    def __init__(self, root: Path) -> None:
        self.root = root
        self._annotations, self._pictures = training_folders(root, "VID")
        parts = self._annotations.glob(_PARTS)
        self._names = sorted(f"{part.name}/{snippet}" for part in parts for snippet in folders_in(part))
        if not self._names:
            raise DataError(f"There is no video in '{self._annotations}'; expected ILSVRC2015_VID_train_0000 and so on.")

    @classmethod
    def recognises(cls, root: Path) -> bool:
        """Whether there are annotations of VID's training part."""
        return has_task(root, "VID")

    @property
    def names(self) -> Sequence[str]:
        """See `TrainingSet`."""
        return self._names

    def clip(self, name: str) -> Clip:
        """See `TrainingSet`."""
        files = _frame_files(self._annotations / name)
        size = None
        tracks: dict[str, dict[int, LabelledObject]] = {}
        for position, path in enumerate(files):
            annotation = read_annotation(path)
            size = size or annotation.size
            for shown in annotation.objects:
                if not shown.track:
                    raise DataError(f"{shown.where}: the object has no trackid.")
                track = tracks.setdefault(shown.track, {})
                if position in track:
                    raise DataError(f"{shown.where}: another object of this frame has the trackid {shown.track} too.")
                track[position] = shown
        frames = PictureFiles(tuple(self._pictures / name / f"{path.stem}.JPEG" for path in files))
        targets = tuple(_target(track, rows) for track, rows in tracks.items())
        return Clip(name=name, frames=frames, targets=targets, size=size)


def _frame_files(folder: Path) -> list[Path]:
    files = sorted(folder.glob("[0-9]*.xml"))
    if not files:
        raise DataError(f"There is no annotation in '{folder}'; expected 000000.xml and so on.")
    for number, path in enumerate(files):
        if path.stem != f"{number:06}":
            raise DataError(
                f"'{folder / f'{number:06}.xml'}' is missing; the next file is {path.name}. Unpack the archive again."
            )
    return files


def _target(track: str, rows: dict[int, LabelledObject]) -> Target:
    shown = list(rows.values())
    return Target(
        name=track,
        category=shown[0].category,
        positions=np.array(list(rows), np.int64),
        boxes=np.array([one.box for one in shown], np.float64),
        visibility=np.array([np.nan if one.occluded else 1.0 for one in shown]),
    )


TRAINING_SET = ImageNetVID
