"""The field's layouts of result files: how they are named, how a row is written in each of them and read from it.

* csv     one line a row under `frame,target,x,y,w,h,score,lost`; boxes as everywhere in siamtrack; absent: empty cells; lost
          is 1, 0, or empty where that is not decided; on reading, it need not be there
* jsonl   one JSON object a row with the same keys; absent: null
* otb     `x,y,w,h` a line, 1-based as OTB's own files are; absent: NaN (Wu, Lim, Yang, TPAMI 2015)
* got10k  `x,y,w,h` a line, 1-based as in the authors' own tracker; seconds a frame in a second file; absent: NaN.
          Layout and precision of github.com/got-10k/toolkit, experiments/got10k.py: PATH without a suffix is a folder,
          PATH/NAME_001.txt with PATH/NAME_time.txt; PATH.txt (or PATH_001.txt) has PATH_time.txt beside it
* vot     trajectory text of the VOT toolkit, 2015 to 2019: `1` on the first line, then `x,y,w,h` or, of trackers that give
          masks, `x1,y1,x2,y2,x3,y3,x4,y4`, 0-based; absent: `0`.
          Scores in NAME_confidence.value (first line empty) and seconds in NAME_time.value. Codes 0, 1 and 2 are read
          as absent boxes: the box of the first frame is not in such a file

The last three hold one target a file: with several targets, NAME.txt becomes NAME_0.txt, NAME_1.txt and so on. They
hold consecutive frames and no frame numbers: line 1 is the first frame written, whether tracking began at frame 0 or
later, or ran backwards; on reading, frames count from 0. Polygons are in vot and jsonl alone, what is lost in csv and jsonl.
Scores are not in otb and got10k, seconds not in csv, jsonl and otb: they come back as NaN and None. Coordinates keep 4 decimals
(got10k: 3, as its toolkit writes).
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from siamtrack.box import ABSENT, Box
from siamtrack.errors import InputError
from siamtrack.polygon import min_max_box

FORMATS = ("csv", "jsonl", "otb", "got10k", "vot")
"""Names of the layouts."""

_COLUMNS = ("frame", "target", "x", "y", "w", "h", "score")
_WRITTEN = (*_COLUMNS, "lost")
_LOST = {"": None, **dict.fromkeys(("0", "0.0", "false"), False), **dict.fromkeys(("1", "1.0", "true"), True)}  # pandas' too
_FIRST_PIXEL = {"otb": 1.0, "got10k": 1.0, "vot": 0.0}

ONE_TARGET_A_FILE = frozenset(_FIRST_PIXEL)
"""Layouts that hold consecutive frames of one target in each file."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """Where one target is in one frame.

    Attributes:
        frame: index of the frame, from 0.
        target: index of the target, from 0.
        box: the box, pixels, 0-based; absent when any coordinate is NaN.
        score: the tracker's score; NaN where there is none (an infinite one counts as none).
        seconds: time the tracker took for this frame, all targets together; None where it was not measured.
        polygon: x1, y1, x2, y2, ... of the corners of the turned box around the mask, pixels; None where there are no masks.
        lost: whether the target is taken for gone (`siamtrack.tracking.Prediction`); None where the procedure does not decide.
    """

    frame: int
    target: int
    box: Box
    score: float
    seconds: float | None = None
    polygon: tuple[float, ...] | None = None
    lost: bool | None = None


def is_folder(path: Path) -> bool:
    """Whether a got10k path names the folder of its files."""
    return path.suffix.lower() != ".txt"


def of_target(path: Path, target: int) -> Path:
    """The path of one of several targets."""
    return path.with_name(f"{path.stem}_{target}{path.suffix}")


def paths_of(path: Path, layout: str, targets: int) -> list[Path]:
    """All files of a result, target by target: boxes, then scores (vot), then seconds (got10k, vot)."""
    if layout not in ONE_TARGET_A_FILE:
        return [path]
    names = [path] if targets == 1 else [of_target(path, target) for target in range(targets)]
    return [file for name in names for file in paths_of_one(name, layout)]


def paths_of_one(path: Path, layout: str) -> list[Path]:
    """The files of one target, its boxes first."""
    if layout == "otb":
        return [path]
    if layout == "vot":
        return [path, path.with_name(f"{path.stem}_confidence.value"), path.with_name(f"{path.stem}_time.value")]
    if is_folder(path):
        return [path / f"{path.name}_001.txt", path / f"{path.name}_time.txt"]
    return [path, path.with_name(re.sub(r"_\d{3}$", "", path.stem) + "_time.txt")]


def heading(layout: str) -> str:
    """What stands in the first file before any row."""
    return ",".join(_WRITTEN) + "\n" if layout == "csv" else ""


def encode(rows: Sequence[Row], layout: str, *, first: bool) -> list[str]:
    """What one frame adds to each file of `paths_of`."""
    if layout == "csv":
        return ["".join(_csv_line(row) for row in rows)]
    if layout == "jsonl":
        return ["".join(_json_line(row) for row in rows)]
    texts = []
    for row in rows:
        seconds = math.nan if row.seconds is None else row.seconds
        if layout == "vot":
            code = "1" if first else "0" if row.box.absent else _region_text(row, layout)
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


def _region_text(row: Row, layout: str) -> str:
    return _box_text(row.box, layout) if row.polygon is None else ",".join(_number(v, ".4f") for v in row.polygon)


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
    cells.append("" if row.lost is None else str(int(row.lost)))
    return ",".join(cells) + "\n"


def _json_line(row: Row) -> str:
    box = ABSENT if row.box.absent else row.box
    values: dict[str, Any] = {"frame": int(row.frame), "target": int(row.target)}
    values |= {key: None if math.isnan(v) else round(float(v), 4) for key, v in zip("xywh", box, strict=True)}
    values["score"] = float(f"{row.score:.6g}") if math.isfinite(row.score) else None
    if row.polygon is not None:
        values["polygon"] = [round(float(v), 4) for v in row.polygon]
    values["lost"] = None if row.lost is None else bool(row.lost)
    return json.dumps(values) + "\n"


def decode(path: Path, layout: str, *, target: int = 0) -> list[Row]:
    """The rows in the files of one path.

    Args:
        path: what `paths_of_one` takes.
        layout: one of FORMATS.
        target: index of the target, for layouts that do not say it.

    Raises:
        InputError: a file is missing or has a line that cannot be read.
    """
    if layout == "csv":
        return _read_csv(path)
    return _read_jsonl(path) if layout == "jsonl" else _read_text(path, layout, target)


def lines_of(path: Path) -> list[str]:
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


def _cells(line: str) -> list[str]:
    return re.split(r"\s*,\s*|\s+", line.strip())


def four_numbers(line: str, path: Path, number: int) -> list[float]:
    """x, y, w, h of a line, however they are separated; file and line number are for the message of the InputError."""
    expected = "four numbers x,y,w,h, or NaN"
    try:
        values = [_float(cell) for cell in _cells(line)]
    except ValueError:
        raise _bad_line(path, number, line, expected) from None
    if len(values) == 1:
        raise _bad_line(
            path, number, line, f"{expected}. Single numbers are the codes of a VOT trajectory: read it as format vot"
        )
    if len(values) >= 6 and len(values) % 2 == 0:
        raise _bad_line(
            path,
            number,
            line,
            f"{expected}. Polygons are read in the format vot alone, with four corners; convert them to their bounding boxes",
        )
    if len(values) != 4:
        raise _bad_line(path, number, line, expected)
    return values


def _read_text(path: Path, layout: str, target: int) -> list[Row]:
    boxes_path, *beside = paths_of_one(path, layout)
    shift = _FIRST_PIXEL[layout]
    boxes: list[Box] = []
    polygons: dict[int, tuple[float, ...]] = {}
    for number, line in enumerate(lines_of(boxes_path), 1):
        if layout == "vot" and re.fullmatch(r"[012](\.0*)?", line.strip()):
            boxes.append(ABSENT)
            continue
        if layout == "vot" and len(_cells(line)) == 8:
            polygons[len(boxes)] = _polygon(line, boxes_path, number)
            boxes.append(min_max_box(np.reshape(polygons[len(boxes)], (4, 2))))
            continue
        x, y, w, h = four_numbers(line, boxes_path, number)
        boxes.append(Box(x - shift, y - shift, w, h))
    scores = _read_column(beside[0], len(boxes)) if layout == "vot" else [math.nan] * len(boxes)
    seconds = _read_column(beside[-1], len(boxes)) if beside else [math.nan] * len(boxes)
    return [
        Row(
            frame=i,
            target=target,
            box=boxes[i],
            score=scores[i],
            seconds=None if math.isnan(seconds[i]) else seconds[i],
            polygon=polygons.get(i),
        )
        for i in range(len(boxes))
    ]


def _polygon(line: str, path: Path, number: int) -> tuple[float, ...]:
    try:
        return tuple(_float(cell) for cell in _cells(line))
    except ValueError:
        raise _bad_line(path, number, line, "eight numbers, x and y of four corners") from None


def _read_column(path: Path, length: int) -> list[float]:
    """One number a line, NaN where it is empty or missing; the first column where repetitions stand side by side."""
    values = []
    for number, line in enumerate(lines_of(path) if path.exists() else [], 1):
        try:
            values.append(_float(line.split(",")[0]) if line.strip() else math.nan)
        except ValueError:
            raise _bad_line(path, number, line, "one number") from None
    return (values + [math.nan] * length)[:length]


def _read_csv(path: Path) -> list[Row]:
    lines = lines_of(path)
    if not lines:
        raise InputError(f"{path} is empty; expected the header {','.join(_COLUMNS)}.")
    reader = csv.DictReader(lines, restval="?")  # a cell that is missing is an error, an empty one is NaN
    missing = [name for name in _COLUMNS[:-1] if name not in (reader.fieldnames or ())]
    if missing:
        raise _bad_line(path, 1, lines[0], f"the header {','.join(_COLUMNS)}; missing: {', '.join(missing)}")
    rows = []
    for cells in reader:
        number, line = reader.line_num, lines[reader.line_num - 1]
        lost = str(cells.pop("lost", "")).strip().lower()
        row = _row(cells, path, number, line)
        if lost not in _LOST:
            raise _bad_line(path, number, line, "lost as 1, 0 or nothing")
        rows.append(replace(row, lost=_LOST[lost]))
    return rows


def _read_jsonl(path: Path) -> list[Row]:
    rows = []
    for number, line in enumerate(lines_of(path), 1):
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
    polygon = values.get("polygon")
    if polygon is not None and not (
        isinstance(polygon, list)
        and len(polygon) >= 6
        and len(polygon) % 2 == 0
        and all(isinstance(v, int | float) and math.isfinite(v) for v in polygon)
    ):
        raise _bad_line(path, number, line, "a polygon as a list of numbers, x and y of each corner")
    corners = None if polygon is None else tuple(map(float, polygon))
    lost = values.get("lost")
    if not isinstance(lost, bool | None):
        raise _bad_line(path, number, line, "lost as true or false")
    return Row(frame=frame, target=target, box=Box(x, y, w, h), score=score, polygon=corners, lost=lost)
