"""Training pairs of made-up worlds painted a batch at a time by PyTorch, on the device that trains.

What a pair shows is decided by `WorldPairs.plan`, with NumPy on the CPU, so that a number gives the same pair in every batch.
Painted here, a pair is that of `WorldPairs` to about the last bit, but for two things: noise comes from another generator, and
there is no JPEG, which cannot be done to a batch on a device. Patches that shrink their crop to less than half are sampled and
not averaged; no recipe of siamtrack does that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from siamtrack.synthetic.photometric import motion_kernel
from siamtrack.synthetic.shot import Window
from siamtrack.training.augment import PairPlan, PatchPlan
from siamtrack.training.look_alikes import SOFT_RIM, Paste
from siamtrack.training.ragged import (
    HALF_PIXEL,
    Areas,
    Taps,
    areas,
    back_maps,
    correlated,
    looked_up,
    pixels_of,
    sampled,
    taps,
    translated,
)
from siamtrack.training.shot_painter import PackedWindows, pack_windows, paint_windows

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as OpenCV


class PackedPatches(NamedTuple):
    """B patches of one size."""

    window: Tensor  # (B,) int64, number of the window that each is cut from
    maps: Tensor  # (B, 9) float32, see `back_maps`
    area: Areas  # B, of the table that they make
    size: int
    tables: Tensor  # (B, 256, 3) uint8
    grey: Tensor  # (B, 1) bool
    blur: tuple[Taps, Taps]  # along x and y
    blur_share: Tensor  # (B, 1) float32, along x
    motion: Taps
    noisy: Tensor  # (R,) int64, numbers of those with noise
    noise: Tensor  # (R, 2) int64: their seeds, and 1 for grey noise
    sigma: Tensor  # (R, 1, 1, 1) float32, deviation of their noise
    flipped: Tensor  # (F,) int64, numbers of those in a mirror


class PackedPastes(NamedTuple):
    """The L pieces that are drawn into search patches: first the first of each patch, then the second of each, ..."""

    window: Tensor  # (L,) int64, number of the window that each is a piece of
    patch: Tensor  # (L,) int64, that it is drawn into
    area: Areas  # L, what it may cover
    left: Tensor  # (L,) int64, of that in the patch
    top: Tensor  # (L,) int64
    maps: Tensor  # (L, 9) float32, to the window
    unit: Tensor  # (L, 9) float32, to the piece as the square from -1 to 1
    soft: Tensor  # (L,) bool
    pixels: Sequence[int]  # in the first of each patch, in the second of each, ...


class PackedPairs(NamedTuple):
    """B pairs."""

    windows: PackedWindows
    templates: PackedPatches
    searches: PackedPatches
    pastes: PackedPastes


def pack_pairs(plans: Sequence[PairPlan[Window]]) -> PackedPairs:
    """Plans, at least one, as tensors on the CPU; their noise is not drawn, and they have no JPEG."""
    windows = [window for plan in plans for window in (plan.template, plan.search)]
    pieces = [(number, paste) for number, plan in enumerate(plans) for paste in plan.pastes]
    first_piece = len(windows)
    windows += [paste.picture for _, paste in pieces]
    flips = [plan.flip for plan in plans]
    return PackedPairs(
        windows=pack_windows(windows),
        templates=_packed_patches([plan.template_patch for plan in plans], flips, range(0, first_piece, 2)),
        searches=_packed_patches([plan.search_patch for plan in plans], flips, range(1, first_piece, 2)),
        pastes=_packed_pastes(pieces, first_piece, plans[0].search_patch.size),
    )


def _packed_patches(patches: Sequence[PatchPlan], flips: Sequence[bool], windows: range) -> PackedPatches:
    size, recordings = patches[0].size, [patch.recording for patch in patches]
    boxes = [(size, size)] * len(patches)
    as_it_was = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    tables = np.stack([as_it_was if r.table is None else r.table for r in recordings])
    lines = [(n, np.full((1, r.blur[0]), 1 / r.blur[0], np.float32)) for n, r in enumerate(recordings) if r.blur]
    noises = [(n, r.noise) for n, r in enumerate(recordings) if r.noise]
    grains = [(noise.grain, noise.channels == 1) for _, noise in noises]
    return PackedPatches(
        window=torch.tensor(windows),
        maps=back_maps([patch.matrix for patch in patches]),
        area=areas(boxes),
        size=size,
        tables=torch.from_numpy(tables),
        grey=torch.tensor([[r.grey] for r in recordings]),
        blur=(taps(lines, boxes), taps([(n, line.T) for n, line in lines], boxes)),
        blur_share=torch.tensor([[r.blur[1] if r.blur else 0.0] for r in recordings]),
        motion=taps([(n, motion_kernel(*r.motion)) for n, r in enumerate(recordings) if r.motion], boxes),
        noisy=torch.tensor([n for n, _ in noises], dtype=torch.int64),
        noise=torch.tensor(grains, dtype=torch.int64).reshape(-1, 2),
        sigma=torch.tensor([noise.sigma for _, noise in noises], dtype=torch.float32).reshape(-1, 1, 1, 1),
        flipped=torch.tensor([n for n, flip in enumerate(flips) if flip], dtype=torch.int64),
    )


def _packed_pastes(pieces: Sequence[tuple[int, Paste[Window]]], first: int, size: int) -> PackedPastes:
    """Of pieces with the numbers of their patches; the windows are numbered from `first` in the same order."""
    order: list[int] = []
    for n, (patch, _) in enumerate(pieces):
        order.append(order[n - 1] + 1 if n and pieces[n - 1][0] == patch else 0)
    covers = [_covered(paste, size) for _, paste in pieces]
    found = sorted((n for n in range(len(pieces)) if covers[n] is not None), key=lambda n: order[n])
    places = np.array([covers[n] for n in found], np.int64).reshape(-1, 4)
    maps, units = [], []
    pixels = [0] * (max((order[n] for n in found), default=-1) + 1)
    for n, (left, top, width, height) in zip(found, places.tolist(), strict=True):
        paste = pieces[n][1]
        x0, y0, x1, y1 = paste.piece
        to_area = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1]]) @ paste.matrix
        from_unit = np.array([[(x1 - x0) / 2, 0, (x1 - x0) / 2], [0, (y1 - y0) / 2, (y1 - y0) / 2], [0, 0, 1]])
        maps.append(to_area @ np.array([[1, 0, -x0], [0, 1, -y0], [0, 0, 1]]))
        units.append(np.linalg.inv(to_area @ from_unit) @ HALF_PIXEL)
        pixels[order[n]] += width * height
    return PackedPastes(
        window=torch.tensor([first + n for n in found], dtype=torch.int64),
        patch=torch.tensor([pieces[n][0] for n in found], dtype=torch.int64),
        area=areas([(int(w), int(h)) for _, _, w, h in places]),
        left=torch.from_numpy(places[:, 0].copy()),
        top=torch.from_numpy(places[:, 1].copy()),
        maps=back_maps(maps),
        unit=torch.from_numpy(np.array(units, np.float32).reshape(-1, 9)),
        soft=torch.tensor([pieces[n][1].soft for n in found], dtype=torch.bool),
        pixels=tuple(pixels),
    )


def _covered(paste: Paste[Window], size: int) -> tuple[int, int, int, int] | None:
    """Left, top, width and height of what a piece may cover of its patch."""
    width, height = paste.piece[2] - paste.piece[0], paste.piece[3] - paste.piece[1]
    scale_x, scale_y, x, y = paste.matrix[0, 0], paste.matrix[1, 1], paste.matrix[0, 2], paste.matrix[1, 2]
    left, top = max(math.floor(x), 0), max(math.floor(y), 0)
    right, bottom = min(math.ceil(x + scale_x * width), size), min(math.ceil(y + scale_y * height), size)
    return (left, top, right - left, bottom - top) if right > left and bottom > top else None


def paint_pairs(packed: PackedPairs) -> tuple[Tensor, Tensor]:
    """Templates (B, 3, T, T) and search patches (B, 3, S, S), uint8, channels last in memory."""
    images, fills = paint_windows(packed.windows)
    size = packed.windows.size
    side = torch.full((len(images),), size, dtype=torch.int64, device=images.device)
    windows = Areas(torch.arange(len(images), device=images.device) * size * size, side, side)
    table = images.reshape(-1, 3)
    templates = _cut(packed.templates, table, windows, fills)
    searches = _cut(packed.searches, table, windows, fills)
    _paste(packed.pastes, table, windows, searches, packed.searches.area)
    return _recorded(packed.templates, templates), _recorded(packed.searches, searches)


def _cut(patches: PackedPatches, table: Tensor, windows: Areas, fills: Tensor) -> Tensor:
    at = pixels_of(patches.area, len(patches.maps) * patches.size**2)
    source = Areas(*(column[patches.window] for column in windows))
    return sampled(table, source, at, looked_up(patches.maps, at), fills[patches.window].round())


def _paste(pastes: PackedPastes, table: Tensor, windows: Areas, patches: Tensor, area: Areas) -> None:
    """Draws the pieces into the patches, in place; in one step those of all patches that come next."""
    at = pixels_of(pastes.area, sum(pastes.pixels))
    source = Areas(*(column[pastes.window] for column in windows))
    colours = sampled(table, source, at, looked_up(pastes.maps, at))
    x, y = looked_up(pastes.unit, at)
    radius = (x.abs() ** 4 + y.abs() ** 4) ** 0.25
    alpha = torch.where(pastes.soft[at.area], ((1 - radius) / SOFT_RIM).clamp(0, 1), 1.0)[:, None]
    owner = pastes.patch[at.area]
    rows = area.first[owner] + (at.y + pastes.top[at.area]) * area.width[owner] + at.x + pastes.left[at.area]
    begin = 0
    for count in pastes.pixels:
        here = slice(begin, begin + count)
        patches[rows[here]] = (colours[here] * alpha[here] + patches[rows[here]] * (1 - alpha[here])).round_()
        begin += count


def _recorded(patches: PackedPatches, table: Tensor) -> Tensor:
    """As `siamtrack.training.recorded.Recording` says, and in a mirror; table is (B * size * size, 3)."""
    count, size = len(patches.maps), patches.size
    area = torch.arange(count, device=table.device).repeat_interleave(size * size, output_size=len(table))
    table = translated(patches.tables, table, area)
    red, green, blue = (share * table[:, k : k + 1] for k, share in enumerate(_LUMA))
    table = torch.where(patches.grey[area], (red + green + blue).round_(), table)
    rows, along_x, owner = correlated(table, patches.area, patches.blur[0], edge=False)
    _, along_y, _ = correlated(table, patches.area, patches.blur[1], edge=False)
    share = patches.blur_share[owner]
    table[rows] = (share * along_x.round_() + (1 - share) * along_y.round_()).round_()
    rows, values, _ = correlated(table, patches.area, patches.motion, edge=False)
    table[rows] = values.round_()
    images = table.reshape(count, size, size, 3)
    noisy = images[patches.noisy] + patches.sigma * _grain(patches.noise, size)
    images[patches.noisy] = noisy.round_().clamp_(0, 255)
    images[patches.flipped] = images[patches.flipped].flip(2)
    return images.to(torch.uint8).permute(0, 3, 1, 2)


def _grain(noise: Tensor, size: int) -> Tensor:
    """(R, size, size, 3): normal numbers that are a function of the seed and the pixel's number, on every device."""
    seed, grey = noise[:, 0, None, None, None], noise[:, 1, None, None, None]
    pixel = torch.arange(size * size, device=noise.device).reshape(size, size, 1)
    channel = torch.arange(3, device=noise.device) * (1 - grey)  # the same number thrice is grey
    bits = _mixed(_mixed(seed) + 3 * pixel + channel)
    first, second = ((bits >> 40) & 0xFFFFFF) + 1, (bits >> 8) & 0xFFFFFF
    radius = (-2 * torch.log(first.to(torch.float32) / 2**24)).sqrt()
    return radius * torch.cos(2 * math.pi * second.to(torch.float32) / 2**24)


def _mixed(number: Tensor) -> Tensor:
    """All bits of int64 numbers mixed, as the finaliser of splitmix64 (Steele, Lea, Flood 2014) does."""
    number = number * -7046029254386353131  # 0x9E3779B97F4A7C15; a right shift of a negative number is masked
    number = (number ^ (number >> 30 & 0x3FFFFFFFF)) * -4658895280553007687  # 0xBF58476D1CE4E5B9
    number = (number ^ (number >> 27 & 0x1FFFFFFFFF)) * -7723592293110705685  # 0x94D049BB133111EB
    return number ^ (number >> 31 & 0x1FFFFFFFF)
