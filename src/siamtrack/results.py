"""Result files in the field's layouts: written frame by frame, and read back.

The layouts, and what each of them cannot hold, are told in `siamtrack.result_layouts`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from contextlib import suppress
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from siamtrack.box import Boxes
from siamtrack.errors import BoxError, OutputError, SettingsError, nearest
from siamtrack.output_paths import check_path, named
from siamtrack.result_layouts import (
    FORMATS,
    ONE_TARGET_A_FILE,
    Row,
    decode,
    encode,
    four_numbers,
    heading,
    is_folder,
    lines_of,
    of_target,
    paths_of,
    paths_of_one,
)

__all__ = ["FORMATS", "ResultWriter", "Row", "format_of", "read_boxes", "read_rows"]

_ENDINGS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}


def format_of(path: str | os.PathLike[str], format: str | None = None) -> str:  # noqa: A002 - the name of the option
    """The layout of a result file: the one asked for, else by the path's ending.

    Raises:
        SettingsError: the name is unknown, or no name is given and the ending does not say it.
    """
    if format is not None:
        if format not in FORMATS:
            raise SettingsError(f"There is no result format '{format}'. {nearest(format, FORMATS)}")
        return format
    ending = Path(path).suffix.lower()
    if ending not in _ENDINGS:
        raise SettingsError(
            f"The ending of '{path}' does not say its format: several layouts end in .txt or are folders. "
            f"Choose one with --format: {', '.join(FORMATS)}; or use the ending .csv or .jsonl."
        )
    return _ENDINGS[ending]


class ResultWriter:
    """Writes rows frame by frame; use it in a `with` block.

    The constructor checks that the path can be written, so that a long run does not fail at its end. Files are made at
    the first row: until then an older result of that name stays, and a block that fails before leaves nothing new. Each
    frame is on disk before `write` returns. When the block ends with an exception, KeyboardInterrupt included, what was
    written stays, in complete lines and with the same frames in every file. A block that ends well without any row
    leaves an empty result.

    Args:
        path: file (got10k: file or folder) to write.
        format: one of FORMATS; by the path's ending where None.
        targets: how many targets each frame has; decides the file names of otb, got10k and vot.

    Raises:
        SettingsError: see `format_of`; or `targets` is below 1.
        OutputError: the path cannot be written, or result files of another number of targets are in the way.
    """

    def __init__(self, path: str | os.PathLike[str], *, format: str | None = None, targets: int = 1) -> None:  # noqa: A002
        if targets < 1:
            raise SettingsError(f"Results of {targets} targets cannot be written; give at least 1.")
        self.format = format_of(path, format)
        self.targets = targets
        path = named(path)
        self.paths = paths_of(path, self.format, targets)
        _check_writable(self.paths, in_folder=self.format == "got10k" and is_folder(path))
        _refuse_leftovers(path, self.format, targets)
        self._files: list[_LineFile] = []
        self._last_frame: int | None = None
        self._step = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self._open()
        for file in self._files:
            file.close(keep=kind is None or self._last_frame is not None)

    def write(self, rows: Sequence[Row]) -> None:
        """Writes all targets of one frame.

        Raises:
            OutputError: the rows are not those of one frame, a text layout misses a target or gets a frame that does not
                follow the one before (by +1, or by -1 throughout), or the disk is full.
            BoxError: a box has an infinite coordinate.
        """
        if not rows:
            return
        rows = sorted(rows, key=lambda row: row.target)
        self._check(rows)
        texts = encode(rows, self.format, first=self._last_frame is None)
        self._open()
        for file, text in zip(self._files, texts, strict=True):
            file.append(text)
        for file in self._files:
            file.commit()
        self._last_frame = rows[0].frame

    def _open(self) -> None:
        if self._files:
            return
        for path in self.paths:
            self._files.append(_LineFile(path))
        self._files[0].append(heading(self.format))
        self._files[0].commit()

    def _check(self, rows: Sequence[Row]) -> None:
        frame = rows[0].frame
        if any(row.frame != frame for row in rows):
            raise OutputError(f"Rows of frames {sorted({row.frame for row in rows})} came together; write one frame at a time.")
        for row in rows:
            if any(math.isinf(v) for v in row.box):
                raise BoxError(
                    f"The box of target {row.target} in frame {frame} is infinite: {tuple(row.box)}. It is not written."
                )
        if self.format not in ONE_TARGET_A_FILE:
            return
        if [row.target for row in rows] != list(range(self.targets)):
            raise OutputError(
                f"Frame {frame} has targets {[row.target for row in rows]}, but the {self.format} layout needs each of "
                f"0 to {self.targets - 1} once; use csv or jsonl where targets come and go."
            )
        if self._last_frame is not None:
            step = frame - self._last_frame
            if step not in ((self._step,) if self._step else (1, -1)):
                raise OutputError(
                    f"Frame {frame} came after frame {self._last_frame}, but the {self.format} layout holds consecutive "
                    "frames only; use csv or jsonl for a part of the frames."
                )
            self._step = step


class _LineFile:
    """A file that grows by whole texts; what was not committed is cut off when it is closed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._whole = self._end = 0
        try:
            path.parent.mkdir(exist_ok=True)
            # Unbuffered: a kill loses nothing, and after a full disk no rest waits to be written again at close.
            self._file = FileIO(path, "w")
        except OSError as error:
            raise OutputError(f"Cannot write {path}: {error.strerror}.") from error

    def append(self, text: str) -> None:
        data = text.encode()
        try:
            while data:
                written = self._file.write(data) or 0
                self._end += written
                data = data[written:]
        except OSError as error:
            raise OutputError(f"Cannot write on to {self._path}: {error.strerror}. The frames before are in it.") from error

    def commit(self) -> None:
        self._whole = self._end

    def close(self, *, keep: bool) -> None:
        if self._end > self._whole:
            with suppress(OSError):  # a pipe or a device cannot be cut
                self._file.truncate(self._whole)
        self._file.close()
        if not keep and self._path.is_file():  # never a device such as /dev/null
            self._path.unlink()


def _check_writable(paths: Sequence[Path], *, in_folder: bool) -> None:
    for path in paths:
        check_path(path.parent if in_folder and not path.parent.exists() else path, in_place=True)


def _refuse_leftovers(path: Path, layout: str, targets: int) -> None:
    """What a run with fewer or more targets left would be read instead of the new files, or together with them."""
    if layout not in ONE_TARGET_A_FILE or targets == 1:
        return
    for other in (paths_of_one(name, layout)[0] for name in (path, of_target(path, targets))):
        if other.exists():
            raise OutputError(
                f"{other} is from a run with another number of targets and would be read together with the new result. "
                "Remove it, or choose another name."
            )


def read_rows(path: str | os.PathLike[str], *, format: str | None = None) -> list[Row]:  # noqa: A002
    """Reads a result back, by the path it was written with.

    Where otb, got10k or vot files of that name are missing, NAME_0, NAME_1 and so on are read as several targets. Boxes
    come back 0-based from every layout.

    Returns:
        Rows ordered by frame, then target; see `siamtrack.result_layouts` for what a layout does not hold.

    Raises:
        SettingsError: see `format_of`.
        InputError: a file is missing or has a line that cannot be read; the message names both.
    """
    format = format_of(path, format)  # noqa: A001
    path = named(path)
    rows: list[Row] = []
    several = format in ONE_TARGET_A_FILE and not paths_of_one(path, format)[0].exists()
    target = 0
    while several and paths_of_one(of_target(path, target), format)[0].exists():
        rows += decode(of_target(path, target), format, target=target)
        target += 1
    if target == 0:
        rows = decode(path, format)
    return sorted(rows, key=lambda row: (row.frame, row.target))


def read_boxes(path: str | os.PathLike[str]) -> Boxes:
    """Reads the boxes of one target: OTB-style ground truth, or result lines of otb and got10k.

    Numbers are separated by commas, tabs, spaces or a mixture; NaN is allowed; empty lines at the end are ignored.

    Returns:
        Shape (N, 4), rows x, y, w, h just as they are written: nothing is shifted from 1-based to 0-based here.

    Raises:
        InputError: the file is missing, or a line is not four numbers.
    """
    path = Path(path)
    boxes = [four_numbers(line, path, number) for number, line in enumerate(lines_of(path), 1)]
    return np.array(boxes, np.float64).reshape(-1, 4)
