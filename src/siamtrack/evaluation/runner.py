"""Evaluating a tracker on a benchmark: every sequence that is not finished is run, and kept as soon as it is."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

from siamtrack.datasets.benchmark import BenchmarkSequence
from siamtrack.evaluation.protocols_following import ProtocolSettings
from siamtrack.evaluation.protocols_masks import MASKS, by_video
from siamtrack.evaluation.ray_runner import run_on_ray
from siamtrack.evaluation.runner_workers import Opener, Outcome, Task, run_in_processes
from siamtrack.evaluation.store import ResultStore, check_name


@dataclass(frozen=True, kw_only=True)
class Where:
    """Where the work is done.

    Attributes:
        workers: processes on this machine; 0 or 1: this one.
        ray: address of a cluster to use instead; None: none.
        threads: that each worker is opened with, which is what a cluster keeps for it.
    """

    workers: int = 1
    ray: str | None = None
    threads: int = 1


def evaluate(
    opener: Opener,
    sequences: Sequence[BenchmarkSequence],
    store: ResultStore,
    settings: ProtocolSettings,
    where: Where,
) -> Generator[Outcome, None, None]:
    """Runs a tracker over the sequences that the store lacks, under the store's protocol.

    Results do not depend on where the work is done (only measured times do). Each is on the disk before it is told; ending at
    any moment loses the sequences that are under way, and no other.

    Args:
        opener: of the tracker.
        sequences: those that are wanted.
        store: that `ResultStore.begin` was called on.
        settings: what the protocol leaves open.
        where: the work is done.

    Returns:
        What came of each sequence, in no order; a failed one does not stop the others. Nothing is run before the first is
        asked for; what is there already is checked at once.

    Raises:
        OutputError: a result cannot be written, a sequence has a name that no file can have, or results that are there are of
            other sequences.
        MissingExtraError: a cluster is asked for, and Ray is not installed.
    """
    tasks = tasks_of(sequences, store.protocol, settings)
    store.check(sequences)
    finished = store.finished()
    return _kept(opener, [task for task in tasks if not task.names <= finished], store, where)


def tasks_of(sequences: Sequence[BenchmarkSequence], protocol: str, settings: ProtocolSettings) -> list[Task]:
    """What there is to run: the sequences, or under the protocol "masks" their videos.

    Raises:
        OutputError: a name that no file can have.
    """
    if protocol != MASKS:
        named = {check_name(sequence.name): sequence for sequence in sequences}
        return [Task(name=name, sequence=one, protocol=protocol, settings=settings) for name, one in named.items()]
    return [
        Task(name=check_name(name), sequence=objects[0], protocol=protocol, settings=settings, objects=objects)
        for name, objects in by_video(sequences).items()
    ]


def _kept(opener: Opener, tasks: Sequence[Task], store: ResultStore, where: Where) -> Generator[Outcome, None, None]:
    """The outcomes of tasks, each after it was written."""
    if not tasks:
        return
    by_name = {task.name: task for task in tasks}
    if where.ray is None:
        outcomes = run_in_processes(opener, tasks, min(where.workers, len(tasks)))
    else:
        outcomes = run_on_ray(opener, tasks, where.ray, threads=where.threads)
    with closing(outcomes):
        for outcome in outcomes:
            task = by_name[outcome.sequence]
            if outcome.masks is not None:
                store.write_masks(task.name, task.objects, outcome.masks.pictures)
            elif not outcome.failure:
                store.write(task.sequence, outcome.runs)
            yield outcome
