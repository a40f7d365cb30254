"""Pairs of annotated clips: which clips, which targets, which frames; and the same ones again."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from training_runs import RECIPE, draw_clips, draw_pictures

from siamtrack.datasets.clips import Clip, PictureFiles, Target, TrainingSet
from siamtrack.datasets.crops import CropSettings, CropsOfFrames
from siamtrack.errors import DataError, SettingsError
from siamtrack.training.augment import OFF, AugmentSettings
from siamtrack.training.clip_pairs import ClipPairs, SamplingSettings, part, usable_rows
from siamtrack.training.pair_sheet import pair_sheet
from siamtrack.training.sources import TrainingData, open_data, parsed_places

SIZES: dict[str, Any] = {"template_size": 127, "search_size": 255}


class Drawn(TrainingSet):
    """Clips given as they are."""

    name = "drawn"

    def __init__(self, clips: Sequence[Clip]) -> None:
        self._clips = {clip.name: clip for clip in clips}

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return False

    @property
    def names(self) -> list[str]:
        return sorted(self._clips)

    def clip(self, name: str) -> Clip:
        if self._clips[name].size == (0, 0):
            raise DataError(f"annotation of {name} is torn")
        return self._clips[name]


class Numbered:
    """Frames that hold the number of clip and frame, and whether the former is odd, as colour."""

    def __init__(self, count: int, clip: int) -> None:
        self._count, self._clip = count, clip

    def __len__(self) -> int:
        return self._count

    def read(self, position: int) -> np.ndarray:
        if self._clip == 77:
            raise DataError("clip 77 cannot be read")
        return np.full((240, 320, 3), (self._clip, position, 200 if self._clip % 2 else 50), np.uint8)


def target(positions: Sequence[int], **changes: Any) -> Target:
    count = len(positions)
    values: dict[str, Any] = {
        "name": "a",
        "positions": np.array(positions),
        "boxes": np.tile([100.0, 80, 60, 50], (count, 1)),
        "visibility": np.full(count, np.nan),
    }
    return Target(**(values | changes))


def clip(number: int, *targets: Target, size: tuple[int, int] = (320, 240)) -> Clip:
    length = 1 + max((int(t.positions.max()) for t in targets), default=0)
    return Clip(name=f"c{number}", frames=Numbered(length, number), targets=targets, size=size)  # type: ignore[arg-type]


def pairs_of(clips: Sequence[Clip], seed: int = 0, **changes: Any) -> ClipPairs:
    crops = CropsOfFrames(Drawn(clips), CropSettings())
    sampling = SamplingSettings(**({"validation_share": 0.0} | changes))
    return ClipPairs(crops, sampling, OFF, which="training", seed=seed, **SIZES)


def frames(pairs: ClipPairs, count: int = 300) -> list[tuple[int, int, int, int]]:
    """(clip, frame) of template and of search patch, from the colours."""
    found = []
    for number in range(count):
        pair = pairs[number]
        found.append((*map(int, pair.template[63, 63, :2]), *map(int, pair.search[127, 127, :2])))
    return found


def test_both_frames_are_of_one_clip_and_not_too_far_apart() -> None:
    found = frames(pairs_of([clip(n, target(range(0, 120, 3))) for n in range(4)], max_frame_gap=20))
    assert all(a == c for a, _, c, _ in found)
    assert {a for a, *_ in found} == {0, 1, 2, 3}
    gaps = np.array([d - b for _, b, _, d in found])
    assert np.abs(gaps).min() > 0
    assert np.abs(gaps).max() == 18
    assert (gaps > 0).any()
    assert (gaps < 0).any()
    assert {b for _, b, _, _ in found} == set(range(0, 120, 3))


def test_a_still_and_a_lonely_frame_are_paired_with_themselves() -> None:
    found = frames(pairs_of([clip(1, target([0])), clip(2, target([0, 90]))], max_frame_gap=50), 40)
    assert {(a, b, c, d) for a, b, c, d in found} == {(1, 0, 1, 0), (2, 0, 2, 0), (2, 90, 2, 90)}


def test_the_same_number_is_the_same_pair_in_any_order_and_process() -> None:
    clips = [clip(n, target(range(9))) for n in range(5)]
    a, b = pairs_of(clips), pairs_of(clips)
    forward = [a[number] for number in range(20)]
    copied = pickle.loads(pickle.dumps(b))
    for number in reversed(range(20)):
        assert all(np.array_equal(x, y) for x, y in zip(forward[number][:4], copied[number][:4], strict=True))
    other = pairs_of(clips, seed=1)
    assert any(not np.array_equal(forward[number].search, other[number].search) for number in range(20))


BOX = [100.0, 80, 60, 50]


@pytest.mark.parametrize(
    ("boxes", "visibility", "left"),
    [
        ([BOX, [np.nan] * 4, [100, 80, 0, 50], [100, 80, 60, -1]], None, [0]),
        ([BOX, [100, 80, 19, 60], [100, 80, 60, 21]], None, [0, 2]),  # sides below 20
        ([BOX, [400, 80, 60, 50], [-59, 80, 60, 50], [-60, 80, 60, 50]], None, [0, 2]),  # outside the image
        ([[0, 0, 27, 27], [0, 0, 28, 28]], None, [1]),  # 1 % of 320 x 240
        ([[0, 0, 240, 160], [0, 0, 240, 161]], None, [0]),  # 50 %
        ([[0, 0, 160, 40], [0, 0, 161, 40], [0, 0, 40, 161]], None, [0]),  # 4 to 1
        ([BOX] * 4, [0.8, 0.24, 0.25, np.nan], [0, 2, 3]),  # 0.3 of the best
    ],
)
def test_the_limits_of_the_papers(boxes: list[list[float]], visibility: list[float] | None, left: list[int]) -> None:
    seen = np.full(len(boxes), np.nan) if visibility is None else np.array(visibility)
    found = target(range(len(boxes)), boxes=np.array(boxes, float), visibility=seen)
    assert usable_rows(found, (320, 240), SamplingSettings()).tolist() == left
    sides = target([0, 1], boxes=np.array([[0, 0, 500.0, 300], [0, 0, 501, 300]]))
    assert usable_rows(sides, (1000, 1000), SamplingSettings()).tolist() == [0]


def test_targets_without_usable_rows_are_never_drawn() -> None:
    small = target([0, 1], boxes=np.array([[10.0, 10, 5, 5]] * 2))
    clips = [clip(1, small), clip(2, small, target([3, 4])), clip(3)]
    assert {found[:2] for found in frames(pairs_of(clips), 60)} == {(2, 3), (2, 4)}
    with pytest.raises(DataError, match=r"learnt from in 2 clips.*min_side_px 2.*: .*--set sampling\.min_side_px=VALUE.*\.$"):
        pairs_of([clip(1, small), clip(3)])[0]
    absent = target([0, 1], boxes=np.full((2, 4), np.nan))
    with pytest.raises(DataError, match=r"because of: absent or without area 2\. Give other data\.$"):
        pairs_of([clip(1, absent)])[0]


def test_what_cannot_be_read_is_replaced_and_told() -> None:
    clips = [clip(1, target(range(5))), clip(77, target(range(5))), clip(3, target(range(5)), size=(0, 0))]
    pairs = pairs_of(clips)
    told = [pairs[number].skipped for number in range(60)]
    assert {text for texts in told for text in texts} == {"clip 77 cannot be read", "annotation of c3 is torn"}
    assert {found[0] for found in frames(pairs, 60)} == {1}
    again = pairs_of(clips)
    assert [again[number].skipped for number in range(60)] == told  # the same again after a stop
    with pytest.raises(DataError, match="20 frames of 'drawn' in a row cannot be read; the last one: clip 77"):
        pairs_of([clip(77, target(range(5)))])[0]
    with pytest.raises(DataError, match="annotation of c3 is torn"):
        pairs_of([clip(3, target(range(5)), size=(0, 0))])[0]


@given(
    names=st.sets(st.text(min_size=1, max_size=8), min_size=2, max_size=60),
    share=st.floats(0.01, 0.9),
    more=st.text(min_size=9),
)
def test_clips_are_learnt_from_or_held_out_never_both(names: set[str], share: float, more: str) -> None:
    training, validation = (set(part(sorted(names), which, share)) for which in ("training", "validation"))  # type: ignore[arg-type]
    assert training | validation == names
    assert not training & validation
    assert training
    assert validation
    assert abs(len(validation) - share * len(names)) <= 1
    later = set(part(sorted(names | {more}), "validation", share))
    assert len(later - {more} - validation) <= 1  # one more clip moves at most one


@pytest.mark.parametrize("pattern", ["TRAIN_{1}/{0}_{1}", "{0}+{1}+0", "{0}+3+{1}"])  # TrackingNet, YouTube-BB
def test_clips_of_one_video_stay_together(pattern: str) -> None:
    videos = [f"aA{number:03}-_bcde" for number in range(200)]
    names = sorted(pattern.format(video, number) for video in videos for number in range(4))
    training, validation = (part(names, which, 0.1) for which in ("training", "validation"))  # type: ignore[arg-type]
    assert sorted(training + validation) == names
    assert len(validation) == 4 * 20
    assert not {next(v for v in videos if v in name) for name in training} & {
        next(v for v in videos if v in name) for name in validation
    }


@pytest.mark.parametrize(
    "pattern",
    ["GOT-10k_Train_{:06}", "airplane-{}", "ILSVRC2015_VID_train_0000/ILSVRC2015_train_{:08}", "parking_lot_{}", "{:012}"],
)
def test_names_that_say_nothing_of_a_video_are_a_video_each(pattern: str) -> None:
    names = [pattern.format(number) for number in range(50)]
    assert len(part(names, "validation", 0.1)) == 5


def test_nothing_is_held_out_when_nothing_is_asked_for() -> None:
    assert part(["a", "b"], "validation", 0.0) == []
    assert part(["a"], "validation", 0.5) == []
    crops = CropsOfFrames(Drawn([clip(1, target([0]))]), CropSettings())
    with pytest.raises(DataError, match="none is left for validation"):
        ClipPairs(crops, SamplingSettings(), OFF, which="validation", seed=0, **SIZES)


@pytest.mark.parametrize(
    "change", [{"max_frame_gap": -1}, {"validation_share": 1.5}, {"max_aspect": 0.5}, {"max_side_px": 3.0}]
)
def test_impossible_limits_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        SamplingSettings(**change)


def test_look_alikes_come_from_another_clip_of_the_category() -> None:
    clips = [clip(n, target(range(3), category="dog" if n % 2 else "cat")) for n in range(1, 9)]
    crops = CropsOfFrames(Drawn(clips), CropSettings())
    augment = AugmentSettings(stretch=0, translation=0, colour=0, grey=0, look_alikes=1.0)
    pairs = ClipPairs(crops, SamplingSettings(validation_share=0), augment, which="training", seed=0, **SIZES)
    kinds = []
    for number in range(30):
        search = pairs[number].search
        own = search[127, 127, 2]
        others = search[(search[..., 0] != search[127, 127, 0]) & np.isin(search[..., 2], (50, 200))]
        kinds += (others[:, 2] == own).tolist()
    assert len(kinds) > 30 * 60 * 50 * 0.3
    assert np.mean(kinds) > 0.95


def test_a_look_alike_that_cannot_be_read_is_told() -> None:
    clips = [clip(1, target(range(5))), clip(77, target(range(5)))]
    crops = CropsOfFrames(Drawn(clips), CropSettings())
    augment = AugmentSettings(stretch=0, translation=0, colour=0, grey=0, occluder=1.0)
    pairs = ClipPairs(crops, SamplingSettings(validation_share=0), augment, which="training", seed=0, **SIZES)
    assert {pairs[number].skipped[-1:] for number in range(20)} == {("clip 77 cannot be read",)}


# Several data sets


def test_data_sets_are_mixed_by_weight(tmp_path: Path) -> None:
    draw_clips(tmp_path / "clips", clips=3, frames=2)
    material = draw_pictures(tmp_path / "pictures")
    places = parsed_places([f"folder={tmp_path / 'clips'}", f"pictures={tmp_path / 'pictures'}"])
    data = open_data(places, RECIPE.crops)
    assert data.names == ["folder", "pictures"]
    assert data.material is not None
    assert data.material.digest() == material.digest()
    mixed = data.pairs(replace(RECIPE, weights={"folder": 3.0}), "training")
    alone = TrainingData(material=data.material).pairs(RECIPE, "training")
    made_up = [np.array_equal(mixed[number].search, alone[number].search) for number in range(200)]
    assert 0.15 < np.mean(made_up) < 0.35
    only = data.pairs(replace(RECIPE, weights={"pictures": 0.0}), "training")
    assert not any(np.array_equal(only[number].search, alone[number].search) for number in range(50))
    with pytest.raises(SettingsError, match=r"no data for coco.*--data coco=PATH"):
        data.pairs(replace(RECIPE, weights={"coco": 1.0}), "training")
    with pytest.raises(SettingsError, match="all 0"):
        data.pairs(replace(RECIPE, weights={"pictures": 0.0, "folder": 0.0}), "training")


def test_places_that_cannot_be_opened_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="expected NAME=PATH"):
        parsed_places(["/data/GOT-10k"])
    with pytest.raises(SettingsError, match=r"Unknown data set 'got10'\. Did you mean 'got10k'"):
        open_data([("got10", tmp_path)], RECIPE.crops)
    with pytest.raises(DataError, match="does not exist"):
        open_data([("got10k", tmp_path / "none")], RECIPE.crops)
    with pytest.raises(DataError, match="No data was given"):
        open_data([], RECIPE.crops)


def test_the_sheet_shows_the_labels_where_the_target_is() -> None:
    frame = np.full((300, 400, 3), 128, np.uint8)
    seen = Clip(
        name="c", frames=Painted(frame), targets=(target([0, 1], boxes=np.array([[170.0, 125, 60, 50]] * 2)),), size=(400, 300)
    )
    crops = CropsOfFrames(Drawn([seen]), CropSettings())
    augment = AugmentSettings(stretch=0, translation=30, colour=0, grey=0)
    pairs = ClipPairs(crops, SamplingSettings(validation_share=0), augment, which="training", seed=0, **SIZES)
    for number in range(5):
        pair = pairs[number]
        sheet = pair_sheet([("", pair)], columns=1)[44:].astype(int)  # below the legend
        width = sheet.shape[1]
        red = (sheet[..., 0] - sheet[..., 2] > 20) & (sheet[..., 0] - sheet[..., 1] > 20)
        rows, columns = np.where(red)
        scale = (width - 24) / (127 + 6 + 255)
        found = np.array([columns.mean() - 12, rows.mean() - 12]) / scale - [127 + 6 + 127.5, 127.5]
        assert np.abs(found - pair.offset).max() < 6  # the cells around the target, to about half a cell


class Painted:
    """The same frame again and again."""

    def __init__(self, frame: np.ndarray) -> None:
        self._frame = frame

    def __len__(self) -> int:
        return 2

    def read(self, position: int) -> np.ndarray:
        return self._frame


def test_picture_files_are_frames(tmp_path: Path) -> None:
    draw_clips(tmp_path, clips=1, frames=3)
    paths = tuple(sorted((tmp_path / "clip0" / "img").iterdir()))
    found = list(PictureFiles(paths).several([0, 2]))
    assert all(isinstance(image, np.ndarray) and image.shape == (240, 320, 3) for image in found)
