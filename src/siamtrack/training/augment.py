"""From two crops of a target to a training pair: shifted, stretched, recoloured, blurred, hidden, and among look-alikes.

Every augmentation has a setting of its own, 0 for off, and is a function of crops, settings and a random generator. All
geometry of a patch is one map from its crop, so that pixels are interpolated once and the target's place stays exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from siamtrack.datasets.crops import Sighting
from siamtrack.image import Image
from siamtrack.pair import Pair, flipped
from siamtrack.settings import check_limits
from siamtrack.synthetic import photometric
from siamtrack.training.look_alikes import add_look_alikes, add_occluder
from siamtrack.warp import Matrix, mapped_box, warp

# Eigenvectors (columns) and eigenvalues of the covariance of ImageNet's RGB, values 0..1: the constants in use since
# AlexNet (Krizhevsky et al. 2012). The official code of SiamFC computes its own from ImageNet VID.
_EIGENVECTORS = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
_EIGENVALUES = np.array([0.2175, 0.0188, 0.0045])


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
    """A training pair of two sightings of one target.

    Args:
        template: what the template is cut from.
        search: what the search patch is cut from.
        settings: how much is varied.
        rng: decides what is.
        template_size: side of the template, pixels.
        search_size: side of the search patch, pixels.
        other: where look-alikes and occluders come from.
    """
    turned = rng.random() < 0.5  # which of the two patches is turned and tilted
    to_template = _map(template, template_size, settings.template_translation, settings.template_scale, settings, rng, turned)
    to_search = _map(search, search_size, settings.translation, settings.scale, settings, rng, not turned)
    patches = [
        warp(sighting.crop.image, matrix, size, fill=sighting.crop.fill)
        for sighting, matrix, size in ((template, to_template, template_size), (search, to_search, search_size))
    ]
    box = mapped_box(to_search, search.box)
    if rng.random() < settings.look_alikes:
        add_look_alikes(patches[1], box, [found for _ in range(rng.integers(1, 4)) if (found := other(rng))], rng)
    if rng.random() < settings.occluder and (found := other(rng)):
        add_occluder(patches[1], box, found.crop.image, rng)
    grey = rng.random() < settings.grey
    patches = [_recorded(patch, settings, rng, grey=grey) for patch in patches]
    pair = Pair(patches[0], patches[1], _offset(to_search, search, search_size), box)
    return flipped(pair) if rng.random() < settings.flip else pair


def _map(
    sighting: Sighting,
    size: int,
    shift: float,
    scale: float,
    settings: AugmentSettings,
    rng: np.random.Generator,
    turned: bool,
) -> Matrix:
    """From the crop to a patch: about the target's centre, which lands at the patch's centre plus a random shift."""
    middle = sighting.crop.image.shape[0] / 2
    factors = rng.uniform(1 - settings.stretch, 1 + settings.stretch, 2) * rng.uniform(1 - scale, 1 + scale)
    place = size / 2 + rng.uniform(-shift, shift, 2)
    angle, tilt = rng.normal(0, np.deg2rad(settings.rotation)), rng.normal(0, settings.perspective, 2).clip(-0.7, 0.7) / size
    to_center, about, back = np.eye(3), np.diag([*factors, 1.0]), np.eye(3)
    to_center[:2, 2] = -middle
    back[:2, 2] = place
    if turned and (settings.rotation or settings.perspective):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        about[:2, :2] = turn @ about[:2, :2]
        about[2, :2] = tilt
    return np.asarray(back @ about @ to_center)


def _offset(matrix: Matrix, sighting: Sighting, size: int) -> NDArray[np.float32]:
    middle = sighting.crop.image.shape[0] / 2
    x, y, w = matrix @ [middle, middle, 1.0]
    return np.array([x / w - size / 2, y / w - size / 2], np.float32)


def _recorded(patch: Image, settings: AugmentSettings, rng: np.random.Generator, *, grey: bool) -> Image:
    """The patch as a camera might have recorded it: light, colour, blur, noise, compression."""
    if settings.light:
        patch = photometric.random_light(patch, rng, settings.light)
    if settings.colour:
        patch = random_colour(patch, rng, settings.colour)
    if grey:
        patch = photometric.grey(patch)
    if rng.random() < settings.blur:
        patch = random_blur(patch, rng)
    if rng.random() < settings.motion_blur:
        patch = photometric.motion_blur(patch, int(rng.integers(3, 16)), rng.uniform(0, np.pi))
    if rng.random() < settings.noise:
        patch = photometric.random_noise(patch, rng)
    if rng.random() < settings.jpeg:
        patch = photometric.random_compression(patch, rng)
    return patch


def random_colour(image: Image, rng: np.random.Generator, strength: float) -> Image:
    """One colour added to the whole picture: strength * eigenvectors * sqrt(eigenvalues) * N(0, 1), mostly brightness.

    SiamFC's official code (experiment.m) has the factors the other way round, sqrt(eigenvalues) * transposed eigenvectors,
    which changes the three channels independently of each other; here it is done as meant, along the principal axes.
    """
    added = 255 * strength * _EIGENVECTORS @ (np.sqrt(_EIGENVALUES) * rng.standard_normal(3))
    table = np.clip(np.arange(256)[:, None] + added, 0, 255).round().astype(np.uint8)
    return np.asarray(cv2.LUT(image, table[None]), np.uint8)


def random_blur(image: Image, rng: np.random.Generator) -> Image:
    """Along x and y at once, by an odd number of pixels from 5 to 45, with a random share of each; as PySOT does."""
    length = int(rng.integers(2, 23)) * 2 + 1
    share = rng.random()
    line = np.full((1, length), 1 / length, np.float32)
    along_x, along_y = cv2.filter2D(image, -1, line), cv2.filter2D(image, -1, line.T)
    return np.asarray(cv2.addWeighted(along_x, share, along_y, 1 - share, 0), np.uint8)
