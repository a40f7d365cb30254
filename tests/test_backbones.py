"""AlexNet of SiamRPN, ResNet and MobileNetV2: their maps, and the weights from ImageNet that they can start with."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from siamtrack.errors import WeightsError
from siamtrack.layers.alexnet_rpn import AlexNetRPN
from siamtrack.layers.folding import fold_batch_norm
from siamtrack.layers.imagenet import converted
from siamtrack.layers.mobilenet import MobileNetV2
from siamtrack.layers.neck import central_cells
from siamtrack.layers.resnet import ResNet

RESNETS = {"resnet18": (2, [2, 2, 2, 2]), "resnet50": (3, [3, 4, 6, 3])}  # convolutions in a block, blocks in a stage
MOBILE = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
SIDE = 640  # px, so that some cells of the last stage know nothing of the border


def random_norms(network: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network.eval()


def shapes(network: nn.Module, side: int) -> list[tuple[int, ...]]:
    """Of its maps, without computing them."""
    with torch.device("meta"):
        found = network.to("meta")(torch.zeros(1, 3, side, side))
    return [tuple(features.shape[1:]) for features in (found if isinstance(found, list) else [found])]


@pytest.mark.parametrize(("side", "cells"), [(127, 6), (255, 22), (271, 24), (287, 26)])
def test_maps_of_alexnet(side: int, cells: int) -> None:
    assert shapes(AlexNetRPN(), side) == [(256, cells, cells)]
    assert shapes(AlexNetRPN(2.0), side) == [(512, cells, cells)]


def test_channels_of_alexnet_as_published() -> None:
    convs = [m.out_channels for m in AlexNetRPN(2.0).modules() if isinstance(m, nn.Conv2d)]
    assert convs == [192, 512, 768, 768, 512]


def test_a_shift_by_the_stride_is_a_shift_by_one_cell() -> None:
    """AlexNet pads nothing."""
    network = random_norms(AlexNetRPN(0.05))
    pixels = torch.rand(1, 3, 143, 143) * 255
    with torch.no_grad():
        whole, shifted = network(pixels), network(pixels[:, :, 8:, 8:])
    assert torch.allclose(whole[:, :, 1:, 1:], shifted, atol=1e-5 * float(whole.abs().max()))


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("resnet18", (64, 64, 128, 256, 512)),
        ("resnet34", (64, 64, 128, 256, 512)),
        ("resnet50", (64, 256, 512, 1024, 2048)),
    ],
)
def test_maps_of_resnet(name: str, channels: tuple[int, ...]) -> None:
    with torch.device("meta"):
        network = ResNet(name, (0, 1, 2, 3, 4))
    assert network.channels == channels
    for side, cells in ((127, (61, 31, 15, 15, 15)), (255, (125, 63, 31, 31, 31))):
        assert shapes(network, side) == [(c, n, n) for c, n in zip(channels, cells, strict=True)]


def test_maps_of_mobilenet() -> None:
    with torch.device("meta"):
        network = MobileNetV2((0, 1, 2, 3, 4, 5, 6, 7))
    assert network.channels == (44, 22, 33, 44, 89, 134, 224, 448)
    for side, cells in ((127, (63, 63, 31, 15, 15, 15, 15, 15)), (255, (127, 127, 63, 31, 31, 31, 31, 31))):
        assert shapes(network, side) == [(c, n, n) for c, n in zip(network.channels, cells, strict=True)]


def test_stages_after_the_last_used_one_are_not_built() -> None:
    with torch.device("meta"):
        resnet, mobile = ResNet("resnet18", (1, 3)), MobileNetV2((3, 5))
    assert resnet.channels == (64, 256)
    assert not [name for name, _ in resnet.named_modules() if name.startswith("layer4")]
    assert not [name for name, _ in mobile.named_modules() if name.startswith("layer6")]


def test_the_middle_of_a_map() -> None:
    cells = torch.arange(225.0).reshape(1, 1, 15, 15)
    assert torch.equal(central_cells(cells), cells[:, :, 4:11, 4:11])
    assert torch.equal(central_cells(cells[:, :, :7, :7]), cells[:, :, :7, :7])


@pytest.mark.parametrize(
    "network", [AlexNetRPN(0.05), ResNet("resnet18", width=0.05), ResNet("resnet50", width=0.05), MobileNetV2(width=0.1)]
)
def test_batch_norm_can_be_folded(network: nn.Module) -> None:
    folded = fold_batch_norm(random_norms(network))
    assert not [module for module in folded.modules() if isinstance(module, nn.BatchNorm2d)]
    pixels = torch.rand(2, 3, 127, 127) * 255
    with torch.no_grad():
        found, expected = folded(pixels), network(pixels)
    for f, e in zip(found, expected, strict=True):
        assert torch.allclose(f, e, atol=2e-5 * float(e.abs().max()))


# weights from ImageNet, against torchvision's networks, written down here with torchvision's names


def normalised(pixels: Tensor) -> Tensor:
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (pixels / 255 - mean[:, None, None]) / deviation[:, None, None]


def convolved(p: dict[str, Tensor], x: Tensor, conv: str, norm: str, *, stride: int = 1) -> Tensor:
    w = p[f"{conv}.weight"]
    x = F.conv2d(x, w, None, stride, w.shape[-1] // 2, groups=x.shape[1] // w.shape[1])
    return F.batch_norm(x, *(p[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")))


def torchvision_resnet(p: dict[str, Tensor], pixels: Tensor, convs: int, blocks: list[int]) -> list[Tensor]:
    x = convolved(p, normalised(pixels), "conv1", "bn1", stride=2).relu()
    x = F.max_pool2d(x, 3, 2, 1)
    features = [x]
    for stage, count in enumerate(blocks, 1):
        for block in range(count):
            name, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            y = x
            for k in range(1, convs + 1):
                y = convolved(p, y, f"{name}.conv{k}", f"{name}.bn{k}", stride=stride if k == convs - 1 else 1)
                y = y.relu() if k < convs else y
            if f"{name}.downsample.0.weight" in p:
                x = convolved(p, x, f"{name}.downsample.0", f"{name}.downsample.1", stride=stride)
            x = (x + y).relu()
        features.append(x)
    return features


def torchvision_mobilenet(p: dict[str, Tensor], pixels: Tensor) -> list[Tensor]:
    x = convolved(p, normalised(pixels), "features.0.0", "features.0.1", stride=2).clamp(0, 6)
    features, index = [x], 0
    for expansion, _, count, first_stride in MOBILE:
        for block in range(count):
            index += 1
            name, y, stride = f"features.{index}.conv", x, first_stride if block == 0 else 1
            last = 1 if expansion == 1 else 2
            for k in range(last):
                y = convolved(p, y, f"{name}.{k}.0", f"{name}.{k}.1", stride=stride if k == last - 1 else 1).clamp(0, 6)
            y = convolved(p, y, f"{name}.{last}", f"{name}.{last + 1}")
            x = x + y if block else y
        features.append(x)
    return features


def drawn(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Random kernels, and a batch norm `norm` of so many channels for each of them."""
    generator = torch.Generator().manual_seed(3)
    p = {}
    for (conv, norm), shape in ((name.split(" "), shape) for name, shape in shapes.items()):
        fan_in = shape[1] * shape[2] * shape[3]
        p[f"{conv}.weight"] = torch.randn(shape, generator=generator) * (2 / fan_in) ** 0.5
        for part, low, high in (
            ("weight", 0.7, 1.3),
            ("bias", -0.3, 0.3),
            ("running_mean", -0.3, 0.3),
            ("running_var", 0.7, 1.3),
        ):
            p[f"{norm}.{part}"] = torch.rand(shape[0], generator=generator) * (high - low) + low
    return p


def resnet_parameters(convs: int, blocks: list[int], planes: int) -> dict[str, Tensor]:
    shapes = {"conv1 bn1": (planes, 3, 7, 7)}
    inputs = planes
    for stage, count in enumerate(blocks, 1):
        inner = planes * 2 ** (stage - 1)
        outputs = inner * (4 if convs == 3 else 1)
        for block in range(count):
            name = f"layer{stage}.{block}"
            channels = [inputs, inner, inner, outputs] if convs == 3 else [inputs, inner, outputs]
            for k in range(1, convs + 1):
                side = 1 if convs == 3 and k != 2 else 3
                shapes[f"{name}.conv{k} {name}.bn{k}"] = (channels[k], channels[k - 1], side, side)
            if block == 0 and (stage > 1 or inputs != outputs):
                shapes[f"{name}.downsample.0 {name}.downsample.1"] = (outputs, inputs, 1, 1)
            inputs = outputs
    return drawn(shapes) | {"fc.weight": torch.zeros(1000, inputs), "fc.bias": torch.zeros(1000)}


def mobilenet_parameters(width: float) -> dict[str, Tensor]:
    inputs, index = int(32 * width), 0
    shapes = {"features.0.0 features.0.1": (inputs, 3, 3, 3)}
    for expansion, channels, count, _ in MOBILE:
        for _ in range(count):
            index += 1
            name, inner, last = f"features.{index}.conv", expansion * inputs, 1 if expansion == 1 else 2
            if expansion > 1:
                shapes[f"{name}.0.0 {name}.0.1"] = (inner, inputs, 1, 1)
            shapes[f"{name}.{last - 1}.0 {name}.{last - 1}.1"] = (inner, 1, 3, 3)
            shapes[f"{name}.{last} {name}.{last + 1}"] = (int(channels * width), inner, 1, 1)
            inputs = int(channels * width)
    shapes["features.18.0 features.18.1"] = (int(1280 * width), inputs, 1, 1)
    return drawn(shapes) | {"classifier.1.weight": torch.zeros(1000, 1280), "classifier.1.bias": torch.zeros(1000)}


def backbone_takes(backbone: ResNet | MobileNetV2, parameters: dict[str, Tensor]) -> None:
    backbone.load_state_dict(converted(backbone, parameters))


def assert_same_in_the_middle(found: list[Tensor], expected: list[Tensor], strides: list[int]) -> None:
    """Cell (k + 1) / n there is cell k here, n times as dense: the images are shifted by 1 px, and not padded here."""
    for here, there, stride in zip(found, expected, strides, strict=True):
        n = stride // 8
        middle = slice(256 // stride, 352 // stride)  # of SIDE, with 250 px around it
        cells = slice(n * middle.start - 1, n * (middle.stop - 1), n)
        there = there[:, :, middle, middle]
        assert there.std() > 0.01
        assert torch.allclose(here[:, :, cells, cells], there, atol=1e-4 * float(there.abs().max())), stride


@pytest.mark.parametrize("name", RESNETS)
def test_resnet_computes_what_torchvision_computes(name: str) -> None:
    convs, blocks = RESNETS[name]
    p = resnet_parameters(convs, blocks, planes=4)
    backbone = ResNet(name, (2, 3, 4), width=4 / 64)
    backbone_takes(backbone, p)
    pixels = torch.randint(0, 256, (1, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(0)).float()
    with torch.no_grad():
        found, expected = backbone.eval()(pixels[:, :, 1:, 1:]), torchvision_resnet(p, pixels, convs, blocks)
    assert_same_in_the_middle(found, expected[2:], [8, 16, 32])


def test_mobilenet_computes_what_torchvision_computes() -> None:
    p = mobilenet_parameters(0.125)
    backbone = MobileNetV2((3, 5, 7), 0.125)
    backbone_takes(backbone, p)
    pixels = torch.randint(0, 256, (1, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(0)).float()
    with torch.no_grad():
        found, expected = backbone.eval()(pixels[:, :, 1:, 1:]), torchvision_mobilenet(p, pixels)
    assert_same_in_the_middle(found, [expected[3], expected[5], expected[7]], [8, 16, 32])


@pytest.mark.parametrize("kind", ["resnet18", "mobilenetv2"])
def test_pysots_own_weights_get_their_channels_reversed(kind: str) -> None:
    """In its shapes; it fed them BGR of 0..255."""
    network, other = (
        random_norms(MobileNetV2((3,), 0.125) if kind == "mobilenetv2" else ResNet(kind, (2,), 0.0625)) for _ in range(2)
    )
    state = network.state_dict()
    if kind == "resnet18":
        parts = {"stem.0": "conv1", "stem.1": "bn1", "branch.0": "conv1", "branch.1": "bn1", "branch.3": "conv2"}
        parts |= {"branch.4": "bn2", "shortcut": "downsample"}
        for ours, theirs in parts.items():
            state = {name.replace(f"{ours}.", f"{theirs}."): value for name, value in state.items()}
    backbone_takes(other, {f"module.{name}": value for name, value in state.items()})
    pixels = torch.rand(1, 3, 95, 95) * 255
    with torch.no_grad():
        (found,), (expected,) = other.eval()(pixels), network(pixels.flip(1))
    assert torch.allclose(found, expected, atol=1e-5 * float(expected.abs().max()))


def test_weights_that_do_not_fit_are_refused() -> None:
    p = resnet_parameters(2, [2, 2, 2, 2], planes=4)
    backbone = ResNet("resnet18", (2,), 4 / 64)
    backbone_takes(backbone, p)  # the stages that it does not use are no mistake
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    without = {name: value for name, value in p.items() if name != "layer1.1.bn2.bias"}
    with pytest.raises(WeightsError, match=r"^missing: layer1\.1\.bn2\.bias$"):
        backbone_takes(backbone, without)
    with pytest.raises(WeightsError, match=r"layer2\.0\.conv1\.weight is \(9, 4, 3, 3\), not \(8, 4, 3, 3\)"):
        backbone_takes(backbone, p | {"layer2.0.conv1.weight": torch.zeros(9, 4, 3, 3)})
    with pytest.raises(WeightsError, match=r"do not belong to it: head\.weight"):
        backbone_takes(backbone, p | {"head.weight": torch.zeros(3)})
    for value in (float("nan"), float("inf")):
        with pytest.raises(WeightsError, match=r"^not finite in float32: bn1\.running_var$"):
            backbone_takes(backbone, p | {"bn1.running_var": torch.tensor([1, 1, value, 1])})
    with pytest.raises(WeightsError, match=r"^no arrays of floating-point numbers: bn1\.bias, layer1\.0\.conv1\.weight$"):
        backbone_takes(backbone, p | {"bn1.bias": torch.zeros(4, dtype=torch.int32), "layer1.0.conv1.weight": "text"})  # type: ignore[dict-item]
    with pytest.raises(WeightsError, match=r"^negative variance or deviation: layer2\.0\.bn1\.running_var$"):
        backbone_takes(backbone, p | {"layer2.0.bn1.running_var": -torch.ones(8)})
    with pytest.raises(WeightsError, match=r"layer1\.0\.conv1\.weight is \(4, 4, 1, 1\), not \(4, 4, 3, 3\)"):  # no shortcut
        backbone_takes(backbone, p | {"layer1.0.conv1.weight": torch.zeros(4, 4, 1, 1)})
    with pytest.raises(WeightsError, match=r"^missing: conv1\.weight, .*; unexpected, do not belong to it: features"):
        backbone_takes(backbone, mobilenet_parameters(0.125))
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())


def test_weights_of_a_deeper_network_are_refused() -> None:
    """Stages that are not built may be in the file, but no more blocks of those that are."""
    shallow, deep = (resnet_parameters(2, blocks, planes=4) for blocks in ([2, 2, 2, 2], [3, 4, 6, 3]))
    assert {name: value.shape for name, value in shallow.items()}.items() <= {n: v.shape for n, v in deep.items()}.items()
    for layers in ((2, 3, 4), (2,), (1,)):
        backbone = ResNet("resnet18", layers, 4 / 64)
        with pytest.raises(WeightsError, match=r"^unexpected, do not belong to it: layer1\.2\.conv1\.weight"):
            backbone_takes(backbone, deep)
        backbone_takes(backbone, shallow)
    with pytest.raises(WeightsError, match=r"^missing: layer1\.2\.conv1\.weight"):
        backbone_takes(ResNet("resnet34", (2, 3, 4), 4 / 64), shallow)
    p = mobilenet_parameters(0.125)
    mobile = MobileNetV2((3, 5), 0.125)  # without blocks 14 to 17, and the convolution 18
    backbone_takes(mobile, p)
    for name in ("features.13.conv.4.weight", "features.13.more.weight"):
        with pytest.raises(WeightsError, match=r"do not belong to it: features\.13\."):
            backbone_takes(mobile, p | {name: torch.zeros(1)})
