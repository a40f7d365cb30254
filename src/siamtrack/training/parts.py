"""Teaching a network part by part: each learns what the teacher's part makes of what the teacher's parts before it give.

A network that learns as a whole must find its way through all its parts at once; a part that is told what goes in and what
comes out has a task of its own, and what it learns does not depend on how much the others know. Source of the idea: Koratana,
Kang, Bailis, Zaharia, "LIT: Learned Intermediate Representation Training for Model Compression", ICML 2019, sec. 3.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from siamtrack.models.model import Verdict


class Part(NamedTuple):
    """What a part of a network says, and what it should."""

    said: Tensor  # (B, C, H, W)
    wanted: Tensor  # of the same shape
    norm: nn.BatchNorm2d | None = None  # with which the part ends, a shortcut or an activation apart
    normed: Tensor | None = None  # what the norm itself should give


class PartTeacher(Protocol):
    """A teacher that knows what each part of a network should make of what."""

    def parts(self, network: nn.Module, templates: Tensor, searches: Tensor) -> Iterator[Part]:
        """The parts of a network for pixels (B, 3, T, T) and (B, 3, S, S), RGB, 0..255; a part may come for both."""


def begin_with(parts: Iterator[Part]) -> None:
    """Gives the norms that end parts the deviation and the mean that they should have, so that no part begins far away."""
    with torch.no_grad():
        for part in parts:
            if part.norm is not None and part.normed is not None:
                deviation, mean = torch.std_mean(part.normed, (0, 2, 3))
                part.norm.weight.copy_(deviation.clamp_min(1e-4))
                part.norm.bias.copy_(mean)


def verdict_of(parts: Iterator[Part]) -> Verdict:
    """The sum of the parts' errors; as accuracy what they explain of what they should say, on average, at most 1.

    The error of a part is its mean squared distance from what it should say, as a share of the variance of that.
    """
    errors = torch.stack([(part.said.float() - part.wanted).square().mean() / part.wanted.var() for part in parts])
    return Verdict(errors.sum(), 1 - errors.detach().mean(), torch.empty(0))
