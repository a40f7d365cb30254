"""What is wrong with the parameters of a file, for one network: all faults at once, by kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

COUNTER = "num_batches_tracked"  # PyTorch before 0.4.1 had none, and nothing depends on it
_EPSILON = 1e-6  # the least that any batch norm here adds to a variance
_LISTED = 8  # more names than this are summed up in a message


def faults(
    found: Mapping[str, Any],
    names: Mapping[str, str],
    shapes: Mapping[str, tuple[int, ...]],
    *,
    unused: Collection[str] = (),
    epsilon: float = 0.0,
) -> str:
    """The faults in a sentence's words; nothing where the file holds exactly the finite parameters that are wanted.

    Args:
        found: what the file holds, by its names.
        names: what is wanted: the file's names -> ours.
        shapes: of what is wanted, by our names. A scalar may come as a vector of one.
        unused: names of the file that may be there beside.
        epsilon: what the file's batch norm adds to the variance more than ours does.
    """
    kinds: dict[str, list[str]] = {
        "missing": [name for name, ours in names.items() if name not in found and not ours.endswith(COUNTER)],
        "unexpected, do not belong to it": [name for name in found if name not in names and name not in unused],
        "no arrays of floating-point numbers": [],
        "wrong shape": [],
        "not finite in float32": [],
        "negative variance or deviation": [],
    }
    for name in (name for name in found if name in names):
        value, shape = found[name], shapes[names[name]]
        if not _is_numeric(name, value):
            kinds["no arrays of floating-point numbers"].append(name)
        elif tuple(value.shape) != shape and (shape or value.numel() != 1):
            kinds["wrong shape"].append(f"{name} is {tuple(value.shape)}, not {shape}")
        elif not value.float().isfinite().all():
            kinds["not finite in float32"].append(name)
        elif names[name].endswith("running_var") and (value.double() + epsilon + _EPSILON <= 0).any():
            kinds["negative variance or deviation"].append(name)
    return "; ".join(f"{kind}: {listed(names)}" for kind, names in kinds.items() if names)


def _is_numeric(name: str, value: object) -> bool:
    dense = isinstance(value, Tensor) and value.layout == torch.strided
    return dense and (value.is_floating_point() or name.endswith(COUNTER))  # type: ignore[attr-defined]


def listed(names: Iterable[str]) -> str:
    """The names; of very many, one of each kind with the number of the others."""
    names = list(names)
    if len(names) <= _LISTED:
        return ", ".join(names)
    kinds = Counter(name.split(".")[0] for name in names)
    examples = {name.split(".")[0]: name for name in reversed(names)}
    listed = [f"{examples[kind]}{f' and {n - 1} more {kind}.*' if n > 1 else ''}" for kind, n in kinds.items()]
    return ", ".join(listed[:_LISTED]) + (f" and {len(listed) - _LISTED} more kinds" if len(listed) > _LISTED else "")
