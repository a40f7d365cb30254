"""From the mask of a patch to the pixels of a frame, and to the rotated box around them.

Source: Wang, Zhang, Bertinetto, Hu, Torr, "Fast Online Object Tracking and Segmentation: A Unifying Approach", CVPR 2019,
sec. 3.2 and 4, and the official codes (foolwood/SiamMask, tools/test.py; STVIR/pysot, tracker/siammask_tracker.py).

Differences between the official codes and this code:
* Place: the codes take the index of a cell for that of the pixel where its patch begins, and spread the W pixels of the frame
  over W - 1; and their windows lie 0.5 to 1.5 px beside the target, which makes about as much in the other direction. Windows
  are exact here, and so is the place of masks. `as_published` puts them where the codes would, to compare step by step.
* Polygons: the codes say indices of pixels, whose middles are meant here: theirs + 0.5.
* Several targets: where their masks overlap, a pixel belongs to the more probable one, as in the code for DAVIS.
* Turned boxes are those of whole masks, before pixels are given to others, here as there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from siamtrack.errors import SettingsError
from siamtrack.image import Image
from siamtrack.polygon import Polygon, box_corners
from siamtrack.settings import check_limits
from siamtrack.tracking import Prediction


class Window(NamedTuple):
    """What a mask needs of a layer of the backbone around a cell of the correlation; all in cells of that layer."""

    stride: int  # from one cell of the correlation to the next
    side: int  # of the window
    pad: int  # from the first cell of the correlation back to the beginning of its window


@dataclass(frozen=True, kw_only=True)
class MaskSettings:
    """Which pixels are the target.

    Raises:
        SettingsError: a value outside its range.
    """

    threshold: float = 0.0  # probability above which a pixel is; 0: the model gives no masks, or they are not wanted
    min_area: float = 100.0  # square px that the largest contour must have, or the turned box is the upright one
    as_published: bool = False  # masks lie where the official codes would put them, about 1 px further up and left
    strides: tuple[int, ...] = (1, 2, 4)  # see `Window`, for each layer after the correlation; these are those of SiamMask
    sides: tuple[int, ...] = (15, 31, 61)
    pads: tuple[int, ...] = (4, 8, 16)

    def __post_init__(self) -> None:
        check_limits(self, {"threshold": (0, 0.999), "min_area": (0, 1e9)})
        numbers = [*self.strides, *self.sides, *self.pads]
        if not len(self.strides) == len(self.sides) == len(self.pads) or min(numbers, default=0) < 1:
            raise SettingsError(
                f"The settings strides, sides and pads of masks are {self.strides}, {self.sides} and {self.pads}; expected as "
                "many numbers in each, 1 or more."
            )

    @property
    def windows(self) -> list[Window]:
        """One for each layer after the correlation."""
        return [Window(*row) for row in zip(self.strides, self.sides, self.pads, strict=True)]


def window_settings(windows: Sequence[Window]) -> dict[str, tuple[int, ...]]:
    """The settings that say so."""
    strides, sides, pads = zip(*windows, strict=True)
    return {"strides": strides, "sides": sides, "pads": pads}


class Part(NamedTuple):
    """Probabilities of a part of the frame; the rest has none."""

    left: int
    top: int
    values: NDArray[np.float32]  # (h, w), 0 to 1; may be empty


NO_PART = Part(0, 0, np.zeros((0, 0), np.float32))


def windows_around(
    correlation: NDArray[np.float32],
    layers: Sequence[NDArray[np.float32]],
    row: int,
    column: int,
    *,
    windows: Sequence[Window],
) -> list[NDArray[np.float32]]:
    """What a network needs to make the mask of one place.

    Args:
        correlation: (C, R, R), of one target.
        layers: of the same search patch, the deepest first, or none.
        row: of the cell.
        column: of the cell.
        windows: of each layer; without layers, any.

    Returns:
        (C,), and of each layer what the window shows, such as (., 15, 15); zeros beyond the borders.
    """
    found = [correlation[:, row, column]]
    for layer, (stride, side, pad) in zip(layers, windows if layers else (), strict=True):
        window = np.zeros((len(layer), side, side), np.float32)
        top, left = stride * row - pad, stride * column - pad
        corner = zip((top, left), layer.shape[1:], strict=True)
        rows, columns = (slice(max(0, first), max(0, min(size, first + side))) for first, size in corner)
        window[:, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = layer[:, rows, columns]
        found.append(window)
    return found


def placed(
    logits: NDArray[np.float32],
    center: tuple[float, float],
    side: float,
    width: int,
    height: int,
    *,
    as_published: bool = False,
) -> Part:
    """The mask of a square patch in a frame.

    Args:
        logits: (n, n).
        center: x, y of the patch, image pixels.
        side: of the patch, image pixels, above 0.
        width: of the frame.
        height: of the frame.
        as_published: see `MaskSettings`.
    """
    cells, cell = len(logits), side / len(logits)  # the second in image pixels
    corner = np.array([[center[0] - side / 2], [center[1] - side / 2]])
    spread = np.array([[cell, 0], [0, cell]])
    if as_published:
        to_image = np.hstack([spread, corner - 0.5]) * [[1 - 1 / width], [1 - 1 / height]]
    else:
        to_image = np.hstack([spread, corner + cell / 2 - 0.5])  # from the index of a cell to that of a pixel
    low, high = to_image @ [-1, -1, 1], to_image @ [cells, cells, 1]  # beyond them there is nothing
    first = np.clip(np.ceil(low), 0, (width, height)).astype(int)
    size = np.clip(np.floor(high) + 1, first, (width, height)).astype(int) - first
    if not size.all():
        return NO_PART
    with np.errstate(over="ignore"):
        probabilities = np.nan_to_num(1 / (1 + np.exp(-logits.astype(np.float32))))
    to_image[:, 2] -= first
    values = cv2.warpAffine(probabilities, to_image, size.tolist(), flags=cv2.INTER_LINEAR, borderValue=0.0)
    return Part(int(first[0]), int(first[1]), np.asarray(values, np.float32))


def with_masks(predictions: Sequence[Prediction], parts: Sequence[Part], frame: Image, s: MaskSettings) -> list[Prediction]:
    """Predictions with their masks, and with the turned box around each, which is the upright one where there is no mask.

    The box is that of the whole mask, whatever other targets take of it.
    """
    masks = disjoint(parts, frame.shape[1], frame.shape[0], s.threshold)
    found = []
    for prediction, part, mask in zip(predictions, parts, masks, strict=True):
        turned = turned_box(part.values > s.threshold, s.min_area)
        polygon = box_corners(prediction.box) if turned is None else turned + np.array([part.left, part.top])
        found.append(replace(prediction, mask=mask, polygon=polygon))
    return found


def disjoint(parts: Sequence[Part], width: int, height: int, threshold: float) -> list[NDArray[np.bool_]]:
    """Masks of the frame, (height, width) each; a pixel that several could have belongs to the most probable one."""
    best = np.full((height, width), threshold, np.float32)
    owner = np.full((height, width), -1, np.int32)
    for number, part in enumerate(parts):
        here = _within(part)
        more = part.values > best[here]
        best[here][more], owner[here][more] = part.values[more], number
    masks = [np.zeros((height, width), bool) for _ in parts]
    for number, (mask, part) in enumerate(zip(masks, parts, strict=True)):
        mask[_within(part)] = owner[_within(part)] == number
    return masks


def _within(part: Part) -> tuple[slice, slice]:
    height, width = part.values.shape
    return slice(part.top, part.top + height), slice(part.left, part.left + width)


def turned_box(mask: NDArray[np.bool_], min_area: float) -> Polygon | None:
    """Corners (4, 2) of the smallest rectangle around the largest connected part; None if that is not larger than `min_area`.

    As in the official codes, the contour goes through the middles of the outermost pixels.
    """
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE) if mask.size else ((), None)
    largest = max(contours, key=cv2.contourArea, default=None)
    if largest is None or cv2.contourArea(largest) <= min_area:
        return None
    return np.asarray(cv2.boxPoints(cv2.minAreaRect(largest)), np.float64) + 0.5
