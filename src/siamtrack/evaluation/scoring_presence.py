"""How well a tracker's scores tell that the target is gone, where both the scores and the truth about it are there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from siamtrack.box import iou
from siamtrack.datasets.benchmark import BenchmarkSequence
from siamtrack.evaluation.trajectory import Floats, TrackerResults, Trajectory
from siamtrack.metrics.presence import best_threshold
from siamtrack.metrics.presence_sequences import PresenceSummary, PresenceTrace, summarise


def presence_of(results: TrackerResults, sequences: Sequence[BenchmarkSequence]) -> PresenceSummary | None:
    """Presence over the sequences; None where a run has no scores, or the target is never, or always, absent.

    The first frame, in which the tracker is told where the target is, does not count, and only the first run of each
    sequence does. What needs a threshold is measured at the one that is best on these very frames: a bound on what a
    threshold that is chosen elsewhere can reach. AUROC needs none.
    """
    if results.protocol in ("supervised", "realtime", "multistart", "tre", "sre"):
        return None  # restarts and shifted starts break the story of a target that leaves and comes back
    runs = [(results.runs[sequence.name][0], sequence) for sequence in sequences]
    if any(np.isnan(run.scores[1:]).all() for run, _ in runs if len(run) > 1):
        return None
    judged = not any(len(region) > 4 for run, _ in runs for region in run.regions)
    traces = [_trace(run, sequence, judged=judged) for run, sequence in runs if len(run) > 1]
    there = np.concatenate([trace.present for trace in traces])
    if there.all() or not there.any():
        return None
    confidence = np.concatenate([trace.confidence for trace in traces])
    return summarise(traces, threshold=best_threshold(confidence, there))


def present(sequence: BenchmarkSequence) -> NDArray[np.bool_]:
    """(N,) whether the target is there: it has a true region, and is not flagged as absent."""
    has_region = ~np.isnan(sequence.boxes).any(1)
    return np.asarray(has_region if sequence.absent is None else has_region & ~sequence.absent)


def _trace(run: Trajectory, sequence: BenchmarkSequence, *, judged: bool) -> PresenceTrace:
    """Without overlaps if boxes are not judged: where the tracker answers with polygons only its scores are."""
    overlaps = _overlaps(run, sequence) if judged else None
    return PresenceTrace(confidence=run.scores[1:], present=present(sequence)[1:], overlaps=overlaps)


def _overlaps(run: Trajectory, sequence: BenchmarkSequence) -> Floats:
    with np.errstate(invalid="ignore"):
        return np.nan_to_num(iou(run.boxes, sequence.boxes))[1:]
