"""A drawn clip with exact boxes, as a video or pictures, for tests that write its annotation as a tool does."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from siamtrack.datasets.clips import Clip, Target
from siamtrack.synthetic.scene import Scene
from siamtrack.video import VideoWriter

WIDTH, HEIGHT, LENGTH, OBJECTS = 160, 96, 8, 2


def boxes(seed: int = 0) -> np.ndarray:
    """(OBJECTS, LENGTH, 4)."""
    scene = Scene(WIDTH, HEIGHT, objects=OBJECTS, seed=seed)
    return np.array([[scene.box(target, number) for number in range(LENGTH)] for target in range(OBJECTS)])


def write_video(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path) as writer:
        for frame in Scene(WIDTH, HEIGHT, objects=OBJECTS, seed=seed).frames(LENGTH):
            writer.write(frame.image, frame.time)
    return path


def write_pictures(folder: Path, pattern: str = "{:06d}.jpg", first: int = 1, seed: int = 0) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for frame in Scene(WIDTH, HEIGHT, objects=OBJECTS, seed=seed).frames(LENGTH):
        paths.append(folder / pattern.format(frame.index + first))
        cv2.imwrite(str(paths[-1]), frame.image[:, :, ::-1])
    return paths


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def target(clip: Clip, name: str) -> Target:
    (found,) = [t for t in clip.targets if t.name == name]
    return found


def assert_same_boxes(clip: Clip, names: list[str], within: float, expected: np.ndarray | None = None) -> None:
    """Whether the targets have the drawn boxes in every frame, and no others."""
    expected = boxes() if expected is None else expected
    assert sorted(t.name for t in clip.targets) == sorted(names)
    for name, drawn in zip(names, expected, strict=True):
        found = target(clip, name)
        assert found.positions.tolist() == list(range(LENGTH))
        np.testing.assert_allclose(found.boxes, drawn, atol=within, rtol=0)
        assert found.boxes.dtype == np.float64
    assert len(clip.frames) == LENGTH
    assert clip.frames.read(LENGTH - 1).shape == (HEIGHT, WIDTH, 3)
