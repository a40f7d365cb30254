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

import numpy as np
from numpy.typing import NDArray

from siamtrack.box import Box
from siamtrack.crop import Fill, context_side, cut_windows
from siamtrack.errors import SettingsError
from siamtrack.image import Image
from siamtrack.settings import check_limits
from siamtrack.trackers.first_frame import first_frame
from siamtrack.trackers.peaks import cosine_window, parabola_top, upsampled
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
    scale_fit: bool = False  # see the module; scale_penalty has no meaning then, and neither has this where scales is 1

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

    @property
    def fits_size(self) -> bool:
        """Whether the size is read between scales."""
        return self.scale_fit and self.scales > 1

    @property
    def scale_factors(self) -> NDArray[np.float64]:
        """(scales,), ascending, 1 in the middle."""
        return np.asarray(self.scale_step ** (np.arange(self.scales) - self.scales // 2), np.float64)


PRESETS = {
    "siamfc": {},
    "siamfc-3s": {
        "scales": 3,
        "scale_step": 1.0375,
        "scale_penalty": 0.9745,
        "scale_damping": 0.59,
        "window_influence": 0.176,
        "scale_fit": False,
    },
    "siamfc-5s": {
        "scales": 5,
        "scale_step": 1.0255,
        "scale_penalty": 0.962,
        "scale_damping": 0.34,
        "window_influence": 0.168,
        "scale_fit": False,
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
        s = self.settings
        image, boxes, fill, patches = first_frame(frame, boxes, s.context, s.template_size)
        states = [
            SiamFCState(template=template, fill=fill, center=box.center, size=(box.w, box.h))
            for template, box in zip(self.network.embed(patches), boxes, strict=True)
        ]
        if s.still_reference:
            states = self._at_rest(image, states)
        return self._at_size(image, states) if s.fits_size else states

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
            [self._shift_in_patch(wide, response.shape[-1]) for wide in upsampled(response, s.upsampling)]
            for response in responses
        ]
        return [replace(state, rest=Rest.measured(found)) for state, found in zip(states, peaks, strict=True)]

    def _at_size(self, frame: Image, states: Sequence[SiamFCState]) -> list[SiamFCState]:
        """The states with how the response of each target depends on the scale in its own first frame."""
        fitted = []
        for state, response in zip(states, self._match(self.look(frame, states), states), strict=True):
            _, _, near = self._by_middle_scale(response)
            fitted.append(replace(state, size_fit=SizeFit.measured(near)))
        return fitted

    def step(self, frame: Image, states: Sequence[SiamFCState]) -> tuple[list[SiamFCState], list[Prediction]]:
        """See `Tracker.step`."""
        if not states:
            return [], []
        frame = checked_image(frame)
        height, width = frame.shape[:2]
        responses = self._match(self.look(frame, states), states)
        moved = [self.move(state, response, width, height) for state, response in zip(states, responses, strict=True)]
        predictions = [Prediction(box=state.box, score=score) for state, score in moved]
        return [state for state, _ in moved], predictions

    def look(self, frame: Image, states: Sequence[SiamFCState]) -> NDArray[np.uint8]:
        """The search patches of all targets at all scales, (N, scales, 255, 255, 3)."""
        return self._cut(frame, states, self.settings.scale_factors)

    def _cut(self, frame: Image, states: Sequence[SiamFCState], factors: NDArray[np.float64]) -> NDArray[np.uint8]:
        sides = np.stack([self.search_side(state) * factors for state in states])
        centers, fills = [state.center for state in states], [state.fill for state in states]
        return cut_windows(frame, centers, sides, self.settings.search_size, fills)

    def _match(self, patches: NDArray[np.uint8], states: Sequence[SiamFCState]) -> NDArray[np.float32]:
        (responses,) = self.network.match(np.stack([state.template for state in states]), patches)
        return responses

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
            The new state, and the highest raw response at the scale that the place is read at; the state as it was, and NaN,
            where a response is not finite.
        """
        if not np.isfinite(response).all():
            return state, float("nan")
        s = self.settings
        if s.fits_size:
            place, score, near = self._by_middle_scale(response)
            window, factor = 1.0, s.scale_step ** state.size_fit.steps(near)
        else:
            place, score, window = self._by_best_scale(response)
            factor = window
        side_per_px = self.search_side(state) * window / s.search_size
        x, y = state.rest.place(place)
        cx = min(max(state.center[0] + x * side_per_px, 0.0), float(width))
        cy = min(max(state.center[1] + y * side_per_px, 0.0), float(height))
        damped = 1 - s.scale_damping + s.scale_damping * factor
        scale = min(max(state.scale * damped, s.min_scale), s.max_scale)
        change = scale / state.scale
        size = state.size[0] * change, state.size[1] * change
        return replace(state, center=(cx, cy), size=size, scale=scale), score

    def _by_best_scale(self, response: NDArray[np.float32]) -> tuple[tuple[float, float], float, float]:
        """The place in the map of the best scale, the highest response there, and that scale."""
        maps = upsampled(response, self.settings.upsampling)
        peaks = [float(m.max()) for m in maps]
        best = int(np.argmax([self._penalised(peak, scale) for scale, peak in enumerate(peaks)]))
        return self._shift_in_patch(maps[best], response.shape[-1]), peaks[best], float(self.settings.scale_factors[best])

    def _by_middle_scale(self, response: NDArray[np.float32]) -> tuple[tuple[float, float], float, tuple[float, float, float]]:
        """The place in the map of the middle scale, the highest response there, and those that the size is read between.

        These are the highest within a stride of the place, in the middle map and in those beside it.
        """
        s, cells = self.settings, response.shape[-1]
        around = slice(s.scales // 2 - 1, s.scales // 2 + 2)
        maps = upsampled(response[around], s.upsampling)
        place = self._shift_in_patch(maps[1], cells)
        step, to_center = STRIDE_PX / s.upsampling, self._map_to_center(cells)
        found = []
        for wide, factor in zip(maps, s.scale_factors[around], strict=True):
            middle = (len(wide) - 1) / 2
            column, row = ((at / factor - to_center) / step + middle for at in place)
            rows, columns = (slice(max(0, int(at - s.upsampling)), max(1, int(at + s.upsampling) + 2)) for at in (row, column))
            near = wide[rows, columns]
            found.append(float(near.max()) if near.size else float(wide.min()))
        return place, float(maps[1].max()), (found[0], found[1], found[2])

    def _penalised(self, peak: float, scale: int) -> float:
        if scale == self.settings.scales // 2:
            return peak
        # multiplied as published; where a response is negative that would be a reward
        return peak * self.settings.scale_penalty if peak > 0 else peak / max(self.settings.scale_penalty, 1e-12)

    def _shift_in_patch(self, response: NDArray[np.float32], cells: int) -> tuple[float, float]:
        """Where the peak of the windowed map lies, relative to the centre of the patch, patch pixels."""
        s = self.settings
        # one cell says nothing of the place: what upsampling makes of it differs by rounding alone
        response = response - response.min() if cells > 1 else np.zeros_like(response)
        response *= (1 - s.window_influence) / max(float(response.sum()), 1e-12)
        response += s.window_influence * self._window(response.shape[0])
        row, column = divmod(int(response.argmax()), response.shape[1])
        x, y = float(column), float(row)
        if s.subpixel_peak:
            x += parabola_top(response[row], column)
            y += parabola_top(response[:, column], row)
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
            self._windows[size] = cosine_window(size)
        return self._windows[size]


SETTINGS = SiamFCSettings
OF_THE_NETWORK = ("template_size",)
TRACKER = SiamFCTracker
