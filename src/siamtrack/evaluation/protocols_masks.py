"""The protocol of benchmarks whose results are masks: all objects of a video at once, each from the frame that it appears in.

A tracker starts with the upright box around an object's true mask, as the official code of SiamMask does; the mask itself is
not given to it. Where masks of objects overlap, a pixel belongs to the more probable one. The pictures that are written have
the numbers of the objects, as the true ones; in the frame that an object begins in it is not drawn. That frame is not scored,
but where DAVIS has an object that is not in the first frame of its video: its tools know of no later beginning, and count an
empty mask there. An object without a pixel in its first frame begins in the next one that shows it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from siamtrack.box import Box, check_box
from siamtrack.datasets.benchmark import BenchmarkSequence
from siamtrack.datasets.clips import read_picture
from siamtrack.errors import DataError, SettingsError
from siamtrack.evaluation.protocols_following import ProtocolSettings, start_box
from siamtrack.evaluation.trajectory import Floats
from siamtrack.mask_files import palette_png, target_colours
from siamtrack.tracking import Prediction, Tracker, gives_masks

MASKS = "masks"
"""The name of the protocol."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MaskRun:
    """What a tracker answered in a video.

    Attributes:
        pictures: PNG files with the numbers of objects, by their names, which are those of the true masks.
        seconds: (N,) that each frame took.
    """

    pictures: dict[str, bytes]
    seconds: Floats


def video_of(sequence: BenchmarkSequence) -> str:
    """The name of the video that an object is in.

    Raises:
        DataError: the sequence has no true masks.
    """
    if sequence.masks is None:
        raise DataError(f"Sequence {sequence.name} has no true masks; expected a benchmark of masks.")
    return sequence.masks[0][0].parent.name


def by_video(sequences: Sequence[BenchmarkSequence]) -> dict[str, list[BenchmarkSequence]]:
    """The objects of each video, that with the most frames first: it has the frames of all others, too."""
    videos: dict[str, list[BenchmarkSequence]] = {}
    for sequence in sequences:
        videos.setdefault(video_of(sequence), []).append(sequence)
    return {name: sorted(members, key=len, reverse=True) for name, members in videos.items()}


def check_masks(tracker: Tracker[Any], model: str) -> None:
    """Whether a tracker can be run under this protocol.

    Raises:
        SettingsError: it gives boxes alone.
    """
    if not gives_masks(tracker):
        raise SettingsError(
            f"The results are masks, and the model '{model}' gives boxes alone with these settings; take one that can, with a "
            "mask.threshold above 0. On boxes around the masks trackers are run with davis2016-val, davis2017-val or "
            "youtube-vos-val."
        )


def mask_run(
    tracker: Tracker[Any],
    objects: Sequence[BenchmarkSequence],
    settings: ProtocolSettings,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> MaskRun:
    """The run of a tracker over a video.

    Args:
        tracker: one that gives masks.
        objects: of the video, see `by_video`.
        settings: what the protocol leaves open.
        clock: seconds, as of `time.perf_counter`. Reading a picture does not count.

    Raises:
        DataError: pictures, or the true region of an object in its first frame, are missing.
        BoxError: a tracker cannot be started with the true box.
    """
    frames, files = objects[0].frames, objects[0].masks
    if not frames or files is None:
        raise DataError(f"Sequence {objects[0].name} has no frames here, only annotations; give the folder with its pictures.")
    beginnings = _beginnings(objects, len(frames), settings)
    states: dict[int, Any] = {}  # by the place of the object
    pictures: dict[str, bytes] = {}
    seconds = np.full(len(frames), np.nan)
    for number, (frame, path) in enumerate(zip(frames, files[0], strict=True)):
        image = read_picture(frame)
        new = beginnings.get(number, {})
        for box in new.values():
            check_box(box, image.shape[1], image.shape[0])
        labels = np.zeros(image.shape[:2], np.uint8)
        began = clock()
        if states:
            stepped, predictions = tracker.step(image, list(states.values()))
            for place, prediction in zip(states, predictions, strict=True):
                labels[_mask_of(prediction)] = _label(objects[place])
            states = dict(zip(states, stepped, strict=True))
        if new:
            states |= zip(new, tracker.start(image, list(new.values())), strict=True)
        seconds[number] = clock() - began if settings.frame_seconds is None else settings.frame_seconds
        pictures[path.name] = palette_png(labels, target_colours())
    return MaskRun(pictures=pictures, seconds=seconds)


def _beginnings(objects: Sequence[BenchmarkSequence], frames: int, settings: ProtocolSettings) -> dict[int, dict[int, Box]]:
    """The boxes of the objects that appear in a frame of the video, by frame and by the place of the object.

    DAVIS numbers objects up to the largest number in the first mask: one may have no pixel there, or nowhere.
    """
    found: dict[int, dict[int, Box]] = {}
    for place, one in enumerate(objects):
        seen = [frame for frame, region in enumerate(one.regions) if not np.isnan(region).any()]
        if seen:
            first = frames - len(one) + seen[0]  # all objects of a video end together
            found.setdefault(first, {})[place] = start_box(one, seen[0], settings.start_box)
    return found


def _mask_of(prediction: Prediction) -> NDArray[np.bool_]:
    if prediction.mask is None:
        raise SettingsError("The tracker gives boxes and no masks with these settings; expected one that gives masks.")
    return prediction.mask


def _label(one: BenchmarkSequence) -> int:
    assert one.masks is not None
    return 1 if one.masks[1] is None else one.masks[1]
