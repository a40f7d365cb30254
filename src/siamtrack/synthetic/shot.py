"""What a camera sees of a scene, as numbers and pictures: the one description from which windows of frames are painted.

`Shot.painted` paints with OpenCV; `siamtrack.training.shot_painter` paints many at once with PyTorch. Both do the same: the
ground through its map, smeared and out of focus; the objects over it, the one furthest back first; the light on all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from siamtrack.crop import Fill, mean_colour
from siamtrack.image import Image
from siamtrack.synthetic.drawing import Drawn, Layer, Levels, drawn, ground_seen, lay_over, smeared
from siamtrack.warp import Matrix


@dataclass(frozen=True, kw_only=True, eq=False)
class Shot:
    """A part of a frame, all that is in it, and how it is lit. Lengths in canvas pixels, before noise and compression."""

    width: int  # of the canvas
    height: int
    ground: Levels  # mirrored without end
    ground_map: Matrix  # from the pixels of the ground's picture to the canvas
    ground_smear: NDArray[np.float64]  # (2,), the way it goes while the shutter is open
    defocus: float  # deviation of the ground's blur; 0: sharp
    layers: Sequence[Layer]  # on this canvas, the one furthest back first
    light: NDArray[np.uint8] | None  # (256, 3): what becomes of each value of red, green, blue; None: it stays

    def parts(self) -> list[Drawn | None]:
        """The layers, drawn on this canvas; None for those that do not reach it."""
        return [drawn(layer, (self.width, self.height)) for layer in self.layers]

    def painted(self, parts: Sequence[Drawn | None] | None = None) -> Image:
        """The picture, (height, width, 3).

        Args:
            parts: the layers, if they are already drawn on this canvas.
        """
        image = smeared(ground_seen(self.ground, self.ground_map, self.width, self.height), self.ground_smear)
        if self.defocus:
            image = np.asarray(cv2.GaussianBlur(image, (0, 0), self.defocus), np.uint8)
        for part in self.parts() if parts is None else parts:
            if part is not None:
                lay_over(image, part)
        return image if self.light is None else np.asarray(cv2.LUT(image, self.light[None]), np.uint8)

    def mask(self, target: int, parts: Sequence[Drawn | None]) -> NDArray[np.uint8]:
        """(height, width), 255 where layer `target` is solid and nothing lies over it, else 0; `parts` as for `painted`."""
        plane = np.zeros((self.height, self.width), np.uint8)
        for number, part in enumerate(parts[target:]):
            if part is not None:
                part.put(plane, 0 if number else 255)
        return plane


@dataclass(frozen=True, kw_only=True, eq=False)
class Window:
    """A square window of a frame as a picture of a fixed size, and which part of it is inside the frame."""

    shot: Shot
    size: int  # side of the picture, pixels
    enlarged: float  # picture pixels a canvas pixel, above 1; or 1, and the canvas is the picture
    corner: tuple[float, float]  # left and top of the window on the canvas
    inside: tuple[int, int, int, int]  # left, top, right, bottom of what is in the frame, picture pixels; may be empty
    target: int | None = None  # the layer whose mask is wanted

    def painted(self) -> tuple[Image, Fill]:
        """The picture, (size, size, 3), and the mean colour of its part in the frame, which the rest is filled with.

        A window that shows nothing of the frame has the mean colour of what would lie there.
        """
        return self._filled(self.shot.painted())

    def masked(self) -> tuple[Image, Fill, NDArray[np.uint8] | None]:
        """The same, and the mask (size, size) of the target inside the frame, 0 to 255; None where none is wanted."""
        if self.target is None:
            return *self.painted(), None
        parts = self.shot.parts()
        mask = self._enlarged(self.shot.mask(self.target, parts))
        left, top, right, bottom = self.inside
        mask[:top], mask[bottom:], mask[:, :left], mask[:, right:] = 0, 0, 0, 0
        return *self._filled(self.shot.painted(parts)), mask

    def _filled(self, canvas: Image) -> tuple[Image, Fill]:
        image = self._enlarged(canvas)
        left, top, right, bottom = self.inside
        inside = image[top:bottom, left:right]
        fill = mean_colour(inside if inside.size else image)
        if inside.shape != image.shape:
            kept = inside.copy()
            image[...] = np.array(fill).round().astype(np.uint8)
            image[top:bottom, left:right] = kept
        return image, fill

    def _enlarged(self, canvas: NDArray[np.uint8]) -> NDArray[np.uint8]:
        factor = self.enlarged
        if factor == 1:
            return canvas
        shift = [factor * (-place + 0.5) - 0.5 for place in self.corner]
        enlarge = np.array([[factor, 0, shift[0]], [0, factor, shift[1]]])
        return np.asarray(cv2.warpAffine(canvas, enlarge, (self.size, self.size), flags=cv2.INTER_LINEAR), np.uint8)
