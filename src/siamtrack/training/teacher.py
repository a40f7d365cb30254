"""A trained network of the same shape as teacher: its features are a second target, on pictures without any label."""

from __future__ import annotations

import torch
from torch import Tensor

from siamtrack.models.siamfc import SiamFC


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
