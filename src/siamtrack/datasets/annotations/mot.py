"""MOTChallenge sequences: SEQ/gt/gt.txt, SEQ/img1/000001.jpg, SEQ/seqinfo.ini; and the same as exported by CVAT.

A line is frame,id,left,top,w,h,flag,class,visibility; frames count from 1. Rows with flag 0 are left out: since MOT16 they
mark distractors and what is not to be judged. MOT15 has ten columns, of which the last three are places in the world, not
class and visibility. Corners are 1-based in MOTChallenge's own files (motchallenge.net/instructions), so 1 is taken from left
and top. Not so with a gt/labels.txt beside: CVAT and Datumaro write it, and write their 0-based corners as they are. Widths
and heights are continuous in both. Frames are found by the numbers in their names, else by order; CVAT's export may lack
img1/, then the video is the one beside it.
"""

from __future__ import annotations

import configparser
import math
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from siamtrack.box import Box
from siamtrack.datasets.annotations.media import Found, Media, head_of, open_video, positions_by_number, text_of
from siamtrack.datasets.annotations.tracks import Tracks, checked_clip, last_position
from siamtrack.datasets.clips import Clip, PictureFiles
from siamtrack.errors import DataError

LOOKS_LIKE = "MOT (SEQ/gt/gt.txt beside SEQ/img1 or a video)"

# Classes of MOT16 and later (Milan et al., arXiv:1603.00831) and 13 of its development kit, from 1.
_CLASSES = (
    *("pedestrian", "person on vehicle", "car", "bicycle", "motorbike", "non motorized vehicle", "static person"),
    *("distractor", "occluder", "occluder on the ground", "occluder full", "reflection", "crowd"),
)
_EXPECTED = "frame,id,left,top,width,height,flag with class and visibility, as numbers"


def find(media: Media) -> list[Found]:
    """The clips of every such file in the folder.

    Raises:
        DataError: a sequence has neither pictures nor a video.
    """
    return [_clip_of(path, media) for path in media.others if path.name == "gt.txt" and _looks_right(path)]


def _looks_right(path: Path) -> bool:
    first = head_of(path).strip().split("\n")[0]
    return not first or len(re.split(r"[,\s]+", first.strip().rstrip(","))) >= 6


def _clip_of(path: Path, media: Media) -> Found:
    sequence = path.parent.parent if path.parent.name == "gt" else path.parent
    information = _sequence_information(sequence / "seqinfo.ini")
    named = sequence / information.get("imdir", "img1")
    folder = named if media.pictures(named) else media.frame_folder(sequence)
    size = _size(information, sequence / "seqinfo.ini")
    if folder is not None:
        return Found(key=folder, source=path, load=partial(_load, path, PictureFiles(media.pictures(folder)), None, size))
    video = media.video_of(path)
    if video is None:
        raise DataError(
            f"The frames of '{path}' are missing: there are no pictures in '{named}', and no video alone there or named like "
            f"the folder. {media.similar(sequence.name)}"
        )
    return Found(key=video, source=path, load=partial(_load, path, None, video, size))


def _sequence_information(path: Path) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text_of(path) if path.is_file() else "")
    except configparser.Error as error:
        raise DataError(f"'{path}' cannot be read: {str(error).splitlines()[0]}") from None
    return dict(parser["Sequence"]) if "Sequence" in parser else {}


def _size(information: dict[str, str], path: Path) -> tuple[int, int] | None:
    if not {"imwidth", "imheight"} <= set(information):
        return None
    try:
        return int(information["imwidth"]), int(information["imheight"])
    except ValueError:
        raise DataError(f"'{path}': imWidth and imHeight are no whole numbers.") from None


def _load(path: Path, frames: PictureFiles | None, video: Path | None, size: tuple[int, int] | None, name: str) -> Clip:
    numbers = positions_by_number(frames) if frames is not None else {}
    if 0 in numbers:  # pictures that are counted from 0, though frames are counted from 1
        numbers = {}
    targets = _read(path, numbers).targets()
    if frames is not None:
        return checked_clip(name, frames, targets, path, size)
    assert video is not None
    footage, size = open_video(video, last_position(targets), path)
    return checked_clip(name, footage, targets, path, size)


def _read(path: Path, numbers: dict[int, int]) -> Tracks:
    labels = path.with_name("labels.txt")
    classes: Sequence[str] = text_of(labels).splitlines() if labels.is_file() else _CLASSES
    shift = 0.0 if labels.is_file() else 1.0
    tracks = Tracks()
    for number, line in enumerate(text_of(path).splitlines(), 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        cells = _numbers(line, where)
        if cells[6] == 0:
            continue
        category = _class_name(int(cells[7]), classes) if len(cells) in (8, 9) else ""
        visibility = cells[8] if len(cells) == 9 else math.nan
        frame = int(cells[0])
        if numbers and frame not in numbers:
            raise DataError(f"{where}: no picture has the number of frame {frame}; there are {len(numbers)} pictures.")
        position = numbers.get(frame, frame - 1)
        box = Box(cells[2] - shift, cells[3] - shift, cells[4], cells[5])
        identity = str(int(cells[1])) if cells[1] >= 0 else None  # -1: a box that was drawn alone, without a track
        tracks.of(identity, category, position).add(position, box, visibility=visibility, where=where)
    return tracks


def _numbers(line: str, where: str) -> list[float]:
    try:
        cells = [float(cell) for cell in re.split(r"\s*,\s*|\s+", line.strip().rstrip(","))]
        if (
            len(cells) < 6
            or not all(math.isfinite(v) for v in cells[:6])
            or not (cells[0].is_integer() and cells[1].is_integer())
        ):
            raise ValueError
        if len(cells) > 7 and not cells[7].is_integer() and len(cells) < 10:
            raise ValueError
    except ValueError:
        raise DataError(f"{where}: found '{line.strip()[:60]}', expected {_EXPECTED}.") from None
    return cells if len(cells) > 6 else [*cells, 1.0]


def _class_name(number: int, classes: Sequence[str]) -> str:
    return classes[number - 1].strip() if 1 <= number <= len(classes) else "" if number < 0 else str(number)
