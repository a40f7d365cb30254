"""YouTube-BoundingBoxes, training part (Real et al., CVPR 2017; research.google.com/youtube-bb): 380,000 clips, a box a second.

Google gives the annotation only: yt_bb_detection_train.csv (or youtube_boundingboxes_detection_train.csv, as its archive is
called in other places), without heading, a line being youtube_id,timestamp_ms,class_id,class_name,object_id,object_presence,
xmin,xmax,ymin,ymax with corners as shares of the picture, -1 where the object is absent. Pictures are what people's scripts
download, beside the file and one for each line, in either of two layouts:

* yt_bb_detection_train/CLASS/VIDEO_TIMESTAMP_CLASS_OBJECT.jpg, as youtube-bb-utility (mehdi-shiba) writes and PySOT reads it;
* JPEGImages/VIDEO+CLASS+OBJECT+TIMESTAMP.jpg in youtubebb2017/ in youtubebbdevkit2017/ or youtubebbdevkit/, as voc_convert.py
  of mbuckler/youtube-bb writes it.

Many videos are gone, and scripts leave out frames in which the object is absent. So only lines that have their picture count,
and only clips that have one. A clip, VIDEO+CLASS+OBJECT, shows one object: those three identify a segment, says Google.

* present: the box, continuous, w = (xmax - xmin) times the width; visibility NaN. absent: a box of NaN, visibility 0.
  uncertain: the frame is in the clip, and nothing is said about it.
* The size of a clip's first readable picture is taken for all of them; the line does not say it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from siamtrack.box import ABSENT, Box
from siamtrack.datasets.annotations.media import picture_size
from siamtrack.datasets.clips import Clip, PictureFiles, Target, TrainingSet
from siamtrack.datasets.sequence_folders import folders_in
from siamtrack.errors import DataError

_LISTS = ("yt_bb_detection_train.csv", "youtube_boundingboxes_detection_train.csv")
_BY_CLASS = Path("yt_bb_detection_train")
_TOGETHER = tuple(Path(kit, "youtubebb2017", "JPEGImages") for kit in ("youtubebbdevkit2017", "youtubebbdevkit"))
_COLUMNS = 10
_EXPECTED = "youtube_id,timestamp_ms,class_id,class_name,object_id,object_presence,xmin,xmax,ymin,ymax"


class YouTubeBB(TrainingSet):
    """See `TrainingSet`. Opening reads the names of all pictures and goes through the file once, some seconds each."""

    name = "youtube_bb"

    def __init__(self, root: Path) -> None:
        self.root = root
        self._file = next((root / name for name in _LISTS if (root / name).is_file()), root / _LISTS[0])
        if not self._file.is_file():
            raise DataError(f"There is no '{self._file}'; expected the list of YouTube-BB, unpacked from .csv.gz.")
        self._pictures = _pictures_in(root)
        self._places = _places(self._file, set(self._pictures.clips()))  # of the clips in the file
        self._names = sorted(self._places)
        if not self._names:
            raise DataError(f"No picture in '{self._pictures.folder}' belongs to a line of '{self._file}'.")

    @classmethod
    def recognises(cls, root: Path) -> bool:
        """Whether there is the official list."""
        return any((root / name).is_file() for name in _LISTS)

    @property
    def names(self) -> Sequence[str]:
        """See `TrainingSet`."""
        return self._names

    def clip(self, name: str) -> Clip:
        """See `TrainingSet`."""
        rows = [(row, path) for row in self._rows(name) if (path := self._pictures.of(row)).is_file()]
        if not rows:
            raise DataError(
                f"None of the pictures of '{name}' in '{self._pictures.folder}' belongs to a line of '{self._file}'."
            )
        rows.sort(key=lambda pair: pair[0].milliseconds)
        frames = PictureFiles(tuple(path for _, path in rows))
        width, height = _size_of_first(frames)
        said = [(i, row) for i, (row, _) in enumerate(rows) if row.presence != "uncertain"]
        shares = np.array([row.shares for _, row in said], np.float64).reshape(-1, 4)
        target = Target(
            name=rows[0][0].target,
            category=rows[0][0].category_name,
            positions=np.array([i for i, _ in said], np.int64),
            boxes=shares * (width, height, width, height),
            visibility=np.array([np.nan if row.presence == "present" else 0.0 for _, row in said], np.float64),
        )
        return Clip(name=name, frames=frames, targets=(target,), size=(width, height))

    def _rows(self, name: str) -> Iterator[_Row]:
        """The lines of a clip."""
        start, end = self._places[name]
        with self._file.open("rb") as file:
            file.seek(start)
            lines = file.read(end - start).splitlines(keepends=True)
        for line in lines:
            if _clip_of(line.split(b",")) == name:
                yield _row(line.decode(errors="replace"), self._file, start)
            start += len(line)


class _Row(NamedTuple):
    """A line that is in order."""

    video: str
    milliseconds: int
    category: str
    category_name: str
    target: str
    presence: str
    shares: Box  # of the picture's size


@dataclass(frozen=True)
class _Pictures:
    """Where the pictures are, and what they are called."""

    folder: Path
    by_class: bool  # the first layout

    def of(self, row: _Row) -> Path:
        """The picture of a line."""
        if self.by_class:
            name = f"{row.video}_{row.milliseconds}_{row.category}_{row.target}.jpg"  # the script writes class as in the list
            return self.folder / row.category / name
        return self.folder / f"{row.video}+{row.category}+{row.target}+{row.milliseconds}.jpg"

    def clips(self) -> Iterator[str]:
        """The clip of every picture."""
        for folder in sorted(folders_in(self.folder)) if self.by_class else [""]:
            with os.scandir(self.folder / folder) as entries:
                for entry in entries:
                    stem = entry.name.removesuffix(".jpg")
                    if self.by_class and stem.count("_") >= 3:  # ids of videos may have some
                        video, _, category, target = stem.rsplit("_", 3)
                        yield f"{video}+{category}+{target}"
                    elif not self.by_class:
                        yield stem.rpartition("+")[0]


def _pictures_in(root: Path) -> _Pictures:
    for folder in (_BY_CLASS, *_TOGETHER):
        if (root / folder).is_dir():
            return _Pictures(root / folder, folder == _BY_CLASS)
    raise DataError(
        f"There are no pictures in '{root}'; expected them in one of: {', '.join(map(str, (_BY_CLASS, *_TOGETHER)))}."
    )


def _clip_of(cells: Sequence[bytes]) -> str:
    return b"+".join((cells[0], cells[2], cells[4])).decode(errors="replace") if len(cells) > 4 else ""


def _places(path: Path, wanted: set[str]) -> dict[str, tuple[int, int]]:
    """Where the first line of each of these clips begins and its last one ends, in bytes; lines of others may lie between."""
    places: dict[str, tuple[int, int]] = {}
    start = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            cells = line.split(b",")
            if len(cells) != _COLUMNS:
                raise DataError(f"{path}, line {number}: found {len(cells)} cells, expected {_COLUMNS}: {_EXPECTED}.")
            clip = _clip_of(cells)
            end = start + len(line)
            if clip in wanted:
                places[clip] = (places[clip][0] if clip in places else start, end)
            start = end
    return places


def _row(line: str, path: Path, start: int) -> _Row:
    """The line that begins at this byte."""
    cells = line.strip().split(",")
    try:
        left, right, top, bottom = map(float, cells[6:])
        shares = {"present": Box.from_corners(left, top, right, bottom), "absent": ABSENT, "uncertain": ABSENT}[cells[5]]
        return _Row(cells[0], int(cells[1]), cells[2], cells[3], cells[4], cells[5], shares)
    except (ValueError, KeyError):
        with path.open("rb") as file:
            number = file.read(start).count(b"\n") + 1
        raise DataError(f"{path}, line {number}: found '{line.strip()[:120]}', expected {_EXPECTED}.") from None


def _size_of_first(frames: PictureFiles) -> tuple[int, int]:
    """(width, height) of the first picture that can be read; downloads leave empty files behind."""
    for path in frames.paths[:-1]:
        try:
            return picture_size(path)
        except DataError:
            continue
    return picture_size(frames.paths[-1])


TRAINING_SET = YouTubeBB
