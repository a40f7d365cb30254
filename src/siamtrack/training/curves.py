"""The curves of a run as a picture: loss, peak accuracy and learning rate over its steps."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

RUN_CURVES = "curves.png"


def draw_curves(log: Path, picture: Path, *, title: str) -> None:
    """Draws a `log.csv` of a run.

    Args:
        log: see `siamtrack.training.journal`.
        picture: PNG to write.
        title: above the picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with log.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    panels = (
        ("loss", {"training": "loss", "held-out pairs": "validation_loss"}),
        ("share of peaks on the target", {"training": "accuracy", "held-out pairs": "validation_accuracy"}),
        ("learning rate", {"": "learning_rate"}),
    )
    for axis, (name, lines) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        for label, column in lines.items():
            steps, values = _column(rows, column)
            axis.plot(steps, values, label=label, marker="o" if len(steps) < 30 else "", markersize=3, linewidth=1.4)
        axis.set_title(name, fontsize=10)
        axis.set_xlabel("step")
        axis.grid(alpha=0.3)
        if len(lines) > 1:
            axis.legend(frameon=False, loc="upper right")  # "best" warns where it takes long
    figure.axes[1].set_ylim(0, 1.02)
    figure.axes[2].set_yscale("log")
    figure.savefig(picture, dpi=130)


def _column(rows: Sequence[dict[str, str]], name: str) -> tuple[list[int], list[float]]:
    found = [(int(row["step"]), float(row[name])) for row in rows if row[name]]
    return [step for step, _ in found], [value if value > 0 or name != "learning_rate" else math.nan for _, value in found]
