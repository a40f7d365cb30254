"""Small benchmarks, and result files on them in the layouts in which trackers' raw results are published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from siamtrack.box import Boxes
from siamtrack.datasets.benchmark import Benchmark, BenchmarkSequence
from siamtrack.evaluation.trajectory import TrackerResults, Trajectory
from siamtrack.metrics.vot import Region

FRAMES = 6
ONE = np.array([1, 1, 0, 0])


def benchmark(
    name: str = "otb100", *, protocols: tuple[str, ...] = ("ope",), preset: str = "otb-matlab", first_pixel: int = 1
) -> Benchmark:
    return Benchmark(
        name=name,
        title=name.upper(),
        citation="nobody",
        length=2,
        protocols=protocols,
        preset=preset,
        first_pixel=first_pixel,
        read=lambda root, names: [],
    )


def walk(frames: int = FRAMES, start: float = 10, step: float = 2) -> Boxes:
    """(N, 4) a box of 20 x 10 that moves to the right, 0-based."""
    return np.array([[start + step * i, 30, 20, 10] for i in range(frames)], float)


def sequence(name: str, truth: Sequence[Region] | None = None, **more: object) -> BenchmarkSequence:
    return BenchmarkSequence(name=name, regions=walk() if truth is None else truth, **{"size": (200, 100)} | more)  # type: ignore[arg-type]


def run(regions: Sequence[Region], *, first: int = 0, scores: Sequence[float] | None = None) -> Trajectory:
    unknown = np.full(len(regions), np.nan)
    return Trajectory(
        regions=list(regions), scores=unknown if scores is None else np.array(scores, float), seconds=unknown, first=first
    )


def results(runs: Mapping[str, Sequence[Trajectory]], *, protocol: str = "ope", benchmark: str = "otb100") -> TrackerResults:
    return TrackerResults(tracker="mine", benchmark=benchmark, protocol=protocol, runs=runs)


def write_boxes(path: Path, boxes: Boxes, *, first_pixel: int = 1, separator: str = ",") -> Path:
    """As most trackers write them."""
    return write_lines(path, [separator.join(f"{v:.4f}" for v in box) for box in boxes + ONE * first_pixel])


def write_lines(path: Path, lines: Sequence[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines))
    return path
