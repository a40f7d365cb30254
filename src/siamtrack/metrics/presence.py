"""How well a tracker knows that its target is gone: its confidence against the frames in which the target is there.

A frame is called present when its confidence is at or above a threshold. NaN, no confidence at all, counts as -inf: it is below
every finite threshold and ties with -inf. Truth is one boolean a frame, True where the target is visible.

Frames can come in any order, so several sequences are joined by concatenation; what needs their order is in
`presence_sequences`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siamtrack.errors import DataError, SettingsError

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class ErrorRates:
    """How often a threshold is wrong, each in [0, 1].

    Attributes:
        false_alarm: share of absent frames at or above the threshold; NaN without absent frames.
        miss: share of present frames below it; NaN without present frames.
    """

    false_alarm: float
    miss: float

    @property
    def balanced_accuracy(self) -> float:
        """Share of right answers, present and absent frames counted half each; 0.5 is chance, NaN where either is missing."""
        return 1 - (self.false_alarm + self.miss) / 2


def checked_frames(confidence: ArrayLike, present: ArrayLike) -> tuple[Floats, Flags]:
    """Confidence, with -inf for NaN, and truth as arrays (N,).

    Raises:
        DataError: lengths that differ, or a truth that is not boolean.
    """
    scores, there = np.asarray(confidence, np.float64), np.asarray(present)
    if scores.ndim != 1 or scores.shape != there.shape or there.dtype != np.bool_:
        raise DataError(
            f"Confidence of shape {scores.shape} and truth of shape {there.shape} and type {there.dtype}; "
            "expected one number and one boolean for each frame."
        )
    return _lowest_for_nan(scores), there


def called_present(confidence: Floats, threshold: float) -> Flags:
    """Which frames (N,) are at or above the threshold.

    Raises:
        SettingsError: the threshold is NaN, as `best_threshold` is where the target is always or never there.
    """
    if math.isnan(threshold):
        raise SettingsError("The threshold is NaN; expected a number. Choose it on sequences with and without the target.")
    return confidence >= threshold


def auroc(confidence: ArrayLike, present: ArrayLike) -> float:
    """Chance that a present frame has a higher confidence than an absent one, ties counted half.

    The area under the ROC curve, exactly: the U of Mann and Whitney over the number of pairs.

    Args:
        confidence: (N,), NaN counts as -inf.
        present: (N,) booleans.

    Returns:
        In [0, 1]; NaN where the target is always or never there, as there is nothing to tell apart.

    Raises:
        DataError: lengths that differ, or a truth that is not boolean.
    """
    scores, there = checked_frames(confidence, present)
    positives = np.count_nonzero(there)
    pairs = positives * (len(there) - positives)
    if not pairs:
        return math.nan
    return float((_middle_ranks(scores)[there].sum() - positives * (positives + 1) / 2) / pairs)


def error_rates(confidence: ArrayLike, present: ArrayLike, threshold: float) -> ErrorRates:
    """How often calling every frame at or above the threshold present is wrong; see `auroc` for arguments and errors.

    Raises:
        SettingsError: the threshold is NaN.
    """
    scores, there = checked_frames(confidence, present)
    called = called_present(scores, threshold)
    return ErrorRates(false_alarm=_mean(called[~there]), miss=_mean(~called[there]))


def best_threshold(confidence: ArrayLike, present: ArrayLike) -> float:
    """The confidence that has the highest balanced accuracy as a threshold, the lowest of several as good; see `auroc`.

    Choose it on other sequences than those it is judged on. -inf where calling every frame present is the best, and some
    confidence is NaN or -inf.
    """
    scores, there = checked_frames(confidence, present)
    targets, others = np.sort(scores[there]), np.sort(scores[~there])
    if not len(targets) or not len(others):
        return math.nan
    candidates = np.unique(scores)
    missed, rejected = (np.searchsorted(frames, candidates) for frames in (targets, others))
    gain = rejected * len(targets) - missed * len(others)  # in whole numbers, so that equal is equal
    return float(candidates[np.argmax(gain)])


def calibration_error(probability: ArrayLike, present: ArrayLike, *, bins: int = 15) -> float:
    """How far stated probabilities lie from observed shares: expected calibration error over bins of equal mass.

    Frames of equal probability share a bin, so that bins have equal mass up to ties and the order of frames does not matter
    (bins: Nguyen and O'Connor, EMNLP 2015; error: Naeini et al., AAAI 2015).

    Args:
        probability: (N,), in [0, 1]; NaN counts as 0.
        present: (N,) booleans.
        bins: how many, from 1 on.

    Returns:
        In [0, 1]; NaN without frames.

    Raises:
        DataError: lengths that differ, a truth that is not boolean, or a value outside [0, 1].
        SettingsError: fewer bins than 1.
    """
    if bins < 1:
        raise SettingsError(f"The calibration error cannot be taken over {bins} bins; expected 1 or more.")
    values = np.asarray(probability, np.float64)
    stated, there = checked_frames(np.where(np.isnan(values), 0.0, values), present)
    if not len(stated):
        return math.nan
    if stated.min() < 0 or stated.max() > 1:
        raise DataError(
            f"Confidences from {stated.min():g} to {stated.max():g}; expected probabilities in [0, 1]. "
            "A raw score has no calibration error: map it to a probability first."
        )
    bin_of = ((_middle_ranks(stated) - 0.5) / len(stated) * bins).astype(np.intp)
    return float(np.abs(np.bincount(bin_of, stated - there)).sum() / len(stated))


def risk_coverage(confidence: ArrayLike, losses: ArrayLike) -> Floats:
    """Mean loss of the k most certain frames, for k = 1 to N; the area under the curve (AURC) is its mean.

    Frames of equal confidence come in no order: the curve is the mean over all orders they could have (Geifman and El-Yaniv,
    NeurIPS 2017).

    Args:
        confidence: (N,), NaN counts as -inf.
        losses: (N,), for example from `presence_sequences.frame_losses`.

    Returns:
        (N,), at coverage k / N.

    Raises:
        DataError: lengths that differ, or a loss that is NaN.
    """
    scores, loss = np.asarray(confidence, np.float64), np.asarray(losses, np.float64)
    if scores.ndim != 1 or scores.shape != loss.shape or np.isnan(loss).any():
        raise DataError(
            f"Confidence of shape {scores.shape} and losses of shape {loss.shape}, {np.isnan(loss).sum()} of them NaN; "
            "expected one number each for every frame."
        )
    _, group, sizes = np.unique(-_lowest_for_nan(scores), return_inverse=True, return_counts=True)
    return np.asarray(np.cumsum((np.bincount(group, loss) / sizes).repeat(sizes)) / np.arange(1, len(loss) + 1))


def _middle_ranks(values: Floats) -> Floats:
    """Ranks from 1 on; equal values share the middle of theirs."""
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[group])


def _lowest_for_nan(scores: Floats) -> Floats:
    return np.where(np.isnan(scores), -np.inf, scores)


def _mean(values: NDArray[np.generic]) -> float:
    return float(np.asarray(values, np.float64).mean()) if len(values) else math.nan
