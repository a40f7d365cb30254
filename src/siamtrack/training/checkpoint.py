"""Checkpoints of a training run: all that is needed to go on exactly, written so that a kill leaves the last one whole."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from siamtrack.errors import TrainingError

RUN_CHECKPOINT = "checkpoint.pt"
RUN_WEIGHTS = "weights.safetensors"
_KEYS = ("recipe", "step", "network", "optimizer")


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Writes the state beside `path`, then moves it over `path` in one step.

    Raises:
        TrainingError: it cannot be written (disk full, no permission); what was at `path` before is still there.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            torch.save(dict(state), file)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except (OSError, RuntimeError) as error:
        Path(temporary).unlink(missing_ok=True)
        raise TrainingError(f"The checkpoint '{path}' cannot be written: {error}. The last good one is kept.") from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """What `save_checkpoint` wrote of a run. Nothing in the file is executed.

    Raises:
        TrainingError: the file is no such checkpoint.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise TrainingError(f"'{path}' is no checkpoint of a training run: {error}.") from error
    if not isinstance(state, dict):
        raise TrainingError(f"'{path}' is no checkpoint of a training run: it holds a {type(state).__name__}.")
    if missing := [key for key in _KEYS if key not in state]:
        raise TrainingError(f"'{path}' is no checkpoint of a training run: it has no {', '.join(missing)}.")
    return state


def save_weights(path: Path, network: torch.nn.Module) -> None:
    """The network's parameters and buffers as safetensors, float32."""
    tensors = {name: value.detach().contiguous() for name, value in network.state_dict().items()}
    temporary = path.with_name(f".{path.name}")
    save_file(tensors, temporary)
    temporary.replace(path)
