"""What an image is: RGB, uint8, (H, W, 3); and how other pictures become one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from siamtrack.errors import ImageError

Image = NDArray[np.uint8]
"""An RGB picture, uint8, shape (H, W, 3), C-contiguous."""

PICTURE_ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
"""How the names of picture files end, in lower case."""


def as_image(array: NDArray[Any]) -> Image:
    """An RGB uint8 image from what cameras, files and other libraries give.

    Args:
        array: (H, W) or (H, W, 1) grey, (H, W, 3) RGB or (H, W, 4) RGBA; uint8, bool, uint16 (divided by 257), or
            floating point with values in [0, 1]. Alpha is dropped.

    Returns:
        Shape (H, W, 3), uint8; the same array where it already is one.

    Raises:
        ImageError: any other shape or type, or a floating-point image outside [0, 1] or with NaN.
    """
    array = np.asarray(array)
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or 0 in array.shape:
        raise ImageError(f"An image of shape {array.shape} cannot be read; expected (H, W), (H, W, 1), (H, W, 3) or (H, W, 4).")
    if array.shape[2] == 4:
        array = array[:, :, :3]
    array = _as_uint8(array)
    if array.shape[2] == 1:
        array = np.repeat(array, 3, axis=2)
    return np.ascontiguousarray(array)


def _as_uint8(array: NDArray[Any]) -> NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype == np.uint16:
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if np.issubdtype(array.dtype, np.floating):
        if not (array.min() >= 0 and array.max() <= 1):  # also catches NaN
            raise ImageError(
                "A floating-point image has values outside [0, 1] or NaN; scale it to [0, 1] or convert it to uint8."
            )
        return (array * 255 + 0.5).astype(np.uint8)
    raise ImageError(
        f"An image of type {array.dtype} cannot be read; expected uint8, uint16, bool or floating point in [0, 1]."
    )
