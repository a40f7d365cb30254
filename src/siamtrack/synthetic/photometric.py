"""Changes of light and of image quality, each a pure function of a picture and a random generator."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from siamtrack.image import Image
from siamtrack.synthetic.drawing import smear_kernel


def random_light(image: Image, rng: np.random.Generator, strength: float) -> Image:
    """Gain and offset a channel: exposure, contrast and colour of the light, as one look-up table a channel."""
    levels = np.arange(256, dtype=np.float32) / 255
    contrast = np.exp(rng.normal(0, 0.2 * strength))
    gamma = np.exp(rng.normal(0, 0.2 * strength))
    brightness = rng.normal(0, 0.07 * strength)
    tint = rng.normal(1, 0.06 * strength, 3)
    curve = np.clip((levels**gamma - 0.5) * contrast + 0.5 + brightness, 0, 1)
    table = np.clip(curve[:, None] * tint * 255, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table[None]), np.uint8)


def grey(image: Image) -> Image:
    """The picture without colour, still three channels."""
    return np.asarray(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), np.uint8)


def random_blur(image: Image, rng: np.random.Generator) -> Image:
    """Out of focus, or moving in some direction."""
    if rng.random() < 0.5:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.5, 2.5))), np.uint8)
    return motion_blur(image, int(rng.integers(3, 16)), rng.uniform(0, np.pi))


def motion_blur(image: Image, length: int, angle: float) -> Image:
    """As if the camera had moved by so many pixels, 3 or more, in that direction, radians."""
    return np.asarray(cv2.filter2D(image, -1, motion_kernel(length, angle)), np.uint8)


def motion_kernel(length: int, angle: float) -> NDArray[np.float32]:
    """What `motion_blur` correlates with: (K, K), its sum 1; K is odd: an even one moves the picture by half a pixel."""
    kernel = smear_kernel(length * np.array([np.cos(angle), np.sin(angle)]))
    assert kernel is not None
    return kernel


def random_low_resolution(image: Image, rng: np.random.Generator) -> Image:
    """As if the target had been small in its frame: down and up again."""
    size = image.shape[1], image.shape[0]
    factor = rng.uniform(1.5, 5)
    fewer = round(size[0] / factor), round(size[1] / factor)  # and not fx, fy, which would move the picture
    small = cv2.resize(image, fewer, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def random_noise(image: Image, rng: np.random.Generator) -> Image:
    """Gaussian noise of a random strength; drawn for one channel where it is to be grey."""
    sigma = rng.uniform(2, 14)
    channels = 3 if rng.random() < 0.5 else 1
    noise = rng.standard_normal((*image.shape[:2], channels), np.float32) * np.float32(sigma)
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)


def random_compression(image: Image, rng: np.random.Generator) -> Image:
    """JPEG of a random quality."""
    return compressed(image, int(rng.integers(15, 70)))


def compressed(image: Image, quality: int) -> Image:
    """JPEG of that quality, 1 to 100."""
    _, code = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.cvtColor(np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR)), cv2.COLOR_BGR2RGB), np.uint8)


def random_quality(image: Image, rng: np.random.Generator) -> Image:
    """Some of: another light, low resolution, blur, noise, compression."""
    image = random_light(image, rng, 1.0 if rng.random() < 0.7 else 0.3)
    if rng.random() < 0.25:
        image = random_low_resolution(image, rng)
    elif rng.random() < 0.25:
        image = random_blur(image, rng)
    if rng.random() < 0.15:
        image = random_noise(image, rng)
    if rng.random() < 0.1:
        image = random_compression(image, rng)
    return image
