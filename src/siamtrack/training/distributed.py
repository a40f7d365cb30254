"""Several processes that train one network, as torchrun starts them; alone without it.

torchrun tells each process who it is by environment variables; PyTorch reads them. Every process computes its share of each
batch, DistributedDataParallel averages the gradients, and rank 0 alone writes and validates.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from siamtrack.errors import SettingsError, TrainingError
from siamtrack.layers import batch_norm

PATIENCE = timedelta(hours=6)  # how long the others wait while rank 0 validates


@dataclass(frozen=True)
class World:
    """This process among those that train together."""

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes, in all of them; in place."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def agree(self, what: str, value: object) -> None:
        """Waits for all processes, and stops all of them when they do not hold the same.

        Raises:
            TrainingError: says what differs.
        """
        if self.size == 1:
            return
        values: list[object] = [None] * self.size
        dist.all_gather_object(values, value)
        if any(other != values[0] for other in values):
            raise TrainingError(
                f"The processes do not agree on {what}; they must see the same files and be given the same command."
            )

    def share_batch_norm(self, network: nn.Module) -> None:
        """Makes batch norm in the network see the batches of all processes; in place."""
        if self.size > 1:
            batch_norm.share(network, self.device)

    def parallel(self, module: nn.Module, *, in_part: bool) -> nn.Module:
        """The module with gradients averaged over all processes; to be renewed when other parameters learn.

        Args:
            module: what is trained.
            in_part: whether the loss does not reach all of its parameters that learn.
        """
        if self.size == 1 or not any(p.requires_grad for p in module.parameters()):
            return module
        devices = [self.device] if self.device.type == "cuda" else None
        return DistributedDataParallel(module, device_ids=devices, find_unused_parameters=in_part)


@contextmanager
def joined(device: str) -> Iterator[World]:
    """The world of this process, left again at the end.

    Args:
        device: "cpu", "cuda" (each process takes the GPU of its local rank), "cuda:1", or "auto": a GPU where there is one.

    Raises:
        SettingsError: there is no such device.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    local = os.environ.get("LOCAL_RANK")
    try:
        place = torch.device(f"cuda:{local}" if device == "cuda" and local else device)
        if place.type not in ("cpu", "cuda", "mps"):
            raise RuntimeError("It cannot train.")
        torch.empty(1, device=place)
    except (RuntimeError, AssertionError) as error:
        raise SettingsError(
            f"PyTorch cannot train on '{device}' here: {str(error).splitlines()[0].rstrip('.')}. Use cpu or auto."
        ) from None
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield World(0, 1, place)
        return
    dist.init_process_group("nccl" if place.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield World(dist.get_rank(), dist.get_world_size(), place)
    finally:
        dist.destroy_process_group()
        time.sleep(0.5)  # its threads end by themselves; a process that exits before they have is aborted (PyTorch 2.13)
