"""SiamDW: Z. Zhang, H. Peng, "Deeper and Wider Siamese Networks for Real-Time Visual Tracking", CVPR 2019. A backbone of
`layers/cir.py` below the head of SiamFC (SiamFC+ in the paper) or of SiamRPN (SiamRPN+).

Differences between paper, official code (researchmm/SiamDW) and this code:
* Input: 0..255, not normalised, in the official code and here; BGR there, RGB here, so that published weights want the input
  channels of their first convolution in reverse order.
* SiamFC head: the official code multiplies the correlation by 0.1 and has neither bias nor adjust layer; so does this code.
* Correlation: with random weights its values begin with tens to thousands with either head (the official code begins with
  weights from ImageNet), so `gain` multiplies them here; with 1 nothing changes.
* SiamRPN head: the paper has that of SiamRPN. The official code's has one 1 x 1 convolution, after the correlation of `loc`.
  It runs its published weights with one score an anchor ("thinner", 256 channels), and trains with two by default ("thicker",
  512 channels).
* One score s an anchor: the official code takes sigmoid(s). Here `cls` is (0, s), whose softmax that is.
* Training: the official code begins with ImageNet weights and lets CIResNet22 learn unit by unit, from the last one on; the
  epochs are in the recipe `siamdw-paper`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from siamtrack.errors import SettingsError, nearest
from siamtrack.layers.cir import BACKBONES, SMALLEST_PX, TOTAL_STRIDE_PX, CIRBackbone
from siamtrack.layers.rpn_heads import UpChannelHead
from siamtrack.layers.xcorr import cross_correlation, grouped_cross_correlation
from siamtrack.models.model import Loss, Model
from siamtrack.models.network_limits import check_whole
from siamtrack.models.rpn_training import rpn_losses, rpn_procedure
from siamtrack.models.siamfc import siamfc_losses, siamfc_procedure
from siamtrack.settings import check_limits

FACTOR = 0.1  # of the correlation with the SiamFC head, in the official code


@dataclass(frozen=True, kw_only=True)
class SiamDWNetworkSettings:
    """What is needed to build the network.

    Raises:
        SettingsError: an unknown backbone or head, sizes that give no map, or another number outside its range.
    """

    backbone: str = "CIResNet22"  # see `layers/cir.py`
    head: str = "siamfc"  # or siamrpn
    width: float = 1.0  # multiplies the channels of every layer, of the head too
    template_size: int = 127  # px
    search_size: int = 255  # px
    gain: float = 1.0  # of the correlation; see the module
    anchors: int = 5  # at a cell; siamrpn
    anchor_scores: int = 1  # of an anchor; 2: not the target, and the target; siamrpn

    def __post_init__(self) -> None:
        for name, known in (("backbone", BACKBONES), ("head", NETWORKS)):
            if (value := getattr(self, name)) not in known:
                raise SettingsError(f"The setting {name} is '{value}'. {nearest(value, known)}")
        smallest = SMALLEST_PX if self.head == "siamfc" else SMALLEST_PX + 2 * TOTAL_STRIDE_PX
        check_limits(
            self,
            {
                "width": (0.01, 100),
                "gain": (1e-9, 1e6),
                "template_size": (smallest, 4096),
                "search_size": (self.template_size, 4096),
                "anchors": (1, 1000),
                "anchor_scores": (1, 2),
            },
        )
        if self.head == "siamrpn":
            check_whole(self.template_size)


class SiamDWFC(nn.Module):
    """SiamDW with the head of SiamFC: f(z, x) = 0.1 gain (embed(z) * embed(x))."""

    MAPS = ("responses",)  # names of what `match` gives

    def __init__(self, settings: SiamDWNetworkSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or SiamDWNetworkSettings()
        self.backbone = CIRBackbone(self.settings.backbone, self.settings.width)
        self.factor = FACTOR * self.settings.gain

    def embed(self, pixels: Tensor) -> Tensor:
        """Pixels (B, 3, T, T), RGB, 0..255 -> features (B, C, f, f): f = 5 for 127 px, 21 for 255 px."""
        features: Tensor = self.backbone(pixels)
        return features

    def match(self, templates: Tensor, pixels: Tensor) -> tuple[Tensor]:
        """Templates (N, C, 5, 5) and search pixels (N * S, 3, 255, 255), S per target -> responses (N, S, 17, 17), alone."""
        features = self.embed(pixels)
        searches = features.reshape(templates.shape[0], -1, *features.shape[1:])
        return (self.factor * cross_correlation(templates, searches),)

    def forward(self, z: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """For training: one search patch a template.

        Args:
            z: template pixels (B, 3, 127, 127).
            x: search pixels (B, 3, 255, 255).

        Returns:
            Responses (B, 17, 17), template features (B, C, 5, 5), search features (B, C, 21, 21).
        """
        template, search = self.embed(z), self.embed(x)
        return self.factor * grouped_cross_correlation(template, search), template, search


class SiamDWRPN(nn.Module):
    """SiamDW with the head of SiamRPN: the template makes one kernel for every score and every offset of an anchor."""

    MAPS = ("cls", "loc")  # names of what `match` gives

    def __init__(self, settings: SiamDWNetworkSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or SiamDWNetworkSettings(head="siamrpn")
        s = self.settings
        self.backbone = CIRBackbone(s.backbone, s.width)
        self.head = UpChannelHead(
            self.backbone.channels,
            s.anchors,
            kernel_channels=max(1, round(256 * s.anchor_scores * s.width)),  # 256 or 512 in the official code
            scores=s.anchor_scores,
            gain=s.gain,
        )

    def embed(self, pixels: Tensor) -> Tensor:
        """Pixels (B, 3, 127, 127), RGB, 0..255 -> kernels of cls and after them of loc (B, K, 3, 3).

        K = (k A + 4 A) D for A anchors with k scores each, and D = 256 k channels of a kernel: 6400 with one score.
        """
        kernels: Tensor = self.head.embed(self.backbone(pixels))
        return kernels

    def match(self, templates: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Templates (N, K, 3, 3) and search pixels (N * S, 3, 255, 255), S per target -> cls and loc.

        Returns:
            cls (N, S, 2 A, 17, 17): as (2, A, 17, 17) what speaks against and for the target, before softmax.
            loc (N, S, 4 A, 17, 17): as (4, A, 17, 17) dx, dy, dw, dh.
        """
        return self.head.match(templates, self.backbone(pixels))

    def forward(self, z: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """For training: one search patch a template.

        Args:
            z: template pixels (B, 3, 127, 127).
            x: search pixels (B, 3, 255, 255).

        Returns:
            cls (B, 2 A, 17, 17) and loc (B, 4 A, 17, 17), see `match`.
        """
        cls, loc = self.head(self.backbone(z), self.backbone(x))
        return cls, loc


NETWORKS: Mapping[str, type[SiamDWFC] | type[SiamDWRPN]] = {"siamfc": SiamDWFC, "siamrpn": SiamDWRPN}
"""The networks by the head that they have."""


_COMMON = {
    "backbone.": "features.features.",
    "head.template_cls.": "connect_model.template_cls.",
    "head.template_loc.": "connect_model.template_reg.",
    "head.search_cls.": "connect_model.search_cls.",
    "head.search_loc.": "connect_model.search_reg.",
    "head.adjust.": "connect_model.adjust.",
}
_RESIDUAL = {"stem.conv.": "conv1.", "stem.bn.": "bn1.", "body.": "", "shortcut.": "downsample."}
_BACKBONE_PARTS: Mapping[str, Mapping[str, str]] = {
    "CIResNet22": _RESIDUAL,
    "CIResNet22W": _RESIDUAL,
    "CIResInception22": {"stem.conv.": "conv1.", "stem.bn.": "bn1.", "body.": "branch3x3.", "point.": "branch1x1."},
    "CIResNeXt22": {
        "stem.conv.": "conv0.",
        "stem.bn.": "bn0.",
        "body.conv1.": "basic.conv1_0.",
        "body.conv2.": "basic.conv3_0.",
        "body.conv3.": "basic.conv1_1.",
        "body.bn": "basic.bn",
        "norm.": "bn0.",
    },
}


def names_of_siamdw(settings: SiamDWNetworkSettings) -> dict[str, str]:
    """What each parameter and buffer is called in a checkpoint of researchmm/SiamDW -> what it is called here.

    Without the `module.` of nn.DataParallel. Files made with PyTorch 0.3, with which the official code trains SiamFC heads,
    have no `num_batches_tracked`.
    """
    with torch.device("meta"):
        ours = list(NETWORKS[settings.head](settings).state_dict())
    names = {}
    for name in ours:
        theirs = name
        for part, replacement in (_COMMON | dict(_BACKBONE_PARTS[settings.backbone])).items():
            theirs = theirs.replace(part, replacement)
        names[theirs] = name
    return names


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "SiamFCRes22": {"backbone": "CIResNet22"},
    "SiamFCRes22W": {"backbone": "CIResNet22W"},
    "SiamFCIncep22": {"backbone": "CIResInception22"},
    "SiamFCNext22": {"backbone": "CIResNeXt22"},
    "SiamRPNRes22": {"backbone": "CIResNet22", "head": "siamrpn"},
}
"""Settings of the published networks, by their names in the official code."""


def _pyramid(step: float, damping: float, penalty: float, window: float, *, search_size: int = 255) -> dict[str, float]:
    sizes = {"template_size": search_size - 128, "search_size": search_size}  # of the network, too
    return sizes | {"scale_step": step, "scale_damping": damping, "scale_penalty": penalty, "window_influence": window}


TUNED: Mapping[str, Mapping[str, Mapping[str, float]]] = {
    "SiamFCRes22": {
        "OTB2013": _pyramid(1.0482, 0.3629, 0.9997, 0.3896),
        "OTB2015": _pyramid(1.1897, 0.2226, 0.9370, 0.2897),
        "VOT2015": _pyramid(1.1190, 0.4373, 0.9811, 0.2569),
        "VOT2016": _pyramid(1.1535, 0.4596, 0.9259, 0.3309),
        "VOT2017": _pyramid(1.1466, 0.2061, 0.9994, 0.3242),
    },
    "SiamFCIncep22": {
        "OTB2013": _pyramid(1.1767, 0.2702, 0.9370, 0.2376, search_size=263),
        "OTB2015": _pyramid(1.1832, 0.3035, 0.9453, 0.2496, search_size=263),
        "VOT2015": _pyramid(1.1755, 0.3407, 0.9807, 0.3254),
        "VOT2016": _pyramid(1.1859, 0.5921, 0.9359, 0.2616),
        "VOT2017": _pyramid(1.1679, 0.6782, 0.9285, 0.2566),
    },
    "SiamFCNext22": {
        "OTB2013": _pyramid(1.0921, 0.4428, 0.9617, 0.2913, search_size=263),
        "OTB2015": _pyramid(1.1390, 0.1775, 0.9593, 0.2094, search_size=263),
        "VOT2015": _pyramid(1.1849, 0.3373, 0.9417, 0.2518, search_size=263),
        "VOT2016": _pyramid(1.1561, 0.1615, 0.9593, 0.2548, search_size=263),
        "VOT2017": _pyramid(1.1531, 0.5706, 0.9489, 0.2581),
    },
    "SiamRPNRes22": {
        "OTB2013": {"penalty_k": 0.256, "lr": 0.439, "window_influence": 0.074},
        "OTB2015": {"penalty_k": 0.841, "lr": 0.714, "window_influence": 0.390},
        "VOT2015": {"penalty_k": 0.895, "lr": 0.654, "window_influence": 0.370},
        "VOT2016": {"penalty_k": 0.711, "lr": 0.701, "window_influence": 0.355},
        "VOT2017": {"penalty_k": 0.038, "lr": 0.388, "window_influence": 0.347, "search_size": 271, "small_share": 0.004},
    },
}
"""Settings of the tracking procedure that the official code found for each benchmark by search on that very benchmark, of the
published networks that have them: a score reached with them is no measure of how well a tracker does elsewhere."""

PROCEDURES = {
    f"{network}_{benchmark}": values for network, all_of_them in TUNED.items() for benchmark, values in all_of_them.items()
}
"""The same by names such as SiamFCRes22_OTB2015, for `siamtrack export --preset`."""


def _procedure(settings: SiamDWNetworkSettings) -> tuple[str, Mapping[str, Any]]:
    return (siamfc_procedure if settings.head == "siamfc" else rpn_procedure)(settings)


def _losses(settings: SiamDWNetworkSettings) -> Mapping[str, Loss]:
    return (siamfc_losses if settings.head == "siamfc" else rpn_losses)(settings)


MODEL = Model(
    settings=SiamDWNetworkSettings,
    build=lambda settings: NETWORKS[settings.head](settings),
    procedure=_procedure,
    losses=_losses,
)
