"""Two figures of docs/papers about where in its patch a network looks. The networks are trained here, each for minutes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib import pyplot as plt
from numpy.typing import NDArray
from torch import Tensor

from siamtrack.synthetic.supply import BuiltIn
from siamtrack.synthetic.world import World
from siamtrack.synthetic.world_settings import WorldSettings
from siamtrack.training.loop import train
from siamtrack.training.recipe import Recipe
from siamtrack.training.recipes import read_recipe
from siamtrack.training.sources import open_data, parsed_places

BRIEFLY = ("epochs=1", "validation_pairs=0")  # 4,000 pairs
SHIFTS = (0, 16, 64)  # px, how far targets lie from the middle while a network learns
WIDEST = 64  # px, how far they lie from it afterwards
PAIRS = 192
STRIDE = 8  # px a cell, of the networks in both figures
FIRST_SCENE = 2**44  # far from those that training can reach


def siamrpnpp() -> Any:
    """Where targets are found that lie anywhere, by networks that were trained with targets in the middle and around it."""
    figure, axes = plt.subplots(1, len(SHIFTS), figsize=(3 * len(SHIFTS), 3))
    found = {shift: _expected(_trained("siamrpnpp-small", f"augment.translation={shift}")) for shift in SHIFTS}
    for axis, (shift, heat) in zip(axes, found.items(), strict=True):
        reach = heat.shape[0] * STRIDE / 2
        axis.imshow(heat / heat.max(), cmap="jet", vmin=0, vmax=1, extent=(-reach, reach, reach, -reach))
        axis.set(title=f"trained with shifts of {shift} px", xticks=(-WIDEST, 0, WIDEST), yticks=(-WIDEST, 0, WIDEST))
        print(f"shift {shift}: {_share_inside(heat):.2f} of the sum lies within 32 px of the middle")
    figure.tight_layout()
    return figure


def siamdw() -> Any:
    """How alike a network with padding, and one without, embed the same thing in the middle of a patch and elsewhere in it."""
    figure, axis = plt.subplots(figsize=(6, 3.2))
    networks: Mapping[str, Any] = {
        "CIResNet22 (no padding is left)": _trained("siamdw-small"),
        "MobileNetV2 (padding)": _trained("siamrpnpp-small", "augment.translation=0"),
    }
    for name, network in networks.items():
        distances, alike = _likeness(network)
        axis.plot(distances, alike, marker=".", label=name)
        print(f"{name}: {alike.min():.3f} at the least, {np.median(alike):.3f} in the median")
    axis.set(xlabel="distance from the middle of the search patch, px", ylabel="likeness", ylim=(0, 1.05))
    axis.grid(alpha=0.3)
    axis.legend(loc="lower left")
    figure.tight_layout()
    return figure


def _trained(name: str, *overrides: str) -> Any:
    recipe = read_recipe(name, [*BRIEFLY, *overrides])
    with tempfile.TemporaryDirectory() as folder:
        return train(recipe, open_data(parsed_places(["world"]), recipe.crops), Path(folder) / "run", workers=1).eval()


@torch.no_grad()
def _expected(network: Any) -> NDArray[np.float64]:
    """Mean probability of the target over pairs, cell by cell, of the anchor that is the surest."""
    maps = []
    for template, search in _pairs(read_recipe("siamrpnpp-small", [f"augment.translation={WIDEST}"])):
        cls, _ = network(template, search)
        against, target = cls[0].float().unflatten(0, (2, -1))
        maps.append(torch.sigmoid(target - against).amax(0).numpy())
    return np.asarray(np.mean(maps, 0, dtype=np.float64))


def _pairs(recipe: Recipe) -> Iterator[tuple[Tensor, Tensor]]:
    drawn = open_data(parsed_places(["world"]), recipe.crops).pairs(recipe, "validation")
    for number in range(PAIRS):
        pair = drawn[number]
        yield _pixels(pair.template), _pixels(pair.search)


def _share_inside(heat: NDArray[np.float64]) -> float:
    """Of what lies above the least value."""
    at = (np.arange(len(heat)) - (len(heat) - 1) / 2) * STRIDE
    above = heat - heat.min()
    return float(above[np.hypot(at[:, None], at) <= 32].sum() / above.sum())


@torch.no_grad()
def _likeness(network: Any, *, scenes: int = 12) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Cosine between what a cell finds of a place in the middle of a patch and elsewhere, less the mean of all cells.

    Returns:
        Distances from the middle, px; the cosine at each, mean over scenes.
    """
    world = World(WorldSettings(width=512, height=384, most_objects=4), BuiltIn(held_out=True), 0)
    size = network.settings.search_size
    top, left = (384 - size) // 2, (512 - size) // 2
    distances = np.arange(0, size // 2 - 4, STRIDE)
    found = np.zeros((scenes, len(distances)))
    for scene in range(scenes):
        image = next(iter(world.scene(FIRST_SCENE + scene).frames(1))).image
        reference, others, middle = None, [], 0
        for distance in distances:
            features = network.backbone(_pixels(image[top : top + size, left - distance : left - distance + size]))
            features = (features[-1] if isinstance(features, (list, tuple)) else features)[0].float()
            middle = features.shape[-1] // 2
            if reference is None:
                reference, mean = features[:, middle, middle], features.mean((1, 2))
            column = middle + distance // STRIDE
            others.append(features[:, middle, column] - mean if column < features.shape[-1] else None)
        alike = [float("nan") if o is None else float(torch.cosine_similarity(o, reference - mean, 0)) for o in others]
        found[scene] = alike
    kept = np.isfinite(found).all(0)
    return distances[kept], found[:, kept].mean(0)


def _pixels(image: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float()
