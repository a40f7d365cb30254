"""Many small tensors as one, so that a batch crosses from process to process, and from host to device, in one piece."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

_ALIGNED = 8  # bytes: the largest value there is


class Slot(NamedTuple):
    """Where a tensor lies in a parcel."""

    start: int  # bytes
    dtype: str  # as PyTorch names it
    shape: tuple[int, ...]


class Parcel(NamedTuple):
    """Named tuples of tensors, numbers and tuples of them, with all tensors in one."""

    content: Tensor  # (bytes,) uint8
    layout: Any  # the same named tuples, with a `Slot` for each tensor

    def opened(self) -> Any:
        """What was packed; its tensors are views of the content, on its device."""
        return _rebuilt(self.layout, self._tensor)

    def _tensor(self, leaf: Any) -> Any:
        if not isinstance(leaf, Slot):
            return leaf
        dtype = getattr(torch, leaf.dtype)
        end = leaf.start + torch.Size(leaf.shape).numel() * dtype.itemsize
        return self.content[leaf.start : end].view(dtype).reshape(leaf.shape)


def packed(tree: Any) -> Parcel:
    """Packs named tuples; their tensors are on the CPU."""
    pieces: list[Tensor] = []
    end = 0

    def slot(leaf: Any) -> Any:
        nonlocal end
        if not isinstance(leaf, Tensor):
            return leaf
        content = torch.from_numpy(np.ascontiguousarray(leaf.numpy()).reshape(-1).view(np.uint8))
        found = Slot(end, str(leaf.dtype).removeprefix("torch."), tuple(leaf.shape))
        padding = -len(content) % _ALIGNED
        pieces.extend((content, torch.zeros(padding, dtype=torch.uint8)))
        end += len(content) + padding
        return found

    layout = _rebuilt(tree, slot)
    return Parcel(torch.cat(pieces) if pieces else torch.zeros(0, dtype=torch.uint8), layout)


def _rebuilt(tree: Any, leaf: Any) -> Any:
    """The same tuples, named or not, with each of their leaves replaced."""
    if isinstance(tree, Slot) or not isinstance(tree, tuple | list):
        return leaf(tree)
    found = [_rebuilt(value, leaf) for value in tree]
    return type(tree)(*found) if hasattr(tree, "_fields") else tuple(found)
