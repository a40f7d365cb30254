"""Small networks for the figures of the papers that no embedded model is of, trained on drawn worlds alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from siamtrack.training.loop import train
from siamtrack.training.recipe import Recipe
from siamtrack.training.recipes import read_recipe
from siamtrack.training.sources import TrainingData, open_data, parsed_places

SHIFTS = (0, 16, 64)  # px, as in the SiamRPN++ paper
_SHIFTED = ("epochs=4", "sampling.crop_size=383")
_SIAMDW = ("epochs=6",)


def shifted(runs: Path, shift: int) -> tuple[Any, Recipe, TrainingData]:
    """A SiamRPN++ whose training targets lay within so many pixels of the middle; trained where that run is not there."""
    return _trained(runs / f"siamrpnpp-shift-{shift}", "siamrpnpp-small", [*_SHIFTED, f"augment.translation={shift}"])


def siamdw(runs: Path) -> Any:
    """SiamFC on a narrow CIResNet22."""
    return _trained(runs / "siamdw", "siamdw-small", _SIAMDW)[0]


def _trained(folder: Path, name: str, overrides: Sequence[str]) -> tuple[Any, Recipe, TrainingData]:
    recipe = read_recipe(name, overrides)
    data = open_data(parsed_places(["world"]), recipe.crops)
    return train(recipe, data, folder), recipe, data
