"""One-pass evaluation under the presets of the official tools; each trap of the tools by name."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from siamtrack.box import center_error, iou
from siamtrack.errors import DataError
from siamtrack.metrics.ope import (
    average_overlap,
    mean_over_classes,
    normalised_center_error,
    normalised_precision,
    normalised_precision_curve,
    precision_curve,
    success_rate,
)
from siamtrack.metrics.ope_presets import PRESETS, OPEPreset
from siamtrack.metrics.ope_scores import SequenceScores, join_runs, score_benchmark, score_sequence

OTB, LASOT, PYSOT, GOT10K = (PRESETS[name] for name in ("otb-matlab", "lasot", "pysot", "got10k"))
TRUTH = np.array([[10 + 3 * i, 20 + i, 20, 10] for i in range(8)], float)
HERE = np.zeros(8, bool)
FAR = np.array([500.0, 500, 20, 10])
NAN = math.nan
SIZE = (640, 480)
FIRST_PIXEL = np.array([1.0, 1, 0, 0])  # of the tools' files


def _hits(scores: SequenceScores) -> tuple[int, int]:
    """How many frames pass the lowest threshold of overlap, and how many 20 pixels."""
    return round(scores.success_curve[0] * scores.frames), round(scores.precision * scores.frames)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
def test_trap_1_a_perfect_result_gets_all_but_the_last_threshold(preset: OPEPreset) -> None:
    scores = score_sequence(TRUTH, TRUTH, preset, absent=HERE, image_size=SIZE)
    n = preset.overlap_thresholds
    assert n == (101 if preset is GOT10K else 21)
    assert scores.auc == pytest.approx((n - 1) / n)
    assert scores.precision == scores.normalised_precision == scores.success_rate_75 == scores.average_overlap == 1
    assert scores.frames == (7 if preset is GOT10K else 8)


def test_trap_2_a_single_nan_is_mended_by_lasot_and_not_by_otb() -> None:
    predicted = TRUTH.copy()
    predicted[4, 1] = NAN
    assert _hits(score_sequence(predicted, TRUTH, OTB)) == (7, 7)
    assert _hits(score_sequence(predicted, TRUTH, LASOT, absent=HERE)) == (8, 8)
    assert _hits(score_sequence(predicted, TRUTH, PYSOT)) == (7, 7)


@pytest.mark.parametrize("bad", [(NAN, NAN, NAN, NAN), (30, 24, 0, 10), (30, 24, 20, -1)])
def test_bad_boxes_become_the_box_before(bad: tuple[float, ...]) -> None:
    predicted = TRUTH.copy()
    predicted[3] = FAR
    predicted[4:6] = bad
    good = TRUTH.copy()
    good[4:6] = bad
    for preset in (OTB, LASOT):
        assert _hits(score_sequence(predicted, TRUTH, preset, absent=HERE)) == (5, 5)
        assert _hits(score_sequence(good, TRUTH, preset, absent=HERE)) == (8, 8)
    assert _hits(score_sequence(good, TRUTH, PYSOT, absent=HERE))[0] == 6


def test_pytracking_mends_only_sizes_of_zero() -> None:
    predicted = TRUTH.copy()
    predicted[4, 2], predicted[6, 2] = 0, -1
    assert _hits(score_sequence(predicted, TRUTH, PRESETS["pytracking"]))[0] == 7


def test_a_bad_second_box_becomes_the_trackers_own_first_box() -> None:
    """The first box is replaced by the truth only after that."""
    predicted = TRUTH.copy()
    predicted[0], predicted[1] = FAR, NAN
    assert _hits(score_sequence(predicted, TRUTH, OTB)) == (7, 7)


def test_a_bad_box_without_truth_is_handed_on() -> None:
    """It is not mended itself, so that the next bad box becomes a copy of it."""
    predicted, truth = TRUTH.copy(), TRUTH.copy()
    truth[3] = NAN
    predicted[3:5] = NAN
    assert _hits(score_sequence(predicted, truth, OTB)) == (6, 7)


@pytest.mark.parametrize(
    ("name", "row", "shift", "hits"),
    [
        ("otb-matlab", (-1, 30, 90, 60), 30, (0, 1)),  # x is 0 in the 1-based file
        ("otb-matlab", (-0.5, 30, 90, 60), 30, (1, 0)),
        ("otb-matlab", (NAN, NAN, NAN, NAN), 30, (0, 1)),
        ("uav123", (NAN, NAN, NAN, NAN), 30, (0, 1)),
        ("lasot", (30, -1, 90, 60), 30, (0, 1)),
        ("lasot", (30, -0.5, 90, 60), 30, (1, 0)),
        ("pysot", (-1, 30, 90, 60), 30, (1, 0)),
        ("pysot", (-60, 30, 90, 60), 30, (1, 1)),  # the centre lies left of the image: any distance passes
        ("pysot", (30, 20, 0, 60), 30, (0, 0)),
        ("pysot", (30, 20, 0, 60), 5, (0, 1)),
        ("pytracking", (-60, 30, 90, 60), 30, (1, 0)),
        ("pytracking", (30, 20, -5, 60), 5, (0, 0)),
        ("got10k-otb", (-60, 30, 90, 60), 30, (1, 0)),
        ("got10k-otb", (30, 20, 0, 60), 5, (0, 1)),
        ("got10k-otb", (NAN, NAN, NAN, NAN), 30, (0, 0)),
    ],
)
def test_trap_3_invalid_truth(name: str, row: tuple[float, ...], shift: float, hits: tuple[int, int]) -> None:
    """A prediction 30 px beside a good box overlaps it and is too far for 20 px; all other frames are missed by far."""
    truth, predicted = TRUTH.copy(), np.tile(FAR, (8, 1))
    truth[5] = row
    predicted[5] = truth[5] + np.array([shift, 0, 0, 0])
    scores = score_sequence(predicted, truth, replace(PRESETS[name], first_frame="predicted"), absent=HERE)
    assert _hits(scores) == hits
    assert scores.frames == (7 if name == "got10k-otb" and math.isnan(row[0]) else 8)


def test_trap_4_absent_frames_are_missed_in_lasot_and_left_out_in_got10k() -> None:
    truth, absent = TRUTH.copy(), HERE.copy()
    absent[2:4] = True
    truth[2] = NAN
    for preset in (LASOT, PYSOT, PRESETS["pytracking"]):
        scores = score_sequence(TRUTH, truth, preset, absent=absent)
        assert (scores.frames, _hits(scores)) == (8, (6, 6))
        assert scores.normalised_precision == 0.75
        assert scores.average_overlap == 0.75
    scores = score_sequence(TRUTH, truth, GOT10K, absent=absent, image_size=SIZE)
    assert (scores.frames, _hits(scores)) == (5, (5, 5))
    scores = score_sequence(TRUTH, truth, OTB, absent=absent)
    assert (scores.frames, _hits(scores)) == (8, (7, 8))


def test_trap_5_normalised_precision_at_a_fifth_or_as_an_area() -> None:
    predicted = TRUTH + np.array([2.5, 0, 0, 0])  # an eighth of the width
    at_a_fifth = score_sequence(predicted, TRUTH, PYSOT)
    area = score_sequence(predicted, TRUTH, replace(PYSOT, normalised="mean"))
    assert at_a_fifth.normalised_precision == 1
    assert area.normalised_precision == pytest.approx(38 / 51)
    assert score_sequence(TRUTH + np.array([0, 2.5, 0, 0]), TRUTH, PYSOT).normalised_precision == 0  # a quarter of the height
    for name, preset in PRESETS.items():
        scores = score_sequence(predicted, TRUTH, preset, absent=HERE, image_size=SIZE)
        curve = scores.normalised_precision_curve
        assert scores.normalised_precision == (curve.mean() if name in ("got10k", "got10k-otb") else curve[20])
    assert normalised_precision(predicted, TRUTH) == 1
    assert normalised_precision_curve(predicted, TRUTH).mean() == pytest.approx(38 / 51)


def test_normalised_precision_of_invalid_and_of_tiny_truth() -> None:
    truth, predicted = TRUTH.copy(), np.tile(FAR, (8, 1))
    truth[5, 2] = -5
    for name in ("otb-matlab", "lasot", "pytracking"):  # which calls the same frame a miss in pixels
        assert score_sequence(predicted, truth, PRESETS[name], absent=HERE).normalised_precision == 2 / 8
    tiny = np.array([[10, 10, 0.5, 0.5]])
    for name, at_a_fifth in (("got10k", 1), ("got10k-otb", 1), ("pysot", 0)):  # got10k divides by a whole pixel at least
        preset = replace(PRESETS[name], first_frame="predicted", clip=False)
        scores = score_sequence(tiny + np.array([0.15, 0, 0, 0]), tiny, preset, absent=[False])
        assert scores.normalised_precision_curve[20] == at_a_fifth


def test_success_rates_at_a_half_and_at_three_quarters() -> None:
    predicted = TRUTH + np.array([4, 0, 0, 0])  # an overlap of 16/24
    for preset in (PYSOT, GOT10K):
        scores = score_sequence(predicted, TRUTH, preset, absent=HERE, image_size=SIZE)
        assert (scores.success_rate_50, scores.success_rate_75) == (1, 0)


def test_trap_8_a_shifted_start_is_scored_against_the_truth_itself() -> None:
    down = TRUTH + np.array([0, 2, 0, 0])  # SRE: 10 % of the height; the tracker keeps the shift
    scores = score_sequence(down, TRUTH, OTB)
    assert scores.average_overlap == pytest.approx((1 + 7 * 8 / 12) / 8)
    assert score_sequence(down, TRUTH, PYSOT).average_overlap == pytest.approx(8 / 12)


def test_trap_9_runs_from_late_starts_weigh_less() -> None:
    """TRE: the sum of successes over the sum of lengths, not the mean of the runs."""
    whole = score_sequence(TRUTH, TRUTH, OTB)
    late = score_sequence(np.tile(FAR, (2, 1)), TRUTH[-2:], OTB)
    joined = join_runs([whole, late])
    assert joined.frames == 10
    assert joined.precision == joined.success_rate_50 == pytest.approx(9 / 10)
    assert joined.auc == pytest.approx(9 / 10 * 20 / 21)
    assert joined.average_overlap == pytest.approx(9 / 10)


def test_trap_11_predictions_after_the_last_frame_are_cut_on_request_only() -> None:
    longer = np.vstack([TRUTH, TRUTH[-1:], TRUTH[-1:]])
    with pytest.raises(DataError, match=r"^10 predicted boxes for 8 frames of truth; .* can be cut"):
        score_sequence(longer, TRUTH, LASOT, absent=HERE)
    assert _hits(score_sequence(longer, TRUTH, LASOT, absent=HERE, cut_longer=True)) == (8, 8)
    with pytest.raises(DataError, match=r"^7 predicted boxes for 8 frames of truth; [^.]*\.$"):
        score_sequence(TRUTH[:7], TRUTH, LASOT, absent=HERE, cut_longer=True)


def test_got10k_moves_a_box_that_begins_before_the_image_inside_with_its_whole_size() -> None:
    truth = np.array([[0, 0, 10, 10], [-1, -1, 20, 10.0]])  # 0, 0 in the 1-based file
    predicted = np.array([[0, 0, 10, 10], [-11, -1, 20, 10.0]])
    assert score_sequence(predicted, truth, GOT10K, absent=[False] * 2, image_size=(100, 50)).average_overlap == 1
    beyond = np.array([[0, 0, 10, 10], [9, -1, 300, 10.0]])  # cut at x = 100, where the file's coordinates end
    scores = score_sequence(beyond, truth + np.array([10, 0, 0, 0]), GOT10K, absent=[False] * 2, image_size=(100, 50))
    assert scores.average_overlap == pytest.approx(20 / 90)


def test_got10k_pools_frames_and_others_average_sequences() -> None:
    short = np.tile(FAR, (3, 1))
    for preset, expected in ((GOT10K, 7 / 9), (PRESETS["got10k-otb"], (1 + 1 / 3) / 2)):
        scores = [
            score_sequence(TRUTH, TRUTH, preset, absent=HERE, image_size=(2000, 2000)),
            score_sequence(short, TRUTH[:3], preset, absent=HERE[:3], image_size=(2000, 2000)),
        ]
        mean = score_benchmark(scores)
        assert mean.precision == mean.average_overlap == mean.success_rate_50 == pytest.approx(expected)
        assert (mean.sequences, mean.frames) == (2, sum(one.frames for one in scores))


def test_sequences_without_any_success_are_dropped_from_each_curve_on_its_own() -> None:
    near = TRUTH + np.array([20, 0, 0, 0])  # no overlap, but 20 px away
    scores = [
        score_sequence(TRUTH, TRUTH, PYSOT),
        score_sequence(near, TRUTH, PYSOT),
        score_sequence(FAR + 0 * TRUTH, TRUTH, PYSOT),
    ]
    kept = score_benchmark(scores)
    assert (kept.success_rate_50, kept.precision) == pytest.approx((1 / 3, 2 / 3))
    dropping = replace(PYSOT, drop_zero_sequences=True)
    dropped = score_benchmark([replace(one, preset=dropping) for one in scores])
    assert (dropped.success_rate_50, dropped.precision) == (1, 1)
    assert dropped.sequences == 3
    none = score_benchmark([replace(scores[2], preset=dropping)])
    assert math.isnan(none.auc)
    assert math.isnan(none.precision)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
def test_tools_that_drop_sequences(preset: OPEPreset) -> None:
    """Where the first frame is the truth, it takes a first frame without valid truth, or the curve is not 0 throughout."""
    truth, absent = TRUTH.copy(), HERE.copy()
    truth[:2], absent[:2] = NAN, True
    lost = score_sequence(np.tile(FAR, (8, 1)), truth, preset, absent=absent, image_size=(2000, 2000))
    found = score_sequence(TRUTH, TRUTH, preset, absent=HERE, image_size=(2000, 2000))
    kept = found.frames / (found.frames + lost.frames) if preset.pool_frames else 0.5
    expected = 1 if preset.name in ("otb-matlab", "uav123", "lasot") else kept
    assert score_benchmark([found, lost]).success_rate_50 == pytest.approx(expected)


def test_infinite_boxes_are_misses() -> None:
    predicted = TRUTH.copy()
    predicted[3] = np.inf, 0, 20, 10
    predicted[4] = 0, 0, np.inf, np.inf
    predicted[5] = -np.inf, -np.inf, np.inf, np.inf
    assert _hits(score_sequence(predicted, TRUTH, OTB)) == (5, 5)


def test_what_cannot_be_scored() -> None:
    with pytest.raises(DataError, match="'lasot' needs to know in which frames"):
        score_sequence(TRUTH, TRUTH, LASOT)
    with pytest.raises(DataError, match="'got10k' cuts boxes"):
        score_sequence(TRUTH, TRUTH, GOT10K, absent=HERE)
    with pytest.raises(DataError, match=r"^7 absence flags for 8 frames"):
        score_sequence(TRUTH, TRUTH, LASOT, absent=HERE[:7])
    with pytest.raises(DataError, match=r"^None of the 8 frames"):
        score_sequence(TRUTH, TRUTH, GOT10K, absent=~HERE, image_size=SIZE)
    with pytest.raises(DataError, match=r"predicted boxes have the shape \(8, 8\)"):
        score_sequence(np.hstack([TRUTH, TRUTH]), TRUTH, OTB)
    with pytest.raises(DataError, match="no preset at all"):
        score_benchmark([])
    with pytest.raises(DataError, match="otb-matlab, pysot; expected"):
        join_runs([score_sequence(TRUTH, TRUTH, preset) for preset in (OTB, PYSOT)])


def test_arguments_are_left_as_they_were() -> None:
    predicted, truth = TRUTH.copy(), TRUTH + 1
    predicted[4] = NAN
    before = predicted.copy(), truth.copy()
    for preset in PRESETS.values():
        score_sequence(predicted, truth, preset, absent=HERE, image_size=(20, 20))
    np.testing.assert_array_equal((predicted, truth), before)


def test_means_over_classes_count_classes() -> None:
    assert mean_over_classes([1, 0, 0.5, 0.3], ["cat", "dog", "dog", "dog"]) == pytest.approx((1 + 0.8 / 3) / 2)
    with pytest.raises(DataError, match=r"^1 values and 2 classes"):
        mean_over_classes([1], ["cat", "dog"])
    with pytest.raises(DataError, match=r"^0 values"):
        mean_over_classes([], [])


def test_plain_numbers_leave_out_frames_without_truth() -> None:
    predicted, truth = TRUTH + np.array([10, 0, 0, 0]), TRUTH.copy()  # overlap 1/3, half a width
    predicted[0], truth[1] = NAN, NAN
    assert average_overlap(predicted, truth) == pytest.approx(6 / 7 / 3)
    assert success_rate(predicted, truth, 0.33) == 6 / 7
    assert success_rate(predicted, truth, 0.34) == 0
    assert precision_curve(predicted, truth, [9.9, 10]).tolist() == [0, 6 / 7]
    assert normalised_precision(predicted, truth, 0.5) == 6 / 7
    assert normalised_center_error([[0, 0, 2, 2]], [[3, 0, 2, 0]], 1).tolist() == [math.hypot(1.5, 1)]


BOX = st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(1, 7), st.integers(1, 7))


@settings(deadline=None, derandomize=True)
@given(BOX, BOX)
def test_overlap_is_symmetric_and_that_of_painted_pixels(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    painted = np.zeros((2, 16, 16), bool)
    for image, (x, y, w, h) in zip(painted, (a, b), strict=True):
        image[y : y + h, x : x + w] = True
    assert iou(a, b) == iou(b, a) == painted.all(0).sum() / painted.any(0).sum()


NUMBER = st.one_of(st.integers(-2, 12).map(float), st.just(NAN))
ROWS = st.one_of(st.tuples(NUMBER, NUMBER, NUMBER, NUMBER), st.just((NAN,) * 4), BOX.map(lambda box: tuple(map(float, box))))


@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.lists(st.tuples(ROWS, ROWS, st.booleans()), min_size=1, max_size=8), st.sampled_from(["otb-matlab", "lasot"]))
def test_curves_are_those_of_the_matlab_rules_taken_frame_by_frame(
    frames: list[tuple[tuple[float, ...], tuple[float, ...], bool]], name: str
) -> None:
    predicted, truth = (np.array([frame[i] for frame in frames], float) for i in (0, 1))
    absent = np.array([frame[2] for frame in frames])
    scores = score_sequence(predicted, truth, PRESETS[name], absent=absent)
    hits = np.zeros(2)
    result = predicted + FIRST_PIXEL
    for i, target in enumerate(truth + FIRST_PIXEL):
        nans = int(np.isnan(result[i]).sum())
        bad = result[i, 2] <= 0 or result[i, 3] <= 0 or nans == 4 or (name == "lasot" and nans > 0)
        if i and bad and not np.isnan(target).any():
            result[i] = result[i - 1]
        box = target if i == 0 else result[i]
        if not (name == "lasot" and absent[i]):
            hits += _matlab_hits(box, target)
    np.testing.assert_allclose([scores.success_curve[10], scores.precision_curve[3]], hits / len(frames))


def _matlab_hits(box: NDArray[np.float64], target: NDArray[np.float64]) -> tuple[bool, bool]:
    """Whether the overlap is above 0.5, and whether the centre error is at most 3 pixels."""
    if not (target > 0).all():
        return False, True
    return bool(iou(box, target) > 0.5), bool(center_error(box, target) <= 3)
