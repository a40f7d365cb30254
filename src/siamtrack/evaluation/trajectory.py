"""What a tracker answered in one run over a sequence: the same for our own runs and for result files of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from siamtrack.box import Boxes
from siamtrack.errors import DataError
from siamtrack.metrics.vot import Region
from siamtrack.metrics.vot_masks import PlacedMask, Shape, with_masks

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Trajectory:
    """One run.

    Attributes:
        regions: one a frame, pixels, 0-based: (4,) a box, (8,) a polygon, (1,) a code of VOT (0, 1, 2); NaN: no answer.
        scores: (N,) the tracker's score or confidence; NaN where there is none.
        seconds: (N,) that it took a frame; NaN where it was not measured.
        first: index in the sequence of the frame that the run starts with (TRE, multistart); 0 otherwise.
        masks: one a frame where the tracker answered with masks, whose box the region is then; None in frames without.

    Raises:
        DataError: lengths that differ.
    """

    regions: Sequence[Region]
    scores: Floats
    seconds: Floats
    first: int = 0
    masks: Sequence[PlacedMask | None] = ()

    def __post_init__(self) -> None:
        if not len(self.regions) == len(self.scores) == len(self.seconds):
            raise DataError(f"A run has {len(self.regions)} regions, {len(self.scores)} scores and {len(self.seconds)} times.")
        if self.masks and len(self.masks) != len(self.regions):
            raise DataError(f"A run has {len(self.regions)} regions and {len(self.masks)} masks.")

    def __len__(self) -> int:
        return len(self.regions)

    @property
    def shapes(self) -> Sequence[Shape]:
        """N masks, and regions where there is none."""
        return with_masks(self.regions, self.masks)

    @property
    def boxes(self) -> Boxes:
        """(N, 4); NaN in frames without a box.

        Raises:
            DataError: a region is a polygon.
        """
        lengths = set(map(len, self.regions))
        if lengths == {4}:
            return np.concatenate(self.regions).reshape(-1, 4)  # the same as below in a third of the time
        if any(length > 4 for length in lengths):
            raise DataError(
                "A run holds polygons; expected boxes x,y,w,h. Score it with a preset of VOT, or run the tracker, if it gives "
                "masks, with mask.threshold=0, so that it answers with boxes."
            )
        return np.array([region if len(region) == 4 else np.full(4, np.nan) for region in self.regions]).reshape(-1, 4)


@dataclass(frozen=True, kw_only=True, eq=False)
class TrackerResults:
    """The runs of one tracker on one benchmark under one protocol.

    Attributes:
        tracker: its name in tables.
        benchmark: name.
        protocol: "ope", "tre", "sre", "supervised", "unsupervised", "realtime", "multistart", "long-term" or
            "got10k".
        runs: by name of the sequence, in the order of the repetitions.
    """

    tracker: str
    benchmark: str
    protocol: str
    runs: Mapping[str, Sequence[Trajectory]]


@dataclass(frozen=True, kw_only=True, eq=False)
class MaskResults:
    """Where the masks of one tracker on one benchmark lie; they are read when they are scored, a frame at a time.

    Attributes:
        tracker: its name in tables.
        benchmark: name.
        folders: by name of the sequence, with a mask a frame, named as the true one; several objects may have the same folder.
        protocol: "masks".
    """

    tracker: str
    benchmark: str
    folders: Mapping[str, Path]
    protocol: str = "masks"
