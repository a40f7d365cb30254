"""What is minimised: the loss of a network on a batch of pairs, as one module, so that DistributedDataParallel can wrap it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from siamtrack.models.model import Targets, Verdict
from siamtrack.training.recipe import Recipe
from siamtrack.training.teacher import teacher_of


class Objective(nn.Module):
    """The recipe's loss of a network, and of its distance to a teacher's features and score maps where there is one.

    Attributes:
        teacher_share: factor of the teacher's weights, 0 to 1; at 0 the teacher is not asked.
    """

    def __init__(self, network: nn.Module, recipe: Recipe, teacher: nn.Module | None) -> None:
        super().__init__()
        self.network = network
        self._judge = recipe.kind.losses(recipe.network)[recipe.loss]
        self._bfloat16 = recipe.precision == "bfloat16"
        self._teacher_weight = recipe.teacher_weight
        self._response_weight = recipe.teacher_response_weight
        self.teacher_share = 1.0
        self._teacher = teacher_of(teacher) if teacher else None  # no part of this module, whose parameters learn

    def forward(
        self,
        templates: Tensor,
        searches: Tensor,
        offsets: Tensor,
        boxes: Tensor,
        absent: Tensor,
        masks: Tensor,
        draw: int,
    ) -> Verdict:
        """See `siamtrack.training.data.Batch` and `siamtrack.models.model.Targets` for the arguments."""
        asked = self._teacher if self.teacher_share else None
        with torch.autocast(templates.device.type, torch.bfloat16, enabled=self._bfloat16):
            z, x = templates.float(), searches.float()
            answer = self.network(z, x)
            verdict = self._judge(answer, Targets(offsets, boxes, absent, x.shape[-1], draw, masks))
            lesson = asked.lesson(z, x) if asked else None
        if asked is None or lesson is None:
            return verdict
        loss = verdict.loss
        if self._teacher_weight:
            loss = loss + self.teacher_share * self._teacher_weight * asked.feature_distance(answer, lesson)
        if self._response_weight:
            loss = loss + self.teacher_share * self._response_weight * asked.response_distance(answer, lesson)
        return verdict._replace(loss=loss)
