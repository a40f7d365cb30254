"""The folder of an experiment: what it was told, its tables as CSV and Markdown, and a report for people.

settings.toml   everything that decides the numbers; written first. An experiment goes on in a folder that holds the same;
                one with other settings may begin where there is nothing else yet, as after a device that was refused.
NAME.csv/.md    tables
report.md       what was run, the numbers beside the published ones, the pictures
"""

from __future__ import annotations

import csv
import io
import platform
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import siamtrack
from siamtrack.errors import OutputError
from siamtrack.output_paths import check_folder
from siamtrack.synthetic.made_folder import differences, make_folder, write_text

SETTINGS = "settings.toml"
REPORT = "report.md"
_MADE_WITH = "made_with"
_TRAINED = "trained"  # digests of what the experiment itself trained: known at its end only
_NAMED = 4  # settings in a message
_PACKAGES = ("numpy", "opencv-python-headless", "openvino", "torch", "matplotlib")

Cell = str | int | float | None


@dataclass(frozen=True)
class Table:
    """Rows under headings; numbers are written in full into the CSV, and rounded for people."""

    columns: Mapping[str, int]  # heading to decimals, for people
    rows: Sequence[Sequence[Cell]]

    def csv(self) -> str:
        """As CSV; a missing value is an empty cell."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(self.rows)
        return text.getvalue()

    def numbers(self, column: str) -> list[float]:
        """The cells under a heading that has numbers alone."""
        index = list(self.columns).index(column)
        return [float(str(row[index])) for row in self.rows]

    @property
    def texts(self) -> list[list[str]]:
        """The cells for people; a missing value is a dash."""
        return [[_text(cell, places) for cell, places in zip(row, self.columns.values(), strict=True)] for row in self.rows]

    def markdown(self) -> str:
        """As a Markdown table, numbers to the right."""
        numbers = [all(not isinstance(row[i], str) for row in self.rows) for i in range(len(self.columns))]
        lines = [list(self.columns), ["---:" if right else "---" for right in numbers], *self.texts]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _text(cell: Cell, places: int) -> str:
    if cell is None:
        return "-"
    return f"{cell:.{places}f}" if isinstance(cell, float) else str(cell)


class Folder:
    """The folder of one experiment.

    Args:
        path: made if missing.
        settings: tables of TOML values, everything that decides the numbers; versions of the packages are added. None in a
            table is left out: TOML has no word for it.

    Raises:
        OutputError: the folder holds something else, or this experiment with other settings, or cannot be written.
    """

    def __init__(self, path: Path, settings: Mapping[str, Mapping[str, Any]]) -> None:
        check_folder(path)
        self.path = path
        self._settings = {name: _without_none(table) for name, table in settings.items()} | {_MADE_WITH: _versions()}
        there = [file.name for file in path.iterdir() if not file.name.startswith(".")] if path.is_dir() else []
        found = self._read_settings() if there else {}
        if len(there) > 1:
            self._check_same(found)
            return
        make_folder(path)
        self._write_settings({})

    def _read_settings(self) -> dict[str, Any]:
        try:
            found = tomllib.loads((self.path / SETTINGS).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
            found = {}
        if not {"experiment", _MADE_WITH} <= found.keys():
            raise OutputError(
                f"'{self.path}' holds something else than an experiment (no {SETTINGS} of one that can be read); give another "
                "folder."
            )
        return found

    def _check_same(self, found: Mapping[str, Any]) -> None:
        if changed := differences(found, self._settings, but=(_TRAINED,)):
            raise OutputError(
                f"'{self.path}' holds an experiment with other settings ({'; '.join(changed[:_NAMED])}"
                f"{'; ...' if len(changed) > _NAMED else ''}). Give the same ones to go on with it, or another folder."
            )

    def _write_settings(self, trained: Mapping[str, str]) -> None:
        import tomli_w

        self.write(SETTINGS, tomli_w.dumps(self._settings | ({_TRAINED: dict(trained)} if trained else {})))

    def write(self, name: str, text: str) -> None:
        """Writes a text file of the folder, whole or not at all."""
        write_text(self.path / name, text)

    def write_table(self, name: str, table: Table) -> None:
        """NAME.csv and NAME.md."""
        self.write(f"{name}.csv", table.csv())
        self.write(f"{name}.md", table.markdown())

    def finish(self, report: str, *, trained: Mapping[str, str] | None = None) -> None:
        """Writes the report, and the SHA-256 of what was trained, by name, into the settings."""
        self._write_settings(trained or {})
        self.write(REPORT, report)


def _without_none(table: Mapping[str, Any]) -> dict[str, Any]:
    """As TOML gives it back: no None, lists for tuples."""
    kept: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            kept[key] = _without_none(value)
        elif isinstance(value, tuple):
            kept[key] = list(value)
        elif value is not None:
            kept[key] = value
    return kept


def _versions() -> dict[str, str]:
    found = {"siamtrack": siamtrack.__version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # a tracker of one's own build of OpenCV
            found[package] = "not installed by pip"
    return found


def picture(name: str, caption: str) -> str:
    """A picture of the folder in its report."""
    return f"![{caption}]({name})\n\n*{caption}*\n"
