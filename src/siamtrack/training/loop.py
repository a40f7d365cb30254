"""The training loop, top to bottom, and what it leaves in the folder of the run.

`recipe.toml` with every setting; `checkpoints/`, the last three and `best.pt` by validation loss; `log.csv`; `tensorboard/`;
`skipped.txt` with what could not be read; at the end `weights.safetensors` and `curves.png`.

A run that was stopped goes on exactly where its last checkpoint was made: to the last bit it learns what it would have learnt
without the stop, on a CPU of the same kind with the same versions, processes and threads.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from siamtrack.errors import SettingsError, TrainingError
from siamtrack.models.backbone_weights import imagenet_state
from siamtrack.training.checkpoint import (
    BEST,
    CHECKPOINTS,
    RUN_WEIGHTS,
    last_checkpoint,
    load_checkpoint,
    save_checkpoint,
    save_weights,
)
from siamtrack.training.curves import RUN_CURVES, draw_curves
from siamtrack.training.data import Batch, batches, shares
from siamtrack.training.distributed import World, joined
from siamtrack.training.journal import RUN_LOG, Journal, cut_skipped
from siamtrack.training.learner import Learner
from siamtrack.training.objective import Objective
from siamtrack.training.origin import alone, begin_or_go_on, check_networks, idle_at_random, origin_of
from siamtrack.training.parameters import enter_epoch, set_learning_rate
from siamtrack.training.recipe import Recipe
from siamtrack.training.sources import TrainingData
from siamtrack.training.validation import Validation

BAD_BATCH = "bad_batch.pt"
SKIPPED = "skipped.txt"
MOST_SKIPPED = 0.01  # of the pairs may have met something that cannot be read
FEW_SKIPPED = 10  # so many are never too many


def train(
    recipe: Recipe,
    data: TrainingData,
    folder: Path,
    *,
    teacher: nn.Module | None = None,
    initial: nn.Module | None = None,
    imagenet: Mapping[str, Tensor] | None = None,
    workers: int = 1,
    device: str = "cpu",
) -> Any:
    """Trains a network, or goes on with a run that was stopped, with the same recipe, data, teacher and initial network.

    Started by torchrun in several processes, each of them computes an equal share of every batch.

    Args:
        recipe: what is learnt, and how.
        data: see `siamtrack.training.sources.open_data`.
        folder: of the run; made if missing.
        teacher: a network whose features or score maps are learnt too; needs a `teacher_weight` or `teacher_response_weight`.
        initial: a network to begin with in place of random weights.
        imagenet: weights to begin the backbone with, see `siamtrack.models.backbone_weights`; not needed to go on.
        workers: processes that make pairs, for each process that trains; 0: it makes them itself.
        device: "cpu", "cuda", "auto" or as PyTorch names it.

    Returns:
        The network that the recipe selects, in eval mode, on the CPU.

    Raises:
        OutputError: the folder holds something else, or another process trains in it.
        TrainingError: the run folder belongs to another run, the loss or its gradient is not finite, more than 1 % of the
            pairs met something that cannot be read, or a file cannot be written.
        SettingsError: recipe, networks, device and processes do not go together.
        WeightsError: the ImageNet weights are not those of the backbone.
        DataError: the data cannot make pairs.
    """
    with joined(device) as world:
        run = _Run(recipe, data, folder, world, teacher, initial, imagenet)
        with _in_folder(folder, first=world.first):
            run.go(workers)
            return run.finish()


@contextlib.contextmanager
def _in_folder(folder: Path, *, first: bool) -> Iterator[None]:
    """The run's folder for the first process alone; where it cannot be written, that is told as an error of training."""
    try:
        with alone(folder) if first else contextlib.nullcontext():
            yield
    except OSError as error:
        raise TrainingError(
            f"'{error.filename or folder}' cannot be written: {error.strerror or error}. The last checkpoint is kept."
        ) from error


class _Totals(NamedTuple):
    """What a step came to, over the whole batch, the same in all processes."""

    loss: float
    accuracy: float
    norm: float  # of the gradient of all parameters together, before it is clipped
    skipped: int


class _Run:
    def __init__(
        self,
        recipe: Recipe,
        data: TrainingData,
        folder: Path,
        world: World,
        teacher: nn.Module | None,
        initial: nn.Module | None,
        imagenet: Mapping[str, Tensor] | None,
    ) -> None:
        check_networks(recipe, teacher, initial, imagenet, goes_on=last_checkpoint(folder) is not None)
        if recipe.batch_size % (world.size * recipe.accumulation):
            raise SettingsError(
                f"A batch of {recipe.batch_size} pairs cannot be divided among {world.size} processes with "
                f"{recipe.accumulation} parts each; change batch_size or accumulation."
            )
        self.recipe, self.data, self.folder, self.world = recipe, data, folder, world
        torch.manual_seed(recipe.seed)
        network: Any = recipe.kind.build(recipe.network)
        if initial is not None:
            network.load_state_dict(network.state_dict() | initial.state_dict())  # what it lacks begins anew
        if imagenet is not None:
            network.backbone.load_state_dict(imagenet_state(network, imagenet))
        world.share_batch_norm(network)
        for module in (network, teacher):
            if module is not None:
                module.to(world.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.objective = Objective(network, recipe, teacher)
        self._module: nn.Module = self.objective  # or what makes it parallel
        self.learner = Learner(network, recipe)
        self.origin = origin_of(recipe, data, teacher, initial, None if imagenet is None else network.backbone)
        state = begin_or_go_on(folder, self.origin, write=world.first)
        if state is not None:
            self.learner.restore(state)
            self.origin["backbone"] = state.get("backbone", "")
        self._averages = state["averages"] if state else {}
        self._idle = idle_at_random(recipe, initial, imagenet)
        world.agree("recipe, data, networks and the last checkpoint", (self.learner.step, self.origin))

    def go(self, workers: int) -> None:
        """All steps that are left."""
        recipe, learner, first = self.recipe, self.learner, self.learner.step
        if first == recipe.steps:
            return
        with contextlib.ExitStack() as stack:
            stream = self._batches(workers)
            cut_skipped(self.folder / self._own(SKIPPED), first)
            journal = validation = None
            if self.world.first:
                validation = Validation(recipe, self.data)
                journal = stack.enter_context(Journal(self.folder, steps=recipe.steps, step=first, averages=self._averages))
                stream = journal.timed(stream)
                if first:
                    journal.say(f"Goes on from step {first} of {recipe.steps}.")
                elif self._idle:
                    parts = ", ".join(f"{prefix} (after {epoch:g} epochs)" for prefix, epoch in self._idle.items())
                    journal.say(f"These begin at random and learn later only: {parts}. Is --backbone or --from missing?")
                if validation.missing:
                    journal.say(validation.missing)
            for step, loaded in enumerate(stream, first):
                batch = loaded.painted(self.world.device)
                if step == 0 and not self.origin["initial"]:
                    self.objective.begin(*(pixels.to(self.world.device) for pixels in (batch.templates, batch.searches)))
                epoch, within = divmod(step, recipe.steps_per_epoch)
                if within == 0 or step == first:
                    others = enter_epoch(learner.network, learner.optimizer, recipe, epoch)
                    if others or step == first:  # other parameters learn from here on
                        self._module = self.world.parallel(self.objective, in_part=recipe.loss == "refinement")
                set_learning_rate(learner.optimizer, recipe.learning_rate_at(step))
                self.objective.teacher_share = recipe.teacher_share_at(step)
                totals = self._gradients(batch)
                learner.take_step()
                self._count_skipped(totals.skipped, batch)
                if journal and validation:
                    journal.count(totals.loss, totals.accuracy, totals.norm, recipe.batch_size)
                    self._report(journal, validation, epoch, ended=within == recipe.steps_per_epoch - 1)
            if journal and learner.skipped:
                journal.say(f"{learner.skipped} times something could not be read; see '{self.folder / self._own(SKIPPED)}'.")

    def _gradients(self, batch: Batch) -> _Totals:
        """Gradients of the loss on the batch, averaged over all parts and processes, and clipped."""
        recipe, world = self.recipe, self.world
        self.learner.optimizer.zero_grad(set_to_none=True)
        sums = torch.zeros(2, device=world.device)
        parts = [[p.to(world.device, non_blocking=True) for p in part] for part in _parts(batch, recipe.accumulation)]
        for number, part in enumerate(parts, 1):
            waits = number < len(parts) and isinstance(self._module, DistributedDataParallel)
            with self._module.no_sync() if waits else contextlib.nullcontext():  # type: ignore[operator]
                outcome = self._module(*part, draw=self._draw(number))
                (outcome.loss / len(parts)).backward()
            sums += torch.stack([outcome.loss.detach(), outcome.accuracy]) / len(parts)
        gradients = [p.grad for p in self.learner.network.parameters() if p.grad is not None]
        norm = get_total_norm(gradients)
        bad = float(not torch.isfinite(sums).all())
        loss, accuracy, skipped, others = world.sum(
            torch.stack([*sums / world.size, *torch.tensor([len(batch.skipped), bad], device=world.device)])
        ).tolist()
        if others or not math.isfinite(norm):
            self._stop(batch, saves=bool(bad or not others), loss=loss, norm=norm.item())
        if recipe.clip_norm:
            clip_grads_with_norm_(self.learner.network.parameters(), recipe.clip_norm, norm)
        return _Totals(loss, accuracy, norm.item(), int(skipped))

    def _draw(self, part: int) -> int:
        """A number of this run's, step's, part's and process's own, below 2^63."""
        key = self.recipe.seed, self.learner.step, part, self.world.rank
        return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> np.uint64(1))

    def _stop(self, batch: Batch, *, saves: bool, loss: float, norm: float) -> NoReturn:
        """Ends the run in all processes, before this step has changed any parameter; who had the bad batch saves it."""
        path = self.folder / self._own(BAD_BATCH)
        where = "another process has the batch"
        if saves:
            try:
                torch.save({"batch": tuple(batch), "step": self.learner.step}, path)
                where = f"the batch is in '{path}'"
            except (OSError, RuntimeError) as error:
                path.unlink(missing_ok=True)
                where = f"the batch could not be saved ({error})"
        raise TrainingError(
            f"The loss is {loss:g} and the norm of its gradient {norm:g} at step {self.learner.step}; {where}. The last "
            "checkpoint is from before it. A lower learning_rate, a warmup_share or clip_norm may help."
        )

    def _own(self, name: str) -> str:
        """The name of a file that each process has for itself."""
        return name if self.world.size == 1 else name.replace(".", f"-rank{self.world.rank}.")

    def _count_skipped(self, found: int, batch: Batch) -> None:
        """Notes what could not be read, and stops all processes when it is too much."""
        self.learner.skipped += found
        if batch.skipped:
            with (self.folder / self._own(SKIPPED)).open("a", encoding="utf-8") as file:
                file.writelines(f"step {self.learner.step}: {line}\n" for line in batch.skipped)
        pairs = self.learner.step * self.recipe.batch_size
        if found and self.learner.skipped > max(FEW_SKIPPED, MOST_SKIPPED * pairs):
            raise TrainingError(
                f"{self.learner.skipped} times in {pairs} pairs something could not be read, which is more than 1 %; see "
                f"'{self.folder / self._own(SKIPPED)}', and 'siamtrack data check' for all that is wrong. Where frames can be "
                "repaired, the same command goes on; where pictures or annotations must change, begin another run, --from the "
                "last checkpoint if there is one."
            )

    def _report(self, journal: Journal, validation: Validation, epoch: int, *, ended: bool) -> None:
        """Validation, log and checkpoint after a step, where they are due."""
        recipe, learner = self.recipe, self.learner
        values: dict[str, float] = {"epoch": epoch, "skipped": learner.skipped}
        values["learning_rate"] = recipe.learning_rate_at(learner.step - 1)
        if ended:
            measured, pictures = validation.measure(Objective(learner.result, recipe, None), self.world.device)
            values |= measured
            for number, picture in enumerate(pictures):
                journal.show(learner.step, f"held-out pair {number}", picture)
            journal.say(f"epoch {epoch + 1} of {recipe.epochs}: {journal.summary(measured)}")
        if ended or learner.step % recipe.log_steps == 0:
            journal.write(learner.step, values)
        if ended or learner.step % recipe.checkpoint_steps == 0:
            best = ended and learner.is_best(values.get("validation_loss"))
            journal.flush()
            save_checkpoint(self.folder, {**self.origin, **learner.state(), "averages": journal.averages}, best=best)
        if ended:
            journal.restart_clock()

    def _batches(self, workers: int) -> Iterator[Batch]:
        recipe, world = self.recipe, self.world
        steps = range(self.learner.step, recipe.steps)
        numbers = shares(steps, batch_size=recipe.batch_size, parts=recipe.accumulation, rank=world.rank, world=world.size)
        pairs = self.data.unpainted(recipe)
        share = recipe.batch_size // world.size
        return batches(pairs, numbers, batch_size=share, workers=workers, pin=world.device.type == "cuda")

    def finish(self) -> nn.Module:
        """The result, on the CPU; its weights and the curves are written by the first process."""
        self.world.agree("the steps that were made", self.learner.step)  # the first one may still be writing the best
        network = self.recipe.kind.build(self.recipe.network)
        best = self.folder / CHECKPOINTS / BEST
        if self.recipe.select == "best" and best.is_file():
            network.load_state_dict(load_checkpoint(best)["network"])
        else:
            network.load_state_dict(self.learner.result.state_dict())
        if self.world.first:
            save_weights(self.folder / RUN_WEIGHTS, network)
            if (self.folder / RUN_LOG).is_file():
                draw_curves(self.folder / RUN_LOG, self.folder / RUN_CURVES, title=self.folder.resolve().name)
        return network.eval()


def _parts(batch: Batch, count: int) -> list[tuple[Tensor, ...]]:
    """What is learnt of a batch, in equal parts."""
    return list(zip(*(values.chunk(count) for values in batch.learnt), strict=True))
