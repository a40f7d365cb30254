"""Pictures that are drawn, as material of every kind in folders."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from siamtrack.image import Image


def noise(height: int = 120, width: int = 160, seed: int = 0, cells: int = 10) -> Image:
    coarse = np.random.default_rng(seed).uniform(0, 255, (cells, cells, 3)).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.uint8)


def write(path: Path, image: Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


def disc(height: int = 60, width: int = 80, colour: tuple[int, int, int] = (255, 255, 255)) -> Image:
    """RGBA with a filled ellipse."""
    alpha = cv2.ellipse(
        np.zeros((height, width), np.uint8), (width // 2, height // 2), (width // 2 - 2, height // 2 - 2), 0, 0, 360, 255, -1
    )
    return np.dstack([np.full((height, width, 3), colour, np.uint8), alpha])


def every_kind(folder: Path) -> Path:
    for number in range(3):
        write(folder / "plain" / f"picture{number}.jpg", noise(seed=number))
    write(folder / "plain" / "deep" / "er" / "far.png", noise(seed=9))
    write(folder / "emoji" / "smile.png", disc())
    write(folder / "emoji" / "opaque.png", np.dstack([noise(seed=4), np.full((120, 160), 255, np.uint8)]))  # a still
    write(folder / "segments" / "scene.jpg", noise(seed=5))
    labels = np.zeros((120, 160), np.uint8)
    labels[30:90, 40:110] = 7  # an object
    labels[2:10, 2:10] = 8  # too small
    labels[100:, :] = 9  # from border to border
    write(folder / "segments" / "scene_seg.png", labels)
    write(folder / "boxes" / "many.jpg", noise(seed=6))
    write(folder / "boxes" / "few.jpg", noise(seed=7))
    annotations = {
        "many": {
            "boxes": [[10, 20, 30, 40], [3, 50, 60, 70, 30], [1, 1, 5, 5]],
            "polygons": [[7, 20, 20, 80, 20, 50, 90], [0, 0, 9, 0, 9, 9]],
        },
        "few": [[5, 6, 70, 80]],
    }
    (folder / "boxes" / "annotations.json").write_text(json.dumps(annotations))
    for number in range(3):
        write(folder / "tracks" / "walk" / "img" / f"{number:04d}.jpg", noise(seed=20 + number))
        write(folder / "tracks" / "run" / f"{number:04d}.jpg", noise(seed=30 + number))
    for name in ("walk", "run"):
        (folder / "tracks" / name / "groundtruth.txt").write_text("10,10,40,40\nnan,nan,nan,nan\n14,12,40,40\n\n")
    (folder / "notes.txt").write_text("nothing to see")
    return folder
