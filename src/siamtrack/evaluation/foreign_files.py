"""Reading one run from the files in which others publish it: regions, confidences and seconds.

Boxes are `x,y,w,h` a line, separated by commas, tabs, semicolons or blanks; VOT files also hold codes, polygons and
masks, or are binary (`foreign_bin`). Nothing is repaired here: NaN and sizes below 0 stay what they are, since tools
differ in what they make of them.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from siamtrack.errors import DataError
from siamtrack.evaluation.foreign_bin import shapes_from_bytes
from siamtrack.evaluation.trajectory import Floats, Trajectory
from siamtrack.metrics.vot import Region
from siamtrack.metrics.vot_masks import PlacedMask, shapes_from_text


def read_run(path: Path, *, first_pixel: int, number: int = 0, first: int = 0) -> Trajectory:
    """The run in a text or .bin file, with the confidences and seconds in the files beside it, where there are any.

    Args:
        path: of the regions.
        first_pixel: what the file calls the left or topmost pixel: 0 or 1.
        number: of the run, from 0: files with the seconds of all runs have a column for each.
        first: index of the frame that the run begins with.

    Raises:
        DataError: a file is empty, a line cannot be read, or there are not as many confidences as regions.
    """
    regions, masks = _shapes(path, first_pixel)
    return Trajectory(
        regions=regions,
        scores=_confidences(path, len(regions)),
        seconds=_seconds(path, len(regions), number),
        first=first,
        masks=masks if any(masks) else (),
    )


def _shapes(path: Path, first_pixel: int) -> tuple[list[Region], Sequence[PlacedMask | None]]:
    if path.suffix == ".bin":
        regions, masks = shapes_from_bytes(path.read_bytes(), str(path))
        return _counted_from_0(regions, masks, first_pixel), masks
    text = text_of(path)
    if not text.strip():
        raise DataError(f"'{path}' is empty; expected a line x,y,w,h for each frame.")
    try:
        rows = np.loadtxt(io.StringIO(text.replace(",", " ").replace(";", " ")), ndmin=2, comments=None)
    except ValueError:  # rows of several lengths, as where codes stand between boxes
        rows = np.empty((0, 0))
    if rows.shape[1] in (4, 8):
        return list(rows - _origin(rows.shape[1], first_pixel)), ()
    regions, masks = shapes_from_text(text.replace(";", ","), str(path))  # line by line: names the one that is wrong
    return _counted_from_0(regions, masks, first_pixel), masks


def _counted_from_0(regions: list[Region], masks: Sequence[PlacedMask | None], first_pixel: int) -> list[Region]:
    """Boxes and polygons; the first pixel of masks, and so of the boxes around them, is 0 in every file."""
    if not first_pixel:
        return regions
    shifted = (region - _origin(len(region), first_pixel) for region in regions)
    return [there if mask is None else region for region, there, mask in zip(regions, shifted, masks, strict=True)]


def _origin(numbers: int, first_pixel: int) -> Floats:
    """What to take from a code, a box or the corners of a polygon."""
    if numbers == 1:
        return np.zeros(1)
    return np.array([first_pixel, first_pixel, 0, 0] if numbers == 4 else [first_pixel] * numbers, np.float64)


def text_of(path: Path) -> str:
    """The content of a text file.

    Raises:
        DataError: it is none.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"'{path}' is not a text file; expected lines x,y,w,h.") from None


def _confidences(path: Path, frames: int) -> Floats:
    """(N,); the line of a frame without one is empty, as that of the first is in files of VOT."""
    beside = _first_there(path, (f"{path.stem}_confidence.value", f"{_without_number(path.stem)}_confidence.value"))
    if beside is None:
        return np.full(frames, np.nan)
    lines = text_of(beside).splitlines()
    if len(lines) != frames:
        raise DataError(f"'{beside}' has {len(lines)} lines, the regions beside it {frames}; expected as many.")
    return np.array([_number(line, beside, i) for i, line in enumerate(lines, 1)])


def _seconds(path: Path, frames: int, number: int) -> Floats:
    """(N,); all NaN where there are no times, or not as many as frames: they are of no use then, and no score needs them."""
    name = _without_number(path.stem)
    beside = _first_there(
        path, (f"{path.stem}_time.value", f"{path.stem}_time.txt", f"{name}_time.txt", f"times/{name}_time.txt")
    )
    unknown = np.full(frames, np.nan)
    if beside is None:
        return unknown
    lines = text_of(beside).splitlines()
    if len(lines) != frames:
        return unknown
    rows = [re.split(r"[,;\s]+", line.strip()) for line in lines]
    return np.array([_number(row[min(number, len(row) - 1)], beside, i) for i, row in enumerate(rows, 1)])


def _number(text: str, path: Path, line: int) -> float:
    try:
        return float(text) if text.strip() else math.nan
    except ValueError:
        raise DataError(f"{path}, line {line}: found '{text[:60]}', expected one number.") from None


def _without_number(stem: str) -> str:
    return re.sub(r"_\d{3}$", "", stem)


def _first_there(path: Path, names: Sequence[str]) -> Path | None:
    return next((path.parent / name for name in names if (path.parent / name).is_file()), None)
