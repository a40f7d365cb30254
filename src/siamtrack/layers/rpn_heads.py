"""Heads of the SiamRPN family: what a template and a search map together say of every anchor in every cell.

Each has `embed`, the template's side, which runs once a target; `match`, the search side, every frame and for any number of
targets; and `forward`, both for training. What they answer, for A anchors at a cell:
* cls (..., 2A, R, R): as (2, A, R, R) what speaks against and for the target, before softmax.
* loc (..., 4A, R, R): as (4, A, R, R) dx, dy, dw, dh.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from siamtrack.layers.xcorr import (
    depthwise_cross_correlation,
    grouped_depthwise_cross_correlation,
    grouped_up_channel_cross_correlation,
    up_channel_cross_correlation,
)

CELLS_LOST = 2  # of template and search map alike, to the 3 x 3 convolution that every head begins with

ClsLoc = tuple[Tensor, Tensor]


class UpChannelHead(nn.Module):
    """The template makes one kernel for every score and every offset of an anchor.

    Source: Li et al., "High Performance Visual Tracking with Siamese Region Proposal Network", CVPR 2018, sec. 3.2; the 1 x 1
    convolution after the correlation of loc is that of foolwood/DaSiamRPN.

    Args:
        channels: C, of the features.
        anchors: A, at a cell.
        kernel_channels: D, of each kernel; None: as many as of the features.
        scores: k, of an anchor: 2, or 1 that stands for the target, against which 0 stands.
        gain: multiplies the kernels, and so the correlations.
    """

    def __init__(
        self, channels: int, anchors: int, *, kernel_channels: int | None = None, scores: int = 2, gain: float = 1.0
    ) -> None:
        super().__init__()
        inside = kernel_channels or channels
        self.scores, self.gain = scores, gain
        self.sizes = [scores * anchors * inside, 4 * anchors * inside]
        self.template_cls, self.template_loc = (nn.Conv2d(channels, size, 3) for size in self.sizes)
        self.search_cls, self.search_loc = (nn.Conv2d(channels, inside, 3) for _ in range(2))
        self.adjust = nn.Conv2d(4 * anchors, 4 * anchors, 1)

    def embed(self, features: Tensor) -> Tensor:
        """Template features (N, C, 6, 6) -> kernels of cls and after them of loc (N, (k + 4) A D, 4, 4)."""
        return self.gain * torch.cat((self.template_cls(features), self.template_loc(features)), 1)

    def match(self, templates: Tensor, features: Tensor) -> ClsLoc:
        """Kernels (N, (k + 4) A D, 4, 4) and search features (N * S, C, H, W), S per target -> cls, loc (N, S, ...)."""
        for_cls, for_loc = torch.split(templates, self.sizes, 1)
        cls = up_channel_cross_correlation(for_cls, _by_target(templates, self.search_cls(features)))
        loc = up_channel_cross_correlation(for_loc, _by_target(templates, self.search_loc(features)))
        return self._both(cls), _by_target(templates, self.adjust(loc.flatten(0, 1)))

    def forward(self, z: Tensor, x: Tensor) -> ClsLoc:
        """Template features (B, C, 6, 6) and search features (B, C, H, W) -> cls, loc (B, ...)."""
        cls = grouped_up_channel_cross_correlation(self.gain * self.template_cls(z), self.search_cls(x))
        loc = grouped_up_channel_cross_correlation(self.gain * self.template_loc(z), self.search_loc(x))
        return self._both(cls), self.adjust(loc)

    def _both(self, cls: Tensor) -> Tensor:
        return cls if self.scores == 2 else torch.cat((torch.zeros_like(cls), cls), -3)


class DepthwiseHead(nn.Module):
    """The template makes one kernel a channel for the scores, and one for the offsets; two convolutions read the correlation.

    Source: Li et al., "SiamRPN++: Evolution of Siamese Visual Tracking With Very Deep Networks", CVPR 2019, sec. 3.4.

    Args:
        channels: of the features, and of everything in between.
        anchors: at a cell.
    """

    def __init__(self, channels: int, anchors: int) -> None:
        super().__init__()
        self.cls = DepthwiseBranch(channels, 2 * anchors)
        self.loc = DepthwiseBranch(channels, 4 * anchors)

    def embed(self, features: Tensor) -> Tensor:
        """Template features (N, C, 7, 7) -> kernels of cls and after them of loc (N, 2 C, 5, 5)."""
        return torch.cat((self.cls.template(features), self.loc.template(features)), 1)

    def match(self, templates: Tensor, features: Tensor) -> ClsLoc:
        """Kernels (N, 2 C, 5, 5) and search features (N * S, C, H, W), S per target -> cls, loc (N, S, ...)."""
        for_cls, for_loc = templates.chunk(2, 1)
        return self.cls.match(for_cls, features), self.loc.match(for_loc, features)

    def forward(self, z: Tensor, x: Tensor) -> ClsLoc:
        """Template features (B, C, 7, 7) and search features (B, C, H, W) -> cls, loc (B, ...)."""
        return self.cls(z, x), self.loc(z, x)


class DepthwiseBranch(nn.Module):
    """Depth-wise correlation of a template with search maps, and what two 1 x 1 convolutions make of it.

    Args:
        channels: of the features, and of everything in between.
        outputs: channels of the answer.
    """

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.template = _conv_norm_relu(channels, 3)
        self.search = _conv_norm_relu(channels, 3)
        self.head = nn.Sequential(*_conv_norm_relu(channels, 1), nn.Conv2d(channels, outputs, 1))

    def match(self, kernels: Tensor, features: Tensor) -> Tensor:
        """Kernels (N, C, 5, 5) and search features (N * S, C, H, W) -> (N, S, outputs, H - 6, W - 6)."""
        correlation = depthwise_cross_correlation(kernels, _by_target(kernels, self.search(features)))
        return _by_target(kernels, self.head(correlation.flatten(0, 1)))

    def forward(self, z: Tensor, x: Tensor) -> Tensor:
        """Template features (B, C, 7, 7) and search features (B, C, H, W) -> (B, outputs, H - 6, W - 6)."""
        y: Tensor = self.head(grouped_depthwise_cross_correlation(self.template(z), self.search(x)))
        return y


class LayerwiseHead(nn.Module):
    """A depth-wise head on each of several layers; their answers are added with learnt weights, or averaged.

    Source: Li et al., "SiamRPN++", CVPR 2019, sec. 3.3; "MultiRPN" in STVIR/pysot.

    Args:
        channels: of the features of each layer.
        anchors: at a cell.
        weighted: with the softmax of a learnt number a layer, for cls and loc apart; else the plain mean.
    """

    cls_weight: nn.Parameter | None  # logits, one a layer
    loc_weight: nn.Parameter | None

    def __init__(self, channels: Sequence[int], anchors: int, *, weighted: bool) -> None:
        super().__init__()
        self.heads = nn.ModuleList(DepthwiseHead(c, anchors) for c in channels)
        self.sizes = [2 * c for c in channels]
        for name in ("cls_weight", "loc_weight"):
            self.register_parameter(name, nn.Parameter(torch.ones(len(self.sizes))) if weighted else None)

    def embed(self, features: Sequence[Tensor]) -> Tensor:
        """Template features of L layers, (N, C, 7, 7) each -> kernels of all heads, one after the other (N, 2 L C, 5, 5)."""
        return torch.cat([head.embed(z) for head, z in zip(self._each(), features, strict=True)], 1)

    def match(self, templates: Tensor, features: Sequence[Tensor]) -> ClsLoc:
        """Kernels (N, 2 L C, 5, 5) and search features of L layers, (N * S, C, H, W) each -> cls, loc (N, S, ...)."""
        kernels = torch.split(templates, self.sizes, 1)
        return self._fused(head.match(k, x) for head, k, x in zip(self._each(), kernels, features, strict=True))

    def forward(self, zs: Sequence[Tensor], xs: Sequence[Tensor]) -> ClsLoc:
        """Template features (B, C, 7, 7) and search features (B, C, H, W) of L layers -> cls, loc (B, ...)."""
        return self._fused(head(z, x) for head, z, x in zip(self._each(), zs, xs, strict=True))

    def _each(self) -> list[DepthwiseHead]:
        return cast("list[DepthwiseHead]", list(self.heads))

    def _fused(self, maps: Iterable[ClsLoc]) -> ClsLoc:
        cls, loc = zip(*maps, strict=True)
        return self._sum(self.cls_weight, cls), self._sum(self.loc_weight, loc)

    def _sum(self, logits: nn.Parameter | None, maps: Sequence[Tensor]) -> Tensor:
        weights = [1 / len(maps)] * len(maps) if logits is None else logits.softmax(0)
        return sum((weight * layer for weight, layer in zip(weights, maps, strict=True)), start=torch.zeros(()))


def _conv_norm_relu(channels: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, channels, kernel, bias=False), nn.BatchNorm2d(channels), nn.ReLU())


def _by_target(templates: Tensor, maps: Tensor) -> Tensor:
    """(N * S, ...) -> (N, S, ...), for N templates."""
    return maps.reshape(templates.shape[0], -1, *maps.shape[1:])
