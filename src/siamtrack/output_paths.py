"""Whether a result may be written where it was asked for, told before any work is done."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from siamtrack.errors import OutputError, nearest
from siamtrack.image import PICTURE_ENDINGS


def named(path: str | os.PathLike[str]) -> Path:
    """The path, in full where it has no name of its own (., ..)."""
    path = Path(path)
    return path.resolve() if path.name in ("", "..") else path


def check_distinct(paths: Sequence[Path], source: str | None) -> None:
    """Refuses to write two results to one file, or over what is read.

    Raises:
        OutputError: says which.
    """
    seen: set[Path] = set()
    for path in paths:
        if path.resolve() in seen:
            raise OutputError(f"'{path}' is given for two results, and the second would replace the first; use two names.")
        seen.add(path.resolve())
        if source is not None and _belongs_to(path, source):
            raise OutputError(f"'{path}' belongs to the source '{source}', which would be lost; write somewhere else.")


def _belongs_to(path: Path, source: str) -> bool:
    """Whether a source file would be replaced, or a picture added to a folder or pattern of pictures that is a source."""
    origin = Path(source)
    try:
        if origin.is_dir():
            return path.suffix.lower() in PICTURE_ENDINGS and path.resolve().parent == origin.resolve()
        if origin.exists():
            return path.exists() and path.samefile(origin)
    except OSError:  # what cannot be looked at is refused where it is read or written
        return False
    return any(mark in source for mark in "*?[") and path.absolute().match(str(origin.absolute()))


def check_picture_path(path: Path) -> None:
    """Refuses a path that no picture can be written to, without writing one.

    Raises:
        OutputError: the ending is that of no picture, or see `check_path`.
    """
    if path.suffix.lower() not in PICTURE_ENDINGS:
        ending = f"The ending '{path.suffix}' of '{path}'" if path.suffix else f"'{path}' has no ending, which"
        raise OutputError(f"{ending} is not that of a picture. {nearest(path.suffix.lower(), PICTURE_ENDINGS)}")
    check_path(path)


def check_path(path: Path, *, in_place: bool = False) -> None:
    """Refuses a path that no file can be written to, without writing one.

    Args:
        path: of the file.
        in_place: what is there is written over where it is, as a device must be; else it is replaced by a new file.

    Raises:
        OutputError: its folder is missing or may not be written, it is a folder itself, or no file can have its name.
    """
    with _explained(path):
        if path.is_dir():
            raise OutputError(f"'{path}' is a folder; give the name of a file in it.")
        if path.parent.exists() and not path.parent.is_dir():
            raise OutputError(f"'{path}' cannot be written: '{path.parent}' is a file, not a folder; give another path.")
        if not path.parent.exists():
            raise OutputError(f"The folder '{path.parent}' for '{path.name}' does not exist; make it first.")
        with contextlib.suppress(FileNotFoundError):
            path.stat()  # names that are too long: Path.exists of Python 3.14 says only that they are not there
        if not in_place or not path.exists():
            _probe(path.parent)
        elif not os.access(path, os.W_OK):
            raise OutputError(f"'{path}' cannot be written: no permission to change it; give another name.")


def check_folder(path: Path) -> None:
    """Refuses a path at which no folder can be made or filled, without making one.

    Raises:
        OutputError: a file is in the way, the place may not be written, or no folder can have that name.
    """
    with _explained(path):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            path.stat()
        existing = next(place for place in (path.absolute(), *path.absolute().parents) if place.exists())
        if not existing.is_dir():
            raise OutputError(f"The folder '{path}' cannot be made: '{existing}' is a file; give another name.")
        _probe(existing)


def _probe(folder: Path) -> None:
    with tempfile.TemporaryFile(dir=folder):  # the only test that holds on every system
        pass


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"'{path}' cannot be written: {error.strerror or error}; choose another name or folder.") from None
