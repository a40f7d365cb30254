"""How far beside the target its response peaks, measured once, so that it can be taken away.

A network with a stride sees a target differently as it moves by a pixel or two, and alike again after a whole stride. So the
peak lies beside the target by some tenths of a cell, by an amount that depends on target, network and the place within the
stride, and that averages to zero over nothing in particular: boxes lean to one side. In the first frame the target's place is
known. There the window is shifted by parts of a stride, and the errors of the peaks are kept: in x and in y, each for itself.
"""

from __future__ import annotations

from typing import NamedTuple

STRIDE_PX = 8  # patch pixels between two cells of the response
PHASES = (0.0, 2.0, 4.0, 6.0)  # shifts of the target in the patch, pixels
SHIFTS = tuple((phase, 0.0) for phase in PHASES) + tuple((0.0, phase) for phase in PHASES[1:])
"""(x, y) of the target in the windows that a `Rest` is measured in, patch pixels; the first is none."""

_BETWEEN = STRIDE_PX / len(PHASES)
_FURTHEST = STRIDE_PX / 2  # a peak further from the target is that of something else that looks alike


class Rest(NamedTuple):
    """Errors of the peak, patch pixels: peak minus place, by the phases of the place."""

    x: tuple[float, ...] = (0.0,) * len(PHASES)
    y: tuple[float, ...] = (0.0,) * len(PHASES)

    @classmethod
    def measured(cls, peaks: list[tuple[float, float]]) -> Rest:
        """From the peaks, (x, y) from the centre of the patch, of a target that lies at `SHIFTS`."""
        errors = [(peak[0] - shift[0], peak[1] - shift[1]) for peak, shift in zip(peaks, SHIFTS, strict=True)]
        count = len(PHASES)
        return cls(_usable([x for x, _ in errors[:count]]), _usable([errors[0][1], *(y for _, y in errors[count:])]))

    def place(self, peak: tuple[float, float]) -> tuple[float, float]:
        """Where the target is whose response peaks there.

        Exactly (0, 0) for the first of the peaks that were measured, unless that is another thing's.
        """
        return _place(peak[0], self.x), _place(peak[1], self.y)


UNMEASURED = Rest()
"""Every peak is where its target is."""


def _usable(errors: list[float]) -> tuple[float, ...]:
    """The errors; where the peak is something else's, that of the unshifted target, or none."""
    still = errors[0] if abs(errors[0]) < _FURTHEST else 0.0
    return tuple(error if abs(error) < _FURTHEST else still for error in errors)


def _place(peak: float, errors: tuple[float, ...]) -> float:
    place = peak - errors[0]
    for _ in range(2):  # the error depends on the place, which depends on the error
        phase = place % STRIDE_PX / _BETWEEN
        before = int(phase) % len(errors)
        share = phase - int(phase)
        place = peak - ((1 - share) * errors[before] + share * errors[(before + 1) % len(errors)])
    return place
