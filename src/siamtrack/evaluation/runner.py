"""Evaluating a tracker on a benchmark: every sequence that is not finished is run, and kept as soon as it is."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

from siamtrack.datasets.benchmark import BenchmarkSequence
from siamtrack.evaluation.protocols_following import ProtocolSettings
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
    named = {check_name(sequence.name): sequence for sequence in sequences}
    store.check(sequences)
    finished = store.finished()
    tasks = [Task(sequence=s, protocol=store.protocol, settings=settings) for name, s in named.items() if name not in finished]
    return _kept(opener, tasks, store, where)


def _kept(opener: Opener, tasks: Sequence[Task], store: ResultStore, where: Where) -> Generator[Outcome, None, None]:
    """The outcomes of tasks, each after it was written."""
    if not tasks:
        return
    sequences = {task.sequence.name: task.sequence for task in tasks}
    if where.ray is None:
        outcomes = run_in_processes(opener, tasks, min(where.workers, len(tasks)))
    else:
        outcomes = run_on_ray(opener, tasks, where.ray, threads=where.threads)
    with closing(outcomes):
        for outcome in outcomes:
            if not outcome.failure:
                store.write(sequences[outcome.sequence], outcome.runs)
            yield outcome
