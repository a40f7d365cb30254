"""`siamtrack compare`: results of several trackers on a benchmark, ours and those that others have published, in one table."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from siamtrack.cli import benchmark_options as options
from siamtrack.cli.benchmark_options import notes, opened

if TYPE_CHECKING:
    from siamtrack.datasets.benchmark import Benchmark
    from siamtrack.evaluation.tables import Table

console = Console(highlight=False, markup=False, soft_wrap=True)
STYLES = ("bold", "underline", "italic")  # best, second, third

By = Annotated[str | None, typer.Option(metavar="NAME", help="attribute or sequence: a row for each.", show_default="tracker")]
MeasureKey = Annotated[
    str | None, typer.Option(metavar="NAME", help="Number of --by: auc, precision, ...", show_default="main")
]
Format = Annotated[str, typer.Option("--format", metavar="NAME", help="table, csv, markdown or latex.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write the table here.", show_default="print it")]


def compare(
    results: options.Given,
    benchmark: options.BenchmarkName,
    root: options.Root,
    preset: options.Preset = None,
    protocol: options.Protocol = None,
    sequences: options.Names = None,
    first_pixel: options.FirstPixel = None,
    partial: options.Partial = False,
    published: options.Published = False,
    by: By = None,
    measure: MeasureKey = None,
    layout: Format = "table",
    out: Out = None,
) -> None:
    """Score results of trackers on a benchmark, under the rules of one tool, and rank them.

    Results are folders that 'siamtrack evaluate' wrote, or raw results of others: OTB, LaSOT, UAV123, GOT-10k, VOT,
    TrackingNet, PySOT, DAVIS and YouTube-VOS layouts are found without being told. The best three are marked.
    """
    from siamtrack.errors import SettingsError, nearest
    from siamtrack.evaluation.published import reference_rows
    from siamtrack.evaluation.result_groups import protocols_in, read_group
    from siamtrack.evaluation.tables import WRITERS, parts_table, ranking_table
    from siamtrack.output_paths import check_path

    if layout not in WRITERS:
        raise SettingsError(f"There is no table format '{layout}'. {nearest(layout, WRITERS)}")
    if by and published:
        raise SettingsError("Published scores are those of whole benchmarks; leave out --published or --by.")
    if measure and not by:
        raise SettingsError("--measure is the number that --by lists; give --by attribute or --by sequence, too.")
    if out is not None:
        check_path(out)
    found, wanted = opened(benchmark, root, sequences, partial=partial)
    chosen = protocol or protocols_in(results[0], found)[0]
    group = read_group(results, found, wanted, protocol=chosen, preset=preset, first_pixel=first_pixel, partial=partial)
    for text in [*group.remarks, *_left_out(results, found, chosen, group.results)]:
        notes.print(f"Note: {text}")
    references = reference_rows(found, protocol=chosen, sequences=len(group.sequences)) if published else []
    _give(parts_table(group.scores, by, measure) if by else ranking_table(group.scores, references), layout, out)


def _left_out(folders: Sequence[Path], benchmark: Benchmark, protocol: str, compared: Collection[str]) -> list[str]:
    """A line for each tracker that was run under other protocols only: scores of two are never in one table."""
    from siamtrack.evaluation.foreign import results_on

    others: dict[str, list[str]] = {}
    for one in (one for folder in folders for one in results_on(folder, benchmark) if one.tracker not in compared):
        others.setdefault(one.tracker, []).append(str(one.protocol))
    return [
        f"{name} is left out: it has results under {', '.join(found)}, not '{protocol}'."
        for name, found in others.items()
        if protocol not in found
    ]


def _give(table: Table, layout: str, out: Path | None) -> None:
    from siamtrack.datasets.benchmark import counted
    from siamtrack.errors import OutputError
    from siamtrack.evaluation.tables import WRITERS

    if out is None and layout == "table":
        _show(table)
        return
    text = WRITERS[layout](table)
    if out is None:
        console.print(text, end="")
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"'{out}' cannot be written: {error.strerror or error}.") from None
    notes.print(f"{counted(len(table.rows), 'row')} in {out}.")


def _show(table: Table) -> None:
    from rich import box
    from rich.table import Table as Shown
    from rich.text import Text

    from siamtrack.cli.whole_table import print_whole
    from siamtrack.evaluation.tables import heading_of, sources_of, text_of

    shown = Shown(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    shown.add_column(table.heading, no_wrap=True)
    for column in table.columns:
        shown.add_column(column.label, justify="right", no_wrap=True)
    for i, row in enumerate(table.rows):
        cells = [Text(row.label)]
        for j, (value, column) in enumerate(zip(row.values, table.columns, strict=True)):
            place = table.place(i, j)
            cells.append(Text(text_of(value, column), style="" if place is None else STYLES[place]))
        shown.add_row(*cells)
    console.print(table.title)
    console.print(heading_of(table))
    print_whole(console, shown)
    for line in sources_of(table):
        console.print(line)
