"""Endless training pairs from pictures that nobody has annotated as video.

Three kinds, each drawn from a picture by one warp a view, so that every pixel is resampled once:
* a still seen twice, through two different warps;
* a cut-out object pasted on one background twice, with its own motion and deformation, among other objects;
* two frames of a real track.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from siamtrack.box import Box
from siamtrack.errors import SettingsError
from siamtrack.image import Image
from siamtrack.synthetic import photometric
from siamtrack.synthetic.material import Material

Matrix = NDArray[np.float64]
"""(3, 3) map from the pixels of one picture to those of another, in continuous coordinates (pixel i covers [i, i + 1))."""


CENTERED = np.zeros(2, np.float32)


class Pair(NamedTuple):
    """A template, a search patch that shows the same target, and where it is there."""

    template: Image  # (template_size, template_size, 3)
    search: Image  # (search_size, search_size, 3)
    offset: NDArray[np.float32]  # (2,): x, y of the target's centre relative to the search patch's centre, patch pixels


@dataclass(frozen=True, kw_only=True)
class PairSettings:
    """How pairs are drawn. Sizes in patch pixels, angles in degrees.

    Raises:
        SettingsError: shares that are negative or sum to nothing.
    """

    template_size: int = 127
    search_size: int = 255
    context: float = 0.5  # margin around the target, as the tracking procedure crops it
    warp_share: float = 0.5  # of the pairs: a still seen twice
    paste_share: float = 0.4  # of the pairs: a cut-out pasted twice
    track_share: float = 0.1  # of the pairs: two frames of a real track
    max_shift: float = 40.0  # of the target from the centre of the search patch
    max_frame_gap: int = 100  # between the two frames of a track; sec. 3.2 of the SiamFC paper
    grey_share: float = 0.2  # of the pairs, both views

    def __post_init__(self) -> None:
        shares = self.warp_share, self.paste_share, self.track_share
        if min(shares) < 0 or sum(shares) <= 0:
            raise SettingsError(
                f"The shares of the three kinds of pairs are {shares}; expected none below 0 and a sum above 0."
            )


class PairSource:
    """Pairs by number: the same settings, seed and material give the same pair for the same number, always."""

    def __init__(self, material: Material, settings: PairSettings, *, seed: int) -> None:
        self.material = material
        self.settings = settings
        self.seed = seed
        kinds: list[tuple[float, Callable[[np.random.Generator], Pair]]] = [(settings.warp_share, self._warped)]
        if material.cutouts:
            kinds.append((settings.paste_share, self._pasted))
        if material.tracks:
            kinds.append((settings.track_share, self._tracked))
        self._kinds = [kind for _, kind in kinds]
        self._shares = np.array([share for share, _ in kinds]) / sum(share for share, _ in kinds)

    def __getitem__(self, number: int) -> Pair:
        rng = np.random.default_rng((self.seed, number))
        kind = self._kinds[rng.choice(len(self._kinds), p=self._shares)]
        pair = kind(rng)
        if rng.random() < 0.5:
            flipped = pair.offset * np.array([-1, 1], np.float32)
            pair = Pair(np.ascontiguousarray(pair.template[:, ::-1]), np.ascontiguousarray(pair.search[:, ::-1]), flipped)
        if rng.random() < self.settings.grey_share:
            pair = Pair(photometric.grey(pair.template), photometric.grey(pair.search), pair.offset)
        quality = photometric.random_quality
        return Pair(quality(pair.template, rng), quality(pair.search, rng), pair.offset)

    def _warped(self, rng: np.random.Generator) -> Pair:
        still = self.material.stills[rng.integers(len(self.material.stills))]
        picture = still.read()
        known = still.boxes and rng.random() < 0.8
        box = still.boxes[rng.integers(len(still.boxes))] if known else _random_box(picture, rng)
        pair = self._views(rng, picture, picture, box, box, strength=1.0)
        if self.material.cutouts and rng.random() < 0.25:  # something new has come into the picture, beside the target
            self._paste_distractors(rng, pair.search, pair.offset, count=1)
        return pair

    def _tracked(self, rng: np.random.Generator) -> Pair:
        track = self.material.tracks[rng.integers(len(self.material.tracks))]
        present = [i for i, box in enumerate(track.boxes) if not box.absent and box.area > 0]
        first = present[rng.integers(len(present))]
        near = [i for i in present if abs(i - first) <= self.settings.max_frame_gap]
        second = near[rng.integers(len(near))]
        return self._views(rng, track.read(first), track.read(second), track.boxes[first], track.boxes[second], strength=0.3)

    def _views(
        self, rng: np.random.Generator, first: Image, second: Image, first_box: Box, second_box: Box, *, strength: float
    ) -> Pair:
        s = self.settings
        offset = _random_offset(rng, s.max_shift)
        template_map = _crop_map(first_box, s.template_size, s.template_size, s.context)
        template_map = _random_warp(rng, s.template_size, CENTERED, 0.25 * strength) @ template_map
        search_map = _crop_map(second_box, s.search_size, s.template_size, s.context)
        search_map = _random_warp(rng, s.search_size, offset, strength) @ search_map
        return Pair(_warp(first, template_map, s.template_size), _warp(second, search_map, s.search_size), offset)

    def _pasted(self, rng: np.random.Generator) -> Pair:
        s = self.settings
        cutout = self.material.cutouts[rng.integers(len(self.material.cutouts))].read()
        background = self.material.stills[rng.integers(len(self.material.stills))].read()
        place = _random_box(background, rng)
        offset = _random_offset(rng, s.max_shift)
        template = _warp(background, _crop_map(place, s.template_size, s.template_size, s.context), s.template_size)
        if rng.random() < 0.3:  # the target has moved on to another ground
            background = self.material.stills[rng.integers(len(self.material.stills))].read()
            place = _random_box(background, rng)
        behind = _random_warp(rng, s.search_size, _random_offset(rng, 60), 1.0)
        behind = behind @ _crop_map(place, s.search_size, s.template_size, s.context)
        # mirrored at its border half of the time: a target near the border of its frame is not the usual case
        search = _warp(background, behind, s.search_size, mirror=rng.random() < 0.5)

        whole = Box(0, 0, cutout.shape[1], cutout.shape[0])
        still = _crop_map(whole, s.template_size, s.template_size, s.context)
        still = _random_warp(rng, s.template_size, CENTERED, 0.2) @ still
        moved = _random_warp(rng, s.search_size, offset, 1.3) @ _crop_map(whole, s.search_size, s.template_size, s.context)
        self._paste_distractors(rng, search, offset, count=int(rng.integers(0, 4)), look_alike=cutout)
        _paste(template, cutout, still)
        _paste(search, _recoloured(cutout, rng, 0.4), moved)
        if rng.random() < 0.15:
            self._paste_occluder(rng, search, offset)
        return Pair(template, search, offset)

    def _paste_distractors(
        self,
        rng: np.random.Generator,
        search: Image,
        offset: NDArray[np.float32],
        *,
        count: int,
        look_alike: NDArray[np.uint8] | None = None,
    ) -> None:
        s = self.settings
        for _ in range(count):
            other = self.material.cutouts[rng.integers(len(self.material.cutouts))].read()
            if look_alike is not None and rng.random() < 0.15:
                other = _recoloured(look_alike, rng, 2.5)
            place = rng.uniform(-0.5, 0.5, 2).astype(np.float32) * s.search_size
            if np.hypot(*(place - offset)) < 55:
                continue
            whole = Box(0, 0, other.shape[1], other.shape[0])
            where = _random_warp(rng, s.search_size, place, 1.5) @ _crop_map(whole, s.search_size, s.template_size, s.context)
            _paste(search, other, where)

    def _paste_occluder(self, rng: np.random.Generator, search: Image, offset: NDArray[np.float32]) -> None:
        s = self.settings
        other = self.material.cutouts[rng.integers(len(self.material.cutouts))].read()
        angle = rng.uniform(0, 2 * np.pi)
        place = (offset + rng.uniform(25, 45) * np.array([np.cos(angle), np.sin(angle)])).astype(np.float32)
        whole = Box(0, 0, other.shape[1], other.shape[0])
        where = _random_warp(rng, s.search_size, place, 1.0) @ _crop_map(whole, s.search_size, s.template_size, s.context)
        _paste(search, other, where)


def _crop_map(box: Box, patch_size: int, template_size: int, context: float) -> Matrix:
    """Map that puts the box in the middle of a patch, at the size the tracking procedure would show it in a template."""
    margin = context * (box.w + box.h)
    factor = template_size / np.sqrt((box.w + margin) * (box.h + margin))
    cx, cy = box.center
    return np.array([[factor, 0, patch_size / 2 - factor * cx], [0, factor, patch_size / 2 - factor * cy], [0, 0, 1]])


def _random_warp(rng: np.random.Generator, size: int, offset: NDArray[np.float32], strength: float) -> Matrix:
    """Map of a patch that turns, scales, stretches, shears and tilts it about its centre, then shifts it by `offset`."""
    angle = np.deg2rad(rng.normal(0, 8)) * strength
    if rng.random() < 0.1:
        angle *= 3
    scale, stretch = np.exp(rng.normal(0, 0.1, 2) * strength)
    shear = rng.normal(0, 0.06) * strength
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn @ np.array([[scale * stretch, shear], [0, scale / stretch]])
    tilt = rng.normal(0, 0.25, 2) * strength / size
    to_center, back = np.eye(3), np.eye(3)
    to_center[:2, 2] = -size / 2
    back[:2, 2] = size / 2 + offset
    about_center = np.eye(3)
    about_center[:2, :2] = linear
    about_center[2, :2] = tilt
    return np.asarray(back @ about_center @ to_center)


def _random_offset(rng: np.random.Generator, reach: float) -> NDArray[np.float32]:
    """A shift in pixels, more often short than long."""
    length = reach * rng.random()
    angle = rng.uniform(0, 2 * np.pi)
    return np.array([length * np.cos(angle), length * np.sin(angle)], np.float32)


def _random_box(picture: Image, rng: np.random.Generator) -> Box:
    """A place in the picture with something to see in it; the last of a few tries where nothing stands out."""
    height, width = picture.shape[:2]
    box = Box(0, 0, width, height)
    for _ in range(5):
        side = min(height, width) * rng.uniform(0.1, 0.4)
        aspect = np.exp(rng.normal(0, 0.35))
        w, h = side * aspect, side / aspect
        box = Box.from_center(rng.uniform(0.15, 0.85) * width, rng.uniform(0.15, 0.85) * height, w, h)
        inside = box.clipped(width, height)
        x, y, right, bottom = (int(v) for v in (inside.x, inside.y, inside.x + inside.w, inside.y + inside.h))
        if picture[y:bottom:2, x:right:2].std() > 18:
            break
    return box


def _pixel_index_map(matrix: Matrix) -> Matrix:
    """The same map for OpenCV, whose coordinates are those of pixel centres."""
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    return np.asarray(np.linalg.inv(half) @ matrix @ half)


def _warp(picture: Image, matrix: Matrix, size: int, *, mirror: bool = False) -> Image:
    fill = cv2.mean(picture)[:3]
    # averaging first where the warp shrinks a lot, as point sampling would show noise that no camera shows
    shrink = 1 / np.sqrt(abs(np.linalg.det(matrix[:2, :2])))
    if shrink > 2:
        factor = 1 / shrink
        picture = np.asarray(cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
        matrix = matrix @ np.diag([shrink, shrink, 1])
    border = cv2.BORDER_REFLECT if mirror else cv2.BORDER_CONSTANT
    warped = cv2.warpPerspective(
        picture, _pixel_index_map(matrix), (size, size), flags=cv2.INTER_LINEAR, borderMode=border, borderValue=fill
    )
    return np.asarray(warped, np.uint8)


def _paste(patch: Image, cutout: NDArray[np.uint8], matrix: Matrix) -> None:
    """Draws the cut-out into the patch, in place."""
    size = patch.shape[0]
    shrink = 1 / np.sqrt(abs(np.linalg.det(matrix[:2, :2])))
    if shrink > 2:
        cutout = np.asarray(cv2.resize(cutout, None, fx=1 / shrink, fy=1 / shrink, interpolation=cv2.INTER_AREA), np.uint8)
        matrix = matrix @ np.diag([shrink, shrink, 1])
    corners = np.array([[0, 0, 1], [cutout.shape[1], 0, 1], [0, cutout.shape[0], 1], [cutout.shape[1], cutout.shape[0], 1]])
    reach = corners @ matrix.T
    reach = reach[:, :2] / reach[:, 2:]
    left, top = np.clip(np.floor(reach.min(0)) - 1, 0, size).astype(int)
    right, bottom = np.clip(np.ceil(reach.max(0)) + 1, 0, size).astype(int)
    if right <= left or bottom <= top:
        return
    into = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1]]) @ matrix
    warped = cv2.warpPerspective(cutout, _pixel_index_map(into), (int(right - left), int(bottom - top)), flags=cv2.INTER_LINEAR)
    alpha = warped[:, :, 3:].astype(np.float32) / 255
    region = patch[top:bottom, left:right]
    region[...] = (warped[:, :, :3] * alpha + region * (1 - alpha) + 0.5).astype(np.uint8)


def _recoloured(cutout: NDArray[np.uint8], rng: np.random.Generator, strength: float) -> NDArray[np.uint8]:
    rgb = photometric.random_light(np.ascontiguousarray(cutout[:, :, :3]), rng, strength)
    return np.asarray(np.dstack([rgb, cutout[:, :, 3]]), np.uint8)
