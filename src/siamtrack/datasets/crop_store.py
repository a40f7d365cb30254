"""Crops kept on disk: what `siamtrack data crop` writes and training reads back.

A store is a folder with two files: `manifest.json` says which data set it is, how the crops were cut and encoded, whether they
are all there, and for each clip how many there are and the SHA-256 of its index record; `crops.mdb` is an LMDB database in one
file, whose content is described in `siamtrack.datasets.crop_records`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from siamtrack.datasets.clips import Target
from siamtrack.datasets.crop_records import Index, blocks_of, clip_key, crop_key, hash_of, read_crop, read_index
from siamtrack.datasets.crops import Crop, CropSettings
from siamtrack.errors import DataError, MissingExtraError
from siamtrack.settings import from_mapping

MANIFEST = "manifest.json"
DATABASE = "crops.mdb"
KIND = "siamtrack crops"
FORMAT = 2

_opened: dict[Path, tuple[int, Any]] = {}  # process and environment: LMDB allows one a file and process


class StoredCrops:
    """Crops read back from the folder that `siamtrack data crop` made. See `siamtrack.datasets.crops.Crops`.

    Can be pickled, and used after a fork: each process opens the database for itself.

    Args:
        path: the folder.

    Attributes:
        masked: whether the crops were stored with the masks that are known.
        masks_left_out: whether the data set has masks, and they were not stored.

    Raises:
        DataError: it is no folder of crops, or they are not all there yet.
        MissingExtraError: the package lmdb is not installed.
    """

    def __init__(self, path: Path) -> None:
        import_lmdb("Reading stored crops")
        manifest = read_manifest(path)
        if not manifest["complete"]:
            raise DataError(f"The crops in '{path}' are not all there yet. Go on with: {command(path, manifest)}")
        if not (path / DATABASE).is_file():
            raise DataError(f"'{path / DATABASE}' is missing. Make the crops again: {command(path, manifest)}")
        self.path = path
        self.name: str = manifest["data_set"]
        self.settings = from_mapping(CropSettings, manifest["crops"], where=str(path / MANIFEST))
        self.masked: bool = manifest["masks"]
        self.masks_left_out: bool = manifest["masks_left_out"]
        self._database = (path / DATABASE).resolve()
        self._names: list[str] = [clip["name"] for clip in manifest["clips"]]
        self._hashes: list[str] = [clip["sha256"] for clip in manifest["clips"]]
        self._numbers = {name: number for number, name in enumerate(self._names)}
        self._digest: str = manifest["sha256"]

    @property
    def names(self) -> Sequence[str]:
        """See `Crops`."""
        return self._names

    def targets(self, clip: str) -> tuple[Target, ...]:
        """See `Crops`. Rows without a crop are kept: absent, without area, or in a frame that could not be read."""
        return self.index(clip).targets

    def frame_size(self, clip: str) -> tuple[int, int]:
        """See `Crops`."""
        size = self.index(clip).size
        if size is None:
            raise DataError(f"The first frame of '{clip}' could not be read when '{self.path}' was made.")
        return size

    def crop(self, clip: str, target: int, index: int, *, masked: bool = False) -> Crop:
        """See `Crops`. There are no masks but where the crops are `masked`."""
        value = self._get(crop_key(self._numbers[clip], target, index))
        if value is None:
            raise DataError(f"'{self.path}' has no crop of target {target} of '{clip}' in row {index}.")
        if (found := read_crop(value, masked=masked)) is None:
            raise DataError(
                f"The crop of '{clip}' in '{self.path}' is damaged. Look for more: siamtrack data check {self.path}"
            )
        return found

    def command_with_masks(self) -> str:
        """The command that stores the same crops with masks, in a folder beside this one."""
        return command(Path(f"{self.path}-masks"), read_manifest(self.path) | {"masks": True})

    def digest(self) -> str:
        """The SHA-256 of all crops and annotations."""
        return f"{self.name} {self._digest}"

    def index(self, clip: str) -> Index:
        """What is known about a clip.

        Raises:
            DataError: its record is missing.
        """
        record = self._get(clip_key(self._numbers[clip]))
        if record is None:
            raise DataError(f"'{self.path}' has lost the index of '{clip}'; make the crops again.")
        return read_index(record)

    def intact_index(self, clip: str) -> Index | None:
        """What is known about a clip; None where that is missing or not as it was written."""
        number = self._numbers[clip]
        record = self._get(clip_key(number))
        if record is None or hashlib.sha256(record).hexdigest() != self._hashes[number]:
            return None
        return read_index(record)

    def damage(self, clip: str) -> list[str]:
        """What of a clip is missing or not as it was written: a line each."""
        index = self.intact_index(clip)
        if index is None:
            return [f"the index of '{clip}' in '{self.path}' is altered or missing"]
        found = []
        for block, (_, expected) in zip(blocks_of(index.targets), index.blocks, strict=True):
            rows = [row for position, rows in block if position not in index.unreadable for row in rows]
            keys = ((row, crop_key(self._numbers[clip], row.target, row.at)) for row in rows)
            if hash_of((row.target, row.at, self._get(key) or b"") for row, key in keys) != expected:
                found.append(
                    f"crops of '{clip}', frames {block[0][0]} to {block[-1][0]}, in '{self.path}' are altered or missing"
                )
        return found

    def _get(self, key: bytes) -> bytes | None:
        with _environment(self._database).begin() as transaction:
            value: bytes | None = transaction.get(key)
        return value


def import_lmdb(purpose: str) -> Any:
    """The package lmdb.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import lmdb
    except ImportError:
        raise MissingExtraError("lmdb", extra="train", purpose=purpose) from None
    return lmdb


def is_store(path: Path) -> bool:
    """Whether a folder holds crops of `siamtrack data crop`, all of them or not."""
    try:
        return bool(json.loads((path / MANIFEST).read_text(encoding="utf-8"))["kind"] == KIND)
    except (OSError, ValueError, TypeError, KeyError):
        return False


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of a folder of crops.

    Raises:
        DataError: there is none, or one of another version.
    """
    if not is_store(path):
        raise DataError(f"'{path}' is no folder of crops: it has no {MANIFEST} of 'siamtrack data crop'.")
    manifest: dict[str, Any] = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    if manifest["format"] != FORMAT:
        raise DataError(
            f"The crops in '{path}' have format {manifest['format']}; this version reads {FORMAT}. Make them again."
        )
    return manifest


def command(path: Path, manifest: dict[str, Any]) -> str:
    """The command that makes a store, or goes on with it."""
    crops, default = manifest["crops"], CropSettings()
    options = {name.replace("_", "-"): value for name, value in crops.items() if value != getattr(default, name)}
    options |= {name: manifest[name] for name in ("every", "jpeg") if manifest[name] not in (1, None)}
    words = [word for name, value in options.items() for word in (f"--{name}", f"{value:g}")]
    words += ["--masks"] * manifest["masks"]
    source = [manifest["source"], "--as", manifest["data_set"], "--out", str(path)]
    return shlex.join(["siamtrack", "data", "crop", *source, *words])


def close_readers(path: Path) -> None:
    """Closes a database that this process reads, so that it can be written; reading opens it again."""
    _, environment = _opened.pop(path.resolve(), (0, None))
    if environment is not None:
        environment.close()


def _environment(path: Path) -> Any:
    process, environment = _opened.get(path, (0, None))
    if process != os.getpid():
        if environment is not None:
            environment.close()  # this process' copy of what its parent opened before the fork
        lmdb = import_lmdb("Reading stored crops")
        try:
            environment = lmdb.open(str(path), subdir=False, readonly=True, lock=False, readahead=False)
        except lmdb.Error as error:
            raise DataError(f"'{path}' cannot be opened as a database of crops: {error}.") from None
        _opened[path] = os.getpid(), environment
    return environment
