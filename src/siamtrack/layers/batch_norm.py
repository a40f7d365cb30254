"""Batch norm over the batches of all processes that train together, so that what is learnt does not depend on their number."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


def share(network: nn.Module, device: torch.device) -> None:
    """Replaces every BatchNorm2d in the network by one that sees all processes; parameters and buffers stay the same.

    On GPUs that is PyTorch's own SyncBatchNorm, which computes there only; elsewhere `SharedBatchNorm2d`.
    """
    if device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        return
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SharedBatchNorm2d


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Batch norm with mean and variance of the batches of all processes, which must be equally large."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same."""
        if not self.training:
            return super().forward(x)
        values = x.float()
        size = dist.get_world_size()
        mean = _sum(values.mean((0, 2, 3))) / size
        centred = values - mean[:, None, None]
        variance = _sum(centred.square().mean((0, 2, 3))) / size
        self._note(mean.detach(), variance.detach(), size * x.numel() / x.shape[1])
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)

    @torch.no_grad()
    def _note(self, mean: Tensor, variance: Tensor, count: float) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        momentum = 0.1 if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance * (count / (count - 1)), momentum)  # unbiased, as PyTorch's own
        self.num_batches_tracked.add_(1)


def _sum(value: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(value)  # type: ignore[no-untyped-call]
    return total


class _Sum(torch.autograd.Function):
    """Sum over all processes; so is its gradient."""

    @staticmethod
    def forward(context: Any, value: Tensor) -> Tensor:
        value = value.clone()
        dist.all_reduce(value)
        return value

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        gradient = gradient.clone()
        dist.all_reduce(gradient)
        return gradient
