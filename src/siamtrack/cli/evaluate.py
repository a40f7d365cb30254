"""`siamtrack evaluate`: a tracker on a benchmark, under its protocol."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from siamtrack.cli import options
from siamtrack.cli.benchmark_options import BenchmarkName, Names, Root, notes, opened
from siamtrack.cli.interrupts import stoppable
from siamtrack.errors import InputError, SettingsError, SiamtrackError
from siamtrack.library import DEFAULT_MODEL

if TYPE_CHECKING:
    from siamtrack.datasets.benchmark import Benchmark, BenchmarkSequence
    from siamtrack.evaluation.protocols_following import ProtocolSettings
    from siamtrack.evaluation.runner import Where
    from siamtrack.evaluation.runner_workers import Outcome, Task
    from siamtrack.evaluation.store import ResultStore

console = Console(highlight=False, markup=False, soft_wrap=True)

TrackerName = Annotated[str, typer.Option("--tracker", metavar="NAME", help="From 'siamtrack models', or a model folder.")]
ProtocolName = Annotated[
    str | None,
    typer.Option(
        "--protocol",
        metavar="NAME",
        help="ope, tre, sre, supervised, realtime, multistart, unsupervised, long-term, got10k or masks.",
        show_default="the benchmark's",
    ),
]
Results = Annotated[Path, typer.Option(metavar="FOLDER", help="For results; sequences that are finished there stay.")]
ShownName = Annotated[
    str | None, typer.Option("--name", metavar="NAME", help="Of the tracker in tables.", show_default="the tracker's")
]
Workers = Annotated[int | None, typer.Option(metavar="N", min=1, help="Processes on this machine.", show_default="one a core")]
Ray = Annotated[str | None, typer.Option(metavar="ADDRESS", help="Run on this Ray cluster instead: auto, local or HOST:PORT.")]
Repetitions = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=1, help="At most so many runs a sequence.", show_default="15 in supervised, 3 in got10k; others: none"
    ),
]
Fresh = Annotated[bool, typer.Option("--fresh", metavar="", help="First remove the results that are there.")]
Pack = Annotated[Path | None, typer.Option(metavar="FILE", help="Zip archive for the server of GOT-10k or TrackingNet.")]
Threads = Annotated[int, typer.Option(metavar="N", min=1, help="Of each worker.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Of the tracker: lr=0.5, or the protocol: start_box=min-max. Repeatable."),
]


def evaluate(
    benchmark: BenchmarkName,
    root: Root,
    tracker: TrackerName = DEFAULT_MODEL,
    protocol: ProtocolName = None,
    sequences: Names = None,
    results: Results = Path("results"),
    name: ShownName = None,
    workers: Workers = None,
    ray: Ray = None,
    repetitions: Repetitions = None,
    fresh: Fresh = False,
    pack: Pack = None,
    runtime: options.Runtime = "openvino",
    precision: options.Precision = "auto",
    device: options.Device = "cpu",
    threads: Threads = 1,
    overrides: Overrides = None,
) -> None:
    """Run a tracker on a benchmark, under its official protocol, and keep the results in the official layout.

    The same command goes on with an evaluation that was ended, at the first sequence that is not finished. Sequences that
    fail are told; the others go on, and the exit code is 1.
    """
    from siamtrack.evaluation.layouts import VOT_EXPERIMENTS
    from siamtrack.evaluation.protocols import check_protocol, settings_for
    from siamtrack.evaluation.runner import Where
    from siamtrack.evaluation.store import ResultStore
    from siamtrack.library import find_benchmark

    settings, of_tracker = _settings(repetitions, overrides or ())
    found = find_benchmark(benchmark)
    protocol = check_protocol(protocol or found.protocols[0], found, settings)
    wanted = opened(benchmark, root, sequences)[1]
    if pack is not None:
        _check_pack(pack, found, protocol, part=sequences is not None)
    settings = settings_for(found, settings)
    how = {"runtime": runtime, "precision": precision, "device": device, "threads": threads}
    store = ResultStore(results, tracker=name or Path(tracker).name, benchmark=found, protocol=protocol)
    where = Where(workers=workers or os.cpu_count() or 1, ray=ray, threads=threads)
    whole = wanted if sequences is None else _with_their_videos(wanted, benchmark, root, protocol)
    _run(_Asked(tracker, how, of_tracker), store, whole, settings, where, fresh=fresh)
    if pack is not None:
        store.pack(pack)
        console.print(f"{pack} is ready for the server.")
    _tell_score(store, wanted, settings.vot.name if protocol in VOT_EXPERIMENTS else found.preset)


@dataclass(frozen=True)
class _Asked:
    """A tracker as it is asked for."""

    name: str
    how: Mapping[str, Any]  # runtime and the like
    overrides: Sequence[str]


def _run(
    asked: _Asked,
    store: ResultStore,
    sequences: Sequence[BenchmarkSequence],
    settings: ProtocolSettings,
    where: Where,
    *,
    fresh: bool,
) -> None:
    """Runs what is not finished, and tells of it."""
    from siamtrack.evaluation.protocols_masks import MASKS, check_masks
    from siamtrack.evaluation.runner import evaluate as run
    from siamtrack.evaluation.runner import tasks_of
    from siamtrack.evaluation.store_origin import origin_of
    from siamtrack.library import open_model

    tasks = tasks_of(sequences, store.protocol, settings)
    _tell_task(store, tasks, where)
    opener = partial(open_model, asked.name, **asked.how, overrides=asked.overrides)
    tracker = opener()
    if store.protocol == MASKS:
        check_masks(tracker, asked.name)
    store.begin(origin_of(tracker, asked.name, settings, options=asked.how), fresh=fresh)
    with stoppable(lambda: _kept(store, tasks)):
        _tell(run(opener, sequences, store, settings, where), tasks, store)


def _with_their_videos(wanted: list[BenchmarkSequence], benchmark: str, root: Path, protocol: str) -> list[BenchmarkSequence]:
    """Those that must run for some of the sequences: where masks are given, all objects of a video are followed together."""
    from siamtrack.evaluation.protocols_masks import MASKS, video_of

    if protocol != MASKS:
        return wanted
    return opened(benchmark, root, ",".join(sorted({video_of(one) for one in wanted})))[1]


def _check_pack(path: Path, benchmark: Benchmark, protocol: str, *, part: bool) -> None:
    """Refuses what no server takes, and a file that cannot be written, before hours of work."""
    from siamtrack.output_paths import check_path

    if benchmark.server != protocol:
        raise SettingsError(
            f"No server takes results on {benchmark.title} under '{protocol}'. --pack is for got10k-test (got10k) and "
            "trackingnet (ope)."
        )
    if part:
        raise SettingsError("The server scores all sequences; leave out --sequences or --pack.")
    check_path(path)


def _settings(repetitions: int | None, overrides: Sequence[str]) -> tuple[ProtocolSettings, tuple[str, ...]]:
    """The settings of the protocol, and the overrides that are the tracker's."""
    from siamtrack.evaluation.protocols_following import ProtocolSettings
    from siamtrack.settings import with_overrides

    names = {field.name for field in fields(ProtocolSettings)}
    of_protocol = [text for text in overrides if text.partition("=")[0].strip() in names]
    settings = with_overrides(ProtocolSettings(repetitions=repetitions), of_protocol)
    return settings, tuple(text for text in overrides if text not in of_protocol)


def _tell_task(store: ResultStore, tasks: Sequence[Task], where: Where) -> None:
    """Tells what is to be done before the slow part begins: opening a model and its workers takes seconds."""
    from siamtrack.datasets.benchmark import counted

    on = store.benchmark.part([name for task in tasks for name in sorted(task.names)])
    by = f"Ray at {where.ray}" if where.ray else counted(min(where.workers, len(tasks)), "worker")
    frames = counted(sum(len(task.sequence) for task in tasks), "frame")
    notes.print(f"Running {store.tracker} on {on} ({frames}), protocol {store.protocol}, {by}; results in {store.folder}.")


def _kept(store: ResultStore, tasks: Sequence[Task]) -> str:
    there = store.finished()
    finished = sum(task.names <= there for task in tasks)
    return f"{finished} of {len(tasks)} {_things(store)} are finished in {store.folder}; the same command goes on."


def _tell(outcomes: Iterable[Outcome], tasks: Sequence[Task], store: ResultStore) -> None:
    """Tells of each sequence, or video of masks, as it is done, and of all at the end.

    Raises:
        SiamtrackError: some failed.
    """
    failed = []
    before, things = store.finished(), _things(store)
    frames = {task.name: len(task.sequence) for task in tasks if not task.names <= before}
    if len(frames) < len(tasks):
        console.print(f"{len(tasks) - len(frames)} of {len(tasks)} {things} were finished before.")
    for outcome in _with_bar(outcomes, frames):
        if outcome.failure:
            failed.append(outcome.sequence)
            notes.print(f"{outcome.sequence} failed: {outcome.failure}")
        else:
            console.print(f"{outcome.sequence}: {_summary(outcome)}")
    console.print(f"{len(tasks) - len(failed)} of {len(tasks)} {things} are finished in {store.folder}.")
    if failed:
        raise SiamtrackError(f"{len(failed)} of {len(tasks)} {things} failed: {', '.join(failed[:8])}; see above for why.")


def _tell_score(store: ResultStore, wanted: Sequence[BenchmarkSequence], preset: str) -> None:
    """Prints the numbers of the benchmark, if there are any: some truth is not public, and a part may be too small for some."""
    from siamtrack.evaluation.protocols_masks import MASKS
    from siamtrack.evaluation.scoring import score
    from siamtrack.evaluation.scoring_measures import MEASURES

    try:
        masked = store.protocol == MASKS
        results = store.read_masks(wanted) if masked else store.read([sequence.name for sequence in wanted])
        scores = score(results, wanted, preset)
    except InputError as error:
        notes.print(f"No score: {error}")
        return
    numbers = {MEASURES[key]: value for key, value in scores.overall.numbers.items() if key in MEASURES and value == value}
    shown = ", ".join(f"{measure.label} {value:.{measure.digits}f}" for measure, value in numbers.items())
    on = store.benchmark.part([sequence.name for sequence in wanted])
    console.print(f"{store.tracker} on {on} ({store.protocol}, preset {scores.preset}): {shown}")
    for note in scores.notes:
        notes.print(f"Note: {note}")


def _things(store: ResultStore) -> str:
    """What is run one after another."""
    from siamtrack.evaluation.protocols_masks import MASKS

    return "videos" if store.protocol == MASKS else "sequences"


def _summary(outcome: Outcome) -> str:
    import numpy as np

    runs_seconds = [run.seconds for run in outcome.runs] if outcome.masks is None else [outcome.masks.seconds]
    seconds = np.concatenate(runs_seconds)
    known = seconds[~np.isnan(seconds)]  # frames that VOT skips after a failure have none
    runs = f" in {len(outcome.runs)} runs" if len(outcome.runs) > 1 else ""
    return f"{len(known)} frames{runs}, {1000 * float(np.median(known)):.1f} ms a frame"


def _with_bar(outcomes: Iterable[Outcome], frames: dict[str, int]) -> Iterator[Outcome]:
    """The outcomes, while a bar on the error stream counts frames, where someone is looking."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.completed:.0f} of {task.total:.0f} frames"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=notes, transient=True, disable=not notes.is_terminal) as bar:
        task = bar.add_task("", total=sum(frames.values()))
        for outcome in outcomes:
            bar.advance(task, frames[outcome.sequence])
            yield outcome
