"""How a patch was recorded: light, colour, blur, noise, compression. Decided first, as numbers, and done to a patch later."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from siamtrack.image import Image
from siamtrack.synthetic import photometric

# Eigenvectors (columns) and eigenvalues of the covariance of ImageNet's RGB, values 0..1: the constants in use since
# AlexNet (Krizhevsky et al. 2012). The official code of SiamFC computes its own from ImageNet VID.
_EIGENVECTORS = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
_EIGENVALUES = np.array([0.2175, 0.0188, 0.0045])
_EVERY_VALUE = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2)  # (256, 1, 3)


class Noise(NamedTuple):
    """Gaussian noise."""

    sigma: float  # grey levels
    channels: int  # 3, or 1 for all three alike
    grain: NDArray[np.float32] | int  # (h, w, channels), of deviation 1; or a seed, where whoever paints draws it


class Recording(NamedTuple):
    """What is done to a patch, in this order."""

    table: NDArray[np.uint8] | None  # (256, 3): what becomes of each value of red, green, blue
    grey: bool
    blur: tuple[int, float] | None  # length in pixels, odd, and share of it that is along x
    motion: tuple[int, float] | None  # length in pixels, and direction in radians
    noise: Noise | None
    quality: int  # of JPEG; 0: not compressed

    def of(self, patch: Image) -> Image:
        """The patch, (h, w, 3), as it is recorded."""
        if self.table is not None:
            patch = np.asarray(cv2.LUT(patch, self.table[None]), np.uint8)
        if self.grey:
            patch = photometric.grey(patch)
        if self.blur is not None:
            patch = _blurred(patch, *self.blur)
        if self.motion is not None:
            patch = photometric.motion_blur(patch, *self.motion)
        if self.noise is not None:
            patch = np.clip(np.rint(patch + self.noise.grain * np.float32(self.noise.sigma)), 0, 255).astype(np.uint8)
        return photometric.compressed(patch, self.quality) if self.quality else patch


def table_of(rng: np.random.Generator, *, light: float, colour: float) -> NDArray[np.uint8] | None:
    """A random light and a random colour as one look-up table, (256, 3); None for neither.

    Args:
        rng: decides.
        light: strength, see `photometric.random_light`.
        colour: strength, see `random_colour`.
    """
    values = _EVERY_VALUE
    if light:
        values = photometric.random_light(values, rng, light)
    if colour:
        values = random_colour(values, rng, colour)
    return values[:, 0] if light or colour else None


def random_colour(image: Image, rng: np.random.Generator, strength: float) -> Image:
    """One colour added to the whole picture: strength * eigenvectors * sqrt(eigenvalues) * N(0, 1), mostly brightness.

    SiamFC's official code (experiment.m) has the factors the other way round, sqrt(eigenvalues) * transposed eigenvectors,
    which changes the three channels independently of each other; here it is done as meant, along the principal axes.
    """
    added = 255 * strength * _EIGENVECTORS @ (np.sqrt(_EIGENVALUES) * rng.standard_normal(3))
    table = np.clip(np.arange(256)[:, None] + added, 0, 255).round().astype(np.uint8)
    return np.asarray(cv2.LUT(image, table[None]), np.uint8)


def random_blur(rng: np.random.Generator) -> tuple[int, float]:
    """An odd number of pixels from 5 to 45, and the share of it along x; the rest is along y, as PySOT does."""
    length = int(rng.integers(2, 23)) * 2 + 1
    return length, rng.random()


def random_noise(rng: np.random.Generator, side: int, *, draws: bool) -> Noise:
    """Of a random strength, for a square patch; grey in half of the cases.

    Args:
        rng: decides.
        side: of the patch, pixels.
        draws: each pixel here; or a seed for it.
    """
    sigma = rng.uniform(2, 14)
    channels = 3 if rng.random() < 0.5 else 1
    return Noise(
        sigma, channels, rng.standard_normal((side, side, channels), np.float32) if draws else int(rng.integers(2**31))
    )


def _blurred(image: Image, length: int, share: float) -> Image:
    line = np.full((1, length), 1 / length, np.float32)
    along_x, along_y = cv2.filter2D(image, -1, line), cv2.filter2D(image, -1, line.T)
    return np.asarray(cv2.addWeighted(along_x, share, along_y, 1 - share, 0), np.uint8)
