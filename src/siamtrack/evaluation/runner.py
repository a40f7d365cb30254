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

    Yields:
        What came of each sequence, in no order; a failed one does not stop the others.

    Raises:
        OutputError: a result cannot be written, or a sequence has a name that no file can have.
        MissingExtraError: a cluster is asked for, and Ray is not installed.
    """
    for sequence in sequences:
        check_name(sequence.name)
    finished = store.finished()
    tasks = [Task(sequence=s, protocol=store.protocol, settings=settings) for s in sequences if s.name not in finished]
    if not tasks:
        return
    if where.ray is None:
        outcomes = run_in_processes(opener, tasks, min(where.workers, len(tasks)))
    else:
        outcomes = run_on_ray(opener, tasks, where.ray, threads=where.threads)
    with closing(outcomes):
        for outcome in outcomes:
            if not outcome.failure:
                store.write(outcome.sequence, outcome.runs)
            yield outcome
