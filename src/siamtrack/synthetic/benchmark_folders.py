"""Rendered sequences as benchmark data sets in their official layouts: OTB, VOT and DAVIS 2017.

* OTB (Wu, Lim, Yang, TPAMI 2015): NAME/img/0001.jpg, and NAME/groundtruth_rect.txt with x,y,w,h a line, 1-based; of several
  targets groundtruth_rect.1.txt and so on, as Jogging has. The outline is clipped to the frame: OTB's own code takes a box with
  x or y below 1 for none at all, and of the 59,035 boxes of OTB-100 only 8 have one (Biker, Crowds). A target that is not in
  view is four NaN; that is ours, OTB has a box in every frame but for two lines of zeros.
* VOT (Kristan et al., VOT2018, and the toolkit's reader): list.txt, NAME/color/00000001.jpg, NAME/groundtruth.txt, 0-based,
  NAME/sequence with key=value lines, and NAME/TAG.tag with 0 or 1 a line. Regions may leave the frame, as those of VOT2018 do
  by more than a pixel in 15 of its 60 sequences. A target that is not in view is four nan, as in VOT's long-term sets.
* VOT with masks (VOT2020 to VOT2022): groundtruth.txt has the pixels that are to be seen, and NAME/anchor.value says where
  trackers start, 1 to go forwards and -1 to go backwards.
* DAVIS 2017 (Pont-Tuset et al.): JPEGImages/480p/NAME/00000.jpg, Annotations/480p/NAME/00000.png, palette pictures of the
  numbers of objects in DAVIS's own colours, and names in ImageSets/2017/val.txt. Frames keep their size; "480p" is a name.

Frames are JPEG of quality 95. The list of names is written last, when all sequences are there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from siamtrack.box import ABSENT, Box
from siamtrack.errors import DataError, SettingsError, nearest
from siamtrack.mask_files import palette_png
from siamtrack.metrics.vot_masks import PlacedMask
from siamtrack.synthetic.made_folder import begin_folder, new_folders, row_text, write_bytes, write_picture, write_text
from siamtrack.synthetic.truth import Labelled

TAGS = ("camera_motion", "illum_change", "motion_change", "occlusion", "size_change")
"""What VOT says of each frame."""

_BETWEEN_ANCHORS = 50  # frames
_VOID = 255  # in masks of DAVIS: belongs to no object for certain


@dataclass(frozen=True, kw_only=True, eq=False)
class RenderedSequence:
    """A sequence to be written.

    Raises:
        SettingsError: a name that no folder can have, no target, an unknown tag, or no frame rate.
    """

    name: str  # of its folder
    frames: Iterable[Labelled]  # gone through once, and not at all where the sequence is finished already
    fps: int = 25
    targets: tuple[int, ...] = (1,)  # the objects that OTB and VOT follow; DAVIS has all of them
    tags: Mapping[str, Sequence[bool]] = field(default_factory=dict)  # by TAGS, those that are known; one value a frame

    def __post_init__(self) -> None:
        if self.name[:1] in ("", ".") or Path(self.name).name != self.name:
            raise SettingsError(f"A sequence cannot be called '{self.name}'; expected the name of a folder, not hidden.")
        if not self.targets or min(self.targets) < 1:
            raise SettingsError(f"The targets of '{self.name}' are {self.targets}; expected numbers of objects, from 1.")
        for tag in self.tags:
            if tag not in TAGS:
                raise SettingsError(f"There is no tag '{tag}'. {nearest(tag, TAGS)}")
        if self.fps < 1:
            raise SettingsError(f"'{self.name}' has {self.fps} frames a second; expected 1 or more.")


class Layout(ABC):
    """How a data set lies on disk."""

    @abstractmethod
    def folders(self, name: str) -> tuple[str, ...]:
        """The folders that a sequence has in the data set."""

    @abstractmethod
    def fill(self, folders: Sequence[Path], sequence: RenderedSequence) -> None:
        """Writes a sequence into its folders, which are empty.

        Raises:
            DataError: it has no frames, or truth that the layout cannot hold.
            OutputError: a file cannot be written.
        """

    @abstractmethod
    def write_lists(self, out: Path, names: Sequence[str]) -> None:
        """Writes the files that name all sequences."""


@dataclass(frozen=True)
class OTB(Layout):
    """The layout of OTB; see the module."""

    def folders(self, name: str) -> tuple[str, ...]:
        """See `Layout`."""
        return (name,)

    def fill(self, folders: Sequence[Path], sequence: RenderedSequence) -> None:
        """See `Layout`."""
        (folder,) = folders
        (folder / "img").mkdir()
        texts = dict.fromkeys(sequence.targets, "")
        for number, frame in _numbered(sequence, 1):
            write_picture(folder / "img" / f"{number:04}.jpg", frame.image)
            height, width = frame.identity.shape
            for target in texts:
                box = _target_box(frame, target, sequence, first=number == 1)
                x, y, w, h = ABSENT if box.absent else box.clipped(width, height)
                texts[target] += row_text([x + 1, y + 1, w, h]).replace("nan", "NaN")  # as MATLAB writes it
        for position, text in enumerate(texts.values(), 1):
            name = "groundtruth_rect.txt" if len(texts) == 1 else f"groundtruth_rect.{position}.txt"
            write_text(folder / name, text)

    def write_lists(self, out: Path, names: Sequence[str]) -> None:
        """OTB has none."""


@dataclass(frozen=True)
class VOT(Layout):
    """The layout of VOT2018; see the module.

    Attributes:
        region: "polygon": the four corners of the smallest turned rectangle around the target's pixels, as VOT has fitted
            its regions to masks since 2016: hidden parts do not count. "rectangle": x,y,w,h of the whole outline. "mask": the
            target's pixels that are to be seen, and anchors, as VOT2020 has them.
    """

    region: Literal["polygon", "rectangle", "mask"] = "polygon"

    def folders(self, name: str) -> tuple[str, ...]:
        """See `Layout`."""
        return (name,)

    def fill(self, folders: Sequence[Path], sequence: RenderedSequence) -> None:
        """See `Layout`. Where the tag `occlusion` is not given, it is: some of the outline is hidden or beyond the border."""
        (folder,) = folders
        (folder / "color").mkdir()
        if len(sequence.targets) != 1:
            raise SettingsError(f"'{sequence.name}' has {len(sequence.targets)} targets; a sequence of VOT has one.")
        (target,) = sequence.targets
        text, hidden, sizes = "", [], []
        for number, frame in _numbered(sequence, 1):
            write_picture(folder / "color" / f"{number:08}.jpg", frame.image)
            box = _target_box(frame, target, sequence, first=number == 1)
            mask = frame.identity == target
            if self.region == "polygon" and not box.absent and not mask.any():
                raise DataError(f"Object {target} of '{sequence.name}' has a box in frame {number}, but no pixel to go round.")
            if self.region == "mask":
                text += PlacedMask.of(mask).text + "\n"
            else:
                text += row_text(box if self.region == "rectangle" or box.absent else turned_rectangle(mask))
            sizes.append(int(mask.sum()))
            hidden.append(bool(frame.visibility[target - 1] < 1))
        write_text(folder / "groundtruth.txt", text)
        if self.region == "mask":
            write_text(folder / "anchor.value", "".join(f"{value}\n" for value in anchors(sizes)))
        for tag, values in ({"occlusion": hidden} | dict(sequence.tags)).items():
            if len(values) != len(hidden):
                raise DataError(f"The tag {tag} of '{sequence.name}' has {len(values)} values for {len(hidden)} frames.")
            write_text(folder / f"{tag}.tag", "".join(f"{int(value)}\n" for value in values))
        height, width = frame.identity.shape
        facts = {"name": sequence.name, "format": "default", "fps": sequence.fps, "channels.color": "color/%08d.jpg"}
        facts |= {"width": width, "height": height, "length": len(hidden)}
        write_text(folder / "sequence", "".join(f"{key}={value}\n" for key, value in facts.items()))

    def write_lists(self, out: Path, names: Sequence[str]) -> None:
        """See `Layout`."""
        write_text(out / "list.txt", "".join(f"{name}\n" for name in names))


@dataclass(frozen=True)
class DAVIS(Layout):
    """The layout of DAVIS 2017; see the module.

    Its evaluation (davis2017-evaluation) follows the objects 1 to the largest number in the first mask. So those in the first
    frame have the first numbers, in their order; one that comes into view later has a number after these and is not followed.

    Attributes:
        part: which list of ImageSets/2017 names the sequences: "val" to evaluate on, "train" to train from.
    """

    part: Literal["train", "val"] = "val"

    def folders(self, name: str) -> tuple[str, ...]:
        """See `Layout`."""
        return f"Annotations/480p/{name}", f"JPEGImages/480p/{name}"

    def fill(self, folders: Sequence[Path], sequence: RenderedSequence) -> None:
        """See `Layout`."""
        masks, pictures = folders
        numbers = np.arange(256, dtype=np.uint8)
        for number, frame in _numbered(sequence, 0):
            if frame.identity.max() >= _VOID:
                raise DataError(f"'{sequence.name}' has an object {_VOID}, which means none in DAVIS; give 254 at most.")
            if number == 0:
                numbers = _those_there_first(frame.identity)
            write_picture(pictures / f"{number:05}.jpg", frame.image)
            write_bytes(masks / f"{number:05}.png", palette_png(numbers[frame.identity], davis_palette()))

    def write_lists(self, out: Path, names: Sequence[str]) -> None:
        """See `Layout`."""
        write_text(out / "ImageSets" / "2017" / f"{self.part}.txt", "".join(f"{name}\n" for name in names))


def write_benchmark(
    out: Path, layout: Layout, sequences: Iterable[RenderedSequence], *, content: Mapping[str, Any]
) -> Iterator[str]:
    """Writes sequences as a data set. One that is finished is not written again, one that is half written is.

    Args:
        out: the folder; one that was begun with the same layout and content is gone on with.
        layout: OTB(), VOT() or DAVIS().
        sequences: what to write; taken one by one, so that they may be rendered as they are needed.
        content: what decides the sequences, such as the renderer's settings, as JSON has it. Where it has `sequences`, how many
            there are, that may be larger than before: the folder then gets those that are missing.

    Yields:
        The name of each sequence once it is there.

    Raises:
        DataError: two sequences have the same name, or see `Layout.fill`.
        OutputError: the folder cannot be written, or holds something else.
    """
    what = {"what": f"{type(layout).__name__} sequences", **vars(layout)}
    begin_folder(out, what | dict(content), growing="sequences" if "sequences" in content else None)
    names: list[str] = []
    for sequence in sequences:
        if sequence.name in names:
            raise DataError(f"Two sequences are called '{sequence.name}'; give each its own name.")
        names.append(sequence.name)
        places = [out / folder for folder in layout.folders(sequence.name)]
        if not all(place.is_dir() for place in places):
            with new_folders(places) as parts:
                layout.fill(parts, sequence)
        yield sequence.name
    layout.write_lists(out, names)


def anchors(sizes: Sequence[int]) -> list[int]:
    """Where trackers start, as VOT2020 chose it: about every 50 frames, towards the end of the sequence that is farther.

    An anchor moves to the nearest frame, of those half way to the next one, in which half of the median number of the target's
    pixels is to be seen.

    Args:
        sizes: visible pixels of the target in each frame, some in the first.

    Returns:
        1 or -1 in an anchor, else 0; the first frame is always one.

    >>> anchors([9] * 101)[0::50]
    [1, -1, -1]
    """
    values = np.zeros(len(sizes), np.int64)
    fit = np.flatnonzero(np.asarray(sizes) >= np.median([size for size in sizes if size]) / 2)
    for wanted in range(0, len(sizes), _BETWEEN_ANCHORS):
        nearest_one = int(fit[np.abs(fit - wanted).argmin()]) if wanted else 0
        if abs(nearest_one - wanted) < _BETWEEN_ANCHORS / 2:
            values[nearest_one] = 1 if 2 * nearest_one < len(sizes) - 1 else -1
    return [int(value) for value in values]


def turned_rectangle(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The corners of the smallest rectangle, at any angle, around the pixels of a mask.

    Args:
        mask: (H, W), with a pixel that is set.

    Returns:
        Shape (8,): x, y of four corners in order around it, pixels, 0-based; pixel i covers [i, i + 1).
    """
    outermost = cv2.convexHull(cv2.findNonZero(mask.view(np.uint8))).reshape(-1, 1, 2)
    corners = (outermost + np.array([[0, 0], [1, 0], [1, 1], [0, 1]])).reshape(-1, 2).astype(np.float32)
    return np.asarray(cv2.boxPoints(cv2.minAreaRect(corners)), np.float64).ravel()


def davis_palette() -> NDArray[np.uint8]:
    """The colours of DAVIS's masks: those of PASCAL VOC with 191 for 192 up to number 21, greys after it. (256, 3)."""
    number = np.arange(256)
    bits = (number[:, None] >> np.arange(6)) & 1  # the low bits are red, green, blue at 128; the next three at 64
    colours = 128 * bits[:, :3] + 64 * bits[:, 3:]
    colours[colours == 192] = 191
    return np.where(number[:, None] < 22, colours, number[:, None]).astype(np.uint8)


def _those_there_first(identity: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(256,): the numbers that objects get, those that are there before all others."""
    objects = np.arange(1, _VOID, dtype=np.uint8)
    there = np.isin(objects, identity)
    numbers = np.zeros(256, np.uint8)
    numbers[np.concatenate([objects[there], objects[~there]])] = objects
    return numbers


def _numbered(sequence: RenderedSequence, first: int) -> Iterator[tuple[int, Labelled]]:
    """The frames with their numbers."""
    number = first - 1
    for number, frame in enumerate(sequence.frames, first):
        yield number, frame
    if number < first:
        raise DataError(f"The sequence '{sequence.name}' has no frames.")


def _target_box(frame: Labelled, target: int, sequence: RenderedSequence, *, first: bool) -> Box:
    """The whole outline of an object, which has to be in view in the first frame, where tracking begins."""
    if target > len(frame.boxes):
        raise DataError(f"'{sequence.name}' has {len(frame.boxes)} objects, and {target} was to be the target.")
    box = Box(*map(float, frame.boxes[target - 1]))
    if first and box.absent:
        raise DataError(f"Object {target} of '{sequence.name}' is not in view in the first frame, where tracking begins.")
    return box
