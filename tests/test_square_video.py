"""The thesis's test video: its boxes are its pixels, its steps use their range and no more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import INPUT, INTERRUPTED, OUTPUT, refused, run
from hypothesis import given, settings
from hypothesis import strategies as st

from siamtrack.datasets.folder import Folder
from siamtrack.datasets.sequences import find_sequences
from siamtrack.errors import OutputError, SettingsError
from siamtrack.frames import read
from siamtrack.results import read_boxes
from siamtrack.synthetic.square_video import SquareVideo, SquareVideoSettings, write_square_video
from siamtrack.synthetic.truth import Labelled

SHORT = SquareVideoSettings(frames=6, width=64, height=48, side=12, max_displacement=5)


@given(
    side=st.integers(1, 30),
    longest=st.floats(1, 20),
    whole=st.booleans(),
    seed=st.integers(0, 1000),
)
@settings(max_examples=40, deadline=None)
def test_boxes_stay_in_the_frame_and_steps_within_their_length(side: int, longest: float, whole: bool, seed: int) -> None:
    video = SquareVideo(
        SquareVideoSettings(frames=40, width=70, height=50, side=side, max_displacement=longest, whole_pixels=whole, seed=seed)
    )
    corners = video.boxes[:, :2]
    assert video.boxes.shape == (40, 4)
    assert (video.boxes[:, 2:] == side).all()
    assert (corners >= 0).all()
    assert (corners + side <= [70, 50]).all()
    assert np.hypot(*np.diff(corners, axis=0).T).max() <= longest
    assert (corners == np.round(corners)).all() == whole


@pytest.mark.parametrize("longest", [4, 16, 32])
def test_steps_use_the_whole_disc(longest: int) -> None:
    video = SquareVideo(SquareVideoSettings(max_displacement=longest, frames=3000))
    steps = np.diff(video.boxes[:, :2], axis=0)
    lengths = np.hypot(*steps.T)
    assert lengths.max() >= 0.98 * longest
    assert (np.concatenate([steps.max(axis=0), -steps.min(axis=0)]) > 0.9 * longest).all()  # each way
    assert lengths.mean() == pytest.approx(2 / 3 * longest, rel=0.05)
    assert np.abs(steps.mean(axis=0)).max() < 0.06 * longest  # to no side
    assert np.ptp(video.boxes[:, :2], axis=0).min() > 100


def test_the_defaults_are_those_of_the_thesis() -> None:
    video = SquareVideo(SquareVideoSettings())
    first = video.frame(0)
    assert (len(video), first.image.shape) == (300, (255, 255, 3))
    np.testing.assert_array_equal(first.boxes, [[107, 107, 40, 40]])
    assert set(np.unique(first.image)) == {0, 255}
    assert (first.image == 0).all(axis=2).sum() == 1600


def test_boxes_are_exactly_the_black_pixels() -> None:
    frames = list(SquareVideo(SHORT).frames())
    assert len(frames) == 6
    for frame in frames:
        rows, columns = np.nonzero((frame.image == 0).all(axis=2))
        tight = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
        np.testing.assert_array_equal(frame.boxes, [tight])
        np.testing.assert_array_equal(frame.identity, (frame.image[:, :, 0] == 0).astype(np.uint8))
        assert frame.visibility.tolist() == [1.0]


def test_between_pixels_the_centre_of_darkness_is_that_of_the_box() -> None:
    video = SquareVideo(SquareVideoSettings(frames=8, width=60, height=60, side=9, whole_pixels=False, max_displacement=7))
    for frame in video.frames():
        dark = 255.0 - frame.image[:, :, 0]
        x, y, w, h = frame.boxes[0]
        i = np.arange(60) + 0.5
        assert (dark.sum(axis=0) @ i) / dark.sum() == pytest.approx(x + w / 2, abs=0.02)
        assert (dark.sum(axis=1) @ i) / dark.sum() == pytest.approx(y + h / 2, abs=0.02)
        assert frame.identity[dark > 128].all()  # covered by more than half
        assert not frame.identity[dark < 127].any()


def test_colours_and_seed_can_be_chosen() -> None:
    image = SquareVideo(SquareVideoSettings(frames=1, square=(200, 10, 20), ground=(5, 6, 7))).frame(0).image
    assert image[127, 127].tolist() == [200, 10, 20]
    assert image[0, 0].tolist() == [5, 6, 7]
    first, same, other = (SquareVideo(SquareVideoSettings(seed=seed)).boxes for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()


def test_a_folder_of_frames_is_a_sequence(tmp_path: Path) -> None:
    assert len(list(write_square_video(SHORT, tmp_path / "out"))) == 6
    (sequence,) = find_sequences(tmp_path / "out")
    np.testing.assert_array_equal(sequence.boxes, SquareVideo(SHORT).boxes)
    for found, wanted in zip(sequence.frames(), SquareVideo(SHORT).frames(), strict=True):
        np.testing.assert_array_equal(found.image, wanted.image)
    assert list(Folder(tmp_path / "out").names) == ["out"]


def test_an_interrupted_folder_goes_on_and_another_video_is_refused(tmp_path: Path) -> None:
    writing = write_square_video(SHORT, tmp_path)
    next(writing)
    writing.close()  # type: ignore[attr-defined]
    assert not (tmp_path / "img").exists()
    assert len(list(write_square_video(SHORT, tmp_path))) == 6
    before = (tmp_path / "img" / "00000.png").stat().st_mtime_ns
    assert len(list(write_square_video(SHORT, tmp_path))) == 6
    assert (tmp_path / "img" / "00000.png").stat().st_mtime_ns == before
    with pytest.raises(OutputError, match="max_displacement 5, not 4"):
        list(write_square_video(SquareVideoSettings(frames=6, width=64, height=48, side=12), tmp_path))


def test_a_video_file_has_its_truth_beside_it(tmp_path: Path) -> None:
    even = SquareVideoSettings(frames=9, width=64, height=48, side=12, max_displacement=5)
    assert len(list(write_square_video(even, tmp_path / "a.mp4"))) == 9
    np.testing.assert_array_equal(read_boxes(tmp_path / "groundtruth.txt"), SquareVideo(even).boxes)
    with read(tmp_path / "a.mp4") as frames:
        for found, wanted in zip(frames, SquareVideo(even).frames(), strict=True):
            dark = found.image[:, :, 1] < 128
            assert (dark == (wanted.identity == 1)).mean() > 0.99
    clip = Folder(tmp_path).clip("a")
    np.testing.assert_array_equal(clip.targets[0].boxes, SquareVideo(even).boxes)


def test_truth_of_another_video_is_not_replaced(tmp_path: Path) -> None:
    list(write_square_video(SHORT, tmp_path / "a.mp4"))
    before = (tmp_path / "groundtruth.txt").read_bytes()
    list(write_square_video(SHORT, tmp_path / "a.mp4"))  # the same again
    with pytest.raises(OutputError, match=r"belongs to another video.*write 'b\.mp4' to a new folder"):
        list(write_square_video(SquareVideoSettings(frames=6), tmp_path / "b.mp4"))
    assert (tmp_path / "groundtruth.txt").read_bytes() == before
    assert not (tmp_path / "b.mp4").exists()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"side": 256}, "256 pixels does not fit into a frame of 255x255"),
        ({"height": 39}, "40 pixels does not fit into a frame of 255x39"),
        ({"max_displacement": 216}, "216 pixels needs more room than the 215 pixels that a square of 40 has"),
        ({"max_displacement": 0.5}, "max_displacement is 0.5; expected 1"),
        ({"max_displacement": float("nan")}, "max_displacement is nan"),
        ({"frames": 0}, "frames is 0"),
        ({"ground": (0, 0, 0)}, "same colour"),
        ({"square": (0, 0, 256)}, "from 0 to 255"),
        ({"square": (0, 0)}, "from 0 to 255"),
    ],
)
def test_impossible_settings_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        SquareVideoSettings(**values)


def test_the_command_writes_folders_and_videos(tmp_path: Path) -> None:
    small = ("--frames", 5, "--size", "64x48", "--side", 12, "--max-displacement", 3, "--seed", 4)
    settings = SquareVideoSettings(frames=5, width=64, height=48, side=12, max_displacement=3, seed=4)
    for out in ("folder", "clip.mp4"):
        ended = run("synth", "video", "--out", tmp_path / out, *small)
        assert (ended.code, ended.err) == (0, "")
        assert "5 frames of 64x48 with steps of up to 3 pixels" in ended.out
    for truth in ("folder/groundtruth.txt", "groundtruth.txt"):
        np.testing.assert_array_equal(read_boxes(tmp_path / truth), SquareVideo(settings).boxes)
    assert run("synth", "squares", "--out", tmp_path / "squares", "--groups", 1, "--images", 1).code == 0
    for arguments, code, part in (
        (("--out", "new", "--max-displacement", 300), INPUT, "needs more room"),
        (("--out", "new", "--size", "255"), INPUT, "not WIDTHxHEIGHT"),
        (("--out", "folder"), OUTPUT, "holds other data"),
        (("--out", "squares"), OUTPUT, "holds something else (squares, not square video)"),
        (("--out", "new.wmv"), OUTPUT, "The ending '.wmv'"),
        (("--out", "none/new.wmv"), OUTPUT, "The ending '.wmv'"),
        (("--out", "folder/groundtruth.txt/new.mp4"), OUTPUT, "cannot be written"),
        (("--out", "new", "--seed", -1), INPUT, "The seed is -1; expected a whole number from 0"),
        (("--out", "other.mp4"), OUTPUT, "belongs to another video"),
    ):
        refused(("synth", "video", *arguments), code, part, folder=tmp_path)
    assert not (tmp_path / "none").exists()


def test_folders_above_a_video_file_are_made(tmp_path: Path) -> None:
    assert len(list(write_square_video(SHORT, tmp_path / "a" / "b" / "c.mp4"))) == 6
    assert sorted(path.name for path in (tmp_path / "a" / "b").iterdir()) == ["c.mp4", "groundtruth.txt"]


def test_odd_sides_are_told_and_boxes_stay_true(tmp_path: Path) -> None:
    line = ("synth", "video", "--frames", 3, "--size", "65x49", "--side", 12, "--out")
    assert "3 frames of 65x49 (66x50 in the file, as codecs want even sides) with" in run(*line, tmp_path / "a.mp4").out
    assert "3 frames of 65x49 with" in run(*line, tmp_path / "folder").out
    for path, size in ((tmp_path / "a.mp4", (66, 50)), (tmp_path / "folder" / "img", (65, 49))):
        with read(path) as frames:
            assert frames.size == size
            for frame, box in zip(frames, read_boxes(tmp_path / "groundtruth.txt"), strict=True):
                rows, columns = np.nonzero(frame.image[:, :, 1] < 128)
                assert [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1] == box.tolist()


@pytest.mark.parametrize("out", ["a.mp4", "folder"])
def test_ctrl_c_leaves_no_part_of_a_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str) -> None:
    def frame(self: SquareVideo, number: int) -> Labelled:
        if number == 3:
            raise KeyboardInterrupt
        return Labelled(np.zeros((48, 64, 3), np.uint8), np.zeros((48, 64), np.uint8), self.boxes[:1], np.ones(1))

    line = ("synth", "video", "--frames", 6, "--size", "64x48", "--side", 12, "--out", out)
    with monkeypatch.context() as patch:
        patch.setattr(SquareVideo, "frame", frame)
        ended = run(*line, folder=tmp_path)
    assert (ended.code, ended.out) == (INTERRUPTED, "")
    assert ended.err == "Stopped by Ctrl-C. Nothing is kept of the video; the same command begins it again.\n"
    assert [path.name for path in tmp_path.rglob("*")] == ([] if out == "a.mp4" else ["folder", "synthetic.json"])
    assert run(*line, folder=tmp_path).code == 0


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".webm", ".avi"])
def test_a_video_file_that_is_there_is_not_written_again(tmp_path: Path, ending: str) -> None:
    odd = SquareVideoSettings(frames=6, width=65, height=49, side=12, max_displacement=4, square=(200, 30, 60))
    out = tmp_path / f"a{ending}"
    list(write_square_video(odd, out))
    before = out.stat().st_mtime_ns
    assert len(list(write_square_video(odd, out))) == 6
    assert out.stat().st_mtime_ns == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [out.name, "groundtruth.txt"]


def test_a_name_of_a_file_that_cannot_be_written_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"'\.gif' of .* is not that of a video that can be written; known endings: \.mp4"):
        list(write_square_video(SHORT, tmp_path / "square.gif"))
    assert not list(tmp_path.iterdir())
    list(write_square_video(SHORT, tmp_path / "square.v2"))
    assert (tmp_path / "square.v2" / "groundtruth.txt").is_file()


@pytest.mark.parametrize("beside", ["nothing", "the truth of this video"])
@pytest.mark.parametrize("content", ["no video", "another video", "another length", "another size"])
def test_another_file_is_not_replaced(tmp_path: Path, content: str, beside: str) -> None:
    holiday = tmp_path / "holiday.mp4"
    if content == "no video":
        holiday.write_bytes(b"the sea, and the beach")
    else:
        changes = {"another video": {"ground": (90, 160, 200)}, "another length": {"frames": 5}, "another size": {"height": 60}}
        list(write_square_video(replace(SHORT, **changes[content]), holiday))  # type: ignore[arg-type]
    (tmp_path / "groundtruth.txt").unlink(missing_ok=True)
    if beside != "nothing":
        list(write_square_video(SHORT, tmp_path / "a.mp4"))
    before = holiday.read_bytes()
    with pytest.raises(OutputError, match=r"'.*holiday\.mp4' is there already.*would be replaced; give another name"):
        list(write_square_video(SHORT, holiday))
    assert holiday.read_bytes() == before


def test_a_video_whose_truth_is_gone_is_not_replaced(tmp_path: Path) -> None:
    list(write_square_video(SHORT, tmp_path / "a.mp4"))
    (tmp_path / "groundtruth.txt").unlink()
    refused(("synth", "video", "--out", "a.mp4"), OUTPUT, "'a.mp4' is there already", folder=tmp_path)


def test_the_truth_is_there_before_its_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is killed between the two would leave a video that is refused for ever."""

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("siamtrack.synthetic.square_video.write_text", stopped)
        with pytest.raises(KeyboardInterrupt):
            list(write_square_video(SHORT, tmp_path / "a.mp4"))
    assert list(tmp_path.iterdir()) == []
    assert len(list(write_square_video(SHORT, tmp_path / "a.mp4"))) == 6
