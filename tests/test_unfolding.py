"""Networks whose batch norm was folded away, made fit to train from again."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from every_network import NETWORKS
from torch import Tensor, nn

from siamtrack.layers.folding import fold_batch_norm, unfold_batch_norm
from siamtrack.models.kinds import model_kind
from siamtrack.settings import from_mapping
from siamtrack.training.origin import _is_folded


def built(name: str, seed: int) -> Any:
    """A network whose batch norms do something; it sees 0..1."""
    kind, values = NETWORKS[name]
    torch.manual_seed(seed)
    network = model_kind(kind).build(from_mapping(model_kind(kind).settings, values, where="test"))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network.eval()


def flat(answer: tuple[Any, ...]) -> list[Tensor]:
    """All maps of an answer, those in lists, too, and masks of a few cells where it gives them."""
    maps = []
    for part in answer:
        if hasattr(part, "refined"):
            cells = torch.tensor([0]), torch.tensor([3]), torch.tensor([5])
            maps.append(part.coarse(*cells) if part.network.refine is None else part.refined(*cells))
        else:
            maps += [part] if isinstance(part, Tensor) else part
    return maps


@pytest.mark.parametrize("name", NETWORKS)
def test_an_unfolded_network_says_what_the_folded_one_says(name: str) -> None:
    network = built(name, seed=0)
    again = unfold_batch_norm(built(name, seed=1), fold_batch_norm(network))
    generator = torch.Generator().manual_seed(0)
    z, x = (torch.rand(1, 3, side, side, generator=generator) for side in (127, 255))
    with torch.no_grad():
        for found, expected in zip(flat(again(z, x)), flat(network(z, x)), strict=True):
            assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()
    norms = [module for module in again.modules() if isinstance(module, nn.BatchNorm2d)]
    idle = [bool((module.weight == 1).all()) and not module.running_mean.any() for module in norms]  # type: ignore[union-attr]
    assert sum(idle) > len(idle) / 2  # some of CIResNeXt22 follow a concatenation, and cannot be folded
    assert _is_folded(again, lambda name: True)
    assert not _is_folded(again, lambda name: False)
    assert not _is_folded(network, lambda name: True)
