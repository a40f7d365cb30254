"""Look-alikes: which proposals they are, what is learnt of them, and whether they are still taken for the target."""

from __future__ import annotations

import numpy as np
import pytest
from made_up_proposals import ANCHORS, Maps, drawn, proposed

from siamtrack.box import Box, iou
from siamtrack.errors import SettingsError
from siamtrack.trackers.anchors import anchor_grid, decode
from siamtrack.trackers.distractors import DistractorSettings, Memory, distractors_among, less_alike
from siamtrack.trackers.rpn import RPNTracker
from siamtrack.trackers.rpn_settings import RPNSettings

WARY = DistractorSettings(most=3)
TARGET, TWIN = Box(150, 160, 40, 40), Box(205, 160, 40, 40)


def columns(*boxes: tuple[float, float, float, float]) -> np.ndarray:
    """x, y of the centre, w, h a column."""
    return np.array(boxes, float).T


def test_what_is_left_beside_the_target() -> None:
    boxes = columns((0, 0, 40, 40), (4, 0, 40, 40), (100, 0, 40, 40), (104, 2, 40, 40), (0, 100, 40, 40), (-100, 0, 40, 40))
    scores = np.array([0.9, 0.99, 0.8, 0.95, 0.6, 0.4])
    assert distractors_among(boxes, scores, 0, WARY) == [3, 4]  # 1 is the target, 2 is 3, 5 is nothing
    assert distractors_among(boxes, scores, 0, DistractorSettings(most=1)) == [3]
    assert distractors_among(boxes, scores, 0, DistractorSettings(most=3, threshold=0.97)) == []
    assert distractors_among(boxes, scores, 0, DistractorSettings(most=4, overlap=1.0)) == [1, 3, 2, 4]
    boxes[0, 3], boxes[2, 4], scores[5] = np.nan, np.inf, np.nan
    assert distractors_among(boxes, scores, 0, WARY) == [2]
    boxes[2:, [0, 2]] = 0
    huge = boxes.copy()
    huge[2:, 1] = 1e200  # each side is finite, and the area is not
    assert distractors_among(huge, scores, 0, WARY) == [2]
    assert distractors_among(huge, scores, 1, WARY) == []
    assert distractors_among(boxes, scores, 0, WARY) == [1, 2]  # boxes without a size overlap nothing, themselves included


@pytest.mark.parametrize("likelier", ["the target", "another distractor"])
def test_one_is_found_behind_many_proposals_of_something_likelier(likelier: str) -> None:
    """A large target has hundreds of proposals."""
    first = 0 if likelier == "the target" else 100
    boxes = columns(*[(first + n / 100, 0, 40, 40) for n in range(300)], (200, 0, 40, 40), (0, 0, 40, 40))
    scores = np.append(np.full(300, 0.9), [0.8, 0.95])
    assert distractors_among(boxes, scores, 301, WARY) == ([300] if likelier == "the target" else [0, 300])


def test_kernels_are_means_with_the_weights_of_the_paper() -> None:
    """b_t = sum over i < t of (r / (1 - r))^i, for the target from the first frame on, for distractors where there are any."""
    rng = np.random.default_rng(0)
    s = DistractorSettings(most=2, learning_rate=0.3)
    target = rng.normal(size=(6, 2, 1, 1)).astype(np.float32)
    others = [rng.normal(size=(count, 2, 1, 1)).astype(np.float32) for count in (0, 0, 2, 0, 1, 3)]
    template, memory = target[0], Memory()
    for t in range(1, 6):
        template, memory = memory.learnt(template, target[t], others[t], s)
    weights = np.array([sum((0.3 / 0.7) ** i for i in range(t)) for t in range(1, 7)])
    assert np.allclose(template, np.tensordot(weights, target, 1) / weights.sum(), atol=1e-6)
    some = [t for t in range(6) if len(others[t])]
    expected = sum(weights[t] * others[t].mean(0) for t in some) / sum(weights[t] for t in some)
    assert memory.distractors is not None
    assert np.allclose(memory.distractors, expected, atol=1e-6)
    unlearnt, memory = Memory().learnt(target[0], None, others[0], DistractorSettings(most=2))
    assert np.array_equal(unlearnt, target[0])
    assert memory.distractors is None


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_kernels_that_are_not_finite_are_not_learnt(value: float) -> None:
    """Those of the target and of each distractor by themselves; the others count as if those had not been."""
    rng = np.random.default_rng(0)
    target, spoilt, *others = rng.normal(size=(4, 2, 1, 1)).astype(np.float32)
    spoilt[1] = value
    before, known = Memory().learnt(target, target, np.array(others), WARY)
    alone = known.learnt(before, target, np.array(others[:1]), WARY)
    for distractors in ([spoilt, others[0]], [others[0], spoilt]):
        template, memory = known.learnt(before, target, np.array(distractors), WARY)
        assert np.array_equal(template, alone[0])
        assert np.array_equal(memory.distractors, alone[1].distractors)  # type: ignore[arg-type]
    template, memory = known.learnt(before, spoilt, np.array(others[:1]), WARY)
    assert np.array_equal(template, before)
    assert memory.target_weight == known.target_weight
    assert np.array_equal(memory.distractors, alone[1].distractors)  # type: ignore[arg-type]
    template, memory = known.learnt(before, target, spoilt[None], WARY)
    assert np.array_equal(template, alone[0])
    assert memory.distractors is known.distractors
    assert known.learnt(before, spoilt, spoilt[None], WARY) == (before, known)


class SeesBrightness:
    """Takes every bright thing for the target, by how near its colour is; twins in the corner of the eye are a bit nearer."""

    def __init__(self) -> None:
        self.embedded: list[int] = []
        self.matched: list[int] = []

    def embed(self, patches: np.ndarray) -> np.ndarray:
        self.embedded.append(len(patches))
        middle = slice(60, 67)
        return patches[:, middle, middle].mean((1, 2)).astype(np.float32)[:, :, None, None]

    def match(self, templates: np.ndarray, patches: np.ndarray) -> Maps:
        self.matched.append(len(patches))
        found = [self._look(colour, patch[0]) for colour, patch in zip(templates[:, :, 0, 0], patches, strict=True)]
        cls, loc = (np.stack(maps)[:, None] for maps in zip(*found, strict=True))
        return cls, loc

    @staticmethod
    def _look(colour: np.ndarray, patch: np.ndarray) -> Maps:
        cls, loc = None, None
        for channel in range(3):
            rows, columns = np.nonzero(patch[..., channel] > 100)
            if not len(rows):
                continue
            place = columns.mean() + 0.5 - 127.5, rows.mean() + 0.5 - 127.5, np.ptp(columns) + 1, np.ptp(rows) + 1
            maps = proposed(place)
            bright = patch[..., channel].max() / 255
            near = 6 * bright * colour[channel] / np.linalg.norm(colour) + 5 * (channel == 1)  # green is always a bit like it
            quiet = np.where(np.arange(10)[:, None, None] >= 5, np.where(maps[0] > maps[0].max() - 1, near - 2, -6), 0).astype(
                np.float32
            )
            if cls is None or loc is None:
                cls, loc = quiet, maps[1]
            else:
                louder = np.tile(quiet[5:] > cls[5:], (4, 1, 1))
                cls, loc = np.maximum(cls, quiet), np.where(louder, maps[1], loc)
        assert cls is not None
        assert loc is not None
        return cls, loc


def crossing(tracker: RPNTracker, frames: int = 24) -> list[Box]:
    """A red target that stands and is in the shade while a green twin goes by above it."""
    states, boxes = None, []
    for number in range(frames):
        twin = Box(60 + 8 * number, 110, 40, 40)
        frame = drawn(TARGET, twin)
        if 9 <= number < 14:
            frame[..., 0] //= 2
        if states is None:
            states = tracker.start(frame, [TARGET])
        else:
            states, (prediction,) = tracker.step(frame, states)
            boxes.append(prediction.box)
    return boxes


def test_a_twin_that_comes_by_is_no_longer_taken_for_the_target() -> None:
    settings = {"window_influence": 0.1, "penalty_k": 0.0, "lr": 0.1}
    naive = crossing(RPNTracker(SeesBrightness(), RPNSettings(**settings)))
    assert iou(np.array(naive[-1]), np.array(TARGET)) < 0.2
    wary = RPNSettings(**settings, distractors=DistractorSettings(most=3, weight=0.8))
    boxes = crossing(RPNTracker(SeesBrightness(), wary))
    assert iou(np.array(boxes), np.array(TARGET)).min() > 0.7


def test_a_frame_costs_no_more_than_is_allowed() -> None:
    """One call to look, with at most one row more a target, and one to learn: targets and at most `most` others each."""
    network = SeesBrightness()
    tracker = RPNTracker(network, RPNSettings(distractors=DistractorSettings(most=1)))
    frame = drawn(TARGET, TWIN, Box(150, 215, 40, 40))  # whatever is red or blue is a bit like green
    states = tracker.start(frame, [TARGET, TWIN])
    for _ in range(3):
        network.embedded.clear(), network.matched.clear()
        states, together = tracker.step(frame, states)
        assert len(network.embedded) == len(network.matched) == 1
        assert network.embedded[0] <= 4
        assert network.matched[0] <= 4
    assert states[0].memory.distractors is not None
    assert [prediction.box.center for prediction in together] == [pytest.approx(box.center, abs=1.5) for box in (TARGET, TWIN)]


def test_ranks_are_probabilities_of_the_difference_in_likeness() -> None:
    """Of two that are sure, the one that is less like the distractors is ahead by far; without any, nothing changes."""

    def probability(logit: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-logit))

    target, alike = np.array([6.0, 4.5, 3.0, np.nan]), np.array([4.5, 6.0, -2.0, 1.0])
    ranks = less_alike(probability(target), probability(alike), DistractorSettings(most=1, weight=1.0))
    assert np.allclose(ranks[:3], probability(np.array([1.5, -1.5, 3.0])))
    assert np.isnan(ranks[3])
    scores = np.linspace(0, 1, 11)
    assert np.array_equal(less_alike(scores, np.zeros(11), DistractorSettings()), scores)
    assert np.isfinite(less_alike(scores, np.ones(11), DistractorSettings(weight=10))).all()


def test_a_target_that_is_not_learnt_is_not_looked_at_again() -> None:
    network = SeesBrightness()
    tracker = RPNTracker(network, RPNSettings(distractors=DistractorSettings(most=2, learns_target=False)))
    states = tracker.start(drawn(TARGET), [TARGET])
    for others, count in ((), 0), ((TWIN,), 1):
        network.embedded.clear()
        states, _ = tracker.step(drawn(TARGET, *others), states)
        assert sum(network.embedded) == count
    assert np.array_equal(states[0].template, tracker.start(drawn(TARGET), [TARGET])[0].template)


def test_a_network_that_fails_in_one_frame_is_not_remembered() -> None:
    """Its kernels are no numbers there, and the tracker goes on as before."""

    class Fails(SeesBrightness):
        def embed(self, patches: np.ndarray) -> np.ndarray:
            found = super().embed(patches)
            return np.full_like(found, np.nan) if len(self.embedded) == 3 else found

    network = Fails()
    tracker = RPNTracker(network, RPNSettings(distractors=WARY))
    frame = drawn(TARGET, TWIN)
    states = tracker.start(frame, [TARGET])
    for _ in range(5):
        states, (prediction,) = tracker.step(frame, states)
        assert np.isfinite(prediction.score)
        assert prediction.box.center == pytest.approx(TARGET.center, abs=1.5)
    assert len(network.embedded) == 6
    assert states[0].memory.learnt_frames == 5
    assert np.isfinite(states[0].template).all()
    assert np.isfinite(states[0].memory.distractors).all()  # type: ignore[arg-type]


def test_several_targets_are_the_same_as_each_alone() -> None:
    tracker = RPNTracker(SeesBrightness(), RPNSettings(distractors=WARY))
    frames = [drawn(TARGET._replace(x=150 + 2 * n), TWIN._replace(x=205 + 3 * n)) for n in range(6)]
    states = tracker.start(frames[0], [TARGET, TWIN])
    alone = [tracker.start(frames[0], [box]) for box in (TARGET, TWIN)]
    for frame in frames[1:]:
        states, together = tracker.step(frame, states)
        for number, prediction in enumerate(together):
            alone[number], (single,) = tracker.step(frame, alone[number])
            assert single.box == pytest.approx(prediction.box, abs=1e-4)


def test_nothing_is_learnt_by_default() -> None:
    network = SeesBrightness()
    tracker = RPNTracker(network, RPNSettings())
    frame = drawn(TARGET, TWIN)
    states = tracker.start(frame, [TARGET])
    states, _ = tracker.step(frame, states)
    assert (network.embedded, network.matched) == ([1], [1])
    assert (states[0].memory.learnt_frames, states[0].memory.distractors) == (1, None)


def test_anchors_of_the_made_up_network() -> None:
    """What `proposed` says of a place is read as that place."""
    _, loc = proposed((30, -20, 50, 40))
    boxes = decode(loc.reshape(4, 5, 17, 17), anchor_grid(ANCHORS, 17))
    assert np.allclose(boxes.reshape(4, -1).T, (30, -20, 50, 40), atol=1e-3)


@pytest.mark.parametrize(
    ("name", "value"),
    [("most", -1), ("threshold", 1.5), ("overlap", -0.1), ("weight", 11.0), ("learning_rate", 0.5)],
)
def test_wrong_settings_are_refused(name: str, value: float) -> None:
    with pytest.raises(SettingsError, match=f"The setting {name} is {value}"):
        DistractorSettings(**{name: value})  # type: ignore[arg-type]
