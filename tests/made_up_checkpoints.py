"""Narrow networks with random values, under the names that each repository gives their parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from checkpoint_files import blocks, random_network
from torch import Tensor, nn

from siamtrack.models import siamdw, siammask, siamrpn, siamrpnpp
from siamtrack.models.siamdw import SiamDWNetworkSettings
from siamtrack.models.siammask import SiamMask, SiamMaskNetworkSettings
from siamtrack.models.siamrpn import SiamRPN, SiamRPNNetworkSettings
from siamtrack.models.siamrpnpp import SiamRPNPP, SiamRPNPPNetworkSettings

SIAMRPN = SiamRPNNetworkSettings(width=0.05)
DEPTHWISE = SiamRPNNetworkSettings(width=0.05, head="depthwise")
RESNET = SiamRPNPPNetworkSettings(width=0.1, neck_channels=(8, 8, 8))
MOBILENET = SiamRPNPPNetworkSettings(
    backbone="mobilenetv2", width=0.15, used_layers=(3, 5, 7), neck_channels=(8, 8, 8), weighted=False
)
SIAMMASK = SiamMaskNetworkSettings(width=0.1, channels=8)
COARSE = SiamMaskNetworkSettings(backbone="resnet18", width=0.125, channels=8, refined=False)
SIAMDW = SiamDWNetworkSettings(width=0.1)
SIAMDW_RPN = SiamDWNetworkSettings(width=0.125, head="siamrpn", backbone="CIResNeXt22")

TITLES = {
    "siamfc": "huanglianghua/siamfc-pytorch",
    "dasiamrpn": "foolwood/DaSiamRPN",
    "pysot-alexnetlegacy": "STVIR/pysot",
    "pysot-alexnet": "STVIR/pysot",
    "pysot-resnet50": "STVIR/pysot",
    "pysot-mobilenetv2": "STVIR/pysot",
    "pysot-siammask": "STVIR/pysot",
    "siammask": "foolwood/SiamMask",
    "siammask-base": "foolwood/SiamMask",
    "siamdw": "researchmm/SiamDW",
    "siamdw-rpn": "researchmm/SiamDW",
}
"""The formats that are made up here, and the repositories that they are of."""


def made_up(name: str) -> dict[str, Tensor]:
    """A checkpoint in one of the formats of `TITLES`."""
    torch.manual_seed(0)
    match name:
        case "siamfc":
            return blocks(random_network())
        case "dasiamrpn":
            return _under(SiamRPN(SIAMRPN), siamrpn.names_of_dasiamrpn(SIAMRPN))
        case "pysot-alexnetlegacy" | "pysot-alexnet":
            names = siamrpn.names_of_pysot(DEPTHWISE, backbone=name.removeprefix("pysot-"))
            return _under(SiamRPN(DEPTHWISE), names)
        case "pysot-resnet50" | "pysot-mobilenetv2":
            settings = RESNET if name == "pysot-resnet50" else MOBILENET
            return _under(SiamRPNPP(settings), siamrpnpp.names_of_pysot(settings))
        case "pysot-siammask":
            return _under(SiamMask(SIAMMASK), siammask.names_of_pysot(SIAMMASK))
        case "siammask" | "siammask-base":
            mask = SIAMMASK if name == "siammask" else COARSE
            return _under(SiamMask(mask), siammask.names_of_siammask(mask))
        case "siamdw" | "siamdw-rpn":
            dw = SIAMDW if name == "siamdw" else SIAMDW_RPN
            return _under(siamdw.NETWORKS[dw.head](dw), siamdw.names_of_siamdw(dw))
    raise ValueError(name)


def settings_of(name: str) -> Any:
    """Of the network in the checkpoint of that name, where it is one of the SiamRPN line."""
    return {
        "dasiamrpn": SIAMRPN,
        "pysot-alexnetlegacy": DEPTHWISE,
        "pysot-alexnet": DEPTHWISE,
        "pysot-resnet50": RESNET,
        "pysot-mobilenetv2": MOBILENET,
        "pysot-siammask": SIAMMASK,
        "siammask": SIAMMASK,
        "siammask-base": COARSE,
        "siamdw": SIAMDW,
        "siamdw-rpn": SIAMDW_RPN,
    }[name]


def _under(network: nn.Module, names: Mapping[str, str]) -> dict[str, Tensor]:
    values = network.state_dict()
    return {theirs: values[ours] for theirs, ours in names.items()}
