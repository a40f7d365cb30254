"""A moving average of a network's weights over the steps of its training, which usually tracks better than the last step."""

from __future__ import annotations

import copy

import torch
from torch import nn


class MovingAverage:
    """Exponential moving average of parameters and of batch norm's statistics.

    Args:
        network: whose weights are averaged; copied.
        decay: of the average each step; early on less, (1 + t) / (10 + t), so that the random start is soon forgotten.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Takes in the network's weights after step number `step`, counted from 0."""
        weight = 1 - min(self._decay, (1 + step) / (10 + step))
        pairs = list(zip(self.network.state_dict().values(), network.state_dict().values(), strict=True))
        mine, new = zip(*(pair for pair in pairs if pair[0].is_floating_point()), strict=True)
        torch._foreach_lerp_(mine, new, weight)
        for counter, other in pairs:
            if not counter.is_floating_point():
                counter.copy_(other)
