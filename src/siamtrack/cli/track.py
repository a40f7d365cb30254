"""`siamtrack track`: from a video and a box to a box in every frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from siamtrack.cli import options
from siamtrack.cli.interrupts import Told
from siamtrack.cli.progress import with_progress
from siamtrack.cli.remarks import idle_settings, seldom_meant_boxes
from siamtrack.errors import InputError, OutputError, TruncatedError
from siamtrack.library import DEFAULT_MODEL

if TYPE_CHECKING:
    from siamtrack.box import Box
    from siamtrack.frames import FrameReader
    from siamtrack.outputs import Outputs
    from siamtrack.tracking import Step, Tracker

console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
ENDINGS = {None: "csv", "jsonl": "jsonl", "otb": "txt", "got10k": "txt", "vot": "txt"}


Targets = Annotated[
    list[str] | None, typer.Option("--box", "-b", metavar="X,Y,W,H", help="The target in the first frame. Repeat for more.")
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", metavar="FILE", help="Write the boxes here.", show_default="NAME.csv, if nothing else is written"
    ),
]
Layout = Annotated[
    str | None, typer.Option("--format", metavar="NAME", help="csv, jsonl, otb, got10k or vot.", show_default="by the ending")
]
MasksOut = Annotated[
    Path | None,
    typer.Option(metavar="PATH", help="Write the masks: a folder of PNG files, or FILE.json. Of models that give masks."),
]
CutOut = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write a video of the targets alone: .webm is transparent, others black.")
]
VideoOut = Annotated[Path | None, typer.Option(metavar="FILE", help="Write the video with the boxes drawn.")]
SheetOut = Annotated[Path | None, typer.Option(metavar="FILE", help="Write a contact sheet of frames with boxes.")]
First = Annotated[int, typer.Option(metavar="N", min=0, help="The frame that the boxes are in; start there.")]
Backward = Annotated[bool, typer.Option("--backward", metavar="", help="Go from that frame to the beginning.")]
Limit = Annotated[int | None, typer.Option(metavar="N", min=1, help="Stop after so many frames.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", metavar="", help="No progress bar and no summary.")]


def track(
    source: options.Source,
    box: Targets = None,
    out: Out = None,
    layout: Layout = None,
    video: VideoOut = None,
    sheet: SheetOut = None,
    masks: MasksOut = None,
    cut_out: CutOut = None,
    frame: First = 0,
    backward: Backward = False,
    limit: Limit = None,
    model: options.Model = DEFAULT_MODEL,
    runtime: options.Runtime = "openvino",
    precision: options.Precision = "auto",
    device: options.Device = "cpu",
    threads: options.Threads = None,
    overrides: options.Overrides = None,
    quiet: Quiet = False,
) -> None:
    """Follow one or several targets through a video.

    At least one --box is needed: x,y,w,h in pixels from the top left corner, which is 0,0. 'siamtrack frame' shows where a
    target is. Frames and targets count from 0. A folder may be that of an annotated sequence, with its frames in img or color.
    """
    from siamtrack.frames import read
    from siamtrack.library import open_model
    from siamtrack.tracking import gives_masks

    if backward and frame == 0:
        raise InputError("There is nothing before frame 0 to go backward to; say where the boxes are with --frame N.")
    place = options.frames_place(source)
    boxes = options.parsed_boxes(_required(box, place))
    with read(place, start=frame, backward=backward) as frames:
        options.check_boxes(boxes, frames.size)
        if place != source and Path(place).is_dir():
            frames.name = Path(source).resolve().name  # not "img"
        files = {"video": video, "sheet": sheet, "masks": masks, "cut_out": cut_out}
        with _outputs(place, frames, len(boxes), boxes=out, layout=layout, files=files) as outputs:
            tracker = open_model(
                model, runtime=runtime, precision=precision, device=device, threads=threads, overrides=overrides or ()
            )
            if (masks or cut_out) and not gives_masks(tracker):
                option = "--masks" if masks else "--cut-out"
                raise InputError(
                    f"The model '{model}' gives boxes and no masks with these settings; leave out {option}, or take a model "
                    "that can, such as siammask-small, with a mask.threshold above 0."
                )
            _tell([*seldom_meant_boxes(boxes, frames.size), *idle_settings(overrides or (), tracker)])
            stopped = _write_all(_steps(tracker, frames, boxes, limit, quiet=quiet), outputs)
    _end(outputs, stopped, quiet=quiet)


def _tell(remarks: Iterable[str]) -> None:
    for text in remarks:
        console.print(f"Note: {text}")


def _required(box: list[str] | None, source: str) -> list[str]:
    if not box:
        raise InputError(
            f"No box was given. Give at least one target as --box X,Y,W,H; 'siamtrack frame {source} --out frame.png' shows "
            "where it is."
        )
    return box


def _outputs(
    source: str,
    frames: FrameReader,
    targets: int,
    *,
    boxes: Path | None,
    layout: str | None,
    files: Mapping[str, Path | None],
) -> Outputs:
    """Opened before the model is: a path that cannot be written must be told before the slow work."""
    from siamtrack.outputs import Outputs

    if boxes is None and (layout or not any(files.values())):
        boxes = Path(f"{frames.name or 'boxes'}.{ENDINGS.get(layout, 'csv')}")
        if boxes.exists():  # as annotation beside a video is called
            raise OutputError(f"'{boxes}' exists already; give --out {boxes} to write over it, or another name.")
    return Outputs(source=source, boxes=boxes, format=layout, targets=targets, fps=frames.fps, **files)


def _steps(
    tracker: Tracker[Any], frames: FrameReader, boxes: Sequence[Box], limit: int | None, *, quiet: bool
) -> Iterator[Step]:
    from siamtrack.tracking import track as follow

    total = limit if frames.count is None else min(limit or frames.count, frames.count)
    return with_progress(islice(follow(tracker, frames, boxes), limit), total, quiet=quiet)


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


def _end(outputs: Outputs, stopped: TruncatedError | KeyboardInterrupt | None, *, quiet: bool) -> None:
    """Says what was done, and passes on what stopped it."""
    if not quiet:
        console.print(outputs.summary())
    if isinstance(stopped, KeyboardInterrupt):
        if not quiet:
            console.print("Stopped by Ctrl-C; what was followed so far is kept.")
        raise Told from stopped
    if stopped is not None:
        raise stopped
