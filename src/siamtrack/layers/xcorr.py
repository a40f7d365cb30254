"""Cross-correlation of each search map with its own template."""

from __future__ import annotations

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
    products = torch.matmul(kernels, cells).reshape(n, s, h, w, rows, columns)
    height, width = rows - h + 1, columns - w + 1
    along_x = sum((products[:, :, :, j, :, j : j + width] for j in range(w)), start=torch.zeros(()))
    return sum((along_x[:, :, i, i : i + height] for i in range(h)), start=torch.zeros(()))


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
