"""From single boxes to targets: sorted, checked, and filled in between keyframes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from siamtrack.box import ABSENT, Box
from siamtrack.datasets.clips import Clip, Frames, Target
from siamtrack.errors import DataError

_LAST_FRAME = 10**7  # four days at 25 frames a second


@dataclass(frozen=True, kw_only=True)
class Key:
    """A box that was drawn; in the frames up to the next key it is between the two."""

    position: int  # of the frame, from 0
    box: Box
    shown: bool = True  # whether the target is in view in this frame
    shown_after: bool = True  # whether it is in view between this frame and the next key


class Track:
    """The boxes of one target while its annotation is read."""

    def __init__(self, name: str, category: str) -> None:
        self.name = name
        self.category = category
        self._rows: dict[int, tuple[Box, float]] = {}

    def add(self, position: int, box: Box, *, visibility: float = math.nan, where: str) -> None:
        """Notes the box of a frame.

        Raises:
            DataError: the frame already has one, or it is no frame number, or the box is not finite and not absent.
        """
        if position in self._rows:
            raise DataError(f"{where}: target '{self.name}' has a second box in frame {position} (counted from 0).")
        if position > _LAST_FRAME:
            raise DataError(f"{where}: target '{self.name}' has a box in frame {position}, which no video has.")
        if position < 0:
            raise DataError(f"{where}: target '{self.name}' has a box before the first frame.")
        if any(math.isinf(v) for v in box) or (box.absent and not all(math.isnan(v) for v in box)):
            raise DataError(f"{where}: the box {tuple(box)} of target '{self.name}' is not finite.")
        self._rows[position] = box, visibility

    def target(self) -> Target:
        """The target with its rows in order."""
        positions = sorted(self._rows)
        return Target(
            name=self.name,
            category=self.category,
            positions=np.array(positions, np.int64),
            boxes=np.array([self._rows[p][0] for p in positions], np.float64).reshape(-1, 4),
            visibility=np.array([self._rows[p][1] for p in positions], np.float64),
        )


class Tracks:
    """The tracks of one clip while its annotation is read, by id; boxes without an id are targets of their own."""

    def __init__(self) -> None:
        self._tracks: dict[str, Track] = {}

    def of(self, identity: str | None, category: str, position: int) -> Track:
        """The track of that id, made where it is new. The category is that of the first box."""
        name = f"frame {position} box {len(self._tracks)}" if identity is None else identity
        if name not in self._tracks:
            self._tracks[name] = Track(name, category)
        return self._tracks[name]

    def targets(self) -> tuple[Target, ...]:
        """All targets, in the order in which they came."""
        return tuple(track.target() for track in self._tracks.values())


def interpolated(name: str, category: str, keys: Sequence[Key], where: str) -> Target:
    """The target with a row in every frame from the first key to the last, linear in x, y, w and h.

    Raises:
        DataError: two keys are of one frame, a frame number is negative or a box is not finite.
    """
    drawn = Track(name, category)
    for key in keys:
        drawn.add(key.position, key.box, where=where)
    found = drawn.target()
    ordered = sorted(keys, key=lambda key: key.position)
    every = np.arange(found.positions[0], found.positions[-1] + 1)
    columns = [np.interp(every, found.positions, found.boxes[:, i]) for i in range(4)]
    boxes: NDArray[np.float64] = np.stack(columns, 1)
    latest = np.searchsorted(found.positions, every, side="right") - 1
    at_key = found.positions[latest] == every
    shown, shown_after = (np.array(flags) for flags in zip(*((k.shown, k.shown_after) for k in ordered), strict=True))
    boxes[~np.where(at_key, shown[latest], shown_after[latest])] = ABSENT
    return Target(name=name, category=category, positions=every, boxes=boxes, visibility=np.full(len(every), math.nan))


def last_position(targets: Iterable[Target]) -> int:
    """The last frame that has a row, or -1."""
    return max((int(target.positions[-1]) for target in targets if len(target.positions)), default=-1)


def checked_clip(
    name: str, frames: Frames, targets: Sequence[Target], source: Path, size: tuple[int, int] | None = None
) -> Clip:
    """The clip.

    Raises:
        DataError: a target has a row beyond the last frame.
    """
    for target in targets:
        if (last := last_position([target])) >= len(frames):
            raise DataError(
                f"{source}: target '{target.name}' has a box in frame {last} (counted from 0), but clip '{name}' has "
                f"{len(frames)} frames. Is this the video that was annotated?"
            )
    return Clip(name=name, frames=frames, targets=tuple(targets), size=size)
