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
* Proposals that are not finite: argmax picks the first NaN in the codes, and clipping turns its place into the upper left
  corner of the image and its size into 10 px. Here such proposals are left out; where no other is left, the target keeps its
  box, and its score in that frame is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from siamtrack.box import Box
from siamtrack.crop import Fill, context_side, cut_windows
from siamtrack.errors import SettingsError
from siamtrack.image import Image
from siamtrack.settings import check_limits
from siamtrack.trackers.anchors import AnchorSettings, anchor_grid, decode, map_shift
from siamtrack.trackers.first_frame import first_frame
from siamtrack.tracking import Maps, Network, Prediction, checked_image


@dataclass(frozen=True, kw_only=True)
class RPNSettings:
    """Settings of the procedure; the defaults are those of PySOT's siamrpn_r50_l234_dwxcorr.

    Raises:
        SettingsError: a value outside its range.
    """

    template_size: int = 127  # px
    search_size: int = 255  # px
    small_share: float = 0.0  # a target that covers less of the first frame is small; 0: none is
    small_search_size: int = 287  # px, for small targets
    context: float = 0.5  # margin around the target, share of w + h
    anchors: AnchorSettings = field(default_factory=AnchorSettings)
    penalty_k: float = 0.05  # how much a change of size and shape lowers the rank; 0: not at all
    window_influence: float = 0.42  # share of the cosine window in the rank
    lr: float = 0.38  # how far the size follows a proposal of score 1 and unchanged shape; 0: not at all, 1: at once
    min_size: float = 10.0  # width and height, image px

    def __post_init__(self) -> None:
        limits: dict[str, tuple[float, float]] = {
            "template_size": (16, 4096),
            "search_size": (self.template_size, 4096),
            "small_share": (0, 1),
            "small_search_size": (self.template_size, 4096),
            "context": (0, 4),
            "penalty_k": (0, 100),
            "window_influence": (0, 1),
            "lr": (0, 1),
            "min_size": (0.01, 4096),
        }
        check_limits(self, limits)


@dataclass(frozen=True, kw_only=True, eq=False)  # arrays have no one answer to "equal"
class RPNState:
    """All memory of one target."""

    template: NDArray[np.float32]  # (C, h, w)
    fill: Fill  # mean colour of the first frame
    center: tuple[float, float]  # x, y, image pixels
    size: tuple[float, float]  # w, h, image pixels
    search_size: int  # px, side of the patch that it is searched in

    @property
    def box(self) -> Box:
        """Where the target is."""
        return Box.from_center(*self.center, *self.size)


class Proposals(NamedTuple):
    """What a network says of N targets, K = A * R * R proposals each: anchor by anchor, row by row."""

    boxes: NDArray[np.float64]  # (N, 4, K): x and y of the centre relative to the centre of the search patch, w, h; patch px
    scores: NDArray[np.float64]  # (N, K): probability of the target, 0 to 1
    window: NDArray[np.float64]  # (K,): cosine window, 0 to 1


class RPNTracker:
    """Follows targets by the proposals of a Siamese region proposal network."""

    def __init__(self, network: Network, settings: RPNSettings | None = None) -> None:
        self.network = network
        self.settings = settings or RPNSettings()
        self._grids: dict[tuple[int, int], tuple[NDArray[np.float64], NDArray[np.float64]]] = {}

    def start(self, frame: Image, boxes: Sequence[Box]) -> list[RPNState]:
        """See `Tracker.start`."""
        if not boxes:
            return []
        s = self.settings
        image, boxes, fill, patches = first_frame(frame, boxes, s.context, s.template_size)
        small_area = s.small_share * image.shape[0] * image.shape[1]
        return [
            RPNState(
                template=template,
                fill=fill,
                center=box.center,
                size=(box.w, box.h),
                search_size=s.small_search_size if box.area < small_area else s.search_size,
            )
            for template, box in zip(self.network.embed(patches), boxes, strict=True)
        ]

    def step(self, frame: Image, states: Sequence[RPNState]) -> tuple[list[RPNState], list[Prediction]]:
        """See `Tracker.step`; one network call for each search size among the targets.

        Raises:
            ImageError: the frame is no picture.
            SettingsError: the network's maps are not those of the anchors in the settings.
        """
        if not states:
            return [], []
        frame = checked_image(frame)
        height, width = frame.shape[:2]
        moved: dict[int, tuple[RPNState, float]] = {}
        for search_size in sorted({state.search_size for state in states}):
            places = [place for place, state in enumerate(states) if state.search_size == search_size]
            members = [states[place] for place in places]
            maps = self.network.match(np.stack([state.template for state in members]), self.look(frame, members))
            moved |= zip(places, self.move(members, self.proposals(maps, search_size), width, height), strict=True)
        predictions = [Prediction(box=moved[place][0].box, score=moved[place][1]) for place in range(len(states))]
        return [moved[place][0] for place in range(len(states))], predictions

    def look(self, frame: Image, states: Sequence[RPNState]) -> NDArray[np.uint8]:
        """The search patches of targets of one search size X, (N, 1, X, X, 3)."""
        size = states[0].search_size
        sides = np.array([[self._px(state) * size] for state in states])
        return cut_windows(frame, [state.center for state in states], sides, size, [state.fill for state in states])

    def proposals(self, maps: Maps, search_size: int) -> Proposals:
        """What the maps say; more maps may follow cls and loc.

        Raises:
            SettingsError: the maps are not those of the anchors in the settings.
        """
        count, cells = self.settings.anchors.count, maps[0].shape[-1]
        targets = maps[0].shape[0]
        expected = [(targets, 1, channels * count, cells, cells) for channels in (2, 4)]
        if [values.shape for values in maps[:2]] != expected:
            found = ", ".join(str(values.shape) for values in maps)
            raise SettingsError(
                f"The network gave maps of {found}; the {count} anchors in the settings need (N, 1, {2 * count}, R, R) and "
                f"(N, 1, {4 * count}, R, R). Set anchors.ratios and anchors.scales to those that the network was trained with."
            )
        grid, window = self._grid(cells, search_size)
        classes = np.asarray(maps[0], np.float64).reshape(targets, 2, -1)
        boxes = decode(maps[1].reshape(targets, 4, count, cells, cells), grid).reshape(targets, 4, -1)
        with np.errstate(over="ignore", invalid="ignore"):
            scores = 1 / (1 + np.exp(classes[:, 0] - classes[:, 1]))  # softmax of two
        return Proposals(boxes, scores, window)

    def move(self, states: Sequence[RPNState], proposals: Proposals, width: int, height: int) -> list[tuple[RPNState, float]]:
        """The states after one frame, from the network's answer alone.

        Args:
            states: N, before the frame.
            proposals: for them.
            width: of the frame, pixels.
            height: of the frame, pixels.

        Returns:
            For each target the new state, and the score of the proposal that it was moved to, without penalty and window; NaN
            where no proposal is finite, and the target was left where it was.
        """
        s = self.settings
        sizes = np.array([state.size for state in states])
        with np.errstate(all="ignore"):  # what is not finite is left out below
            weighted = self._penalties(proposals.boxes, sizes) * proposals.scores
            ranks = weighted * (1 - s.window_influence) + proposals.window * s.window_influence
        usable = np.isfinite(ranks) & np.isfinite(proposals.boxes).all(1)
        best = np.where(usable, ranks, -np.inf).argmax(1)
        moved = []
        for target, (state, choice) in enumerate(zip(states, best.tolist(), strict=True)):
            if not usable[target, choice]:
                moved.append((state, float("nan")))
                continue
            x, y, w, h = (proposals.boxes[target, :, choice] * self._px(state)).tolist()
            rate = s.lr * float(weighted[target, choice])
            center = _limited(state.center[0] + x, 0, width), _limited(state.center[1] + y, 0, height)
            size = (
                _limited((1 - rate) * state.size[0] + rate * w, s.min_size, width),
                _limited((1 - rate) * state.size[1] + rate * h, s.min_size, height),
            )
            moved.append((replace(state, center=center, size=size), float(proposals.scores[target, choice])))
        return moved

    def _px(self, state: RPNState) -> float:
        """Image pixels per patch pixel."""
        return context_side(*state.size, self.settings.context) / self.settings.template_size

    def _penalties(self, boxes: NDArray[np.float64], sizes: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, K), in (0, 1]: 1 for a proposal as large as the target and of its shape; boxes (N, 4, K), sizes (N, 2)."""
        s = self.settings
        w, h = boxes[:, 2], boxes[:, 3]
        margin = s.context * (w + h)
        # in the patch, the target with its context is as large as the template
        larger = np.sqrt((w + margin) * (h + margin)) / s.template_size
        wider = (sizes[:, 0] / sizes[:, 1])[:, None] * h / w
        change = np.maximum(larger, 1 / larger) * np.maximum(wider, 1 / wider)
        return np.asarray(np.exp(-s.penalty_k * (change - 1)))

    def _grid(self, cells: int, search_size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Anchors (4, A, R, R) relative to the centre of the patch, and the window (K,)."""
        if (cells, search_size) not in self._grids:
            s = self.settings
            grid = anchor_grid(s.anchors, cells, middle=map_shift(search_size, s.template_size, s.anchors.stride))
            window = np.tile(np.outer(np.hanning(cells), np.hanning(cells)).ravel(), s.anchors.count)
            self._grids[cells, search_size] = grid, window
        return self._grids[cells, search_size]


def _limited(value: float, low: float, high: float) -> float:
    """Not above `high`, and then not below `low`, where a frame is smaller than that."""
    return max(low, min(value, high))


SETTINGS = RPNSettings
TRACKER = RPNTracker

PRESETS = {
    # STVIR/pysot, experiments/*/config.yaml
    "siamrpn_r50_l234_dwxcorr": {"penalty_k": 0.05, "window_influence": 0.42, "lr": 0.38},
    "siamrpn_r50_l234_dwxcorr_8gpu": {"penalty_k": 0.04, "window_influence": 0.44, "lr": 0.33},
    "siamrpn_r50_l234_dwxcorr_16gpu": {"penalty_k": 0.01, "window_influence": 0.40, "lr": 0.38},
    "siamrpn_r50_l234_dwxcorr_otb": {"penalty_k": 0.24, "window_influence": 0.50, "lr": 0.25},
    "siamrpn_r50_l234_dwxcorr_otb_8gpu": {"penalty_k": 0.24, "window_influence": 0.50, "lr": 0.25},
    "siamrpn_mobilev2_l234_dwxcorr": {"penalty_k": 0.04, "window_influence": 0.40, "lr": 0.50},
    "siamrpn_alex_dwxcorr": {"search_size": 287, "penalty_k": 0.16, "window_influence": 0.40, "lr": 0.30},
    "siamrpn_alex_dwxcorr_16gpu": {"search_size": 287, "penalty_k": 0.16, "window_influence": 0.40, "lr": 0.30},
    "siamrpn_alex_dwxcorr_otb": {"search_size": 287, "penalty_k": 0.16, "window_influence": 0.40, "lr": 0.30},
    # foolwood/DaSiamRPN, code/net.py and code/run_SiamRPN.py
    "SiamRPNBIG": {"search_size": 271, "small_share": 0.004, "penalty_k": 0.055, "window_influence": 0.42, "lr": 0.295},
    "SiamRPNvot": {"search_size": 271, "penalty_k": 0.04, "window_influence": 0.44, "lr": 0.45},
    "SiamRPNotb": {"search_size": 271, "penalty_k": 0.22, "window_influence": 0.40, "lr": 0.30},
}
"""Published settings of short-term trackers, by the names of their configurations and networks there."""
