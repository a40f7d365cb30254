"""Commands for annotated data: is it whole, and its crops on disk for training."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

if TYPE_CHECKING:
    from rich.table import Table

    from siamtrack.datasets.check_summary import Totals

console = Console(highlight=False, markup=False, soft_wrap=True)
IN_PART = 1  # exit code: there is something that cannot be used

Place = Annotated[Path, typer.Argument(metavar="PATH", help="Folder of the data set.")]
Kind = Annotated[
    str | None, typer.Option("--as", metavar="NAME", help="Data set: got10k, coco, folder, ...", show_default="finds out")
]
Workers = Annotated[int | None, typer.Option(metavar="N", min=1, help="Processes.", show_default="one a core, at most 8")]


def check(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Folder of the data set, or of its crops.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FOLDER", help="For the results.", show_default="NAME-check")
    ] = None,
    kind: Kind = None,
    frames: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Decode at most so many frames a clip.", show_default="all annotated")
    ] = None,
    workers: Workers = None,
) -> None:
    """Read a data set from end to end and say what is wrong with it.

    Lists are written to FOLDER: clips.csv, findings.csv, check.jsonl, and crops.png to look at. The same command goes on with
    a check that was ended. Exit code 1: files cannot be read, or boxes cannot be used.
    """
    from siamtrack.datasets.check_run import run_check
    from siamtrack.datasets.check_summary import summarise
    from siamtrack.datasets.crop_store import StoredCrops, is_store
    from siamtrack.library import open_training_set

    source = StoredCrops(path) if is_store(path) else open_training_set(path, kind)
    out = out or Path(f"{path.resolve().name}-check")
    with _bar(len(source.names)) as advance:
        run_check(source, out, frames=frames, workers=workers or _cores(), watch=advance)
    totals = summarise(out)
    _print_totals(source.name, totals, out)
    if totals.faults:
        raise typer.Exit(IN_PART)


def crop(
    path: Place,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="For the crops; one that was begun goes on.")],
    kind: Kind = None,
    size: Annotated[int | None, typer.Option(metavar="PX", help="Side of a crop.", show_default="319")] = None,
    context: Annotated[
        float | None, typer.Option(metavar="SHARE", help="Margin around the target, of w + h.", show_default="0.5")
    ] = None,
    template_size: Annotated[
        int | None, typer.Option(metavar="PX", help="What target and margin take of it.", show_default="127")
    ] = None,
    every: Annotated[int, typer.Option(metavar="N", min=1, help="Of the annotated frames, keep one in so many.")] = 1,
    jpeg: Annotated[
        int | None,
        typer.Option(
            metavar="QUALITY", min=1, max=100, help="A fraction of the disk, not the same pixels.", show_default="PNG"
        ),
    ] = None,
    masks: Annotated[bool, typer.Option("--masks", help="Store the targets' masks, too: coco, davis, youtube_vos.")] = False,
    workers: Workers = None,
) -> None:
    """Cut the targets out of a data set once, so that training reads small pictures instead of frames.

    Train from them with --data NAME=FOLDER. The same command goes on with one that was ended, even by kill -9. 'siamtrack data
    check FOLDER' compares the hashes of all crops. Exit code 1: some frames could not be read; the others are there.
    """
    from siamtrack.datasets.crop_manifest import Storing
    from siamtrack.datasets.crop_store import read_manifest
    from siamtrack.datasets.crop_writing import Tally, write_crops
    from siamtrack.datasets.crops import CropSettings
    from siamtrack.library import open_training_set

    given = {"size": size, "context": context, "template_size": template_size}
    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    storing = Storing(crops=CropSettings(**chosen), jpeg=jpeg, every=every, masks=masks)
    source = open_training_set(path, kind)
    with _bar(len(source.names)) as advance:

        def watch(tally: Tally) -> None:
            advance(tally.clips, f"{tally.crops} crops")

        tally = write_crops(source, out, storing, workers=workers or _cores(), watch=watch)
    console.print(f"{out} holds {tally.crops} crops of {tally.clips} clips; this run cut {tally.cut}.")
    if unreadable := read_manifest(out)["unreadable"]:
        console.print(f"Could not be read: {len(unreadable)} frames or annotations, listed in {out / 'manifest.json'}:")
        for entry in unreadable[:10]:
            console.print(f"- {entry['reason']}")
        raise typer.Exit(IN_PART)


def _cores() -> int:
    return min(os.cpu_count() or 1, 8)


@contextmanager
def _bar(total: int) -> Iterator[Any]:
    """A function that takes how many clips are done, and a text; shown on the error stream where someone is looking."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    on = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=on, transient=True, disable=not on.is_terminal) as progress:
        task = progress.add_task("clips", total=total)
        yield lambda done, text="clips": progress.update(task, completed=done, description=text)


def _print_totals(name: str, totals: Totals, out: Path) -> None:
    from siamtrack.datasets.check import FAULTS

    table = _table("what", name)
    sizes = [f"{size} ({count})" for size, count in list(totals.frame_sizes.items())[:3]]
    more = len(totals.frame_sizes) - len(sizes)
    rows: list[tuple[str, object]] = [
        ("clips", totals.clips),
        ("targets", totals.targets),
        ("frames", totals.frames),
        ("frames with annotation", totals.annotated),
        ("frames decoded", totals.read),
        ("boxes", totals.boxes),
        ("boxes partly outside", totals.partly_outside),
        ("rows without target", totals.absent),
        ("frame sizes", ", ".join(sizes) + f" and {more} more" * (more > 0) or "-"),
    ]
    if totals.smallest is not None:
        text = f"{totals.smallest:.3g} / {totals.median:.3g} / {totals.largest:.4g} px"
        rows.append(("target size, least/median/most", text))
    for what, found in rows:
        table.add_row(what, str(found))
    console.print(table)
    for kind, count in totals.findings.items():
        console.print(f"{'FAULT ' if kind in FAULTS else 'remark'}  {kind}: {count}")
    for clip, finding in totals.listed:
        where = " ".join(part for part in (clip, finding.target, "" if finding.frame is None else f"#{finding.frame}") if part)
        console.print(f"- {where}: {finding.kind}: {finding.detail}")
    if totals.faults > len(totals.listed):
        console.print(f"... and {totals.faults - len(totals.listed)} more in {out / 'findings.csv'}")
    verdict = "No fault was found." if not totals.faults else f"{totals.faults} {'fault' if totals.faults == 1 else 'faults'}."
    look = f" Look at {out / 'crops.png'};" if (out / "crops.png").is_file() else ""
    console.print(f"{verdict}{look} lists are in {out}.")


def _table(*columns: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column)
    return table
