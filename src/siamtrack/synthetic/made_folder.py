"""Folders of rendered data: begun with what they are made of, filled so that an interrupted command can go on.

`synthetic.json` says what decides the content of a folder, so that the same command goes on with it and another one is refused,
and which versions began it. What is being filled has a hidden name and gets its own when it is whole.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from siamtrack.datasets.annotations.media import files_in
from siamtrack.errors import OutputError
from siamtrack.image import Image
from siamtrack.output_paths import check_folder
from siamtrack.video import VideoWriter

CONTENT = "synthetic.json"
"""Name of the file that says what a folder of rendered data was made of."""

FORMAT = 1
"""Raised when the same settings come to give other files or other pictures: a folder must not be a mixture."""

_MADE_WITH = "made_with"  # told, and not compared
_SHOWN = 20  # letters: a longer text is a digest, which tells nobody anything


def begin_folder(out: Path, content: Mapping[str, Any], *, growing: str | None = None) -> None:
    """Makes the folder, or goes on with one that was begun with the same content.

    Args:
        out: the folder; folders above it are made, too.
        content: what decides every file that will be in it; values as JSON has them.
        growing: the one of them that is a count, and may be larger than before: then what is there is a part of it.

    Raises:
        OutputError: it cannot be made, or holds something else.
    """
    check_folder(out)
    # the package itself lies above and is not asked for its version
    made_with = {"siamtrack": version("siamtrack"), "numpy": np.__version__, "opencv": cv2.__version__}
    wanted = json.loads(json.dumps({**content, "format": FORMAT, _MADE_WITH: made_with}))
    there = sorted(path.name for path in out.iterdir() if not path.name.startswith(".")) if out.is_dir() else []
    if there and CONTENT not in there:
        raise OutputError(f"'{out}' holds something else ({', '.join(there[:3])}); give a new folder.")
    found = _read_content(out) if there else {}
    if any(path != out / CONTENT for path in files_in(out)):
        _check_same(out, found, wanted, growing)
        if growing is None or found[growing] == wanted[growing]:
            return
        wanted[_MADE_WITH] = found[_MADE_WITH]
    elif there:  # and nothing was finished, which is as good as a new folder where the description is one of ours
        _check_what(out, found, wanted)
        if not {"format", _MADE_WITH} <= found.keys():
            raise _says_nothing(out)
    make_folder(out)
    write_text(out / CONTENT, json.dumps(wanted, indent=1) + "\n")


def _read_content(out: Path) -> dict[str, Any]:
    try:
        found = json.loads((out / CONTENT).read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict) or "what" not in found:
        raise _says_nothing(out)
    return found


def _says_nothing(out: Path) -> OutputError:
    return OutputError(f"'{out / CONTENT}' does not say what the folder is made of as siamtrack does; give a new folder.")


def _check_what(out: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    if found["what"] != wanted["what"]:
        raise OutputError(f"'{out}' holds something else ({found['what']}, not {wanted['what']}); give a new folder.")


def _check_same(out: Path, found: Mapping[str, Any], wanted: Mapping[str, Any], growing: str | None) -> None:
    _check_what(out, found, wanted)
    if found.get("format") != FORMAT:
        raise OutputError(f"'{out}' was begun by another version of siamtrack, which drew otherwise; give a new folder.")
    other = differences(found, wanted, but=(_MADE_WITH, growing or ""))
    if other:
        raise OutputError(f"'{out}' holds other data: {'; '.join(other)}. Give the same settings to go on, or a new folder.")
    if growing is None:
        return
    for name, kind in {growing: int, _MADE_WITH: dict}.items():
        if not isinstance(found.get(name), kind):
            raise OutputError(
                f"'{out / CONTENT}' was altered: its '{name}' is {found.get(name, 'missing')}. Put back what siamtrack wrote, "
                "or give a new folder."
            )
    if found[growing] > wanted[growing]:
        raise OutputError(
            f"'{out}' holds more already: {growing} {found[growing]}, not {wanted[growing]}. Give as many or more to go on, or "
            "a new folder."
        )


def differences(old: Mapping[str, Any], new: Mapping[str, Any], *, but: Sequence[str] = (), inside: str = "") -> list[str]:
    """In which settings two tables differ, a text each, with dotted names for those of tables inside.

    >>> differences({"seed": 4, "world": {"exits": 0.5}}, {"seed": 5, "world": {"exits": 0.15}})
    ['seed 4, not 5', 'world.exits 0.5, not 0.15']

    Args:
        old: what was.
        new: what was to be.
        but: names that are not compared.
        inside: what stands before each name.
    """
    found: list[str] = []
    for key in sorted({*old, *new} - {*but}):
        was, wanted, name = old.get(key), new.get(key), f"{inside}{key}"
        if isinstance(was, Mapping) and isinstance(wanted, Mapping):
            found += differences(was, wanted, inside=f"{name}.")
        elif was != wanted:
            told = [_shown(value) for value in (was, wanted)]
            found.append(f"other {name}" if "" in told else f"{name} {told[0]}, not {told[1]}")
    return found


def _shown(value: Any) -> str:
    """A setting in a message; nothing where it is too long, or a table."""
    text = "none" if value is None else str(value)
    return "" if isinstance(value, Mapping) or len(text) > _SHOWN else text


@contextmanager
def new_folders(places: Sequence[Path]) -> Iterator[list[Path]]:
    """Empty folders to be filled, which get their names when the block ends well, the last one last, and else are removed.

    Whatever a killed try left of them is removed first.

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
    try:
        yield parts
    except BaseException:  # Ctrl-C, too
        for part in parts:
            shutil.rmtree(part, ignore_errors=True)
        raise
    with _explained(places[-1]):
        for part, place in zip(parts, places, strict=True):
            part.replace(place)


def make_folder(folder: Path) -> None:
    """Makes a folder, and those above it, if it is not there.

    Raises:
        OutputError: it cannot be made.
    """
    with _explained(folder):
        folder.mkdir(parents=True, exist_ok=True)


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
    """Writes a text file, whole or not at all, the same bytes on every system; folders above it are made, too.

    Raises:
        OutputError: it cannot be written.
    """
    make_folder(path.parent)
    with new_file(path) as part, _explained(path):
        part.write_bytes(text.encode())


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """The name to write a file under, which gets its own name when the block ends well, and else is removed.

    Raises:
        OutputError: it cannot be named.
    """
    part = path.with_name(f".{path.name}-part")
    try:
        yield part
    except BaseException:  # Ctrl-C, too
        part.unlink(missing_ok=True)
        raise
    with _explained(path):
        part.replace(path)


@contextmanager
def new_video(path: Path, fps: float) -> Iterator[VideoWriter]:
    """A video file that is there only once it is whole: `VideoWriter` alone keeps what Ctrl-C leaves of one.

    Raises:
        OutputError: see `VideoWriter`.
    """
    with VideoWriter(path, fps=fps) as video:
        try:
            yield video
        except KeyboardInterrupt:
            video.discard()
            raise


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


def counted(number: int, thing: str) -> str:
    """How many of a thing there are, for people.

    >>> counted(1, "video"), counted(2, "video")
    ('1 video', '2 videos')
    """
    return f"{number} {thing}{'s' if number != 1 else ''}"


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"'{path}' cannot be written: {error.strerror or error}. The same command goes on.") from None
