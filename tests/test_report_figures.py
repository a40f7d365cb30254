"""Figures: which there are for which results, what they say, and the files that they become."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure
from report_pages import FRAMES, group_of, report_of, sequences
from result_files import results, run, sequence, walk

from siamtrack.errors import MissingExtraError, OutputError, SettingsError
from siamtrack.evaluation.figures import COLOURS, DASHES, Plot, save_plots, styles_for, svg_of
from siamtrack.evaluation.figures_curves import curve_plots
from siamtrack.evaluation.figures_points import point_plots
from siamtrack.evaluation.scoring import score
from siamtrack.evaluation.scoring_parts import Scores

# Normal, red-blind, green-blind and blue-blind sight: Machado, Oliveira, Fernandes, TVCG 2009, severity 1.
SIGHTS = (
    (1, 0, 0, 0, 1, 0, 0, 0, 1),
    (0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998),
    (0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.011820, 0.042940, 0.968881),
    (1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.303900),
)
LONG = 200  # frames: EAO of VOT2018 is the mean over lengths from 100 on


def plots_of(scores: Sequence[Scores]) -> dict[str, Plot]:
    styles = styles_for([s.tracker for s in scores])
    return {plot.title: plot for plot in (*curve_plots(scores, styles), *point_plots(scores, styles))}


def drawn(plot: Plot) -> Figure:
    figure = Figure()
    plot.draw(figure)
    return figure


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.fixture(scope="module")
def one_pass() -> dict[str, Plot]:
    group = group_of(sequences())
    return {plot.title: plot for plot in report_of(group).plots(group)}


@pytest.fixture(scope="module")
def supervised() -> dict[str, Plot]:
    """Of a tracker that never fails, one that fits better and fails twice, and one that fits worse."""
    codes = [np.array([c]) for c in (2.0, 0.0, 0.0, 0.0, 0.0, 1.0)]
    scores = []
    for name, shift, failures in (("sure", 2, ()), ("sharp", 1, (40, 90)), ("loose", 9, (90,))):
        regions = [np.array([1.0]), *walk(LONG, start=10 + shift, step=0)[1:]]
        for failure in failures:
            regions[failure : failure + 6] = codes
        tags = {tag: np.ones(LONG) for tag in ("occlusion", "camera_motion", "size_change")}
        truth = [sequence("a", walk(LONG, step=0), tags=tags)]
        of_one = replace(results({"a": [run(regions)]}, protocol="supervised", benchmark="vot2018"), tracker=name)
        scores.append(score(of_one, truth, "vot-matlab"))
    return plots_of(scores)


@pytest.fixture(scope="module")
def long_term() -> dict[str, Plot]:
    scores = []
    for name, shift in (("far", 9), ("near", 1)):
        one = run(walk(FRAMES, start=10 + shift), scores=np.linspace(1, 0, FRAMES))
        of_one = replace(results({"a": [one]}, protocol="long-term", benchmark="votlt2018"), tracker=name)
        scores.append(score(of_one, [sequence("a", walk(FRAMES))], "vot-matlab"))
    return plots_of(scores)


def test_each_kind_of_results_has_the_plots_of_its_papers(
    one_pass: dict[str, Plot], supervised: dict[str, Plot], long_term: dict[str, Plot]
) -> None:
    assert list(one_pass) == ["Success (ope)", "Precision (ope)", "Normalised precision (ope)", "Speed and accuracy (ope)"]
    tags = [f"Expected average overlap: {tag} (1)" for tag in ("camera_motion", "occlusion", "size_change")]
    points = ["AR plot (supervised)", "EAO ranks (supervised)", "EAO by attribute (supervised)"]
    assert list(supervised) == ["Expected average overlap (supervised)", *tags, *points]
    assert list(long_term) == ["Precision and recall (long-term)", "F by confidence (long-term)"]


def test_legends_are_ranked_by_the_number_of_their_plot(one_pass: dict[str, Plot]) -> None:
    scores = {s.tracker: s.overall.numbers for s in group_of(sequences()).scores}
    for title, key in (("Success (ope)", "auc"), ("Precision (ope)", "precision"), ("Speed and accuracy (ope)", "auc")):
        shown = legend(drawn(one_pass[title]))
        assert shown == [f"{name} [{scores[name][key]:.3f}]" for name in ("near", "middle", "far")]


def test_got10k_ranks_success_by_average_overlap() -> None:
    members = [replace(one, absent=np.zeros(FRAMES, bool)) for one in sequences()]
    scores = group_of(members, preset="got10k").scores
    figure = drawn(plots_of(scores)["Success (ope)"])
    assert legend(figure)[0] == f"near [{scores[0].overall.numbers['ao']:.3f}]"
    assert figure.legends[0].get_title().get_text() == "ranked by AO"


def test_curves_are_those_of_the_scores(one_pass: dict[str, Plot]) -> None:
    group = group_of(sequences())
    lines = {line.get_label(): line for line in drawn(one_pass["Precision (ope)"]).axes[0].get_lines()}
    for s in group.scores:
        assert np.array_equal(lines[s.tracker].get_ydata(), s.overall.curves["precision"].y)


def test_the_ar_plot_has_robustness_and_accuracy(supervised: dict[str, Plot]) -> None:
    axes = drawn(supervised["AR plot (supervised)"]).axes[0]
    at = {line.get_label(): line.get_xydata()[0] for line in axes.get_lines()}
    assert at["sure"][0] == 1
    assert at["sharp"][0] == pytest.approx(np.exp(-30 * 2 / LONG))
    assert at["sharp"][1] > at["sure"][1] > at["loose"][1]
    assert "30 frames" in axes.get_xlabel()


@pytest.mark.parametrize(("shift", "low", "high"), [(0.0, 0.72, 1.02), (3.0, 0.57, 0.87), (19.0, 0, 0.3)])
def test_the_axes_of_few_points_are_no_magnifying_glass(shift: float, low: float, high: float) -> None:
    regions = [np.array([1.0]), *walk(LONG, start=10 + shift, step=0)[1:]]
    of_one = results({"a": [run(regions)]}, protocol="supervised", benchmark="vot2018")
    plots = plots_of([score(of_one, [sequence("a", walk(LONG, step=0))], "vot-python")])
    assert "EAO ranks (supervised)" not in plots  # one tracker has no rank
    axes = drawn(plots["AR plot (supervised)"]).axes[0]
    (at,) = [float(line.get_ydata()[0]) for line in axes.get_lines()]
    assert axes.get_xlim() == pytest.approx((0.72, 1.02))
    assert np.diff(axes.get_ylim()) == pytest.approx(0.3)
    assert axes.get_ylim()[0] <= at <= axes.get_ylim()[1]
    assert axes.get_ylim() == pytest.approx((low, high), abs=0.02)


def test_the_axis_of_speed_says_that_it_is_no_linear_one(one_pass: dict[str, Plot]) -> None:
    axes = drawn(one_pass["Speed and accuracy (ope)"]).axes[0]
    assert (axes.get_xscale(), "log scale" in axes.get_xlabel()) == ("log", True)


def test_the_best_eao_is_on_the_right(supervised: dict[str, Plot]) -> None:
    axes = drawn(supervised["EAO ranks (supervised)"]).axes[0]
    at = {line.get_label(): line.get_xydata()[0] for line in axes.get_lines() if line.get_label()[0] != "_"}
    left, right = axes.get_xlim()
    assert left > right
    assert [at[name][0] for name in ("sure", "sharp", "loose")] == [1, 2, 3]
    assert at["sure"][1] > at["sharp"][1] > at["loose"][1]


def test_the_interval_of_the_challenge_is_shaded(supervised: dict[str, Plot]) -> None:
    axes = drawn(supervised["Expected average overlap (supervised)"]).axes[0]
    (shade,) = axes.patches
    assert (shade.get_x(), shade.get_x() + shade.get_width()) == (100, 356)


def test_precision_and_recall_mark_the_best_f(long_term: dict[str, Plot]) -> None:
    figure = drawn(long_term["Precision and recall (long-term)"])
    assert [text.split(" ")[0] for text in legend(figure)] == ["near", "far"]
    points = [line.get_xydata()[0] for line in figure.axes[0].get_lines() if line.get_marker() != "None"]
    best = max(2 * recall * precision / (recall + precision) for recall, precision in points)
    assert f"{best:.3f}" in legend(figure)[0]


def test_f_is_drawn_from_the_highest_confidence_on(long_term: dict[str, Plot]) -> None:
    axes = drawn(long_term["F by confidence (long-term)"]).axes[0]
    assert axes.get_xlabel().endswith("from the highest to the lowest")
    for line in axes.get_lines():
        assert line.get_ydata()[0] == 0  # above all confidences nothing is recalled
        assert line.get_ydata()[-1] > 0
        assert (line.get_xdata()[0], line.get_xdata()[-1]) == (0, 1)


def test_a_radar_has_an_axis_for_each_attribute(supervised: dict[str, Plot]) -> None:
    axes = drawn(supervised["EAO by attribute (supervised)"]).axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["camera motion", "occlusion", "size change"]
    for line in axes.get_lines():
        values = line.get_ydata()
        assert len(values) == 4  # closed
        assert values[0] == values[-1]


def test_no_two_trackers_look_alike() -> None:
    names = [f"t{i}" for i in range(len(COLOURS) * len(DASHES))]
    styles = styles_for(names)
    assert len({(style.colour, style.dash) for style in styles.values()}) == len(names)
    assert len({styles[name].colour for name in names[:8]}) == 8
    assert len({styles[name].marker for name in names[:8]}) == 8


@pytest.mark.parametrize(("side", "ground"), [(0, "#f6f7f9"), (1, "#1d2026")])
def test_colours_differ_for_all_eyes_and_from_their_ground(side: int, ground: str) -> None:
    lines = np.array([linear(pair[side]) for pair in COLOURS])
    luminance = np.array([0.2126, 0.7152, 0.0722])
    bright, behind = lines @ luminance, linear(ground) @ luminance
    contrast = (np.maximum(bright, behind) + 0.05) / (np.minimum(bright, behind) + 0.05)
    assert contrast.min() >= 3  # WCAG 2.2, 1.4.11
    for sight in SIGHTS:
        lab = cielab(np.clip(lines @ np.reshape(sight, (3, 3)).T, 0, 1))
        apart = np.linalg.norm(lab[:, None] - lab, axis=-1) + 1e3 * np.eye(len(lab))
        assert apart.min() >= 20


def linear(colour: str) -> np.ndarray:
    """Linear light of #rrggbb."""
    values = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def cielab(light: np.ndarray) -> np.ndarray:
    """(N, 3) of linear sRGB, under D65."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x = light @ to_xyz.T / [0.9505, 1, 1.089]
    f = np.where(x > 0.008856, np.cbrt(x), 7.787 * x + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], 1)


def test_files_are_what_their_endings_say(one_pass: dict[str, Plot], tmp_path: Path) -> None:
    plot = one_pass["Success (ope)"]
    png, svg, pdf = save_plots([plot], tmp_path / "new", ["png", "svg", "pdf"])
    assert [path.name for path in (png, svg, pdf)] == ["ope_success.png", "ope_success.svg", "ope_success.pdf"]
    assert png.read_bytes().startswith(b"\x89PNG")
    assert pdf.read_bytes().startswith(b"%PDF")
    assert ElementTree.parse(svg).getroot().tag.endswith("svg")
    before = [path.read_bytes() for path in (png, svg, pdf)]
    save_plots([plot], tmp_path / "new", ["png", "svg", "pdf"])
    assert [path.read_bytes() for path in (png, pdf)] == [before[0], before[2]]


def test_an_inline_figure_takes_its_colours_from_the_page(one_pass: dict[str, Plot]) -> None:
    texts = [svg_of(plot) for plot in one_pass.values()]
    for text in texts:
        ElementTree.fromstring(text.replace("xlink:href", "href"))
        assert "http" not in text
        assert set(re.findall(r"#[0-9a-f]{6}\b", text)) <= {"#000000", "#ffffff"}
        assert {"var(--c0)", "var(--c1)", "var(--c2)", "var(--ink)", "var(--grid)"} <= set(re.findall(r"var\([^)]*\)", text))
    ids = [name for text in texts for name in re.findall(r' id="([^"]*)"', text)]
    assert len(ids) == len(set(ids))


def test_names_are_no_formulas_and_may_be_in_any_script() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = svg_of(plots_of(group_of(sequences(), {"$x^2$": 1, "跟踪": 2}).scores)["Success (ope)"])
    words = list(ElementTree.fromstring(text.replace("xlink:href", "href")).itertext())  # no comments
    assert any("$x^2$ [" in word for word in words)
    assert any("跟踪 [" in word for word in words)


def test_formats_and_folders_that_cannot_be(one_pass: dict[str, Plot], tmp_path: Path) -> None:
    plots = list(one_pass.values())[:1]
    with pytest.raises(SettingsError, match=r"'jpg'. Did you mean 'png'\?"):
        save_plots(plots, tmp_path, ["jpg"])
    with pytest.raises(SettingsError, match="No format"):
        save_plots(plots, tmp_path, [])
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        save_plots(plots, tmp_path / "file", ["svg"])


def test_a_missing_package_is_named(one_pass: dict[str, Plot], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"siamtrack\[evaluate\]"):
        save_plots(list(one_pass.values()), tmp_path, ["png"])
