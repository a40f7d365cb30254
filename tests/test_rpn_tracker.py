"""The procedure of the RPN family alone, on maps that are made up: every number that comes out has an exact answer."""

from __future__ import annotations

import json
import math
import pickle
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_proposals import Fake, Maps, Seeing, drawn, follow, one_answer, proposed

from siamtrack.box import Box, iou
from siamtrack.crop import context_side
from siamtrack.errors import BoxError, ImageError, SettingsError
from siamtrack.results import ResultWriter, Row, read_rows
from siamtrack.settings import from_mapping
from siamtrack.trackers.anchors import AnchorSettings
from siamtrack.trackers.long_term import LongTermSettings
from siamtrack.trackers.rpn import PRESETS, SETTINGS, TRACKER, RPNState, RPNTracker
from siamtrack.trackers.rpn_settings import RPNSettings

BOX = Box(200, 140, 60, 40)
FRAME = np.zeros((360, 480, 3), np.uint8)
PX = context_side(60, 40, 0.5) / 127  # image pixels per patch pixel

# What the published tracker answers


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["rpn_siamrpn_r50_l234_dwxcorr", "lt_siamrpn_r50_l234_dwxcorr_lt"])
def test_ten_steps_of_the_published_tracker(shared_data: Path, name: str) -> None:
    """PySOT on stored maps. It prints its boxes half a pixel up and left of the one it was given."""
    stored = np.load(shared_data / "networks" / f"steps_pysot_{name}.npz")
    facts = json.loads((shared_data / "networks" / f"steps_pysot_{name}.json").read_text())
    theirs = facts["settings"]
    settings = from_mapping(RPNSettings, PRESETS[name.partition("_")[2]], where="preset")
    assert settings == replace(
        settings,
        search_size=int(theirs["INSTANCE_SIZE"]),
        template_size=int(theirs["EXEMPLAR_SIZE"]),
        context=theirs["CONTEXT_AMOUNT"],
        penalty_k=theirs["PENALTY_K"],
        window_influence=theirs["WINDOW_INFLUENCE"],
        lr=theirs["LR"],
        anchors=from_mapping(AnchorSettings, facts["anchors"], where="facts"),
        long_term=LongTermSettings(
            search_size=theirs.get("LOST_INSTANCE_SIZE", 0),
            low=theirs.get("CONFIDENCE_LOW", 0.8),
            high=theirs.get("CONFIDENCE_HIGH", 0.998),
        ),
    )
    steps = ((stored[f"cls_{n}"][None, None], stored[f"loc_{n}"][None, None]) for n in range(10))
    network = Fake(lambda templates, patches: next(steps))
    frame = np.zeros((*facts["image_size"], 3), np.uint8)
    boxes, scores = follow(RPNTracker(network, settings), [frame] * 11, Box(*facts["init_box"]))
    expected = np.add(facts["boxes"], [0.5, 0.5, 0, 0])
    assert len(boxes) == len(expected) == 10
    assert np.abs(np.array(boxes) - expected).max() < 0.05
    assert np.abs(np.array(scores) - facts["scores"]).max() < 1e-4
    for (*_, height, width, _), n in zip(network.calls, range(10), strict=True):  # as large as the maps need it
        assert height == width == 127 + 8 * (stored[f"cls_{n}"].shape[-1] - 9)


def test_the_defaults_are_the_published_ones() -> None:
    assert from_mapping(RPNSettings, PRESETS["siamrpn_r50_l234_dwxcorr"], where="preset") == RPNSettings()


def loop(maps: Maps, s: RPNSettings, box: Box) -> tuple[Box, float]:
    """The rules, one proposal after the other."""
    cls, loc = (values.astype(np.float64) for values in maps)
    cells, shapes = cls.shape[-1], s.anchors.shapes
    px = context_side(box.w, box.h, s.context) / s.template_size
    best = (-math.inf, box, 0.0)
    for a, (width, height) in enumerate(shapes.tolist()):
        for row in range(cells):
            for column in range(cells):
                score = 1 / (1 + math.exp(cls[a, row, column] - cls[len(shapes) + a, row, column]))
                dx, dy, dw, dh = (loc[k * len(shapes) + a, row, column] for k in range(4))
                x = 8 * (column - (cells - 1) / 2) + dx * width
                y = 8 * (row - (cells - 1) / 2) + dy * height
                w, h = width * math.exp(dw), height * math.exp(dh)
                larger, wider = context_side(w, h, s.context) / s.template_size, (box.w / box.h) / (w / h)
                penalty = math.exp(-s.penalty_k * (max(larger, 1 / larger) * max(wider, 1 / wider) - 1))
                window = float(np.hanning(cells)[row] * np.hanning(cells)[column])
                rank = penalty * score * (1 - s.window_influence) + window * s.window_influence
                rate = penalty * score * s.lr
                size = (max(10, box.w * (1 - rate) + w * px * rate), max(10, box.h * (1 - rate) + h * px * rate))
                if rank > best[0]:
                    best = rank, Box.from_center(box.center[0] + x * px, box.center[1] + y * px, *size), score
    return best[1:]


@given(
    seed=st.integers(0, 2**31),
    cells=st.integers(1, 5),
    values=st.fixed_dictionaries({"penalty_k": st.floats(0, 1), "window_influence": st.floats(0, 1), "lr": st.floats(0, 1)}),
    size=st.tuples(st.floats(12, 90), st.floats(12, 90)),
)
@settings(max_examples=30)
def test_a_step_is_the_loop_over_all_proposals(
    seed: int, cells: int, values: dict[str, float], size: tuple[float, float]
) -> None:
    rng = np.random.default_rng(seed)
    maps = tuple(rng.normal(0, spread, (n, cells, cells)).astype(np.float32) for n, spread in ((10, 3), (20, 0.3)))
    box, s = Box.from_center(240, 180, *size), RPNSettings(search_size=127 + 8 * (cells - 1), **values)
    expected, score = loop(maps, s, box)
    (found,), (said,) = follow(RPNTracker(one_answer(*maps), s), [FRAME] * 2, box)
    assert found == pytest.approx(expected, rel=1e-6)
    assert said == pytest.approx(score, rel=1e-6)


def test_registry() -> None:
    assert SETTINGS is RPNSettings
    assert TRACKER is RPNTracker
    for values in PRESETS.values():
        from_mapping(RPNSettings, values, where="preset")


# A network that sees


@pytest.mark.parametrize(("search_size", "base_cells"), [(255, 8), (271, 0), (287, 0), (263, 0), (258, 8), (127, 8)])
def test_a_target_that_stands_still_stays_where_it_is(search_size: int, base_cells: int) -> None:
    """Also for maps with an even number of cells, and where the strides leave pixels over."""
    box = Box(200.3, 140.7, 60.5, 39.8)
    boxes, scores = follow(RPNTracker(Seeing(base_cells), RPNSettings(search_size=search_size)), [drawn(box)] * 31, box)
    assert iou(np.array(boxes), np.array(box)).min() > 0.98
    assert np.abs(np.array(boxes)[-1] - box).max() < 0.3
    assert all(0.5 < score <= 1 for score in scores)


@pytest.mark.parametrize("preset", ["siamrpn_r50_l234_dwxcorr", "siamrpn_alex_dwxcorr", "SiamRPNBIG", "SiamRPNvot"])
def test_a_target_that_moves_and_grows_is_followed(preset: str) -> None:
    truth = [Box.from_center(120 + 9 * n, 260 - 5 * n, 50 * 1.02**n, 30 * 1.03**n) for n in range(25)]
    tracker = RPNTracker(Seeing(), RPNSettings(**PRESETS[preset]))
    boxes, _ = follow(tracker, [drawn(box) for box in truth], truth[0])
    centers = [np.subtract(box.center, true.center) for box, true in zip(boxes, truth[1:], strict=True)]
    assert np.abs(centers).max() < 0.5
    assert iou(np.array(boxes), np.array(truth[1:])).min() > 0.85


def test_several_targets_are_the_same_as_each_alone() -> None:
    """In one call for each search size: the second target is small."""
    start = [Box(60, 50, 90, 60), Box(300, 90, 20, 25), Box(200, 230, 60, 80)]
    frames = [drawn(*(box._replace(x=box.x + 4 * n, y=box.y - 2 * n) for box in start)) for n in range(4)]
    network = Seeing()
    tracker = RPNTracker(network, RPNSettings(search_size=271, small_share=0.004))
    states = tracker.start(frames[0], start)
    alone = [tracker.start(frames[0], [box]) for box in start]
    assert [state.search_size for state in states] == [271, 287, 271]
    for number, frame in enumerate(frames[1:], 1):
        network.calls.clear()
        states, together = tracker.step(frame, states)
        assert network.calls == [(2, 1, 271, 271, 3), (1, 1, 287, 287, 3)]
        for target, box in enumerate(start):
            alone[target], (prediction,) = tracker.step(frame, alone[target])
            assert prediction == together[target]
            assert (
                np.abs(np.subtract(prediction.box.center, (box.center[0] + 4 * number, box.center[1] - 2 * number))).max() < 1
            )


def test_the_search_size_is_that_of_the_first_frame() -> None:
    """0.4 % of 480 x 360 px are 691.2 square pixels; a target that grows stays small."""
    s = RPNSettings(search_size=271, small_share=0.004)
    states = RPNTracker(Seeing(), s).start(FRAME, [Box(100, 100, 20, 34.5), Box(100, 100, 20, 34.6)])
    assert [state.search_size for state in states] == [287, 271]
    tracker = RPNTracker(one_answer(*proposed((0, 0, 100, 100), 287)), s)
    states = tracker.start(FRAME, [Box(100, 100, 20, 20)])
    for _ in range(20):
        states, (prediction,) = tracker.step(FRAME, states)
    assert prediction.box.area > 700
    assert states[0].search_size == 287
    assert [state.search_size for state in RPNTracker(Seeing()).start(FRAME, [Box(100, 100, 5, 5)])] == [255]


# Score, size, place


def test_the_score_is_that_of_the_network() -> None:
    """Neither the penalty nor the window is in it."""
    cls, loc = np.full((10, 25, 25), -2, np.float32), np.zeros((20, 25, 25), np.float32)
    cls[5 + 4, 3, 20] = 4
    _, (score,) = follow(RPNTracker(one_answer(cls, loc), RPNSettings(window_influence=0.1)), [FRAME] * 2, BOX)
    assert score == pytest.approx(1 / (1 + math.exp(-6)))
    _, (score,) = follow(RPNTracker(one_answer(cls, loc), RPNSettings(window_influence=0.9)), [FRAME] * 2, BOX)
    assert score == 0.5  # in the middle, where the network says nothing


def test_a_change_of_shape_lowers_the_rank() -> None:
    """Two proposals with nearly the same score: one like the target, and one that is far wider."""
    cls, loc = np.full((10, 25, 25), -9, np.float32), np.zeros((20, 25, 25), np.float32)
    cls[5, 12, 12], cls[5 + 1, 12, 12] = 5, 4.9
    loc[[10, 11], 12, 12] = np.log([60 / PX / 104, 300 / PX / 88])
    loc[[15, 16], 12, 12] = np.log([40 / PX / 32, 20 / PX / 40])
    widths = {}
    for k in (0.0, 0.3):
        cls[5, 12, 12] = 4.8
        (found,), _ = follow(RPNTracker(one_answer(cls, loc), RPNSettings(penalty_k=k, window_influence=0.0)), [FRAME] * 2, BOX)
        widths[k] = found.w
    assert widths[0.0] > 100
    assert widths[0.3] == pytest.approx(60, abs=0.01)


def test_size_and_place_have_limits() -> None:
    for place, expected in (
        ((0, 0, 2, 2), (230, 160, 10, 10)),
        ((0, 0, 4000, 4000), (230, 160, 480, 360)),
        ((-9000, 9000, 60 / PX, 40 / PX), (0, 360, 60, 40)),
    ):
        network = one_answer(*proposed(place))
        network.answer = lambda templates, patches, answer=network.answer: (
            np.where(np.arange(10)[:, None, None] < 5, -20, 20) + 0 * answer(templates, patches)[0],
            answer(templates, patches)[1],
        )
        (found,), _ = follow(RPNTracker(network, RPNSettings(lr=1.0, penalty_k=0.0)), [FRAME] * 2, BOX)
        assert (*found.center, found.w, found.h) == pytest.approx(expected, abs=1e-3)


def test_states_are_values() -> None:
    tracker = RPNTracker(Seeing())
    frames = [drawn(BOX), drawn(BOX._replace(x=208)), drawn(BOX._replace(x=215))]
    start = tracker.start(frames[0], [BOX])
    once, first = tracker.step(frames[1], start)
    tracker.step(frames[2], once)
    _, second = tracker.step(frames[1], start)
    loaded: list[RPNState] = pickle.loads(pickle.dumps(start))
    _, third = RPNTracker(Seeing()).step(frames[1], loaded)
    assert first == second == third
    assert start[0].box == loaded[0].box == BOX
    assert np.array_equal(start[0].template, loaded[0].template)
    assert tracker.start(FRAME, []) == []
    assert tracker.step(FRAME, []) == ([], [])


# Bad input


HOPELESS = {
    "zeros": lambda rng, shape: np.zeros(shape),
    "random": lambda rng, shape: rng.normal(0, 2, shape),
    "huge": lambda rng, shape: rng.uniform(-1e30, 1e30, shape),
    "numbers, infinities and nan": lambda rng, shape: rng.choice([0.1, 3, 700, -700, np.inf, -np.inf, np.nan], shape),
    "all nan": lambda rng, shape: np.full(shape, np.nan),
    "infinite": lambda rng, shape: np.full(shape, np.inf),
}


@pytest.mark.parametrize("penalty_k", [0.0, 0.05])
@pytest.mark.parametrize("kind", HOPELESS)
def test_100_frames_of_nonsense(kind: str, penalty_k: float) -> None:
    """Always a box with its centre in the frame, and a score from 0 to 1, or none where there is no proposal at all."""
    rng = np.random.default_rng(0)

    def answer(templates: np.ndarray, patches: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(HOPELESS[kind](rng, (len(patches), 1, n, 9, 9)).astype(np.float32) for n in (10, 20))

    frame = rng.integers(0, 256, (90, 120, 3)).astype(np.uint8)
    tracker = RPNTracker(Fake(answer), RPNSettings(penalty_k=penalty_k))
    boxes, scores = follow(tracker, [frame] * 101, Box(30, 20, 24, 16))
    assert np.isfinite(boxes).all()
    assert all(0 <= x <= 120 and 0 <= y <= 90 for x, y in (box.center for box in boxes))
    assert all(10 <= box.w <= 120 and 10 <= box.h <= 90 for box in boxes)
    if kind in ("huge", "all nan", "infinite"):  # a size of 0 or infinity, whatever the network says
        assert np.isnan(scores).all()
        assert boxes == [Box(30, 20, 24, 16)] * 100
    else:
        assert all(0 <= score <= 1 for score in scores)


@pytest.mark.parametrize("offset", [705.0, -800.0])
def test_proposals_without_a_size_in_the_image_are_none(offset: float) -> None:
    """705: finite in the patch, and beyond floating point in the image; -800: no pixel wide."""
    cls, loc = (np.zeros((channels, 5, 5), np.float32) for channels in (10, 20))
    cls[5:], loc[10:15] = 8.0, offset
    frame, box = np.zeros((2600, 3200, 3), np.uint8), Box(100, 50, 3000, 2500)
    with warnings.catch_warnings(action="error"):
        boxes, scores = follow(RPNTracker(one_answer(cls, loc)), [frame] * 3, box)
    assert boxes == [box] * 2
    assert np.isnan(scores).all()


def test_a_frame_of_nan_is_survived_and_can_be_written(tmp_path: Path) -> None:
    """The box stays, the score says so, and the next frame is as if nothing had been."""
    truth = [BOX._replace(x=BOX.x + 6 * n) for n in range(4)]
    network = Seeing()
    tracker, sees = RPNTracker(network), network.answer
    states = tracker.start(drawn(truth[0]), [truth[0]])
    states, (before,) = tracker.step(drawn(truth[1]), states)
    network.answer = lambda templates, patches: tuple(m * np.float32(np.nan) for m in sees(templates, patches))
    states, (lost,) = tracker.step(drawn(truth[2]), states)
    assert lost.box == before.box
    assert math.isnan(lost.score)
    network.answer = sees
    _, (after,) = tracker.step(drawn(truth[3]), states)
    assert iou(np.array(after.box), np.array(truth[3])) > 0.95
    for name in ("boxes.csv", "boxes.jsonl"):
        with ResultWriter(tmp_path / name) as writer:
            writer.write([Row(frame=2, target=0, box=lost.box, score=lost.score)])
        (row,) = read_rows(tmp_path / name)
        assert math.isnan(row.score)
        assert row.box == pytest.approx(lost.box, abs=1e-4)


def test_a_proposal_that_is_no_number_is_left_out() -> None:
    """The loudest is infinitely wide; the next best is taken, exactly as if it were alone."""
    cls, loc = proposed((10, -6, 62, 40))
    loudest = np.unravel_index(cls[5:].argmax(), cls[5:].shape)
    quiet = cls.copy()
    quiet[5:][loudest] = -30
    wide = loc.copy()
    wide.reshape(4, 5, 17, 17)[2][loudest] = 1e4
    expected = follow(RPNTracker(one_answer(quiet, loc)), [FRAME] * 2, BOX)
    assert follow(RPNTracker(one_answer(cls, wide)), [FRAME] * 2, BOX) == expected
    unknown = cls.copy()
    unknown[5:][loudest] = np.nan
    assert follow(RPNTracker(one_answer(unknown, loc)), [FRAME] * 2, BOX) == expected


@pytest.mark.parametrize("box", [Box(100, 80, 0.4, 0.3), Box(100, 80, 3, 2), Box(-10, 100, 500, 40), Box(0, 0, 480, 360)])
def test_targets_of_a_few_pixels_and_as_large_as_the_frame(box: Box) -> None:
    boxes, _ = follow(RPNTracker(one_answer(*proposed((0, 0, 64, 64)))), [FRAME] * 11, box)
    assert np.isfinite(boxes).all()
    assert all(10 <= found.w <= 480 and 10 <= found.h <= 360 for found in boxes)


@pytest.mark.parametrize("box", [Box(500, 10, 20, 20), Box(10, 10, 0, 20), Box(math.nan, 1, 2, 3), Box(-1, -1, 999, 999)])
def test_boxes_that_are_refused_at_the_start(box: Box) -> None:
    with pytest.raises(BoxError):
        RPNTracker(Seeing()).start(FRAME, [BOX, box])


def test_frames_may_change_their_size_down_to_one_pixel() -> None:
    tracker = RPNTracker(Seeing())
    states = tracker.start(drawn(BOX), [BOX])
    for height, width in ((720, 960), (100, 120), (1, 1), (360, 480)):
        states, (prediction,) = tracker.step(np.zeros((height, width, 3), np.uint8), states)
        x, y = prediction.box.center
        assert 0 <= x <= width
        assert 0 <= y <= height
    with pytest.raises(ImageError):
        tracker.step(np.zeros((5, 5, 2), np.uint8), states)


@pytest.mark.parametrize(
    ("shapes", "anchors"),
    [
        ([(10, 9, 9), (20, 9, 9)], AnchorSettings(ratios=(0.5, 1.0, 2.0))),
        ([(6, 9, 9), (12, 9, 9)], AnchorSettings()),
        ([(10, 9, 9), (20, 8, 8)], AnchorSettings()),
        ([(10, 9, 8), (20, 9, 8)], AnchorSettings()),
        ([(20, 9, 9), (10, 9, 9)], AnchorSettings()),
        ([(17, 17)], AnchorSettings()),
    ],
)
def test_maps_of_other_anchors_are_refused(shapes: list[tuple[int, ...]], anchors: AnchorSettings) -> None:
    network = Fake(lambda templates, patches: tuple(np.zeros((1, 1, *shape), np.float32) for shape in shapes))
    tracker = RPNTracker(network, RPNSettings(anchors=anchors))
    with pytest.raises(SettingsError, match=rf"need \(N, 1, {2 * anchors.count}, R, R\)"):
        tracker.step(FRAME, tracker.start(FRAME, [BOX]))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("template_size", [15, 5000]),
        ("search_size", [126, 5000]),
        ("small_search_size", [0, 5000]),
        ("small_share", [-0.1, 1.1]),
        ("context", [-0.1, 4.1]),
        ("penalty_k", [-0.1, 101]),
        ("window_influence", [-0.1, 1.1]),
        ("lr", [-0.1, 1.1]),
        ("min_size", [0.0, 5000]),
    ],
)
def test_settings_outside_their_range_are_refused(name: str, values: list[float]) -> None:
    for value in [*values, math.nan]:
        with pytest.raises(SettingsError, match=f"The setting {name} is {value}"):
            RPNSettings(**{name: value})
