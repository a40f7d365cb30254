"""The synthetic test video of S. Sanchez's thesis (4.1.5): a black square that wanders over a white ground.

The thesis says 255x255 pixels, a square of 40, 300 frames, and a largest displacement from frame to frame of 4, 16 or 32. It
leaves open, and here it is so: the square begins in the middle; each step is drawn evenly from the disc of that radius, again
where the square would leave the frame, so the mean step is about two thirds of the largest. Positions are whole pixels, so the
boxes are exactly the pixels that are drawn; with `whole_pixels` off they are anywhere, and the square's edges are mixed.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from siamtrack.box import Box, Boxes
from siamtrack.datasets.annotations.media import VIDEO_ENDINGS
from siamtrack.errors import OutputError, SettingsError, SiamtrackError
from siamtrack.frames import read
from siamtrack.image import Image
from siamtrack.settings import check_limits
from siamtrack.synthetic.made_folder import (
    begin_folder,
    make_folder,
    new_folders,
    new_video,
    row_text,
    write_picture,
    write_text,
)
from siamtrack.synthetic.seed import check_seed
from siamtrack.synthetic.squares import draw_square
from siamtrack.synthetic.truth import Labelled

Point = NDArray[np.float64]  # (2,), x, y in pixels
GROUND_TRUTH = "groundtruth.txt"
FPS = 25
"""Of a video file, frames a second; the motion knows no time but frames."""
_COMPRESSED = 8.0  # grey levels, in the mean: more than compression changes a frame of squares
_WRITTEN = (".mp4", ".mkv", ".webm", ".avi")  # endings that `VideoWriter` knows; it refuses the others


@dataclass(frozen=True, kw_only=True)
class SquareVideoSettings:
    """What the test video shows; the defaults are the thesis's first one.

    Raises:
        SettingsError: a value outside its range, a square that does not fit into the frame, a displacement for which there is
            no room, or colours that are the same.
    """

    frames: int = 300
    width: int = 255  # pixels, of the frame
    height: int = 255
    side: int = 40  # pixels, of the square
    max_displacement: float = 4.0  # pixels from frame to frame, Euclidean
    whole_pixels: bool = True
    square: tuple[int, ...] = (0, 0, 0)  # colour, RGB
    ground: tuple[int, ...] = (255, 255, 255)
    seed: int = 0

    def __post_init__(self) -> None:
        limits: dict[str, tuple[float, float]] = {
            "frames": (1, 1_000_000),
            "width": (8, 8192),
            "height": (8, 8192),
            "side": (1, 8192),
            "max_displacement": (1 if self.whole_pixels else 0, 8192),
        }
        check_limits(self, limits)
        check_seed(self.seed)
        if self.side > min(self.width, self.height):
            raise SettingsError(
                f"A square of {self.side} pixels does not fit into a frame of {self.width}x{self.height}; give a smaller side."
            )
        room = min(self.width, self.height) - self.side
        if self.max_displacement > room:
            raise SettingsError(
                f"A displacement of {self.max_displacement:g} pixels needs more room than the {room} pixels that a square of "
                f"{self.side} has in a frame of {self.width}x{self.height}; give a smaller displacement or a larger frame."
            )
        for colour in (self.square, self.ground):
            if len(colour) != 3 or not all(0 <= value <= 255 for value in colour):
                raise SettingsError(f"The colour {colour} is not red, green and blue from 0 to 255.")
        if self.square == self.ground:
            raise SettingsError(f"Square and ground have the same colour, {self.square}; the square could not be seen.")


class SquareVideo:
    """The test video; the same settings give the same one.

    Args:
        settings: what it shows.
    """

    def __init__(self, settings: SquareVideoSettings) -> None:
        self.settings = settings

    def __len__(self) -> int:
        return self.settings.frames

    @cached_property
    def boxes(self) -> Boxes:
        """Where the square is in each frame, shape (frames, 4), rows x, y, w, h."""
        settings = self.settings
        rng = np.random.default_rng(settings.seed)
        room = np.array([settings.width, settings.height]) - float(settings.side)
        corners = np.empty((settings.frames, 2))
        corners[0] = np.floor(room / 2)
        for number in range(1, settings.frames):
            corners[number] = self._next(corners[number - 1], room, rng)
        return np.hstack([corners, np.full((settings.frames, 2), float(settings.side))])

    def _next(self, corner: Point, room: Point, rng: np.random.Generator) -> Point:
        longest, whole = self.settings.max_displacement, self.settings.whole_pixels
        while True:
            step = rng.integers(-int(longest), int(longest) + 1, 2) if whole else rng.uniform(-longest, longest, 2)
            moved: Point = corner + step
            if np.hypot(*step) <= longest and (moved >= 0).all() and (moved <= room).all():
                return moved

    def frame(self, number: int) -> Labelled:
        """Frame `number`, with the square as object 1."""
        settings = self.settings
        box = Box(*map(float, self.boxes[number]))
        size = settings.width, settings.height
        # a pixel that the square covers by half or more is the square's
        covered = draw_square(size, box, (255, 255, 255), (0, 0, 0))[:, :, 0]
        return Labelled(
            image=draw_square(size, box, settings.square, settings.ground),
            identity=(covered >= 128).astype(np.uint8),
            boxes=self.boxes[number : number + 1].copy(),
            visibility=np.ones(1),
        )

    def frames(self) -> Iterator[Labelled]:
        """All frames in order."""
        return map(self.frame, range(len(self)))


def write_square_video(settings: SquareVideoSettings, out: Path) -> Iterator[Labelled]:
    """Writes the test video with its truth, x,y,w,h a line, 0-based, in groundtruth.txt.

    Args:
        settings: what the video shows.
        out: a video file by its ending (.mp4, .mkv, .webm, .avi), which has groundtruth.txt beside it; else a folder for
            img/00000.png and so on, and groundtruth.txt. Videos are compressed with loss, and odd sides grow by one repeated
            row or column; pictures are exact. Folders above either are made, too. What is there already and whole stays.

    Yields:
        The frames as they are written.

    Raises:
        OutputError: the place cannot be written, or holds something else, which is never replaced; or the name ends as that
            of a picture, or of a video that cannot be written.
    """
    video = SquareVideo(settings)
    truth = "".join(map(row_text, video.boxes))
    if out.suffix.lower() in VIDEO_ENDINGS or (not out.is_dir() and _is_file_name(out)):
        return _write_file(video, out, truth)
    return _write_folder(video, out, truth)


def _is_file_name(path: Path) -> bool:
    """Whether the name is that of a picture or video, so that nobody wants a folder of it: one such as squares.gif."""
    kind, _ = mimetypes.guess_type(path.name)
    return kind is not None and kind.startswith(("image/", "video/"))


def _write_file(video: SquareVideo, out: Path, truth: str) -> Iterator[Labelled]:
    beside = out.with_name(GROUND_TRUTH)
    if out.is_file():
        if not (_holds(beside, truth) and _shows(out, video)):
            raise OutputError(
                f"'{out}' is there already, is not this video with its truth beside it, and would be replaced; give another "
                "name, or a new folder."
            )
        yield from video.frames()
        return
    if out.suffix.lower() in _WRITTEN:
        make_folder(out.parent)
    with new_video(out, FPS) as writer:
        if beside.exists() and not _holds(beside, truth):
            raise OutputError(f"'{beside}' belongs to another video and would be replaced; write '{out.name}' to a new folder.")
        for frame in video.frames():
            writer.write(frame.image)
            yield frame
        write_text(beside, truth)  # before the video has its name, as one without its truth is refused


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_bytes() == text.encode()


def _shows(path: Path, video: SquareVideo) -> bool:
    """Whether a file is this video, as far as compression leaves it; another one may lie beside the same truth."""
    try:
        with read(path) as frames:
            return all(_close(found.image, drawn.image) for found, drawn in zip(frames, video.frames(), strict=True))
    except (SiamtrackError, ValueError):  # no video; of another length
        return False


def _close(found: Image, drawn: Image) -> bool:
    height, width = drawn.shape[:2]
    if found.shape != (height + height % 2, width + width % 2, 3):
        return False
    return float(np.abs(found[:height, :width].astype(int) - drawn).mean()) < _COMPRESSED


def _write_folder(video: SquareVideo, out: Path, truth: str) -> Iterator[Labelled]:
    begin_folder(out, {"what": "square video", **asdict(video.settings)})
    if (out / GROUND_TRUTH).is_file():  # written last
        yield from video.frames()
        return
    with new_folders([out / "img"]) as (part,):
        for number, frame in enumerate(video.frames()):
            write_picture(part / f"{number:05}.png", frame.image)
            yield frame
    write_text(out / GROUND_TRUTH, truth)
