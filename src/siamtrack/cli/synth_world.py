"""The command that draws worlds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from siamtrack.cli.interrupts import stoppable
from siamtrack.cli.progress import with_progress
from siamtrack.cli.synth import Seed, console, given, in_file, sides

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from siamtrack.synthetic.world import World

LAYOUTS = ("otb", "vot", "vot-lt", "vot-masks", "davis", "video")


def world(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="For the sequences; one that was begun goes on.")],
    layout: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="otb, vot, vot-lt, vot-masks (since VOT2020), davis, or video: NAME.mp4 beside NAME.csv, boxes.",
        ),
    ] = "otb",
    sequences: Annotated[int, typer.Option(metavar="N", min=1, help="How many; more are added to those there are.")] = 20,
    frames: Annotated[int, typer.Option(metavar="N", min=2, help="Length of each.")] = 100,
    size: Annotated[str, typer.Option(metavar="WxH", help="Of a frame, pixels.")] = "640x360",
    pictures: Annotated[
        list[Path] | None,
        typer.Option(metavar="FOLDER", help="Cut-outs, and stills for grounds, to use in place of drawn ones. Repeatable."),
    ] = None,
    seed: Seed = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting of the world: exits=0.5. Repeatable."),
    ] = None,
) -> None:
    """Draw moving scenes with exact boxes, masks and visibility, as a benchmark data set.

    Objects with alpha move, turn, deform, grow, leave the view, hide each other and meet look-alikes before a camera that
    moves. The same seed draws the same scenes. Scenes without a target in full view in the first frame are left out.
    """
    from siamtrack.errors import SettingsError, nearest
    from siamtrack.synthetic.made_folder import counted
    from siamtrack.synthetic.world_sequences import scenes_left_out

    if layout not in LAYOUTS:
        raise SettingsError(f"There is no layout '{layout}'. {nearest(layout, LAYOUTS)}")
    chosen = _world(size, pictures or (), seed, overrides or ())
    with stoppable(f"The sequences that are finished are kept in {out}; the same command goes on."):
        names = list(with_progress(_written(chosen, out, layout, sequences, frames), sequences))
    left_out = scenes_left_out(names)
    passed = f" {counted(left_out, 'scene')} without a target in full view in the first frame left out." if left_out else ""
    width, height = chosen.settings.width, chosen.settings.height
    grown = in_file(width, height) if layout == "video" else ""
    held = f"{counted(sequences, 'sequence')} of {frames} frames, {width}x{height}{grown}"
    console.print(f"{out} holds {held}, in the layout {layout}.{passed}")


def _world(size: str, pictures: Sequence[Path], seed: int | None, overrides: Sequence[str]) -> World:
    from siamtrack.settings import with_overrides
    from siamtrack.synthetic.material import find_material
    from siamtrack.synthetic.supply import BuiltIn, Pictured
    from siamtrack.synthetic.world import World
    from siamtrack.synthetic.world_settings import WorldSettings

    width, height = sides(size)
    settings = with_overrides(WorldSettings(width=width, height=height), overrides)
    return World(settings, Pictured(find_material(pictures)) if pictures else BuiltIn(), **given(seed=seed))


def _written(world: World, out: Path, layout: str, sequences: int, frames: int) -> Iterator[str]:
    """The names of the sequences as they are there."""
    from dataclasses import asdict

    from siamtrack.synthetic.benchmark_folders import DAVIS, OTB, VOT, write_benchmark
    from siamtrack.synthetic.world_sequences import world_sequences, write_videos

    content = {
        "world": asdict(world.settings),
        "pictures": world.supply.digest(),
        "seed": world.seed,
        "frames": frames,
        "sequences": sequences,
    }
    drawn = world_sequences(world, sequences, frames)
    if layout == "video":
        return write_videos(out, drawn, content=content)
    layouts = {"otb": OTB(), "vot": VOT(), "vot-lt": VOT("rectangle"), "vot-masks": VOT("mask"), "davis": DAVIS()}
    return write_benchmark(out, layouts[layout], drawn, content=content)
