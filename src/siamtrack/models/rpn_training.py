"""How networks with an RPN head are trained, whatever lies below it: classes of anchors, and boxes from the positive ones.

* `rpn`, with the published five anchors a cell: weights as in STVIR/pysot, 1 for the classes and 1.2 for the boxes (Li et al.,
  "SiamRPN++", CVPR 2019, have 1 and 1.2 in the official code alone).
* `box_adaptive`, with one square anchor a cell, which is as good as none: cells in the middle of the target are positive, and
  boxes are judged by their overlap, both with weight 1 (Chen, Zhong, Li, Zhang, Ji, "Siamese Box Adaptive Network for Visual
  Tracking", CVPR 2020, and its code hqucv/siamban).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from siamtrack.errors import SettingsError
from siamtrack.layers.anchor_targets import AnchorTargets, anchor_targets
from siamtrack.layers.ellipse_targets import ellipse_targets
from siamtrack.layers.rpn_losses import box_loss, corners, iou_loss, overlaps, select_cross_entropy
from siamtrack.models.model import Loss, Targets, Verdict
from siamtrack.trackers.anchors import AnchorSettings, anchor_grid, map_shift

BOX_WEIGHT = 1.2
FOUND_IOU = 0.5  # of the best proposal with the target, from which on it counts as found


def anchors_of(settings: Any) -> AnchorSettings:
    """The anchors of a network with so many at a cell: the published five, or one of 64 px.

    Raises:
        SettingsError: another number.
    """
    stride = getattr(settings, "stride", 8)
    one = AnchorSettings(stride=stride, ratios=(1.0,), scales=(64 / stride,))
    known = {made.count: made for made in (AnchorSettings(), one)}
    if settings.anchors not in known:
        raise SettingsError(f"The network has {settings.anchors} anchors at a cell; expected one of {list(known)}.")
    return known[settings.anchors]


def rpn_procedure(settings: Any) -> tuple[str, Mapping[str, Any]]:
    """Tracking with such a network; see `siamtrack.models.model.Model.procedure`."""
    sizes = {"template_size": settings.template_size, "search_size": settings.search_size}
    return "rpn", sizes | ({"anchors": asdict(anchors_of(settings))} if settings.anchors == 1 else {})


def rpn_losses(settings: Any) -> Mapping[str, Loss]:
    """The losses by name, one for each number of anchors; see `siamtrack.models.model.Model.losses`.

    Raises:
        SettingsError: the network has neither one anchor at a cell nor the published five.
    """
    one = anchors_of(settings).count == 1
    return {"box_adaptive" if one else "rpn": judged(settings, ellipse_loss if one else overlap_loss)}


def judged(settings: Any, loss: Callable[[tuple[Any, ...], Tensor, Targets], Tensor]) -> Loss:
    """A loss with what else a run wants to know of a batch.

    Args:
        settings: of the network.
        loss: from an answer that begins with cls and loc, the anchors (4, A, R, R) in the search patch, and the targets.
    """
    anchors = anchors_of(settings)

    def judge(answer: tuple[Any, ...], targets: Targets) -> Verdict:
        cls, loc = answer[:2]
        middle = targets.search_size / 2 + map_shift(targets.search_size, settings.template_size, anchors.stride)
        grid = torch.from_numpy(anchor_grid(anchors, cls.shape[-1], middle=middle).astype(np.float32)).to(cls.device)
        scores = _scores(cls)
        found = _found(scores, loc.detach().float(), grid, targets)
        return Verdict(loss(answer, grid, targets), found, scores.amax(1))

    return judge


def overlap_loss(answer: tuple[Any, ...], grid: Tensor, targets: Targets) -> Tensor:
    """Of cls and loc, where anchors that overlap the target are positive."""
    cls, loc = answer[:2]
    wanted = _by_overlap(grid, targets)
    return select_cross_entropy(cls, wanted.labels) + BOX_WEIGHT * box_loss(loc, wanted.offsets, wanted.weights)


def overlap_labels(grid: Tensor, targets: Targets) -> Tensor:
    """The labels (B, A, R, R) of that loss, for anchors (4, A, R, R): 1 is the target, 0 is not, -1 counts for nothing."""
    return _by_overlap(grid, targets).labels


def _by_overlap(grid: Tensor, targets: Targets) -> AnchorTargets:
    return anchor_targets(targets.boxes, targets.absent, grid, generator=generator_of(targets))


def ellipse_loss(answer: tuple[Any, ...], grid: Tensor, targets: Targets) -> Tensor:
    """Of cls and loc, where cells in the middle of the target are positive."""
    cls, loc = answer[:2]
    labels = ellipse_labels(grid, targets)
    return select_cross_entropy(cls, labels) + iou_loss(loc, targets.boxes, grid, labels)


def ellipse_labels(grid: Tensor, targets: Targets) -> Tensor:
    """The labels (B, 1, R, R) of that loss, for anchors (4, 1, R, R)."""
    return ellipse_targets(targets.boxes, targets.absent, grid, generator=generator_of(targets))


def generator_of(targets: Targets) -> torch.Generator:
    """That draws for these targets."""
    return torch.Generator().manual_seed(targets.draw)


def _scores(cls: Tensor) -> Tensor:
    """Probabilities (B, A, R, R), detached."""
    values = cls.detach().float()
    return values.reshape(len(values), 2, -1, *values.shape[2:]).softmax(1)[:, 1]


def _found(scores: Tensor, loc: Tensor, grid: Tensor, targets: Targets) -> Tensor:
    """Share of the pairs with a target whose proposal with the highest score overlaps it by more than `FOUND_IOU`."""
    best = scores.flatten(1).argmax(1)
    said = loc.reshape(len(loc), 4, -1).gather(2, best[:, None, None].expand(-1, 4, 1))[..., 0]
    boxes = torch.cat([targets.boxes[:, :2], targets.boxes[:, :2] + targets.boxes[:, 2:]], 1)
    found = (overlaps(corners(said, grid.flatten(1).T[best]), boxes) > FOUND_IOU) & ~targets.absent
    return found.sum() / (~targets.absent).sum().clamp_min(1)
