"""Targets that leave and come back: when they are lost, where they are looked for, and where their boxes are meanwhile."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
from made_up_proposals import Fake, Maps, Seeing, drawn, follow, proposed

from siamtrack.box import Box, iou
from siamtrack.errors import SettingsError
from siamtrack.library import open_model
from siamtrack.trackers.distractors import DistractorSettings
from siamtrack.trackers.long_term import LongTermSettings
from siamtrack.trackers.mask import MaskSettings
from siamtrack.trackers.rpn import RPNTracker
from siamtrack.trackers.rpn_settings import RPNSettings

BOX = Box(200, 140, 60, 40)
GONE = Box(0, 0, 0, 0)
FRAME = np.zeros((360, 480, 3), np.uint8)
AT_ONCE = LongTermSettings(search_size=831, low=0.6, high=0.9)
INSIDE = replace(AT_ONCE, stays_inside=True, whole_size=True)


class SaysOfItself:
    """A network that sees, but says with which probability; nothing where the colour is not in the patch."""

    def __init__(self, certainty: float = 0.99) -> None:
        self.certainty = certainty
        self.eyes = Seeing()
        self.calls = self.eyes.calls

    def embed(self, patches: np.ndarray) -> np.ndarray:
        return self.eyes.embed(patches)

    def match(self, templates: np.ndarray, patches: np.ndarray) -> Maps:
        cls, loc = self.eyes.match(templates, patches)
        colours = templates[:, :, 0, 0]
        likeness = np.einsum("nsyxc,nc->nsyx", patches, colours) / (colours**2).sum(1)[:, None, None, None]
        visible = (likeness > 0.8).any((1, 2, 3))
        logit = math.log(self.certainty / (1 - self.certainty))
        best = cls[:, :, 5:].max((1, 2, 3, 4), keepdims=True)
        cls = np.concatenate([0 * cls[:, :, :5], np.where(cls[:, :, 5:] == best, logit, -8.0)], 2)
        return np.where(visible[:, None, None, None, None], cls, np.repeat([0.0, -8.0], 5)[:, None, None]).astype(
            np.float32
        ), loc


def lost(tracker: RPNTracker, frames: list[np.ndarray]) -> list[bool | None]:
    """What it says of each frame after the first."""
    states, said = tracker.start(frames[0], [BOX]), []
    for frame in frames[1:]:
        states, (prediction,) = tracker.step(frame, states)
        said.append(prediction.lost)
    return said


def test_a_target_that_leaves_is_found_far_from_where_it_left() -> None:
    """It is away for five frames and comes back 150 px away, where a short-term tracker never looks."""
    far = Box(40, 240, 60, 40)
    frames = [drawn(BOX)] * 3 + [FRAME] * 5 + [drawn(far)] * 4
    boxes, scores = follow(RPNTracker(SaysOfItself(), RPNSettings(long_term=AT_ONCE)), frames, BOX)
    assert all(score > 0.9 for score in scores[:2])
    assert all(score < 0.01 for score in scores[2:7])
    assert boxes[2:7] == [boxes[1]] * 5  # it stays where it was seen last
    assert iou(np.array(boxes[-1]), np.array(far)) > 0.9
    assert lost(RPNTracker(SaysOfItself(), RPNSettings(long_term=AT_ONCE)), frames) == [False] * 2 + [True] * 5 + [False] * 4
    assert lost(RPNTracker(SaysOfItself(), RPNSettings()), frames) == [None] * 11  # it does not decide
    short, _ = follow(RPNTracker(SaysOfItself(), RPNSettings()), frames, BOX)
    assert iou(np.array(short[-1]), np.array(far)) == 0


def test_the_patch_is_large_while_the_target_is_lost_alone() -> None:
    network = SaysOfItself()
    tracker = RPNTracker(network, RPNSettings(long_term=AT_ONCE))
    follow(tracker, [drawn(BOX)] * 3 + [FRAME] * 2 + [drawn(BOX)] * 3, BOX)
    assert [call[2] for call in network.calls] == [255, 255, 255, 831, 831, 255, 255]


@pytest.mark.parametrize(
    ("growth", "sides"), [(0, [255, 767, 767, 767]), (256, [255, 511, 767, 767]), (512, [255, 767, 767, 767])]
)
def test_the_patch_grows_by_a_constant_step(growth: int, sides: list[int]) -> None:
    network = SaysOfItself()
    long_term = LongTermSettings(search_size=767, growth=growth)
    follow(RPNTracker(network, RPNSettings(long_term=long_term)), [drawn(BOX)] + [FRAME] * 4, BOX)
    assert [call[2] for call in network.calls] == sides


def test_between_the_thresholds_nothing_changes() -> None:
    """A target that is not lost stays so, and its box moves; a lost one is followed, too, and still searched for widely."""
    network = SaysOfItself(0.75)
    tracker = RPNTracker(network, RPNSettings(long_term=AT_ONCE))
    moved = BOX._replace(x=215)
    boxes, _ = follow(tracker, [drawn(BOX), drawn(moved), drawn(moved)], BOX)
    assert boxes[-1].x == pytest.approx(215, abs=1)
    assert [call[2] for call in network.calls] == [255, 255]
    network.calls.clear()
    boxes, _ = follow(tracker, [drawn(BOX), FRAME, drawn(moved), drawn(moved)], BOX)
    assert boxes[-1].x == pytest.approx(215, abs=1)
    assert [call[2] for call in network.calls] == [255, 831, 831]


@pytest.mark.parametrize("long_term", [AT_ONCE, INSIDE])
def test_several_targets_are_lost_each_for_itself(long_term: LongTermSettings) -> None:
    """One call for each size of patch among them, and the same boxes as alone."""
    stays, leaves, comes = Box(60, 50, 50, 40), BOX, Box(250, 260, 40, 50)
    network = SaysOfItself()
    tracker = RPNTracker(network, RPNSettings(long_term=long_term))
    frames = [drawn(stays, leaves, comes), drawn(stays, GONE, comes), drawn(stays), drawn(stays, GONE, comes)]
    states = tracker.start(frames[0], [stays, leaves, comes])
    alone = [tracker.start(frames[0], [box]) for box in (stays, leaves, comes)]
    for frame, sizes in zip(frames[1:], ([(3, 255)], [(2, 255), (1, 831)], [(1, 255), (2, 831)]), strict=True):
        network.calls.clear()
        states, together = tracker.step(frame, states)
        assert [(call[0], call[2]) for call in network.calls] == sizes
        for number, prediction in enumerate(together):
            alone[number], (single,) = tracker.step(frame, alone[number])
            assert single == prediction
    assert [state.frames_lost for state in states] == [0, 3, 0]


def test_a_lost_target_is_looked_for_within_the_frame() -> None:
    """It left on the right and comes back on the left, where a patch around its last place does not reach."""
    leaving, back = Box(420, 140, 60, 40), Box(10, 150, 60, 40)
    frames = [drawn(leaving)] * 3 + [FRAME] * 2 + [drawn(back)] * 3
    found = []
    for inside in (False, True):
        wide = LongTermSettings(search_size=831, low=0.6, high=0.9, stays_inside=inside)
        boxes, _ = follow(RPNTracker(SaysOfItself(), RPNSettings(long_term=wide)), frames, leaving)
        assert boxes[2:4] == [boxes[1]] * 2
        found.append(float(iou(np.array(boxes[-1]), np.array(back))))
    assert found[0] == 0
    assert found[1] > 0.9


@pytest.mark.parametrize(
    ("center", "side", "middle"),
    [
        ((450, 180), 100, (430, 180)),  # as far as it has to go
        ((10, 20), 100, (50, 50)),
        ((240, 180), 100, (240, 180)),
        ((450, 20), 400, (280, 180)),  # larger than the frame is high: it lies in the middle of that
        ((450, 20), 900, (240, 180)),
    ],
)
def test_where_the_patch_of_a_lost_target_lies(center: tuple[float, float], side: float, middle: tuple[float, float]) -> None:
    assert LongTermSettings(stays_inside=True).middle(center, side, 480, 360) == middle
    assert LongTermSettings().middle(center, side, 480, 360) == center


@pytest.mark.parametrize(("whole_size", "width"), [(False, 30), (True, 60)])
@pytest.mark.parametrize("scores", [[0.99, 0.1], [0.99, 0.1, 0.75, 0.1], [0.75, 0.1]])
def test_a_lost_target_has_the_size_in_which_it_was_seen_whole(scores: list[float], whole_size: bool, width: float) -> None:
    """What leaves is cut off by the border of the frame, and so is its box; also where the score comes and goes."""
    network = SaysOfItself()
    tracker = RPNTracker(network, RPNSettings(long_term=replace(AT_ONCE, whole_size=whole_size), lr=1.0))
    leaving = Box(450, 140, 30, 40)
    (state,) = tracker.start(drawn(BOX), [BOX])
    state = replace(state, center=leaving.center, size=(30.0, 40.0))
    for network.certainty in scores:
        (state,), (prediction,) = tracker.step(drawn(leaving), [state])
    assert state.frames_lost
    assert prediction.box[2:] == pytest.approx((width, 40), abs=2)
    assert state.whole == ((60, 40) if whole_size else None)


def test_what_is_lost_within_the_frame_keeps_its_size() -> None:
    tracker = RPNTracker(SaysOfItself(), RPNSettings(long_term=INSIDE))
    (state,) = tracker.start(drawn(BOX), [BOX])
    state = replace(state, size=(30.0, 40.0))
    (state,), (prediction,) = tracker.step(FRAME, [state])
    assert state.frames_lost == 1
    assert prediction.box[2:] == (30, 40)


def test_a_size_of_which_nothing_is_sure_is_not_remembered() -> None:
    network = SaysOfItself()
    tracker = RPNTracker(network, RPNSettings(long_term=INSIDE))
    (state,) = tracker.start(drawn(BOX), [BOX])
    state = replace(state, size=(50.0, 40.0))
    network.certainty = 0.75
    (state,), _ = tracker.step(drawn(BOX), [state])
    assert state.whole == (60, 40)
    network.certainty = 0.99
    (state,), _ = tracker.step(drawn(BOX), [state])
    assert state.whole == state.size != (60, 40)


def test_a_look_alike_is_learnt_from_where_it_is_in_a_moved_patch(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found is made its own look-alike: so there is one, at a known place."""
    monkeypatch.setattr("siamtrack.trackers.rpn.distractors_among", lambda boxes, scores, chosen, settings: [chosen])
    leaving, back = Box(420, 140, 60, 40), Box(40, 150, 60, 40)
    memory = DistractorSettings(most=1, learns_target=False)
    tracker = RPNTracker(SaysOfItself(), RPNSettings(long_term=INSIDE, distractors=memory))
    (state,) = tracker.start(drawn(leaving), [leaving])
    for frame in (FRAME, FRAME, drawn(back)):
        (state,), _ = tracker.step(frame, [state])
    assert state.memory.distractors is not None
    assert np.allclose(state.memory.distractors, state.template, rtol=0.1)  # the colour of the target, not of the ground


def test_a_whole_size_is_no_larger_than_the_frame() -> None:
    tracker = RPNTracker(SaysOfItself(), RPNSettings(long_term=INSIDE))
    (state,) = tracker.start(drawn(BOX), [BOX])
    (state,), (prediction,) = tracker.step(np.zeros((30, 45, 3), np.uint8), [state])
    assert state.frames_lost == 1
    assert prediction.box[2:] == (45, 30)


def test_a_target_that_is_not_lost_is_looked_for_around_itself() -> None:
    corner = Box(430, 310, 40, 40)
    patches = []
    for long_term in (AT_ONCE, INSIDE):
        network = SaysOfItself()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(network, "match", lambda _, seen, match=network.match: (patches.append(seen), match(_, seen))[1])
            follow(RPNTracker(network, RPNSettings(long_term=long_term)), [drawn(corner)] * 2, corner)
    assert np.array_equal(*patches)


class Masking(SaysOfItself):
    """Says that the middle third of each window is the target."""

    def match(self, templates: np.ndarray, patches: np.ndarray) -> tuple[np.ndarray, ...]:  # type: ignore[override]
        cls, loc = super().match(templates, patches)
        return cls, loc, np.zeros((len(cls), 1, 1, *cls.shape[-2:]), np.float32)

    def masks(self, cells: np.ndarray, *windows: np.ndarray) -> np.ndarray:
        logits = np.full((len(cells), 63, 63), -9, np.float32)
        logits[:, 21:42, 21:42] = 9
        return logits


def test_the_mask_of_what_is_found_in_a_moved_patch_lies_on_it() -> None:
    leaving, back = Box(420, 140, 60, 40), Box(40, 150, 60, 40)
    tracker = RPNTracker(Masking(), RPNSettings(long_term=INSIDE, mask=MaskSettings(threshold=0.5)))
    states = tracker.start(drawn(leaving), [leaving])
    for frame in (FRAME, FRAME, drawn(back)):
        states, (prediction,) = tracker.step(frame, states)
    assert prediction.mask is not None
    rows, columns = np.nonzero(prediction.mask)
    assert (columns.mean(), rows.mean()) == pytest.approx(back.center, abs=10)


def test_a_frame_without_any_proposal_loses_the_target() -> None:
    nothing = Fake(lambda templates, patches: tuple(np.full_like(m, np.nan)[None, None] for m in proposed((0, 0, 64, 64))))
    tracker = RPNTracker(nothing, RPNSettings(long_term=AT_ONCE))
    states, (prediction,) = tracker.step(FRAME, tracker.start(FRAME, [BOX]))
    assert math.isnan(prediction.score)
    assert prediction.box == BOX
    assert states[0].frames_lost == 1
    short = RPNTracker(nothing, RPNSettings())
    assert short.step(FRAME, short.start(FRAME, [BOX]))[0][0].frames_lost == 0


def test_a_lost_target_is_looked_for_no_nearer() -> None:
    assert RPNSettings(long_term=LongTermSettings(search_size=255)).long_term.search_size == RPNSettings().search_size
    for growth in (0, 50):
        nearer = LongTermSettings(search_size=254, growth=growth)
        assert [nearer.searched(400, frames) for frames in range(3)] == [400, 400, 400]
    assert [LongTermSettings(search_size=450, growth=40).searched(400, frames) for frames in range(3)] == [400, 440, 450]


def test_the_embedded_models_can_look_at_more_than_they_search_for_lost_targets() -> None:
    assert open_model("siamnano", overrides=["search_size=511"]).settings.search_size == 511


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"search_size": -1}, "The setting search_size is -1"),
        ({"growth": 5000}, "The setting growth is 5000"),
        ({"low": 0.9, "high": 0.8}, r"low is 0\.9 and long_term.high 0\.8; expected low not above high"),
        ({"high": 1.1}, "The setting high is"),
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        LongTermSettings(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(("model", "decides"), [("siamnano", True), ("siammask-small", True), ("siamfc", False)])
def test_embedded_models_say_whether_the_target_is_lost(model: str, decides: bool) -> None:
    """Of a disc that goes on, and then is gone from a frame of one colour."""
    tracker = open_model(model)
    background = np.full((160, 200, 3), (60, 120, 90), np.uint8)
    disc = cv2.circle(background.copy(), (100, 80), 18, (230, 200, 40), -1)
    states = tracker.start(disc, [Box(82, 62, 36, 36)])
    said = []
    for image in (disc, disc, background, background, background):
        states, (prediction,) = tracker.step(image, states)
        said.append(prediction.lost)
    assert said == ([False, False, True, True, True] if decides else [None] * 5)
