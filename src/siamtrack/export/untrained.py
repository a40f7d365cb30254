"""Published networks with random weights, as model folders: what they cost depends on their settings alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from siamtrack.export.onnx import export_model
from siamtrack.library import procedure_presets, procedure_settings
from siamtrack.model_folder import Description
from siamtrack.models.kinds import model_kind, model_kinds, published_networks
from siamtrack.settings import from_mapping

SEED = 0


@dataclass(frozen=True, kw_only=True)
class Untrained:
    """A network that somebody published.

    Attributes:
        names: of the published configurations that have it.
        kind: the file in `models/` with it.
        settings: of the network.
    """

    names: tuple[str, ...]
    kind: str
    settings: Any


def published_without_weights() -> list[Untrained]:
    """Every network that `published_networks` names, once."""
    names: dict[tuple[str, Any], tuple[str, ...]] = {}
    for kind in model_kinds():
        for name, values in published_networks(kind).items():
            key = kind, from_mapping(model_kind(kind).settings, values, where=f"settings of {name}")
            names[key] = (*names.get(key, ()), name)
    return [Untrained(names=known, kind=kind, settings=settings) for (kind, settings), known in names.items()]


def random_network(untrained: Untrained) -> nn.Module:
    """The network in eval mode, with the same weights every time; PyTorch's own generator is left as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return model_kind(untrained.kind).build(untrained.settings).eval()


def export_untrained(untrained: Untrained, folder: Path) -> None:
    """Writes the network with random weights as a model folder, with the tracking procedure of its first name.

    Raises:
        OutputError: the folder cannot be written.
        ModelError: a runtime's answers differ from PyTorch's.
    """
    procedure, implied = model_kind(untrained.kind).procedure(untrained.settings)
    preset: Mapping[str, Any] = procedure_presets(procedure).get(untrained.names[0], {})
    description = Description(
        name=untrained.names[0],
        model=untrained.kind,
        tracker=procedure,
        licence="none",
        card="Random weights, to measure what the network costs. It follows nothing.\n",
        network=asdict(untrained.settings),
        settings=asdict(procedure_settings(procedure, {**implied, **preset})),
    )
    export_model(random_network(untrained), folder, description)
