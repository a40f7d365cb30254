"""What every model costs: parameters, multiply-adds, and milliseconds a frame on every runtime, side by side in one run.

Embedded models are measured as they are, published networks with random weights. Targets are held where they were put, so that
what a network says, trained or not, moves no window and changes no cost.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from siamtrack.bench import DEFAULT, installed_trackers, sides_of
from siamtrack.box import Box
from siamtrack.errors import SettingsError, nearest
from siamtrack.experiments.following import Watch, unwatched
from siamtrack.experiments.report import Cell, Table
from siamtrack.export.untrained import Untrained, export_untrained, published_without_weights
from siamtrack.frames import Frame
from siamtrack.image import Image
from siamtrack.library import model_names
from siamtrack.model_folder import WEIGHTS, read_model_folder
from siamtrack.models.kinds import read_folded
from siamtrack.models.operations import multiply_adds, parameter_count
from siamtrack.stages import UNTIMED, Timing, measure
from siamtrack.synthetic.scene import Scene
from siamtrack.tracking import Prediction

EAGER = "torch float32"
RUNTIMES = (EAGER, "onnx float32", "openvino float32", DEFAULT, "openvino int8")


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one network costs with one target.

    Attributes:
        names: of the models that have it.
        parameters: numbers that it has learnt, batch norm folded in.
        template: multiply-adds of the template, once a target.
        frame: multiply-adds of all search patches of a frame.
        timings: by runtime and precision; those of `RUNTIMES` that there are.
    """

    names: tuple[str, ...]
    parameters: int
    template: int
    frame: int
    timings: Mapping[str, Timing]

    def times_as_fast(self) -> tuple[float, float]:
        """How many times as fast the default is as eager PyTorch: the network alone, and the whole step."""
        slow, fast = self.timings[EAGER], self.timings[DEFAULT]
        return slow.median("network") / fast.median("network"), slow.tracker / fast.tracker


def costs(
    pattern: str = "*", *, frames: int, size: str, threads: int | None = None, watch: Watch = unwatched
) -> Iterator[Cost]:
    """Measures the models, one after the other; all runtimes of a model take turns on every frame.

    Args:
        pattern: which ones, as a shell would take it: "siamrpn*"; capitals do not count.
        frames: how many are timed.
        size: of the rendered frames, "WIDTHxHEIGHT".
        threads: as for `open_model`.
        watch: see `siamtrack.experiments.following.Watch`.

    Raises:
        SettingsError: no model has such a name, or the size is not WIDTHxHEIGHT.
    """
    scene = Scene(*sides_of(size), objects=1)
    for names, untrained in _chosen(pattern):
        with tempfile.TemporaryDirectory() as temporary:
            model: str | Path = names[0]
            if untrained is not None:
                model = Path(temporary) / "model"
                export_untrained(untrained, model)
            shown = watch(scene.frames(frames + UNTIMED), frames + UNTIMED, names[0])
            cost = _cost_of(model, installed_trackers(model, threads, ()), scene, shown)
        yield replace(cost, names=names)


def table_of(measured: Sequence[Cost]) -> Table:
    """A row a model: millions of parameters, GMAC, milliseconds a frame, and how many times as fast the default is."""
    runtimes = [name for name in RUNTIMES if any(name in cost.timings for cost in measured)]
    columns = {"model": 0, "parameters, M": 2, "GMAC template": 3, "GMAC frame": 3}
    columns |= {f"{name} {part}": 2 for name in runtimes for part in ("network", "step")}
    columns |= {"times as fast network": 1, "times as fast step": 1}
    rows = []
    for cost in measured:
        numbers: list[Cell] = [cost.parameters / 1e6, cost.template / 1e9, cost.frame / 1e9]
        for timing in map(cost.timings.get, runtimes):
            numbers += [None, None] if timing is None else [timing.median("network"), timing.tracker]
        numbers += cost.times_as_fast()
        rows += [[name, *numbers] for name in cost.names]
    return Table(columns, rows)


def notes_on(measured: Sequence[Cost]) -> list[str]:
    """What the numbers of the table mean, and which of them were measured once for several models."""
    frames = measured[0].timings[DEFAULT].frames
    notes = [
        "GMAC: 1e9 multiply-adds of convolutions and matrix products, of the template and of all search patches of a frame.",
        f"network, step: milliseconds a frame, medians over {frames} frames, one target; the runtimes of a model take turns on "
        "every frame. A step is the network, what is cut for it, and what is decided after it, without reading the video.",
        f"times as fast: {DEFAULT} against {EAGER}.",
    ]
    shared = [", ".join(cost.names) for cost in measured if len(cost.names) > 1]
    return notes + [f"Measured once, as they have the same network: {names}." for names in shared]


class HeldTracker:
    """A tracker whose targets stay where they were put."""

    def __init__(self, tracker: Any) -> None:
        self._tracker = tracker
        self.network = tracker.network

    def start(self, frame: Image, boxes: Sequence[Box]) -> list[Any]:
        """See `Tracker.start`."""
        states: list[Any] = self._tracker.start(frame, boxes)
        return states

    def step(self, frame: Image, states: Sequence[Any]) -> tuple[list[Any], list[Prediction]]:
        """See `Tracker.step`; the states come back as they were."""
        tracker = copy.copy(self._tracker)
        tracker.network = self.network  # that `measure` may have put there
        return list(states), tracker.step(frame, states)[1]


def _chosen(pattern: str) -> list[tuple[tuple[str, ...], Untrained | None]]:
    """The models that are meant, those with the same published network together; None: an embedded one."""
    everything: list[tuple[tuple[str, ...], Untrained | None]] = [((name,), None) for name in model_names()]
    everything += [(untrained.names, untrained) for untrained in published_without_weights()]
    chosen = [
        (tuple(name for name in names if fnmatchcase(name.lower(), pattern.lower())), untrained)
        for names, untrained in everything
    ]
    if not any(names for names, _ in chosen):
        known = [name for names, _ in everything for name in names]
        raise SettingsError(f"No model has a name like '{pattern}'. {nearest(pattern, known)}")
    return [(names, untrained) for names, untrained in chosen if names]


def _cost_of(model: str | Path, found: Mapping[str, Any], scene: Scene, frames: Iterable[Frame]) -> Cost:
    """Of a model, by its name or folder, on the runtimes that were found; the frames are those of the scene."""
    folder = read_model_folder(model if isinstance(model, Path) else model_names()[model].folder)
    network = read_folded(folder.description.model, folder.path / WEIGHTS, folder.description.network)
    template, frame = _counted(found[EAGER], scene.image(0), scene.box(0, 0))
    trackers = {name: HeldTracker(found[name]) for name in RUNTIMES if name in found}
    return Cost(
        names=(folder.description.name,),
        parameters=parameter_count(network),
        template=template,
        frame=frame,
        timings=measure(trackers, frames, [scene.box(0, 0)]),
    )


def _counted(tracker: Any, image: Image, box: Box) -> tuple[int, int]:
    """Multiply-adds of a template, and of a frame, with the patches that the tracker really cuts."""
    states = tracker.start(image, [box])
    side = tracker.settings.template_size
    template = multiply_adds(lambda: tracker.network.embed(np.zeros((1, side, side, 3), np.uint8)))
    return template, multiply_adds(lambda: tracker.step(image, states))
