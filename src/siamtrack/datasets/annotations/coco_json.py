"""COCO JSON: images, annotations with bbox (x, y, w, h, continuous pixels, 0-based), categories.

Images with a video_id are the frames of that video by frame_id or frame_index (COCO-VID, TAO). Without it, images whose
annotations have a track id are sequences by folder, and of the others each annotated image is a clip of one frame. A track id
is `track_id` or `instance_id` of an annotation, or `track_id` in its `attributes`, where CVAT puts it, beside `rotation`: the
bbox is then what was drawn before it was turned about its centre. Crowds (iscrowd 1) are no single objects and left out.

Pictures are found by the end of their path. Where CVAT exported a video without its images, all names are frame_NNNNNN, from
0, and the video is the one beside the file. Masks are not read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from siamtrack.box import Box
from siamtrack.datasets.annotations.json_files import documents
from siamtrack.datasets.annotations.media import VIDEO_ENDINGS, Found, Media, open_video, sequences_among
from siamtrack.datasets.annotations.shapes import turned
from siamtrack.datasets.annotations.tracks import Tracks, checked_clip, last_position
from siamtrack.datasets.clips import Clip, PictureFiles
from siamtrack.errors import DataError

LOOKS_LIKE = "COCO JSON (an object with images and annotations)"

_FRAME_NAME = re.compile(r"frame_(\d+)")


@dataclass(frozen=True, kw_only=True)
class _Image:
    """An image of the file with its annotations."""

    number: int | None  # of the frame in a video
    video: Any  # video_id
    place: Path  # the picture, or the video that it is a frame of
    size: tuple[int, int] | None
    annotations: tuple[dict[str, Any], ...]


def find(media: Media) -> list[Found]:
    """The clips of every such file in the folder.

    Raises:
        DataError: a file is no valid JSON or lacks what COCO has, or a picture that it speaks of is missing.
    """
    found = []
    for path, document in documents(media, "{"):
        if isinstance(document.get("images"), list) and isinstance(document.get("annotations"), list):
            try:
                found += _clips_of(path, document, media)
            except (KeyError, TypeError, AttributeError, ValueError) as error:
                raise DataError(f"'{path}' is not laid out as COCO JSON: {type(error).__name__} {error}.") from None
    return found


def _clips_of(path: Path, document: dict[str, Any], media: Media) -> list[Found]:
    categories = {entry["id"]: str(entry["name"]) for entry in document.get("categories", [])}
    images = _images(path, document, media)
    found = []
    load = partial(_load, path, categories)
    videos: dict[Any, list[_Image]] = {}
    for image in images:
        if image.video is not None:
            videos.setdefault(image.video, []).append(image)
        elif image.place.suffix.lower() in VIDEO_ENDINGS:
            videos.setdefault(image.place, []).append(image)
    for frames in videos.values():
        ordered = sorted(frames, key=lambda image: -1 if image.number is None else image.number)
        found.append(Found(key=_key(ordered, images), source=path, load=partial(load, ordered)))
    by_place = {image.place: image for image in images if image.video is None and image.place not in videos}
    for key, pictures in sequences_among(by_place).items():
        inside = [by_place[picture] for picture in pictures]
        if any(_track_id(annotation) is not None for image in inside for annotation in image.annotations):
            found.append(Found(key=key, source=path, load=partial(load, inside)))
        else:
            found += [Found(key=i.place, source=path, load=partial(load, [i])) for i in inside if i.annotations]
    return found


def _images(path: Path, document: dict[str, Any], media: Media) -> list[_Image]:
    annotations: dict[Any, list[dict[str, Any]]] = {}
    for annotation in document["annotations"]:
        if not annotation.get("iscrowd"):
            annotations.setdefault(annotation["image_id"], []).append(annotation)
    names = {video["id"]: str(video.get("name", "")) for video in document.get("videos", [])}
    images = []
    for entry in document["images"]:
        number = entry.get("frame_id", entry.get("frame_index"))
        place = media.find(entry["file_name"], path)
        if place is None:
            place, number = _place_in_video(entry, number, names.get(entry.get("video_id"), ""), path, media)
        size = (int(entry["width"]), int(entry["height"])) if entry.get("width") and entry.get("height") else None
        images.append(
            _Image(
                number=None if number is None else int(number),
                video=entry.get("video_id"),
                place=place,
                size=size,
                annotations=tuple(annotations.pop(entry["id"], ())),
            )
        )
    if annotations:
        raise DataError(f"'{path}' has annotations of image {next(iter(annotations))}, which is not among its images.")
    _refuse_repetition(path, images)
    return images


def _refuse_repetition(path: Path, images: Sequence[_Image]) -> None:
    seen = set()
    for image in images:
        identity = image.place, image.number if image.place.suffix.lower() in VIDEO_ENDINGS else None
        if identity in seen:
            raise DataError(f"'{path}' has more than one image that is '{image.place}'.")
        seen.add(identity)


def _place_in_video(entry: dict[str, Any], number: Any, video: str, path: Path, media: Media) -> tuple[Path, Any]:
    """The video that an image without a picture file is a frame of, and the frame's number."""
    frame = _FRAME_NAME.match(PurePosixPath(entry["file_name"]).name)
    place = media.find(video, path) if video else media.video_of(path) if frame else None
    number = int(frame[1]) if number is None and frame else number
    if place is None or number is None or place.suffix.lower() not in VIDEO_ENDINGS:
        return media.need(entry["file_name"], path), number
    return place, number


def _key(frames: Sequence[_Image], images: Sequence[_Image]) -> Path:
    """What names the clip: the video, the folder of its pictures, or that with the video's id where others share it."""
    place = frames[0].place
    if place.suffix.lower() in VIDEO_ENDINGS:
        return place
    shared = any(image.place.parent == place.parent and image.video != frames[0].video for image in images)
    return place.parent / str(frames[0].video) if shared else place.parent


def _track_id(annotation: dict[str, Any]) -> str | None:
    attributes = annotation.get("attributes") or {}
    candidates = (annotation.get("track_id"), annotation.get("instance_id"), attributes.get("track_id"))
    return next((str(value) for value in candidates if value is not None), None)


def _load(path: Path, categories: dict[Any, str], images: Sequence[_Image], name: str) -> Clip:
    of_video = images[0].place.suffix.lower() in VIDEO_ENDINGS
    tracks = Tracks()
    for index, image in enumerate(images):
        position = image.number if of_video and image.number is not None else index
        for annotation in image.annotations:
            where = f"{path}, annotation {annotation.get('id')}"
            if (box := _box(annotation, where)) is not None:
                category = categories.get(annotation.get("category_id"), "")
                tracks.of(_track_id(annotation), category, position).add(position, box, where=where)
    targets = tracks.targets()
    if of_video:
        footage, size = open_video(images[0].place, last_position(targets), path)
        return checked_clip(name, footage, targets, path, size)
    return checked_clip(name, PictureFiles(tuple(image.place for image in images)), targets, path, images[0].size)


def _box(annotation: dict[str, Any], where: str) -> Box | None:
    if "bbox" not in annotation:
        return None
    try:
        box = Box(*(float(value) for value in annotation["bbox"]))
        rotation = float((annotation.get("attributes") or {}).get("rotation") or 0)
    except (TypeError, ValueError):
        raise DataError(f"{where}: the bbox {annotation['bbox']} is not four numbers x, y, w, h.") from None
    return turned(box, rotation, box.center)
