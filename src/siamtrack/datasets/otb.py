"""OTB-2013, OTB-50 and OTB-100 (Wu, Lim, Yang, CVPR 2013 and TPAMI 2015; cvlab.hanyang.ac.kr/tracker_benchmark).

NAME/img/0001.jpg and so on, and NAME/groundtruth_rect.txt with x,y,w,h a line, separated by commas, tabs or blanks, 1-based: 1
is taken from x and y. Or OTB100.json, OTB50.json, CVPR13.json of PySOT, and OTB2015.json of DaSiamRPN.

* The official toolkit uses a part of some folders (`tables/otb.csv`): David from frame 300 to 770, Diving 1 to 215, Football1 1
  to 74, Freeman3 1 to 460, Freeman4 1 to 283. The files of truth have exactly those lines.
* Tiger1 is annotated from frame 1, and no tracker is started in the first five, so that one pass is 6 to 354: those lines are
  left out. Some Python tools take all 354. BlurCar1, BlurCar3 and BlurCar4 begin at 247, 3 and 18, as do their pictures.
* Jogging and Skating2 have two targets, groundtruth_rect.1.txt and groundtruth_rect.2.txt, that are sequences of their own;
  Human4 has two files, of which the first is empty. They are called Jogging-1 and so on, as by the toolkit and PySOT. In names
  that are given, capitals do not count, nor whether "-", "_" or "." stands before the number: jogging_1 is Jogging-1.
* OTB-100 has 98 folders, OTB-2013 50 with 51 targets.
* Attributes are the authors' (attr_list of their Python toolkit): IV, SV, OCC, DEF, MB, FM, IPR, OPR, OV, BC, LR.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from siamtrack.box import Boxes
from siamtrack.datasets.benchmark import Benchmark, BenchmarkSequence
from siamtrack.datasets.benchmark_folders import choose_sequences, find_root, table
from siamtrack.datasets.clips import PictureFiles
from siamtrack.datasets.pysot_json import json_file, read_pysot_json
from siamtrack.datasets.sequence_folders import frames_at_hand, frames_between, read_frame_boxes
from siamtrack.errors import DataError

_ANNOTATED_FROM_1 = ("Tiger1",)
_LAYOUT = "Basketball/img/0001.jpg and Basketball/groundtruth_rect.txt, and so on"


def canonical_name(name: str) -> str:
    """The official name of a target, however it is spelled; the name itself where there is none.

    >>> canonical_name("skating2.1"), canonical_name("carDark")
    ('Skating2-1', 'CarDark')
    """
    return {_key(row["name"]): row["name"] for row in table("otb")}.get(_key(name), name)


def _read(
    root: Path, names: Sequence[str] | None, *, benchmark: str, title: str, files: Sequence[str]
) -> list[BenchmarkSequence]:
    rows = {row["name"]: row for row in table("otb") if benchmark in row["sets"].split()}
    wanted = None if names is None else [canonical_name(name) for name in names]
    root = find_root(
        root,
        lambda folder: bool(json_file(folder, files)) or any(_truth_file(folder, name).is_file() for name in rows),
        names=(title, benchmark, "OTB", "OTB2015"),
        expected=f"{_LAYOUT}, or {' or '.join(files)}",
    )
    present = [name for name in rows if _truth_file(root, name).is_file()]
    file = json_file(root, files)
    if file and not present:
        return read_pysot_json(file, wanted, complete=list(rows), title=title, first_pixel=1, known_as=canonical_name)
    chosen = choose_sequences(wanted, present, complete=list(rows), title=title, root=root)
    return [_sequence(root, rows[name]) for name in chosen]


def _sequence(root: Path, row: Mapping[str, str]) -> BenchmarkSequence:
    name, first, last = row["name"], int(row["first"]), int(row["last"])
    file = _truth_file(root, name)
    frames = frames_between(frames_at_hand(file.parent / "img"), first, last)
    return BenchmarkSequence(
        name=name,
        regions=list(_truth(file, name, first, last)),
        frames=_paths(frames),
        attributes=frozenset(row["attributes"].split()),
    )


def _truth(file: Path, name: str, first: int, last: int) -> Boxes:
    """The lines of the frames from first to last.

    Raises:
        DataError: the file has others.
    """
    boxes = read_frame_boxes(file, None, first_pixel=1)
    begin = 1 if name in _ANNOTATED_FROM_1 else first
    if len(boxes) != last - begin + 1:
        raise DataError(
            f"'{file}' has {len(boxes)} lines; expected {last - begin + 1}, for the frames {begin} to {last} of OTB."
        )
    return boxes[first - begin :]


def _truth_file(root: Path, name: str) -> Path:
    folder, _, target = name.partition("-")
    return root / folder / (f"groundtruth_rect.{target}.txt" if target else "groundtruth_rect.txt")


def _paths(frames: PictureFiles | None) -> Sequence[Path]:
    return () if frames is None else frames.paths


def _key(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def _benchmark(name: str, title: str, citation: str, files: Sequence[str]) -> Benchmark:
    return Benchmark(
        name=name,
        title=title,
        citation=citation,
        length=sum(name in row["sets"].split() for row in table("otb")),
        protocols=("ope", "tre", "sre"),
        preset="otb-matlab",
        first_pixel=1,
        read=partial(_read, benchmark=name, title=title, files=files),
    )


_PAMI = "Wu, Lim, Yang: Object Tracking Benchmark, TPAMI 2015"
_ALL = ("OTB100.json", "OTB2015.json")

BENCHMARKS = (
    _benchmark("otb100", "OTB-100", _PAMI, _ALL),
    _benchmark("otb50", "OTB-50", _PAMI, ("OTB50.json", *_ALL)),
    _benchmark(
        "otb2013",
        "OTB-2013",
        "Wu, Lim, Yang: Online Object Tracking: A Benchmark, CVPR 2013",
        ("CVPR13.json", "OTB2013.json", *_ALL),
    ),
)
