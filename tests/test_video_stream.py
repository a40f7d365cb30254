from __future__ import annotations

import functools
import itertools
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from small_videos import CORNERS, HEIGHT, WIDTH, assert_same, delivered, make_video, moving

from siamtrack import video_stream
from siamtrack.errors import SourceError, TruncatedError
from siamtrack.frames import read


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


class Proxy:
    """Something with a few attributes replaced."""

    def __init__(self, real: object, **replaced: object) -> None:
        self.__dict__.update(replaced, real=real)

    def __getattr__(self, name: str) -> object:
        return getattr(self.real, name)


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
        for ending in ("mp4", "mkv", "flv"):
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
        monkeypatch.setattr(video_stream, "_HELD_BYTES", 7 * WIDTH * HEIGHT * 2)
        forward, _ = delivered(path)
        assert len(forward) == 40
        with read(path, start=37, backward=True) as reader:
            assert reader.count == 38
            assert_same(list(reader), forward[37::-1])

    def test_memory_is_bounded(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = make_video(folder / "long.mp4", moving(40), keys=1000)
        sizes: list[int] = []
        original = video_stream._decode_piece
        monkeypatch.setattr(video_stream, "_HELD_BYTES", 6 * WIDTH * HEIGHT * 2)
        monkeypatch.setattr(video_stream, "_decode_piece", lambda *a: sizes.append(len(p := original(*a))) or p)
        assert len(delivered(path, start=39, backward=True)[0]) == 40
        assert max(sizes) == 6

    def test_a_seek_that_gives_other_pixels_is_not_believed(self, plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        forward, _ = delivered(plain)
        original = video_stream.Stream.pictures_between

        def wrong(self: video_stream.Stream, *args: int) -> list[av.VideoFrame]:
            found = original(self, *args)
            return [found[0]] * len(found)

        monkeypatch.setattr(video_stream.Stream, "pictures_between", wrong)
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

    @pytest.mark.parametrize(("ending", "codec"), [("mkv", "libx264"), ("webm", "libvpx"), ("avi", "mpeg4"), ("flv", "flv")])
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
        monkeypatch.setattr(video_stream.Stream, "_declared_seconds", lambda self: 3.0)
        monkeypatch.setattr(video_stream.Stream, "_read_seconds", lambda self: 3.0)
        original = video_stream.Stream.check_complete

        def with_edit_list(self: video_stream.Stream) -> None:
            self._packets = 12
            original(self)

        monkeypatch.setattr(video_stream.Stream, "check_complete", with_edit_list)
        assert len(list(reader)) == 30
        monkeypatch.setattr(video_stream.Stream, "_declared_seconds", lambda self: 9.0)
        with pytest.raises(TruncatedError, match=r"ends too early, after frame 29 at 3\.00 s of 9\.00 s"):
            list(read(plain))

    @pytest.mark.parametrize("hole", [7, 17])
    @pytest.mark.parametrize("backward", [False, True])
    def test_a_frame_that_cannot_be_decoded_is_skipped_and_reported(
        self, backward: bool, hole: int, folder: Path, tmp_path: Path
    ) -> None:
        whole = make_video(folder / "motion.avi", moving(20), codec="mjpeg", options={"strict": "-2"})
        with av.open(str(whole)) as container:
            lost = [p for p in container.demux(video=0) if p.size][hole]
            assert lost.pos is not None
            position = lost.pos
        data = bytearray(whole.read_bytes())
        data[position : position + lost.size] = bytes(lost.size)
        (tmp_path / "hole.avi").write_bytes(data)
        everything, _ = delivered(whole)
        got, error = delivered(tmp_path / "hole.avi", **({"start": 18, "backward": True} if backward else {}))
        assert error is not None
        assert "damaged" in str(error)
        assert f"near frame {hole}, {hole / 10 + 0.1:.2f} s" in str(error)
        assert error.frames_read == len(got) == 19
        assert sorted(f.time for f in got) == [f.time for f in everything if f.index != hole]

    def test_a_container_that_breaks_gives_what_was_decoded(self, plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.Packet]:
            yield from itertools.islice(container.demux(stream), 20)
            raise av.error.InvalidDataError(1, "Invalid data found")

        everything, _ = delivered(plain)
        original = video_stream.Stream.__init__

        def begin(self: video_stream.Stream, address: str) -> None:
            original(self, address)
            self.container = Proxy(self.container, demux=functools.partial(broken, self.container))  # type: ignore[assignment]

        monkeypatch.setattr(video_stream.Stream, "__init__", begin)
        got, error = delivered(plain)
        assert error is not None
        assert "reading stopped: Invalid data found" in str(error)
        assert error.frames_read == len(got) == 20
        assert_same(got[:15], everything[:15])

    def test_what_precedes_the_first_key_frame_is_not_missed(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(packet: av.Packet | None) -> list[av.VideoFrame]:
            raise av.error.InvalidDataError(1, "Invalid data found")

        path = make_video(folder / "nothing.ts", moving(5))
        original = video_stream.Stream.__init__

        def begin(self: video_stream.Stream, address: str) -> None:
            original(self, address)
            packets = [Proxy(packet, is_keyframe=False) for packet in self.container.demux(self.stream)]
            self.stream = Proxy(self.stream, decode=refuse)  # type: ignore[assignment]
            self.container = Proxy(self.container, demux=lambda stream: packets)  # type: ignore[assignment]

        monkeypatch.setattr(video_stream.Stream, "__init__", begin)
        stream = video_stream.Stream(str(path))
        assert list(stream.pictures()) == []
        stream.check_damage()
        stream.close()
        with pytest.raises(SourceError, match="no frame of it can be decoded"):
            read(path)

    def test_a_broadcast_may_begin_between_key_frames(self, folder: Path, tmp_path: Path) -> None:
        whole = make_video(folder / "whole.ts", moving(40), options={"bf": "0"})
        data = whole.read_bytes()
        packets = len(data) // 188
        tables, rest = data[: 3 * 188], data[188 * (packets // 3) :]
        (tmp_path / "joined.ts").write_bytes(tables + rest)
        got, error = delivered(tmp_path / "joined.ts")
        assert error is None
        assert 10 < len(got) < 40
