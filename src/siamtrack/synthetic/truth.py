"""A rendered frame and everything that is known about it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from siamtrack.image import Image


class Labelled(NamedTuple):
    """A frame with its N objects. Pixels, 0-based; the same objects in the same order in every frame of a clip."""

    image: Image  # (H, W, 3)
    identity: NDArray[np.uint8]  # (H, W): 0 ground, k the object k (from 1) that is seen there
    boxes: NDArray[np.float64]  # (N, 4) x, y, w, h of the whole object, hidden parts and parts outside too; NaN: not in view
    visibility: NDArray[np.float64]  # (N,) share of the object that is seen, 0..1
