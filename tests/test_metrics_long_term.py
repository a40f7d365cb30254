"""Long-term precision, recall and F, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamtrack.errors import DataError
from siamtrack.metrics.long_term import (
    PRESETS,
    LongTermPreset,
    LongTermScores,
    LongTermSequence,
    confidence_thresholds,
    long_term_scores,
)

PYSOT, MATLAB, PYTHON = PRESETS["pysot"], PRESETS["vot-matlab"], PRESETS["vot-python"]
NAN = float("nan")


def sequence(overlaps: list[float], confidences: list[float], visible: list[int] | None = None) -> LongTermSequence:
    return LongTermSequence(name="long", overlaps=overlaps, confidences=confidences, visible=visible or [1] * len(overlaps))


def at(scores: LongTermScores, threshold: float) -> tuple[float, float]:
    """Precision and recall at a threshold."""
    i = scores.thresholds.tolist().index(threshold)
    return float(scores.precision[i]), float(scores.recall[i])


def test_precision_counts_reported_frames_and_recall_visible_ones() -> None:
    # reported from 0.5 on: overlaps 0.8, 0.6 and one where the target is absent; visible in 4 of 5 frames
    s = sequence([0.8, 0.6, NAN, 0.4, 0.2], [0.9, 0.7, 0.5, 0.3, 0.1], [1, 1, 0, 1, 1])
    scores = long_term_scores([s], MATLAB)
    assert at(scores, 0.5) == pytest.approx((1.4 / 3, 1.4 / 4))
    assert at(scores, 0.9) == pytest.approx((0.8, 0.2))
    assert at(scores, np.inf) == (1, 0)  # nothing reported
    assert at(scores, -np.inf) == pytest.approx((2 / 5, 2 / 4))
    assert scores.best == pytest.approx((2 * 0.7 * 0.35 / 1.05, 0.7, 0.35))  # at 0.7


def test_trap_13_a_confidence_of_nan_is_zero_in_pysot_and_never_reported_in_the_toolkits() -> None:
    # VOT files have no confidence in the first frame, which holds no region either
    s = sequence([NAN, 0.5, 0.9], [NAN, -1.0, 2.0])
    pysot, python = long_term_scores([s], PYSOT), long_term_scores([s], PYTHON)
    assert at(pysot, -1) == pytest.approx((1.4 / 3, 1.4 / 3))  # the first frame is there with 0 >= -1
    assert at(python, -1) == pytest.approx((0.7, 1.4 / 3))


def test_trap_13_at_minus_infinity_pysot_keeps_only_confidences_above_zero() -> None:
    s = sequence([NAN, 0.5, 0.9], [NAN, -1.0, 2.0])
    assert at(long_term_scores([s], PYSOT), -np.inf) == pytest.approx((0.9, 0.3))
    assert at(long_term_scores([s], MATLAB), -np.inf) == pytest.approx((0.7, 1.4 / 3))


def test_a_tracker_without_overlap_has_f_zero() -> None:
    assert long_term_scores([sequence([0, 0], [0.5, 0.6])], PYSOT).best == (0, 1, 0)


def test_the_mean_over_sequences_is_not_the_pooled_score() -> None:
    # short and good, long and bad
    a, b = sequence([1.0], [0.5]), sequence([0.0, 0.2, 0.1], [0.5, 0.5, 0.5])
    per_sequence, pooled = (long_term_scores([a, b], PYTHON, pooled=pooled) for pooled in (False, True))
    assert at(per_sequence, 0.5) == pytest.approx((0.55, 0.55))
    assert at(pooled, 0.5) == pytest.approx((1.3 / 4, 1.3 / 4))
    assert per_sequence.best[0] == pytest.approx(0.55)


def test_a_hundred_thresholds_lie_where_each_tool_puts_them() -> None:
    # 1000 confidences 0..999, steps of 1000 // 98 = 10: lowest and highest inner threshold of each
    ends = {"pysot": (9, 990), "vot-matlab": (9, 989), "vot-python": (9, 989)}
    for name, (low, high) in ends.items():
        found = confidence_thresholds(np.random.default_rng(0).permutation(1000).astype(float), PRESETS[name])
        assert found.shape == (100,)
        assert (found[0], found[-1]) == (np.inf, -np.inf)
        assert (found[98], found[1]) == (low, high)
        assert (np.diff(found[1:99]) < 0).all()


def test_few_confidences_are_all_thresholds_and_nan_is_none() -> None:
    assert confidence_thresholds([0.2, NAN, 0.8], PYSOT).tolist() == [np.inf, 0.8, 0.2, -np.inf]
    assert len(confidence_thresholds(np.arange(98.0), PYSOT)) == 100
    assert len(confidence_thresholds(np.arange(100.0), MATLAB)) == 102
    assert len(confidence_thresholds(np.arange(101.0), MATLAB)) == 100
    assert len(confidence_thresholds(np.arange(99.0), PYTHON)) == 100


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(-5, 5), st.booleans()), min_size=1, max_size=150))
def test_curves_are_those_of_frames_counted_one_by_one(frames: list[tuple[float, float, bool]]) -> None:
    frames.append((0.5, 0.0, True))
    overlaps, confidences, visible = zip(*((o * v, c, v) for o, c, v in frames), strict=True)
    s = LongTermSequence(name="any", overlaps=overlaps, confidences=confidences, visible=visible)
    scores = long_term_scores([s], PYTHON)
    for t, p, r in zip(scores.thresholds, scores.precision, scores.recall, strict=True):
        reported = [o for o, c in zip(overlaps, confidences, strict=True) if c >= t]
        assert p == pytest.approx(sum(reported) / len(reported) if reported else 1)
        assert r == pytest.approx(sum(reported) / sum(visible))
    assert (np.diff(scores.recall) >= -1e-12).all()
    assert scores.best[0] == scores.f.max()


def test_what_cannot_be_scored_is_refused() -> None:
    with pytest.raises(DataError, match=r"overlaps \(2,\), confidences \(1,\) and visibility \(2,\)"):
        sequence([0.5, 0.5], [0.5])
    with pytest.raises(DataError, match="visible in none of 2 frames"):
        sequence([0.5, 0.5], [0.5, 0.5], [0, 0])
    with pytest.raises(DataError, match="no sequences"):
        long_term_scores([], PYSOT)


def test_the_number_of_thresholds_can_be_changed() -> None:
    fine = LongTermPreset(name="fine", last_step="pysot", all_up_to=9, missing="zero", lowest="positive", resolution=12)
    assert confidence_thresholds(np.arange(25.0), fine)[1:-1].tolist() == [23, 21, 18, 16, 13, 11, 8, 6, 3, 1]
