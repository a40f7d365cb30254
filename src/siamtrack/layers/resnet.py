"""ResNet for Siamese trackers: total stride 8, the deeper stages dilated, no padding where it can be done without.

He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, as Li et al. changed it in "SiamRPN++: Evolution
of Siamese Visual Tracking With Very Deep Networks", CVPR 2019, sec. 3.2.

Differences from the ResNet for ImageNet, all as in STVIR/pysot:
* The 7 x 7 convolution and the two 3 x 3 convolutions of stride 2 have no padding; 127 px gives 15 x 15 cells, 255 px 31 x 31.
* Stages 3 and 4 have stride 1. Their 3 x 3 convolutions are dilated by 2 and 4; in the first block, half of that, in
  BasicBlock its first convolution only.
* The shortcut convolution of the first blocks of stages 2 to 4 is 3 x 3, dilated like the convolution beside it, not 1 x 1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from torch import Tensor, nn

TOTAL_STRIDE_PX = 8
BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}
"""Blocks in each of the four stages; those of resnet50 are bottlenecks."""


class ResNet(nn.Module):
    """Embeds pixels: (B, 3, H, W), 0..255 -> a feature map of each used layer.

    Layers: 0 the first convolution (61 x 61 cells for 127 px, 125 x 125 for 255 px), 1 the first stage (31, 63), 2 to 4 the
    others (15, 31). Stages after the last used one are not built.

    Args:
        name: one of `BLOCKS`.
        used_layers: ascending.
        width: multiplies all channels; 1 is the paper's.

    Attributes:
        channels: of the used layers; 512, 1024, 2048 for layers 2 to 4 of resnet50, 128, 256, 512 of the others.
    """

    def __init__(self, name: str, used_layers: Sequence[int] = (2, 3, 4), width: float = 1.0) -> None:
        super().__init__()
        self.used_layers = tuple(used_layers)
        planes = [max(1, round(channels * width)) for channels in (64, 64, 128, 256, 512)]
        self.stem = nn.Sequential(nn.Conv2d(3, planes[0], 7, 2, bias=False), nn.BatchNorm2d(planes[0]), nn.ReLU())
        self.pool = nn.MaxPool2d(3, 2, padding=1)
        block = Bottleneck if name == "resnet50" else BasicBlock
        channels = [planes[0]]
        for layer, count in enumerate(BLOCKS[name][: max(used_layers)], 1):
            stride, dilation = 2 if layer == 2 else 1, max(1, 2 ** (layer - 2))
            first = block(channels[-1], planes[layer], stride=stride, dilation=dilation, first=True)
            others = (block(first.channels, planes[layer], dilation=dilation) for _ in range(count - 1))
            self.add_module(f"layer{layer}", nn.Sequential(first, *others))
            channels.append(first.channels)
        self.channels = tuple(channels[layer] for layer in self.used_layers)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> list[Tensor]:
        """See the class."""
        features = [self.stem(x)]
        x = self.pool(features[0])
        for layer in range(1, max(self.used_layers) + 1):
            x = self.get_submodule(f"layer{layer}")(x)
            features.append(x)
        return [features[layer] for layer in self.used_layers]


def official_name(name: str) -> str:
    """What torchvision and STVIR/pysot call a parameter of this ResNet.

    >>> official_name("stem.1.bias"), official_name("layer2.0.branch.3.weight"), official_name("layer2.0.shortcut.0.weight")
    ('bn1.bias', 'layer2.0.conv2.weight', 'layer2.0.downsample.0.weight')
    """
    name = name.replace("stem.0.", "conv1.").replace("stem.1.", "bn1.").replace(".shortcut.", ".downsample.")
    return re.sub(r"\.branch\.(\d)\.", lambda match: f".{'bn' if int(match[1]) % 3 else 'conv'}{int(match[1]) // 3 + 1}.", name)


class _Residual(nn.Module):
    branch: nn.Sequential
    shortcut: nn.Sequential | nn.Identity

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, channels, H, W), with stride 2 (B, channels, (H - 1) // 2, (W - 1) // 2)."""
        y: Tensor = (self.branch(x) + self.shortcut(x)).relu()
        return y


class BasicBlock(_Residual):
    """Two 3 x 3 convolutions beside a shortcut.

    Args:
        inputs: channels.
        planes: channels of the output.
        stride: 1 or 2, of the first convolution.
        dilation: of the stage.
        first: the first block of its stage.
    """

    def __init__(self, inputs: int, planes: int, *, stride: int = 1, dilation: int = 1, first: bool = False) -> None:
        super().__init__()
        self.channels = planes
        inner = max(1, dilation // 2) if first else dilation
        self.branch = nn.Sequential(
            *_conv_norm(inputs, planes, 3, stride=stride, dilation=inner),
            nn.ReLU(),
            *_conv_norm(planes, planes, 3, dilation=dilation),
        )
        self.shortcut = _shortcut(inputs, planes, stride, dilation) if first else nn.Identity()


class Bottleneck(_Residual):
    """1 x 1, 3 x 3 and 1 x 1 convolutions beside a shortcut; arguments as for `BasicBlock`, four times the planes as output."""

    def __init__(self, inputs: int, planes: int, *, stride: int = 1, dilation: int = 1, first: bool = False) -> None:
        super().__init__()
        self.channels = 4 * planes
        inner = max(1, dilation // 2) if first else dilation
        self.branch = nn.Sequential(
            *_conv_norm(inputs, planes, 1),
            nn.ReLU(),
            *_conv_norm(planes, planes, 3, stride=stride, dilation=inner),
            nn.ReLU(),
            *_conv_norm(planes, self.channels, 1),
        )
        self.shortcut = _shortcut(inputs, self.channels, stride, dilation) if first else nn.Identity()


def _shortcut(inputs: int, outputs: int, stride: int, dilation: int) -> nn.Sequential | nn.Identity:
    """Of a first block: 1 x 1 in the first stage, where shapes differ at all; 3 x 3 in the others."""
    if stride == 1 and dilation == 1:
        return nn.Identity() if inputs == outputs else nn.Sequential(*_conv_norm(inputs, outputs, 1))
    return nn.Sequential(*_conv_norm(inputs, outputs, 3, stride=stride, dilation=max(1, dilation // 2)))


def _conv_norm(inputs: int, outputs: int, kernel: int, *, stride: int = 1, dilation: int = 1) -> tuple[nn.Module, nn.Module]:
    padding = 0 if kernel == 1 or stride == 2 else dilation
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=False), nn.BatchNorm2d(outputs)
