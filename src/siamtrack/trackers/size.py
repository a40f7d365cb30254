"""The size of a target between the scales of a pyramid: the top of the parabola through three responses.

The published procedure takes the best of scales that lie 3.75 % apart. Already at 5 % the highest response is a matter of
chance, for any of the networks that were measured (docs/experiments.md); at 20 % it is not. So the scales lie far apart
here, and the size is read between them. A target that is just as large as the template need not peak at the middle scale, so
the top is measured from where it lies in the first frame; and responses that bend less than they did there (the target is
covered, or blurred, or looks different by now) say less about the size and move it less.
"""

from __future__ import annotations

from typing import NamedTuple


class SizeFit(NamedTuple):
    """What the responses of a target look like at three scales where its size is known: in its first frame."""

    top: float = 0.0  # of the parabola, scale steps from the middle, -1 to 1
    bend: float = 0.0  # second difference of the responses, 0 or less

    @classmethod
    def measured(cls, responses: tuple[float, float, float]) -> SizeFit:
        """From responses to windows a step smaller, as large, and a step larger; `UNFITTED` where they have no top."""
        smaller, middle, larger = responses
        bend = smaller - 2 * middle + larger
        return cls(_limited(0.5 * (smaller - larger) / bend), bend) if bend < 0 else UNFITTED

    def steps(self, responses: tuple[float, float, float]) -> float:
        """How many scale steps the target is larger than it was taken for, -1 to 1; 0 where the responses do not say.

        Newton's step from where the top should be, with no less bend than in the first frame.
        """
        smaller, middle, larger = responses
        bend = smaller - 2 * middle + larger
        slope = 0.5 * (larger - smaller) + self.top * bend
        most = min(bend, self.bend)
        return _limited(-slope / most) if most < 0 else 0.0


UNFITTED = SizeFit()
"""The top is the size, however flat."""


def _limited(steps: float) -> float:
    return min(max(steps, -1.0), 1.0)
