"""Figures of numbers: accuracy against robustness, ranks by EAO, speed against accuracy, a radar of attributes."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from siamtrack.evaluation.figures import Plot, Style
from siamtrack.evaluation.figures_curves import Line, file_name, height_for, legend, ranked
from siamtrack.evaluation.scoring_measures import MEASURES
from siamtrack.evaluation.scoring_parts import Scores
from siamtrack.metrics.vot_presets import PRESETS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.projections.polar import PolarAxes

_FEWEST = 3  # attributes that make a radar
_FILLED = 4  # trackers; more areas on each other are mud
_TOP = 1.02  # of an axis: a point at 1 is not cut
_SPAN = 0.3  # of an axis from 0 to 1, at least: in less, differences look like more than they are


def point_plots(scores: Sequence[Scores], styles: Mapping[str, Style]) -> list[Plot]:
    """Those that the scores have the numbers for.

    Args:
        scores: of one benchmark, protocol and preset.
        styles: by tracker.
    """
    first = scores[0]
    main = first.main
    plots = []
    if "reliability" in first.overall.numbers:
        plots.append(_plot("accuracy and robustness", "AR plot", scores, styles, main, _draw_ar))
    if sum(not math.isnan(s.overall.numbers.get("eao", math.nan)) for s in scores) > 1:
        plots.append(_plot("EAO ranks", "EAO ranks", scores, styles, "eao", _draw_ranks))
    if timed := [s for s in scores if not math.isnan(s.overall.numbers["milliseconds"])]:
        plots.append(_plot("speed", "Speed and accuracy", timed, styles, main, _draw_speed))
    if len(first.attributes) >= _FEWEST:
        key = radar_measure(first)
        lines = _lines(scores, styles, key)
        attributes = {s.tracker: [s.attributes[name].numbers[key] for name in first.attributes] for s in scores}
        title = f"{MEASURES[key].label} by attribute ({first.protocol})"
        drawing = partial(_draw_radar, title=title, names=list(first.attributes), values=attributes, lines=lines, key=key)
        name = f"{file_name(first.protocol)}_attributes"
        plots.append(Plot(name=name, title=title, group="overall", height=height_for(lines, 4.0), draw=drawing))
    return plots


def radar_measure(scores: Scores) -> str:
    """The main number where attributes have it, else the first that they have."""
    numbers = next(iter(scores.attributes.values())).numbers
    return scores.main if not math.isnan(numbers.get(scores.main, math.nan)) else next(iter(numbers))


def _lines(scores: Sequence[Scores], styles: Mapping[str, Style], key: str) -> list[Line]:
    return ranked(
        Line(tracker=s.tracker, style=styles[s.tracker], part=s.overall, value=s.overall.numbers.get(key, math.nan))
        for s in scores
    )


def _plot(
    name: str,
    title: str,
    scores: Sequence[Scores],
    styles: Mapping[str, Style],
    key: str,
    drawing: Callable[[Axes, Sequence[Line], str, Scores], None],
) -> Plot:
    lines = _lines(scores, styles, key)
    title = f"{title} ({scores[0].protocol})"
    return Plot(
        name=f"{file_name(scores[0].protocol)}_{file_name(name)}",
        title=title,
        group="overall",
        height=height_for(lines, 3.1),
        draw=partial(_draw, title=title, lines=lines, key=key, scores=scores[0], drawing=drawing),
    )


def _draw(
    figure: Figure,
    *,
    title: str,
    lines: Sequence[Line],
    key: str,
    scores: Scores,
    drawing: Callable[[Axes, Sequence[Line], str, Scores], None],
) -> None:
    axes = figure.subplots()
    axes.set_title(title)
    drawing(axes, lines, key, scores)
    legend(figure, axes, lines, MEASURES[key].label)


def _draw_ar(axes: Axes, lines: Sequence[Line], key: str, scores: Scores) -> None:
    for line in lines:
        axes.plot(line.part.numbers["reliability"], line.part.numbers["accuracy"], label=line.tracker, **line.style.point)
    axes.set_xlabel(f"robustness: chance of {PRESETS[scores.preset].sensitivity:g} frames without failure")
    axes.set_ylabel("accuracy")
    _within(axes, [line.part.numbers["reliability"] for line in lines], [line.part.numbers["accuracy"] for line in lines])


def _draw_ranks(axes: Axes, lines: Sequence[Line], key: str, scores: Scores) -> None:
    """The best on the right, as the challenge's papers have it."""
    for place, line in enumerate(lines, 1):
        axes.plot(place, line.value, label=line.tracker, **line.style.point)
        axes.vlines(place, 0, line.value, color=line.style.line["color"], linewidth=0.8)
    axes.set_xlim(len(lines) + 0.7, 0.3)
    axes.set_ylim(0, 1.15 * max((line.value for line in lines if not math.isnan(line.value)), default=1))
    axes.set_xticks(range(1, len(lines) + 1) if len(lines) <= 15 else range(1, len(lines) + 1, 5))
    axes.set_xlabel("rank")
    axes.set_ylabel("expected average overlap")


def _draw_speed(axes: Axes, lines: Sequence[Line], key: str, scores: Scores) -> None:
    speeds = [1000 / line.part.numbers["milliseconds"] for line in lines]
    for line, speed in zip(lines, speeds, strict=True):
        axes.plot(speed, line.value, label=line.tracker, **line.style.point)
    axes.set_xscale("log")
    axes.set_xlim(min(speeds) / 2, max(speeds) * 2)
    ticks = [d * 10.0**e for e in range(-3, 6) for d in (1, 2, 5)]
    axes.set_xticks([t for t in ticks if min(speeds) / 2 <= t <= max(speeds) * 2])
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.minorticks_off()
    axes.set_xlabel("frames a second (log scale), median, as run")
    axes.set_ylabel(MEASURES[key].label)
    low, high = _limits([line.value for line in lines])
    axes.set_ylim(low, high)


def _draw_radar(
    figure: Figure, *, title: str, names: Sequence[str], values: Mapping[str, Sequence[float]], lines: Sequence[Line], key: str
) -> None:
    axes: PolarAxes = figure.add_subplot(projection="polar")  # type: ignore[assignment]
    angles = np.arange(len(names) + 1) * 2 * np.pi / len(names)
    for line in reversed(lines):
        around = [*values[line.tracker], values[line.tracker][0]]
        axes.plot(angles, around, label=line.tracker, **line.style.line)
        if len(lines) <= _FILLED:
            axes.fill(angles, around, color=line.style.line["color"], alpha=0.06, linewidth=0)
    figure.suptitle(title, fontsize=10)  # a title of the axes would lie under the labels
    axes.set_theta_zero_location("N")
    axes.set_theta_direction(-1)
    axes.set_xticks(angles[:-1], ["\n".join(textwrap.wrap(name.replace("_", " "), 14)) for name in names], fontsize=8)
    largest = max((v for row in values.values() for v in row if not math.isnan(v)), default=1)
    axes.set_ylim(0, math.ceil(largest * 10) / 10 if largest > 0 else 1)
    axes.set_yticks(np.linspace(0, axes.get_ylim()[1], 5)[1:])
    axes.set_rlabel_position(180 / len(names))
    axes.tick_params(axis="y", labelsize=7)
    axes.spines["polar"].set_visible(False)
    legend(figure, axes, lines, MEASURES[key].label)


def _within(axes: Axes, xs: Sequence[float], ys: Sequence[float]) -> None:
    axes.set_xlim(*_limits(xs))
    axes.set_ylim(*_limits(ys))


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """Around numbers in [0, 1], with room at both sides, and no narrower than `_SPAN`."""
    known = [value for value in values if not math.isnan(value)] or [0.0, 1.0]
    room = max(0.25 * (max(known) - min(known)), 0.05, (_SPAN - max(known) + min(known)) / 2)
    low, high = min(known) - room, max(known) + room
    # what is cut off at one side goes to the other
    return max(0.0, low - max(0.0, high - _TOP)), min(_TOP, high + max(0.0, -low))
