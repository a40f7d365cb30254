"""A report: one HTML file with tables, figures and sequences, which needs nothing but itself; and the same as single files.

The same results give the same report, byte for byte: it holds no date of its own, only those of the results.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import siamtrack
from siamtrack.datasets.benchmark import Benchmark, BenchmarkSequence
from siamtrack.errors import MissingExtraError, OutputError
from siamtrack.evaluation import report_sequences
from siamtrack.evaluation.figures import COLOURS, DASHES, Plot, Style, styles_for, svg_of
from siamtrack.evaluation.figures_curves import curve_plots
from siamtrack.evaluation.figures_points import point_plots, radar_measure
from siamtrack.evaluation.protocols_masks import MASKS
from siamtrack.evaluation.published import PublishedScores
from siamtrack.evaluation.result_groups import Group
from siamtrack.evaluation.scoring import overlap_tool
from siamtrack.evaluation.scoring_measures import MEASURES
from siamtrack.evaluation.tables import (
    Table,
    heading_of,
    parts_table,
    ranking_table,
    sources_of,
    text_of,
    to_csv,
    to_latex,
    to_markdown,
)
from siamtrack.evaluation.trajectory import Floats, TrackerResults

if TYPE_CHECKING:
    from jinja2 import Template

_TABLE_FILES = {"csv": to_csv, "md": to_markdown, "tex": to_latex}
_PACKAGES = ("numpy", "matplotlib", "opencv-python-headless")


@dataclass(frozen=True, kw_only=True, eq=False)
class Report:
    """What a report is made of.

    Attributes:
        benchmark: that the trackers were run on.
        groups: by protocol; the sequences of the first one are shown singly.
        published: reference rows of the first group's table.
        origins: what results were made with, by tracker and protocol.
        strips: so many sequences get pictures of their worst moments: those with the lowest overlap.
    """

    benchmark: Benchmark
    groups: Sequence[Group]
    published: Sequence[PublishedScores] = ()
    origins: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    strips: int = 30

    @property
    def styles(self) -> dict[str, Style]:
        """How each tracker is drawn: in the order of the first group, then of the others."""
        return styles_for(list(dict.fromkeys(name for group in self.groups for name in group.results)))

    def plots(self, group: Group) -> list[Plot]:
        """All figures of a group, those of all sequences first."""
        plots = [*curve_plots(group.scores, self.styles), *point_plots(group.scores, self.styles)]
        return sorted(plots, key=lambda plot: plot.group != "overall")

    def tables(self, group: Group) -> dict[str, Table]:
        """The tables of a group, by name of their files: ranking, attributes where there are any, sequences."""
        scores = group.scores
        tables = {"ranking": ranking_table(scores, self.published if group is self.groups[0] else ())}
        if scores[0].attributes:
            tables["attributes"] = parts_table(scores, "attribute", radar_measure(scores[0]))
        return tables | {"sequences": parts_table(scores, "sequence")}


def build_report(report: Report) -> str:
    """The page.

    Raises:
        MissingExtraError: Jinja2 or matplotlib is not installed.
    """
    static = files("siamtrack.evaluation") / "static"
    first = report.groups[0]
    names = [sequence.name for sequence in first.sequences]
    title = report.benchmark.title_of(names)
    overlaps = _overlaps(first)
    return _template().render(
        report=report,
        title=title[0].upper() + title[1:],
        part=report.benchmark.part(names),
        groups=[{"group": g, "plots": report.plots(g), "tables": report.tables(g)} for g in report.groups],
        styles=report.styles,
        measures=_shown_measures(report),
        sparks={name: {t: report_sequences.spark_path(v) for t, v in lines.items()} for name, lines in overlaps.items()},
        lengths={sequence.name: len(sequence) for sequence in first.sequences},
        data=_for_script(_sequence_data(report, overlaps)),
        origins=[
            (name, group.protocol, list(_flat(report.origins[name, group.protocol])))
            for group in report.groups
            for name in group.results
            if (name, group.protocol) in report.origins
        ],
        versions={"siamtrack": siamtrack.__version__} | {name: _version(name) for name in _PACKAGES},
        colours=COLOURS,
        dashes=[" ".join(f"{2 * length:g}" for length in dash) or "none" for dash in DASHES],  # for lines 2 pixels wide
        spark=(report_sequences.SPARK_WIDTH, report_sequences.SPARK_HEIGHT),
        css=(static / "report.css").read_text(encoding="utf-8"),
        script=(static / "report.js").read_text(encoding="utf-8"),
        svg_of=svg_of,
        heading_of=heading_of,
        sources_of=sources_of,
        text_of=text_of,
    )


def _template() -> Template:
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError:
        raise MissingExtraError("jinja2", extra="evaluate", purpose="A report") from None

    loader = PackageLoader("siamtrack.evaluation")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template("report.html")


def save_tables(report: Report, folder: Path) -> list[Path]:
    """Writes every table as CSV, Markdown and LaTeX, and answers the files; the folder is made.

    Raises:
        OutputError: a file cannot be written.
    """
    paths = []
    for group in report.groups:
        for name, table in report.tables(group).items():
            for ending, text in _TABLE_FILES.items():
                path = folder / f"{group.protocol}_{name}.{ending}"
                save_text(path, text(table), folder=True)
                paths.append(path)
    return paths


def save_text(path: Path, text: str, *, folder: bool = False) -> None:
    """Writes a file, and the folder for it if that is wished.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        if folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise OutputError(f"'{path}' cannot be written: {error.strerror or error}.") from None


def _overlaps(group: Group) -> dict[str, dict[str, Floats]]:
    """By sequence and tracker, of first runs; of masks it is J."""
    if group.protocol == MASKS:
        return {s.name: {one.tracker: one.sequences[s.name].curves["J"].y for one in group.scores} for s in group.sequences}
    tools = {s.tracker: overlap_tool(group.protocol, s.preset) for s in group.scores}
    return {
        sequence.name: {
            name: report_sequences.overlaps_over_time(results.runs[sequence.name][0], sequence, tools[name])
            for name, results in group.results.items()
            if isinstance(results, TrackerResults)
        }
        for sequence in group.sequences
    }


def _sequence_data(report: Report, overlaps: Mapping[str, Mapping[str, Floats]]) -> dict[str, Any]:
    """What the script of the page draws when a sequence is chosen."""
    group = report.groups[0]
    pictured = set(sorted(overlaps, key=lambda name: _mean(overlaps[name].values()))[: report.strips])
    return {
        "trackers": [{"name": name, "style": report.styles[name].classes} for name in group.results],
        "sequences": {s.name: _shown(s, group, overlaps[s.name], pictured=s.name in pictured) for s in group.sequences},
    }


def _shown(sequence: BenchmarkSequence, group: Group, overlaps: Mapping[str, Floats], *, pictured: bool) -> dict[str, Any]:
    answers = [
        results.runs[sequence.name][0] if isinstance(results, TrackerResults) else results.folders[sequence.name]
        for results in group.results.values()
    ]
    strip = report_sequences.strip_of(sequence, answers, list(overlaps.values())) if pictured else []
    return {"frames": len(sequence), "strip": strip} | report_sequences.lines_of(overlaps)


def _mean(lines: Iterable[Floats]) -> float:
    values = np.concatenate(list(lines))
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else 1.0


def _for_script(data: Mapping[str, Any]) -> str:
    """JSON that cannot end the script element that it stands in."""
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")


def _shown_measures(report: Report) -> list[tuple[str, str]]:
    """Label and meaning of each number that a ranking has."""
    labels = {column.label for group in report.groups for column in report.tables(group)["ranking"].columns}
    return [(measure.label, measure.meaning) for measure in MEASURES.values() if measure.label in labels]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", "none" if value is None else str(value)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not known"
