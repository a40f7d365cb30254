"""`siamtrack evaluate` as a user meets it: exit codes, messages, what is kept."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import EXTRA, FAST_TRACKER, INPUT, INTERRUPTED, MODEL, OUTPUT, Ended, run, scene
from evaluation_runs import benchmark

from siamtrack import library
from siamtrack.datasets.benchmark import BenchmarkSequence
from siamtrack.evaluation import runner_workers
from siamtrack.evaluation.protocols import runs
from siamtrack.evaluation.trajectory import Trajectory

COUNT = 6
Command = Callable[..., Ended]


def _sequence(folder: Path, name: str, target: int) -> BenchmarkSequence:
    (folder / name).mkdir(parents=True)
    paths = [folder / name / f"{number:04}.png" for number in range(COUNT)]
    for number, path in enumerate(paths):
        assert cv2.imwrite(str(path), scene().image(number)[:, :, ::-1])
    return BenchmarkSequence(name=name, regions=[np.array(scene().box(target, i)) for i in range(COUNT)], frames=paths)


@pytest.fixture
def described() -> dict[str, object]:
    """What the benchmark is said to be otherwise than by `evaluation_runs.benchmark`."""
    return {}


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, described: dict[str, object]) -> Command:
    """The command on a benchmark of two sequences, which is where a reader would find it."""
    sequences = [_sequence(tmp_path / "data", name, target) for target, name in enumerate(("One", "Two"))]
    hidden = _sequence(tmp_path / "data", "Hidden", 2)
    hidden = replace(hidden, regions=[hidden.regions[0], *[np.full(4, np.nan)] * (COUNT - 1)])

    def read(root: Path, names: Sequence[str] | None) -> list[BenchmarkSequence]:
        assert root == tmp_path / "data"
        return [s for s in [*sequences, hidden] if (s.name in names if names else s is not hidden)]

    known = library._benchmarks()
    monkeypatch.setattr(
        library, "_benchmarks", lambda: known | {"otb-small": replace(benchmark(), **{"read": read} | described)}
    )
    given = ("evaluate", "--benchmark", "otb-small", "--root", tmp_path / "data", "--workers", 1, *FAST_TRACKER)
    return lambda *arguments: run(*given, *arguments, folder=tmp_path)


def test_results_are_kept_scored_and_not_made_again(command: Command, tmp_path: Path) -> None:
    ended = command("--sequences", "One")
    assert ended.code == 0, ended.err
    first, second, score = ended.out.splitlines()
    assert first.startswith("One: 6 frames, ")
    assert second == f"1 of 1 sequences are finished in {Path('results/siamfc/otb-small/ope')}."
    assert score.startswith("siamfc on Small, 1 of 3 sequences (ope, preset otb-matlab): AUC 0.")
    folder = tmp_path / "results" / "siamfc" / "otb-small" / "ope"
    made = (folder / "One.txt").stat().st_mtime_ns
    ended = command()
    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[0] == "1 of 2 sequences were finished before."
    assert (folder / "One.txt").stat().st_mtime_ns == made
    assert len((folder / "Two.txt").read_text(encoding="utf-8").splitlines()) == COUNT


def test_a_benchmark_whose_truth_is_not_public_has_results_and_no_score(command: Command, tmp_path: Path) -> None:
    ended = command("--sequences", "Hidden")
    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[-1].startswith("1 of 1 sequences are finished")
    assert "No score: The ground truth of otb-small has first boxes only" in ended.err


def test_what_results_were_made_with_is_beside_them(command: Command, tmp_path: Path) -> None:
    assert command("--sequences", "One", "--name", "mine", "--protocol", "tre").code == 1  # too short for a start
    assert command("--sequences", "One", "--name", "mine", "--set", "start_box=min-max").code == 0
    origin = json.loads((tmp_path / "results" / "mine" / "otb-small" / "ope" / "run.json").read_text(encoding="utf-8"))
    assert origin["settings"]["scales"] == 1
    assert origin["protocol"]["start_box"] == "min-max"
    assert len(origin["weights"]["weights.safetensors"]) == 64
    assert set(origin["versions"]) == {"siamtrack", "numpy", "opencv-python-headless", "openvino"}
    assert origin["runtime"]["threads"] == 1
    assert origin["machine"]["processors"] >= 1
    assert origin["seed"] is None


def test_a_sequence_that_fails_gives_exit_code_1_and_the_rest_is_done(command: Command, tmp_path: Path) -> None:
    (tmp_path / "data" / "One" / "0003.png").unlink()
    ended = command()
    assert ended.code == 1
    assert "One failed: " in ended.err
    assert "0003.png" in ended.err
    assert "Error: 1 of 2 sequences failed: One; see above for why." in ended.err
    assert "Two: 6 frames" in ended.out
    assert (tmp_path / "results" / "siamfc" / "otb-small" / "ope" / "records" / "Two.json").exists()


def test_other_settings_are_not_mixed(command: Command) -> None:
    assert command("--sequences", "One").code == 0
    ended = command("--set", "scale_step=1.05")
    assert ended.code == OUTPUT
    assert "settings.scale_step was 1.16 and is 1.05. Give another --name, or --fresh" in ended.error
    assert command("--set", "scale_step=1.05", "--fresh", "--sequences", "Two").out.startswith("Two: ")


def test_an_archive_for_a_server(command: Command, described: dict[str, object], tmp_path: Path) -> None:
    ended = command("--sequences", "One", "--pack", "one.zip")
    assert ended.code == INPUT
    assert "No server takes results on Small under 'ope'" in ended.error
    described.update(server="ope")
    for arguments, code, part in (
        (("--sequences", "One", "--pack", "one.zip"), INPUT, "scores all sequences; leave out --sequences"),
        (("--pack", "nowhere/one.zip"), OUTPUT, "nowhere"),
    ):
        ended = command(*arguments)
        assert (ended.code, part in ended.error) == (code, True), ended.err
    assert not (tmp_path / "results").exists()
    ended = command("--pack", "all.zip")
    assert ended.code == 0, ended.err
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert archive.namelist() == ["One.txt", "Two.txt"]


def test_what_is_to_be_done_is_said_before_anything_is_opened(command: Command) -> None:
    ended = command("--tracker", "siamcf")
    begins = "Running siamcf on Small, 2 of 3 sequences (12 frames), protocol ope, 1 worker; results in "
    assert ended.err.splitlines()[0].startswith(begins)


def test_ctrl_c_says_what_is_kept_and_how_to_go_on(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(tracker: object, sequence: BenchmarkSequence, *more: object) -> Iterator[Trajectory]:
        if sequence.name == "Two":
            raise KeyboardInterrupt
        return runs(tracker, sequence, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(runner_workers, "runs", interrupted)
    ended = command()
    assert ended.code == INTERRUPTED
    folder = Path("results/siamfc/otb-small/ope")
    assert ended.err.splitlines()[-1] == (
        f"Stopped by Ctrl-C. 1 of 2 sequences are finished in {folder}; the same command goes on."
    )


def test_numbers_that_are_left_out_have_a_reason(command: Command, described: dict[str, object]) -> None:
    described.update(protocols=("supervised",), preset="vot-matlab", first_pixel=0)
    ended = command("--sequences", "One")
    assert ended.code == 0, ended.err
    assert "EAO" not in ended.out.splitlines()[-1]
    assert ended.err.splitlines()[-1].startswith("Note: No EAO: ")


def test_the_last_line_gives_the_numbers_of_the_chosen_vot_tool(command: Command, described: dict[str, object]) -> None:
    described.update(protocols=("supervised", "unsupervised"), preset="vot-matlab", first_pixel=0)
    for protocol, key in (("supervised", "A"), ("unsupervised", "AO")):
        told = []
        for preset in ("vot-matlab", "vot-python"):
            ended = command("--protocol", protocol, "--set", f"preset={preset}", "--name", preset, "--sequences", "One")
            assert ended.code == 0, ended.err
            told.append(ended.out.splitlines()[-1])
            assert f"({protocol}, preset {preset}): " in told[-1]
            assert f"{key} 0." in told[-1]
    ended = command("--protocol", "supervised", "--set", "preset=vot-mattlab")
    assert "Did you mean 'vot-matlab'?" in ended.error


def test_bad_input(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments, code, part in (
        (("--benchmark", "otb-big"), INPUT, "Unknown benchmark 'otb-big'. Known: davis2016"),
        (("--benchmark", "otb"), INPUT, "Which one is meant: otb-small, otb100, otb2013, otb50?"),
        (("--protocol", "trre"), INPUT, "Did you mean 'tre'?"),
        (("--tracker", "siamcf"), MODEL, "Did you mean 'siamfc'?"),
        (("--set", "start_box=round"), INPUT, "Unknown start_box 'round'"),
        (("--set", "preset=pysot"), INPUT, "'siamtrack compare --preset' gives"),
        (("--set", "scaless=1"), INPUT, "Unknown setting 'scaless'"),
        (("--name", "../x"), OUTPUT, "'../x' cannot be the name"),
    ):
        ended = command(*arguments)
        assert ended.code == code, ended.err
        assert part in ended.error
    monkeypatch.setitem(sys.modules, "ray", None)
    assert command("--ray", "auto").code == EXTRA
