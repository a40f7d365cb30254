"""Batches of training pairs from loading processes, by number, so that a resumed run sees what it would have seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

import cv2
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from siamtrack.errors import SiamtrackError
from siamtrack.pair import Pair


class Pairs(Protocol):
    """Training pairs by number: the same number gives the same pair, always."""

    def __getitem__(self, number: int) -> Pair: ...


class Batch(NamedTuple):
    """B pairs. Pixels 0..255, RGB, and where the targets are."""

    templates: Tensor  # (B, 3, T, T) uint8, channels last in memory
    searches: Tensor  # (B, 3, S, S) uint8, channels last in memory
    offsets: Tensor  # (B, 2) float32, x and y from the centre of the search patch, patch pixels
    boxes: Tensor  # (B, 4) float32, x, y, w, h in the search patch, patch pixels
    skipped: tuple[str, ...] = ()  # what could not be read while they were drawn


class _Numbered(Dataset[Pair | SiamtrackError]):
    def __init__(self, pairs: Pairs) -> None:
        self.pairs = pairs

    def __getitem__(self, number: int) -> Pair | SiamtrackError:
        try:
            return self.pairs[number]
        except SiamtrackError as error:  # raised in a loading process, it would come out inside the text of a traceback
            return error


def batches(pairs: Pairs, numbers: Iterable[int], *, batch_size: int, workers: int, pin: bool = False) -> Iterator[Batch]:
    """Batches of the pairs with these numbers, in order; the last incomplete one is left out.

    Raises:
        DataError: while iterating, when pairs cannot be drawn, whichever process found out.
    """
    loader = DataLoader(
        _Numbered(pairs),
        batch_size=batch_size,
        sampler=numbers,
        num_workers=workers,
        collate_fn=_collate,
        drop_last=True,
        worker_init_fn=_start_worker,
        prefetch_factor=4 if workers else None,
        pin_memory=pin,
    )
    for batch in loader:
        if isinstance(batch, SiamtrackError):
            raise batch
        yield batch


def shares(steps: range, *, batch_size: int, parts: int = 1, rank: int = 0, world: int = 1) -> Iterator[int]:
    """The numbers of the pairs that process `rank` of `world` computes in these steps, in order.

    Step s has the pairs s * batch_size and so on, in equal consecutive parts, and each process takes an equal consecutive
    share of every part, so that the parts are the same ones however many processes there are.
    """
    part = batch_size // parts
    share = part // world
    for step in steps:
        for first in range(step * batch_size, (step + 1) * batch_size, part):
            yield from range(first + rank * share, first + (rank + 1) * share)


def _collate(found: Sequence[Pair | SiamtrackError]) -> Batch | SiamtrackError:
    pairs = []
    for pair in found:
        if isinstance(pair, SiamtrackError):
            return pair
        pairs.append(pair)
    templates, searches = (
        torch.stack([torch.from_numpy(image) for image in images]).permute(0, 3, 1, 2)
        for images in zip(*((p.template, p.search) for p in pairs), strict=True)
    )
    offsets, boxes = (
        torch.stack([torch.from_numpy(row) for row in rows]) for rows in zip(*(p[2:4] for p in pairs), strict=True)
    )
    return Batch(templates, searches, offsets, boxes, tuple(text for p in pairs for text in p.skipped))


def _start_worker(_: int) -> None:
    cv2.setNumThreads(0)  # the loading processes are the parallelism; OpenCV's own threads would fight the network for cores
    torch.set_num_threads(1)
