"""The tracking procedure of SiamFC (Bertinetto et al. 2016, sec. 3.4 and 4.3): a pyramid of scales and a cosine window.

Differences between paper, official code (bertinetto/siamese-fc), huanglianghua/siamfc-pytorch and this code:
* Windows: integer positions and sizes in both codes; sub-pixel here.
* Peak: the first highest cell of the 272 x 272 map in both codes. The centre of that map lies between its two middle
  cells, so a target that stands still is found a quarter of a patch pixel to the upper left in every frame: the drift
  that Bertinetto's users and the thesis (figures 12 and 15) see. Here the peak is the top of the parabola through the
  highest cell and its neighbours; `subpixel_peak = False` gives the codes' answer.
* Rest: where the response of a target peaks depends on its texture and its place within the stride, too, by some tenths of
  a cell (see `siamtrack.trackers.rest`). Here the peaks that a target gives in its own first frame are what it is measured
  from, so that a target that stands still stays where it was put, exactly, and one that moves has half the error;
  `still_reference = False` leaves that out, as the codes do.
* Size: the best of the scales in both codes, and here by default; `scale_fit = True` reads it between scales that lie further
  apart (see `siamtrack.trackers.size`), at the place that the middle scale gives.
* Position: the centre stays inside the frame here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from siamtrack.box import Box, check_box
from siamtrack.crop import Fill, context_side, cut, cut_windows, mean_colour
from siamtrack.errors import SettingsError
from siamtrack.image import Image
from siamtrack.settings import check_limits
from siamtrack.trackers.rest import SHIFTS, STRIDE_PX, UNMEASURED, Rest
from siamtrack.trackers.size import UNFITTED, SizeFit
from siamtrack.tracking import Network, Prediction, checked_image


@dataclass(frozen=True, kw_only=True)
class SiamFCSettings:
    """Settings of the procedure; the defaults are those of SiamFC-3s in the official code.

    Raises:
        SettingsError: a value outside its range.
    """

    template_size: int = 127  # px, sec. 4.2
    search_size: int = 255  # px, sec. 4.2
    context: float = 0.5  # margin around the target, share of w + h; sec. 3.4
    scales: int = 3  # odd; sec. 4.3 and official code
    scale_step: float = 1.0375  # factor between two scales
    scale_penalty: float = 0.9745  # on the response of every scale but the middle one
    scale_damping: float = 0.59  # 1: the size follows at once, 0: never
    window_influence: float = 0.176  # share of the cosine window in the final map
    upsampling: int = 16  # of the response, bicubic; sec. 4.3
    min_scale: float = 0.2  # of the target, relative to the first frame
    max_scale: float = 5.0
    subpixel_peak: bool = True  # see the module
    still_reference: bool = True  # see the module
    scale_fit: bool = False  # see the module; scale_penalty has no meaning then

    def __post_init__(self) -> None:
        limits: dict[str, tuple[float, float]] = {
            "template_size": (16, 4096),
            "search_size": (self.template_size, 4096),
            "context": (0, 4),
            "scales": (1, 99),
            "scale_step": (1.0001, 2),
            "scale_penalty": (0, 1),
            "scale_damping": (0, 1),
            "window_influence": (0, 1),
            "upsampling": (1, 64),
            "min_scale": (0.01, 1),
            "max_scale": (1, 100),
        }
        check_limits(self, limits)
        if self.scales % 2 == 0:
            raise SettingsError(f"The setting scales is {self.scales}; expected an odd number: 1, 3, 5, ...")
        if self.scale_fit and self.scales < 3:
            raise SettingsError("The setting scale_fit needs three scales or more, and scales is 1; leave one of them out.")

    @property
    def scale_factors(self) -> NDArray[np.float64]:
        """(scales,), ascending, 1 in the middle."""
        return np.asarray(self.scale_step ** (np.arange(self.scales) - self.scales // 2), np.float64)


PRESETS = {
    "siamfc": {},
    "siamfc-5s": {
        "scales": 5,
        "scale_step": 1.0255,
        "scale_penalty": 0.962,
        "scale_damping": 0.34,
        "window_influence": 0.168,
    },
    "siamfc-1s": {"scales": 1},
}
"""Published settings by name: SiamFC-3s and SiamFC (5 scales) of the paper, and the single scale of the thesis, for
targets whose size does not change."""


@dataclass(frozen=True, kw_only=True, eq=False)  # arrays have no one answer to "equal"
class SiamFCState:
    """All memory of one target."""

    template: NDArray[np.float32]  # (C, h, w)
    fill: Fill  # mean colour of the first frame
    center: tuple[float, float]  # x, y, image pixels
    size: tuple[float, float]  # w, h, image pixels
    rest: Rest = UNMEASURED  # how far beside the target its response peaks
    size_fit: SizeFit = UNFITTED  # how its response depends on the scale
    scale: float = 1.0  # size relative to the first frame

    @property
    def box(self) -> Box:
        """Where the target is."""
        return Box.from_center(*self.center, *self.size)


class SiamFCTracker:
    """Follows targets by the response of a fully-convolutional Siamese network."""

    def __init__(self, network: Network, settings: SiamFCSettings | None = None) -> None:
        self.network = network
        self.settings = settings or SiamFCSettings()
        self._windows: dict[int, NDArray[np.float32]] = {}

    def start(self, frame: Image, boxes: Sequence[Box]) -> list[SiamFCState]:
        """See `Tracker.start`."""
        if not boxes:
            return []
        frame = checked_image(frame)
        height, width = frame.shape[:2]
        boxes = [check_box(Box(*box), width, height) for box in boxes]
        fill = mean_colour(frame)
        s = self.settings
        patches = [cut(frame, box.center, context_side(box.w, box.h, s.context), s.template_size, fill) for box in boxes]
        templates = self.network.embed(np.stack(patches))
        states = [
            SiamFCState(template=template, fill=fill, center=box.center, size=(box.w, box.h))
            for template, box in zip(templates, boxes, strict=True)
        ]
        if s.still_reference:
            states = self._at_rest(frame, states)
        return self._at_size(frame, states) if s.scale_fit else states

    def _at_rest(self, frame: Image, states: Sequence[SiamFCState]) -> list[SiamFCState]:
        """The states with the peaks that each target gives in its own first frame."""
        s = self.settings
        centers, sides, fills = [], [], []
        for state in states:
            side = self.search_side(state)
            px = side / s.search_size
            centers += [(state.center[0] - px * x, state.center[1] - px * y) for x, y in SHIFTS]
            sides += [side] * len(SHIFTS)
            fills += [state.fill] * len(SHIFTS)
        windows = cut_windows(frame, centers, np.array(sides)[:, None], s.search_size, fills)
        responses = self._match(windows.reshape(len(states), len(SHIFTS), *windows.shape[2:]), states)
        peaks = [
            [self._shift_in_patch(upsampled, response.shape[-1]) for upsampled in _upsampled(response, s.upsampling)]
            for response in responses
        ]
        return [replace(state, rest=Rest.measured(found)) for state, found in zip(states, peaks, strict=True)]

    def _at_size(self, frame: Image, states: Sequence[SiamFCState]) -> list[SiamFCState]:
        """The states with how the response of each target depends on the scale in its own first frame."""
        fitted = []
        for state, response in zip(states, self._match(self.look(frame, states), states), strict=True):
            maps = _upsampled(response, self.settings.upsampling)
            place = self._shift_in_patch(maps[len(maps) // 2], response.shape[-1])
            fitted.append(replace(state, size_fit=SizeFit.measured(self._highest_at(place, maps, response.shape[-1]))))
        return fitted

    def step(self, frame: Image, states: Sequence[SiamFCState]) -> tuple[list[SiamFCState], list[Prediction]]:
        """See `Tracker.step`."""
        if not states:
            return [], []
        frame = checked_image(frame)
        return self.decide(frame, states, self._match(self.look(frame, states), states))

    def look(self, frame: Image, states: Sequence[SiamFCState]) -> NDArray[np.uint8]:
        """The search patches of all targets at all scales, (N, scales, 255, 255, 3)."""
        return self._cut(frame, states, self.settings.scale_factors)

    def decide(
        self, frame: Image, states: Sequence[SiamFCState], responses: NDArray[np.float32]
    ) -> tuple[list[SiamFCState], list[Prediction]]:
        """States and predictions from the network's responses, (N, scales, R, R)."""
        height, width = frame.shape[:2]
        moved = [self.move(state, response, width, height) for state, response in zip(states, responses, strict=True)]
        predictions = [Prediction(box=state.box, score=score) for state, score in moved]
        return [state for state, _ in moved], predictions

    def _cut(self, frame: Image, states: Sequence[SiamFCState], factors: NDArray[np.float64]) -> NDArray[np.uint8]:
        sides = np.stack([self.search_side(state) * factors for state in states])
        centers, fills = [state.center for state in states], [state.fill for state in states]
        return cut_windows(frame, centers, sides, self.settings.search_size, fills)

    def _match(self, patches: NDArray[np.uint8], states: Sequence[SiamFCState]) -> NDArray[np.float32]:
        return self.network.match(np.stack([state.template for state in states]), patches)

    def search_side(self, state: SiamFCState) -> float:
        """Side in image pixels of the window searched at the middle scale."""
        s = self.settings
        return context_side(*state.size, s.context) * s.search_size / s.template_size

    def move(self, state: SiamFCState, response: NDArray[np.float32], width: int, height: int) -> tuple[SiamFCState, float]:
        """The state after one frame, from the network's answer alone.

        Args:
            state: before the frame.
            response: (scales, R, R), from the smallest window to the largest.
            width: of the frame, pixels.
            height: of the frame, pixels.

        Returns:
            The new state, and the highest raw response.
        """
        s = self.settings
        maps, cells = _upsampled(response, s.upsampling), response.shape[-1]
        peaks = [float(m.max()) for m in maps]
        chosen = s.scales // 2
        if not s.scale_fit:
            chosen = int(np.argmax([self._penalised(peak, scale) for scale, peak in enumerate(peaks)]))
        place = self._shift_in_patch(maps[chosen], cells)
        factor = float(s.scale_factors[chosen])
        side_per_px = self.search_side(state) * factor / s.search_size
        if s.scale_fit:
            factor = s.scale_step ** state.size_fit.steps(self._highest_at(place, maps, cells))
        x, y = state.rest.place(place)
        cx = min(max(state.center[0] + x * side_per_px, 0.0), float(width))
        cy = min(max(state.center[1] + y * side_per_px, 0.0), float(height))
        damped = 1 - s.scale_damping + s.scale_damping * factor
        scale = min(max(state.scale * damped, s.min_scale), s.max_scale)
        change = scale / state.scale
        size = state.size[0] * change, state.size[1] * change
        return replace(state, center=(cx, cy), size=size, scale=scale), peaks[chosen]

    def _highest_at(
        self, place: tuple[float, float], maps: Sequence[NDArray[np.float32]], cells: int
    ) -> tuple[float, float, float]:
        """The highest responses within a stride of a place in the patch of the middle scale, at the three scales around it."""
        s = self.settings
        step, to_center = STRIDE_PX / s.upsampling, self._map_to_center(cells)
        first = s.scales // 2 - 1
        found = []
        for upsampled, factor in zip(maps[first : first + 3], s.scale_factors[first : first + 3], strict=True):
            middle = (len(upsampled) - 1) / 2
            column, row = ((at / factor - to_center) / step + middle for at in place)
            rows, columns = (slice(max(0, int(at - s.upsampling)), max(1, int(at + s.upsampling) + 2)) for at in (row, column))
            near = upsampled[rows, columns]
            found.append(float(near.max()) if near.size else float(upsampled.min()))
        return found[0], found[1], found[2]

    def _penalised(self, peak: float, scale: int) -> float:
        if scale == self.settings.scales // 2:
            return peak
        # multiplied as published; where a response is negative that would be a reward
        return peak * self.settings.scale_penalty if peak > 0 else peak / max(self.settings.scale_penalty, 1e-12)

    def _shift_in_patch(self, response: NDArray[np.float32], cells: int) -> tuple[float, float]:
        """Where the peak of the windowed map lies, relative to the centre of the patch, patch pixels."""
        s = self.settings
        response = response - response.min()
        response *= (1 - s.window_influence) / max(float(response.sum()), 1e-12)
        response += s.window_influence * self._window(response.shape[0])
        row, column = divmod(int(response.argmax()), response.shape[1])
        x, y = float(column), float(row)
        if s.subpixel_peak:
            x += _parabola_top(response[row], column)
            y += _parabola_top(response[:, column], row)
        to_center = self._map_to_center(cells)
        px_per_cell = STRIDE_PX / s.upsampling
        middle = (response.shape[0] - 1) / 2
        return (x - middle) * px_per_cell + to_center, (y - middle) * px_per_cell + to_center

    def _map_to_center(self, cells: int) -> float:
        """How far the middle of the map lies beside the centre of the patch, patch pixels."""
        # cell r of the response compares the template with the window that begins at patch pixel 8 r
        return (cells - 1) / 2 * STRIDE_PX + self.settings.template_size / 2 - self.settings.search_size / 2

    def _window(self, size: int) -> NDArray[np.float32]:
        if size not in self._windows:
            self._windows[size] = _cosine_window(size)
        return self._windows[size]


def _upsampled(response: NDArray[np.float32], factor: int) -> list[NDArray[np.float32]]:
    size = response.shape[-1] * factor
    return [np.asarray(cv2.resize(m, (size, size), interpolation=cv2.INTER_CUBIC), np.float32) for m in response]


def _cosine_window(size: int) -> NDArray[np.float32]:
    """(size, size), sums to 1."""
    window = np.outer(np.hanning(size), np.hanning(size))
    return np.asarray(window / max(window.sum(), 1e-12), np.float32)


def _parabola_top(values: NDArray[np.float32], peak: int) -> float:
    """Offset from index `peak` to the top of the parabola through it and its neighbours, in [-0.5, 0.5]."""
    if not 0 < peak < len(values) - 1:
        return 0.0
    left, middle, right = (float(v) for v in values[peak - 1 : peak + 2])
    curvature = left - 2 * middle + right
    return float(np.clip(0.5 * (left - right) / curvature, -0.5, 0.5)) if curvature < 0 else 0.0


SETTINGS = SiamFCSettings
TRACKER = SiamFCTracker
