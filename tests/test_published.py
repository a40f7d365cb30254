"""Checkpoints of other repositories become networks of ours, whole and unchanged, or are refused with what is wrong."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoint_files import save
from made_up_checkpoints import TITLES, made_up
from torch import Tensor

from siamtrack.errors import WeightsError
from siamtrack.models.checkpoints import read_checkpoint
from siamtrack.models.siamrpn import SiamRPN, SiamRPNNetworkSettings, names_of_pysot

PUBLISHED: dict[str, tuple[str, dict[str, Any], str]] = {  # network, settings that differ, first convolution of theirs
    "siamfc_alexnet_v1": ("SiamFC", {}, ""),
    "dasiamrpn_SiamRPNvot": ("SiamRPN", {}, "featureExtract.0.weight"),
    "dasiamrpn_SiamRPNBIG": ("SiamRPN", {"width": 2.0}, "featureExtract.0.weight"),
    "pysot_siamrpn_alex_dwxcorr": ("SiamRPN", {"head": "depthwise"}, "backbone.features.0.weight"),
    "pysot_siamrpn_r50_l234_dwxcorr": ("SiamRPNPP", {}, "backbone.conv1.weight"),
    "pysot_siamrpn_mobilev2_l234_dwxcorr": (
        "SiamRPNPP",
        {"backbone": "mobilenetv2", "width": 1.4, "used_layers": (3, 5, 7), "weighted": False},
        "backbone.layer0.0.weight",
    ),
    "pysot_siammask_r50_l3": ("SiamMask", {}, "backbone.conv1.weight"),
    "siamdw_SiamFCRes22": ("SiamDWFC", {}, "features.features.conv1.weight"),
    "siamdw_SiamFCRes22W": ("SiamDWFC", {"backbone": "CIResNet22W"}, "features.features.conv1.weight"),
    "siamdw_SiamFCIncep22": ("SiamDWFC", {"backbone": "CIResInception22"}, "features.features.conv1.weight"),
    "siamdw_SiamFCNext22": ("SiamDWFC", {"backbone": "CIResNeXt22"}, "features.features.conv0.weight"),
}


def shapes_of(shared_data: Path, name: str) -> dict[str, list[int]]:
    shapes: dict[str, list[int]] = json.loads((shared_data / "networks" / f"{name}.params.json").read_text())
    return shapes


def some_values(name: str, shape: list[int]) -> Tensor:
    """Few numbers, another series for every name, so that a large network is made in no time."""
    if name.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.long)
    few = np.random.default_rng(zlib.crc32(name.encode())).uniform(0.5, 1.5, 97)
    return torch.from_numpy(np.resize(few, shape).astype(np.float32))


@pytest.mark.shared_data
@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_network_is_found_and_filled(tmp_path: Path, shared_data: Path, name: str) -> None:
    kind, differences, first = PUBLISHED[name]
    content = {key: some_values(key, shape) for key, shape in shapes_of(shared_data, name).items()}
    network = read_checkpoint(save(tmp_path / "x.pth", content))
    assert type(network).__name__ == kind
    assert network.settings == type(network.settings)(**differences)
    assert not network.training
    # as many values, and the same ones: the first convolution with its input channels in reverse order
    wanted = {key: value.flip(1) if key == first else value for key, value in content.items()}
    sums = [sorted(float(v.double().sum()) for v in values.values() if v.ndim) for values in (wanted, network.state_dict())]
    assert sums[0] == pytest.approx(sums[1], rel=1e-9)
    if first:
        kernels = next(p for p in network.parameters() if p.ndim == 4 and p.shape[1] == 3)
        assert torch.equal(kernels, content[first].flip(1))


@pytest.mark.shared_data
def test_damaged_ones_are_refused_with_every_fault(tmp_path: Path, shared_data: Path) -> None:
    content: dict[str, Any] = {
        key: some_values(key, shape) for key, shape in shapes_of(shared_data, "pysot_siamrpn_alex_dwxcorr").items()
    }
    del content["rpn_head.cls.head.0.weight"]
    content["rpn_head.loc.head.0.weight"] = torch.zeros(256, 256, 3, 3)
    content["backbone.features.1.running_var"] = -content["backbone.features.1.running_var"]
    content["extra.weight"] = torch.zeros(2)
    with pytest.raises(WeightsError) as error:
        read_checkpoint(save(tmp_path / "x.pth", content))
    message = str(error.value)
    assert "missing: rpn_head.cls.head.0.weight;" in message
    assert "wrong shape: rpn_head.loc.head.0.weight is (256, 256, 3, 3), not (256, 256, 1, 1);" in message
    assert "negative variance or deviation: backbone.features.1.running_var" in message
    assert "do not belong to it: extra.weight;" in message


def test_a_little_of_a_tracker_is_said_to_be_of_that_tracker(tmp_path: Path) -> None:
    content = {"backbone.features.0.weight": torch.zeros(96, 3, 11, 11), "rpn_head.cls.weight": torch.zeros(2)}
    with pytest.raises(WeightsError, match=r"format of STVIR/pysot.*missing.*do not belong to it: rpn_head\.cls\.weight"):
        read_checkpoint(save(tmp_path / "x.pth", content))


@pytest.mark.parametrize("head", ["depthwise", "up-channel"])
def test_pysots_own_alexnet(tmp_path: Path, head: str) -> None:
    """That of the networks that it trains itself ("..._16gpu"), whose published files have the older one's names."""
    settings = SiamRPNNetworkSettings(head=head, width=0.1)
    network = SiamRPN(settings)
    names = names_of_pysot(settings, backbone="alexnet")
    content = {theirs: network.state_dict()[ours] for theirs, ours in names.items()}
    found = read_checkpoint(save(tmp_path / "x.pth", content))
    assert found.settings == settings
    assert torch.equal(found.backbone.conv1[0].weight, network.backbone.conv1[0].weight.flip(1))
    assert torch.equal(found.backbone.conv5[0].weight, network.backbone.conv5[0].weight)


@pytest.mark.parametrize(("name", "start"), [("pysot-siammask", "mask_head."), ("siammask", "mask_model.")])
def test_siammask_without_its_masks_is_said_to_be_siammask(tmp_path: Path, name: str, start: str) -> None:
    content = {key: value for key, value in made_up(name).items() if not key.startswith(start)}
    with pytest.raises(WeightsError, match=rf"format of {TITLES[name]}, .* siammask .*missing: .*{start}"):
        read_checkpoint(save(tmp_path / "x.pth", content))


def test_what_belongs_to_nothing(tmp_path: Path) -> None:
    content = {"encoder.weight": torch.zeros(3), "decoder.weight": torch.zeros(2)}
    with pytest.raises(WeightsError, match=r"no checkpoint of a network that is known.*encoder\.weight.*DaSiamRPN"):
        read_checkpoint(save(tmp_path / "x.pth", content))
