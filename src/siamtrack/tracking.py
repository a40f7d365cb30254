"""What a tracker is, what it answers, and the loop that follows targets through frames.

Networks and trackers remember nothing: all memory of a target is a value, its state, that the caller holds. So several
targets, going back in time, restarts and pickling need no support from the tracker.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from siamtrack.box import Box
from siamtrack.errors import InputError
from siamtrack.frames import Frame
from siamtrack.image import Image, as_image
from siamtrack.polygon import Polygon

StateT = TypeVar("StateT")


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Where one target is in one frame."""

    box: Box  # image pixels, 0-based; may reach beyond the frame
    score: float  # raw similarity, higher is more alike; its range depends on the model, nan for the box that was given
    mask: NDArray[np.bool_] | None = None  # (H, W), the pixels of the target; None: the model gives no masks
    polygon: Polygon | None = None  # (4, 2), corners of the smallest box around the mask, turned as it is; None: no masks
    lost: bool | None = None  # the procedure takes the target for gone and looks for it around; None: it does not decide


class Tracker(Protocol[StateT]):
    """A tracking procedure around a network; several targets are its primitive, one target is a list of one."""

    def start(self, frame: Image, boxes: Sequence[Box]) -> list[StateT]:
        """States of the targets in these boxes.

        Args:
            frame: RGB uint8 (H, W, 3), or anything `as_image` takes.
            boxes: partly outside the frame is fine; none gives no states.

        Raises:
            BoxError: a box is no box, or outside the frame.
            ImageError: the frame is no picture.
        """

    def step(self, frame: Image, states: Sequence[StateT]) -> tuple[list[StateT], list[Prediction]]:
        """Follows every target into the next frame, in one batched network call; the states given are left as they are.

        Raises:
            ImageError: the frame is no picture.
        """


Maps = tuple[NDArray[np.float32], ...]
"""What a network says of search patches, (N, S, ...) each; which maps these are is the model's own (`siamtrack.models`)."""


class Network(Protocol):
    """Who computes a network; carried out in `runtimes/`."""

    def embed(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Template patches (N, T, T, 3), RGB -> templates (N, C, h, w). Slow, once a target."""

    def match(self, templates: NDArray[np.float32], patches: NDArray[np.uint8]) -> Maps:
        """Templates (N, C, h, w), search patches (N, S, X, X, 3), RGB -> the model's maps, (N, S, ...) each. Every frame."""


class MaskNetwork(Network, Protocol):
    """A network that gives masks, too."""

    def masks(self, cells: NDArray[np.float32], *windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """What `siamtrack.trackers.mask.windows_around` gives, of M places -> logits (M, n, n) of the patches around them."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """All targets in one frame."""

    frame: Frame
    predictions: list[Prediction]
    seconds: float  # that the tracker took for all of them


def track(tracker: Tracker[Any], frames: Iterable[Frame], boxes: Sequence[Box]) -> Iterator[Step]:
    """Follows the targets that the boxes show in the first frame; yields every frame, the first one with the boxes given.

    Args:
        tracker: as `open_model` gives it.
        frames: as `read` gives them; in reverse order to track backward.
        boxes: one a target, in the first frame.

    Raises:
        InputError: no box was given, or a box or a frame cannot be used.
    """
    if isinstance(boxes, Box) or not len(boxes) or any(np.shape(box) != (4,) for box in boxes):
        raise InputError(f"The boxes are {boxes!r}; expected a list with one box (x, y, w, h) a target, at least one.")
    states: list[Any] | None = None
    for frame in frames:
        began = time.perf_counter()
        if states is None:
            states = tracker.start(frame.image, boxes)
            predictions = [Prediction(box=box, score=float("nan")) for box in boxes]
        else:
            states, predictions = tracker.step(frame.image, states)
        yield Step(frame=frame, predictions=predictions, seconds=time.perf_counter() - began)


class Session(Generic[StateT]):
    """A tracker with a memory for one target: `init` and `update`, as in OpenCV and the GOT-10k toolkit.

    Images are RGB as everywhere here; OpenCV gives BGR, so pass `frame[..., ::-1]` from there. `update` gives a Prediction:
    its `box` is what the GOT-10k toolkit wants, and (True, box) what OpenCV's trackers give.

    >>> session = Session(tracker)                   # doctest: +SKIP
    >>> session.init(first_frame, (120, 80, 64, 48)) # doctest: +SKIP
    >>> box = session.update(next_frame).box         # doctest: +SKIP
    """

    def __init__(self, tracker: Tracker[StateT]) -> None:
        self.tracker = tracker
        self.state: StateT | None = None

    def init(self, frame: Image, box: Sequence[float]) -> None:
        """Takes the target from a frame; x, y, w, h in pixels, 0-based."""
        (self.state,) = self.tracker.start(frame, [Box(*map(float, box))])

    def update(self, frame: Image) -> Prediction:
        """Follows it into the next frame.

        Raises:
            InputError: `init` has not been called.
        """
        if self.state is None:
            raise InputError("The session has no target yet; call init(frame, box) first.")
        (self.state,), (prediction,) = self.tracker.step(frame, [self.state])
        return prediction


def checked_image(frame: Image) -> Image:
    """The frame itself if it is an RGB uint8 picture already, else as `as_image` converts it."""
    is_image = isinstance(frame, np.ndarray) and frame.dtype == np.uint8 and frame.ndim == 3 and frame.shape[2] == 3
    return frame if is_image and frame.size and frame.flags.c_contiguous else as_image(frame)


def gives_masks(tracker: object) -> bool:
    """Whether the predictions of a tracker have masks; those that do have an attribute that says so."""
    return bool(getattr(tracker, "gives_masks", False))
