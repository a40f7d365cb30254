"""Masks that random networks give, made worth comparing, and how they are compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from siamtrack.box import Box
from siamtrack.library import RUNTIMES, open_model
from siamtrack.trackers.mask import windows_around
from siamtrack.tracking import Prediction

BOXES = [Box(60, 50, 40, 30), Box(120, 40, 30, 50)]
"""Of two targets in `noise`, whose patches overlap."""


def noise() -> NDArray[np.uint8]:
    """(150, 200, 3)."""
    return np.random.default_rng(0).integers(0, 256, (150, 200, 3)).astype(np.uint8)


def with_borders(network: Any, last: torch.nn.Conv2d) -> Any:
    """The network with masks that are neither empty nor all of their patch, as those of a random one nearly are.

    Args:
        network: one that gives masks, in eval mode; changed.
        last: its convolution that makes them.
    """
    generator = torch.Generator().manual_seed(0)
    sides = network.settings.template_size, network.settings.search_size
    z, x = (torch.rand(1, 3, side, side, generator=generator) * 255 for side in sides)
    with torch.no_grad():
        _, _, correlation, *layers = (maps[0, 0].numpy() for maps in network.match(network.embed(z), x))
        cell = correlation.shape[-1] // 2
        around = windows_around(correlation, layers, cell, cell, windows=network.windows)
        logits = network.masks(*(torch.from_numpy(part)[None] for part in around))
        assert last.bias is not None
        last.weight *= 2 / logits.std()
        last.bias.sub_(logits.mean()).mul_(2 / logits.std())
    return network


def mask_of(prediction: Prediction) -> NDArray[np.bool_]:
    assert prediction.mask is not None
    return prediction.mask


def mask_iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """0 where both are empty: nothing was compared."""
    return float((a & b).sum() / max((a | b).sum(), 1))


def assert_masks_agree(folder: Path) -> None:
    """A model folder's on every runtime with PyTorch's, and those of two targets with those of each alone.

    Where masks overlap a pixel belongs to one of them; a target that is alone has all of its own.
    """
    frame = noise()
    found = {}
    for runtime in RUNTIMES:
        tracker = open_model(folder, runtime=runtime, precision="float32")
        _, found[runtime] = tracker.step(frame, tracker.start(frame, BOXES))
        for target, box in enumerate(BOXES):
            _, (alone,) = tracker.step(frame, tracker.start(frame, [box]))
            together, other = found[runtime][target], found[runtime][1 - target]
            assert np.abs(np.subtract(alone.box, together.box)).max() < 0.01
            assert mask_iou(mask_of(alone) & ~mask_of(other), mask_of(together)) > 0.98
    for predictions in found.values():
        for prediction, expected in zip(predictions, found["torch"], strict=True):
            mask = mask_of(expected)
            assert mask.shape == frame.shape[:2]
            rows, columns = np.nonzero(mask)
            assert 200 < len(rows) < 0.9 * (np.ptp(rows) + 1) * (np.ptp(columns) + 1)  # nor is it the whole patch
            assert mask_iou(mask_of(prediction), mask) > 0.98
            assert np.abs(np.subtract(prediction.box, expected.box)).max() < 0.05
