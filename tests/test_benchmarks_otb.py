"""OTB in its official folders and in PySOT's JSON: frame ranges, two targets a folder, separators, names."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from benchmark_files import add_lines, add_pictures, as_lines, walk, zero_based

from siamtrack.datasets.benchmark import BenchmarkSequence
from siamtrack.datasets.benchmark_folders import table
from siamtrack.datasets.otb import canonical_name
from siamtrack.errors import DataError, SettingsError
from siamtrack.library import open_benchmark
from siamtrack.metrics.ope_presets import PRESETS
from siamtrack.metrics.ope_scores import score_sequence

FRAMES = {row["name"]: int(row["last"]) - int(row["first"]) + 1 for row in table("otb")}


def one(root: Path, name: str, benchmark: str = "otb100") -> BenchmarkSequence:
    (sequence,) = open_benchmark(benchmark, root, [name])[1]
    return sequence


def add(root: Path, name: str, lines: int, pictures: range | None = None, *, separator: str = ",", target: str = "") -> None:
    add_lines(root / name / f"groundtruth_rect{target}.txt", as_lines(walk(lines), separator))
    if pictures is not None:
        add_pictures(root / name / "img", pictures, digits=4)


@pytest.mark.parametrize("separator", [",", "\t", " ", ", ", ",\t"])
def test_separators_are_mixed_and_boxes_1_based(tmp_path: Path, separator: str) -> None:
    add(tmp_path, "Deer", 71, range(1, 72), separator=separator)
    sequence = one(tmp_path, "Deer")
    np.testing.assert_array_equal(sequence.boxes, zero_based(walk(71)))
    assert [path.name for path in sequence.frames[:2]] == ["0001.jpg", "0002.jpg"]
    assert sequence.attributes == {"MB", "FM", "IPR", "BC", "LR"}
    assert sequence.image_size == (40, 30)
    assert sequence.absent is None


def test_trap_10_david_and_diving_are_parts_of_their_folders(tmp_path: Path) -> None:
    add(tmp_path, "David", 471, range(1, 771))
    add(tmp_path, "Diving", 215, range(1, 232))
    david, diving = one(tmp_path, "David"), one(tmp_path, "Diving")
    assert (len(david), david.frames[0].name, david.frames[-1].name) == (471, "0300.jpg", "0770.jpg")
    assert (len(diving), diving.frames[0].name, diving.frames[-1].name) == (215, "0001.jpg", "0215.jpg")
    np.testing.assert_array_equal(david.boxes, zero_based(walk(471)))
    add(tmp_path, "David", 770)
    with pytest.raises(DataError, match=r"has 770 lines; expected 471, for the frames 300 to 770"):
        one(tmp_path, "David")


def test_tiger1_begins_with_its_sixth_frame(tmp_path: Path) -> None:
    add(tmp_path, "Tiger1", 354, range(1, 355))
    sequence = one(tmp_path, "Tiger1")
    assert (len(sequence), sequence.frames[0].name) == (349, "0006.jpg")
    np.testing.assert_array_equal(sequence.boxes, zero_based(walk(354))[5:])


def test_the_pictures_of_blurcar3_begin_with_the_third(tmp_path: Path) -> None:
    add(tmp_path, "BlurCar3", 357, range(3, 360))
    assert one(tmp_path, "BlurCar3").frames[0].name == "0003.jpg"


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    add(tmp_path, "Deer", 71, range(1, 71))
    with pytest.raises(DataError, match=r"lacks 1 of the frames 1 to 71, the first is number 71"):
        one(tmp_path, "Deer")


def test_truth_without_pictures(tmp_path: Path) -> None:
    add(tmp_path, "Deer", 71)
    sequence = one(tmp_path, "Deer")
    assert (len(sequence), len(sequence.frames)) == (71, 0)


def test_two_targets_of_a_folder_and_an_empty_file(tmp_path: Path) -> None:
    for target in (".1", ".2"):
        add(tmp_path, "Jogging", 307, range(1, 308), target=target)
    add(tmp_path, "Human4", 0, range(1, 668), target=".1")
    add(tmp_path, "Human4", 667, target=".2")
    found = open_benchmark("otb100", tmp_path, ["jogging_1", "Jogging.2", "HUMAN4-2"])[1]
    assert [(sequence.name, len(sequence)) for sequence in found] == [("Jogging-1", 307), ("Jogging-2", 307), ("Human4-2", 667)]
    assert found[0].frames == found[1].frames
    with pytest.raises(SettingsError, match=r"no sequence 'Jogging'. Did you mean 'Jogging-"):
        one(tmp_path, "Jogging")


def test_every_official_name_is_canonical() -> None:
    assert all(canonical_name(name) == canonical_name(name.lower().replace("-", "_")) == name for name in FRAMES)
    assert canonical_name("Car1") == "Car1"
    assert canonical_name("nobody") == "nobody"


def test_missing_sequences_are_counted_and_a_part_of_another_set_is_unknown(tmp_path: Path) -> None:
    add(tmp_path, "Deer", 71)
    with pytest.raises(DataError, match=r"99 of 100 sequences of OTB-100 are not in .*Basketball, Biker.*--sequences"):
        open_benchmark("otb100", tmp_path)
    with pytest.raises(SettingsError, match="OTB-2013 has no sequence 'Biker'"):
        one(tmp_path, "Biker", "otb2013")


def test_the_parent_folder_will_do_where_it_is_clear_which_is_meant(tmp_path: Path) -> None:
    add(tmp_path / "data", "Deer", 71)
    assert len(one(tmp_path, "Deer")) == 71
    add(tmp_path / "copy", "Deer", 71)
    with pytest.raises(DataError, match=r"Several folders in .*: copy, data. Give one"):
        one(tmp_path, "Deer")
    add(tmp_path / "OTB100", "Deer", 71)
    assert len(one(tmp_path, "Deer")) == 71


def test_trap_3_truth_at_the_left_border_is_kept_and_scored_by_the_preset(tmp_path: Path) -> None:
    boxes = [*walk(35), *[(0, 5, 8, 6)] * 36]  # 1-based: 0 is outside the image, and no box to the OTB toolkit
    add_lines(tmp_path / "Deer" / "groundtruth_rect.txt", as_lines(boxes))
    truth = one(tmp_path, "Deer").boxes
    assert truth[-1].tolist() == [-1, 4, 8, 6]
    matlab, pysot = (score_sequence(truth, truth, PRESETS[name]) for name in ("otb-matlab", "pysot"))
    assert matlab.success_curve[:-1] == pytest.approx(35 / 71)  # an overlap of -1 is above no threshold
    assert pysot.success_curve[:-1] == pytest.approx(1)
    assert matlab.precision == pytest.approx(1)  # a distance of -1 is below each


def entry(frames: int, **more: object) -> dict[str, object]:
    return {"init_rect": walk(1)[0], "gt_rect": walk(frames), **more}


def test_pysot_json_with_and_without_pictures(tmp_path: Path) -> None:
    names = [f"Deer/img/{number:04}.jpg" for number in range(1, 4)]
    entries = {
        "Deer": entry(3, video_dir="Deer", img_names=names, attr=["MB", "FM"]),
        "Jogging-1": entry(2, video_dir="Jogging", img_names=["Jogging/img/0001.jpg", "Jogging/img/0002.jpg"], attr=[]),
    }
    (tmp_path / "OTB100.json").write_text(json.dumps(entries), encoding="utf-8")
    add_pictures(tmp_path / "Deer" / "img", range(1, 4), digits=4)
    deer, jogging = open_benchmark("otb100", tmp_path, ["Deer", "Jogging-1"])[1]
    np.testing.assert_array_equal(deer.boxes, zero_based(walk(3)))
    assert list(deer.frames) == [tmp_path / name for name in names]
    assert deer.attributes == {"MB", "FM"}
    assert (len(jogging), len(jogging.frames)) == (2, 0)
    with pytest.raises(DataError, match="98 of 100 sequences"):
        open_benchmark("otb100", tmp_path)


def test_dasiamrpn_json_of_all_hundred_gives_the_smaller_sets_too(tmp_path: Path) -> None:
    entries = {
        name[0].lower() + name[1:].replace("-", "_"): {
            "name": name.partition("-")[0],
            "image_files": ["0001.jpg", "0002.jpg"],
            **entry(2),
        }
        for name in FRAMES
    }
    (tmp_path / "OTB2015.json").write_text(json.dumps(entries), encoding="utf-8")
    add_pictures(tmp_path / "Jogging" / "img", range(1, 3), digits=4)
    for name, length in (("otb100", 100), ("otb50", 50), ("otb2013", 51)):
        benchmark, found = open_benchmark(name, tmp_path)
        assert len(found) == benchmark.length == length
    by_name = {sequence.name: sequence for sequence in found}
    assert [path.name for path in by_name["Jogging-2"].frames] == ["0001.jpg", "0002.jpg"]
    assert not by_name["Deer"].frames


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "no JSON, or damaged"),
        ("[1]", "expected an object with an entry"),
        ('{"Deer": {"img_names": []}}', r"sequence Deer: expected gt_rect .*KeyError"),
        ('{"Deer": {"gt_rect": [[1, 2, 3]], "img_names": []}}', r"sequence Deer.*found \[1, 2, 3\]"),
    ],
)
def test_a_damaged_json(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "OTB100.json").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        one(tmp_path, "Deer")


def test_as_many_pictures_as_boxes(tmp_path: Path) -> None:
    add_pictures(tmp_path / "Deer" / "img", [1], digits=4)
    (tmp_path / "OTB100.json").write_text(json.dumps({"Deer": entry(2, img_names=["Deer/img/0001.jpg"])}), encoding="utf-8")
    with pytest.raises(DataError, match="Deer has 2 true regions and 1 frames"):
        one(tmp_path, "Deer")
