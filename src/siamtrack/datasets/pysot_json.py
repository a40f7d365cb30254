"""Ground truth in the JSON files of the PySOT toolkit (github.com/STVIR/pysot, toolkit/datasets), one file a benchmark.

{SEQUENCE: {"video_dir", "init_rect", "img_names", "gt_rect", "attr", ...}}, with pictures at `img_names` beside the file. OTB,
UAV123 and LaSOT keep the 1-based boxes of their own files; VOT's regions are 0-based as everywhere.

* "absent" (LaSOT) says 1 where the target is to be seen, the opposite of the flags in LaSOT's own toolkit: ope_benchmark.py
  keeps the frames with 1.
* VOT has "width", "height" and a list of 0 and 1 a tag; an empty list is a tag that the sequence lacks.
* DaSiamRPN's OTB2015.json is the same without attributes; it says "name" and "image_files" for the files in NAME/img.
* Pictures are taken where the first of them is there; else only the truth is, which is enough to score.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from siamtrack.datasets.benchmark import BenchmarkSequence
from siamtrack.datasets.benchmark_folders import choose_sequences
from siamtrack.errors import DataError
from siamtrack.metrics.vot import Region

TAGS = ("camera_motion", "illum_change", "motion_change", "size_change", "occlusion")
"""Of VOT, by frame."""


def json_file(root: Path, file_names: Sequence[str]) -> Path | None:
    """The first of these files that is in a folder."""
    return next((root / name for name in file_names if (root / name).is_file()), None)


def read_pysot_json(
    file: Path,
    names: Sequence[str] | None,
    *,
    complete: Sequence[str] | int,
    title: str,
    first_pixel: int,
    known_as: Callable[[str], str] = str,
) -> list[BenchmarkSequence]:
    """The sequences in a file.

    Args:
        file: the file.
        names: see `Benchmark.read`.
        complete: see `choose_sequences`.
        title: of the benchmark.
        first_pixel: what boxes and regions call the left or topmost pixel: 0 or 1.
        known_as: the benchmark's name of a sequence from the file's.

    Raises:
        DataError: the file is damaged or says something else, or a sequence is missing.
        SettingsError: an unknown name.
    """
    entries = {known_as(name): entry for name, entry in _read(file).items()}
    chosen = choose_sequences(names, entries, complete=complete, title=title, root=file)
    return [_sequence(name, entries[name], file, first_pixel) for name in chosen]


def _read(file: Path) -> Mapping[str, Any]:
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"'{file}' cannot be read: {error.strerror}.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"'{file}' is no JSON, or damaged: {error}. Download it again.") from None
    if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
        raise DataError(f"'{file}' is no ground truth of PySOT; expected an object with an entry for each sequence.")
    return entries


def _sequence(name: str, entry: Mapping[str, Any], file: Path, first_pixel: int) -> BenchmarkSequence:
    try:
        regions = [_region(values, first_pixel) for values in entry["gt_rect"]]
        visible = np.array(entry["absent"], np.int64) if "absent" in entry else None
        return BenchmarkSequence(
            name=name,
            regions=regions,
            frames=_frames(entry, file.parent),
            absent=None if visible is None else visible == 0,
            attributes=frozenset(entry.get("attr") or ()),
            tags={tag: np.array(entry[tag], np.float64) for tag in TAGS if entry.get(tag)},
            size=(int(entry["width"]), int(entry["height"])) if "width" in entry else None,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"'{file}', sequence {name}: expected gt_rect with x,y,w,h or corners a frame, and img_names ({error!r})."
        ) from None


def _region(values: Sequence[float], first_pixel: int) -> Region:
    region = np.array(values, np.float64)
    if region.ndim != 1 or len(region) < 4 or len(region) % 2:
        raise ValueError(f"found {values!r:.60}")
    region[: 2 if len(region) == 4 else None] -= first_pixel
    return region


def _frames(entry: Mapping[str, Any], folder: Path) -> Sequence[Path]:
    if "img_names" in entry:
        paths = [folder / path for path in entry["img_names"]]
    else:
        paths = [folder / entry["name"] / "img" / path for path in entry["image_files"]]
    return tuple(paths) if paths and paths[0].is_file() else ()
