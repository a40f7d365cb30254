"""SiamDW: the official network's numbers and names, no effect of padding, both heads, and a model folder."""

from __future__ import annotations

import json
import math
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from siamtrack.errors import SettingsError, WeightsError
from siamtrack.export.checkpoint import _differences
from siamtrack.layers.cir import BACKBONES, SMALLEST_PX, TOTAL_STRIDE_PX, CIRBackbone
from siamtrack.layers.folding import fold_batch_norm
from siamtrack.model_folder import WEIGHTS
from siamtrack.models.kinds import read_folded
from siamtrack.models.siamdw import (
    NETWORKS,
    PRESETS,
    TUNED,
    SiamDWFC,
    SiamDWNetworkSettings,
    SiamDWRPN,
    names_of_siamdw,
)
from siamtrack.trackers.rpn_settings import RPNSettings
from siamtrack.trackers.siamfc import SiamFCSettings
from siamtrack.training.origin import check_networks
from siamtrack.training.parameters import enter_epoch, optimizer_of
from siamtrack.training.recipe import Recipe
from siamtrack.training.recipes import read_recipe

NARROW = 1 / 16


def pixels(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 255


def narrow(backbone: str = "CIResNet22", head: str = "siamfc", **settings: Any) -> SiamDWFC | SiamDWRPN:
    """In eval mode, with batch norms that do something."""
    torch.manual_seed(0)
    network = NETWORKS[head](SiamDWNetworkSettings(backbone=backbone, head=head, width=NARROW, **settings))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    return network.eval()


def filled(name: str, shape: list[int]) -> torch.Tensor:
    """The value of a parameter that the stored outputs were made with; it depends on the name alone."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if name.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    if len(shape) >= 2:
        values = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
    elif name.endswith(("weight", "running_var")):
        values = rng.uniform(0.8, 1.2, shape)
    else:
        values = rng.standard_normal(shape) * 0.05
    return torch.from_numpy(values.astype(np.float32))


def stored_image(seed: int, size: int) -> torch.Tensor:
    """BGR, as the official network takes it."""
    return torch.from_numpy(np.random.default_rng(seed).uniform(0, 255, (1, 3, size, size)).astype(np.float32))


@pytest.mark.shared_data
def test_the_official_network_says_the_same(shared_data: Path) -> None:
    expected = torch.from_numpy(np.load(shared_data / "networks" / "siamdw_SiamFCRes22.npz")["response"])[:, 0]
    shapes = json.loads((shared_data / "networks" / "siamdw_SiamFCRes22.params.json").read_text())
    network = SiamDWFC().eval()
    ours = {name: filled(theirs, shapes[theirs]) for theirs, name in names_of_siamdw(network.settings).items()}
    ours["backbone.stem.conv.weight"] = ours["backbone.stem.conv.weight"].flip(1)
    network.load_state_dict(ours)
    with torch.no_grad():
        found = network(stored_image(1, 127).flip(1), stored_image(2, 255).flip(1))[0]
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()


@pytest.mark.shared_data
@pytest.mark.parametrize("name", [name for name in PRESETS if "FC" in name])
def test_every_official_parameter_has_its_place(shared_data: Path, name: str) -> None:
    official = json.loads((shared_data / "networks" / f"siamdw_{name}.params.json").read_text())
    settings = SiamDWNetworkSettings(**PRESETS[name])
    with torch.device("meta"):
        ours = SiamDWFC(settings).state_dict()
    names = names_of_siamdw(settings)
    assert names.keys() == official.keys()
    assert sorted(names.values()) == sorted(ours)
    assert {theirs: list(ours[name].shape) for theirs, name in names.items()} == official


@pytest.mark.parametrize(("scores", "channels"), [(1, 256), (2, 512)])
def test_the_official_parameters_of_the_region_proposals(scores: int, channels: int) -> None:
    """RPN_Up of the official code, cls_type thinner and thicker."""
    settings = SiamDWNetworkSettings(head="siamrpn", anchor_scores=scores)
    with torch.device("meta"):
        ours = SiamDWRPN(settings).state_dict()
    names = names_of_siamdw(settings)
    head = {theirs: tuple(ours[name].shape) for theirs, name in names.items() if not theirs.startswith("features.features.")}
    assert sorted(names.values()) == sorted(ours)
    assert head == {
        "connect_model.template_cls.weight": (channels * 5 * scores, 512, 3, 3),
        "connect_model.template_cls.bias": (channels * 5 * scores,),
        "connect_model.template_reg.weight": (channels * 20, 512, 3, 3),
        "connect_model.template_reg.bias": (channels * 20,),
        "connect_model.search_cls.weight": (channels, 512, 3, 3),
        "connect_model.search_cls.bias": (channels,),
        "connect_model.search_reg.weight": (channels, 512, 3, 3),
        "connect_model.search_reg.bias": (channels,),
        "connect_model.adjust.weight": (20, 20, 1, 1),
        "connect_model.adjust.bias": (20,),
    }


# Backbones


@pytest.mark.parametrize("backbone", BACKBONES)
def test_size_of_the_features(backbone: str) -> None:
    with torch.device("meta"):
        whole = CIRBackbone(backbone).eval()
        for size, cells in ((95, 1), (102, 1), (103, 2), (255, 21)):
            assert whole(torch.empty(1, 3, size, size)).shape == (1, whole.channels, cells, cells)
    assert whole.channels == (640 if backbone == "CIResInception22" else 512)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_backbones_are_shift_equivariant(backbone: str) -> None:
    """No effect of padding: 8 px in the image are one cell in the features, up to the order of additions in the library."""
    image, network = pixels(1, 3, SMALLEST_PX + 24, SMALLEST_PX + 32), narrow(backbone)
    with torch.no_grad():
        whole = network.embed(image)
        assert whole.std((2, 3)).mean() > 0.01 * whole.abs().max()  # it tells one place from another
        for rows, columns in ((1, 0), (0, 1), (2, 3)):
            moved = network.embed(image[:, :, TOTAL_STRIDE_PX * rows :, TOTAL_STRIDE_PX * columns :])
            assert (moved - whole[:, :, rows:, columns:]).abs().max() <= 1e-6 * whole.abs().max()


@pytest.mark.parametrize("backbone", BACKBONES)
def test_units_say_what_padding_and_cropping_says(backbone: str) -> None:
    """The official way: pad the 3 x 3 convolution, then crop the outermost cells of what comes out."""
    for unit in (module for module in narrow(backbone).backbone.modules() if hasattr(module, "body")):
        x = torch.randn(2, unit.body.conv1.in_channels, 7, 6)
        with torch.no_grad():
            found = unit(x)
            unit.body.conv2.padding = (1, 1)
            if backbone == "CIResInception22":
                joined = torch.cat((unit.body(x), unit.point(x)), 1)
            else:
                joined = unit.body(x) + unit.shortcut(x)
            joined = unit.norm(joined) if backbone == "CIResNeXt22" else joined
            expected = unit.relu(joined)[:, :, 1:-1, 1:-1]
        assert found.shape == expected.shape
        assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


@pytest.mark.parametrize("backbone", BACKBONES)
def test_only_the_last_unit_ends_without_relu(backbone: str) -> None:
    network = narrow(backbone).backbone
    x = pixels(1, 3, 127, 127)
    with torch.no_grad():
        for layer in (network.stem, *network.layer1, *network.layer2[:-1]):
            x = layer(x)
            assert x.min() == 0
        assert network.layer2[-1](x).min() < 0


@pytest.mark.parametrize("backbone", BACKBONES)
def test_batch_norm_is_folded(backbone: str) -> None:
    """All of it, but that after the sums of CIResNeXt."""
    network = narrow(backbone)
    folded = fold_batch_norm(network)
    z, x = pixels(1, 3, 95, 95), pixels(1, 3, 111, 111, seed=1)
    with torch.no_grad():
        found, expected = folded(z, x)[0], network(z, x)[0]
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()
    left = sum(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert left == (7 if backbone == "CIResNeXt22" else 0)


# Heads


@pytest.mark.parametrize(("targets", "scales"), [(1, 1), (1, 3), (2, 1), (3, 2)])
@pytest.mark.parametrize(
    "settings", [{"head": "siamfc", "gain": 0.01}, {"head": "siamrpn", "gain": 0.01}, {"head": "siamrpn", "anchor_scores": 2}]
)
def test_match_is_forward_of_each_window(settings: dict[str, Any], targets: int, scales: int) -> None:
    network = narrow(**settings)
    z, x = pixels(targets, 3, 111, 111), pixels(targets * scales, 3, 127, 119, seed=1)
    with torch.no_grad():
        found = network.match(network.embed(z), x)
        expected = network(z.repeat_interleave(scales, 0), x)
    assert len(found) == len(network.MAPS)
    for ours, theirs in zip(found, expected, strict=False):  # SiamFC's features follow
        assert ours.shape == (targets, scales, *theirs.shape[1:])
        assert (ours.flatten(0, 1) - theirs).abs().max() < 1e-4 * theirs.abs().max()


@pytest.mark.parametrize("gain", [1.0, 0.03])
def test_the_siamfc_head_is_a_tenth_of_the_correlation(gain: float) -> None:
    network = narrow(gain=gain)
    z, x = pixels(2, 3, 95, 95), pixels(2, 3, 127, 127, seed=1)
    with torch.no_grad():
        response, template, search = network(z, x)
        for one, kernel, features in zip(response, template, search, strict=True):
            expected = 0.1 * gain * F.conv2d(features[None], kernel[None])[0, 0]
            assert (one - expected).abs().max() < 1e-5 * expected.abs().max()


@pytest.mark.parametrize("head", NETWORKS)
def test_weights_are_for_the_gain_that_they_were_learnt_with(head: str) -> None:
    """It is in no weights file; a procedure does not depend on it."""
    network = narrow(head=head, gain=0.01)
    recipe = Recipe(model="siamdw", loss="rpn" if head == "siamrpn" else "logistic", network=network.settings)
    check_networks(recipe, None, network, None)
    with pytest.raises(SettingsError, match=r"has gain 0\.01, the recipe's 1\.0;"):
        check_networks(replace(recipe, network=replace(network.settings, gain=1.0)), None, network, None)
    wide = SiamDWNetworkSettings(head=head, gain=0.01)
    assert _differences(SiamDWNetworkSettings(head=head), wide) == []


@pytest.mark.parametrize(("scores", "gain"), [(1, 1.0), (2, 1.0), (2, 0.03)])
def test_the_region_proposals_are_the_loop(scores: int, gain: float) -> None:
    """Each target's kernels over its own features, one after another, as many as there are scores and offsets."""
    network = narrow(head="siamrpn", anchors=3, anchor_scores=scores, gain=gain)
    z, x = pixels(2, 3, 127, 127), pixels(2, 3, 143, 143, seed=1)
    with torch.no_grad():
        cls, loc = network(z, x)
        assert cls.shape == (2, 6, 3, 3)
        assert loc.shape == (2, 12, 3, 3)
        for target in range(2):
            template, search = network.backbone(z[target, None]), network.backbone(x[target, None])
            depth = network.head.search_cls.out_channels
            for_cls = gain * network.head.template_cls(template).reshape(3 * scores, depth, 3, 3)
            for_loc = gain * network.head.template_loc(template).reshape(12, depth, 3, 3)
            scored = F.conv2d(network.head.search_cls(search), for_cls)[0]
            moved = network.head.adjust(F.conv2d(network.head.search_loc(search), for_loc))[0]
            probability = torch.sigmoid(scored) if scores == 1 else scored.reshape(2, 3, 3, 3).softmax(0)[1]
            assert torch.allclose(cls[target].reshape(2, 3, 3, 3).softmax(0)[1], probability, atol=1e-5)
            assert (loc[target] - moved).abs().max() < 1e-5 * moved.abs().max()


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_parameter_gets_a_gradient(backbone: str) -> None:
    """With the statistics of batch norm held, which would take the gradient of a bias before them."""
    for head in NETWORKS:
        network = narrow(backbone, head)
        maps = network(pixels(2, 3, 111, 111), pixels(2, 3, 119, 119, seed=1))[: len(network.MAPS)]
        sum(values.square().mean() for values in maps).backward()
        for name, parameter in network.named_parameters():
            assert parameter.grad.isfinite().all(), name
            assert parameter.grad.abs().max() > 0, name


# Settings and training


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"backbone": "CIResNet23"}, "Did you mean 'CIResNet22'"),
        ({"head": "siamrpm"}, "Did you mean 'siamrpn'"),
        ({"width": 0.0}, "width is 0.0"),
        ({"template_size": 94}, "template_size is 94; expected 95"),
        ({"template_size": 110, "head": "siamrpn"}, "template_size is 110; expected 111"),
        ({"template_size": 133, "search_size": 261, "head": "siamrpn"}, "template_size is 133, which leaves 6 px over"),
        ({"search_size": 126}, "search_size is 126; expected 127"),
        ({"anchors": 0}, "anchors is 0"),
        ({"anchor_scores": 3}, "anchor_scores is 3"),
    ],
)
def test_impossible_networks_are_refused(settings: dict[str, str | float], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        SiamDWNetworkSettings(**settings)


def learning(network: nn.Module, epoch: int, recipe: Recipe) -> set[str]:
    """Units with a parameter that learns, and the batch norms that take statistics, in this epoch."""
    enter_epoch(network, optimizer_of(recipe, network), recipe, epoch)
    units = {name: ".".join(name.split(".")[:3]) for name, _ in network.named_modules()}
    found = {units[name.rpartition(".")[0]] for name, p in network.named_parameters() if p.requires_grad}
    trained = {units[name] for name, m in network.named_modules() if isinstance(m, nn.BatchNorm2d) and m.training}
    assert trained == {unit for unit in found if unit.startswith("backbone")}
    return found


@pytest.mark.parametrize("backbone", BACKBONES)
def test_units_begin_to_learn_one_after_another_from_the_last(backbone: str) -> None:
    network = narrow(backbone, "siamrpn")
    recipe = Recipe(epochs=50, first_epoch=read_recipe("siamdw-paper").first_epoch)
    head = {f"head.{part}" for part in ("template_cls", "template_loc", "search_cls", "search_loc", "adjust")}
    units = [f"backbone.layer{unit}" for unit in ("2.4", "2.3", "2.2", "2.0", "1.2", "1.1", "1.0")]
    for number, epoch in enumerate((0, 5, 10, 15, 25, 30, 35), 1):
        assert learning(network, epoch, recipe) == head | set(units[:number])
        if epoch:
            assert learning(network, epoch - 1, recipe) == head | set(units[: number - 1])
    assert learning(network, 49, recipe) == head | set(units)
    assert recipe.first_epoch["backbone.stem"] == math.inf


def test_tuned_settings_fit_their_procedure_and_network() -> None:
    for name, benchmarks in TUNED.items():
        assert list(benchmarks) == ["OTB2013", "OTB2015", "VOT2015", "VOT2016", "VOT2017"]
        for values in benchmarks.values():
            settings = RPNSettings(**values) if "RPN" in name else SiamFCSettings(**values)
            assert (settings.search_size - settings.template_size) % TOTAL_STRIDE_PX == 0
            sizes = {"template_size": settings.template_size, "search_size": settings.search_size}
            SiamDWNetworkSettings(**(PRESETS[name] | sizes))


# Model folders


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / WEIGHTS
    save_file(fold_batch_norm(narrow()).state_dict(), path)
    assert isinstance(read_folded("siamdw", path, {"width": NARROW}), SiamDWFC)
    with pytest.raises(WeightsError, match="does not fit"):
        read_folded("siamdw", path, {"width": NARROW, "head": "siamrpn"})
    with pytest.raises(SettingsError, match="Did you mean 'backbone'"):
        read_folded("siamdw", path, {"backbones": "CIResNet22"})
