"""What a teacher is: a trained network whose features and score maps are further targets, on pictures without any label."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from siamtrack.training.recipe import Recipe


class Lesson(NamedTuple):
    """What a teacher makes of a batch of B pairs."""

    responses: Tensor  # (B, cells, cells)
    template: Tensor  # features (B, C, h, w)
    search: Tensor  # features (B, C, H, W)
    boxes: Tensor | None = None  # (B, 4, cells, cells): left, top, right, bottom from the middle of the patch, px


class Teacher(Protocol):
    """A teacher, and how far what a student says is from what it says."""

    def check(self, recipe: Recipe) -> None:
        """Whether networks of this recipe can be compared with the teacher.

        Raises:
            SettingsError: they cannot.
        """

    def lesson(self, templates: Tensor, searches: Tensor) -> Lesson:
        """The teacher's answer to pixels (B, 3, T, T) and (B, 3, S, S), RGB, 0..255; nothing in it learns."""

    def feature_distance(self, answer: tuple[Tensor, ...], lesson: Lesson) -> Tensor:
        """Between the features that a student's answer ends with and those of the lesson, a scalar."""

    def response_distance(self, answer: tuple[Tensor, ...], lesson: Lesson) -> Tensor:
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


def centred_cells(cells: int, stride: int) -> Tensor:
    """(cells,): where the cells of a map lie that has its middle in the middle of the patch, px from there."""
    return (torch.arange(cells) - (cells - 1) / 2) * stride


def resampled(maps: Tensor, given: Tensor, wanted: Tensor) -> Tensor:
    """Maps read at other places, linearly between the nearest two cells in each direction.

    Args:
        maps: (..., R, R).
        given: (R,), evenly spaced places of the cells, in x as in y, px.
        wanted: (Q,), places to read at, px; beyond the outer cells all falls to 0 within one cell.

    Returns:
        (..., Q, Q).
    """
    weights = (1 - (wanted[:, None] - given[None, :]).abs() / (given[1] - given[0])).clamp_min(0).to(maps)
    return weights @ maps @ weights.T
