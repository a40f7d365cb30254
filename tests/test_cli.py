"""Every command from end to end, on a rendered scene whose boxes are known."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import FAST, FRAMES, frames_of, mean_iou, render, run, scene, text_of

import siamtrack
from siamtrack import bench
from siamtrack.cli import app
from siamtrack.cli.progress import with_progress
from siamtrack.errors import ModelError, TruncatedError
from siamtrack.frames import read
from siamtrack.library import model_names, recipe_names, recipe_summary
from siamtrack.results import FORMATS, read_rows

LAST = FRAMES - 1


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render(tmp_path_factory.mktemp("clip") / "clip.mp4")


def box(target: int, frame: int = 0) -> tuple[str, str]:
    return "--box", text_of(scene().box(target, frame))


def delivered(path: Path) -> int:
    """How many frames come before the video is found to be truncated."""
    with pytest.raises(TruncatedError) as caught, read(path) as frames:
        list(frames)
    return caught.value.frames_read


def test_one_target_is_followed(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "boxes.csv"
    ended = run("track", clip, *box(1), "--out", out)
    assert (ended.code, ended.out) == (0, "")
    assert re.match(rf"Followed 1 target through {FRAMES} frames, .* frames a second.* Written: .*boxes\.csv\.$", ended.err)
    rows = read_rows(out)
    assert [(row.frame, row.target) for row in rows] == [(frame, 0) for frame in range(FRAMES)]
    assert rows[0].box == pytest.approx(scene().box(1, 0), abs=0.01)
    assert np.isnan(rows[0].score)
    assert all(np.isfinite(row.score) for row in rows[1:])
    truth = scene()
    overlaps = [siamtrack.iou(row.box, truth.box(1, row.frame)) for row in rows[1:]]
    assert np.mean(overlaps) > 0.5


def test_three_targets_with_video_and_sheet(clip: Path, tmp_path: Path) -> None:
    out, video, sheet = tmp_path / "boxes.jsonl", tmp_path / "drawn.mkv", tmp_path / "sheet.jpg"
    ended = run("track", clip, *box(0), *box(1), *box(2), "-o", out, "--video", video, "--sheet", sheet)
    assert (ended.code, ended.out) == (0, "")
    assert all(path.name in ended.err for path in (out, video, sheet))
    rows = read_rows(out)
    for target in range(3):
        assert mean_iou(rows, target) > 0.5, target
    with read(video) as frames:
        pictures = [frame.image for frame in frames]
    assert len(pictures) == FRAMES
    original = scene().image(LAST)
    assert pictures[-1].shape == original.shape
    assert np.abs(pictures[-1].astype(int) - original).mean() > 1, "no boxes are drawn"
    assert cv2.imread(str(sheet)).shape[1] > 600


def test_all_formats_read_back_equal(clip: Path, tmp_path: Path) -> None:
    boxes = {}
    for layout in FORMATS:
        out = tmp_path / f"{layout}.{'txt' if layout in ('otb', 'got10k', 'vot') else layout}"
        ended = run("track", clip, *box(0), *box(1), "--out", out, "--format", layout, "--limit", 4, *FAST)
        assert ended.code == 0, ended.err
        written = re.search(r"Written: (.*)\.$", ended.err)
        assert written is not None
        assert all(
            (tmp_path / Path(name).name).is_file() for name in re.findall(r"[^ ,]+\.(?:csv|jsonl|txt|value)", written[1])
        )
        boxes[layout] = {(row.frame, row.target): row.box for row in read_rows(out, format=layout)}
    for layout in FORMATS[1:]:
        # the code of the first frame in a VOT file stands for the box that was given
        keys = [key for key in boxes["csv"] if layout != "vot" or key[0] > 0]
        assert set(boxes[layout]) == set(boxes["csv"])
        for key in keys:
            assert boxes[layout][key] == pytest.approx(boxes["csv"][key], abs=2e-3), (layout, key)


def test_backward_from_the_last_frame(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "back.csv"
    assert run("track", clip, *box(0, LAST), "--frame", LAST, "--backward", "--out", out).code == 0
    assert frames_of(out) == list(range(LAST, -1, -1))
    assert mean_iou(read_rows(out), 0, begin=0) > 0.5


def test_from_the_middle_and_no_further_than_asked(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "middle.csv"
    assert run("track", clip, *box(0, 8), "--frame", 8, "--limit", 6, "--out", out).code == 0
    assert frames_of(out) == list(range(8, 14))
    assert mean_iou(read_rows(out), 0) > 0.5


@pytest.mark.parametrize("runtime", ["onnx", "torch"])
def test_other_runtimes(clip: Path, tmp_path: Path, runtime: str) -> None:
    out = tmp_path / "boxes.csv"
    precision = ("--precision", "float32", "--threads", 1)
    assert run("track", clip, *box(0), "-o", out, "--runtime", runtime, *precision, "--limit", 3, *FAST).code == 0
    assert mean_iou(read_rows(out), 0) > 0.5


@pytest.mark.parametrize(
    ("options", "name"), [((), "clip.csv"), (("--format", "otb"), "clip.txt"), (("--sheet", "s.png"), "s.png")]
)
def test_where_boxes_go_when_nothing_is_said(clip: Path, tmp_path: Path, options: tuple[str, ...], name: str) -> None:
    assert run("track", clip, *box(0), *options, "--limit", 2, *FAST, folder=tmp_path).code == 0
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_folder_of_pictures_and_a_name_with_brackets(tmp_path: Path) -> None:
    folder = tmp_path / "[b]shots[1]"
    folder.mkdir()
    for number in range(3):
        cv2.imwrite(str(folder / f"{number}.png"), scene().image(number)[:, :, ::-1])
    ended = run("track", folder, *box(0), "--limit", 2, *FAST, folder=tmp_path)
    assert ended.code == 0
    assert "[b]shots[1].csv" in ended.err, "the name was taken for markup"


def test_quiet_says_nothing(clip: Path, tmp_path: Path) -> None:
    ended = run("track", clip, *box(0), "--out", tmp_path / "b.csv", "--limit", 2, "--quiet", *FAST)
    assert (ended.code, ended.out, ended.err) == (0, "", "")


def test_settings_change_what_is_done(clip: Path, tmp_path: Path) -> None:
    for name, options in (("a", ()), ("b", ("--set", "window_influence=0.9", "--set", "lr=0"))):
        assert run("track", clip, *box(0), "--out", tmp_path / f"{name}.csv", "--limit", 4, *options).code == 0
    a, b = ((tmp_path / f"{name}.csv").read_text(encoding="utf-8") for name in "ab")
    assert a != b


def test_the_bar_shows_frames_a_second_on_the_error_stream(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    assert list(with_progress(range(5), 5)) == list(range(5))
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "frames/s" in shown.err
    assert list(with_progress(range(5), None, quiet=True)) == list(range(5))
    assert capsys.readouterr() == ("", "")


def test_demo(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "demo"
    ended = run("demo", "--out", folder, "--frames", 8)
    assert ended.code == 0
    overlaps = [float(line.split()[1]) for line in ended.out.splitlines() if re.match(r"^ *[012] ", line)]
    assert len(overlaps) == 3
    assert min(overlaps) > 0.5
    assert "frames a second" in ended.out
    assert len(read_rows(folder / "demo.csv")) == 3 * 8
    with read(folder / "demo.mp4") as frames:
        assert sum(1 for _ in frames) == 8
    assert cv2.imread(str(folder / "demo.png")) is not None
    assert sorted(path.name for path in folder.iterdir()) == ["demo.csv", "demo.mp4", "demo.png"]


def test_frame(clip: Path, tmp_path: Path) -> None:
    plain, boxed = tmp_path / "plain.png", tmp_path / "boxed.png"
    ended = run("frame", clip, "--at", 5, "--out", plain)
    assert ended.code == 0
    assert "Frame 5" in ended.out
    assert "320x240" in ended.out
    assert run("frame", clip, "--at", 5, "--out", boxed, *box(0, 5)).code == 0
    pictures = [cv2.imread(str(path)) for path in (plain, boxed)]
    assert pictures[0].shape == pictures[1].shape
    assert pictures[0].shape[1] > 320
    assert not np.array_equal(*pictures)


def test_recipes() -> None:
    ended = run("recipes")
    assert not ended.code
    assert all(name in ended.out for name in recipe_names())
    for name in recipe_names():
        assert len(recipe_summary(name)) > 20, f"{name} does not begin with what it is for"
        assert "siamtrack train" not in recipe_summary(name)
    assert tomllib.loads(run("recipes", "--show", "siamdw-small").out)["network"]["backbone"] == "CIResNet22"
    refused = run("recipes", "--show", "siamfc-smal")
    assert refused.code == 2
    assert "Did you mean 'siamfc-small'?" in refused.err


def test_models() -> None:
    ended = run("models")
    assert ended.code == 0
    assert {"siamfc", "siamfc-3s", "siamfc-5s", "siamfc-1s"} <= {
        line.split()[0] for line in ended.out.splitlines() if line.strip()
    }
    assert all(name in ended.out for name in model_names())
    by_name, by_folder = run("models", "--card", "siamfc"), run("models", "--card", model_names()["siamfc"].folder)
    assert (by_name.code, by_folder.code) == (0, 0)
    assert by_name.out.strip()
    assert by_name.out == by_folder.out


def test_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = run("doctor")
    assert ended.code == 0
    for what in ("siamtrack", "Python", "processor", "openvino", "model siamfc ", "complete, hashes right", "bfloat16"):
        assert what in ended.out
    assert max(map(len, ended.out.split("\n- ")[0].splitlines())) <= 80


def test_doctor_goes_on_where_a_model_is_broken_or_a_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path) -> None:
        raise ModelError("The model file 'x' is missing.")

    monkeypatch.setattr("siamtrack.doctor.read_model_folder", broken)
    monkeypatch.setattr("siamtrack.doctor._installed", lambda package: "not installed")
    ended = run("doctor")
    assert ended.code == 0
    assert "is missing" in ended.out
    assert "pip install 'siamtrack[onnx]'" in ended.out
    assert "pip install 'siamtrack[train]'" in ended.out


def test_bench_says_what_a_batch_gains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "CANDIDATES", [("openvino", "auto"), ("onnx", "float32")])
    ended = run("bench", "--frames", 3, "--targets", 2, "--size", "320x240", *FAST)
    assert ended.code == 0
    assert "openvino auto" in ended.out
    assert "onnx float32" in ended.out
    assert "one by one" not in ended.out
    assert "medians over 3 frames, 2 targets in one batch" in ended.out
    assert re.search(r"Where the time goes with openvino auto: \d+% network", ended.out)
    assert re.search(r"One batch of 2 .* for 2 single steps, \d+\.\d\dx\. 2 separate runs .* \d+\.\d\dx\.", ended.out)


def test_bench_on_a_video(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "CANDIDATES", [("openvino", "auto"), ("openvino", "float32")])
    ended = run("bench", clip, *box(0), "--frames", 3, *FAST)
    assert ended.code == 0
    assert "1 target;" in ended.out
    assert "One batch" not in ended.out


def test_table_of_bench_fits_80_columns() -> None:
    """The names and numbers of a slow machine."""
    from rich.console import Console

    from siamtrack.cli.look import _table

    table = _table("runtime", "read", "crop", "network", "decide", "all", "frames/s", "speed", numbers=True)
    table.add_row("openvino float32", "16.08", "14.27", "1005.54", "12.34", "1030.34", "0.98", "12.3x")
    console = Console(width=80)
    with console.capture() as capture:
        console.print(table)
    assert sum(1 for line in capture.get().splitlines() if line.strip()) == 3


def test_version_and_module() -> None:
    assert run("--version").out == f"siamtrack {siamtrack.__version__}\n"
    done = subprocess.run([sys.executable, "-m", "siamtrack", "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"siamtrack {siamtrack.__version__}\n")


def test_a_closed_pipe_is_no_traceback() -> None:
    done = subprocess.run(
        f"'{sys.executable}' -m siamtrack models | head -c 1", shell=True, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["", *sorted(command.callback.__name__ for command in app.registered_commands)])
def test_help_fits_80_columns(command: str) -> None:
    ended = run(*([command] if command else []), "--help")
    assert ended.code == 0
    assert "Usage: siamtrack" in ended.out
    assert max(map(len, ended.out.splitlines())) <= 80


def test_a_truncated_video_is_kept_up_to_where_it_stops(clip: Path, tmp_path: Path) -> None:
    whole = clip.read_bytes()
    short = tmp_path / "short.mp4"
    short.write_bytes(whole[: len(whole) * 3 // 5])
    count = delivered(short)
    assert 1 < count < FRAMES
    out, video, sheet = tmp_path / "boxes.csv", tmp_path / "drawn.mp4", tmp_path / "sheet.png"
    ended = run("track", short, *box(0), "--out", out, "--video", video, "--sheet", sheet, *FAST)
    assert ended.code == 1
    assert re.search(r"near frame \d+|after frame \d+", ended.error)
    assert f"through {count} frames" in ended.err
    assert frames_of(out) == list(range(count))
    with read(video) as frames:
        assert sum(1 for _ in frames) == count
    assert cv2.imread(str(sheet)) is not None
