"""N targets in one command against N commands of one target each, from start to end, in turn, several times.

python benchmarks/targets.py [--targets 8] [--frames 100] [--repeats 3]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from siamtrack.box import Box
from siamtrack.frames import read
from siamtrack.library import open_model
from siamtrack.stages import STAGES, measure
from siamtrack.synthetic.scene import Scene
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
            together = _seconds(arguments.model, path, [boxes])
            alone = _seconds(arguments.model, path, [[box] for box in boxes])
            ratios.append(alone / together)
            rates = [arguments.frames * arguments.targets / seconds for seconds in (together, alone)]
            print(f"targets x frames a second: {rates[0]:.0f} together, {rates[1]:.0f} in separate runs: {ratios[-1]:.2f}x")
        print(f"median {median(ratios):.2f}x")
        for count in (1, arguments.targets):
            with read(path) as frames:
                timing = measure({"": tracker}, frames, boxes[:count])[""]
            stages = ", ".join(f"{stage} {timing.median(stage):.2f}" for stage in STAGES)
            print(f"{count} targets, ms a frame: {stages}")


def _seconds(model: str, path: Path, runs: list[list[Box]]) -> float:
    """Of the commands, one a run, from start to end."""
    began = time.perf_counter()
    for boxes in runs:
        options = [option for box in boxes for option in ("--box", ",".join(map(str, box)))]
        command = [sys.executable, "-m", "siamtrack", "track", str(path), *options, "--model", model, "--quiet"]
        subprocess.run([*command, "--out", str(path.with_suffix(".csv"))], check=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
