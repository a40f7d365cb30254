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
from torch import Tensor, nn
from torch.nn import functional as F

from siamtrack.errors import WeightsError
from siamtrack.layers.mobilenet import STAGES, MobileNetV2
from siamtrack.layers.resnet import ResNet, official_name

MEAN = (0.485, 0.456, 0.406)  # of torchvision's input, RGB
DEVIATION = (0.229, 0.224, 0.225)
COUNTER = "num_batches_tracked"  # not in files of PyTorch before 0.4.1, and nothing depends on it
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
        WeightsError: a parameter is missing, is not finite, has another shape, or belongs to another network. The classifier
            and stages that are not built at all may be there.
    """
    found = {name.removeprefix("module."): value for name, value in parameters.items()}
    from_torchvision = _is_torchvision(backbone, found)
    own = backbone.state_dict()
    names = {name: _file_name(backbone, name, from_torchvision) for name in own}
    values = {ours: _centred(found[theirs], own[ours]) for ours, theirs in names.items() if theirs in found}
    if from_torchvision and isinstance(backbone, MobileNetV2):
        values |= _identity({name: value for name, value in own.items() if name.startswith(_EXPANSION)})
    unused = frozenset(name for name in found if _is_unused(backbone, name))
    advice = "Give those of the same network, width and depth, from torchvision or PySOT."
    check_fit(backbone, names, values, found, unused=unused, advice=advice)
    _adapt_colours(backbone, values, from_torchvision)
    return own | values


def check_fit(
    backbone: nn.Module,
    names: Mapping[str, str],
    values: Mapping[str, Tensor],
    found: Mapping[str, Tensor],
    *,
    unused: frozenset[str],
    advice: str,
) -> None:
    """Whether weights are all those of a backbone, and no others.

    Args:
        backbone: what they are for.
        names: of its parameters in the file, by its own.
        values: what it would take, by its own names.
        found: what the file holds.
        unused: names there that need not be the backbone's.
        advice: the end of the message.

    Raises:
        WeightsError: a parameter is missing, is not finite, has another shape, or belongs to another network.
    """
    own, known = backbone.state_dict(), set(names.values())
    problems = [f"{names[n]} is missing" for n in own if n not in values and not n.endswith(COUNTER)]
    problems += [
        f"{names[n]} is {tuple(v.shape)}, not {tuple(own[n].shape)}" for n, v in values.items() if v.shape != own[n].shape
    ]
    problems += [f"{n} is not finite" for n, v in found.items() if n in known and not torch.isfinite(v).all()]
    problems += [f"{n} does not belong to it" for n in found if n not in known and n not in unused]
    if problems:
        more = f" and {len(problems) - 4} more" if len(problems) > 4 else ""
        raise WeightsError(f"The weights do not fit {type(backbone).__name__}: {'; '.join(problems[:4])}{more}. {advice}")


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
    return shortcut is None or shortcut.shape[-1] == 1


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
