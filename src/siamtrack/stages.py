"""Where the time of the tracking loop goes: each stage of each frame, several trackers in turn in one run."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import Any

from siamtrack.box import Box
from siamtrack.frames import Frame

STAGES = ("read", "crop", "network", "decide")
WARM_UP = 3  # frames after the first that are not counted
UNTIMED = 1 + WARM_UP


@dataclass
class Timing:
    """Milliseconds a frame, all targets together."""

    stages: dict[str, list[float]] = field(default_factory=lambda: {stage: [] for stage in STAGES})

    def median(self, stage: str) -> float:
        """Of one stage."""
        return median(self.stages[stage])

    @property
    def frames(self) -> int:
        """How many were timed."""
        return len(self.stages[STAGES[0]])

    @property
    def total(self) -> float:
        """Median of the whole loop, ms a frame."""
        return median(map(sum, zip(*self.stages.values(), strict=True)))

    @property
    def tracker(self) -> float:
        """Median of the loop without reading, ms a frame."""
        return median(map(sum, zip(*(self.stages[stage] for stage in STAGES[1:]), strict=True)))


def measure(
    trackers: Mapping[str, Any], frames: Iterable[Frame], boxes: Sequence[Box], *, one_by_one: Collection[str] = ()
) -> dict[str, Timing]:
    """Times every tracker on every frame, one after the other, so that a change of the machine's speed hits all alike.

    Args:
        trackers: by name; with a `network`.
        frames: the first one gives the templates; `UNTIMED` frames are not counted.
        boxes: of the targets in the first frame.
        one_by_one: names of trackers that follow one target after the other instead of all in one batch.
    """
    timings = {name: Timing() for name in trackers}
    groups: dict[str, list[list[Any]]] = {}
    for number, (frame, read_ms) in enumerate(_timed(frames)):
        for name, tracker in trackers.items():
            if number == 0:
                states = tracker.start(frame.image, boxes)
                groups[name] = [[state] for state in states] if name in one_by_one else [states]
                continue
            steps = [_timed_step(tracker, frame, states) for states in groups[name]]
            groups[name] = [states for states, _ in steps]
            if number > WARM_UP:
                spent = (sum(times) for times in zip(*(times for _, times in steps), strict=True))
                for stage, value in zip(STAGES, (read_ms, *spent), strict=True):
                    timings[name].stages[stage].append(value)
    return timings


def _timed(frames: Iterable[Frame]) -> Iterator[tuple[Frame, float]]:
    iterator = iter(frames)
    while True:
        began = time.perf_counter()
        frame = next(iterator, None)
        if frame is None:
            return
        yield frame, 1e3 * (time.perf_counter() - began)


def _timed_step(tracker: Any, frame: Frame, states: list[Any]) -> tuple[list[Any], tuple[float, ...]]:
    calls = _Calls(tracker.network)
    watched = copy.copy(tracker)
    watched.network = calls
    began = time.perf_counter()
    states, _ = watched.step(frame.image, states)
    marks = [began, calls.first, calls.last, time.perf_counter()]
    return states, tuple(1e3 * (b - a) for a, b in pairwise(marks))


class _Calls:
    """A network that is timed: from the first call of a step to the end of the last, whatever of it is called."""

    def __init__(self, network: Any) -> None:
        self._network = network
        self.first = self.last = math.nan

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._network, name)

        def timed(*arguments: Any) -> Any:
            began = time.perf_counter()
            answer = method(*arguments)
            self.first, self.last = began if math.isnan(self.first) else self.first, time.perf_counter()
            return answer

        return timed
