"""A small moving scene with exact ground truth, drawn from nothing but a seed: for demonstrations and tests.

Every frame is a function of its number, so a scene has no end and any frame can be drawn alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from siamtrack.box import Box
from siamtrack.frames import Frame
from siamtrack.image import Image

SPRITE_PX = 96
FPS = 25


class Pose(NamedTuple):
    """Where an object is: centre in pixels, size as a factor of its sprite, turn in radians."""

    x: float
    y: float
    scale: float
    angle: float


@dataclass(frozen=True)
class _Object:
    sprite: NDArray[np.uint8]  # (SPRITE_PX, SPRITE_PX, 4), RGBA
    path: NDArray[np.float64]  # (4, 3): amplitude, frequency, phase of x, y, scale, angle


class Scene:
    """Objects of different textures that wander over a textured ground; the camera drifts.

    Args:
        width: of the frames, pixels.
        height: of the frames, pixels.
        objects: how many.
        seed: the same seed gives the same scene.
        speed: 1 moves an object by about 2 pixels a frame at 640 x 360.
        still: size and turn of the objects do not change.
    """

    def __init__(
        self, width: int = 640, height: int = 360, *, objects: int = 3, seed: int = 0, speed: float = 1.0, still: bool = False
    ) -> None:
        rng = np.random.default_rng(seed)
        self.width, self.height = width, height
        self._ground = _texture(rng, height * 3 // 2, width * 3 // 2, contrast=45.0)
        self._objects = [_Object(_sprite(rng), _path(rng, speed, still)) for _ in range(objects)]
        self._camera = _path(rng, 0.5 * speed, still)
        self._size = min(width, height) / 360

    def pose(self, target: int, number: int) -> Pose:
        """Where object `target` is in frame `number`."""
        x, y, scale, angle = _wander(self._objects[target].path, number)
        slot = (target + 0.5) / len(self._objects)  # objects keep to their own strip, so that each stays in view
        x = self.width * (slot + 0.2 * x / len(self._objects))
        return Pose(x, self.height * (0.5 + 0.3 * y), self._size * np.exp(0.25 * scale), 0.35 * angle)

    def box(self, target: int, number: int) -> Box:
        """The exact box of object `target` (an ellipse) in frame `number`."""
        pose = self.pose(target, number)
        rx, ry = 0.42 * SPRITE_PX * pose.scale, 0.32 * SPRITE_PX * pose.scale
        half_w = float(np.hypot(rx * np.cos(pose.angle), ry * np.sin(pose.angle)))
        half_h = float(np.hypot(rx * np.sin(pose.angle), ry * np.cos(pose.angle)))
        return Box.from_center(pose.x, pose.y, 2 * half_w, 2 * half_h)

    def image(self, number: int) -> Image:
        """Frame `number`."""
        dx, dy, _, _ = _wander(self._camera, number)
        shift = np.array([[1, 0, self.width * (0.25 + 0.2 * dx) - 0.5], [0, 1, self.height * (0.25 + 0.2 * dy) - 0.5]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        frame = np.asarray(cv2.warpAffine(self._ground, shift, (self.width, self.height), flags=flags), np.uint8)
        for target, thing in enumerate(self._objects):
            _draw(frame, thing.sprite, self.pose(target, number))
        return frame

    def frames(self, count: int | None = None) -> Iterator[Frame]:
        """The first `count` frames at `FPS` a second; without an end when None."""
        number = 0
        while count is None or number < count:
            yield Frame(index=number, time=number / FPS, image=self.image(number))
            number += 1


def _wander(path: NDArray[np.float64], number: int) -> NDArray[np.float64]:
    amplitude, frequency, phase = path.T
    return np.asarray(amplitude * np.sin(frequency * number + phase))


def _path(rng: np.random.Generator, speed: float, still: bool) -> NDArray[np.float64]:
    frequency = rng.uniform(0.03, 0.06, 4) * speed
    amplitude = np.array([1, 1, 0, 0]) if still else np.ones(4)
    return np.stack([amplitude, frequency, rng.uniform(0, 2 * np.pi, 4)], 1)


def _texture(rng: np.random.Generator, height: int, width: int, *, contrast: float) -> Image:
    """Noise with structure at all sizes, more in light than in colour."""
    total = np.zeros((height, width, 3), np.float32)
    for cells, weight in ((4, 1.0), (12, 0.8), (40, 0.6), (120, 0.4)):
        shape = max(2, cells * height // width), cells
        noise = rng.standard_normal((*shape, 1), np.float32) + np.float32(0.35) * rng.standard_normal((*shape, 3), np.float32)
        total += weight * cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    colour = rng.uniform(70, 180, 3)
    return np.asarray(np.clip(colour + contrast * total / total.std(), 0, 255), np.uint8)


def _sprite(rng: np.random.Generator) -> NDArray[np.uint8]:
    """A textured ellipse with a soft rim and a bright figure on it."""
    rgb = _texture(rng, SPRITE_PX, SPRITE_PX, contrast=35.0)
    colour = tuple(int(v) for v in rng.integers(0, 256, 3))
    corners = (SPRITE_PX / 2 + rng.uniform(-0.3, 0.3, (4, 2)) * SPRITE_PX).astype(np.int32)
    cv2.fillConvexPoly(rgb, cv2.convexHull(corners), colour, cv2.LINE_AA)
    y, x = (np.mgrid[:SPRITE_PX, :SPRITE_PX] + 0.5 - SPRITE_PX / 2) / SPRITE_PX
    radius = np.hypot(x / 0.42, y / 0.32)
    alpha = np.clip((1 - radius) * 0.35 * SPRITE_PX + 0.5, 0, 1)
    return np.asarray(np.dstack([rgb, (255 * alpha).astype(np.uint8)]), np.uint8)


def _draw(frame: Image, sprite: NDArray[np.uint8], pose: Pose) -> None:
    cos, sin = pose.scale * np.cos(pose.angle), pose.scale * np.sin(pose.angle)
    reach = 0.6 * SPRITE_PX * pose.scale
    left, top = max(0, int(pose.x - reach)), max(0, int(pose.y - reach))
    right, bottom = min(frame.shape[1], int(pose.x + reach) + 1), min(frame.shape[0], int(pose.y + reach) + 1)
    if right <= left or bottom <= top:
        return
    middle = SPRITE_PX / 2
    # from sprite to frame in continuous coordinates, then half a pixel for OpenCV's pixel centres on either side
    x = pose.x - left - cos * (middle - 0.5) + sin * (middle - 0.5) - 0.5
    y = pose.y - top - sin * (middle - 0.5) - cos * (middle - 0.5) - 0.5
    matrix = np.array([[cos, -sin, x], [sin, cos, y]])
    warped = cv2.warpAffine(sprite, matrix, (right - left, bottom - top), flags=cv2.INTER_LINEAR)
    alpha = warped[:, :, 3:].astype(np.float32) / 255
    region = frame[top:bottom, left:right]
    region[...] = (warped[:, :, :3] * alpha + region * (1 - alpha) + 0.5).astype(np.uint8)
