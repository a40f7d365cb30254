"""One-pass evaluation: success and precision curves (Wu, Lim, Yang, "Online Object Tracking: A Benchmark", CVPR 2013)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siamtrack.box import center_error, iou

OVERLAP_THRESHOLDS = np.linspace(0, 1, 21)
"""0, 0.05, ..., 1, as in the OTB toolkit."""

PRECISION_PX = 20
"""The centre error that the single precision number is read at."""


def success_curve(predicted: ArrayLike, truth: ArrayLike) -> NDArray[np.float64]:
    """Share of frames whose overlap is above (not equal to) each of the 21 thresholds.

    A perfect tracker gets 0 at threshold 1, so that the best possible area under the curve is 20/21.

    Args:
        predicted: (N, 4) boxes.
        truth: (N, 4) boxes; frames with NaN are left out.

    Returns:
        (21,), in [0, 1].
    """
    overlaps = iou(predicted, truth)[_present(truth)]
    return np.asarray((np.nan_to_num(overlaps)[:, None] > OVERLAP_THRESHOLDS).mean(0))


def success_auc(predicted: ArrayLike, truth: ArrayLike) -> float:
    """Mean of the success curve: the area under it."""
    return float(success_curve(predicted, truth).mean())


def precision(predicted: ArrayLike, truth: ArrayLike, pixels: float = PRECISION_PX) -> float:
    """Share of frames whose centre error is at most so many pixels; frames without truth are left out."""
    errors = center_error(predicted, truth)[_present(truth)]
    return float((np.nan_to_num(errors, nan=np.inf) <= pixels).mean())


def _present(truth: ArrayLike) -> NDArray[np.bool_]:
    return np.asarray(~np.isnan(np.asarray(truth, np.float64)).any(-1))
