"""What the commands on benchmarks share: options, and opening a benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from siamtrack.datasets.benchmark import Benchmark, BenchmarkSequence

notes = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)

Given = Annotated[list[Path], typer.Argument(metavar="RESULTS", help="Folders of results: of one tracker, or of several.")]
BenchmarkName = Annotated[
    str, typer.Option("--benchmark", metavar="NAME", help="Such as otb100, vot2018 or davis2017; plain is your own clips.")
]
Root = Annotated[Path, typer.Option("--root", metavar="FOLDER", help="That the benchmark was unpacked to.")]
Preset = Annotated[
    str | None, typer.Option(metavar="NAME", help="Tool whose numbers to give.", show_default="the benchmark's own")
]
Protocol = Annotated[
    str | None, typer.Option(metavar="NAME", help="Take runs of this one only.", show_default="first of the benchmark's")
]
Names = Annotated[str | None, typer.Option("--sequences", metavar="A,B", help="Take only these.", show_default="all of them")]
FirstPixel = Annotated[
    int | None,
    typer.Option(metavar="0|1", min=0, max=1, help="In files of others.", show_default="as in the benchmark's files"),
]
Partial = Annotated[
    bool, typer.Option("--partial", metavar="", help="Score the sequences that are there and that all results have.")
]
Published = Annotated[bool, typer.Option("--published", metavar="", help="Add published scores as reference rows.")]


def opened(name: str, root: Path, sequences: str | None, *, partial: bool = False) -> tuple[Benchmark, list[BenchmarkSequence]]:
    """A benchmark and its sequences, by what was typed; with `partial` those that the folder has, which is told.

    Raises:
        InputError: see `open_benchmark`.
    """
    from siamtrack.datasets.benchmark import counted
    from siamtrack.datasets.benchmark_folders import PartError
    from siamtrack.library import open_benchmark

    names = [one.strip() for one in sequences.split(",")] if sequences else None
    try:
        return open_benchmark(name, root, names)
    except PartError as error:
        if not partial or names or not error.present:
            raise
        there = counted(len(error.present), "sequence")
        notes.print(f"Note: The folder '{root}' has {there} of the benchmark; these are scored.")
        return open_benchmark(name, root, error.present)
