"""Masks as COCO stores them: polygons, run lengths, and run lengths as text (Lin et al., ECCV 2014; cocodataset.org).

Polygons become pixels in pycocotools, so that they are COCO's own to the pixel. Run lengths are decoded here: pycocotools
2.0.11 gives what happens to lie in memory where they are fewer than the picture has pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from siamtrack.errors import DataError, MissingExtraError

_FARTHEST = 1e5  # pixels; pycocotools crashes with corners that are absurdly far away


def decode_mask(segmentation: Any, size: tuple[int, int], where: str) -> NDArray[np.bool_] | None:
    """The mask that a "segmentation" describes.

    Args:
        segmentation: a list of polygons, each x, y, x, y, ... in pixels (together they are the object), or an object with
            "size" [height, width] and "counts": run lengths down the columns, as a list or as COCO's text.
        size: (width, height) of the picture, pixels.
        where: file and annotation, for messages.

    Returns:
        Shape (H, W); None where there is no polygon.

    Raises:
        DataError: it is something else, or of another size than the picture.
        MissingExtraError: there are polygons, and the package pycocotools is not installed.
    """
    if segmentation is None or segmentation == []:
        return None
    width, height = size
    try:
        if isinstance(segmentation, list):
            counts = _filled(segmentation, size)
        else:
            if list(segmentation["size"]) != [height, width]:
                raise ValueError(f"its size is {segmentation['size']}, that of the picture {[height, width]}")
            counts = segmentation["counts"]
        return _mask(_numbers(counts) if isinstance(counts, str | bytes) else counts, size)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise DataError(f"{where}: the segmentation cannot be read ({type(error).__name__}: {error}).") from None


def _filled(polygons: list[Any], size: tuple[int, int]) -> bytes:
    """The pixels inside any of the polygons, as COCO's text."""
    try:
        from pycocotools import mask as coco_mask
    except ImportError:
        raise MissingExtraError("pycocotools", extra="train", purpose="Reading COCO's polygons") from None
    width, height = size
    corners = [np.array(polygon, np.float64) for polygon in polygons]
    for one in corners:
        if one.ndim != 1 or len(one) < 6 or len(one) % 2:  # pycocotools takes four numbers for a box
            raise ValueError("a polygon has fewer than three corners, or an odd number of coordinates")
        if not (np.abs(one) <= _FARTHEST).all():  # nor NaN
            raise ValueError(f"a polygon has corners farther away than {_FARTHEST:g} pixels")
    text: bytes = coco_mask.merge(coco_mask.frPyObjects(corners, height, width))["counts"]
    return text


def _numbers(text: str | bytes) -> list[int]:
    """The run lengths in COCO's text: 5 bits a character, lowest first; from the fourth on, less the last but one."""
    numbers: list[int] = []
    number = bits = 0
    for character in text.encode() if isinstance(text, str) else text:
        code = character - 48
        if not 0 <= code < 64:
            raise ValueError(f"its counts hold the character {chr(character)!r}")
        number |= (code & 31) << bits
        bits += 5
        if code & 32:  # more of it follows
            continue
        if code & 16:
            number -= 1 << bits
        numbers.append(number + numbers[-2] if len(numbers) > 2 else number)
        number = bits = 0
    if bits:
        raise ValueError("its counts end within a number")
    return numbers


def _mask(counts: Any, size: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask with these run lengths, background first."""
    width, height = size
    lengths = np.array(counts)
    if lengths.ndim != 1 or lengths.dtype.kind != "i" or (lengths < 0).any() or lengths.sum() != width * height:
        raise ValueError(f"its counts are not whole numbers that add up to the picture's {width * height} pixels")
    return np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(width, height).T
