"""Success AUC and precision of models over annotated sequences, one pass, in one run.

    python benchmarks/accuracy.py SEQUENCES [--model NAME_OR_FOLDER ...] [--precision auto] [--opencv CSRT ...]
        [--nanotrack FOLDER]

SEQUENCES holds NAME/groundtruth.txt and NAME/img/*.jpg. OpenCV's CSRT, KCF and so on need opencv-contrib-python-headless
in place of opencv-python-headless. FOLDER holds the published nanotrackv3_*.onnx, and nanotrackv2_*.onnx for --opencv Nano.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from peers import nanotrack_v3, opencv

from siamtrack.box import Boxes
from siamtrack.datasets.sequences import Sequence, find_sequences
from siamtrack.library import open_model
from siamtrack.metrics.ope import precision, success_auc
from siamtrack.tracking import Tracker, track


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sequences", type=Path)
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--runtime", default="openvino")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--opencv", action="append", default=[], help="a tracker class of OpenCV, for example CSRT")
    parser.add_argument("--nanotrack", type=Path, help="folder of NanoTrack v3, which is measured, too")
    arguments = parser.parse_args()
    sequences = find_sequences(arguments.sequences)
    trackers: dict[str, Tracker[Any]] = {
        name: open_model(name, runtime=arguments.runtime, precision=arguments.precision, overrides=arguments.overrides)
        for name in arguments.model
    }
    if arguments.nanotrack:
        trackers["NanoTrack v3"] = nanotrack_v3(arguments.nanotrack)
    names = [*trackers, *(f"OpenCV {name}" for name in arguments.opencv)]
    table: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    seconds = dict.fromkeys(names, 0.0)
    for sequence in sequences:
        for name in names:
            started = time.perf_counter()
            if name in trackers:
                boxes = np.array([s.predictions[0].box for s in track(trackers[name], sequence.frames(), [sequence.first_box])])
            else:
                boxes = np.array(list(opencv(name.removeprefix("OpenCV "), sequence, arguments.nanotrack)))
            seconds[name] += time.perf_counter() - started
            table[name].append(_scores(name, boxes, sequence))
        print(f"{sequence.name:28}" + "".join(f"  {table[n][-1][0]:.3f} {table[n][-1][1]:.3f}" for n in names), flush=True)
    frames = sum(len(s.boxes) for s in sequences)
    print()
    for name in names:
        auc, at_20 = np.mean(table[name], 0)
        print(f"{name:28}  AUC {auc:.3f}  precision {at_20:.3f}  {frames / seconds[name]:.0f} frames/s with reading")


def _scores(name: str, boxes: Boxes, sequence: Sequence) -> tuple[float, float]:
    if len(boxes) != len(sequence.boxes):  # the frames that are missing would count for nothing
        raise SystemExit(f"{name} gave {len(boxes)} boxes for the {len(sequence.boxes)} frames of {sequence.name}.")
    return success_auc(boxes, sequence.boxes), precision(boxes, sequence.boxes)


if __name__ == "__main__":
    main()
