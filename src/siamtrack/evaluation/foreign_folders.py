"""Where the results of others lie: which folder holds a tracker's files, and which file is that of a sequence.

Found without being told are the layouts in which raw results are published:

* flat      TRACKER/SEQ.txt: OTB, UAV123, LaSOT (TRACKER_tracking_result/SEQ.txt), TrackingNet, NfS; PySOT, pytracking and the
            got10k toolkit write them so, with seconds in SEQ_time.txt beside the boxes or in times/SEQ_time.txt
* numbered  TRACKER/SEQ/SEQ_001.txt: GOT-10k; and with a folder for the experiment before the sequence
            (baseline, realtime, unsupervised, longterm): VOT, where a run may also be SEQ_001.bin. Since VOT2020 a run is
            called after the frame that it began with, SEQ_00000000
* mat       TRACKER/SEQ.mat or SEQ_TRACKER.mat: the OTB toolkit in MATLAB
* masks     TRACKER/VIDEO/00000.png: DAVIS and YouTube-VOS; also with a folder Annotations, 480p or Full-Resolution before VIDEO

Folders may lie deeper than the one that is given, and there may be several trackers in it. A tracker is called like its folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from siamtrack.datasets.davis import RESOLUTIONS
from siamtrack.datasets.palette_masks import numbered_masks
from siamtrack.errors import DataError
from siamtrack.evaluation.layouts import VOT_EXPERIMENTS
from siamtrack.evaluation.store import RUN

Kind = Literal["ours", "flat", "numbered", "mat", "masks"]

_DEEPEST = 4
_PROTOCOLS = {folder: protocol for protocol, folder in VOT_EXPERIMENTS.items() if protocol != "multistart"}
_PROTOCOLS["supervised"] = "supervised"
_ANCHOR_DIGITS, _RUN_DIGITS = 8, 3
_BESIDE = re.compile(r"_(time|times|confidence)$|^(readme|licen[cs]e|list)$", re.IGNORECASE)  # texts that are no boxes
_BEFORE_VIDEOS = ("Annotations", *RESOLUTIONS)  # folders in a tracker's own
_SUFFIXES = ("_tracking_result", "_tracking_results")  # LaSOT's toolkit calls a tracker's folder so


@dataclass(frozen=True, kw_only=True)
class ResultFolder:
    """The results of one tracker.

    Attributes:
        tracker: its name.
        path: the folder that holds files, or folders, named after sequences.
        kind: which layout it has; "ours": what siamtrack itself wrote.
        protocol: how the tracker was run, where the folders or their kind say so; else None.
    """

    tracker: str
    path: Path
    kind: Kind
    protocol: str | None


def find_result_folders(given: Path) -> list[ResultFolder]:
    """All trackers' results in a folder, sorted by name.

    Raises:
        DataError: the folder is missing, or there are no results in it.
    """
    if not given.is_dir():
        raise DataError(
            f"The results '{given}' are a file; give the folder that it lies in."
            if given.exists()
            else f"The folder of results '{given}' does not exist."
        )
    given_folder = given.absolute()
    walked = [*_walk(given_folder, _DEEPEST), *_walk_masks(given_folder, _DEEPEST)]
    found = sorted(walked, key=lambda folder: (folder.tracker.lower(), str(folder.path)))
    if not found:
        raise DataError(
            f"No results found in '{given}'; expected SEQ.txt, SEQ/SEQ_001.txt, SEQ_TRACKER.mat, VIDEO/00000.png, or what "
            "'siamtrack evaluate' writes."
        )
    return found


def _walk(folder: Path, depth: int) -> Iterator[ResultFolder]:
    kind = _kind(folder)
    if kind == "ours":
        yield ResultFolder(tracker=folder.parts[-3], path=folder, kind=kind, protocol=folder.name)
    elif kind is not None:
        protocol = _PROTOCOLS.get(folder.name)
        if protocol == "supervised" and kind == "numbered" and any(_anchored_runs(inner) for inner in _folders_in(folder)):
            protocol = "multistart"
        yield ResultFolder(tracker=_tracker(folder.parent if protocol else folder), path=folder, kind=kind, protocol=protocol)
    elif depth:
        for inner in _folders_in(folder):
            yield from _walk(inner, depth - 1)


def _walk_masks(folder: Path, depth: int) -> Iterator[ResultFolder]:
    """The same for masks of others, whatever texts and pictures lie beside them."""
    if (folder / RUN).is_file():
        return
    inside = _folders_in(folder)
    if any(map(numbered_masks, inside)):
        yield ResultFolder(tracker=_tracker_of_masks(folder), path=folder, kind="masks", protocol="masks")
    for inner in inside if depth else ():
        yield from _walk_masks(inner, depth - 1)


def _folders_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _kind(folder: Path) -> Kind | None:
    names = [path.name for path in folder.iterdir()]
    if RUN in names:
        return "ours"
    if any(_numbered(folder / name) for name in names if not name.startswith(".")):
        return "numbered"
    if any(name.endswith(".txt") and not _BESIDE.search(name.removesuffix(".txt")) for name in names):
        return "flat"
    return "mat" if any(name.endswith(".mat") for name in names) else None


def _numbered(folder: Path) -> bool:
    return folder.is_dir() and bool(_numbered_runs(folder))


def _numbered_runs(folder: Path) -> list[Path]:
    return _runs(folder, _RUN_DIGITS) or _anchored_runs(folder)


def _anchored_runs(folder: Path) -> list[Path]:
    return _runs(folder, _ANCHOR_DIGITS)


def _runs(folder: Path, digits: int) -> list[Path]:
    """The files of the runs over a sequence, in order; where one is there as text and binary it is the text, as in VOT."""
    name = f"{_escaped(folder.name)}_{'[0-9]' * digits}"
    found = [path for ending in ("bin", "txt") for path in folder.glob(f"{name}.{ending}")]
    return [path for _, path in sorted({path.stem: path for path in found}.items())]


def first_frame_of(folder: ResultFolder, path: Path) -> int:
    """The frame that a run began with, as its file's name says; 0 where names count runs."""
    return int(path.stem[-_ANCHOR_DIGITS:]) if folder.protocol == "multistart" else 0


def _tracker_of_masks(folder: Path) -> str:
    while folder.name in _BEFORE_VIDEOS:
        folder = folder.parent
    return folder.name


def _tracker(folder: Path) -> str:
    name = folder.name
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    return name


def files_of(folder: ResultFolder, wanted: Sequence[str]) -> dict[str, list[Path]]:
    """The files with the runs of each sequence that there are, by the sequence's name in `wanted`.

    Args:
        folder: of a tracker, not one of ours.
        wanted: names of sequences as the benchmark has them. Files may write them in other cases, and with any of `-`, `_`, `.`
            before a number: Jogging-1, jogging_1 and Jogging.1 are one. Where just one target of a sequence is in a benchmark,
            its number may be missing: Human4-2 and Human4.

    Raises:
        DataError: two files for one sequence.
    """
    if folder.kind == "numbered":
        entries = {path.name: path for path in folder.path.iterdir() if _numbered(path)}
        matched = match_names(entries, wanted, folder.path)
        return {name: _numbered_runs(entries[found]) for name, found in matched.items()}
    ending = ".mat" if folder.kind == "mat" else ".txt"
    paths = [path for path in folder.path.glob(f"*{ending}") if not _BESIDE.search(path.stem)]
    entries = {path.stem: path for path in paths}
    if folder.kind == "mat":  # SEQ_TRACKER.mat, where no sequence and no tracker is without `_`
        for path in paths:
            entries |= {path.stem[: found.start()]: path for found in re.finditer("_", path.stem)} | {path.stem: path}
        keys = {_key(name) for name in wanted}
        entries = {name: path for name, path in entries.items() if _key(name) in keys}
    return {name: [entries[found]] for name, found in match_names(entries, wanted, folder.path).items()}


def names_in(folder: ResultFolder) -> list[str]:
    """The sequences that the files are named after, as they write them."""
    if folder.kind in ("numbered", "masks"):
        holds = _numbered if folder.kind == "numbered" else numbered_masks
        return sorted(path.name for path in _folders_in(folder.path) if holds(path))
    paths = [path for path in folder.path.iterdir() if path.suffix in (".txt", ".mat") and not _BESIDE.search(path.stem)]
    return sorted(path.stem for path in paths)


def match_names(found: Iterable[str], wanted: Sequence[str], where: Path) -> dict[str, str]:
    """Which of the names that were found is meant by each that is wanted, if any; see `files_of`.

    Raises:
        DataError: two of the names that were found are the same sequence.
    """
    by_key: dict[str, str] = {}
    for name in sorted(found):
        if (first := by_key.setdefault(_key(name), name)) != name:
            raise DataError(f"'{where}' has results '{first}' and '{name}', which are one sequence; keep one of them.")
    matched = {name: by_key[_key(name)] for name in wanted if _key(name) in by_key}
    for name in wanted:
        other = None if name in matched else _only_target(name, by_key, wanted)
        if other is not None:
            matched[name] = other
    return matched


def _only_target(name: str, by_key: Mapping[str, str], wanted: Sequence[str]) -> str | None:
    """The result X for a wanted X-2, or X-2 for a wanted X, where no other target can be meant."""
    taken = {_key(other) for other in wanted}
    base = _base(name)
    if base != _key(name):
        alone = sum(_base(other) == base for other in wanted) == 1
        return by_key.get(base) if alone and base not in taken else None
    numbered = [key for key in by_key if key != _base(key) == base and key not in taken]
    return by_key[numbered[0]] if len(numbered) == 1 else None


def _key(name: str) -> str:
    return re.sub(r"[-_. ]+", "-", name.lower())


def _base(name: str) -> str:
    """Without the number of the target."""
    return re.sub(r"-\d{1,2}$", "", _key(name))


def _escaped(name: str) -> str:
    """For glob: names of sequences may hold brackets."""
    return re.sub(r"([*?[])", r"[\1]", name)
