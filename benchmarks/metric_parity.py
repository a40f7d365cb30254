"""The scores that others state for published raw results, beside ours for the same files.

    python benchmarks/metric_parity.py FOLDER

FOLDER holds expected.json and an archive a benchmark: ground truth, and results/TRACKER. Exit code 1: a number is off by more
than the tolerance that goes with it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

from siamtrack.datasets.benchmark import Benchmark, BenchmarkSequence
from siamtrack.evaluation.foreign import read_results
from siamtrack.evaluation.scoring import score
from siamtrack.library import open_benchmark

# under whose rules the stated numbers came out; pysot: it tells the precision of DaSiamRPN from that of the OTB code by 0.0007
PRESETS = {"otb100": "pysot", "uav123": "uav123", "lasot": "lasot", "vot2018": "pysot", "vot2019": "pysot"}
KEYS = {"norm_precision": "normalised_precision", "lost": "failures"}  # what expected.json calls them
MOVED = {"lasot": {"absent": "annos/absent"}, "uav123": {"anno": "UAV123", "UAV123": "anno/UAV123"}}


class Compared(NamedTuple):
    """One stated number and ours."""

    benchmark: str
    tracker: str
    key: str
    stated: float
    ours: float
    tolerance: float

    @property
    def equal(self) -> bool:
        return abs(self.stated - self.ours) <= self.tolerance


def compared(folder: Path) -> Iterator[Compared]:
    """Every number of expected.json."""
    for name, stated in json.loads((folder / "expected.json").read_text()).items():
        with tempfile.TemporaryDirectory() as place:
            benchmark, sequences = unpacked(folder / f"{name}.zip", Path(place))
            trackers = read_results(Path(place) / "results", benchmark, sequences)
            scores = {found.results.tracker: score(found.results, sequences, PRESETS[name]) for found in trackers}
        tolerance = stated.pop("tolerance")
        stated.pop("protocol")  # in words
        for tracker, numbers in stated.items():
            ours = scores[tracker].overall.numbers
            for key, value in numbers.items():
                yield Compared(name, tracker, key, value, ours[KEYS.get(key, key)], tolerance)


def unpacked(archive: Path, folder: Path) -> tuple[Benchmark, list[BenchmarkSequence]]:
    """The benchmark of an archive, put where its own toolkit has the files; results/ is left as it is."""
    with ZipFile(archive) as file:
        file.extractall(folder)
    for source, target in MOVED.get(archive.stem, {}).items():
        (folder / target).parent.mkdir(exist_ok=True)
        (folder / source).rename(folder / target)
    return open_benchmark(archive.stem, folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    rows = []
    print(f"{'benchmark':10}{'tracker':12}{'number':16}{'stated':>10}{'ours':>10}{'off':>10}{'allowed':>10}")
    for row in compared(parser.parse_args().folder):
        off = "" if row.equal else "  OFF"
        print(
            f"{row.benchmark:10}{row.tracker:12}{row.key:16}{row.stated:10.4f}{row.ours:10.4f}{row.ours - row.stated:10.5f}"
            f"{row.tolerance:10.4f}{off}"
        )
        rows.append(row)
    equal = sum(row.equal for row in rows)
    print(f"{equal} of {len(rows)} numbers are within the tolerance.")
    sys.exit(0 if rows and equal == len(rows) else 1)


if __name__ == "__main__":
    main()
