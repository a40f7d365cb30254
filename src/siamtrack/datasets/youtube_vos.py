"""YouTube-VOS (Xu et al., ECCV 2018; youtube-vos.org, 2018 and 2019): masks of objects in every fifth frame.

train/ holds JPEGImages/VIDEO/00000.jpg, Annotations/VIDEO/00000.png (numbers of objects, see `palette_masks`) and meta.json,
which says the category of each object and the frames it is annotated in. With the frames of train_all_frames/ added to
JPEGImages/, the frames between annotated ones belong to the clip and have no annotation.

Boxes are tight around the pixels of an object. meta.json names frames in which an object has no pixel, most of them before it
appears (in 5937b08d69 object 4 in 00000, say): its box is NaN there.

As a benchmark: valid/ is laid out as train/, and has the mask of an object in the frame that it first appears in, no other; the
server of the authors scores results. A sequence, VIDEO_1, begins with that frame. Its later boxes are NaN, and masks are not
given, since there is not one a frame. The videos to validate on are 474 in 2018 and 507 in 2019: those that meta.json names.

As the benchmark of masks, youtubevos: the videos of a folder with meta.json that have a mask in every frame that meta.json
names, as in train/ or a part of it that was held out. The masks of an object begin with the frame that it appears in. Its
category is "seen", one of the training set, or "unseen", if train/meta.json is at hand: in the folder or beside it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from siamtrack.datasets.benchmark import Benchmark, BenchmarkSequence
from siamtrack.datasets.benchmark_folders import choose_sequences, find_root, first_of
from siamtrack.datasets.clips import Clip, PictureFiles, Target, TrainingSet
from siamtrack.datasets.palette_masks import LabelMasks, numbered_masks, tight_boxes
from siamtrack.datasets.sequence_folders import folders_in, numbered_frames, require_folders
from siamtrack.errors import DataError, SettingsError, nearest


class YouTubeVOS(TrainingSet):
    """See `TrainingSet`. Masks are decoded once for the boxes of a clip, and again for each mask that is asked for."""

    name = "youtube_vos"
    has_masks = True

    def __init__(self, root: Path) -> None:
        self.root = root
        self._folder = root / "train"
        self._meta = self._folder / "meta.json"
        self._videos = _read_videos(self._meta)
        for folder in (self._folder / "JPEGImages", self._folder / "Annotations"):
            require_folders(sorted(self._videos), folders_in(folder), listed_in=self._meta, looked_in=folder)

    @classmethod
    def recognises(cls, root: Path) -> bool:
        """Whether train/ has meta.json, JPEGImages/ and Annotations/."""
        train = root / "train"
        return (train / "meta.json").is_file() and (train / "JPEGImages").is_dir() and (train / "Annotations").is_dir()

    @property
    def names(self) -> Sequence[str]:
        """See `TrainingSet`."""
        return sorted(self._videos)

    def clip(self, name: str) -> Clip:
        """See `TrainingSet`."""
        frames = numbered_frames(self._folder / "JPEGImages" / name)
        objects = self._objects(name, frames)
        annotated = sorted({position for _, positions in objects.values() for position in positions})
        masks = LabelMasks(tuple(self._folder / "Annotations" / name / f"{path.stem}.png" for path in frames.paths))
        boxes, size = tight_boxes(masks, annotated)
        targets = []
        for number, (category, positions) in objects.items():
            rows = np.searchsorted(annotated, positions)
            found = boxes[number][rows] if number in boxes else np.full((len(rows), 4), np.nan)
            unknown = np.full(len(rows), np.nan)
            targets.append(
                Target(
                    name=str(number),
                    category=category,
                    positions=np.array(positions, np.int64),
                    boxes=found,
                    visibility=unknown,
                )
            )
        return Clip(name=name, frames=frames, targets=tuple(targets), size=size, masks=masks)

    def _objects(self, name: str, frames: PictureFiles) -> dict[int, tuple[str, list[int]]]:
        """Category and annotated positions of each object by its number."""
        position_of = {path.stem: position for position, path in enumerate(frames.paths)}
        objects = {}
        for number, one in self._videos[name].items():
            if absent := sorted(one.frames - set(position_of)):
                raise DataError(
                    f"'{self._meta}' names frame {absent[0]} of '{name}', which '{frames.paths[0].parent}' does not hold."
                )
            objects[number] = one.category, sorted(position_of[stem] for stem in one.frames)
        if not any(positions for _, positions in objects.values()):
            raise DataError(f"'{self._meta}' names no annotated frame of '{name}'; expected at least one object with frames.")
        return objects


class _Object(NamedTuple):
    """What meta.json says of an object: its category, and the names of the frames that it is in, without their ending."""

    category: str
    frames: frozenset[str]


def _read_videos(path: Path) -> Mapping[str, Mapping[int, _Object]]:
    """The objects of each video by their numbers."""
    try:
        videos = json.loads(path.read_text(encoding="utf-8"))["videos"]
    except OSError as error:
        raise DataError(
            f"'{path}' cannot be read: {error.strerror}. Expected YouTube-VOS's folder with train/ in it."
        ) from None
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {error.lineno}: {error.msg}. It is damaged; unpack it again.") from None
    except (KeyError, TypeError, UnicodeDecodeError):
        raise DataError(f"'{path}' has no entry \"videos\"; expected meta.json of YouTube-VOS.") from None
    if not isinstance(videos, dict) or not videos:
        raise DataError(f"'{path}' names no videos.")
    return {name: _read_objects(content, path, name) for name, content in videos.items()}


def _read_objects(content: Any, path: Path, video: str) -> Mapping[int, _Object]:
    try:
        return {
            int(number): _Object(str(entry["category"]), frozenset(str(frame) for frame in entry["frames"]))
            for number, entry in content["objects"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"'{path}', video '{video}': expected objects with their category and the frames that they are in ({error!r})."
        ) from None


def _read_validation(root: Path, names: Sequence[str] | None) -> list[BenchmarkSequence]:
    root = find_root(
        root,
        lambda folder: (folder / "meta.json").is_file() and folder.name.startswith("valid"),
        names=("valid", "YouTube-VOS"),
        expected="valid/meta.json, valid/JPEGImages/VIDEO/00000.jpg and valid/Annotations/VIDEO/00000.png",
    )
    meta = root / "meta.json"
    first = {
        f"{video}_{number}": (video, number, _first_frame(one, meta, video))
        for video, objects in sorted(_read_videos(meta).items())
        for number, one in objects.items()
    }
    there = folders_in(root / "JPEGImages") & folders_in(root / "Annotations")
    present = [name for name, (video, _, _) in first.items() if video in there]
    chosen = choose_sequences(names, present, complete=list(first), title="YouTube-VOS, validation", root=root)
    return [_validation_sequence(root, name, *first[name]) for name in chosen]


def _first_frame(one: _Object, meta: Path, video: str) -> str:
    if not one.frames:
        raise DataError(f"'{meta}', video '{video}': expected objects with the frames that they are in; one is in none.")
    return min(one.frames)


def _validation_sequence(root: Path, name: str, video: str, number: int, first: str) -> BenchmarkSequence:
    frames = [path for path in numbered_frames(root / "JPEGImages" / video).paths if path.stem >= first]
    mask = root / "Annotations" / video / f"{first}.png"
    boxes, size = tight_boxes(LabelMasks((mask,)), [0])
    if number not in boxes:
        raise DataError(f"'{mask}' shows no object {number}, which meta.json says is first to be seen there.")
    return BenchmarkSequence(name=name, regions=list(first_of(boxes[number], len(frames))), frames=frames, size=size)


def _read_masks(root: Path, names: Sequence[str] | None) -> list[BenchmarkSequence]:
    root = find_root(
        root,
        lambda folder: (folder / "meta.json").is_file() and (folder / "Annotations").is_dir(),
        names=("valid", "YouTube-VOS"),
        expected="meta.json and Annotations/VIDEO/00000.png, a mask in every fifth frame",
    )
    meta = root / "meta.json"
    videos = _read_videos(meta)
    masks = {video: numbered_masks(root / "Annotations" / video) for video in sorted(videos)}
    there = [
        video for video, paths in masks.items() if len(paths) > 1 and _frames(videos[video]) <= {path.stem for path in paths}
    ]
    if not there:
        raise DataError(
            f"No video in '{root}' has a mask in every frame that meta.json names. The truth of valid/ is not public; the "
            "server of the authors scores results on it. Give a folder whose truth is there, such as train/."
        )
    seen = _seen(root)
    wanted = None if names is None else [name if name in videos else name.rpartition("_")[0] or name for name in names]
    chosen = choose_sequences(wanted, there, complete=list(masks), title="YouTube-VOS", root=root) if wanted else there
    found = [one for video in chosen for one in _masked_objects(root, videos[video], masks[video], seen)]
    if names is None:
        return found
    if unknown := set(names) - {one.name for one in found} - set(chosen):
        raise SettingsError(f"YouTube-VOS has no object '{min(unknown)}'. {nearest(min(unknown), (one.name for one in found))}")
    return [one for one in found if one.name in names or one.name.rpartition("_")[0] in names]


def _frames(objects: Mapping[int, _Object]) -> frozenset[str]:
    """The names of the frames that any of the objects is in, without their ending."""
    return frozenset[str]().union(*(one.frames for one in objects.values()))


def _masked_objects(
    root: Path, named: Mapping[int, _Object], masks: Sequence[Path], seen: frozenset[str] | None
) -> list[BenchmarkSequence]:
    """The objects of a video that have a frame to be scored: one after that in which they appear."""
    video = masks[0].parent.name
    frames = [root / "JPEGImages" / video / f"{path.stem}.jpg" for path in masks]
    boxes, size = tight_boxes(LabelMasks(tuple(masks)), range(len(masks)))
    pictured = all(path.is_file() for path in frames)
    objects = []
    for number, rows in sorted(boxes.items()):
        first = int(np.flatnonzero(~np.isnan(rows[:, 0]))[0])
        if first == len(masks) - 1 or number not in named:
            continue
        category = named[number].category
        objects.append(
            BenchmarkSequence(
                name=f"{video}_{number}",
                regions=list(rows[first:]),
                frames=frames[first:] if pictured else (),
                masks=(masks[first:], number),
                attributes=frozenset() if seen is None else frozenset({"seen" if category in seen else "unseen"}),
                object_class=category,
                size=size,
            )
        )
    return objects


def _seen(root: Path) -> frozenset[str] | None:
    """Categories of the training set; None where its meta.json is not at hand."""
    known = [path for path in (root / "train" / "meta.json", root.parent / "train" / "meta.json") if path.is_file()]
    if not known:
        return None
    return frozenset(one.category for objects in _read_videos(known[0]).values() for one in objects.values())


TRAINING_SET = YouTubeVOS

BENCHMARKS = (
    Benchmark(
        name="youtube-vos-val",
        title="YouTube-VOS, validation",
        citation="Xu et al.: YouTube-VOS: Sequence-to-Sequence Video Object Segmentation, ECCV 2018",
        length=0,
        protocols=("ope",),
        preset="got10k-otb",
        read=_read_validation,
    ),
    Benchmark(
        name="youtubevos",
        title="YouTube-VOS, masks",
        citation="Xu et al.: YouTube-VOS: Sequence-to-Sequence Video Object Segmentation, ECCV 2018",
        length=0,
        protocols=("masks",),
        preset="youtube-vos",
        read=_read_masks,
    ),
)
