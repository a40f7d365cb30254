"""The command line: one short function a command, which calls the library.

Exit codes: 0 done; 1 done in part (the source ended early, or some of the data cannot be used: the rest is kept); 2 input
that cannot be used; 3 a model that cannot be used; 4 an optional package is missing; 5 a result that cannot be written;
6 training had to stop; 130 stopped by Ctrl-C (results so far are kept).
"""

from __future__ import annotations

import errno
import functools
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from siamtrack.cli import compare, data, data_show, evaluate, experiment, look, make, report, synth, synth_world, track, vot
from siamtrack.cli.interrupts import Told
from siamtrack.errors import InputError, OutputError, SiamtrackError

INTERRUPTED = 130
EXIT_CODES = (
    "Exit codes: 0 done, 1 done in part (a source ended early, data that cannot be used; the rest is kept), "
    "2 unusable input, 3 unusable model, "
    "4 missing package, 5 a result cannot be written, 6 training had to stop, 130 Ctrl-C (results so far are kept)."
)
_OF_WRITING = (errno.ENOSPC, errno.EROFS, errno.EFBIG)  # no system says these of reading


def _explained(command: Callable[..., None]) -> Callable[..., None]:
    """The command, where an error of siamtrack or of the system becomes one message and an exit code."""

    @functools.wraps(command)
    def explained(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except SiamtrackError as error:
            raise _refusal(str(error), error.exit_code) from None
        except BrokenPipeError:  # whoever read the output has gone: the command line's own affair
            raise
        except OSError as error:
            where = f"'{error.filename}' cannot be used: " if error.filename else ""
            code = OutputError.exit_code if error.errno in _OF_WRITING else InputError.exit_code
            raise _refusal(f"{where}{error.strerror or error}.", code) from None
        except Told:
            raise typer.Exit(INTERRUPTED) from None
        except KeyboardInterrupt:
            Console(stderr=True).print("Stopped by Ctrl-C.")
            raise typer.Exit(INTERRUPTED) from None

    return explained


def _refusal(message: str, code: int) -> typer.Exit:
    """Prints the message; to be raised."""
    Console(stderr=True).print(Text.assemble(("Error: ", "bold red"), message), soft_wrap=True)
    return typer.Exit(code)


app = typer.Typer(
    help="Follow any object through a video: draw a box in one frame, siamtrack follows what is in it.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in (
    track.track,
    look.demo,
    look.frame,
    look.models,
    look.recipes,
    look.bench,
    look.doctor,
    evaluate.evaluate,
    compare.compare,
    report.report,
    vot.vot,
    make.train,
    make.export,
    make.convert,
):
    app.command()(_explained(_command))

data_app = typer.Typer(help="Look at training data, cut it, and draw the pairs made of it.", no_args_is_help=True)
for _data_command in (data.check, data.crop, data_show.show):
    data_app.command()(_explained(_data_command))
app.add_typer(data_app, name="data")

synth_app = typer.Typer(help="Draw synthetic data with exact ground truth, to train from and to test on.", no_args_is_help=True)
for _synth_command in (synth.squares, synth.video, synth_world.world):
    synth_app.command()(_explained(_synth_command))
app.add_typer(synth_app, name="synth")

experiment_app = typer.Typer(
    help="Published experiments, and what parts of the procedure bring, by one command each.", no_args_is_help=True
)
for _name, _experiment in experiment.COMMANDS.items():
    experiment_app.command(_name)(_explained(_experiment))
app.add_typer(experiment_app, name="experiment")


def _version(wanted: bool) -> None:
    if wanted:
        import siamtrack

        typer.echo(f"siamtrack {siamtrack.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", metavar="", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Runs the command line."""
    try:
        app(prog_name="siamtrack")
    except KeyboardInterrupt:  # before or after the command itself
        sys.stderr.write("Stopped by Ctrl-C.\n")
        sys.exit(INTERRUPTED)
