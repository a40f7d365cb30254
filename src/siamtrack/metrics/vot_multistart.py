"""Accuracy, robustness and EAO of runs from several starts, as VOT has them since 2020 (Kristan et al., "The Eighth Visual
Object Tracking VOT2020 Challenge Results").

A tracker is started in the anchors of a sequence, and from each it follows the target to one end of the sequence, forwards or
backwards, without help. It has failed where its overlap has stayed at 0.1 or below for ten frames in which the target is there;
what it answers from the first of these on does not count. Numbers are those of github.com/votchallenge/toolkit,
vot/analysis/multistart.py. Three things in it surprise:

* the frame of the start counts with overlap 0 in accuracy;
* the curve is 0 at lengths that no run has;
* a failed run that has ended goes on in the curve with the sum of its overlaps divided by one less than that of a longer one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from siamtrack.errors import DataError
from siamtrack.metrics.vot import Floats
from siamtrack.metrics.vot_masks import Shape, is_empty, shape_overlaps

LOST = 0.1  # overlap, at or below
GRACE = 10  # frames in which the target may be lost
EAO_INTERVAL = (115, 755)
"""Lengths that EAO is the mean over; the upper one is left out (stack files of VOT2020 to VOT2022)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class AnchoredRun:
    """A run from one anchor, its frames in the order in which the tracker saw them.

    Attributes:
        answers: N shapes, the first of which is the code of a start.
        truth: N true shapes.
        size: width and height of the images, pixels.
        overlaps: (N,) of the two, 0 from a failure on.
        lasted: frames until the failure; N without one.

    Raises:
        DataError: lengths that differ.
    """

    answers: Sequence[Shape]
    truth: Sequence[Shape]
    size: tuple[int, int]
    overlaps: Floats = field(init=False)
    lasted: int = field(init=False)

    def __post_init__(self) -> None:
        if len(self.answers) != len(self.truth):
            raise DataError(f"A run has {len(self.answers)} frames, the truth from its start on {len(self.truth)}.")
        overlaps = shape_overlaps(self.answers, self.truth, size=self.size)
        lasted, lost = len(overlaps), 0
        for i, (overlap, truth) in enumerate(zip(overlaps.tolist(), self.truth, strict=True)):
            lost = lost + 1 if overlap <= LOST and not is_empty(truth) else 0
            if lost == GRACE:
                lasted = i + 1 - GRACE
                break
        overlaps[lasted:] = 0
        object.__setattr__(self, "overlaps", overlaps)
        object.__setattr__(self, "lasted", lasted)

    @property
    def failed(self) -> bool:
        """Whether the tracker lost the target for good."""
        return self.lasted < len(self.overlaps)


Runs = Sequence[AnchoredRun]


def accuracy_robustness(sequences: Sequence[tuple[int, Runs]]) -> tuple[float, float]:
    """Mean overlap until the failure, and the share of frames that were followed until it.

    Args:
        sequences: the number of frames of each, and its runs, one or more.

    Returns:
        Accuracy, of all frames alike, and robustness, of sequences by their length; both in [0, 1], higher is better.
    """
    lasted = sum(run.lasted for _, runs in sequences for run in runs)
    overlap = sum(float(run.overlaps.sum()) for _, runs in sequences for run in runs)
    shares = [sum(run.lasted for run in runs) / sum(len(run.overlaps) for run in runs) for _, runs in sequences]
    frames = [count for count, _ in sequences]
    return overlap / lasted if lasted else 0.0, float(np.average(shares, weights=frames))


def multistart_eao_curve(runs: Runs, length: int = EAO_INTERVAL[1]) -> Floats:
    """Expected average overlap by length, shape (length,): element i is of the i frames after the start."""
    total, active = np.zeros(length), np.zeros(length)
    for run in runs:
        known = min(len(run.overlaps), length)
        total[1:known] += np.cumsum(run.overlaps[1:known]) / np.arange(1, known)
        active[1:known] += 1
        if run.failed and known < length:
            total[known:] += run.overlaps[1:].sum() / np.arange(known - 1, length - 1)
            active[known:] += 1
    return np.asarray(np.divide(total, active, out=np.zeros(length), where=active > 0))


def multistart_eao(curve: Floats, interval: tuple[int, int] = EAO_INTERVAL) -> float:
    """The mean of a curve over an interval of lengths."""
    return float(curve[interval[0] : interval[1] + 1].mean())
