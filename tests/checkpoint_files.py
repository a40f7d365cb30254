"""A network with random weights, and files of it as others have published theirs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from siamtrack.models.siamfc import SiamFC, SiamFCNetworkSettings


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


def blocks(network: SiamFC) -> dict[str, Tensor]:
    """Format of huanglianghua/siamfc-pytorch."""
    return {name: value for name, value in network.state_dict().items() if name.startswith("backbone.")}


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
