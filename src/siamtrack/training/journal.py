"""What a run tells while it goes on: a line of `log.csv` and TensorBoard every so many steps, and a progress bar."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

from siamtrack.errors import TrainingError
from siamtrack.image import Image

RUN_LOG = "log.csv"
COLUMNS = (
    *("step", "epoch", "learning_rate", "loss", "accuracy", "gradient_norm", "pairs_per_second", "loader_share", "skipped"),
    *("validation_loss", "validation_accuracy", "tracking_auc"),
)
T = TypeVar("T")


class Journal:
    """The log of a run, from `step` on. Only rank 0 has one.

    Args:
        run: the run's folder.
        steps: of the whole run.
        step: at which it begins or goes on; what an earlier process logged after it comes again and is cut off.
        averages: of the steps since the last line, as `averages` gave them to the checkpoint.
    """

    def __init__(self, run: Path, *, steps: int, step: int, averages: Mapping[str, float]) -> None:
        self.averages = {"loss": 0.0, "accuracy": 0.0, "gradient_norm": 0.0, "steps": 0.0} | dict(averages)
        self._log = run / RUN_LOG
        _cut_log(self._log, step)
        self._board = SummaryWriter(str(run / "tensorboard"), purge_step=step + 1)
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        self._progress = Progress(*columns, console=Console(stderr=True, highlight=False, markup=False))
        self._task = self._progress.add_task("starting", total=steps, completed=step)
        self._began = time.perf_counter()
        self._waited = 0.0
        self._timed_pairs = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()
        self._board.close()

    def timed(self, stream: Iterable[T]) -> Iterator[T]:
        """The stream, while the time spent waiting for it is counted as the loader's."""
        iterator = iter(stream)
        while True:
            began = time.perf_counter()
            try:
                item = next(iterator)
            except StopIteration:
                return
            self._waited += time.perf_counter() - began
            yield item

    def count(self, loss: float, accuracy: float, gradient_norm: float, pairs: int) -> None:
        """Takes in one step."""
        values = {"loss": loss, "accuracy": accuracy, "gradient_norm": gradient_norm, "steps": 1}
        for name, value in values.items():
            self.averages[name] += value
        self._timed_pairs += pairs
        elapsed, steps = time.perf_counter() - self._began, self.averages["steps"]
        text = f"loss {self.averages['loss'] / steps:.3f}  peak {self.averages['accuracy'] / steps:.2f}  "
        text += f"{self._timed_pairs / elapsed:.0f} pairs/s, loader {self._waited / elapsed:.0%}"
        self._progress.update(self._task, advance=1, description=text)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """A line of the log with the means since the last one, and these values."""
        steps, elapsed = self.averages["steps"], time.perf_counter() - self._began
        row: dict[str, float] = {name: self.averages[name] / steps for name in ("loss", "accuracy", "gradient_norm")}
        row |= {"pairs_per_second": self._timed_pairs / elapsed, "loader_share": self._waited / elapsed} | dict(values)
        _append(self._log, {"step": step} | row)
        for name, value in row.items():
            kind = "validation" if name.startswith(("validation_", "tracking_")) else "training"
            self._board.add_scalar(f"{kind}/{name.removeprefix('validation_')}", value, step)
        self.averages = dict.fromkeys(self.averages, 0.0)
        self.restart_clock()

    def summary(self, measured: Mapping[str, float]) -> str:
        """The means since the last line and what was measured, for people."""
        steps = self.averages["steps"]
        means = {name: self.averages[name] / steps for name in ("loss", "accuracy")}
        return ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in (means | dict(measured)).items())

    def restart_clock(self) -> None:
        """Forgets the time since the last line, which went into something else than training."""
        self._began, self._waited, self._timed_pairs = time.perf_counter(), 0.0, 0

    def show(self, step: int, name: str, picture: Image) -> None:
        """A picture for TensorBoard, (H, W, 3)."""
        self._board.add_image(name, torch.from_numpy(picture), step, dataformats="HWC")

    def say(self, text: str) -> None:
        """A line for people, above the progress bar."""
        self._progress.console.print(text, soft_wrap=True)

    def flush(self) -> None:
        """Writes to the disk what TensorBoard still holds in memory."""
        self._board.flush()


def _append(path: Path, row: Mapping[str, Any]) -> None:
    new = not path.exists()
    try:
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            if new:
                writer.writeheader()
            writer.writerow({key: value if isinstance(value, int) else f"{value:.6g}" for key, value in row.items()})
    except OSError as error:
        raise TrainingError(f"'{path}' cannot be written: {error.strerror}. The last checkpoint is kept.") from None


def cut_skipped(path: Path, step: int) -> None:
    """Leaves out of a list of what was skipped, "step N: ..." a line, all after a step: those steps come again."""
    if path.exists():
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(line for line in lines if int(line.split(":")[0].split()[1]) <= step), encoding="utf-8")


def _cut_log(path: Path, step: int) -> None:
    """Leaves out what was logged after the checkpoint at `step`: those steps come again."""
    if not path.exists():
        return
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = list(csv.reader(file)) or [[]]
        kept = [row for row in rows if len(row) == len(header) and float(row[0]) <= step]
        if rows and tuple(header) != COLUMNS:
            raise ValueError
    except ValueError:
        raise TrainingError(f"'{path}' is no log of a training run; move it out of the way to go on.") from None
    if not kept:
        path.unlink()
    elif len(kept) < len(rows):
        temporary = path.with_name(f".{path.name}")
        with temporary.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *kept])
        temporary.replace(path)
