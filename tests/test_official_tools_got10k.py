"""Our trackers in the toolkit of GOT-10k (package `got10k`): its experiments run them, and its numbers are ours."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from command_line import FAST_TRACKER, run
from evaluation_runs import benchmark, frames

from siamtrack.box import Box
from siamtrack.datasets.benchmark import BenchmarkSequence
from siamtrack.errors import InputError, MissingExtraError, SettingsError
from siamtrack.evaluation.foreign import read_results
from siamtrack.evaluation.got10k_adapter import GOT10kTracker
from siamtrack.evaluation.scoring import score
from siamtrack.image import Image
from siamtrack.library import open_benchmark, open_model
from siamtrack.tracking import Prediction

installed = pytest.mark.skipif(importlib.util.find_spec("got10k") is None, reason="the toolkit of GOT-10k is not installed")
NAMES = ["GOT-10k_Val_000001", "GOT-10k_Val_000002"]


class Drifting:
    """Says that a target moves by its own size; keeps what it is given."""

    def __init__(self) -> None:
        self.boxes: list[Box] = []
        self.images: list[Image] = []

    def start(self, frame: Image, boxes: Sequence[Box]) -> list[Box]:
        self.boxes += boxes
        self.images.append(frame)
        return list(boxes)

    def step(self, frame: Image, states: Sequence[Box]) -> tuple[list[Box], list[Prediction]]:
        self.images.append(frame)
        moved = [box._replace(x=box.x + box.w, y=box.y + box.h) for box in states]
        return moved, [Prediction(box=box, score=1) for box in moved]


def world(folder: Path) -> list[tuple[list[Path], list[str]]]:
    """Files of frames and 1-based x,y,w,h of two small sequences."""
    options = ["--layout", "otb", "--sequences", 2, "--frames", 12, "--size", "320x240", "--seed", 5]
    assert run("synth", "world", "--out", folder, *options).code == 0
    drawn = sorted(path.parent for path in folder.glob("*/groundtruth_rect.txt"))
    return [(sorted((path / "img").iterdir()), (path / "groundtruth_rect.txt").read_text().split()) for path in drawn]


@pytest.fixture
def got10k_folder(tmp_path: Path) -> Path:
    """The validation part of GOT-10k, with one frame in which nothing is seen of the target."""
    for name, (files, rows) in zip(NAMES, world(tmp_path / "drawn"), strict=True):
        folder = tmp_path / "GOT-10k" / "val" / name
        folder.mkdir(parents=True)
        for number, file in enumerate(files, 1):
            shutil.copy(file, folder / f"{number:08}.jpg")
        (folder / "groundtruth.txt").write_text("".join(f"{row}\n" for row in rows))
        (folder / "meta_info.ini").write_text("[METAINFO]\nobject_class: beetle\nresolution: (320, 240)\n")
        (folder / "cover.label").write_text("8\n" * (len(rows) - 1) + "0\n")
        for label in ("absence", "cut_by_image"):
            (folder / f"{label}.label").write_text("0\n" * len(rows))
    (tmp_path / "GOT-10k" / "val" / "list.txt").write_text("".join(f"{name}\n" for name in NAMES))
    return tmp_path / "GOT-10k"


@pytest.mark.parametrize("first_pixel", [0, 1])
def test_boxes_are_counted_from_the_pixel_of_the_data_set(first_pixel: int) -> None:
    inner = Drifting()
    tracker = GOT10kTracker(inner, name="drifting", first_pixel=first_pixel)
    tracker.init(np.zeros((48, 64, 3), np.uint8), np.array([10.0, 20.0, 8.0, 6.0]))
    assert inner.boxes == [Box(10 - first_pixel, 20 - first_pixel, 8, 6)]
    answer = tracker.update(np.zeros((48, 64, 3), np.uint8))
    assert answer.tolist() == [18, 26, 8, 6]
    assert (tracker.name, tracker.is_deterministic) == ("drifting", True)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(SettingsError, match="first pixel"):
        GOT10kTracker(Drifting(), name="drifting", first_pixel=2)
    with pytest.raises(InputError, match="init"):
        GOT10kTracker(Drifting(), name="drifting").update(np.zeros((48, 64, 3), np.uint8))


def test_without_the_toolkit_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "got10k.trackers", None)
    with pytest.raises(MissingExtraError, match=r"siamtrack\[got10k\]"):
        GOT10kTracker(Drifting(), name="drifting").track([], np.ones(4))


@installed
def test_the_loop_of_the_toolkit_gives_rgb_and_takes_boxes(tmp_path: Path) -> None:
    paths = frames(tmp_path, 3)
    blue = np.zeros((48, 64, 3), np.uint8)
    blue[..., 0] = 255  # OpenCV writes BGR
    assert cv2.imwrite(str(paths[0]), blue)
    assert cv2.imwrite(str(paths[1]), blue[..., 1])  # grey: the toolkit makes it RGB
    inner = Drifting()
    boxes, seconds = GOT10kTracker(inner, name="drifting").track([str(path) for path in paths], np.array([9.0, 8, 7, 6]))
    assert inner.images[0][0, 0].tolist() == [0, 0, 255]
    assert inner.images[1].shape == (48, 64, 3)
    assert boxes.tolist() == [[9, 8, 7, 6], [16, 14, 7, 6], [23, 20, 7, 6]]
    assert seconds.shape == (3,)
    assert (seconds >= 0).all()


@installed
def test_its_experiment_on_got10k_gives_our_numbers(
    got10k_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    performance = _experiment("got10k", got10k_folder, tmp_path, monkeypatch)
    val, sequences = open_benchmark("got10k-val", got10k_folder, NAMES)
    (found,) = read_results(tmp_path / "results", val, sequences)
    numbers = score(found.results, sequences, "got10k").overall.numbers
    overall = performance["siamfc"]["overall"]
    assert (numbers["ao"], numbers["sr50"]) == pytest.approx((overall["ao"], overall["sr"]), abs=1e-9)
    assert 0.3 < numbers["ao"] < 1
    arguments = ["--benchmark", "got10k-val", "--root", got10k_folder, "--sequences", ",".join(NAMES), *FAST_TRACKER]
    assert run("evaluate", *arguments, "--results", tmp_path / "ours", "--workers", 1).code == 0
    for name in NAMES:
        theirs = np.loadtxt(tmp_path / "results" / "GOT-10k" / "siamfc" / name / f"{name}_001.txt", delimiter=",")
        ours = np.loadtxt(tmp_path / "ours" / "siamfc" / "got10k-val" / "got10k" / name / f"{name}_001.txt", delimiter=",")
        assert theirs == pytest.approx(ours, abs=1.1e-3)  # both have 3 decimals


@installed
def test_its_experiment_on_otb_gives_our_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _names_of_2013():
        (tmp_path / "OTB" / name).mkdir(parents=True)  # an empty folder is left out, a missing one is downloaded
    sequences = []
    for name, (files, rows) in zip(["Basketball", "Bolt"], world(tmp_path / "drawn"), strict=True):
        shutil.copytree(files[0].parents[1], tmp_path / "OTB" / name, dirs_exist_ok=True)
        truth = [np.fromstring(row, sep=",") - (1, 1, 0, 0) for row in rows]
        sequences.append(BenchmarkSequence(name=name, regions=truth, size=(320, 240)))
    performance = _experiment("otb", tmp_path / "OTB", tmp_path, monkeypatch)
    (found,) = read_results(tmp_path / "results", benchmark(), sequences)
    numbers = score(found.results, sequences, "got10k-otb").overall.numbers
    overall = performance["siamfc"]["overall"]
    expected = (overall["success_score"], overall["precision_score"])
    assert (numbers["auc"], numbers["precision"]) == pytest.approx(expected, abs=1e-9)


def _names_of_2013() -> list[str]:
    from got10k.datasets import OTB

    names: list[str] = OTB._OTB__otb13_seqs
    return names


def _experiment(which: str, root: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Runs and scores siamfc, with its pictures shown to nobody."""
    monkeypatch.setenv("MPLBACKEND", "Agg")
    tracker = GOT10kTracker(open_model("siamfc", threads=1, overrides=["scales=1"]), name="siamfc")
    places = {"result_dir": str(folder / "results"), "report_dir": str(folder / "reports")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the toolkit's own making
        from got10k.experiments import ExperimentGOT10k, ExperimentOTB

        if which == "otb":
            experiment = ExperimentOTB(str(root), version=2013, **places)
        else:
            experiment = ExperimentGOT10k(str(root), subset="val", **places)
        experiment.run(tracker, visualize=True)
        performance: dict[str, Any] = experiment.report(["siamfc"])
    return performance
