"""Work on frames in several processes, in order and in bounded memory."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

import cv2

from siamtrack.datasets.clips import Frames, PictureFiles
from siamtrack.errors import SiamtrackError

T = TypeVar("T")
R = TypeVar("R")


def in_processes(
    calls: Iterable[tuple[T, Callable[..., R], tuple[Any, ...]]], workers: int
) -> Generator[tuple[T, R], None, None]:
    """The results of function calls, in order, each with what came with its call.

    One call more than there are workers is under way at a time, so memory does not grow with their number.

    Args:
        calls: what to give back with the result, a function of a module, and its arguments (these are pickled).
        workers: processes; 0 or 1: this one.

    Raises:
        SiamtrackError: a process ended on its own. What a call raises is raised here.
    """
    if workers <= 1:
        for label, function, arguments in calls:
            yield label, function(*arguments)
        return
    context = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=begin_worker)
    pending: deque[tuple[T, Future[R]]] = deque()
    try:
        for label, function, arguments in calls:
            with interrupts_held():
                pending.append((label, pool.submit(function, *arguments)))
            if len(pending) > workers:
                yield pending[0][0], pending.popleft()[1].result()
        while pending:
            yield pending[0][0], pending.popleft()[1].result()
    except BrokenProcessPool:
        raise SiamtrackError(
            "A worker process was ended from outside, perhaps for want of memory. The same command goes on where this one "
            "stopped; give it fewer --workers."
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Ctrl-C waits until the end of the block; a process that is started in it never sees one, not even while it imports."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def part_of(frames: Frames, positions: Sequence[int]) -> tuple[Frames, Sequence[int]]:
    """Frames with as little as these positions need, to be sent to another process, and the positions in them."""
    if isinstance(frames, PictureFiles):
        return PictureFiles(tuple(frames.paths[position] for position in positions)), range(len(positions))
    return frames, positions


def begin_worker() -> None:
    """Prepares a worker process: no threads of OpenCV, Ctrl-C is its parent's to answer, and it ends when its parent does."""
    cv2.setNumThreads(0)  # the processes are the parallel part
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent.join,), daemon=True).start()


def _end_with(wait: Callable[[], None]) -> None:
    wait()  # a worker would wait for work for ever when its parent is killed
    os._exit(1)
