"""How long it takes until something happens, where an episode can end before it does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Delays:
    """The delay of each episode, in frames.

    Attributes:
        waited: (K,) frames from the start of each episode to what is waited for, or its whole length where it never came.
        happened: (K,) booleans.
    """

    waited: NDArray[np.int64]
    happened: Flags

    @property
    def share_never(self) -> float:
        """Share of episodes that ended before it happened, in [0, 1]; NaN without episodes."""
        return float(np.mean(~self.happened)) if len(self.happened) else math.nan

    @property
    def median(self) -> float:
        """Median delay, Kaplan and Meier's estimate; inf where it never falls to half, NaN without episodes.

        An episode that ends first says only that the delay is at least its length. Were it left out, or its length taken for
        the delay, a tracker that misses short absences would look fast (J. Am. Stat. Assoc. 53, 1958, pp. 457-481).
        """
        if not len(self.waited):
            return math.nan
        last = np.where(self.happened, self.waited, self.waited - 1)  # the last frame of which the outcome is known
        still_waiting = 1.0
        for delay in np.unique(last[self.happened]):
            still_waiting *= 1 - np.count_nonzero(self.happened & (last == delay)) / np.count_nonzero(last >= delay)
            if still_waiting <= 0.5 + 1e-12:  # a product of fractions that is one half can come out above it
                return float(delay)
        return math.inf


def runs(flags: Flags) -> list[tuple[int, int]]:
    """Start and end (exclusive) of each stretch of True, in order.

    >>> runs(np.array([True, False, True, True]))
    [(0, 1), (2, 4)]
    """
    changes = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return [(int(start), int(end)) for start, end in changes.reshape(-1, 2)]


def delays_within(episodes: Sequence[tuple[int, int]], answered: Flags) -> Delays:
    """Frames from the start of each episode to the first True inside it.

    Args:
        episodes: start and end (exclusive) of each, none of them empty.
        answered: (N,), a flag for each frame.
    """
    inside = [answered[start:end] for start, end in episodes]
    happened = np.array([flags.any() for flags in inside], np.bool_)
    waited = [int(flags.argmax()) if came else len(flags) for flags, came in zip(inside, happened, strict=True)]
    return Delays(waited=np.array(waited, np.int64), happened=happened)


def joined(delays: Sequence[Delays]) -> Delays:
    """All episodes of several sequences together; there must be at least one sequence."""
    return Delays(
        waited=np.concatenate([one.waited for one in delays]), happened=np.concatenate([one.happened for one in delays])
    )
