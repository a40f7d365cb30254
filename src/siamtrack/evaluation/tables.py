"""Tables of scores: one structure, and CSV, Markdown and LaTeX of it."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from siamtrack.datasets.benchmark import counted
from siamtrack.errors import SettingsError, nearest
from siamtrack.evaluation.published import PublishedScores
from siamtrack.evaluation.scoring_measures import MEASURES, Measure
from siamtrack.evaluation.scoring_parts import Part, Scores

PLACES = 3
"""So many of the best are marked."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of numbers.

    Attributes:
        label: heading.
        digits: decimals.
        lower_is_better: whether less is better.
    """

    label: str
    digits: int = 3
    lower_is_better: bool = False


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row.

    Attributes:
        name: what it is of.
        values: one a column; NaN where there is none.
        source: where published numbers come from; empty for measured ones.
    """

    name: str
    values: tuple[float, ...]
    source: str = ""

    @property
    def label(self) -> str:
        """The name, and whether the numbers are only published."""
        return f"{self.name} (published)" if self.source else self.name


@dataclass(frozen=True, kw_only=True)
class Table:
    """Numbers with headings.

    Attributes:
        title: what is in it.
        preset: name of the tool whose numbers these are.
        caption: what a reader has to know besides; may be empty.
        heading: of the first column.
        columns: of numbers.
        rows: measured ones first.
        compared: whether the best numbers are looked for in each column (a row is a tracker) or in each row (a column is one).
    """

    title: str
    preset: str
    caption: str
    heading: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    compared: Literal["columns", "rows"] = "columns"

    def place(self, row: int, column: int) -> int | None:
        """0 for the best measured number of a column or row, 1 and 2 for those after it, equal ones alike; else None.

        Numbers are compared as they are printed. Published ones have no place: they were not measured in the same way.
        """
        digits, lower = self.columns[column].digits, self.columns[column].lower_is_better
        value = self.rows[row].values[column]
        if math.isnan(value) or self.rows[row].source:
            return None
        others = self.rows[row].values if self.compared == "rows" else [r.values[column] for r in self.rows if not r.source]
        measured = {round(other, digits) for other in others if not math.isnan(other)}
        place = sorted(measured, reverse=not lower).index(round(value, digits))
        return place if place < PLACES and len(measured) > 1 else None


def ranking_table(scores: Sequence[Scores], published: Sequence[PublishedScores] = ()) -> Table:
    """Trackers by their main number, the best first, with all other numbers that any of them has; published ones at the end."""
    ranked = sorted(scores, key=lambda s: _order(s.value, MEASURES[s.main]))
    used = [m for m in MEASURES.values() if any(not math.isnan(s.overall.numbers.get(m.key, math.nan)) for s in scores)]
    rows = [Row(name=s.tracker, values=_values(s.overall.numbers, used)) for s in ranked]
    main = MEASURES[ranked[0].main]
    known = sorted(published, key=lambda p: _order(p.numbers.get(main.key, math.nan), main))
    rows += [Row(name=p.tracker, values=_values(p.numbers, used), source=p.source) for p in known]
    return Table(
        title=_title(scores),
        preset=_preset(scores),
        caption=_caption(scores),
        heading="tracker",
        columns=tuple(map(_column, used)),
        rows=tuple(rows),
    )


def parts_table(scores: Sequence[Scores], by: str, measure: str | None = None) -> Table:
    """One number of each tracker for each attribute or sequence.

    Args:
        scores: one a column.
        by: "attribute" or "sequence".
        measure: key of the number; None: the main one, or for parts that have none of it, their first.

    Raises:
        SettingsError: another `by`, or a number that the parts do not have.
    """
    kinds: dict[str, Callable[[Scores], Mapping[str, Part]]] = {
        "attribute": lambda s: s.attributes,
        "sequence": lambda s: s.sequences,
    }
    if by not in kinds:
        raise SettingsError(f"Scores cannot be listed by '{by}'. {nearest(by, kinds)}")
    parts = [kinds[by](s) for s in scores]
    names = list(dict.fromkeys(name for part in parts for name in part))
    if not names:
        raise SettingsError(f"The data of {scores[0].benchmark} name no {by}s; there is nothing to list by {by}.")
    known = list(parts[0][names[0]].numbers)
    key = measure or (scores[0].main if scores[0].main in known else known[0])
    if key not in known:
        raise SettingsError(f"There is no '{key}' by {by}. {nearest(key, known)}")
    what = MEASURES[key]
    rows = [Row(name=name, values=tuple(_number(part.get(name), key) for part in parts)) for name in names]
    columns = tuple(Column(label=s.tracker, digits=what.digits, lower_is_better=what.lower_is_better) for s in scores)
    return Table(
        title=f"{_title(scores)}: {what.label} by {by}",
        preset=_preset(scores),
        caption=_caption(scores),
        heading=by,
        columns=columns,
        rows=tuple(rows),
        compared="rows",
    )


def to_csv(table: Table) -> str:
    """Full numbers for programs, with the preset of measured rows and the source of published ones."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([table.heading, *(column.label for column in table.columns), "preset", "published in"])
    for row in table.rows:
        preset = "" if row.source else table.preset
        writer.writerow([row.name, *("" if math.isnan(v) else f"{v:.6g}" for v in row.values), preset, row.source])
    return file.getvalue()


def to_markdown(table: Table) -> str:
    """The best in bold, the second underlined, the third in italics."""
    marks = ("**{}**", "<u>{}</u>", "*{}*")
    lines = [
        f"### {table.title}",
        "",
        heading_of(table),
        "",
        _line([table.heading, *(_markdown(c.label) for c in table.columns)]),
    ]
    lines.append(_line(["---", *("---:" for _ in table.columns)]))
    for i, row in enumerate(table.rows):
        lines.append(_line([_markdown(row.label), *_cells(table, i, marks)]))
    return "\n".join([*lines, *(["", *sources_of(table)] if sources_of(table) else [])]) + "\n"


def to_latex(table: Table) -> str:
    r"""A `tabular` for booktabs; the best in \textbf, the second in \underline, the third in \textit."""
    marks = (r"\textbf{{{}}}", r"\underline{{{}}}", r"\textit{{{}}}")
    lines = [f"% {line}" for line in (table.title, heading_of(table), *sources_of(table)) if line]
    lines += [rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}", r"\toprule"]
    lines.append(_latex_line([_latex(table.heading), *(_latex(c.label) for c in table.columns)]))
    lines.append(r"\midrule")
    lines += [_latex_line([_latex(row.label), *_cells(table, i, marks)]) for i, row in enumerate(table.rows)]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def to_text(table: Table) -> str:
    """Columns of plain text, nothing marked."""
    heads = [table.heading, *(column.label for column in table.columns)]
    body = [[row.label, *map(text_of, row.values, table.columns)] for row in table.rows]
    widths = [max(len(line[i]) for line in (heads, *body)) for i in range(len(heads))]
    lines = [
        "  ".join([line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))])
        for line in (heads, *body)
    ]
    return "\n".join([table.title, heading_of(table), "", *lines, *sources_of(table)]) + "\n"


WRITERS: Mapping[str, Callable[[Table], str]] = {"table": to_text, "csv": to_csv, "markdown": to_markdown, "latex": to_latex}
"""By name."""


def text_of(value: float, column: Column) -> str:
    """A number as it is printed."""
    return "-" if math.isnan(value) else f"{value:.{column.digits}f}"


def _cells(table: Table, row: int, marks: Sequence[str]) -> list[str]:
    cells = []
    for i, (value, column) in enumerate(zip(table.rows[row].values, table.columns, strict=True)):
        place = table.place(row, i)
        text = text_of(value, column)
        cells.append(text if place is None else marks[place].format(text))
    return cells


def heading_of(table: Table) -> str:
    """The preset and the caption, to be printed above the numbers."""
    return f"Preset: {table.preset}. {table.caption}".strip()


def sources_of(table: Table) -> list[str]:
    """A line for each source of published rows."""
    sources = dict.fromkeys(row.source for row in table.rows if row.source)
    return [f"Published in {s}: {', '.join(row.name for row in table.rows if row.source == s)}." for s in sources]


def _title(scores: Sequence[Scores]) -> str:
    protocols = ", ".join(dict.fromkeys(s.protocol for s in scores))
    return f"{scores[0].benchmark}, {protocols}, {counted(scores[0].overall.sequences, 'sequence')}"


def _preset(scores: Sequence[Scores]) -> str:
    return ", ".join(dict.fromkeys(s.preset for s in scores))


def _caption(scores: Sequence[Scores]) -> str:
    return " ".join(dict.fromkeys(note for s in scores for note in s.notes))


def _column(measure: Measure) -> Column:
    return Column(label=measure.label, digits=measure.digits, lower_is_better=measure.lower_is_better)


def _values(numbers: Mapping[str, float], measures: Sequence[Measure]) -> tuple[float, ...]:
    return tuple(numbers.get(measure.key, math.nan) for measure in measures)


def _number(part: Part | None, key: str) -> float:
    return math.nan if part is None else part.numbers.get(key, math.nan)


def _order(value: float, measure: Measure) -> float:
    """Sorts the best first and NaN last."""
    return math.inf if math.isnan(value) else value if measure.lower_is_better else -value


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _latex_line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _markdown(text: str) -> str:
    return re.sub(r"[\\|_*<`]", r"\\\g<0>", text)


def _latex(text: str) -> str:
    words = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join(words.get(mark, "\\" + mark if mark in "&%$#_{}" else mark) for mark in text)
