"""What a network should say of a training pair: against a loop over all anchors, and what may be drawn of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from siamtrack.box import iou
from siamtrack.errors import SettingsError
from siamtrack.layers.anchor_targets import AnchorTargets, AnchorTargetSettings, anchor_targets
from siamtrack.trackers.anchors import AnchorSettings, anchor_grid, encode

ANCHORS = AnchorSettings()
CELLS, PATCH = 25, 255
GRID = anchor_grid(ANCHORS, CELLS, middle=PATCH / 2)
EVERY = AnchorTargetSettings(positives=9999, negatives=9999, absent_negatives=9999)
CENTRED = (PATCH / 2 - 32, PATCH / 2 - 32, 64.0, 64.0)
MANY = (PATCH / 2 - 36, PATCH / 2 - 26, 72.0, 52.0)  # 18 anchors overlap it by more than 0.6
SOMEWHERE = (MANY[0] + 16, MANY[1] - 24, 72.0, 52.0)  # two cells to the right, three up


def targets(
    *boxes: tuple[float, ...], absent: bool = False, seed: int = 0, settings: AnchorTargetSettings | None = None
) -> AnchorTargets:
    return anchor_targets(
        torch.tensor(boxes, dtype=torch.float64),
        torch.full((len(boxes),), absent),
        torch.from_numpy(GRID),
        generator=torch.Generator().manual_seed(seed),
        settings=settings,
    )


def overlaps(box: tuple[float, ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """(A, R, R), by the definition that boxes are measured with everywhere else."""
    rows = np.moveaxis(np.concatenate([GRID[:2] - GRID[2:] / 2, GRID[2:]]), 0, -1)
    return iou(rows, np.array(box))


boxes = st.tuples(st.floats(-60, 280), st.floats(-60, 280), st.floats(4, 250), st.floats(4, 250))


@given(st.lists(boxes, min_size=1, max_size=3))
@settings(max_examples=30)
def test_every_anchor_has_the_label_of_its_overlap(found: list[tuple[float, ...]]) -> None:
    """All of them drawn."""
    labels, offsets, weights = targets(*found, settings=EVERY)
    for number, box in enumerate(found):
        overlap = overlaps(box)
        sure = (abs(overlap - 0.6) > 1e-9) & (abs(overlap - 0.3) > 1e-9)
        expected = np.where(overlap > 0.6, 1, np.where(overlap < 0.3, 0, -1))
        assert np.array_equal(labels[number].numpy()[sure], expected[sure])
        positive = labels[number].numpy() == 1
        x, y, w, h = box
        wanted = encode(np.array([x + w / 2, y + h / 2, w, h])[:, None, None, None], GRID)
        assert np.allclose(offsets[number].numpy(), np.where(positive, wanted, 0), atol=1e-12)
        assert np.allclose(weights[number].numpy(), positive / max(positive.sum(), 1))


def test_a_target_like_an_anchor() -> None:
    """The square of 64 px in the middle is that anchor in that cell: nothing is left to say of it."""
    labels, offsets, _ = targets(CENTRED, settings=EVERY)
    assert overlaps(CENTRED)[2, 12, 12] == 1
    assert labels[0, 2, 12, 12] == 1
    assert offsets[0, :, 2, 12, 12].tolist() == [0, 0, 0, 0]
    assert offsets[0, :, 2, 12, 13].tolist() == pytest.approx([-8 / 64, 0, 0, 0])
    assert offsets[0, :, 2, 11, 12].tolist() == pytest.approx([0, 8 / 64, 0, 0])
    larger = targets((CENTRED[0] - 4, CENTRED[1] - 4, 72, 72), settings=EVERY).offsets
    assert larger[0, :, 2, 12, 12].tolist() == pytest.approx([0, 0, math.log(72 / 64), math.log(72 / 64)])


@pytest.mark.parametrize("seed", range(3))
def test_16_and_48_are_drawn_from_all_that_could_be(seed: int) -> None:
    everything = targets(MANY, SOMEWHERE, settings=EVERY).labels
    assert (everything == 1).sum((1, 2, 3)).tolist() == [18, 18]
    labels, offsets, weights = targets(MANY, SOMEWHERE, seed=seed)
    assert (labels == 1).sum((1, 2, 3)).tolist() == [16, 16]
    assert (labels == 0).sum((1, 2, 3)).tolist() == [48, 48]
    assert (everything[labels == 1] == 1).all()
    assert (everything[labels == 0] == 0).all()
    assert weights.sum((1, 2, 3)).tolist() == pytest.approx([1, 1])
    assert (weights[labels == 1] == 1 / 16).all()
    assert (offsets.abs().sum(1)[labels != 1] == 0).all()


def test_fewer_positive_anchors_than_are_wanted() -> None:
    """All of them, and no more negative ones for that, as published."""
    labels, _, weights = targets(CENTRED)
    assert [int((labels == kind).sum()) for kind in (1, 0)] == [9, 48]
    assert weights[labels == 1].tolist() == pytest.approx([1 / 9] * 9)


def test_draws_depend_on_the_generator_alone() -> None:
    """A run that goes on after a break, and one that was never broken; and no draw is that of another seed."""
    torch.manual_seed(1)
    first = targets(MANY, SOMEWHERE, seed=5)
    torch.manual_seed(2)
    before = torch.random.get_rng_state()
    again = targets(MANY, SOMEWHERE, seed=5)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not torch.equal(first.labels, targets(MANY, SOMEWHERE, seed=6).labels)


def test_every_anchor_is_drawn_as_often_as_another() -> None:
    """In 300 draws of 4 out of 18 each of them 67 times, and four standard deviations, 29, more or less."""
    grid = torch.from_numpy(anchor_grid(ANCHORS, 9, middle=PATCH / 2))
    drawn = anchor_targets(
        torch.tensor([MANY] * 300, dtype=torch.float64),
        torch.zeros(300, dtype=torch.bool),
        grid,
        generator=torch.Generator().manual_seed(0),
        settings=AnchorTargetSettings(positives=4),
    )
    times = (drawn.labels == 1).sum(0).flatten()
    assert int((times > 0).sum()) == 18
    assert (times[times > 0] - 300 * 4 / 18).abs().max() < 29


# Search patches that show something else


@pytest.mark.parametrize(
    ("center", "columns", "rows"),
    [
        ((127.5, 127.5), (9, 15), (9, 15)),
        ((127.5 + 8 + 3.9, 127.5 - 16 - 3.9), (10, 16), (7, 13)),  # nearest: one cell right, two up
        ((127.5 + 96, 127.5), (21, 24), (9, 15)),  # the last column
        ((400, -90), (21, 24), (0, 3)),  # outside the map
    ],
)
def test_negative_anchors_lie_around_the_other_object(
    center: tuple[float, float], columns: tuple[int, int], rows: tuple[int, int]
) -> None:
    box = (center[0] - 32, center[1] - 32, 64, 64)
    labels, offsets, weights = targets(box, absent=True, settings=EVERY)
    expected = torch.full((5, CELLS, CELLS), -1)
    expected[:, rows[0] : rows[1] + 1, columns[0] : columns[1] + 1] = 0
    assert torch.equal(labels[0], expected)
    drawn = targets(box, absent=True).labels[0]
    assert int((drawn == 0).sum()) == 16
    assert (expected[drawn == 0] == 0).all()
    assert (drawn != 1).all()
    assert not offsets.any()
    assert not weights.any()


def test_both_kinds_of_pairs_in_a_batch() -> None:
    both = anchor_targets(
        torch.tensor([CENTRED, CENTRED]),
        torch.tensor([True, False]),
        torch.from_numpy(GRID),
        generator=torch.Generator().manual_seed(0),
    )
    assert (both.labels == 1).sum((1, 2, 3)).tolist() == [0, 9]
    assert (both.labels == 0).sum((1, 2, 3)).tolist() == [16, 48]
    assert both.offsets.dtype == both.weights.dtype == torch.float32
    assert both.labels.dtype == torch.int64


# Boxes that cannot be learnt from


@pytest.mark.parametrize("box", [(100.0, 100.0, 0.0, 0.0), (100.0, 100.0, 0.0, 50.0), (120.0, 120.0, 3.0, 2.0)])
def test_a_target_that_no_anchor_is_like(box: tuple[float, ...]) -> None:
    labels, offsets, weights = targets(box)
    assert (labels != 1).all()
    assert int((labels == 0).sum()) == 48
    assert torch.isfinite(offsets).all()
    assert not weights.any()


def test_a_box_of_nan_counts_for_nothing() -> None:
    labels, offsets, weights = targets((math.nan,) * 4, CENTRED)
    assert (labels[0] == -1).all()
    assert int((labels[1] == 1).sum()) == 9
    assert torch.isfinite(offsets).all()
    assert weights.sum((1, 2, 3)).tolist() == pytest.approx([0, 1])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"positive_iou": 1.5}, "positive_iou"),
        ({"negative_iou": -0.1}, "negative_iou"),
        ({"positives": 0}, "positives"),
        ({"negatives": 0}, "negatives"),
        ({"absent_negatives": 0}, "absent_negatives"),
        ({"positive_iou": 0.2}, "cannot be both"),
    ],
)
def test_impossible_settings_are_refused(values: dict[str, float], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        AnchorTargetSettings(**values)
