"""Ten annotated clips as five tools export them: beetles that look much alike crawl over litter. A tracker that was trained
on everyday pictures mixes them up, and can be taught better.

    python tests/beetles.py my-videos
    python tests/beetles.py other-videos 100    # with other beetles
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from siamtrack.box import Box
from siamtrack.image import Image
from siamtrack.video import VideoWriter

WIDTH, HEIGHT, FRAMES, ANNOTATED = 320, 240, 40, 2
_SPOTS = ((190, 60, 40), (200, 180, 60), (70, 140, 90))


class Beetles:
    """A clip of eight beetles; the first two are annotated."""

    def __init__(self, seed: int, *, frames: int = FRAMES, count: int = 8) -> None:
        rng = np.random.default_rng(seed)
        ground = np.zeros((HEIGHT, WIDTH, 3), np.float32)
        for cells, weight in ((6, 1.0), (20, 0.8), (70, 0.9)):
            shape = (cells * 3 // 4, cells)
            noise = rng.standard_normal((*shape, 1)) + 0.2 * rng.standard_normal((*shape, 3))
            ground += weight * cv2.resize(noise.astype(np.float32), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        self._ground = np.clip(np.array([120, 105, 80]) + 26 * ground / ground.std(), 0, 255).astype(np.uint8)
        self._spots = rng.uniform(-0.5, 0.5, (count, 3, 2)) * [0.7, 0.4]
        self._lengths = 26 * rng.uniform(0.9, 1.1, count)
        self.frames = frames
        self._path = list(_crawl(rng, count, frames))

    def box(self, beetle: int, number: int) -> Box:
        """The box of a beetle in a frame."""
        (x, y), angle = (values[beetle] for values in self._path[number])
        long, short = self._lengths[beetle] * np.array([0.5, 0.32])
        width = float(np.hypot(long * np.cos(angle), short * np.sin(angle)))
        height = float(np.hypot(long * np.sin(angle), short * np.cos(angle)))
        return Box.from_center(float(x), float(y), 2 * width, 2 * height)

    def image(self, number: int) -> Image:
        """A frame."""
        frame = self._ground.copy()
        for place, angle, length, spots in zip(*self._path[number], self._lengths, self._spots, strict=True):
            axes = tuple(int(length * share * 256) for share in (0.5, 0.32))
            cv2.ellipse(frame, _fixed(place), axes, np.rad2deg(angle), 0, 360, (52, 38, 30), -1, cv2.LINE_AA, 8)
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            for spot, colour in zip(spots, _SPOTS, strict=True):
                cv2.circle(frame, _fixed(place + turn @ spot * length), int(length * 25.6), colour, -1, cv2.LINE_AA, 8)
        return frame


def _crawl(rng: np.random.Generator, count: int, frames: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    angles = rng.uniform(0, 2 * np.pi, count)
    places = rng.uniform((60, 60), (WIDTH - 60, HEIGHT - 60), (count, 2))
    for _ in range(frames):
        yield places, angles
        inward = np.array([WIDTH / 2, HEIGHT / 2]) - places
        wanted = (np.arctan2(inward[:, 1], inward[:, 0]) - angles + np.pi) % (2 * np.pi) - np.pi
        angles = angles + rng.normal(0, 0.12, count) + np.where(np.hypot(*inward.T) > 80, 0.15 * wanted, 0)
        places = places + 2.2 * np.stack([np.cos(angles), np.sin(angles)], 1)


def _fixed(place: np.ndarray) -> tuple[int, int]:
    return int(place[0] * 256), int(place[1] * 256)


def write(folder: Path, first: int = 0, frames: int = FRAMES) -> None:
    """All ten clips, from seed `first` on: two each of CVAT, YOLO, COCO, MOT and Label Studio."""
    for number, kind in enumerate((_cvat, _yolo, _coco, _mot, _label_studio)):
        for clip in (2 * number, 2 * number + 1):
            kind(folder / kind.__name__[1:].replace("_", "-"), f"clip{clip}", Beetles(first + clip, frames=frames))


def _rows(clip: Beetles) -> list[list[Box]]:
    return [[clip.box(beetle, number) for number in range(clip.frames)] for beetle in range(ANNOTATED)]


def _video(path: Path, clip: Beetles) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, fps=25) as video:
        for number in range(clip.frames):
            video.write(clip.image(number))


def _pictures(folder: Path, clip: Beetles, pattern: str = "{:06d}.jpg", first: int = 1) -> Sequence[Path]:
    folder.mkdir(parents=True)
    paths = [folder / pattern.format(number + first) for number in range(clip.frames)]
    for number, path in enumerate(paths):
        assert cv2.imwrite(str(path), clip.image(number)[..., ::-1])
    return paths


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _cvat(folder: Path, name: str, clip: Beetles) -> None:
    _video(folder / f"{name}.mp4", clip)
    tracks = ""
    for number, boxes in enumerate(_rows(clip)):
        tracks += f'<track id="{number}" label="beetle" source="manual">\n'
        for frame, (x, y, w, h) in enumerate(boxes):
            corners = f'xtl="{x:.2f}" ytl="{y:.2f}" xbr="{x + w:.2f}" ybr="{y + h:.2f}"'
            tracks += f'<box frame="{frame}" keyframe="1" outside="0" occluded="0" {corners} z_order="0"></box>\n'
        tracks += "</track>\n"
    size = f"<original_size><width>{WIDTH}</width><height>{HEIGHT}</height></original_size>"
    meta = f"<version>1.1</version><meta><task><id>7</id>{size}<source>{name}.mp4</source></task></meta>"
    xml = f'<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n{meta}\n{tracks}</annotations>\n'
    _put(folder / f"task_{name}" / "annotations.xml", xml)


def _yolo(folder: Path, name: str, clip: Beetles) -> None:
    for path, boxes in zip(_pictures(folder / "images" / name, clip), zip(*_rows(clip), strict=True), strict=True):
        lines = ""
        for number, box in enumerate(boxes, 1):
            cx, cy = box.center
            lines += f"0 {cx / WIDTH:.6f} {cy / HEIGHT:.6f} {box.w / WIDTH:.6f} {box.h / HEIGHT:.6f} {number}\n"
        _put(folder / "labels" / name / f"{path.stem}.txt", lines)
    _put(folder / "data.yaml", "path: .\ntrain: images\nnames:\n  0: beetle\n")


def _coco(folder: Path, name: str, clip: Beetles) -> None:
    paths = _pictures(folder / name / "images" / "default", clip, "frame_{:06d}.PNG", first=0)
    size = {"width": WIDTH, "height": HEIGHT}
    images = [{"id": number, "file_name": path.name, **size} for number, path in enumerate(paths, 1)]
    annotations = [
        {
            "image_id": frame,
            "category_id": 1,
            "bbox": [round(v, 2) for v in box],
            "iscrowd": 0,
            "attributes": {"track_id": track},
        }
        for track, boxes in enumerate(_rows(clip))
        for frame, box in enumerate(boxes, 1)
    ]
    content = {
        "images": images,
        "annotations": [{"id": number, **row} for number, row in enumerate(annotations, 1)],
        "categories": [{"id": 1, "name": "beetle"}],
    }
    _put(folder / name / "annotations" / "instances_default.json", json.dumps(content))


def _mot(folder: Path, name: str, clip: Beetles) -> None:
    _pictures(folder / name / "img1", clip)
    lines = [
        f"{frame},{track},{box.x + 1:.2f},{box.y + 1:.2f},{box.w:.2f},{box.h:.2f},1,1,1.0"
        for track, boxes in enumerate(_rows(clip), 1)
        for frame, box in enumerate(boxes, 1)
    ]
    _put(folder / name / "gt" / "gt.txt", "\n".join(lines))
    information = (
        f"name={name}\nimDir=img1\nframeRate=25\nseqLength={clip.frames}\nimWidth={WIDTH}\nimHeight={HEIGHT}\nimExt=.jpg\n"
    )
    _put(folder / name / "seqinfo.ini", f"[Sequence]\n{information}")


def _label_studio(folder: Path, name: str, clip: Beetles) -> None:
    _video(folder / f"{name}.mp4", clip)
    results = []
    for track, boxes in enumerate(_rows(clip)):
        sequence = [
            {"frame": frame, "enabled": True, "time": frame / 25, "rotation": 0}
            | {"x": 100 * x / WIDTH, "y": 100 * y / HEIGHT, "width": 100 * w / WIDTH, "height": 100 * h / HEIGHT}
            for frame, (x, y, w, h) in enumerate(boxes, 1)
        ]
        value = {"framesCount": clip.frames, "duration": clip.frames / 25, "sequence": sequence, "labels": ["Beetle"]}
        results.append({"id": f"r{track}", "type": "videorectangle", "from_name": "box", "to_name": "video", "value": value})
    task = {"id": 1, "data": {"video": f"/data/upload/1/0a1b2c3d-{name}.mp4"}, "annotations": [{"id": 1, "result": results}]}
    _put(folder / f"project-{name}.json", json.dumps([task]))


if __name__ == "__main__":
    write(Path(sys.argv[1]), *map(int, sys.argv[2:]))
