"""Masks in a store of crops: the same as those cut from the frames, from every data set that has some."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import cv2
import lmdb
import numpy as np
import pytest
from annotated_clips import put
from command_line import refused, run
from mask_files import HEIGHT, WIDTH, add_masks, add_meta, scene
from small_sets import MaskedSet, small_set
from stored_crops import CROPS, SMALL, content

from siamtrack.datasets import crop_records
from siamtrack.datasets.clips import Clip, TrainingSet
from siamtrack.datasets.coco import COCO
from siamtrack.datasets.crop_masks import masks_of
from siamtrack.datasets.crop_records import blocks_of, crop_key, croppable
from siamtrack.datasets.crop_store import DATABASE, StoredCrops, close_readers, read_manifest
from siamtrack.datasets.crop_writing import write_crops
from siamtrack.datasets.crops import Crops, CropsOfFrames
from siamtrack.datasets.davis import DAVIS
from siamtrack.datasets.palette_masks import LabelMasks
from siamtrack.datasets.youtube_vos import YouTubeVOS
from siamtrack.errors import DataError, MissingExtraError, OutputError
from siamtrack.pair import Pair
from siamtrack.training.augment import AugmentSettings
from siamtrack.training.clip_pairs import ClipPairs, SamplingSettings
from siamtrack.training.recipes import read_recipe
from siamtrack.training.sources import TrainingData, open_data

MASKED = replace(SMALL, masks=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> MaskedSet:
    return MaskedSet(small_set(tmp_path_factory.mktemp("set") / "data").root)


@pytest.fixture(scope="module")
def whole(made: MaskedSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("crops") / "out"
    assert write_crops(made, out, MASKED).crops == CROPS
    return out


def add_noise(folder: Path, stems: list[str]) -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for stem in stems:
        assert cv2.imwrite(str(folder / f"{stem}.jpg"), rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8))


LABELS = [scene((1, 4 + 2 * n, 10, 9, 12), (2, 40, 5 + n, 14, 10), *[(3, 20, 30, 6, 6)] * (n > 3)) for n in range(8)]


def davis(root: Path) -> DAVIS:
    """In swing nobody knows of some pixels what they are."""
    for video in ("bear", "swing"):
        add_noise(root / "JPEGImages/480p" / video, [f"{n:05}" for n in range(8)])
        labels = LABELS if video == "bear" else [np.where(one == 3, 255, one).astype(np.uint8) for one in LABELS[::-1]]
        add_masks(root / "Annotations/480p" / video, labels)
    put(root / "ImageSets/2017/train.txt", "bear\nswing\n")
    return DAVIS(root)


def youtube_vos(root: Path) -> YouTubeVOS:
    """Every frame, and every second one annotated; object 3 appears late."""
    train, frames = root / "train", [f"{n:05}" for n in range(0, 16, 2)]
    add_noise(train / "JPEGImages/v", [f"{n:05}" for n in range(16)])
    add_masks(train / "Annotations/v", LABELS, step=2)
    add_meta(train / "meta.json", {"v": {1: ("dog", frames), 2: ("cat", frames[2:]), 3: ("dog", frames)}})
    return YouTubeVOS(root)


def coco(root: Path) -> COCO:
    """Three pictures: polygons, run lengths, and no segmentation at all."""
    triangle = [[10.0, 8.0, 40.5, 12.0, 22.0, 40.0]]
    runs = {"size": [HEIGHT, WIDTH], "counts": [500, 30, 18, 30, WIDTH * HEIGHT - 578]}
    segmentations = ((1, triangle), (1, runs), (2, runs), (3, []))
    stems = [f"{number:012}" for number in (1, 2, 3)]
    objects = {"category_id": 1, "bbox": [10, 8, 30, 32]}
    annotations = [{"id": 70 + k, "image_id": of, "segmentation": s} | objects for k, (of, s) in enumerate(segmentations)]
    images = [{"id": int(stem), "file_name": f"{stem}.jpg", "width": WIDTH, "height": HEIGHT} for stem in stems]
    text = json.dumps({"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "dog"}]})
    put(root / "annotations/instances_train2017.json", text)
    add_noise(root / "train2017", stems)
    return COCO(root)


class Compared(NamedTuple):
    crops: int
    with_mask: int


def assert_same_crops(stored: Crops, cut: Crops) -> Compared:
    """Whether they are the same to the bit, with masks and without."""
    crops = with_mask = 0
    for clip, target, index in rows(cut):
        a, b = (source.crop(clip, target, index, masked=True) for source in (stored, cut))
        assert np.array_equal(a.image, b.image)
        assert a.fill == b.fill
        for one, other in ((a.mask, b.mask), (a.void, b.void)):
            assert (one is None) == (other is None)
            assert one is None or one.dtype == np.uint8
            assert one is None or np.array_equal(one, other)
        assert stored.crop(clip, target, index).mask is None
        crops, with_mask = crops + 1, with_mask + (a.mask is not None)
    return Compared(crops, with_mask)


def rows(crops: Crops) -> Iterator[tuple[str, int, int]]:
    for clip in crops.names:
        for number, target in enumerate(crops.targets(clip)):
            yield from ((clip, number, int(index)) for index in np.flatnonzero(croppable(target.boxes)))


def test_masks_are_those_of_the_frames_to_the_bit(made: MaskedSet, whole: Path) -> None:
    """Of pictures and of a video; where none is known, the crop has none."""
    stored = StoredCrops(whole)
    assert stored.masked
    assert not stored.masks_left_out
    found = assert_same_crops(stored, CropsOfFrames(made, MASKED.crops))
    assert found.crops == CROPS
    assert found.with_mask == sum(int(stored.targets(c)[t].positions[i]) % 4 != 2 for c, t, i in rows(stored)) < CROPS


@pytest.mark.parametrize(
    ("source", "crops", "with_mask"),
    [(davis, 20 + 16, 20 + 16), (youtube_vos, 8 + 6 + 4, 18), (coco, 4, 3)],
)
def test_masks_of_every_set_that_has_some(
    source: type[TrainingSet], crops: int, with_mask: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut by other processes, in several blocks a clip."""
    monkeypatch.setattr(crop_records, "BLOCK", 5)
    made = source(tmp_path / "data")
    assert made.has_masks
    write_crops(made, tmp_path / "one", MASKED)
    write_crops(made, tmp_path / "two", MASKED, workers=2)
    assert content(tmp_path / "one") == content(tmp_path / "two")
    assert assert_same_crops(StoredCrops(tmp_path / "two"), CropsOfFrames(made, MASKED.crops)) == (crops, with_mask)
    assert all(made.clip(name).masks is not None for name in made.names)


def test_every_third_frame_has_its_own_mask(tmp_path: Path) -> None:
    made = davis(tmp_path / "data")
    write_crops(made, tmp_path / "out", replace(MASKED, every=3))
    stored, cut = StoredCrops(tmp_path / "out"), CropsOfFrames(made, MASKED.crops)
    for kept, row in ((0, 0), (1, 3), (2, 6)):
        a, b = stored.crop("bear", 0, kept, masked=True).mask, cut.crop("bear", 0, row, masked=True).mask
        assert a is not None
        assert np.array_equal(a, b)
    assert stored.crop("bear", 0, 0, masked=True).void is None
    assert stored.crop("swing", 0, 0, masked=True).void is not None  # of some pixels nobody knows what they are


def test_other_processes_are_told_of_their_own_masks_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crop_records, "BLOCK", 5)
    clip = davis(tmp_path).clip("bear")
    for block in blocks_of(clip.targets):
        found = pickle.loads(pickle.dumps(masks_of(clip, block)))
        assert isinstance(found.reader, LabelMasks)
        assert len(found.reader.paths) == len(found.labels) == len(block)
        assert set(found.targets) == {(row.target, row.at) for _, rows in block for row in rows}
        assert all(len(target.positions) == len(target.boxes) == 1 for target in found.targets.values())


def test_a_missing_package_is_told_by_other_processes() -> None:
    error = pickle.loads(pickle.dumps(MissingExtraError("pycocotools", extra="train", purpose="Reading COCO's polygons")))
    assert str(error) == str(MissingExtraError("pycocotools", extra="train", purpose="Reading COCO's polygons"))


def test_jpeg_leaves_masks_as_they_are(made: MaskedSet, whole: Path, tmp_path: Path) -> None:
    write_crops(made, tmp_path / "out", replace(MASKED, jpeg=50))
    a, b = (StoredCrops(path).crop("a", 0, 0, masked=True) for path in (tmp_path / "out", whole))
    assert not np.array_equal(a.image, b.image)
    assert a.mask is not None
    assert np.array_equal(a.mask, b.mask)


# Training


def pairs(crops: Crops, *, masked: bool = True) -> ClipPairs:
    augment = AugmentSettings(flip=0.5, occluder=0.5, look_alikes=0.5, stretch=0.05, translation=8)
    sampling = SamplingSettings(validation_share=0, min_area_px=0, min_side_px=1, crop_size=79)
    given = {"which": "training", "seed": 0, "template_size": 32, "search_size": 63, "masked": masked}
    return ClipPairs(crops, sampling, augment, **given)  # type: ignore[arg-type]


def assert_same_pair(a: Pair, b: Pair) -> None:
    for one, other in zip(a, b, strict=True):
        assert np.array_equal(one, other) if isinstance(one, np.ndarray) else one == other


def test_pairs_are_those_of_the_frames_to_the_bit(made: MaskedSet, whole: Path) -> None:
    stored, cut = pairs(StoredCrops(whole)), pairs(CropsOfFrames(made, MASKED.crops))
    known = 0
    for number in range(40):
        assert_same_pair(stored[number], cut[number])
        known += stored[number].mask is not None
    assert 20 < known < 40
    assert all(pairs(StoredCrops(whole), masked=False)[number].mask is None for number in range(8))


def test_crops_without_the_masks_that_there_are_are_refused(made: MaskedSet, whole: Path, tmp_path: Path) -> None:
    """Even beside others that have some: what is learnt would not be what the data can teach."""
    recipe, out = read_recipe("siammask-resnet18"), tmp_path / "my out"
    write_crops(made, out, SMALL)
    stored = StoredCrops(out)
    assert (stored.masked, stored.masks_left_out) == (False, True)
    assert stored.crop("a", 0, 0, masked=True).mask is None
    line = r"siamtrack data crop .*data --as small --out '.*my out-masks' --template-size 32 --size 79 --masks$"
    with pytest.raises(DataError, match=rf"my out' were stored without the masks of small, and siammask .* again.*: {line}"):
        TrainingData(crops=(StoredCrops(whole), stored)).unpainted(recipe)
    other = read_recipe("siamrpn-small")
    assert TrainingData(crops=(stored,)).unpainted(other) is not None  # nothing is refused where no masks are learnt


def test_crops_of_sets_that_have_no_masks_may_be_beside_others(made: MaskedSet, whole: Path, tmp_path: Path) -> None:
    recipe = read_recipe("siammask-resnet18", overrides=("sampling.min_area_px=0", "sampling.min_side_px=1"))
    write_crops(small_set(tmp_path / "data"), tmp_path / "out", SMALL)
    plain = StoredCrops(tmp_path / "out")
    assert not plain.masks_left_out
    assert TrainingData(crops=(plain, StoredCrops(whole))).unpainted(recipe) is not None
    with pytest.raises(DataError, match=r"None of 60 pairs of small has a mask.*'siamtrack data crop --masks' made of them"):
        TrainingData(crops=(plain,)).unpainted(recipe)


# What goes wrong


def test_masks_of_a_set_that_has_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data set 'small' has no masks, and --masks asks for them.* Leave --masks out"):
        write_crops(small_set(tmp_path / "data"), tmp_path / "out", MASKED)
    assert not (tmp_path / "out").exists()


def test_a_store_goes_on_with_masks_or_without(made: MaskedSet, whole: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"masks yes, not no\. .*go on with: .* --masks$"):
        write_crops(made, whole, SMALL)
    write_crops(made, tmp_path / "out", SMALL)
    with pytest.raises(OutputError, match="masks no, not yes"):
        write_crops(made, tmp_path / "out", MASKED)


@pytest.mark.parametrize("workers", [1, 2])
def test_frames_whose_masks_cannot_be_used_are_left_out_and_tried_again(tmp_path: Path, workers: int) -> None:
    made, out = davis(tmp_path / "data"), tmp_path / "out"
    masks = tmp_path / "data/Annotations/480p/bear"
    pictures = tmp_path / "data/JPEGImages/480p/swing"
    good = (pictures / "00001.jpg").read_bytes()
    assert cv2.imwrite(str(pictures / "00001.jpg"), np.zeros((HEIGHT, WIDTH + 1, 3), np.uint8))
    whole, read_boxes = (masks / "00005.png").read_bytes(), DAVIS.clip

    def torn(self: DAVIS, name: str) -> Clip:
        """The mask is damaged after the boxes were read from it."""
        clip = read_boxes(self, name)
        (masks / "00005.png").write_bytes(whole[:50])
        return clip

    with mock.patch.object(DAVIS, "clip", torn):
        assert write_crops(made, out, MASKED, workers=workers).unreadable == 2
    first, second = read_manifest(out)["unreadable"]
    assert (first["clip"], first["frame"], second["clip"], second["frame"]) == ("bear", 5, "swing", 1)
    assert "00005.png' is damaged" in first["reason"]
    assert "00001.jpg' are 64x48 and 65x48 px; expected the same" in second["reason"]
    stored = StoredCrops(out)
    assert not any(stored.damage(name) for name in stored.names)
    with pytest.raises(DataError, match="no crop of target 1"):
        stored.crop("bear", 1, 5)
    (masks / "00005.png").write_bytes(whole)
    (pictures / "00001.jpg").write_bytes(good)
    assert write_crops(made, out, MASKED).unreadable == 0
    assert assert_same_crops(StoredCrops(out), CropsOfFrames(made, MASKED.crops)) == (36, 36)


def test_damaged_masks_are_found(whole: Path, tmp_path: Path) -> None:
    out = shutil.copytree(whole, tmp_path / "out")
    close_readers(out / DATABASE)
    with lmdb.open(str(out / DATABASE), subdir=False) as environment, environment.begin(write=True) as transaction:
        value = bytearray(transaction.get(crop_key(1, 0, 4)))
        value[28 + 30] ^= 1  # in the mask, which begins after 28 bytes
        transaction.put(crop_key(1, 0, 4), bytes(value))
        transaction.put(crop_key(0, 0, 0), transaction.get(crop_key(0, 0, 0))[:28])
    stored = StoredCrops(out)
    assert [len(stored.damage(name)) for name in ("a", "b", "c")] == [1, 1, 0]
    with pytest.raises(DataError, match=r"is damaged. Look for more"):
        stored.crop("b", 0, 4, masked=True)
    with pytest.raises(DataError, match=r"is damaged. Look for more"):
        stored.crop("a", 0, 0)


def test_by_the_command_line(tmp_path: Path) -> None:
    """Crops with masks, whether they are whole, and the same pairs to look at as those of the frames."""
    davis(tmp_path / "data")
    settings = read_recipe("siammask-resnet18").crops
    given = ("--masks", "--workers", 1, "--size", settings.size)
    ended = run("data", "crop", "data", "--out", "crops", *given, folder=tmp_path)
    assert (ended.code, ended.out) == (0, "crops holds 36 crops of 2 clips; this run cut 36.\n"), ended.err
    assert run("data", "check", "crops", folder=tmp_path).code == 0
    limits = ("--set", "sampling.min_area_px=0", "--set", "sampling.min_side_px=1", "--pairs", 4)
    for place in ("crops", "data"):
        shown = ("data", "show", "siammask-resnet18", "--data", f"davis={place}", "--out", f"{place}.png", *limits)
        assert run(*shown, folder=tmp_path).code == 0
    assert (tmp_path / "crops.png").read_bytes() == (tmp_path / "data.png").read_bytes()
    assert open_data([("davis", tmp_path / "crops")], settings).crops[0].crop("bear", 0, 0, masked=True).mask is not None
    add = ("data", "crop", "clips", "--as", "folder", "--out", "others", "--masks")
    put(tmp_path / "clips/a/groundtruth.txt", "1,1,5,5\n")
    add_noise(tmp_path / "clips/a/img", ["00000001"])
    refused([*add], 2, "'folder' has no masks", "Leave --masks out", folder=tmp_path)
