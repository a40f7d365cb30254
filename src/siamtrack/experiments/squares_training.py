"""Training on the thesis's squares, as published or within minutes.

As published (S. Sanchez's thesis, 4.1.4, 4.1.6 and table 6): 2,000 groups of 250 pictures, 50 epochs of 53,200 pairs, batches
of 8, learning rate 1e-2, a tenth of it after 25 epochs, binary cross-entropy, float32, Xavier's initial weights, the epoch
with the lowest validation loss. The number of pairs is that of the SiamFC paper; the thesis does not say its own.

In minutes: the same, but for QUICK.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from siamtrack.datasets.crops import CropsOfFrames
from siamtrack.experiments.models import Opened, open_run
from siamtrack.experiments.overrides import flat
from siamtrack.experiments.videos import Video, origins
from siamtrack.models.siamfc import SiamFC
from siamtrack.settings import with_overrides
from siamtrack.synthetic.squares import Squares, SquaresSettings
from siamtrack.training.journal import RUN_LOG
from siamtrack.training.loop import train
from siamtrack.training.recipe import Recipe
from siamtrack.training.recipes import read_recipe
from siamtrack.training.sources import TrainingData

RECIPE = "siamfc-thesis"
QUICK = (
    "epochs=3",
    "drop_epochs=2",
    "pairs_per_epoch=1600",
    "validation_pairs=160",
    "precision=bfloat16",
    "log_steps=10",
    "augment.translation=32.0",
    "augment.flip=0.5",
)
"""What `--quick` changes in the recipe.

Targets lie up to 32 px beside the centre of the search patch, and not 3 as in the thesis, and pairs are mirrored half of the
time: after 4,800 pairs the mean signed error of the moving square is below 0.1 px with these two; it was 0.23 px to the left
with the thesis's augmentation (and Kaiming's initial weights). How it is after the thesis's 2.7 million has not been measured.
"""


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How an experiment is to be run."""

    quick: bool = False  # minutes instead of days
    seed: int = 0  # of training, squares and rendered videos
    overrides: Sequence[str] = ()  # of the recipe, "key=value"; stronger than all else
    device: str = "auto"  # for training
    workers: int = 1  # processes that make pairs


def recipe_of(effort: Effort, name: str = RECIPE, quick: Sequence[str] = QUICK) -> Recipe:
    """The recipe of that name, with what `--quick` changes, the seed, and the user's own settings, in this order.

    Raises:
        SettingsError: a setting is unknown or impossible.
    """
    recipe = read_recipe(name, quick if effort.quick else ())
    return with_overrides(replace(recipe, seed=effort.seed), effort.overrides)


def squares_of(effort: Effort) -> SquaresSettings:
    """Which squares are learnt from: as many as the thesis's, as none of them is stored."""
    return SquaresSettings(seed=effort.seed)


def squares_data(settings: SquaresSettings, recipe: Recipe) -> TrainingData:
    """The squares as the data of a run."""
    return TrainingData(crops=(CropsOfFrames(Squares(settings), recipe.crops),))


def train_in(folder: Path, recipe: Recipe, data: TrainingData, effort: Effort, *, initial: SiamFC | None = None) -> SiamFC:
    """Trains, or goes on with the run in that folder; one that is finished is read, not repeated.

    Args:
        folder: of the run.
        recipe: what is learnt, and how.
        data: see `siamtrack.training.loop.train`.
        effort: device and workers.
        initial: a network to begin with, in place of the weights that the library begins a network with.

    Returns:
        The network that the recipe selects.

    Raises:
        TrainingError: see `siamtrack.training.loop.train`.
    """
    network: SiamFC = train(recipe, data, folder, initial=initial, workers=effort.workers, device=effort.device)
    return network


def xavier(recipe: Recipe) -> SiamFC:
    """A new network with the initial weights of the thesis's code (sergi2596/pytorch-siamfc, `init_weights`).

    Kernels are uniform with variance 2 / (inputs + outputs) (Glorot, Bengio 2010), their biases 0.1, and the scales of batch
    norm normal around 1 with deviation 1.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = SiamFC(recipe.network)
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)
                nn.init.constant_(module.bias, 0.1)  # type: ignore[arg-type]
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight, mean=1.0)
    return network


def told(effort: Effort, recipe: Recipe) -> dict[str, Any]:
    """What decides a training run, as tables of TOML values."""
    return {"effort": {"quick": effort.quick, "seed": effort.seed, "device": effort.device}, "recipe": asdict(recipe)}


def settings_of_squares(name: str, effort: Effort, recipe: Recipe, videos: Sequence[Video]) -> dict[str, dict[str, object]]:
    """What decides an experiment that trains on squares."""
    squares = {"squares": asdict(squares_of(effort))}
    return {"experiment": {"name": name}} | told(effort, recipe) | squares | {"videos": origins(videos)}


def trained_on_squares(run: Path, recipe: Recipe, effort: Effort) -> Opened:
    """A tracker around the network that the run in that folder has learnt, or learns now, from squares and Xavier's weights."""
    train_in(run, recipe, squares_data(squares_of(effort), recipe), effort, initial=xavier(recipe))
    return open_run(run, device=effort.device)


def in_words(run: Path, recipe: Recipe) -> str:
    """What a run was and how long it took, for reports."""
    with (run / RUN_LOG).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    seconds, step = 0.0, 0
    for row in rows:  # validation is not in these times
        seconds += (int(row["step"]) - step) * recipe.batch_size / float(row["pairs_per_second"])
        step = int(row["step"])
    losses = [float(row["validation_loss"]) for row in rows if row["validation_loss"]]
    epochs = f"{recipe.epochs} epoch{'s' if recipe.epochs > 1 else ''} of {recipe.pairs_per_epoch:,} pairs"
    words = f"{epochs}, batches of {recipe.batch_size}, {recipe.loss} loss, {recipe.precision}, learning rate "
    words += f"{recipe.learning_rate:g}, seed {recipe.seed}; {seconds / 60:.1f} minutes of training"
    if losses:
        words += f"; lowest validation loss {min(losses):.4f} in epoch {losses.index(min(losses)) + 1}"
    return words + "."


def differences(recipe: Recipe, name: str = RECIPE) -> str:
    """Settings of a recipe that differ from the published ones of that name, for reports."""
    old, new = (flat(asdict(settings)) for settings in (read_recipe(name), recipe))
    changed = [key for key in new if key not in old or new[key] != old[key]]  # some are in tables that may be empty
    return ", ".join(f"{key} = {new[key]} (published {old.get(key, 'none')})" for key in changed) or "none"
