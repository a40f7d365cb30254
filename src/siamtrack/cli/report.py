"""`siamtrack report`: results of several trackers on a benchmark as one page to read and put on the web."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from siamtrack.cli import benchmark_options as options
from siamtrack.cli.benchmark_options import notes, opened

if TYPE_CHECKING:
    from siamtrack.evaluation.report import Report

console = Console(highlight=False, markup=False, soft_wrap=True)

Out = Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Page to write.")]
Strips = Annotated[int, typer.Option(metavar="N", min=0, help="Sequences that get pictures, those with the lowest overlap.")]
Figures = Annotated[Path | None, typer.Option(metavar="FOLDER", help="Write every figure there, too.", show_default=False)]
Format = Annotated[
    str | None, typer.Option("--format", metavar="A,B", help="Of --figures: png, svg or pdf.", show_default="png")
]
Tables = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="Write every table there, as CSV, Markdown and LaTeX.", show_default=False)
]


def report(
    results: options.Given,
    benchmark: options.BenchmarkName,
    root: options.Root,
    out: Out = Path("report.html"),
    preset: options.Preset = None,
    protocol: options.Protocol = None,
    sequences: options.Names = None,
    first_pixel: options.FirstPixel = None,
    partial: options.Partial = False,
    published: options.Published = False,
    strips: Strips = 30,
    figures: Figures = None,
    layout: Format = None,
    tables: Tables = None,
) -> None:
    """Make a page of results on a benchmark: tables, the plots of the papers, every sequence over time, the worst moments.

    The page is one file that needs no network. Results are found as by 'siamtrack compare'; those of several protocols,
    such as ope, tre and sre, become sections of one page.
    """
    from siamtrack.datasets.benchmark import counted
    from siamtrack.evaluation.published import reference_rows
    from siamtrack.evaluation.report import Report, build_report, save_text
    from siamtrack.evaluation.result_groups import find_groups, find_origins
    from siamtrack.output_paths import check_folder, check_path

    formats = _formats(layout, figures)
    check_path(out)
    for folder in (figures, tables):
        if folder is not None:
            check_folder(folder)
    found, wanted = opened(benchmark, root, sequences, partial=partial)
    groups = find_groups(results, found, wanted, preset=preset, protocol=protocol, first_pixel=first_pixel, partial=partial)
    for text in (text for group in groups for text in group.remarks):
        notes.print(f"Note: {text}")
    first = groups[0]
    references = reference_rows(found, protocol=first.protocol, sequences=len(first.sequences)) if published else ()
    made = Report(benchmark=found, groups=groups, published=references, origins=find_origins(results, found), strips=strips)
    save_text(out, build_report(made))
    _save_files(made, figures, formats, tables)
    on = found.part([sequence.name for sequence in first.sequences])
    console.print(f"{counted(len(made.styles), 'tracker')} on {on} in {out}, {out.stat().st_size / 1e6:.1f} MB.")


def _formats(layout: str | None, figures: Path | None) -> list[str]:
    from siamtrack.errors import SettingsError
    from siamtrack.evaluation.figures import check_formats

    if layout and figures is None:
        raise SettingsError("--format is that of the files that --figures FOLDER writes; give --figures, too.")
    formats = (layout or "png").split(",")
    check_formats(formats)
    return formats


def _save_files(made: Report, figures: Path | None, formats: list[str], tables: Path | None) -> None:
    from siamtrack.datasets.benchmark import counted
    from siamtrack.evaluation.figures import save_plots
    from siamtrack.evaluation.report import save_tables

    if figures is not None:
        paths = save_plots([plot for group in made.groups for plot in made.plots(group)], figures, formats)
        console.print(f"{counted(len(paths), 'figure')} in {figures}.")
    if tables is not None:
        console.print(f"{counted(len(save_tables(made, tables)), 'table')} in {tables}.")
