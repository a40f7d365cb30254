"""Supervised VOT results, 2015 to 2019 (Kristan et al., ICCV 2015 and 2019 workshops): runs, and their overlap with the truth.

A supervised run restarts the tracker after each failure. Its result file has one line a frame: `1` where the tracker was
started, `2` where it failed (no overlap left), `0` on the frames skipped until the restart, else a region. The tools that
score such files disagree in details: see `siamtrack.metrics.vot_presets`. What is made of the overlaps is in `vot_accuracy`
and `vot_eao`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siamtrack.errors import DataError
from siamtrack.metrics.vot_presets import Bounds, BoxCorners, VOTPreset
from siamtrack.polygon import OverlapRule, Polygon, polygon_overlaps

Region = NDArray[np.float64]
"""One frame's entry: (1,) a code; (4,) a box x, y, w, h; (6,), (8,), ... corners x1, y1, x2, y2, ... of a polygon."""

Floats = NDArray[np.float64]

SKIPPED, START, FAILURE = 0, 1, 2
"""The codes."""
_FARTHEST = 1 << 31  # pixels; what lies further away lies there


def regions_from_text(text: str, where: str) -> list[Region]:
    """The frames of a VOT trajectory or ground truth, one a line.

    Args:
        text: the file's content; numbers separated by commas or blanks.
        where: its name, for error messages.

    Raises:
        DataError: a line is no code, box or polygon, with its number.
    """
    lines = text.rstrip().splitlines()
    regions = []
    for number, line in enumerate(lines, 1):
        try:
            region = np.array([float(cell) for cell in re.split(r"[,\s]+", line.strip().rstrip(","))])
        except ValueError:
            region = np.empty(0)
        if not (len(region) == 1 and region[0] in (SKIPPED, START, FAILURE)) and (len(region) < 4 or len(region) % 2):
            shown = line if len(line) <= 60 else line[:57] + "..."
            raise DataError(f"{where}, line {number}: found '{shown}', expected 0, 1, 2, x,y,w,h or the corners of a polygon.")
        regions.append(region)
    return regions


@dataclass(frozen=True, kw_only=True, eq=False)
class SupervisedSequence:
    """One sequence and what a tracker did on it.

    Attributes:
        name: of the sequence.
        truth: the true region of each of N frames; (1,) or NaN where there is none.
        width: of the images, pixels.
        height: of the images, pixels.
        runs: the repetitions, each with N frames.
        tags: which frames have an attribute, (N,) of 0 and 1, by name.
        practical: (N,) overlap differences below which two results are the same in practice; None: not known.

    Raises:
        DataError: no runs; lengths that differ; a run that does not begin with a start (code 1).
    """

    name: str
    truth: Sequence[Region]
    width: int
    height: int
    runs: Sequence[Sequence[Region]]
    tags: Mapping[str, ArrayLike] = field(default_factory=dict)
    practical: ArrayLike | None = None

    def __post_init__(self) -> None:
        frames = len(self.truth)
        if not self.runs or not frames:
            raise DataError(
                f"Sequence {self.name} has {frames} frames and {len(self.runs)} runs; expected one or more of both."
            )
        for number, run in enumerate(self.runs, 1):
            if len(run) != frames:
                raise DataError(f"Run {number} of sequence {self.name} has {len(run)} frames, its ground truth {frames}.")
            if code_of(run[0]) != START:
                raise DataError(
                    f"Run {number} of sequence {self.name} begins with {np.asarray(run[0]).tolist()}; expected the code 1 of "
                    "a start, as in the result files of the VOT toolkits."
                )
        marks = dict(self.tags) | ({} if self.practical is None else {"practical": self.practical})
        for name, values in marks.items():
            if np.shape(values) != (frames,):
                raise DataError(f"'{name}' of sequence {self.name} has shape {np.shape(values)}; expected ({frames},).")

    def tag(self, name: str) -> Floats:
        """(N,) 1 on the frames with that attribute; "all" is on every frame, a tag that the sequence lacks on none."""
        if name == "all":
            return np.ones(len(self.truth))
        return np.asarray(self.tags.get(name, np.zeros(len(self.truth))), np.float64)


def code_of(region: ArrayLike) -> int | None:
    """The code in a frame of a run; None where it is a region."""
    values = np.asarray(region)
    return int(values[0]) if values.shape == (1,) else None


def frames_with(run: Sequence[Region], code: int) -> list[int]:
    """Indices of the frames that hold a code."""
    return [i for i, region in enumerate(run) if len(region) == 1 and region[0] == code]


def region_overlaps(
    run: Sequence[Region],
    truth: Sequence[Region],
    *,
    size: tuple[int, int],
    rule: OverlapRule = "exact",
    corners: BoxCorners = "continuous",
    bounds: Bounds = "none",
) -> Floats:
    """Overlap with the truth in each frame.

    Args:
        run: N frames of a run.
        truth: N true regions.
        size: width and height of the images, pixels.
        rule: how overlap is measured (`siamtrack.polygon`).
        corners: how boxes become polygons (`siamtrack.metrics.vot_presets`).
        bounds: where the overlap is cut off (the same).

    Returns:
        (N,), in [0, 1]; NaN where either holds a code or a NaN.
    """
    compared = [i for i, pair in enumerate(zip(run, truth, strict=True)) if min(map(len, pair)) > 1]
    less = 1 if bounds == "last pixel" else 0
    overlaps = np.full(len(run), np.nan)
    overlaps[compared] = polygon_overlaps(
        polygons_of([run[i] for i in compared], corners),
        polygons_of([truth[i] for i in compared], corners),
        rule=rule,
        bounds=None if bounds == "none" else (size[0] - less, size[1] - less),
    )
    for i in compared if corners == "rounded" else ():
        if rounds_to_nothing(run[i]) or rounds_to_nothing(truth[i]):
            overlaps[i] = _beside_nothing(run[i], truth[i])
    return overlaps


def rounds_to_nothing(region: Region) -> bool:
    """Whether the toolkit in Python paints nothing of a box: it rounds its size to 0 or less."""
    return len(region) == 4 and bool((np.rint(region[2:]) <= 0).any())


def rounded_ends(region: Region) -> NDArray[np.int64]:
    """(4,) the first column and row, and the last, as the toolkit in Python takes them; of a box or polygon, without NaN."""
    whole = np.rint(np.clip(region, -_FARTHEST, _FARTHEST)).astype(np.int64)
    if len(region) == 4:
        return np.concatenate([whole[:2], whole[:2] + whole[2:] - 1])
    return np.concatenate([whole.reshape(-1, 2).min(0), whole.reshape(-1, 2).max(0)])


def _beside_nothing(one: Region, other: Region) -> float:
    """Overlap where a box has no pixels: none, but for the toolkit's rule that what has no extent is the same."""
    if np.isnan(one).any() or np.isnan(other).any():
        return math.nan
    ends = np.array([rounded_ends(one), rounded_ends(other)])
    return float((ends[:, :2].min(0) >= ends[:, 2:].max(0)).any())


def polygons_of(regions: Sequence[Region], corners: BoxCorners) -> list[Polygon]:
    """Boxes and polygons as corners, (V, 2) each."""
    boxes = [i for i, region in enumerate(regions) if len(region) == 4]
    values = np.array([regions[i] for i in boxes], np.float64).reshape(-1, 4)
    if corners == "rounded":
        values = np.rint(values)
    # an inclusive box of less than a pixel turns over; the tools let it, and count the pixels of what comes out
    sizes = values[:, 2:] if corners == "continuous" else values[:, 2:] - 1
    left, top, right, bottom = (*values[:, :2].T, *(values[:, :2] + sizes).T)
    upright = np.stack([left, top, right, top, right, bottom, left, bottom], 1)
    all_of_them = list(regions)
    for i, points in zip(boxes, upright, strict=True):
        all_of_them[i] = points
    return [np.asarray(points, np.float64).reshape(-1, 2) for points in all_of_them]


def runs_of(sequence: SupervisedSequence, preset: VOTPreset) -> Sequence[Sequence[Region]]:
    """The runs that the tool looks at."""
    all_of_them = preset.repetitions == "all" or len(sequence.runs) == 15
    return sequence.runs if all_of_them else sequence.runs[:1]


def run_overlaps(sequence: SupervisedSequence, preset: VOTPreset, bounds: Bounds, *, inside: Floats | None = None) -> Floats:
    """(R, N) overlaps of the runs that the tool looks at, as it measures them.

    Args:
        sequence: with its runs.
        preset: the tool to follow.
        bounds: where the overlap is cut off.
        inside: (R, N) the same for the bounds "last pixel": frames with nothing beyond that are not measured again.
    """
    overlaps = []
    for number, run in enumerate(runs_of(sequence, preset)):
        known = np.full(len(run), np.nan) if inside is None else inside[number].copy()
        again = [i for i in range(len(run)) if inside is None or _reaches_border(run[i], sequence.truth[i], sequence)]
        known[again] = region_overlaps(
            [run[i] for i in again],
            [sequence.truth[i] for i in again],
            size=(sequence.width, sequence.height),
            rule=preset.rule,
            corners=preset.box_corners,
            bounds=bounds,
        )
        overlaps.append(known)
    return np.stack(overlaps)


def _reaches_border(region: Region, truth: Region, sequence: SupervisedSequence) -> bool:
    """Whether a part of one of them may lie beyond the last pixel; a pixel more is allowed for rounding."""
    for one in (region.tolist(), truth.tolist()):  # numpy takes long for single numbers
        right, bottom = (one[0] + one[2], one[1] + one[3]) if len(one) == 4 else (max(one[0::2]), max(one[-1::-2]))
        if right > sequence.width - 2 or bottom > sequence.height - 2:
            return True
    return False
