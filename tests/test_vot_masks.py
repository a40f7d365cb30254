"""Masks of VOT since 2020: their text and binary form, and overlaps as the toolkit in Python counts them.

The overlaps written out here were checked against vot-toolkit 0.7.4, and so were 20,000 random pairs of masks, boxes, polygons
and codes; `test_official_tools_vot.py` compares whole results where the toolkit is installed.
"""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from siamtrack.errors import DataError
from siamtrack.evaluation.foreign_bin import shapes_from_bytes
from siamtrack.metrics.vot_masks import (
    PlacedMask,
    Shape,
    is_empty,
    mask_from_text,
    mask_of_runs,
    shape_overlaps,
    shapes_from_text,
)
from siamtrack.polygon import painted, polygon_overlaps

SIZE = (40, 30)
SQUARE = PlacedMask.of(np.ones((4, 5)), 3, 2)
EMPTY = PlacedMask.of(np.zeros((3, 3)))
MASKS = arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9)))
CORNERS = st.lists(st.tuples(st.floats(0, 45), st.floats(-6, 35)), min_size=3, max_size=6)
"""Left of the image the toolkit truncates columns the other way, counted from where it cuts."""


def overlap(first: Shape, second: Shape) -> float:
    (value,) = shape_overlaps([first], [second], size=SIZE)
    return float(value)


@given(MASKS, st.integers(-5, 30), st.integers(-5, 30))
def test_text_gives_the_mask_back(pixels: np.ndarray, x: int, y: int) -> None:
    mask = PlacedMask.of(pixels, x, y)
    again = mask_from_text(mask.text, "here")
    if mask.width == 1:  # as the toolkit reads it
        assert again.empty
        return
    assert np.array_equal(again.pixels, mask.pixels)
    assert mask.empty or (again.x, again.y) == (mask.x, mask.y)
    assert again.text == mask.text
    rows, columns = np.nonzero(pixels)
    if len(rows):
        assert mask.box.tolist() == [x + columns.min(), y + rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
    else:
        assert np.isnan(mask.box).all()


@given(MASKS, st.integers(-5, 30), st.integers(-5, 30))
def test_binary_gives_the_mask_back(pixels: np.ndarray, x: int, y: int) -> None:
    whole = PlacedMask.of(pixels, x, y)
    *place, first = (int(v) for v in whole.text[1:].split(",")[:5])
    lengths = [first, *(int(v) for v in whole.text[1:].split(",")[5:])]
    frame = struct.pack(f"<BhhHHH{len(lengths)}H", 3, *place, len(lengths), *lengths)
    regions, masks = shapes_from_bytes(struct.pack("<hI", 1, 2) + struct.pack("<BI", 0, 1) + frame, "x.bin")
    assert regions[0].tolist() == [1]
    assert masks[0] is None
    assert masks[1] is not None
    assert masks[1].text == whole.text
    assert np.array_equal(regions[1], whole.box, equal_nan=True)


def test_frames_may_hold_anything() -> None:
    regions, masks = shapes_from_text("1\nm3,2,5,4,0,20\n1,2,3,4\nm0,0,0,0,0\n0,0,5,0,5,5\n", "x")
    assert [region.tolist() for region in regions[:3]] == [[1], [3, 2, 5, 4], [1, 2, 3, 4]]
    assert np.isnan(regions[3]).all()
    assert [None if mask is None else mask.text for mask in masks] == [None, "m3,2,5,4,0,20", None, "m0,0,0,0,0", None]


def test_runs_may_end_early_and_what_is_left_is_zero() -> None:
    assert mask_from_text("m3,2,2,2,1,1", "x").text == "m4,2,1,1,0,1"


def test_a_mask_in_the_first_column_of_what_is_written_is_read_as_empty() -> None:
    """From text alone, as in the toolkit, whose `Mask` takes a last column of 0 for none."""
    assert mask_from_text("m3,2,2,2,0,1", "x").empty
    assert mask_from_text(" m3,2,1,4,0,4 ", "x").empty
    assert mask_of_runs((3, 2, 1, 4), [0, 4], "x").text == "m3,2,1,4,0,4"  # of a binary file


def test_a_mask_keeps_nothing_of_its_frame_and_a_byte_for_eight_pixels() -> None:
    frame = np.zeros((720, 1280), bool)
    frame[100:140, 200:250] = True
    mask = PlacedMask.of(frame)
    assert not np.shares_memory(mask.bits, frame)
    assert mask.bits.base is None
    assert mask.bits.nbytes == 40 * 50 // 8
    assert np.array_equal(mask.pixels, np.ones((40, 50), bool))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("m1,2,3", "expected a mask, mX,Y,W,H and lengths of runs"),
        ("m1,2,3,4,a", "found 'm1,2,3,4,a'"),
        ("m1,2,3,4,0,13", "a mask of 3 x 4 pixels has runs of 13; expected runs that fit in"),
        ("m1,2,3,4,-1,5", "expected runs that fit in"),
        ("m1,2,99999,99999,0", "expected runs that fit in"),
        ("m1,2,-3,-4,0,2", "expected runs that fit in"),
    ],
)
def test_what_is_no_mask_is_named_with_its_line(line: str, said: str) -> None:
    with pytest.raises(DataError, match=rf"x, line 2.*{said}"):
        shapes_from_text(f"1\n{line}\n", "x")


def test_what_is_no_region_beside_masks_is_named_with_its_line() -> None:
    with pytest.raises(DataError, match="line 1: found '5', expected 0, 1, 2"):
        shapes_from_text(f"5\n{SQUARE.text}\n", "x")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (SQUARE, SQUARE, 1),
        (SQUARE, PlacedMask.of(np.ones((4, 5)), 4, 2), 16 / 24),
        (SQUARE, np.array([3.0, 2, 5, 4]), 1),  # a box of 5 x 4 pixels
        (np.array([2.6, 2.4, 5.4, 4.4]), SQUARE, 1),  # its numbers are rounded
        (SQUARE, np.array([3.0, 2, 7, 2, 7, 5, 3, 5]), 1),  # corners of a polygon are pixels of it
        (SQUARE, np.array([1.0]), 0),
        (SQUARE, np.full(4, np.nan), 0),
        (SQUARE, EMPTY, 0),
        (EMPTY, EMPTY, 1),
        (EMPTY, np.array([0.0]), 1),
        (np.array([0.0]), np.full(4, np.nan), 1),
        (PlacedMask.of(np.ones((4, 5)), 37, 2), PlacedMask.of(np.ones((4, 3)), 37, 2), 1),  # what is outside does not count
        (PlacedMask.of(np.ones((4, 5)), 50, 2), PlacedMask.of(np.ones((4, 5)), 50, 2), 0),
        # what the toolkit 0.7.4 answers for shapes of no extent
        (PlacedMask.of(np.ones((4, 1)), 3, 2), SQUARE, 4 / 20),
        (PlacedMask.of(np.ones((4, 1)), 3, 2), EMPTY, 0),
        (PlacedMask.of(np.ones((1, 1)), 13, -3), np.array([1.0]), 0),
        (np.array([18.6, 16.4, 1, 0]), np.array([15.0, 12, 8, 9]), 0),  # a box without a row has no pixel
        (np.array([18.6, 16.4, 1, 0]), PlacedMask.of(np.ones((9, 8)), 15, 12), 0),
        (np.array([1.0, 2, 0, 4]), EMPTY, 1),  # both without a column
        (np.array([5.0, 0, 4, 1]), np.array([1.0]), 1),  # a box in the first row, and nothing
        (np.array([5.0, 1, 4, 1]), np.array([1.0]), 0),
        (np.array([5.0, 4, 4, 1]), np.array([5.0, 4, 4, 1]), 1),
        (np.array([1e30, 4, 4, 1e30]), SQUARE, 0),
    ],
)
def test_overlaps(first: Shape, second: Shape, expected: float) -> None:
    assert overlap(first, second) == pytest.approx(expected)


@given(CORNERS, CORNERS)
def test_a_painted_polygon_is_the_polygon(first: list[tuple[float, float]], second: list[tuple[float, float]]) -> None:
    a, b = np.array(first), np.array(second)
    left, top = (int(v) for v in np.rint(a).min(0))
    width, height = (int(v) + 1 for v in np.ptp(np.rint(a), 0))
    mask = PlacedMask.of(painted(a, (left, top, width, height)), left, top)
    if mask.pixels.shape != (height, width) or min(width, height) < 2:  # no pixel is painted at an end of the polygon
        return
    (expected,) = polygon_overlaps([a], [b], rule="python", bounds=(SIZE[0] - 1, SIZE[1] - 1))
    assert overlap(mask, b.ravel()) == pytest.approx(expected, abs=1e-12)


def test_what_is_empty() -> None:
    assert [is_empty(one) for one in (EMPTY, np.array([0.0]), np.full(4, np.nan), np.array([1.0, 2, 0, 4]))] == [True] * 4
    assert is_empty(PlacedMask.of(np.ones((1, 6))))  # one pixel high
    assert not is_empty(SQUARE)
    assert not is_empty(np.array([0.0, 0, 5, 0, 5, 5]))
