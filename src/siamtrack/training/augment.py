"""From two crops of a target to a training pair: shifted, stretched, recoloured, blurred, hidden, and among look-alikes.

Every augmentation has a setting of its own, 0 for off, and is a function of crops, settings and a random generator. First it
is decided what is done, from sizes alone, then it is drawn. All geometry of a patch is one map from its crop, so that pixels
are interpolated once and the target's place stays exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from siamtrack.box import Box
from siamtrack.datasets.crops import Crop, Sighting
from siamtrack.image import Image
from siamtrack.pair import SEEN, UNKNOWN, Pair, flipped
from siamtrack.settings import check_limits
from siamtrack.training.look_alikes import Paste, Subject, look_alikes, occluder
from siamtrack.training.recorded import Recording, random_blur, random_noise, table_of
from siamtrack.warp import HALF, Matrix, mapped_box, warp

P = TypeVar("P")


@dataclass(frozen=True, kw_only=True)
class AugmentSettings:
    """How pairs are varied; the defaults are those of the SiamFC paper's official code. Lengths in patch pixels.

    Raises:
        SettingsError: a value outside its range.
    """

    stretch: float = 0.05  # width and height of either patch by up to this share, each for itself; SiamFC
    translation: float = 4.0  # of the target in the search patch, up to, in x and y; SiamFC 4, SiamRPN++ 64
    template_translation: float = 0.0  # SiamRPN++ 4
    scale: float = 0.0  # of the search patch, up to this share; SiamRPN++ 0.18
    template_scale: float = 0.0  # SiamRPN++ 0.05
    colour: float = 0.1  # deviation along the principal axes of ImageNet's colours, either patch for itself; SiamFC
    grey: float = 0.25  # of the pairs, both patches; SiamFC's "color+gray"
    blur: float = 0.0  # of the patches, by 5 to 45 px along both axes; SiamRPN++ 0.2
    light: float = 0.0  # strength of changes in exposure, contrast and tint, either patch for itself
    motion_blur: float = 0.0  # of the patches, by 3 to 15 px in any direction
    noise: float = 0.0  # of the patches
    jpeg: float = 0.0  # of the patches, quality 15 to 70
    rotation: float = 0.0  # degrees, deviation, of one of the two patches
    perspective: float = 0.0  # change of scale across one of the two patches, deviation
    occluder: float = 0.0  # of the pairs: a piece of another crop over up to 40 % of the target in the search patch
    look_alikes: float = 0.0  # of the pairs: one to three other targets beside it
    flip: float = 0.0  # of the pairs, left to right

    def __post_init__(self) -> None:
        shares = ("grey", "blur", "motion_blur", "noise", "jpeg", "occluder", "look_alikes", "flip")
        limits: dict[str, tuple[float, float]] = dict.fromkeys(shares, (0, 1))
        limits |= dict.fromkeys(("stretch", "scale", "template_scale"), (0, 0.9))
        limits |= {"translation": (0, 4096), "template_translation": (0, 4096), "colour": (0, 10), "light": (0, 10)}
        check_limits(self, limits | {"rotation": (0, 180), "perspective": (0, 1)})


OFF = AugmentSettings(stretch=0.0, translation=0.0, colour=0.0, grey=0.0)
"""No augmentation: both patches as tracking would cut them."""


AUGMENTATIONS = {
    "stretch": AugmentSettings(stretch=0.2, translation=0, colour=0, grey=0),
    "translation": AugmentSettings(stretch=0, translation=32, colour=0, grey=0),
    "scale": AugmentSettings(stretch=0, translation=0, scale=0.2, template_scale=0.1, colour=0, grey=0),
    "colour": AugmentSettings(stretch=0, translation=0, colour=0.3, grey=0),
    "grey": AugmentSettings(stretch=0, translation=0, colour=0, grey=1),
    "blur": AugmentSettings(stretch=0, translation=0, colour=0, grey=0, blur=1),
    "light": AugmentSettings(stretch=0, translation=0, colour=0, grey=0, light=1.5),
    "motion-blur": AugmentSettings(stretch=0, translation=0, colour=0, grey=0, motion_blur=1),
    "noise": AugmentSettings(stretch=0, translation=0, colour=0, grey=0, noise=1),
    "jpeg": AugmentSettings(stretch=0, translation=0, colour=0, grey=0, jpeg=1),
    "rotation": AugmentSettings(stretch=0, translation=0, colour=0, grey=0, rotation=20),
    "perspective": AugmentSettings(stretch=0, translation=0, colour=0, grey=0, perspective=0.3),
    "occluder": AugmentSettings(stretch=0, translation=0, colour=0, grey=0, occluder=1),
    "look-alikes": AugmentSettings(stretch=0, translation=0, colour=0, grey=0, look_alikes=1),
    "flip": AugmentSettings(stretch=0, translation=0, colour=0, grey=0, flip=1),
}
"""Each augmentation alone, strong enough to be seen, by the name that people give it.

Translation and scale go as far as crops of 319 px have picture for a search patch of 255 px.
"""


class PatchPlan(NamedTuple):
    """How a patch is made of a crop."""

    matrix: Matrix  # from the crop's pixels to the patch's
    size: int  # side of the patch, pixels
    recording: Recording


class PairPlan(NamedTuple, Generic[P]):
    """All that is decided about a pair, before a picture is drawn; P is what crops are painted from."""

    template: P
    search: P
    template_patch: PatchPlan
    search_patch: PatchPlan
    pastes: list[Paste[P]]  # into the search patch, before it is recorded
    offset: NDArray[np.float32]  # (2,), as in `Pair`, before the flip
    box: NDArray[np.float32]  # (4,), as in `Pair`, before the flip
    flip: bool
    absent: bool = False  # as in `Pair`
    skipped: tuple[str, ...] = ()  # as in `Pair`

    def drawn(self, painted: Callable[[P], Crop]) -> Pair:
        """The pair.

        Args:
            painted: makes the crop of what it is painted from.
        """
        crop = painted(self.search)
        template, search = (
            warp(crop.image, patch.matrix, patch.size, fill=crop.fill)
            for crop, patch in ((painted(self.template), self.template_patch), (crop, self.search_patch))
        )
        for paste in self.pastes:
            paste.draw(search, painted(paste.picture).image)
        template, search = self.template_patch.recording.of(template), self.search_patch.recording.of(search)
        return self.with_pictures(template, search, None if crop.mask is None else self._mask(crop.mask, crop.void))

    def with_pictures(self, template: Image, search: Image, mask: NDArray[np.uint8] | None = None) -> Pair:
        """The pair of these patches, which are flipped here."""
        pair = Pair(template, search, self.offset, self.box, self.absent, self.skipped, mask)
        return flipped(pair) if self.flip else pair

    def _mask(self, mask: NDArray[np.uint8], void: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
        """What of the target is seen in the search patch, as in `Pair`, before the flip.

        A pixel that is less than half the target, but with what nobody knows more, is not known.
        """
        share = self._seen(mask)
        seen = np.where(share > HALF, np.uint8(SEEN), np.uint8(0))
        if void is not None:
            seen[(share <= HALF) & (share.astype(np.uint16) + self._seen(void) > HALF)] = UNKNOWN
        return seen

    def _seen(self, share: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """How much of each pixel of the search patch is what has this share of the crop's, 0 to 255, less what is over it."""
        patch = warp(share, self.search_patch.matrix, self.search_patch.size, fill=(0.0, 0.0, 0.0))[..., None]
        for paste in self.pastes:
            paste.hide(patch)
        return np.asarray(patch[..., 0])


Other = Callable[[np.random.Generator], Sighting | None]
"""Draws a target of another clip, of the same category where there are categories; None where there is none."""


def make_pair(
    template: Sighting,
    search: Sighting,
    settings: AugmentSettings,
    rng: np.random.Generator,
    *,
    template_size: int,
    search_size: int,
    other: Other,
) -> Pair:
    """A training pair of two sightings, of one target or, for a negative pair, of two.

    Args:
        template: what the template is cut from.
        search: what the search patch is cut from.
        settings: how much is varied.
        rng: decides what is.
        template_size: side of the template, pixels.
        search_size: side of the search patch, pixels.
        other: where look-alikes and occluders come from.
    """

    def another(rng: np.random.Generator) -> Subject[Crop] | None:
        return _subject(found) if (found := other(rng)) else None

    subjects = _subject(template), _subject(search)
    plan = plan_pair(*subjects, settings, rng, template_size=template_size, search_size=search_size, other=another)
    return plan.drawn(lambda crop: crop)


def _subject(sighting: Sighting) -> Subject[Crop]:
    return Subject(sighting.crop, sighting.crop.image.shape[0], sighting.size)


def plan_pair(
    template: Subject[P],
    search: Subject[P],
    settings: AugmentSettings,
    rng: np.random.Generator,
    *,
    template_size: int,
    search_size: int,
    other: Callable[[np.random.Generator], Subject[P] | None],
    draws_noise: bool = True,
) -> PairPlan[P]:
    """What is done to two crops to make a pair of them; see `make_pair`.

    Args:
        template: what the template is cut from.
        search: what the search patch is cut from.
        settings: how much is varied.
        rng: decides what is.
        template_size: side of the template, pixels.
        search_size: side of the search patch, pixels.
        other: where look-alikes and occluders come from.
        draws_noise: pixel by pixel, from `rng`; or else its seed only.
    """
    turned = rng.random() < 0.5  # which of the two patches is turned and tilted
    to_template = _map(template, template_size, settings.template_translation, settings.template_scale, settings, rng, turned)
    to_search = _map(search, search_size, settings.translation, settings.scale, settings, rng, not turned)
    box = mapped_box(to_search, Box.from_center(search.middle, search.middle, *search.size))
    pastes = _pastes(box, search_size, settings, rng, other)
    grey = rng.random() < settings.grey
    return PairPlan(
        template=template.picture,
        search=search.picture,
        template_patch=PatchPlan(to_template, template_size, _recording(settings, rng, template_size, grey, draws_noise)),
        search_patch=PatchPlan(to_search, search_size, _recording(settings, rng, search_size, grey, draws_noise)),
        pastes=pastes,
        offset=_offset(to_search, search.middle, search_size),
        box=box,
        flip=bool(rng.random() < settings.flip),
    )


def _pastes(
    box: NDArray[np.float32],
    patch_size: int,
    settings: AugmentSettings,
    rng: np.random.Generator,
    other: Callable[[np.random.Generator], Subject[P] | None],
) -> list[Paste[P]]:
    """What comes into the search patch beside the target, and then over it; `box` is the target's there."""
    pastes: list[Paste[P]] = []
    if rng.random() < settings.look_alikes:
        others = [found for _ in range(rng.integers(1, 4)) if (found := other(rng))]
        pastes += look_alikes(box, patch_size, others, rng)
    if rng.random() < settings.occluder and (found := other(rng)) and (piece := occluder(box, patch_size, found, rng)):
        pastes.append(piece)
    return pastes


def _map(
    subject: Subject[P],
    size: int,
    shift: float,
    scale: float,
    settings: AugmentSettings,
    rng: np.random.Generator,
    turned: bool,
) -> Matrix:
    """From the crop to a patch: about the target's centre, which lands at the patch's centre plus a random shift."""
    factors = rng.uniform(1 - settings.stretch, 1 + settings.stretch, 2) * rng.uniform(1 - scale, 1 + scale)
    place = size / 2 + rng.uniform(-shift, shift, 2)
    angle, tilt = rng.normal(0, np.deg2rad(settings.rotation)), rng.normal(0, settings.perspective, 2).clip(-0.7, 0.7) / size
    to_center, about, back = np.eye(3), np.diag([*factors, 1.0]), np.eye(3)
    to_center[:2, 2] = -subject.middle
    back[:2, 2] = place
    if turned and (settings.rotation or settings.perspective):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        about[:2, :2] = turn @ about[:2, :2]
        about[2, :2] = tilt
    return np.asarray(back @ about @ to_center)


def _offset(matrix: Matrix, middle: float, size: int) -> NDArray[np.float32]:
    x, y, w = matrix @ [middle, middle, 1.0]
    return np.array([x / w - size / 2, y / w - size / 2], np.float32)


def _recording(settings: AugmentSettings, rng: np.random.Generator, side: int, grey: bool, draws_noise: bool) -> Recording:
    return Recording(
        table=table_of(rng, light=settings.light, colour=settings.colour),
        grey=bool(grey),
        blur=random_blur(rng) if rng.random() < settings.blur else None,
        motion=(int(rng.integers(3, 16)), rng.uniform(0, np.pi)) if rng.random() < settings.motion_blur else None,
        noise=random_noise(rng, side, draws=draws_noise) if rng.random() < settings.noise else None,
        quality=int(rng.integers(15, 70)) if rng.random() < settings.jpeg else 0,
    )
