"""What is minimised: the loss of a network on a batch of pairs, as one module, so that DistributedDataParallel can wrap it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from siamtrack.layers.losses import LOSSES
from siamtrack.models.siamfc import SiamFC, labels, peak_is_positive
from siamtrack.training.recipe import Recipe
from siamtrack.training.teacher import feature_loss, response_loss, taught


class Outcome(NamedTuple):
    """What a network made of a batch of B pairs."""

    loss: Tensor  # scalar
    accuracy: Tensor  # scalar: share of the pairs whose peak carries a positive label
    responses: Tensor  # (B, cells, cells), float32, detached


class Objective(nn.Module):
    """The recipe's loss of a SiamFC, and of its distance to a teacher's features and score maps where there is one.

    Attributes:
        teacher_share: factor of the teacher's weights, 0 to 1; at 0 the teacher is not asked.
    """

    def __init__(self, network: SiamFC, recipe: Recipe, teacher: SiamFC | None) -> None:
        super().__init__()
        self.network = network
        self._loss = LOSSES[recipe.loss]
        self._bfloat16 = recipe.precision == "bfloat16"
        self._teacher_weight = recipe.teacher_weight
        self._response_weight = recipe.teacher_response_weight
        self.teacher_share = 1.0
        self._teacher = (teacher,)  # in a tuple: no part of this module, whose parameters learn

    def forward(self, templates: Tensor, searches: Tensor, offsets: Tensor) -> Outcome:
        """See `siamtrack.training.data.Batch` for the arguments."""
        (teacher,) = self._teacher
        with torch.autocast(templates.device.type, torch.bfloat16, enabled=self._bfloat16):
            z, x = templates.float(), searches.float()
            responses, template, search = self.network(z, x)
            targets = labels(offsets, responses.shape[-1])
            loss = self._loss(responses, targets)
            if teacher is not None and self.teacher_share:
                lesson = taught(teacher, z, x)
                if self._teacher_weight:
                    distance = feature_loss(search, lesson.search) + feature_loss(template, lesson.template)
                    loss = loss + self.teacher_share * self._teacher_weight * distance / 2
                if self._response_weight:
                    loss = loss + self.teacher_share * self._response_weight * response_loss(responses, lesson.responses)
        return Outcome(loss, peak_is_positive(responses, targets), responses.detach().float())
