"""Scores of masks: J and F of objects over frames, and how DAVIS and YouTube-VOS join them.

J and F of a frame are in `segmentation`. Conventions of github.com/davisvideochallenge/davis2017-evaluation:

* Recall is the share of frames above (not at) 0.5; decay the mean of the first quarter of frames minus that of the last.
* First and last frame do not count (the first is given to the tracker; some methods of 2016 had no answer for the last).
* Objects are those of the first frame of the truth; one that is missing in the result counts as empty masks, and a mean is one
  over all objects of all sequences. Label 255 (of no object for certain) counts as background.

The official code keeps the borders of the four parts in 8 bits, which goes wrong beyond 255 frames (no sequence of DAVIS has
so many); here it is right for any length.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siamtrack.errors import DataError
from siamtrack.metrics.segmentation import boundary_measure, region_similarity

VOID_LABEL = 255
"""The label of pixels that belong to no object for certain."""

Labels = NDArray[np.uint8]
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class FrameStatistics:
    """What DAVIS reports of a measure over the frames of one object, or the means of these over objects.

    Attributes:
        mean: mean over the frames, in [0, 1].
        recall: share of frames above 0.5.
        decay: mean of the first quarter of the frames minus that of the last, in [-1, 1]; below 0 it gets better.
    """

    mean: float
    recall: float
    decay: float


@dataclass(frozen=True, kw_only=True)
class MaskScores:
    """J and F of one object, or their means over objects."""

    region: FrameStatistics
    boundary: FrameStatistics

    @property
    def j_and_f(self) -> float:
        """Mean of the two means, the number that DAVIS ranks by."""
        return (self.region.mean + self.boundary.mean) / 2


@dataclass(frozen=True, kw_only=True)
class SeenUnseenScores:
    """Means over objects of categories that the training set has (seen) and has not (unseen); NaN where there is no object."""

    region_seen: float
    region_unseen: float
    boundary_seen: float
    boundary_unseen: float

    @property
    def overall(self) -> float:
        """Mean of the four, YouTube-VOS's G: a group counts the same however many objects it has."""
        return (self.region_seen + self.region_unseen + self.boundary_seen + self.boundary_unseen) / 4


def frame_statistics(values: ArrayLike) -> FrameStatistics:
    """Mean, recall and decay of a measure over frames, DAVIS's db_statistics.

    The quarters of the decay share the frames at their borders.

    Args:
        values: (N,), J or F of each frame that counts.

    Raises:
        DataError: no frame, not one number a frame, or NaN.
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 1 or not len(values) or np.isnan(values).any():
        raise DataError(f"Values of shape {values.shape} with {np.isnan(values).sum()} NaN; expected a number for each frame.")
    # halves are rounded up, which numpy.round would do for odd numbers only
    borders = np.floor(np.linspace(1, len(values), 5) + 0.5).astype(np.intp) - 1
    first, last = values[: borders[1] + 1], values[borders[3] :]
    return FrameStatistics(
        mean=float(values.mean()), recall=float((values > 0.5).mean()), decay=float(first.mean() - last.mean())
    )


def object_measures(frames: Iterable[tuple[Labels, Labels]], objects: Sequence[int]) -> tuple[Floats, Floats]:
    """J and F of each object in each frame.

    Frames are taken one at a time, so that they can be read from files without all of them being in memory.

    Args:
        frames: the (H, W) labels of a result and the true ones, frame by frame.
        objects: K labels to measure.

    Returns:
        J and F, each of shape (K, N).

    Raises:
        DataError: shapes that differ.
    """
    rows = []
    for result, true in frames:
        masks = [(result == label, true == label) for label in objects]
        rows.append([(float(region_similarity(a, b)), float(boundary_measure(a, b))) for a, b in masks])
    region, boundary = np.array(rows, np.float64).reshape(-1, len(objects), 2).transpose(2, 1, 0)
    return region, boundary


def object_scores(region: ArrayLike, boundary: ArrayLike) -> MaskScores:
    """Scores of an object from its J and F in the frames that count; errors as for `frame_statistics`."""
    return MaskScores(region=frame_statistics(region), boundary=frame_statistics(boundary))


def davis_object_count(first: Labels) -> int:
    """How many objects DAVIS evaluates: the largest label in the first true (H, W) mask, void left out."""
    return int(first[first != VOID_LABEL].max(initial=0))


def davis_object_scores(predicted: ArrayLike, truth: ArrayLike) -> list[MaskScores]:
    """J and F of each object of a sequence, as the semi-supervised evaluation of DAVIS 2017 counts them.

    Args:
        predicted: (N, H, W) labels, 0 for background, objects from 1 on.
        truth: (N, H, W) labels; `VOID_LABEL` counts as background.

    Returns:
        One entry an object, for label 1, 2, ... up to the largest in the first frame of the truth.

    Raises:
        DataError: shapes that differ, fewer than 3 frames, no object in the first frame, or a label in the result that is not
            in it.
    """
    result, true = np.asarray(predicted), np.asarray(truth)
    if result.shape != true.shape or true.ndim != 3 or len(true) < 3:
        raise DataError(
            f"Labels of shape {result.shape} and true ones of shape {true.shape}; "
            "expected the same shape (N, H, W) with 3 frames or more: the first and the last do not count."
        )
    count = davis_object_count(true[0])
    if not count:
        raise DataError("The first frame of the truth has no object (labels 1 to 254); the objects are taken from it.")
    if (found := int(result[1:-1].max())) > count:
        raise DataError(f"The result has the label {found}, and the first frame of the truth has objects 1 to {count} only.")
    measures = object_measures(zip(result[1:-1], true[1:-1], strict=True), range(1, count + 1))
    return [object_scores(region, boundary) for region, boundary in zip(*measures, strict=True)]


def mean_scores(objects: Iterable[MaskScores]) -> MaskScores:
    """The scores of a whole set: means over all objects of all sequences.

    Raises:
        DataError: no object.
    """
    scores = list(objects)
    if not scores:
        raise DataError("There are no scores of objects to take the mean of.")
    return MaskScores(
        region=_mean_statistics([score.region for score in scores]),
        boundary=_mean_statistics([score.boundary for score in scores]),
    )


def seen_unseen_scores(region: ArrayLike, boundary: ArrayLike, seen: ArrayLike) -> SeenUnseenScores:
    """The four means of YouTube-VOS (Xu et al., ECCV 2018), over objects and not over categories.

    Args:
        region: (K,), mean J of each object, over the frames after the one in which it first appears.
        boundary: (K,), mean F.
        seen: (K,) booleans, whether the category of the object is in the training set.

    Raises:
        DataError: shapes that differ.
    """
    j, f, known = np.asarray(region, np.float64), np.asarray(boundary, np.float64), np.asarray(seen)
    if not j.shape == f.shape == known.shape or j.ndim != 1 or known.dtype != np.bool_:
        raise DataError(
            f"J of shape {j.shape}, F of shape {f.shape} and seen of shape {known.shape} and type {known.dtype}; "
            "expected one number, one number and one boolean for each object."
        )
    return SeenUnseenScores(
        region_seen=_mean(j[known]),
        region_unseen=_mean(j[~known]),
        boundary_seen=_mean(f[known]),
        boundary_unseen=_mean(f[~known]),
    )


def _mean_statistics(statistics: Sequence[FrameStatistics]) -> FrameStatistics:
    mean, recall, decay = np.mean([(one.mean, one.recall, one.decay) for one in statistics], axis=0)
    return FrameStatistics(mean=float(mean), recall=float(recall), decay=float(decay))


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else math.nan
