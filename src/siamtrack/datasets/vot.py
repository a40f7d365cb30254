"""VOT short-term 2013 to 2022 and long-term 2018 and 2019 (Kristan et al., ICCV and ECCV workshops; votchallenge.net).

list.txt names the sequences; SEQ/groundtruth.txt has a region a line: x,y,w,h, from 2014 on x1,y1,...,x4,y4; 0-based as the
toolkit reads them. Pictures are SEQ/color/00000001.jpg, in older archives SEQ/00000001.jpg. Or VOT2018.json and so on of PySOT.

* SEQ/NAME.tag (older: NAME.label) has a 0 or 1 a frame; a shorter one goes on with 0, and one that is longer is left out, as
  the toolkit does (sequence_create.m). "empty" is no file: it is where no other tag is 1.
* SEQ/practical.value is the overlap difference below which results are the same in practice; of another length than the truth
  it is left out, as the toolkit does.
* Since 2020 the truth is masks (`siamtrack.metrics.vot_masks`), but for the challenge on boxes of 2022, and SEQ/anchor.value
  says where trackers are started: a number a line, above 0 to go forwards, below 0 to go backwards.
* Long-term: nan,nan,nan,nan (PySOT: NaN) where the target is not in view.
* How a tracker is started from a polygon is for who runs it to choose; the regions stay as they are written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from siamtrack.datasets.benchmark import Benchmark, BenchmarkSequence
from siamtrack.datasets.benchmark_folders import check_count, choose_sequences, find_root, table
from siamtrack.datasets.pysot_json import json_file, read_pysot_json
from siamtrack.datasets.sequence_folders import listed_names, numbered_frames
from siamtrack.errors import DataError, InputError
from siamtrack.metrics.vot import Region
from siamtrack.metrics.vot_masks import PlacedMask, shapes_from_text
from siamtrack.result_layouts import lines_of

_LIST = "list.txt"
_COUNTS = {2020: "eighth", 2021: "ninth", 2022: "tenth"}  # of the challenges


def _read(
    root: Path, names: Sequence[str] | None, *, title: str, length: int, file_name: str, anchored: bool = False
) -> list[BenchmarkSequence]:
    root = find_root(
        root,
        lambda folder: (folder / file_name).is_file() or any(folder.glob("*/groundtruth.txt")),
        names=(title, Path(file_name).stem),
        expected=f"{_LIST} and SEQUENCE/groundtruth.txt, or {file_name}",
    )
    present = {path.parent.name for path in root.glob("*/groundtruth.txt")}
    file = json_file(root, [file_name])
    if file and not present:
        return read_pysot_json(file, names, complete=length, title=title, first_pixel=0)
    listed = listed_names(root / _LIST) if (root / _LIST).is_file() else sorted(present)
    if names is None:
        check_count(listed, length, title=title, root=root)
    chosen = choose_sequences(names, present, complete=listed, title=title, root=root)
    return [_sequence(root / name, anchored=anchored) for name in chosen]


def _sequence(folder: Path, *, anchored: bool) -> BenchmarkSequence:
    file = folder / "groundtruth.txt"
    regions, masks = _shapes(file)
    if not anchored and any(mask is not None for mask in masks):
        raise DataError(f"'{file}' holds masks; expected boxes or polygons. Masks are the truth of vot2020 and later.")
    pictures = folder / "color" if (folder / "color").is_dir() else folder
    frames = numbered_frames(pictures).paths if any(pictures.glob("*.jpg")) else ()
    if frames and len(frames) != len(regions):
        raise DataError(f"'{file}' speaks of {len(regions)} frames, and '{pictures}' holds {len(frames)}; expected as many.")
    anchors = folder / "anchor.value"
    starts = _column(anchors)[: len(regions)] if anchored and anchors.is_file() else None
    practical = _column(folder / "practical.value") if (folder / "practical.value").is_file() else None
    return BenchmarkSequence(
        name=folder.name,
        regions=regions,
        frames=frames,
        tags=_tags(folder, len(regions)),
        placed_masks=masks if any(mask is not None for mask in masks) else (),
        anchors=None if starts is None else np.pad(np.nan_to_num(starts), (0, len(regions) - len(starts))),
        practical=practical if practical is not None and len(practical) == len(regions) else None,
    )


def _shapes(file: Path) -> tuple[list[Region], list[PlacedMask | None]]:
    try:
        return shapes_from_text("\n".join(lines_of(file)), str(file))
    except InputError as error:
        raise DataError(str(error)) from None


def _tags(folder: Path, length: int) -> Mapping[str, NDArray[np.float64]]:
    """By name; see the module for files of another length."""
    columns = {path.stem: _column(path) for path in sorted([*folder.glob("*.label"), *folder.glob("*.tag")])}
    return {
        name: np.pad((column > 0).astype(np.float64), (0, length - len(column)))
        for name, column in columns.items()
        if len(column) <= length
    }


def _column(path: Path) -> NDArray[np.float64]:
    """A number a line.

    Raises:
        DataError: a line is no number.
    """
    try:
        return np.array([float(line) for line in lines_of(path)])
    except InputError as error:
        raise DataError(str(error)) from None
    except ValueError as error:
        raise DataError(f"'{path}': {error}; expected a number a line.") from None


def _benchmark(year: int, length: int, venue: str) -> Benchmark:
    title = f"VOT{year}"
    return Benchmark(
        name=title.lower(),
        title=title,
        citation=f"Kristan et al.: The Visual Object Tracking VOT{year} challenge results, {venue}",
        length=length,
        protocols=("supervised", "unsupervised", *(("realtime",) if year >= 2017 else ())),
        preset="vot-matlab" if year > 2015 else "vot-matlab-2015",
        names=frozenset(row["name"] for row in table("vot") if str(year) in row["years"].split()),
        read=partial(_read, title=title, length=length, file_name=f"{title}.json"),
    )


def _anchored(title: str, year: int, length: int, venue: str, name: str = "") -> Benchmark:
    return Benchmark(
        name=name or title.lower(),
        title=title,
        citation=f"Kristan et al.: The {_COUNTS[year]} Visual Object Tracking VOT{year} challenge results, {venue}",
        length=length,
        protocols=("multistart",),
        preset="vot-python",
        read=partial(_read, title=title, length=length, file_name=f"{title}.json", anchored=True),
    )


def _long_term(year: int, length: int, venue: str) -> Benchmark:
    title = f"VOT-LT{year}"
    return Benchmark(
        name=f"votlt{year}",
        title=title,
        citation=f"Kristan et al.: The Visual Object Tracking VOT{year} challenge results, {venue}",
        length=length,
        protocols=("long-term",),
        preset="vot-matlab",
        read=partial(_read, title=title, length=length, file_name=f"VOT{year}-LT.json"),
    )


BENCHMARKS = (
    _benchmark(2013, 16, "ICCV workshops 2013"),
    _benchmark(2014, 25, "ECCV workshops 2014"),
    _benchmark(2015, 60, "ICCV workshops 2015"),
    _benchmark(2016, 60, "ECCV workshops 2016"),
    _benchmark(2017, 60, "ICCV workshops 2017"),
    _benchmark(2018, 60, "ECCV workshops 2018"),
    _benchmark(2019, 60, "ICCV workshops 2019"),
    _anchored("VOT2020", 2020, 60, "ECCV workshops 2020"),
    _anchored("VOT2021", 2021, 60, "ICCV workshops 2021"),
    _anchored("VOT-STs2022", 2022, 50, "ECCV workshops 2022", name="vot2022"),
    _anchored("VOT-STb2022", 2022, 50, "ECCV workshops 2022", name="vot2022-box"),
    _long_term(2018, 35, "ECCV workshops 2018"),
    _long_term(2019, 50, "ICCV workshops 2019"),
)
