"""The pictures of one video file or URL, as FFmpeg decodes them: in display order, piece by piece from the back, turned.

What is missing or damaged is remembered here and told after the last picture; `siamtrack.frames` says what that means for
a reader of frames.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from siamtrack.errors import SourceError, TruncatedError
from siamtrack.image import Image

EXPECTED = "Expected a video file, a folder of pictures, a pattern such as 'shots/*.jpg', a camera number or a URL."
"""What a source of frames may be, for messages."""

DEFAULT_FPS = 25.0
"""Frames per second of a source that says nothing about it."""

_TIMEOUT = 10.0  # seconds without an answer from a URL
_HELD_BYTES = 256 * 2**20  # decoded pictures that reading backward may hold at a time
_COVER_PICTURE = 0x400  # AV_DISPOSITION_ATTACHED_PIC, which not every PyAV names: the sleeve of a sound file
_TAGGED_TURNS = {"90": (0, 1, -1, 0), "180": (-1, 0, 0, -1), "270": (0, -1, 1, 0)}  # clockwise, as a, b, c, d below


@dataclass(frozen=True, kw_only=True)
class _Mark:
    """What tells one picture of a stream from all others."""

    pts: int | None  # in units of the stream's time base
    key: bool
    checksum: int  # of the first plane


class Stream:
    """The video stream of one opened container.

    Attributes:
        title: the address as messages name it, without a password.
        live: it has no end that is known.
        fps: nominal frames per second, None where unknown.
        decoded: pictures decoded so far.

    Raises:
        SourceError: it cannot be opened, or holds no video.
    """

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
            raise SourceError(f"{self.title} is a text file, not a video. {EXPECTED}")
        if kind == "image2" or kind.endswith("_pipe"):
            raise SourceError(f"{self.title} is one picture, not a video. {EXPECTED}")
        if not streams:
            found = ", ".join(sorted({stream.type for stream in self.container.streams})) or "nothing"
            raise SourceError(f"{self.title} has no video stream (found: {found}). {EXPECTED}")
        return streams[0]

    def close(self) -> None:
        """Releases the file or connection."""
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
        """What tells this picture from all others of the stream."""
        plane = picture.planes[0]
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, abs(plane.line_size))[: plane.height]
        checksum = zlib.adler32(rows[:, : plane.width].tobytes())  # the bytes that pad a row are not defined
        return _Mark(pts=picture.pts, key=picture.key_frame, checksum=checksum)

    def seconds(self, index: int, picture: av.VideoFrame) -> float:
        """When a picture is shown, counted from the first one; by its index where it has no time stamp."""
        if picture.pts is not None and self._zero is not None and self.stream.time_base is not None:
            return float((picture.pts - self._zero) * self.stream.time_base)
        return index / (self.fps or DEFAULT_FPS)

    def image(self, picture: av.VideoFrame) -> Image:
        """The picture as it is to be shown: RGB, turned as the stream asks, shape (H, W, 3)."""
        image = np.asarray(self._to_rgb.reformat(picture, format="rgb24").to_ndarray(), np.uint8)
        return _turned(image, self._turn)

    def _note(self, what: str) -> None:
        seconds = (self._span[-1] - (self._zero or 0)) * (self.stream.time_base or 0) if self._span else 0
        self._damage.append(f"{what} near frame {self.decoded}, {float(max(seconds, 0)):.2f} s")

    @property
    def damaged(self) -> bool:
        """Whether something could not be decoded so far."""
        return bool(self._damage)

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
        step = 1 / (self.fps or DEFAULT_FPS)
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
            return self.decoded / (self.fps or DEFAULT_FPS)
        # A track's duration is counted from its beginning, that of Matroska from the beginning of the file.
        begin = self._span[0] if self.stream.duration is not None else 0
        return float((self._span[1] - begin) * self.stream.time_base)


def pieces_from_back(address: str, stream: Stream, start: int) -> Iterator[tuple[int, list[av.VideoFrame]]]:
    """Pictures start, start - 1, ..., 0 of a stream in pieces, the last piece first; none where it ends before `start`.

    The stream is decoded once to number its pictures; the pieces are then decoded from containers opened anew.

    Returns:
        Index of the first picture of a piece, and its pictures in display order. Whoever takes pictures out of the list
        lets go of their memory.
    """
    marks = [stream.mark(picture) for picture in itertools.islice(stream.pictures(), start + 1)]
    if len(marks) <= start:
        return
    held = max(_HELD_BYTES // (stream.stream.width * stream.stream.height * 2), 2)
    for first, last, keys in _pieces(marks, held):
        yield first, _decode_piece(address, marks, first, last, keys)


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


def _decode_piece(address: str, marks: Sequence[_Mark], first: int, last: int, keys: Sequence[int]) -> list[av.VideoFrame]:
    """Pictures first to last, from the nearest key frame that gives the same pixels as decoding from the beginning."""
    steps_back = 1
    while steps_back < len(keys) and keys[-steps_back] > 0:
        with contextlib.closing(Stream(address)) as stream:
            pictures = stream.pictures_between(marks[keys[-steps_back]].pts, marks[first].pts, marks[last].pts)
            if [stream.mark(picture) for picture in pictures] == list(marks[first : last + 1]):
                return pictures
        steps_back *= 2  # pictures there refer to some before the key frame: begin further back
    with contextlib.closing(Stream(address)) as stream:
        return list(itertools.islice(stream.pictures(), first, last + 1))


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
            f"{EXPECTED}"
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
