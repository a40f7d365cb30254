"""Square windows of an image as patches of a fixed size, at sub-pixel positions.

Pixel i covers [i, i + 1) in the image and in the patch alike, so the centre of the window falls on the centre of the
patch exactly, whatever the sizes: no rounding of positions or sizes, which is where trackers get their drift to one
side from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from siamtrack.image import Image

Fill = tuple[float, float, float]
"""Colour of what lies outside the image: red, green, blue, 0..255."""


def context_side(width: float, height: float, context: float) -> float:
    """Side in pixels of the square that shows a target of that size with its surroundings (SiamFC, sec. 3.4).

    sqrt((w + p) (h + p)) with p = context * (w + h); context is 0.5 in the whole family.
    """
    margin = context * (width + height)
    return math.sqrt((width + margin) * (height + margin))


def mean_colour(image: Image) -> Fill:
    """The image's mean colour."""
    red, green, blue, _ = cv2.mean(image)  # 50 times faster than image.mean((0, 1))
    return red, green, blue


def cut(image: Image, center: tuple[float, float], side: float, size: int, fill: Fill) -> Image:
    """The square window of the image as a patch; see `cut_windows`."""
    patch = np.empty((size, size, 3), np.uint8)
    _cut_into(patch, image, center, side, fill)
    return patch


def cut_mask(mask: NDArray[np.bool_], center: tuple[float, float], side: float, size: int) -> NDArray[np.uint8]:
    """The square window of a mask (H, W), with this centre and side in image pixels, as a patch (size, size).

    Its pixels have 0 to 255, the share of each that is in the mask.
    """
    patch = np.empty((size, size), np.uint8)
    _cut_into(patch, mask.astype(np.uint8) * np.uint8(255), center, side, (0.0, 0.0, 0.0))
    return patch


def cut_windows(
    image: Image, centers: Sequence[tuple[float, float]], sides: NDArray[np.float64], size: int, fills: Sequence[Fill]
) -> NDArray[np.uint8]:
    """For each target, its window at each of its scales, as patches ready for the network.

    Args:
        image: RGB, (H, W, 3).
        centers: N points x, y in image pixels; may lie outside the image.
        sides: (N, S), sides of the square windows in image pixels, above 0.
        size: side of the patches in pixels.
        fills: N colours for what lies outside the image.

    Returns:
        (N, S, size, size, 3), uint8.
    """
    patches = np.empty((*sides.shape, size, size, 3), np.uint8)
    for target, (center, fill) in enumerate(zip(centers, fills, strict=True)):
        for scale in range(sides.shape[1]):
            _cut_into(patches[target, scale], image, center, float(sides[target, scale]), fill)
    return patches


def _cut_into(patch: NDArray[np.uint8], image: Image, center: tuple[float, float], side: float, fill: Fill) -> None:
    size = patch.shape[0]
    step = side / size
    left, top = center[0] - side / 2, center[1] - side / 2
    if step > 2:  # bilinear sampling would skip pixels
        image, left, top, step = _shrunk(image, left, top, side, step)
    # OpenCV's coordinates are those of pixel centres, half a pixel from ours
    into_image = np.array([[step, 0, left + 0.5 * step - 0.5], [0, step, top + 0.5 * step - 0.5]])
    cv2.warpAffine(
        image,
        into_image,
        (size, size),
        dst=patch,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=fill,
    )


def _shrunk(image: Image, left: float, top: float, side: float, step: float) -> tuple[Image, float, float, float]:
    """The part of the image under the window, averaged down by a whole number, and the window in its coordinates."""
    factor = int(step)
    rows, columns = image.shape[:2]
    x0, y0 = max(0, math.floor(left) - factor), max(0, math.floor(top) - factor)
    x1, y1 = min(columns, math.ceil(left + side) + factor), min(rows, math.ceil(top + side) + factor)
    width, height = (x1 - x0) // factor, (y1 - y0) // factor
    if width < 1 or height < 1:
        return image, left, top, step
    part = image[y0 : y0 + height * factor, x0 : x0 + width * factor]
    small = np.asarray(cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    return small, (left - x0) / factor, (top - y0) / factor, step / factor
