"""Pairs of worlds painted by PyTorch: they are those that OpenCV paints, alone or in a batch, and a run can train on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from training_runs import RECIPE, draw_pictures, parameters, same, stop_after

from siamtrack.datasets.crops import CropSettings
from siamtrack.errors import SettingsError
from siamtrack.image import Image
from siamtrack.pair import Pair
from siamtrack.synthetic.drawing import Bend, Layer, Levels, premultiplied
from siamtrack.synthetic.shot import Shot, Window
from siamtrack.synthetic.supply import BuiltIn
from siamtrack.synthetic.world import World
from siamtrack.synthetic.world_settings import WorldSettings
from siamtrack.training.augment import OFF, AugmentSettings, PairPlan
from siamtrack.training.data import batches
from siamtrack.training.loop import train
from siamtrack.training.parcel import packed
from siamtrack.training.ragged import Areas, areas, back_maps, correlated, looked_up, pixels_of, sampled, taps
from siamtrack.training.shot_painter import pack_windows, paint_windows
from siamtrack.training.sources import TrainingData, open_data
from siamtrack.training.world_batches import pack_pairs, paint_pairs
from siamtrack.training.world_pairs import WorldPairs

SMALL = WorldSettings(width=160, height=120)
LIVELY = WorldSettings(bending=3.0, motion=2.0, camera=2.0, occluders=0.8, shutter=1.0)
ALL = AugmentSettings(
    **{
        f.name: 0.3
        for f in fields(AugmentSettings)
        if f.name not in ("translation", "rotation", "noise", "jpeg", "look_alikes")
    },
    translation=12.0,
    rotation=10.0,
    look_alikes=0.8,
)


def pairs(augment: AugmentSettings = ALL, world: WorldSettings = SMALL) -> WorldPairs:
    crops = CropSettings(template_size=63, size=151)
    return WorldPairs(World(world, BuiltIn(), 4), crops, augment, max_frame_gap=40, min_visibility=0.3, search_size=127)


def planned(source: WorldPairs, numbers: Sequence[int]) -> list[PairPlan[Window]]:
    return [source.plan(number, draws_noise=False) for number in numbers]


def painted(plans: Sequence[PairPlan[Window]]) -> list[Pair]:
    """As the pairs of `WorldPairs`."""
    templates, searches = (part.permute(0, 2, 3, 1).numpy() for part in paint_pairs(pack_pairs(plans)))
    whole = [plan.with_pictures(*blank) for plan, *blank in zip(plans, templates, searches, strict=True)]
    return [pair._replace(template=z, search=x) for pair, z, x in zip(whole, templates, searches, strict=True)]


def assert_like(found: NDArray[np.generic], expected: Image) -> None:
    """The tolerance: measured are at most 2 grey levels, but 7 where a pasted rim is; older OpenCV rounds coordinates."""
    away = np.abs(found.astype(float) - expected)
    assert away.mean() < 0.5
    assert np.mean(away < 4) > 0.99


# Windows


def windows_of_all_kinds() -> list[Window]:
    rng = np.random.default_rng(0)
    found = []
    for number in range(30):
        scene = World(LIVELY, BuiltIn(), seed=number).scene(number)
        side = float(np.exp(rng.uniform(np.log(40), np.log(700))))
        left, top = rng.uniform(-100, 600) - side / 2, rng.uniform(-80, 400) - side / 2
        found.append(scene.window(int(rng.integers(300)), left, top, side, 96))
    return found


def test_painted_windows_are_those_of_opencv() -> None:
    windows = windows_of_all_kinds()
    shots = [window.shot for window in windows]
    layers = [layer for shot in shots for layer in shot.layers]
    kinds = {
        "enlarged": [w.enlarged > 1 for w in windows],
        "beyond the frame": [w.inside != (0, 0, 96, 96) for w in windows],
        "out of focus": [shot.defocus > 0 for shot in shots],
        "lit": [shot.light is not None for shot in shots],
        "ground smeared": [np.hypot(*shot.ground_smear) > 3 for shot in shots],
        "object smeared": [np.hypot(*layer.smear) > 3 for layer in layers],
        "bent": [layer.bend.amount > 0.01 for layer in layers],
    }
    assert {name for name, found in kinds.items() if sum(found) < 3} == set()
    images, fills = paint_windows(pack_windows(windows))
    for window, image, fill in zip(windows, images, fills, strict=True):
        expected, expected_fill = window.painted()
        assert_like(image.numpy(), expected)
        assert fill.tolist() == pytest.approx(expected_fill, abs=0.5)


def test_what_moves_is_smeared_before_it_is_cut_off() -> None:
    """At the border of its canvas it looks as if the canvas went on, as `drawing` draws it."""
    alpha = np.zeros((40, 40), np.uint8)
    alpha[2:38:4] = alpha[:, 2:38:4] = 255
    levels = Levels(premultiplied(np.full((40, 40, 3), (200, 90, 30), np.uint8), alpha))
    ground = Levels(np.full((80, 80, 3), (20, 60, 120), np.uint8))

    def window(x: float, y: float, side: int) -> Window:
        layer = Layer(levels, np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]]), Bend(0.0, 0.0, 0.0), np.array([9.0, 5.0]))
        shot = Shot(
            width=side,
            height=side,
            ground=ground,
            ground_map=np.eye(3),
            ground_smear=np.zeros(2),
            defocus=0.0,
            layers=[layer],
            light=None,
        )
        return Window(shot=shot, size=side, enlarged=1.0, corner=(0.0, 0.0), inside=(0, 0, side, side))

    places = [(x, y) for x in (-20, 5, 20) for y in (-20, 5, 20)] + [(-39, -39), (60, 60)]
    images, _ = paint_windows(pack_windows([window(x, y, 32) for x, y in places]))
    for (x, y), image in zip(places, images, strict=True):
        larger = window(x + 30, y + 30, 92).painted()[0][30:62, 30:62]  # where nothing is cut off
        assert np.abs(image.numpy() - larger.astype(float)).max() <= 1


def test_a_window_that_shows_nothing_of_its_frame_is_one_colour() -> None:
    scene = World(SMALL, BuiltIn(), seed=1).scene(1)
    windows = [scene.window(3, left, -300.0, 100.0, 64) for left in (-300.0, 400.0)]
    images, fills = paint_windows(pack_windows(windows))
    for window, image, fill in zip(windows, images, fills, strict=True):
        assert_like(image.numpy(), window.painted()[0])
        assert (image == fill.round()).all()


# Pairs


@pytest.mark.slow
def test_painted_pairs_are_those_of_opencv_alone_and_in_a_batch() -> None:
    source, numbers = pairs(), range(12)
    plans = planned(source, numbers)
    assert sum(len(plan.pastes) > 1 for plan in plans) >= 3
    assert 0 < sum(plan.flip for plan in plans) < len(plans)
    found = painted(plans)
    for number, pair in zip(numbers, found, strict=True):
        expected = source[number]
        assert_like(pair.template, expected.template)
        assert_like(pair.search, expected.search)
        assert np.array_equal(pair.box, expected.box)
        assert np.array_equal(pair.offset, expected.offset)
    for number in (0, 7, 11):
        (alone,) = painted(planned(source, [number]))
        assert all(np.array_equal(a, b) for a, b in zip(alone[:4], found[number][:4], strict=True))


@pytest.mark.parametrize("name", ["blur", "motion_blur", "grey", "occluder", "look_alikes", "light", "perspective"])
def test_each_augmentation_is_painted(name: str) -> None:
    """Each alone, as among others one that is left out might hide in the tolerance."""
    source = pairs(replace(OFF, **{name: 1.0 if name != "perspective" else 0.3}))
    for number, pair in enumerate(painted(planned(source, range(3)))):
        expected = source[number]
        assert_like(pair.template, expected.template)
        assert_like(pair.search, expected.search)
    assert any(np.abs(source[n].search.astype(int) - pairs(OFF)[n].search).mean() > 1 for n in range(3))


def test_noise_has_its_strength_and_is_the_same_in_every_batch() -> None:
    source = pairs(replace(OFF, noise=1.0))
    plans = planned(source, range(12))
    patches = [plan.search_patch for plan in plans]
    clean = [
        plan._replace(search_patch=patch._replace(recording=patch.recording._replace(noise=None)))
        for plan, patch in zip(plans, patches, strict=True)
    ]
    kinds = set()
    for plan, noisy, plain in zip(plans, painted(plans), painted(clean), strict=True):
        noise = plan.search_patch.recording.noise
        assert noise is not None
        middle = (plain.search > 60) & (plain.search < 195)  # not clipped
        added = noisy.search[middle].astype(float) - plain.search[middle]
        if middle.sum() > 2000:
            assert added.std() == pytest.approx(noise.sigma, rel=0.1)
            assert added.mean() == pytest.approx(0, abs=0.1 * noise.sigma)
        alike = (np.ptp(noisy.search.astype(int) - plain.search, axis=2) == 0)[middle.all(2)]
        assert (alike.mean() > 0.999) == (noise.channels == 1)  # sums in float32 that lie between two levels
        kinds.add(noise.channels)
    assert kinds == {1, 3}
    (alone,) = painted(plans[5:6])
    assert np.array_equal(alone.search, painted(plans)[5].search)


def test_painting_never_waits_for_the_device() -> None:
    """On the meta device there are shapes and no values: a step that asks for one fails."""
    source = pairs(replace(ALL, noise=0.5))
    parcel = packed((pack_pairs(planned(source, range(6))),))
    (part,) = parcel._replace(content=parcel.content.to("meta")).opened()
    templates, searches = paint_pairs(part)
    assert (templates.shape, searches.shape) == ((6, 3, 63, 63), (6, 3, 127, 127))
    assert templates.device.type == "meta"


# Steps


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32), st.booleans())
def test_correlation_is_that_of_opencv(seed: int, edge: bool) -> None:
    """Several pictures with several kernels at once, of even sides, too, and larger than the picture."""
    rng = np.random.default_rng(seed)
    boxes = [(int(w), int(h)) for w, h in rng.integers(2, 30, (4, 2))]
    pictures = [rng.uniform(0, 255, (h, w, 3)).astype(np.float32) for w, h in boxes]
    kernels = [(n, sparse(rng)) for n in rng.permutation(4)[:3].tolist()]
    table = torch.from_numpy(np.concatenate([picture.reshape(-1, 3) for picture in pictures]))
    rows, values, owner = correlated(table, areas(boxes), taps(kernels, boxes), edge=edge)
    border = cv2.BORDER_REFLECT if edge else cv2.BORDER_REFLECT_101
    expected = table.clone()
    starts = np.cumsum([0] + [w * h for w, h in boxes])
    for number, kernel in kernels:
        filtered = cv2.filter2D(pictures[number].astype(np.float64), -1, kernel.astype(np.float64), borderType=border)
        expected[starts[number] : starts[number + 1]] = torch.from_numpy(filtered.astype(np.float32)).reshape(-1, 3)
    table[rows] = values
    assert torch.allclose(table, expected, atol=0.01)
    assert set(owner.tolist()) == {number for number, _ in kernels}


def sparse(rng: np.random.Generator) -> NDArray[np.float32]:
    kernel = rng.uniform(0, 1, rng.integers(1, 12, 2)).astype(np.float32) * (rng.random() < 0.5)
    kernel[kernel.shape[0] - 1, 0] = 1
    return np.asarray(kernel / kernel.sum())


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32), st.booleans())
def test_samples_lie_between_the_right_pixels(seed: int, mirrored: bool) -> None:
    """A picture that is a plane in x and y has, anywhere inside, the value of the place; outside it is the mirror, or fill."""
    rng = np.random.default_rng(seed)
    width, height = (int(v) for v in rng.integers(3, 12, 2))
    plane = (np.arange(width)[None, :] + 0.5) * 8 + (np.arange(height)[:, None] + 0.5) * 8
    before = np.zeros((5, 1), np.float32)  # other pictures of the table
    table = torch.from_numpy(np.concatenate([before, plane.reshape(-1, 1).astype(np.float32), before]))
    matrix = np.array([[rng.uniform(0.5, 2), 0, rng.uniform(-5, 5)], [0, rng.uniform(0.5, 2), rng.uniform(-5, 5)], [0, 0, 1]])
    source = areas([(5, 1), (width, height)])
    at = pixels_of(areas([(20, 16)]), 320)
    only = Areas(*(column[1:] for column in source))
    fill = None if mirrored else torch.full((1, 1), 77.0)
    found = sampled(table, only, at, looked_up(back_maps([matrix]), at), fill).reshape(16, 20)
    for y in range(16):
        for x in range(20):
            u, v, _ = np.linalg.inv(matrix) @ [x + 0.5, y + 0.5, 1]
            if mirrored:
                u, v = (abs((p + n) % (2 * n) - n) for p, n in ((u, width), (v, height)))
            if 0.5 <= u <= width - 0.5 and 0.5 <= v <= height - 0.5:
                assert found[y, x].item() == pytest.approx(8 * u + 8 * v, abs=0.51)
            elif not mirrored and (min(u, v) < -0.5 or u > width + 0.5 or v > height + 0.5):
                assert found[y, x].item() == 77


# Runs

WORLDS = replace(RECIPE, world=SMALL, paint="device", pairs_per_epoch=4, epochs=2, batch_size=2, validation_pairs=2)


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])  # see tests/test_training_stops.py
def test_a_run_that_paints_goes_on_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    data = open_data([("world", None)], WORLDS.crops)
    train(WORLDS, data, tmp_path / "whole", workers=0)
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        with pytest.raises(KeyboardInterrupt):
            train(WORLDS, data, tmp_path / "stopped", workers=workers)
    train(WORLDS, data, tmp_path / "stopped", workers=workers)
    assert same(parameters(tmp_path / "whole"), parameters(tmp_path / "stopped"))


def test_worlds_among_other_data_are_painted_in_their_places(tmp_path: Path) -> None:
    data = TrainingData(material=draw_pictures(tmp_path / "pictures"), world=open_data([("world", None)], WORLDS.crops).world)
    (black,) = batches(data.unpainted(WORLDS), range(8), batch_size=8, workers=0)
    (expected,) = batches(data.unpainted(replace(WORLDS, paint="cpu")), range(8), batch_size=8, workers=0)
    assert black.rows is not None
    assert 0 < len(black.rows) < 8
    found = black.painted(torch.device("cpu"))
    for ours, theirs in ((found.templates, expected.templates), (found.searches, expected.searches)):
        assert (ours.float() - theirs.float()).abs().mean((1, 2, 3)).max() < 0.5
    assert torch.equal(found.offsets, expected.offsets)
    assert torch.equal(found.boxes, expected.boxes)
    assert found.painted(torch.device("cpu")) is found


def test_painting_that_cannot_be_is_refused(tmp_path: Path) -> None:
    data = open_data([("world", None)], WORLDS.crops)
    with pytest.raises(SettingsError, match=r"augment\.jpeg=0"):
        train(replace(WORLDS, augment=replace(WORLDS.augment, jpeg=0.1)), data, tmp_path / "jpeg")
    with pytest.raises(SettingsError, match="--data world"):
        train(WORLDS, TrainingData(material=draw_pictures(tmp_path / "pictures")), tmp_path / "pictures-alone")
    with pytest.raises(SettingsError, match="paint"):
        replace(WORLDS, paint="gpu")
