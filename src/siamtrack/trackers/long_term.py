"""When a target is lost, and how far around its last place it is looked for then: local to global search.

Source: Zhu, Wang, Li, Wu, Yan, Hu, "Distractor-aware Siamese Networks for Visual Object Tracking", ECCV 2018, sec. 3.4 and 4.1.

Differences between paper, STVIR/pysot (tracker/siamrpnlt_tracker.py) and this code:
* Search patch of a lost target: in the paper it grows by a constant step from frame to frame, up to 767 px, and one step was
  enough there; in PySOT it has 831 px at once. `growth` has both.
* Box: while the score is below `low`, PySOT leaves place and size as they are; so does this code, but for `whole_size`. The
  paper does not say.
* `whole_size` and `stays_inside` are in neither: a box shrinks while its target leaves the frame, and half of a patch at the
  border shows nothing. With `stays_inside` the cosine window lies around the middle of the moved patch.
* A target is lost in the frame after the one whose score was below `low`, and no longer after one above `high`, in PySOT and
  here. In between, the box follows while the search stays wide.
* `high` is 0.95 in the paper and 0.998 in PySOT.
* PySOT limits the box that it prints to the frame, and goes on from one that is not; here the target itself is limited, as in
  short-term tracking.
* A frame without any finite proposal loses the target, too.
"""

from __future__ import annotations

from dataclasses import dataclass

from siamtrack.errors import SettingsError
from siamtrack.settings import check_limits


@dataclass(frozen=True, kw_only=True)
class LongTermSettings:
    """When a target is lost and found again; by default it never is.

    Raises:
        SettingsError: a value outside its range, or `low` above `high`.
    """

    search_size: int = 0  # px, side of the largest search patch of a lost target, if above the usual; 0: none is ever lost
    growth: int = 0  # px a frame, by which the patch grows up to that; 0: at once
    low: float = 0.8  # score below which a target is lost
    high: float = 0.998  # score above which it is found again
    window_influence: float = 0.001  # share of the cosine window in the rank while it is lost
    stays_inside: bool = False  # the patch of a lost target is moved into the frame, as far as it fits
    whole_size: bool = False  # a lost target is looked for in the size in which it was last seen whole

    def __post_init__(self) -> None:
        check_limits(
            self,
            {"search_size": (0, 4096), "growth": (0, 4096), "low": (0, 1), "high": (0, 1), "window_influence": (0, 1)},
        )
        if self.low > self.high:
            found = f"The setting long_term.low is {self.low} and long_term.high {self.high}"
            raise SettingsError(f"{found}; expected low not above high. Set both.")

    def searched(self, search_size: int, frames_lost: int) -> int:
        """Side of the patch in which a target is looked for, px.

        Args:
            search_size: side for a target that is not lost.
            frames_lost: frames since it was lost; 0: it is not.
        """
        if not frames_lost:
            return search_size
        most = max(self.search_size, search_size)
        return min(most, search_size + self.growth * frames_lost) if self.growth else most

    def middle(self, center: tuple[float, float], side: float, width: int, height: int) -> tuple[float, float]:
        """Middle of the window in which a lost target is looked for, image pixels.

        Args:
            center: where it was taken to be.
            side: of the window.
            width: of the frame.
            height: of the frame.
        """
        if not self.stays_inside:
            return center
        return _inside(center[0], side, width), _inside(center[1], side, height)

    def frames_lost(self, before: int, score: float) -> int:
        """Frames since the target was lost, after a frame with this score; NaN where there was no proposal."""
        if not self.search_size or score > self.high:
            return 0
        return before + 1 if before or not score >= self.low else 0

    @property
    def remembers_size(self) -> bool:
        """Whether the size in which a target was last seen whole is kept."""
        return bool(self.search_size) and self.whole_size

    def keeps_box(self, score: float) -> bool:
        """Whether the target stays where it was taken to be, and its size, unless `whole_size` has another one."""
        return bool(self.search_size) and not score >= self.low


def is_whole(center: tuple[float, float], size: tuple[float, float], width: int, height: int) -> bool:
    """Whether a box lies in a frame of that size and does not touch its border, which may have cut it off; image pixels."""
    ends = zip(center, size, (width, height), strict=True)
    return all(side / 2 + 1 <= middle <= extent - side / 2 - 1 for middle, side, extent in ends)


def _inside(center: float, side: float, extent: int) -> float:
    """The nearest middle of an interval of that length within 0..extent; the middle of that, where it is longer."""
    return extent / 2 if side >= extent else min(max(center, side / 2), extent - side / 2)
