"""The progress bar: on the error stream, so that nothing spoils a pipe, and only where someone is looking."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console

T = TypeVar("T")


def with_progress(frames: Iterable[T], total: int | None, *, quiet: bool = False) -> Iterator[T]:
    """The frames themselves, while a bar shows how many of how many there were and how many a second."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield from frames
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting", total=total)
        began = time.perf_counter()
        for number, frame in enumerate(frames, 1):
            yield frame
            rate = number / (time.perf_counter() - began)
            progress.update(task, completed=number, description=f"{rate:.3g} frames/s")
