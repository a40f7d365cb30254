"""Losses of a region proposal network: how wrong its classes and its boxes are, for the anchors that count.

Which anchors count, and what is right for them, is said by `siamtrack.layers.anchor_targets`. Both losses compute in float32
(float64 maps in float64). What the network says of other anchors has no part in value or gradient, be it infinite or NaN.

Differences between the paper (Li, Yan, Wu, Zhu, Hu, "High Performance Visual Tracking with Siamese Region Proposal Network",
CVPR 2018, sec. 3.2), STVIR/pysot and this code:
* Classes: the paper says cross-entropy; PySOT, and this code, the mean over the positive anchors of the batch and the mean over
  the negative ones, with half the weight each.
* Boxes: smooth L1 in the paper, plain L1 in PySOT, summed over dx, dy, dw, dh; `smooth` has both.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

LARGEST = 100.0
"""Times width and height of an anchor, or the inverse: `iou_loss` does not follow sizes beyond it."""


def select_cross_entropy(cls: Tensor, labels: Tensor) -> Tensor:
    """How improbable the labels are: the mean of -log p over positive and over negative anchors, half and half.

    The means are over the whole batch, as published, so that a pair with few positive anchors has less to say. Where the batch
    has none of a kind, that half is 0.

    Args:
        cls: (B, 2A, R, R), as (2, A): logits of not the target, and of the target.
        labels: (B, A, R, R), 1, 0, or -1 for anchors that do not count.

    Returns:
        A scalar.
    """
    counts = labels >= 0
    other, target = _split(cls, 2).unbind(1)
    # left out before the softplus: what is left out after it has a gradient of 0 times NaN
    margin = torch.where(counts, target - other, 0.0)
    positive, negative = labels == 1, labels == 0
    # -log of the softmax of two is softplus of the other less this one, which does not overflow
    losses = F.softplus(torch.where(positive, -margin, margin))
    return 0.5 * _mean(losses, positive) + 0.5 * _mean(losses, negative)


def box_loss(loc: Tensor, offsets: Tensor, weights: Tensor, *, smooth: float = 0.0) -> Tensor:
    """How far the boxes of the positive anchors are from the target: L1 summed over dx, dy, dw, dh.

    Args:
        loc: (B, 4A, R, R), as (4, A): dx, dy, dw, dh.
        offsets: (B, 4, A, R, R), what they should be.
        weights: (B, A, R, R), 0 or more; 1 / n for the n positive anchors of a pair.
        smooth: errors below it count e^2 / (2 smooth), those above e - smooth / 2; 0 is plain L1. Faster R-CNN's and the
            paper's sigma is 1 / sqrt(smooth).

    Returns:
        A scalar: the weighted sum over the anchors of a pair, the mean over the B pairs.
    """
    said = _split(loc, 4)
    wanted = offsets.to(said.dtype)
    said = torch.where(weights[:, None] > 0, said, wanted)
    errors = F.smooth_l1_loss(said, wanted, reduction="none", beta=smooth).sum(1)
    return (errors * weights).sum() / len(loc)


def iou_loss(loc: Tensor, boxes: Tensor, grid: Tensor, labels: Tensor) -> Tensor:
    """How little the boxes of positive anchors overlap the target: 1 - IoU, the mean over all of them in the batch.

    Source: linear IoU loss of hqucv/siamban, the code of Chen, Zhong, Li, Zhang, Ji, "Siamese Box Adaptive Network for Visual
    Tracking", CVPR 2020, sec. 3.2, whose boxes are distances to four sides; here they are offsets of an anchor.

    Args:
        loc: (B, 4A, R, R), as (4, A): dx, dy, dw, dh. Sizes beyond `LARGEST` times the anchor's count as that.
        boxes: (B, 4), x, y, w, h of the target, patch pixels.
        grid: (4, A, R, R), the anchors in the patch, x and y of the centre, w, h.
        labels: (B, A, R, R); 1 for positive anchors.

    Returns:
        A scalar, 0 to 1; 0 where the batch has no positive anchor.
    """
    positive = labels == 1
    pair, anchor = torch.nonzero(positive.flatten(1), as_tuple=True)
    said = _split(loc, 4).flatten(2)[pair, :, anchor]  # (positives, 4): no other anchor has a part in the gradient
    wanted = boxes.to(said)[pair]
    target = torch.cat([wanted[:, :2], wanted[:, :2] + wanted[:, 2:]], 1)
    lost = 1 - overlaps(corners(said, grid.to(said).flatten(1).T[anchor]), target)
    return lost.sum() / max(1, len(lost))


def corners(offsets: Tensor, anchors: Tensor) -> Tensor:
    """The boxes that offsets of anchors mean; sizes beyond `LARGEST` times the anchor's, or the inverse, count as that.

    Args:
        offsets: (..., 4), dx, dy, dw, dh.
        anchors: (..., 4), x and y of the centre, w, h.

    Returns:
        (..., 4), left, top, right, bottom.
    """
    center = anchors[..., :2] + offsets[..., :2] * anchors[..., 2:]
    half = anchors[..., 2:] * offsets[..., 2:].clamp(-math.log(LARGEST), math.log(LARGEST)).exp() / 2
    return torch.cat([center - half, center + half], -1)


def overlaps(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union of boxes (..., 4), left, top, right, bottom -> (...)."""
    low, high = torch.maximum(first[..., :2], second[..., :2]), torch.minimum(first[..., 2:], second[..., 2:])
    inside = (high - low).clamp_min(0).prod(-1)
    areas = sum(((box[..., 2:] - box[..., :2]).prod(-1) for box in (first, second)), start=-inside)
    return inside / areas.clamp_min(1e-9)


def _split(maps: Tensor, parts: int) -> Tensor:
    """(B, parts * A, R, R) as (B, parts, A, R, R); in float32, where they came in less."""
    wide = maps.to(torch.promote_types(maps.dtype, torch.float32))
    return wide.reshape(len(wide), parts, -1, *wide.shape[2:])


def _mean(losses: Tensor, chosen: Tensor) -> Tensor:
    return torch.where(chosen, losses, 0.0).sum() / chosen.sum().clamp_min(1)
