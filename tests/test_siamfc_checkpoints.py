"""Every published format gives the network that was saved, and everything else is refused with what is wrong."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from siamtrack.errors import MissingExtraError, WeightsError
from siamtrack.layers.folding import fold_batch_norm
from siamtrack.models.siamfc import SiamFC, SiamFCNetworkSettings
from siamtrack.models.siamfc_checkpoints import read_checkpoint

SHARED = Path(__file__).resolve().parents[2] / "shared"
CONVS, NORMS = (0, 4, 8, 11, 14), (1, 5, 9, 12)
needs_shared_data = pytest.mark.skipif(not (SHARED / "data" / "networks").is_dir(), reason="no measuring data")


def random_network(width: float = 0.1, *, epsilon: float = 1e-6, bias: float = 0.0, gain: float = 1e-3) -> SiamFC:
    """Every parameter far from its default; epsilon as in the code whose checkpoint is imitated."""
    torch.manual_seed(0)
    network = SiamFC(SiamFCNetworkSettings(width=width, gain=gain))
    nn.init.constant_(network.bias, bias)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.bias)
        if isinstance(module, nn.BatchNorm2d):
            module.eps = epsilon
            nn.init.uniform_(module.weight, 0.3, 2.0)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.2, 5.0)
    return network.eval()


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


def blocks(network: SiamFC) -> dict[str, Tensor]:
    """Format of huanglianghua/siamfc-pytorch."""
    return {name: value for name, value in network.state_dict().items() if name.startswith("backbone.")}


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


def matconvnet(network: SiamFC) -> dict[str, Any]:
    """Names and arrays of the authors' file."""
    values = {"adjust_f": network.gain.reshape(1, 1), "adjust_b": network.bias.detach().reshape(1, 1)}
    for n, block in enumerate(network.backbone, 1):
        conv = block[0]
        values |= {f"conv{n}f": conv.weight.detach().permute(2, 3, 1, 0), f"conv{n}b": conv.bias.detach()[:, None]}
        if n < 5:
            norm = block[1]
            deviation = (norm.running_var + norm.eps).sqrt()
            values |= {f"bn{n}m": norm.weight.detach()[:, None], f"bn{n}b": norm.bias.detach()[:, None]}
            values[f"bn{n}x"] = torch.stack([norm.running_mean, deviation], 1)
    return {name: value.numpy() for name, value in values.items()}


def save_matconvnet(path: Path, values: Mapping[str, Any]) -> Path:
    scipy_io = pytest.importorskip("scipy.io")
    params = np.zeros((1, len(values)), [(field, object) for field in ("name", "value", "learningRate", "weightDecay")])
    for entry, (name, value) in zip(params[0], values.items(), strict=True):
        entry["name"], entry["value"], entry["learningRate"], entry["weightDecay"] = name, value, 1.0, 1.0
    layers = np.zeros((1, 1), [("name", object), ("type", object)])
    layers[0, 0]["name"], layers[0, 0]["type"] = "br_conv1", "dagnn.Conv"
    net = {"vars": {"name": "exemplar"}, "params": params, "layers": layers, "meta": {"trainOpts": 1.0}}
    scipy_io.savemat(path, {"net": net, "stats": 1.0}, do_compression=True)
    return path


def save(path: Path, content: object, **options: Any) -> Path:
    torch.save(content, path, **options)
    return path


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


# What is refused


def refusal(path: Path) -> str:
    with pytest.raises(WeightsError) as error:
        read_checkpoint(path)
    message = str(error.value)
    assert str(path) in message
    assert len(message) < 1500
    return message


def test_missing_unexpected_and_wrong_ones_are_named_at_once(tmp_path: Path) -> None:
    content: dict[str, Any] = blocks(random_network())
    del content["backbone.conv2.0.bias"], content["backbone.conv1.1.running_mean"]
    content["backbone.conv6.0.weight"] = torch.zeros(1)
    content["backbone.conv4.0.weight"] = torch.zeros(38, 19, 3, 5)
    content["backbone.conv3.1.bias"] = content["backbone.conv3.1.bias"].clone().fill_(torch.nan)
    content["backbone.conv4.1.weight"] = 3
    content["backbone.conv2.1.running_var"] = -content["backbone.conv2.1.running_var"]
    message = refusal(save(tmp_path / "x.pth", content))
    assert "missing: backbone.conv2.0.bias, backbone.conv1.1.running_mean;" in message
    assert "do not belong to it: backbone.conv6.0.weight;" in message
    assert re.search(r"wrong shape: backbone\.conv4\.0\.weight is \(38, 19, 3, 5\), not \(38, \d+, 3, 3\);", message)
    assert "not finite in float32: backbone.conv3.1.bias;" in message
    assert "no arrays of floating-point numbers: backbone.conv4.1.weight;" in message
    assert "negative variance or deviation: backbone.conv2.1.running_var." in message


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 1e300])
def test_values_that_are_not_finite(tmp_path: Path, value: float) -> None:
    content = {name: value.double() for name, value in random_network().state_dict().items()}
    content["backbone.conv5.0.weight"][0, 0, 0, 0] = value
    assert "not finite in float32: backbone.conv5.0.weight" in refusal(save(tmp_path / "x.pth", content))


def test_many_names_are_summed_up(tmp_path: Path) -> None:
    content = {f"extra.{n}.weight": torch.zeros(1) for n in range(500)} | blocks(random_network())
    assert "extra.0.weight and 499 more extra.*" in refusal(save(tmp_path / "x.pth", content))
    content = {f"kind{n}.weight": torch.zeros(1) for n in range(500)}
    assert "and 492 more kinds" in refusal(save(tmp_path / "x.pth", content))


def test_our_weights_without_gain_or_bias(tmp_path: Path) -> None:
    for name in ("gain", "bias"):
        content = random_network().state_dict()
        del content[name]
        assert f"missing: {name}" in refusal(save(tmp_path / "x.pth", content))


def test_layers_that_fit_no_common_width(tmp_path: Path) -> None:
    content = blocks(random_network())  # the CFNet-like AlexNetV2 has another last layer
    content |= {"backbone.conv5.0.weight": torch.zeros(4, 19, 3, 3), "backbone.conv5.0.bias": torch.zeros(4)}
    message = refusal(save(tmp_path / "x.pth", content))
    assert "backbone.conv5.0.weight is (4, 19, 3, 3), not (26, " in message
    assert "conv1" not in message.split("Give")[0]


def test_a_name_twice(tmp_path: Path) -> None:
    content = blocks(random_network())
    content["module.backbone.conv1.0.bias"] = torch.zeros(10)
    assert "twice" in refusal(save(tmp_path / "x.pth", content))


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("pysot_siamrpn_alex_dwxcorr", "rpn_head."),
        ("pysot_siammask_r50_l3", "rpn_head."),
        ("dasiamrpn_SiamRPNvot", "conv_cls1."),
        ("siamdw_SiamFCRes22", "features.features."),
    ],
)
@pytest.mark.shared_data
@needs_shared_data
def test_other_trackers_of_the_shared_data(tmp_path: Path, name: str, own: str) -> None:
    shapes = json.loads((SHARED / "data" / "networks" / f"{name}.params.json").read_text())
    content = {key: torch.zeros(()).expand(shape) for key, shape in shapes.items()}
    message = refusal(save(tmp_path / "x.pth", content))
    assert own in message


def test_another_tracker(tmp_path: Path) -> None:
    content = {"backbone.features.0.weight": torch.zeros(96, 3, 11, 11), "rpn_head.cls.weight": torch.zeros(2)}
    message = refusal(save(tmp_path / "x.pth", content))
    assert "no checkpoint of SiamFC" in message
    assert "rpn_head.cls.weight" in message


class Intruder:
    """What a malicious checkpoint holds: unpickling it runs a command."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


def test_a_checkpoint_that_would_run_code(tmp_path: Path) -> None:
    content = {"state_dict": blocks(random_network()), "args": Intruder(f"touch {tmp_path / 'ran'}")}
    message = refusal(save(tmp_path / "x.pth", content))
    assert "refused" in message
    assert re.search(r"\((posix|nt)\.system\)", message)
    assert not (tmp_path / "ran").exists()


def test_a_whole_network_pickled(tmp_path: Path) -> None:
    message = refusal(save(tmp_path / "x.pth", random_network()))
    assert "refused" in message
    assert "siamtrack.models.siamfc.SiamFC" in message


@pytest.mark.parametrize("content", [b"", b"<html>404 Not Found</html>", b"hello world, hello world", bytes(range(256)) * 8])
def test_files_that_are_no_checkpoints(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.pth"
    path.write_bytes(content)
    message = refusal(path)
    assert "no readable checkpoint" in message
    assert "weights_only" not in message  # PyTorch's own advice is to load it unsafely


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path / "absent.pth")
    assert "cannot be read" in refusal(tmp_path)


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.99])
def test_truncated_files(tmp_path: Path, share: float) -> None:
    network = random_network()
    save(tmp_path / "a.pth", blocks(network))
    save(tmp_path / "b.pth", blocks(network), _use_new_zipfile_serialization=False)
    save_file(network.state_dict(), tmp_path / "c.safetensors")
    save_matconvnet(tmp_path / "d.mat", matconvnet(network))
    for path in sorted(tmp_path.iterdir()):
        content = path.read_bytes()
        path.write_bytes(content[: round(share * len(content))])
        assert "readable" in refusal(path)


@pytest.mark.parametrize("content", [[1, 2], torch.zeros(3), "text", 5])
def test_a_torch_file_with_something_else(tmp_path: Path, content: object) -> None:
    assert "expected a state dict" in refusal(save(tmp_path / "x.pth", content))


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, {"weights": {"conv1.weight": torch.zeros(1)}}])
def test_a_torch_file_without_parameters(tmp_path: Path, content: object) -> None:
    assert "no parameters" in refusal(save(tmp_path / "x.pth", content))


def test_a_matlab_file_of_another_kind(tmp_path: Path) -> None:
    scipy_io = pytest.importorskip("scipy.io")
    scipy_io.savemat(tmp_path / "x.mat", {"boxes": np.zeros(4)})
    assert "no readable MatConvNet network" in refusal(tmp_path / "x.mat")
    (tmp_path / "y.mat").write_bytes(b"MATLAB 7.3 MAT-file, Platform: GLNXA64" + bytes(500))
    assert "MATLAB 7.3" in refusal(tmp_path / "y.mat")


def test_a_matconvnet_network_with_other_parameters(tmp_path: Path) -> None:
    values = matconvnet(random_network())
    del values["bn2x"]
    values |= {"conv1b": np.zeros((7, 1)), "fin_adjust_bnm": np.ones((1, 1)), "bn1x": -values["bn1x"], "bn3x": np.ones((38, 3))}
    values["conv4f"], values["conv5b"] = np.zeros((3, 3)), "text"
    message = refusal(save_matconvnet(tmp_path / "x.mat", values))
    assert "missing: bn2x(:,1), bn2x(:,2)" in message
    assert "do not belong to it: fin_adjust_bnm" in message
    assert "conv1b is (7,), not (10,)" in message
    assert "bn3x(:,2) is (38, 3), not (38,)" in message
    assert "conv4f is (3, 3), not " in message
    assert "no arrays of floating-point numbers: conv5b" in message
    assert "negative variance or deviation: bn1x(:,2)" in message


def test_a_matconvnet_network_without_scipy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_matconvnet(tmp_path / "x.mat", matconvnet(random_network()))
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(MissingExtraError, match=r"scipy.*siamtrack\[train\]"):
        read_checkpoint(path)


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
