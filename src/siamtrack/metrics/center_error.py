"""How far, and in which direction, predicted boxes lie beside the true ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siamtrack.box import center_error


def signed_center_errors(predicted: ArrayLike, truth: ArrayLike) -> NDArray[np.float64]:
    """Predicted centre minus true centre, pixels: above 0 is to the right of the target, or below it.

    Args:
        predicted: (N, 4) boxes.
        truth: (N, 4) boxes.

    Returns:
        (M, 2), x and y, of the M frames in which both boxes are there.
    """
    a, b = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
    errors = (a[:, :2] + a[:, 2:] / 2) - (b[:, :2] + b[:, 2:] / 2)
    return np.asarray(errors[np.isfinite(errors).all(1)])


def mean_center_error(predicted: ArrayLike, truth: ArrayLike) -> float:
    """Mean Euclidean distance between the centres, pixels (S. Sanchez's thesis, eq. 6).

    Frames in which either box is absent are left out; NaN where none is left.
    """
    errors = center_error(predicted, truth)
    errors = errors[~np.isnan(errors)]
    return float(errors.mean()) if len(errors) else float("nan")
