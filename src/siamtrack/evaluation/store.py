"""Results on disk: ROOT/TRACKER/BENCHMARK/PROTOCOL/, in which a sequence is finished or not there.

run.json           what the results were made with, and when and where
records/SEQ.json   the runs over one sequence: how many frames each has and which it began with; and what the sequence was
all others         the official layout of the benchmark (`siamtrack.evaluation.layouts`)

Under the protocol "masks" a record is that of a video, records/VIDEO.json, and says what its objects were, which are the
sequences; the masks are VIDEO/00000.png and so on, as DAVIS and YouTube-VOS have them.

Each file is written under another name, brought to the disk and renamed, the record of a sequence last of all: a process that
is killed at any moment leaves sequences that are finished, with a record, and others that are run again.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from siamtrack.datasets.benchmark import Benchmark, BenchmarkSequence, counted
from siamtrack.errors import DataError, OutputError
from siamtrack.evaluation.layouts import decode, encode, layout_of
from siamtrack.evaluation.protocols_masks import MASKS, video_of
from siamtrack.evaluation.store_sequence import description_of, difference
from siamtrack.evaluation.trajectory import MaskResults, TrackerResults, Trajectory

RUN = "run.json"
RECORDS = "records"
SEQUENCE, OBJECTS = "sequence", "objects"  # keys in a record
_ABOUT = ("machine", "begun")  # told, but no reason to keep results apart
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the same results give the same archive


class ResultStore:
    """The results of one tracker on one benchmark under one protocol.

    Args:
        root: folder of all results.
        tracker: name, as in tables.
        benchmark: that it was run on.
        protocol: name.

    Raises:
        OutputError: a name cannot be that of a folder.
    """

    def __init__(self, root: Path, *, tracker: str, benchmark: Benchmark, protocol: str) -> None:
        self.tracker, self.protocol = check_name(tracker), check_name(protocol)
        self.benchmark = benchmark
        self.folder = root / tracker / benchmark.name / protocol
        self.layout = layout_of(benchmark, protocol)

    def begin(self, origin: Mapping[str, Any], *, fresh: bool = False) -> None:
        """Makes the folder, or goes on with one that was begun with the same.

        Args:
            origin: what the results are made with, as JSON holds it; "machine" and "begun" are only told.
            fresh: first remove the results that are there.

        Raises:
            OutputError: the folder holds results made with something else, or something that is no results; or it cannot be
                written.
        """
        wanted = json.loads(json.dumps(origin))
        with _explained(self.folder):
            known = self.folder / RUN
            held = [path for path in self.folder.iterdir() if not path.name.startswith(".")] if self.folder.exists() else []
            if held and not known.exists():
                raise OutputError(f"'{self.folder}' holds something else than results; give another --results or --name.")
            if fresh and held:
                removed = self.folder.with_name(f".{self.protocol}")  # at one stroke: half a store must not look like one
                shutil.rmtree(removed, ignore_errors=True)
                self.folder.rename(removed)
                shutil.rmtree(removed)
            if known.exists():
                self._check_same(_read_json(known), wanted)
            else:
                _write_whole(known, json.dumps(wanted, indent=2) + "\n")

    def finished(self) -> set[str]:
        """Names of the sequences that need not be run again."""
        records = {path.stem for path in (self.folder / RECORDS).glob("*.json")}
        if self.protocol != MASKS:
            return records
        return {name for video in records for name in self._record(video).get(OBJECTS, {})}

    def differing(self, sequences: Iterable[BenchmarkSequence]) -> dict[str, str]:
        """What is otherwise in a sequence than in that of the same name whose results are here, by name.

        Results of versions before format 2 do not say what their sequences were; see `unnoted`.

        Raises:
            DataError: a record cannot be read.
        """
        finished = self.finished()
        there = [one for one in sequences if one.name in finished]
        told = {one.name: difference(self._described(one), one) for one in there}
        return {name: text for name, text in told.items() if text}

    def unnoted(self) -> list[str]:
        """Names of the finished sequences whose record does not say what they were."""
        if self.protocol == MASKS:
            return []
        return sorted(name for name in self.finished() if SEQUENCE not in self._record(name))

    def check(self, sequences: Iterable[BenchmarkSequence]) -> None:
        """Whether finished results are of these sequences, and not of others of the same name.

        Raises:
            OutputError: they are of others; says what differs.
            DataError: a record cannot be read.
        """
        wanted = list(sequences)
        recorded = {one.name: self._record_of(one) for one in wanted}
        if told := self.differing(wanted):
            name, text = next(iter(told.items()))
            more = f" (and so with {counted(len(told) - 1, 'sequence')} more)" if len(told) > 1 else ""
            raise OutputError(
                f"The results of '{name}' in '{self.folder}' are of another sequence of that name{more}: {text}. Give other "
                f"--results or another --name, or remove '{self._record_file(recorded[name])}' to run it again."
            )

    def write(self, sequence: BenchmarkSequence, runs: Sequence[Trajectory]) -> None:
        """Keeps the runs over a sequence, which is finished then.

        Raises:
            DataError: there are runs that the layout cannot hold.
            OutputError: a file cannot be written.
        """
        made = [{"first": run.first, "frames": len(run)} for run in runs]
        record = {"runs": made, SEQUENCE: description_of(sequence)}
        with _explained(self.folder):
            for path, text in encode(self.layout, check_name(sequence.name), runs).items():
                _write_whole(self.folder / path, text)
            _write_whole(self._record_file(sequence.name), json.dumps(record) + "\n")

    def write_masks(self, video: str, objects: Sequence[BenchmarkSequence], pictures: Mapping[str, bytes]) -> None:
        """Keeps the masks of a video, whose objects are finished then; what was there of the video is removed.

        Raises:
            OutputError: a file cannot be written.
        """
        record = {OBJECTS: {one.name: description_of(one) for one in objects}}
        with _explained(self.folder):
            self._record_file(video).unlink(missing_ok=True)
            shutil.rmtree(self.folder / check_name(video), ignore_errors=True)
            for name, content in pictures.items():
                _write_whole(self.folder / check_name(video) / name, content)
            _write_whole(self._record_file(video), json.dumps(record) + "\n")

    def read_masks(self, sequences: Sequence[BenchmarkSequence]) -> MaskResults:
        """Where the masks of these sequences are.

        Raises:
            DataError: one is not finished.
        """
        self._check_finished([one.name for one in sequences])
        folders = {one.name: self.folder / video_of(one) for one in sequences}
        return MaskResults(tracker=self.tracker, benchmark=self.benchmark.name, folders=folders)

    def read(self, sequences: Sequence[str] | None = None) -> TrackerResults:
        """The results of these sequences; None: of all that are finished.

        Raises:
            DataError: one is not finished, or its files were changed.
        """
        names = sorted(self.finished()) if sequences is None else list(sequences)
        self._check_finished(names)
        runs = {name: self._runs(name) for name in names}
        return TrackerResults(tracker=self.tracker, benchmark=self.benchmark.name, protocol=self.protocol, runs=runs)

    def _check_finished(self, names: Sequence[str]) -> None:
        finished = self.finished()
        if missing := [name for name in names if name not in finished]:
            raise DataError(
                f"'{self.folder}' has no results for {len(missing)} of {len(names)} sequences: {', '.join(missing[:5])}"
                f"{' and so on' if len(missing) > 5 else ''}. Run 'siamtrack evaluate' on them first."
            )

    def _described(self, sequence: BenchmarkSequence) -> Mapping[str, Any]:
        """What the record says that a finished sequence was; nothing where it does not."""
        record = self._record(self._record_of(sequence))
        described: Mapping[str, Any] = record.get(OBJECTS, {}).get(sequence.name) or record.get(SEQUENCE, {})
        return described

    def _record_of(self, sequence: BenchmarkSequence) -> str:
        """What the record of a sequence is called."""
        return video_of(sequence) if self.protocol == MASKS else sequence.name

    def _record_file(self, name: str) -> Path:
        return self.folder / RECORDS / f"{name}.json"

    def _record(self, name: str) -> dict[str, Any]:
        return _read_json(self._record_file(name))

    def _runs(self, name: str) -> list[Trajectory]:
        try:
            firsts, lengths = ([run[key] for run in self._record(name)["runs"]] for key in ("first", "frames"))
        except (TypeError, KeyError):
            raise DataError(
                f"'{self._record_file(name)}' is no record of runs; remove it and run the sequence again."
            ) from None
        runs = decode(self.layout, self.folder, name, firsts)
        if [len(run) for run in runs] != lengths:
            raise DataError(f"The results of {name} in '{self.folder}' have {[len(r) for r in runs]} frames, not {lengths}.")
        return runs

    def pack(self, path: Path) -> None:
        """Writes the archive that the server of GOT-10k (with times) or TrackingNet (without) takes.

        Raises:
            OutputError: the file cannot be written.
        """
        part = path.with_name(f".{path.name}")
        with _explained(path), zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in sorted(self.finished()):
                for file, text in encode(self.layout, name, self._runs(name)).items():
                    if file.endswith(".txt"):
                        entry = zipfile.ZipInfo(file, _LONG_AGO)
                        entry.compress_type = zipfile.ZIP_DEFLATED
                        archive.writestr(entry, text)
        with _explained(path):
            part.replace(path)

    def _check_same(self, known: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        old, new = _flat(known), _flat(wanted)
        changed = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key) and not key.startswith(_ABOUT)]
        if changed:
            told = ", ".join(f"{key} was {old.get(key)} and is {new.get(key)}" for key in changed[:3])
            told += f" and {len(changed) - 3} more" if len(changed) > 3 else ""
            raise OutputError(
                f"The results in '{self.folder}' were made with something else: {told}. "
                "Give another --name, or --fresh to remove them."
            )


def check_name(name: str) -> str:
    """The name itself, if it can be that of a file or folder of results.

    Raises:
        OutputError: it cannot.
    """
    if not name or name.startswith(".") or {"/", "\\"} & set(name):
        raise OutputError(f"'{name}' cannot be the name of a file or folder of results; use letters, digits, '-' and '_'.")
    return name


def open_store(folder: Path, benchmark: Benchmark) -> ResultStore:
    """The store that a folder ROOT/TRACKER/BENCHMARK/PROTOCOL is.

    Args:
        folder: that `ResultStore` made.
        benchmark: that the results are on.

    Raises:
        DataError: it holds no results of siamtrack.
    """
    path = folder / RUN
    if not path.is_file():
        raise DataError(f"'{folder}' holds no results of siamtrack: it has no {RUN}.")
    protocol, _, tracker = folder.absolute().parts[:-4:-1]
    return ResultStore(folder.absolute().parents[2], tracker=tracker, benchmark=benchmark, protocol=protocol)


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with keys such as settings.scales."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"'{path}' cannot be read as JSON: {error}. Remove it to run again what it stands for.") from None
    if not isinstance(values, dict):
        raise DataError(f"'{path}' holds no JSON object; remove it to run again what it stands for.")
    return values


def _write_whole(path: Path, content: str | bytes) -> None:
    """Writes a file that is there with all of its content or not at all, even if the power fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")  # two evaluations may write the same file
    with temporary.open("wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    if hasattr(os, "O_DIRECTORY"):  # Windows cannot open a folder
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"'{error.filename or path}' cannot be written: {error.strerror or error}.") from None
