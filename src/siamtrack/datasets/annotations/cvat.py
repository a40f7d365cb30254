"""CVAT's own XML, version 1.1, as it lies in the archives that CVAT exports.

* "CVAT for video": <track id label> with <box frame outside keyframe xtl ytl xbr ybr> and other shapes. CVAT writes every
  frame; files with keyframes alone are filled in linearly. outside="1" hides the target until its next shape.
* "CVAT for images": <image name width height> with shapes. Images whose shapes have an attribute track_id are sequences by
  folder; of the others, each is a clip of one frame and each shape a target.

Corners are continuous (a box drawn over one pixel has xbr - xtl = 1), so w = xbr - xtl, without + 1. Of a shape that is no
upright box, the upright box around it is taken. Frames are numbered from 0. The video is the one that <source> names; pictures
are looked for in images/ beside the file: by the numbers in their names where these are CVAT's (frame_000000.PNG), else in
natural order.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path

from siamtrack.box import ABSENT, Box
from siamtrack.datasets.annotations.media import (
    VIDEO_ENDINGS,
    Found,
    Media,
    head_of,
    open_video,
    positions_by_number,
    sequences_among,
)
from siamtrack.datasets.annotations.shapes import around_ellipse, bounds, turned
from siamtrack.datasets.annotations.tracks import Key, Tracks, checked_clip, interpolated, last_position
from siamtrack.datasets.annotations.xml_lines import Element, read_xml
from siamtrack.datasets.clips import Clip, PictureFiles, Target
from siamtrack.errors import DataError

LOOKS_LIKE = "CVAT XML (annotations.xml: CVAT for video 1.1 or CVAT for images 1.1)"

_SHAPES = ("box", "polygon", "polyline", "points", "ellipse", "cuboid", "mask", "skeleton")
_FRAME_NAME = re.compile(r"frame_\d+")  # how CVAT names the frames of a video


def find(media: Media) -> list[Found]:
    """The clips of every such file in the folder.

    Raises:
        DataError: a file is no valid XML, or a video or picture that it speaks of is missing.
    """
    files = [path for path in media.others if path.suffix.lower() == ".xml" and "<annotations" in head_of(path)]
    return [found for path in files for found in _clips_of(path, media)]


def _clips_of(path: Path, media: Media) -> list[Found]:
    document = read_xml(path, until=("track", "image"))
    if document.tag != "annotations":
        return []
    if document.all("image"):
        return _clips_of_images(path, media)
    tasks = _tasks(document)
    if not tasks:
        raise DataError(f"'{path}' has no <meta> with a <task> or <job>, so it is no CVAT XML 1.1. Export it again.")
    return [_clip_of_task(task, len(tasks) > 1, path, media) for task in tasks]


def _tasks(document: Element) -> list[Element]:
    project = document.at("meta/project/tasks")
    meta = document.at("meta")
    return project.all("task") if project else meta.all("task", "job") if meta else []


def _clip_of_task(task: Element, several: bool, path: Path, media: Media) -> Found:
    source = task.value("source")
    number = task.value("id") if several else None
    pictures = _pictures_beside(path, media)
    if pictures is not None and (not source or media.find(source, path) is None) and not several:
        key: Path = pictures
    elif source:
        key = media.need(source, path)
    else:
        video = media.video_of(path)
        if video is None:
            raise DataError(
                f"'{path}' does not name its video, and there are no pictures in '{path.parent / 'images'}'. "
                f"{media.similar(path.stem)}"
            )
        key = video
    frames = PictureFiles(media.pictures(key)) if key == pictures else None
    return Found(key=key, source=path, load=partial(_load_video, path, number, key, frames))


def _pictures_beside(path: Path, media: Media) -> Path | None:
    folder = media.frame_folder(path.parent)
    if folder is not None:
        return folder
    below = [found for found in media.picture_folders() if found.is_relative_to(path.parent / "images")]
    return below[0] if len(below) == 1 else None  # images/default/ and the like


@lru_cache(maxsize=2)
def _document(path: Path, changed_ns: int, size: int) -> Element:
    """The content of the file as it was then: an export of a whole project is read once, not once a clip."""
    return read_xml(path)


def _load_video(path: Path, task_id: str | None, video: Path, frames: PictureFiles | None, name: str) -> Clip:
    stat = path.stat()
    document = _document(path, stat.st_mtime_ns, stat.st_size)
    task = next(task for task in _tasks(document) if task_id in (None, task.value("id")))
    tracks = [track for track in document.all("track") if task_id in (None, track.attributes.get("task_id"))]
    exported = frames is not None and all(re.fullmatch(r"frame_\d+", picture.stem) for picture in frames.paths)
    numbers = positions_by_number(frames) if frames is not None and exported else {}  # other names: frames are counted from 0
    targets = [_target(track, i, numbers) for i, track in enumerate(tracks) if track.all(*_SHAPES)]
    if frames is not None:
        return checked_clip(name, frames, targets, path, _size(task))
    footage, size = open_video(video, last_position(targets), path)
    return checked_clip(name, footage, targets, path, size)


def _size(task: Element) -> tuple[int, int] | None:
    found = task.at("original_size")
    texts = (found.value("width"), found.value("height")) if found else ("", "")
    if not all(texts):
        return None
    if not all(text.isdecimal() for text in texts):
        raise DataError(f"{found.where if found else ''}: the size {texts[0]} x {texts[1]} is not two whole numbers.")
    return int(texts[0]), int(texts[1])


def _target(track: Element, index: int, numbers: dict[int, int]) -> Target:
    keys = []
    for shape in track.all(*_SHAPES):
        number = shape.whole("frame")
        if numbers and number not in numbers:
            raise DataError(f"{shape.where}: no picture has the number of frame {number}; there are {len(numbers)} pictures.")
        box = _box(shape)
        shown = shape.whole("outside", 0) == 0 and not box.absent
        keys.append(Key(position=numbers.get(number, number), box=box, shown=shown, shown_after=shown))
    name = track.attributes.get("id", str(index))
    return interpolated(name, track.attributes.get("label", ""), keys, track.where)


def _box(shape: Element) -> Box:
    """The upright box around a shape of any kind; absent for a skeleton without points in view."""
    turn = shape.number("rotation", 0)
    if shape.tag == "box":
        box = Box.from_corners(*(shape.number(name) for name in ("xtl", "ytl", "xbr", "ybr")))
        return turned(box, turn, box.center)
    if shape.tag == "ellipse":
        cx, cy, rx, ry = (shape.number(name) for name in ("cx", "cy", "rx", "ry"))
        return around_ellipse((cx, cy), (rx, ry), turn)
    if shape.tag == "mask":
        return Box(*(shape.number(name) for name in ("left", "top", "width", "height")))
    if shape.tag == "cuboid":
        sides = [f"{side}{depth}" for side in ("tl", "bl", "tr", "br") for depth in (1, 2)]
        return bounds([[shape.number(f"x{side}"), shape.number(f"y{side}")] for side in sides])
    if shape.tag == "skeleton":
        inside = [part for part in shape.all(*_SHAPES) if part.whole("outside", 0) == 0]
        corners = [(b.x + dx * b.w, b.y + dy * b.h) for b in map(_box, inside) for dx, dy in ((0, 0), (1, 1))]
        return bounds(corners) if corners else ABSENT
    return bounds(_points(shape))


def _points(shape: Element) -> Sequence[tuple[float, float]]:
    text = shape.text_attribute("points")
    try:
        return [(float(x), float(y)) for x, y in (pair.split(",") for pair in text.split(";"))]
    except ValueError:
        raise DataError(f'{shape.where}: points="{text[:40]}" in <{shape.tag}> are no x,y pairs.') from None


def _clips_of_images(path: Path, media: Media) -> list[Found]:
    document = read_xml(path)
    images: dict[Path, list[Element]] = {}  # one a picture, or many a video
    for image in document.all("image"):
        images.setdefault(_place(image, document, path, media), []).append(image)
    videos = [place for place in images if place.suffix.lower() in VIDEO_ENDINGS]
    found = [Found(key=v, source=path, load=partial(_load_images, path, v, (), images[v])) for v in videos]
    for key, pictures in sequences_among(place for place in images if place not in videos).items():
        if repeated := [picture for picture in pictures if len(images[picture]) > 1]:
            raise DataError(f"'{path}' has more than one <image> for '{repeated[0]}'.")
        inside = [images[picture][0] for picture in pictures]
        if any(_track_id(shape) is not None for image in inside for shape in image.all(*_SHAPES)):
            found.append(Found(key=key, source=path, load=partial(_load_images, path, None, pictures, inside)))
        else:
            alone = [(p, i) for p, i in zip(pictures, inside, strict=True) if i.all(*_SHAPES)]
            found += [Found(key=p, source=path, load=partial(_load_images, path, None, (p,), [i])) for p, i in alone]
    return found


def _place(image: Element, document: Element, path: Path, media: Media) -> Path:
    name = image.text_attribute("name")
    found = media.find(name, path)
    if found is None and _FRAME_NAME.match(Path(name).name):  # a video, annotated image by image and exported without images
        source = next((task.value("source") for task in _tasks(document)), "")
        found = media.find(source, path) if source else media.video_of(path)
    return found or media.need(name, path)


def _track_id(shape: Element) -> str | None:
    return next((a.text.strip() for a in shape.all("attribute") if a.attributes.get("name") == "track_id"), None) or None


def _load_images(path: Path, video: Path | None, pictures: tuple[Path, ...], images: Sequence[Element], name: str) -> Clip:
    tracks = Tracks()
    for index, image in enumerate(images):
        position = index if video is None else image.whole("id")
        for shape in image.all(*_SHAPES):
            if not (box := _box(shape)).absent:
                track = tracks.of(_track_id(shape), shape.attributes.get("label", ""), position)
                track.add(position, box, where=shape.where)
    targets = tracks.targets()
    if video is not None:
        footage, size = open_video(video, last_position(targets), path)
        return checked_clip(name, footage, targets, path, size)
    size = (images[0].whole("width"), images[0].whole("height")) if "width" in images[0].attributes else None
    return checked_clip(name, PictureFiles(pictures), targets, path, size)
