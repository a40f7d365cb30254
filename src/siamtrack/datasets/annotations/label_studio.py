"""Label Studio's exports "JSON" and "JSON-MIN": rectangles in videos (VideoRectangle) and images (RectangleLabels).

Lengths are in percent of the frame. A turned rectangle is turned clockwise about its top left corner. The frames of a video
count from 1; between keyframes the box is linear, after the last it stays to the end of the video, and enabled: false hides it
after that keyframe until the next. Label Studio counts frames by the rate in its labelling configuration (25 a second unless
<Video framerate> says otherwise), not by the video's own; where its framesCount is not the number of frames in the file, frame
numbers are stretched by the ratio of the two. An image is a clip of one frame and each rectangle a target.

Media are found by file name, also without the hash that an upload puts before it. Of several annotations of a task the one
marked as ground truth counts, else the first that was not cancelled; predictions are not read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from siamtrack.box import Box
from siamtrack.datasets.annotations.json_files import documents
from siamtrack.datasets.annotations.media import VIDEO_ENDINGS, Found, Media, open_video, picture_size
from siamtrack.datasets.annotations.shapes import turned
from siamtrack.datasets.annotations.tracks import Key, Tracks, checked_clip, interpolated
from siamtrack.datasets.clips import Clip, PictureFiles, Target, VideoFile
from siamtrack.errors import DataError
from siamtrack.image import PICTURE_ENDINGS

LOOKS_LIKE = "Label Studio JSON (a list of video or image tasks)"

_SAME_LENGTH = 2  # frames by which framesCount and the file may differ and still count alike


def find(media: Media) -> list[Found]:
    """The clips of every such file in the folder.

    Raises:
        DataError: a file is no valid JSON, or a video or picture that it speaks of is missing.
    """
    return [
        Found(key=place, source=path, load=partial(_load, path, place, results))
        for path, tasks in documents(media, "[")
        for task in tasks
        if isinstance(task, dict) and (results := _results(task))
        for place in [_place(task, path, media)]
    ]


def _results(task: dict[str, Any]) -> list[dict[str, Any]]:
    """What was drawn: each with a `value` that has a sequence (video) or x, y, width and height (image)."""
    if isinstance(task.get("annotations"), list):
        kept = [entry for entry in task["annotations"] if isinstance(entry, dict) and not entry.get("was_cancelled")]
        chosen = next((entry for entry in kept if entry.get("ground_truth")), kept[0] if kept else {})
        results = [entry for entry in chosen.get("result", []) if isinstance(entry, dict)]
    else:  # JSON-MIN: the values themselves, in lists under the names of the control tags
        values = [value for values in task.values() if isinstance(values, list) for value in values]
        results = [{"value": value} for value in values if isinstance(value, dict)]
    labels = {entry.get("id"): _label(entry) for entry in results if entry.get("id") and _label(entry)}
    drawn = [entry for entry in results if isinstance(entry.get("value"), dict) and _is_drawn(entry["value"])]
    return [entry | {"label": _label(entry) or labels.get(entry.get("id"), "")} for entry in drawn]


def _is_drawn(value: dict[str, Any]) -> bool:
    return bool(value.get("sequence")) or {"x", "y", "width", "height"} <= set(value)


def _label(result: dict[str, Any]) -> str:
    value = result.get("value")
    names = (value or {}).get("labels") or (value or {}).get("rectanglelabels") if isinstance(value, dict) else None
    return str(names[0]) if isinstance(names, list) and names else ""


def _place(task: dict[str, Any], path: Path, media: Media) -> Path:
    names = list(_file_names(task))
    places = [place for name in names if (place := media.find(name, path)) is not None]
    if places:
        return places[0]
    if not names:
        raise DataError(f"'{path}': task {task.get('id')} names no video and no picture in its data.")
    return media.need(names[0], path)


def _file_names(task: dict[str, Any]) -> Iterator[str]:
    """File names in the data of a task, such as /data/upload/1/0a1b2c3d-clip.mp4 and /data/local-files/?d=clips/clip.mp4."""
    data = task.get("data")
    for text in (data if isinstance(data, dict) else task).values():
        if isinstance(text, str):
            address = urlsplit(text)
            inside = parse_qs(address.query).get("d", [])
            name = PurePosixPath((inside[0] if inside else unquote(address.path)).replace("\\", "/"))
            if name.suffix.lower() in VIDEO_ENDINGS | PICTURE_ENDINGS:
                yield str(name)


def _load(path: Path, place: Path, results: list[dict[str, Any]], name: str) -> Clip:
    if place.suffix.lower() not in VIDEO_ENDINGS:
        size = picture_size(place)
        tracks = Tracks()
        for result in results:
            box = _box(result["value"], size, f"{path}, {place.name}")
            tracks.of(result.get("id"), result["label"], 0).add(0, box, where=str(path))
        return checked_clip(name, PictureFiles((place,)), tracks.targets(), path, size)
    footage, video_size = open_video(place, -1, path)
    if video_size is None or not len(footage):
        raise DataError(f"'{place}' does not say how many frames of what size it has; write it anew as MP4.")
    targets = [
        _target(result, i, footage, video_size, path) for i, result in enumerate(results) if "sequence" in result["value"]
    ]
    return checked_clip(name, footage, targets, path, video_size)


def _target(result: dict[str, Any], index: int, footage: VideoFile, size: tuple[int, int], path: Path) -> Target:
    value = result["value"]
    where = f"{path}, region {result.get('id', index)}"
    stretch = _stretch(value.get("framesCount"), len(footage))
    keys: dict[int, Key] = {}  # where frames are closer than in the video, the later key counts
    if not isinstance(value["sequence"], list) or not value["sequence"]:
        raise DataError(f"{where}: its sequence is {value['sequence']!r}; expected a list of key frames.")
    for entry in sorted(value["sequence"], key=lambda entry: _number(entry, "frame", where)):
        position = round((_number(entry, "frame", where) - 1) * stretch)
        shown_after = entry.get("enabled", True) is not False
        keys[position] = Key(position=position, box=_box(entry, size, where), shown_after=shown_after)
    last = keys[max(keys)]
    if last.shown_after and last.position < len(footage) - 1:
        keys[len(footage) - 1] = Key(position=len(footage) - 1, box=last.box)
    return interpolated(str(result.get("id", index)), result["label"], list(keys.values()), where)


def _stretch(declared: Any, count: int) -> float:
    if not isinstance(declared, int | float) or declared <= 0 or abs(declared - count) <= _SAME_LENGTH:
        return 1.0
    return count / float(declared)


def _box(value: dict[str, Any], size: tuple[int, int], where: str) -> Box:
    x, y, w, h = (_number(value, key, where) / 100 for key in ("x", "y", "width", "height"))
    box = Box(x * size[0], y * size[1], w * size[0], h * size[1])
    return turned(box, _number({"rotation": 0} | value, "rotation", where), (box.x, box.y))


def _number(values: dict[str, Any], key: str, where: str) -> float:
    if not isinstance(values, dict):
        raise DataError(f"{where}: a key frame is {values!r}; expected a table with frame, x, y, width and height.")
    try:
        number = float(values[key])
    except (KeyError, TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise DataError(f"{where}: {key} is {values.get(key)!r}; expected a number.")
    return number
