"""Accuracy and robustness of supervised VOT results (Kristan et al., "The Visual Object Tracking VOT2015 challenge")."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from siamtrack.errors import DataError
from siamtrack.metrics.vot import FAILURE, START, Floats, SupervisedSequence, frames_with, run_overlaps, runs_of
from siamtrack.metrics.vot_presets import VOTPreset


@dataclass(frozen=True, kw_only=True)
class AccuracyRobustness:
    """How well a tracker fits while it tracks, and how often it fails.

    Attributes:
        accuracy: mean overlap without the frames after a start, in [0, 1]; 0 where no frame is left, as in the tools.
        failures: how many, mean over the repetitions: of all sequences together, or the weighted mean of a sequence where
            the preset pools "sequences".
        robustness: failures per hundred frames; the "R" of the tables of VOT2016 to VOT2019. Smaller is better.
        failures_per_sequence: the "R" of the tables of VOT2015.
        reliability: exp(-S * failures per frame), chance to track S frames without failure; x axis of the AR plot.
    """

    accuracy: float
    failures: float
    robustness: float
    failures_per_sequence: float
    reliability: float

    @property
    def ar_point(self) -> tuple[float, float]:
        """(x, y) in the AR plot: reliability and accuracy; both are best at 1."""
        return self.reliability, self.accuracy


def accuracy_robustness(
    sequences: Sequence[SupervisedSequence], preset: VOTPreset, *, overlaps: Sequence[Floats] | None = None
) -> AccuracyRobustness:
    """Accuracy and robustness over sequences; a list of one gives those of a sequence.

    Args:
        sequences: to be scored together.
        preset: the tool to follow.
        overlaps: `overlaps_after_burn_in` of each, where they have been measured already: it is what takes the time.

    Raises:
        DataError: no sequences.
    """
    if not sequences:
        raise DataError("There are no sequences to score; expected one or more.")
    frames = np.array([len(sequence.truth) for sequence in sequences])
    failures = np.array([np.mean([len(frames_with(r, FAILURE)) for r in runs_of(s, preset)]) for s in sequences])
    overlaps = [overlaps_after_burn_in(sequence, preset) for sequence in sequences] if overlaps is None else overlaps
    if preset.pooling == "frames":
        accuracy = _mean(np.concatenate([_frame_means(runs) for runs in overlaps]))
        total = float(failures.sum())
        rate, per_sequence = total / float(frames.sum()), total / len(sequences)
    else:
        means = [np.mean([_mean(run) for run in runs]) for runs in overlaps]
        accuracy = float(np.average(means, weights=frames))
        total = per_sequence = float(np.average(failures, weights=frames))
        rate = total / float(frames.mean())
    return AccuracyRobustness(
        accuracy=accuracy,
        failures=total,
        robustness=100 * rate,
        failures_per_sequence=per_sequence,
        reliability=math.exp(-preset.sensitivity * rate),
    )


def overlaps_after_burn_in(sequence: SupervisedSequence, preset: VOTPreset, *, for_eao: Floats | None = None) -> Floats:
    """(R, N) overlaps that accuracy is the mean of, NaN in the first frames after each start.

    Args:
        sequence: with its runs.
        preset: the tool to follow.
        for_eao: (R, N) overlaps that EAO takes (`vot_eao.supervised_overlaps`), where they have been measured already.
    """
    if for_eao is not None and preset.accuracy_bounds == preset.eao_bounds:
        overlaps = for_eao.copy()
    else:
        inside = for_eao if preset.eao_bounds == "last pixel" else None
        overlaps = run_overlaps(sequence, preset, preset.accuracy_bounds, inside=inside)
    for row, run in zip(overlaps, runs_of(sequence, preset), strict=True):
        for start in frames_with(run, START):
            row[start : start + preset.burn_in] = np.nan
    return overlaps


def _frame_means(runs: Floats) -> Floats:
    """(N,) mean of each frame over the runs in which it has an overlap; NaN where it has none."""
    known = ~np.isnan(runs)
    count = known.sum(0)
    return np.asarray(np.where(count > 0, np.nansum(runs, 0) / np.maximum(count, 1), np.nan))


def _mean(overlaps: Floats) -> float:
    known = overlaps[~np.isnan(overlaps)]
    return float(known.mean()) if len(known) else 0.0


def accuracy_overlaps(
    sequences: Sequence[SupervisedSequence], preset: VOTPreset, *, overlaps: Sequence[Floats] | None = None
) -> Floats:
    """(total frames,) overlaps that accuracy is the mean of, averaged over repetitions; NaN where a frame does not count.

    Arguments as for `accuracy_robustness`.
    """
    overlaps = [overlaps_after_burn_in(sequence, preset) for sequence in sequences] if overlaps is None else overlaps
    return np.concatenate([_frame_means(runs) for runs in overlaps])


def same_in_practice(first: ArrayLike, second: ArrayLike, practical: ArrayLike) -> bool:
    """Whether two trackers' accuracies differ by less than what a person annotating the frames would.

    The mean over frames of difference / practical difference lies within (-1, 1) (analyze_accuracy_robustness.m).

    Args:
        first: (N,) `accuracy_overlaps` of one tracker.
        second: (N,) those of the other; frames with NaN in either are left out.
        practical: (N,) practical differences of the frames, above 0.

    Raises:
        DataError: no frame has both overlaps.
    """
    a, b, limit = (np.asarray(values, np.float64) for values in (first, second, practical))
    known = ~np.isnan(a - b)
    if not known.any():
        raise DataError("No frame has an overlap in both results; expected results of the same sequences.")
    return bool(abs(np.mean((a - b)[known] / limit[known])) < 1)
