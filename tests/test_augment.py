"""From crops to pairs: the place of the target stays exact, each augmentation does what it says and nothing else."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamtrack.datasets.crops import Crop, Sighting
from siamtrack.errors import SettingsError
from siamtrack.image import Image
from siamtrack.pair import Pair
from siamtrack.training.augment import AUGMENTATIONS, OFF, AugmentSettings, make_pair
from siamtrack.training.look_alikes import MOST_HIDDEN, Subject, look_alikes, occluder
from siamtrack.training.recorded import random_colour

GROUND = (60.0, 90.0, 120.0)


def textured(size: int, seed: int = 0) -> Image:
    noise = np.random.default_rng(seed).uniform(0, 255, (size // 8, size // 8, 3)).astype(np.float32)
    return np.clip(cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)


def marked(size: int, sigma: float = 2.5) -> Image:
    """A bright soft disc in the exact middle of even ground."""
    axis = np.arange(size) + 0.5 - size / 2
    light = np.exp(-(axis[:, None] ** 2 + axis[None, :] ** 2) / (2 * sigma**2))[..., None]
    return np.round(np.array(GROUND) + light * (250 - np.array(GROUND))).astype(np.uint8)


def sighting(image: Image, size: tuple[float, float] = (60, 50)) -> Sighting:
    return Sighting(Crop(image, GROUND), size)


def nothing(_: np.random.Generator) -> None:
    return None


def made(first: Sighting, second: Sighting, augment: AugmentSettings, seed: int = 0, **options: Any) -> Pair:
    given_sizes: dict[str, Any] = {"template_size": 127, "search_size": 255, "other": nothing} | options
    return make_pair(first, second, augment, np.random.default_rng(seed), **given_sizes)


@pytest.mark.parametrize("crop_size", [255, 319, 511])
def test_without_augmentation_the_patches_are_the_middle_of_the_crops(crop_size: int) -> None:
    image = textured(crop_size)
    pair = made(sighting(image), sighting(image), OFF)
    for patch, size in ((pair.template, 127), (pair.search, 255)):
        start = (crop_size - size) // 2
        assert np.array_equal(patch, image[start : start + size, start : start + size])
    assert pair.offset.tolist() == [0, 0]
    assert pair.box.tolist() == pytest.approx([127.5 - 30, 127.5 - 25, 60, 50])


GEOMETRY = AugmentSettings(
    stretch=0.2,
    translation=40.0,
    template_translation=8.0,
    scale=0.2,
    template_scale=0.1,
    rotation=15.0,
    perspective=0.2,
    flip=0.5,
    colour=0.0,
    grey=0.0,
)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), crop_size=st.sampled_from([300, 319]), search_size=st.sampled_from([239, 255, 256]))
def test_the_offset_is_where_the_target_is(seed: int, crop_size: int, search_size: int) -> None:
    """A drawn mark is found again at the offset, whatever the geometry and the parity of the sizes."""
    mark = sighting(marked(crop_size))
    pair = made(mark, mark, GEOMETRY, seed, search_size=search_size)
    light = np.clip(pair.search.astype(np.float64).sum(2) - sum(GROUND) - 20, 0, None)
    at = np.arange(search_size) + 0.5
    found = np.array([(light.sum(0) * at).sum(), (light.sum(1) * at).sum()]) / light.sum() - search_size / 2
    assert np.abs(found - pair.offset).max() < 0.15
    assert np.hypot(*pair.offset) <= np.hypot(40, 40) + 1e-3


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_box_holds_the_target(seed: int) -> None:
    """A drawn rectangle lies in the box, and touches all its sides where nothing is turned."""
    image = np.full((319, 319, 3), 40, np.uint8)
    cv2.rectangle(image, (130, 140), (188, 178), (220, 220, 220), -1)  # 59 x 39 pixels in the middle
    augment = replace(GEOMETRY, rotation=0.0, perspective=0.0)
    pair = made(sighting(image, (59, 39)), sighting(image, (59, 39)), augment, seed)
    rows, columns = np.where(pair.search[..., 0] > 130)
    x, y, w, h = pair.box
    assert [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] == pytest.approx([x, y, x + w, y + h], abs=0.75)


def test_one_side_is_turned() -> None:
    image = textured(319)
    pairs = [made(sighting(image), sighting(image), replace(OFF, rotation=30.0, perspective=0.2), seed) for seed in range(30)]
    still = made(sighting(image), sighting(image), OFF)
    kept = [(np.array_equal(p.template, still.template), np.array_equal(p.search, still.search)) for p in pairs]
    assert set(kept) == {(True, False), (False, True)}


PIXELS = {"colour", "grey", "blur", "light", "motion_blur", "noise", "jpeg"}


@pytest.mark.parametrize("name", sorted(PIXELS))
def test_pixels_change_and_the_place_does_not(name: str) -> None:
    image = textured(319)
    pair = made(sighting(image), sighting(image), replace(OFF, **{name: 1.0}))
    still = made(sighting(image), sighting(image), OFF)
    assert pair.offset.tolist() == [0, 0]
    assert pair.box.tolist() == still.box.tolist()
    for patch, plain in ((pair.template, still.template), (pair.search, still.search)):
        assert not np.array_equal(patch, plain)
    grey = [bool((np.ptp(patch, axis=2) == 0).all()) for patch in (pair.template, pair.search)]
    assert grey == [name == "grey"] * 2


def test_the_share_of_pairs_is_that_of_the_setting() -> None:
    image = textured(319)
    grey = [
        (
            np.ptp(made(sighting(image), sighting(image), replace(OFF, grey=0.25), seed, search_size=127).search, axis=2) == 0
        ).all()
        for seed in range(400)
    ]
    assert 0.18 < np.mean(grey) < 0.32


def test_the_colour_of_the_paper_is_one_colour_for_the_whole_picture() -> None:
    image = np.full((20, 20, 3), 128, np.uint8)
    added = np.array([random_colour(image, np.random.default_rng(seed), 0.1)[0, 0] for seed in range(2000)]) - 128.0
    expected = 255 * 0.1 * np.sqrt(0.2175 + 0.0188 + 0.0045)  # root of the summed variance of the three channels
    assert np.sqrt((added**2).sum(1).mean()) == pytest.approx(expected, rel=0.05)
    assert np.corrcoef(added.T)[0, 1] > 0.8  # mostly brightness


@settings(max_examples=60, deadline=None)
@given(
    box=st.tuples(st.floats(-20, 200), st.floats(-20, 200), st.floats(10, 150), st.floats(10, 150)), seed=st.integers(0, 2**32)
)
def test_an_occluder_covers_a_part_of_the_target_and_nothing_else(box: tuple[float, ...], seed: int) -> None:
    patch = np.zeros((255, 255, 3), np.uint8)
    white = Subject(np.full((319, 319, 3), 255, np.uint8), 319, (50.0, 50.0))
    if paste := occluder(np.array(box, np.float32), 255, white, np.random.default_rng(seed)):
        paste.draw(patch, paste.picture)
    rows, columns = np.where(patch[..., 0] > 0)
    x, y, w, h = box
    assert len(rows) <= MOST_HIDDEN * w * h + 1e-3
    if len(rows):
        assert columns.min() >= x - 1e-3
        assert columns.max() + 1 <= x + w + 1e-3
        assert rows.min() >= y - 1e-3
        assert rows.max() + 1 <= y + h + 1e-3


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 3))
def test_look_alikes_never_touch_the_target(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    patch = np.zeros((255, 255, 3), np.uint8)
    box = np.array([*rng.uniform(40, 130, 2), 60, 50], np.float32)
    white = np.full((319, 319, 3), 255, np.uint8)
    others = [Subject(white, 319, (float(w), float(h))) for w, h in rng.uniform(20, 90, (count, 2))]
    for paste in look_alikes(box, 255, others, rng):
        paste.draw(patch, paste.picture)
    x, y, w, h = box
    assert not patch[int(np.ceil(y)) : int(y + h), int(np.ceil(x)) : int(x + w)].any()


def test_look_alikes_are_seen() -> None:
    image = textured(319)
    bright = sighting(np.full((319, 319, 3), 255, np.uint8))
    pair = made(sighting(image), sighting(image), replace(OFF, look_alikes=1.0), other=lambda _: bright)
    plain = made(sighting(image), sighting(image), OFF)
    changed = (pair.search != plain.search).any(2)
    assert 0.5 * 60 * 50 < changed.sum() < 4 * 1.4 * 60 * 50 * 1.25**2
    assert np.array_equal(pair.template, plain.template)
    alone = made(sighting(image), sighting(image), replace(OFF, look_alikes=1.0, occluder=1.0))
    assert np.array_equal(alone.search, plain.search)  # no other clip to take them from


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_each_augmentation_to_look_at_is_that_one_alone(name: str) -> None:
    plain = {field.name: getattr(OFF, field.name) for field in fields(OFF)}
    changed = {key for key, value in plain.items() if getattr(AUGMENTATIONS[name], key) != value}
    assert changed
    assert {key.removeprefix("template_") for key in changed} == {name.replace("-", "_")}


@pytest.mark.parametrize("name", ["stretch", "translation", "scale"])
def test_crops_of_the_usual_size_have_picture_for_all_of_the_patch(name: str) -> None:
    image = np.full((319, 319, 3), 255, np.uint8)
    for seed in range(100):
        assert made(sighting(image), sighting(image), AUGMENTATIONS[name], seed).search.min() == 255


def test_every_setting_can_be_looked_at() -> None:
    shown = {name.replace("-", "_") for name in AUGMENTATIONS}
    assert {field.name.removeprefix("template_") for field in fields(AugmentSettings)} == shown


def test_the_same_seed_makes_the_same_pair() -> None:
    everything = AugmentSettings(
        **{field.name: 0.3 for field in fields(AugmentSettings) if field.name not in ("translation", "rotation")}
    )
    image, other = textured(319), sighting(textured(319, 5))
    a, b, c = (made(sighting(image), sighting(image), everything, seed, other=lambda _: other) for seed in (3, 3, 4))
    assert all(np.array_equal(x, y) for x, y in zip(a[:4], b[:4], strict=True))
    assert not np.array_equal(a.search, c.search)


@pytest.mark.parametrize(
    "change", [{"grey": 1.5}, {"blur": -0.1}, {"stretch": 1.0}, {"translation": -1.0}, {"rotation": 999.0}]
)
def test_impossible_settings_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(SettingsError):
        AugmentSettings(**change)
