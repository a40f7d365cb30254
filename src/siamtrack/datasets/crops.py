"""Square crops around annotated targets: what training pairs of real data are made of.

A crop shows the target in its middle, at the size that a template has in tracking, with more around it than a search patch
needs, so that shifts and turns of the search patch find picture there and not the fill colour. Templates are cut from the
middle of the same crops.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from siamtrack.box import Box
from siamtrack.crop import Fill, context_side, cut, cut_mask, mean_colour
from siamtrack.datasets.clips import Clip, Mask, Target, TrainingSet
from siamtrack.errors import DataError
from siamtrack.image import Image
from siamtrack.pair import SEEN, UNKNOWN
from siamtrack.settings import check_limits

LARGEST = 1e6  # pixels; a coordinate beyond this is a mistake in the annotation
_SIZE_TRIES = 5  # annotated frames that are tried for the size of a clip
CLIPS_IN_MEMORY = 500  # annotations that a loading process keeps


@dataclass(frozen=True, kw_only=True)
class CropSettings:
    """How crops are cut.

    Raises:
        SettingsError: a value outside its range.
    """

    context: float = 0.5  # margin around the target as a share of w + h, as in tracking
    template_size: int = 127  # pixels that target and context take in the crop
    size: int = 319  # pixels, side of the crop; a search patch of 255 can be shifted by 32 within it

    def __post_init__(self) -> None:
        check_limits(self, {"context": (0, 4), "template_size": (16, 4096), "size": (self.template_size, 8192)})


class Crop(NamedTuple):
    """A target in the middle of a square."""

    image: Image  # (size, size, 3)
    fill: Fill  # mean colour of the whole frame, which lies outside its borders
    mask: NDArray[np.uint8] | None = None  # (size, size), 0 to 255: how much of a pixel is the target; None: not known
    void: NDArray[np.uint8] | None = None  # (size, size), 0 to 255: of how much of it nobody knows what it is; None: of nothing


class Sighting(NamedTuple):
    """A target in the middle of its crop."""

    crop: Crop
    size: tuple[float, float]  # (w, h) of its box, crop pixels

    @property
    def box(self) -> Box:
        """Its box in the crop."""
        middle = self.crop.image.shape[0] / 2
        return Box.from_center(middle, middle, *self.size)


class Crops(Protocol):
    """Crops of a data set by clip, target and row of the target's annotations: cut from the frames, or read back."""

    name: str
    settings: CropSettings

    @property
    def names(self) -> Sequence[str]:
        """Names of the clips, sorted."""
        ...

    def targets(self, clip: str) -> tuple[Target, ...]:
        """The targets of a clip.

        Raises:
            DataError: the annotation cannot be read.
        """
        ...

    def frame_size(self, clip: str) -> tuple[int, int]:
        """(width, height) of the clip's frames, pixels.

        Raises:
            DataError: the annotation does not say it and the first frame cannot be read.
        """
        ...

    def crop(self, clip: str, target: int, index: int, *, masked: bool = False) -> Crop:
        """The crop of target number `target` in row `index` of its annotations; with its mask if asked for and known.

        Raises:
            DataError: the frame cannot be read, or the target is absent or without area there, or the mask is not the frame's.
        """
        ...

    def digest(self) -> str:
        """What decides which crops there are, as a short text: a run goes on with the same one only."""
        ...


def cut_crop(frame: Image, box: Box, settings: CropSettings, mask: Mask | None = None) -> Crop:
    """The crop around a box of a frame, with the mask (H, W) of what is in the box where there is one."""
    side = context_side(box.w, box.h, settings.context) * settings.size / settings.template_size
    fill = mean_colour(frame)
    image = cut(frame, box.center, side, settings.size, fill)
    if mask is None:
        return Crop(image, fill)
    unknown = mask == UNKNOWN
    seen, void = (cut_mask(part, box.center, side, settings.size) for part in (mask == SEEN, unknown))
    return Crop(image, fill, seen, void if unknown.any() else None)


def check_mask(mask: Mask | None, frame: Image, target: str, label: str) -> None:
    """Refuses a mask (H, W) of another size than its frame, of which the target's name and the frame's file are told.

    Raises:
        DataError: they differ.
    """
    if mask is not None and mask.shape != frame.shape[:2]:
        sizes = " and ".join("x".join(map(str, shape[1::-1])) for shape in (mask.shape, frame.shape))
        raise DataError(
            f"The mask of target '{target}' and its frame '{label}' are {sizes} px; expected the same. Give the frames that "
            "were annotated."
        )


def croppable(boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which boxes (K, 4) a crop can be cut around: present, with an area, and no absurd numbers. Shape (K,)."""
    return np.asarray((np.abs(boxes) <= LARGEST).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1))


def size_of(clip: Clip) -> tuple[int, int]:
    """(width, height) of a clip's frames: as annotated, or those of the first annotated frame that can be read.

    Raises:
        DataError: none of the first few can.
    """
    if clip.size is not None:
        return clip.size
    if not len(clip.frames):
        raise DataError(f"The clip '{clip.name}' has no frames.")
    annotated = sorted({int(position) for target in clip.targets for position in target.positions[:_SIZE_TRIES]})
    for number, position in enumerate(positions := (annotated[:_SIZE_TRIES] or [0])):
        try:
            height, width = clip.frames.read(position).shape[:2]
        except DataError:
            if number == len(positions) - 1:
                raise
        else:
            return width, height
    raise AssertionError


class CropsOfFrames:
    """Crops cut from the frames of a training set whenever they are asked for."""

    def __init__(self, training_set: TrainingSet, settings: CropSettings) -> None:
        self.name = training_set.name
        self.settings = settings
        self._set = training_set
        self._clips: OrderedDict[str, Clip] = OrderedDict()  # annotations used last

    @property
    def names(self) -> Sequence[str]:
        """See `Crops`."""
        return self._set.names

    def targets(self, clip: str) -> tuple[Target, ...]:
        """See `Crops`."""
        return self._clip(clip).targets

    def frame_size(self, clip: str) -> tuple[int, int]:
        """See `Crops`."""
        found = self._clip(clip)
        if found.size is None:
            found = self._clips[clip] = replace(found, size=size_of(found))
        assert found.size is not None
        return found.size

    def crop(self, clip: str, target: int, index: int, *, masked: bool = False) -> Crop:
        """See `Crops`."""
        found = self._clip(clip)
        box = found.targets[target].box(index)
        if not croppable(np.array([box])).all():
            raise DataError(f"Target '{found.targets[target].name}' of '{clip}' has no box in row {index}: {tuple(box)}.")
        position = int(found.targets[target].positions[index])
        frame = found.frames.read(position)
        mask = found.mask(found.targets[target], index) if masked else None
        if mask is not None:
            check_mask(mask, frame, found.targets[target].name, found.frames.label(position))
        return cut_crop(frame, box, self.settings, mask)

    def digest(self) -> str:
        """Of the names of the clips and of what the set itself tells; pixels are not read."""
        return f"{self.name} {hashlib.sha256(chr(10).join([self._set.fingerprint(), *self.names]).encode()).hexdigest()}"

    def _clip(self, name: str) -> Clip:
        if name not in self._clips:
            self._clips[name] = self._set.clip(name)
            if len(self._clips) > CLIPS_IN_MEMORY:
                self._clips.popitem(last=False)
        self._clips.move_to_end(name)
        return self._clips[name]
