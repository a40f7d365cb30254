"""Tables of boxes: siamtrack's own CSV, and groundtruth.txt as benchmarks of single targets have it.

* NAME.csv with the header frame,target,x,y,w,h,score (see `siamtrack.result_layouts`), beside the video NAME.mp4, the folder
  NAME or the folder NAME/img; frames count from 0.
* groundtruth.txt, 0-based and just as written, or OTB's groundtruth_rect.txt, 1-based: x,y,w,h a line for each frame, beside
  the frames or img/, or a video. NaN, or no width and height at all, says that the target is not in view.
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

from siamtrack.box import ABSENT, Box
from siamtrack.datasets.annotations.media import VIDEO_ENDINGS, Found, Media, head_of, open_video
from siamtrack.datasets.annotations.tracks import Tracks, checked_clip, last_position
from siamtrack.datasets.clips import Clip, PictureFiles
from siamtrack.errors import DataError, InputError
from siamtrack.results import Row, read_boxes, read_rows

LOOKS_LIKE = "siamtrack CSV (frame,target,x,y,w,h) as NAME.csv beside a video or folder NAME", "groundtruth.txt beside img/"

_COLUMNS = {"frame", "target", "x", "y", "w", "h"}
_ONE_BASED = "groundtruth_rect.txt"
_GROUND_TRUTH = ("groundtruth.txt", _ONE_BASED)


def find(media: Media) -> list[Found]:
    """The clips of every such file in the folder.

    Raises:
        DataError: the video or the pictures of a file are missing.
    """
    tables = [path for path in media.others if path.suffix.lower() == ".csv" and _speaks_of_boxes(path, media)]
    lines = [path for path in media.others if path.name in _GROUND_TRUTH]
    return [_found(path, _beside_table(path, media), media) for path in tables] + [
        _found(path, media.frame_folder(path.parent) or media.video_of(path), media) for path in lines
    ]


def _speaks_of_boxes(path: Path, media: Media) -> bool:
    """Whether it is a table of boxes, or one that lacks a column and has its video or pictures beside it."""
    first = head_of(path).split("\n")[0]
    cells = {cell.strip() for cell in first.split(",")}
    if cells >= _COLUMNS or not first.strip():
        return True
    beside = any(video.with_suffix("") == path.with_suffix("") for video in media.videos)
    return len(cells & _COLUMNS) >= 3 and (beside or media.frame_folder(path.with_suffix("")) is not None)


def _beside_table(path: Path, media: Media) -> Path | None:
    videos = [video for video in media.videos if video.stem == path.stem]
    beside = [video for video in videos if video.parent == path.parent]
    folder = media.frame_folder(path.with_suffix(""))
    if folder is not None and beside:
        raise DataError(f"'{path}' may speak of '{folder}' or of '{beside[0]}'; keep one of them.")
    if folder is not None or not videos:
        return folder
    return beside[0] if len(beside) == 1 else media.find(videos[0].name, path)


def _found(path: Path, place: Path | None, media: Media) -> Found:
    if place is None:
        raise DataError(
            f"The frames of '{path}' are missing: there is no video and no folder of pictures beside it that has its name. "
            f"{media.similar(path.stem)}"
        )
    frames = None if place.suffix.lower() in VIDEO_ENDINGS else PictureFiles(media.pictures(place))
    return Found(key=place, source=path, load=partial(_load, path, place, frames))


def _load(path: Path, place: Path, frames: PictureFiles | None, name: str) -> Clip:
    tracks = Tracks()
    for row in _rows(path):
        box = (
            ABSENT if row.box.absent or row.lost else row.box
        )  # where a tracker took it for gone, its box shows something else
        tracks.of(str(row.target), "", row.frame).add(row.frame, box, where=str(path))
    targets = tracks.targets()
    if frames is not None:
        if path.name in _GROUND_TRUTH and (lines := 1 + last_position(targets)) < len(frames):
            raise DataError(
                f"'{path}' has {lines} lines for {len(frames)} frames; expected one a frame, NaN where it is absent."
            )
        return checked_clip(name, frames, targets, path)
    footage, size = open_video(place, last_position(targets), path)
    return checked_clip(name, footage, targets, path, size)


def _rows(path: Path) -> list[Row]:
    try:
        if path.name not in _GROUND_TRUTH:
            return read_rows(path, format="csv")
        first = 1 if path.name == _ONE_BASED else 0
        boxes = [Box(x - first, y - first, w, h) for x, y, w, h in read_boxes(path).tolist()]
    except InputError as error:
        raise DataError(str(error)) from None
    if not boxes:
        raise DataError(f"'{path}' is empty; expected x,y,w,h a line.")
    boxes = [ABSENT if box.w == box.h == 0 else box for box in boxes]
    return [Row(frame=i, target=0, box=box, score=math.nan) for i, box in enumerate(boxes)]
