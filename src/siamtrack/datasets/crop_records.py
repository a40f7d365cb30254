"""How crops lie in a store: keys, blocks, index records, encoding.

Keys begin with a letter and have big-endian numbers: C + clip is the index record of a clip that is finished, P + clip +
target + row is a crop, and B + clip + block is what a run that has not finished the clip knows about a block of its crops.
Clips are numbered as their sorted names.

An index record is a line of JSON (frame size, targets, the SHA-256 of each block of crops, frames that could not be read) and
after it, for each target, its positions (int64), boxes and visibility (float64), little-endian: exactly as annotated. A crop
is the fill colour (three float64) and a PNG or JPEG file.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np

from siamtrack.box import Box
from siamtrack.datasets.clips import Target
from siamtrack.datasets.crops import Crop, croppable

BLOCK = 64  # crops that are cut, hashed and written together, unless one frame alone has more; part of the format
_FILL = struct.Struct("<3d")


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
    """A crop as it is stored: PNG, or JPEG of that quality."""
    picture = cv2.cvtColor(crop.image, cv2.COLOR_RGB2BGR)
    if jpeg is None:  # level 1 takes two thirds of the time of level 3, for 2 % more bytes
        _, data = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    else:
        _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, jpeg])
    return _FILL.pack(*crop.fill) + data.tobytes()


def read_crop(value: bytes) -> Crop | None:
    """The crop that was stored; None where it cannot be decoded."""
    data = np.frombuffer(value, np.uint8)[_FILL.size :]
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if picture is None:
        return None
    return Crop(np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8), _FILL.unpack_from(value))


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
