"""What worlds are made of: pictures for grounds and objects, drawn by number or found in folders."""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

import numpy as np

from siamtrack.errors import DataError, SettingsError
from siamtrack.image import Image
from siamtrack.synthetic.drawing import Rgba
from siamtrack.synthetic.material import Material
from siamtrack.synthetic.sprites import sprite
from siamtrack.synthetic.textures import texture

GROUND_SIZE = (480, 360)  # of drawn grounds, pixels
DRAWING = 1
"""Raised when the same seed comes to give other pictures or other scenes: textures, shapes, who plays, how it is painted.

It is a part of the digest, so that neither a run nor a folder nor an experiment goes on with other data unnoticed. It does not
say which NumPy and OpenCV draw: their versions, and the processor's instruction set, change single values by a little.
"""

_DRAWN_GROUNDS, _DRAWN_SPRITES = 400, 3000  # different ones; a few colours of each come on top
_IN_MEMORY_GROUNDS, _IN_MEMORY_SPRITES = 400, 3000  # 400 grounds take 210 MB, 3,000 sprites about 150 MB


class Supply(Protocol):
    """Pictures for worlds. The same generator state gives the same picture."""

    def ground(self, rng: np.random.Generator) -> Image:
        """RGB, (h, w, 3)."""
        ...

    def object(self, rng: np.random.Generator) -> Rgba:
        """A cut-out, (h, w, 4)."""
        ...

    def digest(self) -> str:
        """What decides which pictures there are, and `DRAWING`."""
        ...


class BuiltIn:
    """Textures and shapes drawn from nothing.

    Args:
        held_out: others, a tenth as many, for validation.
    """

    def __init__(self, *, held_out: bool = False) -> None:
        self._grounds, self._sprites = (_part(count, held_out) for count in (_DRAWN_GROUNDS, _DRAWN_SPRITES))

    def ground(self, rng: np.random.Generator) -> Image:
        """See `Supply`."""
        return _drawn_ground(int(rng.integers(*self._grounds)))

    def object(self, rng: np.random.Generator) -> Rgba:
        """See `Supply`."""
        return _drawn_sprite(int(rng.integers(*self._sprites)))

    def digest(self) -> str:
        """See `Supply`."""
        return f"built-in{_drawing()}"


def _drawing() -> str:
    """The end of a digest. That of the first drawing is empty: what was begun before there was a second one goes on."""
    return f", drawing {DRAWING}" if DRAWING > 1 else ""


def _part(count: int, held_out: bool) -> tuple[int, int]:
    """First number, and the one after the last."""
    return (count, count + count // 10) if held_out else (0, count)


@lru_cache(_IN_MEMORY_GROUNDS)
def _drawn_ground(number: int) -> Image:
    width, height = GROUND_SIZE
    return texture(np.random.default_rng((11, number)), height, width)


@lru_cache(_IN_MEMORY_SPRITES)
def _drawn_sprite(number: int) -> Rgba:
    return sprite(np.random.default_rng((12, number)))


class Pictured:
    """Stills as grounds and cut-outs as objects, with a share of built-in ones; without stills all grounds are built-in.

    Args:
        material: see `siamtrack.synthetic.material.find_material`.
        built_in: share of grounds and objects that are drawn from nothing, 0 to 1.
        held_out: whether these are those of `BuiltIn` for validation.

    Raises:
        DataError: there is no cut-out.
        SettingsError: a share outside its range.
    """

    def __init__(self, material: Material, *, built_in: float = 0.1, held_out: bool = False) -> None:
        if not 0 <= built_in <= 1:
            raise SettingsError(f"The share of built-in pictures is {built_in}; expected 0 to 1.")
        if not material.cutouts:
            raise DataError(
                f"There are pictures ({len(material.stills)}) but no cut-outs to be objects; expected images with an alpha "
                "channel (PNG or WebP with transparent parts), NAME_seg.png label maps, or polygons in annotations.json."
            )
        self._material = material
        self._share = built_in
        self._drawn = BuiltIn(held_out=held_out)

    def ground(self, rng: np.random.Generator) -> Image:
        """See `Supply`."""
        if rng.random() < self._share or not self._material.stills:
            return self._drawn.ground(rng)
        return self._material.stills[rng.integers(len(self._material.stills))].read()

    def object(self, rng: np.random.Generator) -> Rgba:
        """See `Supply`."""
        if rng.random() < self._share:
            return self._drawn.object(rng)
        return self._material.cutouts[rng.integers(len(self._material.cutouts))].read()

    def digest(self) -> str:
        """See `Supply`."""
        return f"{self._share} {self._material.digest()}{_drawing()}"
