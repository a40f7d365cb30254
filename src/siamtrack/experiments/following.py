"""Trackers through videos: boxes that are written as soon as a video is done, and never computed again."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from siamtrack.box import Boxes, iou
from siamtrack.errors import DataError
from siamtrack.experiments.report import Cell
from siamtrack.experiments.videos import Video
from siamtrack.frames import Frame
from siamtrack.metrics.center_error import mean_center_error, signed_center_errors
from siamtrack.metrics.ope import precision, success_auc
from siamtrack.results import read_boxes
from siamtrack.synthetic.made_folder import write_text
from siamtrack.tracking import Tracker, track

TRACKS = "tracks"
ERRORS: dict[str, int] = {
    "tracker": 0,
    "video": 0,
    "frames": 0,
    "centre error px": 2,
    "published px": 2,
    "mean x px": 3,
    "mean y px": 3,
    "largest px": 2,
    "success AUC": 3,
}
"""Columns of `error_row`, with their decimals."""

SCORES = {"success AUC": 3, "precision at 20 px": 3, "mean IoU": 3, "centre error px": 2}
"""Columns of `Scores.cells`, with their decimals."""

AUC_IN_WORDS = (
    "Success AUC is the mean, over 21 thresholds from 0 to 1, of the share of frames whose overlap is above the threshold. No "
    "overlap is above 1, so that boxes that agree exactly have 20/21 = 0.952."
)
"""For reports."""

_DECIMALS = 6  # far below what can be seen, and the same numbers when they are read back

Watch = Callable[[Iterable[Frame], int, str], Iterable[Frame]]
"""Passes the frames of a video on, and may show how many of how many there were; the text says which tracker and video."""


def unwatched(frames: Iterable[Frame], total: int, text: str) -> Iterable[Frame]:
    """The frames themselves."""
    return frames


class Scores(NamedTuple):
    """How one video was followed; the first frame, whose box is given, is not counted."""

    center_error: float  # mean, pixels; NaN where the target is absent in all frames
    auc: float  # area under the success curve, 0 to 20/21
    precision: float  # share of frames with a centre error of at most 20 px
    overlap: float  # mean IoU
    x: float  # mean of the predicted minus the true centre, pixels
    y: float

    def cells(self) -> list[Cell]:
        """Those of the columns `SCORES`."""
        return [self.auc, self.precision, self.overlap, self.center_error]


@dataclass(frozen=True, kw_only=True, eq=False)
class Tracked:
    """A tracker's boxes in a video."""

    video: Video
    boxes: Boxes  # (N, 4), the given one first

    @property
    def errors(self) -> NDArray[np.float64]:
        """(M, 2): predicted minus true centre after the first frame, pixels; frames without target are left out."""
        return signed_center_errors(self.boxes[1:], self.video.boxes[1:])

    @property
    def scores(self) -> Scores:
        """See `Scores`."""
        predicted, truth = self.boxes[1:], self.video.boxes[1:]
        if np.isnan(truth).any(1).all():
            return Scores(*[math.nan] * len(Scores._fields))
        x, y = map(float, self.errors.mean(0))
        overlap = float(np.nanmean(iou(predicted, truth)))
        distance = mean_center_error(predicted, truth)
        return Scores(distance, success_auc(predicted, truth), precision(predicted, truth), overlap, x, y)


def follow(tracker: Tracker[Any], videos: Sequence[Video], folder: Path, *, watch: Watch = unwatched) -> list[Tracked]:
    """Follows the target of each video from its first box on.

    Args:
        tracker: as `open_model` gives it.
        videos: each with another name.
        folder: for the boxes, NAME.txt with x,y,w,h a line; a video whose file is there is not tracked again.
        watch: see `Watch`.

    Raises:
        DataError: a video has other frames than its truth says.
        OutputError: the folder cannot be written.
    """
    found = []
    for video in videos:
        file = folder / f"{video.name}.txt"
        if not file.is_file():
            steps = track(tracker, watch(video.frames(), len(video.boxes), f"{folder.name}, {video.name}"), [video.first_box])
            boxes = np.array([step.predictions[0].box for step in steps], np.float64)
            if len(boxes) != len(video.boxes):
                raise DataError(f"'{video.name}' has {len(boxes)} frames, but {len(video.boxes)} boxes; expected as many.")
            write_text(file, "".join(",".join(f"{v:.{_DECIMALS}f}" for v in box) + "\n" for box in boxes))
        found.append(Tracked(video=video, boxes=read_boxes(file)))
    return found


def mean_scores(tracked: Sequence[Tracked]) -> Scores:
    """The mean over videos, each counting the same; videos without a target after the first frame are left out."""
    return Scores(*np.nanmean([one.scores for one in tracked], axis=0).tolist())


def error_row(tracker: str, tracked: Tracked, published: float | None) -> list[Cell]:
    """Those of the columns `ERRORS`: how one video was followed, beside the centre error that others have published for it."""
    scores = tracked.scores
    largest = float(abs(tracked.errors).max()) if len(tracked.errors) else None
    frames = len(tracked.video.boxes)
    name = tracked.video.name
    return [tracker, name, frames, scores.center_error, published, scores.x, scores.y, largest, scores.auc]
