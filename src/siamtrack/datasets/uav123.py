"""UAV123 and UAV20L (Mueller, Smith, Ghanem, ECCV 2016; cemse.kaust.edu.sa, "Benchmark and Simulator for UAV Tracking").

data_seq/UAV123/FOLDER/000001.jpg and so on, anno/UAV123/NAME.txt and anno/UAV20L/NAME.txt with x,y,w,h a line, 1-based (1 is
taken from x and y), NaN where the target is out of view, and anno/UAV123/att/NAME.txt with twelve 0 or 1. Where anno/UAV123 is
not there anno/NAME.txt is read, as some share the files. Or UAV123.json and UAV20L.json of PySOT.

* The 123 sequences of UAV123 lie in 91 folders: bird1_1, bird1_2 and bird1_3 are parts of the folder bird1. The parts of
  `tables/uav123.csv` are those of the authors' configSeqs.m. Most share a frame with the next; between those of bird1 and of
  uav1 there are gaps.
* UAV20L is 20 whole videos in the same folders; its bird1 is all of bird1.
* The variant at 10 frames a second is another benchmark and not read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from siamtrack.datasets.benchmark import Benchmark, BenchmarkSequence
from siamtrack.datasets.benchmark_folders import choose_sequences, find_root, table
from siamtrack.datasets.pysot_json import json_file, read_pysot_json
from siamtrack.datasets.sequence_folders import frames_at_hand, frames_between, read_attributes, read_frame_boxes
from siamtrack.errors import DataError

ATTRIBUTES = ("SV", "ARC", "LR", "FM", "FOC", "POC", "OV", "BC", "IV", "VC", "CM", "SOB")
"""Scale, aspect ratio change, low resolution, fast motion, full and partial occlusion, out of view, background clutter,
illumination, viewpoint change, camera motion, similar object: the order of the files in att/."""


def _read(root: Path, names: Sequence[str] | None, *, title: str) -> list[BenchmarkSequence]:
    file_name = f"{title}.json"
    root = find_root(
        root,
        lambda folder: _annotations(folder, title) is not None or (folder / file_name).is_file(),
        names=(title, "UAV123"),
        expected=f"anno/{title}/NAME.txt (or anno/NAME.txt) and data_seq/UAV123/FOLDER/000001.jpg, or {file_name}",
    )
    rows = {row["name"]: row for row in table("uav123") if row["benchmark"] == title.lower()}
    folder = _annotations(root, title) or root / "anno"
    file = json_file(root, [file_name])
    if file and not folder.is_dir():
        return read_pysot_json(file, names, complete=list(rows), title=title, first_pixel=1)
    present = {path.stem for path in folder.glob("*.txt")}
    chosen = choose_sequences(names, present, complete=list(rows), title=title, root=folder)
    return [_sequence(root, folder, rows[name]) for name in chosen]


def _annotations(root: Path, title: str) -> Path | None:
    """The folder of the files of truth, if there is one."""
    folders = (root / "anno" / title, root / "anno")
    return next((folder for folder in folders if any(folder.glob("*.txt"))), None)


def _sequence(root: Path, folder: Path, row: Mapping[str, str]) -> BenchmarkSequence:
    name, first, last = row["name"], int(row["first"]), int(row["last"])
    frames = frames_between(frames_at_hand(root / "data_seq" / "UAV123" / row["folder"]), first, last)
    file = folder / f"{name}.txt"
    boxes = read_frame_boxes(file, frames, first_pixel=1)
    if len(boxes) != last - first + 1:
        raise DataError(f"'{file}' has {len(boxes)} lines; expected {last - first + 1}, for the frames {first} to {last}.")
    return BenchmarkSequence(
        name=name,
        regions=list(boxes),
        frames=() if frames is None else frames.paths,
        attributes=read_attributes(folder / "att" / f"{name}.txt", ATTRIBUTES),
    )


def _benchmark(title: str, length: int) -> Benchmark:
    return Benchmark(
        name=title.lower(),
        title=title,
        citation="Mueller, Smith, Ghanem: A Benchmark and Simulator for UAV Tracking, ECCV 2016",
        length=length,
        protocols=("ope",),
        preset="uav123",
        first_pixel=1,
        read=partial(_read, title=title),
    )


BENCHMARKS = (_benchmark("UAV123", 123), _benchmark("UAV20L", 20))
