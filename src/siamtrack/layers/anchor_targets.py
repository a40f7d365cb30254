"""What a region proposal network should say of a training pair: which anchors are the target, and where it is from them.

The rules are those of STVIR/pysot: anchors that overlap the target by more than 0.6 are positive, by less than 0.3 negative,
the others count for nothing; of the positive ones 16 are drawn, of the negative ones 48. Where the search patch shows another
object than the template (the negative pairs of Zhu et al., "Distractor-aware Siamese Networks for Visual Object Tracking",
ECCV 2018), 16 negative anchors are drawn from the 7 x 7 cells around that object.

Differences between PySOT and this code:
* The 7 x 7 cells lie around the cell nearest the object here; PySOT adds a half and rounds up, which puts them a cell further
  to the right and down. An object outside the map has the cells at its border here, and none in PySOT.
* The weight of a positive anchor is 1 / n here, n the positive anchors that were drawn in the pair; 1 / (n + 1e-6) there.
* Anchors are drawn from a generator that is given, so that a run that goes on after a break draws what it would have drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from siamtrack.errors import SettingsError
from siamtrack.settings import check_limits

NEAR_CELLS = 3
"""Negative anchors of a pair without the target lie at most so many cells from the object, in x and in y."""


@dataclass(frozen=True, kw_only=True)
class AnchorTargetSettings:
    """Which anchors count; the defaults are PySOT's.

    Raises:
        SettingsError: a value outside its range, or a negative threshold above the positive one.
    """

    positive_iou: float = 0.6  # above it an anchor is positive
    negative_iou: float = 0.3  # below it an anchor is negative
    positives: int = 16  # at most, in a pair
    negatives: int = 48  # at most, in a pair that shows the target: 64 in all
    absent_negatives: int = 16  # at most, in a pair that does not

    def __post_init__(self) -> None:
        counts: dict[str, tuple[float, float]] = dict.fromkeys(("positives", "negatives", "absent_negatives"), (1, 1e6))
        check_limits(self, {"positive_iou": (0, 1), "negative_iou": (0, 1), **counts})
        if self.negative_iou > self.positive_iou:
            raise SettingsError(
                f"negative_iou is {self.negative_iou} and positive_iou {self.positive_iou}; an anchor cannot be both."
            )


class AnchorTargets(NamedTuple):
    """For a batch of B pairs and maps of R x R cells with A anchors."""

    labels: Tensor  # (B, A, R, R), int64: 1 is the target, 0 is not, -1 counts for nothing
    offsets: Tensor  # (B, 4, A, R, R): dx, dy, dw, dh from the anchor; 0 where the label is not 1
    weights: Tensor  # (B, A, R, R): of the offsets; they sum to 1 in a pair with positive anchors, else to 0


def anchor_targets(
    boxes: Tensor,
    absent: Tensor,
    grid: Tensor,
    *,
    generator: torch.Generator,
    settings: AnchorTargetSettings | None = None,
) -> AnchorTargets:
    """Labels and offsets for a batch, on the device of the boxes.

    A target that is much smaller or larger than every anchor, or of another shape, has no positive one.

    Args:
        boxes: (B, 4), x, y, w, h of the object in each search patch, patch pixels.
        absent: (B,) bool, True where that object is not the target.
        grid: (4, A, R, R), the anchors in the patch: x and y of the centre, w, h (`siamtrack.trackers.anchors.anchor_grid`).
        generator: draws the anchors that count; seed it from the run's seed and the number of the step. May be the CPU's.
        settings: which anchors count.
    """
    s = settings or AnchorTargetSettings()
    grid = grid.to(boxes)
    centers, sizes = boxes[:, :2] + boxes[:, 2:] / 2, boxes[:, 2:]
    overlaps = _overlaps(centers, sizes, grid)
    there = ~absent[:, None, None, None]
    keys = torch.rand(overlaps.shape, generator=generator, device=generator.device, dtype=torch.float64).to(boxes.device)
    positive = drawn((overlaps > s.positive_iou) & there, keys, s.positives)
    negative = drawn((overlaps < s.negative_iou) & there, keys, s.negatives)
    negative |= drawn(near(centers, grid) & ~there, keys, s.absent_negatives)
    labels = torch.where(positive, 1, torch.where(negative, 0, -1))
    places, extents = centers[:, :, None, None, None], sizes[:, :, None, None, None]
    offsets = torch.cat([(places - grid[:2]) / grid[2:], (extents / grid[2:]).log()], 1)
    offsets = torch.where(positive[:, None], offsets, 0.0)  # a box without area has infinite ones
    weights = positive / positive.sum((1, 2, 3), keepdim=True).clamp_min(1)
    return AnchorTargets(labels, offsets, weights.to(boxes.dtype))


def _overlaps(centers: Tensor, sizes: Tensor, grid: Tensor) -> Tensor:
    """Intersection over union of each box, (B, 2) and (B, 2), with each anchor, (B, A, R, R); NaN for a box with NaN."""
    x, y, w, h = torch.cat([centers, sizes], 1).T[:, :, None, None, None].unbind(0)
    ax, ay, aw, ah = grid.unbind(0)
    across = torch.minimum(x + w / 2, ax + aw / 2) - torch.maximum(x - w / 2, ax - aw / 2)
    down = torch.minimum(y + h / 2, ay + ah / 2) - torch.maximum(y - h / 2, ay - ah / 2)
    inside = across.clamp_min(0) * down.clamp_min(0)
    return inside / (w * h + aw * ah - inside)


def near(centers: Tensor, grid: Tensor) -> Tensor:
    """Whether an anchor belongs to the 7 x 7 cells around a point, (B, A, R, R).

    Args:
        centers: (B, 2), x and y, patch pixels.
        grid: (4, A, R, R), see `anchor_targets`.
    """
    places = grid[0, 0, 0], grid[1, 0, :, 0]  # x by column, y by row
    index = torch.arange(len(places[0]), device=centers.device)
    columns, rows = (
        (index - (place - centers[:, axis, None]).abs().argmin(1, keepdim=True)).abs() <= NEAR_CELLS
        for axis, place in enumerate(places)
    )
    return (columns[:, None, None, :] & rows[:, None, :, None]).expand(-1, grid.shape[1], -1, -1)


def drawn(candidates: Tensor, keys: Tensor, most: int) -> Tensor:
    """Of each pair's candidates those with the highest keys (0 or more), at most so many; (B, A, R, R) each."""
    ranked = torch.where(candidates, keys, -1.0).flatten(1)
    chosen = ranked.topk(min(most, ranked.shape[1])).indices
    highest = torch.zeros_like(ranked, dtype=torch.bool).scatter(1, chosen, True)
    return candidates & highest.reshape(candidates.shape)
