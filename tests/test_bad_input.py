"""Whatever is wrong with what the user gave: one clear message, the documented exit code, nothing half-written."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import (
    EXTRA,
    FAST,
    INPUT,
    MODEL,
    OUTPUT,
    bgr,
    frames_of,
    pictures,
    refused,
    render,
    run,
    scene,
    text_of,
)

from siamtrack import doctor
from siamtrack.frames import read
from siamtrack.library import model_names
from siamtrack.model_folder import SEARCH_GRAPH
from siamtrack.results import read_rows

BOX = ("--box", text_of(scene().box(0, 0)))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render(tmp_path_factory.mktemp("clip") / "clip.mp4", 6)


# --- what is read ---


def test_missing_file(tmp_path: Path) -> None:
    (tmp_path / "holiday.mp4").write_bytes(b"x")
    refused(
        ["track", "holidy.mp4", *BOX], INPUT, "no file or folder 'holidy.mp4'", "Did you mean 'holiday.mp4'", folder=tmp_path
    )


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(clip: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(clip, tmp_path))
    copy.chmod(0)
    refused(["track", copy, *BOX], INPUT, "permission", folder=tmp_path)


@pytest.mark.parametrize(
    ("name", "content"), [("a.mp4", b""), ("a.mp4", b"\x00\x01garbage" * 999), ("a.txt", b"x,y,w,h\n" * 99)]
)
def test_no_video(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    refused(["track", name, *BOX], INPUT, name, folder=tmp_path)
    refused(["frame", name, "--out", "f.png"], INPUT, name, folder=tmp_path)
    refused(["bench", name, *BOX], INPUT, name, folder=tmp_path)


def test_empty_folder_and_pattern(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    refused(["track", "none", *BOX], INPUT, "'none' holds no pictures", folder=tmp_path)
    refused(["track", "none/*.jpg", *BOX], INPUT, "'none/*.jpg' holds no pictures", folder=tmp_path)


def test_unknown_kind_of_address(tmp_path: Path) -> None:
    refused(["track", "gopher://x/y.mp4", *BOX], INPUT, "gopher", "rtsp", folder=tmp_path)


def test_a_picture_that_is_broken_in_the_middle(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "shots", [bgr(number) for number in range(4)])
    (folder / "002.png").write_bytes(b"broken")
    ended = run("track", folder, *BOX, "--out", tmp_path / "b.csv", "--video", tmp_path / "v.mp4", *FAST)
    assert ended.code == 1
    assert "002.png" in ended.error
    assert "through 2 frames" in ended.err
    assert frames_of(tmp_path / "b.csv") == [0, 1]
    with read(tmp_path / "v.mp4") as frames:
        assert len(list(frames)) == 2


def test_a_picture_that_is_broken_at_the_beginning(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "shots", [bgr(number) for number in range(3)])
    (folder / "000.png").write_bytes(b"broken")
    refused(["track", folder, *BOX, "--out", "b.csv"], INPUT, "000.png", folder=tmp_path)
    refused(["frame", folder, "--out", "f.png"], INPUT, "000.png", folder=tmp_path)
    (folder / "002.png").write_bytes(b"broken")
    refused(["frame", folder, "--at", 2, "--out", "f.png"], INPUT, "002.png", folder=tmp_path)


def test_names_that_are_too_long(clip: Path, tmp_path: Path) -> None:
    long = "a" * 300
    refused(["track", f"{long}.mp4", *BOX], INPUT, long, folder=tmp_path)
    refused(["frame", f"{long}.mp4", "--out", "f.png"], INPUT, long, folder=tmp_path)
    refused(["frame", clip, "--out", f"{long}.png"], OUTPUT, "cannot be written", folder=tmp_path)
    refused(["demo", "--out", long], OUTPUT, "cannot be written", folder=tmp_path)
    for option, ending in (("--out", "csv"), ("--video", "mp4"), ("--sheet", "png")):
        refused(["track", clip, *BOX, option, f"{long}.{ending}"], OUTPUT, "cannot be written", folder=tmp_path)


@pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, OUTPUT), (errno.EACCES, INPUT)])
def test_errors_of_the_system_are_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: int) -> None:
    def fail() -> None:
        raise OSError(number, os.strerror(number), "place")

    monkeypatch.setattr(doctor, "examine", fail)
    refused(["doctor"], code, f"'place' cannot be used: {os.strerror(number)}.", folder=tmp_path)


def test_frames_of_changing_size(tmp_path: Path) -> None:
    shots = [bgr(0), cv2.resize(bgr(1), (200, 300)), cv2.resize(bgr(2), (640, 480))]
    folder = pictures(tmp_path / "shots", shots)
    out = ("--out", tmp_path / "b.csv", "--video", tmp_path / "v.mp4", "--sheet", tmp_path / "s.png")
    assert run("track", folder, *BOX, *out, *FAST).code == 0
    assert frames_of(tmp_path / "b.csv") == [0, 1, 2]
    with read(tmp_path / "v.mp4") as frames:
        assert [frame.image.shape for frame in frames] == [(240, 320, 3)] * 3


@pytest.mark.parametrize("kind", ["grey", "grey16", "rgb16", "rgba"])
def test_kinds_of_pictures(tmp_path: Path, kind: str) -> None:
    convert = {
        "grey": lambda shot: cv2.cvtColor(shot, cv2.COLOR_BGR2GRAY),
        "grey16": lambda shot: cv2.cvtColor(shot, cv2.COLOR_BGR2GRAY).astype(np.uint16) * 257,
        "rgb16": lambda shot: shot.astype(np.uint16) * 257,
        "rgba": lambda shot: cv2.cvtColor(shot, cv2.COLOR_BGR2BGRA),
    }[kind]
    folder = pictures(tmp_path / "shots", [convert(bgr(number)) for number in range(3)])
    out = ("--out", tmp_path / "b.csv", "--video", tmp_path / "v.mp4", "--sheet", tmp_path / "s.png")
    assert run("track", folder, *BOX, *out, *FAST).code == 0
    last = read_rows(tmp_path / "b.csv")[-1].box
    assert np.hypot(*np.subtract(last.center, scene().box(0, 2).center)) < 12


def test_pictures_of_one_pixel(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "shots", [np.full((1, 1, 3), 9 * number, np.uint8) for number in range(3)])
    out = ("--out", tmp_path / "b.csv", "--video", tmp_path / "v.mp4", "--sheet", tmp_path / "s.png")
    assert run("track", folder, "--box", "0,0,1,1", *out, *FAST).code == 0
    assert frames_of(tmp_path / "b.csv") == [0, 1, 2]
    assert run("frame", folder, "--out", tmp_path / "f.png").code == 0


# --- boxes ---


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("400,10,20,20", "outside the frame of 320x240"),
        ("-50,10,20,20", "outside the frame of 320x240"),
        ("10,10,0,20", "no area"),
        ("10,10,20,-5", "no area"),
        ("nan,10,20,20", "not finite"),
        ("10,10,inf,20", "not finite"),
        ("-10,-10,500,500", "larger than the frame of 320x240"),
        ("10,10,1e9,20", "larger than the frame of 320x240"),
        ("10,10,20", "is not four numbers; expected X,Y,W,H"),
        ("10,10,20,20,20", "is not four numbers"),
        ("ten,10,20,20", "is not four numbers"),
        ("", "is not four numbers"),
    ],
)
def test_boxes(clip: Path, tmp_path: Path, text: str, part: str) -> None:
    # an unknown model is not reached: the box is refused first
    command = ["track", clip, *BOX, f"--box={text}", "--model", "none", "--video", "v.mp4"]
    refused(command, INPUT, part, folder=tmp_path)
    refused(["frame", clip, f"--box={text}", "--out", "f.png"], INPUT, part, folder=tmp_path)
    refused(["bench", clip, f"--box={text}"], INPUT, part, folder=tmp_path)


def test_a_box_partly_outside_works(clip: Path, tmp_path: Path) -> None:
    assert run("track", clip, "--box", "-15.5,-10,60,50", "--out", tmp_path / "b.csv", "--limit", 2, *FAST).code == 0
    assert read_rows(tmp_path / "b.csv")[0].box == (-15.5, -10, 60, 50)


def test_the_file_that_nobody_named_is_not_written_over(clip: Path, tmp_path: Path) -> None:
    """Annotation beside a video is called so."""
    command = ["track", clip, "--box", "10,10,20,20", "--limit", 2, *FAST]
    assert run(*command, folder=tmp_path).code == 0
    (written,) = tmp_path.glob("*.csv")
    refused(command, OUTPUT, f"'{written.name}' exists already; give --out {written.name} to write over it", folder=tmp_path)
    assert run(*command, "--out", written.name, folder=tmp_path).code == 0


def test_what_is_seldom_meant_is_told(clip: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "b.csv", "--limit", 1, *FAST)
    told = run("track", clip, "--box=-95,100,100,50", "--box", "10,10,20,20", *out).err
    assert told.count("Note:") == 1
    assert "Note: the box -95,100,100,50 lies 95% outside the frame of 320x240 pixels" in told
    assert "the box -299,10,300,20 lies all but wholly outside" in run("track", clip, "--box=-299,10,300,20", *out).err
    assert "Note:" not in run("track", clip, "--box", "10,10,20,20", *out).err
    small = ("track", clip, "--box", "10,10,20,20", "--out", tmp_path / "c.csv", "--limit", 1, "--model", "siamnano")
    told = run(*small, "--set", "long_term.search_size=0", "--set", "long_term.low=0.5", "--set", "lr=0.3").err
    assert told.count("Note:") == 1
    assert "Note: long_term.low does nothing while long_term.search_size is 0" in told
    assert "Note:" not in run(*small, "--set", "long_term.low=0.5").err
    refused([*small, "--set", "stays_inside=true"], INPUT, "Did you mean long_term.stays_inside?", folder=tmp_path)


def test_no_box(clip: Path, tmp_path: Path) -> None:
    refused(["track", clip], INPUT, "No box was given", "--box X,Y,W,H", "siamtrack frame", folder=tmp_path)
    refused(["bench", clip], INPUT, "--box", folder=tmp_path)
    refused(["bench", *BOX], INPUT, "--box", folder=tmp_path)


# --- names, settings and numbers ---


@pytest.mark.parametrize(
    ("options", "code", "parts"),
    [
        (["--model", "siamcf"], MODEL, ["'siamcf'", "Did you mean 'siamfc'"]),
        (["--runtime", "openvin"], INPUT, ["'openvin'", "Did you mean 'openvino'"]),
        (["--precision", "float23"], INPUT, ["'float23'", "Did you mean 'float32'"]),
        (["--precision", "float16"], INPUT, ["openvino", "'float16'"]),
        (["--device", "cuda"], INPUT, ["'cuda'", "--runtime torch"]),
        (["--format", "jsnl"], INPUT, ["'jsnl'", "Did you mean 'jsonl'"]),
        (["--out", "boxes.txt"], INPUT, ["boxes.txt", "--format"]),
        (["--model", "siamfc", "--set", "scals=3"], INPUT, ["'scals'", "Did you mean 'scales'"]),
        (["--model", "siamfc", "--set", "scales=three"], INPUT, ["'three'", "expected a whole number"]),
        (["--model", "siamfc", "--set", "scales=1.5"], INPUT, ["1.5", "expected a whole number"]),
        (["--model", "siamfc", "--set", "scales=2"], INPUT, ["scales is 2", "odd"]),
        (["--set", "window_influence=7"], INPUT, ["window_influence is 7", "0 to 1"]),
        (["--set", "scales"], INPUT, ["'scales' is no setting", "KEY=VALUE"]),
        (["--frame", "99"], INPUT, ["has 6 frames", "no frame 99", "last one is 5"]),
        (["--backward"], INPUT, ["nothing before frame 0", "--frame N"]),
        (["--backward", "--frame", "99"], INPUT, ["no frame 99"]),
    ],
)
def test_names_and_settings(clip: Path, tmp_path: Path, options: list[str], code: int, parts: list[str]) -> None:
    refused(["track", clip, *BOX, "--video", "v.mp4", *options], code, *parts, folder=tmp_path)


def test_other_names(clip: Path, tmp_path: Path) -> None:
    refused(["models", "--card", "siamfc5"], MODEL, "'siamfc5'", "Did you mean 'siamfc'", folder=tmp_path)
    refused(["frame", clip, "--at", "6", "--out", "f.png"], INPUT, "no frame 6", folder=tmp_path)
    for size in ("12", "0x0", "axb", "99999x64", "64x"):
        refused(["bench", "--size", size], INPUT, f"'{size}'", "1280x720", folder=tmp_path)


@pytest.mark.parametrize("wrong", [["--frame", "-1"], ["--limit", "0"], ["--formt", "csv"], ["--threads", "x"]])
def test_numbers_and_options(clip: Path, tmp_path: Path, wrong: list[str]) -> None:
    ended = run("track", clip, *BOX, *wrong, folder=tmp_path)
    assert ended.code == INPUT
    assert wrong[0] in ended.err
    assert "Traceback" not in ended.err
    assert list(tmp_path.iterdir()) == []


# --- models and packages ---


@pytest.fixture(scope="module")
def embedded() -> Path:
    return model_names()["siamfc"].folder


@pytest.mark.parametrize("change", ["missing", "altered", "no description", "broken description", "no size", "foreign"])
def test_model_folders(clip: Path, embedded: Path, tmp_path: Path, change: str) -> None:
    folder = Path(shutil.copytree(embedded, tmp_path / "mine"))
    graph, description = folder / SEARCH_GRAPH, folder / "model.toml"
    parts = {
        "missing": [SEARCH_GRAPH, "is missing"],
        "altered": [SEARCH_GRAPH, "was altered"],
        "no description": ["'mine' is no model folder", "model.toml"],
        "broken description": ["model.toml", "Export or install"],
        "no size": ["model.toml", "'search_size'", "expected a whole number", "Export or install"],
        "foreign": ["no tracking procedure 'siamfd'", "Did you mean 'siamfc'"],
    }[change]
    if change == "missing":
        graph.unlink()
    elif change == "altered":
        data = bytearray(graph.read_bytes())
        data[len(data) // 2] ^= 1
        graph.write_bytes(bytes(data))
    elif change == "no description":
        description.unlink()
    elif change == "broken description":
        description.write_text("name = ", encoding="utf-8")
    elif change == "no size":
        head, tables = description.read_text(encoding="utf-8").split("[settings]")
        description.write_text(head + "[settings]" + tables.replace("search_size = 255", 'search_size = "x"'), encoding="utf-8")
    else:
        text = description.read_text(encoding="utf-8")
        description.write_text(text.replace('tracker = "siamfc"', 'tracker = "siamfd"'), encoding="utf-8")
    refused(["track", clip, *BOX, "--video", "v.mp4", "--model", "mine"], MODEL, *parts, folder=tmp_path)


def test_a_model_without_int8(clip: Path, embedded: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(embedded, tmp_path / "mine"))
    lines = (folder / "model.toml").read_text(encoding="utf-8").splitlines()
    (folder / "model.toml").write_text("\n".join(line for line in lines if "int8.onnx" not in line), encoding="utf-8")
    command = ["track", clip, *BOX, "--model", "mine", "--precision", "int8"]
    refused(command, MODEL, "no int8 graph", "siamtrack export", folder=tmp_path)


WITHOUT = """
import sys
from importlib.machinery import PathFinder

hidden = set(sys.argv[1].split(","))
find = PathFinder.find_spec
PathFinder.find_spec = classmethod(lambda cls, name, *rest: None if name in hidden else find(name, *rest))

from siamtrack.cli import main

sys.argv[1:2] = []
main()
"""


@pytest.mark.parametrize(
    ("hidden", "command", "pip"),
    [
        ("onnxruntime", ["track", "CLIP", *BOX, "--video", "v.mp4", "--runtime", "onnx"], "pip install 'siamtrack[onnx]'"),
        ("torch", ["track", "CLIP", *BOX, "--video", "v.mp4", "--runtime", "torch"], "pip install 'siamtrack[train]'"),
        ("torch,safetensors", ["convert", "x.pth", "--out", "y.safetensors"], "pip install 'siamtrack[train]'"),
    ],
)
def test_missing_packages(clip: Path, tmp_path: Path, hidden: str, command: list[str], pip: str) -> None:
    arguments = [str(clip) if part == "CLIP" else part for part in command]
    program = [sys.executable, "-c", WITHOUT, hidden, *arguments]
    done = subprocess.run(program, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == EXTRA, done.stderr
    assert pip in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
