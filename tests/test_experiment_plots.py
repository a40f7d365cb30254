"""The diagrams of experiments say what is what."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from siamtrack.experiments.plots import error_histograms, lines


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that were saved."""
    figures: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: figures.append(figure))
    return figures


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for found in figure.legends for text in found.get_texts()]


def test_histograms_name_their_lines(drawn: list[Figure]) -> None:
    rng = np.random.default_rng(0)
    error_histograms({"a": rng.normal(0.5, 0.3, (50, 2)), "b": rng.normal(0, 1, (50, 2))}, Path("x.png"), title="Steps")
    (figure,) = drawn
    assert legend(figure) == ["frames with this error", "no error", "mean error (above: ± its standard error)"]
    for number, axis in enumerate(figure.axes):
        assert axis.get_ylabel() == "frames"
        no_error, mean = (line.get_xdata()[0] for line in axis.get_lines())
        assert no_error == 0
        assert f"mean {mean:+.3f}" in axis.get_title()
        assert axis.get_title().startswith("ab"[number // 2])


def test_lines_are_named_where_there_are_several(drawn: list[Figure]) -> None:
    points = {"AUC here": [(2.0, 0.4), (100.0, 0.6)], "EAO, published": [(2.0, 0.1), (100.0, 0.3)]}
    lines(points, Path("x.png"), title="Shares", x="share, %", ticks=(2, 100))
    assert legend(drawn[0]) == list(points)
    assert [axis.get_ylabel() for axis in drawn[0].axes] == list(points)
    assert drawn[0].axes[0].get_xlabel() == "share, %"
    lines({"AUC": [(2.0, 0.4), (9.0, 0.6)]}, Path("x.png"), title="Speed", x="ms", labels=["1 scale", "3 scales"])
    assert [text.get_text() for text in drawn[1].axes[0].texts] == ["1 scale", "3 scales"]
    assert drawn[1].axes[0].get_ylabel() == "AUC"
