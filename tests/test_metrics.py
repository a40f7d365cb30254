"""One-pass evaluation on boxes whose scores can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamtrack.metrics.ope import OVERLAP_THRESHOLDS, precision, success_auc, success_curve

TRUTH = np.array([[10, 10, 20, 20], [12, 10, 20, 20], [14, 11, 20, 20], [16, 12, 20, 20]], float)
ABSENT = np.full(4, np.nan)


def test_a_perfect_tracker_gets_20_of_21() -> None:
    """The overlap 1 is not above the threshold 1."""
    assert success_auc(TRUTH, TRUTH) == pytest.approx(20 / 21)
    assert precision(TRUTH, TRUTH) == 1


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.lists(st.tuples(*[st.floats(0.1, 900)] * 4), min_size=1, max_size=8))
def test_a_perfect_tracker_gets_20_of_21_on_any_boxes(boxes: list[tuple[float, ...]]) -> None:
    """Rounding inside the overlap must not lift a frame over the last threshold."""
    assert success_auc(boxes, boxes) == pytest.approx(20 / 21)


def test_thresholds() -> None:
    assert pytest.approx(np.arange(21) / 20) == OVERLAP_THRESHOLDS


def test_no_overlap_at_all_gets_nothing() -> None:
    assert success_auc(TRUTH + np.array([500, 0, 0, 0]), TRUTH) == 0  # an overlap of 0 is not above the threshold 0
    assert precision(TRUTH + np.array([500, 0, 0, 0]), TRUTH) == 0


@pytest.mark.parametrize(("share", "passed"), [(1, 20), (0.5, 10), (0.25, 5), (0.3, 6)])
def test_an_overlap_on_a_threshold_does_not_pass_it(share: float, passed: int) -> None:
    """A box that covers exactly this share of the truth passes the thresholds strictly below: 0, 0.05, ..."""
    truth = np.array([[0, 0, 20, 20.0]])
    curve = success_curve([[0, 0, 20 * share, 20]], truth)
    assert curve.sum() == passed
    assert (curve[:passed] == 1).all()


def test_frames_without_target_are_left_out() -> None:
    truth = TRUTH.copy()
    predicted = TRUTH.copy()
    predicted[1] = 0, 500, 5, 5  # wrong, where nothing can be right
    truth[1] = ABSENT
    assert success_auc(predicted, truth) == pytest.approx(20 / 21)
    assert precision(predicted, truth) == 1


def test_a_target_that_is_missed_counts_as_a_failure() -> None:
    predicted = TRUTH.copy()
    predicted[0] = ABSENT
    assert success_auc(predicted, TRUTH) == pytest.approx(20 / 21 * 3 / 4)
    assert precision(predicted, TRUTH) == 0.75


@pytest.mark.parametrize(("shift", "expected"), [((20, 0), 1), ((0, -20), 1), ((12, 16), 1), ((20.001, 0), 0), ((15, 15), 0)])
def test_precision_counts_a_centre_error_of_20_px(shift: tuple[float, float], expected: float) -> None:
    assert precision(TRUTH + np.array([*shift, 0, 0]), TRUTH) == expected


def test_precision_at_another_distance() -> None:
    predicted = TRUTH + np.array([[1, 0, 0, 0], [2, 0, 0, 0], [3, 0, 0, 0], [4, 0, 0, 0]])
    assert [precision(predicted, TRUTH, pixels) for pixels in (0.5, 1, 2.5, 4)] == [0, 0.25, 0.5, 1]
    assert precision(TRUTH * [1, 1, 2, 2], TRUTH, 14) == 0  # the centre moves by hypot(10, 10) though the corner does not


def test_the_curve_falls() -> None:
    rng = np.random.default_rng(0)
    curve = success_curve(TRUTH.repeat(20, 0) + rng.normal(0, 6, (80, 4)), TRUTH.repeat(20, 0))
    assert (np.diff(curve) <= 0).all()
    assert 0 < curve.mean() < 20 / 21
