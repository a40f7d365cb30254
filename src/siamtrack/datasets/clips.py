"""Annotated clips: what every training set gives, whatever its layout on disk.

A training set lists the names of its clips at once and reads the annotation of a clip when it is asked for, so that opening
a set of thousands of videos takes no time and little memory. Still images are clips of one frame.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from siamtrack.box import Box
from siamtrack.errors import DataError, ImageError, TruncatedError
from siamtrack.frames import load_picture, read
from siamtrack.image import Image


class Frames(Protocol):
    """The frames of a clip, by position."""

    def __len__(self) -> int: ...

    def read(self, position: int) -> Image:
        """One frame, RGB.

        Raises:
            DataError: it is missing or cannot be decoded; the message names the file.
        """
        ...

    def several(self, positions: Sequence[int]) -> Iterator[Image | DataError]:
        """The frames at these ascending positions, in order; the error in place of one that cannot be read."""
        ...

    def label(self, position: int) -> str:
        """The file of a frame, or file and frame number: for messages and reports."""
        ...


@dataclass(frozen=True)
class PictureFiles:
    """Frames that are picture files."""

    paths: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, position: int) -> Image:
        """See `Frames`."""
        return read_picture(self.paths[position])

    def several(self, positions: Sequence[int]) -> Iterator[Image | DataError]:
        """See `Frames`."""
        for position in positions:
            try:
                yield self.read(position)
            except DataError as error:
                yield error

    def label(self, position: int) -> str:
        """See `Frames`."""
        return str(self.paths[position])


@dataclass(frozen=True)
class VideoFile:
    """Frames of a video file. A single one costs decoding all before it: read in order, or crop once and train from crops."""

    path: Path
    count: int  # frames that annotations may speak of

    def __len__(self) -> int:
        return self.count

    def read(self, position: int) -> Image:
        """See `Frames`."""
        (found,) = self.several([position])
        if isinstance(found, DataError):
            raise found
        return found

    def several(self, positions: Sequence[int]) -> Iterator[Image | DataError]:
        """See `Frames`."""
        wanted = list(positions)
        given = 0
        reason = "it ends before"
        try:
            with read(self.path) as frames:
                for frame in frames:
                    if given == len(wanted):
                        break
                    if frames.damaged:  # frames after the damage are counted too low: they are not the annotated ones
                        reason = "the video is damaged at or before it."
                        break
                    while given < len(wanted) and frame.index == wanted[given]:
                        yield frame.image
                        given += 1
        except TruncatedError as error:
            reason = str(error)
        except Exception as error:
            reason = str(error)
        for position in wanted[given:]:
            yield DataError(f"Frame {position} of '{self.path}' cannot be read: {reason}")

    def label(self, position: int) -> str:
        """See `Frames`."""
        return f"{self.path}#{position}"


@dataclass(frozen=True, kw_only=True, eq=False)
class Target:
    """One object through a clip. K is the number of frames that say something about it."""

    name: str  # unique within the clip: the track id
    category: str = ""  # as the data set names it; empty where it does not
    positions: NDArray[np.int64]  # (K,) of frames in the clip, ascending
    boxes: NDArray[np.float64]  # (K, 4) x, y, w, h, pixels, 0-based, as annotated (may leave the image); NaN: not in view
    visibility: NDArray[np.float64]  # (K,) share of the object in view, 0..1; NaN where the data set does not say

    def box(self, index: int) -> Box:
        """Row `index` of the boxes."""
        return Box(*map(float, self.boxes[index]))


Mask: TypeAlias = NDArray[np.bool_] | NDArray[np.uint8]
"""(H, W): see `siamtrack.pair.SEEN`; of booleans where every pixel is known."""

MaskReader = Callable[[Target, int], Mask | None]
"""Mask of a target in row `index` of its annotations; None where there is none. A picklable callable."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Clip:
    """Frames and the targets in them."""

    name: str  # unique within the data set; may contain "/"
    frames: Frames
    targets: tuple[Target, ...]
    size: tuple[int, int] | None = None  # (width, height) in pixels where the annotation says it
    masks: MaskReader | None = None  # see `TrainingSet.has_masks`

    def mask(self, target: Target, index: int) -> Mask | None:
        """Mask of the target in row `index` of its annotations; None where the data set has none.

        Raises:
            DataError: the mask cannot be read.
        """
        return None if self.masks is None else self.masks(target, index)


class TrainingSet(ABC):
    """The clips of one data set in its official layout, one module each in `datasets/`, which ends with TRAINING_SET.

    Args:
        root: the folder that the data set's own archives unpack to.

    Raises:
        DataError: what the layout needs is missing; the message says what was looked for and where.
    """

    name: ClassVar[str]  # as on the command line; that of the module
    has_masks: ClassVar[bool] = False  # whether its clips come with masks
    root: Path

    @abstractmethod
    def __init__(self, root: Path) -> None: ...

    @classmethod
    @abstractmethod
    def recognises(cls, root: Path) -> bool:
        """Whether the folder looks like this data set. Looks at a few names only."""

    @property
    @abstractmethod
    def names(self) -> Sequence[str]:
        """Names of the clips, sorted; found without reading their annotations where the layout allows it."""

    @abstractmethod
    def clip(self, name: str) -> Clip:
        """One clip with its annotation.

        Raises:
            DataError: an annotation is missing or malformed; the message names the file, and the line where there is one.
        """

    def fingerprint(self) -> str:
        """What tells, besides the names of the clips, whether the data are the same; empty where that is too much to read."""
        return ""


def read_picture(path: Path) -> Image:
    """A picture file as RGB, turned as its EXIF asks; alpha is dropped. Damage that the decoder conceals is not noticed.

    Raises:
        DataError: it is missing or cannot be decoded.
    """
    try:
        return load_picture(path)
    except OSError as error:
        raise DataError(f"'{path}' cannot be read: {error.strerror}.") from None
    except (ImageError, cv2.error) as error:
        raise DataError(f"'{path}' cannot be decoded as an image: {error}") from None
