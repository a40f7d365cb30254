"""Annotated sequences in plain folders: one target each, a region a line, the frames as pictures or as a video.

* NAME/groundtruth.txt: x,y,w,h or the corners of a polygon, x1,y1,x2,y2,..., 0-based, as VOT's files are.
* NAME/groundtruth_rect.txt: the same, 1-based, as OTB's files are: 1 is taken from x and y. Of several targets
  groundtruth_rect.1.txt and so on, which make the sequences NAME-1 and so on. It counts where there is no groundtruth.txt.
* The frames lie in NAME/img, in NAME/color as VOT's do, or in NAME; or there is one video in NAME.

NAME may be the folder that is given itself; names that begin with a dot count for nothing. Four NaN where the target is absent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from siamtrack.box import Box, Boxes
from siamtrack.datasets.annotations.media import VIDEO_ENDINGS
from siamtrack.errors import DataError, InputError
from siamtrack.frames import Frame, natural_order, read
from siamtrack.image import PICTURE_ENDINGS
from siamtrack.metrics.vot import Region
from siamtrack.metrics.vot_masks import shapes_from_text
from siamtrack.polygon import min_max_box
from siamtrack.result_layouts import lines_of

_TRUTH = "groundtruth.txt"
_OF_OTB = re.compile(r"groundtruth_rect(?:\.(\d+))?\.txt")
_FRAME_FOLDERS = ("img", "color")


@dataclass(frozen=True, kw_only=True, eq=False)
class Sequence:
    """A clip of one target with a region in every frame."""

    name: str
    truth: Path  # the file that the regions are from
    images: Path  # folder of frames, or a video
    regions: list[Region]  # N boxes (4,) or polygons (8,) and so on, pixels, 0-based; NaN where the target is absent

    @cached_property
    def boxes(self) -> Boxes:
        """The upright boxes around the regions, (N, 4); NaN where the target is absent."""
        return np.array([_around(region) for region in self.regions])

    @property
    def first_box(self) -> Box:
        """The box in the first frame."""
        return Box(*map(float, self.boxes[0]))

    def frames(self) -> Iterator[Frame]:
        """The frames that have a line in the ground truth."""
        with read(self.images) as source:
            for frame, _ in zip(source, self.regions, strict=False):
                yield frame


def find_sequences(folder: Path) -> list[Sequence]:
    """All sequences in a folder, or the folder itself if it is one, by name.

    Raises:
        DataError: there is none, or a file cannot be read as regions; the message names file and line.
    """
    if not (files := truth_files(folder)):
        raise DataError(
            f"There is no sequence in '{folder}'; expected NAME/{_TRUTH} (or groundtruth_rect.txt, 1-based, as OTB has it), "
            "and the frames in NAME/img, NAME/color or NAME, or as a video in NAME."
        )
    return [_sequence(file) for file in files]


def truth_files(folder: Path) -> list[Path]:
    """The files of ground truth in a folder, or else in the folders in it, by name."""
    inside = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    shown = [place for place in inside if not place.name.startswith(".")]  # what is only half written is hidden
    return _truth_in(folder) or [file for place in shown for file in _truth_in(place)]


def _truth_in(folder: Path) -> list[Path]:
    if (folder / _TRUTH).is_file():
        return [folder / _TRUTH]
    if (folder / "groundtruth_rect.txt").is_file():
        return [folder / "groundtruth_rect.txt"]
    return sorted((path for path in folder.glob("groundtruth_rect.*.txt") if _OF_OTB.fullmatch(path.name)), key=natural_order)


def frames_of(folder: Path) -> Path:
    """Where the frames of a sequence are: its folder `img` or `color`, itself, or the only video in it."""
    places = [place for name in _FRAME_FOLDERS if (place := folder / name).is_dir()] + [folder]
    videos = [path for path in folder.iterdir() if path.suffix.lower() in VIDEO_ENDINGS and not path.name.startswith(".")]
    with_pictures = next((place for place in places if pictures_in(place)), None)
    return with_pictures or (videos[0] if len(videos) == 1 else places[0])


def pictures_in(folder: Path) -> list[Path]:
    """The pictures directly in a folder, in natural order."""
    found = (path for path in folder.iterdir() if path.suffix.lower() in PICTURE_ENDINGS and not path.name.startswith("."))
    return sorted(found, key=natural_order)


def _sequence(file: Path) -> Sequence:
    of_otb = _OF_OTB.fullmatch(file.name)
    name = file.parent.resolve().name  # of ".", too
    if of_otb and of_otb[1]:
        name = f"{name}-{of_otb[1]}"
    regions = _regions(file)
    for region in regions if of_otb else ():
        region -= [1, 1, 0, 0] if len(region) == 4 else 1
    return Sequence(name=name, truth=file, images=frames_of(file.parent), regions=regions)


def _regions(file: Path) -> list[Region]:
    try:
        lines = lines_of(file)
    except InputError as error:
        raise DataError(str(error)) from None
    if not lines:
        raise DataError(f"'{file}' is empty; expected x,y,w,h or the corners of a polygon a line.")
    regions, _ = shapes_from_text("\n".join(lines), str(file))  # of masks the boxes around them
    for number, (region, line) in enumerate(zip(regions, lines, strict=True), 1):
        if len(region) == 1:
            raise DataError(
                f"{file}, line {number}: found '{line.strip()}', a code in the results of a tracker on VOT; expected "
                "x,y,w,h or the corners of a polygon."
            )
        if np.isinf(region).any():
            raise DataError(f"{file}, line {number}: found '{line[:60]}', expected finite numbers, or NaN.")
    return regions


def _around(region: Region) -> Boxes:
    return region if len(region) == 4 else np.array(min_max_box(region.reshape(-1, 2)))
