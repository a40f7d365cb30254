"""The recipes of SiamMask's two stages as published, made narrow and short, one after the other from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from command_line import INPUT, refused, run
from safetensors.torch import save_file
from torch import Tensor
from training_runs import parameters, same

from siamtrack.layers.imagenet import converted
from siamtrack.layers.resnet import official_name
from siamtrack.training.recipes import read_recipe

pytestmark = pytest.mark.long
NARROW = ("network.width=0.1", "network.channels=8")
BRIEF = ("epochs=1", "pairs_per_epoch=8", "batch_size=4", "sampling.max_frame_gap=4")
STAGES = {"siammask-paper": ("base", "mask"), "siammask-refine-paper": ("refined", "refinement")}
"""The name of the run, and the loss."""


def train(name: str, folder: Path, *more: str, changes: tuple[str, ...] = ()) -> list[str]:
    """The command, for the clips in the folder."""
    overrides = [part for text in (*NARROW, *BRIEF, *changes) for part in ("--set", text)]
    data = ("--data", "davis=davis", "--workers", "0", "--device", "cpu")
    return ["train", name, *data, *overrides, "--out", str(folder / STAGES[name][0]), *more]


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    """The parts of the network that learnt, `mask` by its own parts."""
    names = {name for name, value in after.items() if name not in before or not torch.equal(value, before[name])}
    return {".".join(name.split(".")[: 2 if name.startswith("mask.") else 1]) for name in names}


@pytest.mark.parametrize("name", STAGES)
def test_the_published_numbers(name: str) -> None:
    """foolwood/SiamMask, experiments/siammask_base/config.json and experiments/siammask_sharp/config.json."""
    recipe = read_recipe(name)
    pairs, negative, first_rate = (600_000, 0.2, 0.001) if name == "siammask-paper" else (200_000, 0.0, 0.01)
    assert recipe.steps * recipe.batch_size == pytest.approx(20 * pairs, rel=4e-3)
    assert (recipe.loss, recipe.batch_size, recipe.sampling.negative) == (STAGES[name][1], 64, negative)
    assert recipe.learning_rate_at(0) == pytest.approx(first_rate)
    assert recipe.learning_rate_at(recipe.steps - 1) == pytest.approx(0.0025)
    assert recipe.patch_size == (255 if name == "siammask-paper" else 143)
    assert recipe.network.refined == (name == "siammask-refine-paper")


def test_the_second_stage_goes_on_where_the_first_ended(tmp_path: Path) -> None:
    """Each learns what its authors let it learn, and leaves the rest as it is to the last bit, with its batch norms."""
    scenes = ("--layout", "davis", "--sequences", 4, "--frames", 5, "--size", "320x240", "--seed", 1)
    ended = run("synth", "world", *scenes, "--out", "davis", folder=tmp_path)
    assert ended.code == 0, ended.err
    parts = tmp_path / "davis" / "ImageSets" / "2017"
    (parts / "val.txt").rename(parts / "train.txt")
    recipe = read_recipe("siammask-paper", NARROW)
    torch.manual_seed(0)
    random = recipe.kind.build(recipe.network)
    given = {official_name(name): value.clone() for name, value in random.backbone.state_dict().items()}
    save_file(given, tmp_path / "resnet50.safetensors")
    start = {f"backbone.{name}": value for name, value in converted(random.backbone, given).items()}

    ended = run(*train("siammask-paper", tmp_path, "--backbone", "resnet50.safetensors"), folder=tmp_path)
    assert ended.code == 0, ended.err
    base = parameters(tmp_path / "base")
    assert same({name: value for name, value in base.items() if name.startswith("backbone.")}, start)  # until the tenth epoch
    assert {"neck", "head", "mask.template", "mask.search", "mask.head"} == changed(start, base)
    assert all(torch.isfinite(value).all() for value in base.values())

    second = train("siammask-refine-paper", tmp_path, "--from", "base")
    other = (*second, "--set", "network.channels=16")
    refused(other, INPUT, "network to start with has", "channels", folder=tmp_path)
    ended = run(*second, folder=tmp_path)
    assert ended.code == 0, ended.err
    refined = parameters(tmp_path / "refined")
    assert {"mask.template", "mask.search", "refine"} == changed(base, refined)
    assert all(torch.isfinite(value).all() for value in refined.values())
