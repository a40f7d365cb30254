"""Small benchmarks and trackers that do as they are told, for tests of evaluation; importable in worker processes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from siamtrack.box import ABSENT, Box
from siamtrack.datasets.benchmark import Benchmark, BenchmarkSequence
from siamtrack.evaluation.protocols import runs
from siamtrack.evaluation.protocols_following import ProtocolSettings
from siamtrack.evaluation.trajectory import Trajectory
from siamtrack.image import Image
from siamtrack.tracking import Prediction

WIDTH, HEIGHT = 64, 48
FAR = Box(1, 1, 3, 3)  # no overlap with any true box


def truth(count: int) -> np.ndarray:
    """(N, 4) a box that wanders; its first pixel is 20, 15."""
    steps = np.arange(count)
    return np.stack([20 + steps % 7, 15 + steps % 5, np.full(count, 12), np.full(count, 10)], 1).astype(float)


def frames(folder: Path, count: int) -> list[Path]:
    """PNG files whose pixels hold the number of the frame, so that a tracker can know where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:04}.png" for number in range(1, count + 1)]
    for number, path in enumerate(paths):
        assert cv2.imwrite(str(path), np.full((HEIGHT, WIDTH, 3), number, np.uint8))
    return paths


def sequence(folder: Path, name: str = "a", count: int = 30, regions: Any = None) -> BenchmarkSequence:
    """A sequence with pictures in FOLDER/NAME."""
    regions = truth(count) if regions is None else regions
    return BenchmarkSequence(name=name, regions=list(regions), frames=frames(folder / name, len(regions)))


def benchmark(*protocols: str, name: str = "otb-small") -> Benchmark:
    """A description without a reader."""
    return Benchmark(
        name=name,
        title="Small",
        citation="nobody, nowhere",
        length=3,
        protocols=protocols or ("ope", "tre", "sre"),
        preset="otb-matlab",
        first_pixel=1,
        read=lambda root, names: [],
    )


class Scripted:
    """Knows the truth, and says elsewhere in the frames of a script.

    Args:
        lost: frames in which it says FAR.
        nothing: frames in which it says NaN.
        wobble: added to x in each run after the first, so that runs differ.
        says: what it says in other frames.
    """

    def __init__(
        self,
        lost: Sequence[int] = (),
        nothing: Sequence[int] = (),
        wobble: float = 0,
        says: Mapping[int, Box] | None = None,
    ) -> None:
        self.script = dict.fromkeys(lost, FAR) | dict.fromkeys(nothing, ABSENT) | dict(says or {})
        self.wobble = wobble
        self.started: list[tuple[int, Box]] = []
        self.seen: list[int] = []

    def start(self, frame: Image, boxes: Sequence[Box]) -> list[int]:
        self.started.append((int(frame[0, 0, 0]), boxes[0]))
        self.seen.append(int(frame[0, 0, 0]))
        return [len(self.started)]

    def step(self, frame: Image, states: Sequence[int]) -> tuple[list[int], list[Prediction]]:
        number = int(frame[0, 0, 0])
        self.seen.append(number)
        box = Box(*map(float, truth(256)[number]))
        box = box._replace(x=box.x + self.wobble * (states[0] - 1))
        return list(states), [Prediction(box=self.script.get(number, box), score=number / 8)]


class Breaking(Scripted):
    """Raises what is no error of siamtrack, in frame 7."""

    def step(self, frame: Image, states: Sequence[int]) -> tuple[list[int], list[Prediction]]:
        if int(frame[0, 0, 0]) == 7:
            raise ZeroDivisionError("seven")
        return super().step(frame, states)


class Killing(Scripted):
    """Ends its own process in frame 7."""

    def step(self, frame: Image, states: Sequence[int]) -> tuple[list[int], list[Prediction]]:
        if int(frame[0, 0, 0]) == 7:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().step(frame, states)


class Slow(Scripted):
    """Takes its time for a frame."""

    def step(self, frame: Image, states: Sequence[int]) -> tuple[list[int], list[Prediction]]:
        time.sleep(0.02)
        return super().step(frame, states)


def done(tracker: Any, of: BenchmarkSequence, protocol: str, **settings: Any) -> list[Trajectory]:
    """The runs of a protocol."""
    clock = settings.pop("clock", None)
    return list(runs(tracker, of, protocol, ProtocolSettings(**settings), **({"clock": clock} if clock else {})))
