"""What a benchmark is: sequences with the ground truth of its official files, and how it is run and scored.

Each module of this package that ends with BENCHMARKS reads one family of them; its names are what a user types.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from siamtrack.box import Box, Boxes
from siamtrack.errors import DataError
from siamtrack.metrics.vot import Region
from siamtrack.metrics.vot_masks import PlacedMask, Shape, with_masks

_DRAWN = re.compile(r"world-\d+-\d{6}(_\d+)?")


@dataclass(frozen=True, kw_only=True, eq=False)
class BenchmarkSequence:
    """One target in one video.

    Attributes:
        name: as in the benchmark's result files.
        regions: N true regions, pixels, 0-based, else as the files give them: a box (4,), corners of a polygon (8,) and so on,
            or NaN where there is none. Boxes that a protocol calls invalid stay, since tools differ in what they make of them.
        frames: N image files, in order; none where only annotations are at hand.
        absent: (N,) booleans, True where the benchmark says that the target is not to be seen; None where it says nothing.
        attributes: names of the benchmark's attributes that the whole sequence has.
        tags: attributes by frame, (N,) of 0 and 1, by name.
        practical: (N,) overlap differences below which two results are the same in practice (VOT); None: not known.
        object_class: of the target, where results are averaged over classes.
        placed_masks: N true masks, or None where the truth of a frame is no mask; the region is the box around it then. Empty
            where the truth has none, and where `masks` has them.
        anchors: (N,) of VOT since 2020: above 0 where a tracker is started to go forwards, below 0 to go backwards; None: there
            are none.
        masks: N files with a label a pixel, and which label is the target's (None: all but 0); None: the truth has no masks.
        size: width and height of the images, pixels; None: ask the first frame (`image_size`).
    """

    name: str
    regions: Sequence[Region]
    frames: Sequence[Path] = ()
    absent: NDArray[np.bool_] | None = None
    attributes: frozenset[str] = frozenset()
    tags: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    practical: NDArray[np.float64] | None = None
    object_class: str | None = None
    placed_masks: Sequence[PlacedMask | None] = ()
    anchors: NDArray[np.float64] | None = None
    masks: tuple[Sequence[Path], int | None] | None = None
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        counts = {"frames": len(self.frames) or len(self), "masks": len(self.masks[0]) if self.masks else len(self)}
        counts |= {name: len(values) for name, values in self.tags.items()}
        counts |= {"masks in the truth": len(self.placed_masks) or len(self)}
        counts |= {} if self.anchors is None else {"anchor values": len(self.anchors)}
        counts |= {"absence flags": len(self)} if self.absent is None else {"absence flags": len(self.absent)}
        for what, count in counts.items():
            if count != len(self):
                raise DataError(f"Sequence {self.name} has {len(self)} true regions and {count} {what}; expected as many.")

    def __len__(self) -> int:
        """How many frames are annotated."""
        return len(self.regions)

    @property
    def shapes(self) -> Sequence[Shape]:
        """N true masks, and regions where there is none."""
        return with_masks(self.regions, self.placed_masks)

    @cached_property
    def boxes(self) -> Boxes:
        """(N, 4) upright boxes around the regions; NaN where there is none."""
        return np.array([_upright(region) for region in self.regions])

    @property
    def first_box(self) -> Box:
        """Around the region in the first frame."""
        return Box(*map(float, self.boxes[0]))

    @cached_property
    def image_size(self) -> tuple[int, int]:
        """Width and height of the images, pixels.

        Raises:
            DataError: it is not known, and no frame can be read.
        """
        if self.size:
            return self.size
        image = cv2.imread(str(self.frames[0])) if self.frames else None
        if image is None:
            raise DataError(f"The size of the images of sequence {self.name} is not known: there is no first frame to read.")
        return image.shape[1], image.shape[0]


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """A benchmark by name.

    Attributes:
        name: what a user types, such as "otb100".
        title: as the literature writes it.
        citation: authors, title, venue.
        length: how many sequences the complete benchmark has; 0 where that is not fixed.
        protocols: how trackers are run on it, the usual one first: "ope", "tre", "sre", "supervised", "unsupervised",
            "realtime", "multistart", "long-term", "got10k"; "masks" alone: results are masks.
        preset: of `siamtrack.metrics` that its results are scored under if nothing else is said.
        first_pixel: what its files of truth and of results call the left or topmost pixel: 0 or 1.
        names: of its sequences, or of its videos where one video has several targets; empty where they are not known here, or
            a folder cannot have others.
        server: protocol whose results the authors' server scores, as the truth is not public; None: it is public.
        read: the sequences in a folder; of all that are asked for (None: the whole benchmark) none may be missing.
    """

    name: str
    title: str
    citation: str
    length: int
    protocols: tuple[str, ...]
    preset: str
    first_pixel: int = 0
    names: frozenset[str] = frozenset()
    server: str | None = None
    read: Callable[[Path, Sequence[str] | None], list[BenchmarkSequence]]

    def title_of(self, names: Sequence[str]) -> str:
        """What sequences of these names are, for people: the benchmark's title, or that they only lie in its layout.

        Benchmarks whose folders themselves say what is in them can hold own sequences, which are no part of them. Those that
        siamtrack has drawn are no part of any.
        """
        if self.length and names and all(_DRAWN.fullmatch(name) for name in names):
            return f"own sequences in the layout of {self.title}"
        own = self.names and not any(name in self.names or name.rpartition("_")[0] in self.names for name in names)
        return f"own sequences in the layout of {self.title}" if own else self.title

    def part(self, names: Sequence[str]) -> str:
        """The same with their number: "VOT2018, 4 of 60 sequences"."""
        title = self.title_of(names)
        if title != self.title or not self.length:
            return f"{title}, {counted(len(names), 'sequence')}"
        return f"{title}, {f'{len(names)} of' if len(names) < self.length else 'all'} {self.length} sequences"


def counted(number: int, thing: str) -> str:
    """How many of a thing there are, for people.

    >>> counted(1, "box"), counted(2, "tracker")
    ('1 box', '2 trackers')
    """
    return f"{number:,} {thing}{'' if number == 1 else 'es' if thing.endswith('x') else 's'}"


def _upright(region: Region) -> Boxes:
    if len(region) == 4:
        return np.asarray(region, np.float64)
    if len(region) < 4 or np.isnan(region).any():
        return np.full(4, np.nan)
    x, y = region[0::2], region[1::2]
    return np.array([x.min(), y.min(), np.ptp(x), np.ptp(y)])
