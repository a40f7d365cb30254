"""What a network with one box a cell should say of a training pair: which cells are the target.

The rules are those of Chen, Zhong, Li, Zhang, Ji, "Siamese Box Adaptive Network for Visual Tracking", CVPR 2020, sec. 3.3:
cells inside an ellipse with half the width and height of the target are positive, those outside one with its whole width and
height are negative, the others count for nothing; of the positive ones 16 are drawn, of the negative ones 48. Pairs without
the target are treated as in `siamtrack.layers.anchor_targets`.

Differences between the paper's code (hqucv/siamban) and this code:
* The cell nearest the target's centre is positive always; a target much smaller than a cell has no positive one there.
* Anchors are drawn from a generator that is given, so that a run that goes on after a break draws what it would have drawn.
"""

from __future__ import annotations

import torch
from torch import Tensor

from siamtrack.layers.anchor_targets import AnchorTargetSettings, drawn, near


def ellipse_targets(
    boxes: Tensor,
    absent: Tensor,
    grid: Tensor,
    *,
    generator: torch.Generator,
    settings: AnchorTargetSettings | None = None,
) -> Tensor:
    """Labels for a batch, on the device of the boxes.

    Args:
        boxes: (B, 4), x, y, w, h of the object in each search patch, patch pixels.
        absent: (B,) bool, True where that object is not the target.
        grid: (4, 1, R, R), the anchors in the patch: x and y of the centre first (`siamtrack.trackers.anchors.anchor_grid`).
        generator: draws the cells that count; seed it from the run's seed and the number of the step. May be the CPU's.
        settings: how many count; the thresholds of overlap have no meaning here.

    Returns:
        (B, 1, R, R), int64: 1 is the target, 0 is not, -1 counts for nothing.
    """
    s = settings or AnchorTargetSettings()
    centers, sizes = boxes[:, :2] + boxes[:, 2:] / 2, boxes[:, 2:]
    away = grid[:2].to(boxes) - centers[:, :, None, None, None]  # (B, 2, 1, R, R)
    nearest = away.square().sum(1)
    nearest = nearest <= nearest.amin((1, 2, 3), keepdim=True)
    radii = (away / (sizes[:, :, None, None, None] / 2)).square().sum(1)  # squared, in those of the target's ellipse
    there = ~absent[:, None, None, None]
    keys = torch.rand(radii.shape, generator=generator, device=generator.device, dtype=torch.float64).to(boxes.device)
    positive = drawn(((radii <= 0.25) | nearest) & there, keys, s.positives)
    negative = drawn((radii > 1) & ~nearest & there, keys, s.negatives)
    negative |= drawn(near(centers, grid.to(boxes)) & ~there, keys, s.absent_negatives)
    return torch.where(positive, 1, torch.where(negative, 0, -1))
