"""What data sets of one target a video have in common: a folder of numbered frames, text files with one entry a frame."""

from __future__ import annotations

import os
from collections.abc import Container, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from siamtrack.box import Boxes
from siamtrack.datasets.clips import Clip, PictureFiles, Target
from siamtrack.errors import DataError, InputError
from siamtrack.frames import natural_order
from siamtrack.result_layouts import lines_of
from siamtrack.results import read_boxes


def listed_names(path: Path) -> list[str]:
    """The names in a list file, one a line, sorted.

    Raises:
        DataError: the file is missing, is no text, or names nothing.
    """
    names = sorted({line.strip() for line in _lines(path)} - {""})
    if not names:
        raise DataError(f"'{path}' is empty; expected the name of a sequence a line.")
    return names


def folders_in(folder: Path) -> set[str]:
    """Names of the folders in a folder; none where it does not exist."""
    if not folder.is_dir():
        return set()
    with os.scandir(folder) as entries:
        return {entry.name for entry in entries if entry.is_dir()}


def require_folders(names: Sequence[str], present: Container[str], *, listed_in: Path, looked_in: Path) -> None:
    """Whether every name has its folder.

    Raises:
        DataError: one has not; the message says how many, and names the first.
    """
    absent = [name for name in names if name not in present]
    if absent:
        raise DataError(
            f"'{listed_in}' names {len(names)} sequences, and {len(absent)} of them have no folder in '{looked_in}', the first "
            f"is {absent[0]}. Unpack the missing archives, or take those names out."
        )


def numbered_frames(folder: Path) -> PictureFiles:
    """The JPEG files of a folder, in the order of their numbers.

    Raises:
        DataError: there is none.
    """
    # names with a dot in front are what macOS leaves beside files on foreign disks
    paths = [path for path in folder.glob("*.jpg") if not path.name.startswith(".")]
    if not paths:
        raise DataError(f"There are no frames in '{folder}'; expected numbered .jpg files.")
    return PictureFiles(tuple(sorted(paths, key=natural_order)))


def frames_at_hand(folder: Path) -> PictureFiles | None:
    """As `numbered_frames`; None where the folder does not exist: truth without pictures can be scored, though not run on."""
    return numbered_frames(folder) if folder.is_dir() else None


def frames_between(frames: PictureFiles | None, first: int, last: int) -> PictureFiles | None:
    """The frames with these numbers in their file names, both included; None where there are none at hand.

    Raises:
        DataError: some of them are missing.
    """
    if frames is None:
        return None
    by_number = {int(path.stem): path for path in frames.paths if path.stem.isdecimal()}
    if missing := [number for number in range(first, last + 1) if number not in by_number]:
        raise DataError(
            f"'{frames.paths[0].parent}' lacks {len(missing)} of the frames {first} to {last}, the first is number "
            f"{missing[0]}. Unpack the sequence again."
        )
    return PictureFiles(tuple(by_number[number] for number in range(first, last + 1)))


def read_frame_boxes(path: Path, frames: PictureFiles | None, *, first_pixel: int) -> Boxes:
    """Boxes from a file with x,y,w,h a line, one line a frame.

    Args:
        path: the file.
        frames: of the same sequence; None: the number of lines is not checked.
        first_pixel: what the file calls the left or topmost pixel: 0 or 1.

    Returns:
        Shape (N, 4), rows x, y, w, h, 0-based, otherwise as written, also without area; four NaN where a line has any.

    Raises:
        DataError: the file is missing, a line is not four numbers, or there are more or fewer lines than frames.
    """
    try:
        boxes = read_boxes(path)
    except InputError as error:
        raise DataError(str(error)) from None
    _check_count(path, len(boxes), frames)
    boxes[:, :2] -= first_pixel
    boxes[np.isnan(boxes).any(1)] = np.nan
    return boxes


def read_frame_labels(path: Path, frames: PictureFiles | None, *, highest: int) -> NDArray[np.int64]:
    """Whole numbers from 0 to `highest`, one a frame, on lines of their own or between commas; not counted without frames.

    Returns:
        Shape (N,).

    Raises:
        DataError: the file is missing, an entry is something else, or there are more or fewer entries than frames.
    """
    labels: list[int] = []
    for number, line in enumerate(_lines(path), 1):
        for cell in line.split(","):
            text = cell.strip()
            if not text.isdecimal() or int(text) > highest:
                raise DataError(f"{path}, line {number}: found '{text[:60]}', expected a whole number from 0 to {highest}.")
            labels.append(int(text))
    _check_count(path, len(labels), frames)
    return np.array(labels, np.int64)


def read_attributes(path: Path, names: Sequence[str]) -> frozenset[str]:
    """Which attributes a sequence has, from a file with a 0 or 1 for each of `names`; none where there is no such file.

    Raises:
        DataError: another number of entries, or one that is neither 0 nor 1.
    """
    if not path.is_file():
        return frozenset()
    flags = read_frame_labels(path, None, highest=1)
    if len(flags) != len(names):
        raise DataError(f"'{path}' has {len(flags)} entries; expected {len(names)}: {', '.join(names)}.")
    return frozenset(name for name, flag in zip(names, flags, strict=True) if flag)


def single_target_clip(
    name: str,
    frames: PictureFiles,
    boxes: Boxes,
    *,
    category: str = "",
    visibility: NDArray[np.float64] | None = None,
    size: tuple[int, int] | None = None,
) -> Clip:
    """The clip of a sequence that says something about one target in every frame."""
    if visibility is None:
        visibility = np.full(len(boxes), np.nan)
    target = Target(name="0", category=category, positions=np.arange(len(boxes)), boxes=boxes, visibility=visibility)
    return Clip(name=name, frames=frames, targets=(target,), size=size)


def _lines(path: Path) -> list[str]:
    try:
        return lines_of(path)
    except InputError as error:
        raise DataError(str(error)) from None


def _check_count(path: Path, entries: int, frames: PictureFiles | None) -> None:
    if frames is not None and entries != len(frames):
        raise DataError(
            f"'{path}' speaks of {entries} frames, and '{frames.paths[0].parent}' holds {len(frames)}; expected as many. "
            "Unpack the sequence again."
        )
