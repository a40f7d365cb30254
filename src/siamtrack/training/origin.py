"""What a run began with, which it must go on with: recipe, data, and the networks it was given."""

from __future__ import annotations

import contextlib
import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from siamtrack.errors import OutputError, SettingsError, TrainingError, WeightsError
from siamtrack.layers.folding import is_unfolded
from siamtrack.models.backbone_weights import imagenet_state, is_published
from siamtrack.models.kinds import kind_of, model_kind
from siamtrack.settings import from_mapping, read_toml
from siamtrack.training.checkpoint import RUN_WEIGHTS, last_checkpoint, load_checkpoint
from siamtrack.training.parameters import entry_of, first_epoch_of
from siamtrack.training.recipe import Recipe
from siamtrack.training.sources import HELD_OUT, TrainingData
from siamtrack.training.teacher import check_teacher, digest

RUN_RECIPE = "recipe.toml"


def origin_of(
    recipe: Recipe,
    data: TrainingData,
    teacher: nn.Module | None,
    initial: nn.Module | None,
    backbone: nn.Module | None = None,
) -> dict[str, Any]:
    """All that decides what a run learns, in a form that a checkpoint can hold; `backbone` where it has ImageNet weights."""
    networks = {"teacher": teacher, "initial": initial, "backbone": backbone}
    return {"recipe": asdict(recipe), "data": data.digest()} | {name: digest(found) for name, found in networks.items()}


def check_networks(
    recipe: Recipe,
    teacher: nn.Module | None,
    initial: nn.Module | None,
    imagenet: Mapping[str, Tensor] | None = None,
    *,
    goes_on: bool = False,
) -> None:
    """Whether a run with this recipe can use these networks, and these ImageNet weights for its backbone.

    Args:
        recipe: of the run.
        teacher: see `siamtrack.training.loop.train`.
        initial: see there.
        imagenet: see there.
        goes_on: the run has a checkpoint, in which the weights from ImageNet are that it began with.

    Raises:
        SettingsError: see `check_teacher`; or the initial network has another shape, or no batch norm to train; or the backbone
            is none that ImageNet weights are read for, or would begin with something else as well; or something would begin at
            random and never learn.
        WeightsError: the ImageNet weights are not those of the backbone.
    """
    check_teacher(teacher, recipe)
    if imagenet is not None:
        _check_imagenet(recipe, initial, imagenet)
    if initial is not None:
        _check_initial(recipe, initial)
    elif recipe.batch_norm == "frozen":
        raise SettingsError(
            "batch_norm is 'frozen', which keeps what a run starts with; begin with a network, such as --from siamfc."
        )
    if not goes_on:
        _check_learns(recipe, initial, imagenet)


def _check_initial(recipe: Recipe, initial: nn.Module) -> None:
    if not isinstance(initial.settings, recipe.kind.settings):
        raise SettingsError(
            f"The network to start with is a {kind_of(initial)}, and the recipe trains the model {recipe.model}; "
            "give a network of that, or set model."
        )
    with torch.device("meta"):  # shapes alone
        wanted = {name: value.shape for name, value in recipe.kind.build(recipe.network).state_dict().items()}
    found = {name: value.shape for name, value in initial.state_dict().items()}
    found = {name: shape for name, shape in wanted.items() if name.startswith(recipe.kind.later)} | found
    gains = {getattr(settings, "gain", 1.0) for settings in (initial.settings, recipe.network)}
    if found != wanted or ("gain" not in found and len(gains) > 1):  # SiamFC's is a buffer, and comes along
        raise SettingsError(
            f"The network to start with has {_differences(initial.settings, recipe.network)}; give another network or set the "
            "recipe's [network]."
        )
    if recipe.batch_norm == "train" and _is_folded(initial, lambda name: math.isfinite(first_epoch_of(recipe, name))):
        raise SettingsError(
            "The network to start with has its batch norm folded into the convolutions, as model folders have; training it "
            "again would undo that. Add --set batch_norm=frozen."
        )


def idle_at_random(recipe: Recipe, initial: nn.Module | None, imagenet: Mapping[str, Tensor] | None) -> dict[str, float]:
    """Entries of `first_epoch` that leave random kernels as they are, with the epoch from which on they learn; inf: never.

    Norms and biases do not count: what they begin with is not random.
    """
    if not any(recipe.first_epoch.values()):
        return {}
    with torch.device("meta"):
        parameters = dict(recipe.kind.build(recipe.network).named_parameters())
    given = set() if initial is None else set(initial.state_dict())
    if imagenet is not None:
        given |= {name for name in parameters if name.startswith("backbone.")}
    drawn = [name for name, value in parameters.items() if value.ndim > 1 and name not in given]
    found = {entry_of(recipe.first_epoch, name) for name in drawn}
    return {prefix: epoch for prefix, epoch in recipe.first_epoch.items() if prefix in found and epoch > 0}


def _check_learns(recipe: Recipe, initial: nn.Module | None, imagenet: Mapping[str, Tensor] | None) -> None:
    never = [prefix for prefix, epoch in idle_at_random(recipe, initial, imagenet).items() if math.isinf(epoch)]
    if not never:
        return
    with torch.device("meta"):
        from_imagenet = is_published(recipe.kind.build(recipe.network))
    of_backbone = all(prefix.split(".")[0] == "backbone" for prefix in never)
    ways = "--backbone FILE with weights from ImageNet, or --from MODEL" if from_imagenet and of_backbone else "--from MODEL"
    raise SettingsError(
        f"The run would begin with random kernels in {', '.join(never)}, which never learn: first_epoch is inf. Give {ways}; "
        "or let everything learn from the start: --set 'first_epoch={}'."
    )


def _check_imagenet(recipe: Recipe, initial: nn.Module | None, imagenet: Mapping[str, Tensor]) -> None:
    if initial is not None:
        raise SettingsError("A run begins with a network or with an ImageNet backbone; give --from or --backbone, not both.")
    with torch.device("meta"):
        network = recipe.kind.build(recipe.network)
    imagenet_state(network, imagenet)


def _differences(found: Any, wanted: Any) -> str:
    """The settings in which two networks differ."""
    pairs = ((name, value, getattr(wanted, name)) for name, value in vars(found).items())
    return ", ".join(f"{name} {a}, the recipe's {b}" for name, a, b in pairs if a != b) or "other parameters than the recipe's"


def _is_folded(network: nn.Module, learns: Callable[[str], bool]) -> bool:
    """Whether a batch norm that is to learn is folded; that is told by its name."""
    norms = ((name, m) for name, m in network.named_modules() if isinstance(m, torch.nn.BatchNorm2d))
    return any(is_unfolded(m) and learns(name) for name, m in norms)


def begin_or_go_on(run: Path, origin: Mapping[str, Any], *, write: bool) -> dict[str, Any] | None:
    """The state of the run's last checkpoint; None for a new run, whose recipe is written into its folder.

    Args:
        run: the run's folder.
        origin: from `origin_of`; without ImageNet weights it goes on with whatever the run's backbone began with.
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


def trained_in(run: Path) -> tuple[Any, Recipe]:
    """The network that a finished run gave, in eval mode, and its recipe.

    Raises:
        WeightsError: the folder is no run, the run is not finished, or its weights are not those of its recipe's network.
        SettingsError: its recipe is none.
    """
    if not (run / RUN_RECIPE).is_file():
        raise WeightsError(f"'{run}' is no folder of a run: it has no {RUN_RECIPE}. Give such a folder, or a checkpoint file.")
    if not (run / RUN_WEIGHTS).is_file():
        raise WeightsError(f"The run '{run}' has no {RUN_WEIGHTS}: it is not finished. Let 'siamtrack train' go on with it.")
    recipe = from_mapping(Recipe, read_toml(run / RUN_RECIPE), where=str(run / RUN_RECIPE))
    network = recipe.kind.build(recipe.network)
    try:
        network.load_state_dict(load_file(run / RUN_WEIGHTS))
    except (RuntimeError, OSError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise WeightsError(f"'{run / RUN_WEIGHTS}' does not hold the network of '{run / RUN_RECIPE}': {reason}") from None
    return network.eval(), recipe


def _write_recipe(path: Path, settings: Mapping[str, Any]) -> None:
    import tomli_w

    if path.exists():  # maybe written when there were fewer settings
        if asdict(from_mapping(Recipe, read_toml(path), where=str(path))) != settings:
            raise TrainingError(
                f"There is another '{path}', of a run that was stopped before it had learnt anything; remove "
                f"'{path.parent}', or give another folder for the run."
            )
        return
    given = {name: value for name, value in settings.items() if value is not None}  # TOML has no word for none
    path.write_text(tomli_w.dumps(given), encoding="utf-8")


def _check_origin(run: Path, state: Mapping[str, Any], origin: Mapping[str, Any]) -> None:
    """Refuses to go on with anything but what the run began with."""
    new = origin["recipe"]
    defaults = asdict(Recipe())
    kind = model_kind(state["recipe"].get("model", defaults["model"]))
    old = _completed(state["recipe"], defaults | {"network": asdict(kind.settings())})
    if old != new:
        changed = [key for key in {**old, **new} if old.get(key) != new.get(key)]
        raise TrainingError(
            f"The run in '{run}' was started with other settings ({', '.join(changed)}); "
            "give its own recipe to go on with it, or another folder to start anew."
        )
    kinds = {"data": "other data", "teacher": "another teacher, or none", "initial": "another network, or none"}
    if origin["backbone"]:  # or else they are in the checkpoint
        kinds["backbone"] = "other ImageNet weights, or none"
    for key, found in kinds.items():
        same = _same_data if key == "data" else operator.eq
        if not same(state.get(key), origin[key]):
            raise TrainingError(
                f"The run in '{run}' was started with {found}; give its own to go on with it, or another folder to start anew."
            )


def _completed(old: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a checkpoint, and the defaults of those that were not there yet when it was written."""
    found = {**defaults, **old}
    tables = (key for key, default in defaults.items() if isinstance(default, Mapping) and isinstance(found[key], Mapping))
    return found | {key: _completed(found[key], defaults[key]) for key in tables}


def _same_data(old: Any, new: Sequence[str]) -> bool:
    """Whether these are the data of a checkpoint; one from before held-out scenes counted tells a world's others alone."""
    if not isinstance(old, list) or len(old) != len(new):
        return False
    return all(then in (now, now.partition(HELD_OUT)[0]) for then, now in zip(old, new, strict=True))
