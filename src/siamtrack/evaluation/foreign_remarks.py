"""What whoever compares scores should know of the files of others: what was cut, odd first pixels, bad boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from siamtrack.datasets.benchmark import BenchmarkSequence, counted
from siamtrack.datasets.benchmark_folders import some
from siamtrack.evaluation.trajectory import Trajectory

_ONE_PIXEL = ((1.0, 1.0, 0.0, 0.0), (-1.0, -1.0, 0.0, 0.0))
_WRITTEN_TO = 1e-3  # pixels; files have three decimals or more where they have any


def remarks_on(
    tracker: str,
    sequences: Sequence[BenchmarkSequence],
    found: Mapping[str, Sequence[Trajectory]],
    fitting: Mapping[str, Sequence[Trajectory]],
) -> list[str]:
    """A line for each thing worth knowing.

    Args:
        tracker: its name.
        sequences: that there are results of.
        found: runs as the files have them, by sequence.
        fitting: the same as they are scored.
    """
    remarks = []
    if cut := [name for name, runs in fitting.items() if len(runs[0]) < len(found[name][0])]:
        remarks.append(
            f"{tracker}: longer than the truth and cut to the frames that the benchmark's toolkit scores: {some(cut)}."
        )
    beside = [s.name for s in sequences if _one_pixel_off(fitting[s.name][0], s)]
    if 2 * len(beside) > len(sequences):
        remarks.append(
            f"{tracker}: the first box lies exactly one pixel beside the true one in {len(beside)} of {len(sequences)} "
            f"sequences ({some(beside)}): these files seem to count pixels from another first one. Say which it is."
        )
    bad = {name: np.sum([_bad_boxes(run) for run in runs], 0) for name, runs in fitting.items()}
    for i, what in enumerate(("NaN", "an infinite number", "a width or height of 0 or less")):
        if total := sum(int(counts[i]) for counts in bad.values()):
            names = [name for name, counts in bad.items() if counts[i]]
            boxes = counted(total, "box")
            remarks.append(f"{tracker}: {boxes} with {what}, in {some(names)}; the preset says what that counts as.")
    return remarks


def _one_pixel_off(run: Trajectory, sequence: BenchmarkSequence) -> bool:
    first = run.regions[0]
    if len(first) != 4 or run.first:
        return False
    beside = np.asarray(first) - sequence.boxes[0]
    return any(bool((np.abs(beside - shift) < _WRITTEN_TO).all()) for shift in _ONE_PIXEL)


def _bad_boxes(run: Trajectory) -> tuple[int, int, int]:
    """How many hold NaN, how many infinity, and how many have no size."""
    if set(map(len, run.regions)) != {4} or run.masks:
        masks = run.masks or [None] * len(run)
        boxes_alone = [r if len(r) == 4 and m is None else np.ones(4) for r, m in zip(run.regions, masks, strict=True)]
        run = replace(run, regions=boxes_alone, masks=())
    boxes = run.boxes
    faults = np.isnan(boxes).any(1), np.isinf(boxes).any(1), (boxes[:, 2:] <= 0).any(1)
    return int(faults[0].sum()), int(faults[1].sum()), int(faults[2].sum())
