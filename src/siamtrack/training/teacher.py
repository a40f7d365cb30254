"""A trained network as teacher: its features and its score maps are further targets, on pictures without any label."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import torch
from torch import Tensor, nn

from siamtrack.errors import SettingsError
from siamtrack.training.recipe import Recipe


def check_teacher(teacher: nn.Module | None, recipe: Recipe) -> None:
    """Whether the recipe has a use for the teacher, or for having none.

    Raises:
        SettingsError: a weight without a teacher, or a teacher without a weight.
    """
    weights = recipe.teacher_weight, recipe.teacher_response_weight
    if teacher is None:
        if any(weights):
            name = "teacher_weight" if weights[0] else "teacher_response_weight"
            raise SettingsError(f"The recipe has a {name} but no teacher was given; give one, --teacher FILE, or set {name}=0.")
        return
    if not any(weights):
        raise SettingsError("A teacher was given but the recipe has teacher_weight=0; leave it out or set a teacher_weight.")
    if not recipe.kind.features or not _answers_alike(teacher, recipe):
        raise SettingsError(
            f"The teacher is a {type(teacher).__name__}; the model {recipe.model} of the recipe cannot be compared with its "
            "features. A teacher must be a network of SiamFC, and so must what learns from it."
        )


def _answers_alike(teacher: nn.Module, recipe: Recipe) -> bool:
    """Whether a teacher is of the kind of the recipe's network."""
    return isinstance(teacher.settings, recipe.kind.settings)


def digest(network: nn.Module | None) -> str:
    """SHA-256 of all parameters and buffers, hexadecimal; empty without a network."""
    if network is None:
        return ""
    content = hashlib.sha256()
    for name, value in network.state_dict().items():
        content.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        content.update(value.detach().cpu().contiguous().numpy().tobytes())
    return content.hexdigest()


class Lesson(NamedTuple):
    """What a teacher makes of a batch of B pairs."""

    responses: Tensor  # (B, cells, cells)
    template: Tensor  # features (B, C, h, w)
    search: Tensor  # features (B, C, H, W)


@torch.no_grad()
def taught(teacher: nn.Module, templates: Tensor, searches: Tensor) -> Lesson:
    """The teacher's answer to pixels (B, 3, T, T) and (B, 3, S, S), RGB, 0..255; nothing in it learns."""
    return Lesson(*(values.float() for values in teacher(templates, searches)))


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
