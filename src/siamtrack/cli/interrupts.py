"""What Ctrl-C becomes: one line that says so, and the exit code 130."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console


class Told(KeyboardInterrupt):
    """Ctrl-C, after the command has said what is kept and how to go on."""


@contextmanager
def stoppable(kept: str | Callable[[], str], *, tells: bool = True) -> Iterator[None]:
    """Says what is kept, and how to go on, where Ctrl-C ends the block; the command then ends with 130.

    Args:
        kept: a text that is true whenever the block ends, or what gives it then.
        tells: off, nothing is said: of several processes one speaks for all.
    """
    try:
        yield
    except KeyboardInterrupt:
        if tells:
            text = kept if isinstance(kept, str) else kept()
            Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(f"Stopped by Ctrl-C. {text}")
        raise Told from None
