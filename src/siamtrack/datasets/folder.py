"""A person's own annotated videos and pictures: one folder with whatever the annotation tools gave.

The formats are told by content, each by its module in `siamtrack.datasets.annotations`. A clip is a video, a folder of pictures
or a single picture, and named by its path in the folder. A folder may hold several formats; two annotations of one clip are
refused, so that nothing counts twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from siamtrack.datasets.annotations import coco_json, cvat, label_studio, mot, plain_text, yolo
from siamtrack.datasets.annotations.media import FRAME_FOLDERS, Found, Media, files_in
from siamtrack.datasets.clips import Clip, TrainingSet
from siamtrack.errors import DataError

_FORMATS = (cvat, coco_json, label_studio, mot, plain_text, yolo)
_ENDINGS = (".xml", ".json", ".csv", ".txt")


class Folder(TrainingSet):
    """See `TrainingSet`. Names come from the names of files and, where a tool puts many clips in one file, from that file."""

    name = "folder"

    def __init__(self, root: Path) -> None:
        self.root = root
        if not root.is_dir():
            raise DataError(f"The data folder '{root}' does not exist.")
        media = Media(root)
        found: list[Found] = [clip for module in _FORMATS for clip in module.find(media)]
        if not found:
            raise _nothing_found(media)
        _refuse_repetition(found)
        named = zip(_names([clip.key for clip in found], root), found, strict=True)
        self._clips = dict(sorted(named, key=lambda pair: pair[0]))

    @classmethod
    def recognises(cls, root: Path) -> bool:
        """Whether there is any file that may be an annotation."""
        return any(path.suffix.lower() in _ENDINGS for path in files_in(root))

    @property
    def names(self) -> Sequence[str]:
        """See `TrainingSet`."""
        return list(self._clips)

    def fingerprint(self) -> str:
        """A hash of all annotation files, as people go on correcting theirs."""
        content = hashlib.sha256()
        for source in sorted({clip.source for clip in self._clips.values()}):
            for path in [source] if source.is_file() else sorted(source.rglob("*.txt")):  # YOLO has a folder of files
                content.update(hashlib.sha256(path.read_bytes()).digest())
        return content.hexdigest()

    def clip(self, name: str) -> Clip:
        """See `TrainingSet`."""
        return self._clips[name].load(name)


def _nothing_found(media: Media) -> DataError:
    looked_for = "; ".join([cvat.LOOKS_LIKE, coco_json.LOOKS_LIKE, label_studio.LOOKS_LIKE, mot.LOOKS_LIKE, yolo.LOOKS_LIKE])
    there = ", ".join(path.name for path in media.others[:5]) or (
        "no file but videos and pictures" if any(files_in(media.root)) else "nothing"
    )
    return DataError(
        f"There is no annotation in '{media.root}'. Looked for {looked_for}; {'; '.join(plain_text.LOOKS_LIKE)}. "
        f"Found there: {there}. Unpack archives first."
    )


def _refuse_repetition(found: Sequence[Found]) -> None:
    sources: dict[Path, Path] = {}
    for clip in found:
        if clip.key in sources:
            raise DataError(
                f"'{sources[clip.key]}' and '{clip.source}' both annotate '{clip.key}'; keep one of them, so that nothing "
                "counts twice."
            )
        sources[clip.key] = clip.source
    for clip in found:  # a picture of a folder that another annotation takes as a sequence
        if clip.key.parent in sources and clip.key.is_file():
            raise DataError(
                f"'{sources[clip.key.parent]}' and '{clip.source}' both annotate the pictures in '{clip.key.parent}'; keep one "
                "of them, so that nothing counts twice."
            )


def _names(keys: Sequence[Path], root: Path) -> list[str]:
    """Paths in the folder, without ending and without img1/ and the like where that leaves them different."""
    full = [key.relative_to(root).as_posix() if key != root else root.resolve().name for key in keys]
    short = [_short(key, root, text) for key, text in zip(keys, full, strict=True)]
    counts: dict[str, int] = {}
    for text in [*full, *short]:
        counts[text] = counts.get(text, 0) + 1
    return [s if counts[s] == 1 + (s == f) else f for s, f in zip(short, full, strict=True)]


def _short(key: Path, root: Path, text: str) -> str:
    if key.is_file():
        return text[: -len(key.suffix)]
    if key.name in FRAME_FOLDERS and key != root:
        return key.parent.relative_to(root).as_posix() if key.parent != root else root.resolve().name
    return text


TRAINING_SET = Folder
