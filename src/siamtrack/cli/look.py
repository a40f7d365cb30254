"""Commands that show something: a demonstration, a frame, the models, where the time goes, what is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table

from siamtrack.cli import options
from siamtrack.errors import SettingsError

console = Console(highlight=False)


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for demo.csv, demo.mp4 and demo.png.")] = Path("siamtrack-demo"),
    frames: Annotated[int, typer.Option(min=2, help="Length of the scene.")] = 150,
    model: options.Model = "siamfc",
    runtime: options.Runtime = "openvino",
    precision: options.Precision = "auto",
    overrides: options.Overrides = None,
) -> None:
    """Render a small scene with known ground truth, track three objects in it, and say how well it went."""
    from siamtrack.demo import run_demo
    from siamtrack.library import open_model

    tracker = open_model(model, runtime=runtime, precision=precision, overrides=overrides or ())
    scores, rate = run_demo(tracker, out, frames=frames)
    table = Table("target", "mean IoU", "mean centre error", "frames above IoU 0.5")
    for score in scores:
        table.add_row(str(score.target), f"{score.iou:.3f}", f"{score.center_error:.2f} px", f"{score.inside:.0%}")
    console.print(table)
    console.print(f"{rate:.0f} frames a second with {len(scores)} targets at once. Look at {out / 'demo.png'} and {out / 'demo.mp4'}.")


def frame(
    source: Annotated[str, typer.Argument(metavar="VIDEO", help="Video file, folder or glob of images, camera number, or URL.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Image to write.")],
    at: Annotated[int, typer.Option(min=0, help="Number of the frame, from 0.")] = 0,
    box: Annotated[list[str] | None, typer.Option("--box", "-b", metavar="X,Y,W,H", help="Draw this box too.")] = None,
) -> None:
    """Save a frame with a pixel grid, for reading off a box."""
    from siamtrack.box import Box
    from siamtrack.draw import draw_boxes, pixel_grid, save_image
    from siamtrack.frames import read

    boxes = [Box.from_text(text) for text in box or ()]
    with read(source, start=at) as frames:
        image = next(iter(frames)).image
    save_image(out, pixel_grid(draw_boxes(image, boxes)))
    console.print(f"Frame {at} of {source}, {image.shape[1]}x{image.shape[0]} pixels, is in {out}.")


def models(
    card: Annotated[str | None, typer.Option(metavar="NAME", help="Print the model card of this one.")] = None,
) -> None:
    """List the models that can be run, or print the card of one."""
    from siamtrack.errors import nearest
    from siamtrack.library import model_names, settings_of
    from siamtrack.model_folder import read_model_folder

    names = model_names()
    if card is not None:
        if card not in names:
            raise SettingsError(f"There is no model '{card}'. {nearest(card, names)}")
        console.print(Markdown(read_model_folder(names[card].folder).description.card))
        return
    table = Table("name", "weights", "scales", "precisions", "size", "licence")
    for entry in names.values():
        folder = read_model_folder(entry.folder)
        size = sum(path.stat().st_size for path in entry.folder.iterdir()) / 1e6
        precisions = "auto, float32, bfloat16" + (", int8" if folder.has_int8 else "")
        scales = str(settings_of(entry.name)["scales"])
        table.add_row(entry.name, entry.folder.name, scales, precisions, f"{size:.1f} MB", folder.description.licence)
    console.print(table)
    console.print("A model of your own is a folder made by 'siamtrack export' or 'siamtrack convert': --model FOLDER.")


def bench(
    source: Annotated[str | None, typer.Argument(metavar="VIDEO", help="A video to time on.", show_default="a rendered one")] = None,
    box: Annotated[list[str] | None, typer.Option("--box", "-b", metavar="X,Y,W,H", help="Targets in its first frame.")] = None,
    targets: Annotated[int, typer.Option(min=1, help="How many, in the rendered video.")] = 1,
    frames: Annotated[int, typer.Option(min=10, help="How many to time.")] = 60,
    size: Annotated[str, typer.Option(help="Of the rendered video.")] = "1280x720",
    model: options.Model = "siamfc",
    threads: options.Threads = None,
    overrides: options.Overrides = None,
) -> None:
    """Time the loop stage by stage, every installed runtime side by side in one run."""
    from siamtrack.bench import run_bench

    report = run_bench(
        model=model, source=source, boxes=box or [], targets=targets, frames=frames, size=size, threads=threads,
        overrides=overrides or (),
    )
    table = Table("runtime", "read", "crop", "network", "decide", "total", "frames/s", "speed")
    for row in report.rows:
        table.add_row(*row)
    console.print(table)
    console.print(report.note)


def doctor() -> None:
    """Say what is installed, what this machine can do, and what would make tracking faster."""
    from siamtrack.doctor import examine

    findings = examine()
    table = Table("what", "found", show_lines=False)
    for what, found in findings.facts:
        table.add_row(what, found)
    console.print(table)
    for advice in findings.advice:
        console.print(f"- {advice}")

