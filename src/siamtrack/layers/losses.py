"""Losses on the score map of a Siamese network: what a response says of each cell against the label of that cell.

All of them take responses (B, H, W) of any float type and labels (B, H, W) of +1, target, or -1, and answer the mean over
the B maps. They compute in float32 (float64 responses in float64), and value and gradient are finite up to |v| = 1e4 at
least. Within a map, positive and negative cells weigh one half each, however many there are (SiamFC's balance); a map
without cells of one kind has 0 for that half.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

CONTRASTIVE_MARGIN = 2 * math.log(2)


def balanced_logistic_loss(responses: Tensor, targets: Tensor) -> Tensor:
    """How wrong the signs are: log(1 + exp(-y v)), as SiamFC is trained.

    exp(-y v) overflows for large -y v; softplus(-y v) is the same function in a form that does not.

    Source: Bertinetto et al., "Fully-Convolutional Siamese Networks for Object Tracking", 2016, eq. 1 and 2, with the
    weights of the official code.
    """
    v, positive = _widened(responses), targets > 0
    return _balanced(F.softplus(torch.where(positive, -v, v)), positive)


def balanced_cross_entropy(responses: Tensor, targets: Tensor) -> Tensor:
    """How improbable the labels are: -log p where y = +1, -log(1 - p) where y = -1, with p = sigmoid(v).

    The same function as `balanced_logistic_loss`, as PyTorch's binary_cross_entropy_with_logits computes it: they differ by
    rounding, no more.
    """
    v, positive = _widened(responses), targets > 0
    return _balanced(F.binary_cross_entropy_with_logits(v, positive.to(v.dtype), reduction="none"), positive)


def contrastive_loss(responses: Tensor, targets: Tensor, *, margin: float = CONTRASTIVE_MARGIN) -> Tensor:
    """How far positive cells are, and how near negative ones: D^2 / 2 where y = +1, max(0, margin - D)^2 / 2 where y = -1.

    D must be a distance, 0 or more, and fall as v rises: D = softplus(-v) = -log sigmoid(v), which is near -v for v far
    below 0, and near 0 far above. Negative cells are left alone from v = -log(exp(margin) - 1) down. With v far above 0 a
    negative cell has nearly no gradient: of the losses here, this one alone lets go of its worst errors.

    Source: Hadsell, Chopra, LeCun, "Dimensionality Reduction by Learning an Invariant Mapping", 2006, with y the other way
    round. There D is the Euclidean distance of two embeddings; the score of a cell is an inner product.

    Args:
        responses: see the module.
        targets: see the module.
        margin: of D, above 0. The default pulls a positive and a negative cell with v = 0 equally hard in opposite
            directions, and leaves negative cells alone from v = -log 3 (sigmoid(v) = 1/4) down.
    """
    v, positive = _widened(responses), targets > 0
    distance = F.softplus(-v)
    return _balanced(torch.where(positive, distance, (margin - distance).clamp_min(0)).square() / 2, positive)


def triplet_loss(responses: Tensor, targets: Tensor) -> Tensor:
    """How often negative cells outdo positive ones: -log(exp(vp) / (exp(vp) + exp(vn))), the mean over all pairs of a map.

    That is softplus(vn - vp). It knows differences only: a constant added to a map changes nothing, so the bias of a
    network does not learn. A map without positive or without negative cells has no pair and counts 0. Memory is B times
    the largest number of positive cells in a map times H W.

    Source: Dong, Shen, "Triplet Loss in Siamese Network for Object Tracking", ECCV 2018.
    """
    v, positive = _widened(responses).flatten(1), (targets > 0).flatten(1)
    most = int(positive.sum(1).max())
    is_positive, cells = positive.to(v.dtype).topk(most)  # the positive cells of each map, filled up with negative ones
    pairs = is_positive[:, :, None] * ~positive[:, None, :]  # (B, most, H W)
    losses = F.softplus(v[:, None, :] - v.gather(1, cells)[:, :, None])
    return ((losses * pairs).sum((1, 2)) / pairs.sum((1, 2)).clamp_min(1)).mean()


def _widened(responses: Tensor) -> Tensor:
    """In float32, where they came in less."""
    return responses.to(torch.promote_types(responses.dtype, torch.float32))


def _balanced(losses: Tensor, positive: Tensor) -> Tensor:
    """Mean over the maps, with half the weight on positive and half on negative cells."""
    positives = positive.sum((1, 2), keepdim=True, dtype=losses.dtype)
    negatives = (~positive).sum((1, 2), keepdim=True, dtype=losses.dtype)
    # a count of 0 gives a weight of infinity here, which no cell takes
    return (losses * torch.where(positive, 0.5 / positives, 0.5 / negatives)).sum((1, 2)).mean()


LOSSES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "logistic": balanced_logistic_loss,
    "bce": balanced_cross_entropy,
    "contrastive": contrastive_loss,
    "triplet": triplet_loss,
}
"""The losses that a recipe can name."""
