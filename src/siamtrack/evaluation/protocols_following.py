"""Following one target through the pictures of a sequence, frame by frame, with the time that each takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from siamtrack.box import Box, check_box
from siamtrack.datasets.benchmark import BenchmarkSequence
from siamtrack.datasets.clips import read_picture
from siamtrack.errors import DataError, SettingsError, nearest
from siamtrack.evaluation.trajectory import Trajectory
from siamtrack.image import Image
from siamtrack.metrics.presets import find_preset
from siamtrack.metrics.vot import Region
from siamtrack.metrics.vot_masks import PlacedMask
from siamtrack.metrics.vot_presets import PRESETS, VOTPreset
from siamtrack.polygon import area_preserving_box, min_max_box
from siamtrack.settings import check_limits
from siamtrack.tracking import Tracker

StartBox = Literal["area", "pysot", "min-max"]
"""How the box that a tracker starts with is made of a polygon; see `ProtocolSettings`."""


@dataclass(frozen=True, kw_only=True)
class ProtocolSettings:
    """What a protocol leaves open.

    Attributes:
        repetitions: at most so many runs a sequence; None: as many as the protocol wants.
        start_box: how the box that a tracker starts with is made of a polygon. "area": of the polygon's area, centre and the
            proportions of its min-max box, as the Siamese family does; "pysot": the same as PySOT rounds it, a pixel larger;
            "min-max": the box around it, which the VOT toolkits give to trackers that ask for rectangles. Polygons that do
            not have four corners always give the box around them, and boxes stay as they are.
        preset: the VOT tool (`siamtrack.metrics.vot_presets`) whose overlap decides what a failure is, and how many frames
            after it the tracker is started again; None: that of the benchmark (`protocols.settings_for`), else "vot-matlab".
        fps: of the camera in the real-time protocol (VOT2017: 20).
        grace: how many late answers the real-time protocol forgives after each start (VOT2017: 3).
        frame_seconds: taken for the time of every frame instead of measuring it; None: measured.

    Raises:
        SettingsError: a value outside its range, or an unknown name.
    """

    repetitions: int | None = None
    start_box: str = "area"
    preset: str | None = None
    fps: float = 20.0
    grace: int = 3
    frame_seconds: float | None = None

    def __post_init__(self) -> None:
        check_limits(self, {"fps": (0.01, 100_000), "grace": (0, 1_000_000)})
        for name, limits in {"repetitions": (1, 1000), "frame_seconds": (0, 3600)}.items():
            if getattr(self, name) is not None:
                check_limits(self, {name: limits})
        if self.start_box not in get_args(StartBox):
            raise SettingsError(f"Unknown start_box '{self.start_box}'. {nearest(self.start_box, get_args(StartBox))}")
        _ = self.vot  # refuses an unknown name

    @property
    def vot(self) -> VOTPreset:
        """The preset itself."""
        return find_preset(self.preset or "vot-matlab", PRESETS, "VOT")


class Answer(NamedTuple):
    """What a tracker said about one frame."""

    region: Region  # (4,) box, or (8,) corners of a turned one; NaN where it gave none
    score: float
    seconds: float
    mask: PlacedMask | None = None  # whose box the region is then


class Follower:
    """One target, followed by a tracker from any frame on.

    Args:
        tracker: as `open_model` gives it.
        sequence: with the files of its frames.
        polygons: a prediction with a turned box is answered with it, if the truth of the sequence is polygons.
        masks: a prediction with a mask is answered with it, if the truth of the sequence is masks.
        frame_seconds: the time of every frame; None: it is measured.
        clock: seconds, as of `time.perf_counter`. Reading a picture does not count.

    Raises:
        DataError: the files of the frames are not at hand.
    """

    def __init__(
        self,
        tracker: Tracker[Any],
        sequence: BenchmarkSequence,
        *,
        polygons: bool = False,
        masks: bool = False,
        frame_seconds: float | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        if not sequence.frames:
            raise DataError(
                f"Sequence {sequence.name} has no frames here, only annotations; give the folder with its pictures."
            )
        self.sequence = sequence
        self._tracker, self._clock, self._frame_seconds = tracker, clock, frame_seconds
        self._polygons = polygons and any(len(region) > 4 for region in sequence.regions)
        self._masks = masks and bool(sequence.placed_masks)
        self._state: Any = None

    def start(self, frame: int, box: Box) -> Answer:
        """Takes the target from a frame; the answer is the box itself.

        Raises:
            DataError: the picture cannot be read.
            BoxError: the box is no box, or outside the frame.
        """
        image = self._picture(frame)
        check_box(box, image.shape[1], image.shape[0])
        began = self._clock()
        (self._state,) = self._tracker.start(image, [box])
        return Answer(np.array(box, np.float64), float("nan"), self._since(began))

    def step(self, frame: int) -> Answer:
        """Where the target is in a frame.

        Raises:
            DataError: the picture cannot be read.
        """
        image = self._picture(frame)
        began = self._clock()
        (self._state,), (prediction,) = self._tracker.step(image, [self._state])
        seconds = self._since(began)
        if self._masks and prediction.mask is not None and prediction.mask.any():
            mask = PlacedMask.of(prediction.mask)
            return Answer(mask.box, prediction.score, seconds, mask)
        turned = prediction.polygon if self._polygons else None
        region = np.array(prediction.box if turned is None else turned, np.float64).ravel()
        return Answer(region, prediction.score, seconds)

    def _picture(self, frame: int) -> Image:
        return read_picture(self.sequence.frames[frame])

    def _since(self, began: float) -> float:
        return self._clock() - began if self._frame_seconds is None else self._frame_seconds


def start_box(sequence: BenchmarkSequence, frame: int, rule: str) -> Box:
    """The box that a tracker is started with in a frame.

    Args:
        sequence: the sequence.
        frame: index.
        rule: for polygons, see `ProtocolSettings`.

    Raises:
        DataError: the sequence has no true region there.
    """
    region = sequence.regions[frame]
    if len(region) < 4 or np.isnan(region).any():
        raise DataError(
            f"Sequence {sequence.name} has no true region in frame {frame + 1}, in which the tracker would be started."
        )
    return box_of_region(region, rule)


def box_of_region(region: Region, rule: str) -> Box:
    """The box that a tracker is started with for a region, a box or a polygon without NaN; see `ProtocolSettings.start_box`."""
    if len(region) == 4:
        return Box(*map(float, region))
    if rule == "min-max" or len(region) != 8:
        return min_max_box(region.reshape(-1, 2))
    return area_preserving_box(region.reshape(-1, 2), inclusive=rule == "pysot")


def follow(follower: Follower, first: int, box: Box) -> Trajectory:
    """The run that starts with a box in frame `first` and goes on to the end, without help; its first region is the box."""
    answers = [follower.start(first, box)]
    answers += [follower.step(frame) for frame in range(first + 1, len(follower.sequence))]
    return trajectory(answers, first=first)


def trajectory(answers: list[Answer], *, first: int = 0) -> Trajectory:
    """A run made of the answers to its frames."""
    return Trajectory(
        regions=[answer.region for answer in answers],
        scores=np.array([answer.score for answer in answers]),
        seconds=np.array([answer.seconds for answer in answers]),
        first=first,
        masks=[answer.mask for answer in answers] if any(answer.mask for answer in answers) else (),
    )
