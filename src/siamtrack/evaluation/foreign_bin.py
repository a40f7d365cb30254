"""Reading the binary trajectories that the VOT toolkit in Python writes by default, SEQ/SEQ_001.bin.

Source: github.com/votchallenge/toolkit, vot/region/io.py, release 0.8. A header `<hI`, the version (1) and the number of
frames; then for each frame a byte that says what follows: 0 a code `<I`, 1 a box `<4f`, 2 a polygon, its number of corners
`<H` and their floats, 3 a mask, its left and top `<hh`, width and height `<HH`, and `<H` lengths of runs, 4 a point, which
cannot be scored.
"""

from __future__ import annotations

import struct

import numpy as np

from siamtrack.errors import DataError
from siamtrack.metrics.vot import FAILURE, Region
from siamtrack.metrics.vot_masks import PlacedMask, Shape, mask_of_runs

_HEADER = struct.Struct("<hI")
_MASK = struct.Struct("<hhHHH")
_CODE, _BOX, _POLYGON, _OF_MASK = 0, 1, 2, 3
_REFUSED = {4: "a point"}


def shapes_from_bytes(data: bytes, where: str) -> tuple[list[Region], list[PlacedMask | None]]:
    """The frames of a binary trajectory; numbers have the precision of 32-bit floats.

    Args:
        data: the file's content.
        where: its name, for error messages.

    Returns:
        See `siamtrack.metrics.vot_masks.shapes_from_text`.

    Raises:
        DataError: it is no such file, is cut off, or holds something else than codes, boxes, polygons and masks; says where.
    """
    try:
        version, frames = _HEADER.unpack_from(data)
    except struct.error:
        version = frames = 0
    if version != 1:
        raise DataError(f"'{where}' is no trajectory of the VOT toolkit: {len(data)} bytes that do not begin with version 1.")
    shapes: list[Shape] = []
    at = _HEADER.size
    for frame in range(1, frames + 1):
        try:
            shape, at = _shape(data, at, f"'{where}', frame {frame}")
        except (struct.error, IndexError):
            raise DataError(f"'{where}' is cut off in frame {frame} of {frames}; copy it again.") from None
        except ValueError as error:
            raise DataError(f"'{where}', frame {frame}: found {error}, expected a code, a box, a polygon or a mask.") from None
        shapes.append(shape)
    if at != len(data):
        raise DataError(f"'{where}' goes on for {len(data) - at} bytes after its {frames} frames; copy it again.")
    masks = [shape if isinstance(shape, PlacedMask) else None for shape in shapes]
    return [shape.box if isinstance(shape, PlacedMask) else shape for shape in shapes], masks


def _shape(data: bytes, at: int, where: str) -> tuple[Shape, int]:
    """The one that begins at a byte, and where the next one does."""
    kind, at = data[at], at + 1
    if kind == _CODE:
        (code,) = struct.unpack_from("<I", data, at)
        if code > FAILURE:
            raise ValueError(f"the code {code}")
        return np.array([float(code)]), at + 4
    if kind == _BOX:
        return np.array(struct.unpack_from("<4f", data, at)), at + 16
    if kind == _OF_MASK:
        x, y, width, height, count = _MASK.unpack_from(data, at)
        lengths = struct.unpack_from(f"<{count}H", data, at + _MASK.size)
        return mask_of_runs((x, y, width, height), lengths, where), at + _MASK.size + 2 * count
    if kind != _POLYGON:
        raise ValueError(_REFUSED.get(kind, f"a region of the unknown kind {kind}"))
    (corners,) = struct.unpack_from("<H", data, at)
    if corners < 3:
        raise ValueError(f"a polygon of {corners} corners")
    return np.array(struct.unpack_from(f"<{2 * corners}f", data, at + 2)), at + 2 + 8 * corners
