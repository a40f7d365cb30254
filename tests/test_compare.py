"""`siamtrack compare`, on a person's own annotated clips as a benchmark."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from command_line import INPUT, OUTPUT, refused, run
from result_files import FRAMES, benchmark, sequence, walk, write_boxes, write_lines
from result_files import run as one_run

from siamtrack.evaluation.store import ResultStore

NAMES = ("ball", "car")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """clips/, a benchmark of two sequences, and results/ of two trackers on it."""
    for name in NAMES:
        write_boxes(tmp_path / "clips" / name / "groundtruth.txt", walk(), first_pixel=0)
        write_lines(tmp_path / "clips" / name / "img" / "note.txt", ["no pictures are needed to score"])
        write_boxes(tmp_path / "results" / "near" / f"{name}.txt", walk(start=11), first_pixel=0)
        write_boxes(tmp_path / "results" / "far" / f"{name}.txt", walk(start=18), first_pixel=0)
    return tmp_path


def compare(folder: Path, *options: object, results: str = "results") -> list[dict[str, str]]:
    ended = run("compare", results, "--benchmark", "plain", "--root", "clips", "--format", "csv", *options, folder=folder)
    assert ended.code == 0, ended.err
    return list(csv.DictReader(io.StringIO(ended.out)))


def test_trackers_are_ranked(folder: Path) -> None:
    rows = compare(folder)
    assert [row["tracker"] for row in rows] == ["near", "far"]
    assert {row["preset"] for row in rows} == {"got10k-otb"}
    assert float(rows[1]["CE px"]) == 8
    ended = run("compare", "results", "--benchmark", "plain", "--root", "clips", folder=folder)
    assert "Preset: got10k-otb." in ended.out
    assert "plain, ope, 2 sequences" in ended.out


def test_no_name_and_no_number_is_cut_however_narrow_the_terminal_is(folder: Path) -> None:
    long = "a-tracker-with-a-name-that-takes-a-whole-line-of-a-terminal-of-eighty-columns-and-more"
    (folder / "results" / "near").rename(folder / "results" / long)
    ended = run("compare", "results", "--benchmark", "plain", "--root", "clips", folder=folder)
    row = next(line.split() for line in ended.out.splitlines() if line.strip().startswith(long))
    wanted = compare(folder)[0]
    assert row[1:3] == [f"{float(wanted[name]):.3f}" for name in list(wanted)[1:3]]
    assert "…" not in ended.out


def test_a_preset_is_chosen_by_name(folder: Path) -> None:
    (row,) = compare(folder, "--preset", "pysot", results="results/near")
    assert row["preset"] == "pysot"
    assert float(row["NP"]) == 1  # PySOT: a value; the GOT-10k toolkit: an area
    (area,) = compare(folder, results="results/near")
    assert float(area["NP"]) < 1


def test_rows_by_sequence_and_part_of_the_sequences(folder: Path) -> None:
    rows = compare(folder, "--by", "sequence", "--measure", "center_error")
    assert [row["sequence"] for row in rows] == list(NAMES)
    assert (rows[0]["near"], rows[0]["far"]) == ("1", "8")
    assert [row["sequence"] for row in compare(folder, "--by", "sequence", "--sequences", "car")] == ["car"]


def test_a_part_is_scored_only_if_asked_for(folder: Path) -> None:
    (folder / "results" / "far" / "car.txt").unlink()
    options = ("compare", "results", "--benchmark", "plain", "--root", "clips")
    refused(options, INPUT, "results of far", "lack 1 of 2 sequences", "car", "--partial", folder=folder)
    ended = run(*options, "--partial", folder=folder)
    assert ended.code == 0
    assert "1 of 2 sequences, which all results have" in ended.err
    assert "plain, ope, 1 sequence\n" in ended.out


def test_a_part_of_a_benchmark_is_scored_if_asked_for(folder: Path) -> None:
    """What is there of VOT2018 are two sequences, and VOT has 60."""
    for name in NAMES:
        (folder / "clips" / name / "img").rename(folder / "clips" / name / "color")
    more = ("--protocol", "unsupervised", "--preset", "otb-matlab")
    options = ("compare", "results", "--benchmark", "VOT2018", "--root", "clips", *more)
    refused(options, INPUT, "Found 2 sequences in 'clips'; VOT2018 has 60", "--sequences", folder=folder)
    ended = run(*options, "--partial", folder=folder)
    assert ended.code == 0, ended.err
    assert "Note: The folder 'clips' has 2 sequences of the benchmark; these are scored." in ended.err
    assert "vot2018, unsupervised, 2 sequences" in ended.out


@pytest.mark.parametrize("layout", ["table", "csv", "markdown", "latex"])
def test_tables_are_written_to_a_file_as_they_are_printed(folder: Path, layout: str) -> None:
    options = ("compare", "results", "--benchmark", "plain", "--root", "clips", "--format", layout)
    ended = run(*options, "--out", "table.txt", folder=folder)
    assert ended.code == 0
    assert ended.out == ""
    text = (folder / "table.txt").read_text()
    assert "near" in text
    if layout != "table":  # which has a plainer form in files
        assert run(*options, folder=folder).out == text


def test_pixels_counted_from_another_first_one_are_told_and_put_right(folder: Path) -> None:
    for name in NAMES:
        write_boxes(folder / "shifted" / "near" / f"{name}.txt", walk(), first_pixel=1)
    options = ("compare", "shifted", "--benchmark", "plain", "--root", "clips")
    assert "exactly one pixel beside" in run(*options, folder=folder).err
    assert run(*options, "--first-pixel", "1", folder=folder).err == ""


def test_the_best_of_each_sequence_is_marked_among_trackers(folder: Path) -> None:
    for i, name in enumerate(NAMES):
        write_boxes(folder / "results" / "middle" / f"{name}.txt", walk(start=13 + 2 * i), first_pixel=0)
    options = ("compare", "results", "--benchmark", "plain", "--root", "clips", "--format", "markdown")
    text = run(*options, "--by", "sequence", "--measure", "center_error", folder=folder).out
    assert "| ball | **1.0** | <u>3.0</u> | *8.0* |" in text
    assert "| car | **1.0** | <u>5.0</u> | *8.0* |" in text


def test_scores_of_two_protocols_are_never_in_one_table(folder: Path) -> None:
    for protocol in ("ope", "tre"):
        store = ResultStore(folder / "ours", tracker=protocol, benchmark=benchmark("plain", first_pixel=0), protocol=protocol)
        store.begin({})
        for name in NAMES:
            store.write(sequence(name), [one_run(walk())])
    options = ("compare", "ours", "results", "--benchmark", "plain", "--root", "clips", "--format", "csv")
    ended = run(*options, folder=folder)
    assert [line.split(",")[0] for line in ended.out.splitlines()] == ["tracker", "ope", "near", "far"]
    assert "Note: tre is left out: it has results under tre, not 'ope'." in ended.err
    refused(
        (*options, "--protocol", "tre"), INPUT, "no results on plain under 'tre' in 'results'; there are: ope", folder=folder
    )


def test_what_is_refused(folder: Path) -> None:
    options = ("compare", "results", "--benchmark", "plain", "--root", "clips")
    refused((*options, "--preset", "pysod"), INPUT, "no one-pass preset 'pysod'", "'pysot'", folder=folder)
    refused((*options, "--format", "html"), INPUT, "no table format 'html'", "csv", folder=folder)
    refused((*options, "--by", "sequence", "--published"), INPUT, "leave out --published or --by", folder=folder)
    refused((*options, "--measure", "auc"), INPUT, "give --by attribute or --by sequence", folder=folder)
    refused((*options, "--out", "none/table.csv"), OUTPUT, "does not exist; make it first", folder=folder)
    refused((*options, "--preset", "vot-matlab"), INPUT, "no EAO, accuracy or robustness", folder=folder)
    refused(("compare", "none", *options[2:]), INPUT, "folder of results 'none' does not exist", folder=folder)
    refused(("compare", "results", "results/far", *options[2:]), INPUT, "Several results are called 'far'", folder=folder)
    write_boxes(folder / "results" / "far" / "car.txt", walk(FRAMES + 1))
    refused(options, INPUT, "far on sequence car have 7 frames, the ground truth 6", folder=folder)
