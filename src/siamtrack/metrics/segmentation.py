"""How well masks match the truth: region similarity J, boundary measure F, and how DAVIS and YouTube-VOS join them.

Definitions: Perazzi et al., CVPR 2016, section 4, in the conventions of github.com/davisvideochallenge/davis2017-evaluation:

* J is intersection over union; two empty masks match (1).
* F compares boundaries that lie half a pixel towards the origin from the border of the mask, with a tolerance of 0.8 % of the
  image diagonal, rounded up to whole pixels. The frame of the image is no boundary, so that a mask of the whole image has as
  little of one as an empty mask: these two get F = 1 (and J = 0). No boundary in one of the two: 0; in both: 1.
* Recall is the share of frames above (not at) 0.5; decay the mean of the first quarter of frames minus that of the last.
* First and last frame do not count (the first is given to the tracker).
* Objects are those of the first frame of the truth; one that is missing in the result counts as empty masks, and a mean is one
  over all objects of all sequences. Label 255 (of no object for certain) counts as background.

The official code keeps the borders of the four parts in 8 bits, which goes wrong beyond 255 frames (no sequence of DAVIS has
so many); here it is right for any length.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from siamtrack.errors import DataError

BOUNDARY_TOLERANCE = 0.008
"""How far apart two boundaries may lie and still match, as a share of the image diagonal."""

VOID_LABEL = 255
"""The label of pixels that belong to no object for certain."""

Mask = NDArray[np.bool_]


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


def region_similarity(predicted: ArrayLike, truth: ArrayLike, void: ArrayLike | None = None) -> NDArray[np.float64]:
    """J, intersection over union of masks, frame by frame.

    Args:
        predicted: (..., H, W) booleans.
        truth: the same shape.
        void: the same shape; pixels to leave out.

    Returns:
        Shape (...), in [0, 1]; 1 where both masks are empty.

    Raises:
        DataError: shapes that differ, or something that is no mask.
    """
    a, b = _without_void(predicted, truth, void)
    intersection = np.count_nonzero(a & b, axis=(-2, -1))
    union = np.count_nonzero(a | b, axis=(-2, -1))
    return np.where(union == 0, 1.0, intersection / np.maximum(union, 1))


def boundary_map(mask: ArrayLike) -> Mask:
    """The pixels that differ from their neighbour to the right, below, or both: D. Martin's seg2bmap, Berkeley 2003.

    Beyond the frame of the image the mask is taken to go on as it is, so that the frame is no boundary.

    Args:
        mask: (H, W) booleans.

    Returns:
        Shape (H, W).

    Raises:
        DataError: something that is no mask.
    """
    inside = _mask(mask)
    padded = np.pad(inside, ((0, 1), (0, 1)), mode="edge")
    return (inside ^ padded[:-1, 1:]) | (inside ^ padded[1:, :-1]) | (inside ^ padded[1:, 1:])


def boundary_measure(
    predicted: ArrayLike, truth: ArrayLike, void: ArrayLike | None = None, *, tolerance: float = BOUNDARY_TOLERANCE
) -> NDArray[np.float64]:
    """F, harmonic mean of the precision and the recall of boundary pixels, frame by frame.

    Args:
        predicted: (..., H, W) booleans.
        truth: the same shape.
        void: the same shape; pixels that are taken out of both masks before their boundaries are looked for.
        tolerance: distance at which boundary pixels still match: a share of the image diagonal, or pixels from 1 on.

    Returns:
        Shape (...), in [0, 1].

    Raises:
        DataError: shapes that differ, or something that is no mask.
    """
    a, b = _without_void(predicted, truth, void)
    height, width = a.shape[-2:]
    radius = math.ceil(tolerance if tolerance >= 1 else tolerance * math.hypot(height, width))
    frames = zip(a.reshape(-1, height, width), b.reshape(-1, height, width), strict=True)
    return np.array([_f_measure(boundary_map(p), boundary_map(t), radius) for p, t in frames]).reshape(a.shape[:-2])


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
    count = int(true[0][true[0] != VOID_LABEL].max(initial=0))
    if not count:
        raise DataError("The first frame of the truth has no object (labels 1 to 254); the objects are taken from it.")
    if (found := int(result[1:-1].max())) > count:
        raise DataError(f"The result has the label {found}, and the first frame of the truth has objects 1 to {count} only.")
    return [_object_scores(result[1:-1] == label, true[1:-1] == label) for label in range(1, count + 1)]


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


def _object_scores(predicted: Mask, truth: Mask) -> MaskScores:
    return MaskScores(
        region=frame_statistics(region_similarity(predicted, truth)),
        boundary=frame_statistics(boundary_measure(predicted, truth)),
    )


def _f_measure(predicted: Mask, truth: Mask, radius: int) -> float:
    """F of two boundary maps (H, W) at a distance in pixels."""
    count, true_count = np.count_nonzero(predicted), np.count_nonzero(truth)
    if not count or not true_count:
        return float(count == true_count)
    rows, columns = (np.flatnonzero((predicted | truth).any(axis)) for axis in (1, 0))
    window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)  # all that can match lies in it
    a, b = predicted[window], truth[window]
    precision = np.count_nonzero(a & _near(b, radius)) / count
    recall = np.count_nonzero(b & _near(a, radius)) / true_count
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _near(boundary: Mask, radius: int) -> Mask:
    """The pixels at most so many pixels from the boundary: its dilation with a disk."""
    across = np.arange(-radius, radius + 1) ** 2
    disk = (across[:, None] + across <= radius * radius).astype(np.uint8)  # OpenCV's own ellipse is another shape
    return cv2.dilate(boundary.astype(np.uint8), disk).astype(np.bool_)


def _without_void(predicted: ArrayLike, truth: ArrayLike, void: ArrayLike | None) -> tuple[Mask, Mask]:
    masks = [np.asarray(mask) for mask in (predicted, truth, void) if mask is not None]
    if masks[0].ndim < 2 or any(mask.shape != masks[0].shape for mask in masks):
        shapes = ", ".join(str(mask.shape) for mask in masks)
        raise DataError(f"Masks (predicted, true, void) of shape {shapes}; expected the same shape (..., H, W) for all.")
    a, b, *left_out = (_mask(mask) for mask in masks)
    return (a & ~left_out[0], b & ~left_out[0]) if left_out else (a, b)


def _mask(mask: ArrayLike) -> Mask:
    array = np.asarray(mask)
    if array.dtype != np.bool_ or array.ndim < 2 or 0 in array.shape[-2:]:
        raise DataError(
            f"A mask of shape {array.shape} and type {array.dtype}; expected booleans (..., H, W). "
            "Compare labels or probabilities first, for example labels == 1."
        )
    return array


def _mean_statistics(statistics: Sequence[FrameStatistics]) -> FrameStatistics:
    mean, recall, decay = np.mean([(one.mean, one.recall, one.decay) for one in statistics], axis=0)
    return FrameStatistics(mean=float(mean), recall=float(recall), decay=float(decay))


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else math.nan
