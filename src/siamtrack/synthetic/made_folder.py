"""Folders of rendered data: begun with what they are made of, filled so that an interrupted command can go on.

`synthetic.json` says what decides the content of a folder, so that the same command goes on with it and another one is refused.
What is being filled has a hidden name and gets its own when it is whole.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from siamtrack.errors import OutputError
from siamtrack.image import Image
from siamtrack.output_paths import check_folder

CONTENT = "synthetic.json"
"""Name of the file that says what a folder of rendered data was made of."""


def begin_folder(out: Path, content: Mapping[str, Any]) -> None:
    """Makes the folder, or goes on with one that was begun with the same content.

    Args:
        out: the folder; folders above it are made, too.
        content: what decides every file that will be in it; values as JSON has them.

    Raises:
        OutputError: it cannot be made, or holds something else.
    """
    check_folder(out)
    wanted = json.loads(json.dumps(content))
    there = sorted(path.name for path in out.iterdir() if not path.name.startswith(".")) if out.is_dir() else []
    if CONTENT in there:
        _check_same(out, wanted)
    elif there:
        raise OutputError(f"'{out}' holds something else ({', '.join(there[:3])}); give a new folder.")
    else:
        with _explained(out):
            out.mkdir(parents=True, exist_ok=True)
        write_text(out / CONTENT, json.dumps(wanted, indent=1) + "\n")


def _check_same(out: Path, wanted: Mapping[str, Any]) -> None:
    try:
        found = json.loads((out / CONTENT).read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise OutputError(f"'{out / CONTENT}' does not say what the folder is made of; give a new folder.")
    if found.get("what") != wanted.get("what"):
        raise OutputError(f"'{out}' holds something else ({found.get('what')}, not {wanted.get('what')}). Give a new folder.")
    other = [f"{key} {found.get(key)}, not {value}" for key, value in wanted.items() if found.get(key) != value]
    if other or found.keys() != wanted.keys():
        raise OutputError(f"'{out}' holds other data: {'; '.join(other) or 'more was set'}. Give a new folder.")


@contextmanager
def new_folders(places: Sequence[Path]) -> Iterator[list[Path]]:
    """Empty folders to be filled, which get their names when the block ends well, the last one last.

    Whatever an earlier try left of them is removed first.

    Raises:
        OutputError: they cannot be made or named.
    """
    parts = [place.with_name(f".{place.name}-part") for place in places]
    with _explained(places[-1]):
        for folder in (*places, *parts):
            if folder.exists():
                shutil.rmtree(folder)
        for part in parts:
            part.mkdir(parents=True)
    yield parts
    with _explained(places[-1]):
        for part, place in zip(parts, places, strict=True):
            part.replace(place)


def write_picture(path: Path, image: Image, *, quality: int = 95) -> None:
    """Writes an RGB picture; `quality` is that of JPEG.

    Raises:
        OutputError: it cannot be written.
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if path.suffix == ".jpg" else []
    _, data = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    write_bytes(path, data.tobytes())


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file.

    Raises:
        OutputError: it cannot be written.
    """
    with _explained(path):
        path.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Writes a text file, whole or not at all, the same bytes on every system.

    Raises:
        OutputError: it cannot be written.
    """
    with new_file(path) as part, _explained(path):
        part.write_bytes(text.encode())


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """The name to write a file under, which gets its own name when the block ends well.

    Raises:
        OutputError: it cannot be named.
    """
    part = path.with_name(f".{path.name}-part")
    yield part
    with _explained(path):
        part.replace(path)


def number_text(value: float) -> str:
    """A coordinate with at most four decimals; "nan" for NaN.

    >>> number_text(95.5), number_text(12.0), number_text(-0.00001)
    ('95.5', '12', '0')
    """
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def row_text(values: Sequence[float] | NDArray[np.float64]) -> str:
    """Coordinates with commas between them, as a line of a text file."""
    return ",".join(number_text(float(value)) for value in values) + "\n"


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"'{path}' cannot be written: {error.strerror or error}. The same command goes on.") from None
