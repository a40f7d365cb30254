"""SiamMask: Q. Wang, L. Zhang, L. Bertinetto, W. Hu, P. H. S. Torr, "Fast Online Object Tracking and Segmentation: A Unifying
Approach", CVPR 2019. A ResNet to its third stage, depth-wise heads for classes, boxes and masks, and a refinement of the mask
of one place; the tracking procedure is in `trackers/rpn.py`, what it makes of masks in `trackers/mask.py`.

Differences between paper, official codes (foolwood/SiamMask, STVIR/pysot) and this code:
* Input: 0..255, not normalised, in the codes and here; BGR there, RGB here, so that published weights want the input channels
  of their first convolution in reverse order.
* Backbone: the paper's has layers 1 to 4 of a ResNet-50 without padding in the first ones; see `layers/resnet.py`.
* Refinement: the codes keep the features of the last frame in the module and are asked for a place afterwards. Here they are
  maps like the others, and whoever tracks hands over what of them lies around the place: the network remembers nothing.
* Anchors: five in the codes and here; the paper says nothing of them.
* Without refinement it is the first of the two stages of the official training ("siammask_base"), with masks of 63 x 63 cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from siamtrack.errors import SettingsError, nearest
from siamtrack.layers.mask_heads import FINE_CELLS, MaskHead, Refinement
from siamtrack.layers.mask_losses import enlarged
from siamtrack.layers.neck import Neck, central_cells
from siamtrack.layers.resnet import BLOCKS, ResNet, official_name
from siamtrack.layers.rpn_heads import DepthwiseHead
from siamtrack.layers.xcorr import grouped_depthwise_cross_correlation
from siamtrack.models.mask_training import cell_windows, mask_losses
from siamtrack.models.model import Loss, Model
from siamtrack.models.network_limits import check_network
from siamtrack.models.rpn_training import rpn_procedure
from siamtrack.trackers.mask import MaskSettings

TEMPLATE_PX = 127
THRESHOLD = 0.35  # probability above which a pixel belongs to the target, as the code for DAVIS has it


@dataclass(frozen=True, kw_only=True)
class SiamMaskNetworkSettings:
    """What is needed to build the network; the defaults are the published ones.

    Raises:
        SettingsError: an unknown backbone, or a number outside its range.
    """

    backbone: str = "resnet50"  # or resnet18, resnet34
    width: float = 1.0  # multiplies the channels of the backbone
    channels: int = 256  # of the heads
    refined: bool = True  # masks of 127 x 127 cells, from the refinement; else the coarse ones of 63 x 63
    anchors: int = 5  # at a cell
    template_size: int = TEMPLATE_PX  # px; masks are of patches as large
    search_size: int = 255  # px

    def __post_init__(self) -> None:
        if self.backbone not in BLOCKS:
            raise SettingsError(f"The setting backbone is '{self.backbone}'. {nearest(self.backbone, BLOCKS)}")
        if self.channels < 1:
            raise SettingsError(f"The setting channels is {self.channels}; expected 1 or more.")
        check_network(self, smallest_template=TEMPLATE_PX)
        if self.template_size != TEMPLATE_PX:
            raise SettingsError(f"The setting template_size is {self.template_size}; masks are of patches of {TEMPLATE_PX} px.")


class SiamMask(nn.Module):
    """Says of every anchor what `SiamRPN`'s says, and of any cell which pixels around it are the target."""

    def __init__(self, settings: SiamMaskNetworkSettings | None = None) -> None:
        super().__init__()
        self.settings = s = settings or SiamMaskNetworkSettings()
        self.backbone = ResNet(s.backbone, (0, 1, 2, 3), s.width)
        *layers, last = self.backbone.channels
        self.neck = Neck([last], [s.channels])
        self.head = DepthwiseHead(s.channels, s.anchors)
        self.mask = MaskHead(s.channels)
        self.refine = Refinement(s.channels, layers[::-1]) if s.refined else None
        self.MAPS = ("cls", "loc", "correlation", *(("layer2", "layer1", "layer0") if s.refined else ()))
        self.windows = MaskSettings().windows

    def embed(self, pixels: Tensor) -> Tensor:
        """Pixels (N, 3, 127, 127), RGB, 0..255 -> kernels of cls, loc and mask, one after the other (N, 3 C, 5, 5)."""
        (features,) = self.neck(self.backbone(pixels)[-1:])
        template = central_cells(features)
        return torch.cat((self.head.embed(template), self.mask.template(template)), 1)

    def match(self, templates: Tensor, pixels: Tensor) -> tuple[Tensor, ...]:
        """Kernels (N, 3 C, 5, 5) and search pixels (N * S, 3, X, X), S per target -> maps.

        Returns:
            cls (N, S, 2A, R, R): as (2, A, R, R) what speaks against and for the target, before softmax.
            loc (N, S, 4A, R, R): as (4, A, R, R) dx, dy, dw, dh. R = 25 for 255 px.
            correlation (N, S, C, R, R), for `masks`.
            If refined, what the layers 2, 1 and 0 of the backbone see, (N, S, ., 31, 31), (N, S, ., 63, 63) and
            (N, S, ., 125, 125), for `masks`.
        """
        *layers, last = self.backbone(pixels)
        (features,) = self.neck([last])
        channels = self.settings.channels
        cls, loc = self.head.match(templates[:, : 2 * channels], features)
        correlation = self.mask.correlate(templates[:, 2 * channels :], features)
        if not self.settings.refined:
            return cls, loc, correlation
        targets = templates.shape[0]
        return cls, loc, correlation, *(layer.reshape(targets, -1, *layer.shape[1:]) for layer in reversed(layers))

    def masks(self, cells: Tensor, *windows: Tensor) -> Tensor:
        """Masks of the patches of 127 x 127 px around single cells, logits.

        Args:
            cells: (M, C), the correlation there.
            windows: if refined, what layers 2, 1 and 0 see there: (M, ., 15, 15), (M, ., 31, 31), (M, ., 61, 61).

        Returns:
            (M, 127, 127); those of 63 x 63 enlarged corner to corner, as the loss sees them, if not refined.
        """
        if self.refine is None:
            return enlarged(self.mask.coarse(cells), FINE_CELLS)
        refined: Tensor = self.refine(cells, windows)
        return refined

    def forward(self, z: Tensor, x: Tensor) -> tuple[Tensor, Tensor, CellMasks]:
        """For training: one search patch a template.

        Args:
            z: template pixels (B, 3, 127, 127).
            x: search pixels (B, 3, X, X).

        Returns:
            cls (B, 2A, R, R) and loc (B, 4A, R, R), see `match`; and what gives masks of single cells.
        """
        (template,) = self.neck(self.backbone(z)[-1:])
        *layers, last = self.backbone(x)
        (features,) = self.neck([last])
        template = central_cells(template)
        cls, loc = self.head(template, features)
        correlation = grouped_depthwise_cross_correlation(self.mask.template(template), self.mask.search(features))
        return cls, loc, CellMasks(self, correlation, layers[::-1])


class CellMasks(NamedTuple):
    """Masks of single cells; see `siamtrack.models.mask_training.MaskAnswer`."""

    network: SiamMask
    correlation: Tensor  # (B, C, R, R)
    layers: Sequence[Tensor]  # 2, 1 and 0

    def coarse(self, pairs: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """(M, 63, 63), logits."""
        return self.network.mask.coarse_at(self.correlation, pairs, rows, columns)

    def refined(self, pairs: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """(M, 127, 127), logits."""
        assert self.network.refine is not None
        around = cell_windows(self.layers, self.network.windows, pairs, rows, columns)
        masks: Tensor = self.network.refine(self.correlation[pairs, :, rows, columns], around)
        return masks


PYSOT_PARTS = {
    "backbone": "backbone",
    "neck.0": "neck.downsample.downsample",
    "head": "rpn_head",
    "mask": "mask_head",
    "refine": "refine_head",
}
OFFICIAL_PARTS = {
    "backbone": "features.features",
    "neck.0": "features.downsample.downsample",
    "head": "rpn_model",
    "mask": "mask_model.mask",
    "refine": "refine_model",
}
"""What the parts of the network are called in checkpoints of STVIR/pysot and of foolwood/SiamMask."""


def names_of_pysot(settings: SiamMaskNetworkSettings) -> dict[str, str]:
    """What each parameter and buffer is called in a checkpoint of STVIR/pysot -> what it is called here."""
    return _names(settings, PYSOT_PARTS)


def names_of_siammask(settings: SiamMaskNetworkSettings) -> dict[str, str]:
    """What each parameter and buffer is called in a checkpoint of foolwood/SiamMask -> what it is called here."""
    return _names(settings, OFFICIAL_PARTS)


_REFINEMENT = {"grow.": "deconv."} | {
    f"{ours}.{step}.": f"{theirs}{name}."
    for ours, theirs in (("across", "v"), ("along", "h"), ("after", "post"))
    for step, name in enumerate((0, 1, 2) if theirs == "post" else (2, 1, 0))
}
"""Parts of the refinement; the codes count layers from the deepest on in `post` alone."""


def _names(settings: SiamMaskNetworkSettings, parts: Mapping[str, str]) -> dict[str, str]:
    with torch.device("meta"):
        ours = list(SiamMask(settings).state_dict())
    return {_name_there(name, parts): name for name in ours}


def _name_there(name: str, parts: Mapping[str, str]) -> str:
    part = next(part for part in parts if name.startswith(f"{part}."))
    rest = name.removeprefix(f"{part}.")
    if part == "backbone":
        rest = official_name(rest)
    elif part == "refine":
        start = next(start for start in _REFINEMENT if rest.startswith(start))
        rest = _REFINEMENT[start] + rest.removeprefix(start)
    else:
        rest = rest.replace("template.", "conv_kernel.").replace("search.", "conv_search.")
    return f"{parts[part]}.{rest}"


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "siammask_r50_l3": {},  # STVIR/pysot, experiments/siammask_r50_l3/config.yaml
    "SiamMask_DAVIS": {},  # foolwood/SiamMask, experiments/siammask_sharp/config_davis.json
    "SiamMask_VOT": {},
    "SiamMask_VOT18": {},
}
"""Settings of the published networks; those of their tracking procedures have the same names in `trackers/rpn_settings.py`."""


def _procedure(settings: SiamMaskNetworkSettings) -> tuple[str, Mapping[str, Any]]:
    name, implied = rpn_procedure(settings)
    return name, {**implied, "mask": {"threshold": THRESHOLD}}


def _losses(settings: SiamMaskNetworkSettings) -> Mapping[str, Loss]:
    stage = "refinement" if settings.refined else "mask"  # what a stage does not learn must not be given a loss
    return {stage: mask_losses(settings, side=TEMPLATE_PX)[stage]}


MODEL = Model(
    settings=SiamMaskNetworkSettings,
    build=SiamMask,
    procedure=_procedure,
    losses=_losses,
    masks=lambda settings: True,
    later=("refine",),
)
