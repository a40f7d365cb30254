"""Batch norm folded into the convolution before it: the same function with fewer operations, for inference and export."""

from __future__ import annotations

import copy
import math
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Network = TypeVar("Network", bound=nn.Module)
_LEAST_EXPONENT = -24  # smaller kernels are dead
_EXPONENT_TOLERANCE = 2e-7  # float32 rounds a variance, plus epsilon, by less; a new batch norm is at least 7e-7 away


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
    """The network with the parameters of a folded copy of it, in eval mode, fit to be trained further.

    Statistics and scales that were folded in are gone for good. Each channel's kernel is brought to a norm between 0.7 and 1.4,
    since an optimizer takes steps of one length for all: in folded networks norms go from 0.002 to 200. The divisor, a power of
    two, so that nothing is rounded, is undone by the running variance; the bias is that of batch norm. A training that goes on
    from here keeps variances as they are (`batch_norm = "frozen"`).

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
                    kernel = folded.get_parameter(f"{block_name}.{conv_name}.weight").detach()
                    scale = _power_of_two(kernel.flatten(1).norm(dim=1), norm.eps)
                    state |= {
                        f"{block_name}.{conv_name}.weight": kernel / scale.reshape(-1, 1, 1, 1),
                        f"{prefix}.weight": torch.ones_like(bias),
                        f"{prefix}.bias": bias,
                        f"{prefix}.running_mean": 0 * bias,
                        f"{prefix}.running_var": (scale.double() ** -2 - norm.eps).to(bias.dtype),
                    }
                    if conv.bias is not None:
                        state[f"{block_name}.{conv_name}.bias"] = 0 * bias
    network.load_state_dict(state)
    return network.eval()


def is_unfolded(norm: nn.BatchNorm2d) -> bool:
    """Whether a batch norm is one of `unfold_batch_norm`'s; a new one has the variance 1, to which epsilon is added."""
    if norm.running_mean is None or norm.running_var is None or norm.running_mean.any() or not (norm.weight == 1).all():
        return False
    exponent = torch.log2(norm.running_var.double() + norm.eps) / 2
    return bool(((exponent - exponent.round()).abs() < _EXPONENT_TOLERANCE).all())


def _power_of_two(norm: Tensor, eps: float) -> Tensor:
    """The power of two next to each norm; 1 for one of nothing, and no more than a variance above 0 can undo."""
    most = math.ceil(-math.log2(eps) / 2) - 1
    return torch.where(norm > 0, torch.exp2(norm.log2().round().clamp(_LEAST_EXPONENT, most)), torch.ones_like(norm))


def _fold_block(block: nn.Sequential) -> None:
    for (conv_name, conv), (norm_name, norm) in pairwise(list(block.named_children())):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            dtype = conv.weight.dtype
            # in float64, so that the product of weight and scale is rounded once
            block.register_module(conv_name, fuse_conv_bn_eval(conv.double(), norm.double()).to(dtype))
            block.register_module(norm_name, nn.Identity())
