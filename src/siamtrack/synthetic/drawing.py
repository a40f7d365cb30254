"""Objects of a world drawn through a map: bent, smeared by motion, and laid over each other by their alpha.

What is drawn where is decided in `world`, and said in a `shot`; here is only how. The box and the mask of an object are read
off the alpha that was drawn, so that they are exact whatever was done to it. Coordinates are continuous: pixel i covers
[i, i + 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from siamtrack.image import Image
from siamtrack.warp import Matrix

Rgba = NDArray[np.uint8]
"""(h, w, 4): red, green, blue, alpha."""

SOLID = 128  # alpha from which a pixel belongs to an object
_LONGEST_SMEAR = 41  # px, of one drawn frame
_LEAST_SMEAR = 1.5


@dataclass(frozen=True, eq=False)
class Levels:
    """A picture and its halves, so that one drawn small is averaged as by a camera, and quickly."""

    picture: NDArray[np.uint8]  # (h, w, 3), or (h, w, 4) multiplied by its alpha

    @cached_property
    def halves(self) -> list[NDArray[np.uint8]]:
        """The picture, half of it, a quarter, ... down to about 8 pixels."""
        found = [self.picture]
        while min(found[-1].shape[:2]) >= 16:
            height, width = found[-1].shape[:2]
            found.append(np.asarray(cv2.resize(found[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA), np.uint8))
        return found

    def at(self, matrix: Matrix) -> tuple[NDArray[np.uint8], Matrix]:
        """The level that suits the map, and the map from its pixels."""
        (a, b, _), (c, d, _) = matrix[:2].tolist()
        shrink = -0.5 * math.log2(max(abs(a * d - b * c), 1e-12))
        if (level := min(max(0, math.floor(shrink + 0.3)), len(self.halves) - 1)) == 0:
            return self.picture, matrix
        chosen = self.halves[level]
        matrix = matrix.copy()
        matrix[:2, 0] *= self.picture.shape[1] / chosen.shape[1]
        matrix[:2, 1] *= self.picture.shape[0] / chosen.shape[0]
        return chosen, matrix


def premultiplied(rgb: Image, alpha: NDArray[np.uint8]) -> Rgba:
    """Colours multiplied by alpha, so that the rim stays clean when the picture is resampled.

    Args:
        rgb: (h, w, 3).
        alpha: (h, w).
    """
    multiplied = cv2.multiply(rgb, cv2.cvtColor(alpha, cv2.COLOR_GRAY2BGR), scale=1 / 255)
    return np.asarray(cv2.merge([*cv2.split(multiplied), alpha]), np.uint8)


class Bend(NamedTuple):
    """A wave through an object: its rows shift to the side and its columns up and down."""

    amount: float  # share of the object's longer side
    waves: float  # over the object
    phase: float  # radians

    def in_pixels(self, picture: Rgba) -> tuple[float, float]:
        """How far the wave goes at most, pixels, and radians a pixel."""
        longer = max(picture.shape[:2])
        return self.amount * longer, 2 * math.pi * self.waves / longer


class Layer(NamedTuple):
    """An object on a canvas: a frame, or a window of one."""

    levels: Levels  # premultiplied
    matrix: Matrix  # from the pixels of its picture to those of the canvas
    bend: Bend
    smear: NDArray[np.float64]  # (2,), the way it goes while the shutter is open, canvas pixels

    def seen(self, view: Matrix) -> Layer:
        """The same on another canvas; `view` is the map to it from this one, without a turn."""
        return self._replace(matrix=view @ self.matrix, smear=view[:2, :2] @ self.smear)


class Area(NamedTuple):
    """A rectangle of whole pixels."""

    left: int
    top: int
    width: int
    height: int

    def offset(self, inner: Area) -> tuple[int, int]:
        """Where another one begins in it, x and y."""
        return inner.left - self.left, inner.top - self.top


class Placed(NamedTuple):
    """Which level of an object's picture is drawn, through which map, and where."""

    picture: Rgba
    matrix: Matrix  # from the pixels of this level to those of the canvas
    seen: Area  # the part of the canvas that it may reach
    sharp: Area  # what has to be drawn before it is smeared: also what its motion carries into that part


class Drawn(NamedTuple):
    """A drawn object: a window of the canvas."""

    left: int
    top: int
    rgba: Rgba  # premultiplied

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(h, w) where the object is solid."""
        return np.asarray(self.rgba[:, :, 3] >= SOLID)

    @property
    def box(self) -> tuple[float, float, float, float] | None:
        """x, y, w, h of the tightest box around the mask, canvas pixels; None where nothing is solid."""
        x, y, w, h = cv2.boundingRect(self.mask.astype(np.uint8))
        return (float(self.left + x), float(self.top + y), float(w), float(h)) if w else None

    def within(self, width: int, height: int) -> bool:
        """Whether its window lies whole on a canvas of that size."""
        bottom, right = self.top + self.rgba.shape[0], self.left + self.rgba.shape[1]
        return self.left >= 0 and self.top >= 0 and right <= width and bottom <= height

    def put(self, plane: NDArray[np.uint8], value: int) -> None:
        """Writes the value where the object is solid into a plane of the canvas, (H, W), that may end before it."""
        mask = self.mask
        x, y = max(0, -self.left), max(0, -self.top)
        right, bottom = max(0, self.left + mask.shape[1]), max(0, self.top + mask.shape[0])
        region = plane[self.top + y : bottom, self.left + x : right]
        region[mask[y : y + region.shape[0], x : x + region.shape[1]]] = value


def reaches(layer: Layer, area: tuple[int, int, int, int]) -> bool:
    """Whether an object may have something within left, top, right, bottom, canvas pixels."""
    found = placed(layer, None)
    assert found is not None
    left, top, width, height = found.seen
    return left < area[2] and top < area[3] and left + width > area[0] and top + height > area[1]


def drawn(layer: Layer, canvas: tuple[int, int] | None) -> Drawn | None:
    """The object on its canvas.

    Args:
        layer: the object.
        canvas: (width, height), beyond which nothing is drawn; None: it is drawn whole.

    Returns:
        None where nothing of it reaches the canvas.
    """
    found = placed(layer, canvas)
    if found is None:
        return None
    seen, sharp = found.seen, found.sharp
    into = np.array([[1, 0, -sharp.left], [0, 1, -sharp.top], [0, 0, 1.0]]) @ found.matrix
    rgba = smeared(_resampled(found.picture, into, layer.bend, sharp.width, sharp.height), layer.smear)
    x, y = sharp.offset(seen)
    return Drawn(seen.left, seen.top, rgba[y : y + seen.height, x : x + seen.width])


def placed(layer: Layer, canvas: tuple[int, int] | None) -> Placed | None:
    """What is drawn of an object, and where; None where nothing of it reaches the canvas, (width, height)."""
    picture, matrix = layer.levels.at(layer.matrix)
    height, width = picture.shape[:2]
    margin, _ = layer.bend.in_pixels(picture)
    (a, b, x), (c, d, y) = matrix[:2].tolist()
    half_w, half_h = width / 2 + margin, height / 2 + margin
    middle = a * width / 2 + b * height / 2 + x, c * width / 2 + d * height / 2 + y
    reach = abs(a) * half_w + abs(b) * half_h, abs(c) * half_w + abs(d) * half_h
    low = [math.floor(middle[i] - reach[i] - abs(layer.smear[i]) / 2 - 1.5) for i in (0, 1)]
    high = [math.ceil(middle[i] + reach[i] + abs(layer.smear[i]) / 2 + 1.5) for i in (0, 1)]
    whole = Area(low[0], low[1], high[0] - low[0], high[1] - low[1])
    if canvas is None:
        return Placed(picture, matrix, whole, whole)
    if (seen := _common(whole, Area(0, 0, *canvas))) is None:
        return None
    kernel = smear_kernel(layer.smear)
    way = 0 if kernel is None else len(kernel) // 2
    sharp = _common(whole, Area(seen.left - way, seen.top - way, seen.width + 2 * way, seen.height + 2 * way))
    assert sharp is not None
    return Placed(picture, matrix, seen, sharp)


def _common(a: Area, b: Area) -> Area | None:
    left, top = max(a.left, b.left), max(a.top, b.top)
    width = min(a.left + a.width, b.left + b.width) - left
    height = min(a.top + a.height, b.top + b.height) - top
    return Area(left, top, width, height) if width > 0 and height > 0 else None


def _resampled(picture: Rgba, matrix: Matrix, bend: Bend, columns: int, rows: int) -> Rgba:
    back = _back(matrix)
    if not bend.amount:
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(picture, back, (columns, rows), flags=flags), np.uint8)
    x, y = np.arange(columns, dtype=np.float32)[None], np.arange(rows, dtype=np.float32)[:, None]
    a = back.astype(np.float32)
    u, v = a[0, 0] * x + a[0, 1] * y + a[0, 2], a[1, 0] * x + a[1, 1] * y + a[1, 2]
    amount, wave = (np.float32(v) for v in bend.in_pixels(picture))
    bent_u = u + amount * np.sin(wave * v + np.float32(bend.phase))
    bent_v = v + np.float32(0.5) * amount * np.sin(wave * u + np.float32(1.3 * bend.phase))
    return np.asarray(cv2.remap(picture, bent_u, bent_v, cv2.INTER_LINEAR), np.uint8)


def _back(matrix: Matrix) -> NDArray[np.float64]:
    """(2, 3): the inverse of an affine map, for OpenCV, whose coordinates are those of pixel centres."""
    (a, b, x), (c, d, y) = matrix[:2].tolist()
    determinant = a * d - b * c
    a, b, c, d = d / determinant, -b / determinant, -c / determinant, a / determinant
    x, y = 0.5 - x, 0.5 - y
    return np.array([[a, b, a * x + b * y - 0.5], [c, d, c * x + d * y - 0.5]])


def smeared(picture: NDArray[np.uint8], way: NDArray[np.float64]) -> NDArray[np.uint8]:
    """As if it had moved by `way`, pixels, while it was recorded."""
    if (kernel := smear_kernel(way)) is None:
        return picture
    return np.asarray(cv2.filter2D(picture, -1, kernel, borderType=cv2.BORDER_REFLECT), np.uint8)


def smear_kernel(way: NDArray[np.float64]) -> NDArray[np.float32] | None:
    """What a picture that moves by `way`, pixels, is correlated with, (K, K), K odd; None where it stays sharp.

    Points along the way, each shared by the four cells around it: the middle stays where it is, exactly, which no line that
    OpenCV draws does.
    """
    length = float(np.hypot(*way))
    if length < _LEAST_SMEAR:
        return None
    side = min(int(np.ceil(length)) | 1, _LONGEST_SMEAR)
    middle = (side - 1) / 2
    reach = np.asarray(way) / length * min(length / 2, middle)
    points = np.linspace(-1, 1, 2 * side) * reach[:, None]
    in_columns, in_rows = (np.maximum(0, 1 - np.abs(np.arange(side)[:, None] - middle - along)) for along in points)
    return np.asarray(in_rows @ in_columns.T / (2 * side), np.float32)


def lay_over(canvas: Image, layer: Drawn) -> None:
    """Draws the object onto the canvas, in place."""
    height, width = layer.rgba.shape[:2]
    region = canvas[layer.top : layer.top + height, layer.left : layer.left + width]
    colours, alpha = cv2.cvtColor(layer.rgba, cv2.COLOR_BGRA2BGR), np.ascontiguousarray(layer.rgba[:, :, 3])
    behind = cv2.cvtColor(cv2.bitwise_not(alpha), cv2.COLOR_GRAY2BGR)
    region[...] = cv2.add(cv2.multiply(region, behind, scale=1 / 255), colours)


def ground_seen(levels: Levels, matrix: Matrix, width: int, height: int) -> Image:
    """The ground through a map, mirrored without end at its borders; (height, width, 3)."""
    picture, matrix = levels.at(matrix)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    seen = cv2.warpAffine(picture, _back(matrix), (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(seen, np.uint8)
