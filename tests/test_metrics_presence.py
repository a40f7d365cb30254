"""Knowing that the target is gone: measures against what can be counted by hand and against the plainest possible counting."""

from __future__ import annotations

import math
from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamtrack.errors import DataError, SettingsError
from siamtrack.metrics.delays import Delays
from siamtrack.metrics.presence import auroc, best_threshold, calibration_error, error_rates, risk_coverage
from siamtrack.metrics.presence_sequences import PresenceTrace, frame_losses, notice_delays, recover_delays, summarise

repeatable = settings(deadline=None, derandomize=True)
NAN, INF = math.nan, math.inf
few_values = st.sampled_from([NAN, -INF, -1.0, 0.0, 0.1, 0.25, 1.0, INF])  # few, so that there are ties
frames = st.lists(st.tuples(few_values, st.booleans()), min_size=1, max_size=12)


def split(pairs: list[tuple[float, bool]]) -> tuple[list[float], list[bool]]:
    return [value for value, _ in pairs], [there for _, there in pairs]


def lowest_for_nan(value: float) -> float:
    return -INF if math.isnan(value) else value


def trace(confidence: list[float], present: str, overlaps: list[float] | None = None) -> PresenceTrace:
    """A trace whose truth is written as a string: P present, "-" absent."""
    return PresenceTrace(confidence=confidence, present=np.array([c == "P" for c in present], bool), overlaps=overlaps)


# one frame at a time


@pytest.mark.parametrize(
    ("confidence", "present", "expected"),
    [
        ([0.9, 0.8, 0.2, 0.1], [True, True, False, False], 1),
        ([0.9, 0.8, 0.2, 0.1], [False, False, True, True], 0),
        ([0.9, 0.3, 0.5, 0.1], [True, True, False, False], 3 / 4),
        ([0.5, 0.5, 0.5], [True, False, False], 0.5),
        ([0.5, 0.7, 0.5], [True, False, False], 0.25),
        ([NAN, 0.0], [False, True], 1),
        ([NAN, -INF], [False, True], 0.5),
    ],
)
def test_auroc_by_hand(confidence: list[float], present: list[bool], expected: float) -> None:
    assert auroc(confidence, present) == expected


@repeatable
@given(frames)
def test_auroc_is_the_share_of_pairs_in_order(pairs: list[tuple[float, bool]]) -> None:
    confidence, present = split(pairs)
    targets = [lowest_for_nan(value) for value, there in pairs if there]
    others = [lowest_for_nan(value) for value, there in pairs if not there]
    won = [1.0 if a > b else 0.5 if a == b else 0.0 for a in targets for b in others]
    assert auroc(confidence, present) == pytest.approx(np.mean(won) if won else NAN, nan_ok=True)


@pytest.mark.parametrize("present", [[True, True], [False, False], []])
def test_without_both_kinds_of_frames_there_is_nothing_to_tell_apart(present: list[bool]) -> None:
    assert math.isnan(auroc([0.5] * len(present), np.array(present, bool)))
    assert math.isnan(best_threshold([0.5] * len(present), np.array(present, bool)))


def test_a_confidence_on_the_threshold_counts_as_present() -> None:
    rates = error_rates([0.5, 0.4, 0.5, 0.6, NAN], [True, True, False, False, False], 0.5)
    assert rates.miss == 1 / 2
    assert rates.false_alarm == pytest.approx(2 / 3)
    assert rates.balanced_accuracy == pytest.approx(1 - (1 / 2 + 2 / 3) / 2)


def test_rates_without_frames_to_measure_them_on() -> None:
    assert math.isnan(error_rates([0.5], [True], 0.5).false_alarm)
    assert math.isnan(error_rates([0.5], [False], 0.5).miss)
    assert math.isnan(error_rates([0.5], [True], 0.5).balanced_accuracy)


def test_the_best_threshold_by_hand() -> None:
    assert best_threshold([0.1, 0.3, 0.6, 0.8], [False, False, True, True]) == 0.6
    assert best_threshold([0.9, 0.8, 0.1], [False, False, True]) == 0.1  # nothing beats calling all of them present
    assert best_threshold([NAN, 0.2, 0.4], [False, True, True]) == 0.2
    # 0.2 lets 1 of 2 absent frames pass, 0.8 misses 1 of 2 present ones
    assert best_threshold([0.1, 0.2, 0.5, 0.8], [False, True, False, True]) == 0.2


@repeatable
@given(frames)
def test_no_threshold_is_better_than_the_best(pairs: list[tuple[float, bool]]) -> None:
    confidence, present = split(pairs)
    best = best_threshold(confidence, present)
    if len(set(present)) == 2:
        reached = error_rates(confidence, present, best).balanced_accuracy
        others = [-INF, -2.0, -0.5, 0.05, 0.2, 0.5, 5.0, *map(lowest_for_nan, confidence)]
        assert reached >= max(error_rates(confidence, present, other).balanced_accuracy for other in others) - 1e-12
        assert reached >= 0.5


def test_calibration_error_by_hand() -> None:
    # two bins of two: stated 0.15 and seen 0.5; stated 0.85 and seen 1
    assert calibration_error([0.9, 0.1, 0.8, 0.2], [True, False, True, True], bins=2) == pytest.approx((0.35 + 0.15) / 2)
    assert calibration_error([0.75] * 4, [True, True, True, False]) == 0
    assert calibration_error([1.0, 0.0, NAN], [True, False, True]) == pytest.approx(1 / 3)
    assert math.isnan(calibration_error([], np.zeros(0, bool)))


def test_bins_have_equal_mass() -> None:
    """Bins of equal width would put 8 of 9 frames into the first of three and find no error in it."""
    stated = [0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 1.0]
    present = [True, False, False, False, False, False, False, False, True]
    by_hand = (abs(0.03 - 1) + abs(0.12 - 0) + abs(1.13 - 1)) / 9
    assert calibration_error(stated, present, bins=3) == pytest.approx(by_hand)


@repeatable
@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0]), st.booleans()), min_size=1, max_size=20), st.integers(1, 30)
)
def test_calibration_does_not_depend_on_the_order(pairs: list[tuple[float, bool]], bins: int) -> None:
    error = calibration_error(*split(pairs), bins=bins)
    assert error == pytest.approx(calibration_error(*split(pairs[::-1]), bins=bins))
    assert 0 <= error <= 1
    stated, present = split(pairs)
    assert calibration_error(stated, present, bins=1) == pytest.approx(abs(np.mean(stated) - np.mean(present)))


def test_risk_coverage_by_hand() -> None:
    assert risk_coverage([0.1, 0.9, 0.5], [1, 0, 0.5]).tolist() == [0, 0.25, 0.5]
    assert risk_coverage([NAN, 0.9], [1, 0]).tolist() == [0, 0.5]
    assert risk_coverage([0.5, 0.5], [1, 0]).tolist() == [0.5, 0.5]
    assert risk_coverage([], []).tolist() == []


@repeatable
@given(st.lists(st.tuples(st.sampled_from([NAN, 0.0, 0.5, 1.0]), st.sampled_from([0.0, 0.3, 1.0])), min_size=1, max_size=5))
def test_risk_coverage_is_the_mean_over_all_orders(pairs: list[tuple[float, float]]) -> None:
    confidence, losses = zip(*pairs, strict=True)
    ranked = [
        [losses[i] for i in order]
        for order in permutations(range(len(pairs)))
        if all(lowest_for_nan(confidence[a]) >= lowest_for_nan(confidence[b]) for a, b in pairwise(order))
    ]
    by_hand = np.mean([np.cumsum(order) / np.arange(1, len(order) + 1) for order in ranked], axis=0)
    assert risk_coverage(confidence, losses) == pytest.approx(by_hand)


# in sequence


def test_losses() -> None:
    assert frame_losses(trace([1, 1, 1], "P-P")).tolist() == [0, 1, 0]
    assert frame_losses(trace([1, 1, 1, 1], "P-PP", [0.75, NAN, NAN, 1])).tolist() == [0.25, 1, 1, 0]


def test_time_to_notice() -> None:
    #                 P    -    -    -    P    -    -    P    -    -
    delays = notice_delays(trace([0.9, 0.8, 0.5, 0.4, 0.9, 0.1, 0.9, 0.1, 0.9, 0.9], "P---P--P--"), 0.5)
    assert delays.waited.tolist() == [2, 0, 2]
    assert delays.happened.tolist() == [True, True, False]
    assert delays.share_never == pytest.approx(1 / 3)


def test_a_confidence_of_nan_notices() -> None:
    assert notice_delays(trace([1, 1, NAN], "P--"), 0.0).waited.tolist() == [1]
    assert notice_delays(trace([1, 1, 1], "P--"), 0.0).share_never == 1


def test_time_to_recover() -> None:
    confidence = [0.9, 0.1, 0.1, 0.9, 0.5, 0.1, 0.2, 0.4, 0.9]
    present = "P-PPP-PP-"
    delays = recover_delays(trace(confidence, present), 0.5)
    assert delays.waited.tolist() == [1, 2]  # the first stretch is no return, and the last absence is no time to recover in
    assert delays.happened.tolist() == [True, False]
    on_target = recover_delays(trace(confidence, present, [1, NAN, 1, 0.49, 0.5, NAN, 1, 1, NAN]), 0.5)
    assert on_target.waited.tolist() == [2, 2]
    assert on_target.happened.tolist() == [True, False]


def test_a_target_that_is_not_there_at_first_returns() -> None:
    assert recover_delays(trace([0.1, 0.1, 0.9], "-PP"), 0.5).waited.tolist() == [1]


@settings(repeatable, max_examples=200)
@given(st.lists(st.tuples(few_values, st.booleans()), min_size=1, max_size=30), st.sampled_from([-1.0, 0.1, 0.5]))
def test_delays_as_a_loop_over_frames_counts_them(pairs: list[tuple[float, bool]], threshold: float) -> None:
    confidence, present = split(pairs)
    found: dict[bool, list[tuple[int, bool]]] = {True: [], False: []}
    for start, there in enumerate(present):
        if start and present[start - 1] == there:
            continue
        waited, happened = 0, False
        for value, still in pairs[start:]:
            if still != there or happened:
                break
            happened = (lowest_for_nan(value) >= threshold) == there
            waited += not happened
        if start or not there:
            found[there].append((waited, happened))
    one = trace(confidence, "".join("P" if there else "-" for there in present))
    for delays, expected in [(recover_delays(one, threshold), found[True]), (notice_delays(one, threshold), found[False])]:
        assert list(zip(delays.waited.tolist(), delays.happened.tolist(), strict=True)) == expected


@pytest.mark.parametrize(
    ("waited", "happened", "median"),
    [
        ([1, 3, 8], "yyy", 3),
        ([1, 3, 8, 9], "yyyy", 3),  # half of them by then
        ([7], "n", INF),
        ([2, 5, 5], "ynn", INF),  # two of three took longer than is known
        ([1, 1, 1, 6], "nnny", 6),  # three that ended after a frame say nothing of what comes later
        ([4, 4, 9], "nyy", 4),  # length 4 is known to frame 3 only: at frame 4 one of the two others goes
        ([2, 1, 4, 3, 6], "ynyny", 4),  # 1 - 1/4 at 2 (one left before), 1 - 1/2 at 4 (another left before): 3/8
        ([], "", NAN),
    ],
)
def test_median_delay(waited: list[int], happened: str, median: float) -> None:
    delays = Delays(waited=np.array(waited, np.int64), happened=np.array([c == "y" for c in happened], bool))
    assert delays.median == pytest.approx(median, nan_ok=True)


@repeatable
@given(st.lists(st.integers(0, 50), min_size=1, max_size=31))
def test_where_all_is_known_the_median_is_the_lower_one(waited: list[int]) -> None:
    delays = Delays(waited=np.array(waited), happened=np.ones(len(waited), bool))
    assert delays.median == sorted(waited)[(len(waited) - 1) // 2]
    assert delays.share_never == 0


def test_summary_joins_sequences() -> None:
    first = trace([0.9, 0.8, 0.2, 0.7], "PP-P", [1, 0.5, NAN, 0.75])
    second = trace([0.4, 0.6, 0.6], "P--", [1, NAN, NAN])
    never_absent = trace([0.3, 0.9], "PP", [0, 1])
    whole = summarise([first, second, never_absent], threshold=0.5)
    assert (whole.sequences, whole.frames, whole.absent_frames) == (3, 9, 3)
    assert whole.mean_auroc == pytest.approx((1 + 0) / 2)  # the third has none
    # 6 present: 0.9 0.8 0.7 0.9 win 3 pairs each, 0.4 and 0.3 win 1 each
    assert whole.auroc == pytest.approx(14 / 18)
    assert whole.rates.miss == pytest.approx(2 / 6)
    assert whole.rates.false_alarm == pytest.approx(2 / 3)
    assert whole.notice.waited.tolist() == [0, 2]  # not one absence of frames of two sequences
    assert whole.notice.share_never == 0.5
    assert whole.recover.waited.tolist() == [0]  # the third begins with its target: no return
    losses = [0, 0.5, 1, 0.25, 0, 1, 1, 1, 0]
    joined = [0.9, 0.8, 0.2, 0.7, 0.4, 0.6, 0.6, 0.3, 0.9]
    assert whole.risk_area == pytest.approx(risk_coverage(joined, losses).mean())
    assert whole.note == ""


def test_an_absence_does_not_go_on_in_the_next_sequence() -> None:
    one, other = trace([0.9, 0.9], "P-"), trace([0.1, 0.1, 0.9], "--P")
    both = summarise([one, other], threshold=0.5)
    assert both.notice.waited.tolist() == [1, 0]
    assert both.notice.share_never == 0.5
    assert both.recover.waited.tolist() == [0]
    assert summarise([one], threshold=0.5).recover.waited.tolist() == []


def test_summary_says_why_there_is_no_auroc() -> None:
    always, never = (summarise([trace([0.5, 0.6], truth)], threshold=0.5) for truth in ("PP", "--"))
    assert "never absent" in always.note
    assert "never there" in never.note
    assert math.isnan(always.auroc)
    assert math.isnan(always.mean_auroc)
    assert math.isnan(always.notice.median)
    assert math.isnan(always.notice.share_never)
    assert always.risk_area == 0
    assert never.risk_area == 1


def test_summary_of_no_frames_at_all() -> None:
    empty = summarise([trace([], "")], threshold=0.5)
    assert empty.frames == 0
    assert math.isnan(empty.risk_area)
    assert math.isnan(empty.rates.miss)


# what cannot be used


def test_lengths_that_differ_are_named() -> None:
    for function in (auroc, best_threshold, calibration_error):
        with pytest.raises(DataError, match=r"\(3,\) and truth of shape \(2,\)"):
            function([0.1, 0.2, 0.3], [True, False])
    with pytest.raises(DataError, match=r"\(3,\) and truth of shape \(2,\)"):
        error_rates([0.1, 0.2, 0.3], [True, False], 0.5)
    with pytest.raises(DataError, match=r"\(3,\) and losses of shape \(2,\)"):
        risk_coverage([0.1, 0.2, 0.3], [1, 0])
    with pytest.raises(DataError, match=r"\(3,\) for 2 frames"):
        trace([0.1, 0.2], "P-", [1, 1, 1])


def test_a_truth_that_is_no_boolean_is_refused() -> None:
    with pytest.raises(DataError, match="float64"):
        auroc([0.1, 0.2], [1.0, 0.0])
    with pytest.raises(DataError, match=r"\(1, 2\)"):
        auroc([[0.1, 0.2]], [[True, False]])


@pytest.mark.parametrize("value", [-0.1, 1.5, INF])
def test_a_score_is_no_probability_and_no_overlap(value: float) -> None:
    with pytest.raises(DataError, match=r"\[0, 1\]"):
        calibration_error([0.5, value], [True, False])
    with pytest.raises(DataError, match="overlap of frame 1"):
        trace([0.5, 0.5], "PP", [0.5, value])


def test_a_threshold_of_nan_is_refused() -> None:
    with pytest.raises(SettingsError, match="threshold is NaN"):
        error_rates([0.5], [True], best_threshold([0.5], [True]))


def test_settings_and_losses_that_make_no_sense() -> None:
    with pytest.raises(SettingsError, match="0 bins"):
        calibration_error([0.5], [True], bins=0)
    with pytest.raises(DataError, match="1 of them NaN"):
        risk_coverage([0.5, 0.6], [0, NAN])


def test_a_summary_needs_sequences_of_one_kind() -> None:
    with pytest.raises(DataError, match="0 sequences"):
        summarise([], threshold=0.5)
    with pytest.raises(DataError, match="2 sequences, 1 of them with overlaps"):
        summarise([trace([0.5], "P"), trace([0.5], "P", [1])], threshold=0.5)
