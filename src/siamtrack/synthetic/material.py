"""The pictures that training pairs are made of: still images, cut-out objects, annotated tracks; found in folders.

What a folder may hold, at any depth; names that begin with a dot count for nothing:
* a PNG or WebP image with a transparent part (alpha below one half): a cut-out object;
* `NAME_seg.png` beside an image NAME: a label map whose segments are cut-out objects (as in BSDS500);
* `annotations.json` beside images: {"NAME": {"boxes": [[x, y, w, h], ...], "polygons": [[x1, y1, x2, y2, ...], ...]}}, or
  just the list of boxes; NAME without its ending; pixels, 0-based; a class number may stand in front of each. Boxes mark
  objects worth tracking in a still, polygons become cut-outs;
* `groundtruth.txt` beside a folder of frames (itself, or `img/`): one line x,y,w,h a frame: a track;
* any other image: a still, opaque ones beside cut-outs among them.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from siamtrack.box import Box
from siamtrack.errors import DataError, InputError
from siamtrack.image import PICTURE_ENDINGS, Image
from siamtrack.results import read_boxes
from siamtrack.synthetic.picture_files import IN_MEMORY, as_uint8, decoded, opened, read_rgb

MIN_OBJECT_PX = 24  # an object smaller than this on either side teaches nothing but blur


@dataclass(frozen=True)
class Still:
    """A still image and the boxes of objects in it (perhaps none)."""

    path: Path
    boxes: tuple[Box, ...] = ()

    def read(self) -> Image:
        """The picture."""
        return read_rgb(self.path)


@dataclass(frozen=True)
class Cutout:
    """An object with alpha: a whole RGBA file, or a region of another picture."""

    path: Path
    segment: int | None = None  # label in `<name>_seg.png`
    polygon: tuple[float, ...] | None = None  # x1, y1, x2, y2, ... pixels

    def read(self) -> NDArray[np.uint8]:
        """RGBA, cropped to where alpha is above one half: (h, w, 4)."""
        return _read_cutout(self)


@dataclass(frozen=True)
class Track:
    """A real object followed through the frames of a clip."""

    frames: tuple[Path, ...]
    boxes: tuple[Box, ...]

    @cached_property
    def present(self) -> list[int]:
        """Indices of the frames in which the object can be seen."""
        return [i for i, box in enumerate(self.boxes) if not box.absent and min(box.w, box.h) > 0]

    def read(self, index: int) -> Image:
        """One frame."""
        return read_rgb(self.frames[index])


@dataclass(frozen=True)
class Material:
    """All that was found, in a fixed order."""

    stills: tuple[Still, ...]
    cutouts: tuple[Cutout, ...]
    tracks: tuple[Track, ...]

    def part(self, which: Literal["training", "validation"], *, validation_share: float = 0.05) -> Material:
        """The share of the material for training or for validation, by a hash of the file names, so that no picture is in
        both and adding files moves none.
        """

        def chosen(path: Path) -> bool:
            held_out = zlib.crc32(f"{path.parent.name}/{path.name}".encode()) % 1000 < 1000 * validation_share
            return held_out == (which == "validation")

        return Material(
            tuple(s for s in self.stills if chosen(s.path)),
            tuple(c for c in self.cutouts if chosen(c.path)),
            self.tracks if which == "training" else (),
        )

    def digest(self) -> str:
        """SHA-256 of what decides which pairs are drawn: order, folder names, names, sizes in bytes and annotations.

        The pixels are not read, and where the folders lie does not matter.

        Raises:
            DataError: a file is not there any more.
        """
        content = hashlib.sha256()
        for still in self.stills:
            content.update(repr(("still", _entry(still.path), still.boxes)).encode())
        for cutout in self.cutouts:
            files = [cutout.path] if cutout.segment is None else [cutout.path, _labels_beside(cutout.path)]
            content.update(repr(("cutout", *map(_entry, files), cutout.segment, cutout.polygon)).encode())
        for track in self.tracks:
            content.update(repr(("track", *map(_entry, track.frames), track.boxes)).encode())
        return content.hexdigest()


def _entry(path: Path) -> tuple[str, str, int]:
    try:
        return path.parent.name, path.name, path.stat().st_size
    except OSError as error:
        raise DataError(f"'{path}' cannot be read any more: {error.strerror}.") from None


def find_material(folders: Sequence[Path]) -> Material:
    """Everything usable in the folders.

    Raises:
        DataError: a folder does not exist, an annotation file cannot be read, or nothing usable was found.
    """
    stills: list[Still] = []
    cutouts: list[Cutout] = []
    tracks: list[Track] = []
    for folder in folders:
        if not folder.is_dir():
            raise DataError(f"The data folder '{folder}' does not exist; give folders that hold images.")
        for directory in [folder, *sorted(p for p in folder.rglob("*") if p.is_dir() and _is_shown(p.relative_to(folder)))]:
            if (directory / "groundtruth.txt").is_file():
                tracks.append(_track(directory))
            elif not (directory.parent / "groundtruth.txt").is_file():
                found = _pictures(directory)
                stills.extend(found[0])
                cutouts.extend(found[1])
    if not stills and not cutouts and not tracks:
        raise DataError(
            f"No still images, cut-outs or tracks in {', '.join(map(str, folders))}; expected files ending in "
            f"{', '.join(sorted(PICTURE_ENDINGS))}."
        )
    return Material(tuple(stills), tuple(cutouts), tuple(tracks))


def _is_shown(path: Path) -> bool:
    """Whether no part of the path begins with a dot, as names of what is half written and of macOS's own files do."""
    return not any(part.startswith(".") for part in path.parts)


def _pictures(directory: Path) -> tuple[list[Still], list[Cutout]]:
    images = list(_images(directory))
    annotations = _annotations(directory / "annotations.json")
    if unknown := sorted(annotations.keys() - {path.stem for path in images}):
        raise DataError(
            f"'{directory / 'annotations.json'}' names '{unknown[0]}', and there is no such picture beside it; expected the "
            "names of pictures without their endings."
        )
    stills: list[Still] = []
    cutouts: list[Cutout] = []
    for path in images:
        if path.stem.endswith("_seg"):
            continue
        if path.suffix.lower() in (".png", ".webp") and _has_alpha(path):
            cutouts.append(Cutout(path))
            continue
        boxes, polygons = annotations.get(path.stem, ((), ()))
        stills.append(Still(path, boxes))
        cutouts.extend(Cutout(path, polygon=polygon) for polygon in polygons)
        if _labels_beside(path).is_file():
            cutouts.extend(Cutout(path, segment=label) for label in _usable_segments(_label_map(path)))
    return stills, cutouts


def _images(directory: Path) -> Iterator[Path]:
    found = (p for p in sorted(directory.iterdir()) if p.suffix.lower() in PICTURE_ENDINGS and p.is_file())
    return (p for p in found if not p.name.startswith("."))


def _has_alpha(path: Path) -> bool:
    image = opened(path, cv2.IMREAD_UNCHANGED)
    return image is not None and image.ndim == 3 and image.shape[2] == 4 and int(as_uint8(image[:, :, 3]).min()) < 128


_Annotation = tuple[tuple[Box, ...], tuple[tuple[float, ...], ...]]


def _annotations(path: Path) -> dict[str, _Annotation]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {name: _annotation(entry) for name, entry in content.items()}
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise DataError(f"'{path}' is not in the expected form ({error}); see siamtrack.synthetic.material for it.") from None


def _annotation(entry: Any) -> _Annotation:
    entry = entry if isinstance(entry, dict) else {"boxes": entry}
    boxes = (Box(*map(float, row[-4:])) for row in entry.get("boxes", []))
    polygons = (tuple(map(float, row[len(row) % 2 :])) for row in entry.get("polygons", []))
    large = [p for p in polygons if min(np.ptp(p[0::2]), np.ptp(p[1::2])) >= MIN_OBJECT_PX]
    return tuple(b for b in boxes if min(b.w, b.h) >= MIN_OBJECT_PX), tuple(large)


def _labels_beside(picture: Path) -> Path:
    return picture.with_name(f"{picture.stem}_seg.png")


def _label_map(picture: Path) -> NDArray[Any]:
    """(H, W), of an integer type: the labels of the picture's pixels."""
    path = _labels_beside(picture)
    labels = opened(path, cv2.IMREAD_UNCHANGED)
    if labels is None or labels.ndim != 2:
        raise DataError(f"'{path}' cannot be read as a label map; expected a one-channel image.")
    height, width = read_rgb(picture).shape[:2]
    if labels.shape != (height, width):
        raise DataError(
            f"The label map '{path}' has {labels.shape[1]}x{labels.shape[0]} pixels; its picture has {width}x{height}."
        )
    return labels


def _usable_segments(labels: NDArray[Any]) -> list[int]:
    """Segments that look like objects: neither tiny, nor most of the picture, nor touching two opposite borders."""
    usable = []
    for label in np.unique(labels):
        mask = labels == label
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        spans = height == labels.shape[0] or width == labels.shape[1]
        if min(height, width) >= 2 * MIN_OBJECT_PX and mask.sum() > 0.35 * height * width and not spans:
            usable.append(int(label))
    return usable


def _track(directory: Path) -> Track:
    frames = tuple(_images(directory / "img" if (directory / "img").is_dir() else directory))
    try:
        boxes = tuple(Box(*map(float, row)) for row in read_boxes(directory / "groundtruth.txt"))
    except InputError as error:
        raise DataError(str(error)) from None
    if not frames or len(frames) != len(boxes):
        raise DataError(f"The track '{directory}' has {len(frames)} frames and {len(boxes)} boxes; expected one box a frame.")
    track = Track(frames, boxes)
    if not track.present:
        raise DataError(f"The track '{directory}' has no frame with its object; every box is NaN or has no area. Remove it.")
    return track


def _read_cutout(cutout: Cutout) -> NDArray[np.uint8]:
    return IN_MEMORY.get(cutout, lambda: _cut_out(cutout))


def _cut_out(cutout: Cutout) -> NDArray[np.uint8]:
    if cutout.segment is None and cutout.polygon is None:
        rgba = decoded(cutout.path, cv2.IMREAD_UNCHANGED)[:, :, [2, 1, 0, 3]]
    else:
        rgb = read_rgb(cutout.path)
        if cutout.segment is not None:
            mask = (_label_map(cutout.path) == cutout.segment).astype(np.uint8)
        else:
            points = np.round(np.reshape(np.array(cutout.polygon), (-1, 2))).astype(np.int32)
            mask = cv2.fillPoly(np.zeros(rgb.shape[:2], np.uint8), [points], 1).astype(np.uint8)
        rgba = np.dstack([rgb, cv2.GaussianBlur(mask * 255, (3, 3), 0)])
    solid = rgba[:, :, 3] > 127
    rows, columns = np.flatnonzero(solid.any(1)), np.flatnonzero(solid.any(0))
    if not len(rows):
        raise DataError(f"The cut-out in '{cutout.path}' is empty: its alpha is nowhere above one half.")
    return rgba[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].copy()  # a view would keep the rest in memory
