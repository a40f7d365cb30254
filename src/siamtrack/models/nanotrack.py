"""NanoTrack v3: H. Chu, HonglinChu/SiamTrackers, 2023, a tracker without a paper. MobileNetV3-Small below a head that has no
anchors: two classes, and distances to the four sides of the box; the tracking procedure is in `trackers/rpn.py`.

Differences between the official code and this code:
* Input: 0..255, not normalised, in both; BGR there, RGB here.
* Boxes: the official code has the exponential of what the network says as distances to the four sides, in pixels. Here it is
  multiplied by 32 px, so that a network that says 0 means a box of 64 px, and given as offsets of one square anchor of 64 px a
  cell, as the procedure wants them.
* Batch norm: in the published files it is folded; here it follows every convolution but the last one and those that weigh
  channels. In the official code it does not follow the one that joins both correlations, and that of the depth-wise kernels
  sees the middle of the template alone. What a trained network computes is of the same form.
* Search patches: any from the size of the template on; a last row and column of cells that a part of a stride gives is cut off,
  so that the cells lie where `siamtrack.trackers.anchors.map_shift` says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from siamtrack.layers.mobilenet_v3 import TOTAL_STRIDE_PX, MobileNetV3
from siamtrack.layers.nanotrack_head import TEMPLATE_CELLS, NanoTrackHead
from siamtrack.layers.rpn_losses import LARGEST
from siamtrack.models.model import Model
from siamtrack.models.rpn_training import rpn_losses, rpn_procedure
from siamtrack.settings import check_limits

TEMPLATE_PX = 127


@dataclass(frozen=True, kw_only=True)
class NanoTrackNetworkSettings:
    """What is needed to build the network; the defaults are those of the published one.

    Raises:
        SettingsError: a number outside its range.
    """

    width: float = 1.0  # multiplies the channels of every layer
    tower: int = 6  # blocks that read the correlations
    template_size: int = TEMPLATE_PX  # px; its middle is where the head expects it at this size alone
    search_size: int = 255  # px

    @property
    def anchors(self) -> int:
        """At a cell."""
        return 1

    @property
    def stride(self) -> int:
        """Patch pixels between two cells."""
        return TOTAL_STRIDE_PX

    def __post_init__(self) -> None:
        check_limits(
            self,
            {
                "width": (0.01, 100),
                "tower": (0, 100),
                "template_size": (TEMPLATE_PX, TEMPLATE_PX),
                "search_size": (TEMPLATE_PX, 4096),
            },
        )


class NanoTrack(nn.Module):
    """MobileNetV3-Small, and a head that says of every cell whether it is the target and where its sides are."""

    MAPS = ("cls", "loc")  # names of what `match` gives

    def __init__(self, settings: NanoTrackNetworkSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or NanoTrackNetworkSettings()
        self.backbone = MobileNetV3(self.settings.width)
        self.head = NanoTrackHead(self.backbone.channels[-1], self.settings.tower)

    def embed(self, pixels: Tensor) -> Tensor:
        """Pixels (N, 3, 127, 127), RGB, 0..255 -> kernels of cls and after them of loc (N, 4 C, 8, 8)."""
        return self.head.embed(self.backbone(pixels)[-1])

    def match(self, templates: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Kernels (N, 4 C, 8, 8) and search pixels (N * S, 3, X, X), S per target -> cls and loc.

        Returns:
            cls (N, S, 2, R, R): what speaks against and for the target, before softmax.
            loc (N, S, 4, R, R): dx, dy, dw, dh of a square anchor of 64 px. R = 15 for 255 px.
        """
        cls, sides = self.head.match(templates, _whole_strides(self.backbone(pixels)[-1], pixels))
        return cls, _offsets(sides)

    def forward(self, z: Tensor, x: Tensor) -> tuple[Tensor, Tensor, list[Tensor], list[Tensor]]:
        """For training: one search patch a template.

        Args:
            z: template pixels (B, 3, 127, 127).
            x: search pixels (B, 3, X, X).

        Returns:
            cls (B, 2, R, R) and loc (B, 4, R, R), see `match`; the features of the backbone's five stages, of the template and
            of the search patch.
        """
        templates, searches = self.backbone(z), self.backbone(x)
        cls, sides = self.head(templates[-1], _whole_strides(searches[-1], x))
        return cls, _offsets(sides), templates, searches


def _whole_strides(features: Tensor, pixels: Tensor) -> Tensor:
    """Without the cell that padding adds where the side of the patch is no whole number of strides above the template's."""
    cells = TEMPLATE_CELLS + (pixels.shape[-1] - TEMPLATE_PX) // TOTAL_STRIDE_PX
    return features[..., :cells, :cells]


def _offsets(sides: Tensor) -> Tensor:
    """Logarithms of the distances to left, top, right, bottom (..., 4, R, R), half anchors -> dx, dy, dw, dh of the anchor."""
    limit = math.log(LARGEST)
    left, top, right, bottom = sides.float().clamp(-limit, limit).exp().unbind(-3)
    width, height = left + right, top + bottom  # half anchors
    return torch.stack(((right - left) / 4, (bottom - top) / 4, (width / 2).log(), (height / 2).log()), -3)


MODEL = Model(settings=NanoTrackNetworkSettings, build=NanoTrack, procedure=rpn_procedure, losses=rpn_losses, features=True)
