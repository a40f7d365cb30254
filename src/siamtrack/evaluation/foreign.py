"""Results in a folder, our own or published by others, as the runs of trackers on a benchmark.

Where the files lie is in `foreign_folders`, what is in them in `foreign_files`. Coordinates become 0-based: files of OTB,
UAV123, LaSOT, GOT-10k, TColor-128 and DTB70 call the first pixel 1, those of the other benchmarks 0 (`Benchmark.first_pixel`),
whoever wrote them. Some trackers' files do otherwise, which is told and can be overruled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from siamtrack.datasets.benchmark import Benchmark, BenchmarkSequence
from siamtrack.datasets.benchmark_folders import some
from siamtrack.errors import DataError
from siamtrack.evaluation.foreign_files import read_run
from siamtrack.evaluation.foreign_folders import ResultFolder, files_of, find_result_folders, first_frame_of, names_in
from siamtrack.evaluation.foreign_mat import read_mat
from siamtrack.evaluation.foreign_names import looks_like
from siamtrack.evaluation.foreign_remarks import remarks_on
from siamtrack.evaluation.protocols_masks import MASKS
from siamtrack.evaluation.protocols_multistart import MULTISTART, anchors_of, frames_from
from siamtrack.evaluation.store import open_store
from siamtrack.evaluation.trajectory import MaskResults, TrackerResults, Trajectory

MAY_BE_LONGER = {"lasot": ("monkey-17",), "lasot-all": ("monkey-17",)}
"""Sequences that were cut after results had been published, by benchmark; the LaSOT toolkit cuts such results, too."""

MAY_BEGIN_EARLIER = {"otb100": {"Tiger1": 5}, "otb50": {"Tiger1": 5}, "otb2013": {"Tiger1": 5}}
"""Sequences in which the official start is so many frames after the first that is annotated, at which Python tools start."""

LEFT_TO_TOOLKIT = (
    "Of VOT2020 and later, siamtrack scores the experiment 'baseline'; 'realtime' and 'unsupervised' are left to its toolkit."
)


class OtherSequencesError(DataError):
    """All results of a tracker are of other sequences than those that are asked for."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FoundResults:
    """What was read of one tracker.

    Attributes:
        results: its runs, or its masks.
        missing: names of the sequences without results.
        remarks: what whoever compares the scores should know of the files.
    """

    results: TrackerResults | MaskResults
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
        raise DataError(
            f"There are no {wanted} in '{folder}'"
            + (f"; there are: {', '.join(others)}." if others else ".")
            + (f" {LEFT_TO_TOOLKIT}" if left_to_toolkit(folder, benchmark) else "")
        )
    return [_chosen(folders, benchmark) for folders in trackers.values()]


def results_on(folder: Path, benchmark: Benchmark) -> list[ResultFolder]:
    """The results on a benchmark in a folder; of each is known how the tracker was run.

    Raises:
        DataError: the folder is missing, there are no results at all in it, or they are masks and not boxes, or the reverse.
    """
    found = find_result_folders(folder)
    masks = benchmark.protocols == (MASKS,)
    fitting = [one for one in found if (MASKS in (one.kind, one.protocol)) == masks]
    if not fitting and masks:
        raise DataError(
            f"The results in '{folder}' are boxes, and those on {benchmark.title} are masks: TRACKER/VIDEO/00000.png, a file a "
            "frame. Boxes on the same videos are compared on davis2016-val, davis2017-val and youtube-vos-val."
        )
    if not fitting:
        raise DataError(f"The results in '{folder}' are masks, and those on {benchmark.title} are boxes.")
    fitting = [one for one in fitting if _is_of(one, benchmark) and not _is_left(one, benchmark)]
    return [replace(one, protocol=_protocol(one, benchmark)) for one in fitting]


def left_to_toolkit(folder: Path, benchmark: Benchmark) -> list[str]:
    """What there is in a folder that `results_on` leaves out, as tracker/experiment; see `LEFT_TO_TOOLKIT`."""
    found = find_result_folders(folder)
    return [f"{one.tracker}/{one.protocol}" for one in found if _is_of(one, benchmark) and _is_left(one, benchmark)]


def _is_of(folder: ResultFolder, benchmark: Benchmark) -> bool:
    """Whether it holds results on that benchmark, as far as its path says."""
    return folder.kind != "ours" or folder.path.parent.name == benchmark.name


def _is_left(folder: ResultFolder, benchmark: Benchmark) -> bool:
    return MULTISTART in benchmark.protocols and folder.protocol in ("realtime", "unsupervised")


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
    if folder.kind == "masks":
        return _read_masks(folder, benchmark, sequences, partial=partial)
    if folder.protocol == MASKS:
        return _read_our_masks(folder, benchmark, sequences, partial=partial)
    if folder.kind == "ours":
        found, remarks = _read_ours(folder, benchmark, sequences)
    else:
        files = files_of(folder, wanted)
        _check_found(folder, benchmark, wanted, list(files), names_in(folder), partial=partial)
        if folder.protocol == MULTISTART:
            files = _of_anchors(folder, files, sequences)
        found = _read_files(folder, files, benchmark.first_pixel if first_pixel is None else first_pixel)
    _check_found(folder, benchmark, wanted, list(found), list(found), partial=partial)
    fitting = {s.name: [_fitted(run, s, folder, benchmark) for run in found[s.name]] for s in sequences if s.name in found}
    there = [sequence for sequence in sequences if sequence.name in found]
    return FoundResults(
        results=TrackerResults(tracker=folder.tracker, benchmark=benchmark.name, protocol=str(folder.protocol), runs=fitting),
        missing=tuple(name for name in wanted if name not in found),
        remarks=(*remarks, *remarks_on(folder.tracker, there, found, fitting)),
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


def _read_masks(
    folder: ResultFolder, benchmark: Benchmark, sequences: Sequence[BenchmarkSequence], *, partial: bool
) -> FoundResults:
    """Where the masks of each sequence are: in the folder that is called like that of the true ones."""
    videos = {sequence.name: sequence.masks[0][0].parent.name for sequence in sequences if sequence.masks}
    present = names_in(folder)
    found = {name: folder.path / video for name, video in videos.items() if video in present}
    _check_found(folder, benchmark, list(videos), list(found), present, partial=partial)
    return FoundResults(
        results=MaskResults(tracker=folder.tracker, benchmark=benchmark.name, folders=found),
        missing=tuple(name for name in videos if name not in found),
    )


def _read_our_masks(
    folder: ResultFolder, benchmark: Benchmark, sequences: Sequence[BenchmarkSequence], *, partial: bool
) -> FoundResults:
    """Those that `siamtrack evaluate` has finished."""
    store = open_store(folder.path, benchmark)
    finished = store.finished()
    there = [sequence for sequence in sequences if sequence.name in finished]
    _check_same(folder, store.differing(there), [sequence.name for sequence in there])
    names = [sequence.name for sequence in there]
    _check_found(folder, benchmark, [s.name for s in sequences], names, sorted(finished), partial=partial)
    return FoundResults(results=store.read_masks(there), missing=tuple(s.name for s in sequences if s.name not in finished))


def _read_files(
    folder: ResultFolder, files: Mapping[str, Sequence[Path]], first_pixel: int
) -> Mapping[str, Sequence[Trajectory]]:
    """What is in the files of others, by sequence."""
    runs = {
        name: [_read_file(folder, path, first_pixel, number) for number, path in enumerate(paths)]
        for name, paths in files.items()
    }
    masked = [name for name, each in runs.items() if any(run.masks for run in each)]
    if masked and folder.protocol != MULTISTART:
        raise DataError(
            f"The results of {folder.tracker} in '{folder.path}' are masks ({some(masked)}), and under '{folder.protocol}' "
            "boxes and polygons are compared. Masks are scored on VOT2020 and later, and on DAVIS and YouTube-VOS."
        )
    return runs


def _of_anchors(
    folder: ResultFolder, files: Mapping[str, Sequence[Path]], sequences: Sequence[BenchmarkSequence]
) -> dict[str, list[Path]]:
    """The files of runs that begin in anchors, in the order of those; the toolkit does not open others."""
    anchors = {sequence.name: anchors_of(sequence) for sequence in sequences if sequence.name in files}
    return {
        name: sorted(
            (path for path in files[name] if first_frame_of(folder, path) in starts),
            key=lambda path: starts.index(first_frame_of(folder, path)),
        )
        for name, starts in anchors.items()
    }


def _read_file(folder: ResultFolder, path: Path, first_pixel: int, number: int) -> Trajectory:
    if folder.kind == "mat":
        return read_mat(path)
    return read_run(path, first_pixel=first_pixel, number=number, first=first_frame_of(folder, path))


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
    anchored = folder.protocol == MULTISTART
    expected = len(frames_from(sequence, run.first)) if anchored else len(sequence) - run.first
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
