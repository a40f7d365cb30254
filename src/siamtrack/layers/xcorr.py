"""Cross-correlation of each search map with its own template: to one map, to several, or channel by channel."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def cross_correlation(templates: Tensor, searches: Tensor) -> Tensor:
    """Slides each target's template over each of that target's search maps.

    A convolution whose kernel differs per target is a grouped convolution with as many groups as targets, which an
    exported graph would have to know in advance. Written as one matrix product (every template cell with every search
    cell) followed by shifted sums, the number of targets stays free, and inference runtimes run it as fast.

    Args:
        templates: (N, C, h, w).
        searches: (N, S, C, H, W): S search maps (scales) for each of the N targets.

    Returns:
        (N, S, H - h + 1, W - w + 1): the inner products, summed over channels and template cells.
    """
    n, c, h, w = templates.shape
    s, rows, columns = searches.shape[1], searches.shape[3], searches.shape[4]
    cells = searches.reshape(n, s, c, rows * columns)
    kernels = templates.reshape(n, 1, c, h * w).transpose(2, 3)  # (N, 1, hw, C)
    return _shifted_sums(torch.matmul(kernels, cells).reshape(n, s, h, w, rows, columns))


def grouped_cross_correlation(templates: Tensor, searches: Tensor) -> Tensor:
    """The same as `cross_correlation` for one search map a target, as a grouped convolution: faster to train.

    Args:
        templates: (N, C, h, w).
        searches: (N, C, H, W).

    Returns:
        (N, H - h + 1, W - w + 1).
    """
    n, c = templates.shape[:2]
    response = F.conv2d(searches.reshape(1, n * c, *searches.shape[2:]), templates, groups=n)
    return response[0]


def up_channel_cross_correlation(templates: Tensor, searches: Tensor) -> Tensor:
    """Slides each target's K kernels over each of that target's search maps, in the way of `cross_correlation`.

    Source: Li et al., "High Performance Visual Tracking with Siamese Region Proposal Network", CVPR 2018, sec. 3.2.

    Args:
        templates: (N, K * C, h, w): K kernels of C channels, one after the other.
        searches: (N, S, C, H, W): S search maps for each of the N targets.

    Returns:
        (N, S, K, H - h + 1, W - w + 1): the inner products, summed over channels and template cells.
    """
    n, _, h, w = templates.shape
    s, c, rows, columns = searches.shape[1:]
    kernels = templates.reshape(n, 1, -1, c, h * w).transpose(3, 4).flatten(2, 3)  # (N, 1, K hw, C)
    products = torch.matmul(kernels, searches.reshape(n, s, c, rows * columns))
    return _shifted_sums(products.reshape(n, s, -1, h, w, rows, columns))


def grouped_up_channel_cross_correlation(templates: Tensor, searches: Tensor) -> Tensor:
    """The same as `up_channel_cross_correlation` for one search map a target, as a grouped convolution: faster to train.

    Args:
        templates: (N, K * C, h, w).
        searches: (N, C, H, W).

    Returns:
        (N, K, H - h + 1, W - w + 1).
    """
    n, c = searches.shape[:2]
    kernels = templates.reshape(-1, c, *templates.shape[2:])
    maps = F.conv2d(searches.reshape(1, n * c, *searches.shape[2:]), kernels, groups=n)
    return maps.reshape(n, -1, *maps.shape[2:])


def _shifted_sums(products: Tensor) -> Tensor:
    """(..., h, w, H, W), each template cell with each search cell -> (..., H - h + 1, W - w + 1)."""
    h, w, rows, columns = products.shape[-4:]
    height, width = rows - h + 1, columns - w + 1
    along_x = sum((products[..., j, :, j : j + width] for j in range(w)), start=torch.zeros(()))
    return sum((along_x[..., i, i : i + height, :] for i in range(h)), start=torch.zeros(()))


def depthwise_cross_correlation(templates: Tensor, searches: Tensor) -> Tensor:
    """Slides each channel of a target's template over the same channel of each of that target's search maps.

    A row of the template that slides along a row of a search map is a product with a banded matrix; so a template of h rows
    makes h matrix products, and the number of targets stays free in an exported graph. How many times as long other ways take
    with 256 channels, 5 x 5 on 29 x 29, for one target and for three (CPU time of one thread):
    * Sum of 25 shifted products: 3.5 and 2.9 in OpenVINO with bfloat16, 2.3 and 1.8 in float32, 1.4 and 1.6 in ONNX Runtime.
    * One product with all windows side by side: 2.2 and 2.1, 2.5 and 2.3, 1.8 and 1.7.
    * A convolution with a group a channel, of every target with every template: 0.5 and 0.7 in ONNX Runtime; OpenVINO 2026.4
      refuses the graph, as the number of its kernels is not known.

    Source: Li et al., "SiamRPN++: Evolution of Siamese Visual Tracking With Very Deep Networks", CVPR 2019, sec. 3.4.

    Args:
        templates: (N, C, h, w).
        searches: (N, S, C, H, W): S search maps for each of the N targets.

    Returns:
        (N, S, C, H - h + 1, W - w + 1): the inner products, summed over template cells.
    """
    n, c, h, w = templates.shape
    rows, columns = searches.shape[3:]
    height, width = rows - h + 1, columns - w + 1
    # w values and as many zeros as make one column more than a matrix has: each row of it begins one cell further right
    periods = F.pad(templates, (0, width)).repeat(1, 1, 1, width)
    bands = periods[..., : width * columns].reshape(n, 1, c, h, width, columns).transpose(4, 5)
    products = (searches[..., i : i + height, :] @ bands[:, :, :, i] for i in range(h))
    return sum(products, start=torch.zeros(()))


def grouped_depthwise_cross_correlation(templates: Tensor, searches: Tensor) -> Tensor:
    """The same as `depthwise_cross_correlation` for one search map a target, as a grouped convolution: faster to train.

    Args:
        templates: (N, C, h, w).
        searches: (N, C, H, W).

    Returns:
        (N, C, H - h + 1, W - w + 1).
    """
    maps: Tensor = _Depthwise.apply(templates, searches)  # type: ignore[no-untyped-call]
    return maps


class _Depthwise(torch.autograd.Function):
    """A convolution with a group a channel. PyTorch took a third of a training step for the gradient of its kernels: they are
    as many as maps, and each of them gets the sum over a whole map, which is 25 products of maps here.
    """

    @staticmethod
    def forward(ctx: Any, templates: Tensor, searches: Tensor) -> Tensor:
        templates, searches = templates.contiguous(), searches.contiguous()
        ctx.save_for_backward(templates, searches)
        return _by_channel(templates, searches)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        templates, searches = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        h, w = templates.shape[2:]
        height, width = gradient.shape[2:]
        wide, maps = gradient.float(), searches.float()
        sums = [(maps[..., i : i + height, j : j + width] * wide).sum((2, 3)) for i in range(h) for j in range(w)]
        of_templates = torch.stack(sums, 2).reshape(templates.shape).to(templates.dtype)
        return of_templates, _by_channel(templates.flip(2, 3), F.pad(gradient, (w - 1, w - 1, h - 1, h - 1)))


def _by_channel(templates: Tensor, searches: Tensor) -> Tensor:
    n, c, h, w = templates.shape
    maps = F.conv2d(searches.reshape(1, n * c, *searches.shape[2:]), templates.reshape(n * c, 1, h, w), groups=n * c)
    return maps.reshape(n, c, *maps.shape[2:])
