"""Checkpoints of a training run: all that is needed to go on exactly, written so that a kill leaves the last one whole."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from siamtrack.errors import TrainingError
from siamtrack.models.checkpoints import described

CHECKPOINTS = "checkpoints"
BEST = "best.pt"
RUN_WEIGHTS = "weights.safetensors"
KEPT = 3  # checkpoints besides the best one
_KEYS = ("recipe", "step", "network", "optimizer")


def last_checkpoint(run: Path) -> Path | None:
    """The file of the newest checkpoint of a run, without the best one's; None where there is none."""
    return max((run / CHECKPOINTS).glob("step-*.pt"), default=None)


def save_checkpoint(run: Path, state: Mapping[str, Any], *, best: bool = False) -> None:
    """Adds a checkpoint to the run, and then removes the oldest but three.

    Args:
        run: the run's folder.
        state: what to keep; `step` names the file.
        best: it is the best so far as well: `best.pt`.

    Raises:
        TrainingError: it cannot be written (disk full, no permission); those before it are still there.
    """
    folder = run / CHECKPOINTS
    if best:  # before the other, which knows of it: a stop between the two comes back to before both
        _write(folder / BEST, state)
    _write(folder / f"step-{state['step']:09d}.pt", state)
    for old in sorted(folder.glob("step-*.pt"))[:-KEPT]:
        old.unlink(missing_ok=True)


def _write(path: Path, state: Mapping[str, Any]) -> None:
    """Writes the state beside `path`, then moves it there in one step."""
    temporary = path.with_name(f".{path.name}")  # always the same: what a kill leaves is written over
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            torch.save(dict(state), file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, RuntimeError) as error:  # a full disk is either of them in PyTorch
        temporary.unlink(missing_ok=True)
        raise TrainingError(
            f"The checkpoint '{path}' cannot be written: {error}. The last good one is kept; make room, then give the same "
            "command to go on from it."
        ) from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """What `save_checkpoint` wrote of a run. Nothing in the file is executed.

    Raises:
        TrainingError: the file is no such checkpoint.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise TrainingError(
            f"'{path}' is no checkpoint of a training run: {error}. Move it away to go on from the one before it."
        ) from error
    if not isinstance(state, dict):
        raise TrainingError(f"'{path}' is no checkpoint of a training run: it holds a {type(state).__name__}.")
    if not isinstance(state.get("recipe", {}), dict):
        raise TrainingError(f"'{path}' is no checkpoint of a training run: its recipe is no table.")
    if missing := [key for key in _KEYS if key not in state]:
        raise TrainingError(f"'{path}' is no checkpoint of a training run: it has no {', '.join(missing)}.")
    return state


def save_weights(path: Path, network: torch.nn.Module) -> None:
    """The network's parameters and buffers as safetensors, float32; what was at `path` before is replaced in one step.

    The file says which network it is, for `siamtrack.models.checkpoints.read_checkpoint`.

    Raises:
        TrainingError: it cannot be written.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    which = described(network)
    temporary = path.with_name(f".{path.name}")
    try:
        save_file(tensors, temporary, which)
        temporary.replace(path)
    except Exception as error:  # safetensors has an error of its own for a full disk
        temporary.unlink(missing_ok=True)
        raise TrainingError(f"The weights '{path}' cannot be written: {error}.") from error
