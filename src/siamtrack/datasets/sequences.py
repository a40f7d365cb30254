"""Annotated sequences in plain folders: NAME/groundtruth.txt (x,y,w,h a line, 0-based), frames in NAME/img or in NAME."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from siamtrack.box import Box, Boxes
from siamtrack.errors import DataError
from siamtrack.frames import Frame, read
from siamtrack.results import read_boxes


@dataclass(frozen=True, kw_only=True, eq=False)
class Sequence:
    """A clip of one target with a box in every frame."""

    name: str
    images: Path  # folder of frames
    boxes: Boxes  # (N, 4), pixels, 0-based; NaN where the target is absent

    @property
    def first_box(self) -> Box:
        """The box in the first frame."""
        return Box(*map(float, self.boxes[0]))

    def frames(self) -> Iterator[Frame]:
        """The frames that have a line in the ground truth."""
        with read(self.images) as source:
            for frame, _ in zip(source, self.boxes, strict=False):
                yield frame


def find_sequences(folder: Path) -> list[Sequence]:
    """All sequences in a folder, or the folder itself if it is one, by name.

    Raises:
        DataError: there is none.
    """
    files = sorted(folder.glob("groundtruth.txt")) or sorted(folder.glob("*/groundtruth.txt"))
    if not files:
        raise DataError(f"There is no sequence in '{folder}'; expected NAME/groundtruth.txt with frames in NAME/img or NAME.")
    return [_sequence(file) for file in files]


def _sequence(file: Path) -> Sequence:
    folder = file.parent
    images = folder / "img" if (folder / "img").is_dir() else folder
    return Sequence(name=folder.name, images=images, boxes=read_boxes(file))
