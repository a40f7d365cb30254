"""The masks of the crops that are cut together, in this process or another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from siamtrack.datasets.clips import Clip, Mask, MaskReader, Target
from siamtrack.datasets.crop_records import Block, Row
from siamtrack.datasets.crops import check_mask
from siamtrack.datasets.palette_masks import LabelMasks
from siamtrack.image import Image


@dataclass(frozen=True)
class BlockMasks:
    """The masks of a block of crops. Can be pickled, and holds as little of the clip as they need."""

    reader: MaskReader
    targets: Mapping[tuple[int, int], Target]  # by number of the target and row; that row alone
    labels: Mapping[int, str]  # of frames, by position

    def mask(self, row: Row, position: int, frame: Image) -> Mask | None:
        """Mask of the target in a row, whose frame is at this position; None where the data set has none.

        Raises:
            DataError: the mask cannot be read, or is of another size than the frame.
        """
        target = self.targets[row.target, row.at]
        mask = self.reader(target, 0)
        check_mask(mask, frame, target.name, self.labels[position])
        return mask


def masks_of(clip: Clip, block: Block) -> BlockMasks | None:
    """The masks of a block of a clip's crops; None where the clip comes without."""
    reader = clip.masks
    if reader is None:
        return None
    places = {position: position for position, _ in block}  # what the reader is asked for
    if isinstance(reader, LabelMasks):  # the paths of a whole video would travel with every block
        reader = replace(reader, paths=tuple(reader.paths[position] for position in places))
        places = {position: number for number, position in enumerate(places)}
    targets = {
        (row.target, row.at): _row_of(clip.targets[row.target], row.at, places[position])
        for position, rows in block
        for row in rows
    }
    return BlockMasks(reader, targets, {position: clip.frames.label(position) for position in places})


def _row_of(target: Target, at: int, position: int) -> Target:
    """One row of a target, at that position."""
    chosen = slice(at, at + 1)
    positions = np.array([position], np.int64)
    return replace(target, positions=positions, boxes=target.boxes[chosen].copy(), visibility=target.visibility[chosen].copy())
