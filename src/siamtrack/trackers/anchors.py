"""Anchors: the boxes that a region proposal network starts from, and how other boxes are told by their distance from them.

Every cell of the network's maps has A anchors, of the same A shapes. The network says of each how like the target it is, and
where and how large the target is relative to it: dx, dy in widths and heights of the anchor, dw, dh as logarithms. Lengths are
pixels of the search patch.

Source: Ren, He, Girshick, Sun, "Faster R-CNN", 2015, eq. 2; Li, Yan, Wu, Zhu, Hu, "High Performance Visual Tracking with
Siamese Region Proposal Network", CVPR 2018, sec. 3.2.

Differences between the official codes (foolwood/DaSiamRPN, STVIR/pysot) and this code:
* Shapes: width and height are cut to whole numbers before they are multiplied with the scale, in all three. So 0.33, 0.5, 1, 2
  and 3 give areas from 3072 to 4096 px, and 104 x 32 is no 1 : 3. Networks were trained with these.
* Place: the codes put the first cell at -(R // 2) * stride, which is symmetric for odd R alone. The DaSiamRPN code says
  -(R / 2) * stride, which means the same in Python 2 and lies half a cell, 4 px, further up and left in Python 3. Here the
  grid is symmetric for every R, and shifted by what the strides of the network leave over at the right and lower border
  (`map_shift`): nothing for the published sizes of 255, 271 and 287 px.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from siamtrack.errors import SettingsError
from siamtrack.settings import check_limits


@dataclass(frozen=True, kw_only=True)
class AnchorSettings:
    """Which anchors a cell has; the defaults are those of every published network.

    Raises:
        SettingsError: a value outside its range, or an anchor without area.
    """

    stride: int = 8  # patch px between two cells
    ratios: tuple[float, ...] = (0.33, 0.5, 1.0, 2.0, 3.0)  # height / width
    scales: tuple[float, ...] = (8.0,)  # side of the anchor with ratio 1, strides

    def __post_init__(self) -> None:
        check_limits(self, {"stride": (1, 64)})
        if not (self.ratios and self.scales and all(0 < v < 1000 for v in self.ratios + self.scales)):
            raise SettingsError(f"The anchors have ratios {self.ratios} and scales {self.scales}; expected numbers above 0.")
        if not self.shapes.all():
            raise SettingsError(
                f"The ratios {self.ratios} with stride {self.stride} give an anchor without area; expected ratios nearer to 1."
            )

    @property
    def count(self) -> int:
        """A, the anchors of a cell."""
        return len(self.ratios) * len(self.scales)

    @property
    def shapes(self) -> NDArray[np.float64]:
        """(A, 2): w, h in patch pixels; the scales of the first ratio come first."""
        sides = []
        for ratio in self.ratios:
            width = int(math.sqrt(self.stride**2 / ratio))
            sides.append((width, int(width * ratio)))
        return np.array([(w * scale, h * scale) for w, h in sides for scale in self.scales], np.float64)


def map_shift(search_size: int, template_size: int, stride: int) -> float:
    """How far the middle of the maps lies beside the centre of the search patch, in x and in y, patch pixels; 0 or less.

    Pixels at the right and lower border that make no whole stride are seen by no cell. Holds for networks whose template patch
    leaves none over, as 127 px does in all published ones.
    """
    return -((search_size - template_size) % stride) / 2


def anchor_grid(anchors: AnchorSettings, cells: int, *, middle: float = 0.0) -> NDArray[np.float64]:
    """All anchors of maps with cells x cells cells.

    Args:
        anchors: of a cell.
        cells: R, side of the maps.
        middle: x and y of the middle of the maps. 0 makes the grid relative to it; for coordinates in the patch it is half the
            search size plus `map_shift`.

    Returns:
        (4, A, R, R): x and y of the centre, w, h; patch pixels. Rows and columns as in the maps.
    """
    grid = np.empty((4, anchors.count, cells, cells))
    place = (np.arange(cells) - (cells - 1) / 2) * anchors.stride + middle
    grid[0], grid[1] = place[None, None, :], place[None, :, None]
    grid[2:] = anchors.shapes.T[:, :, None, None]
    return grid


def decode(offsets: NDArray[np.floating], grid: NDArray[np.float64]) -> NDArray[np.float64]:
    """The boxes that a network means.

    Args:
        offsets: (..., 4, A, R, R), dx, dy, dw, dh.
        grid: (4, A, R, R), as `anchor_grid` gives it.

    Returns:
        (..., 4, A, R, R), x and y of the centre, w, h. Infinite or NaN where the offsets are, and where a size is beyond
        floating point.
    """
    offsets = np.asarray(offsets, np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        centers = offsets[..., :2, :, :, :] * grid[2:] + grid[:2]
        return np.concatenate([centers, np.exp(offsets[..., 2:, :, :, :]) * grid[2:]], axis=-4)


def encode(boxes: NDArray[np.floating], grid: NDArray[np.float64]) -> NDArray[np.float64]:
    """What a network has to say so that these boxes are meant: the inverse of `decode`.

    Args:
        boxes: (..., 4, A, R, R), x and y of the centre, w, h, above 0; or one box for all anchors, (..., 4, 1, 1, 1).
        grid: (4, A, R, R), as `anchor_grid` gives it.

    Returns:
        (..., 4, A, R, R), dx, dy, dw, dh.
    """
    boxes = np.asarray(boxes, np.float64)
    centers = (boxes[..., :2, :, :, :] - grid[:2]) / grid[2:]
    return np.concatenate([centers, np.log(boxes[..., 2:, :, :, :] / grid[2:])], axis=-4)
