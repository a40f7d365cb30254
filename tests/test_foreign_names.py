"""Which benchmark results look like, where they are not those of the one that was named."""

from __future__ import annotations

from pathlib import Path

import pytest
from result_files import benchmark, sequence, walk, write_boxes

from siamtrack.datasets.benchmark_folders import table
from siamtrack.errors import DataError
from siamtrack.evaluation.foreign import read_results
from siamtrack.evaluation.foreign_names import looks_like
from siamtrack.library import _benchmarks


def sequences_of(year: str) -> list[str]:
    return [row["name"] for row in table("vot") if year in row["years"].split()]


def test_names_of_no_known_benchmark_look_like_none() -> None:
    assert looks_like(["my video", "another"]) is None
    assert looks_like([]) is None


def test_challenges_of_vot_have_as_many_sequences_as_they_say() -> None:
    for year in map(str, range(2013, 2020)):
        known = _benchmarks()[f"vot{year}"]
        assert len(sequences_of(year)) == len(known.names) == known.length


@pytest.mark.parametrize(
    ("year", "title"),
    [("2013", "VOT2013"), ("2016", "VOT2015 or VOT2016"), ("2018", "VOT2017 or VOT2018"), ("2019", "VOT2019")],
)
def test_challenges_of_vot_are_told_apart(year: str, title: str) -> None:
    assert looks_like(sequences_of(year)) == title
    assert looks_like(sequences_of(year)[3:]) == title


def test_results_on_another_year_of_vot_are_recognised(tmp_path: Path) -> None:
    """48 of the 60 sequences of VOT2019 were in VOT2018, so that few are missing."""
    for name in sequences_of("2018"):
        write_boxes(tmp_path / "T" / "baseline" / name / f"{name}_001.txt", walk(), first_pixel=0)
    vot = [benchmark(f"vot{year}", protocols=("supervised",), preset="vot-matlab", first_pixel=0) for year in (2019, 2018)]
    with pytest.raises(DataError, match="have 48 of 60 sequences of VOT2019; they look like results on VOT2017 or VOT2018"):
        read_results(tmp_path, vot[0], [sequence(name) for name in sequences_of("2019")])
    (tmp_path / "T" / "baseline" / "ants1" / "ants1_001.txt").unlink()
    with pytest.raises(DataError, match="lack 1 of 60 sequences of VOT2018: ants1"):
        read_results(tmp_path, vot[1], [sequence(name) for name in sequences_of("2018")])
