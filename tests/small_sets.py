"""A small annotated data set for tests: clips of picture files, and of a video file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from small_videos import make_video, moving

from siamtrack.datasets.clips import Clip, Frames, PictureFiles, Target, TrainingSet, VideoFile
from siamtrack.errors import DataError

WIDTH, HEIGHT = 96, 64
ABSENT = [float("nan")] * 4


class SmallSet(TrainingSet):
    """NAME/boxes.json, {target: {frame: box}}, beside NAME/000.png or NAME/clip.mp4."""

    name = "small"

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return any(root.glob("*/boxes.json"))

    @property
    def names(self) -> Sequence[str]:
        return sorted(path.parent.name for path in self.root.glob("*/boxes.json"))

    def clip(self, name: str) -> Clip:
        folder = self.root / name
        try:
            annotation = json.loads((folder / "boxes.json").read_text(encoding="utf-8"))
        except ValueError:
            raise DataError(f"'{folder / 'boxes.json'}' is no JSON.") from None
        targets = []
        for target, boxes in annotation["targets"].items():
            positions = np.array([int(frame) for frame in boxes], np.int64)
            rows = np.array(list(boxes.values()), np.float64).reshape(-1, 4)
            visibility = np.linspace(0, 1, len(rows))
            targets.append(Target(name=target, category="thing", positions=positions, boxes=rows, visibility=visibility))
        video = folder / "clip.mp4"
        frames: Frames = VideoFile(video, annotation["frames"]) if video.exists() else PictureFiles(_pictures(folder))
        size = (annotation["size"][0], annotation["size"][1]) if "size" in annotation else None
        return Clip(name=name, frames=frames, targets=tuple(targets), size=size)


class MaskedSet(SmallSet):
    """The same with masks, except in every fourth frame."""

    has_masks = True

    def clip(self, name: str) -> Clip:
        return replace(super().clip(name), masks=ellipse)


def ellipse(target: Target, index: int) -> NDArray[np.bool_] | None:
    """The ellipse in the box."""
    if target.positions[index] % 4 == 2:
        return None
    box = target.box(index)
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    inside: NDArray[np.bool_] = ((x - box.center[0]) / box.w) ** 2 + ((y - box.center[1]) / box.h) ** 2 <= 0.25
    return inside


def _pictures(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(folder.glob("*.png")))


def add_clip(
    root: Path,
    name: str,
    targets: dict[str, dict[int, list[float]]],
    *,
    frames: int = 8,
    video: bool = False,
    size: tuple[int, int] | None = None,
) -> Path:
    """Writes a clip of moving noise; returns its folder."""
    folder = root / name
    folder.mkdir(parents=True)
    annotation = {"frames": frames, "targets": targets} | ({"size": size} if size else {})
    (folder / "boxes.json").write_text(json.dumps(annotation), encoding="utf-8")
    pictures = moving(frames, WIDTH, HEIGHT)
    if video:
        make_video(folder / "clip.mp4", pictures)
    for number, picture in enumerate([] if video else pictures):
        assert cv2.imwrite(str(folder / f"{number:03}.png"), picture)
    return folder


def walk(count: int, *, start: float = 10, step: float = 1.25, side: float = 20) -> dict[int, list[float]]:
    """A box that moves by fractions of a pixel."""
    return {frame: [start + step * frame, 15.5, side, side * 0.75] for frame in range(count)}


def small_set(root: Path) -> SmallSet:
    """Two clips of pictures and one of a video; 7 + 6 + 8 + 9 = 30 crops; absent, flat and absurd boxes among them."""
    first = walk(8) | {3: ABSENT}
    second = walk(8, start=40, step=-1, side=9) | {0: [5, 5, 0, 9], 1: [5, 5, 1e9, 9]}
    add_clip(root, "a", {"7": first, "9": second})
    add_clip(root, "b", {"0": walk(8, start=-15)}, size=(WIDTH, HEIGHT))
    add_clip(root, "c", {"0": walk(9)}, frames=12, video=True)
    add_clip(root, "empty", {})
    return SmallSet(root)
