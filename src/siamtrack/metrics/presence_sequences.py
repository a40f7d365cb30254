"""How well a tracker knows that its target is gone, over sequences: how fast it notices, how fast it recovers, and a summary.

What counts as called present, and what NaN means, is in `presence`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siamtrack.errors import DataError
from siamtrack.metrics.delays import Delays, delays_within, joined, runs
from siamtrack.metrics.presence import ErrorRates, auroc, called_present, checked_frames, error_rates, risk_coverage

FOUND_OVERLAP = 0.5
"""The overlap from which on a tracker counts as back on its target."""

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class PresenceTrace:
    """One sequence: what the tracker said of each frame and what was true.

    Attributes:
        confidence: (N,), higher is more certain that the target is there; NaN becomes -inf.
        present: (N,) booleans.
        overlaps: (N,), overlap of the predicted with the true box in [0, 1]; NaN becomes 0, absent frames are not looked at.
            None where boxes are not judged.

    Raises:
        DataError: lengths that differ, a truth that is not boolean, or an overlap outside [0, 1].
    """

    confidence: Floats
    present: Flags
    overlaps: Floats | None = None

    def __post_init__(self) -> None:
        confidence, present = checked_frames(self.confidence, self.present)
        object.__setattr__(self, "confidence", confidence)
        object.__setattr__(self, "present", present)
        if self.overlaps is not None:
            object.__setattr__(self, "overlaps", _overlaps(self.overlaps, present))


@dataclass(frozen=True, kw_only=True, eq=False)
class PresenceSummary:
    """What `summarise` answers; what the truth does not allow to be measured is NaN.

    Attributes:
        sequences: how many traces there were.
        frames: all of their frames.
        absent_frames: frames without the target.
        auroc: of all frames together: confidence has to mean the same in each sequence to do well here.
        mean_auroc: mean over the sequences that have both present and absent frames.
        threshold: what `rates`, `notice` and `recover` were measured at.
        rates: of all frames together.
        notice: see `notice_delays`.
        recover: see `recover_delays`.
        risk_area: area under the risk-coverage curve of `frame_losses`, in [0, 1]; lower is better.
    """

    sequences: int
    frames: int
    absent_frames: int
    auroc: float
    mean_auroc: float
    threshold: float
    rates: ErrorRates
    notice: Delays
    recover: Delays
    risk_area: float

    @property
    def note(self) -> str:
        """Why there is no AUROC; empty where there is one."""
        if self.absent_frames == 0:
            return "The target is never absent: no AUROC and no false-alarm rate."
        return "" if self.absent_frames < self.frames else "The target is never there: no AUROC and no miss rate."


def frame_losses(trace: PresenceTrace) -> Floats:
    """What it costs to believe each frame: 1 where the target is absent, else 1 - overlap, or 0 where overlaps are not known.

    Returns:
        (N,), in [0, 1].
    """
    return np.where(trace.present, 0.0 if trace.overlaps is None else 1 - trace.overlaps, 1.0)


def notice_delays(trace: PresenceTrace, threshold: float) -> Delays:
    """Frames from the start of each absence to its first frame below the threshold, 0 where that is the very first.

    An absence that ends, be it with the sequence, before that was never noticed.
    """
    return delays_within(runs(~trace.present), ~called_present(trace.confidence, threshold))


def recover_delays(trace: PresenceTrace, threshold: float) -> Delays:
    """Frames from each return of the target to the first at or above the threshold, with an overlap of 0.5 or more if known.

    The tracker has time until the next absence or the end of the sequence: later is never. A sequence that begins with its
    target does not begin with a return.
    """
    back = called_present(trace.confidence, threshold)
    if trace.overlaps is not None:
        back &= trace.overlaps >= FOUND_OVERLAP
    return delays_within([run for run in runs(trace.present) if run[0] > 0], back)


def summarise(traces: Sequence[PresenceTrace], *, threshold: float) -> PresenceSummary:
    """All of it over several sequences, or over one.

    Raises:
        DataError: no sequence, or overlaps in some sequences and not in others.
        SettingsError: the threshold is NaN.
    """
    judged = sum(trace.overlaps is not None for trace in traces)
    if not traces or judged not in (0, len(traces)):
        raise DataError(f"{len(traces)} sequences, {judged} of them with overlaps; expected at least one, and all or none so.")
    confidence, present, losses = (
        np.concatenate(parts)
        for parts in zip(*((trace.confidence, trace.present, frame_losses(trace)) for trace in traces), strict=True)
    )
    each = np.array([auroc(trace.confidence, trace.present) for trace in traces])
    each = each[~np.isnan(each)]
    return PresenceSummary(
        sequences=len(traces),
        frames=len(present),
        absent_frames=int(np.count_nonzero(~present)),
        auroc=auroc(confidence, present),
        mean_auroc=float(each.mean()) if len(each) else math.nan,
        threshold=threshold,
        rates=error_rates(confidence, present, threshold),
        notice=joined([notice_delays(trace, threshold) for trace in traces]),
        recover=joined([recover_delays(trace, threshold) for trace in traces]),
        risk_area=float(risk_coverage(confidence, losses).mean()) if len(losses) else math.nan,
    )


def _overlaps(overlaps: ArrayLike, present: Flags) -> Floats:
    values = np.asarray(overlaps, np.float64)
    if values.shape != present.shape:
        raise DataError(f"Overlaps of shape {values.shape} for {len(present)} frames; expected one a frame.")
    values = np.where(np.isnan(values), 0.0, values)
    if (bad := (values < 0) | (values > 1)).any():
        frame = int(bad.argmax())
        raise DataError(f"The overlap of frame {frame} is {values[frame]:g}; expected a share in [0, 1], or NaN for no box.")
    return values
