"""How wrong masks of single places are.

Source: Wang, Zhang, Bertinetto, Hu, Torr, "Fast Online Object Tracking and Segmentation: A Unifying Approach", CVPR 2019,
sec. 3.2, eq. 3, and `select_mask_logistic_loss` of foolwood/SiamMask.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def windows_of(maps: Tensor, pairs: Tensor, tops: Tensor, lefts: Tensor, side: int, *, beyond: int = 0) -> Tensor:
    """Square windows of maps, with one value beyond the borders.

    Args:
        maps: (B, C, H, W).
        pairs: (M,), int64, which of the B maps.
        tops: (M,), int64, first row; may lie outside, by less than `side` before the map.
        lefts: (M,), int64, first column.
        side: n, cells.
        beyond: that value.

    Returns:
        (M, C, n, n).
    """
    found: Tensor = _Windows.apply(maps, pairs, tops, lefts, side, beyond)  # type: ignore[no-untyped-call]
    return found


class _Windows(torch.autograd.Function):
    """Windows overlap: PyTorch would add up their gradients in any order, and a run would not be the same when it goes on."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, pairs: Tensor, tops: Tensor, lefts: Tensor, side: int, beyond: int) -> Tensor:
        ctx.shape, ctx.side = maps.shape, side
        ctx.corners = list(zip(pairs.tolist(), tops.tolist(), lefts.tolist(), strict=True))
        found = maps.new_full((len(pairs), maps.shape[1], side, side), beyond)
        for window, (pair, here, there) in zip(found, _Windows.places(ctx), strict=True):
            window[here] = maps[pair][there]
        return found

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        total = gradient.new_zeros(ctx.shape)
        for window, (pair, here, there) in zip(gradient, _Windows.places(ctx), strict=True):
            total[pair][there] += window[here]
        return total, None, None, None, None, None

    @staticmethod
    def places(ctx: Any) -> Iterator[tuple[int, tuple[Any, ...], tuple[Any, ...]]]:
        """The map of each window, and which part of the window is which part of the map."""
        for pair, *corner in ctx.corners:
            here, there = [], []
            for first, size in zip(corner, ctx.shape[2:], strict=True):
                low, high = max(0, -first), max(0, min(ctx.side, size - first))
                here.append(slice(low, max(low, high)))
                there.append(slice(first + low, first + max(low, high)))
            yield pair, (slice(None), *here), (slice(None), *there)


def mask_loss(logits: Tensor, wanted: Tensor, counts: Tensor) -> Tensor:
    """The mean of log(1 + exp(-y m)) over all pixels of all masks that count, y = 1 for the target and -1 for the rest.

    Args:
        logits: m, (M, n, n); enlarged to the size of the wanted ones.
        wanted: (M, N, N), bool, where the target is.
        counts: (M, N, N), bool. In the official code pixels beyond the search patch have no gradient, but count in the mean.

    Returns:
        A scalar, float32; 0 without a mask.
    """
    if not len(logits):
        return logits.float().sum()
    losses = F.binary_cross_entropy_with_logits(enlarged(logits.float(), wanted.shape[-1]), wanted.float(), reduction="none")
    return torch.where(counts, losses, 0.0).sum() / counts.sum().clamp_min(1)


def enlarged(masks: Tensor, side: int) -> Tensor:
    """Masks (M, n, n) as (M, side, side), corner to corner as the official code does; of that size already: themselves."""
    if masks.shape[-1] == side:
        return masks
    return F.interpolate(masks[:, None], size=(side, side), mode="bilinear", align_corners=True)[:, 0]
