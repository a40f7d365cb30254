"""How well a network does on held-out videos and pictures, at the end of every epoch."""

from __future__ import annotations

import torch

from siamtrack.errors import DataError, SettingsError
from siamtrack.image import Image
from siamtrack.training.data import Batch, Pairs, batches
from siamtrack.training.objective import Objective
from siamtrack.training.recipe import Recipe
from siamtrack.training.score_pictures import score_picture
from siamtrack.training.sources import TrainingData
from siamtrack.training.tracking_validation import TrackingValidation

SHOWN = 4  # pairs in TensorBoard


class Validation:
    """The same held-out pairs, and the same held-out videos, again and again.

    Attributes:
        pairs: None where the recipe wants no pairs or no data is held out.
        missing: why there are none though the recipe wants them, for people.
        tracking: None where the recipe wants no video tracked.

    Raises:
        SettingsError: videos are to be tracked, and there are none whose frames are at hand; or the best epoch is to be
            selected, and nothing is held out.
    """

    def __init__(self, recipe: Recipe, data: TrainingData) -> None:
        self._recipe = recipe
        self._count = recipe.validation_pairs // recipe.batch_size * recipe.batch_size
        self.pairs: Pairs | None = None
        self.missing = ""
        if self._count:
            try:
                self.pairs = data.pairs(recipe, "validation")
                self.pairs[0]
            except DataError as error:  # a handful of clips or pictures, of which none is held out, or none can be used
                self.pairs = None
                self.missing = f"Without validation: {error}"
                if recipe.select == "best":
                    raise SettingsError(f"select is 'best', but nothing is held out to find the best epoch. {error}") from None
        self.tracking = TrackingValidation(recipe, data) if recipe.tracking_clips else None

    @torch.no_grad()
    def measure(self, objective: Objective, device: torch.device) -> tuple[dict[str, float], list[Image]]:
        """Loss and share of peaks in the right place, AUC of tracking, and a few pairs with their score maps."""
        values: dict[str, float] = {}
        pictures: list[Image] = []
        network = objective.network
        training = [module for module in network.modules() if module.training]
        network.eval()
        if self.pairs is not None:
            measured, pictures = self._measure_pairs(self.pairs, objective, device)
            values |= measured
        if self.tracking is not None:
            values["tracking_auc"] = self.tracking.measure(network, device)
        for module in training:
            module.training = True
        return values, pictures

    def _measure_pairs(self, pairs: Pairs, objective: Objective, device: torch.device) -> tuple[dict[str, float], list[Image]]:
        found: list[list[float]] = []
        pictures: list[Image] = []
        try:
            loaded = batches(pairs, range(self._count), batch_size=self._recipe.batch_size, workers=0)
            for number, batch in enumerate(loaded):
                outcome = objective(*(part.to(device) for part in batch.learnt), draw=number)
                found.append([outcome.loss.item(), outcome.accuracy.item()])
                pictures = pictures or _pictures(batch, outcome.responses.cpu())
        except DataError:  # held-out files that have gone bad must not end a run; those read so far count
            if not found:
                return {}, []
        loss, accuracy = torch.tensor(found).mean(0).tolist()
        return {"validation_loss": loss, "validation_accuracy": accuracy}, pictures


def _pictures(batch: Batch, responses: torch.Tensor) -> list[Image]:
    shown = range(min(SHOWN, len(responses)))
    patches = [[part[i].permute(1, 2, 0).numpy() for part in (batch.templates, batch.searches)] for i in shown]
    return [score_picture(template, search, responses[i].numpy()) for i, (template, search) in enumerate(patches)]
