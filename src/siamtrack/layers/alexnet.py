"""The five-convolution AlexNet of SiamFC (Bertinetto et al. 2016, table 1).

No padding anywhere, so a shift of the input by the total stride is a shift of the output by one cell, exactly.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

TOTAL_STRIDE_PX = 8
RECEPTIVE_FIELD_PX = 87
CHANNELS = 256


class AlexNet(nn.Sequential):
    """Embeds pixels: (B, 3, H, W), 0..255 -> (B, 256, (H - 87) // 8 + 1, (W - 87) // 8 + 1).

    127 px gives 6 x 6, 255 px gives 22 x 22. Two groups in conv2, conv4 and conv5, as in the paper's 2-GPU ancestor;
    batch norm after every convolution but the last; ReLU after every one but the last.

    Args:
        width: multiplies the number of channels of every layer but the last; 1 is the paper's 96-256-384-384-256.
            The embedding keeps its 256, so that a narrow network can learn the features of a wide one.
    """

    def __init__(self, width: float = 1.0) -> None:
        c1, c2, c3, c4 = (max(2, 2 * round(c * width / 2)) for c in (96, 256, 384, 384))
        super().__init__(
            OrderedDict(
                conv1=_block(3, c1, kernel=11, stride=2, pool=True),
                conv2=_block(c1, c2, kernel=5, groups=2, pool=True),
                conv3=_block(c2, c3, kernel=3),
                conv4=_block(c3, c4, kernel=3, groups=2),
                conv5=nn.Sequential(nn.Conv2d(c4, CHANNELS, 3, groups=2)),
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        for layer in self:
            x = layer(x)
        return x


def _block(inputs: int, outputs: int, *, kernel: int, stride: int = 1, groups: int = 1, pool: bool = False) -> nn.Sequential:
    # eps and momentum as in huanglianghua/siamfc-pytorch, whose published checkpoints load here
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, groups=groups),
        nn.BatchNorm2d(outputs, eps=1e-6, momentum=0.05),
        nn.ReLU(),
    ]
    if pool:
        layers.append(nn.MaxPool2d(3, 2))
    return nn.Sequential(*layers)
