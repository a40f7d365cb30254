"""Objects drawn from nothing but a random generator: an outline filled with textures, with parts, marks, rim and shading."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from siamtrack.synthetic.textures import palette, texture

SPRITE_PX = 128  # longer side of a sprite
_SHARP = 2  # outlines are drawn so much larger and averaged: a soft rim of one pixel


def sprite(rng: np.random.Generator) -> NDArray[np.uint8]:
    """RGBA, cropped to where alpha is above one half: (h, w, 4), the longer side about `SPRITE_PX`."""
    alpha = _OUTLINES[rng.integers(len(_OUTLINES))](rng)
    rgb = texture(rng, SPRITE_PX, SPRITE_PX).astype(np.float32)
    for _ in range(int(rng.integers(0, 4))):  # parts: a head, a window, a shirt
        part = _OUTLINES[rng.integers(len(_OUTLINES))](rng)
        shift = rng.uniform(-0.3, 0.3, 2) * SPRITE_PX
        place = np.array([[0.5, 0, 0.25 * SPRITE_PX + shift[0]], [0, 0.5, 0.25 * SPRITE_PX + shift[1]]])
        where = cv2.warpAffine(part, place, (SPRITE_PX, SPRITE_PX))[:, :, None].astype(np.float32) / 255
        surface = np.asarray(texture(rng, SPRITE_PX, SPRITE_PX) if rng.random() < 0.4 else palette(rng, 1), np.float32)
        rgb = np.asarray(rgb + (surface - rgb) * where, np.float32)
    rgb += _shading(rng, alpha)
    rgba = np.dstack([np.clip(rgb, 0, 255).astype(np.uint8), alpha])
    solid = alpha > 127
    rows, columns = np.flatnonzero(solid.any(1)), np.flatnonzero(solid.any(0))
    return np.ascontiguousarray(rgba[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def _shading(rng: np.random.Generator, alpha: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Darker or lighter towards the rim, as round things and drawn ones are; (H, W, 1)."""
    depth = cv2.distanceTransform((alpha > 127).astype(np.uint8), cv2.DIST_L2, 3)
    rim = np.asarray(1 - depth / max(float(depth.max()), 1.0), np.float32)
    return (np.float32(rng.normal(-25, 30)) * rim ** np.float32(rng.uniform(1, 6)))[:, :, None]


def _filled(polygons: list[NDArray[np.float64]]) -> NDArray[np.uint8]:
    """The union of polygons in [-1, 1] x [-1, 1] as alpha, (SPRITE_PX, SPRITE_PX)."""
    side = SPRITE_PX * _SHARP
    large = np.zeros((side, side), np.uint8)
    for polygon in polygons:
        cv2.fillPoly(large, [np.round((polygon * 0.48 + 0.5) * side).astype(np.int32)], 255)
    return np.asarray(cv2.resize(large, (SPRITE_PX, SPRITE_PX), interpolation=cv2.INTER_AREA), np.uint8)


def _fitted(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The points, shifted and scaled so that the longer side fills [-1, 1]."""
    low, high = points.min(0), points.max(0)
    return np.asarray((points - (low + high) / 2) / max(float((high - low).max()) / 2, 1e-6))


def _ring(count: int) -> NDArray[np.float64]:
    angle = np.arange(count) / count * 2 * np.pi
    return np.stack([np.cos(angle), np.sin(angle)], 1)


def _blob(rng: np.random.Generator) -> NDArray[np.uint8]:
    """A round thing with bulges."""
    angle = np.arange(96) / 96 * 2 * np.pi
    radius = np.ones(96)
    for wave in range(2, 8):
        radius += rng.normal(0, 0.35 / wave) * np.cos(wave * angle + rng.uniform(0, 2 * np.pi))
    points = _ring(96) * np.maximum(radius, 0.2)[:, None] * [1, np.exp(rng.normal(0, 0.35))]
    return _filled([_fitted(points)])


def _corners(rng: np.random.Generator) -> NDArray[np.uint8]:
    """A polygon, convex or a star."""
    count = int(rng.integers(3, 9))
    radius = np.ones(2 * count)
    radius[1::2] = rng.uniform(0.4, 1.0)
    points = _ring(2 * count) * radius[:, None] * [1, np.exp(rng.normal(0, 0.35))]
    turn = rng.uniform(0, np.pi)
    return _filled([_fitted(points @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]))])


def _box(rng: np.random.Generator) -> NDArray[np.uint8]:
    """A rectangle with round corners: a car, a sign, a face of a building."""
    points = _ring(64)
    points = np.sign(points) * np.abs(points) ** rng.uniform(0.15, 0.7)
    return _filled([_fitted(points * [1, np.exp(rng.normal(0, 0.5))])])


def _figure(rng: np.random.Generator) -> NDArray[np.uint8]:
    """A body with a head and limbs, upright or lying: a person, an animal, a bird, an aeroplane."""
    body = _ring(32) * [rng.uniform(0.25, 0.5), rng.uniform(0.4, 0.7)]
    parts = [body, _ring(24) * rng.uniform(0.12, 0.3) + [rng.normal(0, 0.1), -rng.uniform(0.6, 0.8)]]
    for _ in range(int(rng.integers(2, 7))):
        start = body[rng.integers(len(body))]
        end = start * rng.uniform(1.3, 2.2) + rng.normal(0, 0.2, 2)
        across = np.array([start[1] - end[1], end[0] - start[0]])
        across = across / max(float(np.hypot(*across)), 1e-6) * rng.uniform(0.04, 0.14)
        parts.append(np.array([start - across, start + across, end + 0.6 * across, end - 0.6 * across]))
    everything = np.concatenate(parts) @ (np.eye(2) if rng.random() < 0.6 else np.array([[0.0, 1], [-1, 0]]))
    fitted = _fitted(everything)
    ends = np.cumsum([len(part) for part in parts])[:-1]
    return _filled(np.split(fitted, ends))


_Outline = Callable[[np.random.Generator], NDArray[np.uint8]]
_OUTLINES: tuple[_Outline, ...] = (_blob, _corners, _box, _figure, _figure)
