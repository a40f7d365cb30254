"""Networks whose responses are made up, so that every number a tracker gives has an exact answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from siamtrack.box import Box
from siamtrack.trackers.rest import SHIFTS, STRIDE_PX
from siamtrack.trackers.siamfc import SiamFCTracker

Responses = NDArray[np.float32]
BOX = Box(200, 140, 60, 40)
FRAME = np.zeros((360, 480, 3), np.uint8)


class Fake:
    """A network whose answer to every search is what a function says; its templates are the patches' mean colours."""

    def __init__(self, answer: Callable[[Responses, NDArray[np.uint8]], Responses]) -> None:
        self.answer = answer
        self.calls = 0

    def embed(self, patches: NDArray[np.uint8]) -> Responses:
        return patches.mean((1, 2)).astype(np.float32)[:, :, None, None]

    def match(self, templates: Responses, patches: NDArray[np.uint8]) -> tuple[Responses]:
        self.calls += 1
        return (self.answer(templates, patches),)


class Similar(Fake):
    """Compares colours cell by cell as SiamFC compares features: cheap, and really looks at the frame."""

    def __init__(self) -> None:
        super().__init__(self._compare)

    @staticmethod
    def _compare(templates: Responses, patches: NDArray[np.uint8]) -> Responses:
        out = np.empty((*patches.shape[:2], 17, 17), np.float32)
        for n, s in np.ndindex(*patches.shape[:2]):
            seen = cv2.blur(patches[n, s].astype(np.float32), (31, 31))[63:192:8, 63:192:8]
            out[n, s] = -np.abs(seen - templates[n, :, 0, 0]).sum(-1) / 100
        return out


def bump(peak: tuple[float, float], cells: int = 17, width: float = 1.5, height: float = 5.0) -> Responses:
    """(cells, cells) with a Gaussian at x, y cells from the middle of the map."""
    place = np.arange(cells) - (cells - 1) / 2
    row, column = np.exp(-((place - peak[1]) ** 2) / 2 / width**2), np.exp(-((place - peak[0]) ** 2) / 2 / width**2)
    return (height * np.outer(row, column)).astype(np.float32)


def one_answer(*maps: Responses) -> Fake:
    """The same maps, one a scale, for every target; at the start that of the middle scale, moved with the target."""

    def answer(templates: Responses, patches: NDArray[np.uint8]) -> Responses:
        middle, cells = maps[len(maps) // 2], maps[0].shape[0]
        moved = [
            cv2.warpAffine(middle, np.array([[1, 0, x / STRIDE_PX], [0, 1, y / STRIDE_PX]]), (cells, cells), borderMode=1)
            for x, y in SHIFTS
        ]
        return np.stack([np.stack(moved if patches.shape[1] == len(SHIFTS) else maps)] * len(patches)).astype(np.float32)

    return Fake(answer)


def follow(tracker: SiamFCTracker, frames: Sequence[NDArray[np.uint8]], box: Box = BOX) -> list[Box]:
    states = tracker.start(frames[0], [box])
    boxes = []
    for frame in frames[1:]:
        states, (prediction,) = tracker.step(frame, states)
        boxes.append(prediction.box)
    return boxes
