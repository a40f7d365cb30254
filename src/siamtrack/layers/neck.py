"""What lies between a deep backbone and the heads of a Siamese tracker: equal channels, and a template without its margin."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

TEMPLATE_CELLS = 7


class Neck(nn.ModuleList):
    """A 1 x 1 convolution with batch norm for each feature map, without ReLU.

    Source: Li et al., "SiamRPN++", CVPR 2019, sec. 3.2; "AdjustAllLayer" in STVIR/pysot.

    Args:
        inputs: channels of each map.
        outputs: channels of each map.
    """

    def __init__(self, inputs: Sequence[int], outputs: Sequence[int]) -> None:
        super().__init__(
            nn.Sequential(nn.Conv2d(i, o, 1, bias=False), nn.BatchNorm2d(o)) for i, o in zip(inputs, outputs, strict=True)
        )

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Maps (B, inputs, H, W) -> maps (B, outputs, H, W)."""
        return [layer(feature) for layer, feature in zip(self, features, strict=True)]


def central_cells(features: Tensor, side: int = TEMPLATE_CELLS) -> Tensor:
    """The middle of a feature map, (B, C, H, W) -> (B, C, side, side): of 15 x 15 cells those from 4 to 10.

    Each of them still sees the whole target, and the correlation has less to do. PySOT takes them where a map has less than 20
    cells; here the caller says so, and no graph depends on its data.
    """
    top, left = (features.shape[2] - side) // 2, (features.shape[3] - side) // 2
    return features[:, :, top : top + side, left : left + side]
