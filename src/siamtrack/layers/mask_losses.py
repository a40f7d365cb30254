"""How wrong masks of single places are.

Source: Wang, Zhang, Bertinetto, Hu, Torr, "Fast Online Object Tracking and Segmentation: A Unifying Approach", CVPR 2019,
sec. 3.2, eq. 3, and `select_mask_logistic_loss` of foolwood/SiamMask.
"""

from __future__ import annotations

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
    along = torch.arange(side, device=maps.device)
    rows, columns = tops[:, None] + along, lefts[:, None] + along
    inside = [(places >= 0) & (places < size) for places, size in zip((rows, columns), maps.shape[2:], strict=True)]
    rows, columns = (places.clamp(0, size - 1) for places, size in zip((rows, columns), maps.shape[2:], strict=True))
    # two slices of a channels-last map, gathered as one: (M, n, n, C)
    found = maps.permute(0, 2, 3, 1)[pairs[:, None, None], rows[:, :, None], columns[:, None, :]]
    known = inside[0][:, :, None, None] & inside[1][:, None, :, None]
    return torch.where(known, found, torch.full((), beyond, dtype=maps.dtype, device=maps.device)).permute(0, 3, 1, 2)


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
