"""MobileNetV3-Small for Siamese trackers: total stride 16, to its last bottleneck, which has no activation behind it.

Howard, Sandler, Chu, Chen, Chen, Tan, Wang, Zhu, Pang, Vasudevan, Le, Adam, "Searching for MobileNetV3", ICCV 2019, table 2, as
HonglinChu/SiamTrackers changed it for NanoTrack v3:

* It ends with the first of the three bottlenecks of 96 channels, which has stride 1 instead of 2.
* Channels are weighted (squeeze and excitation) before the activation, and after it in the first bottleneck; the paper weighs
  them after it in all.
* The first bottleneck has no 1 x 1 convolution that expands; the paper's neither, as it expands by a factor of 1.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from siamtrack.layers.depthwise import DepthwiseConv2d

TOTAL_STRIDE_PX = 16


class Bottleneck(NamedTuple):
    """A row of the paper's table 2."""

    kernel: int
    inner: int  # channels between the two 1 x 1 convolutions
    outputs: int  # channels
    weighted: bool  # squeeze and excitation
    hard_swish: bool  # else ReLU
    stride: int


STEM_CHANNELS = 16
BOTTLENECKS = (
    Bottleneck(3, 16, 16, True, False, 2),
    Bottleneck(3, 72, 24, False, False, 2),
    Bottleneck(3, 88, 24, False, False, 1),
    Bottleneck(5, 96, 40, True, True, 2),
    Bottleneck(5, 240, 40, True, True, 1),
    Bottleneck(5, 240, 40, True, True, 1),
    Bottleneck(5, 120, 48, True, True, 1),
    Bottleneck(5, 144, 48, True, True, 1),
    Bottleneck(5, 288, 96, True, True, 1),
)
STAGES = (1, 3, 6, 8, 9)
"""After how many bottlenecks the number of channels changes: what `MobileNetV3` gives, after its stem."""


class MobileNetV3(nn.Module):
    """Embeds pixels: (B, 3, H, W), 0..255 -> the feature maps of the stem and of five stages, strides 2, 4, 8, 16, 16, 16.

    Cells of a map of stride s lie at the pixels 0, s, 2 s, ... of the patch; 127 px gives 8 x 8 of them, 255 px 16 x 16.

    Args:
        width: multiplies all channels, to multiples of 8.
        expansion: multiplies those inside the bottlenecks once more.

    Attributes:
        channels: of these maps; 16, 16, 24, 40, 48, 96 at width 1.
    """

    def __init__(self, width: float = 1.0, expansion: int = 1) -> None:
        super().__init__()
        inputs = _scaled(STEM_CHANNELS, width)
        self.stem = nn.Sequential(nn.Conv2d(3, inputs, 3, 2, 1, bias=False), nn.BatchNorm2d(inputs), nn.Hardswish())
        self.blocks = nn.ModuleList()
        for row in BOTTLENECKS:
            inner, outputs = expansion * _scaled(row.inner, width), _scaled(row.outputs, width)
            self.blocks.append(InvertedResidual(inputs, row._replace(inner=inner, outputs=outputs)))
            inputs = outputs
        stages = (BOTTLENECKS[count - 1].outputs for count in STAGES)
        self.channels = tuple(_scaled(channels, width) for channels in (STEM_CHANNELS, *stages))

    def forward(self, x: Tensor) -> list[Tensor]:
        """See the class."""
        x = self.stem(x)
        stages = [x]
        for count, block in enumerate(self.blocks, 1):
            x = block(x)
            if count in STAGES:
                stages.append(x)
        return stages


class InvertedResidual(nn.Module):
    """1 x 1 convolution to more channels, one channel by channel, 1 x 1 to fewer; beside a shortcut where shapes agree."""

    def __init__(self, inputs: int, row: Bottleneck) -> None:
        super().__init__()
        inner, activation = row.inner, nn.Hardswish if row.hard_swish else nn.ReLU
        expands = inner != inputs
        weights = [SqueezeExcite(inner, _divisible(inner / 4))] if row.weighted else []
        self.expand = (
            nn.Sequential(nn.Conv2d(inputs, inner, 1, bias=False), nn.BatchNorm2d(inner), activation())
            if expands
            else nn.Sequential()
        )
        self.mix = nn.Sequential(
            DepthwiseConv2d(inner, row.kernel, stride=row.stride, padding=row.kernel // 2),
            nn.BatchNorm2d(inner),
            *([*weights, activation()] if expands else [activation(), *weights]),
        )
        self.reduce = nn.Sequential(nn.Conv2d(inner, row.outputs, 1, bias=False), nn.BatchNorm2d(row.outputs))
        self.has_shortcut = row.stride == 1 and inputs == row.outputs

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W), with stride 2 (B, outputs, (H + 1) // 2, (W + 1) // 2)."""
        y: Tensor = self.reduce(self.mix(self.expand(x)))
        return x + y if self.has_shortcut else y


class SqueezeExcite(nn.Module):
    """Weighs channels, 0 to 1, by what they are on average: (B, C, H, W) -> (B, C, H, W).

    Source: Hu, Shen, Sun, "Squeeze-and-Excitation Networks", CVPR 2018.

    Args:
        channels: C.
        inner: channels in between.
        hard: ends with the piecewise linear sigmoid of MobileNetV3; else with the real one.
    """

    def __init__(self, channels: int, inner: int, *, hard: bool = True) -> None:
        super().__init__()
        self.weigh = nn.Sequential(
            nn.Conv2d(channels, inner, 1),
            nn.ReLU(),
            nn.Conv2d(inner, channels, 1),
            nn.Hardsigmoid() if hard else nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        weights: Tensor = self.weigh(F.adaptive_avg_pool2d(x, 1))
        return x * weights


def _scaled(channels: int, width: float) -> int:
    return channels if width == 1 else _divisible(channels * width)


def _divisible(channels: float) -> int:
    """The nearest multiple of 8, from 8 on, and not less than nine tenths."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest
