"""Writing the crops of a data set to disk once, so that training need not decode whole frames: `siamtrack data crop`.

A run can be ended at any moment, by `kill -9` too, and the same command goes on: crops are cut in blocks, and each is written
with its count and hash in one transaction. The frames of picture files are decoded, cut and encoded by the worker processes.
Video files are decoded and cut in this process, in order and once, as a frame in the middle costs decoding all before it; the
workers encode. Masks are read where frames are cut, and a frame whose mask cannot be used counts as one that cannot be read.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from siamtrack.datasets.clips import Clip, Frames, PictureFiles, TrainingSet, VideoFile
from siamtrack.datasets.crop_database import Database
from siamtrack.datasets.crop_manifest import Storing, finished, new_manifest, open_place, write_manifest
from siamtrack.datasets.crop_masks import BlockMasks, masks_of
from siamtrack.datasets.crop_records import (
    Block,
    Index,
    block_key,
    blocks_of,
    clip_key,
    crop_key,
    crop_value,
    hash_of,
    index_record,
    read_index,
)
from siamtrack.datasets.crop_store import DATABASE, close_readers, import_lmdb
from siamtrack.datasets.crops import Crop, CropSettings, cut_crop, size_of
from siamtrack.datasets.processes import in_processes, part_of
from siamtrack.errors import DataError
from siamtrack.image import Image

_MOST_UNREADABLE = 0.01  # share of all frames
_FEW_UNREADABLE = 10  # frames that may be unreadable in any case


@dataclass(kw_only=True)
class Tally:
    """How far a run is."""

    clips: int = 0  # finished
    of_clips: int = 0
    crops: int = 0  # in the store
    cut: int = 0  # by this run
    frames: int = 0  # read, or tried
    unreadable: int = 0  # frames among these


class _CutBlock(NamedTuple):
    crops: list[tuple[int, int, Crop]]  # target, row
    unreadable: dict[int, str]  # reason by position


class _EncodedBlock(NamedTuple):
    values: list[tuple[int, int, bytes]]  # target, row
    digest: str
    unreadable: dict[int, str]


@dataclass(kw_only=True)
class _OpenClip:
    """A clip that is being cut, and what is known of its blocks."""

    number: int
    clip: Clip
    blocks: list[Block]
    done: dict[int, tuple[int, str]]  # number of crops and SHA-256 by number of the block
    unreadable: dict[int, str]


_Call = tuple[tuple[_OpenClip, int], Callable[..., _EncodedBlock], tuple[Any, ...]]


def write_crops(
    training_set: TrainingSet,
    out: Path,
    storing: Storing,
    *,
    workers: int = 1,
    watch: Callable[[Tally], None] = lambda tally: None,
) -> Tally:
    """Cuts every annotated target of a data set into a folder, or goes on with it.

    Frames that could not be read are left out, listed in the manifest, and tried again when the command is given again.

    Args:
        training_set: where the crops come from.
        out: the folder; new, empty, or begun by an earlier run with the same settings.
        storing: how crops are cut and stored.
        workers: processes that cut; 0 or 1: this one. More of them need a main module that can be imported.
        watch: told after each transaction.

    Raises:
        OutputError: the folder cannot be written, or holds something else. What was written before stays.
        DataError: more than 1 % of the frames and annotations cannot be read (and more than 10), or masks are to be stored of
            a data set that has none.
        MissingExtraError: the package lmdb is not installed, or one that reads the masks.
    """
    import_lmdb("Storing crops")
    if storing.masks and not training_set.has_masks:
        raise DataError(
            f"The data set '{training_set.name}' has no masks, and --masks asks for them; coco, davis and youtube_vos have "
            "some. Leave --masks out."
        )
    manifest = new_manifest(training_set, storing)
    complete = open_place(out, manifest)
    close_readers(out / DATABASE)
    with closing(Database(out / DATABASE)) as database:
        writing = _Writing(database, training_set, storing)
        if complete and not writing.missing:
            return writing.tally
        write_manifest(out, manifest)
        try:
            writing.run(workers, watch)
        except Exception:
            if complete:  # what could not be read before cannot be read now: the others are as they were
                write_manifest(out, finished(manifest, database, training_set.names))
            raise
        write_manifest(out, finished(manifest, database, training_set.names))
        return writing.tally


_NONE = _CutBlock([], {})  # of a clip in which there is nothing left to cut


def thinned(clip: Clip, every: int) -> Clip:
    """The clip with the first of every so many annotated frames; targets that are in none of them are left out."""
    if every == 1:
        return clip
    kept = np.unique(np.concatenate([np.zeros(0, np.int64), *(target.positions for target in clip.targets)]))[::every]
    targets = []
    for target in clip.targets:
        rows = np.isin(target.positions, kept)
        chosen = {name: getattr(target, name)[rows] for name in ("positions", "boxes", "visibility")}
        targets += [replace(target, **chosen)] if rows.any() else []
    return replace(clip, targets=tuple(targets))


class _Writing:
    """A run: what the database has already, and the way of the rest into it."""

    def __init__(self, database: Database, training_set: TrainingSet, storing: Storing) -> None:
        self._database = database
        self._set = training_set
        self._names = training_set.names
        self._storing = storing
        self.tally = Tally(of_clips=len(self._names))
        self.missing: list[int] = []  # numbers of clips
        for number in range(len(self._names)):
            record = database.get(clip_key(number))
            index = read_index(record) if record else None
            if index is None or index.unreadable:
                self.missing.append(number)
            else:
                self.tally.clips += 1
                self.tally.crops += sum(count for count, _ in index.blocks)
                self.tally.frames += index.frames

    def run(self, workers: int, watch: Callable[[Tally], None]) -> None:
        with closing(in_processes(self._calls(), workers)) as results:
            for (state, block), encoded in results:
                if block < len(state.blocks):
                    self._take(state, block, encoded)
                if len(state.done) == len(state.blocks):
                    self._finish(state)
                if self._database.full:
                    self._database.flush()
                    watch(self.tally)
        self._database.flush()
        watch(self.tally)

    def _calls(self) -> Iterator[_Call]:
        for number in self.missing:
            unreadable: dict[int, str] = {}
            try:
                clip = thinned(self._set.clip(self._names[number]), self._storing.every)
            except DataError as error:
                clip = Clip(name=self._names[number], frames=PictureFiles(()), targets=())
                unreadable = {0: str(error)}
                self.tally.unreadable += 1
                self._check_readable(str(error))
            blocks = blocks_of(clip.targets)
            known = ((block, self._database.get(block_key(number, block))) for block in range(len(blocks)))
            done = {block: (json.loads(record)[0], json.loads(record)[1]) for block, record in known if record}
            state = _OpenClip(number=number, clip=clip, blocks=blocks, done=done, unreadable=unreadable)
            self.tally.crops += sum(count for count, _ in done.values())
            self.tally.frames += sum(len(blocks[block]) for block in done)
            missing = [block for block in range(len(blocks)) if block not in done]
            # a clip without crops, or one that was ended just before its index was written, has nothing to be cut
            yield from (
                _calls_of(state, missing, self._storing) if missing else [((state, len(blocks)), _encoded, (_NONE, None))]
            )

    def _take(self, state: _OpenClip, block: int, encoded: _EncodedBlock) -> None:
        for target, index, value in encoded.values:
            self._database.put(crop_key(state.number, target, index), value)
        state.done[block] = len(encoded.values), encoded.digest
        state.unreadable |= encoded.unreadable
        if not encoded.unreadable:  # else it is not done for the next run
            self._database.put(block_key(state.number, block), json.dumps(state.done[block]).encode())
        self.tally.cut += len(encoded.values)
        self.tally.crops += len(encoded.values)
        self.tally.frames += len(state.blocks[block])
        self.tally.unreadable += len(encoded.unreadable)
        if encoded.unreadable:
            self._check_readable(list(encoded.unreadable.values())[-1])

    def _finish(self, state: _OpenClip) -> None:
        blocks = tuple(state.done[block] for block in range(len(state.blocks)))
        frames = sum(map(len, state.blocks))
        index = Index(state.clip.targets, _size_of(state.clip), frames, blocks, state.unreadable)
        self._database.put(clip_key(state.number), index_record(index))
        for block in range(len(blocks) if not state.unreadable else 0):  # else they spare the next run what is done
            self._database.put(block_key(state.number, block), None)
        self.tally.clips += 1

    def _check_readable(self, reason: str) -> None:
        tally = self.tally
        expected = tally.frames * tally.of_clips / max(tally.clips, 1)  # frames in all, as far as is known
        if tally.unreadable > max(_FEW_UNREADABLE, _MOST_UNREADABLE * expected):
            raise DataError(
                f"{tally.unreadable} of {tally.frames} frames or annotations cannot be read, the last one: {reason} Is the set "
                f"complete? Find all of them with: siamtrack data check {self._set.root}"
            )


def _calls_of(state: _OpenClip, missing: Sequence[int], storing: Storing) -> Iterator[_Call]:
    """What is to be done for the missing blocks of a clip."""
    frames = state.clip.frames
    blocks = [state.blocks[number] for number in missing]
    if isinstance(frames, VideoFile):
        images = frames.several([position for block in blocks for position, _ in block])
        for number, block in zip(missing, blocks, strict=True):
            cut = _cut(itertools.islice(images, len(block)), block, storing.crops, _masks(state, block, storing))
            yield (state, number), _encoded, (cut, storing.jpeg)
        return
    for number, block in zip(missing, blocks, strict=True):
        part, positions = part_of(frames, [position for position, _ in block])
        yield (state, number), _cut_and_encoded, (part, positions, block, storing, _masks(state, block, storing))


def _masks(state: _OpenClip, block: Block, storing: Storing) -> BlockMasks | None:
    return masks_of(state.clip, block) if storing.masks else None


def _cut_and_encoded(
    frames: Frames, positions: Sequence[int], block: Block, storing: Storing, masks: BlockMasks | None
) -> _EncodedBlock:
    return _encoded(_cut(frames.several(positions), block, storing.crops, masks), storing.jpeg)


def _cut(images: Iterable[Image | DataError], block: Block, settings: CropSettings, masks: BlockMasks | None) -> _CutBlock:
    found = _CutBlock([], {})
    for image, (position, rows) in zip(images, block, strict=True):
        if isinstance(image, DataError):
            found.unreadable[position] = str(image)
            continue
        try:
            known = [masks.mask(row, position, image) if masks else None for row in rows]
        except DataError as error:
            found.unreadable[position] = str(error)
            continue
        for row, mask in zip(rows, known, strict=True):
            found.crops.append((row.target, row.at, cut_crop(image, row.box, settings, mask)))
    return found


def _encoded(cut: _CutBlock, jpeg: int | None) -> _EncodedBlock:
    values = [(target, index, crop_value(crop, jpeg)) for target, index, crop in cut.crops]
    return _EncodedBlock(values, hash_of(values), cut.unreadable)


def _size_of(clip: Clip) -> tuple[int, int] | None:
    """(width, height) of the frames; None where neither the annotation nor a frame says it."""
    try:
        return size_of(clip)
    except DataError:
        return None
