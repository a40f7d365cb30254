"""Rendered scenes against their painted pixels, and training pairs against where their target really is."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from siamtrack.box import Box
from siamtrack.errors import DataError, SettingsError
from siamtrack.synthetic import photometric
from siamtrack.synthetic.material import Cutout, Material, PictureCache, Still, find_material
from siamtrack.synthetic.pairs import Pair, PairSettings, PairSource
from siamtrack.synthetic.scene import Scene

Image = NDArray[np.uint8]

# Scenes


def painted_box(scene: Scene, target: int, number: int) -> tuple[Box, float]:
    """The box of the pixels where the object covers more than half, from the scene drawn with it in white and in black.

    Objects drawn later may hide it, so they are taken away. Also the mean position of its alpha, as distance to the box.
    """
    frames = []
    everything = scene._objects
    for level in (255, 0):
        thing = everything[target]
        sprite = thing.sprite.copy()
        sprite[:, :, :3] = level
        hidden = [replace(other, sprite=np.zeros_like(other.sprite)) for other in everything]
        hidden[target] = replace(thing, sprite=sprite)
        scene._objects = hidden
        frames.append(scene.image(number).astype(float))
    scene._objects = everything
    alpha = (frames[0] - frames[1]).mean(-1) / 255
    rows, columns = np.flatnonzero((alpha > 0.5).any(1)), np.flatnonzero((alpha > 0.5).any(0))
    box = Box.from_corners(columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    y, x = np.mgrid[: alpha.shape[0], : alpha.shape[1]] + 0.5
    center = np.array([(alpha * x).sum(), (alpha * y).sum()]) / alpha.sum()
    return box, float(np.hypot(*(center - scene.box(target, number).center)))


@pytest.mark.parametrize("still", [False, True])
@pytest.mark.parametrize(("width", "height", "objects"), [(640, 360, 3), (320, 240, 1), (900, 800, 2)])
def test_boxes_of_a_scene_are_where_the_objects_are_painted(width: int, height: int, objects: int, still: bool) -> None:
    scene = Scene(width, height, objects=objects, seed=3, still=still)
    for target, number in itertools.product(range(objects), (0, 17, 250)):
        box = scene.box(target, number)
        painted, distance = painted_box(scene, target, number)
        edges = [(b.x, b.y, b.x + b.w, b.y + b.h) for b in (box, painted)]
        assert np.abs(np.subtract(*edges)).max() < 1.5
        assert distance < 0.1  # of the centres, px: no systematic half pixel


def test_a_scene_is_a_function_of_its_seed() -> None:
    a, b, other = Scene(160, 120, seed=5), Scene(160, 120, seed=5), Scene(160, 120, seed=6)
    assert (a.image(4) == b.image(4)).all()
    assert a.box(1, 4) == b.box(1, 4)
    assert (a.image(4) != other.image(4)).any()


def test_frames_of_a_scene_can_be_drawn_in_any_order() -> None:
    scene = Scene(160, 120)
    frames = list(scene.frames(4))
    for number in (3, 0, 2, 1):
        assert (scene.image(number) == frames[number].image).all()
        assert frames[number].index == number
        assert frames[number].time == number / 25
    endless = list(itertools.islice(scene.frames(), 6))
    assert (endless[3].image == frames[3].image).all()


def test_a_scene_moves_and_its_objects_stay_in_view() -> None:
    scene = Scene(320, 180, objects=3)
    assert (scene.image(0) != scene.image(1)).mean() > 0.2
    for target, number in itertools.product(range(3), range(0, 1000, 50)):
        x, y = scene.box(target, number).center
        assert 0 < x < 320
        assert 0 < y < 180
    boxes = np.array([scene.box(0, number) for number in range(0, 400, 10)])
    assert np.ptp(boxes, axis=0).min() > 3  # place and size


def test_still_keeps_the_size_and_no_speed_keeps_everything() -> None:
    still = Scene(320, 180, still=True)
    sizes = np.array([still.box(0, number)[2:] for number in (0, 30, 90)])
    assert np.ptp(sizes, axis=0).max() == pytest.approx(0, abs=1e-9)
    assert still.box(0, 0).center != still.box(0, 30).center
    frozen = Scene(160, 120, speed=0.0)
    assert (frozen.image(0) == frozen.image(99)).all()


# Material


def noise(height: int = 120, width: int = 160, seed: int = 0, cells: int = 10) -> Image:
    coarse = np.random.default_rng(seed).uniform(0, 255, (cells, cells, 3)).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.uint8)


def write(path: Path, image: Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


def disc(height: int = 60, width: int = 80, colour: tuple[int, int, int] = (255, 255, 255)) -> Image:
    """RGBA with a filled ellipse."""
    alpha = cv2.ellipse(
        np.zeros((height, width), np.uint8), (width // 2, height // 2), (width // 2 - 2, height // 2 - 2), 0, 0, 360, 255, -1
    )
    return np.dstack([np.full((height, width, 3), colour, np.uint8), alpha])


def every_kind(folder: Path) -> Path:
    for number in range(3):
        write(folder / "plain" / f"picture{number}.jpg", noise(seed=number))
    write(folder / "plain" / "deep" / "er" / "far.png", noise(seed=9))
    write(folder / "emoji" / "smile.png", disc())
    write(folder / "emoji" / "opaque.png", np.dstack([noise(seed=4), np.full((120, 160), 255, np.uint8)]))  # a still
    write(folder / "segments" / "scene.jpg", noise(seed=5))
    labels = np.zeros((120, 160), np.uint8)
    labels[30:90, 40:110] = 7  # an object
    labels[2:10, 2:10] = 8  # too small
    labels[100:, :] = 9  # from border to border
    write(folder / "segments" / "scene_seg.png", labels)
    write(folder / "boxes" / "many.jpg", noise(seed=6))
    write(folder / "boxes" / "few.jpg", noise(seed=7))
    annotations = {
        "many": {
            "boxes": [[10, 20, 30, 40], [3, 50, 60, 70, 30], [1, 1, 5, 5]],
            "polygons": [[7, 20, 20, 80, 20, 50, 90], [0, 0, 9, 0, 9, 9]],
        },
        "few": [[5, 6, 70, 80]],
    }
    (folder / "boxes" / "annotations.json").write_text(json.dumps(annotations))
    for number in range(3):
        write(folder / "tracks" / "walk" / "img" / f"{number:04d}.jpg", noise(seed=20 + number))
        write(folder / "tracks" / "run" / f"{number:04d}.jpg", noise(seed=30 + number))
    for name in ("walk", "run"):
        (folder / "tracks" / name / "groundtruth.txt").write_text("10,10,40,40\nnan,nan,nan,nan\n14,12,40,40\n\n")
    (folder / "notes.txt").write_text("nothing to see")
    return folder


def test_every_kind_of_material_is_found(tmp_path: Path) -> None:
    found = find_material([every_kind(tmp_path)])
    stills = {still.path.stem: still for still in found.stills}
    assert sorted(stills) == ["far", "few", "many", "opaque", "picture0", "picture1", "picture2", "scene"]
    assert stills["many"].boxes == ((10, 20, 30, 40), (50, 60, 70, 30))  # class number dropped, tiny one left out
    assert stills["few"].boxes == ((5, 6, 70, 80),)
    assert [(c.path.stem, c.segment, c.polygon) for c in found.cutouts] == [
        ("many", None, (20, 20, 80, 20, 50, 90)),
        ("smile", None, None),
        ("scene", 7, None),
    ]
    assert [track.frames[0].parent.name for track in found.tracks] == ["run", "img"]
    assert [box.absent for box in found.tracks[0].boxes] == [False, True, False]
    assert found.tracks[1].read(2).shape == (120, 160, 3)
    assert stills["scene"].read().shape == (120, 160, 3)


def test_cutouts_are_cropped_to_what_is_solid(tmp_path: Path) -> None:
    found = find_material([every_kind(tmp_path)])
    polygon, emoji, segment = (cutout.read() for cutout in found.cutouts)
    assert emoji.shape == (57, 77, 4)  # of 60 x 80
    assert segment.shape[:2] == (60, 70)
    assert (segment[5:-5, 5:-5, 3] == 255).all()
    assert polygon.shape[:2] == pytest.approx((71, 61), abs=2)
    assert polygon[-1, 0, 3] == 0  # beside the tip of the triangle
    red = find_material([every_kind(tmp_path / "red")]).stills[0].read()
    assert red.flags.c_contiguous


def test_pictures_are_rgb(tmp_path: Path) -> None:
    write(tmp_path / "red.png", np.full((30, 40, 3), (0, 0, 255), np.uint8))  # OpenCV writes BGR
    write(tmp_path / "disc.png", disc(colour=(0, 0, 255)))
    found = find_material([tmp_path])
    assert found.stills[0].read()[0, 0].tolist() == [255, 0, 0]
    assert found.cutouts[0].read()[30, 40].tolist() == [255, 0, 0, 255]


def test_a_folder_given_as_a_track_is_a_track(tmp_path: Path) -> None:
    every_kind(tmp_path)
    found = find_material([tmp_path / "plain", tmp_path / "tracks" / "walk"])
    assert len(found.tracks) == 1
    assert len(found.stills) == 4


def break_(name: str) -> Callable[[Path], object]:
    def annotate(text: str) -> Callable[[Path], object]:
        return lambda folder: (folder / "boxes" / "annotations.json").write_text(text)

    return {
        "no json": annotate("{"),
        "a list": annotate("[1, 2]"),
        "a number for boxes": annotate('{"many": 5}'),
        "three numbers": annotate('{"many": [[1, 2, 3]]}'),
        "words": annotate('{"many": [["a", "b", "c", "d"]]}'),
        "empty polygon": annotate('{"many": {"polygons": [[]]}}'),
        "null": annotate('{"many": null}'),
        "bytes": lambda folder: (folder / "boxes" / "annotations.json").write_bytes(b"\xff\xfe\xfa"),
        "colour label map": lambda folder: write(folder / "segments" / "scene_seg.png", noise()),
        "too few boxes": lambda folder: (folder / "tracks" / "run" / "groundtruth.txt").write_text("1,2,3,4\n"),
        "no frames": lambda folder: [path.unlink() for path in (folder / "tracks" / "run").glob("*.jpg")],
    }[name]


@pytest.mark.parametrize(
    "name",
    [
        "no json",
        "a list",
        "a number for boxes",
        "three numbers",
        "words",
        "empty polygon",
        "null",
        "bytes",
        "colour label map",
        "too few boxes",
        "no frames",
    ],
)
def test_bad_annotations_are_refused_by_name(tmp_path: Path, name: str) -> None:
    break_(name)(every_kind(tmp_path))
    with pytest.raises(DataError, match=r"annotations\.json|scene_seg|run"):
        find_material([tmp_path])


def test_a_bad_line_of_a_track_is_refused(tmp_path: Path) -> None:
    (every_kind(tmp_path) / "tracks" / "run" / "groundtruth.txt").write_text("1,2,3,4\n1,2,3\n1,2,3,4\n")
    with pytest.raises(DataError, match=r"groundtruth\.txt, line 2: found '1,2,3'"):
        find_material([tmp_path])


def test_tracks_may_be_separated_by_anything_but_must_show_something(tmp_path: Path) -> None:
    truth = every_kind(tmp_path) / "tracks" / "run" / "groundtruth.txt"
    truth.write_text("10\t10 40,40\nnan nan nan nan\n1 2 -3 -4\n")
    assert [track.present for track in find_material([tmp_path]).tracks] == [[0], [0, 2]]
    truth.write_text("nan,nan,nan,nan\n" * 3)
    with pytest.raises(DataError, match="has no frame with its object"):
        find_material([tmp_path])


def test_16_bits(tmp_path: Path) -> None:
    """Colours and alpha are scaled, not wrapped, and labels keep their numbers."""
    alpha = np.zeros((60, 80), np.uint16)
    alpha[10:50, 20:60] = 65535
    alpha[:, :20] = 200  # next to nothing of 65535
    write(tmp_path / "cut.png", np.dstack([np.full((60, 80, 3), (257, 257 * 2, 257 * 100), np.uint16), alpha]))
    write(tmp_path / "scene.png", noise())
    labels = np.zeros((120, 160), np.uint16)
    labels[30:90, 20:75] = 300
    labels[30:90, 85:140] = 300 - 256
    write(tmp_path / "scene_seg.png", labels)
    cut, *segments = find_material([tmp_path]).cutouts
    assert cut.read().shape == (40, 40, 4)
    assert cut.read()[5, 5].tolist() == [100, 2, 1, 255]
    assert [segment.segment for segment in segments] == [44, 300]
    assert [segment.read().shape for segment in segments] == [(60, 55, 4)] * 2


def test_a_label_map_of_another_size_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "scene.png", noise())
    write(tmp_path / "scene_seg.png", np.zeros((120, 100), np.uint8))
    with pytest.raises(DataError, match=r"scene_seg\.png' has 100x120 pixels; its picture has 160x120"):
        find_material([tmp_path])


def test_names_in_any_script(tmp_path: Path) -> None:
    (tmp_path / "Bilder-äß").mkdir()
    write(tmp_path / "a.png", disc())
    (tmp_path / "a.png").rename(tmp_path / "Bilder-äß" / "猫.png")
    write(tmp_path / "b.png", noise())
    found = find_material([tmp_path])
    assert found.cutouts[0].read().shape == (57, 77, 4)


def test_the_picture_cache_is_bounded_by_bytes() -> None:
    cache = PictureCache(100)
    made: list[str] = []

    def get(name: str, size: int) -> int:
        return len(cache.get(name, lambda: made.append(name) or np.zeros(size, np.uint8)))  # type: ignore[func-returns-value]

    assert [get("a", 40), get("b", 40), get("a", 40)] == [40, 40, 40]
    get("c", 40)  # b was not used for longest
    get("a", 40)
    get("huge", 101)  # never kept, and drives nothing out
    get("c", 40)
    assert made == ["a", "b", "c", "huge"]
    assert cache.size == 80
    get("b", 40)
    assert made[-1] == "b"


def test_the_digest_is_of_what_decides_the_pairs(tmp_path: Path) -> None:
    found = find_material([every_kind(tmp_path / "here")])
    assert found.digest() == find_material([every_kind(tmp_path / "there")]).digest()
    assert found.digest() != replace(found, tracks=()).digest()
    write(tmp_path / "here" / "plain" / "picture0.jpg", noise(seed=77))
    assert found.digest() != find_material([tmp_path / "there"]).digest()
    (tmp_path / "here" / "plain" / "picture0.jpg").unlink()
    with pytest.raises(DataError, match=r"picture0\.jpg' cannot be read any more"):
        found.digest()


def test_folders_without_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        find_material([tmp_path / "none"])
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(DataError, match="No still images"):
        find_material([tmp_path])


def test_what_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    (still,) = find_material([tmp_path]).stills
    with pytest.raises(DataError, match=r"broken\.jpg' cannot be decoded"):
        still.read()


def test_training_and_validation_share_no_picture_and_stay_where_they_are() -> None:
    """By the name alone, so a picture that comes later moves no other."""
    pictures = [Path("set") / f"{number}.jpg" for number in range(2000)]
    stills = tuple(Still(path) for path in pictures)
    cutouts = tuple(Cutout(path, polygon=(float(n),) * 6) for path in pictures for n in range(2))
    whole = Material(stills, cutouts, ())
    training, validation = whole.part("training"), whole.part("validation")
    seen = [{thing.path for thing in (*part.stills, *part.cutouts)} for part in (training, validation)]
    assert not seen[0] & seen[1]
    assert seen[0] | seen[1] == set(pictures)
    assert 0.03 < len(validation.stills) / 2000 < 0.07
    assert 2 * len(validation.stills) == len(validation.cutouts)  # all cut-outs of a picture go with it
    later = Material((*stills, Still(Path("set/new.jpg"))), cutouts, ()).part("validation")
    assert set(validation.stills) <= set(later.stills)
    moved = Material(tuple(Still(Path("/elsewhere") / path) for path in pictures), (), ()).part("validation")
    assert [still.path.name for still in moved.stills] == [still.path.name for still in validation.stills]


# Pairs


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
        template, search, offset, box, _ = source[number]
        assert box.shape == (4,)
        assert box.dtype == np.float32
        assert (
            np.abs(box[:2] + box[2:] / 2 - 143 / 2 - offset).max() < 5
        )  # a tilted target is not quite in the middle of its box
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


# Light and quality


@pytest.mark.parametrize(
    "change",
    [
        photometric.random_blur,
        photometric.random_low_resolution,
        photometric.random_noise,
        photometric.random_compression,
        photometric.random_quality,
        lambda image, rng: photometric.random_light(image, rng, 1.0),
    ],
)
def test_changes_keep_shape_and_place(change: Callable[[Image, np.random.Generator], Image]) -> None:
    """Pure functions of picture and generator that move nothing: no offset is to be learnt from a blur."""
    image = blank = np.full((90, 90, 3), 60, np.uint8)
    image = cv2.circle(blank.copy(), (44, 44), 14, (200, 190, 180), -1)
    image = np.maximum(image, image[::-1, ::-1])  # symmetric
    before = image.copy()
    centers = []
    for seed in range(25):
        changed = change(image, np.random.default_rng(seed))
        assert changed.shape == image.shape
        assert changed.dtype == np.uint8
        assert (changed == change(image, np.random.default_rng(seed))).all()
        light = changed.max(-1).astype(float)
        light = np.clip(light - np.median(light) - 0.5 * np.ptp(light) / 2, 0, None)
        y, x = np.mgrid[:90, :90] + 0.5 - 45
        if light.sum() > 0:
            centers.append([(light * x).sum() / light.sum(), (light * y).sum() / light.sum()])
    assert (image == before).all()
    assert np.abs(np.mean(centers, axis=0)).max() < 0.6


def test_grey_has_no_colour() -> None:
    image = photometric.grey(noise())
    assert (np.ptp(image.astype(int), axis=-1) == 0).all()
