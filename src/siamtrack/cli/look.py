"""Commands that show something: a demonstration, a frame, the models, where the time goes, what is installed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from siamtrack.cli import options
from siamtrack.cli.make import TO_EXPORT, require
from siamtrack.cli.progress import with_progress
from siamtrack.cli.whole_table import print_whole
from siamtrack.errors import OutputError, SettingsError
from siamtrack.library import DEFAULT_MODEL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.table import Table

    from siamtrack.cost import Cost
    from siamtrack.experiments.report import Table as Costs
    from siamtrack.frames import Frame

console = Console(highlight=False, markup=False, soft_wrap=True)
OF_ONE_MODEL = {"source": "VIDEO", "box": "--box", "targets": "--targets", "model": "--model", "overrides": "--set"}


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="For demo.csv, demo.mp4 and demo.png.")] = Path(
        "siamtrack-demo"
    ),
    frames: Annotated[int, typer.Option(metavar="N", min=2, help="Length of the scene.")] = 150,
    model: options.Model = DEFAULT_MODEL,
    runtime: options.Runtime = "openvino",
    precision: options.Precision = "auto",
    overrides: options.Overrides = None,
) -> None:
    """Track three objects through a rendered scene and say how well it went.

    The scene has known ground truth. Its video with the boxes drawn, a contact sheet and the boxes are written.
    """
    from siamtrack.demo import run_demo
    from siamtrack.library import open_model
    from siamtrack.output_paths import check_folder

    check_folder(out)
    tracker = open_model(model, runtime=runtime, precision=precision, overrides=overrides or ())
    scores, rate = run_demo(tracker, out, frames=frames, watch=lambda steps: with_progress(steps, frames))
    table = _table("target", "mean IoU", "mean centre error", "frames above IoU 0.5", numbers=True)
    for score in scores:
        table.add_row(str(score.target), f"{score.iou:.3f}", f"{score.center_error:.2f} px", f"{score.inside:.0%}")
    console.print(table)
    console.print(f"{rate:.3g} frames a second in the tracker, {len(scores)} targets at once.")
    console.print(f"Look at {out / 'demo.png'} and {out / 'demo.mp4'}.")


def frame(
    source: options.Source,
    out: options.OutFile,
    at: Annotated[int, typer.Option(metavar="N", min=0, help="Number of the frame, from 0.")] = 0,
    box: Annotated[
        list[str] | None, typer.Option("--box", "-b", metavar="X,Y,W,H", help="Draw this box too. Repeatable.")
    ] = None,
) -> None:
    """Save a frame with a pixel grid, for reading off a box."""
    from siamtrack.draw import draw_boxes, save_image
    from siamtrack.frames import read
    from siamtrack.output_paths import check_distinct, check_picture_path
    from siamtrack.sheets import pixel_grid

    boxes = options.parsed_boxes(box or ())
    check_picture_path(out)
    place = options.frames_place(source)
    check_distinct([out], place)
    with read(place, start=at) as frames:
        options.check_boxes(boxes, frames.size)
        image = next(iter(frames)).image
    save_image(out, pixel_grid(draw_boxes(image, boxes)))
    console.print(f"Frame {at} of {source}, {image.shape[1]}x{image.shape[0]} pixels, is in {out}.")


def models(
    card: Annotated[
        str | None, typer.Option(metavar="NAME", help="Print the model card of this one, or of a model folder.")
    ] = None,
) -> None:
    """List the models that can be run, or print the card of one."""
    from siamtrack.library import model_names, settings_of
    from siamtrack.model_folder import read_model_folder

    if card is not None:
        _print_card(card)
        return
    table = _table("name", "weights", "masks", "scales", "int8", "size", "licence")
    for entry in model_names().values():
        folder = read_model_folder(entry.folder)
        size = sum(path.stat().st_size for path in entry.folder.iterdir()) / 1e6
        int8 = "yes" if folder.has_int8 else "no"
        masks = "yes" if folder.has_masks else "no"
        scales = str(settings_of(entry.name).get("scales", "-"))
        table.add_row(entry.name, entry.folder.name, masks, scales, int8, f"{size:.1f} MB", folder.description.licence)
    console.print(table)
    console.print(f"Use one with --model NAME; without, it is {DEFAULT_MODEL}.")
    console.print("'siamtrack models --card NAME' says what it was made of and what it can do.")
    console.print("A model of your own is a folder that 'siamtrack export' made: --model FOLDER.")


def _print_card(name: str) -> None:
    from rich.markdown import Markdown

    from siamtrack.library import find_model

    # not soft-wrapped: a card is text to be read
    Console(highlight=False).print(Markdown(find_model(name)[0].description.card))


def recipes(
    show: Annotated[str | None, typer.Option(metavar="NAME", help="Print this one, as a file to begin your own with.")] = None,
) -> None:
    """List the recipes that networks are trained with, or print one: 'siamtrack train RECIPE'."""
    from siamtrack.library import recipe_names, recipe_path, recipe_summary

    if show is None:
        table = _table("name", "what it trains")
        for name in recipe_names():
            table.add_row(name, escape(recipe_summary(name)))
        table.columns[1].overflow = "fold"  # paths, which an ellipsis would cut
        Console(highlight=False).print(table)  # not soft-wrapped, as the cards
        console.print("'siamtrack recipes --show NAME' prints one; a file of your own is trained by its path.")
    else:
        typer.echo(recipe_path(show).read_text("utf-8"), nl=False)


def bench(
    ctx: typer.Context,
    source: Annotated[
        str | None, typer.Argument(metavar="VIDEO", help="What to time on, as for 'track'.", show_default="a rendered one")
    ] = None,
    box: Annotated[
        list[str] | None, typer.Option("--box", "-b", metavar="X,Y,W,H", help="Target in its first frame. Repeat for more.")
    ] = None,
    targets: Annotated[int, typer.Option(metavar="N", min=1, max=64, help="How many, in the rendered video.")] = 1,
    frames: Annotated[int, typer.Option(metavar="N", min=3, help="How many to time.")] = 60,
    size: Annotated[str, typer.Option(metavar="WxH", help="Of the rendered video, pixels.")] = "1280x720",
    model: options.Model = DEFAULT_MODEL,
    threads: options.Threads = None,
    overrides: options.Overrides = None,
    every: Annotated[bool, typer.Option("--all", metavar="", help="What every model costs, published networks, too.")] = False,
    only: Annotated[
        str | None, typer.Option("--models", metavar="PATTERN", help="With --all: only models with such a name: 'siamrpn*'.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="With --all: write the table here, too; .csv or .md.")
    ] = None,
) -> None:
    """Time the loop stage by stage on every runtime, side by side in one run.

    Everything is in milliseconds a frame. With several targets, the default runtime also follows them one after the other,
    and the last line says what one batch for all of them gains.

    With --all: parameters, multiply-adds and milliseconds of every model, embedded and published, with one target. Ctrl-C keeps
    the models that are done.
    """
    if every:
        _bench_all(ctx, only or "*", frames, size, threads, out)
        return
    if only is not None or out is not None:
        raise SettingsError("--models and --out belong to --all; add it, or leave them out.")
    from siamtrack.bench import run_bench
    from siamtrack.stages import STAGES

    report = run_bench(
        model=model,
        source=None if source is None else options.frames_place(source),
        boxes=options.parsed_boxes(box or ()),
        targets=targets,
        frames=frames,
        size=size,
        threads=threads,
        overrides=overrides or (),
        watch=with_progress,
    )
    table = _table("runtime", *STAGES, "all", "frames/s", "speed", numbers=True)
    for row in report.rows:
        table.add_row(*row)
    console.print(table)
    for line in report.notes:
        console.print(line)


def _bench_all(ctx: typer.Context, pattern: str, frames: int, size: str, threads: int | None, out: Path | None) -> None:
    """Prints what the models cost, and writes it after each of them."""
    typed = [text for name, text in OF_ONE_MODEL.items() if (s := ctx.get_parameter_source(name)) and s.name == "COMMANDLINE"]
    if typed:
        raise SettingsError(f"--all times every model on a rendered video with one target; leave out {', '.join(typed)}.")
    if out is not None and out.suffix not in (".csv", ".md"):
        raise OutputError(f"'{out}' has the ending '{out.suffix}'; the table is written as .csv or .md: {out.stem}.csv")
    require(TO_EXPORT, "Timing published networks")
    from siamtrack.cost import costs, notes_on, table_of
    from siamtrack.output_paths import check_path
    from siamtrack.synthetic.made_folder import write_text

    if out is not None:
        check_path(out)
    measured: list[Cost] = []
    try:
        for cost in costs(pattern, frames=frames, size=size, threads=threads, watch=_watch_model):
            measured.append(cost)
            if out is not None:
                table = table_of(measured)
                write_text(out, table.csv() if out.suffix == ".csv" else table.markdown())
    finally:  # Ctrl-C, too
        if measured:
            _print_wide(table_of(measured))
            console.print("\n".join(notes_on(measured)))


def _watch_model(frames: Iterable[Frame], total: int, name: str) -> Iterable[Frame]:
    Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(f"timing: {name}")
    return with_progress(frames, total)


def _print_wide(table: Costs) -> None:
    drawn = _table(*(heading.replace(" ", "\n") for heading in table.columns), numbers=True)
    for row in table.texts:
        drawn.add_row(*row)
    print_whole(console, drawn)


def doctor() -> None:
    """Say what is installed and what would make tracking faster."""
    from siamtrack.doctor import examine

    findings = examine()
    table = _table("what", "found")
    for what, found in findings.facts:
        table.add_row(what, found)
    console.print(table)
    for advice in findings.advice:
        console.print(f"- {advice}")


def _table(*columns: str, numbers: bool = False) -> Table:
    """A table that fits 80 columns; with `numbers`, all columns but the first are right-aligned."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if numbers and number else "left")
    return table
