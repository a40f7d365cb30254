"""Masks as COCO stores them: polygons, run lengths, and run lengths as text (Lin et al., ECCV 2014; cocodataset.org)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from siamtrack.errors import DataError, MissingExtraError


def decode_mask(segmentation: Any, size: tuple[int, int], where: str) -> NDArray[np.bool_] | None:
    """The mask that a "segmentation" describes.

    Args:
        segmentation: a list of polygons, each x, y, x, y, ... in pixels (together they are the object), or an object with
            "size" [height, width] and "counts": run lengths down the columns, as a list or as COCO's text.
        size: (width, height) of the picture, pixels.
        where: file and annotation, for messages.

    Returns:
        Shape (H, W); None where there is no polygon.

    Raises:
        DataError: it is something else, or of another size than the picture.
        MissingExtraError: the package pycocotools is not installed.
    """
    try:
        from pycocotools import mask as coco_mask
    except ImportError:
        raise MissingExtraError("pycocotools", extra="train", purpose="Reading COCO masks") from None
    if segmentation is None or segmentation == []:
        return None
    width, height = size
    try:
        if isinstance(segmentation, list):
            # fewer than three corners are no polygon, and pycocotools takes four numbers for a box
            if any(len(polygon) < 6 or len(polygon) % 2 for polygon in segmentation):
                raise ValueError("a polygon has fewer than three corners, or an odd number of coordinates")
            runs = coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))
        else:
            runs = _runs(segmentation, size, coco_mask)
        mask: NDArray[np.bool_] = coco_mask.decode(runs).astype(bool)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise DataError(f"{where}: the segmentation cannot be read ({type(error).__name__}: {error}).") from None
    return mask


def _runs(segmentation: Any, size: tuple[int, int], coco_mask: Any) -> Any:
    """Run lengths as text, which is what pycocotools decodes."""
    width, height = size
    counts = segmentation["counts"]
    if list(segmentation["size"]) != [height, width]:
        raise ValueError(f"its size is {segmentation['size']}, that of the picture {[height, width]}")
    if isinstance(counts, list):
        if sum(counts) != width * height:  # pycocotools does not look
            raise ValueError(f"its counts add up to {sum(counts)}, the picture has {width * height} pixels")
        return coco_mask.frPyObjects(segmentation, height, width)
    return {"size": [height, width], "counts": counts}
