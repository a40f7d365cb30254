"""MobileNetV2 for Siamese trackers: total stride 8, the deeper stages dilated.

Sandler, Howard, Zhu, Zhmoginov, Chen, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018, as STVIR/pysot
changed it for SiamRPN++:

* Convolutions of stride 2 have no padding; 127 px gives 15 x 15 cells, 255 px 31 x 31.
* Stages 4 and 6 have stride 1. Stages 4 and 5 are dilated by 2, 6 and 7 by 4; in the first block of 4 and of 6, half of that.
* Channels are rounded down after multiplication by the width (44 for 32 x 1.4), not to multiples of 8.
* The first block, too, has the 1 x 1 convolution that expands, though it expands by a factor of 1.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from siamtrack.layers.depthwise import DepthwiseConv2d

TOTAL_STRIDE_PX = 8
STAGES = (
    (1, 16, 1, 1, 1),
    (6, 24, 2, 2, 1),
    (6, 32, 3, 2, 1),
    (6, 64, 4, 1, 2),
    (6, 96, 3, 1, 2),
    (6, 160, 3, 1, 4),
    (6, 320, 1, 1, 4),
)
"""Of each stage: expansion, channels, blocks, stride and dilation."""


class MobileNetV2(nn.Module):
    """Embeds pixels: (B, 3, H, W), 0..255 -> a feature map of each used layer.

    Layers: 0 the first convolution and 1 the first stage (63 x 63 cells for 127 px, 127 x 127 for 255 px), 2 (31, 63), 3 to 7
    (15, 31). Stages after the last used one are not built.

    Args:
        used_layers: ascending.
        width: multiplies all channels; 1.4 in PySOT.

    Attributes:
        channels: of the used layers; 44, 134, 448 for layers 3, 5, 7 of width 1.4.
    """

    def __init__(self, used_layers: Sequence[int] = (3, 5, 7), width: float = 1.4) -> None:
        super().__init__()
        self.used_layers = tuple(used_layers)
        channels = [_scaled(32, width)]
        self.layer0 = nn.Sequential(nn.Conv2d(3, channels[0], 3, 2, bias=False), nn.BatchNorm2d(channels[0]), nn.ReLU6())
        last_dilation = 1
        for layer, (expansion, full, count, stride, dilation) in enumerate(STAGES[: max(used_layers)], 1):
            outputs = _scaled(full, width)
            inner = dilation if dilation == last_dilation else dilation // 2
            blocks = [InvertedResidual(channels[-1], outputs, expansion, stride=stride, dilation=inner)]
            blocks += [InvertedResidual(outputs, outputs, expansion, dilation=dilation) for _ in range(count - 1)]
            self.add_module(f"layer{layer}", nn.Sequential(*blocks))
            channels.append(outputs)
            last_dilation = dilation
        self.channels = tuple(channels[layer] for layer in self.used_layers)

    def forward(self, x: Tensor) -> list[Tensor]:
        """See the class."""
        features = []
        for layer in range(max(self.used_layers) + 1):
            x = self.get_submodule(f"layer{layer}")(x)
            features.append(x)
        return [features[layer] for layer in self.used_layers]


class InvertedResidual(nn.Module):
    """1 x 1 convolution to more channels, 3 x 3 channel by channel, 1 x 1 to fewer; beside a shortcut where shapes agree.

    Args:
        inputs: channels.
        outputs: channels.
        expansion: how many times more channels there are in between.
        stride: 1 or 2.
        dilation: of the 3 x 3 convolution.
    """

    def __init__(self, inputs: int, outputs: int, expansion: int, *, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        inner, padding = expansion * inputs, 0 if stride == 2 else dilation
        self.conv = nn.Sequential(
            nn.Conv2d(inputs, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU6(),
            DepthwiseConv2d(inner, 3, stride=stride, padding=padding, dilation=dilation),
            nn.BatchNorm2d(inner),
            nn.ReLU6(),
            nn.Conv2d(inner, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.has_shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W), with stride 2 (B, outputs, (H - 1) // 2, (W - 1) // 2)."""
        y: Tensor = self.conv(x)
        return x + y if self.has_shortcut else y


def _scaled(channels: int, width: float) -> int:
    return max(1, int(channels * width))
