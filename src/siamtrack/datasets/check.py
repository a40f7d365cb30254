"""What is wrong with the annotation and the frames of a clip: `siamtrack data check`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from siamtrack.datasets.clips import Target
from siamtrack.datasets.crops import croppable

REPEATED = 25  # annotated frames in a row with exactly the same box: an annotation that was left standing, or a still object
BINS = 8  # of the distribution of target sizes, per doubling

UNREADABLE, UNREADABLE_ANNOTATION, DAMAGED = "unreadable frame", "unreadable annotation", "damaged crops"
PARTLY_NAN, NO_AREA, TOO_LARGE, OUTSIDE = "box partly NaN", "box without area", "box far too large", "box outside the image"
OTHER_SIZE, REPEATED_BOX, SAME_BOX = "frame size not as annotated", "box repeated exactly", "two targets with one box"
NO_TARGETS, SHORT = "clip without targets", "target in fewer than two frames"

FAULTS = (UNREADABLE_ANNOTATION, UNREADABLE, DAMAGED, PARTLY_NAN, NO_AREA, TOO_LARGE, OUTSIDE)
"""Kinds of findings that make data unusable where they are found."""

REMARKS = (OTHER_SIZE, REPEATED_BOX, SAME_BOX, NO_TARGETS, SHORT)
"""Kinds of findings that may be right."""

Sizes = Mapping[int, tuple[int, int]]
"""(width, height) of frames in pixels, by position."""


class Finding(NamedTuple):
    """Something that is wrong, or looks like it."""

    kind: str  # one of FAULTS or REMARKS
    target: str  # its name, or empty
    frame: int | None  # position in the clip
    detail: str


@dataclass(kw_only=True)
class ClipReport:
    """What was found in a clip."""

    clip: str
    frames: int = 0  # of the clip
    annotated: int = 0  # frames that say something about a target
    read: int = 0  # frames that were decoded
    targets: int = 0
    boxes: int = 0  # rows with a target, usable or not
    absent: int = 0  # rows that say that the target is not in view
    partly_outside: int = 0  # boxes
    frame_sizes: dict[str, int] = field(default_factory=dict)  # frames by "WIDTHxHEIGHT"
    sides: dict[str, int] = field(default_factory=dict)  # boxes by round(BINS * log2(sqrt(w * h)))
    smallest: float | None = None  # sqrt(w * h) of the usable boxes, pixels
    largest: float | None = None
    findings: list[Finding] = field(default_factory=list)
    samples: list[str] = field(default_factory=list)  # captions of the sample crops

    def as_json(self) -> dict[str, Any]:
        """For a line of JSON."""
        return asdict(self) | {"findings": [list(finding) for finding in self.findings]}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> ClipReport:
        """What `as_json` gave."""
        return cls(**values | {"findings": [Finding(*finding) for finding in values["findings"]]})


def examine(
    clip: str, targets: Sequence[Target], *, frames: int, sizes: Sizes, annotated_size: tuple[int, int] | None
) -> ClipReport:
    """What can be said of a clip without its pixels.

    Args:
        clip: its name.
        targets: its annotation.
        frames: how many it has.
        sizes: of the frames that were decoded.
        annotated_size: (width, height) of the frames where the annotation says it.
    """
    size = annotated_size or next(iter(sizes.values()), None)
    positions = sorted({int(position) for target in targets for position in target.positions})
    report = ClipReport(clip=clip, frames=frames, annotated=len(positions), read=len(sizes), targets=len(targets))
    report.frame_sizes = dict(Counter(f"{width}x{height}" for width, height in sizes.values()))
    other = [at for at in sorted(sizes) if annotated_size and sizes[at] != annotated_size]
    if other and annotated_size:
        found, said = ("{}x{}".format(*pair) for pair in (sizes[other[0]], annotated_size))
        report.findings.append(Finding(OTHER_SIZE, "", other[0], f"{found}, annotated {said}; {len(other)} frames"))
    if not targets:
        report.findings.append(Finding(NO_TARGETS, "", None, ""))
    for target in targets:
        _examine_target(report, target, sizes, size)
    report.findings += _same_boxes(targets)
    return report


def _examine_target(report: ClipReport, target: Target, sizes: Sizes, size: tuple[int, int] | None) -> None:
    absent = np.isnan(target.boxes).all(axis=1)
    usable = croppable(target.boxes)
    report.absent += int(absent.sum())
    report.boxes += int((~absent).sum())
    for row in np.flatnonzero(~absent & ~usable).tolist():
        report.findings.append(_finding(_fault(target.boxes[row]), target, row))
    sides = np.sqrt(target.boxes[usable, 2] * target.boxes[usable, 3])
    if len(sides):
        report.smallest = min(float(sides.min()), report.smallest or np.inf)
        report.largest = max(float(sides.max()), report.largest or 0.0)
        bins = Counter(map(str, np.rint(BINS * np.log2(sides)).astype(int))) + Counter(report.sides)
        report.sides = dict(bins)
    if report.frames > 1 and int(usable.sum()) < 2:
        report.findings.append(Finding(SHORT, target.name, None, f"{int(usable.sum())} usable boxes"))
    if size is not None:
        limits = np.array([sizes.get(int(position), size) for position in target.positions], np.float64).reshape(-1, 2)
        _examine_place(report, target, usable, limits)
    report.findings += _repeated(target, usable)


def _examine_place(report: ClipReport, target: Target, usable: NDArray[np.bool_], limits: NDArray[np.float64]) -> None:
    """Where boxes lie in their frames, of these sizes (K, 2)."""
    start, extent = target.boxes[:, :2], target.boxes[:, 2:]
    with np.errstate(invalid="ignore"):  # infinite boxes, which are not usable
        end = start + extent
        outside = usable & ((start >= limits) | (end <= 0)).any(axis=1)
        too_large = usable & (extent > 2 * limits).any(axis=1)
        beyond = usable & ((start < 0) | (end > limits)).any(axis=1)
    report.partly_outside += int((beyond & ~outside & ~too_large).sum())
    for kind, rows in ((OUTSIDE, outside), (TOO_LARGE, too_large & ~outside)):
        for row in np.flatnonzero(rows).tolist():
            width, height = limits[row]
            report.findings.append(_finding(kind, target, row, f"; the frame has {width:g}x{height:g} pixels"))


def _fault(box: NDArray[np.float64]) -> str:
    if np.isnan(box).any():
        return PARTLY_NAN
    return NO_AREA if (box[2:] <= 0).any() else TOO_LARGE


def _finding(kind: str, target: Target, row: int, more: str = "") -> Finding:
    box = ",".join(f"{value:g}" for value in target.boxes[row])
    return Finding(kind, target.name, int(target.positions[row]), f"{box} (x,y,w,h){more}")


def _repeated(target: Target, usable: NDArray[np.bool_]) -> Iterator[Finding]:
    """Runs of rows with the same box."""
    same = usable[1:] & (target.boxes[1:] == target.boxes[:-1]).all(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], same, [False]]).astype(np.int8)))
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        if last - first + 1 >= REPEATED:
            yield _finding(REPEATED_BOX, target, first, f" in {last - first + 1} annotated frames in a row")


def _same_boxes(targets: Iterable[Target]) -> list[Finding]:
    """Pairs of targets with exactly the same box in a frame, the first such frame of each pair."""
    holders: dict[tuple[float, ...], str] = {}
    found: dict[tuple[str, str], list[int]] = {}
    for target in targets:
        for row in np.flatnonzero(croppable(target.boxes)):
            position = int(target.positions[row])
            other = holders.setdefault((position, *target.boxes[row]), target.name)
            if other != target.name:
                found.setdefault((other, target.name), []).append(position)
    return [
        Finding(SAME_BOX, second, min(frames), f"the same as target {first}, in {len(frames)} frames")
        for (first, second), frames in found.items()
    ]
