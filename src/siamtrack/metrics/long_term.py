"""Precision, recall and F of long-term tracking (Lukezic et al., "Now you see me: evaluating performance in long-term visual
tracking", 2018; VOT-LT 2018 and 2019).

A tracker reports a confidence with each region. At a threshold t, precision is the mean overlap of the frames reported with
at least that confidence (1 where there are none), recall the sum of these overlaps over the number of frames in which the
target is visible, F = 2 Pr Re / (Pr + Re). The score is the best F over thresholds, with the Pr and Re it is reached at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siamtrack.errors import DataError

_Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class LongTermPreset:
    """How one tool scores long-term results.

    Attributes:
        name: its name.
        last_step: where the evenly spaced thresholds end, counted in sorted frames: PySOT's one frame above the toolkits'.
        all_up_to: where there are no more confidences than this, all of them are thresholds.
        missing: what a NaN confidence is (VOT files have none in the first frame): "zero", or never "reported".
        lowest: which frames the threshold -inf reports: those with a confidence above 0 ("positive"), or every frame that
            has one ("all").
        resolution: number of thresholds, with -inf and +inf.
    """

    name: str
    last_step: Literal["pysot", "toolkit"]
    all_up_to: int
    missing: Literal["zero", "never"]
    lowest: Literal["positive", "all"]
    resolution: int = 100


PRESETS = {
    preset.name: preset
    for preset in (
        LongTermPreset(name="pysot", last_step="pysot", all_up_to=97, missing="zero", lowest="positive"),
        LongTermPreset(name="vot-matlab", last_step="toolkit", all_up_to=100, missing="never", lowest="all"),
        LongTermPreset(name="vot-python", last_step="toolkit", all_up_to=98, missing="never", lowest="all"),
    )
}
"""Preset of each tool, by name: PySOT's toolkit/evaluation/f1_benchmark.py, the VOT toolkits in MATLAB and in Python."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LongTermSequence:
    """A tracker's run on one sequence.

    Attributes:
        name: of the sequence.
        overlaps: (N,) with the truth, in [0, 1]; NaN (no region, or the target absent) counts as 0.
        confidences: (N,) any scale; NaN where the tracker gave none.
        visible: (N,) the target is in the frame.

    Raises:
        DataError: lengths that differ, or no frame in which the target is visible.
    """

    name: str
    overlaps: ArrayLike
    confidences: ArrayLike
    visible: ArrayLike

    def __post_init__(self) -> None:
        shapes = [np.shape(values) for values in (self.overlaps, self.confidences, self.visible)]
        if len(shapes[0]) != 1 or len(set(shapes)) > 1:
            raise DataError(
                f"Sequence {self.name} has overlaps {shapes[0]}, confidences {shapes[1]} and visibility {shapes[2]}; "
                "expected one of each a frame."
            )
        if not np.any(self.visible):
            raise DataError(
                f"The target of sequence {self.name} is visible in none of {shapes[0][0]} frames; recall needs one."
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class LongTermScores:
    """Curves over thresholds, from +inf down to -inf.

    Attributes:
        thresholds: (T,) confidences.
        precision: (T,), in [0, 1].
        recall: (T,), in [0, 1].
        f: (T,), in [0, 1].
    """

    thresholds: _Floats
    precision: _Floats
    recall: _Floats
    f: _Floats

    @property
    def best(self) -> tuple[float, float, float]:
        """The best F, and precision and recall there; the highest such threshold."""
        i = int(np.argmax(self.f))
        return float(self.f[i]), float(self.precision[i]), float(self.recall[i])


def confidence_thresholds(confidences: ArrayLike, preset: LongTermPreset) -> _Floats:
    """The thresholds of the curves, descending from +inf to -inf: about evenly many frames lie between two.

    Args:
        confidences: those of all frames of all sequences; NaN are left out.
        preset: the tool to follow.

    Returns:
        (preset.resolution,), fewer where there are fewer confidences: then each of them is one.
    """
    found = np.asarray(confidences, np.float64)
    found = np.sort(found[~np.isnan(found)])
    if len(found) > preset.all_up_to:
        inner = preset.resolution - 2
        step = len(found) // inner
        last = len(found) - step - (preset.last_step == "toolkit")
        found = found[np.floor(np.linspace(step - 1, last, inner) + 0.5).astype(int)]
    return np.concatenate([[np.inf], found[::-1], [-np.inf]])


def long_term_scores(sequences: Sequence[LongTermSequence], preset: LongTermPreset, *, pooled: bool = False) -> LongTermScores:
    """Precision, recall and F over thresholds.

    Args:
        sequences: one run each.
        preset: the tool to follow.
        pooled: take the frames of all sequences together (the MATLAB toolkit's tag "all"). Otherwise precision and recall
            are averaged over sequences, however long they are, and F is that of the averages, as published for VOT-LT:
            the two differ, so say which.

    Raises:
        DataError: no sequences.
    """
    if not sequences:
        raise DataError("There are no sequences to score; expected one or more.")
    arrays = [
        (np.nan_to_num(s.overlaps), np.asarray(s.confidences, np.float64), np.asarray(s.visible, bool)) for s in sequences
    ]
    thresholds = confidence_thresholds(np.concatenate([confidences for _, confidences, _ in arrays]), preset)
    if pooled:
        overlaps, confidences, visible = (np.concatenate(parts) for parts in zip(*arrays, strict=True))
        arrays = [(overlaps, confidences, visible)]
    curves = [_precision_recall(*parts, thresholds, preset) for parts in arrays]
    precision, recall = np.mean(curves, 0)
    total = precision + recall
    f = np.where(total > 0, 2 * precision * recall / np.where(total > 0, total, 1), 0)
    return LongTermScores(thresholds=thresholds, precision=precision, recall=recall, f=f)


def _precision_recall(
    overlaps: _Floats, confidences: _Floats, visible: NDArray[np.bool_], thresholds: _Floats, preset: LongTermPreset
) -> tuple[_Floats, _Floats]:
    """(T,) precision and (T,) recall of frames."""
    if preset.missing == "zero":
        confidences = np.nan_to_num(confidences, nan=0.0, posinf=np.inf, neginf=-np.inf)
    reported = confidences >= thresholds[:, None]
    if preset.lowest == "positive":
        reported[np.isneginf(thresholds)] = confidences > 0
    count, total = reported.sum(1), reported @ overlaps
    precision = np.where(count > 0, total / np.maximum(count, 1), 1)
    return np.asarray(precision), np.asarray(total / visible.sum())
