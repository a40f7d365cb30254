"""DAVIS 2017 and 2016 (Pont-Tuset et al., 2017; Perazzi et al., CVPR 2016; davischallenge.org).

JPEGImages/480p/VIDEO/00000.jpg, Annotations/480p/VIDEO/00000.png for every frame, and lists of videos, train.txt and val.txt:

* 2017, ImageSets/2017/: a name a line (60 videos to train on). Masks number the objects from 1; 255 marks pixels that belong to
  none for certain: it is no object, and in training such pixels do not count.
* 2016, ImageSets/480p/: a frame and its mask a line (30 videos to train on). Masks are 0 and 255: all that is not 0 is the
  one object, named 1. Taken where the list of 2017 is missing; the archive of 2017 also repeats videos of 2016 with its own
  masks.

Boxes are tight around the pixels of an object, NaN in frames where it has none. Categories are not in these archives.

As benchmarks, 2016 is the 20 videos of val.txt, and 2017 the 61 objects in the 30 videos of its val.txt: VIDEO_1, VIDEO_2 and
so on. Objects are those of the first frame. Either can be named: VIDEO_1, or VIDEO for all objects in it. Two benchmarks each:

* davis2016-val, davis2017-val: trackers are run on the boxes.
* davis2016, davis2017: results are masks. Objects are 1, 2, ... up to the largest number in the first mask, as for the official
  tool, even one without a pixel there. Truth is a mask a frame in Annotations/480p, or else in Annotations/Full-Resolution;
  pictures need not be there. The list of 2016 may be ImageSets/2016/val.txt, which the archive of 2017 has: all objects of its
  masks taken together are not pixel for pixel those of 2016.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from siamtrack.box import Boxes
from siamtrack.datasets.benchmark import Benchmark, BenchmarkSequence
from siamtrack.datasets.benchmark_folders import PartError, check_count, choose_sequences, find_root
from siamtrack.datasets.clips import Clip, PictureFiles, Target, TrainingSet
from siamtrack.datasets.palette_masks import LabelMasks, numbered_masks, tight_boxes
from siamtrack.datasets.sequence_folders import folders_in, listed_names, numbered_frames, require_folders
from siamtrack.errors import DataError, SettingsError, nearest
from siamtrack.metrics.segmentation_scores import VOID_LABEL, davis_object_count

_LIST_2017 = Path("ImageSets", "2017", "train.txt")
_LIST_2016 = Path("ImageSets", "480p", "train.txt")
_VALIDATED = {
    2016: (_LIST_2016.with_name("val.txt"), Path("ImageSets", "2016", "val.txt")),
    2017: (_LIST_2017.with_name("val.txt"),),
}
_FRAMES = Path("JPEGImages", "480p")
_MASKS = Path("Annotations", "480p")
_FEWEST = 3  # masks of a video that can be scored: the first and the last do not count

RESOLUTIONS = ("480p", "Full-Resolution")
"""Folders in JPEGImages/ and Annotations/; masks are scored in the first that is there."""


class DAVIS(TrainingSet):
    """See `TrainingSet`. Masks are decoded once for the boxes of a clip, and again for each mask that is asked for."""

    name = "davis"
    has_masks = True

    def __init__(self, root: Path) -> None:
        self.root = root
        self._single = not (root / _LIST_2017).is_file()  # 2016
        listed = root / (_LIST_2016 if self._single else _LIST_2017)
        if not listed.is_file():
            raise DataError(f"There is neither '{_LIST_2017}' nor '{_LIST_2016}' in '{root}'; expected the folder DAVIS.")
        self._names = sorted({_video(line, listed) for line in listed_names(listed)})
        for folder in (root / _FRAMES, root / _MASKS):
            require_folders(self._names, folders_in(folder), listed_in=listed, looked_in=folder)

    @classmethod
    def recognises(cls, root: Path) -> bool:
        """Whether there are frames and masks of 480p and a list of training videos."""
        lists = (root / _LIST_2017).is_file() or (root / _LIST_2016).is_file()
        return lists and (root / _FRAMES).is_dir() and (root / _MASKS).is_dir()

    @property
    def names(self) -> Sequence[str]:
        """See `TrainingSet`."""
        return self._names

    def clip(self, name: str) -> Clip:
        """See `TrainingSet`."""
        frames, masks, boxes, size = _annotated(self.root, name, single=self._single)
        everywhere, unknown = np.arange(len(frames)), np.full(len(frames), np.nan)
        targets = [
            Target(name=str(number), positions=everywhere, boxes=boxes[number], visibility=unknown) for number in sorted(boxes)
        ]
        return Clip(name=name, frames=frames, targets=tuple(targets), size=size, masks=masks)


def _annotated(
    root: Path, video: str, *, single: bool
) -> tuple[PictureFiles, LabelMasks, Mapping[int, Boxes], tuple[int, int]]:
    """Frames, masks, boxes by the number of the object, and (width, height)."""
    frames = numbered_frames(root / _FRAMES / video)
    folder = root / _MASKS / video
    paths = tuple(folder / f"{path.stem}.png" for path in frames.paths)
    masks = LabelMasks(paths, single=single, void=None if single else VOID_LABEL)
    if (count := len(list(folder.glob("[0-9]*.png")))) != len(frames):
        raise DataError(f"'{folder}' holds {count} masks for the {len(frames)} frames in '{root / _FRAMES / video}'.")
    boxes, size = tight_boxes(masks, range(len(frames)))
    if set(boxes) == {VOID_LABEL}:
        raise DataError(f"The masks in '{folder}' hold 0 and 255 only, as those of 2016 do, and '{_LIST_2017}' is of 2017.")
    boxes.pop(VOID_LABEL, None)
    if not boxes:
        raise DataError(f"The masks in '{folder}' show no object.")
    return frames, masks, boxes, size


def _video(line: str, listed: Path) -> str:
    """The video of a line, a name or "/JPEGImages/480p/bear/00000.jpg /Annotations/480p/bear/00000.png"."""
    parts = line.split()[0].split("/")
    if len(parts) == 1:
        return parts[0]
    if not line.startswith("/JPEGImages/480p/") or len(parts) != 5:
        raise DataError(f"'{listed}': found '{line[:60]}', expected a name, or /JPEGImages/480p/NAME/00000.jpg and its mask.")
    return parts[3]


def _read(root: Path, names: Sequence[str] | None, *, year: int, videos: int) -> list[BenchmarkSequence]:
    root, file = _find(root, year, (_MASKS.name,))
    listed = _listed(file, names, year=year, videos=videos)
    present = folders_in(root / _FRAMES) & folders_in(root / _MASKS)
    chosen = choose_sequences(_videos_of(names, listed), present, complete=listed, title=_title(year), root=root)
    return _named(names, chosen, [one for video in chosen for one in _objects(root, video, single=year == 2016)], year)


def _read_masks(root: Path, names: Sequence[str] | None, *, year: int, videos: int) -> list[BenchmarkSequence]:
    root, file = _find(root, year, RESOLUTIONS)
    listed = _listed(file, names, year=year, videos=videos)
    resolution = next(one for one in RESOLUTIONS if (root / _MASKS.parent / one).is_dir())
    folder, pictures = root / _MASKS.parent / resolution, root / _FRAMES.parent / resolution
    masks = {video: numbered_masks(folder / video) for video in listed}
    present = [video for video in listed if len(masks[video]) >= _FEWEST]
    try:
        chosen = choose_sequences(_videos_of(names, listed), present, complete=listed, title=_title(year), root=folder)
    except PartError as error:
        hidden = "Videos with fewer than 3 masks count as missing; of those of test-dev only the first mask is public."
        raise PartError(f"{error} {hidden}", present=error.present) from None
    found = [one for video in chosen for one in _masked_objects(pictures / video, masks[video], single=year == 2016)]
    return _named(names, chosen, found, year)


def _find(root: Path, year: int, resolutions: Sequence[str]) -> tuple[Path, Path]:
    """The folder DAVIS, and its list of videos."""
    files = _VALIDATED[year]
    root = find_root(
        root,
        lambda folder: (
            any((folder / file).is_file() for file in files)
            and any((folder / _MASKS.parent / one).is_dir() for one in resolutions)
        ),
        names=("DAVIS", _title(year)),
        expected=f"{files[0]}, {_FRAMES}/VIDEO/00000.jpg and {_MASKS}/VIDEO/00000.png",
    )
    return root, next(root / file for file in files if (root / file).is_file())


def _listed(file: Path, names: Sequence[str] | None, *, year: int, videos: int) -> list[str]:
    listed = sorted({_video(line, file) for line in listed_names(file)})
    if names is None:
        check_count(listed, videos, title=_title(year), root=file, thing="video")
    return listed


def _videos_of(names: Sequence[str] | None, listed: Sequence[str]) -> list[str] | None:
    return None if names is None else [name if name in listed else _video_of(name) for name in names]


def _named(
    names: Sequence[str] | None, videos: Sequence[str], objects: list[BenchmarkSequence], year: int
) -> list[BenchmarkSequence]:
    """Those of the objects that were asked for."""
    if names is None:
        return objects
    found = [one for one in objects if one.name in names or _video_of(one.name) in names]
    if unknown := set(names) - {one.name for one in found} - set(videos):
        name = min(unknown)
        raise SettingsError(f"{_title(year)} has no object '{name}'. {nearest(name, (one.name for one in objects))}")
    return found


def _objects(root: Path, video: str, *, single: bool) -> list[BenchmarkSequence]:
    frames, masks, boxes, size = _annotated(root, video, single=single)
    return [
        BenchmarkSequence(
            name=video if single else f"{video}_{number}",
            regions=list(boxes[number]),
            frames=frames.paths,
            masks=(masks.paths, None if single else number),
            size=size,
        )
        for number in sorted(boxes)
        if not np.isnan(boxes[number][0]).any()
    ]


def _masked_objects(pictures: Path, masks: Sequence[Path], *, single: bool) -> list[BenchmarkSequence]:
    """As masks are scored; pictures are asked for nothing but to be looked at."""
    frames = [pictures / f"{path.stem}.jpg" for path in masks]
    if (count := len(list(pictures.glob("[0-9]*.jpg")))) > len(masks):
        raise DataError(f"'{masks[0].parent}' holds {len(masks)} masks for the {count} frames in '{pictures}'.")
    reader = LabelMasks(tuple(masks), single=single)
    boxes, size = tight_boxes(reader, range(len(masks)))
    count = davis_object_count(reader.labels(0))
    if not count:
        raise DataError(f"The mask '{masks[0]}' shows no object; the objects to evaluate are those of the first frame.")
    nowhere = np.full((len(masks), 4), np.nan)
    video = masks[0].parent.name
    return [
        BenchmarkSequence(
            name=video if single else f"{video}_{number}",
            regions=list(boxes.get(number, nowhere)),
            frames=frames if all(path.is_file() for path in frames) else (),
            masks=(masks, None if single else number),
            size=size,
        )
        for number in range(1, count + 1)
    ]


def _video_of(name: str) -> str:
    """The video of an object VIDEO_1. Names of videos hold no "_"."""
    return name.rpartition("_")[0] or name


def _title(year: int) -> str:
    return f"DAVIS {year}, validation"


def _benchmarks(year: int, citation: str, videos: str, *, objects: int) -> tuple[Benchmark, Benchmark]:
    """Of boxes and of masks."""
    names = videos.split()
    about: dict[str, Any] = {"citation": citation, "length": objects, "names": frozenset(names)}
    how: dict[str, Any] = {"year": year, "videos": len(names)}
    return (
        Benchmark(
            name=f"davis{year}-val",
            title=_title(year),
            protocols=("ope",),
            preset="got10k-otb",
            read=partial(_read, **how),
            **about,
        ),
        Benchmark(
            name=f"davis{year}",
            title=f"{_title(year)}, masks",
            protocols=("masks",),
            preset="davis",
            read=partial(_read_masks, **how),
            **about,
        ),
    )


TRAINING_SET = DAVIS

_VIDEOS_OF_2016 = (
    "blackswan bmx-trees breakdance camel car-roundabout car-shadow cows dance-twirl dog drift-chicane drift-straight goat "
    "horsejump-high kite-surf libby motocross-jump paragliding-launch parkour scooter-black soapbox"
)
_MORE_OF_2017 = "bike-packing dogs-jump gold-fish india judo lab-coat loading mbike-trick pigs shooting"

BENCHMARKS = (
    *_benchmarks(
        2016,
        "Perazzi et al.: A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation, CVPR 2016",
        _VIDEOS_OF_2016,
        objects=20,
    ),
    *_benchmarks(
        2017,
        "Pont-Tuset et al.: The 2017 DAVIS Challenge on Video Object Segmentation, 2017",
        f"{_VIDEOS_OF_2016} {_MORE_OF_2017}",
        objects=61,
    ),
)
