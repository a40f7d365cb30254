"""Results in a folder, our own or published by others, as the runs of trackers on a benchmark.

Where the files lie is in `foreign_folders`, what is in them in `foreign_files`. Coordinates become 0-based: files of OTB,
UAV123, LaSOT, GOT-10k, TColor-128 and DTB70 call the first pixel 1, those of the other benchmarks 0 (`Benchmark.first_pixel`),
whoever wrote them. Some trackers' files do otherwise, which is told and can be overruled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from siamtrack.datasets.benchmark import Benchmark, BenchmarkSequence, counted
from siamtrack.datasets.benchmark_folders import some
from siamtrack.errors import DataError
from siamtrack.evaluation.foreign_files import read_run
from siamtrack.evaluation.foreign_folders import ResultFolder, files_of, find_result_folders, names_in
from siamtrack.evaluation.foreign_mat import read_mat
from siamtrack.evaluation.foreign_names import looks_like
from siamtrack.evaluation.store import open_store
from siamtrack.evaluation.trajectory import TrackerResults, Trajectory

_ONE_PIXEL = ((1.0, 1.0, 0.0, 0.0), (-1.0, -1.0, 0.0, 0.0))
_WRITTEN_TO = 1e-3  # pixels; files have three decimals or more where they have any

MAY_BE_LONGER = {"lasot": ("monkey-17",), "lasot-all": ("monkey-17",)}
"""Sequences that were cut after results had been published, by benchmark; the LaSOT toolkit cuts such results, too."""

MAY_BEGIN_EARLIER = {"otb100": {"Tiger1": 5}, "otb50": {"Tiger1": 5}, "otb2013": {"Tiger1": 5}}
"""Sequences in which the official start is so many frames after the first that is annotated, at which Python tools start."""


class OtherSequencesError(DataError):
    """All results of a tracker are of other sequences than those that are asked for."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FoundResults:
    """What was read of one tracker.

    Attributes:
        results: its runs.
        missing: names of the sequences without results.
        remarks: what whoever compares the scores should know of the files.
    """

    results: TrackerResults
    missing: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def read_results(
    folder: Path,
    benchmark: Benchmark,
    sequences: Sequence[BenchmarkSequence],
    *,
    protocol: str | None = None,
    first_pixel: int | None = None,
    partial: bool = False,
) -> list[FoundResults]:
    """The results of every tracker in a folder.

    Args:
        folder: of one tracker, or one with folders of several.
        benchmark: that they are results on.
        sequences: of it, or some of them.
        protocol: take results of this one only; None: the first of the benchmark's that a tracker has results of.
        first_pixel: what the files of others call the left or topmost pixel: 0 or 1; None: as the benchmark's own files.
        partial: take results that lack some of the sequences.

    Raises:
        DataError: no results, or none of that protocol; results of another benchmark or of other sequences; missing
            sequences; a wrong number of frames; a file that cannot be read.
    """
    chosen = choose_results(folder, benchmark, protocol)
    return [read_tracker(one, benchmark, sequences, first_pixel=first_pixel, partial=partial) for one in chosen]


def choose_results(folder: Path, benchmark: Benchmark, protocol: str | None) -> list[ResultFolder]:
    """The results to take of each tracker in a folder; arguments as for `read_results`.

    Raises:
        DataError: none, or none of that protocol, or two of one tracker.
    """
    found = results_on(folder, benchmark)
    trackers: dict[str, list[ResultFolder]] = {}
    for one in found:
        if protocol in (None, one.protocol):
            trackers.setdefault(one.tracker, []).append(one)
    if not trackers:
        others = sorted({str(one.protocol) for one in found})
        wanted = f"results on {benchmark.name}" if protocol is None else f"results on {benchmark.name} under '{protocol}'"
        raise DataError(f"There are no {wanted} in '{folder}'" + (f"; there are: {', '.join(others)}." if others else "."))
    return [_chosen(folders, benchmark) for folders in trackers.values()]


def results_on(folder: Path, benchmark: Benchmark) -> list[ResultFolder]:
    """The results on a benchmark in a folder; of each is known how the tracker was run.

    Raises:
        DataError: the folder is missing, or there are no results at all in it.
    """
    found = [one for one in find_result_folders(folder) if one.kind != "ours" or one.path.parent.name == benchmark.name]
    return [replace(one, protocol=_protocol(one, benchmark)) for one in found]


def _protocol(folder: ResultFolder, benchmark: Benchmark) -> str:
    """How the tracker was run: as its folder says, else as files of that layout are usually made for the benchmark."""
    if folder.protocol:
        return folder.protocol
    usual = ("ope", "unsupervised", "long-term", "got10k") if folder.kind != "numbered" else benchmark.protocols[:1]
    return next((name for name in usual if name in benchmark.protocols), "ope")


def _chosen(folders: Sequence[ResultFolder], benchmark: Benchmark) -> ResultFolder:
    order = {name: i for i, name in enumerate(benchmark.protocols)}
    ranked = sorted(folders, key=lambda folder: order.get(str(folder.protocol), len(order)))
    if len(ranked) > 1 and ranked[0].protocol == ranked[1].protocol:
        raise DataError(
            f"'{ranked[0].path}' and '{ranked[1].path}' both hold results of a tracker '{ranked[0].tracker}'; give one of them."
        )
    return ranked[0]


def read_tracker(
    folder: ResultFolder,
    benchmark: Benchmark,
    sequences: Sequence[BenchmarkSequence],
    *,
    first_pixel: int | None = None,
    partial: bool = False,
) -> FoundResults:
    """The results of one tracker; arguments as for `read_results`.

    Raises:
        OtherSequencesError: all of them are of other sequences.
        DataError: see `read_results`.
    """
    wanted = [sequence.name for sequence in sequences]
    remarks: list[str] = []
    if folder.kind == "ours":
        found, remarks = _read_ours(folder, benchmark, sequences)
    else:
        files = files_of(folder, wanted)
        _check_found(folder, benchmark, wanted, list(files), names_in(folder), partial=partial)
        found = _read_files(folder, files, benchmark.first_pixel if first_pixel is None else first_pixel)
    _check_found(folder, benchmark, wanted, list(found), list(found), partial=partial)
    fitting = {s.name: [_fitted(run, s, folder, benchmark) for run in found[s.name]] for s in sequences if s.name in found}
    there = [sequence for sequence in sequences if sequence.name in found]
    return FoundResults(
        results=TrackerResults(tracker=folder.tracker, benchmark=benchmark.name, protocol=str(folder.protocol), runs=fitting),
        missing=tuple(name for name in wanted if name not in found),
        remarks=(*remarks, *_remarks(folder.tracker, there, found, fitting)),
    )


def _read_ours(
    folder: ResultFolder, benchmark: Benchmark, sequences: Sequence[BenchmarkSequence]
) -> tuple[Mapping[str, Sequence[Trajectory]], list[str]]:
    """What `siamtrack evaluate` wrote, by sequence, and remarks on it."""
    store = open_store(folder.path, benchmark)
    found = store.read().runs
    _check_same(folder, store.differing(sequences), [s.name for s in sequences if s.name in found])
    if not store.unnoted():
        return found, []
    remark = (
        f"{folder.tracker}: the results are of an earlier version of siamtrack, which did not note what the sequences were, so "
        "that it was not checked whether they are these."
    )
    return found, [remark]


def _read_files(
    folder: ResultFolder, files: Mapping[str, Sequence[Path]], first_pixel: int
) -> Mapping[str, Sequence[Trajectory]]:
    """What is in the files of others, by sequence."""
    return {
        name: [
            read_mat(path) if folder.kind == "mat" else read_run(path, first_pixel=first_pixel, number=number)
            for number, path in enumerate(paths)
        ]
        for name, paths in files.items()
    }


def _check_same(folder: ResultFolder, differing: Mapping[str, str], found: Sequence[str]) -> None:
    """Refuses results of ours that are of other sequences of the same names."""
    if not differing:
        return
    name, text = next(iter(differing.items()))
    share = "all" if len(differing) == len(found) else f"{len(differing)} of {len(found)}"
    error = OtherSequencesError if len(differing) == len(found) else DataError
    raise error(
        f"The results of {folder.tracker} in '{folder.path}' are of other sequences than those in --root ({share} that have "
        f"the same name: {some(differing)}). Of '{name}' {text}. Give the --root that they were made on, or run 'siamtrack "
        "evaluate' on this one with other --results."
    )


def _check_found(
    folder: ResultFolder,
    benchmark: Benchmark,
    wanted: Sequence[str],
    found: Sequence[str],
    names: Sequence[str],
    *,
    partial: bool,
) -> None:
    """Refuses results that lack sequences; `names` are those of their files, as they write them."""
    missing = [name for name in wanted if name not in found]
    found = [name for name in wanted if name in found]
    if not missing or (partial and found):
        return
    where = f"The results of {folder.tracker} in '{folder.path}'"
    error = DataError if found else OtherSequencesError
    other = looks_like(names) if folder.kind != "ours" and len(names) > len(found) else None
    if other and not any(title in benchmark.title for title in other.split(" or ")):
        raise error(
            f"{where} have {len(found)} of {len(wanted)} sequences of {benchmark.title}; they look like results on {other}."
        )
    if not found:
        raise error(
            f"{where} are of other sequences: {some(names) or 'none is finished'}. Those of {benchmark.title} in --root are "
            f"{some(wanted)}. Give the --root that the results are on; keep results on several folders of own clips in several "
            "folders (--results)."
        )
    raise DataError(
        f"{where} lack {len(missing)} of {len(wanted)} sequences of {benchmark.title}: {some(missing)}. Scores of a part "
        "cannot be compared with those of the whole; name sequences, or say --partial, to score a part."
    )


def _fitted(run: Trajectory, sequence: BenchmarkSequence, folder: ResultFolder, benchmark: Benchmark) -> Trajectory:
    """The run, cut where the benchmark itself begins later or ends earlier than some tools have it."""
    expected = len(sequence) - run.first
    if len(run) == expected:
        return run
    if len(run) > expected and sequence.name in MAY_BE_LONGER.get(benchmark.name, ()):
        return replace(run, regions=run.regions[:expected], scores=run.scores[:expected], seconds=run.seconds[:expected])
    if len(run) - expected == MAY_BEGIN_EARLIER.get(benchmark.name, {}).get(sequence.name) and not run.first:
        skipped = len(run) - expected
        return replace(run, regions=run.regions[skipped:], scores=run.scores[skipped:], seconds=run.seconds[skipped:])
    raise DataError(
        f"The results of {folder.tracker} on sequence {sequence.name} have {len(run)} frames, the ground truth {expected}; "
        "expected as many, the first frame included. Nothing is cut or filled up, as scores would depend on how."
    )


def _remarks(
    tracker: str,
    sequences: Sequence[BenchmarkSequence],
    found: Mapping[str, Sequence[Trajectory]],
    fitting: Mapping[str, Sequence[Trajectory]],
) -> list[str]:
    remarks = []
    if cut := [name for name, runs in fitting.items() if len(runs[0]) < len(found[name][0])]:
        remarks.append(
            f"{tracker}: longer than the truth and cut to the frames that the benchmark's toolkit scores: {some(cut)}."
        )
    beside = [s.name for s in sequences if _one_pixel_off(fitting[s.name][0], s)]
    if 2 * len(beside) > len(sequences):
        remarks.append(
            f"{tracker}: the first box lies exactly one pixel beside the true one in {len(beside)} of {len(sequences)} "
            f"sequences ({some(beside)}): these files seem to count pixels from another first one. Say which it is."
        )
    bad = {name: np.sum([_bad_boxes(run) for run in runs], 0) for name, runs in fitting.items()}
    for i, what in enumerate(("NaN", "a width or height of 0 or less")):
        if total := sum(int(counts[i]) for counts in bad.values()):
            names = [name for name, counts in bad.items() if counts[i]]
            boxes = counted(total, "box")
            remarks.append(f"{tracker}: {boxes} with {what}, in {some(names)}; the preset says what that counts as.")
    return remarks


def _one_pixel_off(run: Trajectory, sequence: BenchmarkSequence) -> bool:
    first = run.regions[0]
    if len(first) != 4 or run.first:
        return False
    beside = np.asarray(first) - sequence.boxes[0]
    return any(bool((np.abs(beside - shift) < _WRITTEN_TO).all()) for shift in _ONE_PIXEL)


def _bad_boxes(run: Trajectory) -> tuple[int, int]:
    """How many hold NaN, and how many have no size."""
    if set(map(len, run.regions)) != {4}:
        run = replace(run, regions=[region if len(region) == 4 else np.ones(4) for region in run.regions])
    boxes = run.boxes
    return int(np.isnan(boxes).any(1).sum()), int((boxes[:, 2:] <= 0).any(1).sum())
