"""Kinds of network by name: the files of this folder that end with MODEL."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from siamtrack.errors import SettingsError, nearest
from siamtrack.layers.folding import unfold_batch_norm
from siamtrack.models.folded_weights import with_folded_weights
from siamtrack.models.model import Model
from siamtrack.settings import from_mapping


def model_kinds() -> list[str]:
    """Every kind that can be built."""
    files = sorted(Path(__file__).parent.glob("[a-z]*.py"))
    return [path.stem for path in files if "\nMODEL = " in path.read_text(encoding="utf-8")]


def model_kind(name: str) -> Model:
    """What is known of a kind of network.

    Raises:
        SettingsError: there is no such kind.
    """
    if name not in (known := model_kinds()):
        raise SettingsError(f"Unknown kind of network '{name}'. {nearest(name, known)}")
    found: Model = importlib.import_module(f"siamtrack.models.{name}").MODEL
    return found


def read_folded(name: str, path: Path, settings: Mapping[str, Any]) -> Any:
    """The network of a model folder, for inference: its weights hold convolutions with batch norm folded in.

    Raises:
        SettingsError: an unknown kind, or an unknown setting of the network.
        WeightsError: the file does not hold exactly the folded parameters.
    """
    kind = model_kind(name)
    return with_folded_weights(kind.build(from_mapping(kind.settings, settings, where="[network] of model.toml")), path)


def read_unfolded(name: str, path: Path, settings: Mapping[str, Any]) -> Any:
    """The network of a model folder, to train from: `unfold_batch_norm` of `read_folded`, with its errors."""
    kind = model_kind(name)
    network = kind.build(from_mapping(kind.settings, settings, where="[network] of model.toml"))
    return unfold_batch_norm(network, with_folded_weights(network, path))


def kind_of(network: nn.Module) -> str:
    """The name of a network's kind."""
    return type(network).__module__.rpartition(".")[2]


def published_procedures(name: str) -> Mapping[str, Mapping[str, Any]]:
    """Published settings of the tracking procedure that belong to single networks of a kind, by name."""
    found: Mapping[str, Mapping[str, Any]] = getattr(importlib.import_module(f"siamtrack.models.{name}"), "PROCEDURES", {})
    return found


def published_networks(name: str) -> Mapping[str, Mapping[str, Any]]:
    """Settings of the published networks of a kind, by the names that their tracking procedures have, too."""
    found: Mapping[str, Mapping[str, Any]] = getattr(importlib.import_module(f"siamtrack.models.{name}"), "PRESETS", {})
    return found
