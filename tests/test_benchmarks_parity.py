"""The real ground truth of published benchmarks through the readers: counts, and scores that others published."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

import numpy as np
import pytest

from siamtrack.box import Boxes
from siamtrack.datasets.benchmark import BenchmarkSequence
from siamtrack.datasets.otb import canonical_name
from siamtrack.library import open_benchmark
from siamtrack.metrics.ope_presets import PRESETS
from siamtrack.metrics.ope_scores import BenchmarkScores, score_benchmark, score_sequence

pytestmark = pytest.mark.shared_data


def _unpack(shared_data: Path, archive: str, folder: str, out: Path) -> None:
    """The .txt files of a folder of an archive."""
    out.mkdir(parents=True)
    with ZipFile(shared_data / "parity" / f"{archive}.zip") as file:
        for name in file.namelist():
            path = PurePosixPath(name)
            if str(path.parent) == folder and path.suffix == ".txt":
                (out / path.name).write_bytes(file.read(name))


def _one(shared_data: Path, archive: str, name: str, out: Path) -> None:
    with ZipFile(shared_data / "parity" / f"{archive}.zip") as file:
        (out / name).write_bytes(file.read(name))


def _results(shared_data: Path, archive: str, tracker: str) -> dict[str, Boxes]:
    """0-based, by the name of the file."""
    with ZipFile(shared_data / "parity" / f"{archive}.zip") as file:
        paths = [p for p in map(PurePosixPath, file.namelist()) if p.parts[:2] == ("results", tracker) and p.suffix == ".txt"]
        numbers = {p.stem: np.array(file.read(str(p)).replace(b",", b" ").split(), float) for p in paths}
    return {name: values.reshape(-1, 4) - (1, 1, 0, 0) for name, values in numbers.items()}


def _score(sequences: list[BenchmarkSequence], results: dict[str, Boxes], preset: str) -> BenchmarkScores:
    rule = PRESETS[preset]
    return score_benchmark([score_sequence(results[s.name], s.boxes, rule, absent=s.absent) for s in sequences])


def _expected(shared_data: Path, benchmark: str, tracker: str) -> dict[str, float]:
    expected: dict[str, float] = json.loads((shared_data / "parity" / "expected.json").read_text())[benchmark][tracker]
    return expected


def test_otb100(shared_data: Path, tmp_path: Path) -> None:
    _one(shared_data, "otb100", "OTB2015.json", tmp_path)
    benchmark, sequences = open_benchmark("otb100", tmp_path)
    assert (len(sequences), sum(map(len, sequences))) == (benchmark.length, 59035)
    assert [len(open_benchmark(name, tmp_path)[1]) for name in ("otb50", "otb2013")] == [50, 51]
    results = {canonical_name(name): boxes for name, boxes in _results(shared_data, "otb100", "ATOM").items()}
    scores, expected = _score(sequences, results, benchmark.preset), _expected(shared_data, "otb100", "ATOM")
    assert scores.auc == pytest.approx(expected["auc"], abs=5e-4)
    assert scores.precision == pytest.approx(expected["precision"], abs=1e-3)


def test_uav123_and_uav20l(shared_data: Path, tmp_path: Path) -> None:
    for title in ("UAV123", "UAV20L"):
        _unpack(shared_data, "uav123", "anno", tmp_path / "anno" / title)
    benchmark, sequences = open_benchmark("uav123", tmp_path)
    assert (len(sequences), sum(map(len, sequences))) == (123, 112578)
    scores, expected = (
        _score(sequences, _results(shared_data, "uav123", "SiamFC"), benchmark.preset),
        _expected(shared_data, "uav123", "SiamFC"),
    )
    assert scores.auc == pytest.approx(expected["auc"], abs=5e-4)
    assert scores.precision == pytest.approx(expected["precision"], abs=5e-4)
    long = open_benchmark("uav20l", tmp_path)[1]
    assert (len(long), sum(map(len, long))) == (20, 58670)


def test_lasot(shared_data: Path, tmp_path: Path) -> None:
    _unpack(shared_data, "lasot", "annos", tmp_path / "annos")
    _unpack(shared_data, "lasot", "absent", tmp_path / "annos" / "absent")
    benchmark, sequences = open_benchmark("lasot", tmp_path)
    assert (len(sequences), sum(map(len, sequences))) == (280, 685360)
    scores, expected = (
        _score(sequences, _results(shared_data, "lasot", "ATOM"), benchmark.preset),
        _expected(shared_data, "lasot", "ATOM"),
    )
    assert scores.auc == pytest.approx(expected["auc"], abs=5e-4)
    assert scores.precision == pytest.approx(expected["precision"], abs=5e-4)
    assert scores.normalised_precision == pytest.approx(expected["norm_precision"], abs=5e-4)


@pytest.mark.parametrize(("year", "frames", "tags"), [(2018, 21356, 5), (2019, 19935, 0)])
def test_vot(shared_data: Path, tmp_path: Path, year: int, frames: int, tags: int) -> None:
    _one(shared_data, f"vot{year}", f"VOT{year}.json", tmp_path)
    sequences = open_benchmark(f"vot{year}", tmp_path)[1]
    assert (len(sequences), sum(map(len, sequences))) == (60, frames)
    assert {len(region) for sequence in sequences for region in sequence.regions} == {4, 8}
    assert len({tag for sequence in sequences for tag in sequence.tags}) == tags
    assert all(sequence.size for sequence in sequences)
