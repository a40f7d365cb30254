"""Scores of runs with restarts, through the whole way from trajectories to numbers."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from result_files import results, run, sequence, walk

from siamtrack.errors import DataError
from siamtrack.evaluation.scoring import score
from siamtrack.evaluation.scoring_parts import Scores
from siamtrack.evaluation.trajectory import Trajectory
from siamtrack.metrics.vot import SupervisedSequence, run_overlaps
from siamtrack.metrics.vot_accuracy import accuracy_robustness, overlaps_after_burn_in
from siamtrack.metrics.vot_eao import eao_curve
from siamtrack.metrics.vot_presets import PRESETS

FRAMES = 40
LOST = np.array([2.0])


def beside(pixels: float) -> np.ndarray:
    return walk(FRAMES, start=10 + pixels)


def supervised(*failures: int, shift: float = 0) -> Trajectory:
    """Frames beside the truth by some pixels, with failures and restarts five frames later."""
    regions = [np.array([1.0]), *beside(shift)[1:]]
    for failure in failures:
        regions[failure : failure + 5] = [LOST, *[np.array([0.0])] * 4]
        regions[failure + 5] = np.array([1.0])
    return run(regions)


def scored(*runs: Trajectory, preset: str = "vot-matlab", benchmark: str = "vot2014", protocol: str = "supervised") -> Scores:
    tags = {"occlusion": np.arange(FRAMES) >= 20.0}
    named = {f"s{i}": [one] for i, one in enumerate(runs)}
    truth = [sequence(name, walk(FRAMES), tags=tags) for name in named]
    return score(results(named, protocol=protocol, benchmark=benchmark), truth, preset)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_numbers_are_those_of_the_metrics(preset: str) -> None:
    runs = [supervised(12, shift=3), supervised()]
    direct = [
        SupervisedSequence(name=str(i), truth=list(walk(FRAMES)), width=200, height=100, runs=[one.regions])
        for i, one in enumerate(runs)
    ]
    expected = accuracy_robustness(direct, PRESETS[preset])
    scores = scored(*runs, preset=preset, benchmark="vot2014")
    numbers = scores.overall.numbers
    assert numbers["accuracy"] == expected.accuracy
    assert (numbers["failures"], numbers["robustness"]) == (expected.failures, expected.robustness)
    assert numbers["reliability"] == pytest.approx(math.exp(-PRESETS[preset].sensitivity * expected.robustness / 100))
    assert scores.overall.curves["EAO"].y == pytest.approx(eao_curve(direct, PRESETS[preset]), nan_ok=True)
    assert scores.sequences["s1"].numbers["accuracy"] == accuracy_robustness(direct[1:], PRESETS[preset]).accuracy


def test_trap_6_eao_is_looked_up_by_length_from_1_and_fragments_reach_to_the_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("siamtrack.evaluation.scoring_vot.eao_interval", lambda challenge: (2, 20))
    matlab, python = (scored(supervised(12), preset=name, benchmark="vot2018").overall for name in ("vot-matlab", "vot-python"))
    assert matlab.curves["EAO"].x[0] == 1
    assert python.curves["EAO"].x[0] == 0
    for part in (matlab, python):
        curve = part.curves["EAO"]
        inside = (curve.x >= 2) & (curve.x <= 20)
        assert part.numbers["eao"] == pytest.approx(np.nanmean(curve.y[inside]))
    # lost in frame 12: of the first fragment frames 2 to 12 overlap, then come zeros; the second lives for 23 frames
    assert matlab.curves["EAO"].y[20 - 1] == pytest.approx((11 / 19 + 1) / 2)
    assert python.curves["EAO"].y[20] == pytest.approx((11 / 20 + 1) / 2)
    assert matlab.numbers["eao"] != pytest.approx(python.numbers["eao"], abs=1e-4)


def test_trap_7_accuracy_is_pooled_over_frames_or_averaged_over_sequences() -> None:
    runs = supervised(20, shift=4), supervised()  # the first has fewer frames that count
    pooled, averaged = (scored(*runs, preset=name) for name in ("pysot", "vot-python"))
    each = [averaged.sequences[name].numbers["accuracy"] for name in ("s0", "s1")]
    assert averaged.overall.numbers["accuracy"] == pytest.approx(np.mean(each))
    counted = np.array([40 - 10 - 5 - 10, 40 - 10])
    assert pooled.overall.numbers["accuracy"] == pytest.approx(
        np.average([pooled.sequences[name].numbers["accuracy"] for name in ("s0", "s1")], weights=counted)
    )


def test_trap_14_vot2015_does_not_cut_overlaps_at_the_image() -> None:
    truth = np.array([[170.0, 30, 60, 40]] * FRAMES)  # half of it is outside of 200 x 100
    answered = np.array([[170.0, 30, 30, 40]] * FRAMES)
    found = results({"a": [run([np.array([1.0]), *answered[1:]])]}, protocol="supervised", benchmark="vot2015")
    by_preset = {
        name: score(found, [sequence("a", truth)], name).overall.numbers["accuracy"]
        for name in ("vot-matlab", "vot-matlab-2015")
    }
    assert by_preset["vot-matlab"] > 0.95
    assert by_preset["vot-matlab-2015"] == pytest.approx(0.5, abs=0.02)


def test_tags_count_frames_and_failures_that_have_them() -> None:
    scores = scored(supervised(25, shift=3), supervised(12))
    tagged = scores.attributes["occlusion"]
    assert tagged.sequences == 2
    assert tagged.numbers["failures"] == 1  # frame 25 has the tag, 12 has not
    assert tagged.numbers["robustness"] == pytest.approx(100 / 40)
    assert 0.5 < tagged.numbers["accuracy"] < 1
    # fragments of 11 frames or more: one lost in frame 25, of which 11 of 31 frames have the tag, and one that goes on to the
    # end, 20 of 23; that which was lost in frame 12 has it nowhere
    lost, followed = 11 / 31, 20 / 23
    assert tagged.curves["EAO"].y[11 - 1] == pytest.approx((lost * 17 / 23 + followed * 1) / (lost + followed))


NUMBERS = (st.floats(-20, 95) | st.floats(-20, 95) | st.floats(98, 102)).map(lambda v: round(v, 1))
CORNERS = st.lists(NUMBERS, min_size=4, max_size=4)
BOXES = CORNERS.map(lambda c: np.array([min(c[:2]), min(c[2:]), abs(c[0] - c[1]) + 0.5, abs(c[2] - c[3]) + 0.5]))
POLYGONS = st.lists(NUMBERS, min_size=8, max_size=8).map(np.array)


@given(st.lists(st.tuples(BOXES | POLYGONS, BOXES | POLYGONS), min_size=1, max_size=6), st.sampled_from(sorted(PRESETS)))
@example([(np.array([85.0, 10, 15, 10]), np.array([80.0, 10, 20, 10]))], "pysot")  # 15 of 20 columns, or 16 of 21
def test_overlaps_measured_for_eao_are_used_again_only_where_bounds_make_no_difference(
    pairs: list[tuple[np.ndarray, np.ndarray]], name: str
) -> None:
    answered, truth = zip(*pairs, strict=True)
    runs = [[np.array([1.0]), *answered]]
    known = SupervisedSequence(name="a", truth=[walk()[0], *truth], width=100, height=100, runs=runs)
    preset = dataclasses.replace(PRESETS[name], burn_in=1)
    again = overlaps_after_burn_in(known, preset, for_eao=run_overlaps(known, preset, preset.eao_bounds))
    np.testing.assert_array_equal(again, overlaps_after_burn_in(known, preset))


def test_runs_that_were_not_restarted_are_refused() -> None:
    lost = [np.array([1.0]), *beside(100)[1:]]
    with pytest.raises(DataError, match=r"no failure \(code 2\) there: the tracker was not run supervised"):
        scored(run(lost))
    with pytest.raises(DataError, match=r"begins with .*; expected the code 1"):
        scored(run(walk(FRAMES)))
    with pytest.raises(DataError, match="has 39 frames, its ground truth 40"):
        scored(run(supervised().regions[:39]))


@pytest.mark.parametrize(
    ("benchmark", "reason"),
    [
        ("vot2013", "no EAO interval for 'vot2013'"),
        ("mini", "no EAO interval for 'mini'"),
        ("vot2018", "no value in the interval 100 to 356; expected all sequences"),
    ],
)
def test_without_an_interval_there_is_no_eao_and_a_note_why(benchmark: str, reason: str) -> None:
    scores = scored(supervised(), benchmark=benchmark)
    assert scores.main == "accuracy"
    assert scores.value > 0.9
    assert math.isnan(scores.overall.numbers["eao"])
    assert reason in scores.notes[0]
