"""Networks of the RPN family whose answers are made up, and one that really looks for a colour."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from siamtrack.box import Box, iou
from siamtrack.trackers.anchors import AnchorSettings, anchor_grid, encode
from siamtrack.trackers.rpn import RPNTracker

Array = NDArray[np.float32]
Maps = tuple[Array, Array]
ANCHORS = AnchorSettings()


class Fake:
    """Answers every search with what a function says of (templates, patches); templates are mean colours."""

    def __init__(self, answer: Callable[[Array, NDArray[np.uint8]], tuple[Array, ...]]) -> None:
        self.answer = answer
        self.calls: list[tuple[int, ...]] = []

    def embed(self, patches: NDArray[np.uint8]) -> Array:
        middle = slice(patches.shape[1] // 2 - 3, patches.shape[1] // 2 + 4)
        return patches[:, middle, middle].mean((1, 2)).astype(np.float32)[:, :, None, None]

    def match(self, templates: Array, patches: NDArray[np.uint8]) -> tuple[Array, ...]:
        self.calls.append(patches.shape)
        return self.answer(templates, patches)


class Seeing(Fake):
    """Knows a pure colour when it sees it, and says so with every anchor: all mean the same box, the nearest ones loudest."""

    def __init__(self, base_cells: int = 0) -> None:
        super().__init__(self._look)
        self.base_cells = base_cells  # more than the template leaves room for, as networks with padding have

    def _look(self, templates: Array, patches: NDArray[np.uint8]) -> Maps:
        found = [
            proposed(seen(patch[0] @ colour / (colour @ colour)), patches.shape[2], self.base_cells)
            for colour, patch in zip(templates[:, :, 0, 0], patches.astype(np.float32), strict=True)
        ]
        cls, loc = (np.stack(maps)[:, None] for maps in zip(*found, strict=True))
        return cls, loc


def seen(likeness: Array) -> tuple[float, float, float, float]:
    """The box of what is alike, below a pixel: x and y of its centre from that of the patch, w, h."""
    inside = np.clip((likeness - 0.1) / 0.8, 0, 1)
    place = np.arange(len(inside)) + 0.5 - len(inside) / 2
    profiles = inside.max(0), inside.max(1)
    x, y = (float(profile @ place / max(profile.sum(), 1e-9)) for profile in profiles)
    w, h = (max(float(profile.sum()), 1.0) for profile in profiles)
    return x, y, w, h


def proposed(place: Sequence[float], search_size: int = 255, base_cells: int = 0) -> Maps:
    """(2A, R, R) and (4A, R, R) that mean a box: x and y of its centre from that of the patch, w, h, patch px."""
    cells = (search_size - 127) // 8 + 1 + base_cells
    at = 8 * (np.arange(cells) - base_cells / 2) + (127 - search_size) / 2  # a cell sees what the template would cover at 8 r
    grid = anchor_grid(ANCHORS, cells)
    grid[0], grid[1] = at[None, None, :], at[None, :, None]
    x, y, w, h = place
    rows = np.moveaxis(np.concatenate([grid[:2] - grid[2:] / 2, grid[2:]]), 0, -1)
    target = 10 * iou(rows, np.array([x - w / 2, y - h / 2, w, h])) - 5
    loc = encode(np.array(place)[:, None, None, None], grid)
    return np.concatenate([np.zeros_like(target), target]).astype(np.float32), loc.reshape(-1, cells, cells).astype(np.float32)


def one_answer(cls: Array, loc: Array) -> Fake:
    """The same maps for every target in every frame."""
    return Fake(lambda templates, patches: tuple(np.stack([m[None]] * len(patches)) for m in (cls, loc)))


def drawn(*boxes: Box, height: int = 360, width: int = 480) -> NDArray[np.uint8]:
    """A black frame with red, green and blue boxes; pixels that are partly covered are partly coloured."""
    frame = np.zeros((height, width, 3))
    for channel, box in enumerate(boxes):
        across, down = (
            np.clip(np.minimum(np.arange(size) + 1, first + length) - np.maximum(np.arange(size), first), 0, 1)
            for size, first, length in ((width, box.x, box.w), (height, box.y, box.h))
        )
        frame[:, :, channel] = 255 * np.outer(down, across)
    return frame.round().astype(np.uint8)


def follow(tracker: RPNTracker, frames: Sequence[NDArray[np.uint8]], box: Box) -> tuple[list[Box], list[float]]:
    """Boxes and scores from the second frame on."""
    states = tracker.start(frames[0], [box])
    boxes, scores = [], []
    for frame in frames[1:]:
        states, (prediction,) = tracker.step(frame, states)
        boxes.append(prediction.box)
        scores.append(prediction.score)
    return boxes, scores
