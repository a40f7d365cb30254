"""Timing of the loop by stages, with a tracker that only counts."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from siamtrack.box import Box
from siamtrack.frames import Frame
from siamtrack.stages import STAGES, UNTIMED, measure

BOXES = [Box(1, 1, 4, 4)] * 3


class Counter:
    """Notes how many targets each network call was for."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.network: Any = SimpleNamespace(match=self.match)

    def start(self, frame: Any, boxes: list[Box]) -> list[Any]:
        return [SimpleNamespace(frames=0) for _ in boxes]

    def match(self, templates: Any, patches: Any) -> Any:
        assert len(templates) == len(patches)
        self.batches.append(len(patches))
        return patches

    def step(self, frame: Any, states: list[Any]) -> tuple[list[Any], list[Any]]:
        self.network.match(np.zeros((len(states), 1)), np.zeros((len(states), 1)))
        return [SimpleNamespace(frames=state.frames + 1) for state in states], []


def frames(count: int) -> Iterator[Frame]:
    for index in range(count):
        yield Frame(index=index, time=0.0, image=np.zeros((8, 8, 3), np.uint8))


def test_together_and_one_by_one() -> None:
    together, single = Counter(), Counter()
    timings = measure({"a": together, "b": single}, frames(UNTIMED + 2), BOXES, one_by_one=["b"])
    steps = UNTIMED + 1
    assert together.batches == [3] * steps
    assert single.batches == [1] * 3 * steps
    for timing in timings.values():
        assert timing.frames == 2
        assert all(len(timing.stages[stage]) == 2 for stage in STAGES)
        assert timing.total >= timing.tracker > 0
    assert timings["a"].stages["read"] == timings["b"].stages["read"], "the frames are read once for all"


@pytest.mark.parametrize("count", [0, 1, UNTIMED])
def test_too_few_frames_give_no_times(count: int) -> None:
    assert measure({"a": Counter()}, frames(count), BOXES)["a"].frames == 0
