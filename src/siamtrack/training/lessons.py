"""What a teacher is: a trained network whose features and score maps are further targets, on pictures without any label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from siamtrack.training.recipe import Recipe


class Lesson(NamedTuple):
    """What a teacher makes of a batch of B pairs."""

    responses: Tensor  # (B, cells, cells)
    template: Sequence[Tensor]  # features (B, C, h, w), of each stage that is taught
    search: Sequence[Tensor]  # features (B, C, H, W), of the same stages
    boxes: Tensor | None = None  # (B, 4, cells, cells): left, top, right, bottom from the middle of the patch, px


class Teacher(Protocol):
    """A teacher, and how far what a student says is from what it says."""

    def check(self, recipe: Recipe) -> None:
        """Whether networks of this recipe can be compared with the teacher.

        Raises:
            SettingsError: they cannot.
        """

    def lesson(self, templates: Tensor, searches: Tensor, absent: Tensor) -> Lesson:
        """The teacher's answer to pixels (B, 3, T, T) and (B, 3, S, S), RGB, 0..255; nothing in it learns.

        In pairs that are `absent` (B,) the search patch is known not to show the target. A teacher whose responses have a value
        that says so gives that, even if it took something else for the target itself.
        """

    def feature_distance(self, answer: tuple[Any, ...], lesson: Lesson) -> Tensor:
        """Between the features that a student's answer ends with and those of the lesson, a scalar."""

    def response_distance(self, answer: tuple[Any, ...], lesson: Lesson) -> Tensor:
        """Between the maps that a student's answer begins with and those of the lesson, a scalar."""


def feature_loss(features: Tensor, wanted: Tensor) -> Tensor:
    """Mean squared distance between the student's and the teacher's features, each scaled to unit deviation.

    Scaling by one number a network keeps directions and relative sizes, which are all that correlation sees, and leaves
    the student free in the size of its responses.

    Args:
        features: the student's, (B, C, H, W).
        wanted: the teacher's, of the same shape.
    """
    return (features.float() / features.float().std() - wanted / wanted.std()).square().mean()


def response_loss(responses: Tensor, wanted: Tensor) -> Tensor:
    """Mean squared distance between score maps, each brought to mean 0 and deviation 1: where the peaks and valleys are.

    Args:
        responses: the student's, (B, cells, cells).
        wanted: the teacher's, of the same shape.
    """
    return (_standardised(responses.float()) - _standardised(wanted)).square().mean()


def _standardised(responses: Tensor) -> Tensor:
    deviation, mean = torch.std_mean(responses, (1, 2), keepdim=True)
    return (responses - mean) / deviation.clamp_min(1e-6)
