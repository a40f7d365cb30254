"""Training pairs of pictures against where their target really is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn_material import disc, every_kind, noise, write
from numpy.typing import NDArray

from siamtrack.box import Box
from siamtrack.errors import DataError, SettingsError
from siamtrack.image import Image
from siamtrack.synthetic import photometric
from siamtrack.synthetic.material import Material, find_material
from siamtrack.synthetic.pairs import Pair, PairSettings, PairSource


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    return find_material([every_kind(tmp_path_factory.mktemp("material"))])


def same(a: Pair, b: Pair) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_a_pair_is_a_function_of_seed_and_number(material: Material) -> None:
    a, b, other = (PairSource(material, PairSettings(), seed=seed) for seed in (0, 0, 2))
    for number in (7, 3, 0, 12):
        assert same(a[number], b[number])
        assert not same(a[number], other[number])
        assert not same(a[number], a[number + 1])


def test_shape_of_pairs(material: Material) -> None:
    source = PairSource(material, PairSettings(max_shift=20.0), seed=0, template_size=95, search_size=143)
    offsets = []
    for number in range(40):
        template, search, offset, box = source[number][:4]
        assert box.shape == (4,)
        assert box.dtype == np.float32
        # what is seen of a target is not quite in the middle of it
        assert np.abs(box[:2] + box[2:] / 2 - 143 / 2 - offset).max() < 8
        assert template.shape == (95, 95, 3)
        assert search.shape == (143, 143, 3)
        assert template.dtype == search.dtype == np.uint8
        assert template.flags.c_contiguous
        assert search.flags.c_contiguous
        assert offset.shape == (2,)
        assert offset.dtype == np.float32
        offsets.append(offset)
    assert np.hypot(*np.transpose(offsets)).max() <= 20.001
    assert np.ptp(offsets, axis=0).min() > 10


def test_pairs_without_a_kind_of_material(material: Material) -> None:
    stills_alone = PairSource(Material(material.stills, (), ()), PairSettings(), seed=0)
    assert len({stills_alone[number].offset.tobytes() for number in range(10)}) == 10


def test_targets_that_are_objects_alone(tmp_path: Path) -> None:
    """A still without boxes is no target then, and one with boxes shows one of them."""
    write(tmp_path / "bare.png", noise(90, 120))
    write(tmp_path / "known.png", noise(90, 120, seed=1))
    (tmp_path / "annotations.json").write_text(json.dumps({"known": [[20, 30, 40, 24]]}))
    stills = find_material([tmp_path]).stills
    assert [len(still.boxes) for still in stills] == [0, 1]
    source = PairSource(Material(stills, (), ()), PairSettings(any_place=False), seed=0)
    assert {source[number].skipped for number in range(5)} == {()}
    ratios = [float(np.log(source[number].box[2] / source[number].box[3])) for number in range(40)]
    assert np.median(ratios) == pytest.approx(np.log(40 / 24), abs=0.15)
    assert np.std(ratios) < 0.4
    anywhere = PairSource(Material(stills, (), ()), PairSettings(), seed=0)
    assert np.std([float(np.log(anywhere[number].box[2] / anywhere[number].box[3])) for number in range(40)]) > 0.45
    with pytest.raises(DataError, match="No pairs can be made"):
        PairSource(Material(tuple(replace(still, boxes=()) for still in stills), (), ()), PairSettings(any_place=False), seed=0)


@pytest.mark.parametrize("shares", [(-0.1, 1.0, 1.0), (0.0, 0.0, 0.0)])
def test_impossible_shares_are_refused(shares: tuple[float, float, float]) -> None:
    with pytest.raises(SettingsError):
        PairSettings(warp_share=shares[0], paste_share=shares[1], track_share=shares[2])


@pytest.mark.parametrize(
    "change",
    [
        {"max_shift": -3.0},
        {"max_frame_gap": -1},
        {"grey_share": 7.0},
        {"warp_share": float("nan")},
        {"paste_share": float("inf")},
    ],
)
def test_impossible_settings_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(SettingsError):
        PairSettings(**change)


@pytest.mark.parametrize("kind", ["warp", "paste", "track"])
def test_without_material_for_any_wanted_kind(material: Material, kind: str) -> None:
    shares = {f"{name}_share": float(name == kind) for name in ("warp", "paste", "track")}
    less = {"warp": {"stills": ()}, "paste": {"cutouts": ()}, "track": {"tracks": ()}}[kind]
    with pytest.raises(DataError, match="No pairs can be made of"):
        PairSource(replace(material, **less), PairSettings(**shares), seed=0)
    if kind == "paste":
        with pytest.raises(DataError, match="0 stills"):
            PairSource(replace(material, stills=()), PairSettings(**shares), seed=0)


@pytest.mark.parametrize("shape", [(6, 6), (1, 1), (2, 3000), (3000, 3)])
def test_tiny_and_thin_pictures_make_pairs(tmp_path: Path, shape: tuple[int, int]) -> None:
    write(tmp_path / "still.png", noise(*shape))
    alpha = np.full((*shape, 4), 255, np.uint8)
    alpha[0, 0, 3] = 0
    write(tmp_path / "cut.png", alpha if shape != (1, 1) else disc())
    write(tmp_path / "thin.png", np.vstack([np.full((1000, 3, 4), 255, np.uint8), np.zeros((1, 3, 4), np.uint8)]))
    source = PairSource(find_material([tmp_path]), PairSettings(), seed=0)
    for number in range(40):
        assert source[number].search.shape == (255, 255, 3)


def marker(tmp_path: Path, kind: str) -> Material:
    """Dark pictures with one bright disc as the target, so that it can be found again in the patches."""
    dark = np.full((400, 500, 3), 12, np.uint8)
    box = Box(220, 160, 60, 48)
    if kind == "paste":
        for number in range(2):
            write(tmp_path / f"dark{number}.png", dark)
        write(tmp_path / "disc.png", disc(96, 120))
        return find_material([tmp_path])
    y, x = np.mgrid[:400, :500] + 0.5
    shown = np.where((np.hypot((x - 250) / 30, (y - 184) / 24) <= 1)[:, :, None], 255, dark).astype(np.uint8)
    if kind == "warp":
        write(tmp_path / "shown.png", shown)
        (tmp_path / "annotations.json").write_text(json.dumps({"shown": [list(box)]}))
        return find_material([tmp_path])
    write(tmp_path / "plain.png", dark)
    for number, shift in enumerate((0, 35)):
        write(tmp_path / "clip" / f"{number}.png", np.roll(shown, shift, 1))
    (tmp_path / "clip" / "groundtruth.txt").write_text("220,160,60,48\n255,160,60,48\n")
    return find_material([tmp_path])


def blob(patch: Image) -> tuple[NDArray[np.float64], float]:
    """Centre of what is bright, relative to the centre of the patch, and its area."""
    light = (patch.max(-1) > 100).astype(float)
    y, x = np.mgrid[: patch.shape[0], : patch.shape[1]] + 0.5 - patch.shape[0] / 2
    return np.array([(light * x).sum(), (light * y).sum()]) / max(light.sum(), 1), light.sum()


@pytest.mark.parametrize("kind", ["warp", "paste", "track"])
def test_the_offset_points_at_the_target(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In every single pair within a few pixels (a tilt moves the centre of mass, not the centre), and on average within one.

    Without changes of light and quality, which a test of brightness cannot see through, without distractors that are as
    bright as the target, and without a box drawn at random, which has no marker in it.
    """
    monkeypatch.setattr(photometric, "random_quality", lambda image, rng: image)
    monkeypatch.setattr(photometric, "random_light", lambda image, rng, strength: image)
    monkeypatch.setattr(PairSource, "_paste_distractors", lambda *_, **__: None)
    monkeypatch.setattr(PairSource, "_paste_occluder", lambda *_, **__: None)
    monkeypatch.setattr("siamtrack.synthetic.pairs._random_box", lambda picture, rng: Box(220, 160, 60, 48))
    shares = {f"{name}_share": float(name == kind) for name in ("warp", "paste", "track")}
    source = PairSource(marker(tmp_path, kind), PairSettings(**shares), seed=0)
    errors, centered, moved = [], [], []
    for number in range(60):
        template, search, offset, *_ = source[number]
        where, area = blob(search)
        middle, template_area = blob(template)
        assert area > 500
        assert template_area > 500
        errors.append(where - offset)
        centered.append(middle)
        moved.append(offset)
    assert np.abs(errors).max() < 7
    assert np.abs(centered).max() < 2.5
    assert np.abs(np.mean(errors, axis=0)).max() < 0.7
    assert np.abs(np.mean(centered, axis=0)).max() < 0.5
    assert np.abs(moved).max() > 20


def test_template_and_search_show_the_target_at_one_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photometric, "random_quality", lambda image, rng: image)
    source = PairSource(marker(tmp_path, "track"), PairSettings(warp_share=0, paste_share=0, track_share=1), seed=0)
    areas = [(blob(pair.template)[1], blob(pair.search)[1]) for pair in (source[number] for number in range(40))]
    ratio = np.array([search / template for template, search in areas])
    assert np.exp(np.log(ratio).mean()) == pytest.approx(1, abs=0.06)
    # 60 x 48 seen with its context in 127 px
    expected = np.pi / 4 * 60 * 48 * 127**2 / ((60 + 54) * (48 + 54))
    assert np.mean(areas, axis=0) == pytest.approx([expected] * 2, rel=0.1)
