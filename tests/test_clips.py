"""Frames of annotated clips: the frame that is asked for, or an error, never another one."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from small_videos import make_video, moving

from siamtrack.datasets.clips import PictureFiles, VideoFile, read_picture
from siamtrack.errors import DataError
from siamtrack.frames import read


def shown(found: list[np.ndarray | DataError]) -> list[bool]:
    return [not isinstance(frame, DataError) for frame in found]


def test_frames_of_a_video_are_those_asked_for(tmp_path: Path) -> None:
    path = make_video(tmp_path / "whole.mp4", moving(12))
    with read(path) as frames:
        every = [frame.image for frame in frames]
    video = VideoFile(path, 12)
    assert np.array_equal(video.read(7), every[7])
    found = list(video.several([0, 5, 11]))
    assert all(np.array_equal(a, every[b]) for a, b in zip(found, (0, 5, 11), strict=True))
    assert shown(list(video.several([10, 12, 13]))) == [True, False, False]
    with pytest.raises(DataError, match=r"Frame 12 of '.*whole\.mp4' cannot be read"):
        video.read(12)


def test_no_frame_of_a_video_is_taken_for_another_after_damage(tmp_path: Path) -> None:
    """What follows the damage is counted too low: the annotation of frame 8 would get frame 9."""
    whole = make_video(tmp_path / "whole.avi", moving(20), codec="mjpeg", options={"strict": "-2"})
    with av.open(str(whole)) as container:
        lost = [packet for packet in container.demux(video=0) if packet.size][7]
        assert lost.pos is not None
        content = bytearray(whole.read_bytes())
        content[lost.pos : lost.pos + lost.size] = bytes(lost.size)
    (tmp_path / "hole.avi").write_bytes(content)
    good, bad = (list(VideoFile(tmp_path / name, 20).several(range(20))) for name in ("whole.avi", "hole.avi"))
    assert shown(good) == [True] * 20
    assert shown(bad) == [True] * 7 + [False] * 13
    assert all(np.array_equal(a, b) for a, b in zip(good[:7], bad[:7], strict=True))  # type: ignore[arg-type]
    assert "damaged" in str(bad[15])


def test_pictures_of_any_depth_are_read_as_tracking_reads_them(tmp_path: Path) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (20, 30, 3), np.uint16)
    assert cv2.imwrite(str(tmp_path / "1.png"), deep)
    assert cv2.imwrite(str(tmp_path / "2.png"), deep[..., 0])
    with read(tmp_path) as frames:
        expected = [frame.image for frame in frames]
    files = PictureFiles((tmp_path / "1.png", tmp_path / "2.png"))
    assert all(np.array_equal(files.read(i), expected[i]) for i in range(2))


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_files_that_are_no_pictures_are_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.jpg"
    with pytest.raises(DataError, match=r"a\.jpg' cannot be read: No such file"):
        read_picture(path)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.jpg' cannot be decoded as an image"):
        read_picture(path)
