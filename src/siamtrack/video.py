"""Annotated pictures -> a video file.

The file is written beside the target under a hidden name and moved over it when it is finished: under the final name there
is always a whole video or what was there before.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import cv2
import numpy as np
from av.video.stream import VideoStream  # not av.VideoStream, which PyAV has from 13.1 on

from siamtrack.errors import ImageError, OutputError
from siamtrack.image import Image, as_image
from siamtrack.output_paths import check_path
from siamtrack.video_stream import DEFAULT_FPS

_TICKS = 60000  # a second; 24, 25, 30, 30000/1001, 50 and 60 frames divide it, and MPEG-4 allows no more than 65535
_H264 = ("libx264", {"preset": "veryfast", "crf": "20"})
_MPEG4 = ("mpeg4", {"flags": "+qscale", "global_quality": str(3 * 118)})  # quantiser 3, in FFmpeg's lambda units
_VP9 = ("libvpx-vp9", {"crf": "30", "b": "0", "deadline": "realtime", "cpu-used": "8", "row-mt": "1"})
_VP8 = ("libvpx", {"crf": "10", "b": "4M", "deadline": "realtime", "cpu-used": "8", "auto-alt-ref": "0"})  # 0: alpha needs it
_CODECS = {".mp4": (_H264, _MPEG4), ".mkv": (_H264, _MPEG4), ".webm": (_VP9, _VP8), ".avi": (_MPEG4,)}  # the best one first
_BT601 = 6  # the colours that the conversion from RGB gives; without the tag, players take large pictures for BT.709


class VideoWriter:
    """Writes pictures to a video file; use it as a context manager.

    The block's end finishes the file. So does Ctrl-C, which keeps what was written so far; after any other exception nothing
    is kept. The first picture decides the size: an odd width or height grows by one repeated row or column, and later
    pictures of another size are fitted in, with black bars where the proportions differ.
    """

    def __init__(self, path: str | Path, *, fps: float | None = None, alpha: bool = False) -> None:
        """Checks that the file can be written; it is created with the first picture.

        Args:
            path: ends in .mp4 or .mkv (H.264, or MPEG-4 where FFmpeg was built without x264), .webm (VP9) or .avi (MPEG-4). An
                existing file is replaced.
            fps: frames per second for pictures without a time; 25 when None.
            alpha: pictures are (H, W, 4), RGB and alpha, and both are kept; only .webm has alpha.

        Raises:
            OutputError: the ending is not known, or has no alpha; the folder is missing or may not be written, the path is a
                folder, `fps` is not above 0, or FFmpeg has no encoder for the ending.
        """
        self.path = Path(path)
        self._fps = DEFAULT_FPS if fps is None else float(fps)
        if not 0 < self._fps <= 1000:
            raise OutputError(f"A video cannot have {self._fps:g} frames per second; expected a number above 0, up to 1000.")
        self._codec, self._options = _encoder(self.path)
        if alpha and self.path.suffix.lower() != ".webm":
            raise OutputError(f"'{self.path}' cannot hold transparency; a video that can ends in .webm.")
        self._pixels = ("rgba", "yuva420p") if alpha else ("rgb24", "yuv420p")
        self._part = self.path.with_name(f".{self.path.stem}-{uuid.uuid4().hex[:8]}{self.path.suffix.lower()}")
        self._reserve()
        self._output: av.container.OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._ended = False
        self._clock = _Clock(self._fps, regular=self.path.suffix.lower() == ".avi")

    def _reserve(self) -> None:
        check_path(self.path)
        with self._explained():
            self._part.open("xb").close()

    def write(self, image: Image, time: float | None = None) -> None:
        """Appends a picture.

        Args:
            image: RGB, uint8, shape (H, W, 3); other pictures as `as_image` takes them. With alpha: (H, W, 4), uint8.
            time: when it is shown, in seconds; only differences count, and the first picture is shown at 0. A time that is not
                after the one before (reading backward, broken time stamps) is taken as one nominal frame later, and the times
                after it count from there. None: one nominal frame after the picture before. AVI knows no times but multiples
                of 1 / fps.

        Raises:
            OutputError: the writer is closed, or the file cannot be written (disk full).
            ImageError: `image` is no picture.
        """
        if self._ended:
            raise OutputError(f"'{self.path}' is already closed; no more pictures can be written to it.")
        image = _with_alpha(image) if self._pixels[0] == "rgba" else as_image(image)
        with self._explained():
            if self._stream is None or self._output is None:
                self._output, self._stream = self._begin(
                    width=image.shape[1] + image.shape[1] % 2, height=image.shape[0] + image.shape[0] % 2
                )
            picture = av.VideoFrame.from_ndarray(
                _fitted(image, self._stream.width, self._stream.height), format=self._pixels[0]
            )
            picture = picture.reformat(format=self._pixels[1])
            picture.pts, picture.time_base = self._clock.ticks(time), self._clock.base
            self._output.mux(self._stream.encode(picture))

    def _begin(self, *, width: int, height: int) -> tuple[av.container.OutputContainer, VideoStream]:
        options = {"movflags": "+faststart"} if self._part.suffix == ".mp4" else {}
        output = av.open(str(self._part.resolve()), "w", options=options)
        stream = output.add_stream(self._codec, rate=_rate(self._fps), options=self._options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, self._pixels[1]
        stream.codec_context.time_base = self._clock.base
        stream.codec_context.colorspace = _BT601
        return output, stream

    def close(self) -> None:
        """Finishes the file and moves it to its final name. May be called more than once.

        Raises:
            OutputError: no picture was written, the file cannot be finished, or it cannot replace an older one; then the
                message says where it is.
        """
        if self._ended:
            return
        if self._output is None or self._stream is None:
            self.discard()
            raise OutputError(f"No picture was written to '{self.path}', so there is no video; the file was not made.")
        try:
            with self._explained():
                self._output.mux(self._stream.encode(None))
                self._output.close()
        except BaseException:
            self.discard()
            raise
        self._ended = True
        try:
            self._part.replace(self.path)
        except OSError as error:  # on Windows: the older one is open in a player
            reason = (error.strerror or str(error)).rstrip(".")
            kept = self._kept()
            raise OutputError(f"'{self.path}' cannot be replaced: {reason}. The finished video is in '{kept}'.") from error

    def _kept(self) -> Path:
        """Where the finished video is, under a name that is not hidden if that is possible."""
        visible = self._part.with_name(self._part.name.removeprefix("."))
        try:
            return self._part.replace(visible)
        except OSError:
            return self._part

    def discard(self) -> None:
        """Gives the video up and leaves nothing behind. Does nothing after `close`."""
        if not self._ended:
            self._ended = True
            with contextlib.suppress(av.FFmpegError, OSError):
                if self._output is not None:
                    self._output.close()
            self._part.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None or (issubclass(kind, KeyboardInterrupt) and self._output is not None):
            self.close()
        else:
            self.discard()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except PermissionError as error:
            raise OutputError(f"'{self.path}' may not be written (permission denied); choose another folder.") from error
        except (OSError, av.FFmpegError) as error:
            reason = (error.strerror or str(error)).rstrip(".")
            raise OutputError(f"'{self.path}' cannot be written: {reason}. Check the disk and the name.") from error


def _with_alpha(image: Image) -> Image:
    if not (isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 4):
        raise ImageError("A picture with alpha is an array (H, W, 4) of uint8.")
    return np.ascontiguousarray(image)


def _encoder(path: Path) -> tuple[str, dict[str, str]]:
    known = _CODECS.get(path.suffix.lower())
    if known is None:
        ending = f"The ending '{path.suffix}' of '{path}'" if path.suffix else f"'{path}' has no ending, which"
        raise OutputError(f"{ending} is not that of a video that can be written; known endings: {', '.join(_CODECS)}.")
    for codec, options in known:
        if codec in av.codecs_available:
            return codec, dict(options)
    names = " or ".join(codec for codec, _ in known)
    raise OutputError(
        f"This FFmpeg cannot write '{path.suffix}': it has no {names}. Choose another ending of {', '.join(_CODECS)}."
    )


def _rate(fps: float) -> Fraction:
    return Fraction(fps).limit_denominator(min(1001, int(65535 / fps) or 1))  # 1001 for NTSC, 65535 for MPEG-4


class _Clock:
    """Turns times in seconds into time stamps that always grow."""

    def __init__(self, fps: float, *, regular: bool) -> None:
        self.base = 1 / _rate(fps) if regular else Fraction(1, _TICKS)
        self._step = 1 / fps
        self._shown = 0.0  # seconds in the video at which the last picture is shown
        self._asked: float | None = None  # the time that was given for it
        self._last = -1  # its time stamp

    def ticks(self, time: float | None) -> int:
        if self._last >= 0:
            ahead = self._step if time is None or self._asked is None else time - self._asked
            self._shown += ahead if ahead > 0 else self._step
        self._asked = time
        self._last = max(round(self._shown / self.base), self._last + 1)
        return self._last


def _fitted(image: Image, width: int, height: int) -> Image:
    """The picture in a frame of that size: grown by at most one row and column, or else scaled, with black bars."""
    rows, columns = image.shape[:2]
    if (rows, columns) == (height, width):
        return image
    if 0 <= height - rows <= 1 and 0 <= width - columns <= 1:
        return np.asarray(cv2.copyMakeBorder(image, 0, height - rows, 0, width - columns, cv2.BORDER_REPLICATE), np.uint8)
    scale = min(width / columns, height / rows)
    new_width, new_height = max(round(columns * scale), 1), max(round(rows * scale), 1)
    left, top = (width - new_width) // 2, (height - new_height) // 2
    frame = np.zeros((height, width, image.shape[2]), np.uint8)
    resized = cv2.resize(image, (new_width, new_height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    frame[top : top + new_height, left : left + new_width] = resized
    return frame
