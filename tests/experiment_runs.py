"""What tests of experiments share: a tiny effort, and readers of what was written."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import cv2

from siamtrack.experiments.squares_training import Effort

TINY = (
    *("epochs=2", "drop_epochs=1", "pairs_per_epoch=8", "batch_size=4", "validation_pairs=4", "log_steps=1"),
    *("network.width=0.05", "network.template_size=95", "network.search_size=127", "search_size=127"),
    *("sampling.crop_size=191", "augment.translation=8.0"),
)
FRAMES = 30
EFFORT = Effort(quick=True, overrides=TINY, device="cpu", workers=0)
OF_SHARES = replace(EFFORT, overrides=[text for text in TINY if not text.startswith("validation_pairs")])  # it has none


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def is_picture(path: Path, least: int = 300) -> bool:
    picture = cv2.imread(str(path))
    return picture is not None and min(picture.shape[:2]) >= least and float(picture.std()) > 5


def all_files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and "tensorboard" not in path.parts}
