"""Backbones of cropping-inside-residual units (CIR): Z. Zhang, H. Peng, "Deeper and Wider Siamese Networks for Real-Time
Visual Tracking", CVPR 2019, sec. 4. A unit drops the cells that the padding of its 3 x 3 convolution has touched.

Differences between paper, official code (researchmm/SiamDW) and this code:
* Crop: both convolve with padding 1, add the shortcut and crop the outermost cells. Here those cells are never computed: the
  convolution has no padding and the shortcut is cropped. The values are the same, with less work; but in training the
  official batch norm counts the dropped cells in its statistics.
* Stem: CIResNet has padding 3, a crop of 2 and a pool of 2 x 2 in paper and official code, so that the outermost pixels of
  the input are not looked at; here these pixels are cropped. CIResInception and CIResNeXt have no padding and a pool of
  3 x 3 in the official code, and here.
* Down-sampling (CIR-D): one unit that ends with a pool of 2 x 2, in all three.
* CIResInception joins its two branches side by side, without a shortcut, and CIResNeXt normalises once more after the sum, as
  in the official code.
* The last unit ends without ReLU, as in the official code.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

TOTAL_STRIDE_PX = 8
SMALLEST_PX = 95  # side of the input that gives one cell


class CIRBackbone(nn.Sequential):
    """Embeds pixels: (B, 3, H, W), 0..255 -> (B, channels, (H - 95) // 8 + 1, (W - 95) // 8 + 1).

    127 px gives 5 x 5, 255 px gives 21 x 21. No padding, so a shift of the input by 8 px is a shift of the output by one cell.

    Args:
        name: one of `BACKBONES`.
        width: multiplies the number of channels of every layer.

    Attributes:
        channels: of the output; at width 1 it is 512, of CIResInception22 640.
    """

    def __init__(self, name: str, width: float = 1.0) -> None:
        design, planes = BACKBONES[name], max(1, round(64 * width))
        first, second = design.expansion * planes, design.expansion * 2 * planes
        unit = design.unit
        super().__init__(
            OrderedDict(
                stem=design.stem(planes),
                layer1=nn.Sequential(unit(planes, planes, True), unit(first, planes, True), unit(first, planes, True)),
                layer2=nn.Sequential(
                    unit(first, 2 * planes, True),
                    nn.MaxPool2d(2),
                    unit(second, 2 * planes, True),
                    unit(second, 2 * planes, True),
                    unit(second, 2 * planes, False),
                ),
            )
        )
        self.channels = second
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")  # batch norm starts with 1 and 0 by itself


class ResidualUnit(nn.Module):
    """A bottleneck beside a shortcut: (B, inputs, H, W) -> (B, 4 planes, H - 2, W - 2).

    Args:
        inputs: channels.
        planes: channels inside.
        relu: whether it ends with one.
        wide: multiplies the channels of the 3 x 3 convolution; 2 in CIResNet22W.
    """

    def __init__(self, inputs: int, planes: int, relu: bool, *, wide: int = 1) -> None:
        super().__init__()
        outputs = 4 * planes
        self.body = _bottleneck(inputs, planes, wide * planes, outputs)
        self.shortcut = nn.Sequential()
        if inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        self.relu = nn.ReLU() if relu else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        y: Tensor = self.relu(self.body(x) + self.shortcut(_cropped(x)))
        return y


class ResNeXtUnit(nn.Module):
    """A grouped bottleneck beside a shortcut, normalised together: (B, inputs, H, W) -> (B, 4 planes, H - 2, W - 2).

    The batch norm after the sum cannot be folded into a convolution, and stays in an exported graph.

    Args:
        inputs: channels.
        planes: half of the channels inside, which are in 32 groups as far as they can be divided.
        relu: whether it ends with one.
    """

    def __init__(self, inputs: int, planes: int, relu: bool) -> None:
        super().__init__()
        inside, outputs = 2 * planes, 4 * planes
        self.body = _bottleneck(inputs, inside, inside, outputs, groups=math.gcd(32, inside))
        self.shortcut = nn.Sequential()
        if inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False))
        self.norm = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU() if relu else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        y: Tensor = self.relu(self.norm(self.body(x) + self.shortcut(_cropped(x))))
        return y


class InceptionUnit(nn.Module):
    """A bottleneck side by side with a 1 x 1 convolution: (B, inputs, H, W) -> (B, 5 planes, H - 2, W - 2).

    Args:
        inputs: channels.
        planes: channels inside the bottleneck, and of the 1 x 1 convolution.
        relu: whether both end with one.
    """

    def __init__(self, inputs: int, planes: int, relu: bool) -> None:
        super().__init__()
        self.body = _bottleneck(inputs, planes, planes, 4 * planes)
        self.point = nn.Sequential(
            OrderedDict(conv=nn.Conv2d(inputs, planes, 1, bias=False), bn=nn.BatchNorm2d(planes, eps=1e-3))
        )
        self.relu = nn.ReLU() if relu else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        y: Tensor = self.relu(torch.cat((self.body(x), self.point(_cropped(x))), 1))
        return y


def _bottleneck(inputs: int, planes: int, inside: int, outputs: int, *, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(inputs, planes, 1, bias=False),
            bn1=nn.BatchNorm2d(planes),
            relu1=nn.ReLU(),
            conv2=nn.Conv2d(planes, inside, 3, groups=groups, bias=False),
            bn2=nn.BatchNorm2d(inside),
            relu2=nn.ReLU(),
            conv3=nn.Conv2d(inside, outputs, 1, bias=False),
            bn3=nn.BatchNorm2d(outputs),
        )
    )


def _cropped(x: Tensor) -> Tensor:
    return x[:, :, 1:-1, 1:-1]


class _Crop(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return _cropped(x)


def _stem(channels: int, *, cropped: bool, pool: int, bias: bool = False) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv=nn.Conv2d(3, channels, 7, 2, bias=bias),
        bn=nn.BatchNorm2d(channels),
        relu=nn.ReLU(),
        pool=nn.MaxPool2d(pool, 2),
    )
    if cropped:
        layers["crop"] = _Crop()
        layers.move_to_end("crop", last=False)
    return nn.Sequential(layers)


@dataclass(frozen=True, kw_only=True)
class Design:
    """What distinguishes a backbone from the others."""

    stem: Callable[[int], nn.Module]  # of its number of channels
    unit: Callable[[int, int, bool], nn.Module]  # of inputs, planes and relu
    expansion: int  # output channels of a unit per plane


BACKBONES: Mapping[str, Design] = {
    "CIResNet22": Design(stem=partial(_stem, cropped=True, pool=2), unit=ResidualUnit, expansion=4),
    "CIResNet22W": Design(stem=partial(_stem, cropped=True, pool=2), unit=partial(ResidualUnit, wide=2), expansion=4),
    "CIResInception22": Design(stem=partial(_stem, cropped=False, pool=3), unit=InceptionUnit, expansion=5),
    "CIResNeXt22": Design(stem=partial(_stem, cropped=False, pool=3, bias=True), unit=ResNeXtUnit, expansion=4),
}
"""The backbones by their names in the paper."""
