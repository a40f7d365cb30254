"""Where results may be written, and what is left when a run ends in any way."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import INTERRUPTED, MODEL, OUTPUT, bgr, pictures, refused, render, run, scene, text_of

from siamtrack.box import Box
from siamtrack.errors import InputError, OutputError, SettingsError
from siamtrack.frames import Frame, read
from siamtrack.output_paths import check_distinct, check_folder, check_path, check_picture_path
from siamtrack.outputs import Outputs
from siamtrack.results import read_rows
from siamtrack.tracking import Prediction, Step

BOX = ("--box", text_of(scene().box(0, 0)))
PICTURE = np.full((48, 64, 3), 90, np.uint8)


def step(index: int, targets: int = 1) -> Step:
    score = math.nan if index == 0 else 0.5
    predictions = [Prediction(box=Box(5 + index, 6, 20, 20), score=score)] * targets
    return Step(frame=Frame(index=index, time=index / 25, image=PICTURE), predictions=predictions, seconds=0.01)


def outputs(folder: Path, **changes: object) -> Outputs:
    paths = {"boxes": folder / "b.csv", "video": folder / "v.mp4", "sheet": folder / "s.png"}
    return Outputs(**({"format": None, "targets": 1, "fps": 25.0} | paths | changes))  # type: ignore[arg-type]


def test_all_three_are_written(tmp_path: Path) -> None:
    with outputs(tmp_path) as written:
        for index in range(3):
            written.write(step(index))
    assert written.steps == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.csv", "s.png", "v.mp4"]
    assert written.summary().startswith("Followed 1 target through 3 frames, 100 frames a second in the tracker. Written: ")
    assert [row.frame for row in read_rows(tmp_path / "b.csv")] == [0, 1, 2]


@pytest.mark.parametrize("layout", ["csv", "jsonl"])
def test_what_is_lost_is_told(tmp_path: Path, layout: str) -> None:
    said = [(None, None), (False, True), (False, True), (True, True)]
    drawn = {}
    for name, decided in (("decided", True), ("not", False)):
        paths = {"boxes": tmp_path / f"{name}.{layout}", "video": None, "sheet": tmp_path / f"{name}.png"}
        with outputs(tmp_path, targets=2, **paths) as written:
            for index, each in enumerate(said):
                one = step(index, 2)
                lost = [replace(p, lost=value if decided else None) for p, value in zip(one.predictions, each, strict=True)]
                written.write(replace(one, predictions=lost))
        drawn[name] = cv2.imread(str(tmp_path / f"{name}.png"))
        assert ("Lost: #0 in 1 frame, #1 in 3 frames." in written.summary()) == decided
        assert [row.lost for row in read_rows(paths["boxes"])] == [
            value if decided else None for pair in said for value in pair
        ]
    assert (drawn["decided"] != drawn["not"]).any()


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.jsonl", '{"frame": 0, "target": 0, "x": 1, "y": 2, "w": 3, "h": 4, "lost": "yes"}', "lost as true or false"),
        ("a.csv", "frame,target,x,y,w,h,score,lost\n0,0,1,2,3,4,,yes", "lost as 1, 0 or nothing"),
        ("a.csv", "frame,target,x,y,w,h,score,lost\n0,0,1,2", "frame, target, x, y, w, h, score as numbers"),
        ("a.csv", "frame,target,x,y,w,h,score,lost\n0,0,1,2,3,4,0.5", "lost as 1, 0 or nothing"),
    ],
)
def test_what_lost_can_be(tmp_path: Path, name: str, text: str, expected: str) -> None:
    (tmp_path / name).write_text(text + "\n")
    with pytest.raises(InputError, match=f"expected {expected}"):
        read_rows(tmp_path / name)


def test_what_pandas_makes_of_lost_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "frame,target,x,y,w,h,score,lost\n" + "".join(f"0,0,1,2,3,4,1,{text}\n" for text in ("", "0.0", "1.0", "True"))
    )
    assert [row.lost for row in read_rows(tmp_path / "a.csv")] == [None, False, True, True]


def test_results_without_what_is_lost_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("frame,target,x,y,w,h,score\n0,0,1,2,3,4,0.5\n")
    (tmp_path / "a.jsonl").write_text('{"frame": 0, "target": 0, "x": 1, "y": 2, "w": 3, "h": 4, "score": 0.5}\n')
    assert [row.lost for name in ("a.csv", "a.jsonl") for row in read_rows(tmp_path / name)] == [None, None]


def test_a_turned_box_is_drawn_where_there_is_one(tmp_path: Path) -> None:
    turned = np.array([[15.0, 6], [25, 16], [15, 26], [5, 16]])
    upright = step(1)
    drawn = {}
    for name, polygon in (("upright", None), ("turned", turned)):
        predictions = [replace(upright.predictions[0], polygon=polygon)]
        with outputs(tmp_path, boxes=None, video=None, sheet=tmp_path / f"{name}.png") as written:
            written.write(replace(upright, predictions=predictions))
        drawn[name] = cv2.imread(str(tmp_path / f"{name}.png"))
    assert (drawn["upright"] != drawn["turned"]).any()


def test_nothing_is_left_when_the_run_fails_before_the_first_frame(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no model"), outputs(tmp_path):
        raise RuntimeError("no model")
    assert list(tmp_path.iterdir()) == []


def test_boxes_so_far_are_kept_when_the_run_fails_later(tmp_path: Path) -> None:
    def run() -> None:
        with outputs(tmp_path) as written:
            written.write(step(0))
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        run()
    assert [path.name for path in tmp_path.iterdir()] == ["b.csv"]


def test_files_of_several_targets_are_named(tmp_path: Path) -> None:
    with outputs(tmp_path, boxes=tmp_path / "b.txt", format="got10k", targets=3, video=None, sheet=None) as written:
        written.write(step(0, 3))
    assert written.summary().endswith("b_2_time.txt (6 files).")
    assert "3 targets through 1 frame" in written.summary()
    assert all(path.is_file() for path in written.paths)


@pytest.mark.parametrize("fps", [None, 0.0, 90000.0, math.nan])
def test_a_source_without_a_sensible_rate_can_be_drawn(tmp_path: Path, fps: float | None) -> None:
    with outputs(tmp_path, fps=fps) as written:
        written.write(step(0))
        written.write(step(1))
    with read(tmp_path / "v.mp4") as frames:
        assert len(list(frames)) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"boxes": "same.mkv", "format": "csv", "video": "same.mkv"},
        {"boxes": "same.png", "format": "csv", "sheet": "same.png"},
        {"boxes": "b.txt", "format": "vot", "video": None, "sheet": None, "source": "b.txt"},
        {"boxes": "./x/../same.png", "format": "csv", "sheet": "same.png"},
    ],
)
def test_one_path_for_two_things_is_refused(tmp_path: Path, changes: dict[str, str]) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "b.txt").write_text("1,2,3,4\n", encoding="utf-8")
    before = sorted(tmp_path.iterdir())
    at = {key: tmp_path / value if key != "format" and value else value for key, value in changes.items()}
    with pytest.raises(OutputError, match=r"two results|belongs to the source"):
        outputs(tmp_path, **at)
    assert sorted(tmp_path.iterdir()) == before


def test_the_source_is_not_written_over(tmp_path: Path) -> None:
    video = tmp_path / "clip.mp4"
    video.write_bytes(b"x")
    (tmp_path / "link.mp4").symlink_to(video)
    shots = tmp_path / "shots"
    shots.mkdir()
    for path, source in (
        (video, video),
        (tmp_path / "link.mp4", video),
        (shots / "sheet.png", shots),
        (shots / "sheet.png", shots / "*.png"),
    ):
        with pytest.raises(OutputError, match="belongs to the source"):
            check_distinct([path], str(source))
    check_distinct([shots / "boxes.csv", tmp_path / "sheet.png"], str(shots))
    check_distinct([tmp_path / "sheet.png"], str(shots / "*.png"))
    check_distinct([tmp_path / "a.csv"], "rtsp://camera/1")
    check_distinct([tmp_path / "a.csv"], "0")


def test_paths_that_cannot_be_written(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("", encoding="utf-8")
    with pytest.raises(OutputError, match="is a folder"):
        check_path(tmp_path)
    with pytest.raises(OutputError, match="does not exist"):
        check_path(tmp_path / "none" / "a.png")
    with pytest.raises(OutputError, match="is a file, not a folder"):
        check_path(file / "a.png")
    for check in (check_path, check_folder):
        with pytest.raises(OutputError, match=r"cannot be written: .*too long"):
            check(tmp_path / ("a" * 300))
    with pytest.raises(OutputError, match="is a file"):
        check_folder(file)
    with pytest.raises(OutputError, match="is a file"):
        check_folder(file / "below" / "it")
    check_folder(tmp_path / "not" / "yet")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="cannot be written"):
        check_path(tmp_path / "a.png")


@pytest.mark.parametrize("name", ["a.pngg", "a", "a.mp4"])
def test_endings_of_pictures(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match="ending"):
        check_picture_path(tmp_path / name)


def test_formats_are_checked_first(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="Did you mean 'csv'"):
        outputs(tmp_path, format="cvs")
    assert list(tmp_path.iterdir()) == []


# --- from the command line ---


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render(tmp_path_factory.mktemp("clip") / "clip.mp4", 4)


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--out", "none/b.csv"], ["'none'", "does not exist"]),
        (["--out", "here.csv"], ["here.csv", "folder"]),
        (["--video", "none/v.mp4"], ["'none'", "does not exist"]),
        (["--video", "here.mp4"], ["here.mp4", "folder"]),
        (["--video", "v.mpeg5"], ["'.mpeg5'", ".mp4"]),
        (["--video", "v"], ["no ending", ".mp4"]),
        (["--sheet", "none/s.png"], ["'none'", "does not exist"]),
        (["--sheet", "here.png"], ["here.png", "folder"]),
        (["--sheet", "s.pgn"], ["'.pgn'", "Did you mean '.png'"]),
        (["--out", "b.csv", "--format", "csv", "--sheet", "b.png", "--video", "./b.csv"], ["two results"]),
        (["--out", "b.png", "--format", "csv", "--sheet", "../here/b.png"], ["two results"]),
    ],
)
def test_outputs_are_refused_before_the_model_is_opened(
    clip: Path, tmp_path: Path, options: list[str], parts: list[str]
) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    for ending in ("csv", "mp4", "png"):
        (folder / f"here.{ending}").mkdir()
    refused(["track", clip, *BOX, "--model", "none", *options], OUTPUT, *parts, folder=folder)


def test_no_command_writes_over_its_source(clip: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(clip, tmp_path / "a.mp4"))
    shots = pictures(tmp_path / "shots", [bgr(0), bgr(1)])
    belongs = "belongs to the source"
    refused(["track", copy, *BOX, "--out", copy, "--format", "csv"], OUTPUT, belongs, folder=tmp_path)
    refused(["track", copy, *BOX, "--video", "./a.mp4"], OUTPUT, belongs, folder=tmp_path)
    refused(["track", shots, *BOX, "--sheet", "shots/000.png"], OUTPUT, belongs, folder=tmp_path)
    refused(["frame", "shots/*.png", "--out", "shots/000.png"], OUTPUT, belongs, folder=tmp_path)
    refused(["frame", copy, "--out", "a.mp4"], OUTPUT, "ending", folder=tmp_path)


def test_other_outputs(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    refused(["frame", clip, "--out", "f.pgn"], OUTPUT, "'.pgn'", folder=tmp_path)
    refused(["frame", clip, "--out", "none/f.png"], OUTPUT, "does not exist", folder=tmp_path)
    refused(["demo", "--out", "file"], OUTPUT, "is a file", folder=tmp_path)
    refused(["demo", "--out", "new", "--model", "none"], MODEL, "'none'", folder=tmp_path)
    assert not (tmp_path / "new").exists()


# --- Ctrl-C ---

# a shell that starts tests in the background lets its children ignore Ctrl-C; Python then installs no handler
INTERRUPTIBLE = """
import signal

signal.signal(signal.SIGINT, signal.default_int_handler)
from siamtrack.cli import main

main()
"""


def wait_for(path: Path, rows: int, process: subprocess.Popen[str]) -> None:
    while process.poll() is None:
        if path.is_file() and path.read_bytes().count(b"\n") > rows:
            return
        time.sleep(0.01)
    pytest.fail(f"the command ended before {rows} rows were written: {process.communicate()[1]}")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to a single process")
def test_interruption_keeps_what_was_done(tmp_path: Path) -> None:
    clip = render(tmp_path / "clip.mp4", 150)
    command = [
        "track",
        str(clip),
        *BOX,
        "--out",
        "b.jsonl",
        "--video",
        "v.mp4",
        "--sheet",
        "s.png",
        "--model",
        "siamfc",
        "--set",
        "scales=15",
    ]
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, *command], cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        wait_for(tmp_path / "b.jsonl", 3, process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=600)
    finally:
        process.kill()
    assert process.returncode == INTERRUPTED, err
    assert "Traceback" not in err
    assert out == ""
    text = (tmp_path / "b.jsonl").read_text(encoding="utf-8")
    assert text.endswith("\n")
    rows = [json.loads(line) for line in text.splitlines()]
    assert 3 < len(rows) < 150
    assert [row["frame"] for row in rows] == list(range(len(rows)))
    with read(tmp_path / "v.mp4") as frames:
        shown = len(list(frames))
    assert len(rows) - 1 <= shown <= len(rows)
    assert cv2.imread(str(tmp_path / "s.png")) is not None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.jsonl", "clip.mp4", "s.png", "v.mp4"]
    assert "Written: b.jsonl, v.mp4, s.png." in err


def test_interruption_before_the_first_frame(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("siamtrack.library.open_model", interrupted)
    ended = run("track", clip, *BOX, "--out", "b.csv", "--video", "v.mp4", "--sheet", "s.png", folder=tmp_path)
    assert (ended.code, ended.out, ended.err) == (INTERRUPTED, "", "Stopped by Ctrl-C.\n")
    assert list(tmp_path.iterdir()) == []
