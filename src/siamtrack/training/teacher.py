"""Which networks can teach, and networks that teach their like."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import Tensor, nn

from siamtrack.errors import SettingsError
from siamtrack.models.kinds import kind_of
from siamtrack.training.lessons import Lesson, Teacher, feature_loss, response_loss
from siamtrack.training.nanotrack import NanoTrackTeacher, PublishedNanoTrack
from siamtrack.training.nanotrack_parts import NanoTrackParts
from siamtrack.training.parts import PartTeacher
from siamtrack.training.recipe import Recipe


def check_teacher(teacher: nn.Module | None, recipe: Recipe) -> None:
    """Whether the recipe has a use for the teacher, or for having none.

    Raises:
        SettingsError: a weight without a teacher, or a teacher without a weight; or a teacher that cannot teach this recipe.
    """
    weights = recipe.teacher_weight, recipe.teacher_response_weight
    if recipe.teaching == "parts":
        if any(weights):
            raise SettingsError("The recipe has teaching = 'parts' and a weight of a teacher; nothing else is learnt then.")
        if teacher is None:
            raise SettingsError("The recipe has teaching = 'parts' but no teacher was given; give one, --teacher FOLDER.")
        part_teacher_of(teacher)
        teacher_of(teacher).check(recipe)
        return
    if teacher is None:
        if any(weights):
            name = "teacher_weight" if weights[0] else "teacher_response_weight"
            raise SettingsError(f"The recipe has a {name} but no teacher was given; give one, --teacher FILE, or set {name}=0.")
        return
    if not any(weights):
        raise SettingsError("A teacher was given but the recipe has teacher_weight=0; leave it out or set a teacher_weight.")
    teacher_of(teacher).check(recipe)


def teacher_of(network: nn.Module) -> Teacher:
    """How that network teaches."""
    return NanoTrackTeacher(network) if isinstance(network, PublishedNanoTrack) else NetworkTeacher(network)


def part_teacher_of(network: nn.Module) -> PartTeacher:
    """How that network teaches part by part.

    Raises:
        SettingsError: it does not.
    """
    if not isinstance(network, PublishedNanoTrack):
        raise SettingsError(
            f"The teacher is a {kind_of(network)}, and the recipe has teaching = 'parts'; the published files of "
            "NanoTrack v3 alone teach so."
        )
    return NanoTrackParts(network)


def digest(network: nn.Module | None) -> str:
    """SHA-256 of all parameters and buffers, hexadecimal; empty without a network."""
    if network is None:
        return ""
    content = hashlib.sha256()
    for name, value in network.state_dict().items():
        content.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        content.update(value.detach().cpu().contiguous().numpy().tobytes())
    return content.hexdigest()


class NetworkTeacher:
    """A network teaches one of its kind: SiamFC another SiamFC, of any width."""

    def __init__(self, teacher: nn.Module) -> None:
        self._teacher = teacher

    def check(self, recipe: Recipe) -> None:
        """See `Teacher.check`."""
        alike = isinstance(self._teacher.settings, recipe.kind.settings) and recipe.kind.features
        if not alike or getattr(self._teacher, "MAPS", ()) != ("responses",):
            raise SettingsError(
                f"The teacher is a {kind_of(self._teacher)}; the model {recipe.model} of the recipe cannot be compared "
                "with its features. A teacher must be a network of SiamFC, and so must what learns from it."
            )

    @torch.no_grad()
    def lesson(self, templates: Tensor, searches: Tensor, absent: Tensor) -> Lesson:
        """See `Teacher.lesson`; similarity has no value that says that the target is absent."""
        responses, template, search = (values.float() for values in self._teacher(templates, searches))
        return Lesson(responses, [template], [search])

    def feature_distance(self, answer: tuple[Any, ...], lesson: Lesson) -> Tensor:
        """See `Teacher.feature_distance`."""
        template, search = answer[-2:]
        return (feature_loss(search, lesson.search[0]) + feature_loss(template, lesson.template[0])) / 2

    def response_distance(self, answer: tuple[Any, ...], lesson: Lesson) -> Tensor:
        """See `Teacher.response_distance`."""
        return response_loss(answer[0], lesson.responses)
