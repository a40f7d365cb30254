"""`siamtrack track`: from a video and a box to a box in every frame."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from siamtrack.cli import options
from siamtrack.cli.progress import with_progress
from siamtrack.errors import InputError, TruncatedError

if TYPE_CHECKING:
    from siamtrack.outputs import Outputs
    from siamtrack.tracking import Step

console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
ENDINGS = {None: "csv", "jsonl": "jsonl", "otb": "txt", "got10k": "txt", "vot": "txt"}


def track(
    source: options.Source,
    box: Annotated[
        list[str] | None, typer.Option("--box", "-b", metavar="X,Y,W,H", help="The target in the first frame. Repeat for more.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="Write the boxes here.", show_default="NAME.csv, if no --video or --sheet"
        ),
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option("--format", metavar="NAME", help="csv, jsonl, otb, got10k or vot.", show_default="by the ending"),
    ] = None,
    video: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the video with the boxes drawn.")] = None,
    sheet: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a contact sheet of frames with boxes.")] = None,
    frame: Annotated[int, typer.Option(metavar="N", min=0, help="The frame that the boxes are in; start there.")] = 0,
    backward: Annotated[bool, typer.Option("--backward", metavar="", help="Go from that frame to the beginning.")] = False,
    limit: Annotated[int | None, typer.Option(metavar="N", min=1, help="Stop after so many frames.")] = None,
    model: options.Model = "siamfc",
    runtime: options.Runtime = "openvino",
    precision: options.Precision = "auto",
    device: options.Device = "cpu",
    threads: options.Threads = None,
    overrides: options.Overrides = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", metavar="", help="No progress bar and no summary.")] = False,
) -> None:
    """Follow one or several targets through a video.

    At least one --box is needed: x,y,w,h in pixels from the top left corner, which is 0,0. 'siamtrack frame' shows where a
    target is. Frames and targets count from 0.
    """
    from itertools import islice

    from siamtrack.frames import read
    from siamtrack.library import open_model
    from siamtrack.outputs import Outputs
    from siamtrack.tracking import track as follow

    if backward and frame == 0:
        raise InputError("There is nothing before frame 0 to go backward to; say where the boxes are with --frame N.")
    boxes = options.parsed_boxes(_required(box, source))
    with read(source, start=frame, backward=backward) as frames:
        options.check_boxes(boxes, frames.size)
        if out is None and (layout or not (video or sheet)):
            out = Path(f"{frames.name or 'boxes'}.{ENDINGS.get(layout, 'csv')}")
        with Outputs(
            source=source, boxes=out, format=layout, video=video, sheet=sheet, targets=len(boxes), fps=frames.fps
        ) as outputs:
            tracker = open_model(
                model, runtime=runtime, precision=precision, device=device, threads=threads, overrides=overrides or ()
            )
            total = limit if frames.count is None else min(limit or frames.count, frames.count)
            steps = with_progress(islice(follow(tracker, frames, boxes), limit), total, quiet=quiet)
            stopped = _write_all(steps, outputs)
    if not quiet:
        console.print(outputs.summary())
        if isinstance(stopped, KeyboardInterrupt):
            console.print("Stopped by Ctrl-C; what was followed so far is kept.")
    if stopped is not None:
        raise stopped


def _required(box: list[str] | None, source: str) -> list[str]:
    if not box:
        raise InputError(
            f"No box was given. Give at least one target as --box X,Y,W,H; 'siamtrack frame {source} --out frame.png' shows "
            "where it is."
        )
    return box


def _write_all(steps: Iterable[Step], outputs: Outputs) -> TruncatedError | KeyboardInterrupt | None:
    """Why the steps ended early, if they did after at least one was written: those before are finished and kept."""
    try:
        for step in steps:
            outputs.write(step)
    except (TruncatedError, KeyboardInterrupt) as error:
        if not outputs.steps:
            raise
        return error
    return None
