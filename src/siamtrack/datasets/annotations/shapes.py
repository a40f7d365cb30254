"""Upright boxes around what tools let people draw."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from siamtrack.box import Box


def bounds(points: ArrayLike) -> Box:
    """The upright box around points, shape (N, 2), N at least 1."""
    found = np.asarray(points, np.float64).reshape(-1, 2)
    return Box.from_corners(*map(float, found.min(0)), *map(float, found.max(0)))


def turned(box: Box, degrees: float, pivot: tuple[float, float]) -> Box:
    """The upright box around a box that is turned clockwise about a point, as seen with y pointing down."""
    if degrees % 360 == 0:  # exact where nothing is turned
        return box
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    corners = np.array([[x, y] for x in (box.x, box.x + box.w) for y in (box.y, box.y + box.h)]) - pivot
    return bounds(corners @ np.array([[cos, sin], [-sin, cos]]) + pivot)


def around_ellipse(center: tuple[float, float], radii: tuple[float, float], degrees: float) -> Box:
    """The upright box around an ellipse that is turned about its centre."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    half_w, half_h = math.hypot(radii[0] * cos, radii[1] * sin), math.hypot(radii[0] * sin, radii[1] * cos)
    return Box.from_center(*center, 2 * half_w, 2 * half_h)
