"""What changes while a run goes on: all of it goes into a checkpoint, and comes back from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import nn

from siamtrack.training.averaging import MovingAverage
from siamtrack.training.parameters import optimizer_of
from siamtrack.training.recipe import Recipe


class Learner:
    """A network on its way.

    Attributes:
        network: as it learns.
        optimizer: of its parameters.
        step: parameter updates made so far.
        skipped: pictures, frames and annotations that could not be read so far, in all processes.
        best_loss: the lowest validation loss so far.
    """

    def __init__(self, network: nn.Module, recipe: Recipe) -> None:
        self.network = network
        self.optimizer = optimizer_of(recipe, network)
        self.step = 0
        self.skipped = 0
        self.best_loss = math.inf
        self._average = MovingAverage(network, recipe.ema_decay) if recipe.ema_decay else None

    @property
    def result(self) -> nn.Module:
        """The network to validate and to keep: the moving average where there is one."""
        return self._average.network if self._average else self.network

    def take_step(self) -> None:
        """One update of the parameters from their gradients."""
        self.optimizer.step()
        if self._average:
            self._average.update(self.network, self.step)
        self.step += 1

    def is_best(self, validation_loss: float | None) -> bool:
        """Whether a validation loss is the lowest so far; remembers it."""
        if validation_loss is None or not validation_loss < self.best_loss:
            return False
        self.best_loss = validation_loss
        return True

    def state(self) -> dict[str, Any]:
        """For a checkpoint; `network` is the result, `learner` the network as it learns where that is another one."""
        state = {
            "step": self.step,
            "skipped": self.skipped,
            "best_loss": self.best_loss,
            "network": self.result.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        return state | ({"learner": self.network.state_dict()} if self._average else {})

    def restore(self, state: Mapping[str, Any]) -> None:
        """Everything as it was when `state` was made."""
        self.step, self.skipped, self.best_loss = state["step"], state["skipped"], state["best_loss"]
        self.network.load_state_dict(state["learner" if self._average else "network"])
        if self._average:
            self._average.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
