"""Every runtime that is installed, side by side on the same frames."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

from siamtrack.box import Box, check_box
from siamtrack.errors import InputError, MissingExtraError, ModelError, SettingsError
from siamtrack.frames import Frame, read
from siamtrack.library import open_model
from siamtrack.stages import STAGES, UNTIMED, Timing, measure
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
DEFAULT = "openvino auto"
ONE_BY_ONE = "one by one"
SIDES = range(64, 8193)  # of the rendered video, pixels

Watch = Callable[[Iterable[Frame], int | None], Iterable[Frame]]


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was measured: every runtime with all targets in one batch, and the default one with one target at a time."""

    timings: dict[str, Timing]
    targets: int
    one_by_one: Timing | None = None

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
            yield name, *stages, f"{timing.total:.2f}", f"{1000 / timing.total:.3g}", f"{slowest / timing.total:.1f}x"

    @property
    def notes(self) -> list[str]:
        """What the numbers mean, where the time goes, and what the batch gains."""
        timing = self.timings[DEFAULT]
        targets = "1 target" if self.targets == 1 else f"{self.targets} targets in one batch"
        slowest = max(STAGES, key=timing.median)
        notes = [
            f"Milliseconds a frame, medians over {timing.frames} frames, {targets}; all runtimes take turns on every frame. "
            f"Speed: relative to {self.baseline}.",
            f"Where the time goes with {DEFAULT}: {timing.median(slowest) / timing.total:.0%} {slowest}; {_stages(timing)}.",
        ]
        return notes if self.one_by_one is None else [*notes, self._gain(timing, self.one_by_one)]

    def _gain(self, batch: Timing, single: Timing) -> str:
        """In words; a separate run a target also reads the video each time."""
        n = self.targets
        separate = single.tracker + n * single.median("read")
        return (
            f"One batch of {n} with {DEFAULT}: {_parts(batch)} against {_parts(single)} for {n} single steps, "
            f"{single.tracker / batch.tracker:.2f}x. {n} separate runs also read the video {n} times: {separate:.2f} ms "
            f"against {batch.total:.2f} ms, {separate / batch.total:.2f}x."
        )


def _stages(timing: Timing) -> str:
    return ", ".join(f"{stage} {timing.median(stage):.2f} ms" for stage in STAGES)


def _parts(timing: Timing) -> str:
    rest = timing.median("crop") + timing.median("decide")
    return f"{timing.tracker:.2f} ms a frame (network {timing.median('network'):.2f}, the rest {rest:.2f})"


def run_bench(
    *,
    model: str,
    source: str | None,
    boxes: Sequence[Box],
    targets: int,
    frames: int,
    size: str,
    threads: int | None,
    overrides: Sequence[str],
    watch: Watch = lambda frames, total: frames,
) -> Report:
    """Times every installed runtime in every precision that the model has.

    Args:
        model: as for `open_model`.
        source: a video; None: one is rendered.
        boxes: of the targets in its first frame.
        targets: how many the rendered video has.
        frames: how many are timed; `UNTIMED` more are read.
        size: of the rendered video, "WIDTHxHEIGHT".
        threads: as for `open_model`.
        overrides: as for `open_model`.
        watch: passes the frames on, and may show how many there were.

    Raises:
        InputError: a video without boxes, boxes without a video, or a video that is too short.
        SettingsError: a size that is not WIDTHxHEIGHT.
    """
    if (source is None) != (not boxes):
        raise InputError("Give a video and at least one --box, or neither to time on a rendered video.")
    total = frames + UNTIMED
    with _video(source, size, targets, total) as (path, rendered_boxes), read(path) as reader:
        given = list(boxes) or rendered_boxes
        for box in given:
            check_box(box, *(reader.size or sides_of(size)))
        trackers = installed_trackers(model, threads, overrides)
        if len(given) > 1:
            trackers[ONE_BY_ONE] = trackers[DEFAULT]
        timings = measure(trackers, watch(islice(reader, total), total), given, one_by_one=[ONE_BY_ONE])
    if not timings[DEFAULT].frames:
        raise InputError(f"'{source}' is too short to time; expected at least {UNTIMED + 1} frames.")
    one_by_one = timings.pop(ONE_BY_ONE, None)
    return Report(timings=timings, targets=len(given), one_by_one=one_by_one)


def installed_trackers(model: str | Path, threads: int | None, overrides: Sequence[str]) -> dict[str, Any]:
    """The model on each runtime and precision that can be run here, by name."""
    trackers: dict[str, Any] = {}
    for runtime, precision in CANDIDATES:
        if find_spec(PACKAGES[runtime]) is None:
            continue
        try:
            tracker = open_model(model, runtime=runtime, precision=precision, threads=threads, overrides=overrides)
        except MissingExtraError:  # torch needs safetensors too
            continue
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
    width, height = sides_of(size)
    scene = Scene(width, height, objects=targets)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.mp4"
        with VideoWriter(path) as writer:
            for frame in scene.frames(frames):
                writer.write(frame.image, frame.time)
        yield str(path), [scene.box(target, 0) for target in range(targets)]


def sides_of(size: str) -> tuple[int, int]:
    """Width and height of "WIDTHxHEIGHT", pixels.

    Raises:
        SettingsError: it is not that, or a side is not one of `SIDES`.
    """
    width, _, height = size.lower().partition("x")
    if not all(side.isdecimal() and int(side) in SIDES for side in (width, height)):
        raise SettingsError(
            f"The size '{size}' is not WIDTHxHEIGHT with sides of {SIDES[0]} to {SIDES[-1]} pixels; for example 1280x720."
        )
    return int(width), int(height)
