"""Masks of several objects as YouTube-VOS and DAVIS store them: PNG files whose pixels are the numbers of objects.

Most are palette pictures. OpenCV decodes those to colours, which hides the numbers, so the palette is replaced before decoding
by one that says each entry's own number as a grey: exact even where two entries have the same colour.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from siamtrack.datasets.clips import Mask, Target
from siamtrack.errors import DataError
from siamtrack.pair import SEEN, UNKNOWN

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PALETTE = 3  # PNG specification, 11.2.1: colour types
_PICTURE_CHUNKS = (b"IHDR", b"IDAT", b"IEND")
_IDENTITY = bytes(np.repeat(np.arange(256, dtype=np.uint8), 3))  # entry i is the colour (i, i, i)


def read_labels(path: Path) -> NDArray[np.uint8]:
    """The number that each pixel of a mask has in the file: palette index or grey value.

    Colour pictures that are grey throughout count as grey: DAVIS 2016 has one, bear/00077.png.

    Returns:
        Shape (H, W).

    Raises:
        DataError: the file is missing, damaged or no PNG, or holds colours or 16 bits a channel.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"The mask '{path}' cannot be read: {error.strerror}.") from None
    chunks = list(_chunks(data))
    if not chunks or chunks[0][0] != b"IHDR" or chunks[-1][0] != b"IEND":
        raise DataError(f"The mask '{path}' is damaged or no PNG file ({len(data)} bytes). Unpack it again.")
    bits, kind = chunks[0][1][16:18]
    if bits == 16:
        raise DataError(f"The mask '{path}' has 16 bits a channel; expected a palette or 8 bits of grey.")
    picture = cv2.imdecode(np.frombuffer(_plain(chunks, bits, kind), np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise DataError(f"The mask '{path}' is damaged and cannot be decoded. Unpack it again.")
    spread = 1 if kind == _PALETTE else 255 // (2**bits - 1)  # decoding spreads grey of few bits over 0..255
    return _numbers(picture.astype(np.uint8, copy=False), path) // np.uint8(spread)


def numbered_masks(folder: Path) -> list[Path]:
    """The PNG files in a folder whose names are numbers, in their order; none where it does not exist."""
    return sorted((path for path in folder.glob("[0-9]*.png") if path.stem.isdecimal()), key=lambda path: int(path.stem))


@dataclass(frozen=True)
class LabelMasks:
    """The masks of a clip, picture by picture: see `MaskReader`. The name of a target is its number in them."""

    paths: tuple[Path, ...]  # by position in the clip
    single: bool = False  # whether everything but 0 is the one object, number 1
    void: int | None = None  # number of pixels of which nobody knows what they are

    def labels(self, position: int) -> NDArray[np.uint8]:
        """(H, W) numbers of objects in a frame, 0 for the background; errors as for `read_labels`."""
        labels = read_labels(self.paths[position])
        return np.minimum(labels, 1) if self.single else labels

    def __call__(self, target: Target, index: int) -> Mask:
        """Mask of a target in row `index` of its annotations."""
        labels = self.labels(int(target.positions[index]))
        mask: NDArray[np.bool_] = labels == int(target.name)
        if self.void is None or not (unknown := labels == self.void).any():
            return mask
        return np.where(unknown, np.uint8(UNKNOWN), mask.astype(np.uint8) * np.uint8(SEEN))


def tight_boxes(masks: LabelMasks, positions: Iterable[int]) -> tuple[dict[int, NDArray[np.float64]], tuple[int, int]]:
    """The boxes around every object in these frames, from the outer edge of its outermost pixels.

    Returns:
        By the number of the object, shape (K, 4), rows x, y, w, h, NaN where it has no pixel; and (width, height) of the masks.

    Raises:
        DataError: a mask cannot be read, or has another size than the one before.
    """
    chosen = list(positions)
    nowhere = np.full((len(chosen), 4), np.nan)
    boxes: dict[int, NDArray[np.float64]] = {}
    shape: tuple[int, ...] | None = None
    for row, position in enumerate(chosen):
        labels = masks.labels(position)
        if shape not in (None, labels.shape):
            raise DataError(f"The mask '{masks.paths[position]}' is {_size(labels.shape)} pixels, the others {_size(shape)}.")
        shape = labels.shape
        for number in np.flatnonzero(np.bincount(labels.ravel(), minlength=256)[1:]) + 1:
            box = cv2.boundingRect((labels == number).view(np.uint8))  # w, h count pixels: right - left, as everywhere
            boxes.setdefault(int(number), nowhere.copy())[row] = box
    assert shape is not None  # there is a position
    return boxes, (shape[1], shape[0])


def _size(shape: tuple[int, ...] | None) -> str:
    return "x".join(str(side) for side in reversed(shape or ()))


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and bytes of every whole chunk; nothing if it is no PNG file."""
    start = len(_SIGNATURE) if data.startswith(_SIGNATURE) else len(data)
    while start + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, start)
        if start + 12 + length > len(data):
            return
        yield kind, data[start : start + 12 + length]
        start += 12 + length


def _plain(chunks: list[tuple[bytes, bytes]], bits: int, kind: int) -> bytes:
    """The file without what decides how numbers look: its own palette, transparency, colour space, orientation."""
    kept = [chunk for name, chunk in chunks if name in _PICTURE_CHUNKS]
    if kind == _PALETTE:
        content = b"PLTE" + _IDENTITY[: 3 * 2**bits]
        kept.insert(1, struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content)))
    return _SIGNATURE + b"".join(kept)


def _numbers(picture: NDArray[np.uint8], path: Path) -> NDArray[np.uint8]:
    if picture.ndim == 2:
        return picture
    grey: NDArray[np.uint8] = np.ascontiguousarray(picture[:, :, 0])
    if (coloured := (picture[:, :, :3] != grey[:, :, None]).any(2)).any():
        y, x = np.argwhere(coloured)[0]
        colour = ", ".join(str(value) for value in picture[y, x, 2::-1])  # OpenCV has blue first
        raise DataError(
            f"The mask '{path}' holds colours: pixel ({x}, {y}) is RGB ({colour}). Expected a palette or grey picture, whose "
            "values number the objects; write the numbers, not the colours that show them."
        )
    return grey
