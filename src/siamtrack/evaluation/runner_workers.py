"""Workers that run a tracker over sequences, several at a time in processes of this machine.

The one thing that a worker gives back is what the tracker answered: all files are written by the process that asked.
"""

from __future__ import annotations

import multiprocessing
import traceback
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any

from siamtrack.datasets.benchmark import BenchmarkSequence
from siamtrack.datasets.processes import begin_worker, interrupts_held
from siamtrack.errors import SiamtrackError
from siamtrack.evaluation.protocols import runs
from siamtrack.evaluation.protocols_following import ProtocolSettings
from siamtrack.evaluation.protocols_masks import MaskRun, mask_run
from siamtrack.evaluation.trajectory import Trajectory
from siamtrack.tracking import Tracker

Opener = Callable[[], Tracker[Any]]
"""Opens the tracker; pickled, so a function of a module or a `functools.partial` of one."""

ENDED = "its process was ended from outside, perhaps for want of memory: give fewer --workers"


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """A sequence to run a tracker over; under the protocol "masks" a video, by the longest of its objects.

    Attributes:
        name: of the sequence or the video.
        sequence: to run over.
        protocol: name.
        settings: what the protocol leaves open.
        objects: of the video, the longest first; none under other protocols.
    """

    name: str
    sequence: BenchmarkSequence
    protocol: str
    settings: ProtocolSettings
    objects: Sequence[BenchmarkSequence] = ()

    @property
    def names(self) -> set[str]:
        """Of the sequences that are finished with it."""
        return {one.name for one in self.objects or (self.sequence,)}


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """What came of a task, by its name: runs, or masks, or why there are none."""

    sequence: str
    runs: Sequence[Trajectory] = ()
    masks: MaskRun | None = None
    failure: str = ""


class Worker:
    """Does tasks with one tracker, which is opened for the first of them."""

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self._tracker: Tracker[Any] | None = None

    def run(self, task: Task) -> Outcome:
        """The outcome of a task; a failure is told, never raised, so that the other sequences go on."""
        name = task.name
        try:
            self._tracker = self._tracker or self._opener()
            if task.objects:
                return Outcome(sequence=name, masks=mask_run(self._tracker, task.objects, task.settings))
            return Outcome(sequence=name, runs=list(runs(self._tracker, task.sequence, task.protocol, task.settings)))
        except SiamtrackError as error:
            return Outcome(sequence=name, failure=str(error))
        except Exception as error:  # a tracker may be anyone's, and raise anything
            place = traceback.extract_tb(error.__traceback__)[-1]
            return Outcome(sequence=name, failure=f"{type(error).__name__}: {error} ({place.filename}, line {place.lineno})")


def longest_first(tasks: Sequence[Task]) -> deque[Task]:
    """The tasks in an order in which no worker is left alone with a long one at the end."""
    return deque(sorted(tasks, key=lambda task: -len(task.sequence)))


def run_in_processes(opener: Opener, tasks: Sequence[Task], workers: int) -> Generator[Outcome, None, None]:
    """The outcomes of tasks, each as soon as it is there.

    A process that is ended from outside fails the task that it was at, and another takes its place.

    Args:
        opener: of the tracker; called once in each process.
        tasks: what to do.
        workers: processes; 0 or 1: this one. Closing the generator ends them at once.
    """
    if workers <= 1:
        yield from map(Worker(opener).run, tasks)
        return
    pool = _Pool(opener)
    waiting, at_work = longest_first(tasks), dict[Any, Task]()
    try:
        while waiting or at_work:
            while waiting and len(at_work) < workers:
                task = waiting.popleft()
                at_work[pool.send(task)] = task
            for connection in wait(list(at_work)):
                task = at_work.pop(connection)
                outcome = pool.receive(connection)
                yield outcome or Outcome(sequence=task.name, failure=ENDED)
    finally:
        pool.end()


class _Pool:
    """Processes, each at the other end of a connection."""

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self._context = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
        self._idle: list[Any] = []  # connections, of a class that depends on the system
        self._processes: list[Any] = []

    def send(self, task: Task) -> Any:
        """Gives a task to a process that has none; where its outcome comes from."""
        connection = self._idle.pop() if self._idle else self._started()
        with suppress(OSError):  # it was ended while it had nothing to do: nothing will come from it
            connection.send(task)
        return connection

    def receive(self, connection: Any) -> Outcome | None:
        """What a process found; None if it was ended."""
        try:
            outcome: Outcome = connection.recv()
        except (EOFError, OSError):
            connection.close()
            return None
        self._idle.append(connection)
        return outcome

    def end(self) -> None:
        """Ends all processes, whatever they are at."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join()

    def _started(self) -> Any:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, self._opener), daemon=True)
        with interrupts_held():
            process.start()
        theirs.close()  # else the end of the process would not be seen here
        self._processes.append(process)
        return ours


def _serve(connection: Any, opener: Opener) -> None:
    """The life of a process: tasks come, outcomes go."""
    begin_worker()
    worker = Worker(opener)
    with suppress(EOFError, OSError):
        while True:
            connection.send(worker.run(connection.recv()))
