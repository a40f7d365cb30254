"""What every benchmark owes, whatever its layout, and the tables of names and ranges that the readers go by."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from benchmark_files import add_lines, as_lines, walk

from siamtrack.datasets import lasot
from siamtrack.datasets.benchmark_folders import PartError, choose_sequences, table
from siamtrack.errors import DataError, SettingsError
from siamtrack.library import _benchmarks, benchmark_names, open_benchmark
from siamtrack.metrics import long_term, mask_presets, ope_presets, vot_presets

PROTOCOLS = {"ope", "tre", "sre", "supervised", "unsupervised", "realtime", "multistart", "long-term", "got10k", "masks"}
FAMILIES = {
    "supervised": vot_presets.PRESETS,
    "multistart": {"vot-python"},
    "long-term": long_term.PRESETS,
    "masks": mask_presets.PRESETS,
}


@pytest.mark.parametrize("name", benchmark_names())
def test_every_benchmark_says_what_it_is_and_refuses_an_empty_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=str(tmp_path)):
        open_benchmark(name, tmp_path)
    found = _benchmarks()[name]
    assert found.name == name == name.lower()
    assert found.title
    assert found.citation
    assert found.length >= 0
    assert found.protocols
    assert set(found.protocols) <= PROTOCOLS
    assert found.preset in FAMILIES.get(found.protocols[0], ope_presets.PRESETS)


@pytest.mark.parametrize("name", benchmark_names())
def test_a_folder_that_does_not_exist(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        open_benchmark(name, tmp_path / "nowhere", ["a"])


def test_names_are_unique_and_complete() -> None:
    names = benchmark_names()
    assert len(set(names)) == len(names)
    expected = {
        "otb100",
        "otb50",
        "otb2013",
        "lasot",
        "lasot-all",
        "lasot-ext",
        "uav123",
        "uav20l",
        "got10k-val",
        "got10k-test",
    }
    expected |= (
        {f"vot{year}" for year in range(2013, 2023)}
        | {"vot2022-box"}
        | {"votlt2018", "votlt2019", "trackingnet", "nfs30", "nfs240"}
    )
    expected |= {"dtb70", "tcolor128", "davis2016-val", "davis2017-val", "youtube-vos-val", "plain"}
    expected |= {"davis2016", "davis2017", "youtubevos"}
    assert set(names) == expected


def test_an_unknown_benchmark_gets_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"'otb-100'. Did you mean 'otb100'"):
        open_benchmark("otb-100", tmp_path)
    with pytest.raises(SettingsError, match=r"'LaSOT-'. Which one is meant: lasot-all, lasot-ext\?"):
        open_benchmark("LaSOT-", tmp_path)


def test_capitals_in_a_name_do_not_count(tmp_path: Path) -> None:
    add_lines(tmp_path / "pear" / "groundtruth.txt", as_lines(walk(3)))
    benchmark, sequences = open_benchmark("Plain", tmp_path)
    assert (benchmark.name, [one.name for one in sequences]) == ("plain", ["pear"])


def test_the_sequences_of_a_part_are_those_named_in_that_order(tmp_path: Path) -> None:
    for name in ("pear", "apple", "plum"):
        add_lines(tmp_path / name / "groundtruth.txt", as_lines(walk(3)))
    assert [one.name for one in open_benchmark("plain", tmp_path)[1]] == ["apple", "pear", "plum"]
    assert [one.name for one in open_benchmark("plain", tmp_path, ["plum", "pear", "plum"])[1]] == ["plum", "pear"]
    with pytest.raises(SettingsError, match=r"no sequence 'aple'. Did you mean 'apple'"):
        open_benchmark("plain", tmp_path, ["aple"])
    with pytest.raises(SettingsError, match="No sequence is named"):
        open_benchmark("plain", tmp_path, [])


@pytest.mark.parametrize("name", ["otb100", "vot2018", "plain", "davis2017-val"])
def test_a_root_that_is_a_file(tmp_path: Path, name: str) -> None:
    add_lines(tmp_path / "data.zip", ["PK"])
    with pytest.raises(DataError, match=r"data.zip' is a file; expected the folder with .*Unpack archives first"):
        open_benchmark(name, tmp_path / "data.zip")


def test_sequences_are_called_a_part_only_of_what_they_are_of() -> None:
    known = _benchmarks()
    assert known["vot2018"].part(["ants1", "bag"]) == "VOT2018, 2 of 60 sequences"
    assert known["vot2018"].part(sorted(known["vot2018"].names)) == "VOT2018, all 60 sequences"
    drawn = ["world-0-000000", "world-0-000001"]
    assert known["vot2020"].part(drawn) == "own sequences in the layout of VOT2020, 2 sequences"
    assert known["vot2020"].part(["agility"]) == "VOT2020, 1 of 60 sequences"
    assert known["vot2018"].part(["0000", "0001"]) == "own sequences in the layout of VOT2018, 2 sequences"
    assert known["davis2017-val"].part(["0000_1"]) == "own sequences in the layout of DAVIS 2017, validation, 1 sequence"
    assert known["davis2017-val"].part(["dogs-jump_2"]) == "DAVIS 2017, validation, 1 of 61 sequences"
    assert known["davis2017"].part(["dogs-jump_2"]) == "DAVIS 2017, validation, masks, 1 of 61 sequences"
    assert known["davis2016-val"].part(["bmx-trees"]) == "DAVIS 2016, validation, 1 of 20 sequences"
    assert known["otb100"].part(["Deer"]) == "OTB-100, 1 of 100 sequences"
    assert known["plain"].part(["ball", "car"]) == "Own sequences, 2 sequences"


def test_what_is_there_of_a_part_is_known() -> None:
    for complete in (3, ["c", "b", "a"]):
        with pytest.raises(PartError) as error:
            choose_sequences(None, ["a", "b"], complete=complete, title="T", root=Path("here"))
        assert sorted(error.value.present) == ["a", "b"]
    with pytest.raises(DataError, match=r"Found 4 sequences in 'here'; T has 3\. Is it another benchmark") as more:
        choose_sequences(None, "abcd", complete=3, title="T", root=Path("here"))
    assert not isinstance(more.value, PartError)


def test_missing_sequences_are_counted_and_named() -> None:
    complete = [f"s{number}" for number in range(9)]
    with pytest.raises(DataError, match=r"8 of 9 .* s1, s2, s3, s4, s5 and 3 more.*--sequences"):
        choose_sequences(None, ["s0"], complete=complete, title="T", root=Path("here"))
    with pytest.raises(DataError, match=r"1 of 2 sequences of T are not in 'here': s3"):
        choose_sequences(["s0", "s3"], ["s0"], complete=complete, title="T", root=Path("here"))
    with pytest.raises(DataError, match=r"Found 2 sequences in 'here'; T has 3.*--sequences"):
        choose_sequences(None, ["a", "b"], complete=3, title="T", root=Path("here"))
    assert choose_sequences(["b"], ["a", "b"], complete=3, title="T", root=Path("here")) == ["b"]


def test_otb_has_100_targets_in_98_folders_and_59035_frames() -> None:
    rows = table("otb")
    assert len(rows) == len({row["name"] for row in rows}) == 100
    assert len({row["name"].partition("-")[0] for row in rows}) == 98
    assert sum(int(row["last"]) - int(row["first"]) + 1 for row in rows) == 59035
    assert {attribute for row in rows for attribute in row["attributes"].split()} == {
        *("IV", "SV", "OCC", "DEF", "MB", "FM", "IPR", "OPR", "OV", "BC", "LR")
    }
    sizes = {name: sum(name in row["sets"].split() for row in rows) for name in ("otb100", "otb50", "otb2013")}
    assert sizes == {"otb100": 100, "otb50": 50, "otb2013": 51}


def test_trap_12_uav123_has_123_sequences_in_91_folders() -> None:
    rows = [row for row in table("uav123") if row["benchmark"] == "uav123"]
    assert len({row["name"] for row in rows}) == 123
    assert len({row["folder"] for row in rows}) == 91
    shared = {row["folder"] for row in rows if row["folder"] != row["name"]}
    parts = {folder: [row for row in rows if row["folder"] == folder] for folder in shared}
    assert sum(len(part) for part in parts.values()) == 123 - 91 + len(shared)
    for folder, part in parts.items():
        for before, after in pairwise(part):
            step = int(after["first"]) - int(before["last"])
            assert step == 0 or (folder in ("bird1", "uav1") and step > 1), (before, after)


def test_lasot_has_four_test_videos_in_each_of_70_categories() -> None:
    names = lasot._testing_names()
    assert len(set(names)) == 280
    assert set(names) < set(lasot._all_names())
    assert len(set(lasot._all_names())) == 1400
    assert len(set(lasot._extension_names())) == 150
    assert not set(lasot._extension_names()) & set(lasot._all_names())


def test_the_documentation_lists_every_benchmark_as_it_is() -> None:
    page = (Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in page.split("## Folders")[0].splitlines() if line.startswith("| `")]
    found = {row[0].strip("`"): (row[2], row[3].split(", "), row[4].strip("`")) for row in rows}
    assert set(found) == set(benchmark_names())
    for name, benchmark in _benchmarks().items():
        length, protocols, preset = found[name]
        assert (tuple(protocols), preset) == (benchmark.protocols, benchmark.preset), name
        assert benchmark.length == (int(length) if length.isdecimal() else 0), name
    folders = re.findall(
        r"`([a-z0-9-]+)`", " ".join(line.split("|")[1] for line in page.split("## Folders")[1].splitlines() if "|" in line)
    )
    assert set(folders) <= set(benchmark_names())
