"""The page of a report: complete, on its own, the best first, and safe whatever names there are."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from report_pages import SHIFTS, Page, column, group_of, report_of, sequences
from result_files import benchmark

from siamtrack.errors import MissingExtraError, OutputError
from siamtrack.evaluation.published import PublishedScores
from siamtrack.evaluation.report import build_report, save_tables

NASTY = "</script><script>alert('1')</script> & \"$x$\" {{ 7 * 7 }}"


@pytest.fixture(scope="module")
def page() -> str:
    return build_report(report_of(group_of(sequences())))


def test_every_tracker_and_sequence_is_there(page: str) -> None:
    root = Page(page).root
    ranking, singly = root.all("table", "sortable")
    assert column(ranking, 0) == ["near", "middle", "far"]
    assert [name.strip() for name in column(singly, 0)] == ["ball", "car"]
    assert [heading.words.split()[0] for heading in singly.all("thead")[0].all("th")] == [
        "sequence",
        "frames",
        "near",
        "middle",
        "far",
    ]
    assert len(singly.all("svg", "spark")) == 6
    assert "otb-matlab" in root.words


def test_rows_are_ranked_and_hold_the_scores(page: str) -> None:
    group = group_of(sequences())
    ranking = Page(page).root.all("table", "sortable")[0]
    headings = [heading.words.split(" ")[0] for heading in ranking.all("thead")[0].all("th")]
    values = [float(text) for text in column(ranking, headings.index("AUC"))]
    assert values == sorted(values, reverse=True)
    assert values == [round(s.overall.numbers["auc"], 3) for s in group.scores]
    assert len(ranking.all("td", "place0")) >= 5


def test_the_best_of_a_row_is_marked_among_trackers(page: str) -> None:
    singly = Page(page).root.all("table", "sortable")[1]
    for row in singly.all("tbody")[0].all("tr"):
        cells = row.all("td", "number")[1:]
        best = [bool(cell.all("span", "place0")) for cell in cells]
        assert best == [True, False, False]


def test_the_page_needs_nothing_but_itself(page: str) -> None:
    assert "http" not in page
    assert "//" not in re.sub(r"^ *//.*$| // .*$|base64,[^\"]*", "", page, flags=re.MULTILINE)
    for element in Page(page).root.all("a"):
        assert element.attributes["href"].startswith("#")
    for tag in ("link", "img", "iframe", "object"):
        assert not Page(page).root.all(tag)
    assert not re.search(r"url\((?!#)|@import", page)
    ids = re.findall(r'\sid="([^"]*)"', page)
    assert len(ids) == len(set(ids))


def test_names_are_escaped_everywhere() -> None:
    text = build_report(report_of(group_of(sequences(names=(NASTY, "car")), {NASTY: 1, "far": 8})))
    root = Page(text).root
    assert len(root.all("script")) == 2
    data = json.loads(root.all("script")[0].text)
    assert data["trackers"][0]["name"] == NASTY
    assert list(data["sequences"]) == [NASTY, "car"]
    ranking, singly = root.all("table", "sortable")
    assert column(ranking, 0)[0] == NASTY
    assert column(singly, 0)[0] == NASTY
    assert any(NASTY in label.words for label in root.all("figure")[0].all("text"))


def test_published_rows_follow_and_are_told_apart() -> None:
    published = [PublishedScores(tracker="Known", benchmark="otb100", numbers={"auc": 0.99}, source="Someone 2020")]
    root = Page(build_report(replace(report_of(group_of(sequences())), published=published))).root
    assert column(root.all("table", "sortable")[0], 0)[-1] == "Known (published)"
    assert [row.all("td", "place0") for row in root.all("tr", "published")] == [[]]
    assert "Published in Someone 2020: Known." in root.words
    assert "listed below the measured ones and not ranked" in root.words


def test_protocols_are_sections_of_one_page() -> None:
    members = sequences()
    root = Page(build_report(report_of(group_of(members), group_of(members, {"near": 1}, protocol="sre")))).root
    assert [section.attributes["id"] for section in root.all("section")] == ["ope", "sre", "sequences", "made"]
    titles = [figure.attributes["aria-label"] for figure in root.all("section")[1].all("figure")]
    assert "Success (sre)" in titles
    near = {chip.attributes["class"] for chip in root.all("span", "chip") if chip.words == "near"}
    assert len(near) == 1  # a tracker looks the same everywhere


def test_what_is_missing_is_said(page: str) -> None:
    assert "No attributes: the files of the benchmark that were at hand name none." in Page(page).root.words
    assert "listed below" not in Page(page).root.words


def test_own_sequences_are_called_so() -> None:
    known = replace(benchmark(), names=frozenset({"ants1", "bag"}))
    root = Page(build_report(replace(report_of(group_of(sequences())), benchmark=known))).root
    assert root.all("h1")[0].words == "Own sequences in the layout of OTB100"
    assert "own sequences in the layout of OTB100, 2 sequences, 3 trackers" in " ".join(root.all("header")[0].words.split())


def test_attributes_have_a_table_a_radar_and_a_plot_each() -> None:
    ball, car = sequences()
    members = [replace(ball, attributes=frozenset({"fast", "dark"})), replace(car, attributes=frozenset({"fast", "<blur>"}))]
    root = Page(build_report(report_of(group_of(members)))).root
    assert column(root.all("table", "sortable")[1], 0) == ["<blur>", "dark", "fast"]
    assert "No attributes" not in root.words
    titles = [figure.attributes["aria-label"] for figure in root.all("figure")]
    assert "AUC by attribute (ope)" in titles
    assert titles[-3:] == ["Success: <blur> (1)", "Success: dark (1)", "Success: fast (2)"]


def test_a_preset_that_vot_has_too_compares_boxes_of_one_pass_as_they_are() -> None:
    """PySOT scores both; the pixels of an image, whose size is not known without pictures, are counted on VOT only."""
    members = [replace(one, size=None) for one in sequences()]
    root = Page(build_report(report_of(group_of(members, preset="pysot")))).root
    shown = json.loads(root.all("script")[0].text)["sequences"]["ball"]["lines"][-1]
    assert shown[1] == round(100 * (20 - SHIFTS["far"]) / (20 + SHIFTS["far"]))


def test_strips_are_limited_to_the_worst_sequences(tmp_path: Path) -> None:
    group = group_of(sequences(tmp_path))
    for strips, expected in ((0, set()), (1, {"car"}), (9, {"ball", "car"})):
        data = json.loads(Page(build_report(report_of(group, strips=strips))).root.all("script")[0].text)["sequences"]
        assert {name for name, shown in data.items() if shown["strip"]} == expected
    moment = data["car"]["strip"][0]
    assert moment["picture"].startswith("data:image/jpeg;base64,")
    assert len(moment["regions"]) == len(moment["overlaps"]) == len(SHIFTS)


def test_versions_settings_and_remarks_are_printed() -> None:
    group = replace(group_of(sequences()), remarks=["near: <odd> files"])
    origins = {("near", "ope"): {"settings": {"scales": 3}, "seed": None}}
    root = Page(build_report(replace(report_of(group), origins=origins))).root
    assert "near: <odd> files" in root.words
    about = root.all("table", "about")[0]
    assert dict(zip(*(column(about, i) for i in (0, 1)), strict=True)) == {"settings.scales": "3", "seed": "none"}
    assert "matplotlib" in root.all("section")[-1].words


def test_the_same_results_give_the_same_page(page: str) -> None:
    assert build_report(report_of(group_of(sequences()))) == page


@pytest.mark.parametrize(("module", "package"), [("jinja2", "jinja2"), ("matplotlib", "matplotlib")])
def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, module: str, package: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"'{package}'.*siamtrack\[evaluate\]"):
        build_report(report_of(group_of(sequences())))


def test_tables_are_files_in_three_formats(tmp_path: Path) -> None:
    report = report_of(group_of(sequences()))
    paths = save_tables(report, tmp_path / "new" / "tables")
    assert {path.name for path in paths} == {f"ope_{n}.{e}" for n in ("ranking", "sequences") for e in ("csv", "md", "tex")}
    for path in paths:
        assert "near" in path.read_text(encoding="utf-8")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        save_tables(report, tmp_path / "file" / "tables")
