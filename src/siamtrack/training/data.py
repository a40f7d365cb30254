"""Batches of training pairs from a loading process, by number, so that a resumed run sees what it would have seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from siamtrack.errors import SiamtrackError
from siamtrack.pair import Pair
from siamtrack.synthetic.pairs import PairSource


class Batch(NamedTuple):
    """Pixels 0..255, RGB, and where the target is."""

    templates: Tensor  # (B, 3, 127, 127) uint8, channels last in memory
    searches: Tensor  # (B, 3, 255, 255) uint8, channels last in memory
    offsets: Tensor  # (B, 2) float32, x and y from the centre of the search patch, patch pixels


class _Pairs(Dataset[Pair | SiamtrackError]):
    def __init__(self, source: PairSource) -> None:
        self.source = source

    def __getitem__(self, number: int) -> Pair | SiamtrackError:
        try:
            return self.source[number]
        except SiamtrackError as error:  # raised in a loading process, it would come out inside the text of a traceback
            return error


def batches(source: PairSource, *, first: int, count: int, batch_size: int, workers: int) -> Iterator[Batch]:
    """Batches of pairs number `first` to `first + count - 1`, in order; the last incomplete one is left out.

    Raises:
        DataError: while iterating, when a picture cannot be used, whichever process found out.
    """
    loader = DataLoader(
        _Pairs(source),
        batch_size=batch_size,
        sampler=range(first, first + count),
        num_workers=workers,
        collate_fn=_collate,
        drop_last=True,
        worker_init_fn=_start_worker,
        prefetch_factor=4 if workers else None,
    )
    for batch in loader:
        if isinstance(batch, SiamtrackError):
            raise batch
        yield batch


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
    return Batch(templates, searches, torch.stack([torch.from_numpy(p.offset) for p in pairs]))


def _start_worker(_: int) -> None:
    cv2.setNumThreads(0)  # the loading processes are the parallelism; OpenCV's own threads would fight the network for cores
    torch.set_num_threads(1)
