"""Masks as DAVIS and YouTube-VOS store them, and small sets of them in their layouts."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

GREY, PALETTE = 0, 3  # PNG colour types
WIDTH, HEIGHT = 64, 48

Labels = NDArray[np.uint8]
Rectangle = tuple[int, int, int, int, int]
"""Number, x, y, w, h."""


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(labels: np.ndarray, bits: int = 8, kind: int = PALETTE, palette: bytes = b"", extra: bytes = b"") -> bytes:
    """A PNG file with the labels as its samples, packed as the format asks for."""
    places = (labels[:, :, None] >> np.arange(bits - 1, -1, -1)) & 1
    rows = np.packbits(places.reshape(len(labels), -1).astype(np.uint8), axis=1)
    head = struct.pack(">2I5B", labels.shape[1], labels.shape[0], bits, kind, 0, 0, 0)
    scanlines = b"".join(b"\0" + row.tobytes() for row in rows)
    colours = chunk(b"PLTE", palette or davis_palette(bits)) if kind == PALETTE else b""
    body = chunk(b"IHDR", head) + colours + extra + chunk(b"IDAT", zlib.compress(scanlines)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def davis_palette(bits: int) -> bytes:
    """The colours of PASCAL VOC, which DAVIS uses: bits of the index spread over red, green and blue."""
    colours = np.zeros((2**bits, 3), np.uint8)
    for index in range(2**bits):
        for place in range(8):
            colours[index, place % 3] |= ((index >> place) & 1) << (7 - place // 3)
    return colours.tobytes()


def scene(*objects: Rectangle, width: int = WIDTH, height: int = HEIGHT) -> Labels:
    """Labels with rectangles."""
    labels = np.zeros((height, width), np.uint8)
    for number, x, y, w, h in objects:
        labels[y : y + h, x : x + w] = number
    return labels


def add_masks(folder: Path, frames: Sequence[Labels], *, step: int = 1, bits: int = 8, kind: int = PALETTE) -> Path:
    """00000.png and so on, every so many frames; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, labels in enumerate(frames):
        (folder / f"{i * step:05}.png").write_bytes(png(labels, bits, kind))
    return folder


def add_pictures(folder: Path, count: int, *, step: int = 1) -> None:
    """00000.jpg and so on, grey."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        assert cv2.imwrite(str(folder / f"{i * step:05}.jpg"), np.full((HEIGHT, WIDTH, 3), 90, np.uint8))


def add_meta(file: Path, videos: Mapping[str, Mapping[int, tuple[str, list[str]]]]) -> None:
    """meta.json: of each video the category of each object, and the frames that it is annotated in."""
    content = {
        video: {"objects": {str(number): {"category": category, "frames": frames} for number, (category, frames) in of.items()}}
        for video, of in videos.items()
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"videos": content}), encoding="utf-8")
