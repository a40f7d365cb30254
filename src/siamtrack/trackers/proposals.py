"""What the maps of a region proposal network mean: boxes, how probable they are, and how near the middle they lie."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from siamtrack.errors import SettingsError
from siamtrack.trackers.anchors import AnchorSettings, anchor_grid, decode, map_shift
from siamtrack.tracking import Maps

MOST_GRIDS = 32  # that are kept; patches of a lost target may grow by a few pixels a frame


class Proposals(NamedTuple):
    """What a network says of N targets, K = A * R * R proposals each: anchor by anchor, row by row."""

    boxes: NDArray[np.float64]  # (N, 4, K): x and y of the centre relative to the centre of the search patch, w, h; patch px
    scores: NDArray[np.float64]  # (N, K): probability of the target, 0 to 1; NaN where the network says no number
    window: NDArray[np.float64]  # (K,): cosine window, 0 to 1


class Proposer:
    """Reads the maps of networks with these anchors and templates of that size, patch px."""

    def __init__(self, anchors: AnchorSettings, template_size: int) -> None:
        self.anchors = anchors
        self.template_size = template_size
        self._grids: dict[tuple[int, int], tuple[NDArray[np.float64], NDArray[np.float64]]] = {}

    def proposals(self, maps: Maps, search_size: int) -> Proposals:
        """What the maps say of search patches of that size; more maps may follow cls and loc.

        Raises:
            SettingsError: the maps are not those of the anchors.
        """
        count, cells = self.anchors.count, maps[0].shape[-1]
        targets = maps[0].shape[0]
        expected = [(targets, 1, channels * count, cells, cells) for channels in (2, 4)]
        if [values.shape for values in maps[:2]] != expected:
            found = ", ".join(str(values.shape) for values in maps)
            raise SettingsError(
                f"The network gave maps of {found}; the {count} anchors in the settings need (N, 1, {2 * count}, R, R) and "
                f"(N, 1, {4 * count}, R, R). Set anchors.ratios and anchors.scales to those that the network was trained with."
            )
        grid, window = self._grid(cells, search_size)
        classes = np.asarray(maps[0], np.float64).reshape(targets, 2, -1)
        boxes = decode(maps[1].reshape(targets, 4, count, cells, cells), grid).reshape(targets, 4, -1)
        with np.errstate(over="ignore", invalid="ignore"):
            scores = 1 / (1 + np.exp(classes[:, 0] - classes[:, 1]))  # softmax of two
        scores[~np.isfinite(classes).all(1)] = np.nan  # or infinity would be a probability of 1
        return Proposals(boxes, scores, window)

    def place(self, cell: int, cells: int, search_size: int) -> float:
        """Where the middle of a row or column of cells lies, from the middle of the search patch, patch px."""
        return (cell - (cells - 1) / 2) * self.anchors.stride + map_shift(search_size, self.template_size, self.anchors.stride)

    def _grid(self, cells: int, search_size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Anchors (4, A, R, R) relative to the centre of the patch, and the window (K,)."""
        if (cells, search_size) not in self._grids:
            if len(self._grids) == MOST_GRIDS:
                self._grids.clear()
            middle = map_shift(search_size, self.template_size, self.anchors.stride)
            window = np.tile(np.outer(np.hanning(cells), np.hanning(cells)).ravel(), self.anchors.count)
            self._grids[cells, search_size] = anchor_grid(self.anchors, cells, middle=middle), window
        return self._grids[cells, search_size]


def penalties(
    boxes: NDArray[np.float64], sizes: NDArray[np.float64], *, penalty_k: float, context: float, template_size: int
) -> NDArray[np.float64]:
    """How much like the target in size and shape proposals are: (N, K), in (0, 1], 1 for one that is just like it.

    Args:
        boxes: (N, 4, K), of `Proposals`.
        sizes: (N, 2), w, h of the targets, image px.
        penalty_k: see `siamtrack.trackers.rpn_settings.RPNSettings`.
        context: see there.
        template_size: px; in the patch, the target with its context is as large as the template.
    """
    w, h = boxes[:, 2], boxes[:, 3]
    margin = context * (w + h)
    larger = np.sqrt((w + margin) * (h + margin)) / template_size
    wider = (sizes[:, 0] / sizes[:, 1])[:, None] * h / w
    change = np.maximum(larger, 1 / larger) * np.maximum(wider, 1 / wider)
    return np.asarray(np.exp(-penalty_k * (change - 1)))
