"""Masks as the VOT challenges have them since 2020: how they are written, and how they overlap with what a tracker answers.

Source: github.com/votchallenge/toolkit, vot/region/io.py and vot/region/raster.py. A line `mX,Y,W,H,N0,N1,...` is a mask of
W x H pixels whose top left one is X, Y; the N are lengths of runs along the rows, the first of zeros, and what follows the last
is zero. Boxes and polygons are painted as the toolkit does (rule "python" of `siamtrack.polygon`), and pixels are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siamtrack.errors import DataError
from siamtrack.metrics.vot import (
    Floats,
    Region,
    polygons_of,
    region_overlaps,
    regions_from_text,
    rounded_ends,
    rounds_to_nothing,
)
from siamtrack.polygon import painted

NO_BOX = np.full(4, np.nan)
_LARGEST = 1 << 28  # pixels: 16 thousand by 16 thousand


@dataclass(frozen=True, eq=False)
class PlacedMask:
    """The pixels of a target, without the empty rows and columns around them.

    Attributes:
        x: column of the top left pixel in the image.
        y: its row.
        width: columns; 0 where the mask is empty.
        height: rows; 0 where the mask is empty.
        bits: the pixels row after row, eight in a byte: results hold a mask for every frame of every run.
    """

    x: int
    y: int
    width: int
    height: int
    bits: NDArray[np.uint8]

    @classmethod
    def of(cls, mask: ArrayLike, x: int = 0, y: int = 0) -> PlacedMask:
        """A mask of any size whose top left pixel is x, y.

        >>> PlacedMask.of([[0, 0, 0], [0, 1, 1]]).text
        'm1,1,2,1,0,2'
        """
        pixels = np.asarray(mask, bool)
        rows, columns = np.flatnonzero(pixels.any(1)), np.flatnonzero(pixels.any(0))
        if not len(rows):
            return cls(0, 0, 0, 0, np.empty(0, np.uint8))
        top, left = int(rows[0]), int(columns[0])
        inside = pixels[top : rows[-1] + 1, left : columns[-1] + 1]
        height, width = inside.shape
        return cls(x + left, y + top, width, height, np.packbits(inside))

    @property
    def pixels(self) -> NDArray[np.bool_]:
        """(h, w)."""
        return np.unpackbits(self.bits, count=self.height * self.width).view(bool).reshape(self.height, self.width)

    @property
    def empty(self) -> bool:
        """Whether it has no pixel."""
        return self.width == 0

    @property
    def box(self) -> Region:
        """(4,) x, y, w, h around the pixels; NaN without any."""
        return NO_BOX.copy() if self.empty else np.array([self.x, self.y, self.width, self.height], np.float64)

    @property
    def text(self) -> str:
        """As the toolkit writes it."""
        if self.empty:
            return "m0,0,0,0,0"
        flat = self.pixels.ravel()
        lengths = np.diff(np.flatnonzero(np.diff(flat)) + 1, prepend=0, append=flat.size).tolist()
        return "m" + ",".join(map(str, [self.x, self.y, self.width, self.height, *([0] if flat[0] else []), *lengths]))


Shape = Region | PlacedMask
"""What a frame holds."""


def with_masks(regions: Sequence[Region], masks: Sequence[PlacedMask | None]) -> Sequence[Shape]:
    """The mask of every frame that has one, and else its region.

    Args:
        regions: N.
        masks: N, or none at all.
    """
    if not masks:
        return regions
    return [region if mask is None else mask for region, mask in zip(regions, masks, strict=True)]


def shapes_from_text(text: str, where: str) -> tuple[list[Region], list[PlacedMask | None]]:
    """The frames of a VOT trajectory or ground truth that may hold masks.

    Args:
        text: the file's content, a frame a line.
        where: its name, for error messages.

    Returns:
        N regions, of a mask the box around it, and N masks; None where the frame holds none.

    Raises:
        DataError: a line is no code, box, polygon or mask, with its number.
    """
    lines = [line.strip() for line in text.rstrip().splitlines()]
    numbered = enumerate(lines, 1)
    masks = [mask_from_text(line, f"{where}, line {i}") if line.startswith("m") else None for i, line in numbered]
    plain = "\n".join(line if mask is None else "0,0,0,0" for line, mask in zip(lines, masks, strict=True))
    regions = regions_from_text(plain, where) if lines else []
    return [region if mask is None else mask.box for region, mask in zip(regions, masks, strict=True)], masks


def mask_from_text(line: str, where: str) -> PlacedMask:
    """The mask in a line; see the module. It is empty, as in the toolkit, where all of its pixels lie in its first column.

    Raises:
        DataError: it holds none.
    """
    shown = line if len(line) <= 60 else line[:57] + "..."
    try:
        x, y, width, height, *lengths = (int(cell) for cell in line.strip().removeprefix("m").rstrip(",").split(","))
    except ValueError:
        raise DataError(f"{where}: found '{shown}', expected a mask, mX,Y,W,H and lengths of runs.") from None
    mask = mask_of_runs((x, y, width, height), lengths, where)
    return PlacedMask.of([[]]) if mask.width == 1 and mask.x == x else mask


def mask_of_runs(place: tuple[int, int, int, int], lengths: Sequence[int], where: str) -> PlacedMask:
    """The mask at x, y, of some width and height, with runs of these lengths.

    Raises:
        DataError: the runs do not fit in.
    """
    x, y, width, height = place
    area = width * height
    if min([width, height, *lengths]) < 0 or sum(lengths) > area or area > _LARGEST:
        raise DataError(f"{where}: a mask of {width} x {height} pixels has runs of {sum(lengths)}; expected runs that fit in.")
    values = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    return PlacedMask.of(np.pad(values, (0, area - len(values))).reshape(height, width), x, y)


def shape_overlaps(run: Sequence[Shape], truth: Sequence[Shape], *, size: tuple[int, int]) -> Floats:
    """Overlap with the truth in each frame, as the VOT toolkit in Python counts it, inside the image.

    Args:
        run: N frames of a run.
        truth: N true shapes.
        size: width and height of the images, pixels.

    Returns:
        (N,), in [0, 1]. What has no pixels, as a code or NaN, overlaps with nothing; two of them are the same, 1.
    """
    pairs = list(zip(run, truth, strict=True))
    overlaps = np.array([0.0 if _are_regions(pair) else _overlap(*pair, size) for pair in pairs])
    plain = [i for i, pair in enumerate(pairs) if _are_regions(pair)]
    ours, theirs = ([one for one in (side[i] for i in plain) if not isinstance(one, PlacedMask)] for side in (run, truth))
    overlaps[plain] = region_overlaps(ours, theirs, size=size, rule="python", corners="rounded", bounds="last pixel")
    return overlaps


def is_empty(shape: Shape) -> bool:
    """Whether the toolkit takes it for no target: a code, NaN, no size, or a mask that is one pixel wide or high.

    >>> is_empty(np.array([0.0])), is_empty(np.array([3.0, 4.0, 5.0, 6.0])), is_empty(PlacedMask.of([[1, 1]]))
    (True, False, True)
    """
    if isinstance(shape, PlacedMask):
        return min(shape.width, shape.height) < 2
    if _gone(shape):
        return True
    extent = shape[2:] if len(shape) == 4 else np.ptp(shape.reshape(-1, 2), 0)
    return bool(np.any(extent <= 0))


def _are_regions(pair: tuple[Shape, Shape]) -> bool:
    """Whether both are a box or a polygon."""
    return not any(isinstance(shape, PlacedMask) or _gone(shape) for shape in pair)


def _gone(shape: Shape) -> bool:
    if isinstance(shape, PlacedMask):
        return shape.empty
    return bool(len(shape) < 4 or np.isnan(shape).any())


def _overlap(first: Shape, second: Shape, size: tuple[int, int]) -> float:
    """Of two shapes, of which one is a mask or nothing."""
    ends = np.array([_ends(first), _ends(second)])
    low, high = ends[:, :2].min(0), ends[:, 2:].max(0)
    if (low >= high).any():
        return 1.0  # the toolkit: two empty regions are the same
    low, high = np.maximum(low, 0), np.minimum(high, np.array(size) - 1)
    if (low >= high).any():
        return 0.0
    one, other = (_painted(shape, low, high - low + 1) for shape in (first, second))
    union = np.count_nonzero(one | other)
    return np.count_nonzero(one & other) / union if union else 0.0


def _ends(shape: Shape) -> NDArray[np.int64]:
    """(4,) the first column and row, and the last; 0 where there is no pixel."""
    if isinstance(shape, PlacedMask):
        last = shape.x + shape.width - 1, shape.y + shape.height - 1
        return np.array([0, 0, 0, 0] if shape.empty else [shape.x, shape.y, *last])
    return np.zeros(4, np.int64) if _gone(shape) else rounded_ends(shape)


def _painted(shape: Shape, low: NDArray[np.int64], extent: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The pixels of a shape in a window of the image."""
    (left, top), (width, height) = low.tolist(), extent.tolist()
    window = np.zeros((height, width), bool)
    if isinstance(shape, PlacedMask):
        x, y = shape.x - left, shape.y - top
        inside = shape.pixels[max(-y, 0) : max(height - y, 0), max(-x, 0) : max(width - x, 0)]
        window[max(y, 0) : max(y, 0) + inside.shape[0], max(x, 0) : max(x, 0) + inside.shape[1]] = inside
    elif not _gone(shape) and not rounds_to_nothing(shape):
        (corners,) = polygons_of([shape], "rounded")
        window = painted(corners, (left, top, width, height))
    return window
