"""Grounds and surfaces drawn from nothing but a random generator: noise, stripes, tiles, cells, spots, marks and slopes.

They need not look like anything. What counts is that each differs from every other, that all sizes of structure occur, and
that flat, regular and busy ones do.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from siamtrack.image import Image

Colours = NDArray[np.float32]  # (n, 3), RGB, 0..255


def texture(rng: np.random.Generator, height: int, width: int) -> Image:
    """A surface: one or two patterns over each other, with grain; (height, width, 3)."""
    colours = palette(rng, 4)
    picture = _PATTERNS[rng.integers(len(_PATTERNS))](rng, height, width, colours)
    if rng.random() < 0.6:
        over = _PATTERNS[rng.integers(len(_PATTERNS))](rng, height, width, palette(rng, 4))
        where = _noise(rng, height, width, int(rng.integers(2, 9)))[:, :, None]
        share = np.clip(0.5 + where * rng.uniform(0.3, 3), 0, 1) * np.float32(rng.uniform(0.3, 1))
        picture = picture + (over - picture) * share
    picture = picture + _slope(rng, height, width) + _grain(rng, height, width)
    return np.clip(picture, 0, 255).astype(np.uint8)


def palette(rng: np.random.Generator, count: int) -> Colours:
    """Colours that go together, as those of one thing do: one hue, its neighbours, and sometimes its opposite."""
    hue = rng.uniform(0, 180) + rng.normal(0, 12, count)
    hue[rng.random(count) < 0.2] += 90
    saturation = np.clip(rng.normal(rng.uniform(20, 170), 30, count), 0, 255)
    value = np.clip(rng.normal(rng.uniform(70, 200), 45, count), 15, 250)
    hsv = np.stack([hue % 180, saturation, value], 1).astype(np.uint8)[None]
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0], np.float32)


def _noise(rng: np.random.Generator, height: int, width: int, cells: int) -> NDArray[np.float32]:
    """Smooth noise, (height, width), of deviation about 0.7, with so many bumps across the width."""
    rows = max(2, cells * height // width)
    coarse = rng.standard_normal((rows, max(2, cells)), np.float32)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def _grain(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    fine = _noise(rng, height, width, max(2, width // int(rng.integers(2, 6))))
    return fine[:, :, None] * np.float32(rng.uniform(0, 10))


def _slope(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """A light that falls from one side."""
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0, 40)
    x = np.linspace(-1, 1, width, dtype=np.float32) * np.float32(np.cos(angle))
    y = np.linspace(-1, 1, height, dtype=np.float32) * np.float32(np.sin(angle))
    return (x[None, :, None] + y[:, None, None]) * np.float32(strength)


def _clouds(rng: np.random.Generator, height: int, width: int, colours: Colours) -> NDArray[np.float32]:
    """Noise with structure at all sizes."""
    total = np.zeros((height, width), np.float32)
    cells, fade = float(rng.integers(2, 7)), rng.uniform(0.4, 0.9)
    weight = 1.0
    while cells < width / 2:
        total += np.float32(weight) * _noise(rng, height, width, int(cells))
        cells, weight = cells * 2.5, weight * fade
    return _between(total / max(float(total.std()), 1e-3) * 0.25 + 0.5, colours)


def _between(share: NDArray[np.float32], colours: Colours) -> NDArray[np.float32]:
    """(H, W, 3): the first colour at 0, the last at 1."""
    table = np.stack([np.interp(np.linspace(0, 1, 256), np.linspace(0, 1, len(colours)), c) for c in colours.T], 1)
    index = np.clip(share * 255, 0, 255).astype(np.uint8)
    return table.astype(np.float32)[index]


def _stripes(rng: np.random.Generator, height: int, width: int, colours: Colours) -> NDArray[np.float32]:
    angle, period = rng.uniform(0, np.pi), width / rng.uniform(3, 30)
    x = np.arange(width, dtype=np.float32) * np.float32(np.cos(angle))
    y = np.arange(height, dtype=np.float32) * np.float32(np.sin(angle))
    phase = (x[None] + y[:, None]) / np.float32(period) + _noise(rng, height, width, 4) * np.float32(rng.uniform(0, 0.6))
    return np.asarray(colours[(np.floor(phase * len(colours)) % len(colours)).astype(np.intp)], np.float32)


def _tiles(rng: np.random.Generator, height: int, width: int, colours: Colours) -> NDArray[np.float32]:
    """Bricks, windows, pavement: cells of a grid, each of its own shade, with joints."""
    w = int(width / rng.uniform(4, 25))
    h = max(3, int(w * rng.uniform(0.4, 1.5)))
    y, x = np.mgrid[:height, :width]
    row = y // h
    x = x + (row % 2) * (w // 2) if rng.random() < 0.6 else x
    column = x // max(w, 3)
    joint = (y % h < max(1, h // 8)) | (x % max(w, 3) < max(1, w // 10))
    shades = rng.normal(0, rng.uniform(3, 30), (int(row.max()) + 1, int(column.max()) + 1, 1))
    picture = colours[0] + shades[row, column]
    picture[joint] = colours[1]
    return np.asarray(picture, np.float32)


def _cells(rng: np.random.Generator, height: int, width: int, colours: Colours) -> NDArray[np.float32]:
    """Patches around random points: fields, stones, leaves."""
    count = int(rng.integers(6, 120))
    small = np.full((max(4, height // 4), max(4, width // 4)), 255, np.uint8)
    points = (rng.random((count, 2)) * [small.shape[1], small.shape[0]]).astype(int)
    small[points[:, 1], points[:, 0]] = 0
    _, labels = cv2.distanceTransformWithLabels(small, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    labels = cv2.resize(labels.astype(np.float32), (width, height), interpolation=cv2.INTER_NEAREST).astype(np.intp)
    shades = colours[rng.integers(len(colours), size=count + 2)] + rng.normal(0, 12, (count + 2, 1)).astype(np.float32)
    return np.asarray(shades[labels], np.float32)


def _spots(rng: np.random.Generator, height: int, width: int, colours: Colours) -> NDArray[np.float32]:
    picture = np.empty((height, width, 3), np.float32)
    picture[:] = colours[0]
    largest = width * rng.uniform(0.02, 0.15)
    for _ in range(int(rng.integers(5, 150))):
        centre = int(rng.integers(width)), int(rng.integers(height))
        axes = tuple(int(v) for v in 1 + largest * rng.random(2))
        colour = colours[rng.integers(1, len(colours))] + np.float32(rng.normal(0, 10))
        cv2.ellipse(picture, centre, axes, float(rng.uniform(0, 180)), 0, 360, [float(c) for c in colour], -1, cv2.LINE_AA)
    return picture


def _marks(rng: np.random.Generator, height: int, width: int, colours: Colours) -> NDArray[np.float32]:
    """Lines in all directions: branches, wires, letters, grass."""
    picture = np.empty((height, width, 3), np.float32)
    picture[:] = colours[0]
    length, bend = width * rng.uniform(0.03, 0.4), rng.uniform(0, 1.5)
    direction, spread = rng.uniform(0, np.pi), rng.uniform(0.05, 2)
    for _ in range(int(rng.integers(10, 160))):
        angle = rng.normal(direction, spread)
        turns = angle + np.linspace(-bend, bend, 5) * rng.normal()
        steps = np.stack([np.cos(turns), np.sin(turns)], 1) * length / 5
        points = (rng.random(2) * [width, height] + np.cumsum(steps, 0)).astype(np.int32)
        colour = [float(c) for c in colours[rng.integers(1, len(colours))]]
        cv2.polylines(picture, [points], False, colour, int(rng.integers(1, 1 + max(2, width // 60))), cv2.LINE_AA)
    return picture


def _plain(rng: np.random.Generator, height: int, width: int, colours: Colours) -> NDArray[np.float32]:
    """Sky, water, a wall, and where they end."""
    picture = np.empty((height, width, 3), np.float32)
    picture[:] = colours[0]
    edge = int(height * rng.uniform(0.2, 1.4))
    picture[edge:] = colours[1]
    return picture


_Pattern = Callable[[np.random.Generator, int, int, Colours], NDArray[np.float32]]
_PATTERNS: tuple[_Pattern, ...] = (_clouds, _clouds, _stripes, _tiles, _cells, _spots, _marks, _plain)
