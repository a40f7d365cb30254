"""YouTube-VOS (Xu et al., ECCV 2018; youtube-vos.org, 2018 and 2019): masks of objects in every fifth frame.

train/ holds JPEGImages/VIDEO/00000.jpg, Annotations/VIDEO/00000.png (numbers of objects, see `palette_masks`) and meta.json,
which says the category of each object and the frames it is annotated in. With the frames of train_all_frames/ added to
JPEGImages/, the frames between annotated ones belong to the clip and have no annotation.

Boxes are tight around the pixels of an object. meta.json names frames in which an object has no pixel, most of them before it
appears (in 5937b08d69 object 4 in 00000, say): its box is NaN there.

As a benchmark: valid/ is laid out as train/, and has the mask of an object in the frame that it first appears in, no other; the
server of the authors scores results. A sequence, VIDEO_1, begins with that frame. Its later boxes are NaN, and masks are not
given, since there is not one a frame. The videos to validate on are 474 in 2018 and 507 in 2019: those that meta.json names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from siamtrack.datasets.benchmark import Benchmark, BenchmarkSequence
from siamtrack.datasets.benchmark_folders import choose_sequences, find_root, first_of
from siamtrack.datasets.clips import Clip, PictureFiles, Target, TrainingSet
from siamtrack.datasets.palette_masks import LabelMasks, tight_boxes
from siamtrack.datasets.sequence_folders import folders_in, numbered_frames, require_folders
from siamtrack.errors import DataError


class YouTubeVOS(TrainingSet):
    """See `TrainingSet`. Masks are decoded once for the boxes of a clip, and again for each mask that is asked for."""

    name = "youtube_vos"

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
        try:
            for number, entry in self._videos[name]["objects"].items():
                stems = set(entry["frames"])
                if absent := sorted(stems - set(position_of)):
                    raise DataError(
                        f"'{self._meta}' names frame {absent[0]} of '{name}', which '{frames.paths[0].parent}' does not hold."
                    )
                objects[int(number)] = str(entry["category"]), sorted(position_of[stem] for stem in stems)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"'{self._meta}', video '{name}': expected objects with category and frames ({error!r}).") from None
        if not any(positions for _, positions in objects.values()):
            raise DataError(f"'{self._meta}' names no annotated frame of '{name}'; expected at least one object with frames.")
        return objects


def _read_videos(path: Path) -> Mapping[str, Any]:
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
    return videos


def _read_validation(root: Path, names: Sequence[str] | None) -> list[BenchmarkSequence]:
    root = find_root(
        root,
        lambda folder: (folder / "meta.json").is_file() and folder.name.startswith("valid"),
        names=("valid", "YouTube-VOS"),
        expected="valid/meta.json, valid/JPEGImages/VIDEO/00000.jpg and valid/Annotations/VIDEO/00000.png",
    )
    meta = root / "meta.json"
    first = {
        f"{video}_{number}": (video, int(number), _first_frame(entry, meta, video))
        for video, content in sorted(_read_videos(meta).items())
        for number, entry in content["objects"].items()
    }
    there = folders_in(root / "JPEGImages") & folders_in(root / "Annotations")
    present = [name for name, (video, _, _) in first.items() if video in there]
    chosen = choose_sequences(names, present, complete=list(first), title="YouTube-VOS, validation", root=root)
    return [_validation_sequence(root, name, *first[name]) for name in chosen]


def _first_frame(entry: Any, meta: Path, video: str) -> str:
    """The name of the first frame of an object, without its ending."""
    try:
        return str(min(entry["frames"]))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"'{meta}', video '{video}': expected objects with the frames that they are in ({error!r}).") from None


def _validation_sequence(root: Path, name: str, video: str, number: int, first: str) -> BenchmarkSequence:
    frames = [path for path in numbered_frames(root / "JPEGImages" / video).paths if path.stem >= first]
    mask = root / "Annotations" / video / f"{first}.png"
    boxes, size = tight_boxes(LabelMasks((mask,)), [0])
    if number not in boxes:
        raise DataError(f"'{mask}' shows no object {number}, which meta.json says is first to be seen there.")
    return BenchmarkSequence(name=name, regions=list(first_of(boxes[number], len(frames))), frames=frames, size=size)


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
)
