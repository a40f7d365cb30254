"""`siamtrack vot`: the command that the official VOT toolkit runs."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from siamtrack.cli import options
from siamtrack.errors import InputError
from siamtrack.library import DEFAULT_MODEL

Ini = Annotated[bool, typer.Option("--ini", metavar="", help="Print the lines for the toolkit's trackers.ini and end.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Of the tracker: lr=0.5, or start_box=min-max. Repeatable."),
]


def vot(
    model: options.Model = DEFAULT_MODEL,
    runtime: options.Runtime = "openvino",
    precision: options.Precision = "auto",
    device: options.Device = "cpu",
    threads: options.Threads = None,
    overrides: Overrides = None,
    ini: Ini = False,
) -> None:
    """Answer the official VOT toolkit, which runs this command itself.

    The two talk TraX on the standard streams. 'siamtrack vot --ini >> trackers.ini' in the toolkit's workspace makes the
    tracker known to it, with the options that are given here.
    """
    from siamtrack.evaluation.trax_server import serve
    from siamtrack.library import open_model

    start_box, of_tracker = _settings(overrides or ())
    tracker = open_model(
        model, runtime=runtime, precision=precision, device=device, threads=threads, overrides=of_tracker
    )  # for --ini as well: what cannot be opened is told here, and not in a log of the toolkit
    if ini:
        given = {"--runtime": runtime, "--precision": precision, "--device": device, "--threads": threads}
        arguments = [text for option, value in given.items() if value is not None for text in (option, str(value))]
        typer.echo(_stanza(model, [*arguments, *(text for pair in overrides or () for text in ("--set", pair))]), nl=False)
        return
    if sys.stdin.isatty():
        raise InputError(
            "This command is run by the VOT toolkit, which talks to it on the standard streams. 'siamtrack vot --ini' prints "
            "the lines of trackers.ini that make it do so."
        )
    serve(tracker, name=model, start_box=start_box)


def _settings(overrides: Sequence[str]) -> tuple[str, list[str]]:
    """How a polygon becomes a box, and the overrides that are the tracker's."""
    from siamtrack.evaluation.protocols_following import ProtocolSettings
    from siamtrack.settings import with_overrides

    of_protocol = [text for text in overrides if text.partition("=")[0].strip() == "start_box"]
    return with_overrides(ProtocolSettings(), of_protocol).start_box, [text for text in overrides if text not in of_protocol]


def _stanza(model: str, arguments: Sequence[str]) -> str:
    """The lines of trackers.ini. The toolkit runs the command in a folder of its own."""
    from siamtrack.library import model_names

    if model not in model_names():
        model = str(Path(model).absolute())
    command = [sys.executable, "-m", "siamtrack", "vot", "--model", model, *arguments]
    line = subprocess.list2cmdline(command) if sys.platform == "win32" else shlex.join(command)
    name = re.sub(r"[^a-zA-Z0-9_-]", "-", Path(model).name)  # other characters are illegal in the toolkit
    line = line.replace("%", "%%")  # stands for a value elsewhere in the file
    return f"[{name}]\nlabel = {Path(model).name}\nprotocol = trax\ncommand = {line}\n"
