"""Batch norm folded into the convolution before it: the same function with fewer operations, for inference and export."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Network = TypeVar("Network", bound=nn.Module)


def fold_batch_norm(network: Network) -> Network:
    """A copy in eval mode that computes the same without batch norm; the network given is left as it is.

    Every `nn.BatchNorm2d` that follows an `nn.Conv2d` in an `nn.Sequential` is multiplied into that convolution with its
    running statistics and replaced by `nn.Identity`, which leaves no trace in an exported graph and keeps the names of
    the convolutions. The outputs differ by float32 rounding only (below 1e-5 of the largest value).

    The copy is for inference: batch norm cannot be had back from it, and its parameters are not those of a checkpoint.
    """
    folded = copy.deepcopy(network).eval()  # or it cannot be folded
    for block in folded.modules():
        if isinstance(block, nn.Sequential):
            _fold_block(block)
    return folded.eval()


def unfold_batch_norm(network: Network, folded: nn.Module) -> Network:
    """The network with the parameters of a folded copy of it, in eval mode: its batch norms add biases and do nothing else.

    Statistics and scales are gone for good; a training that goes on from here keeps them as they are (`batch_norm = "frozen"`).

    Args:
        network: with batch norm; it is changed and returned.
        folded: what `fold_batch_norm` would make of such a network.
    """
    state = network.state_dict() | {name: value for name, value in folded.state_dict().items() if name in network.state_dict()}
    for block_name, block in network.named_modules():
        if isinstance(block, nn.Sequential):
            for (conv_name, conv), (norm_name, norm) in pairwise(list(block.named_children())):
                if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    prefix = f"{block_name}.{norm_name}"
                    bias = folded.get_parameter(f"{block_name}.{conv_name}.bias").detach()
                    one = torch.ones_like(bias)
                    state |= {
                        f"{prefix}.weight": one,
                        f"{prefix}.bias": bias if conv.bias is None else 0 * bias,
                        f"{prefix}.running_mean": 0 * bias,
                        f"{prefix}.running_var": one - norm.eps,
                    }
    network.load_state_dict(state)
    return network.eval()


def _fold_block(block: nn.Sequential) -> None:
    for (conv_name, conv), (norm_name, norm) in pairwise(list(block.named_children())):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            dtype = conv.weight.dtype
            # in float64, so that the product of weight and scale is rounded once
            block.register_module(conv_name, fuse_conv_bn_eval(conv.double(), norm.double()).to(dtype))
            block.register_module(norm_name, nn.Identity())
