"""Where a response is highest: the map made larger, the window that it is weighed with, and the top between cells."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def upsampled(response: NDArray[np.float32], factor: int) -> list[NDArray[np.float32]]:
    """Responses (S, R, R), bicubic, (R * factor, R * factor) each; the middle of a map stays its middle."""
    size = response.shape[-1] * factor
    return [np.asarray(cv2.resize(m, (size, size), interpolation=cv2.INTER_CUBIC), np.float32) for m in response]


def cosine_window(size: int) -> NDArray[np.float32]:
    """A Hann window in x and y, (size, size), that sums to 1."""
    window = np.outer(np.hanning(size), np.hanning(size))
    return np.asarray(window / max(window.sum(), 1e-12), np.float32)


def parabola_top(values: NDArray[np.float32], peak: int) -> float:
    """Offset from index `peak` to the top of the parabola through it and its neighbours, in [-0.5, 0.5]; 0 at an end."""
    if not 0 < peak < len(values) - 1:
        return 0.0
    left, middle, right = (float(v) for v in values[peak - 1 : peak + 2])
    curvature = left - 2 * middle + right
    return float(np.clip(0.5 * (left - right) / curvature, -0.5, 0.5)) if curvature < 0 else 0.0
