"""Parameters of a MatConvNet network (DagNN) in a MATLAB 5 file, with PyTorch's order of axes.

MatConvNet stores filters as (height, width, input, output), and a batch norm's mean and deviation in one array of two columns.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from siamtrack.errors import MissingExtraError, WeightsError


def read_matconvnet(path: Path) -> dict[str, Any]:
    """Every parameter by its name; the moments of a batch norm `x` as "x(:,1)" and "x(:,2)".

    Raises:
        WeightsError: the file holds no such network.
        MissingExtraError: SciPy is not installed.
    """
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
    return {key: part for name, value in values.items() for key, part in _parts(name, value).items()}


def _parts(name: str, value: NDArray[Any]) -> dict[str, Any]:
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
