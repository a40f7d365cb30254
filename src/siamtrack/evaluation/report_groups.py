"""What a report is about: the results of several trackers under each protocol that they were run by, scored and ranked."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from siamtrack.datasets.benchmark import Benchmark, BenchmarkSequence
from siamtrack.errors import DataError
from siamtrack.evaluation.foreign import FoundResults, read_results
from siamtrack.evaluation.foreign_folders import ResultFolder, find_result_folders
from siamtrack.evaluation.scoring import score
from siamtrack.evaluation.scoring_parts import Scores
from siamtrack.evaluation.store import RUN
from siamtrack.evaluation.trajectory import TrackerResults


@dataclass(frozen=True, kw_only=True, eq=False)
class Group:
    """The trackers that were run under one protocol.

    Attributes:
        protocol: its name.
        scores: the best first.
        results: by tracker, in the same order.
        sequences: that all of them have, and that the scores are of.
        remarks: what whoever compares the scores should know of the files.
    """

    protocol: str
    scores: Sequence[Scores]
    results: Mapping[str, TrackerResults]
    sequences: Sequence[BenchmarkSequence]
    remarks: Sequence[str] = ()


def find_groups(
    folders: Sequence[Path],
    benchmark: Benchmark,
    sequences: Sequence[BenchmarkSequence],
    *,
    preset: str | None = None,
    protocol: str | None = None,
    first_pixel: int | None = None,
    partial: bool = False,
) -> list[Group]:
    """A group for each protocol that there are results of, in the benchmark's order.

    Args:
        folders: of results: of one tracker, or of several.
        benchmark: that they are results on.
        sequences: of it, or some of them.
        preset: name of the tool whose numbers to give; None: the benchmark's own.
        protocol: take results of this one only.
        first_pixel: see `foreign.read_results`.
        partial: score the sequences that all results of a group have.

    Raises:
        DataError: see `foreign.read_results`; or two folders hold results of a tracker of the same name.
    """
    read: dict[str, dict[str, FoundResults]] = {}
    for folder in folders:
        there: dict[tuple[str, str], FoundResults] = {}
        for wanted in [protocol] if protocol else _protocols(folder, benchmark):
            for one in read_results(folder, benchmark, sequences, protocol=wanted, first_pixel=first_pixel, partial=partial):
                there[one.results.protocol, one.results.tracker] = one
        for (name, tracker), one in there.items():
            if tracker in read.setdefault(name, {}):
                raise DataError(f"Several results are called '{tracker}', after their folder; give each folder its own name.")
            read[name][tracker] = one
    order = {name: i for i, name in enumerate(benchmark.protocols)}
    names = sorted(read, key=lambda name: order.get(name, len(order)))
    return [_group(name, list(read[name].values()), sequences, preset or benchmark.preset) for name in names]


def find_origins(folders: Sequence[Path], benchmark: Benchmark) -> dict[tuple[str, str], dict[str, Any]]:
    """What siamtrack's own results were made with (`store_origin.origin_of`), by tracker and protocol.

    Raises:
        DataError: a record cannot be read.
    """
    ours = [found for folder in folders for found in _on(benchmark, folder) if found.kind == "ours"]
    return {(one.tracker, str(one.protocol)): _record(one.path / RUN) for one in ours}


def _record(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (TypeError, ValueError) as error:
        raise DataError(f"'{path}' is no JSON object that says what made the results beside it: {error}.") from None


def _protocols(folder: Path, benchmark: Benchmark) -> list[str | None]:
    """Those that folders are named after, and None for files that do not say theirs."""
    named = {found.protocol for found in _on(benchmark, folder)}
    return sorted(named, key=lambda name: name or "") or [None]


def _on(benchmark: Benchmark, folder: Path) -> list[ResultFolder]:
    found = find_result_folders(folder)
    return [one for one in found if one.kind != "ours" or one.path.parent.name == benchmark.name]


def _group(protocol: str, read: Sequence[FoundResults], sequences: Sequence[BenchmarkSequence], preset: str) -> Group:
    missing = {name for one in read for name in one.missing}
    common = [sequence for sequence in sequences if sequence.name not in missing]
    results = {one.results.tracker: one.results for one in read}
    scores = [score(one, common, preset) for one in results.values()]
    scores.sort(key=lambda s: (math.isnan(s.value), -s.value))
    remarks = [text for one in read for text in one.remarks]
    if missing:
        remarks.append(f"A part only: {len(common)} of {len(sequences)} sequences, which all results have.")
    return Group(
        protocol=protocol,
        scores=scores,
        results={s.tracker: results[s.tracker] for s in scores},
        sequences=common,
        remarks=remarks,
    )
