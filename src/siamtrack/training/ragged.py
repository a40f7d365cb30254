"""Pictures of many sizes in one table of pixels, and what OpenCV does to one picture done to all of them at once by PyTorch.

A rectangle is a run of rows of the table, one a pixel. So pictures of all sizes share every step, none is padded, and none
touches another: what becomes of a rectangle does not depend on the others. Nothing here waits for the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from siamtrack.warp import Matrix

HALF_PIXEL = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
"""From the number of a pixel to the continuous coordinates of its middle."""
_BACK = np.linalg.inv(HALF_PIXEL)


class Areas(NamedTuple):
    """M rectangles of a table of pixels."""

    first: Tensor  # (M,) int64, row of the first pixel; the others follow line by line
    width: Tensor  # (M,) int64
    height: Tensor  # (M,) int64


class Pixels(NamedTuple):
    """All T pixels of some rectangles, rectangle by rectangle."""

    area: Tensor  # (T,) int64, number of the rectangle
    x: Tensor  # (T,) int64, in the rectangle
    y: Tensor  # (T,) int64


class Taps(NamedTuple):
    """What R of the rectangles are correlated with, each with its own kernel: its non-zero values, at most K."""

    area: Tensor  # (R,) int64, number of the rectangle; the one with most values first
    dx: Tensor  # (R, K) int64, from a pixel to the one that is read
    dy: Tensor  # (R, K) int64
    weight: Tensor  # (R, K) float32
    pixels: Sequence[int]  # K, in the rectangles that have more than so many values: 0, 1, ...


def areas(boxes: Sequence[tuple[int, int]]) -> Areas:
    """Rectangles of these widths and heights, one after another."""
    width, height = np.array(boxes, np.int64).reshape(-1, 2).T
    first = np.cumsum(width * height) - width * height
    return Areas(*(torch.from_numpy(np.ascontiguousarray(v)) for v in (first, width, height)))


def pixels_of(found: Areas, count: int) -> Pixels:
    """The pixels of rectangles that lie one after another.

    Args:
        found: the rectangles.
        count: their pixels; asked for, as finding it out would make the host wait.
    """
    sizes = found.width * found.height
    area = torch.repeat_interleave(torch.arange(len(sizes), device=sizes.device), sizes, output_size=count)
    inner = torch.arange(count, device=sizes.device) - (sizes.cumsum(0) - sizes)[area]
    width = found.width[area]
    return Pixels(area, inner % width, inner // width)


def back_maps(matrices: Sequence[Matrix]) -> Tensor:
    """(M, 9) float32: the inverses of M maps, between the numbers of pixels and not their continuous coordinates."""
    back = _BACK @ np.linalg.inv(np.array(matrices).reshape(-1, 3, 3)) @ HALF_PIXEL
    return torch.from_numpy((back / back[:, 2:, 2:]).reshape(-1, 9).astype(np.float32))


def looked_up(maps: Tensor, at: Pixels) -> tuple[Tensor, Tensor]:
    """Where pixels come from, u and v, through the maps of their rectangles, (M, 9)."""
    a = maps.T
    x, y = at.x.to(torch.float32), at.y.to(torch.float32)
    u, v, w = (a[k][at.area] * x + a[k + 1][at.area] * y + a[k + 2][at.area] for k in (0, 3, 6))
    return u / w, v / w


def bent(u: Tensor, v: Tensor, waves: Tensor, area: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates in the pictures of objects, displaced as `siamtrack.synthetic.drawing.Bend` says.

    Args:
        u: (T,), across.
        v: (T,), down.
        waves: (M, 3), for each rectangle how far, pixels, radians a pixel, and phase; 0 for straight.
        area: (T,), rectangle of each pixel.
    """
    amount, wave, phase = (column[area] for column in waves.T)
    return u + amount * torch.sin(wave * v + phase), v + 0.5 * amount * torch.sin(wave * u + 1.3 * phase)


def sampled(table: Tensor, source: Areas, at: Pixels, place: tuple[Tensor, Tensor], fill: Tensor | None = None) -> Tensor:
    """Bilinear samples, (T, C) float32, rounded.

    Args:
        table: (P, C).
        source: M rectangles of the table, the one that each rectangle of `at` looks at.
        at: the pixels that are wanted.
        place: u and v of each of them in its source, in numbers of pixels.
        fill: (M, C), what lies around the sources; None: they are mirrored without end.
    """
    first, width, height = (column[at.area] for column in source)
    left, top = (v.floor() for v in place)
    right_share, low_share = place[0] - left, place[1] - top
    column, row = left.long(), top.long()
    found = torch.zeros(len(column), table.shape[1], device=table.device)
    covered = torch.zeros_like(left)
    for down, dy in ((1 - low_share, 0), (low_share, 1)):
        for across, dx in ((1 - right_share, 0), (right_share, 1)):
            x, y, share = column + dx, row + dy, down * across
            if fill is None:
                x, y = _mirrored(x, width), _mirrored(y, height)
            else:
                share = share * ((x >= 0) & (x < width) & (y >= 0) & (y < height))
                x, y = torch.minimum(x.clamp(min=0), width - 1), torch.minimum(y.clamp(min=0), height - 1)
                covered += share
            found += share[:, None] * table[first + y * width + x]
    if fill is not None:
        found += (1 - covered)[:, None] * fill[at.area]
    return found.round_()


def taps(kernels: Sequence[tuple[int, NDArray[np.floating[Any]]]], boxes: Sequence[tuple[int, int]]) -> Taps:
    """What rectangles are correlated with.

    Args:
        kernels: number of a rectangle and its kernel, (rows, columns), whose middle lies at (rows // 2, columns // 2).
        boxes: width and height of all rectangles.
    """
    ordered = sorted(kernels, key=lambda entry: -np.count_nonzero(entry[1]))
    lengths = [np.count_nonzero(kernel) for _, kernel in ordered]
    most = lengths[0] if lengths else 0
    dx, dy = np.zeros((2, len(ordered), most), np.int64)
    weight = np.zeros((len(ordered), most), np.float32)
    for number, (_, kernel) in enumerate(ordered):
        rows, columns = np.nonzero(kernel)
        dx[number, : len(rows)] = columns - kernel.shape[1] // 2
        dy[number, : len(rows)] = rows - kernel.shape[0] // 2
        weight[number, : len(rows)] = kernel[rows, columns]
    pixels = [boxes[area][0] * boxes[area][1] for area, _ in ordered]
    counts = [sum(count for count, length in zip(pixels, lengths, strict=True) if length > k) for k in range(most)]
    numbers = torch.tensor([area for area, _ in ordered], dtype=torch.int64)
    return Taps(numbers, torch.from_numpy(dx), torch.from_numpy(dy), torch.from_numpy(weight), tuple(counts))


def correlated(table: Tensor, source: Areas, chosen: Taps, *, edge: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Rectangles correlated with their kernels, mirrored at their borders.

    Args:
        table: (P, C) float32.
        source: the rectangles of the table.
        chosen: which of them, and with what.
        edge: the pixel at the border is repeated in the mirror (OpenCV's BORDER_REFLECT), or not (BORDER_REFLECT_101).

    Returns:
        Rows of the table, (T,), the values that belong there, (T, C), not rounded, and their rectangles, (T,).
    """
    first, width, height = (column[chosen.area] for column in source)
    count = chosen.pixels[0] if chosen.pixels else 0
    at = pixels_of(Areas(first, width, height), count)
    found = torch.zeros(count, table.shape[1], device=table.device)
    for k, here in enumerate(chosen.pixels):
        owner = at.area[:here]
        x = _mirrored(at.x[:here] + chosen.dx[owner, k], width[owner], edge)
        y = _mirrored(at.y[:here] + chosen.dy[owner, k], height[owner], edge)
        found[:here] += chosen.weight[owner, k, None] * table[first[owner] + y * width[owner] + x]
    return first[at.area] + at.y * width[at.area] + at.x, found, chosen.area[at.area]


def translated(table: Tensor, values: Tensor, area: Tensor) -> Tensor:
    """Values, (T, 3) float32, looked up in the tables of their rectangles, (M, 256, 3) uint8."""
    channel = torch.arange(3, device=values.device)
    return table[area[:, None], values.long(), channel].to(torch.float32)


def _mirrored(index: Tensor, size: Tensor, edge: bool = True) -> Tensor:
    """Where a coordinate outside is found in the mirror, or in the mirror's mirror."""
    last = 0 if edge else 1
    period = (2 * size - 2 * last).clamp(min=1)
    folded = index.remainder(period)
    return torch.minimum(folded, (period - 1 + last - folded).clamp(min=0))
