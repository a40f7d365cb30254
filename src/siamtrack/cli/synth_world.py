"""The command that draws worlds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from siamtrack.cli.progress import with_progress
from siamtrack.cli.synth import Seed, console, given, sides

LAYOUTS = ("otb", "vot", "davis", "video")


def world(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="For the sequences; one that was begun goes on.")],
    layout: Annotated[str, typer.Option(metavar="NAME", help="otb, vot, davis, or video: NAME.mp4 beside NAME.csv.")] = "otb",
    sequences: Annotated[int, typer.Option(metavar="N", min=1, help="How many.")] = 20,
    frames: Annotated[int, typer.Option(metavar="N", min=2, help="Length of each.")] = 100,
    size: Annotated[str, typer.Option(metavar="WxH", help="Of a frame, pixels.")] = "640x360",
    pictures: Annotated[
        list[Path] | None,
        typer.Option(metavar="FOLDER", help="Stills and cut-outs to use in place of drawn ones. Repeatable."),
    ] = None,
    seed: Seed = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting of the world: exits=0.5. Repeatable."),
    ] = None,
) -> None:
    """Draw moving scenes with exact boxes, masks and visibility, as a benchmark data set.

    Objects with alpha move, turn, deform, grow, leave the view, hide each other and meet look-alikes before a camera that
    moves. The same seed draws the same scenes.
    """
    from dataclasses import asdict

    from siamtrack.errors import SettingsError, nearest
    from siamtrack.settings import with_overrides
    from siamtrack.synthetic.benchmark_folders import DAVIS, OTB, VOT, write_benchmark
    from siamtrack.synthetic.material import find_material
    from siamtrack.synthetic.supply import BuiltIn, Pictured
    from siamtrack.synthetic.world import World
    from siamtrack.synthetic.world_sequences import world_sequences, write_videos
    from siamtrack.synthetic.world_settings import WorldSettings

    if layout not in LAYOUTS:
        raise SettingsError(f"There is no layout '{layout}'. {nearest(layout, LAYOUTS)}")
    width, height = sides(size)
    settings = with_overrides(WorldSettings(width=width, height=height), overrides or ())
    supply = Pictured(find_material(pictures)) if pictures else BuiltIn()
    chosen = World(settings, supply, **given(seed=seed))
    content = {
        "world": asdict(settings),
        "supply": supply.digest(),
        "seed": chosen.seed,
        "frames": frames,
        "sequences": sequences,
    }
    drawn = world_sequences(chosen, sequences, frames)
    if layout == "video":
        written = write_videos(out, drawn, content=content)
    else:
        written = write_benchmark(out, {"otb": OTB(), "vot": VOT(), "davis": DAVIS()}[layout], drawn, content=content)
    for _ in with_progress(written, sequences):
        pass
    console.print(
        f"{out} holds {sequences} sequences of {frames} frames, {settings.width}x{settings.height}, in the layout {layout}."
    )
