"""`siamtrack report`, on a person's own annotated clips as a benchmark."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import INPUT, OUTPUT, refused, run
from report_pages import Page, column
from result_files import FRAMES, benchmark, sequence, walk, write_boxes
from result_files import run as one_run

from siamtrack.evaluation.store import ResultStore

NAMES = ("ball", "car")
OPTIONS = ("--benchmark", "plain", "--root", "clips")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """clips/, a benchmark of two sequences; results/ of two trackers by others; ours/, what siamtrack wrote, ope and tre."""
    for name in NAMES:
        write_boxes(tmp_path / "clips" / name / "groundtruth.txt", walk(), first_pixel=0)
        (tmp_path / "clips" / name / "img").mkdir()
        for i in range(FRAMES):
            assert cv2.imwrite(str(tmp_path / "clips" / name / "img" / f"{i}.png"), np.zeros((100, 200, 3), np.uint8))
        write_boxes(tmp_path / "results" / "near" / f"{name}.txt", walk(start=11), first_pixel=0)
        write_boxes(tmp_path / "results" / "far" / f"{name}.txt", walk(start=18), first_pixel=0)
    for protocol, runs in (("ope", [one_run(walk(start=12))]), ("tre", [one_run(walk()), one_run(walk()[2:], first=2)])):
        store = ResultStore(tmp_path / "ours", tracker="mine", benchmark=benchmark("plain", first_pixel=0), protocol=protocol)
        store.begin({"settings": {"scales": 7}, "versions": {"siamtrack": "9.9.9"}})
        for name in NAMES:
            store.write(sequence(name), [replace(run, seconds=np.full(len(run), 0.02)) for run in runs])
    return tmp_path


def test_a_page_of_ours_and_of_others(folder: Path) -> None:
    ended = run("report", "results", "ours", *OPTIONS, "--out", "page.html", folder=folder)
    assert ended.code == 0, ended.err
    assert "3 trackers on Own sequences, 2 sequences in page.html" in ended.out
    root = Page((folder / "page.html").read_text(encoding="utf-8")).root
    assert [section.attributes["id"] for section in root.all("section")] == ["ope", "tre", "sequences", "made"]
    assert column(root.all("table", "sortable")[0], 0) == ["near", "mine", "far"]
    assert column(root.all("table", "sortable")[1], 0) == ["mine"]
    headings = root.all("table", "sequences")[0].all("thead")[0].all("th")
    assert [heading.words.split()[0] for heading in headings] == ["sequence", "frames", "near", "mine", "far"]
    about = root.all("section")[-1].words
    assert "9.9.9" in about
    assert "settings.scales" in about
    assert "mine, ope: versions" in about
    assert "mine, tre: versions" in about
    assert '"strip":[{' in root.all("script")[0].text


def test_figures_and_tables_beside_the_page(folder: Path) -> None:
    more = ("--figures", "out/figures", "--format", "svg,pdf", "--tables", "out/tables", "--strips", "0", "--protocol", "ope")
    ended = run("report", "results", *OPTIONS, *more, folder=folder)
    assert ended.code == 0, ended.err
    names = {path.name for path in (folder / "out" / "figures").iterdir()}
    kinds = ("success", "precision", "normalised-precision")
    assert names == {f"ope_{kind}.{ending}" for kind in kinds for ending in ("svg", "pdf")}
    assert "6 figures in out/figures." in ended.out
    assert (folder / "out" / "tables" / "ope_ranking.tex").read_text().count("near") == 1
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "data:image" not in text
    assert str(folder) not in text


def test_a_part_is_reported_as_one(folder: Path) -> None:
    (folder / "results" / "far" / "car.txt").unlink()
    refused(("report", "results", *OPTIONS), INPUT, "results of far", "--partial", folder=folder)
    ended = run("report", "results", *OPTIONS, "--partial", folder=folder)
    assert ended.code == 0, ended.err
    root = Page((folder / "report.html").read_text(encoding="utf-8")).root
    assert "A part only: 1 of 2 sequences" in root.words
    assert [name.strip() for name in column(root.all("table", "sequences")[0], 0)] == ["ball"]


def test_what_cannot_be_written_or_told_apart_is_said_first(folder: Path) -> None:
    report = ("report", "results", *OPTIONS)
    refused((*report, "--format", "gif", "--figures", "figures"), INPUT, "'gif'", folder=folder)
    refused((*report, "--format", "pdf"), INPUT, "give --figures, too", folder=folder)
    refused((*report, "--out", "nowhere/page.html"), OUTPUT, "'nowhere'", folder=folder)
    refused((*report, "--figures", "clips/ball/groundtruth.txt"), OUTPUT, "is a file", folder=folder)
    refused((*report, "--preset", "otb-matlap"), INPUT, "otb-matlab", folder=folder)
    refused(("report", "results", "results/near", *OPTIONS), INPUT, "'near'", "name", folder=folder)
    refused((*report, "--protocol", "sre"), INPUT, "sre", folder=folder)
    (folder / "ours" / "mine" / "plain" / "ope" / "run.json").write_text("{")
    refused(("report", "ours", *OPTIONS), INPUT, "run.json", "JSON", folder=folder)
