"""What a check of a data set found in all: totals, lists for other programs, and a page of sample crops."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from siamtrack.datasets.check import BINS, FAULTS, ClipReport, Finding
from siamtrack.datasets.check_run import SUMMARY, read_reports, sample_path
from siamtrack.datasets.clips import read_picture
from siamtrack.draw import save_image
from siamtrack.errors import OutputError
from siamtrack.sheets import contact_sheet

SHEET, CLIPS, FINDINGS = "crops.png", "clips.csv", "findings.csv"
LISTED = 10  # findings that a person is shown at once
_SHEET_WIDTH = 2000  # pixels; 24 crops in six columns keep their size
_NUMBERS = ("frames", "annotated", "read", "targets", "boxes", "absent", "partly_outside")
_COLUMNS = ("frame_sizes", "smallest", "largest", "faults", "remarks")


@dataclass(kw_only=True)
class Totals:
    """A data set in numbers."""

    clips: int = 0
    frames: int = 0
    annotated: int = 0  # frames that say something about a target
    read: int = 0  # frames that were decoded
    targets: int = 0
    boxes: int = 0
    absent: int = 0
    partly_outside: int = 0
    frame_sizes: dict[str, int] = field(default_factory=dict)  # frames by "WIDTHxHEIGHT", the most common first
    smallest: float | None = None  # sqrt(w * h) of a target, pixels
    median: float | None = None  # of the same, within 5 %
    largest: float | None = None
    findings: dict[str, int] = field(default_factory=dict)  # number by kind
    listed: list[tuple[str, Finding]] = field(default_factory=list)  # the first faults, with the clip

    @property
    def faults(self) -> int:
        """Findings that make data unusable where they are found."""
        return sum(self.findings.get(kind, 0) for kind in FAULTS)


def summarise(out: Path) -> Totals:
    """Adds a finished check up, and writes `clips.csv`, `findings.csv`, `crops.png` and, last, `report.json`.

    Raises:
        OutputError: they cannot be written.
    """
    totals, frame_sizes, sides, findings = Totals(), Counter[str](), Counter[int](), Counter[str]()
    tiles = []
    with ExitStack() as files:
        clips = files.enter_context(_table(out / CLIPS, "clip", *_NUMBERS, *_COLUMNS))
        listed = files.enter_context(_table(out / FINDINGS, "clip", "kind", "target", "frame", "detail"))
        for number, report in enumerate(read_reports(out)):
            _add(totals, report)
            frame_sizes.update(report.frame_sizes)
            sides.update({int(side): count for side, count in report.sides.items()})
            findings.update(finding.kind for finding in report.findings)
            clips.writerow(_row(report))
            listed.writerows([report.clip, *finding] for finding in report.findings)
            tiles += [(caption, sample_path(out, number, k)) for k, caption in enumerate(report.samples)]
    totals.frame_sizes, totals.findings = dict(frame_sizes.most_common()), dict(findings.most_common())
    totals.median = _median(sides)
    if totals.median is not None and totals.smallest is not None and totals.largest is not None:
        totals.median = min(max(totals.median, totals.smallest), totals.largest)  # the bins are 5 % wide
    (out / SHEET).unlink(missing_ok=True)
    if tiles:
        save_image(out / SHEET, contact_sheet([(text, read_picture(path)) for text, path in tiles], width=_SHEET_WIDTH))
    _write_json(out / SUMMARY, asdict(totals) | {"faults": totals.faults})
    return totals


def _add(totals: Totals, report: ClipReport) -> None:
    totals.clips += 1
    for name in _NUMBERS:
        setattr(totals, name, getattr(totals, name) + getattr(report, name))
    if report.smallest is not None and report.largest is not None:
        totals.smallest = min(report.smallest, totals.smallest or report.smallest)
        totals.largest = max(report.largest, totals.largest or report.largest)
    faults = [(report.clip, finding) for finding in report.findings if finding.kind in FAULTS]
    totals.listed += faults[: max(LISTED - len(totals.listed), 0)]


def _row(report: ClipReport) -> list[Any]:
    faults = sum(finding.kind in FAULTS for finding in report.findings)
    sizes = " ".join(f"{size}:{count}" for size, count in report.frame_sizes.items())
    ends = ["" if side is None else f"{side:.2f}" for side in (report.smallest, report.largest)]
    numbers = [getattr(report, name) for name in _NUMBERS]
    return [report.clip, *numbers, sizes, *ends, faults, len(report.findings) - faults]


def _median(sides: Counter[int]) -> float | None:
    """Of sides counted by BINS * log2."""
    below, half = 0, sum(sides.values()) / 2
    for side in sorted(sides):
        below += sides[side]
        if below >= half:
            return float(2 ** (side / BINS))
    return None


@contextmanager
def _table(path: Path, *columns: str) -> Iterator[Any]:
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            yield writer
    except OSError as error:
        raise OutputError(f"'{path}' cannot be written: {error.strerror}.") from None


def _write_json(path: Path, values: dict[str, Any]) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise OutputError(f"'{path}' cannot be written: {error.strerror}.") from None
