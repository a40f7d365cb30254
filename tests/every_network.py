"""One narrow network of every kind, backbone and head, for tests that each of them has to pass."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from siamtrack.training.recipe import Recipe

_CHANNELS = {"used_layers": [2, 3, 4], "neck_channels": [16, 16, 16]}

NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "siamfc": ("siamfc", {"width": 0.125}),
    "siamrpn-up-channel": ("siamrpn", {"width": 0.125, "head": "up-channel"}),
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
    "siammask": ("siammask", {"backbone": "resnet18", "width": 0.125, "channels": 16}),
    "siammask-coarse": ("siammask", {"backbone": "resnet18", "width": 0.125, "channels": 16, "refined": False}),
    "siamdw-CIResNet22": ("siamdw", {"backbone": "CIResNet22", "width": 0.125}),
    "siamdw-CIResNet22W": ("siamdw", {"backbone": "CIResNet22W", "width": 0.125}),
    "siamdw-CIResInception22": ("siamdw", {"backbone": "CIResInception22", "width": 0.125}),
    "siamdw-CIResNeXt22": ("siamdw", {"backbone": "CIResNeXt22", "width": 0.125}),
    "siamdw-CIResNet22-rpn": ("siamdw", {"backbone": "CIResNet22", "width": 0.125, "head": "siamrpn"}),
}
"""By a name of its own: the kind, and its settings as a recipe has them. Channels are an eighth of the published ones or so."""


def has_rpn_head(name: str) -> bool:
    """Whether the network answers with anchors; else with SiamFC's responses."""
    model, network = NETWORKS[name]
    return model in ("nanotrack", "siammask", "siamrpn", "siamrpnpp") or network.get("head") == "siamrpn"


def loss_of(name: str) -> str:
    """The loss of its head; of those with masks, that of the first stage."""
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
