"""Axis-aligned boxes: the one convention of siamtrack, and what can be asked of them.

A box is x, y, w, h in pixels, float, 0-based. Coordinates are continuous and pixel i covers [i, i + 1), so the box of
the single top-left pixel is (0, 0, 1, 1), the right edge is x + w (never "+ 1" or "- 1"), and the centre is x + w / 2.
Other conventions (1-based benchmarks, pixel-centre indices) are converted where files are read and nowhere else.
An absent target is a box of four NaN, never zeros.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siamtrack.errors import BoxError

Boxes = NDArray[np.float64]
"""(N, 4) array of boxes, rows x, y, w, h."""


class Box(NamedTuple):
    """x, y, w, h in pixels: left, top, width, height. See the module for the convention."""

    x: float
    y: float
    w: float
    h: float

    @property
    def center(self) -> tuple[float, float]:
        """(x, y) of the centre, pixels."""
        return self.x + self.w / 2, self.y + self.h / 2

    @property
    def area(self) -> float:
        """Width times height, square pixels."""
        return self.w * self.h

    @property
    def absent(self) -> bool:
        """True for the box of a target that is not there (any coordinate is NaN)."""
        return any(math.isnan(v) for v in self)

    @classmethod
    def from_center(cls, cx: float, cy: float, w: float, h: float) -> Box:
        """The box of size (w, h) around the point (cx, cy)."""
        return cls(cx - w / 2, cy - h / 2, w, h)

    @classmethod
    def from_corners(cls, left: float, top: float, right: float, bottom: float) -> Box:
        """The box between two corners."""
        return cls(left, top, right - left, bottom - top)

    @classmethod
    def from_text(cls, text: str) -> Box:
        """Reads "X,Y,W,H", as given on a command line.

        Raises:
            BoxError: the text is not four numbers.
        """
        try:
            x, y, w, h = (float(part) for part in text.split(","))
        except ValueError:
            raise BoxError(
                f"The box '{text}' is not four numbers; expected X,Y,W,H in pixels, for example 120,80,64,48."
            ) from None
        return cls(x, y, w, h)

    def clipped(self, width: float, height: float) -> Box:
        """The part of the box inside an image of that size (zero-sized at the border when there is none)."""
        left, right = (min(max(v, 0.0), width) for v in (self.x, self.x + self.w))
        top, bottom = (min(max(v, 0.0), height) for v in (self.y, self.y + self.h))
        return Box(left, top, right - left, bottom - top)


_FAR = 3
"""A target that the border cuts may be longer than the frame, but not by so many times."""

ABSENT = Box(math.nan, math.nan, math.nan, math.nan)
"""The box of a target that is not in the frame."""


def check_box(box: Box, width: int, height: int) -> Box:
    """The box itself, if a target can be taken from it in a frame of that size.

    A box that is partly outside the frame is accepted: targets are often cut by the border.

    Raises:
        BoxError: NaN or infinite, no area, nothing of it inside the frame, larger than the whole frame, or more than three
            times as wide or as high.
    """
    found = f"The box {box.x:g},{box.y:g},{box.w:g},{box.h:g} (x,y,w,h)"
    if not all(math.isfinite(v) for v in box):
        raise BoxError(f"{found} has a number that is not finite; give four finite numbers in pixels.")
    if box.w <= 0 or box.h <= 0:
        raise BoxError(f"{found} has no area; width and height must be above 0. The order is x,y,w,h, not two corners.")
    if box.clipped(width, height).area <= 0:
        raise BoxError(f"{found} lies outside the frame of {width}x{height} pixels; give a box that overlaps it.")
    if (box.w > width and box.h > height) or box.w > _FAR * width or box.h > _FAR * height:
        raise BoxError(f"{found} is larger than the frame of {width}x{height} pixels; draw it around the target only.")
    return box


def iou(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Intersection over union of boxes, pair by pair.

    Args:
        a: boxes, shape (..., 4), rows x, y, w, h.
        b: boxes, broadcast against `a`.

    Returns:
        Shape (...), in [0, 1]; 0 where either box has no area; NaN where either is absent.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    top_left = np.maximum(a[..., :2], b[..., :2])
    bottom_right = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    area_a, area_b = (np.prod(np.maximum(boxes[..., 2:], 0), axis=-1) for boxes in (a, b))
    inside = np.prod(np.maximum(bottom_right - top_left, 0), axis=-1)
    inside = np.minimum(inside, np.minimum(area_a, area_b))  # x + w - x can round to more than w
    union = area_a + area_b - inside
    return np.asarray(np.where(union <= 0, inside * 0, inside / np.where(union <= 0, 1, union)))


def center_error(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Distance between box centres, pixels; shapes as for `iou`; NaN where either is absent."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    offset = (a[..., :2] + a[..., 2:] / 2) - (b[..., :2] + b[..., 2:] / 2)
    return np.asarray(np.hypot(offset[..., 0], offset[..., 1]))
