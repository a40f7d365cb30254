"""A picture seen through a 3 x 3 matrix: crops that also turn, stretch and tilt, and cut-outs pasted into others.

Coordinates are continuous as everywhere in siamtrack: pixel i covers [i, i + 1).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from siamtrack.box import Box
from siamtrack.crop import Fill, context_side, mean_colour
from siamtrack.image import Image

HALF = 127  # alpha above which a pixel of a cut-out is seen

Matrix = NDArray[np.float64]
"""(3, 3) map from the pixels of one picture to those of another, in continuous coordinates."""


def crop_map(box: Box, patch_size: int, template_size: int, context: float) -> Matrix:
    """Map that puts the box in the middle of a patch, at the size the tracking procedure would show it in a template."""
    factor = template_size / context_side(box.w, box.h, context)
    cx, cy = box.center
    return np.array([[factor, 0, patch_size / 2 - factor * cx], [0, factor, patch_size / 2 - factor * cy], [0, 0, 1]])


def random_warp(rng: np.random.Generator, size: int, offset: NDArray[np.float32], strength: float) -> Matrix:
    """Map of a patch that turns, scales, stretches, shears and tilts it about its centre, then shifts it by `offset`."""
    angle = np.deg2rad(rng.normal(0, 8)) * strength
    if rng.random() < 0.1:
        angle *= 3
    scale, stretch = np.exp(rng.normal(0, 0.1, 2) * strength)
    shear = rng.normal(0, 0.06) * strength
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn @ np.array([[scale * stretch, shear], [0, scale / stretch]])
    tilt = rng.normal(0, 0.25, 2) * strength / size
    to_center, back = np.eye(3), np.eye(3)
    to_center[:2, 2] = -size / 2
    back[:2, 2] = size / 2 + offset
    about_center = np.eye(3)
    about_center[:2, :2] = linear
    about_center[2, :2] = tilt
    return np.asarray(back @ about_center @ to_center)


def mapped_box(matrix: Matrix, box: Box) -> NDArray[np.float32]:
    """(4,): x, y, w, h of the upright box around what fills `box`, after the map.

    That is taken to be the ellipse in it: the box around the four corners grows with every turn, by an eighth at 8 degrees, and
    a network that learns from it says of every target that it is larger than it is.
    """
    x, y = box.center
    place = np.array([[1, 0, x], [0, 1, y], [0, 0, 1]])
    ellipse = matrix @ place @ np.diag([box.w**2 / 4, box.h**2 / 4, -1]) @ place.T @ matrix.T  # as the conic of its tangents
    middle = ellipse[:2, 2] / ellipse[2, 2]
    half = np.sqrt(middle**2 - np.diag(ellipse)[:2] / ellipse[2, 2])  # upright tangents on both sides
    return np.array([*(middle - half), *(2 * half)], np.float32)


def mapped_cutout(matrix: Matrix, cutout: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(4,): x, y, w, h of the upright box around what is seen of a cut-out, RGBA (h, w, 4), after the map."""
    outlines, _ = cv2.findContours((cutout[:, :, 3] > HALF).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not outlines:
        return mapped_box(matrix, Box(0, 0, cutout.shape[1], cutout.shape[0]))
    pixels = cv2.convexHull(np.concatenate(outlines))[:, 0].astype(np.float64)  # indices: each covers a square
    corners = (pixels[:, None] + [[0, 0], [0, 1], [1, 0], [1, 1]]).reshape(-1, 2)
    points = np.column_stack([corners, np.ones(len(corners))]) @ matrix.T
    points = points[:, :2] / points[:, 2:]
    low, high = points.min(0), points.max(0)
    return np.array([*low, *(high - low)], np.float32)


def warp(picture: Image, matrix: Matrix, size: int, *, mirror: bool = False, fill: Fill | None = None) -> Image:
    """The picture through the map, as a square patch of that size.

    Args:
        picture: RGB, (H, W, 3); or one channel, (H, W), with a fill.
        matrix: from the picture's pixels to the patch's.
        size: side of the patch, pixels.
        mirror: what lies outside the picture is its mirror image.
        fill: or else this colour; None: the picture's mean.
    """
    fill = mean_colour(picture) if fill is None else fill
    picture, matrix = _averaged(picture, matrix)
    border = cv2.BORDER_REFLECT if mirror else cv2.BORDER_CONSTANT
    warped = cv2.warpPerspective(
        picture, _pixel_index_map(matrix), (size, size), flags=cv2.INTER_LINEAR, borderMode=border, borderValue=fill
    )
    return np.asarray(warped, np.uint8)


def paste(patch: Image, cutout: NDArray[np.uint8], matrix: Matrix) -> None:
    """Draws the cut-out, RGBA (h, w, 4), into the patch, in place; or any other channels and alpha, into these channels."""
    size = patch.shape[0]
    cutout, matrix = _averaged(cutout, matrix)
    corners = np.array([[0, 0, 1], [cutout.shape[1], 0, 1], [0, cutout.shape[0], 1], [cutout.shape[1], cutout.shape[0], 1]])
    reach = corners @ matrix.T
    reach = reach[:, :2] / reach[:, 2:]
    left, top = np.clip(np.floor(reach.min(0)) - 1, 0, size).astype(int)
    right, bottom = np.clip(np.ceil(reach.max(0)) + 1, 0, size).astype(int)
    if right <= left or bottom <= top:
        return
    into = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1]]) @ matrix
    warped = cv2.warpPerspective(cutout, _pixel_index_map(into), (int(right - left), int(bottom - top)), flags=cv2.INTER_LINEAR)
    alpha = warped[:, :, -1:].astype(np.float32) / 255
    region = patch[top:bottom, left:right]
    region[...] = (warped[:, :, :-1] * alpha + region * (1 - alpha) + 0.5).astype(np.uint8)


def _averaged(picture: NDArray[np.uint8], matrix: Matrix) -> tuple[NDArray[np.uint8], Matrix]:
    """The picture made smaller where the map shrinks it a lot, as point sampling would show noise that no camera shows.

    How much a tilted map shrinks differs from place to place; what counts is the middle that it tilts about, where its third
    coordinate is 1.
    """
    shrink = 1 / np.sqrt(abs(np.linalg.det(matrix)))
    if shrink <= 2:
        return picture, matrix
    height, width = picture.shape[:2]
    factor = 1 / shrink
    if min(height, width) * factor > 0.5:
        small = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.uint8), matrix @ np.diag([shrink, shrink, 1])
    columns, rows = max(1, round(width * factor)), max(1, round(height * factor))  # OpenCV would round to nothing
    small = cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), matrix @ np.diag([width / columns, height / rows, 1])


def _pixel_index_map(matrix: Matrix) -> Matrix:
    """The same map for OpenCV, whose coordinates are those of pixel centres."""
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    return np.asarray(np.linalg.inv(half) @ matrix @ half)
