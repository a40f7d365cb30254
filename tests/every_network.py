"""One narrow network of every kind, backbone and head, for tests that each of them has to pass."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch

from siamtrack.models.kinds import model_kind
from siamtrack.settings import from_mapping
from siamtrack.synthetic.scene import Scene
from siamtrack.training.recipe import Recipe

_CHANNELS = {"used_layers": [2, 3, 4], "neck_channels": [16, 16, 16]}

NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "siamfc": ("siamfc", {"width": 0.125}),
    "siamrpn-up-channel": ("siamrpn", {"width": 0.125, "head": "up-channel", "gain": 0.05}),
    "siamrpn-depthwise": ("siamrpn", {"width": 0.125, "head": "depthwise"}),
    "siamrpnpp-resnet18": ("siamrpnpp", {"backbone": "resnet18", "width": 0.125, **_CHANNELS}),
    "siamrpnpp-resnet34": ("siamrpnpp", {"backbone": "resnet34", "width": 0.125, **_CHANNELS}),
    "siamrpnpp-resnet50": ("siamrpnpp", {"backbone": "resnet50", "width": 0.0625, **_CHANNELS}),
    "siamrpnpp-mobilenetv2": (
        "siamrpnpp",
        {"backbone": "mobilenetv2", "width": 0.25, "used_layers": [3, 5], "neck_channels": [16, 16], "weighted": False},
    ),
    "nanotrack": ("nanotrack", {"width": 0.25, "tower": 1}),
    "nanotrack-masks": ("nanotrack", {"width": 0.25, "tower": 1, "masks": True}),
    "siammask": ("siammask", {"backbone": "resnet18", "width": 0.125, "channels": 64}),
    "siammask-coarse": ("siammask", {"backbone": "resnet18", "width": 0.125, "channels": 64, "refined": False}),
    "siamdw-CIResNet22": ("siamdw", {"backbone": "CIResNet22", "width": 0.125, "gain": 0.01}),
    "siamdw-CIResNet22W": ("siamdw", {"backbone": "CIResNet22W", "width": 0.125, "gain": 0.01}),
    "siamdw-CIResInception22": ("siamdw", {"backbone": "CIResInception22", "width": 0.125, "gain": 0.1}),
    "siamdw-CIResNeXt22": ("siamdw", {"backbone": "CIResNeXt22", "width": 0.125, "gain": 0.1}),
    "siamdw-CIResNet22-rpn": ("siamdw", {"backbone": "CIResNet22", "width": 0.125, "head": "siamrpn", "gain": 2e-4}),
}
"""By a name of its own: the kind, and its settings as a recipe has them. Channels are an eighth of the published ones or so."""


def has_rpn_head(name: str) -> bool:
    """Whether the network answers with anchors; else with SiamFC's responses."""
    model, network = NETWORKS[name]
    return model in ("nanotrack", "siammask", "siamrpn", "siamrpnpp") or network.get("head") == "siamrpn"


def loss_of(name: str) -> str:
    """The loss of its head; of SiamMask with refinement that of the second stage, in which nothing else is learnt."""
    model, network = NETWORKS[name]
    if model == "siammask":
        return "refinement" if network.get("refined", True) else "mask"
    if network.get("masks"):
        return "mask"
    return "box_adaptive" if model == "nanotrack" else "rpn" if has_rpn_head(name) else "logistic"


def recipe_with(recipe: Recipe, name: str, **changes: Any) -> Recipe:
    """The recipe for one of `NETWORKS`, with the loss of its head; sizes of patches stay those of the recipe."""
    model, network = NETWORKS[name]
    sizes = {"template_size": recipe.network.template_size, "search_size": recipe.network.search_size}
    return replace(recipe, model=model, loss=loss_of(name), network=sizes | network, **changes)


@cache
def network_of(name: str) -> Any:
    """A random network of `NETWORKS` that answers to what it sees, for search patches of 143 px; not to be changed.

    Its batch norms have the statistics of rendered scenes, or numbers would grow from layer to layer; classes and boxes deviate
    by 1 and by 0.1, or all scores would be 0 or 1, and all boxes at the border of the frame.
    """
    model, values = NETWORKS[name]
    kind = model_kind(model)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        network = kind.build(from_mapping(kind.settings, {"search_size": 143} | values, where=name))
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 1.0
        network.train()(_scenes(127), _scenes(143))
        answers = network.eval()(_scenes(127), _scenes(143))
    if has_rpn_head(name):
        for last, answer, deviation in ((_LAST_OF_CLS, answers[0], 1.0), (_LAST_OF_LOC, answers[1], 0.1)):
            convolutions = [module for path, module in network.named_modules() if last.search(path)]
            assert convolutions
            for parameter in (parameter for module in convolutions for parameter in module.parameters()):
                parameter.data *= deviation / answer.std()
    return network


_LAST_OF_CLS = re.compile(r"\.(cls\.head\.3|cls\.answer|template_cls)$")
_LAST_OF_LOC = re.compile(r"\.(loc\.head\.3|loc\.answer|adjust)$")
"""Convolutions whose factor is that of classes and of boxes."""


def _scenes(side: int) -> torch.Tensor:
    """(4, 3, side, side), 0..255."""
    images = np.stack([Scene(side, side, objects=3, seed=seed).image(seed) for seed in range(4)])
    return torch.from_numpy(images).permute(0, 3, 1, 2).float()
