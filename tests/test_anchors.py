"""The anchors of region proposal networks: where they lie, how large they are, and boxes told from them and back."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamtrack.errors import SettingsError
from siamtrack.settings import from_mapping
from siamtrack.trackers.anchors import AnchorSettings, anchor_grid, decode, encode, map_shift

PUBLISHED = AnchorSettings()


def test_shapes_are_the_published_ones() -> None:
    """Cut to whole numbers twice: 13 x 4, 11 x 5, 8 x 8, 5 x 10 and 4 x 12, times 8."""
    assert PUBLISHED.shapes.tolist() == [[104, 32], [88, 40], [64, 64], [40, 80], [32, 96]]
    assert PUBLISHED.count == 5


def test_scales_change_faster_than_ratios() -> None:
    anchors = AnchorSettings(ratios=(1.0, 2.0), scales=(8.0, 4.0))
    assert anchors.shapes.tolist() == [[64, 64], [32, 32], [40, 80], [20, 40]]
    assert anchors.count == 4


@pytest.mark.parametrize("cells", [17, 19, 21, 25])
def test_first_cell_is_where_the_codes_put_it(cells: int) -> None:
    """-(R // 2) * 8. In Python 3 DaSiamRPN's -(R / 2) * 8 lies half a cell, 4 px, beside it."""
    grid = anchor_grid(PUBLISHED, cells)
    assert grid.shape == (4, 5, cells, cells)
    assert (grid[:2, :, 0, 0] == -(cells // 2) * 8).all()
    assert (grid[:2, :, cells // 2, cells // 2] == 0).all()
    assert -(cells / 2) * 8 == grid[0, 0, 0, 0] - 4


def test_x_is_by_column_and_y_by_row() -> None:
    grid = anchor_grid(PUBLISHED, 25, middle=127.5)
    assert grid[0, 3, 7].tolist() == [127.5 + 8 * (column - 12) for column in range(25)]
    assert grid[1, 3, :, 7].tolist() == [127.5 + 8 * (row - 12) for row in range(25)]
    assert grid[2:, 4, 3, 9].tolist() == [32, 96]


@given(st.integers(1, 40), st.integers(1, 32), st.floats(0.1, 10), st.floats(1, 16))
def test_grid_is_symmetric_around_its_middle(cells: int, stride: int, ratio: float, scale: float) -> None:
    """Also for an even number of cells, whose middle lies between two."""
    anchors = AnchorSettings(stride=max(stride, 4), ratios=(1.0, ratio), scales=(scale,))
    grid = anchor_grid(anchors, cells)
    assert np.array_equal(grid[0], -grid[0, :, :, ::-1])
    assert np.array_equal(grid[1], -grid[1, :, ::-1])
    assert np.array_equal(grid[0], grid[1].transpose(0, 2, 1))
    assert (np.diff(grid[0]) == anchors.stride).all()


def test_shift_of_the_map_is_half_of_what_the_strides_leave_over() -> None:
    assert [map_shift(size, 127, 8) for size in (127, 255, 271, 287, 831)] == [0] * 5
    assert [map_shift(size, 127, 8) for size in (256, 258, 262, 263)] == [-0.5, -1.5, -3.5, 0]


# Offsets


@st.composite
def box_lists(draw: st.DrawFn) -> list[tuple[float, float, float, float]]:
    place, size = st.floats(-500, 500), st.floats(0.1, 2000)
    return draw(st.lists(st.tuples(place, place, size, size), min_size=1, max_size=3))


@given(box_lists(), st.integers(1, 5))
def test_what_is_encoded_is_decoded(boxes: list[tuple[float, float, float, float]], cells: int) -> None:
    grid = anchor_grid(PUBLISHED, cells)
    wanted = np.array(boxes)[:, :, None, None, None]
    offsets = encode(wanted, grid)
    assert offsets.shape == (len(boxes), 4, 5, cells, cells)
    assert np.allclose(decode(offsets, grid), wanted, rtol=1e-12, atol=1e-9)


def test_an_offset_by_hand() -> None:
    """From the anchor 104 x 32 at (-8, 8)."""
    grid = anchor_grid(PUBLISHED, 3)
    offsets = np.zeros((4, 5, 3, 3))
    offsets[:, 0, 2, 0] = 0.5, -0.25, math.log(2), -math.log(4)
    assert decode(offsets, grid)[:, 0, 2, 0] == pytest.approx([-8 + 52, 8 - 8, 208, 8])
    assert np.array_equal(decode(np.zeros((4, 5, 3, 3)), grid), grid)
    assert encode(grid, grid).tolist() == np.zeros_like(grid).tolist()


def test_what_is_no_number_stays_where_it_is() -> None:
    """Warnings are errors here: an exponential that overflows gives none."""
    grid = anchor_grid(PUBLISHED, 3)
    offsets = np.zeros((4, 5, 3, 3), np.float32)
    offsets[:, 1, 0, 0] = np.nan, np.inf, 1e30, -1e30
    found = decode(offsets, grid)
    assert np.isnan(found[0, 1, 0, 0])
    assert found[1:, 1, 0, 0].tolist() == [np.inf, np.inf, 0]
    found[:, 1, 0, 0] = grid[:, 1, 0, 0]
    assert np.array_equal(found, grid)


# Settings


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stride": 0}, "stride is 0"),
        ({"ratios": []}, "above 0"),
        ({"scales": []}, "above 0"),
        ({"ratios": [1, -2.0]}, "above 0"),
        ({"scales": [float("nan")]}, "above 0"),
        ({"ratios": [float("inf")]}, "above 0"),
        ({"ratios": [100]}, "without area"),
        ({"ratios": [0.001]}, "without area"),
    ],
)
def test_impossible_anchors_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        from_mapping(AnchorSettings, values, where="test")


def test_settings_come_from_toml() -> None:
    assert from_mapping(AnchorSettings, {"ratios": [0.33, 0.5, 1, 2, 3], "scales": [8]}, where="test") == PUBLISHED
