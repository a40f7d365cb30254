"""`siamtrack experiment NAME`: published experiments, and what parts of the procedure bring, each by one command."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from siamtrack.cli import options
from siamtrack.cli.interrupts import stoppable
from siamtrack.cli.make import TO_TRAIN, require

if TYPE_CHECKING:
    from siamtrack.experiments.following import Watch
    from siamtrack.experiments.report import Table
    from siamtrack.experiments.squares_training import Effort
    from siamtrack.frames import Frame

console = Console(highlight=False, markup=False, soft_wrap=True)

Out = Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="For tables, plots and report; one begun goes on.")]
Quick = Annotated[bool, typer.Option("--quick", metavar="", help="Minutes on two cores instead of the published days.")]
Seed = Annotated[int, typer.Option(metavar="N", min=0, help="Of training and rendered videos.")]
SeedOfVideos = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Of the rendered videos.")]
Device = Annotated[str, typer.Option(metavar="NAME", help="For training: cpu, cuda, or auto: a GPU where there is one.")]
Workers = Annotated[int, typer.Option(metavar="N", min=0, help="For training: processes that make pairs.")]
Model = Annotated[
    str, typer.Option("--model", "-m", metavar="NAME", help="Of siamfc: model, model folder, or folder of a training run.")
]
Videos = Annotated[Path | None, typer.Option(metavar="FOLDER", help="Annotated videos to track, too: NAME/groundtruth.txt.")]


def thesis_1(
    out: Out,
    quick: Quick = False,
    seed: Seed = 0,
    overrides: options.RecipeOverrides = None,
    device: Device = "auto",
    workers: Workers = 1,
) -> None:
    """Train on squares, track a square in steps of up to 4 px (thesis: 1.70 px).

    S. Sanchez, Siamese Networks for Visual Object Tracking, 2019, experiment 1.
    """
    effort = _effort(quick, seed, overrides, device, workers)
    from siamtrack.experiments.thesis_1 import run_thesis_1

    _show(lambda: run_thesis_1(out, effort, watch=_watch()), out)


def thesis_2(
    out: Out,
    model: Model = "siamfc",
    seed: SeedOfVideos = 0,
    device: Annotated[str, typer.Option(metavar="NAME", help="For a training run as the model: cpu, cuda or auto.")] = "auto",
) -> None:
    """Track the same square with a model that has learnt from real pictures (thesis: 4.19 px)."""
    require(TO_TRAIN, "An experiment")
    from siamtrack.experiments.thesis_2 import run_thesis_2

    _show(lambda: run_thesis_2(out, model=model, seed=seed, device=device, watch=_watch()), out)


def thesis_3(
    out: Out,
    trained: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Of thesis-1, or of a finished run.", show_default="train one")
    ] = None,
    model: Model = "siamfc",
    videos: Videos = None,
    quick: Quick = False,
    seed: Seed = 0,
    overrides: options.RecipeOverrides = None,
    device: Device = "auto",
    workers: Workers = 1,
) -> None:
    """Compare both trackers in steps of up to 4, 16 and 32 px, and on real videos."""
    if trained and (overrides or quick):
        from siamtrack.errors import SettingsError

        changes = "--set" if overrides else "--quick"
        raise SettingsError(f"{changes} changes a training, and with --trained there is none; leave out one of the two.")
    effort = _effort(quick, seed, overrides, device, workers)
    from siamtrack.experiments.thesis_3 import Compared, run_thesis_3

    _show(lambda: run_thesis_3(out, effort, Compared(trained, model, videos), watch=_watch()), out)


def data_size(
    out: Out,
    data: Annotated[
        list[str], typer.Option(metavar="NAME=PATH", help="Annotated videos to learn from: folder=my-videos. Repeatable.")
    ],
    videos: Annotated[Path, typer.Option(metavar="FOLDER", help="Other annotated videos to track: NAME/groundtruth.txt.")],
    quick: Quick = False,
    seed: Seed = 0,
    overrides: options.RecipeOverrides = None,
    device: Device = "auto",
    workers: Workers = 1,
) -> None:
    """Train on 2, 4, 8, 16, 32 and 100 % of a data set's videos (SiamFC paper).

    NAME is a data set as for 'train'. Shares that come out as the same number of videos are trained on once.
    """
    effort = _effort(quick, seed, overrides, device, workers)
    from siamtrack.experiments.data_size import run_data_size
    from siamtrack.training.sources import parsed_places

    places = parsed_places(data)
    _show(lambda: run_data_size(out, effort, data=places, videos=videos, watch=_watch()), out)


def scales(
    out: Out,
    videos: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Annotated videos: NAME/groundtruth.txt.", show_default="rendered scenes"),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", metavar="", help="Two scenes or all videos, 40 frames of each.")] = False,
    seed: SeedOfVideos = 0,
) -> None:
    """Compare 1, 3 and 5 scales: accuracy against speed."""
    require(("matplotlib", "tomli_w"), "An experiment")
    from siamtrack.experiments.scales import run_scales

    _show(lambda: run_scales(out, videos=videos, quick=quick, seed=seed, watch=_watch()), out)


def losses(
    out: Out,
    videos: Videos = None,
    quick: Quick = False,
    seed: Seed = 0,
    overrides: options.RecipeOverrides = None,
    device: Device = "auto",
    workers: Workers = 1,
) -> None:
    """Train with each of the four losses on the same pairs."""
    effort = _effort(quick, seed, overrides, device, workers)
    from siamtrack.experiments.losses import run_losses

    _show(lambda: run_losses(out, effort, videos=videos, watch=_watch()), out)


Pictures = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FOLDER",
        help="Stills and cut-outs: scenes are made of the twentieth that training holds out. Repeatable.",
        show_default="drawn textures and shapes",
    ),
]
WithHead = Annotated[str, typer.Option("--model", "-m", metavar="NAME", help="Model or model folder, with an RPN head.")]
OfTracker = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Of the tracker: long_term.low=0.5. Repeatable.")
]
FewScenes = Annotated[bool, typer.Option("--quick", metavar="", help="Fewer and shorter scenes.")]


def long_term(
    out: Out,
    model: WithHead,
    pictures: Pictures = None,
    quick: FewScenes = False,
    seed: SeedOfVideos = 0,
    overrides: OfTracker = None,
) -> None:
    """Search for lost targets in scenes that they leave: F-score with and without."""
    _world_procedure("long-term", out, model, pictures, quick, seed, overrides)


def look_alikes(
    out: Out,
    model: WithHead,
    pictures: Pictures = None,
    quick: FewScenes = False,
    seed: SeedOfVideos = 0,
    overrides: OfTracker = None,
) -> None:
    """Follow targets that their double comes across: identity switches with memory, courses and colours of look-alikes."""
    _world_procedure("look-alikes", out, model, pictures, quick, seed, overrides)


def _world_procedure(
    name: str, out: Path, model: str, pictures: list[Path] | None, quick: bool, seed: int, overrides: list[str] | None
) -> None:
    require(("matplotlib", "tomli_w"), "An experiment")
    from siamtrack.experiments.world_procedures import RUNS, Trying

    trying = Trying(model=model, pictures=tuple(pictures or ()), overrides=tuple(overrides or ()), quick=quick, seed=seed)
    _show(lambda: RUNS[name](out, trying, watch=_watch()), out)


COMMANDS: Mapping[str, Callable[..., None]] = {
    "thesis-1": thesis_1,
    "thesis-2": thesis_2,
    "thesis-3": thesis_3,
    "data-size": data_size,
    "scales": scales,
    "losses": losses,
    "long-term": long_term,
    "look-alikes": look_alikes,
}
"""The commands by name."""


def _effort(quick: bool, seed: int, overrides: list[str] | None, device: str, workers: int) -> Effort:
    require(TO_TRAIN, "An experiment")
    from siamtrack.experiments.squares_training import Effort

    return Effort(quick=quick, seed=seed, overrides=tuple(overrides or ()), device=device, workers=workers)


def _watch() -> Watch:
    from siamtrack.cli.progress import with_progress

    def watch(frames: Iterable[Frame], total: int, text: str) -> Iterable[Frame]:
        Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(f"tracking: {text}")
        return with_progress(frames, total)

    return watch


def _show(experiment: Callable[[], Table], out: Path) -> None:
    """Runs the experiment and prints its table."""
    from rich import box
    from rich.table import Table as Drawn

    with stoppable(
        f"What was finished, and trainings up to their last checkpoint, is kept in {out}; the same command goes on."
    ):
        table = experiment()
    lines = [list(table.columns), *table.texts]
    if len(table.columns) > len(table.rows):  # a terminal is high rather than wide
        lines = [list(line) for line in zip(*lines, strict=True)]
    drawn: Any = Drawn(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for number, heading in enumerate(lines[0]):
        drawn.add_column(heading, justify="right" if number else "left", overflow="fold", no_wrap=not number)
    for line in lines[1:]:
        drawn.add_row(*line)
    console.print(drawn)
    console.print(f"Read {out / 'report.md'}.")
