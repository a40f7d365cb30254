"""Weights that were trained on ImageNet, as a start for the deep backbones of Siamese trackers.

torchvision's networks take RGB of 0..1, minus a mean and divided by a deviation; here pixels are RGB of 0..255. The difference
goes into the first convolution and its batch norm, exactly: that convolution has no zero padding here, which would be another
colour there than here. With the same weights the backbones compute torchvision's features, away from the image's border:
* Nothing is padded here in convolutions of stride 2, so that cells lie elsewhere: cell k here, of an image that begins 1 px
  later, is cell k + 1 there.
* Stages of stride 1 here and 2 there are dilated: every second cell is torchvision's, the others are new.
* A 3 x 3 shortcut of ResNet gets torchvision's 1 x 1 in its centre and 0 around it.
* The convolution that MobileNetV2's first block has here alone becomes the identity.

STVIR/pysot's own files have its shapes, and want BGR of 0..255: their input channels are put in reverse order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from siamtrack.errors import WeightsError
from siamtrack.layers.mobilenet import STAGES, MobileNetV2
from siamtrack.layers.parameter_faults import faults
from siamtrack.layers.resnet import ResNet, official_name

MEAN = (0.485, 0.456, 0.406)  # of torchvision's input, RGB
DEVIATION = (0.229, 0.224, 0.225)
CLASSIFIER = ("fc.", "classifier.")
_STAGE = re.compile(r"layer(\d+)\.")
_BLOCK = re.compile(r"features\.(\d+)\.")  # of MobileNetV2, counted throughout
_EXPANSION = ("layer1.0.conv.0.", "layer1.0.conv.1.")  # of MobileNetV2's first block: not in torchvision's


def converted(backbone: ResNet | MobileNetV2, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The backbone's parameters as those of a network that was trained on ImageNet; the backbone itself stays as it is.

    Args:
        backbone: as wide as the network in the file; torchvision's have width 1. May be on the device "meta".
        parameters: a state dict of torchvision's resnet18, resnet34, resnet50 or mobilenet_v2, or of PySOT's backbones.

    Raises:
        WeightsError: a parameter is missing, is not finite, has another shape, is no floating-point number, is a negative
            variance, or belongs to another network. The classifier and stages that are not built at all may be there.
    """
    found = {name.removeprefix("module."): value for name, value in parameters.items()}
    from_torchvision = _is_torchvision(backbone, found)
    own = backbone.state_dict()
    added = _EXPANSION if from_torchvision and isinstance(backbone, MobileNetV2) else ()
    names = {_file_name(backbone, ours, from_torchvision): ours for ours in own if not ours.startswith(added)}
    shapes = {ours: _file_shape(found.get(theirs), own[ours], theirs) for theirs, ours in names.items()}
    unused = [name for name in found if _is_unused(backbone, name)]
    if wrong := faults(found, names, shapes, unused=unused):
        raise WeightsError(wrong)
    values = {ours: _centred(found[theirs], own[ours]) for theirs, ours in names.items() if theirs in found}
    values |= _identity({name: value for name, value in own.items() if name.startswith(added)})
    _adapt_colours(backbone, values, from_torchvision)
    return own | values


def _is_unused(backbone: ResNet | MobileNetV2, name: str) -> bool:
    """Whether a parameter in a file is the classifier's or that of a stage that is not built, and no block too many."""
    last = max(backbone.used_layers)
    if stage := _STAGE.match(name):
        return int(stage[1]) > last
    if block := _BLOCK.match(name):
        return int(block[1]) > sum(count for _, _, count, _, _ in STAGES[:last])
    return name.startswith(CLASSIFIER)


def _is_torchvision(backbone: ResNet | MobileNetV2, found: Mapping[str, Tensor]) -> bool:
    if isinstance(backbone, MobileNetV2):
        return "features.0.0.weight" in found
    shortcut = found.get("layer2.0.downsample.0.weight")  # in all three of them; 3 x 3 in PySOT's
    return not (isinstance(shortcut, Tensor) and shortcut.shape[2:] == (3, 3))


def _file_name(backbone: ResNet | MobileNetV2, name: str, from_torchvision: bool) -> str:
    """What a parameter of ours is called in the file."""
    if isinstance(backbone, ResNet):
        return official_name(name)
    return _torchvision_mobilenet_name(name) if from_torchvision else name


def _torchvision_mobilenet_name(name: str) -> str:
    """In torchvision, blocks are counted throughout, and the first two convolutions of each lie in an nn.Sequential.

    >>> _torchvision_mobilenet_name("layer3.1.conv.4.bias"), _torchvision_mobilenet_name("layer1.0.conv.3.weight")
    ('features.5.conv.1.1.bias', 'features.1.conv.0.0.weight')
    """
    layer, block, *rest = name.split(".")
    if layer == "layer0":
        return ".".join(("features.0", block, *rest))
    number = int(layer.removeprefix("layer"))
    index = sum(count for _, _, count, _, _ in STAGES[: number - 1]) + int(block) + 1
    first = 3 if number == 1 else 0  # its first block begins with the 3 x 3 convolution
    place, kind = divmod(int(rest[1]) - first, 3)
    last = 6 - first  # the convolution that has no ReLU behind it, and so no nn.Sequential
    inner = f"{place + kind}" if place * 3 == last else f"{place}.{kind}"
    return f"features.{index}.conv.{inner}.{rest[2]}"


def _file_shape(value: Tensor | None, own: Tensor, name: str) -> tuple[int, ...]:
    """Of a parameter in the file; shortcuts are 1 x 1 in torchvision's and 3 x 3 in PySOT's."""
    is_small = isinstance(value, Tensor) and value.ndim == 4 and value.shape[2:] == (1, 1)
    return (*own.shape[:2], 1, 1) if is_small and ".downsample.0." in name else tuple(own.shape)


def _centred(value: Tensor, own: Tensor) -> Tensor:
    """A 1 x 1 kernel in the middle of the 3 x 3 one that it stands for; others as they are."""
    is_shortcut = value.ndim == own.ndim == 4 and value.shape[2:] == (1, 1) and own.shape[2:] == (3, 3)
    return F.pad(value, (1, 1, 1, 1)) if is_shortcut else value


def _identity(block: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A 1 x 1 convolution and a batch norm that change nothing; ReLU6 after ReLU6 does not either."""
    values = {}
    for name, own in block.items():
        kind = name.rpartition(".")[2]
        if own.ndim == 4:
            values[name] = torch.eye(own.shape[0])[:, :, None, None]
        else:
            values[name] = torch.full_like(own, {"weight": 1.0, "running_var": 1 - 1e-5}.get(kind, 0))  # 1e-5: batch norm's own
    return values


def _adapt_colours(backbone: ResNet | MobileNetV2, values: dict[str, Tensor], from_torchvision: bool) -> None:
    first = "stem" if isinstance(backbone, ResNet) else "layer0"
    kernel = values[f"{first}.0.weight"].double()
    if not from_torchvision:
        values[f"{first}.0.weight"] = kernel.flip(1).float()
        return
    scale = torch.tensor(DEVIATION, dtype=torch.float64)[:, None, None]
    mean = torch.tensor(MEAN, dtype=torch.float64)[:, None, None]
    values[f"{first}.0.weight"] = (kernel / (255 * scale)).float()
    # what the mean contributed is the same everywhere; batch norm takes it out of its own mean
    shift = (kernel * mean / scale).sum((1, 2, 3))
    values[f"{first}.1.running_mean"] = (values[f"{first}.1.running_mean"].double() + shift).float()
