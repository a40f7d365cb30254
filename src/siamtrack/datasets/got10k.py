"""GOT-10k (Huang, Zhao, Huang, TPAMI 2021; github.com/got-10k/toolkit): 9,335 videos of one target each, 180 more to validate
on and 180 to test on.

train/list.txt names the sequences; train/GOT-10k_Train_000001/ holds 00000001.jpg and so on, groundtruth.txt (x,y,w,h a line),
absence.label and cover.label (a number a line) and meta_info.ini.

* Boxes are 1-based, as the authors say (got-10k/toolkit, issue 6): 1 is taken from x and y. Widths and heights stay.
* absence.label 1: the target is not in the frame; its box, often -1,-1,-1,-1, becomes NaN.
* cover.label 0 to 8: visibility is cover / 8.
* Boxes may leave the image or have no area, and are kept so. Users report that the boxes of GOT-10k_Train_008623 to 008637,
  009058 and 009059 do not fit the frames (issue 10), and wrong frames in 001636 and 001638 (issue 29). The authors publish no
  list of faults, so nothing is left out here: take names out of list.txt to do so.
* The size of a clip is the resolution in meta_info.ini; in about eight training sequences it changes midway (issue 25).

As benchmarks: val/GOT-10k_Val_000001 to 000180 have the same files; a frame with cover 0 counts as absent, as it is left out by
the toolkit, which does not ask absence.label. test/GOT-10k_Test_000001 to 000180 have the box of the first frame only: the
server of the authors scores results.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from siamtrack.datasets.benchmark import Benchmark, BenchmarkSequence
from siamtrack.datasets.benchmark_folders import choose_sequences, find_root, first_of
from siamtrack.datasets.clips import Clip, TrainingSet
from siamtrack.datasets.sequence_folders import (
    folders_in,
    listed_names,
    numbered_frames,
    read_frame_boxes,
    read_frame_labels,
    require_folders,
    single_target_clip,
)
from siamtrack.errors import DataError

_LIST = "list.txt"
_NAMES_BEGIN = "GOT-10k_Train"
_FULL_COVER = 8  # cover.label of a target in full view
_EVALUATED = 180  # sequences to validate, and as many to test


class GOT10k(TrainingSet):
    """See `TrainingSet`. The root may also be the folder train/ itself."""

    name = "got10k"

    def __init__(self, root: Path) -> None:
        self.root = root
        self._folder = next((f for f in _candidates(root) if (f / _LIST).is_file()), None) or _nothing(root)
        listed = self._folder / _LIST
        self._names = listed_names(listed)
        if other := next((name for name in self._names if not name.startswith(_NAMES_BEGIN)), None):
            raise DataError(f"'{listed}' names '{other}'; expected training sequences only: {_NAMES_BEGIN}_000001 and so on.")
        require_folders(self._names, folders_in(self._folder), listed_in=listed, looked_in=self._folder)

    @classmethod
    def recognises(cls, root: Path) -> bool:
        """Whether the first name in list.txt is that of a training sequence."""
        lists = [folder / _LIST for folder in _candidates(root) if (folder / _LIST).is_file()]
        if not lists:
            return False
        with lists[0].open("rb") as file:
            return file.read(len(_NAMES_BEGIN)) == _NAMES_BEGIN.encode()

    @property
    def names(self) -> Sequence[str]:
        """See `TrainingSet`."""
        return self._names

    def clip(self, name: str) -> Clip:
        """See `TrainingSet`."""
        folder = self._folder / name
        frames = numbered_frames(folder)
        boxes = read_frame_boxes(folder / "groundtruth.txt", frames, first_pixel=1)
        boxes[read_frame_labels(folder / "absence.label", frames, highest=1) == 1] = np.nan
        cover = read_frame_labels(folder / "cover.label", frames, highest=_FULL_COVER)
        category, size = _read_meta(folder / "meta_info.ini")
        return single_target_clip(name, frames, boxes, category=category, visibility=cover / _FULL_COVER, size=size)


def _candidates(root: Path) -> tuple[Path, Path]:
    return root / "train", root


def _nothing(root: Path) -> Path:
    raise DataError(
        f"There is no '{root / 'train' / _LIST}' and no '{root / _LIST}'; expected GOT-10k's folder with train/ in it."
    )


def _read_meta(path: Path) -> tuple[str, tuple[int, int] | None]:
    """Category and (width, height): "object_class: bear" and "resolution: (1920, 1080)"; empty and None where not said."""
    meta = configparser.RawConfigParser()
    try:
        meta.read_string(path.read_text(encoding="utf-8"), str(path))
        section = meta["METAINFO"]
    except OSError as error:
        raise DataError(f"'{path}' cannot be read: {error.strerror}.") from None
    except (configparser.Error, KeyError, UnicodeDecodeError) as error:
        raise DataError(f"'{path}' is no meta_info.ini of GOT-10k, which has a section [METAINFO]: {error}.") from None
    resolution = section.get("resolution")
    if resolution is None:
        return section.get("object_class", ""), None
    numbers = re.fullmatch(r"\((\d+),\s*(\d+)\)", resolution)
    if numbers is None:
        raise DataError(f"'{path}': found resolution '{resolution}', expected (width, height) in pixels, such as (1920, 1080).")
    return section.get("object_class", ""), (int(numbers[1]), int(numbers[2]))


def _read(root: Path, names: Sequence[str] | None, *, part: str) -> list[BenchmarkSequence]:
    beginning = f"GOT-10k_{part}"
    root = find_root(
        root,
        lambda folder: any(folder.glob(f"{beginning}_*")),
        names=(part, "GOT-10k"),
        expected=f"{part.lower()}/{beginning}_000001/groundtruth.txt and so on",
    )
    complete = [f"{beginning}_{number:06}" for number in range(1, _EVALUATED + 1)]
    present = {name for name in folders_in(root) if name.startswith(beginning)}
    chosen = choose_sequences(names, present, complete=complete, title=f"GOT-10k, {part.lower()}", root=root)
    return [_sequence(root / name) if part == "Val" else _hidden_sequence(root / name) for name in chosen]


def _sequence(folder: Path) -> BenchmarkSequence:
    frames = numbered_frames(folder) if any(folder.glob("*.jpg")) else None
    category, size = _read_meta(folder / "meta_info.ini")
    return BenchmarkSequence(
        name=folder.name,
        regions=list(read_frame_boxes(folder / "groundtruth.txt", frames, first_pixel=1)),
        frames=() if frames is None else frames.paths,
        absent=read_frame_labels(folder / "cover.label", frames, highest=_FULL_COVER) == 0,
        object_class=category or None,
        size=size,
    )


def _hidden_sequence(folder: Path) -> BenchmarkSequence:
    frames = numbered_frames(folder)
    box = read_frame_boxes(folder / "groundtruth.txt", None, first_pixel=1)
    return BenchmarkSequence(name=folder.name, regions=list(first_of(box, len(frames))), frames=frames.paths)


def _benchmark(part: str) -> Benchmark:
    return Benchmark(
        name=f"got10k-{part.lower()}",
        title=f"GOT-10k, {part.lower()}",
        citation="Huang, Zhao, Huang: GOT-10k: A Large High-Diversity Benchmark for Generic Object Tracking, TPAMI 2021",
        length=_EVALUATED,
        protocols=("got10k", "ope"),
        preset="got10k",
        first_pixel=1,
        server="got10k" if part == "Test" else None,
        read=partial(_read, part=part),
    )


TRAINING_SET = GOT10k

BENCHMARKS = (_benchmark("Val"), _benchmark("Test"))
