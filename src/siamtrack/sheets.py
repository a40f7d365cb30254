"""Pictures made of frames: a contact sheet of many, a ruled grid around one for reading off a box."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from siamtrack.draw import DARK, LIGHT, Colour, blend, capital_height, shortened, text_width, write_text
from siamtrack.errors import ImageError
from siamtrack.image import Image

_GROUND: Colour = (40, 41, 43)
_GAP = 12  # between the pictures of a contact sheet, pixels
_THUMBNAIL = 480  # longer side of a kept picture, pixels
_STRIP = 44  # height of a legend, pixels


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
        write_text(sheet, shortened(caption, letters, cell_width), x, y + cell_height + letters * 1.5, letters, LIGHT)
    return sheet


def with_legend(sheet: Image, entries: Sequence[tuple[str, Colour]]) -> Image:
    """The sheet under a dark strip that says which colour stands for what."""
    strip = np.full((_STRIP, sheet.shape[1], 3), DARK, np.uint8)
    x, letters = 14, 15.0
    for name, colour in entries:
        strip[_STRIP // 2 - 7 : _STRIP // 2 + 7, x : x + 26] = colour
        write_text(strip, name, x + 36, _STRIP / 2 + letters / 2 - 1, letters, LIGHT)
        x += 36 + text_width(name, letters) + 30
    return np.vstack([strip, sheet])


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
    margin = round(text_width(str(max(height, width)), letters) + 16 * unit)
    for step, opacity in ((minor, 0.22), (major, 0.6)):
        _rule(large, step * factor, max(1, round(unit)), opacity)
    sheet = np.full((large.shape[0] + 2 * margin, large.shape[1] + 2 * margin, 3), _GROUND, np.uint8)
    sheet[margin:-margin, margin:-margin] = large
    for axis, length in ((0, width), (1, height)):
        _number_axis(sheet if axis == 0 else sheet.transpose(1, 0, 2), axis, (length, factor, major, minor), margin, unit)
    write_text(sheet, "x, y", 6 * unit, margin - 14 * unit, letters, LIGHT)
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
            blend(view[:, at : at + line], LIGHT, opacity)
            blend(view[:, at + line : at + 2 * line], DARK, opacity * 0.5)


def _number_axis(sheet: Image, axis: int, ruler: tuple[int, int, int, int], margin: int, unit: float) -> None:
    """Ticks and numbers of one axis on both sides; for y (axis 1) `sheet` comes transposed and text is written upright."""
    length, factor, major, minor = ruler
    line, letters = max(1, round(unit)), 11 * unit
    size = sheet.shape[0]
    for value in range(0, length + 1, minor):
        tick = round((7 if value % major == 0 else 4) * unit)
        at = margin + value * factor
        for start in (margin - tick, size - margin):
            sheet[start : start + tick, at : at + line] = LIGHT
    upright = sheet if axis == 0 else sheet.transpose(1, 0, 2)
    numbers = [*range(0, length + 1, major)]
    if length - numbers[-1] > major / 2:
        numbers.append(length)
    above = capital_height(letters)
    for value in numbers:
        text, at = str(value), margin + value * factor
        wide = text_width(text, letters)
        gap = 10 * unit
        if axis == 0:
            places = [(at - wide / 2, margin - gap), (at - wide / 2, size - margin + gap + above)]
        else:
            places = [(margin - gap - wide, at + above / 2), (size - margin + gap, at + above / 2)]
        for x, baseline in places:
            write_text(upright, text, x, baseline, letters, LIGHT)
