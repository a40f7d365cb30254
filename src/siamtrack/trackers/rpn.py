"""The tracking procedure of the SiamRPN family: the best of many proposals, ranked by score, change of shape, and distance.

For networks with the maps cls (N, S, 2A, R, R), as (2, A): not the target, the target; and loc (N, S, 4A, R, R), as (4, A): dx,
dy, dw, dh of each anchor (see `siamtrack.trackers.anchors`).

Papers: Li, Yan, Wu, Zhu, Hu, "High Performance Visual Tracking with Siamese Region Proposal Network", CVPR 2018, sec. 4.3; Zhu,
Wang, Li, Wu, Yan, Hu, "Distractor-aware Siamese Networks for Visual Object Tracking", ECCV 2018; Li, Wu, Wang, Zhang, Xing,
Yan, "SiamRPN++: Evolution of Siamese Visual Tracking with Very Deep Networks", CVPR 2019.

Differences between the papers, the official codes (STVIR/pysot, foolwood/DaSiamRPN) and this code:
* Choice: the paper first throws away proposals far from the centre, and ends with non-maximum suppression; the codes, and this
  one, have the cosine window alone, and take the best proposal as it is.
* Coordinates: the codes keep the index of the pixel in the middle, x + (w - 1) / 2, but PySOT prints x as centre - w / 2: its
  boxes lie half a pixel further up and left than the box it was given. A centre here is theirs + 0.5, and so is a box.
* Windows: integer positions and sizes in the codes, with a middle that lies 0.5 to 1.5 image pixels up and left of the
  target's, while PySOT's training patches have it there; sub-pixel and in the middle here, for template and search alike.
* Anchors: see `siamtrack.trackers.anchors`. Cells are counted in the maps here, so that there is no setting BASE_SIZE.
* Window of weights: `numpy.hanning` in x and y, highest 1, the same for all anchors; not summing to 1 as SiamFC's does.
* Position: not smoothed, and kept between 0 and the image's width and height, in each code's own coordinates.
* Size: never below 10 px, so that a target that was smaller becomes that at its first step, and never above the image's.
* Search size: DaSiamRPN's largest network looks further around small targets, 287 px in place of 271 px where the target
  covers less than 0.4 % of the first frame. `small_share` and `small_search_size` say so, for each target by itself.
* Penalty: the codes measure sizes with a context of 0.5 whatever the setting says; here it is that of the setting.
* Rank: `distractors` may change it, by likeness or by place; by default it does not.
* Proposals that are not finite: argmax picks the first NaN in the codes, and clipping turns its place into the upper left
  corner of the image and its size into 10 px. Here such proposals are left out; where no other is left, the target keeps its
  box, and its score in that frame is NaN.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from siamtrack.box import Box
from siamtrack.crop import Fill, context_side, cut, cut_windows
from siamtrack.errors import SettingsError
from siamtrack.image import Image
from siamtrack.trackers.colours import Colours
from siamtrack.trackers.distractors import Memory, distractors_among, less_alike
from siamtrack.trackers.first_frame import first_frame
from siamtrack.trackers.long_term import is_whole
from siamtrack.trackers.mask import NO_PART, Part, placed, windows_around, with_masks
from siamtrack.trackers.places import Courses
from siamtrack.trackers.proposals import Proposals, Proposer, penalties
from siamtrack.trackers.rpn_settings import PUBLISHED, RPNSettings
from siamtrack.tracking import Maps, MaskNetwork, Network, Prediction, checked_image


@dataclass(frozen=True, kw_only=True, eq=False)  # arrays have no one answer to "equal"
class RPNState:
    """All memory of one target."""

    template: NDArray[np.float32]  # (C, h, w); of the first frame, or a mean over the frames, see `distractors`
    fill: Fill  # mean colour of the first frame
    center: tuple[float, float]  # x, y, image pixels
    size: tuple[float, float]  # w, h, image pixels
    search_size: int  # px, side of the patch that it is searched in while it is not lost
    frames_lost: int = 0  # since it was lost; 0: it is not
    whole: tuple[float, float] | None = None  # w, h when it was last surely seen, all of it; None: never, or not remembered
    memory: Memory = field(default_factory=Memory)
    courses: Courses | None = None  # of the target and its distractors; None: none are followed
    colours: Colours | None = None  # the same

    @property
    def box(self) -> Box:
        """Where the target is."""
        return Box.from_center(*self.center, *self.size)


class Choice(NamedTuple):
    """Which of its proposals a target is."""

    proposal: int  # -1: none is finite
    score: float  # of the network, without penalty and window; NaN: no proposal is finite
    rate: float  # by which the size follows it, 0 to 1


class Look(NamedTuple):
    """What a network says of N targets in search patches of one size."""

    found: Proposals
    alike: NDArray[np.float64]  # (N, K), how like the distractors each proposal is; 0 where there are none
    maps: Maps  # (N, 1, ...) each
    middles: list[tuple[float, float]]  # of the N patches, image pixels


class Spot(NamedTuple):
    """A place whose mask is wanted."""

    target: int
    center: tuple[float, float]  # of the patch that the mask is of, image pixels
    side: float  # of that patch, image pixels
    windows: list[NDArray[np.float32]]  # what the network needs for it


class RPNTracker:
    """Follows targets by the proposals of a Siamese region proposal network.

    Raises:
        SettingsError: masks are wanted of a network that gives none.
    """

    def __init__(self, network: Network, settings: RPNSettings | None = None) -> None:
        self.network = network
        self.settings = settings or RPNSettings()
        if self.settings.mask.threshold and not hasattr(network, "masks"):
            raise SettingsError(
                f"The setting mask.threshold is {self.settings.mask.threshold:g}, but this model gives boxes alone; leave it "
                "at 0, or take a model that gives masks, such as siammask-small."
            )
        self._proposer = Proposer(self.settings.anchors, self.settings.template_size)

    @property
    def gives_masks(self) -> bool:
        """Whether predictions have masks."""
        return bool(self.settings.mask.threshold)

    def start(self, frame: Image, boxes: Sequence[Box]) -> list[RPNState]:
        """See `Tracker.start`."""
        if not boxes:
            return []
        s = self.settings
        image, boxes, fill, patches = first_frame(frame, boxes, s.context, s.template_size)
        height, width = image.shape[:2]
        small_area = s.small_share * height * width
        return [
            RPNState(
                template=template,
                fill=fill,
                center=box.center,
                size=(box.w, box.h),
                search_size=s.small_search_size if box.area < small_area else s.search_size,
                whole=self._whole(box.center, (box.w, box.h), width, height),
                courses=Courses.begun(box.center) if s.distractors.follows else None,
                colours=Colours.begun(image, box) if s.distractors.colours else None,
            )
            for template, box in zip(self.network.embed(patches), boxes, strict=True)
        ]

    def step(self, frame: Image, states: Sequence[RPNState]) -> tuple[list[RPNState], list[Prediction]]:
        """See `Tracker.step`; one network call for each size of search patches among the targets, another one for what is
        learnt with `distractors.most`, and one for all masks.

        Raises:
            ImageError: the frame is no picture.
            SettingsError: the network's maps are not those of the anchors in the settings.
        """
        if not states:
            return [], []
        frame = checked_image(frame)
        moved: list[RPNState] = list(states)
        scores: list[float] = [0.0] * len(states)
        seen: list[tuple[int, list[Box]]] = []  # of targets that learn: their place, and their distractors
        spots: list[Spot] = []
        sizes = [self._searched(state) for state in states]
        for size in sorted(set(sizes)):
            places = [place for place, searched in enumerate(sizes) if searched == size]
            members = [states[place] for place in places]
            look = self._look(frame, members, size)
            choices = self._choose(members, look, frame)
            for row, (place, choice) in enumerate(zip(places, choices, strict=True)):
                moved[place], scores[place] = self._moved(states[place], look, row, choice, frame), choice.score
                others = self._others(states[place], moved[place], look, row, choice, frame)
                moved[place] = self._followed(states[place], moved[place], others)
                if moved[place].colours and not moved[place].frames_lost and choice.score > self.settings.distractors.threshold:
                    moved[place] = self._coloured(moved[place], others, frame)
                if self._learns(moved[place], choice):
                    seen.append((place, others[: self.settings.distractors.most]))
            if self.gives_masks:
                spots += self._spots(members, choices, look, places, size)
        if seen:
            self._learn(frame, moved, seen)
        decides = bool(self.settings.long_term.search_size)
        predictions = [
            Prediction(box=state.box, score=score, lost=bool(state.frames_lost) if decides else None)
            for state, score in zip(moved, scores, strict=True)
        ]
        if self.gives_masks:
            predictions = with_masks(predictions, self._parts(frame, len(states), spots), frame, self.settings.mask)
        return moved, predictions

    def _look(self, frame: Image, states: Sequence[RPNState], size: int) -> Look:
        """What there is in search patches of that size."""
        sides = np.array([[self._px(state) * size] for state in states])
        middles = [self._middle(state, float(side), frame) for state, (side,) in zip(states, sides, strict=True)]
        patches = cut_windows(frame, middles, sides, size, [state.fill for state in states])
        wary = [row for row, state in enumerate(states) if state.memory.distractors is not None]
        templates = [state.template for state in states] + [states[row].memory.distractors for row in wary]
        maps = self.network.match(np.stack(templates), np.concatenate([patches, patches[wary]]))  # type: ignore[arg-type]
        every = self._proposer.proposals(maps, size)
        found = Proposals(every.boxes[: len(states)], every.scores[: len(states)], every.window)
        alike = np.zeros_like(found.scores)
        alike[wary] = every.scores[len(states) :]
        return Look(found, alike, tuple(values[: len(states)] for values in maps), middles)

    def _choose(self, states: Sequence[RPNState], look: Look, frame: Image) -> list[Choice]:
        """The proposal of the highest rank, for each target."""
        s, found = self.settings, look.found
        sizes = np.array([state.size for state in states])
        influences = [s.long_term.window_influence if state.frames_lost else s.window_influence for state in states]
        share = np.array(influences)[:, None]
        with np.errstate(all="ignore"):  # what is not finite is left out below
            change = penalties(found.boxes, sizes, penalty_k=s.penalty_k, context=s.context, template_size=s.template_size)
            # as the image has them: what is finite in the patch may not be so there
            placed = found.boxes * np.array([self._px(state) for state in states])[:, None, None]
            placed[:, :2] += np.array(look.middles)[:, :, None]
            likely = change * less_alike(found.scores, look.alike, s.distractors)
            for row, state in enumerate(states):
                if state.colours:
                    likely[row] *= state.colours.factors(frame, placed[row])
            ranks = likely * (1 - share) + found.window * share
            for row, state in enumerate(states):
                if state.courses and state.courses.others:
                    ranks[row] *= state.courses.shares(placed[row, :2], _side(state))
            usable = np.isfinite(ranks) & np.isfinite(change) & np.isfinite(placed).all(1) & (placed[:, 2:] > 0).all(1)
        best = np.where(usable, ranks, -np.inf).argmax(1).tolist()
        return [
            Choice(choice, float(found.scores[row, choice]), s.lr * float(change[row, choice] * found.scores[row, choice]))
            if usable[row, choice]
            else Choice(-1, float("nan"), 0.0)
            for row, choice in enumerate(best)
        ]

    def _moved(self, state: RPNState, look: Look, row: int, choice: Choice, frame: Image) -> RPNState:
        """The state of the target in that row after a frame, but for what is learnt of it."""
        s = self.settings
        height, width = frame.shape[:2]
        lost = s.long_term.frames_lost(state.frames_lost, choice.score)
        if choice.proposal < 0 or s.long_term.keeps_box(choice.score):
            size = state.size
            if state.whole and not is_whole(state.center, size, width, height):  # the border has cut it off
                size = _limited(state.whole[0], s.min_size, width), _limited(state.whole[1], s.min_size, height)
            return replace(state, size=size, frames_lost=lost)
        x, y, w, h = (look.found.boxes[row, :, choice.proposal] * self._px(state)).tolist()
        center = _limited(look.middles[row][0] + x, 0, width), _limited(look.middles[row][1] + y, 0, height)
        size = (
            _limited((1 - choice.rate) * state.size[0] + choice.rate * w, s.min_size, width),
            _limited((1 - choice.rate) * state.size[1] + choice.rate * h, s.min_size, height),
        )
        whole = self._whole(center, size, width, height) if choice.score > s.long_term.high else None
        return replace(state, center=center, size=size, frames_lost=lost, whole=whole or state.whole)

    def _whole(
        self, center: tuple[float, float], size: tuple[float, float], width: int, height: int
    ) -> tuple[float, float] | None:
        """The size, if it is to be remembered and nothing of the target is cut off."""
        remembered = self.settings.long_term.remembers_size and is_whole(center, size, width, height)
        return size if remembered else None

    def _others(self, state: RPNState, moved: RPNState, look: Look, row: int, choice: Choice, frame: Image) -> list[Box]:
        """The distractors of a target in that row, the best first; none where nothing is done with them."""
        s = self.settings.distractors
        if choice.proposal < 0 or moved.frames_lost or not (s.follows or s.colours or self._learns(moved, choice)):
            return []
        proposals = distractors_among(look.found.boxes[row], look.found.scores[row], choice.proposal, s)
        return [self._in_image(state, look.found.boxes[row, :, one], look.middles[row], frame) for one in proposals]

    def _followed(self, before: RPNState, state: RPNState, others: Sequence[Box]) -> RPNState:
        """The state after its move with the courses of target and distractors; those of one that is or was lost begin anew."""
        if state.courses is None:
            return state
        if before.frames_lost or state.frames_lost:  # how it came to where it is found says nothing of its velocity
            return replace(state, courses=Courses.begun(state.center))
        follows = self.settings.distractors.follows
        centers = [np.array(box.center) for box in others[:follows]]
        return replace(state, courses=state.courses.moved(np.array(state.center), centers, _side(state), 2 * follows))

    def _coloured(self, state: RPNState, others: Sequence[Box], frame: Image) -> RPNState:
        """The state with the colours of target and distractors learnt."""
        most = self.settings.distractors.colours
        return replace(state, colours=state.colours and state.colours.learnt(frame, state.box, others[:most]))

    def _learns(self, state: RPNState, choice: Choice) -> bool:
        s = self.settings.distractors
        return bool(s.most) and not state.frames_lost and choice.score > s.threshold

    def _learn(self, frame: Image, states: list[RPNState], seen: Sequence[tuple[int, Sequence[Box]]]) -> None:
        """Puts kernels of targets, after their move, and of their distractors into the states; in one call for all."""
        s = self.settings
        own = s.distractors.learns_target
        seen = [(place, others) for place, others in seen if own or others]
        if not seen:
            return
        shown = [
            (states[place].fill, box) for place, others in seen for box in ((states[place].box,) if own else ()) + tuple(others)
        ]
        patches = [cut(frame, box.center, context_side(box.w, box.h, s.context), s.template_size, fill) for fill, box in shown]
        kernels = iter(self.network.embed(np.stack(patches)))
        for place, others in seen:
            state, target = states[place], next(kernels) if own else None
            distractors = np.array([next(kernels) for _ in others])
            template, memory = state.memory.learnt(state.template, target, distractors, s.distractors)
            states[place] = replace(state, template=template, memory=memory)

    def _spots(
        self, states: Sequence[RPNState], choices: Sequence[Choice], look: Look, places: Sequence[int], size: int
    ) -> Iterator[Spot]:
        """Where masks are to be made, of the targets that are somewhere."""
        cells, as_published = look.maps[0].shape[-1], self.settings.mask.as_published
        windows = self.settings.mask.windows
        _, _, correlation, *layers = (values[:, 0] for values in look.maps)
        for number, (state, choice) in enumerate(zip(states, choices, strict=True)):
            if choice.proposal < 0 or self.settings.long_term.keeps_box(choice.score):
                continue
            row, column = divmod(choice.proposal % cells**2, cells)
            px = round(self._px(state) * size) / size if as_published else self._px(state)
            x, y = (self._proposer.place(cell, cells, size) * px for cell in (column, row))
            yield Spot(
                places[number],
                (look.middles[number][0] + x, look.middles[number][1] + y),
                self.settings.template_size * px,
                windows_around(correlation[number], [layer[number] for layer in layers], row, column, windows=windows),
            )

    def _parts(self, frame: Image, targets: int, spots: Sequence[Spot]) -> list[Part]:
        """The mask of every target, from one call for all of them."""
        parts = [NO_PART] * targets
        if spots:
            inputs = (np.stack(windows) for windows in zip(*(spot.windows for spot in spots), strict=True))
            height, width = frame.shape[:2]
            for spot, mask in zip(spots, cast(MaskNetwork, self.network).masks(*inputs), strict=True):
                as_published = self.settings.mask.as_published
                parts[spot.target] = placed(mask, spot.center, spot.side, width, height, as_published=as_published)
        return parts

    def _searched(self, state: RPNState) -> int:
        return self.settings.long_term.searched(state.search_size, state.frames_lost)

    def _middle(self, state: RPNState, side: float, frame: Image) -> tuple[float, float]:
        """Middle of the window of that side in which a target is looked for, image pixels."""
        height, width = frame.shape[:2]
        return self.settings.long_term.middle(state.center, side, width, height) if state.frames_lost else state.center

    def _in_image(self, state: RPNState, box: NDArray[np.float64], middle: tuple[float, float], frame: Image) -> Box:
        """A proposal, in the limits that targets have."""
        height, width = frame.shape[:2]
        x, y, w, h = (box * self._px(state)).tolist()
        center = _limited(middle[0] + x, 0, width), _limited(middle[1] + y, 0, height)
        return Box.from_center(*center, _limited(w, self.settings.min_size, width), _limited(h, self.settings.min_size, height))

    def _px(self, state: RPNState) -> float:
        """Image pixels per patch pixel."""
        return context_side(*state.size, self.settings.context) / self.settings.template_size


def _side(state: RPNState) -> float:
    """Of a square as large as the target, image pixels."""
    return float(np.sqrt(state.size[0] * state.size[1]))


def _limited(value: float, low: float, high: float) -> float:
    """Not above `high`, and then not below `low`, where a frame is smaller than that."""
    return max(low, min(value, high))


SETTINGS = RPNSettings
PRESETS = PUBLISHED
OF_THE_NETWORK = ("template_size", "anchors.stride", "mask.strides", "mask.sides", "mask.pads")
TRACKER = RPNTracker
