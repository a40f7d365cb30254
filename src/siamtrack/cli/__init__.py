"""The command line: one short function a command, which calls the library.

Exit codes: 0 done; 1 done in part (the source ended early: what was read is kept); 2 input that cannot be used; 3 a model
that cannot be used; 4 an optional package is missing; 5 a result that cannot be written; 6 training had to stop;
130 stopped by Ctrl-C (results so far are kept).
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

import siamtrack
from siamtrack.cli import look, make, track
from siamtrack.errors import SiamtrackError

app = typer.Typer(
    help="Follow any object through a video: draw a box in one frame, siamtrack follows what is in it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
for _command in (track.track, look.demo, look.frame, look.models, look.bench, look.doctor, make.train, make.export, make.convert):
    app.command()(_command)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"siamtrack {siamtrack.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    pass


def main() -> None:
    """Runs the command line; errors that siamtrack raises on purpose become one message and an exit code."""
    try:
        app()
    except SiamtrackError as error:
        Console(stderr=True).print(f"[bold red]Error:[/] {escape(str(error))}", soft_wrap=True, highlight=False)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
