"""Polygons: areas, upright boxes, and overlap by four rules, each against plainly painted pixels."""

from __future__ import annotations

import math
import tracemalloc
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamtrack.box import Box, iou
from siamtrack.errors import BoxError, SettingsError
from siamtrack.polygon import area_preserving_box, box_corners, min_max_box, polygon_area, polygon_overlaps, rotated_box

SQUARE = box_corners((0, 0, 10, 10))
STAR = np.array([[20, 2], [24, 14], [37, 14], [27, 22], [31, 36], [20, 28], [9, 36], [13, 22], [3, 14], [16, 14]], float)


def moved(polygon: np.ndarray, x: float, y: float) -> np.ndarray:
    return np.asarray(polygon + np.array([x, y]))


def painted(polygon: np.ndarray, scale: int, side: int) -> np.ndarray:
    """The pixels of `scale` times enlarged polygon whose centres are inside (OpenCV paints the outline as well)."""
    mask = np.zeros((side * scale, side * scale), np.uint8)
    corners = np.round((polygon * scale - 0.5) * 256).astype(np.int32)
    cv2.fillPoly(mask, [corners], 1, shift=8)
    return mask.astype(bool)


def convex_or_star(seed: int, corners: int) -> np.ndarray:
    """A simple polygon, star-shaped about its centre, within 0..64."""
    rng = np.random.default_rng(seed)
    angles = np.arange(corners) * 2 * np.pi / corners + rng.uniform(0, 0.9 * 2 * np.pi / corners, corners)
    radii = rng.uniform(6, 22, corners)
    return rng.uniform(24, 40, 2) + np.stack([radii * np.cos(angles), radii * np.sin(angles)], 1)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 8), st.integers(3, 8), st.booleans())
def test_the_exact_overlap_is_that_of_painted_pixels(seed: int, n: int, m: int, bounded: bool) -> None:
    a, b = convex_or_star(seed, n), convex_or_star(seed + 1, m)
    masks = [painted(polygon, 16, 64) for polygon in (a, b)]
    if bounded:
        masks = [mask[: 36 * 16, : 30 * 16] for mask in masks]
    wanted = (masks[0] & masks[1]).sum() / max((masks[0] | masks[1]).sum(), 1)
    (found,) = polygon_overlaps([a], [b], bounds=(30, 36) if bounded else None)
    # the outline is painted too: about half an enlarged pixel along each border
    assert found == pytest.approx(wanted, abs=0.02)


@given(st.integers(0, 2**32 - 1), st.integers(3, 9))
def test_the_exact_overlap_is_symmetric_whole_and_blind_to_direction_and_start(seed: int, n: int) -> None:
    a, b = convex_or_star(seed, n), convex_or_star(seed + 1, n)
    ab, ba, turned, same = polygon_overlaps([a, b, a, a], [b, a, np.roll(b[::-1], 2, 0), a])
    assert 0 <= ab <= 1
    assert ba == pytest.approx(ab, abs=1e-12)
    assert turned == pytest.approx(ab, abs=1e-12)
    assert same == pytest.approx(1, abs=1e-12)


@given(st.lists(st.floats(0.5, 60), min_size=8, max_size=8))
def test_the_exact_overlap_of_boxes_is_their_iou(numbers: list[float]) -> None:
    a, b = numbers[:4], numbers[4:]
    (found,) = polygon_overlaps([box_corners(a)], [box_corners(b)])
    assert found == pytest.approx(float(iou(a, b)), abs=1e-12)


def test_a_polygon_that_is_not_convex_keeps_its_notches() -> None:
    # a U and the block that fills its notch: they touch along three sides and share nothing
    u = np.array([[0, 0], [3, 0], [3, 6], [7, 6], [7, 0], [10, 0], [10, 10], [0, 10]], float)
    notch = box_corners((3, 0, 4, 6))
    assert polygon_overlaps([u, u], [notch, SQUARE]) == pytest.approx([0, 0.76])
    assert polygon_area(STAR) == pytest.approx(polygon_area(STAR[::-1]))
    # moved down by its own height nothing is left
    assert polygon_overlaps([STAR], [moved(STAR, 0, 34)])[0] == 0


def test_far_from_the_origin_the_overlap_stays() -> None:
    a, b = convex_or_star(5, 6), convex_or_star(6, 4)
    near, far = polygon_overlaps([a, a + 4096], [b, b + 4096])
    assert far == pytest.approx(near, abs=1e-9)


def pixels(corners: list[tuple[int, int]], rule: str, width: int, height: int) -> set[tuple[int, int]]:
    """The pixels the tools paint of a polygon with whole corners, row by row."""
    found = set()
    number: Any = np.float32 if rule == "legacy" else np.float64  # the C sources calculate with float there
    edges = [[number(v) for v in (*a, *b)] for a, b in zip(corners, [corners[-1], *corners[:-1]], strict=True)]
    for row in range(height):
        met = []
        for x0, y0, x1, y1 in edges:
            low, high = min(y0, y1), max(y0, y1)
            if y0 == y1:
                met += [int(x0)] if rule == "python" and y0 == row else []
            elif low < row <= high or (rule != "legacy" and low == row):
                met.append(int(x0 + number(row - y0) / (y1 - y0) * (x1 - x0)))
        met.sort()
        while len(met) > 1:
            if rule != "legacy" and met[0] == met[1] and not (rule == "python" and len(met) == 2):
                met.pop(0)
                continue
            stop = (met[1] if met[1] <= width else width - 1) if rule == "legacy" else min(met[1], width - 1) + 1
            found |= {(row, column) for column in range(max(met[0], 0), stop)}
            met = met[2:]
    return found


@pytest.mark.parametrize("rule", ["legacy", "trax", "python"])
@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 16), st.integers(0, 16)), min_size=8, max_size=12), st.booleans())
def test_counted_overlaps_are_those_of_pixels_painted_one_by_one(rule: str, points: list[tuple[int, int]], cut: bool) -> None:
    a, b = [*points[:4], (0, 0)], [*points[4:], (16, 16)]  # also crossing themselves, with repeated and level corners
    right, bottom = (11, 9) if cut else (16, 16)
    window = (right + 1, bottom + 1)
    masks = [pixels(polygon, rule, *window) for polygon in (a, b)]
    (found,) = polygon_overlaps([np.array(a)], [np.array(b)], rule=rule, bounds=(right, bottom) if cut else None)  # type: ignore[arg-type]
    low, high = np.maximum(np.min(b, 0), 0), np.minimum(np.max(a, 0), (right, bottom))
    if rule == "python" or (low < high).all():
        assert found == pytest.approx(len(masks[0] & masks[1]) / max(len(masks[0] | masks[1]), 1))
    else:
        assert found == 0  # bounding boxes that only touch


def test_each_rule_paints_its_own_number_of_pixels() -> None:
    # 10 by 10 and the same moved by 5: ends included 11 columns share 6; without the last column 10 share 5; top row left out
    rules = {"exact": 50 / 150, "legacy": 5 / 15, "trax": 6 / 16, "python": 6 / 16}
    for rule, wanted in rules.items():
        assert polygon_overlaps([SQUARE], [moved(SQUARE, 5, 0)], rule=rule)[0] == pytest.approx(wanted)  # type: ignore[arg-type]


def test_rounding_differs_between_the_tools() -> None:
    # a right edge at 10.5: the C library rounds to 11 (12 columns), NumPy to 10 (11 columns); the other has 21
    half, wide = box_corners((0, 0, 10.5, 10)), box_corners((0, 0, 20, 10))
    assert polygon_overlaps([half], [wide], rule="trax")[0] == pytest.approx(12 / 21)
    assert polygon_overlaps([half], [wide], rule="python")[0] == pytest.approx(11 / 21)
    # a hair below 11.5 is 11.5 in float32, and that rounds to 12
    hair = box_corners((0, 0, 11.5 - 1e-9, 10))
    assert polygon_overlaps([hair], [wide], rule="python")[0] == pytest.approx(13 / 21)


def test_boxes_that_only_touch_share_a_column_in_the_python_toolkit_alone() -> None:
    touching = moved(SQUARE, 10, 0)
    overlaps = [polygon_overlaps([SQUARE], [touching], rule=rule)[0] for rule in ("exact", "legacy", "trax", "python")]
    assert overlaps == [0, 0, 0, pytest.approx(1 / 21)]


def test_two_regions_without_pixels_are_the_same_in_the_python_toolkit() -> None:
    thin = box_corners((5, 5, 0.2, 10))
    assert polygon_overlaps([thin], [moved(thin, 0.1, 3)], rule="python")[0] == 1


def test_legacy_rows_are_counted_from_the_upper_edge() -> None:
    # both start at 0.25: rows 1 to 10 below it are in, whatever the fraction; left to right 0 to 9 and 5 to 14
    a, b = SQUARE + 0.25, moved(SQUARE, 5.25, 0.25)
    assert polygon_overlaps([a], [b], rule="legacy")[0] == pytest.approx(50 / 150)


def test_trap_14_a_box_that_leaves_the_image_counts_in_full_only_without_bounds() -> None:
    # 20 by 10 half outside on the left, target is the half inside
    outside, target = box_corners((-10, 0, 20, 10)), SQUARE
    for rule in ("exact", "legacy", "trax", "python"):
        full, cut = (polygon_overlaps([outside], [target], rule=rule, bounds=b)[0] for b in (None, (99, 99)))
        assert full < 0.56
        assert cut == 1


def test_a_slanted_edge_is_cut_where_it_leaves_the_image() -> None:
    # the edge from (-10, 0) to (10, 20) enters at (0, 10): 150 of the 200 square pixels of the target are left
    triangle = np.array([[-10, 0], [10, 0], [10, 20]], float)
    assert polygon_overlaps([triangle], [box_corners((0, 0, 10, 20))], bounds=(50, 50))[0] == pytest.approx(0.75)
    assert polygon_overlaps([moved(triangle, -5, -20)], [box_corners((0, -9, 5, 9))], bounds=(50, 50))[0] == 0


def test_the_last_column_and_the_size_are_different_bounds() -> None:
    # the target reaches 5 pixels over the right border of an image 100 wide, the box 10
    box, target = box_corners((90, 0, 20, 10)), box_corners((95, 0, 10, 10))
    size, last = (polygon_overlaps([box], [target], rule="trax", bounds=b)[0] for b in ((100, 50), (99, 49)))
    assert size == pytest.approx(6 / 11)
    assert last == pytest.approx(5 / 10)


def test_an_empty_shape_overlaps_nothing() -> None:
    line = np.array([[0, 0], [10, 10], [5, 5]], float)
    for rule in ("exact", "legacy", "trax"):
        assert polygon_overlaps([line], [SQUARE], rule=rule)[0] == pytest.approx(0, abs=0.1)
    assert polygon_overlaps([SQUARE], [SQUARE + 200], rule="trax", bounds=(99, 99))[0] == 0
    assert polygon_overlaps([SQUARE + 200], [SQUARE + 200], rule="exact", bounds=(99, 99))[0] == 0


def test_unknown_corners_give_nan_and_the_others_their_value() -> None:
    unknown = np.full((4, 2), np.nan)
    for rule in ("exact", "legacy", "trax", "python"):
        found = polygon_overlaps([SQUARE, unknown, STAR], [SQUARE, SQUARE, STAR], rule=rule)
        assert np.isnan(found).tolist() == [False, True, False]
        assert found[[0, 2]] == pytest.approx(1)
    assert polygon_overlaps([], []).shape == (0,)


def test_many_rows_are_counted_in_parts() -> None:
    tall = [box_corners((0, 0, 5, 40_000)), box_corners((0, 0, 5, 9)), box_corners((0, 0, 5, 40_000))]
    assert polygon_overlaps(tall, [moved(tall[0], 0, 20_000), tall[1], tall[2]], rule="trax") == pytest.approx(
        [20_001 / 60_001, 1, 1]
    )


def test_what_is_no_polygon_is_refused() -> None:
    with pytest.raises(BoxError, match=r"2 polygons to compare with 1"):
        polygon_overlaps([SQUARE, SQUARE], [SQUARE])
    with pytest.raises(BoxError, match=r"shape \(2, 2\) is no polygon"):
        polygon_overlaps([SQUARE], [SQUARE[:2]])
    with pytest.raises(SettingsError, match="Did you mean 'trax'"):
        polygon_overlaps([SQUARE], [SQUARE], rule="trx")  # type: ignore[arg-type]


def test_trap_15_the_area_preserving_box_is_smaller_than_the_min_max_box() -> None:
    slanted = rotated_box(Box(10, 20, 40, 10), 45)
    around, same_area = min_max_box(slanted), area_preserving_box(slanted)
    side = 50 / math.sqrt(2)
    assert around == pytest.approx((30 - side / 2, 25 - side / 2, side, side))
    assert same_area == pytest.approx((20, 15, 20, 20))  # 400 square pixels in the proportions of the box around
    # PySOT adds a pixel; its tracker then starts at cx - (w - 1) / 2
    assert area_preserving_box(slanted, inclusive=True) == pytest.approx((20, 15, 21, 21))
    assert min_max_box(slanted, inclusive=True) == pytest.approx((30 - side / 2, 25 - side / 2, side + 1, side + 1))


@given(st.floats(-360, 360), st.floats(2, 80), st.floats(2, 80))
def test_the_area_preserving_box_has_the_area_and_centre_of_a_rotated_box(degrees: float, w: float, h: float) -> None:
    corners = rotated_box(Box(5, 7, w, h), degrees)
    found = area_preserving_box(corners)
    assert found.area == pytest.approx(w * h, rel=1e-6)
    assert found.area == pytest.approx(polygon_area(corners), rel=1e-6)
    assert found.center == pytest.approx((5 + w / 2, 7 + h / 2))


def test_a_box_is_turned_as_opencv_turns_it() -> None:
    ours = rotated_box(Box(10, 20, 40, 10), 30)
    theirs = cv2.boxPoints(((30.0, 25.0), (40.0, 10.0), 30.0))
    assert sorted(map(tuple, np.round(ours, 3))) == sorted(map(tuple, np.round(theirs.astype(float), 3)))


def test_no_area_preserving_box_without_four_corners_or_area() -> None:
    with pytest.raises(BoxError, match=r"shape \(10, 2\)"):
        area_preserving_box(STAR)
    with pytest.raises(BoxError, match="no width or no height"):
        area_preserving_box(np.array([[1, 0], [1, 2], [1, 4], [1, 5]], float))


@pytest.mark.parametrize("rule", ["exact", "legacy", "trax", "python"])
@pytest.mark.parametrize("box", [(0, 0, 50, 1e9), (-1e39, -1e39, 3e39, 3e39), (0, 0, 50, 140_000)])
def test_a_tracker_that_diverges_fills_no_memory(rule: Any, box: tuple[float, ...]) -> None:
    """A row of pixels takes some hundred bytes: 1e9 rows of them would not fit."""
    truth = box_corners((10, 10, 30, 40))
    tracemalloc.start()
    (found,) = polygon_overlaps([box_corners(box)], [truth], rule=rule)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2e8
    area = min(box[2], 2.0**41) * min(box[3], 2.0**41)
    assert found == pytest.approx(1200 / area, rel=0.6)  # the tools count 31 x 41 of these; and corners end at 2 ** 40
    assert found > 0


def test_pixels_are_counted_up_to_where_no_picture_reaches() -> None:
    """At the limit the true area of the overlap is within what counting pixels gives."""
    truth = box_corners((10, 10, 30, 40))
    for height in (131_000, 131_200):
        (found,) = polygon_overlaps([box_corners((0, 0, 50, height))], [truth], rule="legacy")
        assert found == pytest.approx(1200 / (50 * height), rel=1e-4)
