"""Other targets in a search patch: beside the target, where they must not be mistaken for it, and over a part of it.

What is pasted where is decided first, from sizes alone, and drawn later: pictures need not exist before they are needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from siamtrack.image import Image
from siamtrack.warp import Matrix, paste

MOST_HIDDEN = 0.4  # of the target's box
SOFT_RIM = 0.15  # of half a piece's side, over which it becomes transparent
_TRIES = 12  # for a free place
_MARGIN = 1.15  # of the pasted piece around a target's box, most of which is its soft rim
_LEAST_PX = 8  # a piece smaller than this on a side shows nothing

P = TypeVar("P")


class Subject(NamedTuple, Generic[P]):
    """A target in the middle of a square picture, which may still have to be painted."""

    picture: P
    side: int  # of the picture, pixels
    size: tuple[float, float]  # (w, h) of the target's box, picture pixels

    @property
    def middle(self) -> float:
        """Of the picture and of the target in it, x and y alike, picture pixels."""
        return self.side / 2


class Paste(NamedTuple, Generic[P]):
    """A piece of a picture that is drawn into a patch."""

    picture: P
    piece: tuple[int, int, int, int]  # left, top, right, bottom, picture pixels
    matrix: Matrix  # from the pixels of the piece to those of the patch
    soft: bool  # opaque in a rounded rectangle only; or all of it, by whole pixels

    def draw(self, patch: Image, picture: Image) -> None:
        """Into the patch, (S, S, 3), in place.

        Args:
            patch: what is drawn on.
            picture: the painted one.
        """
        left, top, right, bottom = self.piece
        piece = picture[top:bottom, left:right]
        if self.soft:
            alpha = (255 * soft_alpha(piece.shape[0], piece.shape[1])).astype(np.uint8)
            paste(patch, np.dstack([piece, alpha]), self.matrix)
        else:
            x, y = (int(v) for v in self.matrix[:2, 2])
            patch[y : y + piece.shape[0], x : x + piece.shape[1]] = piece

    def hide(self, mask: NDArray[np.uint8]) -> None:
        """Takes what it covers out of a mask (S, S, 1), in place."""
        left, top, right, bottom = self.piece
        if self.soft:
            alpha = (255 * soft_alpha(bottom - top, right - left)).astype(np.uint8)
            paste(mask, np.dstack([np.zeros_like(alpha), alpha]), self.matrix)
        else:
            x, y = (int(v) for v in self.matrix[:2, 2])
            mask[y : y + bottom - top, x : x + right - left] = 0


def look_alikes(
    box: NDArray[np.float32], patch_size: int, others: Sequence[Subject[P]], rng: np.random.Generator
) -> list[Paste[P]]:
    """Other targets in the patch, with a soft rim, where they touch neither the target nor each other.

    Args:
        box: x, y, w, h of the target in the patch.
        patch_size: side of the patch, pixels.
        others: what to paste; one for which there is no free place is left out.
        rng: decides where and how large: 0.8 to 1.25 times as in its own crop.
    """
    taken, found = [box], []
    for other in others:
        factor = np.exp(rng.uniform(np.log(0.8), np.log(1.25)))
        w, h = (factor * side for side in other.size)
        for _ in range(_TRIES):
            x, y = rng.uniform(-0.3, 1.3, 2) * patch_size - (w / 2, h / 2)
            place = np.array([x, y, w, h], np.float32)
            if _in_view(place, patch_size) and not any(_touch(place, there) for there in taken):
                taken.append(place)
                left, top, right, bottom = piece = _around(other)
                scale = np.array([w / (right - left), h / (bottom - top)]) * _MARGIN
                corner = np.array([x + w / 2, y + h / 2]) - scale * [(right - left) / 2, (bottom - top) / 2]
                matrix = np.array([[scale[0], 0, corner[0]], [0, scale[1], corner[1]], [0, 0, 1]])
                found.append(Paste(other.picture, piece, matrix, soft=True))
                break
    return found


def _around(other: Subject[P]) -> tuple[int, int, int, int]:
    """The target with a little around it."""
    middle = other.side / 2
    half = [max(_LEAST_PX / 2, min(middle, _MARGIN * side / 2)) for side in other.size]
    return round(middle - half[0]), round(middle - half[1]), round(middle + half[0]), round(middle + half[1])


def soft_alpha(rows: int, columns: int) -> NDArray[np.float64]:
    """Of a piece, 0 to 1: opaque in a rounded rectangle. Shape (rows, columns)."""
    y, x = ((np.arange(n) + 0.5) / n * 2 - 1 for n in (rows, columns))
    radius = (np.abs(x)[None, :] ** 4 + np.abs(y)[:, None] ** 4) ** 0.25
    return np.asarray(np.clip((1 - radius) / SOFT_RIM, 0, 1))


def occluder(box: NDArray[np.float32], patch_size: int, other: Subject[P], rng: np.random.Generator) -> Paste[P] | None:
    """The middle of another picture over a part of the target, from one of its sides or corners; None outside the patch.

    Args:
        box: x, y, w, h of the target in the patch; at most `MOST_HIDDEN` of it is covered.
        patch_size: side of the patch, pixels.
        other: whose picture covers it.
        rng: decides where and how much.
    """
    x, y, w, h = (float(v) for v in box)
    hidden = rng.uniform(0.1, MOST_HIDDEN)
    across = rng.uniform(hidden, 1)  # share of the width that is covered; hidden / across of the height
    cover = np.array([across * w, hidden / across * h])
    low = np.array([x, y]) + rng.integers(0, 2, 2) * (np.array([w, h]) - cover)
    left, top = (int(v) for v in np.ceil(low).astype(int).clip(0, patch_size))  # rounded inwards: no more than asked for
    right, bottom = (int(v) for v in np.floor(low + cover).astype(int).clip(0, patch_size))
    width, height = min(right - left, other.side), min(bottom - top, other.side)
    if width <= 0 or height <= 0:
        return None
    first_row, first_column = (other.side - height) // 2, (other.side - width) // 2
    matrix = np.array([[1.0, 0, left], [0, 1, top], [0, 0, 1]])
    return Paste(other.picture, (first_column, first_row, first_column + width, first_row + height), matrix, soft=False)


def _in_view(place: NDArray[np.float32], size: int) -> bool:
    """Whether at least half of the box is in the patch."""
    x, y, w, h = place
    inside = max(0.0, min(x + w, size) - max(x, 0)) * max(0.0, min(y + h, size) - max(y, 0))
    return bool(inside > 0.5 * w * h)


def _touch(a: NDArray[np.float32], b: NDArray[np.float32]) -> bool:
    """Whether two boxes overlap once each has the pasted rim around it."""
    gap = np.abs((a[:2] + a[2:] / 2) - (b[:2] + b[2:] / 2)) - _MARGIN * (a[2:] + b[2:]) / 2
    return bool((gap < 0).all())
