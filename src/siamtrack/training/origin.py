"""What a run began with, which it must go on with: recipe, data, and the networks it was given."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from siamtrack.errors import OutputError, SettingsError, TrainingError
from siamtrack.models.siamfc import SiamFC, SiamFCNetworkSettings
from siamtrack.settings import from_mapping, read_toml
from siamtrack.training.checkpoint import last_checkpoint, load_checkpoint
from siamtrack.training.recipe import Recipe
from siamtrack.training.sources import TrainingData
from siamtrack.training.teacher import check_teacher, digest

RUN_RECIPE = "recipe.toml"


def origin_of(recipe: Recipe, data: TrainingData, teacher: SiamFC | None, initial: SiamFC | None) -> dict[str, Any]:
    """All that decides what a run learns, in a form that a checkpoint can hold."""
    return {"recipe": asdict(recipe), "data": data.digest(), "teacher": digest(teacher), "initial": digest(initial)}


def check_networks(recipe: Recipe, teacher: SiamFC | None, initial: SiamFC | None) -> None:
    """Whether a run with this recipe can use these networks.

    Raises:
        SettingsError: see `check_teacher`; or the initial network has another shape, or no batch norm to train.
    """
    check_teacher(teacher, recipe)
    if initial is None:
        if recipe.batch_norm == "frozen":
            raise SettingsError(
                "batch_norm is 'frozen', which keeps what a run starts with; begin with a network, such as --from siamfc."
            )
        return
    with torch.device("meta"):  # shapes alone
        wanted = {name: value.shape for name, value in SiamFC(recipe.network).state_dict().items()}
    if {name: value.shape for name, value in initial.state_dict().items()} != wanted:
        raise SettingsError(
            f"The network to start with has the width {initial.settings.width:g}, the recipe's {recipe.network.width:g}; give "
            "another network or set network.width."
        )
    if recipe.batch_norm == "train" and _is_folded(initial):
        raise SettingsError(
            "The network to start with has its batch norm folded into the convolutions, as model folders have; training it "
            "again would undo that. Add --set batch_norm=frozen."
        )


def _is_folded(network: SiamFC) -> bool:
    norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    return all(m.running_mean is not None and not m.running_mean.any() and bool((m.weight == 1).all()) for m in norms)


def begin_or_go_on(run: Path, origin: Mapping[str, Any], *, write: bool) -> dict[str, Any] | None:
    """The state of the run's last checkpoint; None for a new run, whose recipe is written into its folder.

    Args:
        run: the run's folder.
        origin: from `origin_of`.
        write: whether this process writes.

    Raises:
        TrainingError: the run began with something else, its last checkpoint is damaged, or the folder cannot be made.
        OutputError: the folder holds something else.
    """
    path = last_checkpoint(run)
    if path is not None:
        state = load_checkpoint(path)
        _check_origin(run, state, origin)
        return state
    if write:
        _check_free(run)
        try:
            run.mkdir(parents=True, exist_ok=True)
            _write_recipe(run / RUN_RECIPE, origin["recipe"])
        except OSError as error:
            raise TrainingError(f"The run's folder '{run}' cannot be written: {error.strerror}.") from None
    return None


@contextlib.contextmanager
def alone(run: Path) -> Iterator[None]:
    """The run's folder for this process alone; a lock that a killed process leaves counts for nothing.

    Raises:
        OutputError: another process trains in it.
    """
    try:
        with FileLock(run / ".lock", timeout=0):
            yield
    except Timeout:
        raise OutputError(f"Another process is training in '{run}' now; wait for it, or give another folder.") from None


def _check_free(run: Path) -> None:
    """Refuses a folder that holds something, but not a run."""
    foreign = sorted(path.name for path in run.iterdir() if not path.name.startswith(".")) if run.is_dir() else []
    if foreign and RUN_RECIPE not in foreign:
        raise OutputError(f"'{run}' holds something else ({', '.join(foreign[:3])}); give a new folder for the run.")


def trained_with(run: Path) -> tuple[SiamFCNetworkSettings, float]:
    """Settings of the network and context of a run, from its recipe.

    Raises:
        SettingsError: the recipe is missing or is no recipe.
    """
    recipe = from_mapping(Recipe, read_toml(run / RUN_RECIPE), where=str(run / RUN_RECIPE))
    return recipe.network, recipe.context


def _write_recipe(path: Path, settings: Mapping[str, Any]) -> None:
    import tomli_w

    given = {name: value for name, value in settings.items() if value is not None}  # TOML has no word for none
    text = tomli_w.dumps(given)
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise TrainingError(f"There is another '{path}', and no run that it belongs to; give another folder for the run.")
    path.write_text(text, encoding="utf-8")


def _check_origin(run: Path, state: Mapping[str, Any], origin: Mapping[str, Any]) -> None:
    """Refuses to go on with anything but what the run began with."""
    old, new = state["recipe"], origin["recipe"]
    if old != new:
        changed = [key for key in {**old, **new} if old.get(key) != new.get(key)]
        raise TrainingError(
            f"The run in '{run}' was started with other settings ({', '.join(changed)}); "
            "give its own recipe to go on with it, or another folder to start anew."
        )
    kinds = {"data": "other data", "teacher": "another teacher, or none", "initial": "another network, or none"}
    for key, found in kinds.items():
        if state.get(key) != origin[key]:
            raise TrainingError(
                f"The run in '{run}' was started with {found}; give its own to go on with it, or another folder to start anew."
            )
