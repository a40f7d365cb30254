"""Colours of the target and of its look-alikes: of two that the network takes for the same, the one in the target's colours.

Source: Possegger, Mauthner, Bischof, "In Defense of Color-based Model-free Tracking", CVPR 2015, sec. 3.1: histograms of the
target T and of its distractors D say for a pixel of colour c how likely it is the target's, T(c) / (T(c) + D(c)).

Differences between paper and this code:
* D is of the distractors that the network proposes (`siamtrack.trackers.distractors`), and there is no second model against the
  ground: a proposal of the network is no ground. Until there was a distractor nothing is changed.
* T is learnt slowly: at the rate of D it would take up the colours of whatever is taken for the target, and for good that of
  the first frame, D alone would know a light that changes.
* The paper moves a window over the pixels. Here twice the mean over the inner part of a proposal's box, at least 0.05, squared,
  multiplies its score before the window is added: 1 where colours say nothing, up to 4 where they say it is the target.
* Histograms are averaged over the frames.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from siamtrack.box import Box
from siamtrack.image import Image

Histogram = NDArray[np.float32]
"""(BINS ** 3,), of sum 1."""

BINS = 16  # a channel
INNER = 0.7  # of the sides of a box: what is surely the object
FAINT = 1e-2 / BINS**3  # share of a colour that neither has: it says nothing
TARGET_RATE, OTHERS_RATE = 0.01, 0.1  # by which a frame counts in the means
LEAST = 0.05  # times a colour that says nothing
POWER = 2.0  # of the mean in the rank


@dataclass(frozen=True, kw_only=True, eq=False)  # arrays have no one answer to "equal"
class Colours:
    """Of one target and of what was taken for its distractors."""

    target: Histogram
    others: Histogram | None = None  # None: there was none yet

    @classmethod
    def begun(cls, image: Image, box: Box) -> Colours | None:
        """Those of a target in that box, image pixels; None where nothing of its inner part is in the image."""
        target = histogram(image, box)
        return None if target is None else cls(target=target)

    def learnt(self, image: Image, target: Box, others: Iterable[Box]) -> Colours:
        """After a frame with the target and these distractors, image pixels."""
        now = histogram(image, target)
        learnt = self if now is None else replace(self, target=_mean(self.target, now, TARGET_RATE))
        found = [one for one in (histogram(image, box) for box in others) if one is not None]
        if not found:
            return learnt
        mean = np.asarray(np.mean(found, 0), np.float32)
        return replace(learnt, others=mean if self.others is None else _mean(self.others, mean, OTHERS_RATE))

    def factors(self, image: Image, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        """(K,): how much more likely the target each box is by its colours, 1 where they say nothing.

        Args:
            image: (H, W, 3), 8 bits a channel.
            boxes: (4, K), x and y of the centre, w, h, image pixels; any that are not finite, or outside, have 1.
        """
        if self.others is None:
            return np.ones(boxes.shape[1])
        height, width = image.shape[:2]
        limits = np.array([[width], [height]])
        half = boxes[2:] * (INNER / 2)
        with np.errstate(invalid="ignore"):
            low = np.clip(np.nan_to_num(boxes[:2] - half), 0, limits).astype(np.int64)
            high = np.clip(np.ceil(np.nan_to_num(boxes[:2] + half)), 0, limits).astype(np.int64)
        known = (high > low).all(0) & np.isfinite(boxes).all(0)
        if not known.any():
            return np.ones(boxes.shape[1])
        (left, top), (right, bottom) = low[:, known].min(1), high[:, known].max(1)
        likely = (self.target + FAINT) / (self.target + self.others + 2 * FAINT)
        sums = cv2.integral(likely[_bins(image[top:bottom, left:right])], sdepth=cv2.CV_64F)
        (x0, y0), (x1, y1) = low[:, known] - [[left], [top]], high[:, known] - [[left], [top]]
        mean = (sums[y1, x1] - sums[y0, x1] - sums[y1, x0] + sums[y0, x0]) / ((x1 - x0) * (y1 - y0))
        factors = np.ones(boxes.shape[1])
        factors[known] = np.maximum(2 * mean, LEAST) ** POWER
        return factors


def histogram(image: Image, box: Box) -> Histogram | None:
    """Of the inner part of a box, image pixels; neighbouring colours count a little. None where it is outside the image."""
    inner = Box.from_center(*box.center, box.w * INNER, box.h * INNER).clipped(image.shape[1], image.shape[0])
    left, top = int(inner.x), int(inner.y)
    right, bottom = int(np.ceil(inner.x + inner.w)), int(np.ceil(inner.y + inner.h))
    if inner.area <= 0:
        return None
    counts = np.bincount(_bins(image[top:bottom, left:right]).ravel(), minlength=BINS**3).reshape(BINS, BINS, BINS)
    values = counts.astype(np.float32) / counts.sum()
    for axis in range(3):
        values = np.moveaxis(values, axis, 0)
        around = np.concatenate([values[:1], values, values[-1:]])
        values = np.moveaxis(0.5 * values + 0.25 * (around[:-2] + around[2:]), 0, axis)
    return np.ascontiguousarray(values).ravel()


def _mean(before: Histogram, now: Histogram, rate: float) -> Histogram:
    return before + np.float32(rate) * (now - before)


def _bins(pixels: Image) -> NDArray[np.int64]:
    red, green, blue = np.moveaxis(pixels.astype(np.int64) * BINS // 256, -1, 0)
    return np.asarray((red * BINS + green) * BINS + blue)
