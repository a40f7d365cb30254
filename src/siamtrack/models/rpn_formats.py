"""Formats of checkpoints of the SiamRPN family, SiamDW and SiamMask -> the networks of `siamrpn.py`, `siamrpnpp.py`,
`siamdw.py` and `siammask.py`.

* STVIR/pysot: every experiment, `model.pth` and the snapshots of its training.
* foolwood/SiamMask: `SiamMask_DAVIS.pth`, `SiamMask_VOT.pth`, `SiamMask_VOT_LD.pth`, and those without refinement.
* foolwood/DaSiamRPN: `SiamRPNVOT.model`, `SiamRPNOTB.model`, `SiamRPNBIG.model`.
* researchmm/SiamDW: `CIResNet22_*.pth`, and those of the other backbones; both heads.

All of them want pixels in the order blue, green, red; the input channels of the first convolution are put in reverse order
here, exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from siamtrack.models import siamdw, siammask, siamrpn, siamrpnpp
from siamtrack.models.published import Format, fitted_width
from siamtrack.models.siamdw import SiamDWNetworkSettings
from siamtrack.models.siammask import SiamMask, SiamMaskNetworkSettings
from siamtrack.models.siamrpn import SiamRPN, SiamRPNNetworkSettings
from siamtrack.models.siamrpnpp import LAYERS, SiamRPNPP, SiamRPNPPNetworkSettings

Found = Mapping[str, Any]
_OFFICIAL = "features.features"  # of SiamDW's backbones


def _on_meta(build: Callable[[], Any]) -> Any:
    """A network without memory for its parameters."""
    with torch.device("meta"):
        return build()


def _outputs(found: Found, name: str) -> int:
    """Output channels of a convolution; 0 where it is not there."""
    value = found.get(name)
    return value.shape[0] if isinstance(value, Tensor) and value.ndim == 4 else 0


def _inputs(found: Found, name: str) -> int:
    value = found.get(name)
    return value.shape[1] if isinstance(value, Tensor) and value.ndim == 4 else 0


def _anchors(found: Found, *names: str) -> int:
    """From the first of these convolutions of loc that is there: four output channels an anchor."""
    return max(1, next((outputs // 4 for name in names if (outputs := _outputs(found, name))), 5))


def _width(found: Found, full: Mapping[str, int]) -> float:
    """From convolutions and their channels at width 1."""
    return fitted_width([(outputs, channels) for name, channels in full.items() if (outputs := _outputs(found, name))])


def _holds(found: Found, start: str) -> bool:
    return any(name.startswith(start) for name in found)


def _alexnet(*names: str) -> dict[str, int]:
    """The five convolutions and their channels at width 1."""
    return {f"{name}.weight": channels for name, channels in zip(names, (96, 256, 384, 384, 256), strict=True)}


def _sequential(prefix: str) -> dict[str, int]:
    return _alexnet(*(f"{prefix}.{place}" for place in (0, 4, 8, 11, 14)))


def _pysot_alexnet(found: Found, *, full: Mapping[str, int]) -> SiamRPN | None:
    if not any(_outputs(found, name) for name in full) or not _holds(found, "rpn_head."):
        return None
    settings = SiamRPNNetworkSettings(
        head="depthwise" if _holds(found, "rpn_head.cls.") else "up-channel",
        width=_width(found, full),
        anchors=_anchors(found, "rpn_head.loc.head.3.weight", "rpn_head.loc_adjust.weight"),
    )
    network: SiamRPN = _on_meta(lambda: SiamRPN(settings))
    return network


def _dasiamrpn(found: Found) -> SiamRPN | None:
    if not _holds(found, "featureExtract."):
        return None
    width, anchors = _width(found, _sequential("featureExtract")), _anchors(found, "regress_adjust.weight")
    settings = SiamRPNNetworkSettings(width=width, anchors=anchors)
    network: SiamRPN = _on_meta(lambda: SiamRPN(settings))
    return network


def _resnet(prefix: str) -> dict[str, int]:
    """Convolutions and their channels at width 1."""
    return {f"{prefix}.conv1.weight": 64} | {f"{prefix}.layer{n + 1}.0.conv1.weight": 64 * 2**n for n in range(4)}


_MOBILENET = {"backbone.layer0.0.weight": 32} | {
    f"backbone.layer{n}.0.conv.6.weight": channels for n, channels in enumerate((16, 24, 32, 64, 96, 160, 320), 1)
}


def _pysot_deep(found: Found) -> SiamRPNPP | None:
    necks = [f"neck.downsample{n}.downsample.0.weight" for n in range(2, 9) if _holds(found, f"neck.downsample{n}.")]
    backbone = _deep_backbone(found)
    if not necks or not backbone or not _holds(found, "rpn_head.") or _holds(found, "mask_head."):
        return None
    width = _width(found, _MOBILENET if backbone == "mobilenetv2" else _resnet("backbone"))
    layers = _used_layers(backbone, width, [_inputs(found, name) for name in necks])
    settings = SiamRPNPPNetworkSettings(
        backbone=backbone,
        width=width,
        used_layers=layers,
        neck_channels=tuple(_outputs(found, name) or 256 for name in necks[: len(layers)]),
        weighted="rpn_head.cls_weight" in found,
        anchors=_anchors(found, "rpn_head.rpn2.loc.head.3.weight"),
    )
    network: SiamRPNPP = _on_meta(lambda: SiamRPNPP(settings))
    return network


def _deep_backbone(found: Found, prefix: str = "backbone") -> str:
    if _holds(found, f"{prefix}.layer0."):
        return "mobilenetv2"
    if _holds(found, f"{prefix}.layer1.0.conv3."):
        return "resnet50"
    if not _holds(found, f"{prefix}.layer1.0.conv2."):
        return ""
    return "resnet34" if _holds(found, f"{prefix}.layer1.2.") else "resnet18"


def backbone_in(found: Found) -> str:
    """Which backbone these parameters seem to be, by our names; "" where they are none that is known."""
    if _holds(found, "features.1.conv.") or _holds(found, "layer1.0.conv.0."):
        return "mobilenetv2"
    if any(_holds(found, f"layer3.{deeper}.") for deeper in (6, 22)):
        return "a deeper ResNet than resnet50"
    if deep := _deep_backbone({f"backbone.{name}": 0 for name in found}):
        return deep
    if _holds(found, f"{_OFFICIAL}.layer1."):
        return f"{_siamdw_backbone(found)} of researchmm/SiamDW"
    return "AlexNet" if _side(found, "features.0.weight") == 11 or _side(found, "layer1.0.weight") == 11 else ""


def _side(found: Found, name: str) -> int:
    """Of a convolution's kernel; 0 where it is not there."""
    return found[name].shape[-1] if _outputs(found, name) else 0


def _used_layers(backbone: str, width: float, channels: list[int]) -> tuple[int, ...]:
    """The layers with so many channels; where there are none, the first ones, whose shapes are then named as wrong."""
    known = LAYERS[backbone]
    every = SiamRPNPPNetworkSettings(backbone=backbone, width=width, used_layers=known, neck_channels=(1,) * len(known))
    by_channels = dict(zip(_on_meta(lambda: SiamRPNPP(every)).backbone.channels, known, strict=True))
    layers = [by_channels.get(count, 0) for count in channels]
    return tuple(layers) if layers == sorted(set(layers) - {0}) else known[: len(channels)]


def _siammask(found: Found, *, parts: Mapping[str, str]) -> SiamMask | None:
    backbone, neck, head, mask, refine = (parts[ours] for ours in ("backbone", "neck.0", "head", "mask", "refine"))
    if not _holds(found, f"{head}.") or not (_holds(found, f"{mask}.") or _holds(found, f"{neck}.")):
        return None
    settings = SiamMaskNetworkSettings(
        backbone=_deep_backbone(found, backbone) or "resnet50",
        width=_width(found, _resnet(backbone)),
        channels=_outputs(found, f"{neck}.0.weight") or 256,
        refined=_holds(found, f"{refine}."),
        anchors=_anchors(found, f"{head}.loc.head.3.weight"),
    )
    network: SiamMask = _on_meta(lambda: SiamMask(settings))
    return network


def _siammask_format(
    title: str, parts: Mapping[str, str], names: Callable[[SiamMaskNetworkSettings], Mapping[str, str]]
) -> Format:
    def of_settings(network: SiamMask) -> Mapping[str, str]:
        return names(network.settings)

    build = partial(_siammask, parts=parts)
    return Format(title=title, model="siammask", build=build, names=of_settings, bgr=("backbone.stem.0.weight",))


def _siamdw(found: Found) -> Any:
    if not _holds(found, f"{_OFFICIAL}.layer1.") or _holds(found, "rpn_model."):
        return None
    backbone = _siamdw_backbone(found)
    anchors = _anchors(found, "connect_model.adjust.weight")
    kernel = "connect_model.search_cls.weight"
    scores = _outputs(found, "connect_model.template_cls.weight") // max(1, anchors * _outputs(found, kernel))
    scores = min(max(scores, 1), 2)
    stem = f"{_OFFICIAL}.conv{0 if backbone == 'CIResNeXt22' else 1}.weight"
    settings = SiamDWNetworkSettings(
        backbone=backbone,
        head="siamrpn" if _holds(found, "connect_model.template_") else "siamfc",
        width=_width(found, {stem: 64, kernel: 256 * scores} | {f"{_OFFICIAL}.layer1.{n}.conv1.weight": 64 for n in range(3)}),
        anchors=anchors,
        anchor_scores=scores,
    )
    return _on_meta(lambda: siamdw.NETWORKS[settings.head](settings))


def _siamdw_backbone(found: Found) -> str:
    middle = f"{_OFFICIAL}.layer1.0.conv2.weight"
    if _holds(found, f"{_OFFICIAL}.layer1.0.basic."):
        return "CIResNeXt22"
    if _holds(found, f"{_OFFICIAL}.layer1.0.branch3x3."):
        return "CIResInception22"
    return "CIResNet22W" if _outputs(found, middle) > _inputs(found, middle) else "CIResNet22"


def _siamrpn_format(title: str, build: Callable[[Found], Any], names: Callable[[Any], Mapping[str, str]]) -> Format:
    def of_settings(network: SiamRPN) -> Mapping[str, str]:
        return names(network.settings)

    return Format(title=title, model="siamrpn", build=build, names=of_settings, bgr=("backbone.conv1.0.weight",))


def _deep_names(network: SiamRPNPP) -> Mapping[str, str]:
    return siamrpnpp.names_of_pysot(network.settings)


def _siamdw_names(network: Any) -> Mapping[str, str]:
    return siamdw.names_of_siamdw(network.settings)


FORMATS = (
    _siamrpn_format("STVIR/pysot", partial(_pysot_alexnet, full=_sequential("backbone.features")), siamrpn.names_of_pysot),
    _siamrpn_format(
        "STVIR/pysot",
        partial(_pysot_alexnet, full=_alexnet(*(f"backbone.layer{n}.0" for n in range(1, 6)))),
        partial(siamrpn.names_of_pysot, backbone="alexnet"),
    ),
    Format(
        title="STVIR/pysot",
        model="siamrpnpp",
        build=_pysot_deep,
        names=_deep_names,
        bgr=("backbone.stem.0.weight", "backbone.layer0.0.weight"),
    ),
    _siamrpn_format("foolwood/DaSiamRPN", _dasiamrpn, siamrpn.names_of_dasiamrpn),
    _siammask_format("STVIR/pysot", siammask.PYSOT_PARTS, siammask.names_of_pysot),
    _siammask_format("foolwood/SiamMask", siammask.OFFICIAL_PARTS, siammask.names_of_siammask),
    Format(title="researchmm/SiamDW", model="siamdw", build=_siamdw, names=_siamdw_names, bgr=("backbone.stem.conv.weight",)),
)
