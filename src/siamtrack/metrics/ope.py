"""One-pass evaluation: success and precision curves (Wu, Lim, Yang, "Online Object Tracking: A Benchmark", CVPR 2013).

The functions here leave out frames without truth (NaN) and count a missing prediction as a failure. The official tools differ
in what they do with such frames, so that numbers to be compared with published ones come from `ope_scores`.

Normalised precision is that of TrackingNet (Mueller et al., ECCV 2018); average overlap, success rates and means over classes
are those of GOT-10k (Huang, Zhao, Huang, TPAMI 2021).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siamtrack.box import center_error, iou
from siamtrack.errors import DataError

Floats = NDArray[np.float64]

OVERLAP_THRESHOLDS = np.linspace(0, 1, 21)
"""0, 0.05, ..., 1, as in the OTB toolkit."""

CENTER_THRESHOLDS = np.arange(51.0)
"""0, 1, ..., 50 pixels, as in the OTB toolkit."""

NORMALISED_THRESHOLDS = np.arange(51) / 100
"""0, 0.01, ..., 0.5 of the size of the target."""

PRECISION_PX = 20
"""The centre error that the single precision number is read at."""

NORMALISED_PRECISION_AT = 0.2
"""The normalised centre error that LaSOT reads its number at. TrackingNet takes the mean of the curve: another number."""


def success_curve(predicted: ArrayLike, truth: ArrayLike, thresholds: ArrayLike = OVERLAP_THRESHOLDS) -> Floats:
    """Share of frames whose overlap is above (not equal to) each of the thresholds.

    A perfect tracker gets 0 at threshold 1, so that the best possible area under a curve of 21 thresholds is 20/21.

    Args:
        predicted: (N, 4) boxes.
        truth: (N, 4) boxes; frames with NaN are left out.
        thresholds: (T,), in [0, 1].

    Returns:
        (T,), in [0, 1].
    """
    return share_above(iou(predicted, truth)[_present(truth)], thresholds)


def success_auc(predicted: ArrayLike, truth: ArrayLike) -> float:
    """Mean of the success curve: the area under it."""
    return float(success_curve(predicted, truth).mean())


def success_rate(predicted: ArrayLike, truth: ArrayLike, threshold: float = 0.5) -> float:
    """Share of frames whose overlap is above the threshold: GOT-10k's SR, and OTB's OP at 0.5."""
    return float(success_curve(predicted, truth, [threshold])[0])


def average_overlap(predicted: ArrayLike, truth: ArrayLike) -> float:
    """Mean overlap, in [0, 1]: GOT-10k's AO. A missing prediction has the overlap 0; frames without truth are left out."""
    return float(np.nan_to_num(iou(predicted, truth)[_present(truth)]).mean())


def precision_curve(predicted: ArrayLike, truth: ArrayLike, thresholds: ArrayLike = CENTER_THRESHOLDS) -> Floats:
    """Share of frames whose centre error is at most each of the thresholds; frames without truth are left out.

    Args:
        predicted: (N, 4) boxes.
        truth: (N, 4) boxes.
        thresholds: (T,), pixels.

    Returns:
        (T,), in [0, 1].
    """
    return share_within(center_error(predicted, truth)[_present(truth)], thresholds)


def precision(predicted: ArrayLike, truth: ArrayLike, pixels: float = PRECISION_PX) -> float:
    """Share of frames whose centre error is at most so many pixels; frames without truth are left out."""
    return float(precision_curve(predicted, truth, [pixels])[0])


def normalised_center_error(predicted: ArrayLike, truth: ArrayLike, smallest: float = 0) -> Floats:
    """Distance between box centres, x in widths and y in heights of the true box.

    Args:
        predicted: (N, 4) boxes.
        truth: (N, 4) boxes.
        smallest: a width or height below this counts as this, pixels.

    Returns:
        (N,); NaN where either is absent, inf or NaN where the true box has no width or height.
    """
    a, b = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
    offset = (a[..., :2] + a[..., 2:] / 2) - (b[..., :2] + b[..., 2:] / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        offset = offset / np.maximum(b[..., 2:], smallest)
    return np.asarray(np.hypot(offset[..., 0], offset[..., 1]))


def normalised_precision_curve(predicted: ArrayLike, truth: ArrayLike, thresholds: ArrayLike = NORMALISED_THRESHOLDS) -> Floats:
    """Share of frames whose normalised centre error is at most each of the thresholds; frames without truth are left out.

    Its mean over the 51 thresholds is TrackingNet's number.
    """
    return share_within(normalised_center_error(predicted, truth)[_present(truth)], thresholds)


def normalised_precision(predicted: ArrayLike, truth: ArrayLike, at: float = NORMALISED_PRECISION_AT) -> float:
    """Share of frames whose normalised centre error is at most so much: LaSOT's number."""
    return float(normalised_precision_curve(predicted, truth, [at])[0])


def mean_over_classes(values: Sequence[float], classes: Sequence[str]) -> float:
    """Mean over classes of the mean over the sequences of each: GOT-10k's mAO and mSR, where a common class weighs no more.

    Args:
        values: (N,), for example the average overlap of each sequence.
        classes: (N,), the class of each.

    Raises:
        DataError: lengths that differ, or no sequences.
    """
    if not values or len(values) != len(classes):
        raise DataError(f"{len(values)} values and {len(classes)} classes; expected one class for each value, at least one.")
    names = np.array(classes)
    return float(np.mean([np.asarray(values, np.float64)[names == name].mean() for name in np.unique(names)]))


def share_above(overlaps: Floats, thresholds: ArrayLike) -> Floats:
    """Share of the (N,) overlaps that are above each of the (T,) thresholds; NaN is above none."""
    return np.asarray((overlaps[:, None] > np.asarray(thresholds)).mean(0))


def share_within(errors: Floats, thresholds: ArrayLike) -> Floats:
    """Share of the (N,) errors that are at most each of the (T,) thresholds; NaN is within none."""
    return np.asarray((errors[:, None] <= np.asarray(thresholds)).mean(0))


def _present(truth: ArrayLike) -> NDArray[np.bool_]:
    return np.asarray(~np.isnan(np.asarray(truth, np.float64)).any(-1))
