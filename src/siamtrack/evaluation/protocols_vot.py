"""The VOT short-term protocols of 2013 to 2019: the tracker is started again after each failure (Kristan et al.).

Rules as in github.com/votchallenge/toolkit (vot/experiment/multirun.py, vot/tracker/__init__.py), which has them from the
MATLAB toolkit. What counts as a failure depends on how overlap is measured: `siamtrack.metrics.vot_presets`.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from siamtrack.box import Box
from siamtrack.datasets.benchmark import BenchmarkSequence
from siamtrack.evaluation.protocols_following import Answer, Follower, ProtocolSettings, start_box, trajectory
from siamtrack.evaluation.trajectory import Trajectory
from siamtrack.metrics.vot import FAILURE, SKIPPED, START, Region, region_overlaps
from siamtrack.metrics.vot_presets import VOTPreset

_NAN = float("nan")


class Following(Protocol):
    """What `Follower` and `RealTime` have in common."""

    def start(self, frame: int, box: Box) -> Answer:
        """Takes the target from a frame."""

    def step(self, frame: int) -> Answer:
        """Where the target is in a frame."""


class RealTime:
    """A follower that a camera does not wait for.

    An answer that takes longer than a frame is late. After each start the first few late answers are forgiven; from then on
    the frames that pass meanwhile get the last answer, without the tracker seeing them. What is left of a frame's time when
    the tracker is ready is given to it for nothing: it takes the picture that is there at once.

    Args:
        follower: the tracker.
        interval: between two pictures of the camera, seconds.
        grace: how many late answers are forgiven after each start.
    """

    def __init__(self, follower: Follower, *, interval: float, grace: int) -> None:
        self._follower, self._interval, self._grace = follower, interval, grace
        self._forgiven = 0
        self._behind = 0.0  # seconds that the tracker still computes when the next picture comes
        self._last = Answer(np.full(4, _NAN), _NAN, 0.0)

    def start(self, frame: int, box: Box) -> Answer:
        """See `Follower.start`."""
        self._forgiven = 0
        return self._timed(self._follower.start(frame, box))

    def step(self, frame: int) -> Answer:
        """See `Follower.step`; a frame that the tracker misses takes 0 seconds."""
        if self._behind > self._interval:
            self._behind -= self._interval
            return self._last._replace(seconds=0.0)
        return self._timed(self._follower.step(frame))

    def _timed(self, answer: Answer) -> Answer:
        late = answer.seconds > self._interval
        forgiven = late and self._forgiven < self._grace
        self._forgiven += forgiven
        self._behind = answer.seconds - self._interval if late and not forgiven else 0.0
        self._last = answer
        return answer


def supervised(follower: Following, sequence: BenchmarkSequence, settings: ProtocolSettings) -> Trajectory:
    """The run that starts the tracker again after each failure.

    A frame holds code 1 where the tracker was started, 2 where it has no overlap with the truth (or gives no region), 0 in
    those skipped until the next start; a start that would be after the last frame is left out. Frames without truth cannot
    fail.

    Raises:
        DataError: no true region where the tracker has to be started; see also `Follower`.
    """
    answers = [_coded(SKIPPED, Answer(np.empty(0), _NAN, _NAN))] * len(sequence)
    begin = 0
    while begin < len(sequence):
        answers[begin] = _coded(START, follower.start(begin, start_box(sequence, begin, settings.start_box)))
        failure = len(sequence)
        for frame in range(begin + 1, len(sequence)):
            answers[frame] = follower.step(frame)
            if is_failure(answers[frame].region, sequence, frame, settings.vot):
                answers[frame] = _coded(FAILURE, answers[frame])
                failure = frame
                break
        begin = failure + settings.vot.restart_after
    return trajectory(answers)


def is_failure(region: Region, sequence: BenchmarkSequence, frame: int, preset: VOTPreset) -> bool:
    """Whether a region has no overlap with the truth, as the preset measures it; NaN has none."""
    truth = sequence.regions[frame]
    if len(truth) < 4 or np.isnan(truth).any():
        return False
    overlaps = region_overlaps(
        [region], [truth], size=sequence.image_size, rule=preset.rule, corners=preset.box_corners, bounds=preset.eao_bounds
    )
    return not overlaps[0] > 0


def _coded(code: int, answer: Answer) -> Answer:
    return answer._replace(region=np.array([float(code)]))
