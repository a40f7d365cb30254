"""The trackers that experiments compare: models by name or folder, training runs, and networks that were just trained."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from siamtrack.errors import WeightsError
from siamtrack.library import model_names, open_model, settings_of
from siamtrack.model_folder import WEIGHTS, hash_of
from siamtrack.models.siamfc import SiamFC
from siamtrack.runtimes.torch import TorchNetwork
from siamtrack.trackers.siamfc import SiamFCSettings, SiamFCTracker
from siamtrack.tracking import Tracker
from siamtrack.training.checkpoint import RUN_WEIGHTS
from siamtrack.training.origin import RUN_RECIPE, trained_in

RUN = "run"  # the folder of the training run within that of an experiment
ONE_SCALE = ("scales=1",)  # the preset siamfc-1s: the thesis's, for targets whose size does not change


class Opened(NamedTuple):
    """A tracker, its settings, and what its weights are."""

    tracker: Tracker[Any]
    settings: dict[str, Any]  # of the tracking procedure
    sha256: str  # of the file of weights


def tracker_of(network: SiamFC, *, context: float, device: str) -> SiamFCTracker:
    """A tracker of one scale around a network as training gives it.

    Args:
        network: the network.
        context: margin around the target that it was trained with.
        device: as for training; "auto" is the CPU here, as a few short videos need no more.
    """
    sizes = network.settings
    settings = SiamFCSettings(template_size=sizes.template_size, search_size=sizes.search_size, context=context, scales=1)
    return SiamFCTracker(TorchNetwork(network, device="cpu" if device == "auto" else device), settings)


def open_tracker(name: str, *, device: str = "cpu") -> Opened:
    """A tracker of one scale by the name of a model, a model folder, the folder of a training run, or of `thesis-1`.

    Args:
        name: which one.
        device: for runs, see `tracker_of`; models run on OpenVINO.

    Raises:
        ModelError: no such model or folder, one that is incomplete, a run that is not finished, or another network than SiamFC.
    """
    names = model_names()
    if name not in names and is_run(Path(name)):
        return open_run(Path(name), device=device)
    settings = settings_of(name)
    if "scales" not in settings:
        raise WeightsError(f"The model '{name}' does not search at scales; this experiment compares networks of siamfc.")
    folder = names[name].folder if name in names else Path(name)
    return Opened(open_model(name, overrides=ONE_SCALE), settings | {"scales": 1}, hash_of(folder / WEIGHTS))


def is_run(folder: Path) -> bool:
    """Whether a folder is that of a training run, or holds one as that of an experiment does."""
    return any((place / RUN_RECIPE).is_file() for place in (folder, folder / RUN))


def open_run(folder: Path, *, device: str = "cpu") -> Opened:
    """A tracker of one scale around what a run, or the experiment `thesis-1`, has trained.

    Raises:
        WeightsError: the folder is no training run, or one that is not finished.
    """
    run = folder / RUN if (folder / RUN / RUN_RECIPE).is_file() else folder
    if not (run / RUN_RECIPE).is_file():
        raise WeightsError(
            f"'{folder}' is no training run: it has no {RUN_RECIPE}. Give the folder of a finished run, or of 'siamtrack "
            "experiment thesis-1'."
        )
    network, recipe = trained_in(run)
    if not isinstance(network, SiamFC):
        raise WeightsError(f"The run '{run}' trained the model {recipe.model}; this experiment compares networks of siamfc.")
    tracker = tracker_of(network, context=recipe.context, device=device)
    return Opened(tracker, asdict(tracker.settings), hash_of(run / RUN_WEIGHTS))
