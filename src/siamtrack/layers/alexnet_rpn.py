"""The five-convolution AlexNet of SiamRPN, as in DaSiamRPN (its whole network) and PySOT ("alexnetlegacy" and "alexnet").

Kernels, strides and total receptive field are those of `layers/alexnet.py`. It differs in three things: no groups, batch norm
after the last convolution too, and max-pooling before ReLU, which gives the same values as after it with fewer operations.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn


class AlexNetRPN(nn.Sequential):
    """Embeds pixels: (B, 3, H, W), 0..255 -> (B, C, (H - 87) // 8 + 1, (W - 87) // 8 + 1).

    127 px gives 6 x 6, 271 px 24 x 24, 287 px 26 x 26.

    Args:
        width: multiplies the channels of every layer; 1 is 96-256-384-384-256, 2 is DaSiamRPN's largest network.

    Attributes:
        channels: C.
    """

    def __init__(self, width: float = 1.0) -> None:
        c1, c2, c3, c4, c5 = (max(1, round(c * width)) for c in (96, 256, 384, 384, 256))
        super().__init__(
            OrderedDict(
                conv1=nn.Sequential(nn.Conv2d(3, c1, 11, 2), nn.BatchNorm2d(c1), nn.MaxPool2d(3, 2), nn.ReLU()),
                conv2=nn.Sequential(nn.Conv2d(c1, c2, 5), nn.BatchNorm2d(c2), nn.MaxPool2d(3, 2), nn.ReLU()),
                conv3=nn.Sequential(nn.Conv2d(c2, c3, 3), nn.BatchNorm2d(c3), nn.ReLU()),
                conv4=nn.Sequential(nn.Conv2d(c3, c4, 3), nn.BatchNorm2d(c4), nn.ReLU()),
                conv5=nn.Sequential(nn.Conv2d(c4, c5, 3), nn.BatchNorm2d(c5)),
            )
        )
        self.channels = c5

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        for layer in self:
            x = layer(x)
        return x
