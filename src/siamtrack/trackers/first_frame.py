"""What every tracking procedure takes from the frame that it starts in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from siamtrack.box import Box, check_box
from siamtrack.crop import Fill, context_side, cut, mean_colour
from siamtrack.image import Image
from siamtrack.tracking import checked_image


class FirstFrame(NamedTuple):
    """A frame, and N targets in it."""

    image: Image
    boxes: list[Box]  # N
    fill: Fill  # its mean colour
    patches: NDArray[np.uint8]  # (N, T, T, 3), each target with its context, for `Network.embed`


def first_frame(frame: Image, boxes: Sequence[Box], context: float, template_size: int) -> FirstFrame:
    """The frame with the template patches of the targets in these boxes, one or more.

    Args:
        frame: as for `Tracker.start`.
        boxes: as for `Tracker.start`.
        context: margin around a target, share of w + h.
        template_size: side of the patches, pixels.

    Raises:
        BoxError: a box is no box, or outside the frame.
        ImageError: the frame is no picture.
    """
    image = checked_image(frame)
    height, width = image.shape[:2]
    checked = [check_box(Box(*box), width, height) for box in boxes]
    fill = mean_colour(image)
    patches = [cut(image, box.center, context_side(box.w, box.h, context), template_size, fill) for box in checked]
    return FirstFrame(image, checked, fill, np.stack(patches))
