"""Pictures for people: boxes and labels on a frame, letters that fit, a picture saved.

Everything scales with the picture, so that a line of 320x240 and one of 4K look alike. Colours are RGB like the images:
OpenCV draws them in the array's own channel order.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from siamtrack.box import Box
from siamtrack.errors import OutputError, nearest
from siamtrack.image import PICTURE_ENDINGS, Image
from siamtrack.polygon import Polygon, box_corners, min_max_box

Colour = tuple[int, int, int]

PALETTE: tuple[Colour, ...] = (
    (255, 210, 0),
    (45, 165, 255),
    (225, 15, 75),
    (255, 255, 255),
    (120, 255, 150),
    (105, 90, 255),
    (225, 120, 30),
    (225, 0, 165),
    (255, 120, 180),
    (75, 210, 255),
    (225, 150, 105),
    (195, 240, 105),
)
"""Colours of the targets, RGB. Amber and azure, then always the vivid colour (or white) farthest in CIELAB from those before
it, at the worst of normal, red-blind, green-blind and blue-blind sight (simulated after Machado, Oliveira, Fernandes,
TVCG 2009)."""

DARK: Colour = (16, 16, 18)
"""Behind lines and letters, RGB."""

LIGHT: Colour = (245, 245, 245)
"""Letters on dark ground, RGB."""

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_FAR = 1e6  # pixels: a corner further away would be no whole number of OpenCV


def draw_boxes(
    image: Image,
    boxes: Sequence[Box],
    *,
    scores: Sequence[float] | None = None,
    labels: Sequence[str] | None = None,
    polygons: Sequence[Polygon | None] | None = None,
) -> Image:
    """A copy of the image with each box as a coloured line between two dark ones, visible on any background.

    Lines lie with sub-pixel accuracy on the edges of the boxes. A label is written above its box, or where it fits
    beside it without covering an earlier label, and never leaves the frame. Boxes that are absent, not finite, without
    area or wholly outside the frame are not drawn; they keep their colour for the frames in which they are back.

    Args:
        image: shape (H, W, 3), RGB; not changed.
        boxes: one a target, pixels; the order gives the colours of `PALETTE`, which repeat after the last.
        scores: one a box, written with two decimals (NaN: not written).
        labels: one a box, written before the score.
        polygons: one a box, (4, 2) corners of a turned box that is drawn in its place; None where there is none.

    Returns:
        Shape (H, W, 3), RGB.
    """
    picture = image.copy()
    height, width = picture.shape[:2]
    scores = [math.nan] * len(boxes) if scores is None else scores
    labels = [""] * len(boxes) if labels is None else labels
    polygons = [None] * len(boxes) if polygons is None else polygons
    tags: list[tuple[Box, str, Colour]] = []
    for i, (box, score, label, corners) in enumerate(zip(boxes, scores, labels, polygons, strict=True)):
        turned = corners if corners is not None and np.isfinite(corners).all() and not _is_upright(corners, box) else None
        box = box if turned is None else min_max_box(turned)
        if not all(math.isfinite(v) for v in box) or not box.clipped(width, height).area > 0:
            continue
        colour = PALETTE[i % len(PALETTE)]
        if turned is None:
            _draw_box(picture, box, colour)
        else:
            _draw_turned(picture, turned, colour)
        text = f"{label} {score:.2f}" if not math.isnan(score) else label
        if text.strip():
            tags.append((box, text.strip(), colour))
    taken: list[tuple[int, int, int, int]] = []
    for box, text, colour in tags:  # after all boxes: a line must not cross a text
        _draw_tag(picture, box, text, colour, taken)
    return picture


def draw_masks(image: Image, masks: Sequence[NDArray[np.bool_] | None]) -> Image:
    """A copy of the image with the pixels of each target tinted in its colour, and a line around them.

    Args:
        image: shape (H, W, 3), RGB; not changed.
        masks: (H, W) one a target, in the order of `PALETTE`; None where there is none.

    Returns:
        Shape (H, W, 3), RGB.
    """
    picture = image.copy()
    thickness = max(1, round(_line_width(*picture.shape[:2]) / 2))
    for target, mask in enumerate(masks):
        if mask is None or not mask.any():
            continue
        colour = PALETTE[target % len(PALETTE)]
        picture[mask] = np.round(0.55 * picture[mask] + 0.45 * np.array(colour)).astype(np.uint8)
        contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, contours, -1, DARK, thickness + 2, cv2.LINE_AA)
        cv2.drawContours(picture, contours, -1, colour, thickness, cv2.LINE_AA)
    return picture


def _line_width(height: int, width: int) -> float:
    """Pixels; 2 up to 640x480, 2.3 at 854x480, 4.2 at 1920x1080, 7.6 at 4K."""
    return max(2.0, 0.8 + math.hypot(height, width) / 650)


def _draw_box(picture: Image, box: Box, colour: Colour) -> None:
    # A line must not hide a small target: at most an eighth of its shorter side.
    line = max(1.25, min(_line_width(*picture.shape[:2]), min(box.w, box.h) / 8))
    halo = max(1.0, line * 0.4)
    _draw_frame(picture, box, line + 2 * halo, DARK, 0.7)
    _draw_frame(picture, box, line, colour, 1.0)


def _is_upright(corners: Polygon, box: Box) -> bool:
    return corners.shape == (4, 2) and bool(np.allclose(corners, box_corners(box), rtol=0, atol=1e-6))


def _draw_turned(picture: Image, corners: Polygon, colour: Colour) -> None:
    """The same of a turned box; lines have whole widths."""
    height, width = picture.shape[:2]
    shortest = float(np.hypot(*(corners - np.roll(corners, 1, 0)).T).min())
    line = max(1.25, min(_line_width(height, width), shortest / 8))
    outer = round(line + 2 * max(1.0, line * 0.4))
    low = np.clip(np.floor(corners.min(0)) - outer, 0, (width, height)).astype(int)
    high = np.clip(np.ceil(corners.max(0)) + outer, 0, (width, height)).astype(int)
    part = picture[low[1] : high[1], low[0] : high[0]]
    # in sixteenths of a pixel; OpenCV's pixel i is centred on i
    points = np.rint(16 * np.clip(corners - 0.5 - low, -_FAR, _FAR)).astype(np.int32)
    for thickness, paint, opacity in ((outer, DARK, 0.7), (max(1, round(line)), colour, 1.0)):
        covered = np.zeros(part.shape[:2], np.uint8)
        cv2.polylines(covered, [points], True, 255, thickness, cv2.LINE_AA, shift=4)
        blend(part, paint, covered.astype(np.float32) * np.float32(opacity / 255))


def _draw_frame(picture: Image, box: Box, line: float, colour: Colour, opacity: float) -> None:
    """Blends in the outline of a box, anti-aliased exactly: each pixel by the part of it that the line covers.

    cv2.rectangle has whole line widths only, and its pixel i is centred on i, half a pixel beside our convention.
    """
    height, width = picture.shape[:2]
    x0, x1 = (min(max(v, -line), width + line) for v in (box.x, box.x + box.w))
    y0, y1 = (min(max(v, -line), height + line) for v in (box.y, box.y + box.h))
    half = line / 2
    outer = _covered(x0 - half, x1 + half, width), _covered(y0 - half, y1 + half, height)
    inner = _covered(x0 + half, x1 - half, width), _covered(y0 + half, y1 - half, height)
    left, top = max(math.floor(x0 - half), 0), max(math.floor(y0 - half), 0)
    right, bottom = math.ceil(x1 + half), math.ceil(y1 + half)
    upper, lower = math.ceil(min(y0 + half, y1)), math.floor(max(y1 - half, y0))
    lower = max(lower, upper)
    near, far = math.ceil(min(x0 + half, x1)), math.floor(max(x1 - half, x0))
    far = max(near, far)
    # Four bands of pixels, so that a large box does not cost a blend of the whole frame.
    for rows, columns in (
        (slice(top, max(upper, 0)), slice(left, max(right, 0))),
        (slice(max(lower, 0), max(bottom, 0)), slice(left, max(right, 0))),
        (slice(max(upper, 0), max(lower, 0)), slice(left, max(near, 0))),
        (slice(max(upper, 0), max(lower, 0)), slice(max(far, 0), max(right, 0))),
    ):
        mask = np.outer(outer[1][rows], outer[0][columns]) - np.outer(inner[1][rows], inner[0][columns])
        blend(picture[rows, columns], colour, mask * opacity)


def _covered(start: float, end: float, length: int) -> NDArray[np.float32]:
    """The part of each of `length` pixels that lies in [start, end], in [0, 1]."""
    i = np.arange(length, dtype=np.float32)
    part: NDArray[np.float32] = np.clip(np.minimum(i + 1, end) - np.maximum(i, start), 0, 1)
    return part


def blend(part: Image, colour: Colour, opacity: NDArray[np.float32] | float) -> None:
    """Mixes a colour into a view of an image, in place."""
    weight = np.asarray(opacity, np.float32)[..., None]
    part[:] = (part + (np.asarray(colour, np.float32) - part) * weight + 0.5).astype(np.uint8)


def _text_style(height: float) -> tuple[float, int]:
    """Font scale and stroke of letters that are about `height` pixels high."""
    scale = height / 22
    return scale, max(1, round(scale * 1.4))


def text_width(text: str, height: float) -> int:
    """How wide a text in letters of that height is, pixels."""
    return int(cv2.getTextSize(text, _FONT, *_text_style(height))[0][0])


@functools.lru_cache
def capital_height(height: float) -> int:
    """Pixels from the line to the top of a digit; painted, because OpenCV 4 and 5 report different font heights."""
    size = math.ceil(height * 3)
    paper = np.zeros((size, size, 3), np.uint8)
    write_text(paper, "0", size // 3, size * 2 // 3, height, LIGHT)
    return size * 2 // 3 - int(np.flatnonzero(paper.max(axis=(1, 2)) > 127)[0])


def shortened(text: str, height: float, room: float) -> str:
    """The text, or as much of its beginning as fits into `room` pixels with three dots after it."""
    if text_width(text, height) <= room:
        return text
    while text and text_width(text + "...", height) > room:
        text = text[:-1]
    return text + "..." if text else ""


def write_text(picture: Image, text: str, x: float, baseline: float, height: float, colour: Colour) -> None:
    """Writes into the picture, from x on, letters that stand on the baseline; pixels."""
    scale, stroke = _text_style(height)
    cv2.putText(picture, text, (round(x), round(baseline)), _FONT, scale, colour, stroke, cv2.LINE_AA)


def _draw_tag(picture: Image, box: Box, text: str, colour: Colour, taken: list[tuple[int, int, int, int]]) -> None:
    """Writes a label at the first place around the box that is free, and notes the place in `taken`."""
    height, width = picture.shape[:2]
    letters = max(10.0, 6 + math.hypot(height, width) / 110)
    pad = round(letters * 0.45)
    text = shortened(text, letters, width - 2 * pad)
    above = capital_height(letters)
    tag_width, tag_height = text_width(text, letters) + 2 * pad, above + 2 * pad
    reach = _line_width(height, width)  # the line with its halo
    left, right = box.x - reach, box.x + box.w + reach
    over, under = box.y - reach - tag_height, box.y + box.h + reach
    places = [(left, over), (left, under), (right - tag_width, over), (right - tag_width, under)]
    places += [(right, box.y), (left - tag_width, box.y), (box.x + reach, box.y + reach)]
    clamped = [
        (round(min(max(x, 0), max(width - tag_width, 0))), round(min(max(y, 0), max(height - tag_height, 0))))
        for x, y in places
    ]
    inside = [at for at, (x, y) in zip(clamped, places, strict=True) if abs(at[1] - y) < 1]
    free = [at for at in inside or clamped[-1:] if not any(_overlap((*at, tag_width, tag_height), other) for other in taken)]
    x, y = (free or inside or clamped[-1:])[0]
    taken.append((x, y, tag_width, tag_height))
    edge = max(1, round(letters / 12))
    part = picture[max(y - edge, 0) : y + tag_height + edge, max(x - edge, 0) : x + tag_width + edge]
    blend(part, DARK, 0.7)
    picture[y : y + tag_height, x : x + tag_width] = colour
    bright = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 120
    write_text(picture, text, x + pad, y + pad + above, letters, DARK if bright else LIGHT)


def _overlap(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> bool:
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]


def save_image(path: str | os.PathLike[str], image: Image) -> None:
    """Writes an RGB image in the format its ending names; the file is there whole or not at all.

    Raises:
        OutputError: unknown ending, or the path cannot be written.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in PICTURE_ENDINGS:
        raise OutputError(f"Cannot write {path}: '{ending}' is no ending of a picture. {nearest(ending, PICTURE_ENDINGS)}")
    try:
        done, data = cv2.imencode(ending, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    except cv2.error as error:
        raise OutputError(f"Cannot write {path}: {error}") from error
    if not done:
        raise OutputError(f"Cannot write {path}: a picture of {image.shape[1]}x{image.shape[0]} does not fit that format.")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data.tobytes())
        part.replace(path)
    except OSError as error:
        raise OutputError(f"Cannot write {path}: {error.strerror}. Check that its folder exists and can be written.") from error
    finally:
        with suppress(OSError):
            part.unlink()
