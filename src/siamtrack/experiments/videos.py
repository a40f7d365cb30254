"""Videos with the true box of one target: what experiments track."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from siamtrack.box import Box, Boxes, check_box
from siamtrack.datasets.sequences import Sequence, find_sequences
from siamtrack.errors import BoxError, DataError
from siamtrack.frames import Frame
from siamtrack.synthetic.scene import Scene
from siamtrack.synthetic.square_video import FPS, SquareVideo, SquareVideoSettings

SQUARE_FRAMES = 300
MAX_DISPLACEMENTS_PX = (4, 16, 32)  # of the thesis's three synthetic videos
SCENES = 6
SCENE_FRAMES = 150
SCENE_OBJECTS = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Video:
    """One target through a video, with its box in every frame."""

    name: str
    boxes: Boxes  # (N, 4), pixels, 0-based; NaN where the target is absent; the first one is there
    frames: Callable[[], Iterator[Frame]]  # the N frames, from the first on, as often as wanted
    origin: dict[str, Any]  # what decides the pixels and boxes, as TOML values

    @property
    def first_box(self) -> Box:
        """The box in the first frame."""
        return Box(*map(float, self.boxes[0]))


def origins(videos: Iterable[Video]) -> dict[str, dict[str, Any]]:
    """What decides the pixels and boxes of all of them, by name.

    Raises:
        DataError: two have the same name, and boxes of the one would be taken for those of the other.
    """
    found: dict[str, dict[str, Any]] = {}
    for video in videos:
        if video.name in found:
            raise DataError(f"Two videos are called '{video.name}', which boxes are kept by; rename the folder of one.")
        found[video.name] = video.origin
    return found


def square_videos(seed: int, displacements: tuple[int, ...] = MAX_DISPLACEMENTS_PX) -> list[Video]:
    """The thesis's synthetic videos: a black square of 40 px on white, 255 x 255, steps of up to so many pixels."""
    found = []
    for most in displacements:
        video = SquareVideo(SquareVideoSettings(frames=SQUARE_FRAMES, max_displacement=float(most), seed=seed))
        name, origin = f"squares-{most}px", asdict(video.settings)
        found.append(Video(name=name, boxes=video.boxes, frames=_drawn(video), origin=origin))
    return found


def _drawn(video: SquareVideo) -> Callable[[], Iterator[Frame]]:
    def frames() -> Iterator[Frame]:
        for number, labelled in enumerate(video.frames()):
            yield Frame(index=number, time=number / FPS, image=labelled.image)

    return frames


def scene_videos(seed: int, *, count: int = SCENES, frames: int = SCENE_FRAMES) -> list[Video]:
    """Rendered scenes in which objects move, turn, grow and shrink; the first object of each is the target."""
    found = []
    for number in range(count):
        scene_seed = seed * 1000 + number
        scene = Scene(objects=SCENE_OBJECTS, seed=scene_seed)
        boxes = np.array([scene.box(0, k) for k in range(frames)], np.float64)
        origin = {"scene_seed": scene_seed, "objects": SCENE_OBJECTS, "frames": frames}
        found.append(Video(name=f"scene-{number}", boxes=boxes, frames=_rendered(scene, frames), origin=origin))
    return found


def _rendered(scene: Scene, frames: int) -> Callable[[], Iterator[Frame]]:
    return lambda: scene.frames(frames)


def beginning(video: Video, frames: int) -> Video:
    """The first frames of a video."""
    boxes = video.boxes[:frames]
    origin = video.origin | {"frames": len(boxes)}
    return replace(video, boxes=boxes, origin=origin, frames=lambda: islice(video.frames(), frames))


def videos_in(folder: Path) -> list[Video]:
    """The annotated sequences of a folder, by name; see `siamtrack.datasets.sequences` for the layout.

    Raises:
        DataError: the folder is missing or holds no sequence, or a sequence has no frame or no box to begin with.
    """
    if not folder.is_dir():
        raise DataError(f"The folder of videos '{folder}' does not exist.")
    return [_video(sequence) for sequence in find_sequences(folder)]


def _video(sequence: Sequence) -> Video:
    first = next(iter(sequence.frames()), None)
    if first is None:
        raise DataError(f"The sequence '{sequence.name}' has no frame or no box: '{sequence.images}'.")
    height, width = first.image.shape[:2]
    try:
        check_box(sequence.first_box, width, height)
    except BoxError as error:
        raise DataError(f"The sequence '{sequence.name}' cannot begin with its first box. {error}") from None
    digest = hashlib.sha256(sequence.boxes.tobytes()).hexdigest()
    origin = {"images": str(sequence.images.resolve()), "frames": len(sequence.boxes), "boxes_sha256": digest}
    return Video(name=sequence.name, boxes=sequence.boxes, frames=sequence.frames, origin=origin)
