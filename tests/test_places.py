"""Where target and look-alikes are going, and whether that tells twins apart that look the same."""

from __future__ import annotations

import numpy as np
import pytest
from made_up_proposals import Maps, drawn
from test_distractors import SeesBrightness

from siamtrack.box import Box
from siamtrack.errors import SettingsError
from siamtrack.trackers.distractors import DistractorSettings
from siamtrack.trackers.long_term import LongTermSettings
from siamtrack.trackers.places import HIDDEN, LEAST, PATIENCE, PLACE_GAIN, VELOCITY_GAIN, Course, Courses
from siamtrack.trackers.rpn import RPNTracker
from siamtrack.trackers.rpn_settings import RPNSettings

SIZE = 40.0
PLAIN = {"window_influence": 0.2, "penalty_k": 0.0, "lr": 0.1}


def at(x: float, y: float = 0.0) -> np.ndarray:
    return np.array([x, y])


def after(courses: Courses, frames: int, target: float, other: float | None, start: int = 1) -> Courses:
    """The target moves by `target` px a frame from 0 on, another one by `other` from 100 on."""
    for n in range(start, start + frames):
        courses = courses.moved(at(target * n), [] if other is None else [at(100 + other * n)], SIZE, 6)
    return courses


def test_a_steady_motion_is_foreseen() -> None:
    courses = after(Courses.begun((0, 0)), 40, 3, -2)
    assert courses.target.ahead == pytest.approx(at(3 * 41), abs=0.1)
    assert courses.others[0].ahead == pytest.approx(at(100 - 2 * 41), abs=1.0)  # the target was near in some of the frames


def test_a_place_is_the_targets_by_what_is_expected_there() -> None:
    begun = Courses.begun((0, 0))
    places = np.array([[0.0, 60.0, 100.0, 500.0, np.nan], [0.0] * 5])
    assert np.array_equal(begun.shares(places[:, :4], SIZE), np.ones(4))
    courses = after(begun, 3, 0, 0)
    shares = courses.shares(places, SIZE)
    assert shares[[0, 3]] == pytest.approx([1, 1], abs=1e-3)  # its own place, and one where nothing is expected
    assert shares[2] == pytest.approx(LEAST / (1 + LEAST), rel=0.01)
    assert shares[2] < shares[1] < shares[0]
    assert np.isnan(shares[4])
    same = Courses(target=Course(place=at(0)), others=(Course(place=at(0)),))
    assert same.shares(places[:, :1], SIZE) == pytest.approx([0.5], abs=0.02)  # nothing tells them apart


def test_sizes_are_the_unit() -> None:
    """Twice as large and as far apart is the same."""
    places = np.random.default_rng(0).normal(50, 50, (2, 30))
    found = []
    for factor in (1, 2):
        courses = Courses.begun((0, 0))
        for n in range(8):
            courses = courses.moved(factor * at(2 * n), [factor * at(100 - 9 * n, 5)], factor * SIZE, 6)
        found.append(courses.shares(factor * places, factor * SIZE))
    assert np.allclose(*found)


def test_one_that_is_hidden_is_expected_for_a_while() -> None:
    courses = after(Courses.begun((0, 0)), 6, 0, -1)
    (before,) = courses.others
    unseen = after(courses, PATIENCE, 0, None)
    assert unseen.others[0].unseen == PATIENCE
    assert unseen.others[0].place == pytest.approx(before.place + PATIENCE * (before.ahead - before.place))
    assert after(unseen, 1, 0, None).others == ()


@pytest.mark.parametrize(("seen", "velocity"), [(1, -2.0), (4, -2.0)])
def test_a_velocity_is_of_a_frame_whatever_was_not_seen_between(seen: int, velocity: float) -> None:
    course = Course(place=at(100))
    for n in range(1, seen):
        course = course.seen(at(100 + velocity * n), 0.5, 0.3)
    for _ in range(5):
        course = course.not_seen()
    course = course.seen(at(100 + velocity * (seen + 5)), 0.5, 0.3)
    assert course.velocity == pytest.approx(at(velocity))
    standing = Course(place=at(100), velocity=at(3))
    for _ in range(9):
        standing = standing.not_seen()
    assert standing.seen(at(100), 0.5, 0.3).velocity == pytest.approx(at(3 - 0.3 * 3))


@pytest.mark.parametrize("other", [20.0, 80.0])
def test_the_course_is_hardly_bent_while_another_is_near(other: float) -> None:
    """20 px are half a size, 80 px are two."""
    courses = Courses.begun((0, 0))
    for _ in range(4):
        courses = courses.moved(at(0), [at(other)], SIZE, 6)
    bent = courses.moved(at(10), [at(other)], SIZE, 6).target
    gain, velocity_gain = (HIDDEN, VELOCITY_GAIN * HIDDEN) if other < 40 else (PLACE_GAIN, VELOCITY_GAIN)
    assert bent.place == pytest.approx(at(10 * gain))
    assert bent.velocity == pytest.approx(at(10 * velocity_gain))
    assert HIDDEN < PLACE_GAIN / 2


@pytest.mark.parametrize(("away", "new"), [(39.0, False), (41.0, True)])
def test_what_is_a_size_away_is_another_one(away: float, new: bool) -> None:
    courses = after(Courses.begun((0, 0)), 4, 0, 0).moved(at(0), [at(100 + away)], SIZE, 6)
    assert [course.unseen for course in courses.others] == ([1, 0] if new else [0])


def test_what_was_seen_once_is_not_expected() -> None:
    courses = after(Courses.begun((0, 0)), 3, 0, 1).moved(at(0), [at(104), at(-90)], SIZE, 6)
    assert len(courses.others) == 2
    assert len(courses.moved(at(0), [], SIZE, 6).others) == 1


def test_the_nearest_is_the_same_one_and_others_are_new() -> None:
    courses = after(Courses.begun((0, 0)), 3, 0, 1)
    courses = courses.moved(at(0), [at(230), at(106), at(80)], SIZE, 6)
    assert [course.velocity is None for course in courses.others] == [False, True, True]
    assert courses.others[0].place[0] == pytest.approx(105, abs=1)
    assert [course.place[0] for course in courses.others[1:]] == [230, 80]
    fewer = courses.moved(at(0), [at(230), at(80), at(-90), at(-150)], SIZE, 2)
    assert [course.place[0] for course in fewer.others] == [230, 80]  # seen twice, and last


def crossing(tracker: RPNTracker) -> list[float]:
    """Distances from a target that goes to the right and into the shade, below a twin that comes from there."""
    states, found = None, []
    for n in range(24):
        target, twin = Box(60 + 6 * n, 160, 40, 40), Box(220 - 6 * n, 130, 40, 40)
        frame = drawn(target, twin)
        if n >= 9:
            frame[..., 0] //= 2
        if states is None:
            states = tracker.start(frame, [target])
        else:
            states, (prediction,) = tracker.step(frame, states)
            found.append(abs(prediction.box.center[0] - target.center[0]))
    return found


def test_twins_that_cross_are_told_apart_by_their_courses() -> None:
    plain = crossing(RPNTracker(SeesBrightness(), RPNSettings(**PLAIN)))
    assert plain[-1] > 40
    network = SeesBrightness()
    followed = crossing(RPNTracker(network, RPNSettings(**PLAIN, distractors=DistractorSettings(follows=2))))
    assert followed[-1] < 5
    assert network.embedded == [1]  # nothing is learnt
    assert set(network.matched) == {1}


def test_several_targets_are_the_same_as_each_alone() -> None:
    tracker = RPNTracker(SeesBrightness(), RPNSettings(distractors=DistractorSettings(follows=2)))
    boxes = Box(150, 160, 40, 40), Box(150, 205, 40, 40)
    frames = [drawn(*(box._replace(x=box.x + (2 + k) * n) for k, box in enumerate(boxes))) for n in range(6)]
    states = tracker.start(frames[0], boxes)
    alone = [tracker.start(frames[0], [box]) for box in boxes]
    for frame in frames[1:]:
        states, together = tracker.step(frame, states)
        for number, prediction in enumerate(together):
            alone[number], (single,) = tracker.step(frame, alone[number])
            assert single.box == pytest.approx(prediction.box, abs=1e-4)
    assert states[0].courses is not None
    assert states[0].courses.others


def test_a_lost_target_begins_anew() -> None:
    long_term = LongTermSettings(search_size=255, low=0.9, high=0.95)
    tracker = RPNTracker(SeesBrightness(), RPNSettings(distractors=DistractorSettings(follows=2), long_term=long_term))
    target, twin = Box(150, 160, 40, 40), Box(205, 160, 40, 40)
    states = tracker.start(drawn(target, twin), [target])
    states, _ = tracker.step(drawn(target, twin), states)
    assert states[0].courses is not None
    assert states[0].courses.others
    states, _ = tracker.step(drawn(target) // 2, states)
    assert states[0].frames_lost
    assert states[0].courses is not None
    assert not states[0].courses.others
    assert states[0].courses.target.ahead == pytest.approx(states[0].center)
    states, _ = tracker.step(drawn(target._replace(x=180)), states)  # found elsewhere
    assert not states[0].frames_lost
    assert states[0].center[0] == pytest.approx(200, abs=2)
    assert states[0].courses is not None
    assert states[0].courses.target.ahead == pytest.approx(states[0].center)


def test_a_frame_without_a_proposal_forgets_nothing() -> None:
    class Fails(SeesBrightness):
        def match(self, templates: np.ndarray, patches: np.ndarray) -> Maps:
            cls, loc = super().match(templates, patches)
            return (np.full_like(cls, np.nan) if len(self.matched) == 3 else cls), loc

    network = Fails()
    tracker = RPNTracker(network, RPNSettings(distractors=DistractorSettings(follows=2)))
    target, twin = Box(150, 160, 40, 40), Box(150, 205, 40, 40)
    states, unseen = tracker.start(drawn(target, twin), [target]), []
    for _ in range(4):
        states, _ = tracker.step(drawn(target, twin), states)
        assert states[0].courses is not None
        unseen.append([course.unseen for course in states[0].courses.others])
    assert unseen == [[0], [0], [1], [0]]


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(SettingsError, match="The setting follows is -1"):
        DistractorSettings(follows=-1)
