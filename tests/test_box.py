"""Boxes: overlap against painted pixels, and what is refused."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamtrack.box import ABSENT, Box, center_error, check_box, iou
from siamtrack.errors import BoxError

SIDE = 24
pixel = st.integers(0, SIDE - 1)
whole_boxes = st.tuples(pixel, pixel, pixel, pixel).map(
    lambda c: Box(c[0], c[1], min(c[2], SIDE - c[0]), min(c[3], SIDE - c[1]))
)
real = st.floats(-500, 500)
length = st.floats(0.01, 500)
real_boxes = st.builds(Box, real, real, length, length)
repeatable = settings(deadline=None, derandomize=True, max_examples=200)


def painted(box: Box) -> np.ndarray:
    canvas = np.zeros((SIDE, SIDE), bool)
    x, y, w, h = map(int, box)
    canvas[y : y + h, x : x + w] = True
    return canvas


@repeatable
@given(whole_boxes, whole_boxes)
def test_iou_is_the_share_of_painted_pixels(a: Box, b: Box) -> None:
    """No "+ 1" anywhere: a box of w = 3 paints three columns."""
    both, either = painted(a) & painted(b), painted(a) | painted(b)
    expected = both.sum() / either.sum() if either.any() else 0.0
    assert float(iou(a, b)) == pytest.approx(expected, abs=1e-12)


@repeatable
@given(real_boxes, real_boxes)
def test_iou_is_symmetric_and_within_0_and_1(a: Box, b: Box) -> None:
    value = float(iou(a, b))
    assert 0 <= value <= 1
    assert value == float(iou(b, a))


@repeatable
@given(real_boxes)
def test_iou_of_a_box_with_itself_is_1_and_never_above(box: Box) -> None:
    """Rounding in x + w - x must not carry it over 1, or a perfect tracker would pass the strict threshold 1 by luck."""
    value = float(iou(box, box))
    assert value <= 1
    assert value == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((0, 0, 2, 2), (1, 1, 2, 2), 1 / 7),
        ((0, 0, 2, 2), (2, 0, 2, 2), 0),  # touching is not overlapping
        ((0, 0, 10, 10), (2, 2, 5, 5), 0.25),
        ((0.5, 0, 1, 1), (0, 0, 1, 1), 1 / 3),  # sub-pixel
        ((0, 0, 0, 5), (0, 0, 5, 5), 0),  # no area
        ((3, 3, 0, 0), (3, 3, 0, 0), 0),  # 0 / 0
        ((0, 0, -4, -4), (-4, -4, 4, 4), 0),  # negative sides are no area, not a positive product
    ],
)
def test_iou_of_known_boxes(a: tuple[float, ...], b: tuple[float, ...], expected: float) -> None:
    assert float(iou(a, b)) == pytest.approx(expected)


@pytest.mark.parametrize("other", [Box(0, 0, 5, 5), Box(0, 0, 0, 0), ABSENT])
def test_absent_boxes_have_no_overlap_and_no_distance(other: Box) -> None:
    for a, b in ((ABSENT, other), (other, ABSENT)):
        assert np.isnan(iou(a, b))
        assert np.isnan(center_error(a, b))


def test_a_single_nan_makes_a_box_absent() -> None:
    assert ABSENT.absent
    assert Box(1, 2, math.nan, 4).absent
    assert not Box(0, 0, 0, 0).absent
    assert np.isnan(iou((1, 2, math.nan, 4), (1, 2, 3, 4)))


def test_iou_broadcasts() -> None:
    boxes = np.array([[0, 0, 4, 4], [2, 0, 4, 4], [9, 9, 1, 1]], float)
    assert iou(boxes, boxes[0]).tolist() == pytest.approx([1, 1 / 3, 0])
    assert iou(boxes[:, None], boxes).shape == (3, 3)


def test_center_error_is_euclidean() -> None:
    assert float(center_error((0, 0, 2, 2), (3, 4, 2, 2))) == 5
    assert float(center_error((0, 0, 2, 4), (0, 0, 4, 2))) == pytest.approx(math.sqrt(2))


@repeatable
@given(real_boxes)
def test_conversions_come_back(box: Box) -> None:
    assert Box.from_center(*box.center, box.w, box.h) == pytest.approx(box, abs=1e-9)
    assert Box.from_corners(box.x, box.y, box.x + box.w, box.y + box.h) == pytest.approx(box, abs=1e-9)
    assert Box.from_text(",".join(map(repr, box))) == box


def test_the_top_left_pixel_has_its_centre_at_one_half() -> None:
    assert Box(0, 0, 1, 1).center == (0.5, 0.5)


@repeatable
@given(whole_boxes, st.integers(-10, 10), st.integers(-10, 10))
def test_clipping_keeps_the_pixels_inside(box: Box, dx: int, dy: int) -> None:
    moved = Box(box.x + dx, box.y + dy, box.w, box.h)
    clipped = moved.clipped(16, 12)
    canvas = np.zeros((12, 16), bool)
    for row, column in product(range(12), range(16)):
        canvas[row, column] = moved.x <= column < moved.x + moved.w and moved.y <= row < moved.y + moved.h
    assert clipped.area == canvas.sum()
    assert 0 <= clipped.x <= clipped.x + clipped.w <= 16
    assert 0 <= clipped.y <= clipped.y + clipped.h <= 12


def test_clipping_outside_gives_no_size_at_the_border() -> None:
    assert Box(-9, 3, 4, 4).clipped(20, 10) == (0, 3, 0, 4)
    assert Box(30, 30, 4, 4).clipped(20, 10) == (20, 10, 0, 0)


INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    ("box", "says"),
    [
        *[(Box(*(v if i == place else 5.0 for i in range(4))), "not finite") for place in range(4) for v in (NAN, INF, -INF)],
        (Box(5, 5, 0, 5), "no area"),
        (Box(5, 5, 5, 0), "no area"),
        (Box(50, 40, -30, 20), "x,y,w,h, not two corners"),
        (Box(5, 5, 5, -1), "no area"),
        (Box(100, 10, 5, 5), "outside the frame of 100x80"),  # begins where the frame ends
        (Box(10, 80, 5, 5), "outside the frame"),
        (Box(-5, 10, 5, 5), "outside the frame"),
        (Box(10, -5, 5, 5), "outside the frame"),
        (Box(-1, -1, 101, 81), "larger than the frame"),
        (Box(10, 10, 301, 20), "larger than the frame of 100x80"),  # in one direction, and by far
        (Box(10, -1e9, 20, 2e9), "larger than the frame"),
    ],
)
def test_boxes_that_no_target_can_be_taken_from_are_refused(box: Box, says: str) -> None:
    with pytest.raises(BoxError, match=says):
        check_box(box, 100, 80)


@pytest.mark.parametrize(
    "box",
    [
        Box(0, 0, 100, 80),  # the whole frame
        Box(-5, -5, 6, 6),  # one pixel of it is inside
        Box(99.5, 79.5, 30, 30),
        Box(-20, 30, 140, 20),  # wider than the frame, not higher
        Box(10, 10, 0.25, 0.25),
    ],
)
def test_boxes_that_are_partly_inside_are_accepted_as_they_are(box: Box) -> None:
    assert check_box(box, 100, 80) is box


@pytest.mark.parametrize(
    ("text", "box"),
    [
        ("120,80,64,48", (120, 80, 64, 48)),
        (" 1.5, -2 ,3e1,4 ", (1.5, -2, 30, 4)),
    ],
)
def test_from_text(text: str, box: tuple[float, ...]) -> None:
    assert Box.from_text(text) == box


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1 2 3 4", "1;2;3;4", "1,2,,4"])
def test_from_text_refuses_what_is_not_four_numbers(text: str) -> None:
    with pytest.raises(BoxError, match="expected X,Y,W,H"):
        Box.from_text(text)
