"""Scores of results: what is in them, and what is refused. The numbers themselves are tested with the metrics."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from result_files import results, run, sequence, walk

from siamtrack.errors import DataError, SettingsError
from siamtrack.evaluation.scoring import score
from siamtrack.metrics.long_term import PRESETS as LONG_TERM
from siamtrack.metrics.long_term import LongTermSequence, long_term_scores
from siamtrack.metrics.ope_presets import PRESETS as ONE_PASS
from siamtrack.metrics.ope_scores import score_benchmark, score_sequence
from siamtrack.metrics.vot_presets import PRESETS as VOT

NAN = math.nan
ABSENT = np.array([0, 0, 0, 0, 1, 1], bool)
FLAGGED = {name for name, preset in ONE_PASS.items() if preset.needs_absence_flags}


def shifted(pixels: float) -> np.ndarray:
    return walk(start=10 + pixels)


@pytest.mark.parametrize("preset", sorted(ONE_PASS))
def test_trap_1_the_truth_against_itself_gets_20_of_21(preset: str) -> None:
    absent = np.zeros(6, bool) if preset in FLAGGED else None
    names = ("a", "b")
    scores = score(results({n: [run(walk())] for n in names}), [sequence(n, absent=absent) for n in names], preset)
    count = ONE_PASS[preset].overlap_thresholds
    assert scores.overall.numbers["auc"] == pytest.approx((count - 1) / count)
    assert scores.overall.numbers["precision"] == 1
    assert scores.overall.numbers["ao"] == pytest.approx(1)
    assert scores.overall.numbers["center_error"] == 0


def test_trap_2_a_prediction_with_a_single_nan_is_a_miss_in_otb_and_mended_in_lasot() -> None:
    boxes = walk(step=0)
    boxes[3, 0] = NAN
    found, truth = results({"a": [run(boxes)]}), [sequence("a", walk(step=0), absent=np.zeros(6, bool))]
    assert score(found, truth, "lasot").overall.numbers["ao"] == pytest.approx(1)
    assert score(found, truth, "otb-matlab").overall.numbers["ao"] == pytest.approx(5 / 6)


def test_trap_4_frames_flagged_as_absent_stay_in_the_denominator_of_lasot() -> None:
    found, truth = results({"a": [run(walk())]}), [sequence("a", absent=ABSENT)]
    assert score(found, truth, "lasot").overall.numbers["auc"] == pytest.approx(4 / 6 * 20 / 21)
    assert score(found, truth, "got10k").overall.numbers["ao"] == pytest.approx(1)  # left out instead


def test_trap_5_normalised_precision_is_a_value_or_an_area() -> None:
    found, truth = results({"a": [run(shifted(4))]}), [sequence("a")]  # 0.2 of the width, but for the first frame
    at_a_fifth, area = (
        score(found, truth, preset).overall.numbers["normalised_precision"] for preset in ("pysot", "got10k-otb")
    )
    assert at_a_fifth == 1
    assert area == pytest.approx((51 + 5 * 31) / (6 * 51))


def test_parts_are_scored_as_benchmarks_of_their_own() -> None:
    runs = {"a": [run(shifted(2))], "b": [run(shifted(6))], "c": [run(walk())]}
    truth = [
        sequence("a", attributes=frozenset({"blur", "scale"})),
        sequence("b", attributes=frozenset({"blur"})),
        sequence("c"),
    ]
    scores = score(results(runs), truth, "otb-matlab")
    assert list(scores.attributes) == ["blur", "scale"]
    assert scores.attributes["blur"].sequences == 2
    blur = np.mean([scores.sequences[name].numbers["auc"] for name in ("a", "b")])
    assert scores.attributes["blur"].numbers["auc"] == pytest.approx(blur)
    assert scores.attributes["scale"].numbers == scores.sequences["a"].numbers
    assert scores.main == "auc"
    assert scores.value == scores.overall.numbers["auc"]
    assert scores.sequences["b"].numbers["center_error"] == 6
    assert scores.overall.numbers["center_error"] == pytest.approx((2 + 6 + 0) / 3)
    assert len(scores.overall.curves["success"].x) == len(scores.overall.curves["success"].y) == 21


def test_numbers_are_those_of_the_metrics() -> None:
    truth = [sequence("a", absent=ABSENT), sequence("b", absent=~ABSENT)]
    scores = score(results({"a": [run(shifted(3))], "b": [run(shifted(5))]}), truth, "lasot")
    direct = score_benchmark(
        [
            score_sequence(boxes, walk(), ONE_PASS["lasot"], absent=s.absent)
            for boxes, s in zip((shifted(3), shifted(5)), truth, strict=True)
        ]
    )
    numbers = scores.overall.numbers
    assert (numbers["auc"], numbers["precision"], numbers["sr50"], numbers["sr75"], numbers["normalised_precision"]) == (
        direct.auc,
        direct.precision,
        direct.success_rate_50,
        direct.success_rate_75,
        direct.normalised_precision,
    )


def test_late_starts_are_scored_from_where_they_start() -> None:
    runs = [run(walk()), run(shifted(50)[2:], first=2)]
    scores = score(results({"a": runs}, protocol="tre"), [sequence("a", absent=ABSENT)], "otb-matlab")
    # the first frame of each run is the truth: 6 hits, and 1 of 4
    assert scores.overall.numbers["ao"] == pytest.approx((6 + 1) / 10)
    assert scores.overall.numbers["center_error"] == pytest.approx((0 + 50) / 2)


def test_the_centre_error_leaves_out_absent_targets_and_the_first_frame() -> None:
    boxes = np.concatenate([shifted(70)[:1], shifted(3)[1:4], shifted(90)[4:]])
    found = results({"a": [run(boxes)], "b": [run(shifted(1))]})
    scores = score(found, [sequence("a", absent=ABSENT), sequence("b", np.where(ABSENT[:, None], NAN, walk()))], "pysot")
    assert scores.sequences["a"].numbers["center_error"] == pytest.approx(3)
    assert scores.overall.numbers["center_error"] == pytest.approx(2)


def test_classes_count_the_same_whatever_they_hold() -> None:
    runs = {"a": [run(walk())], "b": [run(walk())], "c": [run(shifted(100))]}
    truth = [
        sequence(name, object_class=kind, absent=np.zeros(6, bool)) for name, kind in (("a", "cat"), ("b", "cat"), ("c", "dog"))
    ]
    scores = score(results(runs, protocol="got10k", benchmark="got10k-val"), truth, "got10k")
    assert scores.main == "ao"
    assert scores.overall.numbers["ao"] == pytest.approx(2 / 3)
    assert scores.overall.numbers["mao"] == pytest.approx(1 / 2)
    assert "mao" not in score(results(runs), truth, "otb-matlab").overall.numbers  # its tool has no such mean
    truth[0] = sequence("a", absent=np.zeros(6, bool))
    assert "mao" not in score(results(runs, protocol="got10k"), truth, "got10k").overall.numbers


def test_the_time_a_frame_is_the_median_without_first_frames() -> None:
    seconds = np.array([9, 0.01, 0.03, 0.02, NAN, 0.04])
    timed = dataclasses.replace(run(walk()), seconds=seconds)
    scores = score(results({"a": [timed]}), [sequence("a")], "otb-matlab")
    assert scores.overall.numbers["milliseconds"] == pytest.approx(25)
    assert math.isnan(score(results({"a": [run(walk())]}), [sequence("a")], "otb-matlab").overall.numbers["milliseconds"])


def test_presence_is_scored_where_there_are_scores_and_absences() -> None:
    told = run(walk(), scores=[NAN, 0.9, 0.8, 0.7, 0.75, 0.1])
    scores = score(results({"a": [told]}), [sequence("a", absent=ABSENT)], "otb-matlab")
    assert scores.presence is not None
    assert scores.overall.numbers["auroc"] == pytest.approx(5 / 6)  # of 3 x 2 pairs of frames; the first does not count
    assert scores.presence.frames == 5
    assert scores.overall.numbers["notice"] == scores.presence.notice.median
    assert scores.overall.numbers["notice"] in (0, 1)  # frames: the score falls with the target, or one frame later
    assert math.isnan(scores.overall.numbers["recover"])  # it does not come back
    assert score(results({"a": [told]}), [sequence("a")], "otb-matlab").presence is None  # never absent
    silent = results({"a": [run(walk())]})
    assert score(silent, [sequence("a", absent=ABSENT)], "otb-matlab").presence is None
    again = results({"a": [told]}, protocol="tre")
    assert score(again, [sequence("a", absent=ABSENT)], "otb-matlab").presence is None


def test_trap_13_confidences_of_nan_count_as_each_tool_counts_them() -> None:
    truth = sequence("a", [*walk()[:4], np.full(4, NAN), np.full(4, NAN)])
    told = run([np.array([1.0]), *shifted(5)[1:]], scores=[NAN, 0.9, -0.5, NAN, 0.2, NAN])
    found = results({"a": [told]}, protocol="long-term", benchmark="votlt2018")
    by_preset = {name: score(found, [truth], name).overall.numbers for name in LONG_TERM}
    for name, numbers in by_preset.items():
        # 15 of 25 columns are shared, or 16 of 26 where a box is painted up to and with its right edge
        overlap = 16 / 26 if name == "pysot" else 15 / 25
        overlaps = np.array([NAN, overlap, overlap, overlap, NAN, NAN])
        measured = LongTermSequence(name="a", overlaps=overlaps, confidences=told.scores, visible=[1, 1, 1, 1, 0, 0])
        best = long_term_scores([measured], LONG_TERM[name]).best
        assert (numbers["f"], numbers["f_precision"], numbers["f_recall"]) == pytest.approx(best)
    assert by_preset["pysot"]["f"] != pytest.approx(by_preset["vot-matlab"]["f"], abs=0.02)


def test_long_term_scores_need_one_run_with_a_confidence() -> None:
    found = results({"a": [run(walk())]}, protocol="long-term")
    with pytest.raises(DataError, match=r"gave no confidence for sequence a; .* a_001_confidence\.value|no confidence"):
        score(found, [sequence("a")], "pysot")
    twice = results({"a": [run(walk(), scores=[1] * 6)] * 2}, protocol="long-term")
    with pytest.raises(DataError, match="2 runs of sequence a"):
        score(twice, [sequence("a")], "pysot")


def test_what_cannot_be_scored() -> None:
    complete = results({"a": [run(walk())]})
    with pytest.raises(DataError, match=r"no results of 2 of 3 sequences of otb100: b, c\. Scores of a part"):
        score(complete, [sequence(name) for name in "abc"], "otb-matlab")
    with pytest.raises(DataError, match="no sequences to score"):
        score(complete, [], "otb-matlab")
    with pytest.raises(SettingsError, match=r"no one-pass preset 'otb-matlap'\. Did you mean 'otb-matlab'"):
        score(complete, [sequence("a")], "otb-matlap")
    with pytest.raises(SettingsError, match=r"protocol 'opee' have no scores\. Did you mean 'ope'"):
        score(results({"a": [run(walk())]}, protocol="opee"), [sequence("a")], "otb-matlab")
    hidden = [walk()[0], *np.full((5, 4), NAN)]
    with pytest.raises(DataError, match="ground truth of otb100 has first boxes only"):
        score(complete, [sequence("a", hidden)], "otb-matlab")
    with pytest.raises(DataError, match="mine on sequence a: None of the 6 frames can be scored under 'got10k'"):
        score(complete, [sequence("a", absent=np.ones(6, bool))], "got10k")
    with pytest.raises(DataError, match="mine on sequence a: 5 predicted boxes for 6 frames"):
        score(results({"a": [run(walk(5))]}), [sequence("a")], "otb-matlab")
    with pytest.raises(DataError, match="polygons"):
        score(results({"a": [run(np.ones((6, 8)))]}), [sequence("a")], "otb-matlab")


def test_presence_of_a_tracker_that_answers_with_polygons_is_that_of_its_scores() -> None:
    """In every sequence alike, also in one in which it has no answer at all."""
    corners = [np.array([x, 30, x + 20, 30, x + 20, 40, x, 40]) for x in walk()[:, 0]]
    gone = [*corners[:4], *np.full((2, 4), NAN)]
    scored = np.array([NAN, 0.9, 0.8, 0.9, 0.1, 0.2])
    answers = {"a": corners[1:], "b": [np.array([0.0])] * 5}
    runs = {name: [run([np.array([1.0]), *regions], scores=scored.tolist())] for name, regions in answers.items()}
    found = results(runs, protocol="unsupervised", benchmark="vot2018")
    scores = score(found, [sequence(name, gone) for name in runs], "pysot")
    assert scores.overall.numbers["auroc"] == 1


def test_eao_of_one_pass_results_is_refused_with_the_reason() -> None:
    found = results({"a": [run(walk())]}, benchmark="vot2018")
    with pytest.raises(DataError, match=r"one pass \('ope'\): they have no failures and restarts, so there is no EAO"):
        score(found, [sequence("a")], "vot-matlab")


@pytest.mark.parametrize("preset", sorted(VOT))
def test_one_pass_on_vot_has_a_mean_overlap_and_says_why_it_has_no_eao(preset: str) -> None:
    polygons = [np.array([x, 30, x + 20, 30, x + 20, 40, x, 40]) for x in walk()[:, 0]]
    answered = [np.array([1.0]), *polygons[1:5], np.array([0.0])]
    truth = [sequence("a", [*polygons])]
    scores = score(results({"a": [run(answered)]}, protocol="unsupervised", benchmark="vot2018"), truth, preset)
    assert scores.overall.numbers["ao"] == pytest.approx(4 / 5)  # without the first; no answer is no overlap
    assert scores.main == "ao"
    assert "supervised runs only" in scores.notes[0]
