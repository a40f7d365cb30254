"""Who plays in a scene, and how each of them moves: all that is drawn at random about it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from siamtrack.image import Image
from siamtrack.synthetic import photometric
from siamtrack.synthetic.drawing import Levels, Rgba, premultiplied
from siamtrack.synthetic.supply import Supply
from siamtrack.synthetic.world_settings import FASTEST_CAMERA, GROWTH, ZOOM, WorldSettings
from siamtrack.warp import Matrix

_LARGEST_PICTURE = 224  # px, longer side of an object's picture; a larger cut-out is averaged first
_WAVES = 2  # sines a coordinate
_FASTEST = 1.0  # radians a frame
_OUT_OF_VIEW = 24.0  # px, beside the frame, for bends and smears
_FASTEST_TRAVEL = 0.03  # of the frame's width, a frame


class Wander:
    """K values that change over time, each a sum of sines.

    Args:
        rng: decides amplitudes, speeds and phases.
        reach: K, largest distance from 0.
        speed: K, largest change a frame, about.
    """

    def __init__(self, rng: np.random.Generator, reach: Sequence[float], speed: Sequence[float]) -> None:
        shape = len(reach), _WAVES
        self._amplitude = np.asarray(reach)[:, None] * rng.dirichlet(np.ones(_WAVES), len(reach))
        frequency = np.asarray(speed)[:, None] * rng.uniform(0.5, 1.5, shape) / np.maximum(self._amplitude, 1e-9)
        self._frequency = np.minimum(frequency, _FASTEST)
        self._phase = rng.uniform(0, 2 * np.pi, shape)

    def at(self, time: float) -> list[float]:
        """The K values in frame `time`."""
        return [float(v) for v in (self._amplitude * np.sin(self._frequency * time + self._phase)).sum(1)]


class Pose(NamedTuple):
    """How a thing is placed at a time."""

    x: float  # of its middle from its place, frame pixels
    y: float
    growth: float  # log of the factor on its size
    turn: float  # in the plane, radians
    yaw: float  # out of the plane, about the vertical axis, radians
    bend: float  # see `drawing.Bend`


class View(NamedTuple):
    """How the camera has moved from its middle position."""

    x: float  # of the ground in the frame, shares of the frame's shorter side
    y: float
    zoom: float  # log of the factor
    roll: float  # radians
    shake_x: float  # as x and y
    shake_y: float


class Travel(NamedTuple):
    """Across the frame, out of view on one side and back from the other."""

    speed: float  # px a frame, to the right
    period: float  # px, after which it is where it was


@dataclass(frozen=True, eq=False)
class Thing:
    """An object of a scene, or something that hides objects."""

    levels: Levels
    side: float  # px of its longer side in the frame, in the middle of its growth
    place: NDArray[np.float64]  # (2,), frame pixels, that it moves about
    wander: Wander  # of a `Pose`
    on_ground: bool  # moves with the ground; else with the camera, as what is filmed does
    travel: Travel | None = None  # what it does beside that

    def poses(self, *times: float) -> list[Pose]:
        """How it is placed at these times, of which the first decides how often it has gone round."""
        poses = [Pose(*self.wander.at(time)) for time in times]
        if self.travel is None:
            return poses
        ways = [pose.x + self.travel.speed * time for pose, time in zip(poses, times, strict=True)]
        rounds = round(ways[0] / self.travel.period)
        return [pose._replace(x=way - rounds * self.travel.period) for pose, way in zip(poses, ways, strict=True)]


@dataclass(frozen=True, eq=False)
class Cast:
    """All of a scene."""

    ground: Levels
    ground_map: Matrix  # from the pixels of the ground's picture to the frame, camera in its middle position
    camera: Wander  # of a `View`
    objects: list[Thing]  # the one furthest back first
    occluders: list[Thing]  # in front of all objects
    shutter: float  # share of the time between two frames that it is open
    defocus: float  # deviation of the ground's blur, frame pixels
    flicker: Wander  # log of the gain; then of red, green, blue
    noise: float  # deviation, grey levels
    quality: int  # of JPEG; 0: not compressed


def cast(rng: np.random.Generator, settings: WorldSettings, supply: Supply) -> Cast:
    """Draws a scene.

    Raises:
        DataError: a picture of the supply cannot be read.
    """
    picture = supply.ground(rng)
    defocused = rng.random() < 0.15
    dims = settings.light * (rng.random() < 0.4)
    objects = _objects(rng, settings, supply)
    return Cast(
        ground=Levels(photometric.random_light(picture, rng, 1.5)),
        ground_map=_spread(rng, settings, picture),
        camera=_camera(rng, settings),
        objects=objects,
        occluders=_occluders(rng, settings, supply, objects),
        shutter=settings.shutter * float(rng.random()),
        defocus=float(rng.uniform(1, 3)) * settings.unit / 360 if defocused else 0.0,
        flicker=Wander(rng, [0.25 * dims] + [0.1 * dims] * 3, [0.01] * 4),
        noise=float(rng.uniform(2, 12)) if rng.random() < settings.noise else 0.0,
        quality=int(rng.integers(20, 80)) if rng.random() < settings.compression else 0,
    )


def _spread(rng: np.random.Generator, s: WorldSettings, picture: Image) -> Matrix:
    height, width = picture.shape[:2]
    factor = max(s.width / width, s.height / height) * rng.uniform(1.0, 1.6)
    x, y = (s.width - factor * width) / 2, (s.height - factor * height) / 2
    return np.array([[factor, 0, x], [0, factor, y], [0, 0, 1]])


def _camera(rng: np.random.Generator, s: WorldSettings) -> Wander:
    """Many cameras stand still or nearly so."""
    moves = s.camera * float(rng.choice([0.0, 0.3, 1.0, FASTEST_CAMERA], p=[0.2, 0.3, 0.35, 0.15]))
    shake = 0.004 * s.camera * (rng.random() < 0.3)
    reach = [0.6 * moves, 0.3 * moves, ZOOM * moves, 0.08 * moves, shake, shake]
    return Wander(rng, reach, [0.008 * moves, 0.004 * moves, 0.004 * moves, 0.002 * moves, shake, shake])


def _objects(rng: np.random.Generator, s: WorldSettings, supply: Supply) -> list[Thing]:
    count = int(rng.integers(1, s.most_objects + 1))
    found = [_object(rng, s, Levels(_prepared(supply.object(rng), rng))) for _ in range(count)]
    if count > 1 and rng.random() < s.look_alikes:
        first = found[0]
        same = rng.random() < 0.5
        double = _object(rng, s, first.levels if same else Levels(_relit(first.levels.picture, rng)))
        side = first.side * float(np.exp(rng.normal(0, 0.15)))
        found[-1] = replace(double, side=side, travel=double.travel and double.travel._replace(period=_period(s, side)))
    return [found[i] for i in rng.permutation(count)]


def _object(rng: np.random.Generator, s: WorldSettings, levels: Levels) -> Thing:
    share = float(np.exp(rng.uniform(np.log(s.smallest), np.log(s.largest))))
    leaves = rng.random() < s.exits
    reach = rng.uniform(0.7, 1.0) if leaves else rng.uniform(0.05, 0.42)
    place = np.array([s.width, s.height]) * (0.5 if leaves else rng.uniform(0.3, 0.7, 2))
    # most are slow, some very fast; what is small is further away and moves less
    pace = 0.008 * np.exp(0.9 * rng.normal()) * s.motion * s.unit * (share / 0.2) ** 0.5
    turns = 0.015 * s.turning * (rng.random() < 0.6)
    yaws = 0.02 * s.turning * (rng.random() < 0.5)
    bends = 0.006 * s.bending * (rng.random() < 0.5)
    reaches = [GROWTH * s.growth, 0.5 * s.turning, 0.9 * s.turning, 10 * bends]
    speeds = [pace, 0.5 * pace, 0.012 * s.growth, turns, yaws, bends]
    wander = Wander(rng, [reach * s.width, reach * s.height, *reaches], speeds)
    thing = Thing(levels, share * s.unit, place, wander, on_ground=bool(rng.random() < 0.3))
    if not (leaves and s.elsewhere and rng.random() < s.elsewhere):
        return thing
    speed = min(pace, _FASTEST_TRAVEL * s.width)
    calm = Wander(rng, [0.2 * s.width, 0.25 * s.height, *reaches], [0.3 * speed, *speeds[1:]])  # so that it never turns back
    travel = Travel(speed * float(rng.choice([-1, 1])), _period(s, thing.side))
    # with the camera, as the ground could carry it into view where it goes round
    return replace(thing, wander=calm, on_ground=False, travel=travel)


def _period(s: WorldSettings, side: float) -> float:
    """How far a thing of that side travels until it is where it was: it goes round when all of it is out of view."""
    return s.width + 2 * (0.75 * side * math.exp(GROWTH * s.growth) + _OUT_OF_VIEW)  # 0.75: half of its diagonal, and some


def _occluders(rng: np.random.Generator, s: WorldSettings, supply: Supply, objects: Sequence[Thing]) -> list[Thing]:
    """Things that stand in front of all others, near where one of them moves: posts, bushes, what there is."""
    if rng.random() >= s.occluders:
        return []
    found = []
    for _ in range(int(rng.integers(1, 4))):
        cutout = _post(supply.ground(rng), rng) if rng.random() < 0.5 else supply.object(rng)
        place = objects[int(rng.integers(len(objects)))].place + rng.normal(0, 0.25, 2) * s.unit
        still = Wander(rng, [0.0] * len(Pose._fields), [0.0] * len(Pose._fields))
        side = float(rng.uniform(0.1, 0.6)) * s.unit
        found.append(Thing(Levels(_prepared(cutout, rng)), side, place, still, on_ground=True))
    return found


def _prepared(cutout: Rgba, rng: np.random.Generator) -> Rgba:
    """Not larger than needed, in a light of its own, premultiplied."""
    height, width = cutout.shape[:2]
    if (factor := _LARGEST_PICTURE / max(height, width)) < 1:
        size = max(1, round(width * factor)), max(1, round(height * factor))
        cutout = np.asarray(cv2.resize(cutout, size, interpolation=cv2.INTER_AREA), np.uint8)
    rgb = photometric.random_light(cv2.cvtColor(cutout, cv2.COLOR_BGRA2BGR).astype(np.uint8), rng, 1.0)
    return premultiplied(rgb, np.ascontiguousarray(cutout[:, :, 3]))


def _relit(picture: Rgba, rng: np.random.Generator) -> Rgba:
    """A premultiplied picture in other colours."""
    alpha = np.ascontiguousarray(picture[:, :, 3])
    rgb = photometric.random_light(cv2.cvtColor(picture, cv2.COLOR_BGRA2BGR).astype(np.uint8), rng, 1.5)
    return premultiplied(rgb, alpha)


def _post(picture: Image, rng: np.random.Generator) -> Rgba:
    """A piece of a ground as a narrow upright thing."""
    width = picture.shape[1]
    side = max(4, int(width * rng.uniform(0.05, 0.2)))
    left = int(rng.integers(0, max(1, width - side)))
    piece = picture[:, left : left + side]
    return np.dstack([piece, np.full(piece.shape[:2], 255, np.uint8)])
