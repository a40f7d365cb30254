"""What the readers of benchmarks have in common: finding the folder, choosing sequences, tables of names and frame ranges."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from siamtrack.box import Boxes
from siamtrack.errors import DataError, SettingsError, nearest

_TABLES = Path(__file__).parent / "tables"
_NAMED_IN_MESSAGES = 5


@cache
def table(name: str) -> Sequence[Mapping[str, str]]:
    """The rows of a table of facts in `tables/`, by the names of its columns."""
    with (_TABLES / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def find_root(root: Path, fits: Callable[[Path], bool], *, names: Sequence[str], expected: str) -> Path:
    """The folder that a benchmark lies in: the given one, or one in it.

    Args:
        root: what the user gave.
        fits: whether a folder is laid out as the benchmark.
        names: what its folder may be called, if several fit; capitals, blanks and dashes do not count.
        expected: the layout, for the message.

    Raises:
        DataError: no folder fits, or several do.
    """
    if not root.is_dir():
        raise DataError(f"The folder '{root}' does not exist; expected {expected}.")
    if fits(root):
        return root
    found = sorted(folder for folder in root.iterdir() if folder.is_dir() and fits(folder))
    if len(found) > 1:
        wanted = {_plain(name) for name in names}
        found = [folder for folder in found if _plain(folder.name) in wanted] or found
    if not found:
        raise DataError(f"Neither '{root}' nor a folder in it is laid out as {names[0]}; expected {expected}.")
    if len(found) > 1:
        raise DataError(
            f"Several folders in '{root}' are laid out as {names[0]}: {some(f.name for f in found)}. Give one of them."
        )
    return found[0]


def choose_sequences(
    names: Sequence[str] | None, present: Collection[str], *, complete: Sequence[str] | int, title: str, root: Path
) -> list[str]:
    """Names of the sequences to read.

    Args:
        names: what was asked for; None: the whole benchmark.
        present: what there is.
        complete: all names of the benchmark, in order, or only how many there are (0: any number).
        title: of the benchmark, for messages.
        root: where it was looked for, for messages.

    Raises:
        DataError: a sequence that was asked for is not there.
        SettingsError: the benchmark has no sequence of that name.
    """
    known = sorted(present) if isinstance(complete, int) else complete
    for name in names or ():
        if name not in known:
            raise SettingsError(f"{title} has no sequence '{name}'. {nearest(name, known)}")
    part = "Unpack the whole benchmark, or evaluate a part of it by naming sequences: --sequences NAME,NAME."
    if names is None and isinstance(complete, int):
        if complete not in (0, len(known)):
            raise DataError(f"There are {len(known)} sequences in '{root}'; {title} has {complete}. {part}")
        return list(known)
    wanted = list(dict.fromkeys(known if names is None else names))
    if absent := [name for name in wanted if name not in present]:
        raise DataError(f"{len(absent)} of {len(wanted)} sequences of {title} are not in '{root}': {some(absent)}. {part}")
    return wanted


def some(names: Iterable[str]) -> str:
    """The first names, and how many more there are.

    >>> some(["a", "b", "c", "d", "e", "f", "g"])
    'a, b, c, d, e and 2 more'
    """
    listed = list(names)
    more = len(listed) - _NAMED_IN_MESSAGES
    return ", ".join(listed[:_NAMED_IN_MESSAGES]) + (f" and {more} more" if more > 0 else "")


def first_of(box: Boxes, frames: int) -> Boxes:
    """(frames, 4) truth of a sequence whose only public box is the first: NaN in the others.

    Raises:
        DataError: there is more than one box.
    """
    if len(box) != 1:
        raise DataError(f"A sequence whose truth is hidden has {len(box)} boxes; expected that of the first frame only.")
    return np.vstack([box, np.full((max(frames, 1) - 1, 4), np.nan)])


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()
