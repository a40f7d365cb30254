"""Folding batch norm into convolutions changes the graph and not the numbers."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from siamtrack.layers.folding import fold_batch_norm
from siamtrack.models.siamfc import SiamFC, SiamFCNetworkSettings


@pytest.fixture
def network() -> SiamFC:
    """A narrow network in training mode whose batch norms are far from the identity."""
    torch.manual_seed(0)
    network = SiamFC(SiamFCNetworkSettings(width=0.1))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.3, 2.0)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.2, 5.0)
    return network


def test_a_folded_network_gives_the_same_responses(network: SiamFC) -> None:
    z, x = torch.rand(2, 3, 95, 95) * 255, torch.rand(2, 3, 127, 127) * 255
    folded = fold_batch_norm(network)
    with torch.no_grad():
        for ours, expected in zip(folded(z, x), network.eval()(z, x), strict=True):
            assert (ours - expected).abs().max() < 1e-5 * expected.abs().max()
            assert ours.dtype == torch.float32


def test_no_batch_norm_is_left_and_the_convolutions_keep_their_names(network: SiamFC) -> None:
    folded = fold_batch_norm(network)
    assert isinstance(folded, SiamFC)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    names = {f"backbone.conv{n}.0.{part}" for n in range(1, 6) for part in ("weight", "bias")}
    assert folded.state_dict().keys() == names | {"gain", "bias"}


def test_the_network_given_stays_as_it_was(network: SiamFC) -> None:
    before = copy.deepcopy(network.state_dict())
    folded = fold_batch_norm(network)
    with torch.no_grad():
        for parameter in folded.parameters():
            parameter.zero_()
    assert network.training
    assert not any(module.training for module in folded.modules())
    assert network.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_folding_twice_is_folding_once(network: SiamFC) -> None:
    once = fold_batch_norm(network)
    twice = fold_batch_norm(once)
    assert all(torch.equal(value, once.state_dict()[name]) for name, value in twice.state_dict().items())


def test_a_convolution_without_bias_gets_one() -> None:
    torch.manual_seed(0)
    block = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)).eval()
    nn.init.normal_(block[1].running_mean)
    x = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        assert torch.allclose(fold_batch_norm(block)(x), block(x), atol=1e-6)
