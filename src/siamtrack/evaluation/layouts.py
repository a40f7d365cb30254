"""Result files in the layouts of the benchmarks' own tools, so that those can read our results and we can read ours.

* flat      SEQ.txt, `x,y,w,h` a line: OTB, UAV123, LaSOT, TrackingNet, and PySOT's model_results for them
* numbered  SEQ/SEQ_001.txt and so on, `x,y,w,h` a line: one file a run where there are several (TRE, SRE). The OTB toolkit
            has them in MATLAB files, which nothing else reads
* got10k    the same with 3 decimals, and the seconds of all runs side by side in SEQ/SEQ_time.txt
* vot       EXPERIMENT/SEQ/SEQ_001.txt and so on, a code or `x,y,w,h` or the corners of a polygon a line. EXPERIMENT is
            baseline, realtime, unsupervised or longterm. Under "multistart" SEQ/SEQ_00000000.txt and so on, after the frame of
            the start, from 0, and a line may be a mask

Beside the boxes of a run in NAME.txt stand its scores in NAME_confidence.value and, save for got10k, its seconds in
NAME_time.value, one number a line and empty where there is none, as the VOT toolkit and PySOT name them. Boxes have 4 decimals
and the benchmark's own first pixel, 0 or 1; a missing box is NaN,NaN,NaN,NaN, in vot the code 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from siamtrack.box import Boxes
from siamtrack.datasets.benchmark import Benchmark
from siamtrack.errors import DataError
from siamtrack.evaluation.trajectory import Floats, Trajectory
from siamtrack.metrics.vot import SKIPPED, Region, regions_from_text
from siamtrack.metrics.vot_masks import PlacedMask, shapes_from_text
from siamtrack.result_layouts import four_numbers, lines_of

VOT_EXPERIMENTS = {
    "supervised": "baseline",
    "multistart": "baseline",
    "realtime": "realtime",
    "unsupervised": "unsupervised",
    "long-term": "longterm",
}
"""The toolkits' folder of each VOT protocol."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the results of a benchmark are laid out.

    Attributes:
        kind: "flat", "numbered", "got10k" or "vot"; see the module.
        first_pixel: what the files call the left or topmost pixel: 0 or 1.
        folder: that all files are in; empty: none.
        anchored: files have the frame that a run began with in their name, and not its number.
    """

    kind: Literal["flat", "numbered", "got10k", "vot"]
    first_pixel: int = 0
    folder: str = ""
    anchored: bool = False

    def file_of(self, sequence: str, run: int, first: int = 0) -> str:
        """Path of the boxes of a run, counted from 0, that began in a frame."""
        if self.kind == "flat":
            return f"{sequence}.txt"
        number = f"{first:08}" if self.anchored else f"{run + 1:03}"
        return f"{self.folder + '/' if self.folder else ''}{sequence}/{sequence}_{number}.txt"


def layout_of(benchmark: Benchmark, protocol: str) -> Layout:
    """The layout of a benchmark's official tools.

    Args:
        benchmark: whose first pixel the files have; those of VOT always count from 0.
        protocol: that the tracker was run under.
    """
    if protocol in VOT_EXPERIMENTS:
        return Layout(kind="vot", folder=VOT_EXPERIMENTS[protocol], anchored=protocol == "multistart")
    if protocol == "got10k":
        return Layout(kind="got10k", first_pixel=benchmark.first_pixel)
    return Layout(kind="numbered" if protocol in ("tre", "sre") else "flat", first_pixel=benchmark.first_pixel)


def encode(layout: Layout, sequence: str, runs: Sequence[Trajectory]) -> dict[str, str]:
    """The text of each file that the runs over a sequence make, by its path.

    Raises:
        DataError: several runs in a flat layout, or polygons or codes in one that holds boxes only.
    """
    if layout.kind == "flat" and len(runs) != 1:
        raise DataError(f"Sequence {sequence} has {len(runs)} runs; files of this layout hold one.")
    texts = {}
    for number, run in enumerate(runs):
        path = layout.file_of(sequence, number, run.first)
        stem = path.removesuffix(".txt")
        texts[path] = _regions_text(layout, run)
        texts[f"{stem}_confidence.value"] = _column(run.scores, ".6g")
        if layout.kind != "got10k":
            texts[f"{stem}_time.value"] = _column(run.seconds, ".6f")
    if layout.kind == "got10k":
        times = np.array([run.seconds for run in runs]).T
        texts[_times_of_all(layout, sequence)] = "".join(",".join(f"{v:.8f}" for v in row) + "\n" for row in times)
    return texts


def decode(layout: Layout, folder: Path, sequence: str, firsts: Sequence[int]) -> list[Trajectory]:
    """The runs over a sequence, from the files that `encode` made.

    Args:
        layout: of the files.
        folder: that their paths are in.
        sequence: its name.
        firsts: the frame that each run begins with.

    Raises:
        InputError: a file is missing, or a line of it cannot be read.
    """
    runs = []
    for number, first in enumerate(firsts):
        path = folder / layout.file_of(sequence, number, first)
        regions, masks = _shapes(layout, path)
        times, column = path.with_name(f"{path.stem}_time.value"), 0
        if layout.kind == "got10k":
            times, column = folder / _times_of_all(layout, sequence), number
        scores = _numbers(path.with_name(f"{path.stem}_confidence.value"), len(regions), 0)
        seconds = _numbers(times, len(regions), column)
        runs.append(Trajectory(regions=regions, scores=scores, seconds=seconds, first=first, masks=masks))
    return runs


def _times_of_all(layout: Layout, sequence: str) -> str:
    path = layout.file_of(sequence, 0)
    return path.removesuffix("_001.txt") + "_time.txt"


def _regions_text(layout: Layout, run: Trajectory) -> str:
    if layout.kind == "vot":
        return "".join((shape.text if isinstance(shape, PlacedMask) else _vot_line(shape)) + "\n" for shape in run.shapes)
    boxes: Boxes = run.boxes + np.array([1, 1, 0, 0]) * layout.first_pixel
    if any(len(region) != 4 for region in run.regions):
        raise DataError("A run holds codes of VOT; expected boxes x,y,w,h.")
    digits = 3 if layout.kind == "got10k" else 4
    return "".join(",".join("NaN" if math.isnan(v) else f"{v:.{digits}f}" for v in box) + "\n" for box in boxes)


def _vot_line(region: Region) -> str:
    if len(region) == 1 or np.isnan(region).any():
        return str(SKIPPED if np.isnan(region).any() else int(region[0]))
    return ",".join(f"{v:.4f}" for v in region)


def _shapes(layout: Layout, path: Path) -> tuple[list[Region], Sequence[PlacedMask | None]]:
    lines = lines_of(path)
    if layout.anchored:
        regions, masks = shapes_from_text("\n".join(lines), str(path))
        return regions, masks if any(masks) else ()
    if layout.kind == "vot":
        return regions_from_text("\n".join(lines), str(path)), ()
    shift = np.array([1.0, 1.0, 0.0, 0.0]) * layout.first_pixel
    return [np.array(four_numbers(line, path, number)) - shift for number, line in enumerate(lines, 1)], ()


def _column(values: Floats, digits: str) -> str:
    return "".join((format(v, digits) if math.isfinite(v) else "") + "\n" for v in values)


def _numbers(path: Path, count: int, column: int) -> Floats:
    """(count,) one number a line, NaN where it is empty; all NaN where there is no such file."""
    if not path.exists():
        return np.full(count, np.nan)
    lines = path.read_text(encoding="utf-8").splitlines()
    if len(lines) != count:
        raise DataError(f"'{path}' has {len(lines)} lines, the boxes beside it {count}; expected as many.")
    values = np.full(count, np.nan)
    for number, line in enumerate(lines):
        try:
            values[number] = float(line.split(",")[column]) if line.strip() else math.nan
        except (ValueError, IndexError):
            raise DataError(
                f"{path}, line {number + 1}: found '{line[:60]}', expected a number in column {column + 1}."
            ) from None
    return values
