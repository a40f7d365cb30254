"""Accuracy, robustness and EAO of supervised VOT results, by hand on sequences of a few frames."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamtrack.errors import DataError
from siamtrack.metrics.vot import SupervisedSequence, region_overlaps, regions_from_text
from siamtrack.metrics.vot_accuracy import accuracy_overlaps, accuracy_robustness, same_in_practice
from siamtrack.metrics.vot_eao import eao, eao_curve, fragments, practical_difference_curve
from siamtrack.metrics.vot_presets import PRESETS, VOTPreset, eao_interval

EXACT = VOTPreset(name="exact", rule="exact", accuracy_bounds="none", eao_bounds="none", burn_in=2)
MATLAB, PYSOT, PYTHON = (
    dataclasses.replace(PRESETS[name], rule="exact", box_corners="continuous", accuracy_bounds="none", eao_bounds="none")
    for name in ("vot-matlab", "pysot", "vot-python")
)
TARGET = (20.0, 20.0, 40.0, 10.0)


def fitting(overlap: float) -> np.ndarray:
    """A box of exactly that overlap with the target, which it lies in."""
    x, y, w, h = TARGET
    return np.array([x, y, w * overlap, h])


def run_of(entries: str) -> list[np.ndarray]:
    """A letter a frame: "S" start, "F" failure, "-" skipped, or a digit for a box with so many tenths of overlap."""
    codes = {"S": 1.0, "F": 2.0, "-": 0.0}
    return [np.array([codes[e]]) if e in codes else fitting(int(e) / 10) for e in entries]


def sequence(*runs: str, name: str = "walk", **more: object) -> SupervisedSequence:
    truth = [np.array(TARGET)] * len(runs[0])
    return SupervisedSequence(name=name, truth=truth, width=100, height=50, runs=[run_of(r) for r in runs], **more)  # type: ignore[arg-type]


def test_a_trajectory_is_read_with_codes_boxes_and_polygons() -> None:
    text = "1\n10,20,30.5,40,\n2\n0\n1.0000\n1,2, 3,4, 5,6, 7,8\nnan,nan,nan,nan\n\n"
    regions = regions_from_text(text, "walk_001.txt")
    assert [len(region) for region in regions] == [1, 4, 1, 1, 1, 8, 4]
    assert regions[1].tolist() == [10, 20, 30.5, 40]
    assert np.isnan(regions[6]).all()


@pytest.mark.parametrize("line", ["3", "1,2", "1,2,3", "1,2,3,4,5", "a,b,c,d", "m0,0,5,5,1,2,3", ""])
def test_a_line_that_is_no_region_is_named(line: str) -> None:
    with pytest.raises(DataError, match=r"walk_001\.txt, line 2: found '.*', expected 0, 1, 2, x,y,w,h or"):
        regions_from_text(f"1\n{line}\n1,1,5,5\n", "walk_001.txt")


def test_accuracy_leaves_out_the_frames_after_each_start_and_counts_no_code() -> None:
    # burn-in 2: the start and the next frame
    s = sequence("S945F----S82")
    found = accuracy_robustness([s], EXACT)
    assert found.accuracy == pytest.approx((0.4 + 0.5 + 0.2) / 3)
    assert found.failures == 1
    assert found.robustness == pytest.approx(100 / 12)
    assert found.reliability == pytest.approx(math.exp(-30 / 12))
    assert found.ar_point == (found.reliability, found.accuracy)
    assert np.flatnonzero(~np.isnan(accuracy_overlaps([s], EXACT))).tolist() == [2, 3, 11]


def test_the_burn_in_of_the_challenge_is_ten_frames_with_the_start() -> None:
    s = sequence("S9999999992")
    assert accuracy_robustness([s], MATLAB).accuracy == pytest.approx(0.2)
    assert accuracy_robustness([sequence("S999999999")], MATLAB).accuracy == 0  # no frame is left


def test_trap_7_accuracy_is_pooled_over_frames_or_averaged_over_sequences() -> None:
    # two of four frames count in the first and one of ten in the second, the others are burnt in or skipped
    a, b = sequence("S099", name="a"), sequence("S01F----S0", name="b")
    pooled = accuracy_robustness([a, b], EXACT)
    by_sequence = accuracy_robustness([a, b], dataclasses.replace(EXACT, pooling="sequences"))
    assert pooled.accuracy == pytest.approx((0.9 + 0.9 + 0.1) / 3)
    assert by_sequence.accuracy == pytest.approx((4 * 0.9 + 10 * 0.1) / 14)
    # failures: one in 14 frames, or the mean of 0 and 1 weighted by 4 and 10 over 7 frames a sequence
    assert pooled.robustness == pytest.approx(100 / 14)
    assert pooled.failures_per_sequence == 0.5
    assert by_sequence.failures == pytest.approx(10 / 14)
    assert by_sequence.reliability == pytest.approx(math.exp(-30 * 10 / 14 / 7))


def test_repetitions_are_averaged_frame_by_frame() -> None:
    s = sequence("S0246", "S0468", "S02F-")
    found = accuracy_robustness([s], EXACT)
    assert found.accuracy == pytest.approx((0.8 / 3 + 0.5 + 0.7) / 3)
    assert found.failures == pytest.approx(1 / 3)
    # the Python toolkit averages each run first: 0.4, 0.6, 0.2
    assert accuracy_robustness([s], dataclasses.replace(EXACT, pooling="sequences")).accuracy == pytest.approx(0.4)


def test_pysot_looks_at_the_first_run_unless_there_are_fifteen() -> None:
    runs = ["S022"] + ["S088"] * 14
    only_first, all_of_them = (
        accuracy_robustness([sequence(*runs[:n])], dataclasses.replace(PYSOT, burn_in=2)) for n in (14, 15)
    )
    assert only_first.accuracy == pytest.approx(0.2)
    assert all_of_them.accuracy == pytest.approx((0.2 + 14 * 0.8) / 15)


def test_the_curve_of_a_run_without_failure_is_its_running_mean_without_the_first_frame() -> None:
    curve = eao_curve([sequence("S8642")], MATLAB)
    assert curve == pytest.approx([1, 0.8, 0.7, 0.6, 0.5])


def test_trap_6_fragments_reach_to_the_restart_or_end_before_the_failure() -> None:
    run = sequence("S86F----S9642").runs[0]
    assert list(fragments(run, MATLAB)) == [(0, 9, True), (8, 13, False)]
    assert list(fragments(run, PYTHON)) == [(0, 3, True), (8, 13, False)]


def test_trap_6_a_failed_fragment_goes_on_with_zeros_and_the_index_counts_from_1_or_0() -> None:
    s = sequence("S86F----S9642")
    # the second fragment is 5 long; the first goes on for ever
    mean = [(0.8 + 0.9) / 2, (0.7 + 0.75) / 2, (1.4 / 3 + 1.9 / 3) / 2, (1.4 / 4 + 2.1 / 4) / 2]
    alone = [1.4 / length for length in range(5, 13)]
    matlab, python = eao_curve([s], MATLAB), eao_curve([s], PYTHON)
    assert matlab == pytest.approx([1, *mean, *alone])
    assert python == pytest.approx([0, *mean])  # no longer than its longest fragment
    # lengths 2 to 3 are elements 1 and 2 of the one curve, 2 and 3 of the other
    assert eao(matlab, (2, 3), MATLAB) == pytest.approx((mean[0] + mean[1]) / 2)
    assert eao(python, (2, 3), PYTHON) == pytest.approx((mean[1] + mean[2]) / 2)


def test_the_frame_of_the_restart_belongs_to_the_failed_fragment_in_matlab() -> None:
    # weights by tags show the length of a fragment: 9 frames with the restart
    s = sequence("S86F----S9642", tags={"occlusion": np.arange(13) == 8})
    first, second = 1 / 9, 1 / 5  # the restart's frame is in both
    curve = eao_curve([s], MATLAB, tag="occlusion")
    assert curve[1] == pytest.approx((first * 0.8 + second * 0.9) / (first + second))
    assert np.isnan(eao_curve([s], MATLAB, tag="size_change")[1:]).all()


def test_a_restart_just_past_the_end_closes_the_fragment_in_pysot_only() -> None:
    s = sequence("S86F----", name="short")  # the failure in frame 4 of 8 would restart in frame 9
    run, long = s.runs[0], sequence("S9999999999", name="long")
    assert list(fragments(run, PYSOT)) == [(0, 9, True)]
    assert list(fragments(run, MATLAB)) == [(0, 8, False)]
    matlab, pysot = (eao_curve([s, long], preset) for preset in (MATLAB, PYSOT))
    assert matlab[-1] == pytest.approx(0.9)
    weight = 8 / 9  # PySOT divides the tags of 8 frames by 9
    assert pysot[-1] == pytest.approx((0.9 + weight * 1.4 / 10) / (1 + weight))


def test_a_failure_closer_to_the_end_leaves_its_fragment_unfailed() -> None:
    run = sequence("S86F--").runs[0]
    assert list(fragments(run, MATLAB)) == list(fragments(run, PYSOT)) == [(0, 6, False)]
    assert list(fragments(run, PYTHON)) == [(0, 3, True)]


def test_the_runs_of_a_sequence_weigh_one_together_or_each() -> None:
    many, one = sequence("S22", "S22", "S22", name="many"), sequence("S88", name="one")
    assert eao_curve([many, one], MATLAB)[1] == pytest.approx(0.5)
    assert eao_curve([many, one], PYTHON)[1] == pytest.approx((3 * 0.2 + 0.8) / 4)


@given(st.lists(st.integers(1, 10), min_size=1, max_size=30))
def test_without_failures_all_tools_draw_the_same_curve(tenths: list[int]) -> None:
    truth = [np.array(TARGET)] * (len(tenths) + 1)
    run = [np.array([1.0]), *(fitting(t / 10) for t in tenths)]
    s = SupervisedSequence(name="any", truth=truth, width=100, height=50, runs=[run])
    curves = [eao_curve([s], preset)[1:] for preset in (MATLAB, PYSOT, PYTHON)]
    running = np.cumsum(np.array(tenths) / 10) / np.arange(1, len(tenths) + 1)
    for curve in curves:
        assert curve == pytest.approx(running)


def test_trap_14_vot2015_does_not_cut_overlaps_at_the_image() -> None:
    box, target = np.array([-20.0, 0, 40, 10]), np.array([0.0, 0, 20, 10])  # half of the box is outside
    s = SupervisedSequence(name="edge", truth=[target] * 3, width=100, height=50, runs=[[np.array([1.0]), box, box]])
    assert eao_curve([s], PRESETS["vot-matlab-2015"])[-1] == pytest.approx(0.5, abs=0.03)
    for name in ("vot-matlab", "pysot", "vot-python"):
        assert eao_curve([s], PRESETS[name])[-1] == 1


def test_accuracy_and_eao_cut_at_different_borders() -> None:
    # both leave an image 100 wide on the right: of 11 and 6 columns 5 and 10 are left with the last one, 6 and 11 with the size
    box, target = np.array([90.0, 0, 20, 10]), np.array([95.0, 0, 10, 10])
    run = [np.array([1.0])] + [box] * 11
    s = SupervisedSequence(name="edge", truth=[target] * 12, width=100, height=50, runs=[run])
    assert accuracy_robustness([s], PRESETS["pysot"]).accuracy == pytest.approx(6 / 11)
    assert eao_curve([s], PRESETS["pysot"])[-1] == pytest.approx(5 / 10)
    assert accuracy_robustness([s], PRESETS["vot-python"]).accuracy == pytest.approx(5 / 10)


def test_boxes_become_polygons_as_each_tool_makes_them() -> None:
    box, truth = [np.array([10.0, 10, 10, 10])], [np.array([10.0, 10, 20, 10, 20, 20, 10, 20])]
    overlaps = {
        corners: region_overlaps(box, truth, size=(100, 50), rule="trax", corners=corners)[0]
        for corners in ("continuous", "inclusive", "rounded")
    }
    assert overlaps == {"continuous": 1, "inclusive": pytest.approx(100 / 121), "rounded": pytest.approx(100 / 121)}
    # 9.4 wide at 10.4: to 18.8, which rounds to 19, but with all four numbers rounded before to 10 + 9 - 1
    shifted = [np.array([10.4, 10, 9.4, 10])]
    both = [region_overlaps(shifted, truth, size=(100, 50), rule="python", corners=c)[0] for c in ("inclusive", "rounded")]
    assert both == [pytest.approx(100 / 121), pytest.approx(90 / 121)]


def test_eao_of_a_run_without_restarts_is_refused() -> None:
    x, y, w, h = TARGET
    lost = np.array([x + 100, y, w, h])
    run = [*run_of("S99"), lost, *run_of("99")]
    s = SupervisedSequence(name="walk", truth=[np.array(TARGET)] * 6, width=300, height=50, runs=[run])
    for preset in PRESETS.values():
        with pytest.raises(DataError, match=r"Run 1 of sequence walk .* in frame 4 and no failure .* not run supervised"):
            eao_curve([s], preset)
    assert accuracy_robustness([s], EXACT).accuracy == pytest.approx(0.9 * 3 / 4)  # accuracy is defined


def test_a_region_that_only_one_tool_counts_as_lost_is_no_reason_to_refuse() -> None:
    # ends at 20.2, where the target begins at 20.3: no area, a shared column as PySOT paints, none with x + w - 1
    nearly, target = np.array([10.0, 20, 10.2, 10]), np.array([20.3, 20, 40, 10])
    run = [np.array([1.0]), target, nearly]
    s = SupervisedSequence(name="walk", truth=[target] * 3, width=300, height=50, runs=[run])
    assert eao_curve([s], PRESETS["vot-matlab"]) == pytest.approx([1, 1, 0.5])
    assert eao_curve([s], PRESETS["pysot"])[2] > 0.501


def test_a_region_of_nan_is_no_overlap_and_a_missing_truth_none_to_miss() -> None:
    s = SupervisedSequence(
        name="walk", truth=[np.array(TARGET)] * 3, width=300, height=50, runs=[[*run_of("S9"), np.full(4, np.nan)]]
    )
    with pytest.raises(DataError, match="frame 3"):
        eao_curve([s], PYSOT)
    truth = [np.array(TARGET), np.array(TARGET), np.full(8, np.nan)]
    s = SupervisedSequence(name="walk", truth=truth, width=300, height=50, runs=[run_of("S99")])
    assert eao_curve([s], PYSOT) == pytest.approx([1, 0.9, 0.45])


@pytest.mark.parametrize("run", ["S9F---S999", "S9F----999", "S999S99999"])
def test_restarts_at_another_distance_are_refused(run: str) -> None:
    with pytest.raises(DataError, match=r"starts the tracker in frames .* 5 frames after a failure"):
        eao_curve([sequence(run)], PYSOT)


def test_a_sequence_must_fit_together() -> None:
    with pytest.raises(DataError, match=r"Run 2 of sequence walk has 3 frames, its ground truth 4"):
        sequence("S999", "S99")
    with pytest.raises(DataError, match=r"begins with \[20\.0.*expected the code 1"):
        sequence("9999")
    with pytest.raises(DataError, match=r"'occlusion' of sequence walk has shape \(2,\); expected \(4,\)"):
        sequence("S999", tags={"occlusion": [0, 1]})
    with pytest.raises(DataError, match="0 runs"):
        SupervisedSequence(name="walk", truth=[np.array(TARGET)], width=1, height=1, runs=[])
    for score in (accuracy_robustness, eao_curve):
        with pytest.raises(DataError, match="no sequences"):
            score([], PYSOT)


def test_an_interval_beyond_the_curve_is_refused_and_one_that_reaches_over_it_cut() -> None:
    curve = eao_curve([sequence("S8642")], MATLAB)
    assert eao(curve, (4, 371), MATLAB) == pytest.approx(0.55)
    with pytest.raises(DataError, match="ends at 5 frames and has no value in the interval 108 to 371"):
        eao(curve, eao_interval("vot2016"), MATLAB)


def test_practical_differences_are_averaged_as_overlaps_are() -> None:
    known = sequence("S86F----S9642", practical=np.full(13, 0.06))
    curve = practical_difference_curve([known], MATLAB)
    # frames 2 to 9 of the fragment that failed, then zeros: 8 * 0.06 / 12 at the end
    assert curve == pytest.approx([0] + [0.06] * 8 + [8 * 0.06 / length for length in range(9, 13)])
    assert practical_difference_curve([sequence("S99")], MATLAB) == pytest.approx([0, 0, 0])


def test_small_differences_are_the_same_in_practice() -> None:
    overlaps = np.array([0.5, 0.6, np.nan, 0.7])
    assert same_in_practice(overlaps, overlaps + np.array([0.04, 0.04, 0.5, 0.04]), [0.05] * 4)
    assert not same_in_practice(overlaps, overlaps + np.array([0.06, 0.06, 0.5, 0.06]), [0.05] * 4)
    assert same_in_practice(overlaps, overlaps + np.array([0.3, -0.3, 0, 0]), [0.05] * 4)  # on the average
    with pytest.raises(DataError, match="No frame has an overlap in both"):
        same_in_practice([np.nan], [0.5], [0.1])


def test_intervals_are_those_of_the_challenges() -> None:
    intervals = [(108, 371), (108, 371), (100, 356), (100, 356), (46, 291)]
    assert [eao_interval(f"vot{year}") for year in range(2015, 2020)] == intervals
    with pytest.raises(DataError, match="no EAO interval for 'vot2020'"):
        eao_interval("vot2020")
