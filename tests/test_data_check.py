"""Checking annotated data: what is wrong is found, the rest is counted, and a check that was ended goes on."""

from __future__ import annotations

import csv
import io
import json
import signal
import subprocess
import sys
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import pytest
import typer
from small_sets import ABSENT, HEIGHT, WIDTH, SmallSet, add_clip, small_set, walk
from typer.testing import CliRunner

from siamtrack import library
from siamtrack.cli import data
from siamtrack.datasets import check, check_run
from siamtrack.datasets.check import ClipReport, Finding, examine
from siamtrack.datasets.check_run import read_reports, run_check
from siamtrack.datasets.check_summary import summarise
from siamtrack.datasets.clips import Target
from siamtrack.datasets.crop_manifest import Storing
from siamtrack.datasets.crop_records import clip_key, crop_key
from siamtrack.datasets.crop_store import DATABASE, StoredCrops, close_readers
from siamtrack.datasets.crop_writing import write_crops
from siamtrack.errors import DataError, OutputError


def target(name: str, boxes: list[list[float]]) -> Target:
    array = np.array(boxes, np.float64).reshape(-1, 4)
    return Target(name=name, positions=np.arange(len(array)), boxes=array, visibility=np.full(len(array), np.nan))


def findings(*targets: Target, frames: int = 100) -> list[tuple[str, str, int | None]]:
    size = (WIDTH, HEIGHT)
    report = examine("clip", targets, frames=frames, sizes=dict.fromkeys(range(frames), size), annotated_size=size)
    return [(finding.kind, finding.target, finding.frame) for finding in report.findings]


GOOD = [[10.0, 10, 20, 20], [11, 10, 20, 20]]


@pytest.mark.parametrize(
    ("box", "kind"),
    [
        ([10, 10, 0, 5], check.NO_AREA),
        ([10, 10, 5, -1], check.NO_AREA),
        ([10, float("nan"), 5, 5], check.PARTLY_NAN),
        ([10, 10, float("inf"), 5], check.TOO_LARGE),
        ([10, 10, 2 * WIDTH + 1, 5], check.TOO_LARGE),
        ([WIDTH, 10, 5, 5], check.OUTSIDE),
        ([10, HEIGHT, 5, 5], check.OUTSIDE),
        ([-5, 10, 5, 5], check.OUTSIDE),
    ],
)
def test_boxes_that_cannot_be_used(box: list[float], kind: str) -> None:
    assert findings(target("t", [*GOOD, box])) == [(kind, "t", 2)]


@pytest.mark.parametrize(
    "box", [[-4.9, 10, 5, 5], [WIDTH - 0.1, 10, 5, 5], [0, 0, WIDTH, HEIGHT], [-50, 1, 2 * WIDTH, 9], [1, 1, 0.1, 0.1], ABSENT]
)
def test_boxes_that_can(box: list[float]) -> None:
    assert findings(target("t", [*GOOD, box])) == []


def test_a_box_is_outside_the_frame_it_belongs_to() -> None:
    sizes = {0: (50, 50), 1: (100, 100), 2: (50, 50)}
    boxes = target("t", [[60, 10, 5, 5], [60, 10, 5, 5], [10, 10, 5, 5]])
    report = examine("clip", [boxes], frames=3, sizes=sizes, annotated_size=None)
    assert [(found.kind, found.frame) for found in report.findings] == [(check.OUTSIDE, 0)]
    assert report.frame_sizes == {"50x50": 2, "100x100": 1}


def test_frames_of_another_size_than_annotated() -> None:
    report = examine("clip", [target("t", GOOD)], frames=2, sizes={0: (98, 64), 1: (98, 64)}, annotated_size=(WIDTH, HEIGHT))
    assert report.findings == [Finding(check.OTHER_SIZE, "", 0, "98x64, annotated 96x64; 2 frames")]


def test_repeated_boxes_are_told_once_a_run() -> None:
    moving = [[float(k), 5, 9, 9] for k in range(3)]
    still = [[50.0, 5, 9, 9]] * check.REPEATED
    assert findings(target("t", [*moving, *still, *moving, *still[1:]])) == [(check.REPEATED_BOX, "t", 3)]
    assert findings(target("t", [ABSENT] * 40 + GOOD)) == []
    assert {kind for kind, _, _ in findings(target("t", [*GOOD, *[[5.0, 5, 0, 0]] * 40]))} == {check.NO_AREA}


def test_targets_that_share_a_box() -> None:
    first, second = target("1", GOOD), target("2", [[0, 0, 5, 5], GOOD[1]])
    assert findings(first, second) == [(check.SAME_BOX, "2", 1)]
    assert findings(first, target("2", GOOD[::-1])) == []


def test_clips_and_targets_with_too_little() -> None:
    assert findings() == [(check.NO_TARGETS, "", None)]
    assert findings(target("t", [GOOD[0], ABSENT])) == [(check.SHORT, "t", None)]
    assert findings(target("t", GOOD[:1]), frames=1) == []  # a still image


def test_counts_and_sizes() -> None:
    boxes = target("t", [[0, 0, 4, 9], [5, 5, 16, 16], ABSENT, [-5, 5, 10, 10], [3, 3, 0, 1], [-9, 9, 9, 9]])
    report = examine("clip", [boxes], frames=9, sizes={0: (WIDTH, HEIGHT)}, annotated_size=None)
    assert (report.boxes, report.absent, report.partly_outside, report.annotated, report.read) == (5, 1, 1, 6, 1)
    assert (report.smallest, report.largest) == (6, 16)
    assert ClipReport.from_json(json.loads(json.dumps(report.as_json()))) == report


# Whole data sets


def faulty(root: Path) -> SmallSet:
    small_set(root)
    (root / "a" / "005.png").write_bytes(b"\x89PNG, but not for long")
    (root / "b" / "boxes.json").write_text("{", encoding="utf-8")
    add_clip(root, "short", {"0": walk(12)}, frames=9, video=True)
    return SmallSet(root)


def test_everything_wrong_is_found(tmp_path: Path) -> None:
    made, out = faulty(tmp_path / "data"), tmp_path / "out"
    run_check(made, out)
    totals = summarise(out)
    expected = {check.UNREADABLE: 1 + 3, check.UNREADABLE_ANNOTATION: 1, check.NO_AREA: 1, check.TOO_LARGE: 1}
    assert totals.findings == expected | {check.NO_TARGETS: 1}
    assert totals.faults == 7
    assert [finding.kind in check.FAULTS for _, finding in totals.listed] == [True] * 7
    assert totals.frame_sizes == {"96x64": totals.read}
    assert (totals.clips, totals.targets, totals.absent) == (5, 4, 1)
    assert (totals.annotated, totals.read) == (8 + 9 + 12, 7 + 9 + 9)
    with (out / "findings.csv").open(newline="", encoding="utf-8") as file:
        listed = list(csv.DictReader(file))
    assert len(listed) == 8
    assert [row["frame"] for row in listed if row["clip"] == "short"] == ["9", "10", "11"]
    assert str(made.root / "a" / "005.png") in next(r for r in listed if r["kind"] == check.UNREADABLE)["detail"]
    with (out / "clips.csv").open(newline="", encoding="utf-8") as file:
        assert [(row["clip"], row["faults"]) for row in csv.DictReader(file)] == [
            ("a", "3"), ("b", "1"), ("c", "0"), ("empty", "0"), ("short", "3")
        ]  # fmt: skip
    assert json.loads((out / "report.json").read_text())["faults"] == 7


def test_median_of_sizes(tmp_path: Path) -> None:
    boxes = {frame: [1.0, 1, side, side] for frame, side in enumerate([3, 4, 10, 30, 40])}
    add_clip(tmp_path / "data", "a", {"0": boxes}, frames=5)
    run_check(SmallSet(tmp_path / "data"), tmp_path / "out")
    totals = summarise(tmp_path / "out")
    assert (totals.smallest, totals.largest) == (3, 40)
    assert totals.median == pytest.approx(10, rel=0.05)


def test_workers_find_the_same(tmp_path: Path) -> None:
    made = faulty(tmp_path / "data")
    run_check(made, tmp_path / "one")
    run_check(made, tmp_path / "two", workers=2)
    assert files(tmp_path / "one") == files(tmp_path / "two")


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("at_most", "read"), [(0, 0), (3, 9), (100, 25)])
def test_a_part_of_the_frames(at_most: int, read: int, tmp_path: Path) -> None:
    with mock.patch.object(check_run, "SHOWN", 0):  # the frames of sample crops are decoded in any case
        run_check(small_set(tmp_path / "data"), tmp_path / "out", frames=at_most)
    totals = summarise(tmp_path / "out")
    assert (totals.read, totals.annotated) == (read, 25)


def test_sample_crops_show_the_box(tmp_path: Path) -> None:
    add_clip(tmp_path / "data", "a-clip-with-a-name-that-is-far-too-long", {"left": walk(8)})
    run_check(SmallSet(tmp_path / "data"), tmp_path / "out")
    (report,) = read_reports(tmp_path / "out")
    assert len(report.samples) == 8  # of 24: there are no more
    assert report.samples[2] == "...-that-is-far-too-long, left, frame 2"
    crop = cv2.imread(str(check_run.sample_path(tmp_path / "out", 0, 2)))
    scale = 191 / np.sqrt((20 + 17.5) * (15 + 17.5))
    left, top = round(159.5 - 10 * scale), round(159.5 - 7.5 * scale)
    amber = np.array([0, 210, 255])
    for row, column in ((160, left), (160, 319 - left), (top, 160), (319 - top, 160)):
        assert np.abs(crop[row - 2 : row + 2, column - 2 : column + 2].astype(int) - amber).sum(-1).min() < 40
    summarise(tmp_path / "out")
    assert cv2.imread(str(tmp_path / "out" / "crops.png")).shape[1] == 2000


KILLED = """
import os, pathlib, signal, sys
sys.path.insert(0, sys.argv[1])
from siamtrack.datasets import check_run
from small_sets import SmallSet
log, left = open(sys.argv[4], "a"), [int(sys.argv[5])]
look = check_run._look
def counted(*arguments):
    print("clip", file=log, flush=True)
    left[0] -= 1
    if not left[0]:
        with (pathlib.Path(sys.argv[3]) / "check.jsonl").open("ab") as journal:
            journal.write(b'{"clip": "c", "fra')
        os.kill(os.getpid(), signal.SIGKILL)
    return look(*arguments)
check_run._look = counted
check_run.run_check(SmallSet(pathlib.Path(sys.argv[2])), pathlib.Path(sys.argv[3]))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("clip", [1, 3])
def test_goes_on_after_a_kill(clip: int, tmp_path: Path) -> None:
    made = faulty(tmp_path / "data")
    run_check(made, tmp_path / "undisturbed")

    def run(last: int) -> int:
        places = [Path(__file__).parent, made.root, tmp_path / "out", tmp_path / "log"]
        return subprocess.run([sys.executable, "-c", KILLED, *map(str, places), str(last)], check=False).returncode

    assert run(clip) == -signal.SIGKILL
    assert run(0) == 0
    assert len((tmp_path / "log").read_text().splitlines()) == clip + (5 - clip + 1)
    assert files(tmp_path / "out") == files(tmp_path / "undisturbed")


def test_a_complete_check_is_done_again(tmp_path: Path) -> None:
    made, out = faulty(tmp_path / "data"), tmp_path / "out"
    run_check(made, out)
    assert summarise(out).findings[check.UNREADABLE] == 4
    good = (made.root / "a" / "004.png").read_bytes()
    (made.root / "a" / "005.png").write_bytes(good)
    run_check(made, out)
    assert summarise(out).findings[check.UNREADABLE] == 3


def test_other_folders_are_refused(tmp_path: Path) -> None:
    made = small_set(tmp_path / "data")
    with pytest.raises(OutputError, match="holds something else"):
        run_check(made, tmp_path / "data")
    run_check(made, tmp_path / "out")
    before = files(tmp_path / "out")
    with pytest.raises(OutputError, match="other data or with other settings"):
        run_check(made, tmp_path / "out", frames=2)
    assert files(tmp_path / "out") == before


def test_crops_are_checked_by_their_hashes(tmp_path: Path) -> None:
    import lmdb

    made, store = small_set(tmp_path / "data"), tmp_path / "store"
    write_crops(made, store, Storing())
    run_check(StoredCrops(store), tmp_path / "good")
    totals = summarise(tmp_path / "good")
    assert totals.findings == {check.NO_AREA: 1, check.TOO_LARGE: 1, check.NO_TARGETS: 1}
    assert (totals.boxes, totals.absent) == (32, 1)
    assert totals.frame_sizes == {"96x64": 8 + 8 + 9}
    assert (tmp_path / "good" / "crops.png").exists()
    close_readers(store / DATABASE)
    with lmdb.open(str(store / DATABASE), subdir=False) as environment, environment.begin(write=True) as transaction:
        transaction.put(crop_key(2, 0, 1), b"0" * 500)
        transaction.put(crop_key(2, 0, 2), b"")
        transaction.delete(clip_key(0))
    run_check(StoredCrops(store), tmp_path / "bad")
    totals = summarise(tmp_path / "bad")
    assert totals.findings[check.DAMAGED] == 2  # the index of one clip, a block of another
    assert [clip for clip, _ in totals.listed] == ["a", "c"]
    for index in (1, 2):
        with pytest.raises(DataError, match=r"is damaged. Look for more: siamtrack data check"):
            StoredCrops(store).crop("c", 0, index)


# The commands


def command(*arguments: object) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(data.check)
    app.command()(data.crop)
    with mock.patch.object(library, "open_training_set", lambda path, name: SmallSet(path)):
        ended = CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "80"}, catch_exceptions=False)
    return ended.exit_code, ended.output


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "data"
    add_clip(root, "fine", {"0": walk(8)})
    code, text = command("check", root, "--workers", "1")
    assert code == 0
    assert "No fault was found. Look at data-check/crops.png" in text
    code, text = command("crop", root, "--out", "crops", "--workers", "1", "--size", "201", "--jpeg", "95")
    assert (code, text) == (0, "crops holds 8 crops of 1 clips; this run cut 8.\n")
    assert StoredCrops(Path("crops")).settings.size == 201
    assert command("check", "crops", "--workers", "1")[0] == 0
    (root / "fine" / "003.png").write_bytes(b"")
    code, text = command("check", root, "--workers", "1")
    assert code == 1
    assert "- fine #3: unreadable frame: " in text
    code, text = command("crop", root, "--out", "others", "--workers", "1")
    assert code == 1
    assert "others holds 7 crops of 1 clips; this run cut 7.\nCould not be read: 1 frames or annotations" in text


def test_lists_on_the_screen_are_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    add_clip(tmp_path / "data", "a", {"0": {frame: [5.0, 5, 0, 0] for frame in range(30)}}, frames=30)
    _, text = command("check", tmp_path / "data", "--workers", "1")
    assert sum(line.startswith("- a 0 #") for line in io.StringIO(text)) == 10
    assert "... and 20 more in data-check/findings.csv" in text
