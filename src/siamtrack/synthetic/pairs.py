"""Endless training pairs from pictures that nobody has annotated as video.

Three kinds, each drawn from a picture by one warp a view, so that every pixel is resampled once:
* a still seen twice, through two different warps;
* a cut-out object pasted on one background twice, with its own motion and deformation, among other objects;
* two frames of a real track.

A negative pair has the template of one such pair and the search patch of another, whose pictures do not show the target of the
first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from siamtrack.box import Box
from siamtrack.errors import DataError, SettingsError
from siamtrack.image import Image
from siamtrack.pair import Pair, flipped
from siamtrack.settings import check_limits
from siamtrack.synthetic import photometric
from siamtrack.synthetic.material import Material
from siamtrack.warp import HALF, Matrix, crop_map, mapped_box, mapped_cutout, paste, random_warp, warp

CENTERED = np.zeros(2, np.float32)
_OTHER_TRIES = 8  # for a pair of other pictures


@dataclass(frozen=True, kw_only=True)
class PairSettings:
    """How pairs are drawn. Lengths in patch pixels.

    Raises:
        SettingsError: a value outside its range, or shares that sum to nothing.
    """

    warp_share: float = 0.5  # of the pairs: a still seen twice
    any_place: bool = True  # in stills without boxes, and in a fifth of the others, the target is any place; else boxes alone
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
        limits: dict[str, tuple[float, float]] = {
            "warp_share": (0, 1e6),
            "paste_share": (0, 1e6),
            "track_share": (0, 1e6),
            "max_shift": (0, 4096),
            "max_frame_gap": (0, 1e9),
            "grey_share": (0, 1),
        }
        check_limits(self, limits)


class _Drawn(NamedTuple):
    """A pair that is to be recorded, and the pictures it was made of."""

    pair: Pair
    target: Path  # that the target was taken from
    seen: frozenset[Path]  # that the search patch shows, without the objects beside the target


class PairSource:
    """Pairs by number: the same settings, sizes, seed and material give the same pair for the same number, always.

    Sizes in pixels and context are those of the network that is to learn; as default the paper's. `negative` is the share of
    negative pairs; where all pictures are the same one there are none. `masked` pairs have masks where the target is a cut-out.

    Raises:
        DataError: there is no material for any kind of pair that has a share.
    """

    def __init__(
        self,
        material: Material,
        settings: PairSettings,
        *,
        seed: int,
        template_size: int = 127,
        search_size: int = 255,
        context: float = 0.5,
        negative: float = 0.0,
        masked: bool = False,
    ) -> None:
        self.material = material
        self.settings = settings
        self.seed = seed
        self.template_size = template_size
        self.search_size = search_size
        self.context = context
        self.negative = negative
        self.masked = masked
        self._targets = [still for still in material.stills if still.boxes or settings.any_place]
        kinds: list[tuple[float, object, Callable[[np.random.Generator], _Drawn]]] = [
            (settings.warp_share, self._targets, self._warped),
            (settings.paste_share, material.stills and material.cutouts, self._pasted),
            (settings.track_share, material.tracks, self._tracked),
        ]
        possible = [(share, kind) for share, needed, kind in kinds if share > 0 and needed]
        if not possible:
            raise DataError(
                f"No pairs can be made of {len(material.stills)} stills, {len(material.cutouts)} cut-outs and "
                f"{len(material.tracks)} tracks: the kinds of pairs with a share (warp_share {settings.warp_share:g}, "
                f"paste_share {settings.paste_share:g}, track_share {settings.track_share:g}) need stills, cut-outs on stills, "
                "and tracks. Add pictures or change the shares."
            )
        self._kinds = [kind for _, kind in possible]
        self._shares = np.array([share for share, _ in possible]) / sum(share for share, _ in possible)

    def __getitem__(self, number: int) -> Pair:
        rng = np.random.default_rng((self.seed, number))
        drawn = self._drawn(rng)
        pair = drawn.pair
        if self.negative and rng.random() < self.negative:  # drawn where there is a share alone
            pair = self._with_another(rng, drawn)
        if rng.random() < 0.5:
            pair = flipped(pair)
        if rng.random() < self.settings.grey_share:
            pair = pair._replace(template=photometric.grey(pair.template), search=photometric.grey(pair.search))
        quality = photometric.random_quality
        return pair._replace(template=quality(pair.template, rng), search=quality(pair.search, rng))

    def _drawn(self, rng: np.random.Generator) -> _Drawn:
        kind = self._kinds[rng.choice(len(self._kinds), p=self._shares)]
        return kind(rng)

    def _with_another(self, rng: np.random.Generator, first: _Drawn) -> Pair:
        """The pair with another's search patch; as it was where a few tries find only such as show its own target."""
        for _ in range(_OTHER_TRIES):
            second = self._drawn(rng)
            if first.target not in second.seen:
                return second.pair._replace(template=first.pair.template, absent=True, mask=None)
        return first.pair

    def _warped(self, rng: np.random.Generator) -> _Drawn:
        still = self._targets[rng.integers(len(self._targets))]
        picture = still.read()
        known = still.boxes and not (self.settings.any_place and rng.random() >= 0.8)
        box = still.boxes[rng.integers(len(still.boxes))] if known else _random_box(picture, rng)
        pair = self._views(rng, picture, picture, box, box, strength=1.0)
        if self.material.cutouts and rng.random() < 0.25:  # something new has come into the picture, beside the target
            self._paste_distractors(rng, pair.search, pair.offset, count=1)
        return _Drawn(pair, still.path, frozenset([still.path]))

    def _tracked(self, rng: np.random.Generator) -> _Drawn:
        track = self.material.tracks[rng.integers(len(self.material.tracks))]
        present = track.present
        first = present[rng.integers(len(present))]
        near = [i for i in present if abs(i - first) <= self.settings.max_frame_gap]
        second = near[rng.integers(len(near))]
        boxes = track.boxes[first], track.boxes[second]
        pair = self._views(rng, track.read(first), track.read(second), *boxes, strength=0.3)
        return _Drawn(pair, track.frames[0], frozenset(track.frames[:1]))

    def _views(
        self, rng: np.random.Generator, first: Image, second: Image, first_box: Box, second_box: Box, *, strength: float
    ) -> Pair:
        offset = _random_offset(rng, self.settings.max_shift)
        template_map = random_warp(rng, self.template_size, CENTERED, 0.25 * strength) @ self._template_map(first_box)
        search_map = random_warp(rng, self.search_size, offset, strength) @ self._search_map(second_box)
        template, search = warp(first, template_map, self.template_size), warp(second, search_map, self.search_size)
        return Pair(template, search, offset, mapped_box(search_map, second_box))

    def _pasted(self, rng: np.random.Generator) -> _Drawn:
        source = self.material.cutouts[rng.integers(len(self.material.cutouts))]
        cutout = source.read()
        still = self.material.stills[rng.integers(len(self.material.stills))]
        background = still.read()
        place = _random_box(background, rng)
        offset = _random_offset(rng, self.settings.max_shift)
        template = warp(background, self._template_map(place), self.template_size)
        if rng.random() < 0.3:  # the target has moved on to another ground
            still = self.material.stills[rng.integers(len(self.material.stills))]
            background = still.read()
            place = _random_box(background, rng)
        behind = random_warp(rng, self.search_size, _random_offset(rng, 60), 1.0) @ self._search_map(place)
        # mirrored at its border half of the time: a target near the border of its frame is not the usual case
        search = warp(background, behind, self.search_size, mirror=rng.random() < 0.5)

        whole = Box(0, 0, cutout.shape[1], cutout.shape[0])
        at_rest = random_warp(rng, self.template_size, CENTERED, 0.2) @ self._template_map(whole)
        moved = random_warp(rng, self.search_size, offset, 1.3) @ self._search_map(whole)
        self._paste_distractors(rng, search, offset, count=int(rng.integers(0, 4)), look_alike=cutout)
        paste(template, cutout, at_rest)
        paste(search, _recoloured(cutout, rng, 0.4), moved)
        mask = np.zeros((self.search_size, self.search_size, 1), np.uint8) if self.masked else None
        if mask is not None:
            paste(mask, _plane(cutout, 255), moved)
        if rng.random() < 0.15:
            self._paste_occluder(rng, search, offset, mask)
        seen = None if mask is None else np.asarray(mask[..., 0] > HALF, np.uint8)
        pair = Pair(template, search, offset, mapped_cutout(moved, cutout), mask=seen)
        return _Drawn(pair, source.path, frozenset([source.path, still.path]))

    def _paste_distractors(
        self,
        rng: np.random.Generator,
        search: Image,
        offset: NDArray[np.float32],
        *,
        count: int,
        look_alike: NDArray[np.uint8] | None = None,
    ) -> None:
        for _ in range(count):
            other = self.material.cutouts[rng.integers(len(self.material.cutouts))].read()
            if look_alike is not None and rng.random() < 0.15:
                other = _recoloured(look_alike, rng, 2.5)
            place = rng.uniform(-0.5, 0.5, 2).astype(np.float32) * self.search_size
            if np.hypot(*(place - offset)) < 55:
                continue
            whole = Box(0, 0, other.shape[1], other.shape[0])
            paste(search, other, random_warp(rng, self.search_size, place, 1.5) @ self._search_map(whole))

    def _paste_occluder(
        self, rng: np.random.Generator, search: Image, offset: NDArray[np.float32], mask: NDArray[np.uint8] | None
    ) -> None:
        """Into the search patch, and over the mask (S, S, 1) of what it hides."""
        other = self.material.cutouts[rng.integers(len(self.material.cutouts))].read()
        angle = rng.uniform(0, 2 * np.pi)
        place = (offset + rng.uniform(25, 45) * np.array([np.cos(angle), np.sin(angle)])).astype(np.float32)
        whole = Box(0, 0, other.shape[1], other.shape[0])
        moved = random_warp(rng, self.search_size, place, 1.0) @ self._search_map(whole)
        paste(search, other, moved)
        if mask is not None:
            paste(mask, _plane(other, 0), moved)

    def _template_map(self, box: Box) -> Matrix:
        return crop_map(box, self.template_size, self.template_size, self.context)

    def _search_map(self, box: Box) -> Matrix:
        return crop_map(box, self.search_size, self.template_size, self.context)


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
        part = picture[y:bottom:2, x:right:2]
        if part.size and part.std() > 18:
            break
    return box


def _plane(cutout: NDArray[np.uint8], value: int) -> NDArray[np.uint8]:
    """(h, w, 2): the value everywhere, and the alpha of the cut-out."""
    return np.dstack([np.full(cutout.shape[:2], value, np.uint8), cutout[:, :, 3]])


def _recoloured(cutout: NDArray[np.uint8], rng: np.random.Generator, strength: float) -> NDArray[np.uint8]:
    rgb = photometric.random_light(np.ascontiguousarray(cutout[:, :, :3]), rng, strength)
    return np.asarray(np.dstack([rgb, cutout[:, :, 3]]), np.uint8)
