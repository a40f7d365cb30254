"""A trained network of the same shape as teacher: its features are a second target, on pictures without any label."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from siamtrack.errors import SettingsError
from siamtrack.models.siamfc import SiamFC, SiamFCNetworkSettings


def check_teacher(teacher: SiamFC | None, weight: float, student: SiamFCNetworkSettings) -> None:
    """Whether a student with these settings can learn from the teacher with that weight.

    Raises:
        SettingsError: a weight without a teacher, a teacher without a weight, or a teacher of another shape.
    """
    if teacher is None:
        if weight:
            raise SettingsError("The recipe has a teacher_weight but no teacher was given; give one or set teacher_weight=0.")
        return
    if not weight:
        raise SettingsError("A teacher was given but the recipe has teacher_weight=0; leave it out or set a teacher_weight.")
    with torch.device("meta"):  # shapes alone
        wanted = {name: value.shape for name, value in SiamFC(student).state_dict().items()}
    found = {name: value.shape for name, value in teacher.state_dict().items()}
    if found != wanted:
        raise SettingsError(
            f"The teacher has the width {teacher.settings.width:g} and the student {student.width:g}, so their features have "
            "other shapes; set network.width to the teacher's or give another teacher."
        )


def digest(network: SiamFC | None) -> str:
    """SHA-256 of all parameters and buffers, hexadecimal; empty without a network."""
    if network is None:
        return ""
    content = hashlib.sha256()
    for name, value in network.state_dict().items():
        content.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        content.update(value.detach().cpu().contiguous().numpy().tobytes())
    return content.hexdigest()


def feature_loss(features: Tensor, teacher: SiamFC, pixels: Tensor) -> Tensor:
    """Mean squared distance between the student's and the teacher's features, each scaled to unit deviation.

    Scaling by one number a network keeps directions and relative sizes, which are all that correlation sees, and leaves
    the student free in the size of its responses.

    Args:
        features: the student's, (B, C, H, W).
        teacher: a network whose features have the same shape; not trained.
        pixels: what the features were made from, (B, 3, S, S), RGB, 0..255.
    """
    with torch.no_grad():
        wanted = teacher.embed(pixels).float()
        wanted = wanted / wanted.std()
    return (features.float() / features.float().std() - wanted).square().mean()
