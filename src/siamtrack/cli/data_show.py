"""`siamtrack data show`: training pairs to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from siamtrack.cli import options

console = Console(highlight=False, markup=False, soft_wrap=True)


def show(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="TOML file, or one of 'siamtrack recipes'.")],
    data: Annotated[
        list[str], typer.Option(metavar="NAME=PATH", help="Data set and its folder, or its crops, as for 'train'. Repeatable.")
    ],
    out: options.OutFile = Path("pairs.png"),
    pairs: Annotated[int, typer.Option(metavar="N", min=1, max=400, help="So many.")] = 12,
    first: Annotated[int, typer.Option(metavar="N", min=0, help="Number of the first pair.")] = 0,
    validation: Annotated[bool, typer.Option("--validation", help="Of the held-out clips and pictures.")] = False,
    augmentation: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="This one alone at full strength, or 'each' for two pairs of every one."),
    ] = None,
    overrides: options.RecipeOverrides = None,
) -> None:
    """Draw the pairs that a recipe trains with: template, search patch, the target's box, and the labels.

    Red cells of the score map are labelled as the target, blue ones as background. Augmentations: stretch, translation,
    scale, colour, grey, blur, light, motion-blur, noise, jpeg, rotation, perspective, occluder, look-alikes, flip.
    """
    from siamtrack.cli.make import TO_TRAIN, require

    require(TO_TRAIN, "Drawing training pairs")
    from dataclasses import replace

    from siamtrack.draw import save_image
    from siamtrack.errors import SettingsError, nearest
    from siamtrack.output_paths import check_picture_path
    from siamtrack.training.augment import AUGMENTATIONS
    from siamtrack.training.pair_sheet import pair_sheet
    from siamtrack.training.recipes import read_recipe
    from siamtrack.training.sources import open_data, parsed_places

    check_picture_path(out)
    settings = read_recipe(recipe, overrides or ())
    kinds = {None: {"": settings.augment}, "each": AUGMENTATIONS}.get(augmentation)
    if kinds is None:
        if augmentation not in AUGMENTATIONS:
            known = [*AUGMENTATIONS, "each"]
            raise SettingsError(f"Unknown augmentation '{augmentation}'. {nearest(str(augmentation), known)}")
        kinds = {augmentation: AUGMENTATIONS[augmentation]}
    opened = open_data(parsed_places(data), settings.crops)
    count = 2 if augmentation == "each" else pairs
    drawn = []
    for name, augment in kinds.items():
        source = opened.pairs(replace(settings, augment=augment), "validation" if validation else "training")
        drawn += [(f"{name} {number}".strip(), source[number]) for number in range(first, first + count)]
    save_image(out, pair_sheet(drawn))
    for text in dict.fromkeys(text for _, pair in drawn for text in pair.skipped):
        console.print(f"Skipped: {text}")
    console.print(f"{len(drawn)} pairs in {out}. " + ", ".join(opened.describe()) + ".")
