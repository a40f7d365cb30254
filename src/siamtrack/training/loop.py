"""The training loop, top to bottom."""

from __future__ import annotations

import csv
import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from siamtrack.errors import SettingsError, TrainingError
from siamtrack.models.siamfc import SiamFC, SiamFCNetworkSettings, balanced_logistic_loss, labels, peak_is_positive
from siamtrack.synthetic.material import Material
from siamtrack.synthetic.pairs import PairSettings, PairSource
from siamtrack.training.checkpoint import RUN_CHECKPOINT, RUN_WEIGHTS, load_checkpoint, save_checkpoint, save_weights
from siamtrack.training.data import Batch, batches
from siamtrack.training.teacher import feature_loss

VALIDATION_SEED = 1  # pairs of the held-out pictures come from another stream than the training pairs, whose seed is even


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides what a run learns.

    Raises:
        SettingsError: a value outside its range.
    """

    pairs: int = 50_000  # training pairs in all
    batch_size: int = 16
    optimizer: str = "adamw"  # or "sgd", as in the paper
    learning_rate: float = 1e-3  # highest, after warm-up
    final_learning_rate: float = 1e-6
    warmup_share: float = 0.04  # of all steps
    weight_decay: float = 1e-2
    momentum: float = 0.9  # sgd only
    clip_norm: float = 10.0  # of the gradient
    teacher_weight: float = 0.0  # of the mean squared distance to a teacher's features; needs a teacher
    seed: int = 0
    bfloat16: bool = True  # autocast; parameters and loss stay float32
    checkpoint_steps: int = 250
    validation_pairs: int = 320
    network: SiamFCNetworkSettings = field(default_factory=SiamFCNetworkSettings)
    data: PairSettings = field(default_factory=PairSettings)

    def __post_init__(self) -> None:
        if self.optimizer not in ("adamw", "sgd"):
            raise SettingsError(f"Unknown optimizer '{self.optimizer}'; expected adamw or sgd.")
        if self.batch_size < 1 or self.pairs < self.batch_size or self.checkpoint_steps < 1:
            raise SettingsError(
                f"{self.pairs} pairs in batches of {self.batch_size}, a checkpoint every {self.checkpoint_steps} steps: "
                "expected at least one batch and one step."
            )

    @property
    def steps(self) -> int:
        """Number of parameter updates."""
        return self.pairs // self.batch_size

    def learning_rate_at(self, step: int) -> float:
        """Linear warm-up, then half a cosine down to the final rate."""
        warmup = max(1, round(self.warmup_share * self.steps))
        if step < warmup:
            return self.learning_rate * (step + 1) / warmup
        progress = (step - warmup) / max(1, self.steps - warmup)
        cosine = (1 + math.cos(math.pi * progress)) / 2
        return self.final_learning_rate + cosine * (self.learning_rate - self.final_learning_rate)


def train(recipe: Recipe, material: Material, run: Path, *, teacher: SiamFC | None = None, workers: int = 1) -> SiamFC:
    """Trains a network, or goes on with a run that was stopped, exactly where its last checkpoint was made.

    Writes into the folder `run`: `checkpoint.pt`, `log.csv` (a line every checkpoint), and at the end
    `weights.safetensors` of the last step; no checkpoint is selected by any score.

    Raises:
        TrainingError: the run folder belongs to another recipe, the loss is not finite, or a file cannot be written.
        SettingsError: a teacher's weight without a teacher.
    """
    if recipe.teacher_weight and teacher is None:
        raise SettingsError("The recipe has a teacher_weight but no teacher was given; give one or set teacher_weight=0.")
    torch.manual_seed(recipe.seed)
    network = SiamFC(recipe.network).train()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = _optimizer(recipe, network)
    step = _resume(run, recipe, network, optimizer)

    first = step * recipe.batch_size
    source = PairSource(material.part("training"), recipe.data, seed=2 * recipe.seed)
    stream = batches(source, first=first, count=recipe.pairs - first, batch_size=recipe.batch_size, workers=workers)
    averages = _Averages()
    with _progress(recipe.steps, step) as progress:
        for batch in stream:
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate_at(step)
            loss, accuracy = _loss(network, batch, recipe, teacher)
            if not torch.isfinite(loss):
                torch.save({"batch": tuple(batch), "step": step}, run / "bad_batch.pt")
                raise TrainingError(f"The loss is {loss.item()} at step {step}; the batch is in '{run / 'bad_batch.pt'}'.")
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), recipe.clip_norm)
            optimizer.step()
            step += 1
            averages.add(loss.item(), accuracy.item())
            progress.update(progress.task_ids[0], advance=1, description=averages.line(recipe.batch_size))
            if step % recipe.checkpoint_steps == 0 or step == recipe.steps:
                validation = validate(network, recipe, material)
                _log(run / "log.csv", {"step": step, "lr": recipe.learning_rate_at(step)} | averages.take() | validation)
                save_checkpoint(run / RUN_CHECKPOINT, _state(recipe, step, network, optimizer))
    save_weights(run / RUN_WEIGHTS, network)
    network.eval()
    return network


@torch.no_grad()
def validate(network: SiamFC, recipe: Recipe, material: Material) -> dict[str, float]:
    """Loss and share of peaks in the right place, on pairs of the held-out pictures, always the same ones."""
    part = material.part("validation")
    if not part.stills or recipe.validation_pairs < recipe.batch_size:
        return {}
    source = PairSource(part, recipe.data, seed=VALIDATION_SEED)
    network.eval()
    stream = batches(source, first=0, count=recipe.validation_pairs, batch_size=recipe.batch_size, workers=0)
    results = torch.tensor([[value.item() for value in _loss(network, batch, recipe, None)] for batch in stream])
    network.train()
    loss, accuracy = results.mean(0).tolist()
    return {"validation_loss": loss, "validation_accuracy": accuracy}


def _loss(network: SiamFC, batch: Batch, recipe: Recipe, teacher: SiamFC | None) -> tuple[Tensor, Tensor]:
    """Loss to be minimised, and share of the batch whose peak is in the right place."""
    with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bfloat16):
        z, x = batch.templates.float(), batch.searches.float()
        responses, template, search = network(z, x)
        targets = labels(batch.offsets, responses.shape[-1])
        loss = balanced_logistic_loss(responses, targets)
        if teacher is not None and recipe.teacher_weight:
            loss = loss + recipe.teacher_weight * (feature_loss(search, teacher, x) + feature_loss(template, teacher, z)) / 2
    return loss, peak_is_positive(responses, targets)


def _optimizer(recipe: Recipe, network: SiamFC) -> torch.optim.Optimizer:
    """One group with weight decay (convolution kernels) and one without (biases and batch norm)."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    free = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": free, "weight_decay": 0.0}]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum)
    return torch.optim.AdamW(groups, lr=recipe.learning_rate)


def _state(recipe: Recipe, step: int, network: SiamFC, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    return {"recipe": asdict(recipe), "step": step, "network": network.state_dict(), "optimizer": optimizer.state_dict()}


def _resume(run: Path, recipe: Recipe, network: SiamFC, optimizer: torch.optim.Optimizer) -> int:
    run.mkdir(parents=True, exist_ok=True)
    if not (run / RUN_CHECKPOINT).exists():
        return 0
    state = load_checkpoint(run / RUN_CHECKPOINT)
    if state["recipe"] != asdict(recipe):
        changed = [key for key, value in asdict(recipe).items() if state["recipe"].get(key) != value]
        raise TrainingError(
            f"The run in '{run}' was started with other settings ({', '.join(changed)}); "
            "give its own recipe to go on with it, or another folder to start anew."
        )
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


class _Averages:
    """Means since the last line of the log, and pairs a second."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._loss, self._accuracy, self._steps = 0.0, 0.0, 0
        self._since = time.perf_counter()

    def add(self, loss: float, accuracy: float) -> None:
        self._loss += loss
        self._accuracy += accuracy
        self._steps += 1

    def line(self, batch_size: int) -> str:
        rate = self._steps * batch_size / (time.perf_counter() - self._since)
        return f"loss {self._loss / self._steps:.3f}  peak {self._accuracy / self._steps:.2f}  {rate:.0f} pairs/s"

    def take(self) -> dict[str, float]:
        taken = {"loss": self._loss / self._steps, "accuracy": self._accuracy / self._steps}
        self.reset()
        return taken


def _log(path: Path, row: dict[str, float]) -> None:
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, row.keys())
        if new:
            writer.writeheader()
        writer.writerow({key: f"{value:.6g}" for key, value in row.items()})


def _progress(steps: int, done: int) -> Progress:
    progress = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    progress.add_task("starting", total=steps, completed=done)
    return progress
