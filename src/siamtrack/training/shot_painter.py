"""Many windows of scenes painted at once by PyTorch, on any device; see `siamtrack.synthetic.shot` for one by OpenCV.

The pictures are OpenCV's to about the last bit, with OpenCV 5; older versions round coordinates, too.
Every scene lights its pictures in its own way, so that hardly any is used by two pairs: those of a batch are sent with it, each
once and only the level that is drawn, and none is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from siamtrack.synthetic.drawing import Layer, Placed, placed, smear_kernel
from siamtrack.synthetic.shot import Shot, Window
from siamtrack.training.ragged import (
    Areas,
    Taps,
    areas,
    back_maps,
    bent,
    correlated,
    looked_up,
    pixels_of,
    sampled,
    taps,
    translated,
)

_AS_IT_WAS = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)


class PackedGrounds(NamedTuple):
    """The grounds of N canvases."""

    canvas: Areas  # N, of the table that they make
    pixels: int
    source: Areas  # N, of the pictures
    maps: Tensor  # (N, 9) float32, see `back_maps`
    smear: Taps
    defocus: tuple[Taps, Taps]  # along x and y


class PackedLayers(NamedTuple):
    """The L objects on all canvases: first the one furthest back of each canvas, then the second of each, ..."""

    sharp: Areas  # L, of the table that they make before they are smeared
    sharp_pixels: int
    source: Areas  # L, of the pictures
    maps: Tensor  # (L, 9) float32
    waves: Tensor  # (L, 3) float32, see `bent`
    smear: Taps
    seen: Areas  # L, the parts of those that lie on their canvas
    pixels: Sequence[int]  # in these parts: of the first of each canvas, of the second of each, ...
    inset: Tensor  # (L, 2) int64, x and y of these parts in what they are parts of
    canvas: Tensor  # (L,) int64, number of the canvas
    left: Tensor  # (L,) int64, on the canvas
    top: Tensor  # (L,) int64


class PackedWindows(NamedTuple):
    """N windows of one size, ready to be sent to a device."""

    pictures: Tensor  # (P, 4) uint8, the pixels of all pictures: red, green, blue multiplied by alpha, alpha
    grounds: PackedGrounds
    layers: PackedLayers
    light: Tensor  # (N, 256, 3) uint8
    enlarge: Tensor  # (N, 9) float32, from the window to the canvas
    size: int  # of the windows, pixels
    inside: Tensor  # (N, 4) int64: left, top, right, bottom of what is kept
    averaged: Tensor  # (N, 4) int64: of what the fill is the mean of


class _Pictures:
    """Pictures, each once, as rectangles of one table."""

    def __init__(self) -> None:
        self._found: dict[int, tuple[int, int, int]] = {}
        self._pictures: list[NDArray[np.uint8]] = []
        self._end = 0

    def add(self, picture: NDArray[np.uint8]) -> tuple[int, int, int]:
        """First row, width and height of the picture in the table."""
        if id(picture) not in self._found:
            height, width = picture.shape[:2]
            self._found[id(picture)] = self._end, width, height
            self._pictures.append(picture)  # and kept, or its id would be given away
            self._end += width * height
        return self._found[id(picture)]

    def table(self) -> Tensor:
        """(P, 4) uint8."""
        four = [p if p.shape[2] == 4 else cv2.cvtColor(p, cv2.COLOR_BGR2BGRA) for p in self._pictures]
        return torch.from_numpy(np.concatenate([p.reshape(-1, 4) for p in four]))


def pack_windows(windows: Sequence[Window]) -> PackedWindows:
    """Windows of one size, at least one, as tensors on the CPU."""
    pictures, size = _Pictures(), windows[0].size
    grounds = _packed_grounds([w.shot for w in windows], pictures)
    layers = _packed_layers([w.shot for w in windows], pictures)
    inside = np.array([w.inside for w in windows], np.int64)
    nothing = np.any(inside[:, 2:] <= inside[:, :2], axis=1, keepdims=True)
    enlarge = [
        np.array([[w.enlarged, 0, -w.enlarged * w.corner[0]], [0, w.enlarged, -w.enlarged * w.corner[1]], [0, 0, 1]])
        for w in windows
    ]
    return PackedWindows(
        pictures=pictures.table(),
        grounds=grounds,
        layers=layers,
        light=torch.from_numpy(np.stack([_AS_IT_WAS if w.shot.light is None else w.shot.light for w in windows])),
        enlarge=back_maps(enlarge),
        size=size,
        inside=torch.from_numpy(inside),
        averaged=torch.from_numpy(np.where(nothing, [[0, 0, size, size]], inside)),
    )


def _packed_grounds(shots: Sequence[Shot], pictures: _Pictures) -> PackedGrounds:
    boxes = [(shot.width, shot.height) for shot in shots]
    levels = [shot.ground.at(shot.ground_map) for shot in shots]
    smears = [(n, kernel) for n, shot in enumerate(shots) if (kernel := smear_kernel(shot.ground_smear)) is not None]
    blurs = [(n, _gaussian(shot.defocus)) for n, shot in enumerate(shots) if shot.defocus]
    return PackedGrounds(
        canvas=areas(boxes),
        pixels=sum(width * height for width, height in boxes),
        source=_sources([pictures.add(picture) for picture, _ in levels]),
        maps=back_maps([matrix for _, matrix in levels]),
        smear=taps(smears, boxes),
        defocus=(taps(blurs, boxes), taps([(n, kernel.T) for n, kernel in blurs], boxes)),
    )


def _packed_layers(shots: Sequence[Shot], pictures: _Pictures) -> PackedLayers:
    seen: list[tuple[int, int, Layer, Placed]] = []
    for canvas, shot in enumerate(shots):
        found = [(layer, part) for layer in shot.layers if (part := placed(layer, (shot.width, shot.height)))]
        seen += [(order, canvas, layer, part) for order, (layer, part) in enumerate(found)]
    seen.sort(key=lambda entry: entry[0])
    parts = [part for *_, part in seen]
    boxes = [(part.sharp.width, part.sharp.height) for part in parts]
    smears = [(n, kernel) for n, (_, _, layer, _) in enumerate(seen) if (kernel := smear_kernel(layer.smear)) is not None]
    maps = [np.array([[1, 0, -p.sharp.left], [0, 1, -p.sharp.top], [0, 0, 1]]) @ p.matrix for p in parts]
    waves = [(*layer.bend.in_pixels(part.picture), layer.bend.phase) for _, _, layer, part in seen]
    pixels = [0] * (seen[-1][0] + 1 if seen else 0)
    for order, _, _, part in seen:
        pixels[order] += part.seen.width * part.seen.height
    return PackedLayers(
        sharp=areas(boxes),
        sharp_pixels=sum(width * height for width, height in boxes),
        source=_sources([pictures.add(part.picture) for part in parts]),
        maps=back_maps(maps),
        waves=torch.tensor(waves, dtype=torch.float32).reshape(-1, 3),
        smear=taps(smears, boxes),
        seen=areas([(part.seen.width, part.seen.height) for part in parts]),
        pixels=tuple(pixels),
        inset=torch.tensor([part.sharp.offset(part.seen) for part in parts], dtype=torch.int64).reshape(-1, 2),
        canvas=torch.tensor([canvas for _, canvas, _, _ in seen], dtype=torch.int64),
        left=torch.tensor([part.seen.left for part in parts], dtype=torch.int64),
        top=torch.tensor([part.seen.top for part in parts], dtype=torch.int64),
    )


def _sources(found: Sequence[tuple[int, int, int]]) -> Areas:
    return Areas(*torch.tensor(found, dtype=torch.int64).reshape(-1, 3).T.contiguous())


def _gaussian(sigma: float) -> NDArray[np.float64]:
    """(1, K): the kernel that OpenCV takes for this deviation and 8 bits."""
    return np.asarray(cv2.getGaussianKernel(round(6 * sigma + 1) | 1, sigma), np.float64).T


def paint_windows(packed: PackedWindows) -> tuple[Tensor, Tensor]:
    """The pictures and the mean colours of what they show of their frames, which the rest of them is filled with.

    Returns:
        (N, size, size, 3) and (N, 3), float32; the pictures have whole values, 0 to 255.
    """
    grounds = packed.grounds
    at = pixels_of(grounds.canvas, grounds.pixels)
    table = sampled(packed.pictures, grounds.source, at, looked_up(grounds.maps, at))[:, :3].contiguous()
    rows, values, _ = correlated(table, grounds.canvas, grounds.smear, edge=True)
    table[rows] = values.round_()
    for step in grounds.defocus:
        rows, values, _ = correlated(table, grounds.canvas, step, edge=False)
        table[rows] = values
    table = table.round_()
    _lay_layers(table, grounds.canvas, packed)
    table = translated(packed.light, table, at.area)
    count, size = len(packed.light), packed.size
    side = torch.full_like(grounds.canvas.width, size)
    whole = pixels_of(Areas(side, side, side), count * size * size)
    black = torch.zeros(count, 3, device=table.device)
    images = sampled(table, grounds.canvas, whole, looked_up(packed.enlarge, whole), black)
    return _filled_outside(images.reshape(count, size, size, 3), packed.inside, packed.averaged)


def _lay_layers(table: Tensor, canvas: Areas, packed: PackedWindows) -> None:
    """Draws the objects over the grounds, in place; in one step those of all canvases that come next."""
    layers = packed.layers
    at = pixels_of(layers.sharp, layers.sharp_pixels)
    place = bent(*looked_up(layers.maps, at), layers.waves, at.area)
    nothing = torch.zeros(len(layers.maps), 4, device=table.device)
    drawn = sampled(packed.pictures, layers.source, at, place, nothing)
    rows, values, _ = correlated(drawn, layers.sharp, layers.smear, edge=True)
    drawn[rows] = values.round_()
    at = pixels_of(layers.seen, sum(layers.pixels))
    x, y = at.x + layers.inset[at.area, 0], at.y + layers.inset[at.area, 1]
    drawn = drawn[layers.sharp.first[at.area] + y * layers.sharp.width[at.area] + x]
    number = layers.canvas[at.area]
    rows = canvas.first[number] + (at.y + layers.top[at.area]) * canvas.width[number] + at.x + layers.left[at.area]
    begin = 0
    for count in layers.pixels:
        here, over = rows[begin : begin + count], drawn[begin : begin + count]
        behind = (table[here] * ((255 - over[:, 3:]) / 255)).round_()
        table[here] = (behind + over[:, :3]).clamp_(max=255)
        begin += count


def _filled_outside(images: Tensor, inside: Tensor, averaged: Tensor) -> tuple[Tensor, Tensor]:
    mask = _mask(averaged, images.shape[1])[..., None]
    area = (averaged[:, 2:] - averaged[:, :2]).prod(1)
    total = (images.to(torch.int32) * mask).sum((1, 2))  # whole numbers: the same sum in any order
    fill = total.to(torch.float32) / area[:, None]
    kept = _mask(inside, images.shape[1])[..., None]
    return torch.where(kept, images, fill.round()[:, None, None]), fill


def _mask(boxes: Tensor, size: int) -> Tensor:
    """(N, size, size): whether a pixel lies in left, top, right, bottom."""
    left, top, right, bottom = (column[:, None] for column in boxes.T)
    at = torch.arange(size, device=boxes.device)
    in_rows, in_columns = (at >= top) & (at < bottom), (at >= left) & (at < right)
    return torch.logical_and(in_rows[:, :, None], in_columns[:, None, :])
