"""Checkpoints as others and we ourselves publish them -> a network of `models/`, strictly: all parameters, and no other.

What a format is called, and which of its names is which of ours, is said by `FORMATS` in `siamfc_formats.py` and
`rpn_formats.py`. A format is found by what is in the file, never by the file's name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mode
from typing import Any

import torch
from torch import Tensor, nn

from siamtrack.errors import WeightsError
from siamtrack.layers.parameter_faults import COUNTER, faults


def no_default(name: str) -> float | None:
    """Of a format in which every parameter is there."""
    return None


@dataclass(frozen=True, kw_only=True)
class Format:
    """How one repository stores one kind of network.

    Attributes:
        title: of the repository.
        model: the file in `models/` with the network.
        build: the network, on the meta device, that fits best to what was found, names and values; None where nothing fits.
        names: their names -> ours, for that network.
        epsilon: what their batch norm adds to the variance more than ours does.
        deviations: variances are stored as standard deviations.
        unused: names that may be there and have no part in the network.
        bgr: our names of convolutions whose input channels they have in the order blue, green, red.
        default: value of a parameter of ours that the format leaves out; None where it must be there.
    """

    title: str
    model: str
    build: Callable[[Mapping[str, Any]], nn.Module | None]
    names: Callable[[Any], Mapping[str, str]]
    epsilon: float = 0.0
    deviations: bool = False
    unused: frozenset[str] = frozenset()
    bgr: tuple[str, ...] = ()
    default: Callable[[str], float | None] = no_default


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A format, the network that fits best in it, and the names of its parameters."""

    format: Format
    network: nn.Module
    names: Mapping[str, str]  # theirs -> ours

    def shared_with(self, found: Mapping[str, Any]) -> tuple[int, float]:
        """How many of the names found the network has, and which share of its own these are."""
        shared = len(found.keys() & self.names.keys())
        return shared, shared / len(self.names)


def fit_of(form: Format, found: Mapping[str, Any]) -> Fit | None:
    """The format with its best network for these parameters; None where they have less than half of the names in common."""
    network = form.build(found)
    if network is None:
        return None
    names = form.names(network)
    shared = len(found.keys() & names.keys())
    return Fit(format=form, network=network, names=names) if 2 * shared >= min(len(found), len(names)) else None


def fitted_width(counts: Sequence[tuple[int, int]]) -> float:
    """The shortest number that gives the channels found in every layer; where none does, the one that fits most layers.

    Args:
        counts: for layers whose channels are rounded for themselves, those found and those at width 1; at least 1 each.
    """
    # n channels come from every width with (n - 1) / c < width < (n + 1) / c; SiamFC's AlexNet has two at least
    low = max(((n - 1) / c for n, c in counts if n > 2), default=0.0)
    high = min(((n + 1) / c for n, c in counts), default=2.0)
    rounded = (round((low + high) / 2, digits) for digits in range(6))
    common = next((width for width in rounded if low < width < high), None)
    return common or mode([round(n / c, 3) for n, c in counts] or [1.0])


def load(fit: Fit, found: Mapping[str, Any], path: Path) -> Any:
    """The network with the parameters found, in eval mode.

    Raises:
        WeightsError: they are not exactly the network's, or not finite; all missing, unexpected and wrong ones are named.
    """
    form, names = fit.format, fit.names
    shapes = {name: tuple(value.shape) for name, value in fit.network.state_dict().items()}
    if wrong := faults(found, names, shapes, unused=form.unused, epsilon=form.epsilon):
        raise WeightsError(
            f"'{path}', read in the format of {form.title}, does not hold exactly the parameters of its nearest network, "
            f"{form.model} with {_described(fit.network)}: {wrong}."
        )
    state = {names[name]: _converted(form, names[name], found[name], shapes[names[name]]) for name in names if name in found}
    for name, shape in shapes.items():
        if name.endswith(COUNTER):
            state.setdefault(name, torch.zeros(shape, dtype=torch.long))
        elif name not in state:
            state[name] = torch.full(shape, form.default(name))  # type: ignore[arg-type]
    fit.network.load_state_dict(state, assign=True)
    return fit.network.eval()


def _described(network: nn.Module) -> str:
    """The settings of a network in a few words."""
    return ", ".join(f"{name} {value}" for name, value in vars(network.settings).items())


def _converted(form: Format, name: str, value: Tensor, shape: tuple[int, ...]) -> Tensor:
    if name.endswith(COUNTER):
        return value.detach().long().reshape(shape)
    if name.endswith("running_var"):
        exact = value.double().square() if form.deviations else value.double()
        value = exact + form.epsilon
    if name in form.bgr:
        value = value.flip(1)
    return value.detach().float().reshape(shape).contiguous()
