"""How much a network computes, counted while PyTorch computes it."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def multiply_adds(call: Callable[[], object]) -> int:
    """How many multiply-adds PyTorch does in this call: those of all convolutions and matrix products.

    What is counted is what is computed, not what a paper's formula would need: a correlation that is written as a matrix
    product (see `siamtrack.layers.xcorr`) has more than one that slides. Not counted are biases, sums, activations, pooling,
    and all that is not PyTorch.
    """
    with FlopCounterMode(display=False) as counter:
        call()
    return int(counter.get_total_flops()) // 2  # a multiplication and an addition are two there


def parameter_count(network: nn.Module) -> int:
    """How many numbers a network has learnt; buffers, such as statistics of batch norm, are none."""
    return sum(parameter.numel() for parameter in network.parameters())
