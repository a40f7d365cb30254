"""SiamRPN: B. Li, J. Yan, W. Wu, Z. Zhu, X. Hu, "High Performance Visual Tracking with Siamese Region Proposal Network",
CVPR 2018; and DaSiamRPN, which has the same network: Z. Zhu, Q. Wang, B. Li, W. Wu, J. Yan, W. Hu, "Distractor-aware Siamese
Networks for Visual Object Tracking", ECCV 2018. AlexNet below an up-channel or a depth-wise head; the tracking procedure is in
`trackers/rpn.py`.

Differences between paper, official codes (foolwood/DaSiamRPN; STVIR/pysot for the depth-wise head) and this code:
* Input: 0..255, not normalised, in the codes and here; BGR there, RGB here, so that published weights want the input channels
  of their first convolution in reverse order.
* AlexNet: without groups in all of them; batch norm after every convolution in the codes and here.
* Head: after the correlation of loc the codes have one 1 x 1 convolution ("regress_adjust", "loc_adjust"); so does this code.
* Correlation: the codes track one target; here the kernels of every target meet the search maps of that target.
* Search patches: 255 px in the paper; 271 px to track in DaSiamRPN, 287 px in PySOT. Any size works.
* Start: PyTorch's own random weights in the codes and here; the paper begins with AlexNet from ImageNet, its first three
  convolutions fixed. With random weights the up-channel correlation is so large that sizes are learnt badly, so `gain`
  multiplies it here; with 1 nothing changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from siamtrack.errors import SettingsError, nearest
from siamtrack.layers.alexnet import RECEPTIVE_FIELD_PX, TOTAL_STRIDE_PX
from siamtrack.layers.alexnet_rpn import AlexNetRPN
from siamtrack.layers.rpn_heads import CELLS_LOST, DepthwiseHead, UpChannelHead
from siamtrack.models.model import Model
from siamtrack.models.network_limits import check_network
from siamtrack.models.rpn_training import rpn_losses, rpn_procedure
from siamtrack.settings import check_limits

HEADS = ("up-channel", "depthwise")


@dataclass(frozen=True, kw_only=True)
class SiamRPNNetworkSettings:
    """What is needed to build the network; the defaults are the paper's.

    Raises:
        SettingsError: an unknown head, sizes that give no map, or another number outside its range.
    """

    head: str = "up-channel"  # or depthwise
    width: float = 1.0  # multiplies the channels of every layer, of the head too
    anchors: int = 5  # at a cell
    template_size: int = 127  # px
    search_size: int = 255  # px
    gain: float = 1.0  # of the correlation; up-channel, see the module

    def __post_init__(self) -> None:
        if self.head not in HEADS:
            raise SettingsError(f"The setting head is '{self.head}'. {nearest(self.head, HEADS)}")
        check_network(self, smallest_template=RECEPTIVE_FIELD_PX + CELLS_LOST * TOTAL_STRIDE_PX)
        check_limits(self, {"gain": (1e-9, 1e6)})
        if self.gain != 1 and self.head != "up-channel":
            raise SettingsError(
                f"The setting gain is {self.gain:g}, but the head '{self.head}' has batch norms behind its correlation, which "
                "undo it; leave it at 1."
            )


class SiamRPN(nn.Module):
    """AlexNet, and a head that says of every anchor whether it is the target and how it lies beside it."""

    MAPS = ("cls", "loc")  # names of what `match` gives

    def __init__(self, settings: SiamRPNNetworkSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or SiamRPNNetworkSettings()
        self.backbone = AlexNetRPN(self.settings.width)
        channels, anchors = self.backbone.channels, self.settings.anchors
        self.head: UpChannelHead | DepthwiseHead = (
            UpChannelHead(channels, anchors, gain=self.settings.gain)
            if self.settings.head == "up-channel"
            else DepthwiseHead(channels, anchors)
        )

    def embed(self, pixels: Tensor) -> Tensor:
        """Pixels (N, 3, 127, 127), RGB, 0..255 -> kernels of cls and after them of loc.

        (N, 6A C, 4, 4) for the up-channel head, (N, 2 C, 4, 4) for the depth-wise one, with C = 256 times the width.
        """
        kernels: Tensor = self.head.embed(self.backbone(pixels))
        return kernels

    def match(self, templates: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Kernels (N, ..., 4, 4) and search pixels (N * S, 3, X, X), S per target -> cls and loc.

        Returns:
            cls (N, S, 2A, R, R): as (2, A, R, R) what speaks against and for the target, before softmax.
            loc (N, S, 4A, R, R): as (4, A, R, R) dx, dy, dw, dh. R = 17 for 255 px, 19 for 271 px, 21 for 287 px.
        """
        return self.head.match(templates, self.backbone(pixels))

    def forward(self, z: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """For training: one search patch a template.

        Args:
            z: template pixels (B, 3, 127, 127).
            x: search pixels (B, 3, X, X).

        Returns:
            cls (B, 2A, R, R) and loc (B, 4A, R, R), see `match`.
        """
        cls, loc = self.head(self.backbone(z), self.backbone(x))
        return cls, loc


def names_of_pysot(settings: SiamRPNNetworkSettings, *, backbone: str = "alexnetlegacy") -> dict[str, str]:
    """What each parameter and buffer is called in a checkpoint of STVIR/pysot -> what it is called here.

    Args:
        settings: of the network.
        backbone: "alexnetlegacy", of the published weights, or "alexnet", of those that PySOT trains ("..._16gpu").
    """
    legacy = backbone == "alexnetlegacy"
    rules = {f"backbone.conv{n}.": f"backbone.layer{n}." for n in range(1, 6)} if not legacy else _flat("backbone.features")
    rules |= {
        f"head.{ours}.": f"rpn_head.{ours}_conv." for ours in ("template_cls", "template_loc", "search_cls", "search_loc")
    }
    rules |= {"head.adjust.": "rpn_head.loc_adjust."}
    for branch in ("cls", "loc"):
        for ours, theirs in (("template", "conv_kernel"), ("search", "conv_search"), ("head", "head")):
            rules[f"head.{branch}.{ours}."] = f"rpn_head.{branch}.{theirs}."
    return _renamed(settings, rules)


def names_of_dasiamrpn(settings: SiamRPNNetworkSettings) -> dict[str, str]:
    """What each parameter and buffer is called in a checkpoint of foolwood/DaSiamRPN -> what it is called here.

    Its published files come from PyTorch 0.3, which had no `num_batches_tracked`.
    """
    rules = {
        "head.template_cls.": "conv_cls1.",
        "head.template_loc.": "conv_r1.",
        "head.search_cls.": "conv_cls2.",
        "head.search_loc.": "conv_r2.",
        "head.adjust.": "regress_adjust.",
    }
    return _renamed(settings, _flat("featureExtract") | rules)


def _flat(prefix: str) -> dict[str, str]:
    """The backbone as one nn.Sequential, where batch norm follows each convolution."""
    places = (0, 4, 8, 11, 14)
    return {f"backbone.conv{n}.{k}.": f"{prefix}.{place + k}." for n, place in enumerate(places, 1) for k in (0, 1)}


def _renamed(settings: SiamRPNNetworkSettings, rules: Mapping[str, str]) -> dict[str, str]:
    with torch.device("meta"):
        ours = list(SiamRPN(settings).state_dict())
    starts = {name: next(start for start in rules if name.startswith(start)) for name in ours}
    return {rules[start] + name.removeprefix(start): name for name, start in starts.items()}


_DEPTHWISE = {"head": "depthwise", "search_size": 287}
PRESETS: Mapping[str, Mapping[str, Any]] = {
    # STVIR/pysot, experiments/*/config.yaml
    "siamrpn_alex_dwxcorr": _DEPTHWISE,
    "siamrpn_alex_dwxcorr_16gpu": _DEPTHWISE,
    "siamrpn_alex_dwxcorr_otb": _DEPTHWISE,
    # foolwood/DaSiamRPN, code/net.py
    "SiamRPNBIG": {"width": 2.0, "search_size": 271},
    "SiamRPNvot": {"search_size": 271},
    "SiamRPNotb": {"search_size": 271},
    "DaSiamRPN": {},  # of its paper
}
"""Settings of the published networks; those of their tracking procedures have the same names in `trackers/rpn_settings.py`."""

MODEL = Model(settings=SiamRPNNetworkSettings, build=SiamRPN, procedure=rpn_procedure, losses=rpn_losses)
