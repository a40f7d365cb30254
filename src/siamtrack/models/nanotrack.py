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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from siamtrack.layers.mask_heads import Refinement
from siamtrack.layers.mobilenet_v3 import TOTAL_STRIDE_PX, MobileNetV3
from siamtrack.layers.nanotrack_head import TEMPLATE_CELLS, NanoTrackHead, conv_norm, grouped, middle_correlation
from siamtrack.layers.rpn_losses import LARGEST
from siamtrack.models.mask_training import cell_windows, mask_losses
from siamtrack.models.model import Loss, Model
from siamtrack.models.rpn_training import rpn_losses, rpn_procedure
from siamtrack.settings import check_limits
from siamtrack.trackers.mask import Window, window_settings

TEMPLATE_PX = 127
HALF_ANCHOR_PX = 32.0  # distances to the sides of a box are factors of it
THRESHOLD = 0.5  # probability above which a pixel belongs to the target

LAYERS = (4, 2, 1, 0)  # of the backbone that masks are refined with: strides 16, 8, 4, 2
WINDOWS = (Window(1, 8, 3), Window(2, 16, 6), Window(4, 32, 12), Window(8, 64, 24))
"""What of them is the patch of 127 px around a cell. Cell i of the answer lies at 16 i + 15.5 px, and its patch begins 63.5 px
before it, where cell i - 3 of stride 16 is."""
MASK_CHANNELS = (32, 16, 16, 8)


@dataclass(frozen=True, kw_only=True)
class NanoTrackNetworkSettings:
    """What is needed to build the network; the defaults are those of the published one.

    Raises:
        SettingsError: a number outside its range.
    """

    width: float = 1.0  # multiplies the channels of every layer
    expansion: int = 1  # multiplies the channels inside the blocks of backbone and tower; what goes in and out stays
    tower: int = 6  # blocks that read the correlations
    template_size: int = TEMPLATE_PX  # px; its middle is where the head expects it at this size alone
    search_size: int = 255  # px
    masks: bool = False  # it gives masks as well, by a branch that the published one does not have

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
                "expansion": (1, 100),
                "tower": (0, 100),
                "template_size": (TEMPLATE_PX, TEMPLATE_PX),
                "search_size": (TEMPLATE_PX, 4096),
            },
        )


class NanoTrack(nn.Module):
    """MobileNetV3-Small, and a head that says of every cell whether it is the target and where its sides are."""

    MAPS: tuple[str, ...] = ("cls", "loc")  # names of what `match` gives

    def __init__(self, settings: NanoTrackNetworkSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or NanoTrackNetworkSettings()
        self.backbone = MobileNetV3(self.settings.width, self.settings.expansion)
        self.head = NanoTrackHead(self.backbone.channels[-1], self.settings.tower, self.settings.expansion)

    def embed(self, pixels: Tensor) -> Tensor:
        """Pixels (N, 3, 127, 127), RGB, 0..255 -> kernels of cls and after them of loc (N, 4 C, 8, 8)."""
        return self.head.embed(self.backbone(pixels)[-1])

    def match(self, templates: Tensor, pixels: Tensor) -> tuple[Tensor, ...]:
        """Kernels (N, 4 C, 8, 8) and search pixels (N * S, 3, X, X), S per target -> cls and loc.

        Returns:
            cls (N, S, 2, R, R): what speaks against and for the target, before softmax.
            loc (N, S, 4, R, R): dx, dy, dw, dh of a square anchor of 64 px. R = 15 for 255 px.
        """
        cls, sides = self.head.match(templates, _whole_strides(self.backbone(pixels)[-1], pixels))
        return cls, _offsets(sides)

    def forward(self, z: Tensor, x: Tensor) -> tuple[Any, ...]:
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
        return cls, _offsets(sides), templates[1:], searches[1:]


class NanoTrackMask(NanoTrack):
    """With masks, in the manner of SiamMask: a third correlation, and what the first layers of the backbone see."""

    def __init__(self, settings: NanoTrackNetworkSettings) -> None:
        super().__init__(settings)
        channels = self.backbone.channels
        self.mask_template, self.mask_search = (conv_norm(channels[-1], channels[-1]) for _ in range(2))
        self.refine = Refinement(
            channels[-1], [channels[layer] for layer in LAYERS], steps=[side for _, side, _ in WINDOWS], outputs=MASK_CHANNELS
        )
        self.MAPS = ("cls", "loc", "correlation", *(f"layer{layer}" for layer in LAYERS))
        self.windows = WINDOWS

    def embed(self, pixels: Tensor) -> Tensor:
        """Pixels (N, 3, 127, 127), RGB, 0..255 -> kernels of cls, loc and mask, one after the other (N, 5 C, 8, 8)."""
        features = self.backbone(pixels)[-1]
        return torch.cat((self.head.embed(features), self.mask_template(features)), 1)

    def match(self, templates: Tensor, pixels: Tensor) -> tuple[Tensor, ...]:
        """Kernels (N, 5 C, 8, 8) and search pixels (N * S, 3, X, X), S per target -> maps.

        Returns:
            cls and loc, see `NanoTrack`; the correlation (N, S, C, R, R), and what the layers of `LAYERS` see, for `masks`.
        """
        features = self.backbone(pixels)
        last = _whole_strides(features[-1], pixels)
        channels = 4 * self.backbone.channels[-1]
        cls, sides = self.head.match(templates[:, :channels], last)
        layers = [features[layer].reshape(templates.shape[0], -1, *features[layer].shape[1:]) for layer in LAYERS]
        searches = self.mask_search(last).reshape(templates.shape[0], -1, *last.shape[1:])
        return cls, _offsets(sides), middle_correlation(templates[:, channels:], searches), *layers

    def masks(self, cells: Tensor, *windows: Tensor) -> Tensor:
        """Masks of the patches of 127 x 127 px around single cells, logits.

        Args:
            cells: (M, C), the correlation there.
            windows: what the layers of `LAYERS` see there, of the sizes of `WINDOWS`.

        Returns:
            (M, 127, 127).
        """
        refined: Tensor = self.refine(cells, windows)
        return refined

    def forward(self, z: Tensor, x: Tensor) -> tuple[Any, ...]:
        """For training: one search patch a template.

        Returns:
            cls (B, 2, R, R) and loc (B, 4, R, R); and what gives masks of single cells.
        """
        template, searches = self.backbone(z)[-1], self.backbone(x)
        last = _whole_strides(searches[-1], x)
        cls, sides = self.head(template, last)
        correlation = middle_correlation(self.mask_template(template), self.mask_search(last)[:, None], grouped)[:, 0]
        return cls, _offsets(sides), _CellMasks(self, correlation, [searches[layer] for layer in LAYERS])


class _CellMasks(NamedTuple):
    """Masks of single cells; see `siamtrack.models.mask_training.MaskAnswer`."""

    network: NanoTrackMask
    correlation: Tensor  # (B, C, R, R)
    layers: Sequence[Tensor]

    def refined(self, pairs: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """(M, 127, 127), logits."""
        around = cell_windows(self.layers, WINDOWS, pairs, rows, columns)
        return self.network.masks(self.correlation[pairs, :, rows, columns], *around)

    def coarse(self, pairs: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """The same: there is but one mask."""
        return self.refined(pairs, rows, columns)


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


def _build(settings: NanoTrackNetworkSettings) -> NanoTrack:
    return NanoTrackMask(settings) if settings.masks else NanoTrack(settings)


def _procedure(settings: NanoTrackNetworkSettings) -> tuple[str, Mapping[str, Any]]:
    name, implied = rpn_procedure(settings)
    return name, {**implied, "mask": {"threshold": THRESHOLD, **window_settings(WINDOWS)}} if settings.masks else implied


def _losses(settings: NanoTrackNetworkSettings) -> Mapping[str, Loss]:
    return mask_losses(settings, side=TEMPLATE_PX) if settings.masks else rpn_losses(settings)


PRESETS: Mapping[str, Mapping[str, Any]] = {"nanotrackv3": {}}  # HonglinChu/SiamTrackers, NanoTrack/models/config/configv3.yaml
"""Settings of the published network; those of its tracking procedure have the same name in `trackers/rpn_settings.py`."""

MODEL = Model(
    settings=NanoTrackNetworkSettings,
    build=_build,
    procedure=_procedure,
    losses=_losses,
    features=True,
    masks=lambda settings: bool(settings.masks),
    later=("mask_template", "mask_search", "refine"),
)
