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
import itertools
import re
import time
import zlib
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
from siamtrack.image import Image, as_image

PICTURE_ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
_SCHEMES = ("rtsp", "rtsps", "http", "https", "rtmp", "udp")
_EXPECTED = "Expected a video file, a folder of pictures, a pattern such as 'shots/*.jpg', a camera number or a URL."
_DEFAULT_FPS = 25.0
_TIMEOUT = 10.0  # seconds without an answer from a URL
_HELD_BYTES = 256 * 2**20  # decoded pictures that reading backward may hold at a time
_COVER_PICTURE = 0x400  # AV_DISPOSITION_ATTACHED_PIC, which not every PyAV names: the sleeve of a sound file
_TAGGED_TURNS = {"90": (0, 1, -1, 0), "180": (-1, 0, 0, -1), "270": (0, -1, 1, 0)}  # clockwise, as a, b, c, d below


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
    """

    name: str
    count: int | None = None
    fps: float | None = None
    size: tuple[int, int] | None = None
    live: bool = False

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
        self._first = next(self._running)
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
        SourceError: nothing is there, it cannot be opened, it holds no picture, or it ends before `start`.
        TruncatedError: while iterating, when the source ended too early or a part of it could not be decoded.
    """
    path = Path(str(source))
    if start < 0:
        raise SourceError(f"The first frame cannot be {start}; frames are counted from 0.")
    if not str(source):
        raise SourceError(f"The name of the source is empty. {_EXPECTED}")
    scheme, separator, _ = str(source).partition("://")
    reader: FrameReader
    if separator and not path.exists():
        if scheme.lower() not in _SCHEMES:
            raise SourceError(f"A source that begins with '{scheme}://' is not known; known are {', '.join(_SCHEMES)}.")
        reader = _Video(str(source), start=start, backward=backward)
    elif isinstance(source, int) or (str(source).isdecimal() and not path.exists()):
        reader = _Camera(int(str(source)), start=start, backward=backward)
    else:
        reader = _read_path(str(source), start=start, backward=backward)
    return reader._open()


def _read_path(source: str, *, start: int, backward: bool) -> FrameReader:
    path = Path(source)
    if path.is_dir():
        found = sorted(path.iterdir())
        return _Pictures(f"The folder '{source}'", path.resolve().name, found, start=start, backward=backward)
    if not path.exists() and any(mark in source for mark in "*?["):
        found = sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
        name = next((entry.resolve().parent.name for entry in found), "")
        return _Pictures(f"The pattern '{source}'", name, found, start=start, backward=backward)
    if not path.exists():
        raise SourceError(f"There is no file or folder '{source}'. {_similar(path) or _EXPECTED}")
    if path.suffix.lower() in PICTURE_ENDINGS:
        raise SourceError(f"'{source}' is one picture, not a video. {_EXPECTED}")
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

    fps = _DEFAULT_FPS

    def __init__(self, found_in: str, name: str, found: Sequence[Path], *, start: int, backward: bool) -> None:
        paths = sorted((path for path in found if path.suffix.lower() in PICTURE_ENDINGS and path.is_file()), key=_natural)
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
                image = _load(path)
            except (OSError, ImageError, cv2.error) as error:
                raise TruncatedError(
                    f"The picture '{path}' (frame {index}) cannot be read: {error} {read_before} frames were read before it. "
                    "Repair or remove the file.",
                    frames_read=read_before,
                ) from error
            yield Frame(index=index, time=index / _DEFAULT_FPS, image=image)


def _natural(path: Path) -> tuple[list[tuple[int, str]], str]:
    pieces = re.split(r"(\d+)", str(path))  # text and digits take turns, so like is compared with like
    return [(int(piece), "") if piece.isdecimal() else (0, piece.casefold()) for piece in pieces], str(path)


def _load(path: Path) -> Image:
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
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)


class _Video(FrameReader):
    """A video file or URL."""

    def __init__(self, address: str, *, start: int, backward: bool) -> None:
        self._address, self._start, self._backward = address, start, backward
        self.name = Path(re.sub(r"[?#].*", "", address) if "://" in address else address).stem

    def _frames(self) -> Generator[Frame, None, None]:
        with contextlib.closing(_Stream(self._address)) as stream:
            self.fps, self.live = stream.fps, stream.live
            if self._backward and stream.live:
                raise SourceError(f"{stream.title} is live and cannot be read backward; record it to a file first.")
            self.count = self._start + 1 if self._backward else stream.count and max(stream.count - self._start, 1)
            yield from self._reversed(stream) if self._backward else self._forward(stream)

    def _forward(self, stream: _Stream) -> Iterator[Frame]:
        for index, picture in enumerate(stream.pictures()):
            if index >= self._start:
                yield stream.frame(index, picture)
        if stream.decoded <= self._start:
            raise self._too_short(stream)
        stream.check_complete()

    def _reversed(self, stream: _Stream) -> Iterator[Frame]:
        marks = [stream.mark(picture) for picture in itertools.islice(stream.pictures(), self._start + 1)]
        if len(marks) <= self._start:
            raise self._too_short(stream)
        held = max(_HELD_BYTES // (stream.stream.width * stream.stream.height * 2), 2)
        for first, last, keys in _pieces(marks, held):
            pictures = self._decode_piece(marks, first, last, keys)
            while pictures:  # popping lets go of each picture as soon as it is delivered
                yield stream.frame(first + len(pictures) - 1, pictures.pop())
        stream.check_damage()

    def _decode_piece(self, marks: Sequence[_Mark], first: int, last: int, keys: Sequence[int]) -> list[av.VideoFrame]:
        """Pictures first to last, from the nearest key frame that gives the same pixels as decoding from the beginning."""
        steps_back = 1
        while steps_back < len(keys) and keys[-steps_back] > 0:
            with contextlib.closing(_Stream(self._address)) as stream:
                pictures = stream.pictures_between(marks[keys[-steps_back]].pts, marks[first].pts, marks[last].pts)
                if [stream.mark(picture) for picture in pictures] == list(marks[first : last + 1]):
                    return pictures
            steps_back *= 2  # pictures there refer to some before the key frame: begin further back
        with contextlib.closing(_Stream(self._address)) as stream:
            return list(itertools.islice(stream.pictures(), first, last + 1))

    def _too_short(self, stream: _Stream) -> SourceError:
        if stream.decoded == 0:
            return SourceError(f"{stream.title} holds a video stream, but no frame of it can be decoded. {_EXPECTED}")
        has = f"{stream.title} has {stream.decoded} frames"
        return SourceError(f"{has}, so there is no frame {self._start}; the last one is {stream.decoded - 1}.")


@dataclass(frozen=True, kw_only=True)
class _Mark:
    """What tells one picture of a stream from all others."""

    pts: int | None  # in units of the stream's time base
    key: bool
    checksum: int  # of the first plane


def _pieces(marks: Sequence[_Mark], held: int) -> Iterator[tuple[int, int, list[int]]]:
    """Splits pictures 0..n-1 at key frames and into at most `held`, from the back: first, last, key frames up to first."""
    stamps = [mark.pts for mark in marks]
    ordered = all(a is not None and b is not None and a < b for a, b in itertools.pairwise(stamps))
    keys = [0, *(i for i, mark in enumerate(marks) if i and mark.key and ordered)]
    end = len(marks)
    while keys:
        for first in reversed(range(keys[-1], end, held)):
            yield first, min(first + held, end) - 1, list(keys)
        end = keys.pop()


class _Stream:
    """The video stream of one opened container."""

    def __init__(self, address: str) -> None:
        remote = "://" in address
        self.title = f"'{re.sub('//[^/@]*@', '//', address)}'"  # without a password
        self.container = _open_container(address if remote else str(Path(address).resolve()), self.title)
        try:
            self.stream = self._pick()
        except SourceError:
            self.container.close()
            raise
        scheme = address.partition("://")[0].lower() if remote else ""
        self.live = remote and (scheme not in ("http", "https") or self.container.duration is None)
        # Not AUTO: with frame threads, PyAV loses every picture in flight when a file ends in a damaged one, and two cores
        # gained nothing measurable from them.
        self.stream.thread_type = "SLICE"
        rate = self.stream.average_rate or self.stream.guessed_rate
        self.fps = float(rate) if rate else None
        self.decoded = 0  # pictures so far
        self._damage: list[str] = []
        self._packets = 0
        self._seen_key = False
        self._span: list[int] = []  # first and last instant of the packets so far, time base
        self._zero: int | None = None  # time stamp of the first picture
        self._tags = {name.upper(): value for name, value in self.stream.metadata.items()}
        self._turn = _TAGGED_TURNS.get(self._tags.get("ROTATE", ""))
        self._to_rgb = av.video.reformatter.VideoReformatter()

    def _pick(self) -> av.VideoStream:
        videos = self.container.streams.video
        streams = [stream for stream in videos if not int(getattr(stream, "disposition", 0)) & _COVER_PICTURE]
        kind = self.container.format.name
        if kind == "tty":  # FFmpeg draws any text file as a video
            raise SourceError(f"{self.title} is a text file, not a video. {_EXPECTED}")
        if kind == "image2" or kind.endswith("_pipe"):
            raise SourceError(f"{self.title} is one picture, not a video. {_EXPECTED}")
        if not streams:
            found = ", ".join(sorted({stream.type for stream in self.container.streams})) or "nothing"
            raise SourceError(f"{self.title} has no video stream (found: {found}). {_EXPECTED}")
        return streams[0]

    def close(self) -> None:
        self.container.close()

    @property
    def count(self) -> int | None:
        """How many frames there are by what the header says."""
        if self.live or self.stream.frames:
            return self.stream.frames or None
        seconds = (self.container.duration or 0) / av.time_base
        return round(seconds * (self.fps or 0)) or None

    def pictures(self) -> Iterator[av.VideoFrame]:
        """Every picture that can be decoded, in display order; what cannot be is noted as damage."""
        try:
            for packet in self.container.demux(self.stream):
                yield from self._decode(packet)
        except av.FFmpegError as error:
            self._note(f"reading stopped: {error.strerror}")
            yield from self._decode(None)

    def _decode(self, packet: av.Packet[av.VideoStream] | None) -> Iterator[av.VideoFrame]:
        if packet is not None and packet.size:
            self._packets += 1
            self._seen_key |= packet.is_keyframe
            if packet.pts is not None:
                instants = [*self._span, packet.pts, packet.pts + (packet.duration or 0)]
                self._span = [min(instants), max(instants)]
            # The flag means "cut off" in files with an index; in a transport stream it often means a harmless gap.
            if packet.is_corrupt and not self.live and self.container.format.name != "mpegts":
                self._note("a part is cut off")
                return
        try:
            pictures = self.stream.decode(packet)
        except av.FFmpegError as error:
            if self._seen_key:
                self._note(f"a part cannot be decoded: {error.strerror}")
            return
        for picture in pictures:
            if self.decoded == 0:
                self._begin(picture)
            self.decoded += 1
            yield picture

    def _begin(self, picture: av.VideoFrame) -> None:
        self._zero = picture.pts
        matrix: Any = picture.side_data.get("DISPLAYMATRIX")
        if matrix is not None:
            a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
            self._turn = (a, b, c, d)

    def pictures_between(self, key: int | None, first: int | None, last: int | None) -> list[av.VideoFrame]:
        """The pictures with time stamps first to last, from the key frame at `key`; what was found, where seeking fails."""
        found: list[av.VideoFrame] = []
        if key is None or first is None or last is None:
            return found
        try:
            self.container.seek(key, stream=self.stream, backward=True)
            for picture in self.pictures():
                if picture.pts is None or picture.pts > last:
                    break
                if picture.pts >= first:
                    found.append(picture)
        except av.FFmpegError:
            return []
        return found

    def mark(self, picture: av.VideoFrame) -> _Mark:
        plane = picture.planes[0]
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, abs(plane.line_size))[: plane.height]
        checksum = zlib.adler32(rows[:, : plane.width].tobytes())  # the bytes that pad a row are not defined
        return _Mark(pts=picture.pts, key=picture.key_frame, checksum=checksum)

    def frame(self, index: int, picture: av.VideoFrame) -> Frame:
        seconds = index / (self.fps or _DEFAULT_FPS)
        if picture.pts is not None and self._zero is not None and self.stream.time_base is not None:
            seconds = float((picture.pts - self._zero) * self.stream.time_base)
        image = np.asarray(self._to_rgb.reformat(picture, format="rgb24").to_ndarray(), np.uint8)
        return Frame(index=index, time=seconds, image=_turned(image, self._turn))

    def _note(self, what: str) -> None:
        seconds = (self._span[-1] - (self._zero or 0)) * (self.stream.time_base or 0) if self._span else 0
        self._damage.append(f"{what} near frame {self.decoded}, {float(max(seconds, 0)):.2f} s")

    def check_damage(self) -> None:
        """Raises TruncatedError if anything so far could not be decoded."""
        if self._damage:
            more = f" (and {len(self._damage) - 1} more places)" if len(self._damage) > 1 else ""
            raise TruncatedError(
                f"{self.title} is damaged: {self._damage[0]}{more}. The {self.decoded} frames that can be decoded were "
                "delivered. Copy or record it again if you need the rest.",
                frames_read=self.decoded,
            )

    def check_complete(self) -> None:
        """Raises TruncatedError if, after the last picture, anything is known to be missing."""
        self.check_damage()
        if self.live:
            return
        step = 1 / (self.fps or _DEFAULT_FPS)
        missing_frames = self.stream.frames - self._packets
        missing_seconds = self._declared_seconds() - self._read_seconds()
        late = missing_seconds > max(0.5, 3 * step)
        # An edit list leaves frames out on purpose and shortens the duration; so frames alone prove nothing in MP4.
        certain = late or "mp4" not in self.container.format.name
        if (missing_frames > 2 and certain) if self.stream.frames else late:
            raise TruncatedError(
                f"{self.title} ends too early, after frame {self.decoded - 1} at {self._read_seconds():.2f} s of "
                f"{self._declared_seconds():.2f} s; it was probably cut off. Copy or record it again if you need the rest.",
                frames_read=self.decoded,
            )

    def _declared_seconds(self) -> float:
        """How long the video stream says it is; 0 where nothing is said about it alone."""
        if self.stream.duration is not None and self.stream.time_base is not None:
            return float(self.stream.duration * self.stream.time_base)
        tag = re.fullmatch(r"(\d+):(\d+):(\d+\.?\d*)", self._tags.get("DURATION", ""))  # Matroska
        if tag:
            return int(tag[1]) * 3600 + int(tag[2]) * 60 + float(tag[3])
        return (self.container.duration or 0) / av.time_base if len(self.container.streams) == 1 else 0.0

    def _read_seconds(self) -> float:
        if not self._span or self.stream.time_base is None:
            return self.decoded / (self.fps or _DEFAULT_FPS)
        # A track's duration is counted from its beginning, that of Matroska from the beginning of the file.
        begin = self._span[0] if self.stream.duration is not None else 0
        return float((self._span[1] - begin) * self.stream.time_base)


def _open_container(address: str, title: str) -> av.container.InputContainer:
    remote = "://" in address
    options = {"rtsp_flags": "prefer_tcp"} if address.lower().startswith("rtsp") else {}
    try:
        return av.open(address, "r", options=options, timeout=_TIMEOUT if remote else None)
    except PermissionError as error:
        raise SourceError(f"{title} may not be read (permission denied); change its permissions.") from error
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).rstrip(".")
        if remote:
            raise SourceError(
                f"{title} cannot be opened: {reason}. Check the address, the network and the password."
            ) from error
        raise SourceError(
            f"{title} is not a video that can be read, or its beginning or end is missing (an unfinished recording): {reason}. "
            f"{_EXPECTED}"
        ) from error


def _turned(image: Image, matrix: tuple[int, int, int, int] | None) -> Image:
    """Turned and mirrored as the display matrix asks: x' = a x + c y, y' = b x + d y, to the nearest quarter turn."""
    if matrix is None:
        return image
    a, b, c, d = matrix
    across = abs(b) > abs(a)
    mirror_x, mirror_y = (c < 0, b < 0) if across else (a < 0, d < 0)
    turned = cv2.transpose(image) if across else image
    if mirror_x or mirror_y:
        turned = cv2.flip(turned, -1 if mirror_x and mirror_y else int(mirror_x))
    return np.asarray(turned, np.uint8)
