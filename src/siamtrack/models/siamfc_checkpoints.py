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

import re
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from statistics import mode
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from siamtrack.errors import MissingExtraError, WeightsError
from siamtrack.models.siamfc import SiamFC, SiamFCNetworkSettings

_EPSILON = 1e-6  # of the batch norm in layers/alexnet.py
_COUNTER = "num_batches_tracked"  # PyTorch before 0.4.1 had none, and nothing depends on it
_EMBEDDING = "backbone.conv5.0.weight"
_CONV: tuple[str, ...] = ("weight", "bias")
_NORM: tuple[str, ...] = ("weight", "bias", "running_mean", "running_var", _COUNTER)
_WRAPPERS = ("network", "state_dict", "model_state_dict", "model", "net")  # where a larger checkpoint keeps the network
_LISTED = 8  # more names than this are summed up in a message


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
    found = _without_data_parallel(path, _read_values(path))
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


def _read_values(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise WeightsError(f"The checkpoint '{path}' cannot be read: {error.strerror}. Check the path.") from error
    if head.startswith(b"MATLAB 7.3"):
        raise WeightsError(f"'{path}' is a MATLAB 7.3 file; expected MATLAB 5. Save it in MATLAB with save(..., '-v7').")
    if head.startswith(b"MATLAB"):
        return _read_matconvnet(path)
    if head[8:9] == b"{":  # safetensors: eight bytes of length, then JSON
        try:
            return dict(load_file(path))
        except Exception as error:
            raise _damaged(path, error) from error
    return _read_torch(path)


def _damaged(path: Path, error: Exception) -> WeightsError:
    if isinstance(error, UnpicklingError | LookupError):  # PyTorch's advice here is to load it unsafely
        reason = "its content is no PyTorch file that holds tensors alone"
    else:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].split(". ")[0]
    return WeightsError(f"'{path}' is no readable checkpoint: {reason}. It is incomplete or of another kind; fetch it again.")


def _read_torch(path: Path) -> dict[str, Any]:
    try:
        # a file and not its path, whose name would decide the format; warnings are about pickles that end in an error
        with path.open("rb") as file, warnings.catch_warnings(action="ignore"):
            content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        foreign = re.search(r"GLOBAL ([\w.]+)|(TorchScript)", str(error))
        if foreign is None:
            raise _damaged(path, error) from error
        raise WeightsError(
            f"'{path}' was refused: it holds more than tensors ({foreign[1] or foreign[2]}), and reading that can run any "
            "code that its author put there. Save network.state_dict() alone where the file comes from."
        ) from error
    return _state_dict(path, content)


def _state_dict(path: Path, content: object) -> dict[str, Any]:
    if not isinstance(content, Mapping):
        raise WeightsError(f"'{path}' holds a {type(content).__name__}; expected a state dict: names with their tensors.")
    flat = any(isinstance(value, Tensor) for value in content.values())
    inner = content if flat else next((content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping)), None)
    if inner is None:
        keys = _listed(map(str, content)) or "nothing"
        raise WeightsError(f"'{path}' holds {keys}, no parameters; expected them in one of {', '.join(_WRAPPERS)}.")
    return {str(name): value for name, value in inner.items()}


def _without_data_parallel(path: Path, found: Mapping[str, Any]) -> dict[str, Any]:
    """nn.DataParallel puts `module.` before every name of what it wraps: of the network, or of a part of it."""
    plain = {".".join(part for part in name.split(".") if part != "module"): value for name, value in found.items()}
    if len(plain) < len(found):
        raise WeightsError(f"'{path}' holds some parameters twice, with and without 'module.'; expected each of them once.")
    return plain


def _read_matconvnet(path: Path) -> dict[str, Any]:
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise MissingExtraError("scipy", extra="train", purpose="Reading a MatConvNet network") from error
    try:
        parameters = loadmat(path, variable_names=["net"])["net"]["params"][0, 0].ravel()
        values = {str(entry["name"].item()): entry["value"] for entry in parameters}
    except Exception as error:
        raise WeightsError(
            f"'{path}' is a MATLAB file but no readable MatConvNet network ({type(error).__name__}: {error}); expected a "
            "struct 'net' with 'params', as in 2016-08-17.net.mat. It may be incomplete; fetch it again."
        ) from error
    return {key: part for name, value in values.items() for key, part in _matconvnet_parts(name, value).items()}


def _matconvnet_parts(name: str, value: NDArray[Any]) -> dict[str, Any]:
    """One parameter in PyTorch's order of axes; the moments (channels, 2) of a batch norm as two."""
    if value.dtype.kind != "f":
        return {name: value}
    if re.fullmatch(r"bn\d+x", name):
        columns = value.T if value.ndim == 2 and value.shape[1] == 2 else (value, value)
        return {f"{name}(:,{n})": _tensor(column) for n, column in enumerate(columns, 1)}
    if re.fullmatch(r"conv\d+f", name):
        return {name: _tensor(value.transpose(3, 2, 0, 1) if value.ndim == 4 else value)}
    return {name: _tensor(value.ravel())}


def _tensor(value: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.array(value, np.float64, order="C"))  # a copy in this machine's byte order


def _recognise(path: Path, found: Mapping[str, Any]) -> _Layout:
    layout = max(_LAYOUTS, key=lambda layout: len(found.keys() & layout.names.keys()))
    if found.keys() & layout.names.keys():
        return layout
    raise WeightsError(
        f"'{path}' is no checkpoint of SiamFC: none of its {len(found)} parameters belongs to it. It holds "
        f"{_listed(found) or 'nothing'}; expected for example backbone.conv1.0.weight. It may be of another tracker."
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
    return [f"{kind}: {_listed(names)}" for kind, names in kinds.items() if names]


def _is_numeric(name: str, value: object) -> bool:
    dense = isinstance(value, Tensor) and value.layout == torch.strided
    return dense and (value.is_floating_point() or name.endswith(_COUNTER))  # type: ignore[attr-defined]


def _listed(names: Iterable[str]) -> str:
    """The names; of very many, one of each kind with the number of the others."""
    names = list(names)
    if len(names) <= _LISTED:
        return ", ".join(names)
    kinds = Counter(name.split(".")[0] for name in names)
    examples = {name.split(".")[0]: name for name in reversed(names)}
    listed = [f"{examples[kind]}{f' and {n - 1} more {kind}.*' if n > 1 else ''}" for kind, n in kinds.items()]
    return ", ".join(listed[:_LISTED]) + (f" and {len(listed) - _LISTED} more kinds" if len(listed) > _LISTED else "")


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
