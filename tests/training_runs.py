"""Small data and small recipes for training, and how runs are stopped and compared."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from siamtrack.box import Box
from siamtrack.models.siamfc import SiamFCNetworkSettings
from siamtrack.synthetic.material import Material, Still, find_material
from siamtrack.synthetic.pairs import PairSettings
from siamtrack.synthetic.scene import Scene
from siamtrack.training import loop
from siamtrack.training.augment import AugmentSettings
from siamtrack.training.checkpoint import RUN_WEIGHTS
from siamtrack.training.clip_pairs import SamplingSettings
from siamtrack.training.data import batches
from siamtrack.training.recipe import Recipe
from siamtrack.training.sources import TrainingData

RECIPE = Recipe(
    epochs=2,
    pairs_per_epoch=12,
    batch_size=4,
    optimizer="adamw",
    schedule="cosine",
    learning_rate=1e-3,
    final_learning_rate=1e-6,
    weight_decay=1e-2,
    checkpoint_steps=2,
    log_steps=1,
    validation_pairs=4,
    network=SiamFCNetworkSettings(width=0.05, template_size=95, search_size=127),
    pictures=PairSettings(max_shift=12.0),
    sampling=SamplingSettings(crop_size=143),
    augment=AugmentSettings(translation=8.0),
)
"""Six steps, two epochs of three."""


def draw_pictures(folder: Path) -> Material:
    """Fifteen pictures of blobs, some more of those that their names put into validation, and a cut-out."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(100):
        if number >= 15 and Material((Still(folder / f"{number}.png"),), (), ()).part("validation").stills == ():
            continue
        coarse = rng.uniform(0, 255, (9, 12, 3)).astype(np.float32)
        picture = cv2.resize(coarse, (192, 144), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)
        assert cv2.imwrite(str(folder / f"{number}.png"), picture)
    alpha = cv2.circle(np.zeros((60, 60), np.uint8), (30, 30), 28, 255, -1)
    assert cv2.imwrite(str(folder / "disc.png"), np.dstack([np.full((60, 60, 3), 90, np.uint8), alpha]))
    return find_material([folder])


def draw_clips(folder: Path, clips: int = 6, frames: int = 5, *, first: int = 0) -> Path:
    """Clips of drawn scenes, numbered from `first`, as NAME/img/*.png with NAME/groundtruth.txt, one target each."""
    for number in range(first, first + clips):
        scene = Scene(320, 240, objects=2, seed=number, speed=2.0)
        images = folder / f"clip{number}" / "img"
        images.mkdir(parents=True)
        boxes: list[Box] = []
        for frame in scene.frames(frames):
            assert cv2.imwrite(str(images / f"{frame.index:08d}.png"), frame.image[..., ::-1])
            boxes.append(scene.box(0, frame.index))
        lines = (",".join(f"{value:.3f}" for value in box) for box in boxes)
        (images.parent / "groundtruth.txt").write_text("\n".join(lines), encoding="utf-8")
    return folder


def of_pictures(material: Material) -> TrainingData:
    """Pictures alone as the data of a run."""
    return TrainingData(material=material)


def stop_after(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """The batch after so many ends the run as Ctrl-C does."""

    def interrupted(*args: Any, **options: Any) -> Iterator[Any]:
        for number, batch in enumerate(batches(*args, **options)):
            if number == steps:
                raise KeyboardInterrupt
            yield batch

    monkeypatch.setattr(loop, "batches", interrupted)


def parameters(run: Path) -> dict[str, torch.Tensor]:
    """The result of a run."""
    return load_file(run / RUN_WEIGHTS)


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    """Whether all values are equal to the last bit."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def rows(run: Path, *columns: str) -> list[dict[str, str]]:
    """The log of a run; of these columns alone where they are given."""
    with (run / "log.csv").open(newline="", encoding="utf-8") as file:
        return [{key: row[key] for key in columns or row} for row in csv.DictReader(file)]
