"""Checkpoints of SiamFC (AlexNet) as others and we ourselves publish them -> the network of `models/siamfc.py`.

Formats, told apart by what is in the file:
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
from dataclasses import dataclass
from pathlib import Path
from statistics import mode
from typing import Any

import torch
from torch import Tensor

from siamtrack.errors import WeightsError
from siamtrack.models.checkpoint_files import listed, read_parameters
from siamtrack.models.siamfc import SiamFC, SiamFCNetworkSettings

_EPSILON = 1e-6  # of the batch norm in layers/alexnet.py
_COUNTER = "num_batches_tracked"  # PyTorch before 0.4.1 had none, and nothing depends on it
_EMBEDDING = "backbone.conv5.0.weight"
_CONV: tuple[str, ...] = ("weight", "bias")
_NORM: tuple[str, ...] = ("weight", "bias", "running_mean", "running_var", _COUNTER)


@dataclass(frozen=True, kw_only=True)
class _Layout:
    title: str
    names: Mapping[str, str]  # theirs -> ours
    epsilon: float = _EPSILON  # what their batch norm adds to what is stored as running_var
    deviations: bool = False  # running_var is stored as a standard deviation
    unused: frozenset[str] = frozenset()  # may be there, has no part in the response


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


_BLOCKS = _names([f"backbone.conv{n}.0" for n in range(1, 6)], [f"backbone.conv{n}.1" for n in range(1, 5)])
_FOLDED = _names([f"backbone.conv{n}.0" for n in range(1, 6)])
_LAYOUTS = (  # of two that fit equally well the first is taken
    _Layout(title="siamtrack's model folders", names=_FOLDED | {"gain": "gain", "bias": "bias"}),
    _Layout(title="huanglianghua/siamfc-pytorch", names=_BLOCKS),
    _Layout(title="siamtrack", names=_BLOCKS | {"gain": "gain", "bias": "bias"}),
    _Layout(title="huanglianghua/siamfc-pytorch (first version)", names=_numbered("feature")),
    _Layout(
        title="sergi2596/pytorch-siamfc",
        names=_numbered("features") | {"corr_bias": "bias"},
        epsilon=1e-5,
        unused=frozenset(f"batch_normalization.{part}" for part in _NORM),
    ),
    _Layout(title="folded convolutions", names=_names([f"conv{n}" for n in range(1, 6)])),
    _Layout(title="bertinetto/siamese-fc", names=_matconvnet(), epsilon=0.0, deviations=True),
)


def read_checkpoint(path: Path) -> SiamFC:
    """The network of a checkpoint in any of the formats above, in eval mode.

    The width is found from the shapes; template and search size are not in these files and are the paper's. Nothing in
    the file is executed, and the global random state is left as it is.

    Raises:
        WeightsError: the file cannot be read, would have to run code, or does not hold exactly the finite parameters of
            this network; all missing, unexpected and wrong ones are named at once.
        MissingExtraError: a MATLAB file, and SciPy is not installed.
    """
    found = read_parameters(path)
    layout = _recognise(path, found)
    ours = {layout.names[name]: value for name, value in found.items() if name in layout.names}
    width = _width(ours)
    shapes = {name: tuple(value.shape) for name, value in _blank(width).state_dict().items()}
    if problems := _problems(layout, found, shapes):
        raise WeightsError(
            f"'{path}', read in the format of {layout.title}, does not hold exactly the parameters of SiamFC: "
            f"{'; '.join(problems)}. Give a checkpoint of SiamFC with the five-convolution AlexNet."
        )
    state = {name: _converted(layout, name, ours[name], shapes[name]) for name in ours}
    state |= {name: _default(name, shape) for name, shape in shapes.items() if name not in ours}
    network = _blank(width, gain=float(f"{state['gain'].item():.7g}"))  # float32 0.001 is no shorter number in float64
    network.load_state_dict(state, assign=True)
    return network.eval()


def _recognise(path: Path, found: Mapping[str, Any]) -> _Layout:
    layout = max(_LAYOUTS, key=lambda layout: len(found.keys() & layout.names.keys()))
    if found.keys() & layout.names.keys():
        return layout
    raise WeightsError(
        f"'{path}' is no checkpoint of SiamFC: none of its {len(found)} parameters belongs to it. It holds "
        f"{listed(found) or 'nothing'}; expected for example backbone.conv1.0.weight. It may be of another tracker."
    )


def _width(ours: Mapping[str, Any]) -> float:
    """The shortest number that gives all the channels found; where no width does, the one that fits most layers."""
    full = {name: value.shape[0] for name, value in _blank(1.0).state_dict().items() if value.ndim == 4}
    del full[_EMBEDDING]  # 256 at every width
    counts = [(value.shape[0], full[name]) for name, value in ours.items() if name in full and _is_filter(value)]
    # n channels come from every width with (n - 1) / c < width < (n + 1) / c; two are the least there can be
    low = max(((n - 1) / c for n, c in counts if n > 2), default=0.0)
    high = min(((n + 1) / c for n, c in counts), default=2.0)
    rounded = (round((low + high) / 2, digits) for digits in range(6))
    common = next((width for width in rounded if low < width < high), None)
    return common or mode([round(n / c, 3) for n, c in counts])


def _is_filter(value: object) -> bool:
    return isinstance(value, Tensor) and value.ndim == 4 and value.shape[0] > 0


def _blank(width: float, gain: float = SiamFCNetworkSettings.gain) -> SiamFC:
    """The network without memory for its parameters: nothing is allocated or drawn at random for what is replaced."""
    with torch.device("meta"):
        return SiamFC(SiamFCNetworkSettings(width=width, gain=gain))


def _problems(layout: _Layout, found: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    missing = [name for name in layout.names if name not in found and not name.endswith(_COUNTER)]
    unexpected = [name for name in found if name not in layout.names and name not in layout.unused]
    unusable, shaped, infinite, negative = [], [], [], []
    for name in (name for name in found if name in layout.names):
        value, shape = found[name], shapes[layout.names[name]]
        if not _is_numeric(name, value):
            unusable.append(name)
        elif tuple(value.shape) != shape and (shape or value.numel() != 1):  # a scalar may come as a vector of one
            shaped.append(f"{name} is {tuple(value.shape)}, not {shape}")
        elif not value.float().isfinite().all():
            infinite.append(name)
        elif layout.names[name].endswith("running_var") and (value.double() + layout.epsilon <= 0).any():
            negative.append(name)
    kinds = {
        "missing": missing,
        "unexpected, do not belong to it": unexpected,
        "no arrays of floating-point numbers": unusable,
        "wrong shape": shaped,
        "not finite in float32": infinite,
        "negative variance or deviation": negative,
    }
    return [f"{kind}: {listed(names)}" for kind, names in kinds.items() if names]


def _is_numeric(name: str, value: object) -> bool:
    dense = isinstance(value, Tensor) and value.layout == torch.strided
    return dense and (value.is_floating_point() or name.endswith(_COUNTER))  # type: ignore[attr-defined]


def _converted(layout: _Layout, name: str, value: Tensor, shape: tuple[int, ...]) -> Tensor:
    if name.endswith(_COUNTER):
        return value.detach().long().reshape(shape)
    if name.endswith("running_var"):
        exact = value.double().square() if layout.deviations else value.double()
        value = exact + (layout.epsilon - _EPSILON)
    return value.detach().float().reshape(shape).contiguous()


def _default(name: str, shape: tuple[int, ...]) -> Tensor:
    """What a format leaves out: the counters, the gain, the bias, or batch norm as a whole, which becomes the identity."""
    kind = name.rpartition(".")[2]
    if kind == _COUNTER:
        return torch.zeros(shape, dtype=torch.long)
    values = {"gain": SiamFCNetworkSettings.gain, "weight": 1.0, "running_var": 1 - _EPSILON}
    return torch.full(shape, values.get(kind, 0.0))
