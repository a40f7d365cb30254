"""Small videos for tests, and what is read from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from siamtrack.errors import TruncatedError
from siamtrack.frames import Frame, read

WIDTH, HEIGHT = 64, 48
CORNERS = np.array([[[220, 30, 30], [30, 220, 30]], [[30, 30, 220], [220, 220, 30]]], np.uint8)  # red green / blue yellow


def moving(count: int, width: int = WIDTH, height: int = HEIGHT) -> list[np.ndarray]:
    noise = np.random.default_rng(0).integers(0, 255, (height // 4, width // 4, 3), np.uint8).repeat(4, 0).repeat(4, 1)
    return [np.roll(noise, 3 * i, axis=1) for i in range(count)]


def make_video(
    path: Path,
    pictures: Sequence[np.ndarray],
    *,
    codec: str = "libx264",
    rate: int = 10,
    keys: int = 10,
    times: Sequence[float] | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    metadata: dict[str, str] | None = None,
    sound: bool = False,
) -> Path:
    base = Fraction(1, 1000 if times else rate)
    with av.open(str(path), "w", options=container_options or {}) as output:
        stream = output.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height, stream.pix_fmt = pictures[0].shape[1], pictures[0].shape[0], "yuv420p"
        stream.gop_size = keys
        stream.codec_context.time_base = base
        stream.metadata.update(metadata or {})
        speech = output.add_stream("aac", rate=16000, layout="mono") if sound else None
        for i, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = (round(1000 * times[i]) if times else i), base
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if speech is not None:
            for packet in silence(speech, 3 * len(pictures) / rate):  # much longer than the pictures
                output.mux(packet)
    return path


def silence(stream: av.AudioStream, seconds: float) -> Iterator[av.Packet]:
    for start in range(0, int(seconds * 16000), 1024):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 16000, start
        yield from stream.encode(frame)
    yield from stream.encode(None)


def delivered(source: object, **options: object) -> tuple[list[Frame], TruncatedError | None]:
    got: list[Frame] = []
    with read(source, **options) as reader:  # type: ignore[arg-type]
        try:
            got.extend(reader)
        except TruncatedError as error:
            return got, error
    return got, None


def assert_same(a: Sequence[Frame], b: Sequence[Frame]) -> None:
    assert [(f.index, f.time) for f in a] == [(f.index, f.time) for f in b]
    assert all(np.array_equal(f.image, g.image) for f, g in zip(a, b, strict=True))
