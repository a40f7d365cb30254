"""What a training run is told: everything that decides what it learns, apart from the data and other networks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from siamtrack.datasets.crops import CropSettings
from siamtrack.errors import SettingsError, nearest
from siamtrack.layers.alexnet import TOTAL_STRIDE_PX
from siamtrack.models.kinds import model_kind
from siamtrack.models.model import Model
from siamtrack.settings import check_limits, from_mapping, in_table
from siamtrack.synthetic.pairs import PairSettings
from siamtrack.synthetic.world_settings import WorldSettings
from siamtrack.training.augment import AugmentSettings
from siamtrack.training.clip_pairs import SamplingSettings

_CHOICES = {
    "optimizer": ("sgd", "adamw"),
    "schedule": ("geometric", "cosine", "steps", "constant"),
    "batch_norm": ("train", "frozen"),
    "teaching": ("whole", "parts"),
    "precision": ("float32", "bfloat16"),
    "paint": ("cpu", "device"),
    "select": ("last", "best"),
}
_LIMITS: dict[str, tuple[float, float]] = {
    "epochs": (1, 1e9),
    "pairs_per_epoch": (1, 1e12),
    "batch_size": (1, 1e6),
    "accumulation": (1, 1e6),
    "learning_rate": (1e-12, 1e3),
    "final_learning_rate": (0, 1e3),
    "drop_epochs": (1, 1e9),
    "drop_factor": (1e-9, 1),
    "warmup_share": (0, 1),
    "warmup_epochs": (0, 1e9),
    "warmup_learning_rate": (0, 1e3),
    "momentum": (0, 0.9999),
    "weight_decay": (0, 1e3),
    "clip_norm": (0, math.inf),
    "ema_decay": (0, 0.999999),
    "teacher_weight": (0, 1e6),
    "teacher_response_weight": (0, 1e6),
    "teacher_fade": (0, 1),
    "context": (0, 4),
    "validation_pairs": (0, 1e9),
    "tracking_clips": (0, 1e6),
    "checkpoint_steps": (1, 1e9),
    "log_steps": (1, 1e9),
    "seed": (0, 2**62),
}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A training recipe. The defaults are those of the SiamFC paper (sec. 3.2 to 3.4, 4.1) and its official code.

    Raises:
        SettingsError: a value outside its range, or values that do not go together.
    """

    model: str = "siamfc"  # the kind of network: a file in `siamtrack.models`
    epochs: int = 50
    pairs_per_epoch: int = 53_200
    batch_size: int = 8  # pairs a step, of all processes together
    accumulation: int = 1  # a process computes its share in so many parts, one after another; batch norm sees one part
    loss: str = "logistic"  # or bce, contrastive, triplet; rpn, box_adaptive; mask, refinement: what the kind of network has
    optimizer: str = "sgd"  # or adamw
    schedule: str = "geometric"  # an epoch at a time; or cosine (a step at a time), steps, constant
    learning_rate: float = 1e-2  # highest, after warm-up
    final_learning_rate: float = 1e-5  # of geometric and cosine
    drop_epochs: int = 25  # steps: the rate is multiplied by drop_factor every so many epochs
    drop_factor: float = 0.1
    warmup_share: float = 0.0  # of all steps, linear from nothing
    warmup_epochs: int = 0  # before the schedule, an epoch at a time, geometric from warmup_learning_rate; PySOT 5
    warmup_learning_rate: float = 0.0
    momentum: float = 0.9  # sgd only
    weight_decay: float = 5e-4  # of convolution kernels; biases and batch norm have none
    clip_norm: float = 0.0  # of the gradient of all parameters together; 0: none
    ema_decay: float = 0.0  # the result is this moving average of the weights over steps; 0: the weights themselves
    batch_norm: str = "train"  # or frozen: statistics and scale stay what the run starts with, biases learn
    first_epoch: dict[str, float] = field(default_factory=dict)  # names of parameters that begin so learn from then on; inf
    rate_factor: dict[str, float] = field(default_factory=dict)  # ... have this times the learning rate
    teacher_weight: float = 0.0  # of the mean squared distance to a teacher's features; needs a teacher
    teacher_response_weight: float = 0.0  # of the mean squared distance to a teacher's score maps; needs a teacher
    teaching: str = "whole"  # or parts: each part of the network learns by itself what the teacher's makes, and nothing else
    teacher_fade: float = 0.0  # both weights fall evenly to nothing over this share of all steps; 0: they stay
    precision: str = "float32"  # or bfloat16: autocast; parameters and loss stay float32
    paint: str = "cpu"  # pairs of worlds, where they are made; or device: by batches where the network is trained
    context: float = 0.5  # margin around the target as a share of w + h, as in tracking
    search_size: int | None = None  # px of search patches in training; None: as in tracking. The paper: 239
    weights: dict[str, float] = field(default_factory=dict)  # of the data sets, by name; each that is not named has 1
    validation_pairs: int = 640  # at the end of every epoch, of held-out videos and pictures, always the same ones; 0: none
    tracking_clips: int = 0  # so many held-out videos are tracked at the end of every epoch, too
    select: str = "last"  # the result is the last step; or best: the epoch with the lowest validation loss
    checkpoint_steps: int = 500  # and at the end of every epoch
    log_steps: int = 50  # a line of log.csv, and at the end of every epoch
    seed: int = 0
    network: Any = field(default_factory=dict)  # settings of that kind of network, or a table of them
    sampling: SamplingSettings = field(default_factory=SamplingSettings)  # pairs of annotated videos and images
    augment: AugmentSettings = field(default_factory=AugmentSettings)  # of these pairs
    pictures: PairSettings = field(default_factory=PairSettings)  # pairs made of pictures: data set `pictures`
    world: WorldSettings = field(default_factory=WorldSettings)  # pairs of made-up scenes: data set `world`

    def __post_init__(self) -> None:
        for name, known in _CHOICES.items():
            if (value := getattr(self, name)) not in known:
                raise SettingsError(f"The setting {name} is '{value}'. {nearest(value, known)}")
        check_limits(self, _LIMITS)
        self._take_network()
        if self.batch_size % self.accumulation or self.batch_size > self.pairs_per_epoch:
            raise SettingsError(
                f"{self.pairs_per_epoch} pairs an epoch in batches of {self.batch_size} in {self.accumulation} parts; expected "
                "at least one batch an epoch, and a batch that can be divided into the parts."
            )
        for table in ("weights", "rate_factor", "first_epoch"):
            if bad := [name for name, value in getattr(self, table).items() if not value >= 0]:
                raise SettingsError(f"The setting {table}.{bad[0]} is {getattr(self, table)[bad[0]]}; expected 0 or more.")
        template, search = self.network.template_size, self.patch_size
        if search < template or (search - template) % TOTAL_STRIDE_PX:
            raise SettingsError(
                f"Template {template} px and search {search} px cannot be trained with; expected a search patch that is larger "
                f"by a multiple of {TOTAL_STRIDE_PX}, or the labels would lie beside the targets; for example "
                f"{'network.search_size' if self.search_size is None else 'search_size'}={template + 128}."
            )
        if (needed := math.ceil(search + 2 * self.augment.translation)) > self.sampling.crop_size:
            raise SettingsError(
                f"Search patches of {search} px, shifted by up to {self.augment.translation:g} px, do not fit into crops of "
                f"{self.sampling.crop_size} px; set sampling.crop_size to {needed} or more."
            )
        if self.select == "best" and self.validation_pairs < self.batch_size:
            raise SettingsError(
                f"select is 'best', the epoch with the lowest validation loss, and validation_pairs {self.validation_pairs}; "
                f"expected a batch ({self.batch_size}) or more."
            )
        if bool(self.warmup_epochs) != bool(self.warmup_learning_rate) or (self.warmup_epochs and self.warmup_share):
            raise SettingsError(
                f"warmup_epochs is {self.warmup_epochs}, warmup_learning_rate {self.warmup_learning_rate:g} and warmup_share "
                f"{self.warmup_share:g}; expected the first two above 0 and no share, or a share alone, or none of them."
            )
        if self.schedule == "geometric" and not self.final_learning_rate:
            raise SettingsError("The schedule is 'geometric' and final_learning_rate 0; expected a number above 0.")

    def _take_network(self) -> None:
        """The settings of the network from their table, and the loss among those that it knows."""
        kind = self.kind
        if isinstance(self.network, Mapping):
            with in_table("network"):
                network = from_mapping(kind.settings, self.network, where="[network] of the recipe")
            object.__setattr__(self, "network", network)
        if not isinstance(self.network, kind.settings):
            raise SettingsError(
                f"The network has {type(self.network).__name__}; the model {self.model} has {kind.settings.__name__}."
            )
        known = kind.losses(self.network)
        if self.loss not in known:
            raise SettingsError(f"The setting loss is '{self.loss}'; the model is {self.model}. {nearest(self.loss, known)}")

    @property
    def masked(self) -> bool:
        """Whether the network learns masks."""
        return self.kind.masks(self.network)

    @property
    def kind(self) -> Model:
        """What is known of the kind of network."""
        return model_kind(self.model)

    @property
    def patch_size(self) -> int:
        """Side of the search patches in training, pixels."""
        return self.network.search_size if self.search_size is None else self.search_size

    @property
    def crops(self) -> CropSettings:
        """How crops around annotated targets must be cut for this recipe."""
        size = self.sampling.crop_size
        return CropSettings(context=self.context, template_size=self.network.template_size, size=size)

    @property
    def steps_per_epoch(self) -> int:
        """Parameter updates an epoch; what is left of `pairs_per_epoch` after the last full batch is not drawn."""
        return self.pairs_per_epoch // self.batch_size

    @property
    def steps(self) -> int:
        """Parameter updates in all."""
        return self.epochs * self.steps_per_epoch

    def teacher_share_at(self, step: int) -> float:
        """What is left of the teacher's weights at a step, counted from 0: 1 to 0, and 0 from the end of `teacher_fade` on."""
        return max(0.0, 1 - step / (self.teacher_fade * self.steps)) if self.teacher_fade else 1.0

    def learning_rate_at(self, step: int) -> float:
        """The learning rate of a step, counted from 0: linear warm-up, then the schedule."""
        epoch, early = step // self.steps_per_epoch, self.warmup_epochs
        if epoch < early:
            return self.warmup_learning_rate * math.pow(self.learning_rate / self.warmup_learning_rate, epoch / early)
        warmup = max(1, round(self.warmup_share * self.steps))
        if step < warmup and self.warmup_share:
            return self.learning_rate * (step + 1) / warmup
        if self.schedule == "geometric":
            ratio = self.final_learning_rate / self.learning_rate
            return self.learning_rate * math.pow(ratio, (epoch - early) / max(1, self.epochs - early - 1))
        if self.schedule == "steps":
            return self.learning_rate * math.pow(self.drop_factor, (epoch - early) // self.drop_epochs)
        if self.schedule == "constant":
            return self.learning_rate
        start = warmup if self.warmup_share else early * self.steps_per_epoch
        cosine = (1 + math.cos(math.pi * (step - start) / max(1, self.steps - start))) / 2
        return self.final_learning_rate + cosine * (self.learning_rate - self.final_learning_rate)
