"""Where pictures come from: file | folder | glob | camera | URL -> frames.

What is delivered, and when something is missing:

* A frame is delivered as soon as it is decoded, and memory does not grow with the length of the source.
* Time 0 is the first frame of the source. A stream's own time stamps count, so a variable frame rate is respected; streams
  without time stamps and folders use the nominal rate, or 25 frames a second.
* Rotation that a video or a JPEG asks for is applied. For a video, the first frame decides.
* What cannot be decoded is left out, the good frames after it are delivered, and a TruncatedError follows the last one.
  Indices count delivered frames; times still show the gap. Damage that a decoder conceals is delivered as it decodes.
  Nothing is said about what precedes the first key frame: a recorded broadcast may begin anywhere.
* A file that ends before its own header says (by more than two frames and half a second) also ends in a TruncatedError.
  Containers that declare no length (MPEG-TS, fragments, Matroska with sound and without a duration per track) cannot tell.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import itertools
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import cv2
import numpy as np

from siamtrack.errors import ImageError, SourceError, TruncatedError
from siamtrack.image import PICTURE_ENDINGS, Image, as_image
from siamtrack.video_stream import DEFAULT_FPS, EXPECTED, Stream, pieces_from_back

_SCHEMES = ("rtsp", "rtsps", "http", "https", "rtmp", "udp")


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One picture of a source."""

    index: int  # 0-based position in the source; for a video, display order
    time: float  # seconds since the first frame of the source
    image: Image  # RGB, uint8, shape (H, W, 3)


class FrameReader(ABC):
    """Frames of an opened source, one at a time: iterate over it, and use it as a context manager.

    Every iteration begins at the same frame; one can be under way at a time. A second iteration opens the source again.

    Attributes:
        name: short name of the source for titles and output names; the stem of a file, the name of a folder.
        count: how many frames are still to come, from what the source declares: exact for folders and backward reading,
            an estimate for videos (for progress bars only), None where unknown.
        fps: nominal frames per second, None where unknown.
        size: (width, height) in pixels of the first frame delivered. Later frames may differ.
        live: True for cameras and streams without an end: they cannot be rewound and do not wait.
        damaged: True once something before the frame delivered last could not be decoded, so that indices may lag behind.
    """

    name: str
    count: int | None = None
    fps: float | None = None
    size: tuple[int, int] | None = None
    live: bool = False
    damaged: bool = False

    _first: Frame | None = None  # decoded when the source was opened, and not delivered yet
    _running: Generator[Frame, None, None] | None = None

    def __iter__(self) -> Iterator[Frame]:
        first, self._first = self._first, None
        if first is None or self._running is None:
            self.close()
            self._running = self._frames()
        running = self._running
        try:
            if first is not None:
                yield first
            yield from running
        finally:  # also when the loop is left early
            running.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Releases the file, camera or connection. May be called more than once."""
        self._first = None
        if self._running is not None:
            self._running.close()

    def _open(self) -> Self:
        """Decodes the first frame, so that a source that cannot be read is refused before the first iteration."""
        self._running = self._frames()
        try:
            self._first = next(self._running)
        except TruncatedError as error:  # of which nothing can be kept
            raise SourceError(str(error)) from error
        self.size = (self._first.image.shape[1], self._first.image.shape[0])
        return self

    @abstractmethod
    def _frames(self) -> Generator[Frame, None, None]:
        """Opens the source and gives its frames, at least one."""


def read(source: str | Path | int, *, start: int = 0, backward: bool = False) -> FrameReader:
    """Opens a source of frames.

    Args:
        source: a video file; a folder of pictures (jpg, jpeg, png, bmp, webp, tif, tiff; img2 comes before img10); a pattern
            for pictures such as "shots/*.jpg"; a camera number, as int or text; or a URL (rtsp, rtsps, http, https, rtmp,
            udp). A path that exists goes before a pattern or a camera of the same name.
        start: index of the first frame delivered. In a video the frames before it are decoded and dropped, here, at once.
        backward: deliver frames start, start - 1, ..., 0, bit for bit the same as forward. Of a video, this decodes frames
            0 to start once to number them and then again piece by piece, and holds at most 256 MiB of pictures. Without time
            stamps (a bare .h264) every piece is decoded from the beginning, which is slow.

    Raises:
        SourceError: nothing is there, it cannot be opened, it holds no picture, it ends before `start`, or its first frame
            cannot be decoded.
        TruncatedError: while iterating, when the source ended too early or a part of it could not be decoded.
    """
    if start < 0:
        raise SourceError(f"The first frame cannot be {start}; frames are counted from 0.")
    if not str(source):
        raise SourceError(f"The name of the source is empty. {EXPECTED}")
    try:
        return _reader_of(source, start=start, backward=backward)._open()
    except OSError as error:
        raise SourceError(f"'{source}' cannot be read: {error.strerror or error}. {EXPECTED}") from error


def _reader_of(source: str | Path | int, *, start: int, backward: bool) -> FrameReader:
    exists = _exists(Path(str(source)))
    scheme, separator, _ = str(source).partition("://")
    if separator and not exists:
        if scheme.lower() not in _SCHEMES:
            raise SourceError(f"A source that begins with '{scheme}://' is not known; known are {', '.join(_SCHEMES)}.")
        return _Video(str(source), start=start, backward=backward)
    if isinstance(source, int) or (str(source).isdecimal() and not exists):
        return _Camera(int(str(source)), start=start, backward=backward)
    return _read_path(str(source), start=start, backward=backward)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:  # no file, but perhaps an address
            return False
        raise


def _read_path(source: str, *, start: int, backward: bool) -> FrameReader:
    path = Path(source)
    exists = _exists(path)
    if exists and path.is_dir():
        found = sorted(path.iterdir())
        return _Pictures(f"The folder '{source}'", path.resolve().name, found, start=start, backward=backward)
    if not exists and any(mark in source for mark in "*?["):
        found = sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
        name = next((entry.resolve().parent.name for entry in found), "")
        return _Pictures(f"The pattern '{source}'", name, found, start=start, backward=backward)
    if not exists:
        raise SourceError(f"There is no file or folder '{source}'. {_similar(path) or EXPECTED}")
    if path.suffix.lower() in PICTURE_ENDINGS:
        raise SourceError(f"'{source}' is one picture, not a video. {EXPECTED}")
    if path.stat().st_size == 0:
        raise SourceError(f"The file '{source}' is empty (0 bytes); copy or record it again.")
    return _Video(source, start=start, backward=backward)


def _similar(path: Path) -> str:
    if not path.parent.is_dir():
        return f"The folder '{path.parent}' does not exist either."
    close = difflib.get_close_matches(path.name, [entry.name for entry in path.parent.iterdir()], n=1)
    return f"Did you mean '{path.parent / close[0]}'?" if close else ""


class _Pictures(FrameReader):
    """The pictures among some files, in natural order."""

    fps = DEFAULT_FPS

    def __init__(self, found_in: str, name: str, found: Sequence[Path], *, start: int, backward: bool) -> None:
        paths = sorted((path for path in found if path.suffix.lower() in PICTURE_ENDINGS and path.is_file()), key=natural_order)
        if not paths:
            what = f"none of the {len(found)} entries found is a picture" if found else "nothing was found"
            endings = ", ".join(sorted(ending[1:] for ending in PICTURE_ENDINGS))
            raise SourceError(f"{found_in} holds no pictures: {what}. Expected files ending in {endings}.")
        if start >= len(paths):
            raise SourceError(
                f"{found_in} has {len(paths)} frames, so there is no frame {start}; the last one is {len(paths) - 1}."
            )
        self.name = name
        numbered = list(enumerate(paths))
        self._numbered = numbered[start::-1] if backward else numbered[start:]
        self.count = len(self._numbered)

    def _frames(self) -> Generator[Frame, None, None]:
        for read_before, (index, path) in enumerate(self._numbered):
            try:
                image = load_picture(path)
            except (OSError, ImageError, cv2.error) as error:
                raise TruncatedError(
                    f"The picture '{path}' (frame {index}) cannot be read: {error} {read_before} frames were read before it. "
                    "Repair or remove the file.",
                    frames_read=read_before,
                ) from error
            yield Frame(index=index, time=index / DEFAULT_FPS, image=image)


def natural_order(path: Path) -> tuple[list[tuple[int, str]], str]:
    """The key that sorts paths as people count: img2 before img10."""
    pieces = re.split(r"(\d+)", str(path))  # text and digits take turns, so like is compared with like
    return [(int(piece), "") if piece.isdecimal() else (0, piece.casefold()) for piece in pieces], str(path)


def load_picture(path: Path) -> Image:
    """A picture file, turned as its EXIF asks.

    Raises:
        OSError: it cannot be read.
        ImageError: it cannot be decoded.
    """
    data = np.fromfile(path, np.uint8)  # not cv2.imread, which cannot open every name on Windows
    # Not IMREAD_UNCHANGED, which ignores the orientation that a JPEG asks for. Alpha is dropped either way.
    picture = cv2.imdecode(data, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH) if len(data) else None
    if picture is None:
        raise ImageError("It is empty." if len(data) == 0 else "It is damaged, or no picture of the kind its name says.")
    return as_image(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB) if picture.ndim == 3 else picture)


class _Camera(FrameReader):
    """A camera of this machine, through OpenCV."""

    live = True

    def __init__(self, number: int, *, start: int, backward: bool) -> None:
        if backward:
            raise SourceError(f"Camera {number} is live and cannot be read backward; record it to a file first.")
        self.name, self._number, self._start = f"camera-{number}", number, start

    def _frames(self) -> Generator[Frame, None, None]:
        with _quiet_opencv():
            camera = cv2.VideoCapture(self._number)
        try:
            if not camera.isOpened():
                raise SourceError(
                    f"Camera {self._number} cannot be opened. Check that it is connected, that no other program uses it, "
                    "that this program may use cameras, and that its number is right (the first camera is 0)."
                )
            self.fps = camera.get(cv2.CAP_PROP_FPS) or None
            yield from self._grabbed(camera)
        finally:
            camera.release()

    def _grabbed(self, camera: cv2.VideoCapture) -> Iterator[Frame]:
        began: float | None = None
        for index in itertools.count():
            good, picture = camera.read()
            now = time.monotonic()
            if not good:
                text = f"Camera {self._number} gave no picture after {index} frames; check its connection."
                raise TruncatedError(text, frames_read=index) if index > self._start else SourceError(text)
            began = now if began is None else began
            if index >= self._start:
                image = as_image(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB) if picture.ndim == 3 else picture)
                yield Frame(index=index, time=now - began, image=image)


@contextlib.contextmanager
def _quiet_opencv() -> Iterator[None]:
    logging: Any = getattr(cv2.utils, "logging", cv2)  # in cv2 itself up to OpenCV 4.12, in cv2.utils.logging from 4.13 on
    level = logging.getLogLevel()
    logging.setLogLevel(0)
    try:
        yield
    finally:
        logging.setLogLevel(level)


class _Video(FrameReader):
    """A video file or URL."""

    def __init__(self, address: str, *, start: int, backward: bool) -> None:
        self._address, self._start, self._backward = address, start, backward
        self.name = Path(re.sub(r"[?#].*", "", address) if "://" in address else address).stem

    def _frames(self) -> Generator[Frame, None, None]:
        with contextlib.closing(Stream(self._address)) as stream:
            self.fps, self.live = stream.fps, stream.live
            if self._backward and stream.live:
                raise SourceError(f"{stream.title} is live and cannot be read backward; record it to a file first.")
            self.count = self._start + 1 if self._backward else stream.count and max(stream.count - self._start, 1)
            yield from self._reversed(stream) if self._backward else self._forward(stream)

    def _forward(self, stream: Stream) -> Iterator[Frame]:
        for index, picture in enumerate(stream.pictures()):
            self.damaged = stream.damaged
            if index >= self._start:
                yield _frame(stream, index, picture)
        self._check_length(stream)
        stream.check_complete()

    def _reversed(self, stream: Stream) -> Iterator[Frame]:
        for first, pictures in pieces_from_back(self._address, stream, self._start):
            while pictures:  # popping lets go of each picture as soon as it is delivered
                yield _frame(stream, first + len(pictures) - 1, pictures.pop())
        self._check_length(stream)
        stream.check_damage()

    def _check_length(self, stream: Stream) -> None:
        if stream.decoded == 0:
            raise SourceError(f"{stream.title} holds a video stream, but no frame of it can be decoded. {EXPECTED}")
        if stream.decoded <= self._start:
            has = f"{stream.title} has {stream.decoded} frames"
            raise SourceError(f"{has}, so there is no frame {self._start}; the last one is {stream.decoded - 1}.")


def _frame(stream: Stream, index: int, picture: av.VideoFrame) -> Frame:
    return Frame(index=index, time=stream.seconds(index, picture), image=stream.image(picture))
