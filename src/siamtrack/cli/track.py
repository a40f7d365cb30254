"""`siamtrack track`: from a video and a box to a box in every frame."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from siamtrack.cli import options

if TYPE_CHECKING:
    from siamtrack.tracking import Step

console = Console(stderr=True, highlight=False)


def track(
    source: Annotated[str, typer.Argument(metavar="VIDEO", help="Video file, folder or glob of images, camera number, or URL.")],
    box: Annotated[list[str], typer.Option("--box", "-b", metavar="X,Y,W,H", help="The target in the first frame, pixels. Repeat it.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the boxes here.", show_default="NAME.csv")] = None,
    format: Annotated[str | None, typer.Option(help="csv, jsonl, otb, got10k or vot.", show_default="by the ending")] = None,
    video: Annotated[Path | None, typer.Option(help="Write the video with the boxes drawn.")] = None,
    sheet: Annotated[Path | None, typer.Option(help="Write a contact sheet of frames with the boxes drawn.")] = None,
    frame: Annotated[int, typer.Option(min=0, help="The frame that the boxes are in; tracking starts there.")] = 0,
    backward: Annotated[bool, typer.Option("--backward", help="Go from that frame to the beginning.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after so many frames.", show_default="all")] = None,
    model: options.Model = "siamfc",
    runtime: options.Runtime = "openvino",
    precision: options.Precision = "auto",
    device: options.Device = "cpu",
    threads: options.Threads = None,
    set: options.Overrides = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no summary.")] = False,
) -> None:
    """Follow one or several targets through a video.

    Boxes are x,y,w,h in pixels from the top left corner, which is 0,0. 'siamtrack frame' shows where a target is.
    """
    from siamtrack.box import Box
    from siamtrack.errors import TruncatedError
    from siamtrack.frames import read
    from siamtrack.library import open_model
    from siamtrack.outputs import Outputs
    from siamtrack.tracking import track as follow

    boxes = [Box.from_text(text) for text in box]
    stopped: TruncatedError | KeyboardInterrupt | None = None
    with read(source, start=frame, backward=backward) as frames:
        if out is None and video is None and sheet is None:
            out = Path(f"{frames.name}.csv")
        tracker = open_model(
            model, runtime=runtime, precision=precision, device=device, threads=threads, overrides=set or ()
        )
        with Outputs(boxes=out, format=format, video=video, sheet=sheet, targets=len(boxes), fps=frames.fps) as outputs:
            total = limit if frames.count is None else min(limit or frames.count, frames.count)
            try:
                for step in _with_progress(islice(follow(tracker, frames, boxes), limit), total, quiet):
                    outputs.write(step)
            except (TruncatedError, KeyboardInterrupt) as error:
                if not outputs.steps:
                    raise
                stopped = error  # what was followed so far is finished and kept
    if not quiet:
        console.print(outputs.summary(), soft_wrap=True)
    if stopped is not None:
        raise stopped


def _with_progress(steps: Iterator[Step], total: int | None, quiet: bool) -> Iterator[Step]:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=quiet, transient=True) as progress:
        task = progress.add_task("starting", total=total)
        began = time.perf_counter()
        for number, step in enumerate(steps, 1):
            yield step
            rate = number / (time.perf_counter() - began)
            progress.update(task, completed=number, description=f"{rate:.0f} frames/s")
