"""Made-up scenes: what is said about them against what is painted, the same from the same seed, and as training pairs."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from training_runs import draw_pictures

from siamtrack.crop import cut
from siamtrack.datasets.crops import CropSettings
from siamtrack.errors import DataError, SettingsError, TrainingError
from siamtrack.image import Image
from siamtrack.synthetic import supply
from siamtrack.synthetic.drawing import Bend, Layer, Levels, drawn, premultiplied
from siamtrack.synthetic.material import Cutout, Material, Still, find_material
from siamtrack.synthetic.supply import BuiltIn, Pictured
from siamtrack.synthetic.world import LEAST_VISIBLE, Scene, World
from siamtrack.synthetic.world_settings import WorldSettings
from siamtrack.training.augment import OFF
from siamtrack.training.checkpoint import save_checkpoint
from siamtrack.training.origin import begin_or_go_on, origin_of
from siamtrack.training.recipes import read_recipe
from siamtrack.training.sources import open_data, parsed_places
from siamtrack.training.world_pairs import WorldPairs

SMALL = WorldSettings(width=160, height=120, noise=0, compression=0)
numbers = st.integers(0, 10_000)


def scene_of(number: int, chosen: WorldSettings = SMALL) -> Scene:
    return World(chosen, BuiltIn(), seed=3).scene(number)


def alpha_alone(scene: Scene, number: int, time: int) -> NDArray[np.int64]:
    """Alpha of a thing in the frame, if it were alone there: how much of white shows over it where black is drawn."""
    shot = scene.shot(time)
    layer = shot.layers[number]
    alpha = layer.levels.picture[:, :, 3]
    white, black = (np.dstack([*[alpha * level] * 3, alpha]) for level in (1, 0))  # multiplied by alpha
    frames = [replace(shot, layers=[layer._replace(levels=Levels(flat))]).painted() for flat in (white, black)]
    return np.subtract(*(frame[:, :, 0].astype(np.int64) for frame in frames))


@settings(deadline=None, max_examples=30)
@given(numbers, st.integers(0, 300))
def test_identity_is_what_is_painted(number: int, time: int) -> None:
    """At each pixel the object is seen that is the last of all that cover half of it or more, or what hides it."""
    scene = scene_of(number, replace(SMALL, light=0, occluders=0.7, shutter=1.0, motion=4.0, camera=2.0))
    alphas = [alpha_alone(scene, thing, time) for thing in range(len(scene.shot(time).layers))]
    expected = np.zeros((SMALL.height, SMALL.width), np.uint8)
    for thing, alpha in enumerate(alphas):
        expected[alpha >= 128] = thing + 1 if thing < scene.objects else 0
    doubtful = np.any([abs(alpha - 127.5) < 2 for alpha in alphas], axis=0)  # the two pictures were rounded
    assert doubtful.mean() < 0.2
    assert (scene.frame(time).identity == expected)[~doubtful].all()


@settings(deadline=None, max_examples=40)
@given(st.tuples(st.floats(-40, 100), st.floats(-40, 80)), st.floats(0, 30), st.floats(0, 2 * np.pi))
def test_what_moves_is_smeared_before_it_is_cut_off(place: tuple[float, float], length: float, angle: float) -> None:
    """At the border of the canvas an object looks as if the canvas went on: nothing is mirrored there."""
    alpha = np.zeros((40, 40), np.uint8)
    alpha[2:38:4] = alpha[:, 2:38:4] = 255
    picture = premultiplied(np.full((40, 40, 3), (200, 90, 30), np.uint8), alpha)
    smear = length * np.array([np.cos(angle), np.sin(angle)])
    matrix = np.array([[1, 0, round(place[0])], [0, 1, round(place[1])], [0, 0, 1.0]])
    layer = Layer(Levels(picture), matrix, Bend(0.0, 0.0, 0.0), smear)
    width, height = 80, 60
    expected, found = np.zeros((2, height + 200, width + 200, 4), np.uint8)
    whole = drawn(layer, None)
    assert whole is not None
    expected[100 + whole.top :, 100 + whole.left :][: whole.rgba.shape[0], : whole.rgba.shape[1]] = whole.rgba
    if (part := drawn(layer, (width, height))) is not None:
        found[100 + part.top :, 100 + part.left :][: part.rgba.shape[0], : part.rgba.shape[1]] = part.rgba
        assert part.within(width, height)
    difference = found[100:-100, 100:-100].astype(int) - expected[100:-100, 100:-100]
    assert abs(difference).max() <= 1  # OpenCV sums long smears in another order, by the size of the picture


@settings(deadline=None, max_examples=30)
@given(numbers, st.integers(0, 300))
def test_boxes_and_visibility_are_those_of_the_masks(number: int, time: int) -> None:
    scene = scene_of(number)
    frame = scene.frame(time)
    for target, (box, visibility) in enumerate(zip(frame.boxes, frame.visibility, strict=True)):
        outline = scene.outline(target, time)
        if outline is None or not outline.mask.any():
            assert np.isnan(box).all()
            continue
        rows, columns = np.nonzero(outline.mask)
        seen = np.count_nonzero(frame.identity == target + 1) / len(rows)
        assert visibility == pytest.approx(seen)
        if seen < LEAST_VISIBLE:
            assert np.isnan(box).all()
        else:
            x, y = outline.left + columns.min(), outline.top + rows.min()
            assert box.tolist() == [x, y, outline.left + columns.max() + 1 - x, outline.top + rows.max() + 1 - y]


@settings(deadline=None, max_examples=25)
@given(numbers, st.integers(0, 300), st.floats(20, 200), st.tuples(st.floats(0, 160), st.floats(0, 120)))
def test_a_window_is_cut_out_of_its_frame(number: int, time: int, side: float, middle: tuple[float, float]) -> None:
    scene = scene_of(number)
    window, fill = scene.window(time, middle[0] - side / 2, middle[1] - side / 2, side, 64).painted()
    expected = cut(scene.image(time), middle, side, 64, fill)
    inside = np.abs(window.astype(int) - expected).mean(2)
    if side <= 64:  # the frame itself, enlarged: the same but for the last bit, and for the frame's border
        assert np.median(inside) <= 1
    assert np.median(inside) < 8


class Busy(BuiltIn):
    """Structure everywhere on the ground, which says exactly where a picture lies."""

    def ground(self, rng: np.random.Generator) -> Image:
        return np.asarray(cv2.resize(rng.integers(0, 256, (30, 40, 3), np.uint8), (320, 240), interpolation=cv2.INTER_CUBIC))


def shift_between(found: Image, expected: Image) -> NDArray[np.float64]:
    """How far two pictures of the same lie apart, x and y, by least squares from their slopes (Lucas and Kanade)."""
    smooth = [cv2.GaussianBlur(image.astype(np.float64), (0, 0), 1.5) for image in (found, expected)]
    down, right, _ = np.gradient((smooth[0] + smooth[1]) / 2)
    inner = np.s_[6:-6, 6:-6]
    slopes = np.stack([right[inner].ravel(), down[inner].ravel()], 1)
    return np.asarray(np.linalg.lstsq(slopes, (smooth[1] - smooth[0])[inner].ravel(), rcond=None)[0])


@settings(deadline=None, max_examples=40)
@given(numbers, st.integers(0, 300), st.floats(20, 220), st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_a_window_lies_where_it_was_asked_for(number: int, time: int, side: float, place: tuple[float, float]) -> None:
    """To a quarter of a frame's pixel, also where a pixel of the window is several of the frame, averaged."""
    scene = World(replace(SMALL, width=320, height=240), Busy(), seed=3).scene(number)
    left, top = place[0] * (320 - side), place[1] * (240 - side)
    window, fill = scene.window(time, left, top, side, 64).painted()
    expected = cut(scene.image(time), (left + side / 2, top + side / 2), side, 64, fill)
    assert np.abs(shift_between(window, expected) * side / 64).max() < 0.25


def test_what_lies_outside_the_frame_has_the_mean_colour_of_the_rest() -> None:
    window, fill = scene_of(1).window(5, -100.0, -100.0, 200.0, 100).painted()
    assert (window[:50] == np.array(fill).round()).all()
    assert (window[:, :50] == np.array(fill).round()).all()
    assert window[50:, 50:].mean((0, 1)) == pytest.approx(fill, abs=0.5)
    assert window[50:, 50:].std() > 1


@settings(deadline=None, max_examples=30)
@given(numbers, st.integers(0, 300))
def test_a_frame_with_its_truth_is_the_same_picture(number: int, time: int) -> None:
    """Objects that are drawn for the truth are taken over into the picture where they lie whole in the frame."""
    scene = scene_of(number, replace(SMALL, noise=0.5, exits=0.5))
    assert (scene.frame(time).image == scene.image(time)).all()


def test_occluders_hide() -> None:
    least = [
        [
            min(scene.truth(0, time)[1] for time in range(0, 100, 10))
            for scene in (scene_of(n, replace(SMALL, occluders=share, most_objects=1, exits=0, camera=0)) for n in range(40))
        ]
        for share in (0.0, 1.0)
    ]
    assert sum(v < 0.7 for v in least[1]) > sum(v < 0.7 for v in least[0]) + 10


def test_what_is_off_stays_off() -> None:
    still = WorldSettings(
        width=160, height=120, motion=0, camera=0, growth=0, turning=0, bending=0, light=0, noise=0, compression=0
    )
    for number in range(6):
        scene = scene_of(number, still)
        first = scene.image(0)
        assert (scene.image(70) == first).all()
        moving = scene_of(number, replace(still, motion=1.0))
        assert (moving.image(70) != moving.image(0)).any()


@pytest.mark.parametrize("factor", ["motion", "camera", "growth", "turning", "bending", "light"])
def test_each_factor_changes_the_frames(factor: str) -> None:
    still = WorldSettings(
        width=160, height=120, motion=0, camera=0, growth=0, turning=0, bending=0, light=0, noise=0, compression=0
    )
    chosen = replace(still, **{factor: 2.0})
    assert any((scene_of(n, chosen).image(40) != scene_of(n, chosen).image(0)).any() for n in range(6))


def test_recorded_noise_and_compression_are_in_frames_only() -> None:
    clean = scene_of(4).image(3)
    noisy = scene_of(4, replace(SMALL, noise=1.0)).image(3)
    assert 1 < np.abs(noisy.astype(int) - clean).mean() < 12
    packed = scene_of(4, replace(SMALL, compression=1.0)).image(3)
    assert (packed != clean).any()


def digest(seed: int) -> str:
    found = hashlib.sha256()
    for number in range(6):
        frame = World(WorldSettings(width=160, height=120), BuiltIn(), seed).scene(number).frame(number)
        for part in (frame.image, frame.identity, frame.boxes, frame.visibility):
            found.update(part.tobytes())
    return found.hexdigest()


def test_the_same_seed_gives_the_same_bytes_whatever_was_drawn_before() -> None:
    first = digest(5)
    supply._drawn_ground.cache_clear()
    supply._drawn_sprite.cache_clear()
    assert digest(6) != first
    assert digest(5) == first


# Pictures of one's own


def pictures(folder: Path) -> Material:
    ground = np.full((90, 120, 3), (40, 160, 90), np.uint8)
    cutout = np.zeros((40, 60, 4), np.uint8)
    cutout[5:35, 5:55] = (10, 20, 230, 255)  # OpenCV's order: blue, green, red
    cv2.imwrite(str(folder / "ground.png"), ground)
    cv2.imwrite(str(folder / "thing.png"), cutout)
    return Material((Still(folder / "ground.png"),), (Cutout(folder / "thing.png"),), ())


def test_own_pictures_are_ground_and_objects(tmp_path: Path) -> None:
    world = World(replace(SMALL, most_objects=1, occluders=0, light=0), Pictured(pictures(tmp_path), built_in=0.0))
    frame = world.scene(0).frame(0)
    assert frame.identity.any()
    red = frame.image[frame.identity == 1].mean(0)
    green = frame.image[frame.identity == 0].mean(0)
    assert red[0] > red[1] + 50
    assert green[1] > green[0] + 50


def test_material_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no cut-outs"):
        Pictured(Material(pictures(tmp_path).stills, (), ()))
    with pytest.raises(SettingsError, match=r"share of built-in pictures is 1\.5; expected 0 to 1"):
        Pictured(pictures(tmp_path), built_in=1.5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"width": 3},
        {"most_objects": 0},
        {"largest": 0.5, "smallest": 0.6},
        {"smallest": 0.9},
        {"largest": 0.01},
        {"look_alikes": 1.5},
        {"motion": -1.0},
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match=next(reversed(wrong))):
        WorldSettings(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [{"growth": 10.0}, {"camera": 10.0}, {"largest": 2.0, "growth": 3.0, "camera": 3.0}])
def test_objects_that_would_fill_the_memory_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match=r"times as long as the frame's shorter side.*growth, camera or largest"):
        WorldSettings(**wrong)  # type: ignore[arg-type]


def test_a_seed_below_0_is_refused() -> None:
    with pytest.raises(SettingsError, match="seed is -1"):
        World(SMALL, BuiltIn(), seed=-1)


# Training pairs


def pairs(seed: int = 0, **changes: float) -> WorldPairs:
    world = World(replace(SMALL, **changes), BuiltIn(), seed)  # type: ignore[arg-type]
    return WorldPairs(world, CropSettings(), OFF, max_frame_gap=20, min_visibility=0.3, search_size=255)


def test_pairs_by_number_are_always_the_same() -> None:
    first, again = pairs(), pairs()
    for number in (0, 7, 123456):
        assert all(np.array_equal(a, b) for a, b in zip(first[number][:4], again[number][:4], strict=True))
    assert not np.array_equal(first[0].search, first[1].search)
    assert not np.array_equal(first[0].search, pairs(seed=2)[0].search)


def test_the_target_of_a_pair_is_where_its_label_says() -> None:
    """Without turning and growth an object looks the same in both patches: it is found by plain template matching."""
    source = pairs(turning=0, growth=0, bending=0, light=0, look_alikes=0, occluders=0, shutter=0, camera=0, exits=0)
    errors = []
    for number in range(30):
        pair = source[number]
        assert pair.offset.tolist() == [0, 0]
        w, h = (int(v) for v in pair.box[2:])
        middle = 127 / 2
        piece = pair.template[int(middle - h / 2) : int(middle + h / 2), int(middle - w / 2) : int(middle + w / 2)]
        response = cv2.matchTemplate(pair.search, piece, cv2.TM_SQDIFF)
        y, x = np.unravel_index(int(response.argmin()), response.shape)
        found = np.array([x + piece.shape[1] / 2, y + piece.shape[0] / 2])
        errors.append(float(np.hypot(*(found - 255 / 2))))
    assert np.median(errors) < 2.0
    assert np.mean(np.array(errors) < 6) > 0.8


def test_a_world_without_anything_to_see_says_so() -> None:
    source = pairs(smallest=0.01, largest=0.011)
    with pytest.raises(DataError, match="no object that is seen in two frames"):
        source[0]


def test_world_and_squares_are_data_by_name_alone() -> None:
    recipe = read_recipe("siamfc-modern", ["world.width=160", "world.height=120", "weights={ squares = 0.5 }"])
    data = open_data(parsed_places(["world", "squares"]), recipe.crops)
    assert data.names == ["squares", "world"]
    assert data.describe() == ["squares: 2000 clips", "world: built-in textures and shapes"]
    training, held_out = data.pairs(recipe, "training"), data.pairs(recipe, "validation")
    assert {len({training[n].search.tobytes(), held_out[n].search.tobytes()}) for n in range(4)} == {2}
    colours = [len(np.unique(training[n].template.reshape(-1, 3) // 64, axis=0)) for n in range(30)]
    assert min(colours) < 12 < max(colours)  # both kinds
    other = open_data(parsed_places(["world"]), recipe.crops)
    assert other.digest() != data.digest()


@pytest.mark.parametrize("order", [1, -1])
def test_a_world_is_built_in_or_of_a_folder(tmp_path: Path, order: int) -> None:
    pictures(tmp_path)
    with pytest.raises(SettingsError, match=r"alone and with a folder.*Give --data world or --data world=.*\.$"):
        open_data(parsed_places(["world", f"world={tmp_path}"][::order]), CropSettings())
    assert open_data(parsed_places([f"world={tmp_path}"] * 2), CropSettings()).world is not None


def test_a_world_of_own_pictures_holds_some_out(tmp_path: Path) -> None:
    own, rng = tmp_path / "own", np.random.default_rng(0)  # names decide what is held out, that of the folder among them
    own.mkdir()
    for number in range(30):
        cv2.imwrite(str(own / f"ground{number}.png"), rng.integers(0, 255, (60, 80, 3), np.uint8))
        cv2.imwrite(str(own / f"thing{number}.png"), np.dstack([np.full((40, 40, 3), 8 * number), np.eye(40) * 255]))
    recipe = read_recipe("siamfc-modern", ["world.width=160", "world.height=120"])
    data = open_data(parsed_places([f"world={own}"]), recipe.crops)
    assert data.world is not None
    assert data.describe() == ["world: 30 stills, 30 cut-outs, 0 tracks"]
    parts = [data.world.material.part(which) for which in ("training", "validation")]  # type: ignore[union-attr]
    assert all(part.stills and part.cutouts for part in parts)
    assert {c.path for c in parts[0].cutouts}.isdisjoint(c.path for c in parts[1].cutouts)


def test_a_run_goes_on_with_its_world_held_out_pictures_too(tmp_path: Path) -> None:
    """A checkpoint from before these counted has the digest of the others alone, and is gone on with."""
    own, recipe = tmp_path / "own", read_recipe("siamfc-modern")
    draw_pictures(own)
    for number in range(60):
        cv2.imwrite(str(own / f"thing{number}.png"), np.dstack([np.full((40, 40, 3), 4 * number), np.eye(40) * 255]))

    def origin() -> dict[str, Any]:
        return origin_of(recipe, open_data(parsed_places([f"world={own}"]), recipe.crops), None, None)

    at_first = origin()
    state = {"step": 1, "network": {}, "optimizer": {}}
    before = at_first | {"data": [text.split(", held out ")[0] for text in at_first["data"]]}
    runs = {"now": at_first, "before": before}
    for name, began in runs.items():
        save_checkpoint(tmp_path / name, began | state)
        assert begin_or_go_on(tmp_path / name, origin(), write=False) == began | state
    material = find_material([own])
    assert material.part("validation").stills
    material.part("validation").stills[0].path.unlink()
    assert begin_or_go_on(tmp_path / "before", origin(), write=False) == before | state
    with pytest.raises(TrainingError, match="other data"):
        begin_or_go_on(tmp_path / "now", origin(), write=False)
    material.part("training").stills[0].path.unlink()
    for name in runs:
        with pytest.raises(TrainingError, match="other data"):
            begin_or_go_on(tmp_path / name, origin(), write=False)


@pytest.mark.parametrize(("text", "words"), [("squares=x", "take no folder"), ("worlds", "world or squares alone")])
def test_names_that_cannot_stand_so(text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        parsed_places([text])


@settings(deadline=None, max_examples=30)
@given(numbers, st.integers(0, 300))
def test_the_truth_about_one_object_is_that_of_the_frame(number: int, time: int) -> None:
    scene = scene_of(number)
    frame = scene.frame(time)
    for target in range(scene.objects):
        box, visibility = scene.truth(target, time)
        assert visibility == frame.visibility[target]
        if visibility >= LEAST_VISIBLE:
            assert frame.boxes[target].tolist() == list(box)
