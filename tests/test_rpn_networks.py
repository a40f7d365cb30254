"""SiamRPN, DaSiamRPN and SiamRPN++: equal to the published networks, the same in training and tracking, exportable."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from siamtrack.errors import SettingsError, WeightsError
from siamtrack.export.onnx import export_model
from siamtrack.layers.xcorr import (
    cross_correlation,
    depthwise_cross_correlation,
    grouped_depthwise_cross_correlation,
    grouped_up_channel_cross_correlation,
    up_channel_cross_correlation,
)
from siamtrack.library import open_network
from siamtrack.model_folder import WEIGHTS, Description, read_model_folder
from siamtrack.models import nanotrack, siammask, siamrpn, siamrpnpp
from siamtrack.models.kinds import kind_of, read_folded
from siamtrack.models.nanotrack import NanoTrack, NanoTrackNetworkSettings
from siamtrack.models.siammask import SiamMaskNetworkSettings
from siamtrack.models.siamrpn import SiamRPN, SiamRPNNetworkSettings, names_of_dasiamrpn
from siamtrack.models.siamrpnpp import SiamRPNPP, SiamRPNPPNetworkSettings
from siamtrack.settings import from_mapping
from siamtrack.trackers import rpn

Network = SiamRPN | SiamRPNPP | NanoTrack

UP_CHANNEL = SiamRPNNetworkSettings(width=0.04, anchors=3, search_size=143)
DEPTHWISE = SiamRPNNetworkSettings(head="depthwise", width=0.04, anchors=3, search_size=143)
RESNET = SiamRPNPPNetworkSettings(
    backbone="resnet18", width=0.1, neck_channels=(6, 7, 8), anchors=3, template_size=95, search_size=127
)
MOBILENET = SiamRPNPPNetworkSettings(
    backbone="mobilenetv2",
    width=0.15,
    used_layers=(3, 5),
    neck_channels=(12, 14),
    weighted=False,
    template_size=95,
    search_size=127,
)
NANO = NanoTrackNetworkSettings(width=0.25, tower=2, search_size=191)
NARROW = {
    "up-channel": UP_CHANNEL,
    "depthwise": DEPTHWISE,
    "resnet18": RESNET,
    "mobilenetv2": MOBILENET,
    "nanotrack": NANO,
}


BUILT: dict[type, Callable[[Any], Network]] = {
    SiamRPNNetworkSettings: SiamRPN,
    SiamRPNPPNetworkSettings: SiamRPNPP,
    NanoTrackNetworkSettings: NanoTrack,
}


def narrow(name: str) -> Network:
    """A small random network in eval mode, whose batch norms do something."""
    torch.manual_seed(0)
    settings = NARROW[name]
    network: Network = BUILT[type(settings)](settings)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    network.backbone.apply(scaled_to_pixels)
    return network.eval()


def scaled_to_pixels(module: nn.Module) -> None:
    """First convolutions that see 0..255 give numbers around 1, as trained ones do."""
    if isinstance(module, nn.Conv2d) and module.in_channels == 3:
        module.weight.data /= 100


def pixels(count: int, side: int) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(count)) * 255


def assert_close(found: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= tolerance * expected.abs().max()


# parity with the published networks


def filled(name: str, shape: list[int]) -> Tensor:
    """As the stored outputs were computed; see the README beside them."""
    if name.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.long)
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if len(shape) > 1:
        values = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
    elif name.endswith(("weight", "running_var")):
        values = rng.uniform(0.8, 1.2, shape)
    else:
        values = rng.standard_normal(shape) * 0.05
    return torch.from_numpy(values.astype(np.float32))


def image(seed: int, side: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).uniform(0, 255, (1, 3, side, side)).astype(np.float32))


def published(kind: str, name: str) -> tuple[Network, dict[str, str]]:
    if name in siamrpn.PRESETS:
        settings = SiamRPNNetworkSettings(**siamrpn.PRESETS[name])
        names = names_of_dasiamrpn(settings) if kind == "dasiamrpn" else siamrpn.names_of_pysot(settings)
        return SiamRPN(settings), names
    deep = SiamRPNPPNetworkSettings(**siamrpnpp.PRESETS[name])
    return SiamRPNPP(deep), siamrpnpp.names_of_pysot(deep)


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("pysot", "siamrpn_alex_dwxcorr"),
        ("pysot", "siamrpn_mobilev2_l234_dwxcorr"),
        ("pysot", "siamrpn_r50_l234_dwxcorr"),
        ("dasiamrpn", "SiamRPNvot"),
        ("dasiamrpn", "SiamRPNBIG"),
    ],
)
def test_every_published_parameter_has_its_place(shared_data: Path, kind: str, name: str) -> None:
    theirs = json.loads((shared_data / "networks" / f"{kind}_{name}.params.json").read_text())
    with torch.device("meta"):
        network, names = published(kind, name)
    ours = {name: list(value.shape) for name, value in network.state_dict().items()}
    assert names.keys() == theirs.keys()
    assert sorted(names.values()) == sorted(ours)
    assert {name: ours[names[name]] for name in theirs} == theirs


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("kind", "name"),
    [("pysot", "siamrpn_alex_dwxcorr"), ("pysot", "siamrpn_mobilev2_l234_dwxcorr"), ("dasiamrpn", "SiamRPNvot")],
)
def test_the_published_networks_answer_the_same(shared_data: Path, kind: str, name: str) -> None:
    """With their kernels in the order of their channels, BGR, and fed what they were fed."""
    shapes = json.loads((shared_data / "networks" / f"{kind}_{name}.params.json").read_text())
    network, names = published(kind, name)
    network.load_state_dict({names[name]: filled(name, shape) for name, shape in shapes.items()})
    with torch.inference_mode(), np.load(shared_data / "networks" / f"{kind}_{name}.npz") as stored:
        network.eval()
        templates = network.embed(image(1, network.settings.template_size))
        found = network.match(templates, image(2, network.settings.search_size))
        for values, map_name in zip(found, network.MAPS, strict=True):
            assert_close(values[0], torch.from_numpy(stored[map_name]), 1e-5)


def test_pysots_other_alexnet_has_the_same_layers_under_other_names() -> None:
    settings = SiamRPNNetworkSettings(head="depthwise")
    legacy = siamrpn.names_of_pysot(settings)
    names = siamrpn.names_of_pysot(settings, backbone="alexnet")
    assert (
        legacy["backbone.features.15.running_var"] == names["backbone.layer5.1.running_var"] == "backbone.conv5.1.running_var"
    )
    assert sorted(legacy.values()) == sorted(names.values())


def test_presets_are_those_of_the_tracking_procedure() -> None:
    sizes = {name: SiamRPNNetworkSettings(**preset).search_size for name, preset in siamrpn.PRESETS.items()}
    sizes |= {name: SiamRPNPPNetworkSettings(**preset).search_size for name, preset in siamrpnpp.PRESETS.items()}
    sizes |= {name: SiamMaskNetworkSettings(**preset).search_size for name, preset in siammask.PRESETS.items()}
    sizes |= {name: NanoTrackNetworkSettings(**preset).search_size for name, preset in nanotrack.PRESETS.items()}
    tracking = {name: from_mapping(rpn.RPNSettings, preset, where=name) for name, preset in rpn.PRESETS.items()}
    assert sizes.keys() - tracking.keys() == {"siamrpn_r18_l234_dwxcorr", "siamrpn_r34_l234_dwxcorr"}  # the names are ours
    assert {name: settings.search_size for name, settings in tracking.items()} == {name: sizes[name] for name in tracking}


# correlation


def naive(template: Tensor, search: Tensor) -> Tensor:
    """(C, h, w) over (C, H, W), every product of a channel for itself -> (C, H - h + 1, W - w + 1)."""
    c, h, w = template.shape
    rows, columns = search.shape[1] - h + 1, search.shape[2] - w + 1
    maps = torch.zeros(c, rows, columns)
    for i in range(rows):
        for j in range(columns):
            maps[:, i, j] = (template * search[:, i : i + h, j : j + w]).sum((1, 2))
    return maps


def test_correlations_are_what_they_say() -> None:
    torch.manual_seed(0)
    n, s, c, kernels = 2, 3, 4, 5
    templates, searches = torch.randn(n, c, 3, 2), torch.randn(n, s, c, 7, 6)
    depthwise = torch.stack([torch.stack([naive(templates[a], searches[a, b]) for b in range(s)]) for a in range(n)])
    assert_close(depthwise_cross_correlation(templates, searches), depthwise)
    assert_close(grouped_depthwise_cross_correlation(templates, searches[:, 1]), depthwise[:, 1])
    assert_close(cross_correlation(templates, searches), depthwise.sum(2))

    many = torch.randn(n, kernels, c, 3, 2)
    up_channel = torch.stack(
        [torch.stack([torch.stack([naive(k, searches[a, b]).sum(0) for k in many[a]]) for b in range(s)]) for a in range(n)]
    )
    flat = many.flatten(1, 2)
    assert_close(up_channel_cross_correlation(flat, searches), up_channel)
    assert_close(grouped_up_channel_cross_correlation(flat, searches[:, 1]), up_channel[:, 1])


# the networks


@pytest.mark.parametrize(
    ("name", "kernels", "cells"),
    [
        ("up-channel", (6 * 3 * 10, 4, 4), 6 - 2),
        ("depthwise", (2 * 10, 4, 4), 6 - 2),
        ("resnet18", (2 * (6 + 7 + 8), 5, 5), 15 - 6),
        ("mobilenetv2", (2 * (12 + 14), 5, 5), 15 - 6),
        ("nanotrack", (4 * 24, 8, 8), 8 + 4 - 1),
    ],
)
def test_match_is_forward_for_any_number_of_targets_and_patches(name: str, kernels: tuple[int, ...], cells: int) -> None:
    network = narrow(name)
    side = network.settings.search_size
    larger = side + 3 * getattr(network.settings, "stride", 8)
    z, x = pixels(2, network.settings.template_size), pixels(6, side)
    with torch.no_grad():
        templates = network.embed(z)
        assert templates.shape == (2, *kernels)
        maps = network.match(templates, x)
        repeated = z[:, None].expand(2, 3, *z.shape[1:]).flatten(0, 1)
        for found, expected in zip(maps, network(repeated, x)[:2], strict=True):
            assert_close(found.flatten(0, 1), expected)
        a = network.settings.anchors
        size = cells if name not in ("up-channel", "depthwise") else (side - network.settings.template_size) // 8 + 1
        assert [tuple(m.shape) for m in maps] == [(2, 3, 2 * a, size, size), (2, 3, 4 * a, size, size)]
        assert network.match(templates, pixels(2, larger))[0].shape == (2, 1, 2 * a, size + 3, size + 3)


@pytest.mark.parametrize("name", NARROW)
def test_every_parameter_learns(name: str) -> None:
    network = narrow(name)  # in eval mode, as biases before batch norm have no part in what it makes of a batch
    cls, loc = network(pixels(2, network.settings.template_size), pixels(2, network.settings.search_size))[:2]
    (cls.square().mean() + loc.square().mean()).backward()
    idle = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all() or not p.grad.any()]
    assert idle == []
    network.train()
    for maps in network(pixels(2, network.settings.template_size), pixels(2, network.settings.search_size))[:2]:
        assert maps.isfinite().all()


def test_learnt_weights_choose_between_layers() -> None:
    network = narrow("resnet18")
    z, x = pixels(1, 95), pixels(1, 127)
    with torch.no_grad():
        features = [f[:, :, 2:9, 2:9] for f in network.neck(network.backbone(z))], network.neck(network.backbone(x))
        single = [head(template, search) for head, template, search in zip(network.head.heads, *features, strict=True)]
        assert_close(network(z, x)[0], sum(cls for cls, _ in single) / 3)  # all weights are equal at first
        network.head.cls_weight.copy_(torch.tensor([0.0, 0.0, 50.0]))
        network.head.loc_weight.copy_(torch.tensor([50.0, 0.0, 0.0]))
        cls, loc = network(z, x)[:2]
    assert_close(cls, single[2][0])
    assert_close(loc, single[0][1])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["up-channel", "nanotrack", "resnet18"])
def test_exported_networks_answer_the_same_on_every_runtime(name: str, tmp_path: Path) -> None:
    """export_model compares the runtimes with PyTorch at the usual size; here at another, with other numbers of targets."""
    network = narrow(name)
    model, settings = kind_of(network), {**vars(network.settings)}
    export_model(
        network,
        tmp_path / "model",
        Description(name="narrow", model=model, tracker="rpn", licence="MIT", card="", network=settings),
    )
    folder = read_model_folder(tmp_path / "model")
    rng = np.random.default_rng(0)
    side = network.settings.search_size + 16
    z = rng.integers(0, 256, (3, network.settings.template_size, network.settings.template_size, 3), np.uint8)
    x = rng.integers(0, 256, (3, 1, side, side, 3), np.uint8)
    with torch.no_grad():
        numbers = [torch.from_numpy(p.reshape(-1, *p.shape[-3:])).permute(0, 3, 1, 2).float() for p in (z, x)]
        expected = network.match(network.embed(numbers[0]), numbers[1])
    for runtime in ("openvino", "onnx", "torch"):
        other = open_network(folder, runtime=runtime, precision="float32")
        for values, wanted in zip(other.match(other.embed(z), x), expected, strict=True):
            assert_close(torch.from_numpy(values), wanted, 5e-3)
    with pytest.raises(
        WeightsError, match=r"described beside it: size mismatch[^\n]* One of the two was changed; export or install"
    ):
        read_folded(model, folder.path / WEIGHTS, settings | {"width": 0.5})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"head": "depth-wise"}, "The setting head is 'depth-wise'. Did you mean 'depthwise'"),
        ({"width": 0.0}, "width is 0.0"),
        ({"anchors": 0}, "anchors is 0"),
        ({"template_size": 102}, "template_size is 102; expected 103"),
        ({"template_size": 130, "search_size": 258}, "template_size is 130, which leaves 3 px over"),
        ({"search_size": 126}, "search_size is 126; expected 127"),
    ],
)
def test_wrong_settings_of_siamrpn_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        SiamRPNNetworkSettings(**wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"backbone": "resnet5"}, "The setting backbone is 'resnet5'. Did you mean 'resnet50'"),
        ({"used_layers": ()}, "used_layers is"),
        ({"used_layers": (4, 3, 2)}, "to be named in this order"),
        ({"used_layers": (1, 2, 3)}, r"resnet50 has \(2, 3, 4\)"),
        ({"used_layers": (2, 2, 3)}, "used_layers is"),
        ({"used_layers": (2, 3)}, "neck_channels is .* for each of 2 layers"),
        ({"neck_channels": (256, 0, 256)}, "neck_channels is"),
        ({"width": float("nan")}, "width is nan"),
        ({"anchors": 0}, "anchors is 0"),
        ({"template_size": 62}, "template_size is 62; expected 63"),
        ({"template_size": 130, "search_size": 258}, "template_size is 130, which leaves 3 px over"),
        ({"search_size": 126}, "search_size is 126; expected 127"),
    ],
)
def test_wrong_settings_of_siamrpnpp_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        SiamRPNPPNetworkSettings(**wrong)


@pytest.mark.parametrize("backbone", ["resnet18", "mobilenetv2"])
def test_the_smallest_template_gives_seven_cells(backbone: str) -> None:
    settings = SiamRPNPPNetworkSettings(
        backbone=backbone, width=0.05, used_layers=(3,), neck_channels=(4,), template_size=63, search_size=63
    )
    network = SiamRPNPP(settings).eval()
    with torch.no_grad():
        assert network.neck(network.backbone(pixels(1, 63)))[0].shape == (1, 4, 7, 7)
        assert network.match(network.embed(pixels(1, 63)), pixels(1, 63))[0].shape == (1, 1, 10, 1, 1)


def test_the_smallest_template_of_alexnet() -> None:
    network = SiamRPN(SiamRPNNetworkSettings(width=0.05, template_size=103, search_size=103)).eval()
    with torch.no_grad():
        assert network.match(network.embed(pixels(1, 103)), pixels(1, 103))[1].shape == (1, 1, 20, 1, 1)


def test_gain_multiplies_the_up_channel_correlation_alone() -> None:
    """Of the same random weights; the depth-wise head has no use for it."""
    z, x = torch.rand(1, 3, 127, 127) * 255, torch.rand(1, 3, 143, 143) * 255
    answers = []
    for gain in (1.0, 0.05):
        torch.manual_seed(0)
        with torch.no_grad():
            answers.append(SiamRPN(replace(UP_CHANNEL, gain=gain)).eval()(z, x)[0])
    assert torch.allclose(answers[1], 0.05 * answers[0], rtol=1e-4, atol=1e-6)
    with pytest.raises(SettingsError, match=r"The setting gain is 0\.05, but the head 'depthwise'"):
        replace(DEPTHWISE, gain=0.05)
    with pytest.raises(SettingsError, match="The setting gain is 0"):
        replace(UP_CHANNEL, gain=0.0)
