"""Resident memory over an endless rendered source: python benchmarks/memory.py [--frames 20000] [--targets 1]"""

from __future__ import annotations

import argparse

import psutil

from siamtrack.library import open_model
from siamtrack.synthetic.scene import Scene
from siamtrack.tracking import track


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--targets", type=int, default=1)
    parser.add_argument("--model", default="siamfc")
    arguments = parser.parse_args()
    process = psutil.Process()
    scene = Scene(objects=arguments.targets)
    boxes = [scene.box(target, 0) for target in range(arguments.targets)]
    marks = []
    for number, _ in enumerate(track(open_model(arguments.model), scene.frames(arguments.frames), boxes)):
        if number % (arguments.frames // 20) == 0 or number == arguments.frames - 1:
            marks.append(process.memory_info().rss / 1e6)
            print(f"frame {number:6}  {marks[-1]:.1f} MB", flush=True)
    # the first twentieth warms caches up
    print(f"grown by {marks[-1] - marks[1]:.1f} MB after frame {arguments.frames // 20}, highest {max(marks):.1f} MB")


if __name__ == "__main__":
    main()
