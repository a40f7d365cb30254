"""Rendered scenes against their painted pixels."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from siamtrack.box import Box
from siamtrack.synthetic.scene import Scene


def painted_box(scene: Scene, target: int, number: int) -> tuple[Box, float]:
    """The box of the pixels where the object covers more than half, from the scene drawn with it in white and in black.

    Objects drawn later may hide it, so they are taken away. Also the mean position of its alpha, as distance to the box.
    """
    frames = []
    everything = scene._objects
    for level in (255, 0):
        thing = everything[target]
        sprite = thing.sprite.copy()
        sprite[:, :, :3] = level
        hidden = [replace(other, sprite=np.zeros_like(other.sprite)) for other in everything]
        hidden[target] = replace(thing, sprite=sprite)
        scene._objects = hidden
        frames.append(scene.image(number).astype(float))
    scene._objects = everything
    alpha = (frames[0] - frames[1]).mean(-1) / 255
    rows, columns = np.flatnonzero((alpha > 0.5).any(1)), np.flatnonzero((alpha > 0.5).any(0))
    box = Box.from_corners(columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    y, x = np.mgrid[: alpha.shape[0], : alpha.shape[1]] + 0.5
    center = np.array([(alpha * x).sum(), (alpha * y).sum()]) / alpha.sum()
    return box, float(np.hypot(*(center - scene.box(target, number).center)))


@pytest.mark.parametrize("still", [False, True])
@pytest.mark.parametrize(("width", "height", "objects"), [(640, 360, 3), (320, 240, 1), (900, 800, 2)])
def test_boxes_of_a_scene_are_where_the_objects_are_painted(width: int, height: int, objects: int, still: bool) -> None:
    scene = Scene(width, height, objects=objects, seed=3, still=still)
    for target, number in itertools.product(range(objects), (0, 17, 250)):
        box = scene.box(target, number)
        painted, distance = painted_box(scene, target, number)
        edges = [(b.x, b.y, b.x + b.w, b.y + b.h) for b in (box, painted)]
        assert np.abs(np.subtract(*edges)).max() < 1.5
        assert distance < 0.1  # of the centres, px: no systematic half pixel


def test_a_scene_is_a_function_of_its_seed() -> None:
    a, b, other = Scene(160, 120, seed=5), Scene(160, 120, seed=5), Scene(160, 120, seed=6)
    assert (a.image(4) == b.image(4)).all()
    assert a.box(1, 4) == b.box(1, 4)
    assert (a.image(4) != other.image(4)).any()


def test_frames_of_a_scene_can_be_drawn_in_any_order() -> None:
    scene = Scene(160, 120)
    frames = list(scene.frames(4))
    for number in (3, 0, 2, 1):
        assert (scene.image(number) == frames[number].image).all()
        assert frames[number].index == number
        assert frames[number].time == number / 25
    endless = list(itertools.islice(scene.frames(), 6))
    assert (endless[3].image == frames[3].image).all()


def test_a_scene_moves_and_its_objects_stay_in_view() -> None:
    scene = Scene(320, 180, objects=3)
    assert (scene.image(0) != scene.image(1)).mean() > 0.2
    for target, number in itertools.product(range(3), range(0, 1000, 50)):
        x, y = scene.box(target, number).center
        assert 0 < x < 320
        assert 0 < y < 180
    boxes = np.array([scene.box(0, number) for number in range(0, 400, 10)])
    assert np.ptp(boxes, axis=0).min() > 3  # place and size


def test_still_keeps_the_size_and_no_speed_keeps_everything() -> None:
    still = Scene(320, 180, still=True)
    sizes = np.array([still.box(0, number)[2:] for number in (0, 30, 90)])
    assert np.ptp(sizes, axis=0).max() == pytest.approx(0, abs=1e-9)
    assert still.box(0, 0).center != still.box(0, 30).center
    frozen = Scene(160, 120, speed=0.0)
    assert (frozen.image(0) == frozen.image(99)).all()
