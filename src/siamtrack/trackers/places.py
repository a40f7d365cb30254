"""Where the target and its look-alikes are going: of two that look the same, the one that is where it was to be expected.

A double of the same looks can be told from the target by its place alone. Target and distractors
(`siamtrack.trackers.distractors`) are followed each with a velocity and fixed gains (an alpha-beta filter), and a proposal's
rank is multiplied with the share that the target has in what is expected where the proposal lies. Mayer, Danelljan, Paudel, Van
Gool, "Learning Target Candidate Association to Keep Track of What Not to Track", ICCV 2021, learn that association; nothing is
learnt here, and the network is not called again.

While another one is expected near the target, one of both hides the other, and the proposals are of the one in front: the
target's course is then bent by them a little only. It does not say where the box is; the chosen proposal does. A low score
does not count less.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

Place = NDArray[np.float64]
"""(2,), x and y, image pixels."""

# distances in sizes, sqrt(w * h), of the target
SPREAD = 0.5  # standard deviation of where something is expected
LEAST = 0.02  # is expected of the target everywhere; of each at its own place 1
NEAR = 0.8  # from one expected place to another, below which one of both may hide the other
GATE = 1.0  # from where one is expected to what is taken for it, at most

PLACE_GAIN, VELOCITY_GAIN = 0.5, 0.3  # shares of the difference from what was expected
HIDDEN = 0.2  # while another one is near: the target's gain, and a factor on the velocities' gains
PATIENCE = 15  # frames for which one is expected that is not to be seen


@dataclass(frozen=True, kw_only=True, eq=False)  # arrays have no one answer to "equal"
class Course:
    """How one thing moves."""

    place: Place
    velocity: Place | None = None  # pixels a frame; None: not known, as it was seen once
    unseen: int = 0  # frames since it was

    @property
    def ahead(self) -> Place:
        """Where it is expected in the next frame."""
        return self.place if self.velocity is None else self.place + self.velocity

    def seen(self, place: Place, gain: float, velocity_gain: float) -> Course:
        """After the next frame, in which it was seen there."""
        error, frames = place - self.ahead, self.unseen + 1
        if self.velocity is None:
            return Course(place=place, velocity=error / frames)
        return Course(place=self.ahead + gain * error, velocity=self.velocity + velocity_gain * error / frames)

    def not_seen(self) -> Course:
        """After the next frame, in which it was not."""
        return replace(self, place=self.ahead, unseen=self.unseen + 1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Courses:
    """Of one target and of what was taken for its distractors."""

    target: Course
    others: tuple[Course, ...] = ()

    @classmethod
    def begun(cls, place: tuple[float, float]) -> Self:
        """The target stands there, and nothing else is known."""
        return cls(target=Course(place=np.array(place), velocity=np.zeros(2)))

    def shares(self, places: NDArray[np.float64], size: float) -> NDArray[np.float64]:
        """(K,): how much of what is expected at each place is the target, above 0 to 1; 1 where nothing is known.

        Args:
            places: (2, K), image pixels; NaN stays.
            size: sqrt(w * h) of the target, image pixels.
        """
        target = LEAST + _expected(self.target, places, size)
        return np.asarray(target / (target + sum(_expected(other, places, size) for other in self.others)))

    def moved(self, target: Place, others: Sequence[Place], size: float, most: int) -> Courses:
        """After a frame.

        Args:
            target: where it was, image pixels.
            others: where its distractors were.
            size: see `shares`.
            most: courses of others that are kept: those that were seen more than once first, and of them those seen last.
        """
        near = any(_distance(other.ahead, self.target.ahead) < NEAR * size for other in self.others)
        velocity_gain = VELOCITY_GAIN * (HIDDEN if near else 1)
        matched = dict(self._matches(others, size))
        seen = [
            course.seen(others[matched[row]], PLACE_GAIN, velocity_gain) if row in matched else course.not_seen()
            for row, course in enumerate(self.others)
        ]
        new = [Course(place=place) for number, place in enumerate(others) if number not in matched.values()]
        kept = [course for course in seen if course.unseen <= (0 if course.velocity is None else PATIENCE)] + new
        return Courses(
            target=self.target.seen(target, HIDDEN if near else PLACE_GAIN, velocity_gain),
            others=tuple(sorted(kept, key=lambda course: (course.velocity is None, course.unseen))[:most]),
        )

    def _matches(self, places: Sequence[Place], size: float) -> Iterator[tuple[int, int]]:
        """Each of the others that is seen, and the number of the place; the nearest first."""
        rows, numbers = set(range(len(self.others))), set(range(len(places)))
        pairs = ((_distance(self.others[row].ahead, places[number]), row, number) for row in rows for number in numbers)
        for _, row, number in sorted(pair for pair in pairs if pair[0] <= GATE * size):
            if row in rows and number in numbers:
                rows.remove(row)
                numbers.remove(number)
                yield row, number


def _expected(course: Course, places: NDArray[np.float64], size: float) -> NDArray[np.float64]:
    """(K,), 1 where it is expected, less further away."""
    squared = ((places - course.ahead[:, None]) ** 2).sum(0)
    return np.asarray(np.exp(-squared / (2 * (SPREAD * size) ** 2)))


def _distance(one: Place, other: Place) -> float:
    return float(np.hypot(*(one - other)))
