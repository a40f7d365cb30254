"""A model as a folder that every runtime can run.

model.toml           what it is, every setting, the hash of every other file, licence and model card
weights.safetensors  the parameters, once: the graphs refer into this file
template.onnx        patches (N, T, T, 3) uint8 -> templates (N, C, h, w)
search.onnx          templates, patches (N, S, X, X, 3) uint8 -> the model's maps, (N, S, ...) each
search_int8.onnx     the same, quantised (only where `siamtrack export --int8` made it)
mask.onnx            places of these maps -> masks (M, n, n), logits (only of models that give masks)
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from siamtrack.errors import ModelError, SettingsError
from siamtrack.settings import from_mapping, read_toml

FORMAT = 1
DESCRIPTION = "model.toml"
WEIGHTS = "weights.safetensors"
TEMPLATE_GRAPH = "template.onnx"
SEARCH_GRAPH = "search.onnx"
INT8_SEARCH_GRAPH = "search_int8.onnx"
MASK_GRAPH = "mask.onnx"
REQUIRED = (WEIGHTS, TEMPLATE_GRAPH, SEARCH_GRAPH)


@dataclass(frozen=True, kw_only=True)
class Description:
    """The content of model.toml."""

    name: str
    model: str  # the file in siamtrack/models with its network
    tracker: str  # the file in siamtrack/trackers with its procedure
    licence: str
    card: str  # Markdown: data and their licences, teacher, recipe, seed, choice of checkpoint, scores, limits
    made_with: str = ""
    color_order: str = "rgb"
    format: int = FORMAT
    network: dict[str, Any] = field(default_factory=dict)  # settings of the network in models/
    settings: dict[str, Any] = field(default_factory=dict)  # settings of the procedure in trackers/
    hashes: dict[str, str] = field(default_factory=dict)  # file name -> SHA-256, hexadecimal


@dataclass(frozen=True, kw_only=True)
class ModelFolder:
    """A folder whose files are all there and unaltered."""

    path: Path
    description: Description

    @property
    def has_int8(self) -> bool:
        """Whether a quantised search graph is there."""
        return INT8_SEARCH_GRAPH in self.description.hashes

    @property
    def has_masks(self) -> bool:
        """Whether the model gives masks."""
        return MASK_GRAPH in self.description.hashes


def read_model_folder(path: Path) -> ModelFolder:
    """The folder, checked against the hashes in its model.toml.

    Raises:
        ModelError: the folder or a file is missing, a file was altered, or model.toml is of another kind.
    """
    if not (path / DESCRIPTION).is_file():
        raise ModelError(f"'{path}' is no model folder: it has no {DESCRIPTION}. 'siamtrack export' makes one.")
    try:
        description = from_mapping(Description, read_toml(path / DESCRIPTION), where=str(path / DESCRIPTION))
    except SettingsError as error:
        raise ModelError(f"{error} Export or install the model again.") from None
    if description.format != FORMAT:
        raise ModelError(f"'{path}' has format {description.format}; this version of siamtrack reads format {FORMAT}.")
    if description.color_order != "rgb":
        raise ModelError(f"'{path}' wants its pixels in the order '{description.color_order}'; siamtrack gives rgb.")
    for name in sorted({*REQUIRED, *description.hashes}):
        _check_file(path / name, description.hashes.get(name))
    return ModelFolder(path=path, description=description)


def hash_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_file(path: Path, expected: str | None) -> None:
    again = "Export or install the model again."
    if expected is None:
        raise ModelError(f"'{path.parent / DESCRIPTION}' has no hash for '{path.name}'. {again}")
    if not path.is_file():
        raise ModelError(f"The model file '{path}' is missing. {again}")
    if (found := hash_of(path)) != expected:
        raise ModelError(
            f"The model file '{path}' was altered: its SHA-256 is {found[:12]}..., expected {expected[:12]}... {again}"
        )
