"""J and F of masks that can be counted by hand, and against the definitions written out pixel by pixel."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from siamtrack.errors import DataError
from siamtrack.metrics.segmentation import boundary_map, boundary_measure, region_similarity
from siamtrack.metrics.segmentation_scores import (
    FrameStatistics,
    MaskScores,
    davis_object_scores,
    frame_statistics,
    mean_scores,
    object_measures,
    seen_unseen_scores,
)

repeatable = settings(deadline=None, derandomize=True)
masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=9))


@st.composite
def mask_pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    shape = draw(array_shapes(min_dims=2, max_dims=2, max_side=9))
    return draw(arrays(np.bool_, shape)), draw(arrays(np.bool_, shape))


def rectangle(x: int, y: int, w: int, h: int, *, height: int = 48, width: int = 64) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[y : y + h, x : x + w] = True
    return mask


def pixels(mask: np.ndarray) -> set[tuple[int, int]]:
    return set(zip(*np.nonzero(mask), strict=True))


# J


def test_j_by_hand() -> None:
    assert region_similarity(rectangle(0, 0, 4, 4), rectangle(2, 0, 4, 4)) == pytest.approx(8 / 24)
    assert region_similarity(rectangle(0, 0, 4, 4), rectangle(20, 0, 4, 4)) == 0


def test_two_empty_masks_match() -> None:
    empty = rectangle(0, 0, 0, 0)
    assert region_similarity(empty, empty) == 1
    assert region_similarity(empty, rectangle(0, 0, 1, 1)) == 0
    assert boundary_measure(empty, empty) == 1
    assert boundary_measure(empty, rectangle(5, 5, 3, 3)) == 0
    assert boundary_measure(rectangle(5, 5, 3, 3), empty) == 0


@repeatable
@given(mask_pairs())
def test_j_is_set_arithmetic(pair: tuple[np.ndarray, np.ndarray]) -> None:
    a, b = map(pixels, pair)
    assert region_similarity(*pair) == (len(a & b) / len(a | b) if a | b else 1)


def test_frames_and_objects_keep_their_places() -> None:
    predicted = np.array([[rectangle(0, 0, 4, 4), rectangle(2, 0, 4, 4), rectangle(3, 3, 4, 4)]])
    truth = np.array([[rectangle(0, 0, 4, 4)] * 3])
    assert region_similarity(predicted, truth).tolist() == [[1, 8 / 24, 1 / 31]]
    assert boundary_measure(predicted, truth).shape == (1, 3)
    assert boundary_measure(predicted, truth)[0, 1] == boundary_measure(predicted[0, 1], truth[0, 1]) < 1


def test_void_pixels_do_not_count() -> None:
    truth, void = rectangle(10, 10, 20, 20), rectangle(30, 10, 6, 20)
    predicted = truth | void
    assert region_similarity(predicted, truth, void) == 1
    assert boundary_measure(predicted, truth, void) == 1
    assert region_similarity(predicted, truth) == pytest.approx(20 / 26)
    assert boundary_measure(predicted, truth) < 0.8


# F


def boundary_by_definition(mask: np.ndarray) -> np.ndarray:
    """Differs from the pixel to the right, below or diagonally below, as far as these are inside the image."""
    height, width = mask.shape
    result = np.zeros_like(mask)
    for y in range(height):
        for x in range(width):
            near = [(min(y + dy, height - 1), min(x + dx, width - 1)) for dy, dx in ((0, 1), (1, 0), (1, 1))]
            result[y, x] = any(mask[place] != mask[y, x] for place in near)
    return result


def f_by_definition(predicted: np.ndarray, truth: np.ndarray, radius: int) -> float:
    a, b = (pixels(boundary_by_definition(mask)) for mask in (predicted, truth))

    def share_near(some: set[tuple[int, int]], others: set[tuple[int, int]]) -> float:
        near = [any((y - v) ** 2 + (x - u) ** 2 <= radius**2 for v, u in others) for y, x in some]
        return sum(near) / len(near)

    if not a or not b:
        return float(a == b)
    precision, recall = share_near(a, b), share_near(b, a)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def test_a_boundary_lies_half_a_pixel_towards_the_origin() -> None:
    assert boundary_map(rectangle(2, 1, 2, 2, height=5, width=6)).astype(int).tolist() == [
        [0, 1, 1, 1, 0, 0],
        [0, 1, 0, 1, 0, 0],
        [0, 1, 1, 1, 0, 0],
        [0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0],
    ]


def test_the_frame_of_the_image_is_no_boundary() -> None:
    full, empty = rectangle(0, 0, 64, 48), rectangle(0, 0, 0, 0)
    assert not boundary_map(full).any()
    assert boundary_measure(full, empty) == 1  # as the official code has it
    assert region_similarity(full, empty) == 0
    left_half = boundary_map(rectangle(0, 0, 32, 48))
    assert pixels(left_half) == {(y, 31) for y in range(48)}


@repeatable
@given(masks)
def test_boundaries_as_defined(mask: np.ndarray) -> None:
    assert (boundary_map(mask) == boundary_by_definition(mask)).all()


@settings(repeatable, max_examples=200)
@given(mask_pairs(), st.integers(1, 4))
def test_f_as_defined(pair: tuple[np.ndarray, np.ndarray], radius: int) -> None:
    assert boundary_measure(*pair, tolerance=radius) == pytest.approx(f_by_definition(*pair, radius))


@pytest.mark.parametrize(("height", "width", "radius"), [(75, 100, 1), (76, 100, 2), (480, 854, 8)])
def test_the_tolerance_is_rounded_up_to_whole_pixels(height: int, width: int, radius: int) -> None:
    """0.8 % of the diagonal: exactly 1 for 75 x 100, a little more than 1 for 76 x 100, 7.84 for DAVIS."""
    edges = [rectangle(0, 0, x, height, height=height, width=width) for x in (30, 30 + radius, 31 + radius)]
    assert boundary_measure(edges[1], edges[0]) == 1
    assert boundary_measure(edges[2], edges[0]) == 0


def test_the_tolerance_is_a_disk() -> None:
    """The boundary of a single pixel is a square of 2 x 2, so that nearest pixels are one closer than the shift."""
    dot = rectangle(100, 100, 1, 1, height=480, width=854)
    shifted = [rectangle(100 + shift, 100 + shift, 1, 1, height=480, width=854) for shift in (6, 7)]
    assert boundary_measure(shifted[0], dot) == pytest.approx(3 / 4)  # 5 and 5: 7.07 pixels, 5 and 6: 7.81
    assert boundary_measure(shifted[1], dot) == 0  # 6 and 6: 8.49 pixels, though inside a square of 8


@repeatable
@given(masks)
def test_f_of_a_mask_with_itself_is_1(mask: np.ndarray) -> None:
    assert boundary_measure(mask, mask) == 1
    assert region_similarity(mask, mask) == 1


@repeatable
@given(mask_pairs())
def test_both_measures_take_either_mask_first(pair: tuple[np.ndarray, np.ndarray]) -> None:
    a, b = pair
    assert boundary_measure(a, b) == pytest.approx(boundary_measure(b, a))
    assert region_similarity(a, b) == region_similarity(b, a)
    assert 0 <= boundary_measure(a, b) <= 1


# over frames and objects


def test_mean_recall_and_decay_by_hand() -> None:
    # 9 frames: quarters begin at 0, 2, 4, 6 and each ends with the first of the next
    values = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.2, 0.0]
    found = frame_statistics(values)
    assert found.mean == pytest.approx(sum(values) / 9)
    assert found.recall == pytest.approx(5 / 9)  # 0.5 is not above 0.5
    assert found.decay == pytest.approx((1 + 0.9 + 0.8) / 3 - (0.4 + 0.2 + 0) / 3)


@pytest.mark.parametrize(
    ("count", "first", "last"),
    [
        (1, (0, 0), (0, 0)),
        (2, (0, 0), (1, 1)),
        (3, (0, 1), (2, 2)),
        (4, (0, 1), (2, 3)),
        (7, (0, 2), (5, 6)),
        (67, (0, 17), (50, 66)),
    ],
)
def test_borders_of_the_quarters_round_half_up(count: int, first: tuple[int, int], last: tuple[int, int]) -> None:
    """Worked out from linspace(1, count, 5): with 3 frames 1, 1.5, 2, 2.5, 3, which become frames 0, 1, 1, 2, 2."""
    for frame in range(count):
        one = np.zeros(count)
        one[frame] = 1
        share = [(a <= frame <= b) / (b - a + 1) for a, b in (first, last)]
        assert frame_statistics(one).decay == pytest.approx(share[0] - share[1])


def test_decay_of_a_long_sequence() -> None:
    """The official indices have 8 bits: beyond 255 frames they wrap around."""
    assert frame_statistics(np.linspace(1, 0, 1001)).decay == pytest.approx(0.75)


def labels(*frames: list[tuple[int, np.ndarray]]) -> np.ndarray:
    result = np.zeros((len(frames), 48, 64), np.uint8)
    for frame, objects in enumerate(frames):
        for number, mask in objects:
            result[frame][mask] = number
    return result


def test_davis_counts_neither_the_first_nor_the_last_frame() -> None:
    here, there = rectangle(10, 10, 20, 20), rectangle(40, 10, 20, 20)
    truth = labels(*[[(1, here), (2, there)]] * 4)
    wrong, half = [(1, there), (2, here)], [(1, rectangle(10, 10, 10, 20)), (2, there)]
    scores = davis_object_scores(labels(wrong, half, half, wrong), truth)
    assert len(scores) == 2
    assert scores[0].region == FrameStatistics(mean=0.5, recall=0, decay=0)
    assert 0 < scores[0].boundary.mean < 1
    assert scores[0].j_and_f == pytest.approx((0.5 + scores[0].boundary.mean) / 2)
    assert scores[1].j_and_f == 1


def test_frames_are_measured_one_at_a_time() -> None:
    """The next pair is not taken before the one in hand is done with."""
    here, there = rectangle(10, 10, 20, 20), rectangle(40, 10, 20, 20)
    truth = labels([(1, here), (2, there)], [(1, here)])
    taken = []

    def pairs():
        for frame in truth:
            shown = frame.copy()
            taken.append(shown)
            yield shown, shown
            shown[:] = 9

    region, boundary = object_measures(pairs(), [2, 1, 7])
    assert len(taken) == 2
    assert region.tolist() == boundary.tolist() == [[1, 1]] * 3
    region, _ = object_measures(zip(truth[::-1], truth, strict=True), [1, 2])
    assert region.tolist() == [[1, 1], [0, 0]]


def test_objects_are_those_of_the_first_frame_and_void_is_background() -> None:
    here, void = rectangle(10, 10, 20, 20), rectangle(30, 10, 20, 20)
    truth = labels([(1, here), (255, void)], [(1, here), (255, void), (2, rectangle(0, 0, 5, 5))], [(1, here)], [])
    (score,) = davis_object_scores(labels([], [(1, here | void)], [(1, here)], []), truth)
    assert score.region.mean == pytest.approx((0.5 + 1) / 2)


def test_an_object_that_is_missing_in_the_result_gets_nothing_but_is_there() -> None:
    here, there = rectangle(10, 10, 20, 20), rectangle(40, 10, 20, 20)
    one, two = davis_object_scores(labels(*[[(1, here)]] * 3), labels(*[[(1, here), (2, there)]] * 3))
    assert (one.j_and_f, two.j_and_f) == (1, 0)


def test_an_object_that_is_gone_in_both_counts_as_found() -> None:
    here = [(1, rectangle(10, 10, 20, 20))]
    (score,) = davis_object_scores(labels(here, here, [], []), labels(here, here, [], []))
    assert score.j_and_f == 1


def scores_of(j: float, f: float) -> MaskScores:
    return MaskScores(
        region=FrameStatistics(mean=j, recall=j / 2, decay=j / 4), boundary=FrameStatistics(mean=f, recall=f / 2, decay=f / 4)
    )


def test_the_mean_is_over_objects() -> None:
    mean = mean_scores([scores_of(0.8, 0.6), scores_of(0.4, 0.4), scores_of(0, 0.2)])
    assert mean.region.mean == pytest.approx(0.4)
    assert mean.boundary.mean == pytest.approx(0.4)
    assert mean.region.recall == pytest.approx(0.2)
    assert mean.boundary.decay == pytest.approx(0.1)
    assert mean_scores([scores_of(0.8, 0.6)]).j_and_f == pytest.approx(0.7)


def test_seen_and_unseen_count_the_same() -> None:
    scores = seen_unseen_scores([0.8, 0.6, 0.3], [0.9, 0.7, 0.5], [True, True, False])
    assert (scores.region_seen, scores.region_unseen) == (pytest.approx(0.7), 0.3)
    assert (scores.boundary_seen, scores.boundary_unseen) == (pytest.approx(0.8), 0.5)
    assert scores.overall == pytest.approx((0.7 + 0.3 + 0.8 + 0.5) / 4)


def test_without_unseen_objects_there_is_no_overall_score() -> None:
    scores = seen_unseen_scores([0.8], [0.9], [True])
    assert scores.region_seen == 0.8
    assert math.isnan(scores.region_unseen)
    assert math.isnan(scores.overall)


# what cannot be used


@pytest.mark.parametrize("measure", [region_similarity, boundary_measure])
def test_shapes_that_differ_are_named(measure) -> None:
    with pytest.raises(DataError, match=r"\(4, 5\), \(4, 6\)"):
        measure(np.zeros((4, 5), bool), np.zeros((4, 6), bool))
    with pytest.raises(DataError, match=r"\(1, 5\)"):  # would broadcast
        measure(np.zeros((4, 5), bool), np.zeros((4, 5), bool), np.zeros((1, 5), bool))
    with pytest.raises(DataError, match=r"\(7,\)"):
        measure(np.zeros(7, bool), np.zeros(7, bool))


@pytest.mark.parametrize("measure", [region_similarity, boundary_measure])
def test_labels_and_probabilities_are_no_masks(measure) -> None:
    with pytest.raises(DataError, match="uint8"):
        measure(np.ones((4, 5), np.uint8), np.ones((4, 5), bool))
    with pytest.raises(DataError, match="float64"):
        boundary_map(np.ones((4, 5)))


@pytest.mark.parametrize("values", [[], [0.5, math.nan], [[0.5, 0.6]]])
def test_statistics_need_a_number_for_each_frame(values: list[float]) -> None:
    with pytest.raises(DataError, match="a number for each frame"):
        frame_statistics(values)


def test_sequences_that_cannot_be_evaluated() -> None:
    here = [(1, rectangle(10, 10, 20, 20))]
    good = labels(here, here, here)
    with pytest.raises(DataError, match=r"\(2, 48, 64\) and true ones of shape \(3, 48, 64\)"):
        davis_object_scores(good[:2], good)
    with pytest.raises(DataError, match="3 frames or more"):
        davis_object_scores(good[:2], good[:2])
    with pytest.raises(DataError, match="no object"):
        davis_object_scores(good, labels([(255, rectangle(0, 0, 4, 4))], here, here))
    with pytest.raises(DataError, match=r"label 2, .* 1 to 1"):
        davis_object_scores(labels(here, [(2, rectangle(0, 0, 4, 4))], here), good)


def test_means_need_objects() -> None:
    with pytest.raises(DataError, match="no scores"):
        mean_scores([])
    with pytest.raises(DataError, match=r"\(2,\), F of shape \(1,\) and seen of shape \(2,\)"):
        seen_unseen_scores([0.1, 0.2], [0.1], [True, False])
    with pytest.raises(DataError, match="int64"):
        seen_unseen_scores([0.1], [0.1], [1])
