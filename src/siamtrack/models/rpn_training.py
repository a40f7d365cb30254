"""How networks with an RPN head are trained, whatever lies below it: classes of anchors, and boxes from the positive ones.

Weights as in STVIR/pysot: 1 for the classes, 1.2 for the boxes (Li et al., "SiamRPN++", CVPR 2019, have 1 and 1.2 in the
official code alone).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from siamtrack.errors import SettingsError
from siamtrack.layers.anchor_targets import anchor_targets
from siamtrack.layers.rpn_losses import box_loss, select_cross_entropy
from siamtrack.models.model import Loss, Targets, Verdict
from siamtrack.trackers.anchors import AnchorSettings, anchor_grid, map_shift

BOX_WEIGHT = 1.2
FOUND_IOU = 0.5  # of the best proposal with the target, from which on it counts as found


def rpn_procedure(settings: Any) -> tuple[str, Mapping[str, Any]]:
    """Tracking with such a network; see `siamtrack.models.model.Model.procedure`."""
    return "rpn", {"template_size": settings.template_size, "search_size": settings.search_size}


def rpn_losses(settings: Any) -> Mapping[str, Loss]:
    """The losses by name; see `siamtrack.models.model.Model.losses`.

    Raises:
        SettingsError: the network has another number of anchors than the published five.
    """
    anchors = AnchorSettings()
    if settings.anchors != anchors.count:
        raise SettingsError(f"The network has {settings.anchors} anchors at a cell; training knows those of {anchors.ratios}.")

    def judge(answer: tuple[Tensor, ...], targets: Targets) -> Verdict:
        cls, loc = answer
        middle = targets.search_size / 2 + map_shift(targets.search_size, settings.template_size, anchors.stride)
        grid = torch.from_numpy(anchor_grid(anchors, cls.shape[-1], middle=middle).astype(np.float32)).to(cls.device)
        absent = torch.zeros(len(cls), dtype=torch.bool, device=cls.device)
        wanted = anchor_targets(targets.boxes, absent, grid, generator=torch.Generator().manual_seed(targets.draw))
        loss = select_cross_entropy(cls, wanted.labels) + BOX_WEIGHT * box_loss(loc, wanted.offsets, wanted.weights)
        scores = _scores(cls)
        return Verdict(loss, _found(scores, loc.detach().float(), grid, targets.boxes), scores.amax(1))

    return {"rpn": judge}


def _scores(cls: Tensor) -> Tensor:
    """Probabilities (B, A, R, R), detached."""
    values = cls.detach().float()
    return values.reshape(len(values), 2, -1, *values.shape[2:]).softmax(1)[:, 1]


def _found(scores: Tensor, loc: Tensor, grid: Tensor, boxes: Tensor) -> Tensor:
    """Share of the pairs whose proposal with the highest score overlaps the target by more than `FOUND_IOU`."""
    best = scores.flatten(1).argmax(1)
    said = loc.reshape(len(loc), 4, -1).gather(2, best[:, None, None].expand(-1, 4, 1))[..., 0]
    anchor = grid.flatten(1).T[best]
    center, size = anchor[:, :2] + said[:, :2] * anchor[:, 2:], anchor[:, 2:] * said[:, 2:].clamp(-9, 9).exp()
    inside = (
        torch.minimum(center + size / 2, boxes[:, :2] + boxes[:, 2:]) - torch.maximum(center - size / 2, boxes[:, :2])
    ).clamp_min(0)
    common, areas = inside.prod(1), size.prod(1) + boxes[:, 2:].prod(1)
    found: Tensor = common > FOUND_IOU * (areas - common)
    return found.float().mean()
