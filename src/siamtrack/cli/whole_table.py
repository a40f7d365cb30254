"""Tables on a terminal that is narrower than they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def print_whole(console: Console, table: Table) -> None:
    """Names and numbers are never cut: a row that is wider than the terminal goes on in the next line."""
    from rich.console import Console as Wide
    from rich.measure import Measurement

    width = Measurement.get(console, console.options.update(width=10_000), table).maximum
    Wide(file=console.file, width=max(width, console.width), highlight=False).print(table, crop=False)
