"""Figures of curves: success, precision and normalised precision, expected average overlap, precision against recall."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from siamtrack.evaluation.figures import Plot, Style
from siamtrack.evaluation.scoring_measures import MEASURES
from siamtrack.evaluation.scoring_parts import Part, Scores
from siamtrack.metrics.vot_multistart import EAO_INTERVAL
from siamtrack.metrics.vot_presets import EAO_INTERVALS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_NARROW = 24  # characters of a label of which two stand side by side


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of curve plot.

    Attributes:
        name: of the plot, and of the curve of `Part` that it shows.
        title: above it.
        x: label of the axis.
        y: label of the axis.
        value: key of the number that trackers are ranked by in the legend.
    """

    name: str
    title: str
    x: str
    y: str
    value: str


_SUCCESS = Kind(name="success", title="Success", x="overlap threshold", y="share of frames above", value="auc")
_KINDS = (
    _SUCCESS,
    Kind(
        name="precision", title="Precision", x="centre error threshold, pixels", y="share of frames within", value="precision"
    ),
    Kind(
        name="normalised precision",
        title="Normalised precision",
        x="centre error threshold, sizes of the target",
        y="share of frames within",
        value="normalised_precision",
    ),
)
_EAO = Kind(
    name="EAO", title="Expected average overlap", x="sequence length, frames", y="expected average overlap", value="eao"
)
_RECALL = Kind(name="precision and recall", title="Precision and recall", x="recall", y="precision", value="f")
_F = Kind(name="F", title="F by confidence", x="thresholds of the confidence, from the highest to the lowest", y="F", value="f")


@dataclass(frozen=True, kw_only=True, eq=False)
class Line:
    """What a plot shows of a tracker."""

    tracker: str
    style: Style
    part: Part
    value: float


def curve_plots(scores: Sequence[Scores], styles: Mapping[str, Style]) -> list[Plot]:
    """Of all sequences together, then of each attribute the one plot that the benchmark's papers show.

    Args:
        scores: of one benchmark, protocol and preset.
        styles: by tracker.
    """
    kinds = _kinds(scores[0])
    plots = [_plot(kind, {s.tracker: s.overall for s in scores}, scores[0], styles) for kind in kinds]
    for attribute in scores[0].attributes if kinds else ():
        parts = {s.tracker: s.attributes[attribute] for s in scores}
        plots.append(_plot(kinds[0], parts, scores[0], styles, attribute))
    return plots


def _kinds(scores: Scores) -> list[Kind]:
    """The plots that the curves allow, the main one first."""
    curves = scores.overall.curves
    if "recall" in curves:
        return [_RECALL, _F]
    if "EAO" in curves:
        return [_EAO]
    return [kind for kind in _KINDS if kind.name in curves]


def _plot(
    kind: Kind, parts: Mapping[str, Part], scores: Scores, styles: Mapping[str, Style], attribute: str | None = None
) -> Plot:
    # GOT-10k's toolkit ranks success plots by AO, which is the mean of the curve but for its steps
    value = scores.main if kind is _SUCCESS else kind.value
    lines = ranked(
        Line(tracker=name, style=styles[name], part=part, value=part.numbers.get(value, math.nan))
        for name, part in parts.items()
    )
    title = f"{kind.title} ({scores.protocol})"
    if attribute is not None:
        title = f"{kind.title}: {attribute} ({next(iter(parts.values())).sequences})"
    drawings: dict[str, Callable[[Axes, Sequence[Line]], None]] = {
        "precision and recall": _draw_recall,
        "F": _draw_f,
        "EAO": partial(_draw_eao, interval=_interval(scores)),
    }
    drawing = drawings.get(kind.name, partial(_draw_lines, curve=kind.name))
    return Plot(
        name="_".join(map(file_name, (scores.protocol, kind.name, *([attribute] if attribute is not None else [])))),
        title=title,
        group="overall" if attribute is None else "attribute",
        height=height_for(lines, 3.1),
        draw=partial(_draw, kind=kind, title=title, lines=lines, measure=MEASURES[value].label, drawing=drawing),
    )


def _interval(scores: Scores) -> tuple[int, int] | None:
    return EAO_INTERVAL if scores.protocol == "multistart" else EAO_INTERVALS.get(scores.benchmark)


def _draw(
    figure: Figure,
    *,
    kind: Kind,
    title: str,
    lines: Sequence[Line],
    measure: str,
    drawing: Callable[[Axes, Sequence[Line]], None],
) -> None:
    axes = figure.subplots()
    axes.set(title=title, xlabel=kind.x, ylabel=kind.y, ylim=(0, 1))
    drawing(axes, lines)
    legend(figure, axes, lines, measure)


def _draw_lines(axes: Axes, lines: Sequence[Line], *, curve: str) -> None:
    for line in reversed(lines):  # the best on top
        values = line.part.curves[curve]
        axes.plot(values.x, values.y, label=line.tracker, **line.style.line)
        axes.set_xlim(float(values.x[0]), float(values.x[-1]))


def _draw_eao(axes: Axes, lines: Sequence[Line], *, interval: tuple[int, int] | None) -> None:
    _draw_lines(axes, lines, curve="EAO")
    known = [line.part.curves["EAO"] for line in lines]
    ends = [float(curve.x[~np.isnan(curve.y)][-1]) for curve in known if not np.isnan(curve.y).all()]
    end = max(ends, default=1.0)
    if interval is not None:
        end = min(end, 1.5 * interval[1])
        axes.axvspan(*interval, color="#808080", alpha=0.15, linewidth=0)  # what EAO is the mean over
    axes.set_xlim(1, max(end, 2))


def _draw_recall(axes: Axes, lines: Sequence[Line]) -> None:
    """With lines of equal F behind, and a point where F is best."""
    recall = np.linspace(0.01, 1, 200)
    for f in (0.2, 0.4, 0.6, 0.8):
        there = recall > f / 2 + 1e-9
        equal = f * recall[there] / (2 * recall[there] - f)
        axes.plot(recall[there], np.where(equal <= 1, equal, np.nan), color="#808080", linewidth=0.6, alpha=0.6)
        axes.annotate(f"F {f:.1f}", (0.99, f / (2 - f)), ha="right", va="bottom", fontsize=7, alpha=0.8)
    for line in reversed(lines):
        curves, numbers = line.part.curves, line.part.numbers
        axes.plot(curves["recall"].y, curves["precision"].y, label=line.tracker, **line.style.line)
        axes.plot(numbers["f_recall"], numbers["f_precision"], **line.style.point | {"markersize": 6})
    axes.set_xlim(0, 1)


def _draw_f(axes: Axes, lines: Sequence[Line]) -> None:
    """Against the share of thresholds, as confidences of two trackers have no scale in common."""
    for line in reversed(lines):
        values = line.part.curves["F"].y
        axes.plot(np.linspace(0, 1, len(values)), values, label=line.tracker, **line.style.line)
    axes.set_xlim(0, 1)


def ranked(lines: Any) -> list[Line]:
    """The best first, those without a number last."""
    return sorted(lines, key=lambda line: math.inf if math.isnan(line.value) else -line.value)


def legend(figure: Figure, axes: Axes, lines: Sequence[Line], measure: str) -> None:
    """Below the plot, where no line is hidden: trackers in the order of their numbers, which are named."""
    handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    figure.legend(
        [handles[line.tracker] for line in lines],
        labels_of(lines),
        title=f"ranked by {measure}",
        title_fontsize=8,
        loc="outside lower center",
        ncols=_columns(lines),
        columnspacing=1.2,
    )


def labels_of(lines: Sequence[Line]) -> list[str]:
    """Each with its number in brackets, as the OTB toolkit writes them."""
    return [f"{line.tracker} [{'-' if math.isnan(line.value) else f'{line.value:.3f}'}]" for line in lines]


def height_for(lines: Sequence[Line], plot: float) -> float:
    """Inches: the plot and its legend."""
    return plot + 0.3 + 0.19 * math.ceil(len(lines) / _columns(lines))


def file_name(text: str) -> str:
    """As the part of a file's name that is good everywhere."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-").lower() or "x"


def _columns(lines: Sequence[Line]) -> int:
    return 2 if max(map(len, labels_of(lines))) <= _NARROW and len(lines) > 3 else 1
