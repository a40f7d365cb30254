"""What Ctrl-C becomes: one line that says so, and the exit code 130."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console


class Told(KeyboardInterrupt):
    """Ctrl-C, after the command has said what is kept and how to go on."""


@contextmanager
def stoppable(kept: str) -> Iterator[None]:
    """Says what is kept, and how to go on, where Ctrl-C ends the block; the command then ends with 130."""
    try:
        yield
    except KeyboardInterrupt:
        Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(f"Stopped by Ctrl-C. {kept}")
        raise Told from None
