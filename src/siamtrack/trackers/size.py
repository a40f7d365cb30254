"""The size of a target between the scales of a pyramid: the top of the parabola through three responses.

The published procedure takes the best of scales that lie 3.75 % apart. Already at 5 % the highest response is a matter of
chance, for any of the networks that were measured (docs/experiments.md); at 20 % it is not. So the scales lie far apart
here, and the size is read between them. A target that is just as large as the template need not peak at the middle scale, so
the top is measured from where it lies in the first frame; and a response that is flatter than it was there (the target is
covered, or blurred) says less about the size and moves it less.
"""

from __future__ import annotations

from typing import NamedTuple


class SizeFit(NamedTuple):
    """What the responses of a target look like at three scales where its size is known: in its first frame."""

    top: float = 0.0  # of the parabola, scale steps from the middle, -1 to 1
    curvature: float = 0.0  # second difference as a share of the middle response, 0 or less

    @classmethod
    def measured(cls, responses: tuple[float, float, float]) -> SizeFit:
        """From responses to windows a step smaller, as large, and a step larger; `UNFITTED` where they have no top."""
        smaller, middle, larger = responses
        bend = smaller - 2 * middle + larger
        if middle <= 0 or bend >= 0:
            return UNFITTED
        return cls(_limited(0.5 * (smaller - larger) / bend), bend / middle)

    def steps(self, responses: tuple[float, float, float]) -> float:
        """How many scale steps the target is larger than it was taken for, -1 to 1; 0 where the responses do not say."""
        smaller, middle, larger = responses
        bend = min(smaller - 2 * middle + larger, self.curvature * max(middle, 0.0))
        return _limited(0.5 * (smaller - larger) / bend - self.top) if bend < 0 else 0.0


UNFITTED = SizeFit()
"""The top is the size, however flat."""


def _limited(steps: float) -> float:
    return min(max(steps, -1.0), 1.0)
