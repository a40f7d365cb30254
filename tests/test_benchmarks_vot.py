"""VOT in its official folders, old and new, and in PySOT's JSON: polygons, tags, practical differences, long-term truth."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from benchmark_files import add_lines, add_pictures

from siamtrack.datasets.benchmark import BenchmarkSequence
from siamtrack.errors import DataError, SettingsError
from siamtrack.evaluation.protocols_following import start_box
from siamtrack.library import open_benchmark
from siamtrack.metrics.vot import region_overlaps

DIAMOND = "10,0,20,10,10,20,0,10"  # corners of a square of side 14.1, turned by 45 degrees


def add(root: Path, name: str, lines: list[str], *, pictures: int | None = None, folder: str = "color") -> Path:
    add_lines(root / name / "groundtruth.txt", lines)
    if pictures is not None:
        add_pictures(root / name / folder, range(1, pictures + 1))
    return root / name


def one(root: Path, name: str, benchmark: str = "vot2018") -> BenchmarkSequence:
    (sequence,) = open_benchmark(benchmark, root, [name])[1]
    return sequence


@pytest.mark.parametrize("folder", ["color", "."])
def test_pictures_in_color_or_beside_the_truth(tmp_path: Path, folder: str) -> None:
    add(tmp_path, "ants1", [DIAMOND, "1,2,3,4"], pictures=2, folder=folder)
    sequence = one(tmp_path, "ants1")
    assert [path.name for path in sequence.frames] == ["00000001.jpg", "00000002.jpg"]
    assert [region.tolist() for region in sequence.regions] == [[10, 0, 20, 10, 10, 20, 0, 10], [1, 2, 3, 4]]  # 0-based
    assert sequence.practical is None
    assert sequence.tags == {}


def test_trap_15_polygons_stay_and_the_box_to_start_from_is_the_runners_choice(tmp_path: Path) -> None:
    add(tmp_path, "ants1", [DIAMOND], pictures=1)
    sequence = one(tmp_path, "ants1")
    around, tool = start_box(sequence, 0, "min-max"), start_box(sequence, 0, "pysot")
    assert around == sequence.first_box == (0, 0, 20, 20)
    assert tool.w * tool.h < 0.6 * around.area  # a box of the polygon's own area, and a pixel more each way
    overlap = region_overlaps([np.array(tuple(around))], sequence.regions, size=sequence.image_size)
    assert overlap == pytest.approx([0.5])  # of the polygon, not of the box around it


def test_tags_of_another_length_follow_the_toolkit(tmp_path: Path) -> None:
    folder = add(tmp_path, "ants1", [DIAMOND] * 4, pictures=4)
    add_lines(folder / "occlusion.tag", [0, 1, 1, 0])
    add_lines(folder / "camera_motion.label", [1, 1])
    add_lines(folder / "size_change.tag", [1] * 5)
    sequence = one(tmp_path, "ants1")
    assert {name: values.tolist() for name, values in sequence.tags.items()} == {
        "occlusion": [0, 1, 1, 0],
        "camera_motion": [1, 1, 0, 0],
    }


def test_practical_differences(tmp_path: Path) -> None:
    folder = add(tmp_path, "ants1", [DIAMOND] * 3)
    add_lines(folder / "practical.value", [0.05, 0.1, 0.2])
    practical = one(tmp_path, "ants1").practical
    assert practical is not None
    assert practical.tolist() == [0.05, 0.1, 0.2]
    add_lines(folder / "practical.value", [0.05])
    assert one(tmp_path, "ants1").practical is None
    add_lines(folder / "practical.value", [0.05, "much", 0.2])
    with pytest.raises(DataError, match=r"practical.value.*much.*expected a number a line"):
        one(tmp_path, "ants1")


def test_a_whole_year_is_what_its_list_names(tmp_path: Path) -> None:
    names = [f"s{number}" for number in range(16)]
    for name in [*names, "leftover"]:
        add(tmp_path, name, ["1,2,3,4"])
    add_lines(tmp_path / "list.txt", names)
    benchmark, found = open_benchmark("vot2013", tmp_path)
    assert len(found) == benchmark.length == 16
    assert {sequence.name for sequence in found} == set(names)
    with pytest.raises(DataError, match=r"Found 16 sequences in .*; VOT2014 has 25. Is it another benchmark\?.*--sequences"):
        open_benchmark("vot2014", tmp_path)
    (tmp_path / "s3" / "groundtruth.txt").unlink()
    with pytest.raises(DataError, match=r"1 of 16 sequences of VOT2013 are not in .*: s3"):
        open_benchmark("vot2013", tmp_path)
    with pytest.raises(SettingsError, match="VOT2013 has no sequence 'leftover'"):
        one(tmp_path, "leftover", "vot2013")


def test_the_year_is_taken_from_the_folders_name_where_several_lie_side_by_side(tmp_path: Path) -> None:
    add(tmp_path / "vot2016", "bag", ["1,2,3,4"])
    add(tmp_path / "VOT2018", "bag", ["5,6,7,8"])
    assert one(tmp_path, "bag").boxes.tolist() == [[5, 6, 7, 8]]
    with pytest.raises(DataError, match="Several folders"):
        one(tmp_path, "bag", "vot2017")


def test_more_pictures_than_truth_are_refused(tmp_path: Path) -> None:
    add(tmp_path, "ants1", [DIAMOND] * 2, pictures=3)
    with pytest.raises(DataError, match=r"speaks of 2 frames, and .* holds 3"):
        one(tmp_path, "ants1")


def test_a_line_that_is_no_region_is_named(tmp_path: Path) -> None:
    add(tmp_path, "ants1", ["1,2,3,4", "1,2,3"])
    with pytest.raises(DataError, match=r"groundtruth.txt, line 2: found '1,2,3'"):
        one(tmp_path, "ants1")


def test_long_term_truth_is_nan_where_the_target_is_not_in_view(tmp_path: Path) -> None:
    add(tmp_path, "ballet", ["1,2,3,4", "nan,nan,nan,nan", "2,2,3,4"])
    boxes = one(tmp_path, "ballet", "votlt2018").boxes
    assert np.isnan(boxes).any(1).tolist() == [False, True, False]
    assert boxes[2].tolist() == [2, 2, 3, 4]


def test_pysot_json_of_vot(tmp_path: Path) -> None:
    polygon = [float(value) for value in DIAMOND.split(",")]
    entry = {
        "video_dir": "ants1",
        "init_rect": polygon,
        "img_names": [],
        "gt_rect": [polygon, [1, 2, 3, 4]],
        "camera_motion": [0, 1],
        "illum_change": [],
        "motion_change": [0, 0],
        "size_change": [1, 1],
        "occlusion": [],
        "width": 640,
        "height": 480,
    }
    (tmp_path / "VOT2018.json").write_text(json.dumps({"ants1": entry}), encoding="utf-8")
    sequence = one(tmp_path, "ants1")
    assert [region.tolist() for region in sequence.regions] == [polygon, [1, 2, 3, 4]]
    assert set(sequence.tags) == {"camera_motion", "motion_change", "size_change"}  # an empty list: no such tag
    assert sequence.tags["camera_motion"].tolist() == [0, 1]
    assert sequence.image_size == (640, 480)
    with pytest.raises(DataError, match=r"Found 1 sequence in .*; VOT2018 has 60"):
        open_benchmark("vot2018", tmp_path)


def test_pysot_json_of_long_term_holds_nan(tmp_path: Path) -> None:
    text = '{"ballet": {"img_names": [], "gt_rect": [[1, 2, 3, 4], [NaN, NaN, NaN, NaN]]}}'
    (tmp_path / "VOT2018-LT.json").write_text(text, encoding="utf-8")
    assert np.isnan(one(tmp_path, "ballet", "votlt2018").boxes[1]).all()
