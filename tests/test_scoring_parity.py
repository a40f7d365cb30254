"""Published raw results, read and scored as a user would, get the scores that others state for them."""

from __future__ import annotations

import runpy
import time
from pathlib import Path
from typing import Any

import pytest

from siamtrack.errors import DataError
from siamtrack.evaluation.foreign import read_results
from siamtrack.evaluation.scoring import score

pytestmark = pytest.mark.shared_data
PARITY: dict[str, Any] = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "metric_parity.py"))


@pytest.mark.slow
def test_every_stated_number_is_ours_within_its_tolerance(shared_data: Path) -> None:
    rows = list(PARITY["compared"](shared_data / "parity"))
    assert len(rows) == 17
    assert [row for row in rows if not row.equal] == []


@pytest.mark.parametrize(("name", "tracker", "limit"), [("lasot", "ATOM", 10), ("vot2018", "NanoTrack", 20)])
def test_a_tracker_is_scored_within_the_time_allowed(
    shared_data: Path, tmp_path: Path, name: str, tracker: str, limit: float
) -> None:
    benchmark, sequences = PARITY["unpacked"](shared_data / "parity" / f"{name}.zip", tmp_path)
    began = time.process_time()  # of this process only: the machine may be busy
    (found,) = read_results(tmp_path / "results" / tracker, benchmark, sequences)
    scores = score(found.results, sequences, benchmark.preset)
    assert time.process_time() - began < limit
    assert scores.overall.sequences == len(sequences) == (280 if name == "lasot" else 60)


@pytest.mark.slow
def test_results_of_another_benchmark_are_told_by_their_names(shared_data: Path, tmp_path: Path) -> None:
    benchmark, sequences = PARITY["unpacked"](shared_data / "parity" / "otb100.zip", tmp_path / "otb")
    for name, title in (("uav123", "UAV123"), ("vot2018", "VOT"), ("lasot", "LaSOT")):
        PARITY["unpacked"](shared_data / "parity" / f"{name}.zip", tmp_path / name)
        with pytest.raises(DataError, match=f"they look like results on {title}"):
            read_results(tmp_path / name / "results", benchmark, sequences)
