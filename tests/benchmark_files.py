"""Small fake benchmarks: files of pictures and of truth, as the official archives have them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 40, 30


@cache
def _jpeg() -> bytes:
    image = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    return bytes(cv2.imencode(".jpg", image)[1])


def add_pictures(folder: Path, numbers: Iterable[int], *, digits: int = 8) -> Path:
    """NUMBER.jpg with so many digits; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        (folder / f"{number:0{digits}}.jpg").write_bytes(_jpeg())
    return folder


def add_lines(file: Path, lines: Iterable[object]) -> Path:
    """A text file with a line each; returns it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return file


def walk(count: int) -> list[Sequence[float]]:
    """Boxes x, y, w, h as whole numbers, 1-based, each another."""
    return [(10 + number, 5, 8, 6) for number in range(count)]


def as_lines(boxes: Iterable[Sequence[float]], separator: str = ",") -> list[str]:
    return [separator.join(f"{value:g}" for value in box) for box in boxes]


def zero_based(boxes: Iterable[Sequence[float]]) -> NDArray[np.float64]:
    return np.array(list(boxes), float) - (1, 1, 0, 0)


def add_labels(file: Path, labels: NDArray[np.uint8]) -> Path:
    """A mask as a grey PNG."""
    file.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(file), labels)
    return file
