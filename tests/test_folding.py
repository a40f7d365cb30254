"""Folding batch norm into convolutions changes the graph and not the numbers."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from siamtrack.layers.folding import fold_batch_norm, is_unfolded, unfold_batch_norm
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


def uneven(network: SiamFC) -> SiamFC:
    """With channels whose kernels differ by ten million times, and one of nothing."""
    with torch.no_grad():
        for block in (network.backbone.conv2, network.backbone.conv5):
            block[0].weight[0] *= 1e-4
            block[0].weight[1] *= 1e3
            block[0].weight[2] = 0
    return network


def test_an_unfolded_network_computes_what_the_folded_one_does(network: SiamFC) -> None:
    folded = fold_batch_norm(uneven(network))
    unfolded = unfold_batch_norm(SiamFC(SiamFCNetworkSettings(width=0.1)), folded)
    z, x = torch.rand(2, 3, 95, 95) * 255, torch.rand(2, 3, 127, 127) * 255
    with torch.no_grad():
        for ours, expected in zip(unfolded(z, x), folded(z, x), strict=True):
            assert (ours - expected).abs().max() < 1e-5 * expected.abs().max()


def test_unfolding_and_folding_give_back_every_parameter(network: SiamFC) -> None:
    folded = fold_batch_norm(uneven(network))
    again = fold_batch_norm(unfold_batch_norm(SiamFC(SiamFCNetworkSettings(width=0.1)), folded)).state_dict()
    assert all(torch.allclose(again[name], value, rtol=1e-6, atol=0) for name, value in folded.state_dict().items())
    halves = {
        name: value.half() for name, value in folded.state_dict().items() if "weight" in name
    }  # as model folders have them
    folded.load_state_dict({name: halves.get(name, value).float() for name, value in folded.state_dict().items()})
    again = fold_batch_norm(unfold_batch_norm(SiamFC(SiamFCNetworkSettings(width=0.1)), folded)).state_dict()
    assert all(torch.equal(again[name].half(), value) for name, value in halves.items())


def test_kernels_of_an_unfolded_network_are_of_one_size(network: SiamFC) -> None:
    """Or an optimizer, whose steps are of one length for all, breaks the small ones and leaves the large ones."""
    unfolded = unfold_batch_norm(SiamFC(SiamFCNetworkSettings(width=0.1)), fold_batch_norm(uneven(network)))
    for name, module in unfolded.backbone.named_modules():
        if isinstance(module, nn.Conv2d) and name != "conv5.0":  # the last has no batch norm
            norms = module.weight.flatten(1).norm(dim=1)
            assert ((norms > 2**-0.5 - 1e-3) & (norms < 2**0.5 + 1e-3) | (norms == 0)).all(), name


def test_a_variance_cannot_undo_more_than_epsilon_allows() -> None:
    network = nn.Sequential(nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.BatchNorm2d(1, eps=1e-3)))
    folded = fold_batch_norm(network)
    with torch.no_grad():
        folded[0][0].weight.fill_(1e6)
    unfolded = unfold_batch_norm(network, folded)
    assert unfolded[0][1].running_var > 0
    assert torch.allclose(unfolded(torch.ones(1, 1, 1, 1)), torch.tensor(1e6))


@pytest.mark.parametrize("eps", [1e-6, 1e-5, 1e-3])
def test_an_unfolded_batch_norm_is_told_from_a_new_one(eps: float) -> None:
    new = nn.BatchNorm2d(2, eps=eps)
    assert not is_unfolded(new)
    network = nn.Sequential(nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), new))
    nn.init.uniform_(network[0][0].weight, 0.01, 3.0)
    assert is_unfolded(unfold_batch_norm(copy.deepcopy(network), fold_batch_norm(network))[0][1])
    nn.init.uniform_(new.running_var, 0.5, 2.0)
    assert not is_unfolded(new)
