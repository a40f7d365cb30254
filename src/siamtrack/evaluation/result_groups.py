"""What tables and reports are about: the results of several trackers, scored and ranked, a group for each protocol."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from siamtrack.datasets.benchmark import Benchmark, BenchmarkSequence
from siamtrack.datasets.benchmark_folders import some
from siamtrack.errors import DataError, SettingsError
from siamtrack.evaluation.foreign import (
    LEFT_TO_TOOLKIT,
    FoundResults,
    OtherSequencesError,
    choose_results,
    left_to_toolkit,
    read_tracker,
    results_on,
)
from siamtrack.evaluation.protocols_masks import MASKS
from siamtrack.evaluation.protocols_multistart import MULTISTART
from siamtrack.evaluation.scoring import score
from siamtrack.evaluation.scoring_parts import Scores
from siamtrack.evaluation.store import RUN
from siamtrack.evaluation.trajectory import MaskResults, TrackerResults


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
    results: Mapping[str, TrackerResults | MaskResults]
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
    """A group for each protocol that there are results of, in the benchmark's order; see `read_group`.

    Args:
        folders: of results: of one tracker, or of several.
        benchmark: that they are results on.
        sequences: of it, or some of them.
        preset: name of the tool whose numbers to give; None: the benchmark's own.
        protocol: take results of this one only, which each of the folders must have.
        first_pixel: see `foreign.read_results`.
        partial: score the sequences that all results of a group have.
    """
    named = {folder: [protocol] if protocol else protocols_in(folder, benchmark) for folder in folders}
    groups, left_out = [], list[OtherSequencesError]()
    for name in _in_order({name for names in named.values() for name in names}, benchmark):
        among = [folder for folder in folders if name in named[folder]]
        how: dict[str, Any] = {"preset": preset, "first_pixel": first_pixel, "partial": partial}
        try:
            groups.append(read_group(among, benchmark, sequences, protocol=name, **how))
        except OtherSequencesError as error:  # all that was run so
            left_out.append(error)
    if not groups:
        raise left_out[0]
    untold = [name for folder in folders for name in left_to_toolkit(folder, benchmark)]
    told = [f"{LEFT_TO_TOOLKIT} Left out: {some(untold)}."] if untold else []
    return [replace(groups[0], remarks=[*groups[0].remarks, *map(_left_out, left_out), *told]), *groups[1:]]


def read_group(
    folders: Sequence[Path],
    benchmark: Benchmark,
    sequences: Sequence[BenchmarkSequence],
    *,
    protocol: str,
    preset: str | None = None,
    first_pixel: int | None = None,
    partial: bool = False,
) -> Group:
    """The trackers in some folders that were run under a protocol; arguments as for `find_groups`.

    Raises:
        DataError: see `foreign.read_results`; or two folders hold results of a tracker of the same name. A tracker whose
            results are all of other sequences is left out, which a remark tells, as long as others remain.
        SettingsError: a first pixel of masks.
    """
    if protocol == MASKS and first_pixel is not None:
        raise SettingsError("--first-pixel is for files of boxes; masks have none. Leave it out.")
    read: dict[str, FoundResults] = {}
    left_out: list[OtherSequencesError] = []
    for one in (one for folder in folders for one in choose_results(folder, benchmark, protocol)):
        if one.tracker in read:
            raise DataError(f"Several results are called '{one.tracker}', after their folder; give each folder its own name.")
        try:
            read[one.tracker] = read_tracker(one, benchmark, sequences, first_pixel=first_pixel, partial=partial)
        except OtherSequencesError as error:
            left_out.append(error)
    if not read:
        raise left_out[0]
    group = _group(protocol, list(read.values()), sequences, preset or benchmark.preset)
    return replace(group, remarks=[*group.remarks, *map(_left_out, left_out)])


def _left_out(error: OtherSequencesError) -> str:
    return f"Left out: {error}"


def protocols_in(folder: Path, benchmark: Benchmark) -> list[str]:
    """How the trackers in a folder were run, in the benchmark's order; the usual way where there are no results on it.

    Raises:
        DataError: the folder is missing, or there are no results at all in it.
    """
    named = {str(one.protocol) for one in results_on(folder, benchmark)}
    return _in_order(named, benchmark) or [benchmark.protocols[0]]


def find_origins(folders: Sequence[Path], benchmark: Benchmark) -> dict[tuple[str, str], dict[str, Any]]:
    """What siamtrack's own results were made with (`store_origin.origin_of`), by tracker and protocol.

    Raises:
        DataError: a record cannot be read.
    """
    ours = [found for folder in folders for found in results_on(folder, benchmark) if found.kind == "ours"]
    return {(one.tracker, str(one.protocol)): _record(one.path / RUN) for one in ours}


def _record(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (TypeError, ValueError) as error:
        raise DataError(f"'{path}' is no JSON object that says what made the results beside it: {error}.") from None


def _in_order(protocols: Iterable[str], benchmark: Benchmark) -> list[str]:
    order = {name: i for i, name in enumerate(benchmark.protocols)}
    return sorted(protocols, key=lambda name: (order.get(name, len(order)), name))


def _group(protocol: str, read: Sequence[FoundResults], sequences: Sequence[BenchmarkSequence], preset: str) -> Group:
    missing = {name for one in read for name in one.missing}
    common = [sequence for sequence in sequences if sequence.name not in missing]
    if protocol != MULTISTART:
        common = [replace(sequence, anchors=None) for sequence in common]  # which only that one starts from
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
