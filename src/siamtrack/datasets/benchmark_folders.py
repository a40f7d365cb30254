"""What the readers of benchmarks have in common: finding the folder, choosing sequences, tables of names and frame ranges."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from siamtrack.box import Boxes
from siamtrack.datasets.benchmark import counted
from siamtrack.errors import DataError, SettingsError, nearest

_TABLES = Path(__file__).parent / "tables"
_NAMED_IN_MESSAGES = 5
NAME_A_PART = "unpack the whole benchmark, or take a part of it by naming sequences: --sequences NAME,NAME."
"""End of the message where a benchmark is not whole."""


class PartError(DataError):
    """A folder holds some of a benchmark's sequences only.

    Attributes:
        present: names of those that are there, as a reader takes them.
    """

    def __init__(self, message: str, *, present: Sequence[str]) -> None:
        super().__init__(message)
        self.present = present


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
    check_root(root, expected)
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


def check_root(root: Path, expected: str) -> None:
    """Whether what the user gave is a folder.

    Raises:
        DataError: it is not; says what is expected in it.
    """
    if root.is_file():
        raise DataError(f"'{root}' is a file; expected the folder with {expected}. Unpack archives first.")
    if not root.is_dir():
        raise DataError(f"The folder '{root}' does not exist; expected {expected}.")


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
        PartError: a sequence that was asked for is not there.
        DataError: there are more than the benchmark has.
        SettingsError: the benchmark has no sequence of that name.
    """
    known = sorted(present) if isinstance(complete, int) else complete
    for name in names or ():
        if name not in known:
            raise SettingsError(f"{title} has no sequence '{name}'. {nearest(name, known)}")
    if names is None and isinstance(complete, int):
        if complete:
            check_count(known, complete, title=title, root=root)
        return list(known)
    wanted = list(dict.fromkeys(known if names is None else names))
    if absent := [name for name in wanted if name not in present]:
        raise PartError(
            f"{len(absent)} of {len(wanted)} sequences of {title} are not in '{root}': {some(absent)}; {NAME_A_PART}",
            present=[name for name in wanted if name in present],
        )
    return wanted


def check_count(present: Sequence[str], complete: int, *, title: str, root: Path, thing: str = "sequence") -> None:
    """Whether there are as many as the benchmark has.

    Args:
        present: names of what there is.
        complete: how many there are in the whole benchmark.
        title: of the benchmark, for messages.
        root: where they were found, for messages.
        thing: that they are.

    Raises:
        PartError: there are fewer.
        DataError: there are more.
    """
    if len(present) == complete:
        return
    message = f"Found {counted(len(present), thing)} in '{root}'; {title} has {complete}."
    if len(present) > complete:
        raise DataError(f"{message} Is it another benchmark?")
    raise PartError(f"{message} Is it another benchmark? If not: {NAME_A_PART}", present=present)


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
