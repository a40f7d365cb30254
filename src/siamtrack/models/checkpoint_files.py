"""What a checkpoint file holds, whoever wrote it: parameters by name. Nothing in a file is executed."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from siamtrack.errors import WeightsError
from siamtrack.layers.parameter_faults import listed
from siamtrack.models.matconvnet import read_matconvnet

OWN = "siamtrack"  # key in the metadata of our own safetensors files
_WRAPPERS = ("network", "state_dict", "model_state_dict", "model", "net")  # where a larger checkpoint keeps the network
_OTHER_FILES = {  # by their first bytes
    b"<": "it is a web page, such as a server sends that asks something first",
    b"version https://": "it is a pointer of Git LFS, without the file itself",
    b"PK": "it is a ZIP archive that PyTorch did not write, or a part of one",
    b"": "its content is no PyTorch file that holds tensors alone",
}


def read_parameters(path: Path) -> dict[str, Any]:
    """The parameters in a file of PyTorch, safetensors or MATLAB 5, without the `module.` of nn.DataParallel.

    Raises:
        WeightsError: the file cannot be read, would have to run code, or holds no parameters.
        MissingExtraError: a MATLAB file, and SciPy is not installed.
    """
    return _without_data_parallel(path, _values(path))


def own_description(path: Path) -> Any:
    """What our own files say of the network in them, with "model" and "network"; None for files of others.

    Raises:
        ValueError: it cannot be read.
    """
    try:
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {}).get(OWN)
        return None if text is None else json.loads(text)
    except (SafetensorError, OSError):
        return _recipe(path)


def _recipe(path: Path) -> Any:
    """The recipe in a checkpoint of a run; None in other files."""
    try:
        with warnings.catch_warnings(action="ignore"):
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)  # without reading the tensors
    except Exception:  # what it is, and that it is none, is said where its tensors are read
        return None
    recipe = content.get("recipe") if isinstance(content, Mapping) else None
    return recipe if isinstance(recipe, Mapping) and "model" in recipe else None  # before there were others, all were SiamFC


def _values(path: Path) -> dict[str, Any]:
    if path.is_dir():
        raise WeightsError(f"'{path}' is a folder; expected a checkpoint file.")
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise WeightsError(f"The checkpoint '{path}' cannot be read: {error.strerror}. Check the path.") from error
    if head.startswith(b"MATLAB 7.3"):
        raise WeightsError(f"'{path}' is a MATLAB 7.3 file; expected MATLAB 5. Save it in MATLAB with save(..., '-v7').")
    if head.startswith(b"MATLAB"):
        return read_matconvnet(path)
    if head[8:9] == b"{":  # safetensors: eight bytes of length, then JSON
        try:
            return dict(load_file(path))
        except Exception as error:
            raise _damaged(path, str(error).strip().splitlines()[0].split(". ")[0]) from error
    return _read_torch(path, head)


def _damaged(path: Path, reason: str) -> WeightsError:
    return WeightsError(f"'{path}' is no readable checkpoint: {reason}. It is incomplete or of another kind; fetch it again.")


def _read_torch(path: Path, head: bytes) -> dict[str, Any]:
    try:
        # a file and not its path, whose name would decide the format; warnings are about pickles that end in an error
        with path.open("rb") as file, warnings.catch_warnings(action="ignore"):
            content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        foreign = re.search(r"GLOBAL ([\w.]+)|(TorchScript)", str(error))
        if foreign is None:  # what PyTorch says here is an advice to load it unsafely, or names a line of its own code
            raise _damaged(path, next(kind for start, kind in _OTHER_FILES.items() if head.startswith(start))) from error
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
        keys = listed(map(str, content)) or "nothing"
        raise WeightsError(f"'{path}' holds {keys}, no parameters; expected them in one of {', '.join(_WRAPPERS)}.")
    return {str(name): value for name, value in inner.items()}


def _without_data_parallel(path: Path, found: Mapping[str, Any]) -> dict[str, Any]:
    """nn.DataParallel puts `module.` before every name of what it wraps: of the network, or of a part of it."""
    plain = {".".join(part for part in name.split(".") if part != "module"): value for name, value in found.items()}
    if len(plain) < len(found):
        raise WeightsError(f"'{path}' holds some parameters twice, with and without 'module.'; expected each of them once.")
    return plain
