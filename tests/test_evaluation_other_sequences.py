"""Results on sequences that others of the same name are not: every folder of one's own clips is the benchmark `plain`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import FAST_TRACKER, INPUT, OUTPUT, Ended, refused, run, scene
from evaluation_runs import HEIGHT, WIDTH, Scripted, benchmark, done, sequence, truth
from result_files import run as one_run
from result_files import sequence as unpictured
from result_files import walk, write_boxes

from siamtrack.datasets.benchmark import BenchmarkSequence
from siamtrack.errors import OutputError
from siamtrack.evaluation.protocols_following import ProtocolSettings
from siamtrack.evaluation.runner import Where, evaluate
from siamtrack.evaluation.store import ResultStore
from siamtrack.evaluation.store_sequence import description_of, difference

FRAMES = 4


def _moved(of: BenchmarkSequence, frame: int, by: float) -> BenchmarkSequence:
    regions = np.array(of.regions)
    regions[frame, 0] += by
    return replace(of, regions=list(regions))


def _repainted(of: BenchmarkSequence, folder: Path, height: int = HEIGHT) -> BenchmarkSequence:
    folder.mkdir()
    paths = [folder / path.name for path in of.frames]
    for path in paths:
        assert cv2.imwrite(str(path), np.full((height, WIDTH, 3), 200, np.uint8))
    return replace(of, frames=paths)


CHANGES: dict[str, tuple[Callable[[BenchmarkSequence, Path], BenchmarkSequence], str]] = {
    "first box": (lambda of, _: _moved(of, 0, 0.5), "its first region was 20,15,12,10 and is 20.5,15,12,10"),
    "other box": (lambda of, _: _moved(of, 3, 0.01), "its true regions after the first differ"),
    "pictures": (lambda of, folder: _repainted(of, folder / "x"), "its first picture is another file"),
    "size": (lambda of, folder: _repainted(of, folder / "x", 40), "its pictures were 64x48 and are 64x40"),
    "length": (
        lambda of, _: replace(of, regions=of.regions[:8], frames=of.frames[:8]),
        "its number of frames was 9 and is 8",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_makes_a_sequence_another_is_told(tmp_path: Path, change: str) -> None:
    of = sequence(tmp_path / "frames", count=9)
    described = json.loads(json.dumps(description_of(of)))
    assert difference(described, of) == ""
    changed, message = CHANGES[change]
    assert difference(described, changed(of, tmp_path)) == message


def test_the_same_sequence_read_from_elsewhere_is_the_same(tmp_path: Path) -> None:
    """Other files of truth have fewer decimals or no pictures beside them, and NaN and -0 have several bit patterns."""
    regions = truth(5)
    regions[2] = np.nan
    regions[3, 0] = 0.0
    described = description_of(sequence(tmp_path, regions=regions))
    regions[2] = -np.array(float("nan"))
    regions[3, 0] = -0.0
    regions[regions > 0] += 1e-4
    assert difference(described, BenchmarkSequence(name="a", regions=list(regions))) == ""
    assert difference({}, sequence(tmp_path, "b", 3)) == ""


def test_an_evaluation_refuses_results_of_others_of_the_same_name(tmp_path: Path) -> None:
    store = ResultStore(tmp_path / "results", tracker="scripted", benchmark=benchmark(), protocol="ope")
    store.begin({})
    of = [sequence(tmp_path / "frames", name, 9) for name in ("a", "b", "c")]
    for one in of[:2]:
        store.write(one, done(Scripted(), one, "ope"))
    others = [_moved(one, 0, 1) for one in of]
    with pytest.raises(OutputError, match=r"of 'a' in .* \(and so with 1 sequence more\): its first region was") as error:
        list(evaluate(Scripted, others, store, ProtocolSettings(), Where()))
    assert "Give other --results or another --name, or remove" in str(error.value)
    assert store.finished() == {"a", "b"}
    for record in (store.folder / "records").iterdir():
        record.unlink()
    assert {outcome.sequence for outcome in evaluate(Scripted, others, store, ProtocolSettings(), Where())} == {"a", "b", "c"}


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """clips/ball and clips/car, which siamtrack can be run on."""
    for target, name in enumerate(("ball", "car")):
        write_boxes(
            tmp_path / "clips" / name / "groundtruth.txt",
            np.array([scene().box(target, i) for i in range(FRAMES)]),
            first_pixel=0,
        )
        (tmp_path / "clips" / name / "img").mkdir()
        for i in range(FRAMES):
            assert cv2.imwrite(str(tmp_path / "clips" / name / "img" / f"{i}.png"), scene().image(i)[:, :, ::-1])
    return tmp_path


def _evaluated(folder: Path, *more: object) -> Ended:
    given = ("--benchmark", "plain", "--root", "clips", "--workers", 1, *FAST_TRACKER, *more)
    return run("evaluate", *given, folder=folder)


def test_commands_refuse_a_changed_truth(clips: Path) -> None:
    ended = _evaluated(clips)
    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[-1].startswith("siamfc on Own sequences, 2 sequences (ope, preset got10k-otb): ")
    file = clips / "clips" / "car" / "groundtruth.txt"
    file.write_text(file.read_text(encoding="utf-8").replace(".", ".5", 1), encoding="utf-8")
    ended = _evaluated(clips)
    assert ended.code == OUTPUT
    assert "The results of 'car' in 'results/siamfc/plain/ope' are of another sequence of that name: its first" in ended.error
    for command in (("compare", "results"), ("report", "results", "--out", "page.html")):
        options = (*command, "--benchmark", "plain", "--root", "clips")
        refused(options, INPUT, "other sequences than those in --root (1 of 2 that", "Of 'car' its first region", folder=clips)
    (clips / "results" / "siamfc" / "plain" / "ope" / "records" / "car.json").unlink()
    ended = _evaluated(clips)
    assert (ended.code, ended.out.splitlines()[0]) == (0, "1 of 2 sequences were finished before.")
    assert run("compare", "results", "--benchmark", "plain", "--root", "clips", folder=clips).code == 0


def test_a_tracker_on_other_clips_is_left_out_where_others_remain(clips: Path) -> None:
    assert _evaluated(clips).code == 0
    store = ResultStore(clips / "results", tracker="other", benchmark=benchmark("ope", name="plain"), protocol="ope")
    store.begin({})
    for name in ("dog", "cat"):
        of = unpictured(name)
        store.write(of, [one_run(walk())])
    compared = ("compare", "results", "--benchmark", "plain", "--root", "clips", "--format", "csv")
    ended = run(*compared, folder=clips)
    assert ended.code == 0, ended.err
    assert [line.split(",")[0] for line in ended.out.splitlines()] == ["tracker", "siamfc"]
    assert "Note: Left out: The results of other in" in ended.err
    assert "are of other sequences: cat, dog. Those of Own sequences in --root are ball, car. Give the --root" in ended.err
    assert "not 'ope'" not in ended.err
    tre = ResultStore(clips / "results", tracker="other", benchmark=benchmark("tre", name="plain"), protocol="tre")
    tre.begin({})
    tre.write(unpictured("dog"), [one_run(walk())])
    ended = run("report", *compared[1:6], "--out", "page.html", folder=clips)  # all of the group tre
    assert ended.out.startswith("1 tracker on Own sequences, 2 sequences in page.html")
    assert ended.err.count("Note: Left out: The results of other in") == 2
    alone = ("compare", "results/other", *compared[2:])
    refused(alone, INPUT, "are of other sequences: cat, dog", "in several folders (--results)", folder=clips)
    for name in ("ball", "car"):  # the same names, and all else is different
        of = unpictured(name)
        store.write(of, [one_run(walk())])
    ended = run(*compared, folder=clips)
    assert [line.split(",")[0] for line in ended.out.splitlines()] == ["tracker", "siamfc"]
    assert "(all that have the same name: ball, car)" in ended.err


def test_results_of_versions_that_did_not_note_it_are_compared_with_a_note(clips: Path) -> None:
    assert _evaluated(clips).code == 0
    for record in (clips / "results" / "siamfc" / "plain" / "ope" / "records").iterdir():
        record.write_text(json.dumps({"runs": json.loads(record.read_text(encoding="utf-8"))["runs"]}), encoding="utf-8")
    ended = run("compare", "results", "--benchmark", "plain", "--root", "clips", folder=clips)
    assert ended.code == 0, ended.err
    assert "Note: siamfc: the results are of an earlier version of siamtrack, which did not note" in ended.err
    origin = clips / "results" / "siamfc" / "plain" / "ope" / "run.json"
    origin.write_text(json.dumps(json.loads(origin.read_text(encoding="utf-8")) | {"format": 1}), encoding="utf-8")
    ended = _evaluated(clips)
    assert (ended.code, "format was 1 and is 2. Give another --name, or --fresh" in ended.error) == (OUTPUT, True)
