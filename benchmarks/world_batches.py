"""How many training pairs of worlds a second: drawn by OpenCV on one core, and painted in batches by PyTorch on a device.

What is painted comes from the loading processes, so the slower of the two last lines is what a run gets: the first of them is
of one process, and `siamtrack train --workers N` has N.

python benchmarks/world_batches.py [--device cuda] [--batch 128] [--batches 10] [--recipe siamfc-modern]
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import cv2
import torch

from siamtrack.training.data import Batch, batches
from siamtrack.training.recipes import read_recipe
from siamtrack.training.sources import open_data


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--batches", type=int, default=3)
    parser.add_argument("--recipe", default="siamfc-modern")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    device = torch.device(arguments.device)
    recipe = read_recipe(arguments.recipe, ["augment.jpeg=0.0", "paint=device"])
    data = open_data([("world", None)], recipe.crops)
    count = arguments.batch * arguments.batches

    def loaded(paint: str) -> tuple[list[Batch], float]:
        pairs = data.unpainted(replace(recipe, paint=paint))
        began = time.perf_counter()
        found = list(batches(pairs, range(count), batch_size=arguments.batch, workers=0, pin=device.type == "cuda"))
        return found, count / (time.perf_counter() - began)

    loaded("device")  # draws the built-in pictures, which are kept
    _, drawn = loaded("cpu")
    print(f"drawn by OpenCV, one process: {drawn:.0f} pairs a second")
    black, described = loaded("device")
    sent = sum(batch.plans.content.numel() for batch in black if batch.plans) / count
    print(f"described for the device, one process: {described:.0f} pairs a second, {sent / 1e6:.1f} MB each")
    black[0].painted(device)
    _wait(device)
    began = time.perf_counter()
    for batch in black:
        batch.painted(device)
    _wait(device)
    print(f"painted on {device}: {count / (time.perf_counter() - began):.0f} pairs a second")


def _wait(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type != "cpu":
        torch.empty(1, device=device).add_(1).item()


if __name__ == "__main__":
    main()
