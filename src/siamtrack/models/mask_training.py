"""How networks with masks are trained, in two stages: classes, boxes and coarse masks; then the refinement of the masks.

Source: Wang et al., "Fast Online Object Tracking and Segmentation", CVPR 2019, sec. 3.2, and foolwood/SiamMask: weights 1, 1.2
and 36 in the first stage ("siammask_base"), the masks alone in the second ("siammask_sharp"), where backbone, classes and boxes
do not learn any more.

Differences between the official code and this code:
* Masks are made at the cells of positive anchors in both; in the official code at all of them, here at `MOST_MASKS` a pair at
  most, on average over the batch, drawn at random: so a step has a bound on memory and time.
* Pixels beyond the search patch have no gradient in both; the mean is over the others here, and over all of them there.
* A mask is wanted of the 127 px around the cell. Those windows lie on whole pixels of the patch there; here, too, where the
  size of the search patch lets the cells do so (255 and 143 do).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from siamtrack.layers.mask_losses import mask_loss, windows_of
from siamtrack.models.model import SEEN, UNKNOWN, Loss, Targets
from siamtrack.models.rpn_training import (
    anchors_of,
    ellipse_labels,
    ellipse_loss,
    generator_of,
    judged,
    overlap_labels,
    overlap_loss,
)
from siamtrack.trackers.mask import Window

MASK_WEIGHT = 36.0
MOST_MASKS = 4


class MaskAnswer(Protocol):
    """What a network that is asked for masks after its classes and boxes gives as the third part of its answer."""

    def coarse(self, pairs: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Logits (M, n, n) of the masks of the patches around M cells, each of a pair, row and column, int64."""

    def refined(self, pairs: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """The same from the refinement."""


def mask_losses(settings: Any, *, side: int) -> Mapping[str, Loss]:
    """The losses of both stages, "mask" and "refinement"; see `siamtrack.models.model.Model.losses`.

    Args:
        settings: of the network.
        side: of the patches that masks are of, patch pixels.
    """
    one = anchors_of(settings).count == 1
    boxes, labels = (ellipse_loss, ellipse_labels) if one else (overlap_loss, overlap_labels)

    def first(answer: tuple[Any, ...], grid: Tensor, targets: Targets) -> Tensor:
        cells, masks = _masked_cells(labels(grid, targets), grid, targets, side)
        return boxes(answer, grid, targets) + MASK_WEIGHT * mask_loss(answer[2].coarse(*cells), masks == SEEN, masks != UNKNOWN)

    def second(answer: tuple[Any, ...], grid: Tensor, targets: Targets) -> Tensor:
        cells, masks = _masked_cells(labels(grid, targets), grid, targets, side)
        return MASK_WEIGHT * mask_loss(answer[2].refined(*cells), masks == SEEN, masks != UNKNOWN)

    return {"mask": judged(settings, first), "refinement": judged(settings, second)}


def cell_windows(
    layers: Sequence[Tensor], windows: Sequence[Window], pairs: Tensor, rows: Tensor, columns: Tensor
) -> list[Tensor]:
    """What the refinement needs of the layers (B, ., H, W) around M cells, each of a pair, row and column, int64."""
    return [
        windows_of(layer, pairs, stride * rows - pad, stride * columns - pad, side)
        for layer, (stride, side, pad) in zip(layers, windows, strict=True)
    ]


def _masked_cells(labels: Tensor, grid: Tensor, targets: Targets, side: int) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor]:
    """Pairs, rows and columns of the cells whose masks are learnt, (M,) each, and the masks (M, side, side) there.

    They have `SEEN` where the target is, and `UNKNOWN` beyond the search patch and where nobody knows.
    """
    positive = (labels == 1).any(1)
    if not targets.masks.numel():
        positive = torch.zeros_like(positive)
    else:
        # a mask without a pixel of a target that is there says nothing: a tiny polygon, or one that is wholly hidden
        positive &= (targets.masks == SEEN).flatten(1).any(1)[:, None, None]
    found = torch.nonzero(positive)
    chosen = torch.randperm(len(found), generator=generator_of(targets))[: MOST_MASKS * len(labels)]
    pairs, rows, columns = found[chosen.to(found.device)].unbind(1)
    corners = (grid[:2, 0, rows, columns] - side / 2).round().long()  # x, y: from the middles of the cells
    if not targets.masks.numel():
        return (pairs, rows, columns), torch.zeros((0, side, side), device=grid.device)
    masks = windows_of(targets.masks[:, None], pairs, corners[1], corners[0], side, beyond=UNKNOWN)[:, 0]
    return (pairs, rows, columns), masks
