"""Result files in the field's layouts: written frame by frame, and read back.

* csv     one line a row under `frame,target,x,y,w,h,score`; boxes as everywhere in siamtrack; absent: empty cells
* jsonl   one JSON object a row with the same keys; absent: null
* otb     `x,y,w,h` a line, 1-based as OTB's own files are; absent: NaN (Wu, Lim, Yang, TPAMI 2015)
* got10k  `x,y,w,h` a line, 1-based as in the authors' own tracker; seconds a frame in a second file; absent: NaN.
          Layout and precision of github.com/got-10k/toolkit, experiments/got10k.py: PATH without a suffix is a folder,
          PATH/NAME_001.txt with PATH/NAME_time.txt; PATH.txt (or PATH_001.txt) has PATH_time.txt beside it
* vot     trajectory text of the VOT toolkit, 2015 to 2019: `1` on the first line, then `x,y,w,h`, 0-based; absent: `0`.
          Scores in NAME_confidence.value (first line empty) and seconds in NAME_time.value. Codes 0, 1 and 2 are read
          as absent boxes: the box of the first frame is not in such a file

The last three hold one target a file: with several targets, NAME.txt becomes NAME_0.txt, NAME_1.txt and so on. They
hold consecutive frames and no frame numbers: line 1 is the first frame written, whether tracking began at frame 0 or
later, or ran backwards; on reading, frames count from 0. Scores are not in otb and got10k, seconds are not in csv,
jsonl and otb: they come back as NaN and None. Coordinates keep 4 decimals (got10k: 3, as its toolkit writes).
"""

from __future__ import annotations

import csv
import json
import math
import os
import re
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from siamtrack.box import ABSENT, Box, Boxes
from siamtrack.errors import BoxError, InputError, OutputError, SettingsError, nearest

FORMATS = ("csv", "jsonl", "otb", "got10k", "vot")
"""Names of the layouts."""

_ENDINGS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_COLUMNS = ("frame", "target", "x", "y", "w", "h", "score")
_FIRST_PIXEL = {"otb": 1.0, "got10k": 1.0, "vot": 0.0}


@dataclass(frozen=True, kw_only=True)
class Row:
    """Where one target is in one frame.

    Attributes:
        frame: index of the frame, from 0.
        target: index of the target, from 0.
        box: the box, pixels, 0-based; absent when any coordinate is NaN.
        score: the tracker's score; NaN where there is none (an infinite one counts as none).
        seconds: time the tracker took for this frame, all targets together; None where it was not measured.
    """

    frame: int
    target: int
    box: Box
    score: float
    seconds: float | None = None


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
        path = _named(path)
        self.paths = _paths(path, self.format, targets)
        _check_writable(self.paths, in_folder=self.format == "got10k" and _is_folder(path))
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
        texts = _encode(rows, self.format, first=self._last_frame is None)
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
        if self.format == "csv":
            self._files[0].append(",".join(_COLUMNS) + "\n")
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
        if self.format not in _FIRST_PIXEL:
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


def _named(path: str | os.PathLike[str]) -> Path:
    """The path, in full where it has no name of its own (., ..)."""
    path = Path(path)
    return path.resolve() if path.name in ("", "..") else path


def _is_folder(path: Path) -> bool:
    return path.suffix.lower() != ".txt"


def _of_target(path: Path, target: int) -> Path:
    return path.with_name(f"{path.stem}_{target}{path.suffix}")


def _paths(path: Path, layout: str, targets: int) -> list[Path]:
    """All files of a result, target by target: boxes, then scores (vot), then seconds (got10k, vot)."""
    if layout not in _FIRST_PIXEL:
        return [path]
    names = [path] if targets == 1 else [_of_target(path, target) for target in range(targets)]
    return [file for name in names for file in _paths_of_one(name, layout)]


def _paths_of_one(path: Path, layout: str) -> list[Path]:
    if layout == "otb":
        return [path]
    if layout == "vot":
        return [path, path.with_name(f"{path.stem}_confidence.value"), path.with_name(f"{path.stem}_time.value")]
    if _is_folder(path):
        return [path / f"{path.name}_001.txt", path / f"{path.name}_time.txt"]
    return [path, path.with_name(re.sub(r"_\d{3}$", "", path.stem) + "_time.txt")]


def _check_writable(paths: Sequence[Path], *, in_folder: bool) -> None:
    for path in paths:
        place = path.parent if in_folder and not path.parent.exists() else path
        folder = place.parent
        try:
            if place.is_dir():
                raise OutputError(f"Cannot write {place}: a folder of that name is in the way. Give the name of a file.")
            if place.exists():
                if not os.access(place, os.W_OK):
                    raise OutputError(f"Cannot write {place}: no permission to change it. Choose another name.")
            elif not folder.exists():
                raise OutputError(f"Cannot write {place}: there is no folder {folder}. Make it first, or choose another one.")
            elif not folder.is_dir():
                raise OutputError(f"Cannot write {place}: {folder} is a file, not a folder. Choose another place.")
            else:
                with tempfile.TemporaryFile(dir=folder):  # the only test that holds on every system
                    pass
        except OSError as error:
            raise OutputError(f"Cannot write {place}: {error.strerror}. Choose another place.") from error


def _refuse_leftovers(path: Path, layout: str, targets: int) -> None:
    """What a run with fewer or more targets left would be read instead of the new files, or together with them."""
    if layout not in _FIRST_PIXEL or targets == 1:
        return
    for other in (_paths_of_one(name, layout)[0] for name in (path, _of_target(path, targets))):
        if other.exists():
            raise OutputError(
                f"{other} is from a run with another number of targets and would be read together with the new result. "
                "Remove it, or choose another name."
            )


def _encode(rows: Sequence[Row], layout: str, *, first: bool) -> list[str]:
    """What one frame adds to each file of `_paths`."""
    if layout == "csv":
        return ["".join(_csv_line(row) for row in rows)]
    if layout == "jsonl":
        return ["".join(_json_line(row) for row in rows)]
    texts = []
    for row in rows:
        seconds = math.nan if row.seconds is None else row.seconds
        if layout == "vot":
            code = "1" if first else "0" if row.box.absent else _box_text(row.box, layout)
            texts += [code, "" if first else _number(row.score, ".6g"), _number(seconds, ".8f")]
        else:
            texts += [_box_text(row.box, layout)] + ([_number(seconds, ".8f")] if layout == "got10k" else [])
    return [text + "\n" for text in texts]


def _box_text(box: Box, layout: str) -> str:
    if box.absent:
        return "NaN,NaN,NaN,NaN"
    shift = _FIRST_PIXEL[layout]
    digits = ".3f" if layout == "got10k" else ".4f"
    return ",".join(_number(v, digits) for v in (box.x + shift, box.y + shift, box.w, box.h))


def _number(value: float, digits: str, missing: str = "NaN") -> str:
    return format(value, digits) if math.isfinite(value) else missing


def _trimmed(value: float) -> str:
    if math.isnan(value):
        return ""
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _csv_line(row: Row) -> str:
    box = ABSENT if row.box.absent else row.box
    cells = [str(row.frame), str(row.target), *(_trimmed(v) for v in box), _number(row.score, ".6g", missing="")]
    return ",".join(cells) + "\n"


def _json_line(row: Row) -> str:
    box = ABSENT if row.box.absent else row.box
    values: dict[str, float | None] = {"frame": int(row.frame), "target": int(row.target)}
    values |= {key: None if math.isnan(v) else round(float(v), 4) for key, v in zip("xywh", box, strict=True)}
    values["score"] = float(f"{row.score:.6g}") if math.isfinite(row.score) else None
    return json.dumps(values) + "\n"


def read_rows(path: str | os.PathLike[str], *, format: str | None = None) -> list[Row]:  # noqa: A002
    """Reads a result back, by the path it was written with.

    Where otb, got10k or vot files of that name are missing, NAME_0, NAME_1 and so on are read as several targets. Boxes
    come back 0-based from every layout.

    Returns:
        Rows ordered by frame, then target; see the module for what a layout does not hold.

    Raises:
        SettingsError: see `format_of`.
        InputError: a file is missing or has a line that cannot be read; the message names both.
    """
    format = format_of(path, format)  # noqa: A001
    path = _named(path)
    if format in ("csv", "jsonl"):
        rows = _read_csv(path) if format == "csv" else _read_jsonl(path)
    else:
        rows = []
        several = not _paths_of_one(path, format)[0].exists()
        target = 0
        while several and _paths_of_one(_of_target(path, target), format)[0].exists():
            rows += _read_text(_of_target(path, target), format, target)
            target += 1
        if target == 0:
            rows = _read_text(path, format, 0)
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
    boxes = [_four_numbers(line, path, number) for number, line in enumerate(_lines(path), 1)]
    return np.array(boxes, np.float64).reshape(-1, 4)


def _lines(path: Path) -> list[str]:
    """The lines of a text file without the empty ones at its end."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}. Check the name.") from error
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a text file; expected result or annotation lines.") from None
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def _bad_line(path: Path, number: int, found: str, expected: str) -> InputError:
    found = found if len(found) <= 60 else found[:57] + "..."
    return InputError(f"{path}, line {number}: found '{found}', expected {expected}.")


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError
    return value


def _four_numbers(line: str, path: Path, number: int) -> list[float]:
    expected = "four numbers x,y,w,h, or NaN"
    try:
        values = [_float(cell) for cell in re.split(r"\s*,\s*|\s+", line.strip())]
    except ValueError:
        raise _bad_line(path, number, line, expected) from None
    if len(values) == 1:
        raise _bad_line(
            path, number, line, f"{expected}. Single numbers are the codes of a VOT trajectory: read it as format vot"
        )
    if len(values) >= 6 and len(values) % 2 == 0:
        raise _bad_line(path, number, line, f"{expected}. Polygons cannot be read yet; convert them to their bounding boxes")
    if len(values) != 4:
        raise _bad_line(path, number, line, expected)
    return values


def _read_text(path: Path, layout: str, target: int) -> list[Row]:
    boxes_path, *beside = _paths_of_one(path, layout)
    shift = _FIRST_PIXEL[layout]
    boxes = []
    for number, line in enumerate(_lines(boxes_path), 1):
        if layout == "vot" and re.fullmatch(r"[012](\.0*)?", line.strip()):
            boxes.append(ABSENT)
            continue
        x, y, w, h = _four_numbers(line, boxes_path, number)
        boxes.append(Box(x - shift, y - shift, w, h))
    scores = _read_column(beside[0], len(boxes)) if layout == "vot" else [math.nan] * len(boxes)
    seconds = _read_column(beside[-1], len(boxes)) if beside else [math.nan] * len(boxes)
    return [
        Row(frame=i, target=target, box=boxes[i], score=scores[i], seconds=None if math.isnan(seconds[i]) else seconds[i])
        for i in range(len(boxes))
    ]


def _read_column(path: Path, length: int) -> list[float]:
    """One number a line, NaN where it is empty or missing; the first column where repetitions stand side by side."""
    values = []
    for number, line in enumerate(_lines(path) if path.exists() else [], 1):
        try:
            values.append(_float(line.split(",")[0]) if line.strip() else math.nan)
        except ValueError:
            raise _bad_line(path, number, line, "one number") from None
    return (values + [math.nan] * length)[:length]


def _read_csv(path: Path) -> list[Row]:
    lines = _lines(path)
    if not lines:
        raise InputError(f"{path} is empty; expected the header {','.join(_COLUMNS)}.")
    reader = csv.DictReader(lines, restval="?")  # a cell that is missing is an error, an empty one is NaN
    missing = [name for name in _COLUMNS[:-1] if name not in (reader.fieldnames or ())]
    if missing:
        raise _bad_line(path, 1, lines[0], f"the header {','.join(_COLUMNS)}; missing: {', '.join(missing)}")
    return [_row(cells, path, reader.line_num, lines[reader.line_num - 1]) for cells in reader]


def _read_jsonl(path: Path) -> list[Row]:
    rows = []
    for number, line in enumerate(_lines(path), 1):
        try:
            values = json.loads(line)
        except json.JSONDecodeError:
            values = None
        if not isinstance(values, dict):
            raise _bad_line(path, number, line, "one JSON object")
        rows.append(_row(values, path, number, line))
    return rows


def _row(values: dict[str, Any], path: Path, number: int, line: str) -> Row:
    values = {"score": None} | values
    try:
        frame, target = (int(str(values[key])) for key in _COLUMNS[:2])  # by way of str, JSON's 1.5 and true are refused
        x, y, w, h, score = (math.nan if values[key] in (None, "") else _float(values[key]) for key in _COLUMNS[2:])
    except (KeyError, TypeError, ValueError):
        raise _bad_line(path, number, line, f"{', '.join(_COLUMNS)} as numbers") from None
    return Row(frame=frame, target=target, box=Box(x, y, w, h), score=score)
