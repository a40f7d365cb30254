from __future__ import annotations

import functools
import http.server
import os
import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from siamtrack import frames
from siamtrack.errors import SourceError, TruncatedError
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


def shrink(source: Path, target: Path, share: float) -> Path:
    data = source.read_bytes()
    target.write_bytes(data[: int(len(data) * share)])
    return target


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(scope="module")
def plain(folder: Path) -> Path:
    return make_video(folder / "plain.mp4", moving(30), options={"bf": "3"})


class TestVideo:
    def test_frames_come_in_display_order_with_facts_of_the_source(self, plain: Path) -> None:
        with read(plain) as reader:
            assert (reader.name, reader.count, reader.fps, reader.size, reader.live) == ("plain", 30, 10, (64, 48), False)
            got = list(reader)
        assert [f.index for f in got] == list(range(30))
        assert [f.time for f in got] == pytest.approx([i / 10 for i in range(30)])
        for frame, picture in zip(got, moving(30), strict=True):
            assert frame.image.dtype == np.uint8
            assert frame.image.flags.c_contiguous
            assert np.abs(frame.image.astype(int) - picture).mean() < 25  # 4:2:0 and compression; a wrong frame has about 70

    def test_iterating_again_begins_again(self, plain: Path) -> None:
        with read(str(plain), start=25) as reader:
            first = [next(iter(reader)).index, next(iter(reader)).index]
            assert first == [25, 25]
            assert_same(list(reader), list(reader))

    def test_closing_lets_go_of_the_file(self, plain: Path) -> None:
        before = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0
        reader = read(plain, start=3, backward=True)
        reader.close()
        reader.close()
        for _ in read(plain):
            break
        if before:
            assert len(list(Path("/proc/self/fd").iterdir())) == before

    def test_start_is_exact(self, plain: Path) -> None:
        everything, _ = delivered(plain)
        for start in (1, 13, 29):
            got, _ = delivered(plain, start=start)
            assert_same(got, everything[start:])
        assert read(plain, start=13).count == 17

    @pytest.mark.parametrize("backward", [False, True])
    def test_start_beyond_the_end_says_how_many_there_are(self, plain: Path, backward: bool) -> None:
        with pytest.raises(SourceError, match=r"has 30 frames, so there is no frame 30; the last one is 29"):
            read(plain, start=30, backward=backward)

    def test_variable_frame_rate_keeps_its_times(self, folder: Path) -> None:
        times = [0.0, 0.04, 0.08, 0.5, 0.52, 1.0, 4.0, 4.04]
        path = make_video(folder / "variable.mp4", moving(8), times=times, options={"bf": "2"})
        got, error = delivered(path)
        assert error is None
        assert [f.time for f in got] == pytest.approx(times, abs=1e-3)

    def test_time_counts_from_the_first_frame(self, folder: Path) -> None:
        path = make_video(folder / "late.ts", moving(10))
        with av.open(str(path)) as container:
            assert container.streams.video[0].start_time > 0
        assert delivered(path)[0][0].time == 0

    def test_sound_that_is_longer_than_the_pictures_is_no_truncation(self, folder: Path) -> None:
        for ending in ("mp4", "mkv"):
            got, error = delivered(make_video(folder / f"sound.{ending}", moving(20), sound=True))
            assert (len(got), error) == (20, None)

    def test_ffmpeg_is_quiet(self, plain: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        data = bytearray(plain.read_bytes())
        data[len(data) // 3 : len(data) // 3 + 400] = os.urandom(400)
        (tmp_path / "noise.mp4").write_bytes(data)
        delivered(tmp_path / "noise.mp4")
        assert capfd.readouterr() == ("", "")


class TestBackward:
    @pytest.mark.parametrize(
        ("name", "options"),
        [
            ("b_frames.mp4", {"options": {"bf": "3"}}),
            ("one_key.mp4", {"keys": 1000}),
            ("every_key.mkv", {"keys": 1}),
            ("open_groups.mkv", {"options": {"bf": "3", "x264-params": "open-gop=1:keyint=8"}}),
            ("refresh.mkv", {"options": {"intra-refresh": "1", "bf": "0", "x264-params": "keyint=8"}}),
            ("packets.ts", {"options": {"bf": "2"}}),
            ("old.avi", {"codec": "mpeg4"}),
            ("web.webm", {"codec": "libvpx"}),
            ("bare.h264", {}),
        ],
    )
    def test_is_bit_for_bit_the_forward_reading(
        self, name: str, options: dict[str, object], folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = make_video(folder / name, moving(40), **options)  # type: ignore[arg-type]
        monkeypatch.setattr(frames, "_HELD_BYTES", 7 * WIDTH * HEIGHT * 2)
        forward, _ = delivered(path)
        assert len(forward) == 40
        with read(path, start=37, backward=True) as reader:
            assert reader.count == 38
            assert_same(list(reader), forward[37::-1])

    def test_memory_is_bounded(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = make_video(folder / "long.mp4", moving(40), keys=1000)
        sizes: list[int] = []
        original = frames._Video._decode_piece
        monkeypatch.setattr(frames, "_HELD_BYTES", 6 * WIDTH * HEIGHT * 2)
        monkeypatch.setattr(frames._Video, "_decode_piece", lambda *a: sizes.append(len(p := original(*a))) or p)
        assert len(delivered(path, start=39, backward=True)[0]) == 40
        assert max(sizes) == 6

    def test_a_seek_that_gives_other_pixels_is_not_believed(self, plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        forward, _ = delivered(plain)
        original = frames._Stream.pictures_between

        def wrong(self: frames._Stream, *args: int) -> list[av.VideoFrame]:
            found = original(self, *args)
            return [found[0]] * len(found)

        monkeypatch.setattr(frames._Stream, "pictures_between", wrong)
        assert_same(delivered(plain, start=29, backward=True)[0], forward[::-1])

    def test_variable_frame_rate_and_rotation(self, folder: Path) -> None:
        times = [0.1 * i * i for i in range(12)]
        path = make_video(folder / "both.mkv", moving(12), times=times, keys=4, metadata={"rotate": "90"})
        assert_same(delivered(path, start=11, backward=True)[0], delivered(path)[0][::-1])


def with_matrix(path: Path, target: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Patches a, b, c, d of the display matrix in the track header of an MP4."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40  # version 0: flags, times, id, duration, reserved, layer, group, volume
    one = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    assert data[at : at + 36] == one
    a, b, c, d = (65536 * v for v in matrix)
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    target.write_bytes(data)
    return target


@pytest.fixture(scope="module")
def corners(folder: Path) -> Path:
    picture = CORNERS.repeat(HEIGHT // 2, 0).repeat(WIDTH // 2, 1)
    return make_video(folder / "corners.mp4", [picture] * 3, options={"crf": "5"})


class TestRotation:
    @pytest.mark.parametrize(
        ("matrix", "expected"),
        [
            ((1, 0, 0, 1), CORNERS),
            ((0, 1, -1, 0), np.rot90(CORNERS, -1)),  # a telephone held upright: shown turned clockwise
            ((-1, 0, 0, -1), np.rot90(CORNERS, 2)),
            ((0, -1, 1, 0), np.rot90(CORNERS, 1)),
            ((-1, 0, 0, 1), CORNERS[:, ::-1]),
            ((1, 0, 0, -1), CORNERS[::-1]),
            ((0, 1, 1, 0), CORNERS.transpose(1, 0, 2)),
        ],
    )
    def test_display_matrix(
        self, matrix: tuple[int, int, int, int], expected: np.ndarray, corners: Path, tmp_path: Path
    ) -> None:
        path = with_matrix(corners, tmp_path / "turned.mp4", matrix)
        with read(path) as reader:
            image = next(iter(reader)).image
        assert reader.size == (image.shape[1], image.shape[0]) == ((HEIGHT, WIDTH) if matrix[0] == 0 else (WIDTH, HEIGHT))
        assert image.flags.c_contiguous
        shown = image[[4, -5]][:, [4, -5]].astype(int)
        assert np.abs(shown - expected).max() < 40

    def test_the_angle_agrees_with_pyav(self, corners: Path, tmp_path: Path) -> None:
        path = with_matrix(corners, tmp_path / "turned.mp4", (0, 1, -1, 0))
        with av.open(str(path)) as container:
            assert next(container.decode(video=0)).rotation == -90  # counterclockwise

    @pytest.mark.parametrize(("tag", "turns"), [("90", -1), ("180", 2), ("270", 1), ("0", 0)])
    def test_old_rotate_tag(self, tag: str, turns: int, folder: Path) -> None:
        picture = CORNERS.repeat(HEIGHT // 2, 0).repeat(WIDTH // 2, 1)
        path = make_video(folder / f"tag{tag}.mkv", [picture] * 2, metadata={"rotate": tag}, options={"crf": "5"})
        image = delivered(path)[0][0].image
        assert np.abs(image[[4, -5]][:, [4, -5]].astype(int) - np.rot90(CORNERS, turns)).max() < 40


class TestDamage:
    def test_mp4_cut_in_the_middle(self, folder: Path, tmp_path: Path) -> None:
        whole = make_video(folder / "front.mp4", moving(40), container_options={"movflags": "faststart"}, options={"bf": "3"})
        everything, error = delivered(whole)
        assert error is None
        got, error = delivered(shrink(whole, tmp_path / "cut.mp4", 0.6))
        assert error is not None
        assert error.frames_read == len(got)
        assert 10 < len(got) < 35
        assert "cut.mp4" in str(error)
        assert f"{len(got)} frames" in str(error)
        # Past the cut, frames that refer to lost ones may look different; times stay true.
        assert_same(got[:10], everything[:10])
        assert {f.time for f in got} <= {f.time for f in everything}

    def test_mp4_without_its_index(self, plain: Path, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=r"cut\.mp4' is not a video that can be read, or its beginning or end is missing"):
            read(shrink(plain, tmp_path / "cut.mp4", 0.6))

    @pytest.mark.parametrize(("ending", "codec"), [("mkv", "libx264"), ("webm", "libvpx"), ("avi", "mpeg4")])
    def test_other_containers_cut_in_the_middle(self, ending: str, codec: str, folder: Path, tmp_path: Path) -> None:
        whole = make_video(folder / f"whole.{ending}", moving(40), codec=codec, options={"bf": "0"})
        everything, error = delivered(whole)
        assert (len(everything), error) == (40, None)
        with av.open(str(whole)) as container:
            cut = [packet.pos for packet in container.demux(video=0)][25] or 0
        (tmp_path / f"cut.{ending}").write_bytes(whole.read_bytes()[: cut + 20])
        got, error = delivered(tmp_path / f"cut.{ending}")
        assert error is not None
        assert error.frames_read == len(got) == 25
        assert_same(got, everything[: len(got)])

    def test_a_count_that_is_wrong_by_two_is_no_truncation(self, plain: Path, tmp_path: Path) -> None:
        with av.open(str(plain)) as source, av.open(str(tmp_path / "short.mp4"), "w") as target:
            stream = target.add_stream_from_template(source.streams.video[0])
            for packet in list(source.demux(video=0))[:28]:
                packet.stream = stream
                target.mux(packet)
        assert delivered(tmp_path / "short.mp4")[1] is None

    def test_the_longer_duration_alone_decides_in_mp4(self, monkeypatch: pytest.MonkeyPatch, plain: Path) -> None:
        """An edit list leaves the frame count larger than what is shown."""
        reader = read(plain)
        monkeypatch.setattr(frames._Stream, "_declared_seconds", lambda self: 3.0)
        monkeypatch.setattr(frames._Stream, "_read_seconds", lambda self: 3.0)
        original = frames._Stream.check_complete

        def with_edit_list(self: frames._Stream) -> None:
            self._packets = 12
            original(self)

        monkeypatch.setattr(frames._Stream, "check_complete", with_edit_list)
        assert len(list(reader)) == 30
        monkeypatch.setattr(frames._Stream, "_declared_seconds", lambda self: 9.0)
        with pytest.raises(TruncatedError, match=r"ends too early, after frame 29 at 3\.00 s of 9\.00 s"):
            list(read(plain))

    @pytest.mark.parametrize("backward", [False, True])
    def test_a_frame_that_cannot_be_decoded_is_skipped_and_reported(self, backward: bool, folder: Path, tmp_path: Path) -> None:
        whole = make_video(folder / "motion.avi", moving(20), codec="mjpeg", options={"strict": "-2"})
        with av.open(str(whole)) as container:
            lost = [p for p in container.demux(video=0) if p.size][7]
            assert lost.pos is not None
            position = lost.pos
        data = bytearray(whole.read_bytes())
        data[position : position + lost.size] = bytes(lost.size)
        (tmp_path / "hole.avi").write_bytes(data)
        everything, _ = delivered(whole)
        got, error = delivered(tmp_path / "hole.avi", **({"start": 18, "backward": True} if backward else {}))
        assert error is not None
        assert "damaged" in str(error)
        assert "near frame 7, 0.8" in str(error)
        assert error.frames_read == len(got) == 19
        assert sorted(f.time for f in got) == [f.time for f in everything if f.index != 7]

    def test_a_broadcast_may_begin_between_key_frames(self, folder: Path, tmp_path: Path) -> None:
        whole = make_video(folder / "whole.ts", moving(40), options={"bf": "0"})
        data = whole.read_bytes()
        packets = len(data) // 188
        tables, rest = data[: 3 * 188], data[188 * (packets // 3) :]
        (tmp_path / "joined.ts").write_bytes(tables + rest)
        got, error = delivered(tmp_path / "joined.ts")
        assert error is None
        assert 10 < len(got) < 40


class TestBadFiles:
    def test_missing_file_names_the_nearest(self, plain: Path) -> None:
        with pytest.raises(SourceError, match=r"There is no file or folder '.*plan\.mp4'\. Did you mean '.*plain\.mp4'\?"):
            read(plain.with_name("plan.mp4"))

    def test_missing_folder(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=r"The folder '.*nowhere' does not exist either"):
            read(tmp_path / "nowhere" / "a.mp4")

    def test_permission(self, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "secret.mp4"
        path.write_bytes(plain.read_bytes())
        path.chmod(0)
        if os.access(path, os.R_OK):  # the superuser may read everything

            def refuse(*args: object, **options: object) -> None:
                raise av.error.PermissionError(13, "Permission denied", str(path))

            monkeypatch.setattr(av, "open", refuse)
        with pytest.raises(SourceError, match="may not be read"):
            read(path)

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("empty.mp4", b"", r"empty\.mp4' is empty \(0 bytes\)"),
            ("words.mp4", b"hello world\n" * 50, r"words\.mp4' is not a video that can be read.*Expected a video file"),
            ("notes.txt", b"hello world\n" * 50, r"notes\.txt' is (a text file|not a video)"),
            ("one.PNG", b"\x89PNG", r"one\.PNG' is one picture, not a video\. Expected a video file, a folder"),
        ],
    )
    def test_content(self, name: str, content: bytes, message: str, tmp_path: Path) -> None:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SourceError, match=message):
            read(tmp_path / name)

    def test_a_picture_under_another_name(self, tmp_path: Path) -> None:
        (tmp_path / "one.dat").write_bytes(cv2.imencode(".png", CORNERS)[1].tobytes())
        with pytest.raises(SourceError, match="is one picture"):
            read(tmp_path / "one.dat")

    @pytest.mark.parametrize("name", ["speech.m4a", "speech.mp4", "speech.mkv"])
    def test_sound_only(self, name: str, tmp_path: Path) -> None:
        with av.open(str(tmp_path / name), "w") as output:
            stream = output.add_stream("aac", rate=16000, layout="mono")
            for packet in silence(stream, 1):
                output.mux(packet)
        with pytest.raises(SourceError, match=r"has no video stream \(found: audio\)"):
            read(tmp_path / name)

    def test_negative_start_and_empty_name(self, plain: Path) -> None:
        with pytest.raises(SourceError, match="cannot be -1"):
            read(plain, start=-1)
        with pytest.raises(SourceError, match="empty"):
            read("")


class TestPictures:
    @pytest.fixture
    def shots(self, tmp_path: Path) -> Path:
        shots = tmp_path / "shots"
        shots.mkdir()
        for i in (10, 2, 1):
            cv2.imwrite(str(shots / f"img{i}.png"), np.full((6, 8, 3), (0, 0, i), np.uint8))  # BGR
        (shots / "notes.txt").write_text("no picture")
        (shots / "folder.png").mkdir()
        return shots

    def test_natural_order(self, shots: Path) -> None:
        with read(shots) as reader:
            assert (reader.name, reader.count, reader.fps, reader.size, reader.live) == ("shots", 3, 25, (8, 6), False)
            got = list(reader)
        assert [tuple(f.image[0, 0]) for f in got] == [(1, 0, 0), (2, 0, 0), (10, 0, 0)]
        assert [(f.index, f.time) for f in got] == [(0, 0), (1, 0.04), (2, 0.08)]

    def test_start_and_backward(self, shots: Path) -> None:
        everything, _ = delivered(shots)
        assert_same(delivered(shots, start=1)[0], everything[1:])
        assert_same(delivered(shots, start=1, backward=True)[0], everything[1::-1])
        with pytest.raises(SourceError, match="has 3 frames, so there is no frame 3"):
            read(shots, start=3)

    def test_pattern(self, shots: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert [f.image[0, 0, 0] for f in delivered(str(shots / "img1*.png"))[0]] == [1, 10]
        monkeypatch.chdir(shots.parent)
        with read("sh*/img?.*") as reader:
            assert (reader.name, len(list(reader))) == ("shots", 2)

    def test_a_name_with_brackets_is_a_name(self, shots: Path) -> None:
        shots = shots.rename(shots.with_name("shots[1]"))
        assert len(delivered(str(shots))[0]) == 3

    def test_a_folder_with_digits_as_name_is_no_camera(self, shots: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        shots.rename(shots.with_name("000001"))
        monkeypatch.chdir(shots.parent)
        assert read("000001").name == "000001"

    def test_kinds_of_pictures(self, tmp_path: Path) -> None:
        color = np.full((6, 8, 3), (10, 20, 200), np.uint8)  # BGR
        cv2.imwrite(str(tmp_path / "1.png"), color)
        cv2.imwrite(str(tmp_path / "2.PNG"), color[:, :, 2])
        cv2.imwrite(str(tmp_path / "3.png"), color.astype(np.uint16) * 257)
        cv2.imwrite(str(tmp_path / "4.png"), np.dstack([color, np.full((6, 8), 7, np.uint8)]))
        cv2.imwrite(str(tmp_path / "5.tif"), color[:, :, 2].astype(np.uint16) * 257)
        cv2.imwrite(str(tmp_path / "6.bmp"), color)
        cv2.imwrite(str(tmp_path / "7.webp"), color, [cv2.IMWRITE_WEBP_QUALITY, 101])
        (tmp_path / "8.png").write_bytes(palette_png((200, 20, 10)))
        got, _ = delivered(tmp_path)
        assert [f.image.shape[2] for f in got] == [3] * 8
        grey = (200, 200, 200)
        rgb = (200, 20, 10)
        assert [tuple(f.image[0, 0]) for f in got] == [rgb, grey, rgb, rgb, grey, rgb, rgb, rgb]

    def test_exif_orientation(self, tmp_path: Path) -> None:
        big = CORNERS.repeat(24, 0).repeat(32, 1)
        data = cv2.imencode(".jpg", big[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
        tiff = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)  # 6: turn clockwise
        exif = b"Exif\0\0" + tiff
        (tmp_path / "a.jpg").write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:])
        image = delivered(tmp_path)[0][0].image
        assert image.shape == (64, 48, 3)
        assert np.abs(image[[4, -5]][:, [4, -5]].astype(int) - np.rot90(CORNERS, -1)).max() < 40

    def test_sizes_may_change(self, shots: Path) -> None:
        cv2.imwrite(str(shots / "img11.png"), np.zeros((3, 5, 3), np.uint8))
        got, _ = delivered(shots)
        assert got[-1].image.shape == (3, 5, 3)

    @pytest.mark.parametrize("content", [b"", b"no picture"])
    def test_damaged_picture(self, content: bytes, shots: Path) -> None:
        (shots / "img10.png").write_bytes(content)
        got, error = delivered(shots)
        assert error is not None
        assert (len(got), error.frames_read) == (2, 2)
        assert "img10.png' (frame 2) cannot be read" in str(error)

    def test_nothing_there(self, shots: Path, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        with pytest.raises(
            SourceError, match=r"empty' holds no pictures: nothing was found\. Expected files ending in bmp, jpeg"
        ):
            read(tmp_path / "empty")
        with pytest.raises(SourceError, match="holds no pictures: none of the 2 entries found is a picture"):
            read(tmp_path)
        with pytest.raises(SourceError, match=r"The pattern '.*x\*\.png' holds no pictures: nothing was found"):
            read(str(shots / "x*.png"))
        with pytest.raises(SourceError, match="none of the 1 entries found is a picture"):
            read(str(shots / "*.txt"))


def palette_png(color: tuple[int, int, int]) -> bytes:
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 8, 6, 8, 3, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\1" * 8) * 6)
    palette = bytes([0, 0, 0, *color])
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(*part) for part in [(b"IHDR", header), (b"PLTE", palette), (b"IDAT", rows), (b"IEND", b"")]
    )


class FakeCamera:
    opened = True
    left = 5
    released = 0

    def __init__(self, number: int) -> None:
        self.number = number

    def isOpened(self) -> bool:  # noqa: N802
        return self.opened

    def get(self, _: int) -> float:
        return 0.0

    def read(self) -> tuple[bool, np.ndarray | None]:
        if not self.left:
            return False, None
        self.left -= 1
        return True, np.full((6, 8, 3), (0, 0, 200), np.uint8)

    def release(self) -> None:
        type(self).released += 1


class TestCamera:
    @pytest.mark.parametrize("source", [3, "3"])
    def test_frames_until_it_is_unplugged(self, source: int | str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cv2, "VideoCapture", FakeCamera)
        FakeCamera.released = 0
        with read(source) as reader:
            assert (reader.name, reader.count, reader.fps, reader.size, reader.live) == ("camera-3", None, None, (8, 6), True)
        assert FakeCamera.released == 1
        got, error = delivered(source)
        assert error is not None
        assert error.frames_read == len(got) == 5
        assert got[0].time == 0
        assert [f.time for f in got] == sorted(f.time for f in got)
        assert tuple(got[0].image[0, 0]) == (200, 0, 0)

    def test_not_there(self, capfd: pytest.CaptureFixture[str]) -> None:
        level = cv2.utils.logging.getLogLevel()
        with pytest.raises(SourceError, match=r"Camera 77 cannot be opened\. Check that it is connected"):
            read("77")
        assert capfd.readouterr() == ("", "")
        assert cv2.utils.logging.getLogLevel() == level

    def test_backward_is_refused(self) -> None:
        with pytest.raises(SourceError, match="live and cannot be read backward"):
            read(0, backward=True)


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


class TestUrl:
    @pytest.fixture
    def address(self, folder: Path) -> Iterator[str]:
        handler = functools.partial(QuietHandler, directory=str(folder))
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            yield f"http://127.0.0.1:{server.server_address[1]}"
            server.shutdown()
            thread.join()

    def test_file_over_http(self, address: str, folder: Path) -> None:
        path = make_video(folder / "served.mp4", moving(10), container_options={"movflags": "faststart"})
        with read(f"{address}/served.mp4?token=1") as reader:
            assert (reader.name, reader.live, reader.count) == ("served", False, 10)
            assert_same(list(reader), delivered(path)[0])

    def test_not_found(self, address: str) -> None:
        with pytest.raises(SourceError, match=r"missing\.mp4' cannot be opened: .*Check the address"):
            read(f"{address}/missing.mp4")

    def test_stream_without_an_end_is_live(self, address: str, folder: Path) -> None:
        make_video(folder / "endless.h264", moving(10))
        with read(f"{address}/endless.h264") as reader:
            assert (reader.live, reader.count) == (True, None)
            assert len(list(reader)) == 10
        with pytest.raises(SourceError, match="live and cannot be read backward"):
            read(f"{address}/endless.h264", backward=True)

    def test_nobody_answers_and_the_password_stays_secret(self) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            with pytest.raises(SourceError, match="cannot be opened") as caught:
                read(f"rtsp://me:secret@127.0.0.1:{unused.getsockname()[1]}/a")
        assert "secret" not in str(caught.value)

    def test_silence_ends_in_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(frames, "_TIMEOUT", 0.2)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
        with pytest.raises(SourceError, match="cannot be opened"):
            read(f"udp://127.0.0.1:{port}")

    def test_unknown_scheme(self) -> None:
        with pytest.raises(SourceError, match=r"begins with 'gopher://' is not known; known are rtsp"):
            read("gopher://x/a.mp4")
