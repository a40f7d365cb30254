"""Need for Speed (Galoogahi et al., ICCV 2017; ci2cv.net/nfs): 100 videos at 240 frames a second, and the same at 30.

NAME/240/NAME/00001.jpg and NAME/240/NAME.txt; NAME/30/NAME/00001.jpg and NAME/30/NAME.txt. A line is what the annotation tool
VATIC writes: `0 left top right bottom frame lost occluded generated "label"`.

* Corners are continuous: w = right - left, as in the GOT-10k toolkit. They are taken as 0-based; the authors do not say.
* The file in 30/ often has the lines of all 240 frames a second: the first of every eight is then taken. And there may be a
  frame or a line too many: the last one is then left out (both as in the GOT-10k toolkit, datasets/nfs.py).
* The flags lost, occluded and generated are not used, as by the tools that publish scores. The frame counter of some files
  begins at 1 and is not used either.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from siamtrack.box import Boxes
from siamtrack.datasets.benchmark import Benchmark, BenchmarkSequence
from siamtrack.datasets.benchmark_folders import choose_sequences, find_root
from siamtrack.datasets.sequence_folders import frames_at_hand
from siamtrack.errors import DataError, InputError
from siamtrack.result_layouts import lines_of

_LENGTH = 100
_SLOWER = 8  # 240 frames a second over 30
_LINE = re.compile(r'\S+((?:\s+-?\d+(?:\.\d+)?){4})(?:\s+\d+){4}\s+"?([^"]*)"?\s*')


def _read(root: Path, names: Sequence[str] | None, *, rate: int) -> list[BenchmarkSequence]:
    title = f"NfS, {rate} fps"
    root = find_root(
        root,
        lambda folder: any(folder.glob(f"*/{rate}/*.txt")),
        names=("NfS", "nfs"),
        expected=f"NAME/{rate}/NAME.txt and NAME/{rate}/NAME/00001.jpg, and so on",
    )
    files = {path.stem: path for path in sorted(root.glob(f"*/{rate}/*.txt")) if not path.name.startswith(".")}
    chosen = choose_sequences(names, files, complete=_LENGTH, title=title, root=root)
    return [_sequence(files[name], rate) for name in chosen]


def _sequence(file: Path, rate: int) -> BenchmarkSequence:
    boxes, label = _read_vatic(file)
    frames = frames_at_hand(file.parent / file.stem)
    if frames is None:
        return BenchmarkSequence(name=file.stem, regions=list(boxes), object_class=label)
    if rate == 30 and abs(len(boxes) / len(frames) - _SLOWER) < 1:
        boxes = boxes[::_SLOWER]
    if abs(len(boxes) - len(frames)) > 1:
        raise DataError(
            f"'{file}' speaks of {len(boxes)} frames, and '{file.parent / file.stem}' holds {len(frames)}; expected as many, "
            "or one more or fewer. Unpack the sequence again."
        )
    count = min(len(boxes), len(frames))
    return BenchmarkSequence(name=file.stem, regions=list(boxes[:count]), frames=frames.paths[:count], object_class=label)


def _read_vatic(file: Path) -> tuple[Boxes, str | None]:
    """(N, 4) boxes and the label of the first line."""
    try:
        lines = lines_of(file)
    except InputError as error:
        raise DataError(str(error)) from None
    corners, labels = [], []
    for number, line in enumerate(lines, 1):
        row = _LINE.fullmatch(line)
        if row is None:
            raise DataError(
                f"{file}, line {number}: found '{line[:60]}', expected 0 left top right bottom frame lost occluded generated "
                '"label".'
            )
        corners.append([float(cell) for cell in row[1].split()])
        labels.append(row[2])
    if not corners:
        raise DataError(f"'{file}' is empty; expected a line for each frame.")
    boxes = np.array(corners)
    boxes[:, 2:] -= boxes[:, :2]
    return boxes, labels[0] or None


def _benchmark(rate: int) -> Benchmark:
    return Benchmark(
        name=f"nfs{rate}",
        title=f"NfS, {rate} fps",
        citation="Galoogahi et al.: Need for Speed: A Benchmark for Higher Frame Rate Object Tracking, ICCV 2017",
        length=_LENGTH,
        protocols=("ope",),
        preset="pytracking",
        read=partial(_read, rate=rate),
    )


BENCHMARKS = (_benchmark(30), _benchmark(240))
