from __future__ import annotations

import functools
import http.server
import os
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from small_videos import CORNERS, assert_same, delivered, make_video, moving, silence

from siamtrack import video_stream
from siamtrack.errors import SourceError
from siamtrack.frames import read


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(scope="module")
def plain(folder: Path) -> Path:
    return make_video(folder / "plain.mp4", moving(30), options={"bf": "3"})


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
        cv2.imwrite(str(tmp_path / "5.tif"), np.full((6, 8), 200 * 257 + 100, np.uint16))
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

    def test_damaged_first_picture(self, shots: Path) -> None:
        (shots / "img10.png").write_bytes(b"no picture")
        with pytest.raises(SourceError, match=r"img10\.png' \(frame 2\) cannot be read") as caught:
            read(shots, start=2)
        assert type(caught.value) is SourceError

    def test_a_folder_that_may_not_be_read(self, shots: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(path: Path) -> None:
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(Path, "iterdir", refuse)
        for path in (shots, shots / "none.mp4"):
            with pytest.raises(SourceError, match=r"cannot be read: Permission denied\."):
                read(path)

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
        logging = getattr(cv2.utils, "logging", cv2)
        level = logging.getLogLevel()
        with pytest.raises(SourceError, match=r"Camera 77 cannot be opened\. Check that it is connected"):
            read("77")
        assert capfd.readouterr() == ("", "")
        assert logging.getLogLevel() == level

    def test_log_level_of_older_opencv(self, monkeypatch: pytest.MonkeyPatch) -> None:
        levels = [3]
        monkeypatch.delattr(cv2.utils, "logging", raising=False)
        monkeypatch.setattr(cv2, "getLogLevel", lambda: levels[-1], raising=False)
        monkeypatch.setattr(cv2, "setLogLevel", levels.append, raising=False)
        monkeypatch.setattr(cv2, "VideoCapture", FakeCamera)
        with read(3):
            assert levels == [3, 0, 3]

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
        monkeypatch.setattr(video_stream, "_TIMEOUT", 0.2)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
        with pytest.raises(SourceError, match="cannot be opened"):
            read(f"udp://127.0.0.1:{port}")

    def test_an_address_may_be_longer_than_a_name(self, address: str) -> None:
        with pytest.raises(SourceError, match="cannot be opened"):
            read(f"{address}/none.mp4?token={'a' * 300}")

    def test_unknown_scheme(self) -> None:
        with pytest.raises(SourceError, match=r"begins with 'gopher://' is not known; known are rtsp"):
            read("gopher://x/a.mp4")
