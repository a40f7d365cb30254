"""The head of NanoTrack v3 (HonglinChu/SiamTrackers): a depth-wise and a pixel-wise correlation side by side, read by a tower
of depth-wise convolutions; classes and boxes each have all of it for themselves.

The pixel-wise correlation (Yan, Zhang, Wang, Lu, Yang, "Alpha-Refine: Boosting Tracking Performance by Precise Bounding Box
Estimation", CVPR 2021, sec. 3.2) compares every cell of the search map with each of the 64 cells of the template, so that it
knows which part of the target is seen; the depth-wise one (`siamtrack.layers.xcorr`) compares with the middle of the template.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from siamtrack.layers.depthwise import DepthwiseConv2d
from siamtrack.layers.mobilenet_v3 import SqueezeExcite
from siamtrack.layers.neck import central_cells
from siamtrack.layers.xcorr import depthwise_cross_correlation, grouped_depthwise_cross_correlation

TEMPLATE_CELLS = 8
MIDDLE_CELLS = 4  # of the template, for the depth-wise correlation

Correlation = Callable[[Tensor, Tensor], Tensor]


class NanoTrackHead(nn.Module):
    """What a template and a search map say of every cell.

    Args:
        channels: C, of the features and of everything in between.
        tower: blocks that read the correlations.
        expansion: kernels of a channel in them.
    """

    def __init__(self, channels: int, tower: int, expansion: int = 1) -> None:
        super().__init__()
        self.cls, self.loc = (NanoTrackBranch(channels, outputs, tower, expansion) for outputs in (2, 4))

    def embed(self, features: Tensor) -> Tensor:
        """Template features (N, C, 8, 8) -> kernels of cls and after them of loc (N, 4 C, 8, 8)."""
        return torch.cat((self.cls.embed(features), self.loc.embed(features)), 1)

    def match(self, kernels: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Kernels (N, 4 C, 8, 8) and search features (N * S, C, H, W) -> (N, S, 2, H - 1, W - 1), (N, S, 4, H - 1, W - 1)."""
        for_cls, for_loc = kernels.chunk(2, 1)
        return self.cls.match(for_cls, features), self.loc.match(for_loc, features)

    def forward(self, z: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Template features (B, C, 8, 8) and search features (B, C, H, W) -> (B, 2, H - 1, W - 1), (B, 4, H - 1, W - 1)."""
        return self.cls(z, x), self.loc(z, x)


class NanoTrackBranch(nn.Module):
    """One answer: two correlations, and what reads them.

    Args:
        channels: C, of the features and of everything in between.
        outputs: channels of the answer.
        tower: blocks that read the correlations.
        expansion: kernels of a channel in them.
    """

    def __init__(self, channels: int, outputs: int, tower: int, expansion: int = 1) -> None:
        super().__init__()
        cells = TEMPLATE_CELLS**2
        self.template = conv_norm(channels, 2 * channels)  # kernels of the pixel-wise correlation first
        self.search = conv_norm(channels, 2 * channels)
        self.weigh = SqueezeExcite(cells, cells, hard=False)
        self.merge = depthwise_separable(cells, kernel=2, expansion=expansion)
        self.join = conv_norm(cells + channels, channels)
        blocks = (depthwise_separable(channels, kernel=3, expansion=expansion) for _ in range(tower))
        self.tower = nn.Sequential(*blocks)
        self.answer = nn.Conv2d(channels, outputs, 1)

    def embed(self, features: Tensor) -> Tensor:
        """Template features (N, C, 8, 8) -> kernels (N, 2 C, 8, 8)."""
        kernels: Tensor = self.template(features)
        return kernels

    def match(self, kernels: Tensor, features: Tensor) -> Tensor:
        """Kernels (N, 2 C, 8, 8) and search features (N * S, C, H, W) -> (N, S, outputs, H - 1, W - 1)."""
        answers = self._read(*self._correlations(kernels, self.search(features), depthwise_cross_correlation))
        return answers.reshape(kernels.shape[0], -1, *answers.shape[1:])

    def forward(self, z: Tensor, x: Tensor) -> Tensor:
        """Template features (B, C, 8, 8) and search features (B, C, H, W) -> (B, outputs, H - 1, W - 1)."""
        return self._read(*self.correlations(z, x))

    def correlations(self, z: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Template features (B, C, 8, 8) and search features (B, C, H, W) -> both correlations, what the tower reads.

        Returns:
            The pixel-wise one, weighed and merged (B, 64, H - 1, W - 1), and the depth-wise one (B, C, H - 1, W - 1).
        """
        return self._correlations(self.template(z), self.search(x), grouped)

    def _correlations(self, kernels: Tensor, searches: Tensor, correlation: Correlation) -> tuple[Tensor, Tensor]:
        """(N, 2 C, 8, 8) and (N * S, 2 C, H, W) -> (N * S, 64, H - 1, W - 1) and (N * S, C, H - 1, W - 1)."""
        # an exported graph takes len(kernels) for a constant, and shape[0] for what it is
        by_target = searches.reshape(kernels.shape[0], -1, *searches.shape[1:])
        (by_cell, middle), (fine, whole) = kernels.chunk(2, 1), by_target.chunk(2, 2)
        pixelwise = self.merge(self.weigh(pixelwise_cross_correlation(by_cell, fine).flatten(0, 1)))
        return pixelwise, middle_correlation(middle, whole, correlation).flatten(0, 1)

    def _read(self, pixelwise: Tensor, depthwise: Tensor) -> Tensor:
        """Both correlations -> (N * S, outputs, H - 1, W - 1)."""
        answer: Tensor = self.answer(self.tower(self.join(torch.cat((pixelwise, depthwise), 1))))
        return answer


def middle_correlation(templates: Tensor, searches: Tensor, correlation: Correlation = depthwise_cross_correlation) -> Tensor:
    """Depth-wise correlation with the middle of templates (N, C, 8, 8): (N, S, C, H, W) -> (N, S, C, H - 1, W - 1)."""
    return correlation(central_cells(templates, MIDDLE_CELLS), F.pad(searches, (1, 1, 1, 1)))


def grouped(templates: Tensor, searches: Tensor) -> Tensor:
    """`depthwise_cross_correlation` of one search map a target, (N, 1, C, H, W): faster to train."""
    return grouped_depthwise_cross_correlation(templates, searches[:, 0])[:, None]


def pixelwise_cross_correlation(templates: Tensor, searches: Tensor) -> Tensor:
    """Inner products of every cell of a template with every cell of the search maps.

    Args:
        templates: (N, C, h, w).
        searches: (N, S, C, H, W): S search maps for each of the N targets.

    Returns:
        (N, S, h * w, H, W).
    """
    kernels = templates.flatten(2).transpose(1, 2)[:, None]  # (N, 1, hw, C)
    products = torch.matmul(kernels, searches.flatten(3))
    return products.reshape(*products.shape[:3], *searches.shape[3:])


def depthwise_separable(channels: int, *, kernel: int, expansion: int = 1) -> nn.Sequential:
    """Channel by channel, then 1 x 1: (B, C, H, W) -> the same for kernel 3, (B, C, H - 1, W - 1) for kernel 2."""
    inner = channels * expansion
    return nn.Sequential(
        DepthwiseConv2d(channels, kernel, padding=(kernel - 1) // 2, kernels=expansion),
        nn.BatchNorm2d(inner),
        nn.ReLU6(),
        nn.Conv2d(inner, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
    )


def conv_norm(inputs: int, outputs: int) -> nn.Sequential:
    """(B, inputs, H, W) -> (B, outputs, H, W), normalised."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
