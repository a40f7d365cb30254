"""Every runtime that is installed, side by side on the same frames."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

from siamtrack.box import Box
from siamtrack.errors import InputError, ModelError, SettingsError
from siamtrack.frames import read
from siamtrack.library import open_model
from siamtrack.stages import STAGES, Timing, measure
from siamtrack.synthetic.scene import Scene
from siamtrack.video import VideoWriter

CANDIDATES = (
    ("openvino", "auto"),
    ("openvino", "float32"),
    ("openvino", "int8"),
    ("onnx", "float32"),
    ("onnx", "int8"),
    ("torch", "float32"),
    ("torch", "bfloat16"),
)
PACKAGES = {"openvino": "openvino", "onnx": "onnxruntime", "torch": "torch"}
BASELINES = ("torch float32", "onnx float32", "openvino float32")


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was measured."""

    timings: dict[str, Timing]
    targets: int

    @property
    def baseline(self) -> str:
        """The runtime that the speeds are relative to: eager float32 PyTorch where it is installed."""
        return next(name for name in BASELINES if name in self.timings)

    @property
    def rows(self) -> Iterator[tuple[str, ...]]:
        """A row a runtime: medians in milliseconds, frames a second, speed relative to the baseline."""
        slowest = self.timings[self.baseline].total
        for name, timing in self.timings.items():
            stages = (f"{timing.median(stage):.2f}" for stage in STAGES)
            yield name, *stages, f"{timing.total:.2f} ms", f"{1000 / timing.total:.0f}", f"{slowest / timing.total:.1f}x"

    @property
    def note(self) -> str:
        """What the numbers mean."""
        targets = "1 target" if self.targets == 1 else f"{self.targets} targets in one batch"
        frames = len(next(iter(self.timings.values())).stages["read"])
        return f"Medians over {frames} frames, {targets}; all runtimes take turns on every frame. Speed: relative to {self.baseline}."


def run_bench(
    *,
    model: str,
    source: str | None,
    boxes: Sequence[str],
    targets: int,
    frames: int,
    size: str,
    threads: int | None,
    overrides: Sequence[str],
) -> Report:
    """Times every installed runtime in every precision that the model has.

    Raises:
        InputError: a video without boxes, or boxes without a video.
        SettingsError: a size that is not WIDTHxHEIGHT.
    """
    if (source is None) != (not boxes):
        raise InputError("Give a video and at least one --box, or neither to time on a rendered video.")
    trackers = installed_trackers(model, threads, overrides)
    with _video(source, size, targets, frames) as (path, rendered_boxes), read(path) as reader:
        given = [Box.from_text(text) for text in boxes] or rendered_boxes
        timings = measure(trackers, islice(reader, frames), given)
    if not next(iter(timings.values())).stages["read"]:
        raise InputError(f"'{source}' is too short to time; expected at least 5 frames.")
    return Report(timings=timings, targets=len(given))


def installed_trackers(model: str, threads: int | None, overrides: Sequence[str]) -> dict[str, Any]:
    """The model on each runtime and precision that can be run here, by name."""
    trackers: dict[str, Any] = {}
    for runtime, precision in CANDIDATES:
        if find_spec(PACKAGES[runtime]) is None:
            continue
        try:
            tracker = open_model(model, runtime=runtime, precision=precision, threads=threads, overrides=overrides)
        except ModelError:
            if precision != "int8":  # a model need not have an int8 graph
                raise
            continue
        trackers[f"{runtime} {precision}"] = tracker
    return trackers


@contextmanager
def _video(source: str | None, size: str, targets: int, frames: int) -> Iterator[tuple[str, list[Box]]]:
    if source is not None:
        yield source, []
        return
    try:
        width, height = (int(part) for part in size.lower().split("x"))
    except ValueError:
        raise SettingsError(f"The size '{size}' is not WIDTHxHEIGHT; for example 1280x720.") from None
    scene = Scene(width, height, objects=targets)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.mp4"
        with VideoWriter(path, fps=25) as writer:
            for frame in scene.frames(frames):
                writer.write(frame.image, frame.time)
        yield str(path), [scene.box(target, 0) for target in range(targets)]
