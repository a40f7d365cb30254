"""Masks while tracking: where they lie in the frame, which pixels they have, and the turned boxes around them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_up_proposals import Seeing, drawn, follow, one_answer, proposed
from numpy.typing import NDArray

from siamtrack.box import Box
from siamtrack.crop import cut
from siamtrack.errors import SettingsError
from siamtrack.polygon import box_corners, polygon_area, rotated_box
from siamtrack.settings import from_mapping
from siamtrack.trackers.mask import (
    NO_PART,
    MaskSettings,
    Part,
    disjoint,
    placed,
    turned_box,
    windows_around,
)
from siamtrack.trackers.rpn import PRESETS, RPNTracker
from siamtrack.trackers.rpn_settings import RPNSettings

BOX = Box(200, 140, 60, 40)
MASKS = RPNSettings(mask=MaskSettings(threshold=0.5))


class Told:
    """A network whose answers and masks are given; its correlation says which cell it is asked for."""

    def __init__(self, answers: list[tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]]) -> None:
        self.answers = iter(answers)
        self.asked: list[tuple[int, int]] = []

    def embed(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.zeros((len(patches), 1, 1, 1), np.float32)

    def match(self, templates: NDArray[np.float32], patches: NDArray[np.uint8]) -> tuple[NDArray[np.float32], ...]:
        cls, loc, self.mask = (values.astype(np.float32) for values in next(self.answers))
        places = np.stack(np.meshgrid(*[np.arange(cls.shape[-1])] * 2, indexing="ij")).astype(np.float32)
        return cls[None, None], loc[None, None], places[None, None]

    def masks(self, cells: NDArray[np.float32], *windows: NDArray[np.float32]) -> NDArray[np.float32]:
        assert windows == ()
        self.asked += [(int(row), int(column)) for row, column in cells]
        return np.stack([self.mask] * len(cells))


def apart(polygon: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """The largest distance between corners, in whichever order they come, px."""
    orders = [np.roll(other[::way], shift, 0) for way in (1, -1) for shift in range(4)]
    return float(min(np.linalg.norm(polygon - order, axis=1).max() for order in orders))


@pytest.mark.shared_data
def test_ten_steps_of_the_published_tracker(shared_data: Path) -> None:
    """PySOT on stored maps and masks. It says indices of pixels, whose middles are meant here."""
    stored = np.load(shared_data / "networks" / "steps_pysot_mask_siammask_r50_l3.npz")
    facts = json.loads((shared_data / "networks" / "steps_pysot_mask_siammask_r50_l3.json").read_text())
    settings = from_mapping(RPNSettings, PRESETS["siammask_r50_l3"], where="preset")
    settings = replace(settings, mask=replace(settings.mask, as_published=True))
    assert settings.mask.threshold == facts["settings"]["MASK_THRESHOLD"]
    network = Told([(stored[f"cls_{n}"], stored[f"loc_{n}"], stored[f"mask_{n}"]) for n in range(10)])
    tracker, frame = RPNTracker(network, settings), np.zeros((*facts["image_size"], 3), np.uint8)
    states, found = tracker.start(frame, [Box(*facts["init_box"])]), []
    for _ in range(10):
        states, (prediction,) = tracker.step(frame, states)
        found.append(prediction)
    assert network.asked == [tuple(cell) for cell in facts["mask_cells"]]
    assert np.abs(np.array([p.box for p in found]) - np.add(facts["boxes"], [0.5, 0.5, 0, 0])).max() < 0.05
    assert np.abs(np.array([p.score for p in found]) - facts["scores"]).max() < 1e-4
    for prediction, theirs in zip(found, facts["polygons"], strict=True):
        assert prediction.polygon is not None
        assert apart(prediction.polygon, np.reshape(theirs, (4, 2)) + 0.5) < 0.05


@pytest.mark.parametrize("cells", [63, 127])
@pytest.mark.parametrize(("x", "y", "side"), [(100.0, 80.0, 63.5), (103.4, 81.7, 40.0), (5.0, 3.0, 90.0), (158.0, 118.0, 33.3)])
def test_a_mask_lies_where_its_patch_was_cut(cells: int, x: float, y: float, side: float) -> None:
    """An ellipse drawn into a frame, cut out as a patch, and put back: the same pixels but for those at its edge."""
    height, width = 120, 160
    frame = np.zeros((height, width, 3), np.uint8)
    cv2.ellipse(frame, (round(x), round(y)), (round(0.4 * side), round(0.25 * side)), 30, 0, 360, (255, 255, 255), -1)
    patch = cut(frame, (x, y), side, cells, (0.0, 0.0, 0.0))[..., 0].astype(np.float32) / 255
    logits = np.where(patch > 0.5, 8.0, -8.0).astype(np.float32)
    (mask,) = disjoint([placed(logits, (x, y), side, width, height)], width, height, 0.5)
    truth = frame[..., 0] > 0
    both = (mask & truth).sum()
    assert both / (mask | truth).sum() > 0.9
    rows, columns = np.nonzero(mask)
    true_rows, true_columns = np.nonzero(truth)
    assert abs(rows.mean() - true_rows.mean()) < 0.3
    assert abs(columns.mean() - true_columns.mean()) < 0.3


def test_patches_beyond_the_frame_have_no_pixels() -> None:
    full = np.full((63, 63), 9.0, np.float32)
    for center in ((-50.0, 10.0), (10.0, 200.0), (400.0, 20.0)):
        assert placed(full, center, 40, 160, 120) is NO_PART
    part = placed(full, (0.0, 0.0), 40, 160, 120)
    assert (part.left, part.top) == (0, 0)
    assert part.values.shape == (20, 20)
    assert not disjoint([placed(np.full((63, 63), np.nan, np.float32), (80, 60), 40, 160, 120)], 160, 120, 0.0)[0].any()


def test_what_several_could_have_belongs_to_the_most_probable() -> None:
    weak, strong = (Part(left, 1, np.full((2, 4), value, np.float32)) for left, value in ((0, 0.6), (2, 0.9)))
    first, second, third = disjoint([weak, strong, NO_PART], 8, 4, 0.5)
    assert first.sum() == 4
    assert second.sum() == 8
    assert not (first & second).any()
    assert not third.any()
    assert not disjoint([weak], 8, 4, 0.7)[0].any()


def test_the_box_around_a_mask_is_turned_as_it_is() -> None:
    wanted = rotated_box(Box(40, 60, 80, 30), 25)
    mask = np.zeros((200, 200), np.uint8)
    cv2.fillPoly(mask, [np.round(wanted - 0.5).astype(np.int32)], 1)
    mask[5:12, 5:12] = 1  # something small elsewhere
    found = turned_box(mask.astype(bool), 100)
    assert found is not None
    assert apart(found, wanted) < 2
    assert polygon_area(found) == pytest.approx(80 * 30, rel=0.06)
    assert turned_box(mask.astype(bool), 4000) is None
    assert turned_box(np.zeros((9, 9), bool), 0) is None


def test_an_empty_mask_gives_the_upright_box() -> None:
    cls, loc = proposed((6, -4, 62, 40))
    network = Told([(cls, loc, np.full((63, 63), -9.0))])
    tracker = RPNTracker(network, MASKS)
    frame = drawn(BOX)
    _, (prediction,) = tracker.step(frame, tracker.start(frame, [BOX]))
    assert prediction.mask is not None
    assert prediction.mask.shape == frame.shape[:2]
    assert not prediction.mask.any()
    assert np.array_equal(prediction.polygon, box_corners(prediction.box))  # type: ignore[arg-type]


def test_a_frame_of_nothing_gives_an_empty_mask_and_asks_for_none() -> None:
    cls, loc = (np.full_like(m, np.nan) for m in proposed((6, -4, 62, 40)))
    network = Told([(cls, loc, np.full((63, 63), 9.0))])
    tracker = RPNTracker(network, MASKS)
    _, (prediction,) = tracker.step(drawn(BOX), tracker.start(drawn(BOX), [BOX]))
    assert prediction.mask is not None
    assert not prediction.mask.any()
    assert network.asked == []


@pytest.mark.parametrize(("row", "column"), [(0, 0), (12, 12), (3, 24), (24, 1)])
def test_windows_lie_around_their_cell(row: int, column: int) -> None:
    """As the padding and slicing of the official code; zeros beyond the borders."""
    rng = np.random.default_rng(row)
    correlation = rng.normal(size=(4, 25, 25)).astype(np.float32)
    layers = [rng.normal(size=(2, side, side)).astype(np.float32) for side in (31, 63, 125)]
    cell, *windows = windows_around(correlation, layers, row, column, windows=MaskSettings().windows)
    assert np.array_equal(cell, correlation[:, row, column])
    for layer, window, stride, side, pad in zip(layers, windows, (1, 2, 4), (15, 31, 61), (4, 8, 16), strict=True):
        padded = np.pad(layer, ((0, 0), (pad, pad), (pad, pad)))
        expected = padded[:, stride * row : stride * row + side, stride * column : stride * column + side]
        assert np.array_equal(window, expected)
    assert len(windows_around(correlation, [], row, column, windows=MaskSettings().windows)) == 1


def test_boxes_are_those_without_masks() -> None:
    cls, loc = proposed((6, -4, 62, 40))
    with_masks = follow(RPNTracker(Told([(cls, loc, np.full((63, 63), 2.0))] * 3), MASKS), [drawn(BOX)] * 4, BOX)
    assert with_masks == follow(RPNTracker(one_answer(cls, loc), RPNSettings()), [drawn(BOX)] * 4, BOX)


def test_masks_asked_of_a_box_model_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"mask\.threshold is 0\.5, but this model gives boxes alone"):
        RPNTracker(Seeing(), MASKS)
    with pytest.raises(SettingsError, match="The setting threshold is 1"):
        MaskSettings(threshold=1.0)
