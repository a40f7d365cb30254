"""The size that is read between the scales of the pyramid."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_responses import BOX, FRAME, Responses, bump, follow, one_answer

from siamtrack.box import Box
from siamtrack.library import open_model
from siamtrack.trackers.siamfc import SiamFCSettings, SiamFCTracker
from siamtrack.trackers.size import UNFITTED, SizeFit

SETTINGS = SiamFCSettings(scale_fit=True, scale_step=1.16, scale_damping=0.5, still_reference=False, window_influence=0.0)


def parabola(top: float, bend: float = 0.1, height: float = 5.0) -> tuple[float, float, float]:
    """Responses one step smaller, as large and one step larger, of a target that is `top` steps larger."""
    smaller, middle, larger = (height * (1 - bend * (step - top) ** 2) for step in (-1, 0, 1))
    return smaller, middle, larger


@given(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5), st.floats(0.02, 0.4), st.floats(0.1, 100))
def test_the_top_is_measured_from_that_of_the_first_frame(first: float, now: float, bend: float, height: float) -> None:
    fit = SizeFit.measured(parabola(first, bend, height))
    assert fit.top == pytest.approx(first, abs=1e-6)
    assert fit.steps(parabola(first, bend, height)) == pytest.approx(0, abs=1e-6)
    assert fit.steps(parabola(now, bend, height)) == pytest.approx(now - first, abs=1e-6)
    # what is half as high all over bends half as much, and moves the size half as far; what is higher moves it as far
    assert fit.steps(parabola(now, bend, height / 2)) == pytest.approx((now - first) / 2, abs=1e-6)
    assert fit.steps(parabola(now, bend, height * 2)) == pytest.approx(now - first, abs=1e-6)


def test_flat_responses_move_the_size_less_and_none_at_all_where_there_is_no_top() -> None:
    fit = SizeFit.measured(parabola(0.0, bend=0.1))
    assert fit.steps(parabola(0.4, bend=0.2)) == pytest.approx(0.4)
    assert fit.steps(parabola(0.4, bend=0.02)) == pytest.approx(0.08)
    assert fit.steps((5.0, 4.0, 5.2)) == pytest.approx(0.1)  # higher on both sides: by the curve of the first frame
    assert fit.steps((1.0, 4.0, 9.0)) == 1.0
    assert UNFITTED.steps((-1.0, -2.0, -1.5)) == 0
    assert UNFITTED.steps((1.0, 1.0, 1.0)) == 0
    assert SizeFit.measured((5.0, 4.0, 5.2)) == UNFITTED
    assert SizeFit.measured((-2.0, -1.0, -2.0)) == SizeFit(top=0.0, bend=-2.0)


def moved(maps: list[Responses], settings: SiamFCSettings = SETTINGS) -> Box:
    """The box after one frame with these responses, of a target whose first responses were those of a parabola at 0."""
    at_first = [bump((0, 0), height=h) for h in parabola(0.0)]
    tracker = SiamFCTracker(one_answer(*at_first), settings)
    (state,) = tracker.start(FRAME, [BOX])
    assert state.size_fit.top == pytest.approx(0, abs=1e-3)
    state, score = tracker.move(state, np.stack(maps), FRAME.shape[1], FRAME.shape[0])
    assert score == pytest.approx(float(maps[len(maps) // 2].max()), rel=0.05)
    return state.box


@pytest.mark.parametrize("larger", [-0.5, -0.2, 0.0, 0.3, 0.6])
def test_the_size_follows_the_top_damped(larger: float) -> None:
    box = moved([bump((0, 0), height=h) for h in parabola(larger)])
    change = 0.5 + 0.5 * 1.16**larger
    assert (box.w, box.h) == pytest.approx((BOX.w * change, BOX.h * change), rel=5e-3)
    assert box.center == pytest.approx(BOX.center, abs=1e-3)


def test_something_else_that_looks_alike_at_another_scale_does_not_count() -> None:
    maps = [bump((0, 0), height=h) for h in parabola(0.0)]
    alike = maps[2] + bump((6, 6), width=0.7, height=9.0)
    assert np.subtract(moved([*maps[:2], alike]), BOX) == pytest.approx(0, abs=0.05)


def test_the_responses_of_a_target_that_moved_are_read_where_it_is() -> None:
    """In the window of a larger scale it lies nearer to the centre."""
    factors = SETTINGS.scale_factors
    maps = [bump((3 / factor, -2 / factor), height=h) for factor, h in zip(factors, parabola(0.0), strict=True)]
    box = moved(maps)
    assert (box.w, box.h) == pytest.approx((BOX.w, BOX.h), rel=5e-3)
    assert box.center != pytest.approx(BOX.center, abs=3)


def test_without_it_the_best_scale_is_taken() -> None:
    maps = [bump((0, 0), height=h) for h in parabola(0.6)]
    box = moved(maps, replace(SETTINGS, scale_fit=False, scale_penalty=1.0))
    assert box.w == pytest.approx(BOX.w * (0.5 + 0.5 * 1.16), rel=1e-6)


def test_one_scale_has_nothing_to_fit() -> None:
    assert not SiamFCSettings(scales=1, scale_fit=True).fits_size
    tracker = SiamFCTracker(one_answer(bump((2, -1))), replace(SETTINGS, scales=1))
    (state,) = tracker.start(FRAME, [BOX])
    (state,), _ = tracker.step(FRAME, [state])
    assert state.size_fit == UNFITTED
    assert (state.box.w, state.box.h) == (BOX.w, BOX.h)
    assert state.box.center != BOX.center


def test_a_target_that_grows_is_followed_in_size() -> None:
    """Two per cent a frame, with the real network; the size as published lags behind."""
    rng = np.random.default_rng(0)
    ground = cv2.resize(rng.integers(60, 200, (24, 32, 3), np.uint8), (320, 240), interpolation=cv2.INTER_CUBIC)
    texture = cv2.resize(rng.integers(0, 255, (7, 7, 3), np.uint8), (280, 280), interpolation=cv2.INTER_CUBIC)
    frames = []
    for number in range(25):
        side = round(40 * 1.02**number)
        frame = ground.copy()
        top, left = 120 - side // 2, 160 - side // 2
        frame[top : top + side, left : left + side] = cv2.resize(texture, (side, side), interpolation=cv2.INTER_AREA)
        frames.append(frame)
    widths = []
    for model in ("siamfc", "siamfc-3s"):
        tracker = open_model(model)
        assert isinstance(tracker, SiamFCTracker)
        last = follow(tracker, frames, Box(140, 100, 40, 40))[-1]
        assert np.abs(np.subtract(last.center, (160, 120))).max() < 4
        widths.append(last.w)

    assert widths[0] == pytest.approx(40 * 1.02**24, rel=0.12)
    assert widths[1] < widths[0] - 2
