"""What a Siamese network learns from: a template, a search patch, and where the target, or another object, is there."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from siamtrack.image import Image

SEEN, UNKNOWN = 1, 2
"""In masks: the pixel shows the object; nobody knows what it shows. 0 is anything else."""


class Pair(NamedTuple):
    """A training pair. Lengths are in pixels of the search patch, coordinates continuous: pixel i covers [i, i + 1)."""

    template: Image  # (template_size, template_size, 3)
    search: Image  # (search_size, search_size, 3)
    offset: NDArray[np.float32]  # (2,): x, y of the object's centre relative to the search patch's centre
    box: NDArray[np.float32]  # (4,): x, y, w, h of the upright box around the object in the search patch
    absent: bool = False  # that object is another one than the template's: a negative pair
    skipped: tuple[str, ...] = ()  # what could not be read while this pair was drawn, and was replaced by other pictures
    mask: NDArray[np.uint8] | None = None  # (search_size, search_size), see `SEEN`; None: not known or not wanted


def flipped(pair: Pair) -> Pair:
    """The pair in a mirror: left is right."""
    x, y, w, h = pair.box
    return pair._replace(
        template=np.ascontiguousarray(pair.template[:, ::-1]),
        search=np.ascontiguousarray(pair.search[:, ::-1]),
        offset=pair.offset * np.array([-1, 1], np.float32),
        box=np.array([pair.search.shape[1] - x - w, y, w, h], np.float32),
        mask=None if pair.mask is None else np.ascontiguousarray(pair.mask[:, ::-1]),
    )
