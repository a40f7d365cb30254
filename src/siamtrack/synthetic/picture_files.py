"""Picture files read as they are, of any name and depth, and kept in memory as far as there is room."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from siamtrack.errors import DataError
from siamtrack.image import Image

_BYTES_IN_MEMORY = 1_500_000_000  # of decoded pictures that a loading process keeps


def opened(path: Path, flags: int) -> NDArray[Any] | None:
    """As OpenCV decodes it; None where it cannot."""
    try:
        data = np.fromfile(path, np.uint8)  # not cv2.imread, which cannot open every name on Windows
    except OSError:
        return None
    return cv2.imdecode(data, flags) if len(data) else None


def decoded(path: Path, flags: int) -> NDArray[np.uint8]:
    """As OpenCV decodes it, 8 bits.

    Raises:
        DataError: it cannot.
    """
    image = opened(path, flags)
    if image is None:
        raise DataError(f"'{path}' cannot be decoded as an image; remove it or replace it.")
    return as_uint8(image)


def as_uint8(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Of 16 bits the nearest of 8, not the last."""
    if image.dtype == np.uint16:
        image = (image.astype(np.uint32) + 128) // 257
    return image.astype(np.uint8, copy=False)


class PictureCache:
    """Pictures by what they are read from, up to so many bytes; what was not used for longest goes first."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0  # bytes
        self._kept: OrderedDict[object, NDArray[np.uint8]] = OrderedDict()

    def get(self, key: object, read: Callable[[], NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """What is kept under the key, or what `read` gives."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        picture = read()
        if picture.nbytes > self.limit:
            return picture
        self._kept[key] = picture
        self.size += picture.nbytes
        while self.size > self.limit:
            self.size -= self._kept.popitem(last=False)[1].nbytes
        return picture


IN_MEMORY = PictureCache(_BYTES_IN_MEMORY)
"""What this process keeps."""


def read_rgb(path: Path) -> Image:
    """RGB, (H, W, 3), kept for the next time.

    Raises:
        DataError: it cannot be decoded.
    """
    return IN_MEMORY.get(path, lambda: decoded(path, cv2.IMREAD_COLOR)[:, :, ::-1].copy())
