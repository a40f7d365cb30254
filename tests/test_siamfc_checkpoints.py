"""Every published format gives the network that was saved."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoint_files import blocks, matconvnet, random_network, save, save_matconvnet
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from siamtrack.layers.folding import fold_batch_norm
from siamtrack.models.checkpoints import read_checkpoint
from siamtrack.models.siamfc import SiamFC, SiamFCNetworkSettings

SHARED = Path(__file__).resolve().parents[2] / "shared"
CONVS, NORMS = (0, 4, 8, 11, 14), (1, 5, 9, 12)
needs_shared_data = pytest.mark.skipif(not (SHARED / "data" / "networks").is_dir(), reason="no measuring data")


def responses(network: SiamFC, template: int = 95, search: int = 111) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    z, x = (torch.rand(1, 3, size, size, generator=generator) * 255 for size in (template, search))
    with torch.no_grad():
        return network(z, x)[0]


def assert_same(found: SiamFC, expected: SiamFC) -> None:
    assert not any(module.training for module in found.modules())
    ours, theirs = responses(found), responses(expected)
    assert torch.isfinite(theirs).all()
    assert (ours - theirs).abs().max() < 1e-5 * theirs.abs().max()


def numbered(network: SiamFC, prefix: str) -> dict[str, Tensor]:
    """One nn.Sequential: the first version of huanglianghua/siamfc-pytorch, and the thesis."""
    renamed = {}
    for name, value in blocks(network).items():
        _, conv, layer, part = name.split(".")
        index = (CONVS, NORMS)[int(layer)][int(conv[-1]) - 1]
        renamed[f"{prefix}.{index}.{part}"] = value
    return renamed


def thesis(network: SiamFC, prefix: str = "features.module") -> dict[str, Tensor]:
    unused = {f"batch_normalization.{name}": value for name, value in nn.BatchNorm2d(1).state_dict().items()}
    return numbered(network, prefix) | {"corr_bias": network.bias.detach().reshape(1)} | unused


# The formats


@pytest.mark.parametrize("width", [0.1, 0.13, 0.3, 0.55])
def test_our_own_weights_of_any_width(tmp_path: Path, width: float) -> None:
    network = random_network(width, bias=-1.5, gain=2e-3)
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    found = read_checkpoint(tmp_path / "weights.safetensors")
    assert all(torch.equal(value, found.state_dict()[name]) for name, value in network.state_dict().items())
    assert found.settings.gain == 2e-3
    assert_same(found, network)


def test_the_width_found_is_the_round_number(tmp_path: Path) -> None:
    for width in (0.05, 0.1, 0.25, 0.3):
        network = SiamFC(SiamFCNetworkSettings(width=width))
        found = read_checkpoint(save(tmp_path / "x", network.state_dict()))
        again = SiamFC(found.settings)
        assert [v.shape for v in again.state_dict().values()] == [v.shape for v in network.state_dict().values()]
    assert found.settings.width == pytest.approx(0.3, abs=0.01)
    assert len(str(found.settings.width)) <= 4


def test_a_checkpoint_of_our_training(tmp_path: Path) -> None:
    network = random_network(bias=0.25)
    optimizer = torch.optim.AdamW(network.parameters())
    recipe = {"network": asdict(network.settings), "optimizer": "adamw", "pairs": 10}
    content = {"recipe": recipe, "step": 3, "network": network.state_dict(), "optimizer": optimizer.state_dict()}
    assert_same(read_checkpoint(save(tmp_path / "checkpoint.pt", content)), network)


@pytest.mark.parametrize("rename", [blocks, lambda network: numbered(network, "feature")])
def test_siamfc_pytorch_in_both_versions(tmp_path: Path, rename: Callable[[SiamFC], dict[str, Tensor]]) -> None:
    network = random_network()
    path = save(tmp_path / "siamfc_alexnet_e50.pth", rename(network))
    assert_same(read_checkpoint(path), network)


def test_the_thesis(tmp_path: Path) -> None:
    network = random_network(epsilon=1e-5, bias=0.7)
    for norm in (network.backbone.conv1[1], network.backbone.conv3[1]):
        norm.running_var.mul_(1e-6)  # so small that the epsilon decides
    plain, wrapped = thesis(network, "features"), thesis(network)
    contents = [wrapped, plain, {f"module.{name}": value for name, value in plain.items()}]
    contents += [{"epoch": 3, "state_dict": wrapped}, {"model": wrapped, "optimizer": {}}]
    for content in contents:
        assert_same(read_checkpoint(save(tmp_path / "siamfc_50.pth", content)), network)


def test_folded_convolutions(tmp_path: Path) -> None:
    folded = fold_batch_norm(random_network())
    pairs = {
        f"conv{n}.{part}": getattr(block[0], part) for n, block in enumerate(folded.backbone, 1) for part in ("weight", "bias")
    }
    found = read_checkpoint(save(tmp_path / "x.pth", pairs))
    assert_same(found, folded)
    for norm in (module for module in found.modules() if isinstance(module, nn.BatchNorm2d)):
        assert (norm.running_var.double() + norm.eps - 1).abs().max() < 1e-7  # float32 cannot be nearer to the identity


def test_matconvnet(tmp_path: Path) -> None:
    network = random_network(bias=-4.5, gain=1.5e-3, epsilon=1e-4)
    network.backbone.conv2[1].running_var.mul_(1e-6)  # so small that the epsilon decides
    path = save_matconvnet(tmp_path / "2016-08-17.net.mat", matconvnet(network))
    found = read_checkpoint(path)
    assert_same(found, network)
    assert found.bias.item() == -4.5
    assert found.settings.gain == pytest.approx(1.5e-3, rel=1e-6)


def test_the_format_is_found_from_the_content_and_not_from_the_name(tmp_path: Path) -> None:
    network = random_network(bias=0.5)
    save_file(network.state_dict(), tmp_path / "a.pth")
    save(tmp_path / "weights.safetensors", network.state_dict())
    save_matconvnet(tmp_path / "x.bin", matconvnet(network)).rename(tmp_path / "c.pth")
    for name in ("a.pth", "weights.safetensors", "c.pth"):
        assert_same(read_checkpoint(tmp_path / name), network)


def test_old_files_half_precision_and_missing_counters(tmp_path: Path) -> None:
    network = random_network()
    network.half().float()
    network.gain.fill_(1e-3)
    halves = {name: value.half() for name, value in blocks(network).items() if not name.endswith("num_batches_tracked")}
    assert len(halves) == len(blocks(network)) - 4
    found = read_checkpoint(save(tmp_path / "old.pth", halves, _use_new_zipfile_serialization=False))
    assert {parameter.dtype for parameter in found.parameters()} == {torch.float32}
    assert found.backbone.conv1[1].num_batches_tracked.item() == 0
    assert_same(found, network)


def test_reading_draws_no_random_numbers_and_leaves_a_trainable_network(tmp_path: Path) -> None:
    path = save(tmp_path / "x.pth", blocks(random_network()))
    before = torch.get_rng_state()
    network = read_checkpoint(path)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in network.parameters())


# The published numbers


@pytest.mark.shared_data
@needs_shared_data
def test_the_published_folded_network() -> None:
    path = SHARED / "data" / "weights" / "siamfc_3s_color.pth"
    weights = torch.load(path, weights_only=True)
    network = read_checkpoint(path)
    found = responses(network, 127, 255)

    def embed(x: Tensor) -> Tensor:
        for n, groups in enumerate((1, 2, 1, 2, 2), 1):
            x = F.conv2d(x, weights[f"conv{n}.weight"], weights[f"conv{n}.bias"], stride=2 if n == 1 else 1, groups=groups)
            x = F.relu(x) if n < 5 else x
            x = F.max_pool2d(x, 3, 2) if n < 3 else x
        return x

    generator = torch.Generator().manual_seed(1)
    z, x = (torch.rand(1, 3, size, size, generator=generator) * 255 for size in (127, 255))
    expected = 1e-3 * F.conv2d(embed(x), embed(z))[0]
    assert network.settings.width == 1
    assert found.shape == (1, 17, 17)
    assert torch.isfinite(found).all()
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


@pytest.mark.shared_data
@needs_shared_data
def test_parity_with_siamfc_pytorch(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("fill_weights", SHARED / "tools" / "fill_weights.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    shapes = json.loads((SHARED / "data" / "networks" / "siamfc_alexnet_v1.params.json").read_text())
    content = {name: torch.from_numpy(np.asarray(tool.fill(name, shape))) for name, shape in shapes.items()}
    network = read_checkpoint(save(tmp_path / "siamfc_alexnet_e50.pth", content))
    z, x = torch.from_numpy(tool.image(1, 127)), torch.from_numpy(tool.image(2, 255))
    with torch.no_grad():
        response, template, _ = network(z, x)
    stored = np.load(SHARED / "data" / "networks" / "siamfc_alexnet_v1.npz")
    for found, expected in ((response, stored["response"]), (template, stored["exemplar_features"])):
        assert np.abs(found.numpy() - expected.reshape(found.shape)).max() < 1e-4 * np.abs(expected).max()
