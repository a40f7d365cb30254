"""The picture of a training pair: everything is where the numbers say."""

from __future__ import annotations

import numpy as np
import pytest

from siamtrack.image import Image
from siamtrack.pair import Pair
from siamtrack.training.pair_sheet import pair_sheet

GAP = 12  # around a tile of the sheet, pixels
LEGEND = 44  # above the tiles
TEMPLATE, BETWEEN = 127, 6  # left of the search patch


def pair(offset: tuple[float, float], search_size: int = 255, box: tuple[float, float] = (60, 50)) -> Pair:
    corner = [search_size / 2 + at - side / 2 for at, side in zip(offset, box, strict=True)]
    return Pair(
        np.full((TEMPLATE, TEMPLATE, 3), 200, np.uint8),
        np.full((search_size, search_size, 3), 128, np.uint8),
        np.array(offset, np.float32),
        np.array([*corner, *box], np.float32),
    )


def shown(pair: Pair) -> Image:
    """The search patch as it is drawn, at its own scale."""
    size = pair.search.shape[0]
    wide = TEMPLATE + BETWEEN + size
    sheet = pair_sheet([("", pair)], columns=1)[LEGEND:]
    scale = (sheet.shape[1] - 2 * GAP) / wide
    at = (np.arange(size) + 0.5) * scale + GAP
    columns = (at + (TEMPLATE + BETWEEN) * scale).astype(int)
    return sheet[at.astype(int)][:, columns]


def red(search: Image) -> np.ndarray:
    """Where it is redder than the yellow of the box."""
    signed = search.astype(int)
    return signed[..., 0] - signed[..., 1:].max(2) > 65


@pytest.mark.parametrize("search_size", [239, 255])
@pytest.mark.parametrize(("offset", "cells"), [((0.0, 0.0), 13), ((4.0, 4.0), 12), ((-20.0, 33.0), 13), ((3.0, -17.0), 13)])
def test_the_cells_labelled_as_target_lie_around_it(search_size: int, offset: tuple[float, float], cells: int) -> None:
    search = shown(pair(offset, search_size, box=(90, 90)))
    rows, columns = np.where(red(search))
    count = (search_size - TEMPLATE) // 8 + 1
    start = (search_size - 8 * count) // 2
    middles = (np.arange(count) - (count - 1) / 2) * 8
    near = np.hypot(middles[None] - offset[0], middles[:, None] - offset[1]) <= 16  # eq. 4 of the paper, stride 8
    found = np.zeros((count, count), int)
    inside = (np.minimum(rows, columns) >= start) & (np.maximum(rows, columns) < start + 8 * count)
    np.add.at(found, ((rows[inside] - start) // 8, (columns[inside] - start) // 8), 1)
    assert near.sum() == pytest.approx(cells, abs=1)
    assert (found[near] > 40).all()  # of 64 pixels; the cross at the centre is white
    assert (found[~near] < 10).all()


def test_a_negative_pair_has_no_cell_labelled_as_target() -> None:
    made = pair((4.0, 4.0), box=(90, 90))
    assert red(shown(made)).sum() > 12 * 40
    assert not red(shown(made._replace(absent=True))).any()


def test_the_box_and_the_centre_are_drawn() -> None:
    made = pair((-21.0, 13.0))
    search = shown(made).astype(int)
    x, y, w, h = (round(float(v)) for v in made.box)
    yellow = (search[..., 0] - search[..., 2] > 60) & (search[..., 1] - search[..., 2] > 60)
    rows, columns = np.where(yellow)
    assert [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] == pytest.approx([x, y, x + w, y + h], abs=2)
    rows, columns = np.where(search.min(2) > 200)
    assert [columns.mean() + 0.5, rows.mean() + 0.5] == pytest.approx([127.5 - 21, 127.5 + 13], abs=1)


def test_the_template_is_beside_the_search_patch_and_pairs_are_in_order() -> None:
    sheet = pair_sheet([("first", pair((0, 0))), ("second", pair((30, 0)))], columns=2)[LEGEND:]
    assert sheet.shape[1] == 1600
    bright = np.where((sheet == 200).all(2).sum(0) > 100)[0]  # columns of the two templates
    assert np.flatnonzero(np.diff(bright) > 1).size == 1
    assert bright[0] == pytest.approx(GAP, abs=1)


def test_pairs_are_left_as_they_were() -> None:
    made = pair((5.0, 5.0))
    pair_sheet([("", made)])
    assert (made.search == 128).all()
