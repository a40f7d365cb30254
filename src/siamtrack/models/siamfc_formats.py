"""Formats of SiamFC (AlexNet) checkpoints -> the network of `models/siamfc.py`.

* siamtrack: `weights.safetensors` and the checkpoints of a training run; `weights.safetensors` of a model folder, whose
  batch norm is folded into the convolutions.
* huanglianghua/siamfc-pytorch: `siamfc_alexnet_e50.pth` (`backbone.conv1.0.*`), and its first version
  (`feature.0.*`). Response times 1e-3, no bias.
* sergi2596/pytorch-siamfc (the thesis) and StrangerZhang/SiamFC-PyTorch, from which it comes: `features.module.0.*` and
  `corr_bias`. Response times 1e-3 plus the bias while training; their trackers leave both out.
* Folded convolutions: `conv1.weight`, `conv1.bias` ... `conv5.bias`, no batch norm. Response times 1e-3, no bias.
* bertinetto/siamese-fc: `2016-08-17.net.mat` and `2016-08-17_gray025.net.mat`, MatConvNet's DagNN in a MATLAB 5 file.

All of them track with RGB pixels of 0..255, as this network does. (The thesis trained with pixels normalised by
ImageNet's mean and deviation and tracked with 0..255; this code does what its tracker did.)

Differences that are evened out here, exactly:
* MatConvNet stores filters as (height, width, input, output) and sqrt(variance + epsilon) instead of the variance.
* Batch norm's epsilon is 1e-5 in the thesis and 1e-6 here; the difference is added to the running variance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from siamtrack.layers.parameter_faults import COUNTER
from siamtrack.models.published import Format, fitted_width
from siamtrack.models.siamfc import SiamFC, SiamFCNetworkSettings

_EPSILON = 1e-6  # of the batch norm in layers/alexnet.py
_EMBEDDING = "backbone.conv5.0.weight"
_CONV: tuple[str, ...] = ("weight", "bias")
_NORM: tuple[str, ...] = ("weight", "bias", "running_mean", "running_var", COUNTER)
_OWN = {"gain": "gain", "bias": "bias"}


def _names(convs: Sequence[str], norms: Sequence[str] = ()) -> dict[str, str]:
    """Prefixes of the five convolutions and the four batch norms -> every name of theirs with ours."""
    pairs = [(theirs, f"backbone.conv{n}.0", _CONV) for n, theirs in enumerate(convs, 1)]
    pairs += [(theirs, f"backbone.conv{n}.1", _NORM) for n, theirs in enumerate(norms, 1)]
    return {f"{theirs}.{part}": f"{ours}.{part}" for theirs, ours, parts in pairs for part in parts}


def _numbered(prefix: str) -> dict[str, str]:
    """One flat nn.Sequential: convolution, batch norm, ReLU, and max-pooling after the first two."""
    return _names([f"{prefix}.{i}" for i in (0, 4, 8, 11, 14)], [f"{prefix}.{i}" for i in (1, 5, 9, 12)])


def _matconvnet() -> dict[str, str]:
    names = {"adjust_f": "gain", "adjust_b": "bias"}
    for n in range(1, 6):
        names |= {f"conv{n}f": f"backbone.conv{n}.0.weight", f"conv{n}b": f"backbone.conv{n}.0.bias"}
    for n in range(1, 5):
        norm = f"backbone.conv{n}.1"
        names |= {f"bn{n}m": f"{norm}.weight", f"bn{n}b": f"{norm}.bias"}
        names |= {f"bn{n}x(:,1)": f"{norm}.running_mean", f"bn{n}x(:,2)": f"{norm}.running_var"}
    return names


def _default(name: str) -> float | None:
    """What these formats leave out: the gain, the bias, or batch norm as a whole, which becomes the identity."""
    kind = name.rpartition(".")[2]
    if name == "gain":
        return SiamFCNetworkSettings.gain
    if ".1." in name:
        return {"weight": 1.0, "running_var": 1 - _EPSILON}.get(kind, 0.0)
    return 0.0 if name == "bias" else None


def _format(title: str, names: Mapping[str, str], **differences: Any) -> Format:
    def default(name: str) -> float | None:
        return None if name in names.values() else _default(name)

    def build(found: Mapping[str, Any]) -> SiamFC:
        return _blank({names[name]: value for name, value in found.items() if name in names})

    return Format(title=title, model="siamfc", build=build, names=lambda network: names, default=default, **differences)


_BLOCKS = _names([f"backbone.conv{n}.0" for n in range(1, 6)], [f"backbone.conv{n}.1" for n in range(1, 5)])
_FOLDED = _names([f"backbone.conv{n}.0" for n in range(1, 6)])
FORMATS = (  # of two that fit equally well the first is taken
    _format("siamtrack's model folders", _FOLDED | _OWN),
    _format("huanglianghua/siamfc-pytorch", _BLOCKS),
    _format("siamtrack", _BLOCKS | _OWN),
    _format("huanglianghua/siamfc-pytorch (first version)", _numbered("feature")),
    _format(
        "sergi2596/pytorch-siamfc",
        _numbered("features") | {"corr_bias": "bias"},
        epsilon=1e-5 - _EPSILON,
        unused=frozenset(f"batch_normalization.{part}" for part in _NORM),
    ),
    _format("folded convolutions", _names([f"conv{n}" for n in range(1, 6)])),
    _format("bertinetto/siamese-fc", _matconvnet(), epsilon=-_EPSILON, deviations=True),
)


def _blank(ours: Mapping[str, Any]) -> SiamFC:
    """The network for these parameters: its width is found from their shapes, its sizes are the paper's."""
    gain = ours.get("gain")
    if not (isinstance(gain, Tensor) and gain.numel() == 1 and gain.is_floating_point() and 0 < gain.item() < 1e6):
        return _network(_width(ours), SiamFCNetworkSettings.gain)
    return _network(_width(ours), float(f"{gain.item():.7g}"))  # float32 0.001 is no shorter number in float64


def _network(width: float, gain: float) -> SiamFC:
    """Without memory for its parameters: nothing is allocated or drawn at random for what is replaced."""
    with torch.device("meta"):
        return SiamFC(SiamFCNetworkSettings(width=width, gain=gain))


def _width(ours: Mapping[str, Any]) -> float:
    full = {
        name: value.shape[0]
        for name, value in _network(1.0, SiamFCNetworkSettings.gain).state_dict().items()
        if value.ndim == 4
    }
    del full[_EMBEDDING]  # 256 at every width
    return fitted_width([(value.shape[0], full[name]) for name, value in ours.items() if name in full and _is_filter(value)])


def _is_filter(value: object) -> bool:
    return isinstance(value, Tensor) and value.ndim == 4 and value.shape[0] > 0
