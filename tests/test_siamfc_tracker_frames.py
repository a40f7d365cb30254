"""The procedure on frames of all kinds, those that show nothing included, and its states, which are values."""

from __future__ import annotations

import pickle
from dataclasses import replace

import cv2
import numpy as np
import pytest
from made_up_responses import BOX, FRAME, Fake, Similar, bump, follow, one_answer
from numpy.typing import NDArray

from siamtrack.box import Box
from siamtrack.errors import BoxError, ImageError, InputError
from siamtrack.trackers.siamfc import SiamFCState, SiamFCTracker
from siamtrack.tracking import Session

# Frames on which nothing can be seen


NOTHING = {
    "black": lambda rng: np.zeros((90, 120, 3), np.uint8),
    "grey": lambda rng: np.full((90, 120, 3), 128, np.uint8),
    "noise": lambda rng: rng.integers(0, 256, (90, 120, 3)).astype(np.uint8),
}
HOPELESS = {
    "similar": lambda rng: Similar(),
    "random": lambda rng: Fake(lambda z, x: rng.standard_normal((*x.shape[:2], 17, 17)).astype(np.float32)),
    "zeros": lambda rng: Fake(lambda z, x: np.zeros((*x.shape[:2], 17, 17), np.float32)),
    "huge": lambda rng: Fake(lambda z, x: rng.uniform(-1e30, 1e30, (*x.shape[:2], 17, 17)).astype(np.float32)),
    "grows": lambda rng: one_answer(*[bump((8, 8), height=h) for h in (1, 2, 9)]),
}


@pytest.mark.parametrize("network", HOPELESS)
@pytest.mark.parametrize("seen", NOTHING)
def test_200_frames_of_nothing(seen: str, network: str) -> None:
    """Never NaN, the centre never outside the frame, the size always between a fifth and five times."""
    rng = np.random.default_rng(0)
    tracker = SiamFCTracker(HOPELESS[network](rng))
    boxes = np.array(follow(tracker, [NOTHING[seen](rng) for _ in range(201)], Box(30, 20, 24, 16)))
    assert len(boxes) == 200
    assert np.isfinite(boxes).all()
    centers = boxes[:, :2] + boxes[:, 2:] / 2
    assert (centers >= -1e-6).all()
    assert (centers <= np.array([120, 90]) + 1e-6).all()
    assert (boxes[:, 2] >= 24 / 5 - 1e-6).all()
    assert (boxes[:, 2] <= 24 * 5 + 1e-6).all()


def test_a_flat_response_moves_nothing() -> None:
    tracker = SiamFCTracker(Fake(lambda z, x: np.full((*x.shape[:2], 17, 17), -3, np.float32)))
    assert tuple(follow(tracker, [FRAME] * 51)[-1]) == pytest.approx(tuple(BOX), abs=1e-3)


# States are values


def textured(seed: int = 0, height: int = 180, width: int = 240) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).uniform(0, 255, (height // 8, width // 8, 3)).astype(np.float32)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)


def same(a: SiamFCState, b: SiamFCState) -> bool:
    others = {"template": np.zeros(1, np.float32)}
    return (
        np.array_equal(a.template, b.template)
        and replace(a, **others).box == replace(b, **others).box
        and a.fill == b.fill
        and a.scale == b.scale
    )


def test_states_are_values() -> None:
    """Stepping twice from one state gives one answer, going back is using an old state, and a state survives a file."""
    tracker = SiamFCTracker(Similar())
    frames = [textured(0), np.roll(textured(0), 5, 1), np.roll(textured(0), 9, 1)]
    start = tracker.start(frames[0], [Box(60, 50, 40, 30), Box(150, 90, 30, 40)])
    kept = pickle.loads(pickle.dumps(start))
    once, first = tracker.step(frames[1], start)
    tracker.step(frames[2], once)
    again, second = tracker.step(frames[1], start)
    loaded, third = SiamFCTracker(Similar()).step(frames[1], pickle.loads(pickle.dumps(start)))
    assert first == second == third
    assert all(same(a, b) and same(a, c) for a, b, c in zip(once, again, loaded, strict=True))
    assert all(same(a, b) for a, b in zip(start, kept, strict=True))  # what was given is as it was
    assert not same(start[0], once[0])
    with pytest.raises(AttributeError):
        start[0].scale = 2.0  # type: ignore[misc]


def test_several_targets_are_one_call_and_the_same_as_each_alone() -> None:
    network = Similar()
    tracker = SiamFCTracker(network)
    frames = [textured(0), np.roll(textured(0), (3, 5), (0, 1))]
    boxes = [Box(60, 50, 40, 30), Box(150, 90, 30, 40), Box(-5, -8, 30, 30), Box(100, 20, 8, 9)]
    states = tracker.start(frames[0], boxes)
    network.calls = 0
    _, together = tracker.step(frames[1], states)
    assert network.calls == 1
    for box, state, prediction in zip(boxes, states, together, strict=True):
        (alone,) = tracker.start(frames[0], [box])
        assert same(alone, state)
        assert tracker.step(frames[1], [alone])[1] == [prediction]


def test_targets_may_join_and_leave() -> None:
    tracker = SiamFCTracker(Similar())
    frame = textured(0)
    states = tracker.start(frame, [Box(60, 50, 40, 30)])
    states += tracker.start(frame, [Box(150, 90, 30, 40)])
    states, predictions = tracker.step(frame, states)
    assert len(states) == len(predictions) == 2
    assert len(tracker.step(frame, states[1:])[0]) == 1
    assert tracker.step(frame, []) == ([], [])


# Frames of all kinds


def test_frames_may_change_their_size() -> None:
    """The target's place is kept in pixels and comes inside a smaller frame."""
    tracker = SiamFCTracker(one_answer(*[bump((0, 0), height=h) for h in (4, 5, 4)]))
    states = tracker.start(FRAME, [BOX])
    for height, width in ((720, 960), (100, 120), (50, 400), (360, 480)):
        states, (prediction,) = tracker.step(np.zeros((height, width, 3), np.uint8), states)
        x, y = prediction.box.center
        assert 0 <= x <= width
        assert 0 <= y <= height
    assert prediction.box.center == pytest.approx((120, 50))


@pytest.mark.parametrize("kind", ["grey", "one channel", "rgba", "uint16", "float", "bgr view"])
def test_what_cameras_give_is_the_same_as_its_image(kind: str) -> None:
    grey = textured(0)[:, :, 0]
    rgb = np.ascontiguousarray(np.dstack([grey] * 3))
    given = {
        "grey": grey,
        "one channel": grey[:, :, None],
        "rgba": np.dstack([rgb, np.zeros_like(grey)]),
        "uint16": grey.astype(np.uint16) * 257,
        "float": grey / 255,
        "bgr view": rgb[:, :, ::-1],
    }[kind]
    tracker = SiamFCTracker(Similar())
    box = Box(60, 50, 40, 30)
    moved = np.roll(given, 4, 1)
    assert follow(tracker, [given, moved], box) == follow(tracker, [rgb, np.roll(rgb, 4, 1)], box)


def test_a_frame_of_one_pixel() -> None:
    tracker = SiamFCTracker(Similar())
    pixel = np.full((1, 1, 3), 50, np.uint8)
    states = tracker.start(pixel, [Box(0, 0, 1, 1)])
    for _ in range(3):
        states, (prediction,) = tracker.step(pixel, states)
    assert np.isfinite(prediction.box).all()


@pytest.mark.parametrize("box", [Box(-30, -20, 60, 40), Box(450, 330, 60, 60), Box(-10, 100, 500, 40), Box(0, 0, 480, 360)])
def test_a_target_partly_outside_the_frame(box: Box) -> None:
    network = one_answer(*[bump((0, 0), height=h) for h in (4, 5, 4)])
    assert tuple(follow(SiamFCTracker(network), [FRAME] * 4, box)[-1]) == pytest.approx(tuple(box), abs=1e-2)


@pytest.mark.parametrize("box", [Box(500, 10, 20, 20), Box(10, 10, 0, 20), Box(float("nan"), 1, 2, 3), Box(-1, -1, 999, 999)])
def test_boxes_that_are_refused_at_the_start(box: Box) -> None:
    with pytest.raises(BoxError):
        SiamFCTracker(Similar()).start(FRAME, [BOX, box])


def test_what_is_no_picture_is_refused() -> None:
    tracker = SiamFCTracker(Similar())
    states = tracker.start(FRAME, [BOX])
    for bad in (np.zeros((0, 5, 3), np.uint8), np.zeros((5, 5, 2), np.uint8), np.full((5, 5), 2.0)):
        with pytest.raises(ImageError):
            tracker.step(bad, states)
        with pytest.raises(ImageError):
            tracker.start(bad, [BOX])


def test_session_is_the_same_with_a_memory() -> None:
    frames = [textured(0), np.roll(textured(0), 5, 1), np.roll(textured(0), 9, 1)]
    session = Session(SiamFCTracker(Similar()))
    with pytest.raises(InputError, match="init"):
        session.update(frames[1])
    session.init(frames[0], (60, 50, 40, 30))
    found = [session.update(frame).box for frame in frames[1:]]
    assert found == follow(session.tracker, frames, Box(60, 50, 40, 30))
