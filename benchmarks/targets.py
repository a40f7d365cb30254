"""N targets in one run against N runs of one target each, whole runs with decoding, in turn, several times.

python benchmarks/targets.py [--targets 8] [--frames 100] [--repeats 3]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

from siamtrack.box import Box
from siamtrack.frames import read
from siamtrack.library import open_model
from siamtrack.stages import STAGES, measure
from siamtrack.synthetic.scene import Scene
from siamtrack.tracking import track
from siamtrack.video import VideoWriter


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", type=int, default=8)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--model", default="siamfc")
    arguments = parser.parse_args()
    scene = Scene(1280, 720, objects=arguments.targets)
    boxes = [scene.box(target, 0) for target in range(arguments.targets)]
    tracker = open_model(arguments.model)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scene.mp4"
        with VideoWriter(path, fps=25) as writer:
            for frame in scene.frames(arguments.frames):
                writer.write(frame.image)
        ratios = []
        for _ in range(arguments.repeats):
            together = _seconds(tracker, path, [boxes])
            alone = _seconds(tracker, path, [[box] for box in boxes])
            ratios.append(alone / together)
            rates = [arguments.frames * arguments.targets / seconds for seconds in (together, alone)]
            print(f"targets x frames a second: {rates[0]:.0f} together, {rates[1]:.0f} in separate runs: {ratios[-1]:.2f}x")
        print(f"median {median(ratios):.2f}x")
        for count in (1, arguments.targets):
            with read(path) as frames:
                timing = measure({"": tracker}, frames, boxes[:count])[""]
            stages = ", ".join(f"{stage} {timing.median(stage):.2f}" for stage in STAGES)
            print(f"{count} targets, ms a frame: {stages}")


def _seconds(tracker: object, path: Path, runs: list[list[Box]]) -> float:
    began = time.perf_counter()
    for boxes in runs:
        with read(path) as frames:
            for _ in track(tracker, frames, boxes):  # type: ignore[arg-type]
                pass
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
