"""How well masks match the truth: region similarity J and boundary measure F, frame by frame.

Definitions: Perazzi et al., CVPR 2016, section 4, in the conventions of github.com/davisvideochallenge/davis2017-evaluation.
How J and F are joined over frames and objects is in `segmentation_scores`.

* J is intersection over union; two empty masks match (1).
* F compares boundaries that lie half a pixel towards the origin from the border of the mask, with a tolerance of 0.8 % of the
  image diagonal, rounded up to whole pixels. The frame of the image is no boundary, so that a mask of the whole image has as
  little of one as an empty mask: these two get F = 1 (and J = 0). No boundary in one of the two: 0; in both: 1.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from siamtrack.errors import DataError

BOUNDARY_TOLERANCE = 0.008
"""How far apart two boundaries may lie and still match, as a share of the image diagonal."""

Mask = NDArray[np.bool_]


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
