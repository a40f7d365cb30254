"""Other targets in a search patch: beside the target, where they must not be mistaken for it, and over a part of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from siamtrack.datasets.crops import Sighting
from siamtrack.image import Image
from siamtrack.warp import paste

MOST_HIDDEN = 0.4  # of the target's box
_TRIES = 12  # for a free place
_MARGIN = 1.15  # of the pasted piece around a target's box, most of which is its soft rim
_LEAST_PX = 8  # a piece smaller than this on a side shows nothing


def add_look_alikes(patch: Image, box: NDArray[np.float32], others: Sequence[Sighting], rng: np.random.Generator) -> None:
    """Pastes other targets into the patch, in place, with a soft rim, where they touch neither the target nor each other.

    Args:
        patch: search patch, (S, S, 3).
        box: x, y, w, h of the target in it.
        others: what to paste; one for which there is no free place is left out.
        rng: decides where and how large: 0.8 to 1.25 times as in its own crop.
    """
    size = patch.shape[0]
    taken = [box]
    for other in others:
        factor = np.exp(rng.uniform(np.log(0.8), np.log(1.25)))
        w, h = (factor * side for side in other.size)
        for _ in range(_TRIES):
            x, y = rng.uniform(-0.3, 1.3, 2) * size - (w / 2, h / 2)
            place = np.array([x, y, w, h], np.float32)
            if _in_view(place, size) and not any(_touch(place, there) for there in taken):
                taken.append(place)
                cutout = _soft(other)
                scale = np.array([w / cutout.shape[1], h / cutout.shape[0]]) * _MARGIN
                corner = np.array([x + w / 2, y + h / 2]) - scale * [cutout.shape[1] / 2, cutout.shape[0] / 2]
                paste(patch, cutout, np.array([[scale[0], 0, corner[0]], [0, scale[1], corner[1]], [0, 0, 1]]))
                break


def _soft(other: Sighting) -> NDArray[np.uint8]:
    """The target with a little around it as RGBA, opaque in an ellipse around its box's middle."""
    image = other.crop.image
    middle = image.shape[0] / 2
    half = [max(_LEAST_PX / 2, min(middle, _MARGIN * side / 2)) for side in other.size]
    x0, x1, y0, y1 = (round(v) for v in (middle - half[0], middle + half[0], middle - half[1], middle + half[1]))
    piece = image[y0:y1, x0:x1]
    y, x = ((np.arange(n) + 0.5) / n * 2 - 1 for n in piece.shape[:2])
    radius = (np.abs(x)[None, :] ** 4 + np.abs(y)[:, None] ** 4) ** 0.25  # a rounded rectangle
    alpha = np.clip((1 - radius) / 0.15, 0, 1)
    return np.dstack([piece, (255 * alpha).astype(np.uint8)])


def add_occluder(patch: Image, box: NDArray[np.float32], texture: Image, rng: np.random.Generator) -> None:
    """Covers a part of the target, from one of its sides or corners, with a piece of another picture; in place.

    Args:
        patch: search patch, (S, S, 3).
        box: x, y, w, h of the target in it; at most `MOST_HIDDEN` of it is covered.
        texture: (H, W, 3); the piece is its middle.
        rng: decides where and how much.
    """
    x, y, w, h = (float(v) for v in box)
    hidden = rng.uniform(0.1, MOST_HIDDEN)
    across = rng.uniform(hidden, 1)  # share of the width that is covered; hidden / across of the height
    cover = np.array([across * w, hidden / across * h])
    low = np.array([x, y]) + rng.integers(0, 2, 2) * (np.array([w, h]) - cover)
    left, top = np.ceil(low).astype(int).clip(0, patch.shape[0])  # rounded inwards: no more than asked for
    right, bottom = np.floor(low + cover).astype(int).clip(0, patch.shape[0])
    right, bottom = min(right, left + texture.shape[1]), min(bottom, top + texture.shape[0])
    if right <= left or bottom <= top:
        return
    first_row, first_column = (texture.shape[0] - (bottom - top)) // 2, (texture.shape[1] - (right - left)) // 2
    patch[top:bottom, left:right] = texture[first_row : first_row + bottom - top, first_column : first_column + right - left]


def _in_view(place: NDArray[np.float32], size: int) -> bool:
    """Whether at least half of the box is in the patch."""
    x, y, w, h = place
    inside = max(0.0, min(x + w, size) - max(x, 0)) * max(0.0, min(y + h, size) - max(y, 0))
    return bool(inside > 0.5 * w * h)


def _touch(a: NDArray[np.float32], b: NDArray[np.float32]) -> bool:
    """Whether two boxes overlap once each has the pasted rim around it."""
    gap = np.abs((a[:2] + a[2:] / 2) - (b[:2] + b[2:] / 2)) - _MARGIN * (a[2:] + b[2:]) / 2
    return bool((gap < 0).all())
