"""The synthetic squares of S. Sanchez's thesis (4.1.4): the simplest data that a Siamese tracker can learn from.

Every picture is a square in the middle of a plain ground, with noise. Pictures come in groups, which share the colours of
square and ground, so a pair is drawn from one group as it is from one video. The thesis says 255x255 pixels, three kinds of
noise of random intensity, and 2,000 groups of 250 pictures. It leaves open, and here it is so:

* The side is 64 pixels. A square of 63.5 with its margin takes 127 pixels, so that the picture itself is a search patch of
  255; 64 is the nearest whole even number. 255 - 64 is odd, so the square begins and ends half-way through a pixel: the
  edge pixels are a half-and-half mixture and the middle is exactly the picture's. A square that is taken for centred and drawn
  half a pixel beside would teach a tracker to answer half a pixel beside the target.
* An intensity q is drawn evenly from `intensity_min` to `intensity_max`. Gauss: q of 255 is the standard deviation added to
  each value; speckle: the values times 1 plus noise of standard deviation q; salt-and-pepper: a share q of the pixels is black
  or white.
* Colours are drawn evenly until their luminance (ITU-R BT.601) differs by `LEAST_CONTRAST` at least. So they can be told
  apart without colour, too, as recipes turn pairs grey, and the square is seen under the strongest noise.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from siamtrack.box import Box
from siamtrack.datasets.clips import Clip, Target, TrainingSet
from siamtrack.errors import DataError, SettingsError, nearest
from siamtrack.image import Image
from siamtrack.settings import check_limits
from siamtrack.synthetic.made_folder import begin_folder, new_folders, row_text, write_picture, write_text
from siamtrack.synthetic.seed import check_seed

NOISES = ("gauss", "salt-and-pepper", "speckle")
"""Kinds of noise."""

LEAST_CONTRAST = 50.0
"""Difference in luminance (0 to 255) that square and ground have at least; they are then 75 or more apart in RGB."""

_LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as OpenCV turns pictures grey


@dataclass(frozen=True, kw_only=True)
class SquaresSettings:
    """Which squares there are; the defaults are the thesis's where it says them.

    Raises:
        SettingsError: a value outside its range, a square that leaves no ground, or an unknown kind of noise.
    """

    groups: int = 2000
    images: int = 250  # in each group
    size: int = 255  # pixels, side of a picture
    side: float = 64.0  # pixels, of the square
    noises: tuple[str, ...] = NOISES  # each picture has one of them
    intensity_min: float = 0.02
    intensity_max: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        limits: dict[str, tuple[float, float]] = {
            "groups": (1, 1_000_000),
            "images": (1, 100_000),
            "size": (8, 8192),
            "side": (1, 8192),
            "intensity_min": (0, 1),
            "intensity_max": (0, 1),
        }
        check_limits(self, limits)
        check_seed(self.seed)
        if self.intensity_min > self.intensity_max:
            raise SettingsError(
                f"intensity_min is {self.intensity_min:g} and intensity_max {self.intensity_max:g}; expected a min that is not "
                "above the max."
            )
        if self.side > self.size - 2:
            raise SettingsError(
                f"A square of {self.side:g} pixels leaves no ground around it in a picture of {self.size}; give a side of "
                f"{self.size - 2} at most, or a larger size."
            )
        if not self.noises:
            raise SettingsError(f"There is no kind of noise; expected some of {', '.join(NOISES)}.")
        for noise in self.noises:
            if noise not in NOISES:
                raise SettingsError(f"There is no noise '{noise}'. {nearest(noise, NOISES)}")


class Squares(TrainingSet):
    """The squares as a training set: a group is a clip, and its pictures are the frames; see `TrainingSet`.

    Nothing is stored: a picture is drawn when it is read, about 2 ms, and is the same each time.

    Args:
        settings: which squares.
    """

    name = "squares"

    def __init__(self, settings: SquaresSettings) -> None:
        self.settings = settings
        self.root = Path(self.name)  # there is no folder

    @classmethod
    def recognises(cls, root: Path) -> bool:
        """False: squares that were written to a folder are read as `folder`."""
        return False

    @property
    def names(self) -> Sequence[str]:
        """See `TrainingSet`. The same group has the same name however many there are."""
        return [_name(group) for group in range(self.settings.groups)]

    @property
    def box(self) -> Box:
        """Where the square is, in every picture."""
        middle = self.settings.size / 2
        return Box.from_center(middle, middle, self.settings.side, self.settings.side)

    def colours(self, group: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """The colours of square and ground of a group, RGB, shape (3,) each."""
        rng = np.random.default_rng((self.settings.seed, group))
        while True:
            square, ground = rng.integers(0, 256, (2, 3), np.uint8)
            if abs((square.astype(float) - ground) @ _LUMINANCE) >= LEAST_CONTRAST:
                return square, ground

    def image(self, group: int, number: int) -> Image:
        """Picture `number` of a group, shape (size, size, 3)."""
        size = self.settings.size
        square, ground = self.colours(group)
        plain = draw_square((size, size), self.box, square, ground)
        # + 1: NumPy seeds (a, b, 0) like (a, b), which the colours are drawn from
        rng = np.random.default_rng((self.settings.seed, group, number + 1))
        noise = self.settings.noises[rng.integers(len(self.settings.noises))]
        return with_noise(plain, noise, rng.uniform(self.settings.intensity_min, self.settings.intensity_max), rng)

    def clip(self, name: str) -> Clip:
        """See `TrainingSet`.

        Raises:
            DataError: there is no such group.
        """
        group = int(name) if name.isdecimal() else -1
        if name != _name(group) or group >= self.settings.groups:
            raise DataError(f"There is no group '{name}' among {self.settings.groups} groups of squares.")
        count, size = self.settings.images, self.settings.size
        target = Target(
            name="0",
            category="square",
            positions=np.arange(count),
            boxes=np.tile(np.array(self.box), (count, 1)),
            visibility=np.ones(count),
        )
        return Clip(name=name, frames=_Group(self.settings, group), targets=(target,), size=(size, size))

    def fingerprint(self) -> str:
        """A hash of the settings."""
        return hashlib.sha256(json.dumps(asdict(self.settings)).encode()).hexdigest()


@dataclass(frozen=True)
class _Group:
    """The pictures of a group; see `Frames`."""

    settings: SquaresSettings
    group: int

    def __len__(self) -> int:
        return self.settings.images

    def read(self, position: int) -> Image:
        return Squares(self.settings).image(self.group, position)

    def several(self, positions: Sequence[int]) -> Iterator[Image | DataError]:
        return map(self.read, positions)

    def label(self, position: int) -> str:
        return f"squares/{_name(self.group)}#{position}"


def _name(group: int) -> str:
    return f"{group:06}"


def write_squares(settings: SquaresSettings, out: Path) -> Iterator[Path]:
    """Writes the squares as sequences that `--data folder=OUT` trains from: NAME/img/00000.png, NAME/groundtruth.txt.

    A picture of 255x255 takes about 120 kB, as noise can hardly be compressed. Groups that are finished stay as they are.

    Args:
        settings: which squares.
        out: the folder; one that was begun with the same settings, or fewer groups, is gone on with.

    Yields:
        The path of each picture once it is there, those of finished groups included.

    Raises:
        OutputError: the folder cannot be written, or holds something else.
    """
    begin_folder(out, {"what": "squares", **asdict(settings)}, growing="groups")
    squares = Squares(settings)
    for group, name in enumerate(squares.names):
        if (out / name).is_dir():
            yield from (out / name / "img" / f"{number:05}.png" for number in range(settings.images))
            continue
        with new_folders([out / name]) as (part,):
            (part / "img").mkdir()
            for number in range(settings.images):
                write_picture(part / "img" / f"{number:05}.png", squares.image(group, number))
                yield out / name / "img" / f"{number:05}.png"
            write_text(part / "groundtruth.txt", row_text(squares.box) * settings.images)


def draw_square(
    size: tuple[int, int], box: Box, colour: Sequence[int] | NDArray[np.uint8], ground: Sequence[int] | NDArray[np.uint8]
) -> Image:
    """A plain ground with a filled rectangle on it; pixels that its edges cross are mixed by the part that it covers.

    Args:
        size: (width, height) of the picture, pixels.
        box: the rectangle, wholly inside the picture.
        colour: of the rectangle, RGB.
        ground: its surroundings, RGB.

    Returns:
        Shape (height, width, 3).
    """
    picture = np.empty((size[1], size[0], 3), np.uint8)
    picture[:] = ground
    left, top = math.floor(box.x), math.floor(box.y)
    right, bottom = math.ceil(box.x + box.w), math.ceil(box.y + box.h)
    part = _covered(box.y, box.y + box.h, top, bottom)[:, None, None] * _covered(box.x, box.x + box.w, left, right)[:, None]
    below = np.asarray(ground, np.float32)
    picture[top:bottom, left:right] = below + part * (np.asarray(colour, np.float32) - below) + 0.5
    return picture


def _covered(start: float, end: float, first: int, last: int) -> NDArray[np.float32]:
    """The part of each of the pixels first to last - 1 between two coordinates, 0 to 1."""
    i = np.arange(first, last, dtype=np.float32)
    part: NDArray[np.float32] = np.clip(np.minimum(i + 1, end) - np.maximum(i, start), 0, 1)
    return part


def with_noise(image: Image, kind: str, intensity: float, rng: np.random.Generator) -> Image:
    """A copy of the image with noise; see the module for what the intensity, 0 to 1, means.

    Args:
        image: shape (H, W, 3).
        kind: one of NOISES.
        intensity: of the noise.
        rng: what it is drawn from.
    """
    if kind == "salt-and-pepper":
        noisy = image.copy()
        drawn = rng.random(image.shape[:2], np.float32)
        noisy[drawn < intensity / 2] = 0
        noisy[drawn >= 1 - intensity / 2] = 255
        return noisy
    noise = rng.standard_normal(image.shape, np.float32)
    if kind == "gauss":
        noise *= 255 * intensity
        return np.asarray(cv2.add(image, noise, dtype=cv2.CV_8U), np.uint8)  # rounds, and cuts at 0 and 255
    noise *= intensity
    noise += 1
    return np.asarray(cv2.multiply(image, noise, dtype=cv2.CV_8U), np.uint8)
