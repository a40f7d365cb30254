"""`siamtrack data check` and `data crop` on many videos: python benchmarks/data_tools.py FOLDER [--videos 1000] [--frames 25]

Draws videos as pictures with annotations into FOLDER/data, checks them, cuts their crops, kills the cutting twice, goes on, and
compares a sample of the crops with those cut from the frames. Prints how long each took and the memory of all its processes.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import psutil

from siamtrack.datasets.clips import TrainingSet
from siamtrack.datasets.crop_store import MANIFEST, StoredCrops
from siamtrack.datasets.crops import CropSettings, CropsOfFrames
from siamtrack.library import open_training_set
from siamtrack.synthetic.scene import Scene


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--videos", type=int, default=1000)
    parser.add_argument("--frames", type=int, default=25)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    data, crops, check = (arguments.folder / name for name in ("data", "crops", "check"))
    draw_videos(data, arguments.videos, arguments.frames)
    workers = ["--workers", str(arguments.workers)]
    boxes = arguments.videos * arguments.frames
    took = command("data", "check", data, "--out", check, *workers)
    print(f"check: {boxes / took:.0f} frames/s", flush=True)
    cut = ["data", "crop", data, "--out", crops, *workers]
    for share in (0.3, 0.3):
        killed(share * boxes / 300, *cut)
    took = command(*cut)
    print(f"crop, the last part: {took:.1f} s", flush=True)
    compare(open_training_set(data), StoredCrops(crops), boxes)
    print(f"{(crops / 'crops.mdb').stat().st_size / boxes / 1e3:.1f} kB a crop")
    took = command("data", "crop", data, "--out", arguments.folder / "crops-at-once", *workers)
    print(f"crop, at once: {boxes / took:.0f} crops/s", flush=True)
    digests = [json.loads((folder / MANIFEST).read_text())["sha256"] for folder in (crops, arguments.folder / "crops-at-once")]
    assert digests[0] == digests[1], "the store that was killed twice differs from the other"
    command("data", "check", crops, "--out", arguments.folder / "crops-check", *workers)


def draw_videos(data: Path, videos: int, frames: int) -> None:
    """GOT-10k's way: NAME/groundtruth.txt with x,y,w,h a line beside NAME/00000001.jpg."""
    for number in range(videos):
        folder = data / f"video_{number:06}"
        if (folder / "groundtruth.txt").exists():
            continue
        folder.mkdir(parents=True, exist_ok=True)
        scene = Scene(320, 240, objects=1, seed=number)
        for frame in range(frames):
            cv2.imwrite(str(folder / f"{frame + 1:08}.jpg"), scene.image(frame)[:, :, ::-1])
        lines = [",".join(f"{value:.4f}" for value in scene.box(0, frame)) for frame in range(frames)]
        (folder / "groundtruth.txt").write_text("\n".join(lines) + "\n")


def command(*words: object) -> float:
    """Runs siamtrack to its end; the seconds it took."""
    began = time.perf_counter()
    process = start(*words)
    most, resident = watch(process, 1e9)
    assert process.returncode == 0, process.returncode
    took = time.perf_counter() - began
    print(f"{' '.join(map(str, words[:2]))}: {took:.1f} s, peak {most:.0f} MB in all, {resident:.0f} MB with mapped files")
    return took


def killed(after: float, *words: object) -> None:
    """Runs siamtrack and kills it, and looks for processes that it leaves."""
    process = start(*words)
    family = psutil.Process(process.pid)
    watch(process, after)
    assert process.poll() is None, "it was done before it could be killed; give more videos"
    children = family.children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    _, left = psutil.wait_procs(children, timeout=10)
    assert not left, f"processes that outlive the one that was killed: {left}"
    print(f"killed after {after:.1f} s; its {len(children)} worker processes ended too", flush=True)


def start(*words: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "siamtrack", *map(str, words)])


def watch(process: subprocess.Popen[bytes], seconds: float) -> tuple[float, float]:
    """Peak memory of a process and its children in megabytes: their own (RSS without mapped files), and RSS."""
    family, end, most, resident = psutil.Process(process.pid), time.perf_counter() + seconds, 0.0, 0.0
    while process.poll() is None and time.perf_counter() < end:
        members = []
        try:
            members = [one.memory_info() for one in (family, *family.children(recursive=True))]
        except psutil.Error:  # one has ended meanwhile
            continue
        most = max(most, sum(one.rss - one.shared for one in members) / 1e6)
        resident = max(resident, sum(one.rss for one in members) / 1e6)
        time.sleep(0.2)
    return most, resident


def compare(frames: TrainingSet, stored: StoredCrops, boxes: int) -> None:
    cut = CropsOfFrames(frames, CropSettings())
    assert json.loads((stored.path / MANIFEST).read_text())["total"] == boxes
    generator = np.random.default_rng(0)
    for clip in generator.choice(list(cut.names), 300):
        index = int(generator.integers(len(cut.targets(clip)[0].boxes)))
        a, b = cut.crop(clip, 0, index), stored.crop(clip, 0, index)
        assert np.array_equal(a.image, b.image)
        assert a.fill == b.fill
    print(f"300 of {boxes} crops are the same as those cut from the frames", flush=True)


if __name__ == "__main__":
    main()
