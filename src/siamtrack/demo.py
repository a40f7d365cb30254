"""A demonstration that needs no file: a rendered scene with known ground truth, tracked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from siamtrack.box import center_error, iou
from siamtrack.errors import OutputError
from siamtrack.outputs import Outputs
from siamtrack.synthetic.scene import FPS, Scene
from siamtrack.tracking import Step, Tracker, track

TARGETS = 3


@dataclass(frozen=True, kw_only=True)
class Score:
    """How one target was followed."""

    target: int
    iou: float  # mean over the frames after the first
    center_error: float  # mean, pixels
    inside: float  # share of frames whose overlap is above one half


def run_demo(
    tracker: Tracker[Any],
    folder: Path,
    *,
    frames: int,
    seed: int = 0,
    watch: Callable[[Iterator[Step]], Iterable[Step]] = lambda steps: steps,
) -> tuple[list[Score], float]:
    """Renders the scene, follows its objects, writes demo.csv, demo.mp4 and demo.png.

    Args:
        tracker: as `open_model` gives it.
        folder: made where it does not exist.
        frames: length of the scene, at least 2.
        seed: of the scene.
        watch: passes the steps on, and may show how many there were.

    Returns:
        A score a target, and frames a second of the tracker (rendering, drawing and writing left out).

    Raises:
        OutputError: the folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder '{folder}' cannot be made: {error.strerror}.") from None
    scene = Scene(objects=TARGETS, seed=seed)
    boxes = [scene.box(target, 0) for target in range(TARGETS)]
    overlaps: list[list[float]] = [[] for _ in boxes]
    errors: list[list[float]] = [[] for _ in boxes]
    seconds = []
    with Outputs(
        boxes=folder / "demo.csv", format=None, video=folder / "demo.mp4", sheet=folder / "demo.png", targets=TARGETS, fps=FPS
    ) as outputs:
        for step in watch(track(tracker, scene.frames(frames), boxes)):
            outputs.write(step)
            if step.frame.index == 0:
                continue
            seconds.append(step.seconds)
            for target, prediction in enumerate(step.predictions):
                truth = scene.box(target, step.frame.index)
                overlaps[target].append(float(iou(prediction.box, truth)))
                errors[target].append(float(center_error(prediction.box, truth)))
    scores = [
        Score(target=t, iou=fmean(overlaps[t]), center_error=fmean(errors[t]), inside=fmean(o > 0.5 for o in overlaps[t]))
        for t in range(TARGETS)
    ]
    return scores, len(seconds) / sum(seconds)
