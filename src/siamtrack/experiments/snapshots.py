"""Chosen frames of a video with the true box and those of trackers, on one sheet with a legend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from siamtrack.box import Box, Boxes, center_error
from siamtrack.draw import Colour
from siamtrack.experiments.videos import Video
from siamtrack.image import Image
from siamtrack.sheets import contact_sheet, with_legend

TRUTH: Colour = (255, 170, 0)
TRACKERS: tuple[Colour, ...] = ((0, 190, 70), (40, 110, 255), (225, 15, 75), (200, 60, 220))
"""Of the first tracker, the second, and so on; all differ from the truth's."""

_SIDE = 480  # longer side of a drawn frame, pixels
_LINE = 2  # of the last tracker's box, pixels; each box before it, and the true one first of all, is this much wider
_FRACTION = 4  # bits behind the point in OpenCV's coordinates


def snapshots(video: Video, tracks: Mapping[str, Boxes], *, count: int = 8, columns: int = 4) -> Image:
    """Evenly spread frames of a video, the first and the last among them, with all boxes.

    Boxes are drawn one inside the other, the true one widest, so that each is seen where they agree.

    Args:
        video: with the true boxes.
        tracks: boxes of the trackers, (N, 4), by name.
        count: how many frames, at most.
        columns: frames in a row.

    Returns:
        (H, W, 3), RGB.
    """
    wanted = sorted({round(at) for at in np.linspace(0, len(video.boxes) - 1, count)})
    tiles = []
    for frame in video.frames():
        if frame.index in wanted:
            boxes = [video.boxes[frame.index], *(track[frame.index] for track in tracks.values())]
            tiles.append((_caption(frame.index, boxes), _drawn(frame.image, boxes)))
    columns = min(columns, len(tiles))
    sheet = contact_sheet(tiles, width=12 + columns * 372, columns=columns)
    return with_legend(sheet, list(zip(["truth", *tracks], (TRUTH, *(TRACKERS * len(tracks))), strict=False)))


def _caption(number: int, boxes: Sequence[Boxes]) -> str:
    if np.isnan(boxes[0]).any():
        return f"frame {number}: no target"
    errors = " | ".join(f"{float(center_error(box, boxes[0])):.1f}" for box in boxes[1:])
    return f"frame {number}: {errors} px beside"


def _drawn(image: Image, boxes: Sequence[Boxes]) -> Image:
    """The frame at the size it is shown in, the boxes over it."""
    scale = _SIDE / max(image.shape[:2])
    size = round(image.shape[1] * scale), round(image.shape[0] * scale)
    picture = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR), np.uint8)
    for number, box in enumerate(boxes):
        if not np.isnan(box).any():
            colour = TRUTH if number == 0 else TRACKERS[(number - 1) % len(TRACKERS)]
            _outline(picture, Box(*(float(v) * scale for v in box)), colour, _LINE * (len(boxes) - number))
    return picture


def _outline(picture: Image, box: Box, colour: Colour, thickness: int) -> None:
    """A rectangle whose line has its middle on the edges of the box; OpenCV's pixel i has its centre at i, ours at i + 1/2."""
    corners = [(box.x, box.y), (box.x + box.w, box.y), (box.x + box.w, box.y + box.h), (box.x, box.y + box.h)]
    points = np.array([[round((v - 0.5) * 2**_FRACTION) for v in corner] for corner in corners], np.int32)
    cv2.polylines(picture, [points], True, colour, thickness, cv2.LINE_AA, _FRACTION)
