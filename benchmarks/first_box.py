"""Seconds from the start of `siamtrack track` to its first box: python benchmarks/first_box.py [--repeats 7]"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from siamtrack.synthetic.scene import Scene
from siamtrack.video import VideoWriter


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    scene = Scene(1280, 720, objects=1)
    box = ",".join(f"{v:.1f}" for v in scene.box(0, 0))
    with tempfile.TemporaryDirectory() as folder:
        video, out = Path(folder) / "scene.mp4", Path(folder) / "boxes.csv"
        with VideoWriter(video, fps=25) as writer:
            for frame in scene.frames(500):
                writer.write(frame.image)
        seconds = [_once(video, box, out) for _ in range(arguments.repeats)]
    print(
        f"first tracked box after {median(seconds):.2f} s (median of {len(seconds)}; {min(seconds):.2f} to {max(seconds):.2f})"
    )


def _once(video: Path, box: str, out: Path) -> float:
    """Until the second frame's row is in the file: the first row is only the box that was given."""
    out.unlink(missing_ok=True)
    command = [sys.executable, "-m", "siamtrack", "track", str(video), "--box", box, "--out", str(out), "--quiet"]
    began = time.perf_counter()
    with subprocess.Popen(command) as process:
        while process.poll() is None and not (out.exists() and out.read_bytes().count(b"\n") >= 3):
            time.sleep(0.002)
        elapsed = time.perf_counter() - began
        process.kill()
    return elapsed


if __name__ == "__main__":
    main()
