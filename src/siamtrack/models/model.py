"""What training, exporting and measuring need to know of a network: the MODEL that a file in `models/` ends with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from siamtrack.pair import SEEN as SEEN
from siamtrack.pair import UNKNOWN as UNKNOWN

NO_MASKS = torch.zeros((0, 0, 0), dtype=torch.uint8)


class Targets(NamedTuple):
    """What is right for B training pairs."""

    offsets: Tensor  # (B, 2) float32, x and y of the object from the centre of the search patch, patch pixels
    boxes: Tensor  # (B, 4) float32, x, y, w, h of the object in the search patch, patch pixels
    absent: Tensor  # (B,) bool: that object is another one than the template's, and the target is not there
    search_size: int  # side of the search patches, pixels
    draw: int  # seeds what is drawn at random; the same number draws the same
    masks: Tensor = NO_MASKS  # (B, S, S) uint8, what of the search patches shows the object, see `SEEN`; empty: none is known.
    # A mask that is `UNKNOWN` throughout is that of a pair without one


class Verdict(NamedTuple):
    """How wrong a network is about a batch of B pairs."""

    loss: Tensor  # scalar
    accuracy: Tensor  # scalar: share of the pairs that show the target in which it is found; 0 where none shows it
    responses: Tensor  # (B, R, R) float32, detached: where the network sees the target, to look at


Loss = Callable[[tuple[Tensor, ...], Targets], Verdict]
"""From what the network's `forward` gives for a batch."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """A kind of network.

    Attributes:
        settings: class of the settings of the network, with `template_size` and `search_size`.
        build: the network with these settings, at the start of its training.
        procedure: the file in `trackers/` that tracks with such a network, and the settings there that follow from its own.
        losses: by the names that a recipe has for them, for these settings of the network.
        features: whether `forward` of networks without masks ends with the features of template and search patch, which a
            teacher can be compared with: one map each, or a list of them.
        masks: whether a network with these settings learns masks, so that training pairs have to have them.
        later: beginnings of the names of parameters that a network to start with may lack, as they are learnt last.
    """

    settings: type[Any]
    build: Callable[[Any], nn.Module]
    procedure: Callable[[Any], tuple[str, Mapping[str, Any]]]
    losses: Callable[[Any], Mapping[str, Loss]]
    features: bool = False
    masks: Callable[[Any], bool] = lambda settings: False
    later: tuple[str, ...] = ()
