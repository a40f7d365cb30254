"""What every network has to pass beyond its own tests: several targets, a stop of its small recipe, input that is absurd."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from every_network import NETWORKS, has_rpn_head, network_of, recipe_with
from numpy.typing import NDArray
from training_runs import parameters, rows, same, stop_after

from siamtrack.box import Box
from siamtrack.errors import SettingsError
from siamtrack.library import tracker_around
from siamtrack.models.kinds import model_kind
from siamtrack.runtimes.torch import torch_network
from siamtrack.settings import from_mapping
from siamtrack.synthetic.scene import Scene
from siamtrack.tracking import Maps, MaskNetwork, Network, Prediction, Tracker
from siamtrack.training.checkpoint import last_checkpoint, load_checkpoint
from siamtrack.training.loop import train
from siamtrack.training.recipe import Recipe
from siamtrack.training.recipes import read_recipe
from siamtrack.training.sources import TrainingData, WorldData

SMALL_RECIPES = {
    "siamfc": "siamfc-modern",
    "siamrpn": "siamrpn-small",
    "siamrpnpp": "siamrpnpp-small",
    "siamdw": "siamdw-small",
    "nanotrack": "nanotrack-small",
    "siammask": "siammask-resnet18",
}
"""By kind; SiamFC's nearest to the others is that for annotated videos."""
RELEASED = {"siamrpnpp-resnet18": "backbone", "siamdw-CIResNet22-rpn": "backbone.layer1"}
"""The part of a deep network that begins to learn with the second epoch."""

Array = NDArray[np.float32]
every_network = pytest.mark.parametrize("name", NETWORKS)
HEADS = (
    "siamfc",
    "siamrpn-up-channel",
    "siamrpn-depthwise",
    "siamrpnpp-resnet18",
    "nanotrack",
    "nanotrack-masks",
    "siammask",
    "siamdw-CIResNet22",
    "siamdw-CIResNet22-rpn",
)
every_head = pytest.mark.parametrize("name", HEADS)


def tracker_of(name: str, spoil: Callable[[Array], Array] | None = None, **changes: Any) -> Tracker[Any]:
    """A tracker around `network_of` that name, whose answers may be spoilt."""
    network = network_of(name)
    computed: Network = torch_network(network)
    spoilt = SpoiltMasks if hasattr(computed, "masks") else Spoilt
    procedure, implied = model_kind(NETWORKS[name][0]).procedure(network.settings)
    return tracker_around(spoilt(computed, spoil) if spoil else computed, procedure, dict(implied) | changes)


# Several targets


@every_network
def test_three_targets_in_one_call_are_each_alone(name: str) -> None:
    """Scores tell the three from one another, and boxes move, or a mix-up would not be seen.

    Each frame begins with the same states: a last bit that differs may change a pixel of the next patch by a grey level.
    """
    tracker = tracker_of(name)
    scene = Scene(200, 150, objects=3)
    boxes = [scene.box(number, 0) for number in range(3)]
    states, alone = tracker.start(scene.image(0), boxes), [tracker.start(scene.image(0), [box])[0] for box in boxes]
    for frame in (1, 2, 3):
        before = alone if frame == 1 else states
        states, together = tracker.step(scene.image(frame), states)
        scores = sorted(prediction.score for prediction in together)
        assert np.isfinite(scores).all()
        assert np.diff(scores).min() > 5e-4 * scores[-1]
        for state, prediction in zip(before, together, strict=True):
            _, (single,) = tracker.step(scene.image(frame), [state])
            assert np.abs(np.subtract(prediction.box, single.box)).max() < 1e-3
            assert prediction.score == pytest.approx(single.score, rel=1e-4)
            assert (prediction.mask is None) == (single.mask is None)
            if prediction.mask is not None and single.mask is not None:
                union = (prediction.mask | single.mask).sum()
                assert (prediction.mask & single.mask).sum() > 0.9 * union  # of random logits, many lie at the threshold
    moved = np.subtract([prediction.box.center for prediction in together], [box.center for box in boxes])
    assert np.hypot(*moved.T).max() > 1


# Training


def small_recipe(name: str) -> Recipe:
    """The small recipe of its kind, cut to two epochs of two steps."""
    recipe = read_recipe(SMALL_RECIPES[NETWORKS[name][0]])
    cut = {"epochs": 2, "pairs_per_epoch": 8, "batch_size": 4, "validation_pairs": 4, "search_size": 159}
    return recipe_with(recipe, name, checkpoint_steps=1, log_steps=1, **cut)


def state_of(run: Path) -> dict[str, Any]:
    path = last_checkpoint(run)
    assert path is not None
    return load_checkpoint(path)


def assert_same_state(found: Any, expected: Any, where: str = "state") -> None:
    """Down to the last bit, and to the last key."""
    if isinstance(expected, Mapping):
        assert found.keys() == expected.keys(), where
        for key, value in expected.items():
            assert_same_state(found[key], value, f"{where}.{key}")
    elif isinstance(expected, torch.Tensor):
        assert torch.equal(found, expected), where
    else:
        assert found == expected, where


def assert_goes_on_exactly(folder: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch, stop: int) -> None:
    """A run at once, and one that is stopped after so many of its four steps: all that a checkpoint holds is the same."""
    data = TrainingData(world=WorldData())
    train(recipe, data, folder / "whole", workers=0)
    with monkeypatch.context() as patch:
        stop_after(patch, stop)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, data, folder / "stopped", workers=0)
    assert state_of(folder / "stopped")["step"] == stop
    train(recipe, data, folder / "stopped", workers=0)
    assert state_of(folder / "whole")["step"] == 4
    assert_same_state(state_of(folder / "stopped"), state_of(folder / "whole"))
    assert same(parameters(folder / "stopped"), parameters(folder / "whole"))
    log = rows(folder / "whole", "step", "loss", "gradient_norm", "validation_loss")
    assert rows(folder / "stopped", *log[0]) == log
    assert all(math.isfinite(float(value)) for row in log for value in row.values() if value)  # validation ends epochs
    assert [bool(row["validation_loss"]) for row in log] == [False, True] * 2


@pytest.mark.slow
@every_network
def test_two_epochs_of_the_small_recipe_go_on_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """In bfloat16, with a moving average, from drawn worlds: what tests of kinds with short recipes leave out."""
    assert_goes_on_exactly(tmp_path, small_recipe(name), monkeypatch, stop=3)


@pytest.mark.slow
@pytest.mark.parametrize("name", RELEASED)
@pytest.mark.parametrize("stop", [1, 2])
def test_a_stop_before_a_backbone_is_released_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, stop: int
) -> None:
    """It stays as it began for two steps, and then learns at a tenth of the rate."""
    recipe = replace(small_recipe(name), first_epoch={RELEASED[name]: 1.0}, rate_factor={"backbone": 0.1})
    assert_goes_on_exactly(tmp_path, recipe, monkeypatch, stop)
    torch.manual_seed(recipe.seed)
    first = recipe.kind.build(recipe.network).state_dict()
    second, last = (load_checkpoint(tmp_path / "whole" / "checkpoints" / f"step-{step:09d}.pt")["learner"] for step in (2, 4))
    kernels = [key for key, value in first.items() if key.startswith(RELEASED[name]) and value.ndim == 4]
    assert kernels
    assert all(torch.equal(second[key], first[key]) for key in first if key.startswith(RELEASED[name]))
    assert not any(torch.equal(last[key], first[key]) for key in kernels)


# Absurd input


FRAME = np.random.default_rng(0).integers(0, 256, (96, 128, 3)).astype(np.uint8)


class Spoilt:
    """A network whose every answer is replaced."""

    def __init__(self, network: Network, spoil: Callable[[Array], Array]) -> None:
        self.network = network
        self.spoil = spoil

    def embed(self, patches: NDArray[np.uint8]) -> Array:
        return self.network.embed(patches)

    def match(self, templates: Array, patches: NDArray[np.uint8]) -> Maps:
        return tuple(self.spoil(values) for values in self.network.match(templates, patches))


class SpoiltMasks(Spoilt):
    """One that gives masks."""

    def masks(self, cells: Array, *windows: Array) -> Array:
        return self.spoil(cast(MaskNetwork, self.network).masks(cells, *windows))


def followed(tracker: Tracker[Any], box: Box, frames: int = 3) -> list[Prediction]:
    """Through frames that are all the same; every box is finite, with its centre in the frame."""
    states, found = tracker.start(FRAME, [box]), []
    for _ in range(frames):
        states, (prediction,) = tracker.step(FRAME, states)
        assert np.isfinite(prediction.box).all()
        assert np.isfinite([*states[0].center, *states[0].size]).all()
        assert prediction.mask is None or prediction.mask.shape == FRAME.shape[:2]
        x, y = prediction.box.center
        assert 0 <= x <= 128
        assert 0 <= y <= 96
        found.append(prediction)
    return found


@every_head
@pytest.mark.parametrize("box", [Box(60, 40, 0.5, 0.4), Box(127, 95, 3, 2), Box(-40, -20, 100, 200), Box(0, 0, 128, 96)])
def test_targets_of_a_few_pixels_and_larger_than_the_frame(name: str, box: Box) -> None:
    assert all(math.isfinite(prediction.score) for prediction in followed(tracker_of(name), box))


SPOILT: dict[str, Callable[[Array], Array]] = {
    "nan": lambda values: np.full_like(values, np.nan),
    "infinite": lambda values: np.full_like(values, np.inf),
    "a bit of everything": lambda values: np.resize(np.array([np.nan, np.inf, -np.inf], np.float32), values.shape),
}


@every_head
@pytest.mark.parametrize("kind", SPOILT)
def test_answers_that_are_no_numbers_leave_the_state_finite_and_are_told(name: str, kind: str) -> None:
    for prediction in followed(tracker_of(name, SPOILT[kind]), Box(50, 40, 30, 20)):
        assert math.isnan(prediction.score)
        assert prediction.box == pytest.approx((50, 40, 30, 20))


@pytest.mark.parametrize("name", [name for name in HEADS if has_rpn_head(name)])
@pytest.mark.parametrize(("target", "value"), [(True, np.inf), (True, -np.inf), (False, np.inf), (False, -np.inf)])
def test_infinity_is_no_certainty(name: str, target: bool, value: float) -> None:
    """Where one of the two classes is infinite, the score is no number, and another cell is taken, or none."""

    def spoilt(values: Array, value: float, cells: slice) -> Array:
        values, half = values.copy(), values.shape[2] // 2
        if values.shape[2] in (2, 10):  # cls, as (2, A): not the target, the target
            values[:, :, half:, cells, cells] = value if target else values[:, :, half:, cells, cells]
            values[:, :, :half, cells, cells] = values[:, :, :half, cells, cells] if target else value
        return values

    box, middle = Box(50, 40, 30, 20), slice(1, -1)
    for prediction in followed(tracker_of(name, lambda values: spoilt(values, value, slice(None))), box):
        assert prediction.box == pytest.approx(box)
        assert math.isnan(prediction.score)
    found, expected = (followed(tracker_of(name, lambda v, x=x: spoilt(v, x, middle)), box) for x in (value, np.nan))  # type: ignore[misc]
    assert [(p.box, p.score) for p in found] == [(p.box, p.score) for p in expected]
    assert all(math.isfinite(p.score) for p in found)


@pytest.mark.parametrize("name", ["siamrpn-up-channel", "siamrpnpp-resnet18", "siamdw-CIResNet22-rpn"])
def test_boxes_of_infinite_width_are_left_out(name: str) -> None:
    """All of them are: the target keeps its box, and no score is made up."""

    def widened(values: Array) -> Array:
        values = values.copy()
        if values.shape[2] == 20:  # loc, as (4, A): dx, dy, dw, dh
            values[:, :, 10:15] = 1e4
        return values

    for prediction in followed(tracker_of(name, widened), Box(50, 40, 30, 20)):
        assert prediction.box == pytest.approx((50, 40, 30, 20))
        assert math.isnan(prediction.score)


@every_network
def test_search_sizes_below_the_template_are_refused_and_others_work(name: str) -> None:
    """Larger and smaller than the network was built for, with what is left over by the strides, and just the template's."""
    model, network = NETWORKS[name]
    kind = model_kind(model)
    with pytest.raises(SettingsError, match="126"):
        from_mapping(kind.settings, network | {"search_size": 126}, where=name)
    with pytest.raises(SettingsError, match="search_size is 126; expected 127"):
        tracker_of(name, search_size=126)
    for size in (127, 138, 159):
        assert all(math.isfinite(p.score) for p in followed(tracker_of(name, search_size=size), Box(50, 40, 30, 20), frames=1))
