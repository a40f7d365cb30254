"""Centre errors keep their sign, and frames without a target do not count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from siamtrack.box import center_error
from siamtrack.metrics.center_error import mean_center_error, signed_center_errors

ABSENT = [float("nan")] * 4
BOXES = arrays(np.float64, (7, 4), elements=st.floats(-1e4, 1e4))


def test_right_of_the_target_and_below_it_is_positive() -> None:
    truth = [[10, 20, 40, 40], [10, 20, 40, 40], ABSENT, [0, 0, 8, 8]]
    predicted = [[13, 16, 40, 40], [8, 18, 44, 44], [0, 0, 5, 5], ABSENT]  # the second is larger around the same centre
    assert signed_center_errors(predicted, truth).tolist() == [[3, -4], [0, 0]]
    assert mean_center_error(predicted, truth) == 2.5


def test_without_a_target_there_is_no_mean() -> None:
    assert np.isnan(mean_center_error([[1, 2, 3, 4]], [ABSENT]))
    assert signed_center_errors([[1, 2, 3, 4]], [ABSENT]).shape == (0, 2)


@given(BOXES, BOXES)
def test_the_length_of_the_signed_errors_is_the_center_error(predicted: np.ndarray, truth: np.ndarray) -> None:
    lengths = np.hypot(*signed_center_errors(predicted, truth).T)
    assert lengths == pytest.approx(center_error(predicted, truth))
    assert mean_center_error(predicted, truth) == pytest.approx(lengths.mean())
    assert signed_center_errors(truth, predicted) == pytest.approx(-signed_center_errors(predicted, truth))
