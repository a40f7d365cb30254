"""SiamRPN++: B. Li, W. Wu, Q. Wang, F. Zhang, J. Xing, J. Yan, "SiamRPN++: Evolution of Siamese Visual Tracking With Very Deep
Networks", CVPR 2019. Depth-wise heads on several layers of a deep backbone; the tracking procedure is in `trackers/rpn.py`.

Differences between paper, official code (STVIR/pysot) and this code:
* Input: 0..255, not normalised, in the official code and here; BGR there, RGB here, so that published weights want the input
  channels of their first convolution in reverse order.
* Backbone: see `layers/resnet.py` and `layers/mobilenet.py`. Layers after the last used one are not built, here as there.
* Template: the 7 x 7 cells in the middle of 15 x 15. The official code takes them of every map with less than 20 cells, that
  of a small search patch too; here of the template's alone.
* Fusion: learnt weights, for cls and loc apart; the official code takes their softmax, of which the paper says nothing, and
  starts with equal ones. So does this code. PySOT's networks for OTB and with MobileNetV2 take the mean.
* Output: 25 x 25 cells of stride 8 from 255 px.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from siamtrack.errors import SettingsError, nearest
from siamtrack.layers.mobilenet import MobileNetV2
from siamtrack.layers.neck import Neck, central_cells
from siamtrack.layers.resnet import BLOCKS, ResNet, official_name
from siamtrack.layers.rpn_heads import LayerwiseHead
from siamtrack.models.model import Model
from siamtrack.models.network_limits import check_network
from siamtrack.models.rpn_training import rpn_losses, rpn_procedure

LAYERS: Mapping[str, tuple[int, ...]] = dict.fromkeys(BLOCKS, (2, 3, 4)) | {"mobilenetv2": (3, 4, 5, 6, 7)}
"""By backbone, the layers of stride 8, whose maps are equally large."""
SMALLEST_PX = 63  # side of the input that gives 7 x 7 cells, with every backbone


@dataclass(frozen=True, kw_only=True)
class SiamRPNPPNetworkSettings:
    """What is needed to build the network; the defaults are the paper's.

    Raises:
        SettingsError: an unknown backbone, layers that it does not have or that differ in stride, a template too small for
            7 x 7 cells, or another number outside its range.
    """

    backbone: str = "resnet50"  # or resnet18, resnet34, mobilenetv2
    width: float = 1.0  # multiplies the channels of the backbone
    used_layers: tuple[int, ...] = (2, 3, 4)  # of the backbone; 3, 5, 7 of mobilenetv2 in PySOT
    neck_channels: tuple[int, ...] = (256, 256, 256)  # of the heads, for each used layer
    weighted: bool = True  # learnt weights of the layers; else their mean
    anchors: int = 5  # at a cell
    template_size: int = 127  # px
    search_size: int = 255  # px

    def __post_init__(self) -> None:
        if self.backbone not in LAYERS:
            raise SettingsError(f"The setting backbone is '{self.backbone}'. {nearest(self.backbone, LAYERS)}")
        layers, known = self.used_layers, LAYERS[self.backbone]
        if not layers or list(layers) != sorted(set(layers) & set(known)):
            raise SettingsError(f"The setting used_layers is {layers}; {self.backbone} has {known}, to be named in this order.")
        if len(self.neck_channels) != len(layers) or min(self.neck_channels) < 1:
            raise SettingsError(
                f"The setting neck_channels is {self.neck_channels}; expected one above 0 for each of {len(layers)} layers."
            )
        check_network(self, smallest_template=SMALLEST_PX)


class SiamRPNPP(nn.Module):
    """A deep backbone, and on several of its layers a head that says of every anchor what `SiamRPN`'s says."""

    MAPS = ("cls", "loc")  # names of what `match` gives

    def __init__(self, settings: SiamRPNPPNetworkSettings | None = None) -> None:
        super().__init__()
        self.settings = s = settings or SiamRPNPPNetworkSettings()
        self.backbone: ResNet | MobileNetV2
        if s.backbone == "mobilenetv2":
            self.backbone = MobileNetV2(s.used_layers, s.width)
        else:
            self.backbone = ResNet(s.backbone, s.used_layers, s.width)
        self.neck = Neck(self.backbone.channels, s.neck_channels)
        self.head = LayerwiseHead(s.neck_channels, s.anchors, weighted=s.weighted)

    def embed(self, pixels: Tensor) -> Tensor:
        """Pixels (N, 3, 127, 127), RGB, 0..255 -> kernels (N, 2 L C, 5, 5), of L layers, cls before loc in each."""
        return self.head.embed(self._template(pixels))

    def match(self, templates: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Kernels (N, 2 L C, 5, 5) and search pixels (N * S, 3, X, X), S per target -> cls and loc.

        Returns:
            cls (N, S, 2A, R, R): as (2, A, R, R) what speaks against and for the target, before softmax.
            loc (N, S, 4A, R, R): as (4, A, R, R) dx, dy, dw, dh. R = 25 for 255 px.
        """
        return self.head.match(templates, self.neck(self.backbone(pixels)))

    def forward(self, z: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """For training: one search patch a template.

        Args:
            z: template pixels (B, 3, 127, 127).
            x: search pixels (B, 3, X, X).

        Returns:
            cls (B, 2A, R, R) and loc (B, 4A, R, R), see `match`.
        """
        cls, loc = self.head(self._template(z), self.neck(self.backbone(x)))
        return cls, loc

    def _template(self, pixels: Tensor) -> list[Tensor]:
        return [central_cells(features) for features in self.neck(self.backbone(pixels))]  # (N, C, 7, 7) each


def names_of_pysot(settings: SiamRPNPPNetworkSettings) -> dict[str, str]:
    """What each parameter and buffer is called in a checkpoint of STVIR/pysot -> what it is called here.

    PySOT counts layers from 2, whichever they are: `neck.downsample2`, `rpn_head.rpn2` belong to the first used one.
    """
    with torch.device("meta"):
        ours = list(SiamRPNPP(settings).state_dict())
    return {_pysot_name(name): name for name in ours}


def _pysot_name(name: str) -> str:
    part, _, rest = name.partition(".")
    if part == "backbone":
        return f"backbone.{official_name(rest)}"  # which leaves MobileNetV2's names as they are
    if part == "neck":
        layer, _, rest = rest.partition(".")
        return f"neck.downsample{int(layer) + 2}.downsample.{rest}"
    rest = re.sub(r"^heads\.(\d+)\.", lambda match: f"rpn{int(match[1]) + 2}.", rest)
    return "rpn_head." + rest.replace(".template.", ".conv_kernel.").replace(".search.", ".conv_search.")


_MEAN = {"weighted": False}
PRESETS: Mapping[str, Mapping[str, Any]] = {
    # STVIR/pysot, experiments/*/config.yaml
    "siamrpn_r50_l234_dwxcorr": {},
    "siamrpn_r50_l234_dwxcorr_8gpu": {},
    "siamrpn_r50_l234_dwxcorr_16gpu": {},
    "siamrpn_r50_l234_dwxcorr_otb": _MEAN,
    "siamrpn_r50_l234_dwxcorr_otb_8gpu": _MEAN,
    "siamrpn_r50_l234_dwxcorr_lt": {"neck_channels": (128, 256, 512)},
    "siamrpn_mobilev2_l234_dwxcorr": {"backbone": "mobilenetv2", "width": 1.4, "used_layers": (3, 5, 7), "weighted": False},
    # the paper compares these backbones, too; nobody has published a configuration, and the names are ours
    "siamrpn_r18_l234_dwxcorr": {"backbone": "resnet18"},
    "siamrpn_r34_l234_dwxcorr": {"backbone": "resnet34"},
}
"""Settings of the published networks; those of their tracking procedures have the same names in `trackers/rpn_settings.py`."""

MODEL = Model(settings=SiamRPNPPNetworkSettings, build=SiamRPNPP, procedure=rpn_procedure, losses=rpn_losses)
