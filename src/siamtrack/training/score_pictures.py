"""Template, search patch and score map side by side, as in figure 1 of the SiamFC paper: red where the score is high."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from siamtrack.image import Image

_RED, _BLUE = np.array([200.0, 30, 40]), np.array([40.0, 70, 190])


def score_colours(scores: NDArray[np.float32]) -> Image:
    """A score map as colours: white at 0, red above, blue below, full at the largest magnitude. (H, W) -> (H, W, 3)."""
    strength = (scores / max(float(np.abs(scores).max()), 1e-12))[..., None]
    ends = np.where(strength > 0, _RED, _BLUE)
    return np.asarray(255 + np.abs(strength) * (ends - 255) + 0.5, np.uint8)


def score_picture(template: Image, search: Image, scores: NDArray[np.float32]) -> Image:
    """The three in a row on white, at the height of the search patch, the score map in cells.

    Args:
        template: (T, T, 3).
        search: (S, S, 3).
        scores: (cells, cells).
    """
    height = search.shape[0]
    gap = np.full((height, 8, 3), 255, np.uint8)
    cells = cv2.resize(score_colours(scores), (height, height), interpolation=cv2.INTER_NEAREST)
    framed = np.full((height, template.shape[1], 3), 255, np.uint8)
    top = (height - template.shape[0]) // 2
    framed[top : top + template.shape[0]] = template
    return np.hstack([framed, gap, search, gap, np.asarray(cells, np.uint8)])
