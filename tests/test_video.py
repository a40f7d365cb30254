from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from siamtrack.errors import ImageError, OutputError
from siamtrack.frames import Frame, read
from siamtrack.video import VideoWriter

ORANGE = (220, 120, 30)


def flat(width: int = 64, height: int = 48, color: tuple[int, int, int] = ORANGE) -> np.ndarray:
    return np.full((height, width, 3), color, np.uint8)


def written(path: Path, pictures: list[np.ndarray], times: list[float] | None = None, fps: float | None = None) -> list[Frame]:
    with VideoWriter(path, fps=fps) as writer:
        for i, picture in enumerate(pictures):
            writer.write(picture, times[i] if times else None)
    assert list(path.parent.iterdir()) == [path]
    with read(path) as reader:
        return list(reader)


@pytest.mark.parametrize(
    ("ending", "codec"), [(".mp4", "h264"), (".mkv", "h264"), (".webm", "vp9"), (".avi", "mpeg4"), (".MP4", "h264")]
)
def test_write_then_read(ending: str, codec: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / f"a{ending}"
    got = written(path, [flat(color=(220, 120, 10 * i)) for i in range(20)])
    assert [f.time for f in got] == pytest.approx([i / 25 for i in range(20)], abs=1e-3)
    for i, frame in enumerate(got):
        assert np.abs(frame.image.astype(int) - (220, 120, 10 * i)).max() < 16
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.codec.name, stream.pix_fmt, stream.average_rate) == (codec, "yuv420p", 25)
    assert capfd.readouterr() == ("", "")


def test_mp4_begins_with_its_index(tmp_path: Path) -> None:
    written(tmp_path / "a.mp4", [flat()] * 5)
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_mpeg4_where_x264_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av, "codecs_available", {"mpeg4"})
    assert len(written(tmp_path / "a.mp4", [flat()] * 5, fps=30000 / 1001)) == 5
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].codec_context.codec.name == "mpeg4"
    with pytest.raises(OutputError, match=r"cannot write '\.webm': it has no libvpx-vp9 or libvpx"):
        VideoWriter(tmp_path / "a.webm")


@pytest.mark.parametrize("fps", [5, 12.5, 30000 / 1001, 24, 60, 99.123])
@pytest.mark.parametrize("ending", [".mp4", ".avi"])
def test_frames_per_second(fps: float, ending: str, tmp_path: Path) -> None:
    got = written(tmp_path / f"a{ending}", [flat()] * 10, fps=fps)
    assert [f.time for f in got] == pytest.approx([i / fps for i in range(10)], abs=1e-4)


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".webm"])
def test_variable_frame_rate(ending: str, tmp_path: Path) -> None:
    times = [7.0, 7.04, 7.5, 7.51, 9.0, 9.1]
    got = written(tmp_path / f"a{ending}", [flat()] * 6, times)
    assert [f.time for f in got] == pytest.approx([t - 7 for t in times], abs=1.1e-3)


def test_times_that_do_not_grow(tmp_path: Path) -> None:
    got = written(tmp_path / "a.mp4", [flat()] * 6, [0.5, 0.5, 0.6, 0.3, 0.4, 0.400001], fps=10)
    assert [f.time for f in got] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.4], abs=1e-4)
    assert got[4].time < got[5].time


def test_reading_backward_gives_a_video_of_the_same_length(tmp_path: Path) -> None:
    got = written(tmp_path / "a.mp4", [flat()] * 5, [0.4, 0.3, 0.2, 0.1, 0.0], fps=10)
    assert [f.time for f in got] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4], abs=1e-4)


def test_odd_sizes_grow_by_one(tmp_path: Path) -> None:
    picture = flat(63, 47)
    picture[-1], picture[:, -1] = (0, 0, 255), (0, 0, 255)
    frame = written(tmp_path / "a.mkv", [picture] * 3)[0]
    assert frame.image.shape == (48, 64, 3)
    assert np.abs(frame.image[:40, :55].astype(int) - ORANGE).max() < 30
    assert frame.image[-1, -1, 2] > 150  # the repeated border, not black


def test_other_sizes_are_fitted_in(tmp_path: Path) -> None:
    got = written(tmp_path / "a.mp4", [flat(64, 48), flat(24, 48), flat(128, 96), flat(640, 48), flat(63, 47)])
    assert {f.image.shape for f in got} == {(48, 64, 3)}
    tall, same, wide, grown = (f.image.astype(int) for f in got[1:])
    assert np.abs(tall[:, 24:40] - ORANGE).max() < 40
    assert tall[:, [*range(16), *range(48, 64)]].max() < 40
    assert np.abs(same - ORANGE).max() < 30
    assert wide[[0, -1]].max() < 40
    assert np.abs(wide[24] - ORANGE).max() < 60
    assert np.abs(grown - ORANGE).max() < 30


def test_grey_and_wrong_pictures(tmp_path: Path) -> None:
    assert written(tmp_path / "a.mp4", [np.full((48, 64), 99, np.uint8)])[0].image.mean() == pytest.approx(99, abs=3)
    with pytest.raises(ImageError), VideoWriter(tmp_path / "b.mp4") as writer:
        writer.write(np.zeros((3, 4, 5), np.uint8))
    assert not (tmp_path / "b.mp4").exists()


class TestEnds:
    def test_an_exception_leaves_what_was_there(self, tmp_path: Path) -> None:
        path = tmp_path / "a.mp4"
        path.write_text("before")

        def interrupted(writer: VideoWriter) -> None:
            with writer:
                writer.write(flat())
                raise RuntimeError

        with pytest.raises(RuntimeError):
            interrupted(VideoWriter(path))
        assert path.read_text() == "before"
        assert list(tmp_path.iterdir()) == [path]

    def test_ctrl_c_keeps_what_was_written(self, tmp_path: Path) -> None:
        path = tmp_path / "a.mp4"
        path.write_text("before")

        def interrupted(writer: VideoWriter) -> None:
            with writer:
                for _ in range(7):
                    writer.write(flat())
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted(VideoWriter(path))
        assert len(list(read(path))) == 7
        assert list(tmp_path.iterdir()) == [path]

    def test_ctrl_c_before_the_first_picture(self, tmp_path: Path) -> None:
        with pytest.raises(KeyboardInterrupt), VideoWriter(tmp_path / "a.mp4"):
            raise KeyboardInterrupt
        assert not list(tmp_path.iterdir())

    def test_until_closed_the_final_name_is_not_touched(self, tmp_path: Path) -> None:
        path = tmp_path / "a.mp4"
        writer = VideoWriter(path)
        writer.write(flat())
        assert not path.exists()
        writer.close()
        writer.close()
        writer.discard()
        assert list(tmp_path.iterdir()) == [path]
        with pytest.raises(OutputError, match="already closed"):
            writer.write(flat())

    def test_no_picture(self, tmp_path: Path) -> None:
        with pytest.raises(OutputError, match=r"No picture was written to '.*a\.mp4'"), VideoWriter(tmp_path / "a.mp4"):
            pass
        assert not list(tmp_path.iterdir())

    def test_permissions_are_those_of_any_new_file(self, tmp_path: Path) -> None:
        written(tmp_path / "a.mp4", [flat()])
        other = tmp_path / "other"
        other.touch()
        assert (tmp_path / "a.mp4").stat().st_mode == other.stat().st_mode

    def test_full_disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*args: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        writer = VideoWriter(tmp_path / "a.mp4")
        writer.write(flat())
        monkeypatch.setattr(writer, "_stream", SimpleNamespace(encode=full))
        with pytest.raises(OutputError, match=r"cannot be written: No space left on device\."):
            writer.close()
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("hidden", [False, True])
    def test_a_finished_video_is_kept_where_the_old_one_cannot_be_replaced(
        self, hidden: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path, rename = tmp_path / "a.mp4", Path.replace
        path.write_text("before")

        def in_use(part: Path, target: Path) -> Path:
            if hidden or target == path:
                raise PermissionError(errno.EACCES, "Permission denied")
            return rename(part, target)

        monkeypatch.setattr(Path, "replace", in_use)
        writer = VideoWriter(path)
        for _ in range(5):
            writer.write(flat())
        with pytest.raises(OutputError, match="cannot be replaced: Permission denied") as caught:
            writer.close()
        (kept,) = set(tmp_path.iterdir()) - {path}
        assert kept.name.startswith(".") == hidden
        assert f"The finished video is in '{kept}'." in str(caught.value)
        assert len(list(read(kept))) == 5
        assert path.read_text() == "before"


class TestRefusals:
    @pytest.mark.parametrize("name", ["a.xyz", "a"])
    def test_unknown_ending(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(OutputError, match=r"known endings: \.mp4, \.mkv, \.webm, \.avi"):
            VideoWriter(tmp_path / name)

    def test_missing_folder(self, tmp_path: Path) -> None:
        with pytest.raises(OutputError, match=r"The folder '.*nowhere' for 'a\.mp4' does not exist"):
            VideoWriter(tmp_path / "nowhere" / "a.mp4")

    def test_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "a.mp4").mkdir()
        with pytest.raises(OutputError, match="is a folder"):
            VideoWriter(tmp_path / "a.mp4")

    def test_no_permission(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        locked = tmp_path / "locked"
        locked.mkdir(mode=0o500)
        if os.access(locked, os.W_OK):  # the superuser may write everywhere

            def refuse(*args: object, **options: object) -> None:
                raise PermissionError(errno.EACCES, "Permission denied")

            monkeypatch.setattr(Path, "open", refuse)
        with pytest.raises(OutputError, match=r"may not be written|cannot be written: Permission denied"):
            VideoWriter(locked / "a.mp4")

    @pytest.mark.parametrize("fps", [0, -1, float("nan"), 1e6])
    def test_impossible_rate(self, fps: float, tmp_path: Path) -> None:
        with pytest.raises(OutputError, match="frames per second"):
            VideoWriter(tmp_path / "a.mp4", fps=fps)
