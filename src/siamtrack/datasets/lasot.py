"""LaSOT (Fan et al., CVPR 2019 and IJCV 2021; vision.cs.stonybrook.edu/~lasot): 1,400 long videos of one target each.

CATEGORY/CATEGORY-1/ holds img/00000001.jpg and so on, groundtruth.txt (x,y,w,h a line), full_occlusion.txt and out_of_view.txt
(0 or 1 a frame between commas, on one line).

* Training and test videos lie side by side: the training ones are those named in training_set.txt, which comes with the data
  set and belongs beside the categories. Without it, all but those in testing_set.txt are taken; with neither the set is
  refused, since training on test videos would go unnoticed.
* Boxes are 1-based, as the authors say (HengLan/LaSOT_Evaluation_Toolkit, issue 14): 1 is taken from x and y.
* For training, the box of a target that is fully occluded or out of view becomes NaN and its visibility 0. Nothing is said
  about the visibility elsewhere.

As a benchmark: protocol II is the 280 test videos of `tables/lasot.csv` ("lasot"), protocol I all 1,400 ("lasot-all"), and the
extension has 15 more categories of ten videos ("lasot-ext"). Also read are the folder annos/ of the evaluation toolkit
(NAME.txt, absent/NAME.txt, att/NAME.txt; or absent/ beside annos/), which has no pictures, and LaSOT.json of PySOT.

* Boxes stay as written where the target is absent; the flags say so. A flag of the toolkit is set where full_occlusion.txt or
  out_of_view.txt says 1.
* monkey-17 has more frames than lines of truth, as its published results show, which PySOT cuts: its frames are cut too.
* The 14 attributes are in annos/att/ of the toolkit only; put beside the categories it is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from siamtrack.datasets.benchmark import Benchmark, BenchmarkSequence
from siamtrack.datasets.benchmark_folders import choose_sequences, find_root, table
from siamtrack.datasets.clips import Clip, PictureFiles, TrainingSet
from siamtrack.datasets.pysot_json import read_pysot_json
from siamtrack.datasets.sequence_folders import (
    folders_in,
    frames_at_hand,
    listed_names,
    numbered_frames,
    read_attributes,
    read_frame_boxes,
    read_frame_labels,
    require_folders,
    single_target_clip,
)
from siamtrack.errors import DataError

_TRAINING, _TESTING = "training_set.txt", "testing_set.txt"
_VIDEOS_A_CATEGORY = 20
_SHORT_TRUTH = ("monkey-17",)
_EXTENSION = (
    *("atv", "badminton", "cosplay", "dancingshoe", "footbag", "frisbee", "jianzi", "lantern", "misc", "opossum", "paddle"),
    *("raccoon", "rhino", "skatingshoe", "wingsuit"),
)
_JSON = "LaSOT.json"

ATTRIBUTES = ("IV", "POC", "DEF", "MB", "CM", "ROT", "BC", "VC", "SV", "FOC", "FM", "OV", "LR", "ARC")
"""Illumination, partial occlusion, deformation, motion blur, camera motion, rotation, background clutter, viewpoint change,
scale, full occlusion, fast motion, out of view, low resolution, aspect ratio change: the order of the files in att/."""


class LaSOT(TrainingSet):
    """See `TrainingSet`."""

    name = "lasot"

    def __init__(self, root: Path) -> None:
        self.root = root
        if (root / _TRAINING).is_file():
            self._names = listed_names(root / _TRAINING)
            categories = {_category(name) for name in self._names}
            require_folders(self._names, _sequences(root, categories), listed_in=root / _TRAINING, looked_in=root)
        elif (root / _TESTING).is_file():
            self._names = sorted(_sequences(root, folders_in(root)) - set(listed_names(root / _TESTING)))
        else:
            raise DataError(
                f"There is neither '{root / _TRAINING}' nor '{_TESTING}' beside it, so training and test videos cannot be told "
                "apart. Both lists come with LaSOT: put one of them there."
            )
        if not self._names:
            raise DataError(f"There is no training sequence in '{root}'; expected folders CATEGORY/CATEGORY-1 and so on.")

    @classmethod
    def recognises(cls, root: Path) -> bool:
        """Whether one of the first folders holds sequences named after it, with labels of full occlusion."""
        folders = islice((path for path in root.iterdir() if path.is_dir()), 5)
        return any(
            (folder / f"{folder.name}-{number}" / "full_occlusion.txt").is_file()
            for folder in folders
            for number in range(1, _VIDEOS_A_CATEGORY + 1)
        )

    @property
    def names(self) -> Sequence[str]:
        """See `TrainingSet`."""
        return self._names

    def clip(self, name: str) -> Clip:
        """See `TrainingSet`."""
        folder = self.root / _category(name) / name
        frames = numbered_frames(folder / "img")
        boxes = read_frame_boxes(folder / "groundtruth.txt", frames, first_pixel=1)
        absent = _absent(folder, frames)
        boxes[absent] = np.nan
        return single_target_clip(name, frames, boxes, category=_category(name), visibility=np.where(absent, 0.0, np.nan))


def _category(name: str) -> str:
    return name.rpartition("-")[0]


def _sequences(root: Path, categories: set[str]) -> set[str]:
    """Names of the folders that are called like a category they lie in, with a number."""
    return {name for category in categories for name in folders_in(root / category) if _category(name) == category}


def _absent(folder: Path, frames: PictureFiles | None) -> NDArray[np.bool_]:
    """(N,) where the target is fully occluded or out of view."""
    occluded, outside = (
        read_frame_labels(folder / file, frames, highest=1) == 1 for file in ("full_occlusion.txt", "out_of_view.txt")
    )
    if len(occluded) != len(outside):
        raise DataError(f"full_occlusion.txt and out_of_view.txt in '{folder}' have {len(occluded)} and {len(outside)} flags.")
    absent: NDArray[np.bool_] = occluded | outside
    return absent


def _testing_names() -> list[str]:
    """The 280 sequences of protocol II, in alphabetical order of the categories."""
    return [f"{row['category']}-{number}" for row in table("lasot") for number in row["test"].split()]


def _all_names() -> list[str]:
    return [f"{row['category']}-{number}" for row in table("lasot") for number in range(1, _VIDEOS_A_CATEGORY + 1)]


def _extension_names() -> list[str]:
    return [f"{category}-{number}" for category in _EXTENSION for number in range(1, 11)]


def _read(root: Path, names: Sequence[str] | None, *, title: str, complete: Sequence[str]) -> list[BenchmarkSequence]:
    categories = {_category(name) for name in complete}
    root = find_root(
        root,
        lambda folder: bool(_sequences(folder, categories)) or (folder / "annos").is_dir() or (folder / _JSON).is_file(),
        names=(title, "LaSOT"),
        expected=f"CATEGORY/{complete[0]}/groundtruth.txt and so on, annos/{complete[0]}.txt, or {_JSON}",
    )
    folders, annos = _sequences(root, categories), root / "annos"
    if not folders and not annos.is_dir():
        return read_pysot_json(root / _JSON, names, complete=complete, title=title, first_pixel=1)
    present = folders or {path.stem for path in annos.glob("*.txt")}
    chosen = choose_sequences(names, present, complete=complete, title=title, root=root if folders else annos)
    return [_benchmark_sequence(root, name) if folders else _toolkit_sequence(annos, name) for name in chosen]


def _benchmark_sequence(root: Path, name: str) -> BenchmarkSequence:
    folder = root / _category(name) / name
    frames = frames_at_hand(folder / "img")
    boxes = read_frame_boxes(folder / "groundtruth.txt", None if name in _SHORT_TRUTH else frames, first_pixel=1)
    return BenchmarkSequence(
        name=name,
        regions=list(boxes),
        frames=() if frames is None else frames.paths[: len(boxes) if name in _SHORT_TRUTH else None],
        absent=_absent(folder, None)[: len(boxes) if name in _SHORT_TRUTH else None],
        attributes=read_attributes(root / "annos" / "att" / f"{name}.txt", ATTRIBUTES),
        object_class=_category(name),
    )


def _toolkit_sequence(annos: Path, name: str) -> BenchmarkSequence:
    beside = annos.with_name("absent")
    absent = beside if beside.is_dir() and not (annos / "absent").is_dir() else annos / "absent"
    return BenchmarkSequence(
        name=name,
        regions=list(read_frame_boxes(annos / f"{name}.txt", None, first_pixel=1)),
        absent=read_frame_labels(absent / f"{name}.txt", None, highest=1) == 1,
        attributes=read_attributes(annos / "att" / f"{name}.txt", ATTRIBUTES),
        object_class=_category(name),
    )


def _benchmark(name: str, title: str, complete: Sequence[str]) -> Benchmark:
    return Benchmark(
        name=name,
        title=title,
        citation="Fan et al.: LaSOT: A High-quality Large-scale Single Object Tracking Benchmark, IJCV 2021",
        length=len(complete),
        protocols=("ope",),
        preset="lasot",
        first_pixel=1,
        read=partial(_read, title=title, complete=complete),
    )


TRAINING_SET = LaSOT

BENCHMARKS = (
    _benchmark("lasot", "LaSOT", _testing_names()),
    _benchmark("lasot-all", "LaSOT, protocol I", _all_names()),
    _benchmark("lasot-ext", "LaSOT extension", _extension_names()),
)
