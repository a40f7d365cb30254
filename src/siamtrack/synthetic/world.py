"""Endless moving scenes with exact ground truth, for training and for tests: a camera, objects, look-alikes, occluders.

A scene is a function: any frame of it, and any window of any frame, can be drawn alone. So training pairs cost two small
windows and not two frames, and videos and pairs come from the same code. What is drawn at random is in `casting`, how it is
drawn in `drawing`; between the two stands a `Shot`, the description of what is seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from siamtrack.box import Box
from siamtrack.image import Image
from siamtrack.synthetic import photometric
from siamtrack.synthetic.casting import Pose, Thing, View, cast
from siamtrack.synthetic.drawing import Bend, Drawn, Layer, drawn, reaches
from siamtrack.synthetic.seed import check_seed
from siamtrack.synthetic.shot import Shot, Window
from siamtrack.synthetic.supply import Supply
from siamtrack.synthetic.truth import Labelled
from siamtrack.synthetic.world_settings import WorldSettings
from siamtrack.warp import Matrix

LEAST_VISIBLE = 0.05  # an object of which less is seen counts as not in view
_STRAIGHT = Bend(0.0, 0.0, 0.0)
_LEAST_BEND = 0.004
_LEAST_DEFOCUS = 0.4  # px


@dataclass(frozen=True, eq=False)
class World:
    """Scenes by number: the same settings, supply and seed give the same scene for the same number, always.

    Raises:
        SettingsError: a seed below 0.
    """

    settings: WorldSettings
    supply: Supply
    seed: int = 0

    def __post_init__(self) -> None:
        check_seed(self.seed)

    def scene(self, number: int) -> Scene:
        """One scene.

        Raises:
            DataError: a picture of the supply cannot be read.
        """
        return Scene(self.settings, self.supply, self.seed, number)


class Scene:
    """One scene of a world. Objects are numbered from 0, the one furthest back first.

    Attributes:
        objects: how many there are.
    """

    def __init__(self, settings: WorldSettings, supply: Supply, seed: int, number: int) -> None:
        self.settings = settings
        self._seed = seed, number
        self._cast = cast(np.random.default_rng((seed, number)), settings, supply)
        self.objects = len(self._cast.objects)
        self._things = [*self._cast.objects, *self._cast.occluders]
        self._last: tuple[int, list[Layer]] | None = None

    def image(self, time: int) -> Image:
        """A whole frame as it is recorded: (height, width, 3)."""
        return self._recorded(self.shot(time).painted(), time)

    def frame(self, time: int) -> Labelled:
        """A whole frame with the truth about all objects."""
        s = self.settings
        shot = self.shot(time)
        outlines = [drawn(layer, None) for layer in shot.layers]
        identity = np.zeros((s.height, s.width), np.uint8)
        for number, outline in enumerate(outlines):
            if outline is not None:
                outline.put(identity, number + 1 if number < self.objects else 0)
        boxes, visibility = np.full((self.objects, 4), np.nan), np.zeros(self.objects)
        for number, outline in enumerate(outlines[: self.objects]):
            if outline is not None and (box := outline.box) is not None:
                visibility[number] = np.count_nonzero(identity == number + 1) / np.count_nonzero(outline.mask)
                if visibility[number] >= LEAST_VISIBLE:
                    boxes[number] = box
        # only what lies whole in the frame can be taken over: OpenCV's coordinates, rounded to fractions of a pixel, change by
        # the last bit where it begins to draw at the border
        parts = [
            whole if whole is not None and whole.within(s.width, s.height) else drawn(layer, (s.width, s.height))
            for whole, layer in zip(outlines, shot.layers, strict=True)
        ]
        return Labelled(self._recorded(shot.painted(parts), time), identity, boxes, visibility)

    def frames(self, count: int) -> Iterator[Labelled]:
        """The first `count` frames."""
        return (self.frame(time) for time in range(count))

    def camera_moves(self, time: int) -> bool:
        """Whether the ground has moved by half a pixel or more somewhere in the frame since the frame before."""
        corners = np.array([[x, y, 1] for x in (0, self.settings.width) for y in (0, self.settings.height)]).T
        moved = (self._camera_map(time) - self._camera_map(time - 1)) @ corners
        return float(np.hypot(moved[0], moved[1]).max()) >= 0.5

    def light_changes(self, time: int) -> bool:
        """Whether a middle grey has changed by half a level or more since the frame before."""
        now, before = (np.exp(gain + np.array(tint)) for gain, *tint in map(self._cast.flicker.at, (time, time - 1)))
        return float(np.abs(now - before).max()) * 128 >= 0.5

    def outline(self, target: int, time: int) -> Drawn | None:
        """The whole object in a frame, alone and not cut off at the frame's border, frame pixels."""
        return drawn(self._layers(time)[target], None)

    def truth(self, target: int, time: int) -> tuple[Box, float]:
        """The tight box around the whole object in a frame, and the share of it that is seen; NaN and 0 for a mere speck."""
        outline = self.outline(target, time)
        if outline is None or (box := outline.box) is None:
            return Box(math.nan, math.nan, math.nan, math.nan), 0.0
        width, height = self.settings.width, self.settings.height
        left, top, right, bottom = (int(v) for v in (box[0], box[1], box[0] + box[2], box[1] + box[3]))
        seen = np.zeros((max(0, min(bottom, height)), max(0, min(right, width))), np.uint8)  # of the frame, up to the object
        outline.put(seen, 1)
        for layer in self._layers(time)[target + 1 :]:
            if reaches(layer, (left, top, right, bottom)) and (front := drawn(layer, None)) is not None:
                front.put(seen, 0)
        return Box(*box), cv2.countNonZero(seen) / np.count_nonzero(outline.mask) if seen.size else 0.0

    def window(self, time: int, left: float, top: float, side: float, size: int, *, target: int | None = None) -> Window:
        """A square window of a frame, without noise and compression, at most as sharp as the frame itself.

        Args:
            time: number of the frame.
            left: of the window, frame pixels.
            top: of the window, frame pixels.
            side: of the window, frame pixels.
            size: of the picture, pixels.
            target: the object whose mask is wanted, too.
        """
        factor = size / side
        if factor <= 1:
            view = np.array([[factor, 0, -factor * left], [0, factor, -factor * top], [0, 0, 1]])
            shot, corner = self._shot(time, view, size, size), (0.0, 0.0)
        else:
            x, y = math.floor(left) - 1, math.floor(top) - 1
            count = math.ceil(side) + 4
            view = np.array([[1.0, 0, -x], [0, 1, -y], [0, 0, 1]])
            shot, corner = self._shot(time, view, count, count), (left - x, top - y)
        x, y = (min(max(round(-factor * v), 0), size) for v in (left, top))
        right = min(max(round(factor * (self.settings.width - left)), 0), size)
        bottom = min(max(round(factor * (self.settings.height - top)), 0), size)
        inside = x, y, right, bottom
        return Window(shot=shot, size=size, enlarged=max(factor, 1.0), corner=corner, inside=inside, target=target)

    def shot(self, time: int) -> Shot:
        """A whole frame, described."""
        return self._shot(time, np.eye(3), self.settings.width, self.settings.height)

    def _shot(self, time: int, view: Matrix, width: int, height: int) -> Shot:
        """What is seen of the frame through a view."""
        c = self._cast
        camera = self._camera_map(time)
        on_ground = np.linalg.inv(view @ camera) @ [width / 2, height / 2, 1]
        before, after = (self._camera_map(time + sign * c.shutter / 2) for sign in (-1, 1))
        defocus = c.defocus * math.sqrt(abs(view[0, 0] * view[1, 1] - view[0, 1] * view[1, 0]))
        return Shot(
            width=width,
            height=height,
            ground=c.ground,
            ground_map=view @ camera @ c.ground_map,
            ground_smear=view[:2, :2] @ ((after - before) @ on_ground)[:2],
            defocus=defocus if defocus > _LEAST_DEFOCUS else 0.0,
            layers=[layer.seen(view) for layer in self._layers(time)],
            light=self._light(time),
        )

    def _light(self, time: int) -> NDArray[np.uint8] | None:
        gain, *tint = self._cast.flicker.at(time)
        if not gain:
            return None
        table = np.arange(256)[:, None] * np.exp(gain + np.array(tint))
        return np.clip(table, 0, 255).astype(np.uint8)

    def _recorded(self, image: Image, time: int) -> Image:
        rng = np.random.default_rng((*self._seed, 1 + time))
        if self._cast.noise:
            noise = rng.standard_normal(image.shape, np.float32) * np.float32(self._cast.noise)
            image = np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)
        return photometric.compressed(image, self._cast.quality) if self._cast.quality else image

    def _camera_map(self, time: float) -> Matrix:
        """From the frame of the camera's middle position to the frame at a time."""
        v = View(*self._cast.camera.at(time))
        s = self.settings
        cos, sin = math.exp(v.zoom) * math.cos(v.roll), math.exp(v.zoom) * math.sin(v.roll)
        middle_x, middle_y = s.width / 2, s.height / 2
        x = middle_x + s.unit * (v.x + v.shake_x) - cos * middle_x + sin * middle_y
        y = middle_y + s.unit * (v.y + v.shake_y) - sin * middle_x - cos * middle_y
        return np.array([[cos, -sin, x], [sin, cos, y], [0, 0, 1]])

    def _layers(self, time: int) -> list[Layer]:
        """All things in a frame, the one furthest back first; kept, as who asks where a thing is often paints it next."""
        if self._last is None or self._last[0] != time:
            half = self._cast.shutter / 2
            cameras = [self._camera_map(at) for at in (time, time - half, time + half)]
            self._last = time, [self._layer(thing, time, cameras) for thing in self._things]
        return self._last[1]

    def _layer(self, thing: Thing, time: int, cameras: Sequence[Matrix]) -> Layer:
        """A thing in a frame; the cameras are those of the frame, and of when the shutter opens and closes."""
        half = self._cast.shutter / 2
        poses = thing.poses(time, time - half, time + half)
        matrix, before, after = (_map(thing, pose, camera) for pose, camera in zip(poses, cameras, strict=True))
        height, width = thing.levels.picture.shape[:2]
        smear = ((after - before) @ [width / 2, height / 2, 1])[:2]
        pose = poses[0]
        bend = Bend(abs(pose.bend), 1.2, 8 * pose.turn) if abs(pose.bend) > _LEAST_BEND else _STRAIGHT
        return Layer(thing.levels, matrix, bend, smear)


def _map(thing: Thing, pose: Pose, camera: Matrix) -> Matrix:
    """From the pixels of a thing's picture to the frame."""
    height, width = thing.levels.picture.shape[:2]
    factor = thing.side / max(height, width) * math.exp(pose.growth)
    across = factor * math.cos(pose.yaw)
    cos, sin = math.cos(pose.turn), math.sin(pose.turn)
    x = thing.place[0] + pose.x - cos * across * width / 2 + sin * factor * height / 2
    y = thing.place[1] + pose.y - sin * across * width / 2 - cos * factor * height / 2
    matrix = np.array([[cos * across, -sin * factor, x], [sin * across, cos * factor, y], [0, 0, 1]])
    return np.asarray(camera @ matrix) if thing.on_ground else matrix
