"""The official VOT toolkit (package `vot-toolkit`) runs our tracker, and its numbers and ours are those of one another's files.

Its releases 0.8 and 0.9 cannot run the supervised experiment with any tracker that speaks TraX ('list' object has no attribute
'properties'), which takes 0.7.4; they do score its results.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import FAST, FAST_TRACKER, run

from siamtrack.evaluation.foreign import read_results
from siamtrack.evaluation.scoring import score
from siamtrack.library import open_benchmark
from siamtrack.metrics.vot import FAILURE, START, code_of, frames_with, regions_from_text
from siamtrack.metrics.vot_eao import eao
from siamtrack.metrics.vot_multistart import multistart_eao
from siamtrack.metrics.vot_presets import PRESETS

INSTALLED = importlib.util.find_spec("vot") is not None
pytestmark = pytest.mark.skipif(not INSTALLED, reason="vot-toolkit is not installed")
RUNS_SUPERVISED = INSTALLED and tuple(map(int, version("vot-toolkit").split(".")[:2])) < (0, 8)
MASK_TRACKER = ["--tracker", "siammask-small", "--threads", "1"]
NAMES = ["world-5-000000", "world-5-000001"]
LOW, HIGH = 10, 30
TOLERANCE = 2e-4  # TraX has 4 decimals, our files too

# without the question to GitHub whether there is a newer release
PROGRAM = "import vot.utilities.cli as cli; cli.check_updates = lambda: (False, None); cli.main()"
STACK = f"""\
title: Two small sequences as VOT2018 was run
experiments:
  baseline:
    type: supervised
    repetitions: 15
    skip_initialize: 5
    analyses:
      - type: supervised_ar
      - type: supervised_average_ar
        sensitivity: 30
      - type: supervised_eao_curve
      - type: supervised_eao_score
        low: {LOW}
        high: {HIGH}
"""
MULTISTART = f"""\
title: Two small sequences as VOT2020 is run
experiments:
  baseline:
    type: multistart
    analyses:
      - type: multistart_average_ar
      - type: multistart_eao_score
        low: {LOW}
        high: {HIGH}
"""
UNSUPERVISED = """\
title: Two small sequences in one pass
experiments:
  unsupervised:
    type: unsupervised
    repetitions: 1
"""


@dataclass(frozen=True)
class Workspace:
    """Of the toolkit, beside results of ours."""

    path: Path

    @property
    def dataset(self) -> Path:
        return self.path / "sequences"

    def toolkit(self, *arguments: str) -> str:
        """Runs a command of the toolkit."""
        command = [sys.executable, "-c", PROGRAM, arguments[0], "--workspace", str(self.path), *arguments[1:]]
        environment = os.environ | {"VOT_RESULTS_BINARY": "0"}
        ended = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1800, check=False
        )
        assert ended.returncode == 0, ended.stdout
        return ended.stdout

    def ours(self, protocol: str, benchmark: str = "vot2018", tracker: Sequence[str] = FAST_TRACKER) -> Path:
        """Runs ours, and gives the folder that holds the toolkit's layout."""
        arguments = ["--benchmark", benchmark, "--root", self.dataset, "--sequences", ",".join(NAMES), "--protocol", protocol]
        settings = [*tracker, "--set", "preset=vot-python", "--workers", 1]
        ended = run("evaluate", *arguments, *settings, "--results", self.path / "siamtrack", "--name", "ours")
        assert ended.code == 0, ended.err
        return self.path / "siamtrack" / "ours" / benchmark / protocol


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return _made(tmp_path, "vot", STACK, FAST)


@pytest.fixture
def with_masks(tmp_path: Path) -> Workspace:
    return _made(tmp_path, "vot-masks", MULTISTART, ["--model", "siammask-small"], frames=60)


def _made(tmp_path: Path, layout: str, stack: str, model: Sequence[str], frames: int = 40) -> Workspace:
    made = Workspace(tmp_path)
    options = ["--layout", layout, "--sequences", 2, "--frames", frames, "--size", "320x240", "--seed", 5, "--set", "motion=2"]
    assert run("synth", "world", "--out", made.dataset, *options).code == 0
    (tmp_path / "config.yaml").write_text("registry: [./trackers.ini]\nstack: ./stack.yaml\n")
    (tmp_path / "stack.yaml").write_text(stack)
    stanza = run("vot", "--ini", "--threads", 1, *model).out
    (tmp_path / "trackers.ini").write_text(stanza + "\n[ours]\nprotocol = trax\ncommand = false\n")
    return made


def same_runs(theirs: Path, ours: Path, names: Sequence[str]) -> list[int]:
    """Checks the runs of two folders, file by file; returns the number of failures in each."""
    failures = []
    for name in names:
        files = sorted(path.name for path in (theirs / name).glob(f"{name}_[0-9][0-9][0-9].txt"))
        assert files == sorted(path.name for path in (ours / name).glob(f"{name}_[0-9][0-9][0-9].txt"))
        for file in files:
            first, second = (regions_from_text((root / name / file).read_text(), file) for root in (theirs, ours))
            assert [code_of(region) for region in first] == [code_of(region) for region in second]
            for a, b in zip(first, second, strict=True):
                assert a == pytest.approx(b, abs=TOLERANCE)
            confidence = file.replace(".txt", "_confidence.value")
            assert (theirs / name / confidence).read_text() == (ours / name / confidence).read_text()
            failures.append(len(frames_with(first, FAILURE)))
            assert len(frames_with(first, START)) > 0
    return failures


def check_numbers(workspace: Workspace, tracker: str) -> None:
    """The toolkit's analysis of a tracker's results, and ours of the same files."""
    workspace.toolkit("analysis", "--name", "report", tracker)
    by_sequence, overall, curves, expected = _analyses(workspace.path / "analysis" / "report.json")
    benchmark, sequences = open_benchmark("vot2018", workspace.dataset, NAMES)
    (found,) = read_results(workspace.path / "results" / tracker, benchmark, sequences)
    scores = score(found.results, sequences, "vot-python")
    for name, (accuracy, failures, (reliability, _), _) in zip(NAMES, by_sequence, strict=True):
        numbers = scores.sequences[name].numbers
        assert (numbers["accuracy"], numbers["failures"]) == pytest.approx((accuracy, failures), abs=1e-6)
        assert numbers["reliability"] == pytest.approx(reliability, abs=1e-6)
    ((accuracy, failures, (reliability, _), _),) = overall
    numbers = scores.overall.numbers
    assert numbers["failures"] == pytest.approx(failures)
    assert (numbers["accuracy"], numbers["reliability"]) == pytest.approx((accuracy, reliability), abs=1e-6)
    (((curve,),), ((value,),)) = (curves, expected)
    assert scores.overall.curves["EAO"].y == pytest.approx(np.array(curve), abs=1e-6)
    assert eao(scores.overall.curves["EAO"].y, (LOW, HIGH), PRESETS["vot-python"]) == pytest.approx(value, abs=1e-6)


def _analyses(path: Path) -> list[list[Any]]:
    found: list[list[Any]] = json.loads(path.read_text())["results"]["baseline"]["results"]
    return found


@pytest.mark.skipif(not RUNS_SUPERVISED, reason="this release of the toolkit cannot run supervised experiments; 0.7.4 can")
def test_supervised_runs_of_the_toolkit_are_ours(workspace: Workspace) -> None:
    workspace.toolkit("evaluate", "siamfc")
    failures = same_runs(workspace.path / "results" / "siamfc" / "baseline", workspace.ours("supervised") / "baseline", NAMES)
    assert len(failures) == 6  # three that are the same show that the tracker is deterministic
    assert failures[0] > 0
    check_numbers(workspace, "siamfc")


def test_the_toolkit_scores_what_we_write_as_we_do(workspace: Workspace) -> None:
    shutil.copytree(workspace.ours("supervised") / "baseline", workspace.path / "results" / "ours" / "baseline")
    check_numbers(workspace, "ours")


def test_unsupervised_runs_of_the_toolkit_are_ours(workspace: Workspace) -> None:
    (workspace.path / "stack.yaml").write_text(UNSUPERVISED)
    workspace.toolkit("evaluate", "siamfc")
    theirs = workspace.path / "results" / "siamfc" / "unsupervised"
    assert same_runs(theirs, workspace.ours("unsupervised") / "unsupervised", NAMES) == [0, 0]


def test_runs_from_anchors_are_those_of_the_toolkit_and_score_the_same(with_masks: Workspace) -> None:
    with_masks.toolkit("evaluate", "siammask-small")
    theirs, ours = with_masks.path / "results" / "siammask-small", with_masks.ours("multistart", "vot2020", MASK_TRACKER)
    names = sorted(path.relative_to(ours).as_posix() for path in ours.glob("baseline/*/*_[0-9]*[0-9].txt"))
    assert names == sorted(path.relative_to(theirs).as_posix() for path in theirs.glob("baseline/*/*_[0-9]*[0-9].txt"))
    assert len(names) == 4  # two anchors each, one of them backwards
    first, second = ([(root / name).read_text() for name in names] for root in (theirs, ours))
    assert first == second  # bit for bit: masks are whole pixels
    assert sum(text.count("\nm") for text in second) == sum(text.count("\n") - 1 for text in second)  # all but the starts
    with_masks.toolkit("analysis", "--name", "report", "siammask-small")
    robustness, eao_score = _analyses(with_masks.path / "analysis" / "report.json")
    benchmark, sequences = open_benchmark("vot2020", with_masks.dataset, NAMES)
    (of_theirs,) = read_results(theirs, benchmark, sequences)
    (of_ours,) = read_results(ours, benchmark, sequences)
    for found in (of_theirs, of_ours):
        scores = score(found.results, sequences, "vot-python")
        assert scores.overall.numbers["accuracy"] == pytest.approx(robustness[0][0], abs=1e-9)
        assert scores.overall.numbers["followed"] == pytest.approx(robustness[0][1], abs=1e-9)
        assert multistart_eao(scores.overall.curves["EAO"].y[:HIGH], (LOW, HIGH)) == pytest.approx(eao_score[0][0], abs=1e-9)
