"""Which parameters learn, from when on and how fast: groups that are built once and never change."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from siamtrack.errors import SettingsError
from siamtrack.training.recipe import Recipe


def optimizer_of(recipe: Recipe, network: nn.Module) -> torch.optim.Optimizer:
    """The optimizer, with every parameter that can ever learn in exactly one group.

    A group has parameters with the same first epoch, rate factor and weight decay. Groups are never added or removed, and a
    parameter that does not learn yet has no gradient and no state, so that a run resumes exactly before and after it begins
    to (PySOT adds groups when it unfreezes, and cannot resume across it).

    Raises:
        SettingsError: a table of the recipe names no parameter, or nothing is left to learn.
    """
    groups: dict[tuple[float, float, bool], list[Tensor]] = {}
    frozen = _norm_scales(network) if recipe.batch_norm == "frozen" else frozenset()
    names = [name for name, _ in network.named_parameters()]
    for table in ("first_epoch", "rate_factor"):
        for prefix in getattr(recipe, table):
            if not any(_begins(name, prefix) for name in names):
                known = sorted({part for name in names for part in (name, name.rpartition(".")[0]) if part})
                raise SettingsError(f"{table} names '{prefix}', but no parameter's name begins so. Known: {', '.join(known)}.")
    for name, parameter in network.named_parameters():
        if name not in frozen:
            key = first_epoch_of(recipe, name), _of(recipe.rate_factor, name, 1.0), parameter.ndim > 1
            groups.setdefault(key, []).append(parameter)
    if not any(first == 0 for first, _, _ in groups):
        raise SettingsError("The recipe leaves no parameter to learn in the first epoch; look at first_epoch and batch_norm.")
    rows: list[dict[str, Any]] = [
        {"params": members, "weight_decay": recipe.weight_decay if decays else 0.0, "first_epoch": first, "factor": factor}
        for (first, factor, decays), members in groups.items()
    ]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(rows, lr=recipe.learning_rate, momentum=recipe.momentum, fused=True)
    return torch.optim.AdamW(rows, lr=recipe.learning_rate, fused=True)


def first_epoch_of(recipe: Recipe, name: str) -> float:
    """From which epoch on a parameter, or a part of the network, of that name learns; inf: never."""
    return _of(recipe.first_epoch, name, 0.0)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """The rate of every group, times its factor."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]


def enter_epoch(network: nn.Module, optimizer: torch.optim.Optimizer, recipe: Recipe, epoch: int) -> bool:
    """Lets learn what learns in this epoch, and puts batch norm that does not into eval mode; True if something changed."""
    learning = {parameter: group["first_epoch"] <= epoch for group in optimizer.param_groups for parameter in group["params"]}
    changed = False
    for parameter in network.parameters():
        wanted = learning.get(parameter, False)
        changed |= parameter.requires_grad != wanted
        parameter.requires_grad_(wanted)
    network.train()
    for module in _norms(network):
        module.train(recipe.batch_norm == "train" and any(p.requires_grad for p in module.parameters()))
    return changed


def _norms(network: nn.Module) -> Iterable[nn.Module]:
    return (m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm))


def _norm_scales(network: nn.Module) -> frozenset[str]:
    scales = {id(module.weight) for module in _norms(network)}
    return frozenset(name for name, p in network.named_parameters() if id(p) in scales)


def _begins(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(f"{prefix}.")


def entry_of(table: dict[str, float], name: str) -> str | None:
    """The key of a recipe's table that counts for a parameter, the longest that its name begins with; None: there is none."""
    return max((prefix for prefix in table if _begins(name, prefix)), key=len, default=None)


def _of(table: dict[str, float], name: str, default: float) -> float:
    found = entry_of(table, name)
    return default if found is None else table[found]
