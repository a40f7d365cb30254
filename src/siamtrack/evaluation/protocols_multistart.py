"""VOT's short-term protocol since 2020: a tracker starts in every anchor, and is not helped after it (Kristan et al., VOT2020).

Rules as in github.com/votchallenge/toolkit (vot/experiment/multistart.py). From an anchor the tracker goes to one end of the
sequence, forwards or backwards, as the anchor says. A tracker that gives masks answers with them where the truth is masks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from siamtrack.datasets.benchmark import BenchmarkSequence
from siamtrack.errors import DataError
from siamtrack.evaluation.protocols_following import Follower, ProtocolSettings, start_box, trajectory
from siamtrack.evaluation.trajectory import Trajectory
from siamtrack.metrics.vot import START

MULTISTART = "multistart"


def anchors_of(sequence: BenchmarkSequence) -> list[int]:
    """The frames in which a tracker is started, those that it goes forwards from first.

    Raises:
        DataError: there are none.
    """
    values = np.zeros(0) if sequence.anchors is None else sequence.anchors
    found = [*np.flatnonzero(values > 0).tolist(), *np.flatnonzero(values < 0).tolist()]
    if not found:
        raise DataError(
            f"Sequence {sequence.name} has no anchors; expected anchor.value beside its groundtruth.txt, a number a frame, "
            "with 1 or -1 where a tracker is to start. Archives of VOT2020 to VOT2022 have it."
        )
    return found


def frames_from(sequence: BenchmarkSequence, anchor: int) -> range:
    """The frames of the run from an anchor, in the order in which the tracker sees them."""
    forwards = sequence.anchors is not None and sequence.anchors[anchor] > 0
    return range(anchor, len(sequence)) if forwards else range(anchor, -1, -1)


def multistart(follower: Follower, sequence: BenchmarkSequence, settings: ProtocolSettings) -> Iterator[Trajectory]:
    """The runs from all anchors; the first frame of each holds the code of a start.

    Raises:
        DataError: the sequence has no anchors, or no true region in one; see also `Follower`.
    """
    for anchor in anchors_of(sequence):
        _, *others = frames_from(sequence, anchor)
        answers = [follower.start(anchor, start_box(sequence, anchor, settings.start_box))]
        answers += [follower.step(frame) for frame in others]
        run = trajectory(answers, first=anchor)
        yield replace(run, regions=[np.array([float(START)]), *run.regions[1:]])
