"""Which parameters learn, and when: groups that never change."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from checkpoint_files import save
from made_up_checkpoints import made_up
from training_runs import RECIPE

from siamtrack.errors import SettingsError
from siamtrack.models.checkpoints import read_checkpoint
from siamtrack.models.siamfc import SiamFC
from siamtrack.training.averaging import MovingAverage
from siamtrack.training.origin import check_networks, idle_at_random
from siamtrack.training.parameters import enter_epoch, optimizer_of, set_learning_rate
from siamtrack.training.recipe import Recipe
from siamtrack.training.recipes import read_recipe

STAGED = replace(
    RECIPE,
    epochs=9,
    first_epoch={"backbone": 2.0, "backbone.conv5": 0.0, "backbone.conv1": math.inf},
    rate_factor={"backbone.conv2": 0.1},
)


def learning(network: SiamFC) -> set[str]:
    return {name for name, p in network.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("recipe", [RECIPE, STAGED, replace(STAGED, batch_norm="frozen"), replace(STAGED, optimizer="sgd")])
def test_every_parameter_that_can_learn_is_in_exactly_one_group(recipe: Recipe) -> None:
    network = SiamFC(recipe.network)
    grouped = [id(p) for group in optimizer_of(recipe, network).param_groups for p in group["params"]]
    assert len(grouped) == len(set(grouped))
    scales = {id(m.weight) for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)}
    expected = {id(p) for p in network.parameters()} - (scales if recipe.batch_norm == "frozen" else set())
    assert set(grouped) == expected


def test_kernels_decay_and_biases_do_not() -> None:
    for group in optimizer_of(RECIPE, SiamFC(RECIPE.network)).param_groups:
        assert {p.ndim > 1 for p in group["params"]} == {group["weight_decay"] > 0}


def test_stages_learn_from_their_epoch_on_with_their_rate() -> None:
    network = SiamFC(STAGED.network)
    optimizer = optimizer_of(STAGED, network)
    groups = [list(group["params"]) for group in optimizer.param_groups]
    assert enter_epoch(network, optimizer, STAGED, 0)
    assert {name.split(".")[1] for name in learning(network) if "." in name} == {"conv5"}
    assert "bias" in learning(network)  # of the response, which no stage names
    assert not network.backbone.conv2[1].training  # its statistics do not move either
    assert not enter_epoch(network, optimizer, STAGED, 1)
    assert enter_epoch(network, optimizer, STAGED, 2)
    assert {name.split(".")[1] for name in learning(network) if "." in name} == {"conv2", "conv3", "conv4", "conv5"}
    assert network.backbone.conv2[1].training
    assert not network.backbone.conv1[1].training
    set_learning_rate(optimizer, 0.5)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert rates[id(network.backbone.conv2[0].weight)] == pytest.approx(0.05)
    assert rates[id(network.backbone.conv3[0].weight)] == 0.5
    assert [list(group["params"]) for group in optimizer.param_groups] == groups


def test_names_that_are_no_parameters_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"first_epoch names 'backbone\.conv6'.*backbone\.conv5"):
        optimizer_of(replace(RECIPE, first_epoch={"backbone.conv6": 1.0}), SiamFC(RECIPE.network))
    with pytest.raises(SettingsError, match="no parameter to learn in the first epoch"):
        optimizer_of(replace(RECIPE, first_epoch={"backbone": math.inf, "bias": 1.0}), SiamFC(RECIPE.network))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("siamdw-paper", r"random kernels in backbone\.stem, which never learn: first_epoch is inf\. Give --backbone FILE"),
        ("siamrpnpp-paper", "in backbone, which never learn: .* Give --backbone FILE with .* ImageNet, or --from MODEL;"),
        ("siammask-refine-paper", r"in backbone, neck, head, mask\.head, which never learn: .* Give --from MODEL; or"),
        ("siammask-small", "in backbone, head, which never learn: .* Give --from MODEL; or"),
    ],
)
def test_what_is_random_must_learn(name: str, message: str) -> None:
    """A network to begin with, a checkpoint to go on from, or the setting that the message names."""
    recipe = read_recipe(name)
    with pytest.raises(SettingsError, match=message):
        check_networks(recipe, None, None)
    with torch.device("meta"):
        network = recipe.kind.build(recipe.network)
        without = {name for name, _ in network.named_children() if name.startswith(recipe.kind.later)}
    for part in without:
        delattr(network, part)
    assert idle_at_random(recipe, network, None) == {}
    check_networks(recipe, None, None, goes_on=True)
    check_networks(read_recipe(name, ["first_epoch={}"]), None, None)


@pytest.mark.parametrize("name", ["siammask", "pysot-siammask"])
def test_masks_are_trained_from_a_published_checkpoint(tmp_path: Path, name: str) -> None:
    network = read_checkpoint(save(tmp_path / "x.pth", made_up(name)))
    check_networks(read_recipe("siammask-refine-paper", ["network.width=0.1", "network.channels=8"]), None, network)


def test_norms_and_biases_are_not_random() -> None:
    first_epoch = {"bias": math.inf, "backbone.conv1.1": math.inf, "backbone.conv2": 1.0}
    check_networks(replace(RECIPE, first_epoch=first_epoch), None, None)
    with pytest.raises(SettingsError, match=r"in backbone\.conv1, which"):
        check_networks(STAGED, None, None)
    assert idle_at_random(STAGED, None, None) == {"backbone": 2.0, "backbone.conv1": math.inf}
    assert idle_at_random(STAGED, SiamFC(RECIPE.network), None) == {}


def test_the_moving_average_follows() -> None:
    """After the early steps it is the exponential average; counters are copied."""
    network = SiamFC(RECIPE.network)
    average = MovingAverage(network, decay=0.5)
    value = network.backbone.conv1[0].weight
    expected = value.detach().clone()
    for step, number in enumerate((1.0, 2.0, 3.0)):
        with torch.no_grad():
            value.fill_(number)
            network.backbone.conv1[1].num_batches_tracked.fill_(step)
        average.update(network, step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * number
    assert torch.allclose(average.network.backbone.conv1[0].weight, expected)
    assert average.network.backbone.conv1[1].num_batches_tracked == 2
    assert not any(p.requires_grad for p in average.network.parameters())
