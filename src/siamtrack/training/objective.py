"""What is minimised: the loss of a network on a batch of pairs, as one module, so that DistributedDataParallel can wrap it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from siamtrack.models.model import Targets, Verdict
from siamtrack.training.parts import begin_with, verdict_of
from siamtrack.training.recipe import Recipe
from siamtrack.training.teacher import part_teacher_of, teacher_of


class Objective(nn.Module):
    """The recipe's loss of a network, and of its distance to a teacher's features and score maps where there is one.

    Where the recipe says that a teacher teaches part by part, the errors of the parts in place of all that.

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
        # no parts of this module, whose parameters learn
        self._teacher = teacher_of(teacher) if teacher and recipe.teaching == "whole" else None
        self._part_teacher = part_teacher_of(teacher) if teacher and recipe.teaching == "parts" else None

    def begin(self, templates: Tensor, searches: Tensor) -> None:
        """What a network that learns part by part begins with; see `begin_with`."""
        if self._part_teacher:
            with self._precision(templates):
                begin_with(self._part_teacher.parts(self.network, templates.float(), searches.float()))

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
        with self._precision(templates):
            z, x = templates.float(), searches.float()
            if self._part_teacher:
                return verdict_of(self._part_teacher.parts(self.network, z, x))
            answer = self.network(z, x)
            verdict = self._judge(answer, Targets(offsets, boxes, absent, x.shape[-1], draw, masks))
            lesson = asked.lesson(z, x, absent) if asked else None
        if asked is None or lesson is None:
            return verdict
        loss = verdict.loss
        if self._teacher_weight:
            loss = loss + self.teacher_share * self._teacher_weight * asked.feature_distance(answer, lesson)
        if self._response_weight:
            loss = loss + self.teacher_share * self._response_weight * asked.response_distance(answer, lesson)
        return verdict._replace(loss=loss)

    def _precision(self, values: Tensor) -> torch.autocast:
        return torch.autocast(values.device.type, torch.bfloat16, enabled=self._bfloat16)
