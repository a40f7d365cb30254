"""The colours of target and look-alikes, and whether they tell doubles in other colours apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from made_up_proposals import drawn
from test_distractors import SeesBrightness
from test_places import PLAIN, crossing

from siamtrack.box import Box
from siamtrack.trackers.colours import BINS, LEAST, OTHERS_RATE, POWER, TARGET_RATE, Colours, histogram
from siamtrack.trackers.distractors import DistractorSettings
from siamtrack.trackers.long_term import LongTermSettings
from siamtrack.trackers.rpn import RPNTracker
from siamtrack.trackers.rpn_settings import RPNSettings

TARGET, DOUBLE = Box(40, 40, 40, 40), Box(140, 40, 40, 40)
FRAME = drawn(TARGET, DOUBLE)  # red, green, on black


def centred(*boxes: Box) -> np.ndarray:
    return np.array([[*box.center, box.w, box.h] for box in boxes]).T


def test_colours_that_the_target_alone_has_speak_for_it() -> None:
    begun = Colours.begun(FRAME, TARGET)
    assert begun is not None
    boxes = centred(TARGET, DOUBLE, Box(240, 40, 40, 40))
    assert begun.factors(FRAME, boxes).tolist() == [1, 1, 1]  # there was no distractor yet
    known = begun.learnt(FRAME, TARGET, [DOUBLE])
    assert known.factors(FRAME, boxes) == pytest.approx([2**POWER, LEAST**POWER, 1], rel=0.05)
    identical = begun.learnt(FRAME, TARGET, [TARGET])
    assert identical.factors(FRAME, boxes) == pytest.approx([1, 1, 1])
    blue = FRAME[..., ::-1].copy()  # what was red
    assert known.factors(blue, boxes) == pytest.approx([1, LEAST**POWER, 1], rel=0.05)


def test_the_mean_is_over_the_inner_part_of_the_box() -> None:
    known = Colours.begun(FRAME, TARGET)
    assert known is not None
    known = known.learnt(FRAME, TARGET, [DOUBLE])
    half_beside = Box(60, 40, 40, 40)  # its inner part, 66 to 94, has 14 columns of 28 in red
    beside = Box(75, 40, 40, 40)  # none
    whole = (known.target + 1e-2 / BINS**3) / (known.target + np.asarray(known.others) + 2e-2 / BINS**3)
    black, red = whole[0], whole[(BINS - 1) * BINS * BINS]
    half = 2 * (14 * red + 14 * black) / 28
    assert known.factors(FRAME, centred(half_beside, beside)) == pytest.approx([half**POWER, (2 * black) ** POWER], rel=1e-3)


def test_neighbouring_colours_count_a_little() -> None:
    found = histogram(FRAME, TARGET)
    assert found is not None
    cube = found.reshape(BINS, BINS, BINS)
    assert found.sum() == pytest.approx(1)
    assert cube[-1, 0, 0] == pytest.approx(0.75**3)  # at the ends of all three channels
    assert cube[-2, 0, 0] == pytest.approx(0.25 * 0.75**2)
    assert cube[0].max() == 0  # and not those at the other end


def test_means_are_learnt_the_targets_slowly() -> None:
    begun = Colours.begun(FRAME, TARGET)
    assert begun is not None
    known = begun.learnt(FRAME, TARGET, [DOUBLE])
    assert known.others == pytest.approx(histogram(FRAME, DOUBLE))
    red, green = begun.target, np.asarray(known.others)
    known = known.learnt(FRAME, DOUBLE, [TARGET])  # as if they had changed places
    assert known.target == pytest.approx((1 - TARGET_RATE) * red + TARGET_RATE * green)
    assert known.others == pytest.approx((1 - OTHERS_RATE) * green + OTHERS_RATE * red)
    unseen = known.learnt(FRAME, Box(5000, 0, 9, 9), [Box(5000, 0, 9, 9)])
    assert np.array_equal(unseen.target, known.target)
    assert unseen.others is known.others


def test_boxes_that_are_nowhere_are_not_judged() -> None:
    known = Colours.begun(FRAME, TARGET)
    assert known is not None
    known = known.learnt(FRAME, TARGET, [DOUBLE])
    odd = np.array([[np.nan, 20, 20, 20], [40, np.inf, 20, 20], [1e300, 40, 1e300, 9], [-500, 40, 20, 20], [20, 20, 0, 0]]).T
    assert known.factors(FRAME, odd).tolist() == [1, 1, 1, 1, 1]
    assert known.factors(FRAME, np.concatenate([odd, centred(TARGET)], 1))[-1] == pytest.approx(2**POWER, rel=0.05)
    everywhere = known.factors(FRAME, np.array([[240.0], [180], [1e9], [1e9]]))
    assert np.isfinite(everywhere).all()
    assert Colours.begun(FRAME, Box(-100, 10, 101, 20)) is None  # its inner part is outside


def test_doubles_in_another_colour_are_told_apart() -> None:
    network = SeesBrightness()
    assert crossing(RPNTracker(network, RPNSettings(**PLAIN)))[-1] > 40
    settings = RPNSettings(**PLAIN, distractors=DistractorSettings(colours=2))
    assert crossing(RPNTracker(network, settings))[-1] < 5
    assert set(network.embedded) == {1}  # no kernels are learnt
    assert set(network.matched) == {1}


def test_several_targets_are_the_same_as_each_alone() -> None:
    tracker = RPNTracker(SeesBrightness(), RPNSettings(distractors=DistractorSettings(colours=2)))
    boxes = Box(150, 160, 40, 40), Box(150, 205, 40, 40)
    frames = [drawn(*(box._replace(x=box.x + (2 + k) * n) for k, box in enumerate(boxes))) for n in range(6)]
    states = tracker.start(frames[0], boxes)
    alone = [tracker.start(frames[0], [box]) for box in boxes]
    for frame in frames[1:]:
        states, together = tracker.step(frame, states)
        for number, prediction in enumerate(together):
            alone[number], (single,) = tracker.step(frame, alone[number])
            assert single.box == pytest.approx(prediction.box, abs=1e-4)
    assert states[0].colours is not None
    assert states[0].colours.others is not None


@pytest.mark.parametrize(
    ("settings", "learns"),
    [
        ({}, True),
        ({"distractors": DistractorSettings(colours=1, most=3, threshold=1.0)}, False),  # no score is above that
        ({"long_term": LongTermSettings(search_size=255, low=1.0, high=1.0)}, False),  # always lost
    ],
)
def test_colours_are_learnt_of_the_first_distractors_and_of_a_target_that_is_surely_there(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], learns: bool
) -> None:
    others = [Box(10.0 * n, 0, 20, 20) for n in range(1, 4)]
    learnt: list[Sequence[Box]] = []
    monkeypatch.setattr(RPNTracker, "_others", lambda *arguments: others)
    monkeypatch.setattr(Colours, "learnt", lambda self, image, box, others: learnt.append(others) or self)
    tracker = RPNTracker(SeesBrightness(), RPNSettings(**{"distractors": DistractorSettings(colours=1, most=3), **settings}))
    tracker.step(FRAME, tracker.start(FRAME, [TARGET]))
    assert learnt == ([others[:1]] if learns else [])
