"""The XML files of ImageNet's VID and DET, and the folders they lie in.

Corners are edges between pixels here: x = xmin, w = xmax - xmin. The devkit does not say what they are. VATIC, which VID was
labelled with, writes left and left + width of what was drawn, and PySOT's scripts for VID and DET take corners so. SiamFC's
first scripts add 1, the habit of VOC. For DET nothing else is known; either way the difference is 1 pixel of w and h.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from siamtrack.box import Box
from siamtrack.datasets.annotations.xml_lines import Element, read_xml
from siamtrack.errors import DataError

_UNPACKED = (Path(), Path("ILSVRC2015"), Path("ILSVRC"))  # the folders in the archives of 2015 and 2017


class LabelledObject(NamedTuple):
    """An object in a picture."""

    where: str  # file and line, for messages
    track: str  # its trackid; empty in DET
    category: str  # WordNet id, n02084071 for dogs
    box: Box
    occluded: bool


class Annotation(NamedTuple):
    """What one file says of its picture."""

    size: tuple[int, int] | None  # (width, height), pixels
    objects: list[LabelledObject]


def has_task(root: Path, task: str) -> bool:
    """Whether annotations of the task "VID" or "DET" lie in the folder, or in the one that the archives unpack to there."""
    return any((root / folder / "Annotations" / task / "train").is_dir() for folder in _UNPACKED)


def training_folders(root: Path, task: str) -> tuple[Path, Path]:
    """The folders of annotations and of pictures of a task's training part.

    Raises:
        DataError: one of them is missing.
    """
    base = next((root / f for f in _UNPACKED if (root / f / "Annotations" / task / "train").is_dir()), root)
    folders = base / "Annotations" / task / "train", base / "Data" / task / "train"
    for folder in folders:
        if not folder.is_dir():
            raise DataError(
                f"There is no folder '{folder}'; expected Annotations/{task}/train and Data/{task}/train of ILSVRC."
            )
    return folders


def read_annotation(path: Path) -> Annotation:
    """The objects in a file, in its order; boxes as annotated, also without area or outside the picture.

    Raises:
        DataError: it is missing or damaged; the message names the line.
    """
    root = read_xml(path)
    size = root.at("size")
    objects = [_labelled(element) for element in root.all("object")]
    return Annotation(None if size is None else (int(_number(size, "width")), int(_number(size, "height"))), objects)


def _labelled(element: Element) -> LabelledObject:
    corners = (_number(element, f"bndbox/{name}") for name in ("xmin", "ymin", "xmax", "ymax"))
    return LabelledObject(
        where=element.where,
        track=element.value("trackid"),
        category=element.value("name"),
        box=Box.from_corners(*corners),
        occluded=element.value("occluded") == "1",
    )


def _number(element: Element, path: str) -> float:
    text = element.value(path)
    try:
        return float(text)
    except ValueError:
        raise DataError(f"{element.where}: found '{text}' in <{element.tag}> at {path}, expected a number.") from None
