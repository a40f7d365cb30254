"""Pictures for people: boxes and labels on a frame, a contact sheet of frames, a ruled grid for reading off a box.

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
from siamtrack.errors import ImageError, OutputError, nearest
from siamtrack.image import Image

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

_DARK: Colour = (16, 16, 18)
_LIGHT: Colour = (245, 245, 245)
_GROUND: Colour = (40, 41, 43)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_GAP = 12  # between the pictures of a contact sheet, pixels
_THUMBNAIL = 480  # longer side of a kept picture, pixels
_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")


def draw_boxes(
    image: Image, boxes: Sequence[Box], *, scores: Sequence[float] | None = None, labels: Sequence[str] | None = None
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

    Returns:
        Shape (H, W, 3), RGB.
    """
    picture = image.copy()
    height, width = picture.shape[:2]
    scores = [math.nan] * len(boxes) if scores is None else scores
    labels = [""] * len(boxes) if labels is None else labels
    tags: list[tuple[Box, str, Colour]] = []
    for i, (box, score, label) in enumerate(zip(boxes, scores, labels, strict=True)):
        if not all(math.isfinite(v) for v in box) or not box.clipped(width, height).area > 0:
            continue
        colour = PALETTE[i % len(PALETTE)]
        _draw_box(picture, box, colour)
        text = f"{label} {score:.2f}" if not math.isnan(score) else label
        if text.strip():
            tags.append((box, text.strip(), colour))
    taken: list[tuple[int, int, int, int]] = []
    for box, text, colour in tags:  # after all boxes: a line must not cross a text
        _draw_tag(picture, box, text, colour, taken)
    return picture


def _line_width(height: int, width: int) -> float:
    """Pixels; 2 up to 640x480, 2.3 at 854x480, 4.2 at 1920x1080, 7.6 at 4K."""
    return max(2.0, 0.8 + math.hypot(height, width) / 650)


def _draw_box(picture: Image, box: Box, colour: Colour) -> None:
    # A line must not hide a small target: at most an eighth of its shorter side.
    line = max(1.25, min(_line_width(*picture.shape[:2]), min(box.w, box.h) / 8))
    halo = max(1.0, line * 0.4)
    _draw_frame(picture, box, line + 2 * halo, _DARK, 0.7)
    _draw_frame(picture, box, line, colour, 1.0)


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
        _blend(picture[rows, columns], colour, mask * opacity)


def _covered(start: float, end: float, length: int) -> NDArray[np.float32]:
    """The part of each of `length` pixels that lies in [start, end], in [0, 1]."""
    i = np.arange(length, dtype=np.float32)
    part: NDArray[np.float32] = np.clip(np.minimum(i + 1, end) - np.maximum(i, start), 0, 1)
    return part


def _blend(part: Image, colour: Colour, opacity: NDArray[np.float32] | float) -> None:
    """Mixes a colour into a view of an image, in place."""
    weight = np.asarray(opacity, np.float32)[..., None]
    part[:] = (part + (np.asarray(colour, np.float32) - part) * weight + 0.5).astype(np.uint8)


def _text_style(height: float) -> tuple[float, int]:
    """Font scale and stroke of letters that are about `height` pixels high."""
    scale = height / 22
    return scale, max(1, round(scale * 1.4))


def _text_width(text: str, height: float) -> int:
    return int(cv2.getTextSize(text, _FONT, *_text_style(height))[0][0])


@functools.lru_cache
def _capital_height(height: float) -> int:
    """Pixels from the line to the top of a digit; painted, because OpenCV 4 and 5 report different font heights."""
    size = math.ceil(height * 3)
    paper = np.zeros((size, size, 3), np.uint8)
    _write(paper, "0", size // 3, size * 2 // 3, height, _LIGHT)
    return size * 2 // 3 - int(np.flatnonzero(paper.max(axis=(1, 2)) > 127)[0])


def _shortened(text: str, height: float, room: float) -> str:
    if _text_width(text, height) <= room:
        return text
    while text and _text_width(text + "...", height) > room:
        text = text[:-1]
    return text + "..." if text else ""


def _write(picture: Image, text: str, x: float, baseline: float, height: float, colour: Colour) -> None:
    scale, stroke = _text_style(height)
    cv2.putText(picture, text, (round(x), round(baseline)), _FONT, scale, colour, stroke, cv2.LINE_AA)


def _draw_tag(picture: Image, box: Box, text: str, colour: Colour, taken: list[tuple[int, int, int, int]]) -> None:
    """Writes a label at the first place around the box that is free, and notes the place in `taken`."""
    height, width = picture.shape[:2]
    letters = max(10.0, 6 + math.hypot(height, width) / 110)
    pad = round(letters * 0.45)
    text = _shortened(text, letters, width - 2 * pad)
    above = _capital_height(letters)
    tag_width, tag_height = _text_width(text, letters) + 2 * pad, above + 2 * pad
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
    _blend(part, _DARK, 0.7)
    picture[y : y + tag_height, x : x + tag_width] = colour
    bright = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 120
    _write(picture, text, x + pad, y + pad + above, letters, _DARK if bright else _LIGHT)


def _overlap(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> bool:
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]


def contact_sheet(tiles: Sequence[tuple[str, Image]], *, width: int = 1600, columns: int | None = None) -> Image:
    """Captioned pictures in a grid on dark grey, in reading order.

    Args:
        tiles: caption and picture each; pictures of different shapes are fitted into cells of the first one's shape.
        width: width of the sheet, pixels.
        columns: pictures in a row; None chooses it so that the sheet comes near 3:2 with few empty cells.

    Returns:
        Shape (H, width, 3), RGB.

    Raises:
        ImageError: there is no picture, or no room for that many columns.
    """
    if not tiles:
        raise ImageError("A contact sheet needs at least one picture.")
    ratio = tiles[0][1].shape[0] / tiles[0][1].shape[1]
    columns = _columns_for(len(tiles), ratio) if columns is None else columns
    if columns < 1 or (width - _GAP) // columns - _GAP < 16:
        raise ImageError(f"A sheet of {width} pixels has no room for {columns} columns; choose fewer columns or more width.")
    cell_width = (width - _GAP) // columns - _GAP
    cell_height = max(16, round(cell_width * ratio))
    letters = min(max(11.0, cell_width / 28), 26.0)
    caption_height = round(letters * 2)
    rows = math.ceil(len(tiles) / columns)
    sheet = np.full((_GAP + rows * (cell_height + caption_height + _GAP), width, 3), _GROUND, np.uint8)
    for i, (caption, image) in enumerate(tiles):
        x = _GAP + i % columns * (cell_width + _GAP)
        y = _GAP + i // columns * (cell_height + caption_height + _GAP)
        fitted = _fitted(image, cell_width, cell_height)
        top, left = y + (cell_height - fitted.shape[0]) // 2, x + (cell_width - fitted.shape[1]) // 2
        sheet[top : top + fitted.shape[0], left : left + fitted.shape[1]] = fitted
        _write(sheet, _shortened(caption, letters, cell_width), x, y + cell_height + letters * 1.5, letters, _LIGHT)
    return sheet


def _columns_for(count: int, ratio: float) -> int:
    def cost(columns: int) -> float:
        rows = math.ceil(count / columns)
        return abs(math.log(columns / (rows * (ratio + 0.08)) / 1.5)) + 0.3 * (rows * columns - count) / columns

    return min(range(1, count + 1), key=cost)


def _fitted(image: Image, width: int, height: int) -> Image:
    """The image scaled into width x height pixels, keeping its proportions."""
    scale = min(width / image.shape[1], height / image.shape[0])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC), np.uint8)


class SheetCollector:
    """Keeps evenly spread frames of a stream of unknown length, scaled down, for a contact sheet.

    Memory is bounded: every `stride`-th frame is kept, and whenever there are three times as many as the sheet shows,
    every second one is dropped and the stride doubles.

    Args:
        tiles: how many pictures the sheet has at most, the first and the last frame always among them; at least 2.
    """

    def __init__(self, tiles: int = 12) -> None:
        if tiles < 2:
            raise ImageError(f"A sheet of {tiles} pictures cannot hold the first and the last frame; choose at least 2.")
        self._tiles = tiles
        self._stride = 1
        self._count = 0
        self._kept: list[tuple[int, str, Image]] = []
        self._last: tuple[int, str, Image] | None = None

    def add(self, caption: str, image: Image) -> None:
        """Takes the next frame, shape (H, W, 3); the array may be used again afterwards."""
        small = _fitted(image, _THUMBNAIL, _THUMBNAIL) if max(image.shape[:2]) > _THUMBNAIL else image.copy()
        self._last = (self._count, caption, small)
        if self._count % self._stride == 0:
            self._kept.append(self._last)
        if len(self._kept) > 3 * self._tiles:
            self._kept = self._kept[::2]
            self._stride *= 2
        self._count += 1

    def sheet(self) -> Image:
        """The contact sheet of what came so far, shape (H, at most 1600, 3).

        Raises:
            ImageError: nothing came.
        """
        if self._last is None:
            raise ImageError("There is no frame to show: the source gave none.")
        frames = self._kept if self._kept[-1] is self._last else [*self._kept, self._last]
        wanted = np.linspace(0, self._last[0], min(self._tiles, len(frames)))
        chosen = sorted({min(range(len(frames)), key=lambda k: abs(frames[k][0] - at)) for at in wanted})
        tiles = [frames[k][1:] for k in chosen]
        columns = _columns_for(len(tiles), tiles[0][1].shape[0] / tiles[0][1].shape[1])
        cell = max(tiles[0][1].shape[1], 200)  # no wider than what was kept: it would only be blurred
        return contact_sheet(tiles, width=min(1600, _GAP + columns * (cell + _GAP)), columns=columns)


def pixel_grid(image: Image) -> Image:
    """The frame under a ruled grid, with pixel coordinates on all four sides, for reading off a box by eye.

    Small frames are enlarged by a whole factor; the numbers are always pixels of the frame itself. The line of a
    number lies at the left (upper) edge of the pixel with that index, as in `Box`.

    Args:
        image: shape (H, W, 3), RGB; not changed.

    Returns:
        RGB, larger than the image: margins hold the numbers.
    """
    height, width = image.shape[:2]
    factor = max(1, math.ceil(1000 / max(height, width)))
    interpolation = cv2.INTER_NEAREST if factor > 4 else cv2.INTER_CUBIC
    large = np.asarray(cv2.resize(image, (width * factor, height * factor), interpolation=interpolation), np.uint8)
    unit = max(1.0, max(large.shape[:2]) / 1300)  # everything drawn grows with the picture
    letters = 11 * unit
    major, minor = _spacing(60 * unit / factor)
    margin = round(_text_width(str(max(height, width)), letters) + 16 * unit)
    for step, opacity in ((minor, 0.22), (major, 0.6)):
        _rule(large, step * factor, max(1, round(unit)), opacity)
    sheet = np.full((large.shape[0] + 2 * margin, large.shape[1] + 2 * margin, 3), _GROUND, np.uint8)
    sheet[margin:-margin, margin:-margin] = large
    for axis, length in ((0, width), (1, height)):
        _number_axis(sheet if axis == 0 else sheet.transpose(1, 0, 2), axis, (length, factor, major, minor), margin, unit)
    _write(sheet, "x, y", 6 * unit, margin - 14 * unit, letters, _LIGHT)
    return sheet


def _spacing(least: float) -> tuple[int, int]:
    """Pixels between numbered lines, at least `least`, and between the faint lines among them."""
    choices = {2: 1, 5: 1, 10: 5, 20: 10, 50: 10, 100: 20, 200: 50, 500: 100, 1000: 200, 2000: 500}
    major = next((step for step in choices if step >= least), max(choices))
    return major, choices[major]


def _rule(picture: Image, step: int, line: int, opacity: float) -> None:
    """Light lines, each with a faint dark one behind it so that it is seen on white."""
    for view in (picture, picture.transpose(1, 0, 2)):
        for at in range(0, view.shape[1], step):
            _blend(view[:, at : at + line], _LIGHT, opacity)
            _blend(view[:, at + line : at + 2 * line], _DARK, opacity * 0.5)


def _number_axis(sheet: Image, axis: int, ruler: tuple[int, int, int, int], margin: int, unit: float) -> None:
    """Ticks and numbers of one axis on both sides; for y (axis 1) `sheet` comes transposed and text is written upright."""
    length, factor, major, minor = ruler
    line, letters = max(1, round(unit)), 11 * unit
    size = sheet.shape[0]
    for value in range(0, length + 1, minor):
        tick = round((7 if value % major == 0 else 4) * unit)
        at = margin + value * factor
        for start in (margin - tick, size - margin):
            sheet[start : start + tick, at : at + line] = _LIGHT
    upright = sheet if axis == 0 else sheet.transpose(1, 0, 2)
    numbers = [*range(0, length + 1, major)]
    if length - numbers[-1] > major / 2:
        numbers.append(length)
    above = _capital_height(letters)
    for value in numbers:
        text, at = str(value), margin + value * factor
        text_width = _text_width(text, letters)
        gap = 10 * unit
        if axis == 0:
            places = [(at - text_width / 2, margin - gap), (at - text_width / 2, size - margin + gap + above)]
        else:
            places = [(margin - gap - text_width, at + above / 2), (size - margin + gap, at + above / 2)]
        for x, baseline in places:
            _write(upright, text, x, baseline, letters, _LIGHT)


def save_image(path: str | os.PathLike[str], image: Image) -> None:
    """Writes an RGB image in the format its ending names; the file is there whole or not at all.

    Raises:
        OutputError: unknown ending, or the path cannot be written.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in _ENDINGS:
        raise OutputError(f"Cannot write {path}: '{ending}' is no ending of a picture. {nearest(ending, _ENDINGS)}")
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
