"""Every kind of network: what `models/` says of it, runs that stop and go on exactly, gradients that point the right way."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from training_runs import RECIPE, draw_pictures, of_pictures, parameters, rows, same, stop_after

from siamtrack.errors import SettingsError, WeightsError
from siamtrack.library import recipe_names
from siamtrack.models.checkpoints import read_checkpoint
from siamtrack.models.kinds import kind_of, model_kind, model_kinds, published_networks, published_procedures
from siamtrack.models.model import SEEN, Targets
from siamtrack.training.checkpoint import last_checkpoint
from siamtrack.training.loop import train
from siamtrack.training.origin import check_networks, trained_in
from siamtrack.training.recipe import Recipe
from siamtrack.training.recipes import read_recipe
from siamtrack.training.sources import TrainingData

SMALL = {"template_size": 127, "search_size": 159}
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "siamfc": ("siamfc", {"width": 0.05}),
    "siamrpn up-channel": ("siamrpn", {"width": 0.04}),
    "siamrpn depthwise": ("siamrpn", {"width": 0.04, "head": "depthwise"}),
    "siamrpnpp": (
        "siamrpnpp",
        {"backbone": "mobilenetv2", "width": 0.1, "used_layers": [3], "neck_channels": [8], "weighted": False},
    ),
    "siamdw": ("siamdw", {"width": 0.05}),
    "nanotrack": ("nanotrack", {"width": 0.25, "tower": 1}),
    "nanotrack masks": ("nanotrack", {"width": 0.25, "tower": 1, "masks": True}),
    "siammask": ("siammask", {"backbone": "resnet18", "width": 0.1, "channels": 8, "refined": False}),
    "siammask refined": ("siammask", {"backbone": "resnet18", "width": 0.1, "channels": 8}),
    "siamdw rpn": ("siamdw", {"width": 0.05, "head": "siamrpn"}),
}
THERE = torch.zeros(1, dtype=torch.bool)  # no pair without its target
BOTH = pytest.mark.parametrize("name", NETWORKS)


def recipe_of(name: str) -> Recipe:
    """Six steps, two epochs."""
    model, network = NETWORKS[name]
    fully_convolutional = model == "siamfc" or (model == "siamdw" and network.get("head") != "siamrpn")
    loss = "logistic" if fully_convolutional else {"nanotrack": "box_adaptive"}.get(model, "rpn")
    if model == "siammask" or "masks" in network:
        loss = "refinement" if name.endswith("refined") else "mask"
    sampling = replace(RECIPE.sampling, crop_size=175)
    return replace(RECIPE, model=model, loss=loss, network=network | SMALL, sampling=sampling, clip_norm=10.0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    return of_pictures(draw_pictures(tmp_path_factory.mktemp("material") / "pictures"))


def test_every_kind_is_here() -> None:
    assert {model for model, _ in NETWORKS.values()} == set(model_kinds())
    with pytest.raises(SettingsError, match="Did you mean 'siamrpn'"):
        model_kind("siamrpm")


@pytest.mark.parametrize("kind", model_kinds())
def test_published_networks_can_be_built(kind: str) -> None:
    for values in published_networks(kind).values():
        settings = model_kind(kind).settings(**values)
        with torch.device("meta"):
            assert kind_of(model_kind(kind).build(settings)) == kind
    assert all(values for values in published_procedures(kind).values())


@pytest.mark.parametrize("recipe", recipe_names())
def test_recipes_name_a_network_and_a_loss_of_it(recipe: str) -> None:
    read = read_recipe(recipe)
    assert isinstance(read.network, read.kind.settings)
    assert read.loss in read.kind.losses(read.network)


@pytest.mark.slow
@BOTH
def test_training_stops_and_goes_on_exactly(
    tmp_path: Path, data: TrainingData, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    recipe = recipe_of(name)
    whole = train(recipe, data, tmp_path / "whole", workers=0)
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, data, tmp_path / "stopped", workers=0)
    train(recipe, data, tmp_path / "stopped", workers=0)
    assert same(parameters(tmp_path / "whole"), parameters(tmp_path / "stopped"))
    assert all(math.isfinite(float(row["loss"])) for row in rows(tmp_path / "whole", "loss"))
    # the weights say which network they are, with and without the recipe beside them
    again, read = trained_in(tmp_path / "whole")
    assert read == recipe
    assert again.settings == whole.settings == recipe.network
    checkpoint = last_checkpoint(tmp_path / "whole")
    assert checkpoint is not None
    for file in (tmp_path / "whole" / "weights.safetensors", checkpoint):
        alone = read_checkpoint(file)
        assert alone.settings == recipe.network
        assert same(alone.state_dict(), whole.state_dict())


@pytest.mark.slow
@BOTH
def test_the_loss_falls_towards_the_truth(name: str) -> None:
    """A few steps on one pair: gradients reach every part and point the right way."""
    recipe = recipe_of(name)
    torch.manual_seed(1)
    network = recipe.kind.build(recipe.network)
    judge = recipe.kind.losses(recipe.network)[recipe.loss]
    generator = torch.Generator().manual_seed(0)
    z, x = (torch.rand(2, 3, side, side, generator=generator) * 255 for side in (127, 159))
    boxes = torch.tensor([[50.0, 55.0, 60.0, 62.0], [45.0, 40.0, 64.0, 66.0]])
    masks = torch.zeros(2, 159, 159, dtype=torch.uint8)
    masks[:, 50:110, 55:105] = SEEN
    targets = Targets(boxes[:, :2] + boxes[:, 2:] / 2 - 79.5, boxes, torch.zeros(2, dtype=torch.bool), 159, 3, masks)
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3)
    losses = []
    for _ in range(12):
        optimizer.zero_grad()
        verdict = judge(network(z, x), targets)
        verdict.loss.backward()
        optimizer.step()
        losses.append(verdict.loss.item())
        assert 0 <= verdict.accuracy.item() <= 1
        assert not verdict.responses.requires_grad
    assert min(losses[-3:]) < (0.9 if recipe.masked else 0.8) * losses[0]  # coarse masks take longer
    idle = {parameter for parameter, value in network.named_parameters() if value.grad is None or not value.grad.any()}
    if recipe.loss == "refinement":  # what the second stage of SiamMask leaves as it is
        assert {parameter.rsplit(".", 3)[0] for parameter in idle} >= {"head.cls", "head.loc", "mask"}
        idle = {parameter for parameter in idle if not parameter.startswith(("head.", "mask.head"))}
    assert not any(parameter.startswith(("mask", "refine")) for parameter in idle)
    assert all(value.grad is not None for parameter, value in network.named_parameters() if parameter in idle)


def test_the_same_draw_counts_the_same_anchors() -> None:
    recipe = recipe_of("siamrpn depthwise")
    judge = recipe.kind.losses(recipe.network)["rpn"]
    cls, loc = torch.randn(1, 10, 17, 17, generator=torch.Generator().manual_seed(0)), torch.zeros(1, 20, 17, 17)
    box = torch.tensor([[96.0, 96.0, 64.0, 64.0]])
    losses = [judge((cls, loc), Targets(torch.zeros(1, 2), box, THERE, 255, draw)).loss.item() for draw in (5, 5, 6)]
    assert losses[0] == losses[1] != losses[2]


def test_a_perfect_answer_is_found() -> None:
    """The anchor of ratio 1 in the middle is the target: highest score there, and no offset."""
    recipe = recipe_of("siamrpn depthwise")
    cls, loc = torch.zeros(1, 10, 5, 5), torch.zeros(1, 20, 5, 5)
    cls[0, 5 + 2, 2, 2] = 9.0
    judge = recipe.kind.losses(recipe.network)["rpn"]
    there, away = torch.tensor([[47.5, 47.5, 64.0, 64.0]]), torch.tensor([[0.0, 0.0, 40.0, 40.0]])
    verdicts = [judge((cls, loc), Targets(torch.zeros(1, 2), box, THERE, 159, 0)) for box in (there, away)]
    assert [verdict.accuracy.item() for verdict in verdicts] == [1, 0]
    assert verdicts[0].responses.shape == (1, 5, 5)
    assert verdicts[0].responses.argmax() == 12


def test_what_does_not_go_together_is_refused(tmp_path: Path) -> None:
    siamfc, siamrpn = recipe_of("siamfc"), recipe_of("siamrpn depthwise")
    with pytest.raises(SettingsError, match="The setting loss is 'logistic'; the model is siamrpn"):
        replace(siamrpn, loss="logistic")
    with pytest.raises(SettingsError, match="Unknown setting 'depth' in"):
        replace(siamrpn, network={"depth": 3})
    with pytest.raises(SettingsError, match="is a siamfc, and the recipe trains the model siamrpn"):
        check_networks(siamrpn, None, siamfc.kind.build(siamfc.network))
    with pytest.raises(SettingsError, match=r"head depthwise, the recipe's up-channel"):
        check_networks(recipe_of("siamrpn up-channel"), None, siamrpn.kind.build(siamrpn.network))
    with pytest.raises(SettingsError, match="The teacher is a siamfc; the model siamrpn"):
        check_networks(replace(siamrpn, teacher_weight=1.0), siamfc.kind.build(siamfc.network), None)
    with pytest.raises(SettingsError, match="7 anchors at a cell"):
        replace(siamrpn, network={"anchors": 7})
    with pytest.raises(WeightsError, match=r"is no folder of a run: it has no recipe\.toml"):
        trained_in(tmp_path)
