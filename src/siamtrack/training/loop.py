"""The training loop, top to bottom."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from siamtrack.errors import DataError, SettingsError, TrainingError
from siamtrack.layers.alexnet import TOTAL_STRIDE_PX
from siamtrack.models.siamfc import SiamFC, SiamFCNetworkSettings, balanced_logistic_loss, labels, peak_is_positive
from siamtrack.settings import check_limits
from siamtrack.synthetic.material import Material
from siamtrack.synthetic.pairs import PairSettings, PairSource
from siamtrack.training.checkpoint import RUN_CHECKPOINT, RUN_WEIGHTS, load_checkpoint, save_checkpoint, save_weights
from siamtrack.training.data import Batch, batches
from siamtrack.training.teacher import check_teacher, digest, feature_loss

RUN_LOG = "log.csv"
VALIDATION_SEED = 1  # pairs of the held-out pictures come from another stream than the training pairs, whose seed is even


_LIMITS: dict[str, tuple[float, float]] = {
    "learning_rate": (1e-12, 1e3),
    "final_learning_rate": (0, 1e3),
    "warmup_share": (0, 1),
    "weight_decay": (0, 1e3),
    "momentum": (0, 0.9999),
    "clip_norm": (1e-9, math.inf),
    "teacher_weight": (0, 1e6),
    "seed": (0, 2**62),
    "validation_pairs": (0, math.inf),
}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides what a run learns, apart from the pictures and the teacher.

    The sizes of template and search patch are those of `network`.

    Raises:
        SettingsError: a value outside its range, or sizes between which the response has no middle.
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
        check_limits(self, _LIMITS)
        if (self.network.search_size - self.network.template_size) % TOTAL_STRIDE_PX:
            raise SettingsError(
                f"Template {self.network.template_size} px and search {self.network.search_size} px cannot be trained with; "
                f"expected a difference that is a multiple of {TOTAL_STRIDE_PX}, or the labels would lie beside the targets."
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

    Exactly: to the last bit what the run would have learnt without the stop, on the same machine with the same versions
    and threads. It takes the same recipe, pictures and teacher, and others are refused. The pictures are compared by their
    order, folder names, names, sizes in bytes and annotations, not by their pixels; the teacher by all its parameters.

    Writes into the folder `run`: `checkpoint.pt`, `log.csv` (a line every checkpoint), and at the end
    `weights.safetensors` of the last step; no checkpoint is selected by any score.

    Raises:
        TrainingError: the run folder belongs to another recipe, other pictures or another teacher, the loss or its gradient
            is not finite, or a file cannot be written.
        SettingsError: a teacher's weight without a teacher, a teacher without a weight, or a teacher of another shape.
        DataError: the pictures cannot make the pairs that the recipe wants, or one of them cannot be read.
    """
    check_teacher(teacher, recipe.teacher_weight, recipe.network)
    source = _source(recipe, material.part("training"), seed=2 * recipe.seed)
    origin = {"recipe": asdict(recipe), "material": material.digest(), "teacher": digest(teacher)}
    torch.manual_seed(recipe.seed)
    network = SiamFC(recipe.network).train()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = _optimizer(recipe, network)
    step = _resume(run, origin, network, optimizer)

    first = step * recipe.batch_size
    stream = batches(source, first=first, count=recipe.pairs - first, batch_size=recipe.batch_size, workers=workers)
    averages = _Averages()
    with _progress(recipe.steps, step) as progress:
        for batch in stream:
            rate = recipe.learning_rate_at(step)
            for group in optimizer.param_groups:
                group["lr"] = rate
            loss, accuracy = _loss(network, batch, recipe, teacher)
            _check_finite("loss", loss, batch, step, run)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            norm = torch.nn.utils.clip_grad_norm_(network.parameters(), recipe.clip_norm)
            _check_finite("norm of the gradient", norm, batch, step, run)
            optimizer.step()
            step += 1
            averages.add(loss.item(), accuracy.item())
            progress.update(progress.task_ids[0], advance=1, description=averages.line(recipe.batch_size))
            if step % recipe.checkpoint_steps == 0 or step == recipe.steps:
                validation = validate(network, recipe, material)
                save_checkpoint(run / RUN_CHECKPOINT, origin | _state(step, network, optimizer))
                _log(run / RUN_LOG, {"step": step, "lr": rate} | averages.take() | validation)
    save_weights(run / RUN_WEIGHTS, network)
    network.eval()
    return network


@torch.no_grad()
def validate(network: SiamFC, recipe: Recipe, material: Material) -> dict[str, float]:
    """Loss and share of peaks in the right place, on pairs of the held-out pictures, always the same ones.

    Nothing where the held-out pictures make no pairs of the kinds wanted, or the recipe wants less than a batch of them.
    """
    if recipe.validation_pairs < recipe.batch_size:
        return {}
    try:
        source = _source(recipe, material.part("validation"), seed=VALIDATION_SEED)
    except DataError:
        return {}
    network.eval()
    stream = batches(source, first=0, count=recipe.validation_pairs, batch_size=recipe.batch_size, workers=0)
    results = torch.tensor([[value.item() for value in _loss(network, batch, recipe, None)] for batch in stream])
    network.train()
    loss, accuracy = results.mean(0).tolist()
    return {"validation_loss": loss, "validation_accuracy": accuracy}


def _source(recipe: Recipe, material: Material, *, seed: int) -> PairSource:
    template_size, search_size = recipe.network.template_size, recipe.network.search_size
    return PairSource(material, recipe.data, seed=seed, template_size=template_size, search_size=search_size)


def _check_finite(what: str, value: Tensor, batch: Batch, step: int, run: Path) -> None:
    if torch.isfinite(value):
        return
    path = run / "bad_batch.pt"
    torch.save({"batch": tuple(batch), "step": step}, path)
    raise TrainingError(
        f"The {what} is {value.item()} at step {step}; the batch is in '{path}'. The last checkpoint is from before it."
    )


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


def _state(step: int, network: SiamFC, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    return {"step": step, "network": network.state_dict(), "optimizer": optimizer.state_dict()}


def _resume(run: Path, origin: Mapping[str, Any], network: SiamFC, optimizer: torch.optim.Optimizer) -> int:
    """Puts the last checkpoint into network and optimizer, if there is one, and says how many steps were made."""
    run.mkdir(parents=True, exist_ok=True)
    step = 0
    if (run / RUN_CHECKPOINT).exists():
        state = load_checkpoint(run / RUN_CHECKPOINT)
        _check_origin(run, state, origin)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        step = int(state["step"])
    _cut_log(run / RUN_LOG, step)
    return step


def _check_origin(run: Path, state: Mapping[str, Any], origin: Mapping[str, Any]) -> None:
    """Refuses to go on with anything but what the run began with."""
    if not origin.keys() <= state.keys():
        raise TrainingError(
            f"The run in '{run}' is of an older version, which did not note its pictures and its teacher, so that it cannot "
            "go on exactly; give another folder to start anew."
        )
    recipe = origin["recipe"]
    if state["recipe"] != recipe:
        changed = [key for key, value in recipe.items() if state["recipe"].get(key) != value]
        changed += [key for key in state["recipe"] if key not in recipe]
        raise TrainingError(
            f"The run in '{run}' was started with other settings ({', '.join(changed)}); "
            "give its own recipe to go on with it, or another folder to start anew."
        )
    for key, changed_what in (("material", "other pictures or annotations"), ("teacher", "another teacher, or none")):
        if state[key] != origin[key]:
            raise TrainingError(
                f"The run in '{run}' was started with {changed_what}; "
                "give its own to go on with it, or another folder to start anew."
            )


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


def _cut_log(path: Path, step: int) -> None:
    """Leaves out what was logged after the checkpoint at `step`: those steps come again."""
    if not path.exists():
        return
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = list(csv.reader(file)) or [[]]
        kept = [row for row in rows if len(row) == len(header) and float(row[0]) <= step]
    except ValueError:
        raise TrainingError(f"'{path}' is no log of a training run; move it out of the way to go on.") from None
    if not kept:
        path.unlink()
    elif len(kept) < len(rows):
        temporary = path.with_name(f".{path.name}")
        with temporary.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *kept])
        temporary.replace(path)


def _log(path: Path, row: Mapping[str, float]) -> None:
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, row.keys())
        if new:
            writer.writeheader()
        writer.writerow({key: value if isinstance(value, int) else f"{value:.6g}" for key, value in row.items()})


def _progress(steps: int, done: int) -> Progress:
    progress = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    progress.add_task("starting", total=steps, completed=done)
    return progress
