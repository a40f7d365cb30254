"""Tracking through held-out videos while a network learns: slower than pairs, and nearer to what is wanted."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import torch
from torch import nn

from siamtrack.box import Box
from siamtrack.datasets.clips import Clip, Target
from siamtrack.errors import BoxError, DataError, SettingsError
from siamtrack.library import tracker_around
from siamtrack.metrics.ope import success_auc
from siamtrack.runtimes.torch import torch_network
from siamtrack.tracking import Tracker
from siamtrack.training.clip_pairs import part
from siamtrack.training.recipe import Recipe
from siamtrack.training.sources import TrainingData

FRAMES = 200  # of a clip at most: as many as show whether the target is lost
LEAST_PX = 10  # sides of the first box below this are left out, and absent ones


class TrackingValidation:
    """The first target of each of some held-out videos, from its first box on, in one pass.

    Raises:
        SettingsError: no data set with frames has a held-out video.
    """

    def __init__(self, recipe: Recipe, data: TrainingData) -> None:
        procedure, settings = recipe.kind.procedure(recipe.network)
        settings = {name: value for name, value in settings.items() if name != "mask"}  # boxes alone are measured
        self._procedure, self._settings = procedure, settings | {"context": recipe.context}
        held_out = [
            (training_set, name)
            for training_set in data.sets
            for name in part(training_set.names, "validation", recipe.sampling.validation_share)
        ]
        self._targets: list[tuple[Clip, Target, int]] = []
        for training_set, name in held_out:
            if len(self._targets) == recipe.tracking_clips:
                break
            with contextlib.suppress(DataError):  # an annotation that cannot be read: another clip will do
                if found := _first_usable(training_set.clip(name)):
                    self._targets.append(found)
        if not self._targets:
            raise SettingsError(
                f"tracking_clips is {recipe.tracking_clips}, but no held-out video has frames at hand ({len(held_out)} clips; "
                "crops and pictures cannot be tracked through). Set tracking_clips=0 or give --data of whole videos."
            )

    def measure(self, network: nn.Module, device: torch.device) -> float:
        """Mean area under the success curve, in [0, 20/21]; frames that cannot be read are left out."""
        tracker = tracker_around(torch_network(network, device=str(device)), self._procedure, self._settings)
        return float(np.mean([_auc(tracker, *found) for found in self._targets]))


def _first_usable(clip: Clip) -> tuple[Clip, Target, int] | None:
    for target in clip.targets:
        usable = np.flatnonzero(target.boxes[:, 2:].min(1) >= LEAST_PX)  # NaN is not
        if len(usable) and len(target.positions) - usable[0] > 1:
            return clip, target, int(usable[0])
    return None


def _auc(tracker: Tracker[Any], clip: Clip, target: Target, first: int) -> float:
    rows = range(first, min(first + FRAMES, len(target.positions)))
    positions = [int(target.positions[row]) for row in rows]
    predicted, truth = [], []
    states = None
    for row, frame in zip(rows, clip.frames.several(positions), strict=True):
        if isinstance(frame, DataError):
            continue
        if states is None:
            with contextlib.suppress(BoxError):  # a box outside the frame: begin with the next
                states = tracker.start(frame, [target.box(row)])
            continue
        states, (prediction,) = tracker.step(frame, states)
        predicted.append(prediction.box)
        truth.append(target.box(row))
    present = [not Box(*box).absent for box in truth]
    return success_auc(predicted, truth) if any(present) else 0.0
