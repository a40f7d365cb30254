"""YOLO labels: one text file a picture, `class cx cy w h [track id]` a line, as shares of the picture's width and height.

Labels lie in labels/ where pictures lie in images/ (Ultralytics, CVAT), or beside the pictures (darknet, CVAT's YOLO 1.1).
Pictures with track ids are sequences by folder; of the others, each labelled picture is a clip of one frame and each box a
target. Ultralytics' track mode writes labels of a video as VIDEO_FRAME.txt, frames from 1; where CVAT exported a video without
its images, names are frame_NNNNNN.txt, frames from 0, and the video is the one beside the labels.

A sixth number is a track id where it is whole, else the confidence of a prediction; of seven, the last is the id after a
confidence. More numbers are the corners of a polygon (segments, oriented boxes), with a track id where they are odd in
number, and give the upright box around it. The size of a clip's first picture is taken for all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from siamtrack.box import Box
from siamtrack.datasets.annotations.media import (
    VIDEO_ENDINGS,
    Found,
    Media,
    head_of,
    open_video,
    picture_size,
    sequences_among,
    text_of,
)
from siamtrack.datasets.annotations.shapes import bounds
from siamtrack.datasets.annotations.tracks import Tracks, checked_clip
from siamtrack.datasets.annotations.yolo_names import class_names
from siamtrack.datasets.clips import Clip, PictureFiles
from siamtrack.errors import DataError

LOOKS_LIKE = "YOLO (images/*.jpg with labels/*.txt, or .txt beside the pictures, or labels/VIDEO_FRAME.txt of a video)"

_SAMPLES = 20  # label files of a folder that are opened to see whether it has track ids
_LINE = re.compile(r"\d+(?:\.0+)?(?:\s+-?(?:[01]?\.\d+|[01]|\d(?:\.\d+)?e-\d+)){4}(?:\s+\S+)*\s*")
_EXPECTED = "class cx cy w h, with a track id or more corners, as shares of the picture"
_Shares = tuple[int, str | None, Box]  # class, track id, box as shares of the picture


def find(media: Media) -> list[Found]:
    """The clips of every folder of labels.

    Raises:
        DataError: the picture or video of a label file is missing.
    """
    folders: dict[Path, list[Path]] = {}
    for path in media.others:
        if path.suffix.lower() == ".txt":
            folders.setdefault(path.parent, []).append(path)
    return [found for folder, files in folders.items() for found in _clips_of(folder, files, media)]


def _clips_of(folder: Path, files: Sequence[Path], media: Media) -> Iterator[Found]:
    pictures = {path.stem: path for path in media.pictures(_picture_folder(folder))} | {
        path.stem: path for path in media.pictures(folder)
    }
    samples = files if len(files) <= _SAMPLES else [files[i] for i in np.linspace(0, len(files) - 1, _SAMPLES, dtype=int)]
    texts = [head_of(path) for path in samples]
    if not any(_LINE.fullmatch(_first_line(text)) for text in texts):
        return  # other text files, or labels without a single box
    names = class_names(folder, media.root)
    labels: dict[Path, Path] = {}  # picture to labels
    videos: dict[Path, list[tuple[int, Path]]] = {}
    for path in files:
        if path.stem in pictures:
            labels[pictures[path.stem]] = path
        elif (frame := _frame_of_video(path, media)) is not None:
            videos.setdefault(frame[0], []).append((frame[1], path))
        elif _LINE.fullmatch(_first_line(head_of(path))):
            place = media.need(path.stem, path)
            if place.suffix.lower() in VIDEO_ENDINGS:
                raise DataError(f"'{path}' has the name of the video '{place}', but no frame number: expected NAME_FRAME.txt.")
            labels[place] = path
    for video, frames in videos.items():
        yield Found(key=video, source=folder, load=partial(_load, video, (), frames, names))
    if any(map(_has_ids, texts)):
        for key, frames_of in sequences_among({*pictures.values(), *labels}).items():
            numbered = [(i, labels[path]) for i, path in enumerate(frames_of) if path in labels]
            if numbered:
                yield Found(key=key, source=folder, load=partial(_load, None, frames_of, numbered, names))
    else:
        for picture, path in labels.items():
            yield Found(key=picture, source=path, load=partial(_load, None, (picture,), [(0, path)], names))


def _picture_folder(labels: Path) -> Path:
    """The folder with "images" in place of the last "labels" of the path."""
    parts = list(labels.parts)
    places = [i for i, part in enumerate(parts) if part == "labels"]
    return Path(*parts[: places[-1]], "images", *parts[places[-1] + 1 :]) if places else labels


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def _has_ids(text: str) -> bool:
    lines = text.splitlines()[:-1] or [text]  # the last line of a long file may be cut
    return any(_LINE.fullmatch(line.strip()) and _identity(line.split()) is not None for line in lines)


def _identity(cells: Sequence[str]) -> str | None:
    """The track id of a line; class and corners of a polygon are odd in number."""
    may_have = len(cells) in (6, 7) or len(cells) % 2 == 0
    return cells[-1] if may_have and cells[-1].isdecimal() else None


def _frame_of_video(path: Path, media: Media) -> tuple[Path, int] | None:
    named = re.fullmatch(r"(.+)_(\d+)", path.stem)
    if not named:
        return None
    video = media.find(named[1], path)
    if video is not None and video.suffix.lower() in VIDEO_ENDINGS:
        return video, int(named[2]) - 1
    alone = media.video_of(path.parent) if named[1] == "frame" else None
    return (alone, int(named[2])) if alone else None


def _load(
    video: Path | None, pictures: Sequence[Path], labels: Sequence[tuple[int, Path]], names: dict[int, str], name: str
) -> Clip:
    rows = [(position, f"{path}, line {i}", line) for position, path in labels for i, line in _lines(path)]
    source = labels[0][1].parent
    if video is not None:
        footage, size = open_video(video, max(position for position, _ in labels), source)
        if size is None:
            raise DataError(f"'{video}' does not say the size of its frames.")
    else:
        size = picture_size(pictures[0])
    tracks = Tracks()
    for position, where, line in rows:
        number, identity, box = _shares(line, where)
        scaled = Box(box.x * size[0], box.y * size[1], box.w * size[0], box.h * size[1])
        tracks.of(identity, names.get(number, str(number)), position).add(position, scaled, where=where)
    frames = footage if video is not None else PictureFiles(tuple(pictures))
    return checked_clip(name, frames, tracks.targets(), source, size)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    yield from ((number, line) for number, line in enumerate(text_of(path).splitlines(), 1) if line.strip())


def _shares(line: str, where: str) -> _Shares:
    """What a line says.

    Raises:
        DataError: it is no such line.
    """
    cells = line.split()
    try:
        values = [float(cell) for cell in cells]
        if len(values) < 5 or not np.isfinite(values).all() or not values[0].is_integer():
            raise ValueError
        identity = _identity(cells)
        polygon = len(values) > 7 or (len(values) == 7 and identity is None)
        box = bounds(values[1 : len(values) - (identity is not None)]) if polygon else Box.from_center(*values[1:5])
        if max(map(abs, box)) > 4:
            raise ValueError  # pixels
    except ValueError:
        raise DataError(f"{where}: found '{line.strip()[:60]}', expected {_EXPECTED}.") from None
    return int(values[0]), identity, box
