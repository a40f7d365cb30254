"""The diagrams of experiments, as PNG."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 130
_FINE_PX, _COARSE_PX = 0.1, 1.0  # widths of a bin
_FINE_RANGE_PX = 4.0  # errors up to here are counted in fine bins


def error_histograms(errors: Mapping[str, NDArray[np.float64]], picture: Path, *, title: str) -> None:
    """How many frames have which signed error in x and in y, with the mean (± its standard error) marked: a row a tracker.

    Args:
        errors: by the tracker's name, (M, 2), predicted minus true centre, pixels.
        picture: PNG to write.
        title: above the diagram.
    """
    figure = _figure(10, 3.0 * len(errors) + 0.5, title)
    largest = max(float(np.abs(values).max()) for values in errors.values())
    width = _FINE_PX if largest <= _FINE_RANGE_PX else _COARSE_PX
    reach = (np.ceil(largest / width) + 1) * width
    # a bin around 0, so that one that is exactly right falls on neither side
    edges = np.arange(-reach - width / 2, reach + width, width)
    axes = figure.subplots(len(errors), 2, squeeze=False, sharex=True, sharey=True)
    for row, (name, values) in zip(axes, errors.items(), strict=True):
        for axis, letter, column in zip(row, "xy", values.T, strict=True):
            mean, error = float(column.mean()), float(column.std() / np.sqrt(len(column)))
            axis.hist(column, edges, color="#4878a8", label="frames with this error")
            axis.axvline(0, color="black", linewidth=0.8, label="no error")
            axis.axvline(mean, color="#c8102e", linewidth=1.6, linestyle="--", label="mean error (above: ± its standard error)")
            axis.set_title(f"{name}: {letter}, mean {mean:+.3f} ± {error:.3f} px", fontsize=10)
            axis.set_ylabel("frames")
            axis.grid(alpha=0.3)
    for axis, way in zip(axes[-1], ("right", "down"), strict=True):
        axis.set_xlabel(f"predicted minus true centre, px; {way} is positive; bins of {width:g} px")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(picture, dpi=_DPI)


def run_curves(logs: Mapping[str, Path], picture: Path, *, title: str) -> None:
    """How several runs learn: where their peaks lie, and how far their losses have fallen.

    Losses of different kinds cannot be compared, so each is shown as a share of its own first value.

    Args:
        logs: `log.csv` of the runs, by name.
        picture: PNG to write.
        title: above the diagram.
    """
    figure = _figure(10, 4.2, title)
    panels = (
        ("accuracy", "share of peaks on the target, training"),
        ("loss", "training loss as a share of its first value"),
    )
    axes = figure.subplots(1, len(panels))
    for axis, (column, name) in zip(axes, panels, strict=True):
        for number, (label, log) in enumerate(logs.items()):
            steps, values = _column(log, column)
            if column == "loss":
                values = [value / values[0] for value in values]
            # the first is the widest, so that lines are seen where they agree
            width = 1.4 + 1.8 * (len(logs) - 1 - number)
            axis.plot(steps, values, label=label, marker="o" if len(steps) < 30 else "", markersize=3 + width, linewidth=width)
        axis.set_title(name, fontsize=10)
        axis.set_xlabel("step")
        axis.grid(alpha=0.3)
    axes[0].set_ylim(0, 1.05)
    axes[1].set_yscale("log")
    axes[0].legend(frameon=False, loc="lower right")
    figure.savefig(picture, dpi=_DPI)


def lines(
    points: Mapping[str, Sequence[tuple[float, float]]],
    picture: Path,
    *,
    title: str,
    x: str,
    labels: Sequence[str] = (),
    ticks: Sequence[float] = (),
) -> None:
    """One or two lines through points.

    Args:
        points: (x, y) by the name of the line; the second has an axis of its own, on the right.
        picture: PNG to write.
        title: above the diagram.
        x: what is along x, with its unit.
        labels: beside the points of the first line.
        ticks: where x, which is logarithmic then, is labelled.
    """
    figure = _figure(7.5, 4.5, title)
    axis: Any = figure.subplots()
    for number, ((name, values), colour) in enumerate(zip(points.items(), ("#1f5fa8", "#c8102e"), strict=False)):
        here = axis if number == 0 else axis.twinx()
        here.plot(*zip(*values, strict=True), marker="o", color=colour, linestyle="-" if number == 0 else "--", label=name)
        here.set_ylabel(name, color=colour)
        here.tick_params(axis="y", labelcolor=colour)
        here.margins(0.3 if labels else 0.12, 0.12)
    for text, at in zip(labels, next(iter(points.values())), strict=bool(labels)):
        ground = {"facecolor": "white", "edgecolor": "none", "pad": 1}  # a line must not cross a text
        axis.annotate(text, at, xytext=(0, 9), textcoords="offset points", ha="center", bbox=ground)
    if ticks:
        axis.set_xscale("log")
        axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.minorticks_off()
    axis.set_xlabel(x)
    axis.grid(alpha=0.3)
    if len(points) > 1:
        figure.legend(loc="outside lower center", ncols=len(points), frameon=False)
    figure.savefig(picture, dpi=_DPI)


def bars(values: Mapping[str, float], picture: Path, *, y: str, title: str) -> None:
    """One bar for each name, with its value above it.

    Args:
        values: by name.
        picture: PNG to write.
        y: what the values are.
        title: above the diagram.
    """
    figure = _figure(1.6 * len(values) + 2.5, 4, title)
    axis: Any = figure.subplots()
    drawn = axis.bar(list(values), list(values.values()), color="#1f5fa8", width=0.6)
    axis.bar_label(drawn, fmt="{:.3g}", padding=3)
    axis.margins(y=0.15)
    axis.set_ylim(bottom=0)
    axis.set_ylabel(y)
    axis.grid(alpha=0.3, axis="y")
    axis.set_axisbelow(True)
    figure.savefig(picture, dpi=_DPI)


def grouped_bars(values: Mapping[str, Mapping[str, float]], picture: Path, *, y: str, title: str) -> None:
    """Bars beside each other for what is compared, in a group for each thing that it is compared in, with values above them.

    Args:
        values: by the name of what is compared, and then by that of the group.
        picture: PNG to write.
        y: what the values are.
        title: above the diagram.
    """
    groups = list(next(iter(values.values())))
    figure = _figure(0.55 * len(values) * len(groups) + 3, 4, title)
    axis: Any = figure.subplots()
    width = 0.8 / len(values)
    for number, (name, found) in enumerate(values.items()):
        places = np.arange(len(groups)) + (number - (len(values) - 1) / 2) * width
        drawn = axis.bar(places, [found[group] for group in groups], width=0.9 * width, label=name)
        axis.bar_label(drawn, fmt="{:.2f}", padding=3, fontsize=8)
    axis.set_xticks(range(len(groups)), groups)
    axis.margins(y=0.15)
    axis.set_ylim(bottom=0)
    axis.set_ylabel(y)
    axis.grid(alpha=0.3, axis="y")
    axis.set_axisbelow(True)
    figure.legend(loc="outside lower center", ncols=len(values), frameon=False)
    figure.savefig(picture, dpi=_DPI)


def _figure(width: float, height: float, title: str) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    return figure


def _column(log: Path, name: str) -> tuple[list[int], list[float]]:
    with log.open(newline="", encoding="utf-8") as file:
        found = [(int(row["step"]), float(row[name])) for row in csv.DictReader(file) if row[name]]
    return [step for step, _ in found], [value for _, value in found]
