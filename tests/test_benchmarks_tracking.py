"""LaSOT, UAV123, GOT-10k, TrackingNet, NfS, DTB70, TColor-128 and own clips, each in its official layout with its quirks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from benchmark_files import add_lines, add_pictures, as_lines, walk, zero_based

from siamtrack.datasets import lasot
from siamtrack.datasets.benchmark import BenchmarkSequence
from siamtrack.datasets.benchmark_folders import table
from siamtrack.errors import DataError, SettingsError
from siamtrack.library import open_benchmark


def one(root: Path, benchmark: str, name: str) -> BenchmarkSequence:
    (sequence,) = open_benchmark(benchmark, root, [name])[1]
    return sequence


def add_lasot(
    root: Path, name: str, *, frames: int = 4, lines: int = 4, occluded: str = "0,1,0,0", out: str = "0,0,0,1"
) -> None:
    folder = root / name.rpartition("-")[0] / name
    add_pictures(folder / "img", range(1, frames + 1))
    add_lines(folder / "groundtruth.txt", as_lines(walk(lines)))
    add_lines(folder / "full_occlusion.txt", [occluded])
    add_lines(folder / "out_of_view.txt", [out])


def test_lasot_flags_absence_and_keeps_the_boxes(tmp_path: Path) -> None:
    add_lasot(tmp_path, "airplane-1")
    add_lines(tmp_path / "annos" / "att" / "airplane-1.txt", ["0,1,0,0,0,1,0,0,1,0,0,0,1,0"])
    sequence = one(tmp_path, "lasot", "airplane-1")
    assert sequence.absent is not None
    assert sequence.absent.tolist() == [False, True, False, True]
    np.testing.assert_array_equal(sequence.boxes, zero_based(walk(4)))
    assert sequence.object_class == "airplane"
    assert sequence.attributes == {"POC", "ROT", "SV", "LR"}
    assert len(sequence.frames) == 4


def test_lasot_protocols_have_other_sequences(tmp_path: Path) -> None:
    for name in ("airplane-1", "airplane-2", "atv-1"):
        add_lasot(tmp_path, name)
    assert one(tmp_path, "lasot-all", "airplane-2").name == "airplane-2"
    assert one(tmp_path, "lasot-ext", "atv-1").object_class == "atv"
    with pytest.raises(SettingsError, match="LaSOT has no sequence 'airplane-2'"):
        one(tmp_path, "lasot", "airplane-2")
    with pytest.raises(DataError, match=r"279 of 280 sequences of LaSOT .*: airplane-9, airplane-13"):
        open_benchmark("lasot", tmp_path)


def test_trap_11_monkey_17_has_more_frames_than_lines_and_no_other_may(tmp_path: Path) -> None:
    add_lasot(tmp_path, "monkey-17", frames=6)
    sequence = one(tmp_path, "lasot", "monkey-17")
    assert (len(sequence), len(sequence.frames), sequence.frames[-1].name) == (4, 4, "00000004.jpg")
    add_lasot(tmp_path, "monkey-3", frames=6)
    with pytest.raises(DataError, match=r"speaks of 4 frames, and .* holds 6"):
        one(tmp_path, "lasot", "monkey-3")


def test_lasot_flags_that_do_not_fit(tmp_path: Path) -> None:
    add_lasot(tmp_path, "airplane-1", occluded="0,1,0")
    with pytest.raises(DataError, match="have 3 and 4 flags"):
        one(tmp_path, "lasot", "airplane-1")
    add_lasot(tmp_path, "airplane-1", occluded="0,1,0", out="0,0,0")
    with pytest.raises(DataError, match="airplane-1 has 4 true regions and 3 absence flags"):
        one(tmp_path, "lasot", "airplane-1")


def test_lasot_in_the_evaluation_toolkits_files(tmp_path: Path) -> None:
    for name in lasot._testing_names():
        add_lines(tmp_path / "annos" / f"{name}.txt", as_lines(walk(2)))
        add_lines(tmp_path / "annos" / "absent" / f"{name}.txt", [0, 1])
    benchmark, found = open_benchmark("lasot", tmp_path)
    assert len(found) == benchmark.length == 280
    assert found[0].name == "airplane-1"
    assert found[0].absent is not None
    assert found[0].absent.tolist() == [False, True]
    assert not found[0].frames


def test_lasot_with_the_flags_beside_the_boxes(tmp_path: Path) -> None:
    add_lines(tmp_path / "annos" / "airplane-1.txt", as_lines(walk(2)))
    add_lines(tmp_path / "absent" / "airplane-1.txt", [0, 1])
    absent = one(tmp_path, "lasot", "airplane-1").absent
    assert absent is not None
    assert absent.tolist() == [False, True]


def test_lasot_in_pysot_json_says_where_the_target_is_visible(tmp_path: Path) -> None:
    """The flags of the JSON file are the opposite of the toolkit's."""
    entry = {"img_names": [], "gt_rect": walk(3), "attr": ["FM"], "absent": [1, 0, 1]}
    (tmp_path / "LaSOT.json").write_text(json.dumps({"airplane-1": entry}), encoding="utf-8")
    sequence = one(tmp_path, "lasot", "airplane-1")
    assert sequence.absent is not None
    assert sequence.absent.tolist() == [False, True, False]
    np.testing.assert_array_equal(sequence.boxes, zero_based(walk(3)))


def test_trap_12_sequences_of_uav123_share_folders(tmp_path: Path) -> None:
    add_pictures(tmp_path / "data_seq" / "UAV123" / "bird1", range(775, 2438), digits=6)
    rows = {row["name"]: row for row in table("uav123")}
    for name in ("bird1_2", "bird1_3"):
        count = int(rows[name]["last"]) - int(rows[name]["first"]) + 1
        boxes = [*as_lines(walk(count - 1)), "NaN,NaN,NaN,NaN"]
        add_lines(tmp_path / "anno" / "UAV123" / f"{name}.txt", boxes)
    add_lines(tmp_path / "anno" / "UAV123" / "att" / "bird1_3.txt", ["1,1,0,1,0,0,0,0,1,1,1,1"])
    second, third = open_benchmark("uav123", tmp_path, ["bird1_2", "bird1_3"])[1]
    assert (second.frames[0].name, second.frames[-1].name) == ("000775.jpg", "001477.jpg")
    assert (third.frames[0].name, third.frames[-1].name) == ("001573.jpg", "002437.jpg")
    assert (len(second), len(third)) == (703, 865)
    assert np.isnan(third.boxes).any(1).tolist() == [*[False] * 864, True]
    np.testing.assert_array_equal(third.boxes[:-1], zero_based(walk(864)))
    assert third.attributes == {"SV", "ARC", "FM", "IV", "VC", "CM", "SOB"}
    assert second.attributes == frozenset()


def test_uav123_truth_of_another_length(tmp_path: Path) -> None:
    add_lines(tmp_path / "anno" / "UAV20L" / "bike1.txt", as_lines(walk(3084)))
    with pytest.raises(DataError, match="has 3084 lines; expected 3085, for the frames 1 to 3085"):
        one(tmp_path, "uav20l", "bike1")
    add_lines(tmp_path / "anno" / "UAV20L" / "bike1.txt", as_lines(walk(3085)))
    add_lines(tmp_path / "anno" / "UAV20L" / "att" / "bike1.txt", ["1,0"])
    with pytest.raises(DataError, match="has 2 entries; expected 12: SV, ARC"):
        one(tmp_path, "uav20l", "bike1")


def test_uav123_with_the_files_of_both_benchmarks_side_by_side(tmp_path: Path) -> None:
    for name, frames in (("bird1_1", 253), ("bird1", 2437)):
        add_lines(tmp_path / "anno" / f"{name}.txt", as_lines(walk(frames)))
    assert len(one(tmp_path, "uav123", "bird1_1")) == 253
    assert len(one(tmp_path, "uav20l", "bird1")) == 2437
    (tmp_path / "anno" / "UAV20L").mkdir()  # without files it is none
    assert len(one(tmp_path, "uav20l", "bird1")) == 2437


def test_uav123_in_pysot_json(tmp_path: Path) -> None:
    (tmp_path / "UAV123.json").write_text(
        json.dumps({"bike1": {"img_names": [], "gt_rect": walk(2), "attr": ["Fast Motion"]}}), encoding="utf-8"
    )
    assert one(tmp_path, "uav123", "bike1").attributes == {"Fast Motion"}
    with pytest.raises(DataError, match="122 of 123 sequences of UAV123"):
        open_benchmark("uav123", tmp_path)


def add_got10k(folder: Path, *, frames: int, lines: int, cover: list[int]) -> None:
    add_pictures(folder, range(1, frames + 1))
    add_lines(folder / "groundtruth.txt", [",".join(f"{v:.4f}" for v in box) for box in walk(lines)])
    add_lines(folder / "cover.label", cover)
    add_lines(folder / "meta_info.ini", ["[METAINFO]", "object_class: bear", "resolution: (1920, 1080)"])


def test_got10k_validation(tmp_path: Path) -> None:
    """A frame with cover 0 is left out by the toolkit, which reads no absence.label."""
    add_got10k(tmp_path / "val" / "GOT-10k_Val_000007", frames=3, lines=3, cover=[8, 0, 1])
    sequence = one(tmp_path, "got10k-val", "GOT-10k_Val_000007")
    assert sequence.absent is not None
    assert sequence.absent.tolist() == [False, True, False]
    assert (sequence.object_class, sequence.image_size, len(sequence.frames)) == ("bear", (1920, 1080), 3)
    np.testing.assert_allclose(sequence.boxes, zero_based(walk(3)))
    with pytest.raises(DataError, match=r"179 of 180 sequences of GOT-10k, val .*: GOT-10k_Val_000001"):
        open_benchmark("got10k-val", tmp_path)


def test_got10k_test_has_the_first_box_only(tmp_path: Path) -> None:
    folder = tmp_path / "test" / "GOT-10k_Test_000001"
    add_pictures(folder, range(1, 6))
    add_lines(folder / "groundtruth.txt", as_lines(walk(1)))
    sequence = one(tmp_path, "got10k-test", "GOT-10k_Test_000001")
    assert (len(sequence), len(sequence.frames)) == (5, 5)
    assert sequence.first_box == (9, 4, 8, 6)
    assert np.isnan(sequence.boxes[1:]).all()
    add_lines(folder / "groundtruth.txt", as_lines(walk(5)))
    with pytest.raises(DataError, match="has 5 boxes; expected that of the first frame"):
        one(tmp_path, "got10k-test", "GOT-10k_Test_000001")


def test_trackingnet_test_frames_count_from_0_without_zeros(tmp_path: Path) -> None:
    add_pictures(tmp_path / "TEST" / "frames" / "-Dz7_0", range(12), digits=1)
    add_lines(tmp_path / "TEST" / "anno" / "-Dz7_0.txt", ["10,20,30,40"])
    sequence = one(tmp_path, "trackingnet", "-Dz7_0")
    assert [path.stem for path in sequence.frames] == [str(number) for number in range(12)]
    assert sequence.first_box == (10, 20, 30, 40)
    assert np.isnan(sequence.boxes[1:]).all()
    with pytest.raises(DataError, match=r"Found 1 sequence in .*; TrackingNet has 511"):
        open_benchmark("trackingnet", tmp_path)


def add_nfs(root: Path, name: str, rate: int, *, frames: int, lines: int) -> None:
    folder = root / name / str(rate)
    add_pictures(folder / name, range(1, frames + 1), digits=5)
    add_lines(folder / f"{name}.txt", [f'0 {10 + i} 5 {30 + i} 25 {i + 1} 0 1 {i % 2} "big ball"' for i in range(lines)])


def test_nfs_has_corners_and_a_quoted_class(tmp_path: Path) -> None:
    add_nfs(tmp_path, "airboard_1", 240, frames=16, lines=16)
    sequence = one(tmp_path, "nfs240", "airboard_1")
    assert sequence.boxes[:2].tolist() == [[10, 5, 20, 20], [11, 5, 20, 20]]
    assert sequence.object_class == "big ball"
    assert sequence.absent is None


@pytest.mark.parametrize(("frames", "lines", "kept"), [(3, 24, 3), (3, 23, 3), (3, 25, 3), (4, 4, 4), (4, 5, 4), (5, 4, 4)])
def test_nfs_at_30_takes_every_eighth_line_and_forgives_one(tmp_path: Path, frames: int, lines: int, kept: int) -> None:
    add_nfs(tmp_path, "bee", 30, frames=frames, lines=lines)
    sequence = one(tmp_path, "nfs30", "bee")
    assert len(sequence) == len(sequence.frames) == kept
    step = 8 if lines > 2 * frames else 1
    assert sequence.boxes[:, 0].tolist() == [10 + step * i for i in range(kept)]


def test_nfs_does_not_forgive_more(tmp_path: Path) -> None:
    add_nfs(tmp_path, "bee", 30, frames=4, lines=6)
    with pytest.raises(DataError, match=r"speaks of 6 frames, and .* holds 4; expected as many, or one more or fewer"):
        one(tmp_path, "nfs30", "bee")
    add_lines(tmp_path / "bee" / "30" / "bee.txt", ["1,2,3,4"])
    with pytest.raises(DataError, match=r"bee.txt, line 1: found '1,2,3,4', expected 0 left top"):
        one(tmp_path, "nfs30", "bee")


def test_dtb70(tmp_path: Path) -> None:
    add_pictures(tmp_path / "Animal1" / "img", range(1, 4), digits=5)
    add_lines(tmp_path / "Animal1" / "groundtruth_rect.txt", as_lines(walk(3)))
    add_lines(tmp_path / "anno" / "att" / "Animal1.txt", ["1,1,0,0,0,0,0,0,0,1,0"])
    sequence = one(tmp_path, "dtb70", "Animal1")
    np.testing.assert_array_equal(sequence.boxes, zero_based(walk(3)))
    assert sequence.attributes == {"SV", "ARV", "SOA"}
    assert len(sequence.frames) == 3
    with pytest.raises(DataError, match=r"Found 1 sequence in .*; DTB70 has 70"):
        open_benchmark("dtb70", tmp_path)


def test_tcolor128_has_ranges_and_files_that_are_called_a_little_otherwise(tmp_path: Path) -> None:
    folder = tmp_path / "Yo_yos_ce1"
    add_pictures(folder / "img", range(1, 8), digits=4)
    add_lines(folder / "Yo-yos_ce1_gt.txt", as_lines(walk(4)))
    add_lines(folder / "Yo-yos_ce1_frames.txt", ["3,6"])
    sequence = one(tmp_path, "tcolor128", "Yo_yos_ce1")
    assert [path.name for path in sequence.frames] == ["0003.jpg", "0004.jpg", "0005.jpg", "0006.jpg"]
    np.testing.assert_array_equal(sequence.boxes, zero_based(walk(4)))
    add_lines(folder / "Yo-yos_ce1_frames.txt", ["all"])
    with pytest.raises(DataError, match="does not hold the numbers of the first and the last frame"):
        one(tmp_path, "tcolor128", "Yo_yos_ce1")
    (folder / "Yo-yos_ce1_frames.txt").unlink()
    with pytest.raises(DataError, match=r"has 0 files named \*_frames.txt; expected one"):
        one(tmp_path, "tcolor128", "Yo_yos_ce1")


def test_own_clips(tmp_path: Path) -> None:
    add_pictures(tmp_path / "pear" / "img", range(1, 4))
    add_lines(tmp_path / "pear" / "groundtruth.txt", ["1,2,3,4", "nan,nan,nan,nan", "1.5\t2 3,4"])
    sequence = one(tmp_path, "plain", "pear")
    assert sequence.boxes[[0, 2]].tolist() == [[1, 2, 3, 4], [1.5, 2, 3, 4]]  # 0-based
    assert np.isnan(sequence.boxes[1]).all()
    assert len(sequence.frames) == 3
    add_lines(tmp_path / "pear" / "groundtruth.txt", ["1,2,3,4"])
    with pytest.raises(DataError, match=r"pear/groundtruth.txt has 1 lines, and .* holds 3 pictures"):
        one(tmp_path, "plain", "pear")
