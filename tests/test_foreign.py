"""Results of others: found, read and checked, in the layouts in which they are published."""

from __future__ import annotations

import dataclasses
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from result_files import FRAMES, ONE, benchmark, run, sequence, walk, write_boxes, write_lines

from siamtrack.datasets.benchmark import Benchmark, BenchmarkSequence
from siamtrack.errors import DataError
from siamtrack.evaluation.foreign import FoundResults, read_results
from siamtrack.evaluation.foreign_bin import shapes_from_bytes
from siamtrack.evaluation.foreign_folders import match_names
from siamtrack.evaluation.foreign_names import looks_like
from siamtrack.evaluation.store import ResultStore

OTB = benchmark()
VOT = benchmark("vot2018", protocols=("supervised", "unsupervised", "realtime"), preset="vot-matlab", first_pixel=0)
LONG = benchmark("votlt2018", protocols=("long-term",), preset="pysot", first_pixel=0)
GOT = benchmark("got10k-val", protocols=("got10k",), preset="got10k")
NAMES = ("Jogging-1", "CarScale")


def read_one(folder: Path, known: Benchmark = OTB, names: tuple[str, ...] = NAMES, **options: object) -> FoundResults:
    (found,) = read_results(folder, known, [sequence(name) for name in names], **options)  # type: ignore[arg-type]
    return found


def boxes_of(found: FoundResults, name: str = "CarScale") -> np.ndarray:
    return found.results.runs[name][0].boxes


def write_all(folder: Path, names: tuple[str, ...] = NAMES, **options: object) -> Path:
    for name in names:
        write_boxes(folder / f"{name}.txt", walk(), **options)  # type: ignore[arg-type]
    return folder


@pytest.mark.parametrize("separator", [",", "\t", " ", ", ", ";", "  "])
def test_boxes_are_read_whatever_stands_between_numbers(tmp_path: Path, separator: str) -> None:
    found = read_one(write_all(tmp_path / "ATOM", separator=separator))
    assert found.results.tracker == "ATOM"
    assert (found.results.benchmark, found.results.protocol) == ("otb100", "ope")
    assert boxes_of(found) == pytest.approx(walk())
    assert found.remarks == found.missing == ()


@pytest.mark.parametrize("spelling", ["Jogging-1", "jogging_1", "Jogging.1", "JOGGING 1", "jogging-1"])
def test_names_of_sequences_are_found_in_all_their_spellings(tmp_path: Path, spelling: str) -> None:
    write_boxes(tmp_path / "T" / f"{spelling}.txt", walk())
    write_boxes(tmp_path / "T" / "jogging_2.txt", walk(start=50))
    assert boxes_of(read_one(tmp_path / "T", names=("Jogging-1",)), "Jogging-1") == pytest.approx(walk())


@pytest.mark.parametrize(
    ("found", "wanted", "matched"),
    [
        (["human4_2"], ["Human4"], {"Human4": "human4_2"}),
        (["Human4"], ["Human4-2"], {"Human4-2": "Human4"}),
        (["Human4"], ["Human4-1", "Human4-2"], {}),
        (["person1_1", "person1_2"], ["person1"], {}),
        (["car1", "car1_s"], ["car1_1", "car1_s"], {"car1_1": "car1", "car1_s": "car1_s"}),
        (["car1"], ["car1_1", "car1_2"], {}),
        (["airplane-13"], ["airplane-1"], {}),
        (["skating2"], ["Skating2"], {"Skating2": "skating2"}),
    ],
)
def test_only_a_target_that_cannot_be_another_is_taken(found: list[str], wanted: list[str], matched: dict[str, str]) -> None:
    assert match_names(found, wanted, Path()) == matched


@given(st.sets(st.from_regex(r"[A-Za-z]{1,4}[0-9]?([-_.][0-9]{1,2})?", fullmatch=True), max_size=8))
def test_names_that_are_spelt_the_same_always_match_themselves(names: set[str]) -> None:
    keys = {name.lower().replace("_", "-").replace(".", "-"): name for name in names}
    wanted = sorted(keys.values())
    matched = match_names([name.upper() for name in wanted], wanted, Path())
    assert matched == {name: name.upper() for name in wanted}


def test_two_files_for_one_sequence_are_refused(tmp_path: Path) -> None:
    write_all(tmp_path / "T", ("Jogging-1", "jogging_1", "CarScale"))
    with pytest.raises(DataError, match="'Jogging-1' and 'jogging_1', which are one sequence"):
        read_one(tmp_path / "T")


def test_several_trackers_in_a_folder_of_pysot(tmp_path: Path) -> None:
    for tracker in ("siamrpn", "ATOM_tracking_result"):
        write_all(tmp_path / "results" / "OTB100" / tracker)
    found = read_results(tmp_path / "results", OTB, [sequence(name) for name in NAMES])
    assert [one.results.tracker for one in found] == ["ATOM", "siamrpn"]  # LaSOT's suffix is no part of the name


def test_files_that_are_no_sequences_are_left_alone(tmp_path: Path) -> None:
    folder = write_all(tmp_path / "T", (*NAMES, "licenseplate-12"))
    write_lines(folder / "README.txt", ["hello"])
    write_lines(folder / "CarScale_time.txt", ["0.5"] * FRAMES)
    write_lines(folder / "times" / "Jogging-1_time.txt", ["0.25"] * FRAMES)
    found = read_one(folder, names=(*NAMES, "licenseplate-12"))
    assert found.results.runs["CarScale"][0].seconds.tolist() == [0.5] * FRAMES
    assert found.results.runs["Jogging-1"][0].seconds.tolist() == [0.25] * FRAMES
    assert np.isnan(found.results.runs["licenseplate-12"][0].seconds).all()


def test_times_that_do_not_fit_are_not_taken(tmp_path: Path) -> None:
    folder = write_all(tmp_path / "T")
    write_lines(folder / "CarScale_time.txt", ["0.5"] * (FRAMES - 1))
    assert np.isnan(read_one(folder).results.runs["CarScale"][0].seconds).all()


def test_repetitions_of_got10k_with_the_times_of_all_side_by_side(tmp_path: Path) -> None:
    name = "GOT-10k_Val_000001"
    for number in (1, 2, 3):
        write_boxes(tmp_path / "T" / name / f"{name}_{number:03}.txt", walk(start=10 * number))
    write_lines(tmp_path / "T" / name / f"{name}_time.txt", ["0.1,0.2,0.3"] * FRAMES)
    runs = read_one(tmp_path / "T", GOT, (name,)).results.runs[name]
    assert [one.boxes[0, 0] for one in runs] == [10, 20, 30]
    assert [one.seconds[0] for one in runs] == [0.1, 0.2, 0.3]


def test_vot_files_hold_codes_boxes_and_polygons(tmp_path: Path) -> None:
    folder = tmp_path / "NanoTrack" / "baseline" / "ants1"
    write_lines(folder / "ants1_001.txt", ["1", "10,20,30,40", "2", "0", "1,2,3,4,5,6,7,8", "nan,nan,nan,nan"])
    write_lines(folder / "ants1_001_time.value", ["", "0.5", "0.5", "0", "0", "0.5"])
    found = read_one(tmp_path / "NanoTrack", VOT, ("ants1",))
    (one,) = found.results.runs["ants1"]
    assert (found.results.tracker, found.results.protocol) == ("NanoTrack", "supervised")
    assert [region.tolist() for region in one.regions[:5]] == [[1], [10, 20, 30, 40], [2], [0], [1, 2, 3, 4, 5, 6, 7, 8]]
    assert one.seconds[1] == 0.5
    assert np.isnan(one.seconds[0])


def binary(*frames: bytes, version: int = 1) -> bytes:
    """As the VOT toolkit writes it."""
    return struct.pack("<hI", version, len(frames)) + b"".join(frames)


CODES = [struct.pack("<BI", 0, code) for code in range(3)]
BOX = struct.pack("<B4f", 1, 10.5, 20, 30, 40)
TRIANGLE = struct.pack("<BH6f", 2, 3, 1, 2, 3, 4, 5, 6)


def test_binary_files_of_the_vot_toolkit(tmp_path: Path) -> None:
    folder = tmp_path / "T" / "baseline" / "ants1"
    folder.mkdir(parents=True)
    (folder / "ants1_001.bin").write_bytes(binary(CODES[1], BOX, CODES[2], CODES[0], TRIANGLE, BOX))
    write_lines(folder / "ants1_001_time.value", ["", "0.5", "0.5", "0", "0", "0.5"])
    write_lines(folder / "ants1_002.txt", ["1", *["1,2,3,4"] * 5])
    first, second = read_one(tmp_path / "T", VOT, ("ants1",)).results.runs["ants1"]
    expected = [[1], [10.5, 20, 30, 40], [2], [0], [1, 2, 3, 4, 5, 6], [10.5, 20, 30, 40]]
    assert [region.tolist() for region in first.regions] == expected
    assert first.seconds[1] == 0.5
    assert second.regions[1].tolist() == [1, 2, 3, 4]
    write_lines(folder / "ants1_001.txt", ["1", *["5,6,7,8"] * 5])  # the toolkit takes the text, too
    first, second = read_one(tmp_path / "T", VOT, ("ants1",)).results.runs["ants1"]
    assert first.regions[1].tolist() == [5, 6, 7, 8]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is no trajectory of the VOT toolkit: 0 bytes"),
        (binary(BOX, version=2), "do not begin with version 1"),
        (binary(CODES[1], BOX)[:-1], "is cut off in frame 2 of 2"),
        (binary(CODES[1], BOX[:1]), "is cut off in frame 2 of 2"),
        (binary(CODES[1], b""), "is cut off in frame 2 of 2"),
        (binary(CODES[1]) + b"x", "goes on for 1 bytes after its 1 frames"),
        (binary(struct.pack("<BI", 0, 9)), "frame 1: found the code 9, expected"),
        (
            binary(BOX, struct.pack("<BhhHHHH", 3, 0, 0, 0, 0, 1, 1)),
            "'a.bin', frame 2: a mask of 0 x 0 pixels has runs of 1; expected runs that fit in",
        ),
        (binary(struct.pack("<Bff", 4, 1, 2)), "frame 1: found a point"),
        (binary(b"\x09"), "found a region of the unknown kind 9"),
        (binary(struct.pack("<BH4f", 2, 2, 1, 2, 3, 4)), "found a polygon of 2 corners"),
    ],
)
def test_binary_files_that_cannot_be_read(data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        shapes_from_bytes(data, "a.bin")


@pytest.mark.parametrize(
    ("folder", "protocol"),
    [("baseline", "supervised"), ("realtime", "realtime"), ("unsupervised", "unsupervised"), ("", "supervised")],
)
def test_the_folder_of_a_vot_experiment_says_how_the_tracker_was_run(tmp_path: Path, folder: str, protocol: str) -> None:
    write_lines(tmp_path / "T" / folder / "ants1" / "ants1_001.txt", ["1", *["1,2,3,4"] * 5])
    for given_folder in (tmp_path / "T", tmp_path / "T" / folder):
        found = read_one(given_folder, VOT, ("ants1",))
        assert (found.results.tracker, found.results.protocol) == ("T", protocol)


def test_one_of_several_experiments_is_taken_or_asked_for(tmp_path: Path) -> None:
    for folder in ("baseline", "realtime"):
        write_lines(tmp_path / "T" / folder / "ants1" / "ants1_001.txt", ["1", *["1,2,3,4"] * 5])
    assert read_one(tmp_path, VOT, ("ants1",)).results.protocol == "supervised"
    assert read_one(tmp_path, VOT, ("ants1",), protocol="realtime").results.protocol == "realtime"
    with pytest.raises(DataError, match=r"no results on vot2018 under 'unsupervised' .*; there are: realtime, supervised"):
        read_one(tmp_path, VOT, ("ants1",), protocol="unsupervised")


def test_boxes_of_one_pass_on_vot_are_not_taken_for_supervised_runs(tmp_path: Path) -> None:
    write_boxes(tmp_path / "T" / "ants1.txt", walk(), first_pixel=0)
    found = read_one(tmp_path / "T", VOT, ("ants1",))
    assert found.results.protocol == "unsupervised"
    assert boxes_of(found, "ants1") == pytest.approx(walk())


def test_confidences_of_a_long_term_run(tmp_path: Path) -> None:
    folder = tmp_path / "T" / "longterm" / "ballet"
    write_lines(folder / "ballet_001.txt", ["1", *["10,20,30,40"] * 5])
    write_lines(folder / "ballet_001_confidence.value", ["", "0.9", "0.8", "nan", "0.6", "-0.5"])
    (one,) = read_one(tmp_path / "T", LONG, ("ballet",)).results.runs["ballet"]
    assert one.scores == pytest.approx([np.nan, 0.9, 0.8, np.nan, 0.6, -0.5], nan_ok=True)
    write_lines(folder / "ballet_001_confidence.value", ["0.9", "0.8", "nan", "0.6", "-0.5"])
    with pytest.raises(DataError, match=r"confidence\.value' has 5 lines, the regions beside it 6"):
        read_one(tmp_path / "T", LONG, ("ballet",))
    write_lines(folder / "ballet_001_confidence.value", ["", "0.9", "high", "nan", "0.6", "-0.5"])
    with pytest.raises(DataError, match="line 3: found 'high', expected one number"):
        read_one(tmp_path / "T", LONG, ("ballet",))


def test_the_first_pixel_is_that_of_the_benchmarks_files_or_the_given_one(tmp_path: Path) -> None:
    folder = write_all(tmp_path / "T", first_pixel=0)
    assert boxes_of(read_one(folder, first_pixel=0)) == pytest.approx(walk())
    beside = read_one(folder)
    assert boxes_of(beside) == pytest.approx(walk() - ONE)
    (remark,) = beside.remarks
    assert "exactly one pixel beside the true one in 2 of 2 sequences (Jogging-1, CarScale)" in remark
    zero_based = dataclasses.replace(VOT, protocols=("unsupervised",))
    (remark,) = read_one(write_all(tmp_path / "S"), zero_based).remarks
    assert "exactly one pixel" in remark


@pytest.mark.parametrize("beside", [(0.5, 0.5, 0, 0), (1, 0, 0, 0), (1, 1, 1, 1)])
def test_a_first_box_elsewhere_is_the_trackers_own_affair(tmp_path: Path, beside: tuple[float, ...]) -> None:
    for name in NAMES:  # half a pixel: PySOT's trackers start so
        write_boxes(tmp_path / "T" / f"{name}.txt", walk() + np.array(beside))
    assert read_one(tmp_path / "T").remarks == ()


def test_missing_sequences_are_counted_and_named(tmp_path: Path) -> None:
    names = tuple(f"zebra-{i}" for i in range(1, 9))
    write_all(tmp_path / "T", names[:5])
    with pytest.raises(DataError, match=r"lack 3 of 8 sequences of OTB100: zebra-6, zebra-7, zebra-8\. Scores of a part"):
        read_one(tmp_path / "T", names=names)
    found = read_one(tmp_path / "T", names=names, partial=True)
    assert found.missing == names[5:]
    assert tuple(found.results.runs) == names[:5]


@pytest.mark.parametrize(
    ("names", "title"),
    [
        (["airplane-1", "airplane-9", "zebra-17"], "LaSOT"),
        (["GOT-10k_Val_000001", "GOT-10k_Val_000002"], "GOT-10k"),
        (["0-6LB4FqxoE_0", "07Ysk1C0ZX0_0"], "TrackingNet"),
        (["Bikeshow_ce", "Boat_ce1"], "TColor-128"),
    ],
)
def test_results_of_another_benchmark_are_recognised(tmp_path: Path, names: list[str], title: str) -> None:
    assert looks_like(names) == title
    write_all(tmp_path / "T", tuple(names))
    with pytest.raises(DataError, match=f"have 0 of 2 sequences of OTB100; they look like results on {title}"):
        read_one(tmp_path / "T")


@pytest.mark.parametrize("frames", [5, 7])
def test_wrong_lengths_are_never_cut_or_filled_up(tmp_path: Path, frames: int) -> None:
    write_all(tmp_path / "T")
    write_boxes(tmp_path / "T" / "CarScale.txt", walk(frames))
    with pytest.raises(DataError, match=rf"T on sequence CarScale have {frames} frames, the ground truth 6; .* Nothing is cut"):
        read_one(tmp_path / "T")


def test_trap_11_only_lasot_and_only_that_sequence_is_cut(tmp_path: Path) -> None:
    lasot, names = benchmark("lasot", preset="lasot"), ("monkey-17", "monkey-3")
    write_all(tmp_path / "T", names)
    write_boxes(tmp_path / "T" / "monkey-17.txt", walk(9))
    found = read_one(tmp_path / "T", lasot, names)
    assert boxes_of(found, "monkey-17") == pytest.approx(walk())
    assert found.remarks == ("T: longer than the truth and cut to the frames that the benchmark's toolkit scores: monkey-17.",)
    write_boxes(tmp_path / "T" / "monkey-17.txt", walk(5))
    with pytest.raises(DataError, match="monkey-17 have 5 frames, the ground truth 6"):
        read_one(tmp_path / "T", lasot, names)
    write_boxes(tmp_path / "T" / "monkey-17.txt", walk())
    write_boxes(tmp_path / "T" / "monkey-3.txt", walk(9))
    with pytest.raises(DataError, match="monkey-3 have 9 frames"):
        read_one(tmp_path / "T", lasot, names)


def test_results_on_tiger1_from_its_first_annotated_frame_on_are_cut_to_the_official_start(tmp_path: Path) -> None:
    write_all(tmp_path / "T", ("Tiger1", "Tiger2"))
    write_boxes(tmp_path / "T" / "Tiger1.txt", np.concatenate([walk(5, start=0), walk()]))
    found = read_one(tmp_path / "T", names=("Tiger1", "Tiger2"))
    assert boxes_of(found, "Tiger1") == pytest.approx(walk())
    assert "cut to the frames that the benchmark's toolkit scores: Tiger1" in found.remarks[0]
    write_boxes(tmp_path / "T" / "Tiger1.txt", walk(10))
    with pytest.raises(DataError, match="Tiger1 have 10 frames"):
        read_one(tmp_path / "T", names=("Tiger1", "Tiger2"))


def test_nan_and_sizes_below_zero_are_told_and_kept(tmp_path: Path) -> None:
    bad = walk()
    bad[2, 0], bad[3], bad[4, 2], bad[5, 1] = np.nan, np.nan, -3, np.inf
    write_all(tmp_path / "T")
    write_boxes(tmp_path / "T" / "CarScale.txt", bad)
    found = read_one(tmp_path / "T")
    assert found.remarks == (
        "T: 2 boxes with NaN, in CarScale; the preset says what that counts as.",
        "T: 1 box with an infinite number, in CarScale; the preset says what that counts as.",
        "T: 1 box with a width or height of 0 or less, in CarScale; the preset says what that counts as.",
    )
    assert boxes_of(found) == pytest.approx(bad, nan_ok=True)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], r"CarScale\.txt' is empty; expected a line x,y,w,h for each frame"),
        (["", " "], r"CarScale\.txt' is empty"),
        (["1,2,3,4", "1,2,3"], r"CarScale\.txt, line 2: found '1,2,3', expected"),
        (["1,2,3,4", "1,2,three,4"], r"CarScale\.txt, line 2: found '1,2,three,4', expected"),
        (["1,2,3,4,5"] * 6, r"CarScale\.txt, line 1: found '1,2,3,4,5', expected"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, lines: list[str], message: str) -> None:
    write_all(tmp_path / "T")
    write_lines(tmp_path / "T" / "CarScale.txt", lines)
    with pytest.raises(DataError, match=message):
        read_one(tmp_path / "T")


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    write_all(tmp_path / "T")
    (tmp_path / "T" / "CarScale.txt").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(DataError, match="is not a text file"):
        read_one(tmp_path / "T")


def test_folders_without_results(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"folder of results '.*none' does not exist"):
        read_one(tmp_path / "none")
    with pytest.raises(DataError, match="No results found in"):
        read_one(tmp_path)
    with pytest.raises(DataError, match="are a file; give the folder"):
        read_one(write_lines(tmp_path / "CarScale.txt", ["1,2,3,4"]))


def test_two_results_of_one_tracker_are_not_mixed(tmp_path: Path) -> None:
    for run_folder in ("a", "b"):
        write_all(tmp_path / run_folder / "T")
    with pytest.raises(DataError, match="both hold results of a tracker 'T'; give one of them"):
        read_one(tmp_path)


def test_our_own_results_are_read_with_the_way_they_were_run(tmp_path: Path) -> None:
    store = ResultStore(tmp_path, tracker="siamfc", benchmark=OTB, protocol="tre")
    store.begin({"seed": 1})
    for name in NAMES:
        store.write(sequence(name), [run(walk(), scores=np.arange(6)), run(walk()[2:], first=2)])
    other = ResultStore(tmp_path, tracker="siamfc", benchmark=benchmark("uav123"), protocol="ope")
    other.begin({"seed": 1})
    known = dataclasses.replace(OTB, protocols=("ope", "tre"))
    found = read_one(tmp_path, known)
    assert (found.results.tracker, found.results.protocol) == ("siamfc", "tre")
    assert [one.first for one in found.results.runs["CarScale"]] == [0, 2]
    assert found.results.runs["CarScale"][0].scores.tolist() == list(range(6))
    with pytest.raises(DataError, match="lack 1 of 3 sequences of OTB100: Woman"):
        read_one(tmp_path, known, (*NAMES, "Woman"))


def test_result_files_of_the_otb_toolkit(tmp_path: Path) -> None:
    scipy_io = pytest.importorskip("scipy.io")
    (tmp_path / "OPE").mkdir()
    struct = {"type": "rect", "res": walk() + ONE, "fps": 80.0, "len": FRAMES, "annoBegin": 1, "startFrame": 1}
    for name in ("Jogging-1_SiamFC_3s", "CarScale_SiamFC_3s"):
        cell = np.empty((1, 1), object)
        cell[0, 0] = struct
        scipy_io.savemat(tmp_path / "OPE" / f"{name}.mat", {"results": cell})
    found = read_one(tmp_path / "OPE")
    assert boxes_of(found) == pytest.approx(walk())
    assert boxes_of(found, "Jogging-1") == pytest.approx(walk())
    bad = {
        "20 runs; expected one pass": np.array([struct] * 20, object).reshape(1, 20),
        "regions of the type 'ivtAff' with 6 numbers": np.array(
            [[struct | {"type": "ivtAff", "res": np.ones((6, 6))}]], object
        ),
    }
    for message, cells in bad.items():
        scipy_io.savemat(tmp_path / "OPE" / "CarScale_SiamFC_3s.mat", {"results": cells})
        with pytest.raises(DataError, match=message):
            read_one(tmp_path / "OPE")
    (tmp_path / "OPE" / "CarScale_SiamFC_3s.mat").write_bytes(b"not MATLAB at all" * 20)
    with pytest.raises(DataError, match="is no result file of the OTB toolkit"):
        read_one(tmp_path / "OPE")


def test_sequences_can_be_a_part_of_what_was_run(tmp_path: Path) -> None:
    one: list[BenchmarkSequence] = [sequence("CarScale")]
    (found,) = read_results(write_all(tmp_path / "T"), OTB, one)
    assert list(found.results.runs) == ["CarScale"]
