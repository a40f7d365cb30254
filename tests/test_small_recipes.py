"""The small recipes: they train on drawn worlds alone, in minutes, and say so."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from training_runs import rows

from siamtrack.training.loop import train
from siamtrack.training.recipes import read_recipe
from siamtrack.training.sources import TrainingData, WorldData

SMALL = ("siamrpn-small", "siamrpnpp-small", "siamdw-small", "siamdw-rpn-small", "nanotrack-small", "siammask-resnet18")
every_recipe = pytest.mark.parametrize("name", SMALL)


def losses(run: Path) -> list[float]:
    """Of every logged step, and of the validation after each epoch."""
    return [float(value) for row in rows(run, "loss", "validation_loss") for value in row.values() if value]


@pytest.mark.slow
@every_recipe
def test_a_small_recipe_trains_two_short_epochs(tmp_path: Path, name: str) -> None:
    """Everything as in the recipe, sizes and precision too, but for the number of pairs."""
    cut = ("epochs=2", "pairs_per_epoch=32", "validation_pairs=16", "log_steps=1")
    train(read_recipe(name, cut), TrainingData(world=WorldData()), tmp_path / "run", workers=0)
    found = losses(tmp_path / "run")
    assert len(found) == 2 * 2 + 2
    assert all(math.isfinite(loss) for loss in found)


@pytest.mark.long
@every_recipe
def test_a_small_recipe_learns_in_two_epochs(tmp_path: Path, name: str) -> None:
    """The recipe as it is, for two of its epochs."""
    recipe = read_recipe(name, ["epochs=2"])
    train(recipe, TrainingData(world=WorldData()), tmp_path / "run", workers=2)
    found = [float(row["loss"]) for row in rows(tmp_path / "run", "loss")]
    assert all(math.isfinite(loss) for loss in losses(tmp_path / "run"))
    tenth = max(1, len(found) // 10)
    print(f"{name}: loss {sum(found[:tenth]) / tenth:.3f} at first, {sum(found[-tenth:]) / tenth:.3f} at last")
    assert sum(found[-tenth:]) < 0.9 * sum(found[:tenth])
