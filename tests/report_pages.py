"""Reports on small benchmarks, and what is in a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
from result_files import benchmark, results, run, sequence, walk

from siamtrack.datasets.benchmark import BenchmarkSequence
from siamtrack.evaluation.report import Report
from siamtrack.evaluation.result_groups import Group
from siamtrack.evaluation.scoring import score

FRAMES = 20
SHIFTS = {"far": 8.0, "near": 1.0, "middle": 4.0}
"""How far each tracker is beside the truth in ball; in car it is one pixel more for each frame, too."""

_VOID = {"meta", "br", "img", "input", "link", "hr"}


def sequences(folder: Path | None = None, names: Sequence[str] = ("ball", "car")) -> list[BenchmarkSequence]:
    """With pictures, if there is a folder for them."""
    found = []
    for name in names:
        frames = [folder / f"{name}{i:02}.png" for i in range(FRAMES)] if folder else []
        for i, path in enumerate(frames):
            assert cv2.imwrite(str(path), np.full((100, 200, 3), 10 * i, np.uint8))
        found.append(sequence(name, walk(FRAMES), frames=frames))
    return found


def group_of(
    members: Sequence[BenchmarkSequence],
    shifts: Mapping[str, float] = SHIFTS,
    *,
    protocol: str = "ope",
    preset: str = "otb-matlab",
) -> Group:
    """Scored and ranked."""
    found = {}
    for tracker, shift in shifts.items():
        runs = {}
        for number, one in enumerate(members):
            boxes = np.array(one.boxes)
            boxes[1:, 0] += shift + number * np.arange(len(boxes) - 1)
            runs[one.name] = [replace(run(boxes), seconds=np.full(len(boxes), 0.001 * (1 + shift)))]
        found[tracker] = replace(results(runs, protocol=protocol), tracker=tracker)
    scores = sorted((score(one, members, preset) for one in found.values()), key=lambda s: -s.value)
    return Group(
        protocol=protocol, scores=scores, results={s.tracker: found[s.tracker] for s in scores}, sequences=list(members)
    )


def report_of(*groups: Group, strips: int = 30) -> Report:
    return Report(benchmark=benchmark(), groups=groups, strips=strips)


@dataclass
class Element:
    """A tag, what it says, and what is in it."""

    tag: str
    attributes: dict[str, str]
    text: str = ""
    inside: list[Element] = field(default_factory=list)

    def all(self, tag: str, css: str = "") -> list[Element]:
        """Every element of that tag and class below this one."""
        found = [self] if self.tag == tag and (not css or css in self.attributes.get("class", "").split()) else []
        return found + [one for child in self.inside for one in child.all(tag, css)]

    @property
    def words(self) -> str:
        """The text of this one and of all that is in it."""
        return " ".join([self.text, *(child.words for child in self.inside)]).strip()


class Page(HTMLParser):
    """The tree of a page; refuses one whose tags do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.root = Element("page", {})
        self.open = [self.root]
        self.feed(text)
        self.close()
        assert [element.tag for element in self.open] == ["page"]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        assert len(element.attributes) == len(attrs), f"an attribute of {tag} is there twice"
        self.open[-1].inside.append(element)
        if tag not in _VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].text += data


def column(table: Element, number: int) -> list[str]:
    """The words in one column of the body of a table."""
    rows = table.all("tbody")[0].all("tr")
    return [[cell for cell in row.inside if cell.tag in ("th", "td")][number].words for row in rows]
