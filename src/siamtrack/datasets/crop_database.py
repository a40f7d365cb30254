"""The database of a store of crops while it is written: LMDB that grows as it must and loses nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from siamtrack.datasets.crop_records import BLOCK
from siamtrack.datasets.crop_store import import_lmdb
from siamtrack.errors import OutputError

_MAP_SIZE = 64 * 2**20  # bytes at first; on Windows the file has this size at once


class Database:
    """A database that collects changes and writes them together, all or none.

    Args:
        path: of its file.

    Raises:
        OutputError: it cannot be opened or written; what was written before stays.
        MissingExtraError: the package lmdb is not installed.
    """

    def __init__(self, path: Path) -> None:
        self._lmdb = import_lmdb("Storing crops")
        self._path = path
        self._changes: dict[bytes, bytes | None] = {}
        size = max(_MAP_SIZE, path.stat().st_size if path.exists() else 0)
        try:
            self._environment: Any = self._lmdb.open(str(path), subdir=False, map_size=size)
        except self._lmdb.Error as error:
            raise self._refusal(error) from None

    def get(self, key: bytes) -> bytes | None:
        """What was written under a key."""
        with self._environment.begin() as transaction:
            value: bytes | None = transaction.get(key)
        return value

    def put(self, key: bytes, value: bytes | None) -> None:
        """Notes a change; None removes the key."""
        self._changes[key] = value

    @property
    def full(self) -> bool:
        """Whether enough changes wait to be worth a transaction."""
        return len(self._changes) >= BLOCK

    def flush(self) -> None:
        """Writes the changes that wait, in one transaction."""
        try:
            while self._changes:
                try:
                    self._write()
                    self._changes = {}
                except self._lmdb.MapFullError:  # the transaction left no trace
                    self._environment.set_mapsize(2 * self._environment.info()["map_size"])
        except (self._lmdb.Error, OSError) as error:
            raise self._refusal(error) from None

    def close(self) -> None:
        """Drops what was not flushed."""
        self._environment.close()

    def _write(self) -> None:
        with self._environment.begin(write=True) as transaction:
            for key, value in self._changes.items():
                if value is None:
                    transaction.delete(key)
                else:
                    transaction.put(key, value)

    def _refusal(self, error: Exception) -> OutputError:
        return OutputError(
            f"The crops cannot be written to '{self._path}': {error}. What was written before is whole; make room or choose "
            "another folder. The same command goes on."
        )
