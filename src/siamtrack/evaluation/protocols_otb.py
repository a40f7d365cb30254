"""The starts of OTB's robustness protocols, as its authors' MATLAB code has them (Wu, Lim, Yang, CVPR 2013).

* TRE, temporal robustness: util/splitSeqTRE.m of tracker_benchmark_v1.0 picks twenty frames from those that a tracker may be
  started in; each run goes on to the end.
* SRE, spatial robustness: util/shiftInitBB.m moves or scales the box of the first frame in twelve ways; runs are scored
  against the truth that was not moved. The authors' Python port moves 'down' by changing the width; this is the MATLAB code.
"""

from __future__ import annotations

import math

import numpy as np

from siamtrack.box import Box, Boxes
from siamtrack.errors import DataError

SEGMENTS = 20
"""Starts of TRE."""

SHORTEST = 20
"""Frames that the last of them keeps."""

SHIFTS = (
    *("left", "right", "up", "down"),
    *("topLeft", "topRight", "bottomLeft", "bottomRight"),
    *("scale_8", "scale_9", "scale_11", "scale_12"),
)
"""The runs of SRE, in the toolkit's order and by its names."""

_SCALES = {"scale_8": 0.8, "scale_9": 0.9, "scale_11": 1.1, "scale_12": 1.2}


def tre_starts(boxes: Boxes) -> list[int]:
    """The frames, from 0, that the runs of TRE start in.

    Candidates are the frames with valid truth: x, y, w and h above 0 in the 1-based coordinates of OTB, and no NaN. Of the E
    candidates that leave 20 frames or more, number 1 + k * E / 19, rounded down, is taken for each k from 0, and number E.
    With fewer than 20 candidates some come more than once, and with fewer than 19 there are fewer starts, as in the toolkit.

    Args:
        boxes: (N, 4) truth, 0-based.

    Raises:
        DataError: no frame with valid truth leaves 20 frames.
    """
    valid = (boxes + np.array([1, 1, 0, 0]) > 0).all(1)  # false for NaN
    candidates = [int(i) for i in np.flatnonzero(valid) if len(boxes) - i >= SHORTEST]
    if not candidates:
        raise DataError(f"No frame with a valid true box leaves {SHORTEST} frames to track, so that TRE has no start.")
    count, steps = len(candidates), SEGMENTS - 1
    picked = [k * count // steps for k in range(steps) if k * count <= (count - 1) * steps]
    return [candidates[index] for index in [*picked, count - 1]]


def sre_box(box: Box, shift: str, size: tuple[int, int]) -> Box:
    """The box that a run of SRE starts with.

    Args:
        box: truth of the first frame, 0-based.
        shift: one of `SHIFTS`. Four move the box by a tenth of its width or height, four move one corner outward by as much,
            four scale it about its centre; all round to whole pixels of OTB's 1-based coordinates.
        size: width and height of the image. What is beyond the right or lower border is cut off; a box that begins before
            the left or upper one is moved to it with its whole size.
    """
    x, y, w, h = box.x + 1, box.y + 1, box.w, box.h
    right, bottom = x + w - 1, y + h - 1
    if shift in _SCALES:
        ratio = _SCALES[shift]
        values = (x + w / 2 - ratio * w / 2, y + h / 2 - ratio * h / 2, ratio * w, ratio * h)
        x, y, w, h = map(_rounded, values)
    elif shift in ("left", "right"):
        x += math.ceil(0.1 * w) * (1 if shift == "right" else -1)
    elif shift in ("up", "down"):
        y += math.ceil(0.1 * h) * (1 if shift == "down" else -1)
    else:
        if shift.endswith("Left"):
            x = _rounded(x - 0.1 * w)
        else:
            right = _rounded(right + 0.1 * w)
        if shift.startswith("top"):
            y = _rounded(y - 0.1 * h)
        else:
            bottom = _rounded(bottom + 0.1 * h)
        w, h = right - x + 1, bottom - y + 1
    x, y = max(x, 1), max(y, 1)
    return Box(x - 1, y - 1, min(w, size[0] - x + 1), min(h, size[1] - y + 1))


def _rounded(value: float) -> float:
    """As MATLAB rounds: halves away from zero."""
    return math.copysign(math.floor(abs(value) + 0.5), value)
