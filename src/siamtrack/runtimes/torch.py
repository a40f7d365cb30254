"""PyTorch: the network as it was trained, on any device and in any type it has."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from siamtrack.errors import SettingsError
from siamtrack.tracking import Maps

PRECISIONS = ("auto", "float32", "bfloat16", "float16")


class TorchNetwork:
    """Computes a network module; see `siamtrack.tracking.Network`.

    Args:
        module: with `embed(pixels)` and `match(templates, pixels)`, pixels (B, 3, S, S) RGB 0..255.
        device: as PyTorch names it: "cpu", "cuda", "cuda:1", "mps".
        precision: "auto" is float32; other types are computed by autocast.
        threads: at most so many on the CPU; None: as PyTorch is set. PyTorch has one number for the whole process, so this
            also holds for every other network and stays when this one is gone.

    Raises:
        SettingsError: PyTorch has no such device here.
    """

    def __init__(self, module: Any, *, device: str = "cpu", precision: str = "auto", threads: int | None = None) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self._device = _usable_device(device)
        self._module = module.to(self._device).eval()
        self._dtype = torch.float32 if precision == "auto" else getattr(torch, precision)
        self.description = f"PyTorch {torch.__version__}, {device}, {str(self._dtype).removeprefix('torch.')}"

    def embed(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `siamtrack.tracking.Network.embed`."""
        with torch.inference_mode(), self._autocast():
            return self._numpy(self._module.embed(self._pixels(patches)))

    def match(self, templates: NDArray[np.float32], patches: NDArray[np.uint8]) -> Maps:
        """See `siamtrack.tracking.Network.match`."""
        pixels = self._pixels(patches.reshape(-1, *patches.shape[2:]))
        with torch.inference_mode(), self._autocast():
            maps = self._module.match(torch.from_numpy(templates).to(self._device), pixels)
            return tuple(self._numpy(values) for values in maps)

    def _pixels(self, patches: NDArray[np.uint8]) -> torch.Tensor:
        return torch.from_numpy(patches).to(self._device).permute(0, 3, 1, 2).float()

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._device.type, self._dtype, enabled=self._dtype != torch.float32)

    @staticmethod
    def _numpy(values: torch.Tensor) -> NDArray[np.float32]:
        return values.float().cpu().numpy()


class TorchMaskNetwork(TorchNetwork):
    """With masks; see `siamtrack.tracking.MaskNetwork`. The module has `masks(cells, *windows)`, too."""

    def masks(self, cells: NDArray[np.float32], *windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `siamtrack.tracking.MaskNetwork.masks`."""
        with torch.inference_mode(), self._autocast():
            return self._numpy(self._module.masks(*(torch.from_numpy(v).to(self._device) for v in (cells, *windows))))


def torch_network(module: Any, *, device: str = "cpu", precision: str = "auto", threads: int | None = None) -> TorchNetwork:
    """The module as a network, with masks where it has them; arguments and errors as for `TorchNetwork`."""
    kind = TorchMaskNetwork if hasattr(module, "masks") else TorchNetwork
    return kind(module, device=device, precision=precision, threads=threads)


def _usable_device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = textwrap.shorten(str(error), 80, placeholder=" ...")
        raise SettingsError(f"PyTorch cannot use the device '{name}' here ({reason}). Use another one, such as cpu.") from None
    return device
