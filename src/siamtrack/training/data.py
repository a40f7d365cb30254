"""Batches of training pairs from loading processes, by number, so that a resumed run sees what it would have seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol, TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from siamtrack.errors import SiamtrackError
from siamtrack.models.model import UNKNOWN
from siamtrack.pair import Pair
from siamtrack.synthetic.shot import Window
from siamtrack.training.augment import PairPlan
from siamtrack.training.parcel import Parcel, packed
from siamtrack.training.world_batches import pack_pairs, paint_pairs

AT_ONCE = 32  # pairs that are painted together; they take about 2 GB

T_co = TypeVar("T_co", covariant=True)


class ByNumber(Protocol[T_co]):
    """Training pairs by number: the same number gives the same pair, always."""

    def __getitem__(self, number: int) -> T_co: ...


Pairs = ByNumber[Pair]
Unpainted = Pair | PairPlan[Window]
"""A pair, or what is to be painted for one."""


class Batch(NamedTuple):
    """B pairs. Pixels 0..255, RGB, and where the objects in the search patches are."""

    templates: Tensor  # (B, 3, T, T) uint8, channels last in memory
    searches: Tensor  # (B, 3, S, S) uint8, channels last in memory
    offsets: Tensor  # (B, 2) float32, x and y from the centre of the search patch, patch pixels
    boxes: Tensor  # (B, 4) float32, x, y, w, h in the search patch, patch pixels
    absent: Tensor  # (B,) bool: the object is another one than the template's
    masks: Tensor  # (B, S, S) uint8, see `siamtrack.models.model.Targets`; (B, 0, 0) where no pair has one
    skipped: tuple[str, ...] = ()  # what could not be read while they were drawn
    rows: Tensor | None = None  # (R,) int64: the pairs that are still black
    plans: Parcel | None = None  # what is to be painted for them, as tuples of `PackedPairs`

    def painted(self, device: torch.device) -> Batch:
        """The batch with all pairs painted, its pictures on the device; itself where they are already."""
        if self.plans is None or self.rows is None:
            return self
        content = self.plans.content.to(device, non_blocking=True)
        found = [paint_pairs(part) for part in self.plans._replace(content=content).opened()]
        rows = self.rows.to(device, non_blocking=True)
        templates, searches = (pictures.to(device, non_blocking=True) for pictures in self[:2])
        templates[rows] = torch.cat([part for part, _ in found])
        searches[rows] = torch.cat([part for _, part in found])
        return self._replace(templates=templates, searches=searches, rows=None, plans=None)

    @property
    def learnt(self) -> tuple[Tensor, ...]:
        """Templates, searches, offsets, boxes, which targets are absent, and masks: all that has a row a pair."""
        return tuple(self[:6])


class _Numbered(Dataset[Unpainted | SiamtrackError]):
    def __init__(self, pairs: ByNumber[Unpainted]) -> None:
        self.pairs = pairs

    def __getitem__(self, number: int) -> Unpainted | SiamtrackError:
        try:
            return self.pairs[number]
        except SiamtrackError as error:  # raised in a loading process, it would come out inside the text of a traceback
            return error


def batches(
    pairs: ByNumber[Unpainted], numbers: Iterable[int], *, batch_size: int, workers: int, pin: bool = False
) -> Iterator[Batch]:
    """Batches of the pairs with these numbers, in order; the last incomplete one is left out.

    Those that are not painted yet are left to `Batch.painted`.

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


def _collate(found: Sequence[Unpainted | SiamtrackError]) -> Batch | SiamtrackError:
    pairs: list[Pair] = []
    plans: list[PairPlan[Window]] = []
    rows: list[int] = []
    for row, pair in enumerate(found):
        if isinstance(pair, SiamtrackError):
            return pair
        if isinstance(pair, PairPlan):
            plans.append(pair)
            rows.append(row)
            pair = pair.with_pictures(
                *(np.zeros((p.size, p.size, 3), np.uint8) for p in (pair.template_patch, pair.search_patch))
            )
        pairs.append(pair)
    templates, searches = (
        torch.stack([torch.from_numpy(image) for image in images]).permute(0, 3, 1, 2)
        for images in zip(*((p.template, p.search) for p in pairs), strict=True)
    )
    offsets, boxes = (
        torch.stack([torch.from_numpy(row) for row in rows]) for rows in zip(*(p[2:4] for p in pairs), strict=True)
    )
    absent, skipped = torch.tensor([p.absent for p in pairs]), tuple(text for p in pairs for text in p.skipped)
    batch = Batch(templates, searches, offsets, boxes, absent, _masks(pairs), skipped)
    if not plans:
        return batch
    parts = tuple(pack_pairs(plans[first : first + AT_ONCE]) for first in range(0, len(plans), AT_ONCE))
    return batch._replace(rows=torch.tensor(rows), plans=packed(parts))


def _masks(pairs: Sequence[Pair]) -> Tensor:
    """See `Batch.masks`."""
    if all(pair.mask is None for pair in pairs):
        return torch.zeros((len(pairs), 0, 0), dtype=torch.uint8)
    unknown = np.full(pairs[0].search.shape[:2], UNKNOWN, np.uint8)
    return torch.stack([torch.from_numpy(unknown if pair.mask is None else pair.mask) for pair in pairs])


def _start_worker(_: int) -> None:
    cv2.setNumThreads(0)  # the loading processes are the parallelism; OpenCV's own threads would fight the network for cores
    torch.set_num_threads(1)
