"""How crops lie in a store: keys, blocks, index records, encoding.

Keys begin with a letter and have big-endian numbers: C + clip is the index record of a clip that is finished, P + clip +
target + row is a crop, and B + clip + block is what a run that has not finished the clip knows about a block of its crops.
Clips are numbered as their sorted names.

An index record is a line of JSON (frame size, targets, the SHA-256 of each block of crops, frames that could not be read) and
after it, for each target, its positions (int64), boxes and visibility (float64), little-endian: exactly as annotated. A crop
is the fill colour (three float64) and the length of the mask (uint32; 0: not known), little-endian, the mask as a PNG file of
one channel, and the picture as a PNG or JPEG file. A mask that is twice as high as the picture has `Crop.void` below it.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from siamtrack.box import Box
from siamtrack.datasets.clips import Target
from siamtrack.datasets.crops import Crop, croppable
from siamtrack.image import Image

BLOCK = 64  # crops that are cut, hashed and written together, unless one frame alone has more; part of the format
_HEAD = struct.Struct("<3dI")  # fill colour, bytes of the mask
_MASK_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE)  # small, and fast


class Row(NamedTuple):
    """A crop to be cut: number of the target, row of its annotations, box."""

    target: int
    at: int
    box: Box


Block = list[tuple[int, list[Row]]]
"""Crops that are cut, hashed and written together, by position of the frame."""


class Index(NamedTuple):
    """What a store knows about a clip."""

    targets: tuple[Target, ...]
    size: tuple[int, int] | None  # (width, height) of the frames; None: neither annotated nor readable
    frames: int  # that have a box
    blocks: tuple[tuple[int, str], ...]  # number of crops and SHA-256 of each block
    unreadable: dict[int, str]  # reason by position


def blocks_of(targets: Iterable[Target]) -> list[Block]:
    """The crops of a clip in blocks of frames: the same ones every time, so that a run can go on after the last."""
    rows: dict[int, list[Row]] = {}
    for number, target in enumerate(targets):
        for index in map(int, np.flatnonzero(croppable(target.boxes))):
            rows.setdefault(int(target.positions[index]), []).append(Row(number, index, target.box(index)))
    blocks: list[Block] = []
    count = 0
    for position in sorted(rows):
        if not blocks or count + len(rows[position]) > BLOCK:
            blocks.append([])
            count = 0
        blocks[-1].append((position, rows[position]))
        count += len(rows[position])
    return blocks


def crop_value(crop: Crop, jpeg: int | None) -> bytes:
    """A crop as it is stored: PNG, or JPEG of that quality; its mask, if it has one, is PNG."""
    picture = cv2.cvtColor(crop.image, cv2.COLOR_RGB2BGR)
    if jpeg is None:  # level 1 takes two thirds of the time of level 3, for 2 % more bytes
        _, data = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    else:
        _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, jpeg])
    mask = b""
    if crop.mask is not None:
        both = crop.mask if crop.void is None else np.concatenate([crop.mask, crop.void])
        mask = cv2.imencode(".png", both, _MASK_PNG)[1].tobytes()
    return _HEAD.pack(*crop.fill, len(mask)) + mask + data.tobytes()


def read_crop(value: bytes, *, masked: bool = False) -> Crop | None:
    """The crop that was stored, with its mask if asked for and there; None where it cannot be decoded."""
    if len(value) < _HEAD.size:
        return None
    *fill, length = _HEAD.unpack_from(value)
    data = np.frombuffer(value, np.uint8)[_HEAD.size :]
    picture = _decoded(data[length:], cv2.IMREAD_COLOR)
    if picture is None:
        return None
    crop = Crop(np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8), (fill[0], fill[1], fill[2]))
    if not (masked and length):
        return crop
    both = _decoded(data[:length], cv2.IMREAD_GRAYSCALE)
    height, width = picture.shape[:2]
    if both is None or both.shape not in ((height, width), (2 * height, width)):
        return None
    return crop._replace(mask=both[:height], void=both[height:] if len(both) > height else None)


def _decoded(data: NDArray[np.uint8], flags: int) -> Image | None:
    return np.asarray(found, np.uint8) if len(data) and (found := cv2.imdecode(data, flags)) is not None else None


def hash_of(values: Iterable[tuple[int, int, bytes]]) -> str:
    """SHA-256 of crops by target and row."""
    digest = hashlib.sha256()
    for target, index, value in values:
        digest.update(struct.pack(">III", target, index, len(value)))
        digest.update(value)
    return digest.hexdigest()


def clip_key(clip: int) -> bytes:
    """Of the index record of a finished clip."""
    return b"C" + struct.pack(">I", clip)


def block_key(clip: int, block: int) -> bytes:
    """Of a block of a clip that is not finished."""
    return b"B" + struct.pack(">II", clip, block)


def crop_key(clip: int, target: int, index: int) -> bytes:
    """Of a crop."""
    return b"P" + struct.pack(">III", clip, target, index)


def index_record(index: Index) -> bytes:
    """An index as it is stored."""
    header = {
        "size": index.size,
        "frames": index.frames,
        "targets": [(target.name, target.category, len(target.positions)) for target in index.targets],
        "blocks": index.blocks,
        "unreadable": sorted(index.unreadable.items()),
    }
    arrays = [(t.positions.astype("<i8"), t.boxes.astype("<f8"), t.visibility.astype("<f8")) for t in index.targets]
    return json.dumps(header).encode() + b"\n" + b"".join(array.tobytes() for three in arrays for array in three)


def read_index(record: bytes) -> Index:
    """The index that was stored."""
    line, _, data = record.partition(b"\n")
    header = json.loads(line)
    targets, at = [], 0
    for name, category, rows in header["targets"]:
        positions = np.frombuffer(data, "<i8", rows, at).astype(np.int64)
        numbers = np.frombuffer(data, "<f8", 5 * rows, at + 8 * rows).astype(np.float64)
        boxes, visibility = numbers[: 4 * rows].reshape(rows, 4), numbers[4 * rows :]
        targets.append(Target(name=name, category=category, positions=positions, boxes=boxes, visibility=visibility))
        at += 48 * rows
    size = tuple(header["size"]) if header["size"] else None
    blocks = tuple((count, digest) for count, digest in header["blocks"])
    return Index(tuple(targets), size, header["frames"], blocks, dict(header["unreadable"]))
