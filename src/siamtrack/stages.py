"""Where the time of the tracking loop goes: each stage of each frame, several trackers in turn in one run."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np

from siamtrack.box import Box
from siamtrack.frames import Frame

STAGES = ("read", "crop", "network", "decide")


@dataclass
class Timing:
    """Milliseconds a frame, all targets together."""

    stages: dict[str, list[float]] = field(default_factory=lambda: {stage: [] for stage in STAGES})

    def median(self, stage: str) -> float:
        """Of one stage."""
        return median(self.stages[stage])

    @property
    def total(self) -> float:
        """Median of the whole loop, ms a frame."""
        return median(map(sum, zip(*self.stages.values(), strict=True)))


def measure(trackers: Mapping[str, Any], frames: Iterable[Frame], boxes: list[Box], *, warm_up: int = 3) -> dict[str, Timing]:
    """Times every tracker on every frame, one after the other, so that a change of the machine's speed hits all alike.

    Args:
        trackers: by name; with `start`, `look`, `network.match` and `decide`.
        frames: the first one gives the templates.
        boxes: of the targets in the first frame.
        warm_up: frames after the first that are not counted.
    """
    timings = {name: Timing() for name in trackers}
    states: dict[str, list[Any]] = {}
    for number, (frame, read_ms) in enumerate(_timed(frames)):
        for name, tracker in trackers.items():
            if number == 0:
                states[name] = tracker.start(frame.image, boxes)
                continue
            states[name], times = _timed_step(tracker, frame, states[name])
            if number > warm_up:
                for stage, value in zip(STAGES, (read_ms, *times), strict=True):
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
    marks = [time.perf_counter()]
    patches = tracker.look(frame.image, states)
    marks.append(time.perf_counter())
    responses = tracker.network.match(np.stack([state.template for state in states]), patches)
    marks.append(time.perf_counter())
    states, _ = tracker.decide(frame.image, states, responses)
    marks.append(time.perf_counter())
    return states, tuple(1e3 * (b - a) for a, b in zip(marks, marks[1:], strict=False))
