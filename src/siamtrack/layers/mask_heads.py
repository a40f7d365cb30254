"""Masks of a Siamese tracker: one of 63 x 63 cells for every place that the target may be at, and a finer one for one place.

Source: Wang, Zhang, Bertinetto, Hu, Torr, "Fast Online Object Tracking and Segmentation: A Unifying Approach", CVPR 2019,
sec. 3.2, and its official code, foolwood/SiamMask. A mask belongs to the patch that the template would cover: 127 px around
the cell.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from siamtrack.layers.rpn_heads import DepthwiseBranch
from siamtrack.layers.xcorr import depthwise_cross_correlation

COARSE_CELLS = 63
FINE_CELLS = 127
STEPS = (15, 31, 61)  # cells of the maps that SiamMask's refinement goes through, before those of the mask
OUTPUTS = (32, 16, 4)  # their channels


class MaskHead(DepthwiseBranch):
    """A depth-wise correlation that says for every cell a mask of 63 x 63 cells, as one vector.

    Args:
        channels: of the features, and of everything in between.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, COARSE_CELLS**2)

    def correlate(self, kernels: Tensor, features: Tensor) -> Tensor:
        """Kernels (N, C, 5, 5) and search features (N * S, C, H, W) -> correlation (N, S, C, H - 6, W - 6)."""
        searches = self.search(features)
        return depthwise_cross_correlation(kernels, searches.reshape(kernels.shape[0], -1, *searches.shape[1:]))

    def coarse(self, cells: Tensor) -> Tensor:
        """Cells of the correlation (M, C) -> logits of masks (M, 63, 63)."""
        return self._vectors(self.head[:-1](cells[:, :, None, None]))

    def coarse_at(self, correlation: Tensor, pairs: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """The same for M cells of correlations (B, C, R, R), for training: batch norm sees all cells."""
        hidden: Tensor = self.head[:-1](correlation)
        return self._vectors(hidden[pairs, :, rows, columns][:, :, None, None])

    def _vectors(self, hidden: Tensor) -> Tensor:
        masks: Tensor = self.head[-1](hidden)
        return masks.reshape(-1, COARSE_CELLS, COARSE_CELLS)


class Refinement(nn.Module):
    """From one cell of the correlation to a mask of 127 x 127 cells, with what the first layers of the backbone see there.

    Args:
        channels: of the correlation.
        layers: channels of the backbone's layers, the deepest first: 512, 256, 64 of a ResNet-50.
        steps: cells that a mask has in each of them.
        outputs: channels of the maps that are made at each of them.
    """

    def __init__(
        self, channels: int, layers: Sequence[int], *, steps: Sequence[int] = STEPS, outputs: Sequence[int] = OUTPUTS
    ) -> None:
        super().__init__()
        self._sizes = *steps[1:], FINE_CELLS
        self.grow = nn.ConvTranspose2d(channels, outputs[0], steps[0], steps[0])
        self.across = nn.ModuleList(
            _two_convolutions(inputs, max(1, inputs // 4), step) for inputs, step in zip(layers, outputs, strict=True)
        )
        self.along = nn.ModuleList(_two_convolutions(step, step, step) for step in outputs)
        self.after = nn.ModuleList(
            nn.Conv2d(step, following, 3, padding=1) for step, following in zip(outputs, (*outputs[1:], 1), strict=True)
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, a=1)  # as the official code

    def forward(self, cells: Tensor, windows: Sequence[Tensor]) -> Tensor:
        """Masks of single places.

        Args:
            cells: (M, C), the correlation there.
            windows: what the layers see there, such as (M, C, 15, 15), (M, C, 31, 31), (M, C, 61, 61), see
                `siamtrack.trackers.mask.windows_around`.

        Returns:
            (M, 127, 127), logits.
        """
        x = self.grow(cells[:, :, None, None])
        for layer, (window, size) in enumerate(zip(windows, self._sizes, strict=True)):
            x = self.along[layer](x) + self.across[layer](window)
            x = self.after[layer](F.interpolate(x, size=(size, size)))
        y: Tensor = x[:, 0]
        return y


def _two_convolutions(inputs: int, inside: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, inside, 3, padding=1), nn.ReLU(), nn.Conv2d(inside, outputs, 3, padding=1), nn.ReLU()
    )
