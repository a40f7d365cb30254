"""`siamtrack compare` and `report` on results that are masks: DAVIS 2016, DAVIS 2017 and YouTube-VOS."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from benchmark_files import add_lines
from command_line import INPUT, refused, run
from mask_files import GREY, WIDTH, Labels, add_masks, add_meta, add_pictures, png, scene
from report_pages import Page, column
from result_files import walk, write_boxes

from siamtrack.datasets.palette_masks import read_labels
from siamtrack.evaluation.scoring import score
from siamtrack.evaluation.trajectory import MaskResults
from siamtrack.library import open_benchmark
from siamtrack.metrics.segmentation_scores import davis_object_scores, mean_scores

FRAMES = 8
DOGS = [scene((1, 4 + i, 10, 10, 10), (2, 40, 10 + i, 12, 8), (255, 0, 0, 3, 3)) for i in range(FRAMES)]
BOAT = [scene((1, 20, 20 + i, 15, 6)) for i in range(FRAMES)]
HALF = [scene((1, 9 + i, 10, 10, 10), width=WIDTH) for i in range(FRAMES)]
"""The first of the dogs, 5 pixels beside, and not the second."""
WHICH = ("--sequences", "dogs,boat")


def davis(folder: Path, year: int = 2017) -> Path:
    """DAVIS/ with two videos: dogs, of two objects, and boat."""
    root = folder / "DAVIS"
    for video, masks in (("dogs", DOGS), ("boat", BOAT)):
        add_masks(root / "Annotations" / "480p" / video, masks)
    add_lines(root / "ImageSets" / str(year) / "val.txt", ["boat", "dogs"])
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """DAVIS/, and results/ of two trackers: exact and half."""
    davis(tmp_path)
    for tracker, dogs in (("half", HALF), ("exact", [np.where(mask == 255, 0, mask) for mask in DOGS])):
        add_masks(tmp_path / "results" / tracker / "dogs", dogs)
        add_masks(tmp_path / "results" / tracker / "boat", BOAT)
    return tmp_path


def compare(folder: Path, *options: object, benchmark: str = "davis2017", root: str = "DAVIS") -> list[dict[str, str]]:
    ended = run("compare", "results", "--benchmark", benchmark, "--root", root, "--format", "csv", *options, folder=folder)
    assert ended.code == 0, ended.err
    return list(csv.DictReader(io.StringIO(ended.out)))


# DAVIS 2017


def test_means_are_over_objects_as_the_official_tool_has_them(folder: Path) -> None:
    exact, half = compare(folder, *WHICH)
    assert (exact["tracker"], half["tracker"], half["preset"]) == ("exact", "half", "davis")
    columns = ("J mean", "J recall", "J decay", "F mean", "F recall", "F decay")
    assert [float(exact[name]) for name in ("J&F", *columns)] == [1, 1, 1, 0, 1, 1, 0]
    assert float(half["J mean"]) == pytest.approx((50 / 150 + 0 + 1) / 3, abs=1e-6)
    assert float(half["J recall"]) == pytest.approx(1 / 3, abs=1e-6)
    objects = [*davis_object_scores(HALF, DOGS), *davis_object_scores(BOAT, BOAT)]
    mean = mean_scores(objects)
    measures = (mean.region, mean.boundary)
    expected = [value for one in measures for value in (one.mean, one.recall, one.decay)]
    assert [float(half[name]) for name in columns] == pytest.approx(expected, abs=1e-6)
    assert float(half["J&F"]) == pytest.approx(mean.j_and_f, abs=1e-6)
    by_object = compare(folder, *WHICH, "--by", "sequence", "--measure", "region")
    assert {row["sequence"]: (row["exact"], row["half"]) for row in by_object} == {
        "dogs_1": ("1", "0.333333"),
        "dogs_2": ("1", "0"),
        "boat_1": ("1", "1"),
    }
    assert [row["half"] for row in compare(folder, "--sequences", "dogs_1", "--by", "sequence")] == [
        f"{objects[0].j_and_f:.6g}"
    ]


def test_the_first_and_the_last_frame_need_not_be_there_and_do_not_count(folder: Path) -> None:
    before = compare(folder, *WHICH)
    for path in (folder / "results" / "exact").glob("*/00000.png"):
        path.unlink()
    for path in (folder / "results" / "exact").glob("*/00007.png"):
        path.write_bytes(png(scene((9, 0, 0, 3, 3))))
    assert compare(folder, *WHICH) == before


def test_masks_are_grey_or_palette_of_any_depth(folder: Path) -> None:
    before = compare(folder, *WHICH)
    add_masks(folder / "results" / "exact" / "dogs", [np.where(mask == 255, 0, mask) for mask in DOGS], bits=2, kind=3)
    add_masks(folder / "results" / "half" / "dogs", HALF, bits=8, kind=GREY)
    assert compare(folder, *WHICH) == before


@pytest.mark.parametrize("inside", ["Annotations", "480p", "Annotations/Full-Resolution"])
def test_a_folder_of_the_layout_is_not_taken_for_the_tracker(folder: Path, inside: str) -> None:
    target = folder / "results" / "half" / inside
    for video in ("dogs", "boat"):
        target.mkdir(parents=True, exist_ok=True)
        shutil.move(folder / "results" / "half" / video, target / video)
    (folder / "results" / "half" / "scores.txt").write_text("J 0.5\n")  # which is no box file here
    assert [row["tracker"] for row in compare(folder, *WHICH)] == ["exact", "half"]


def test_full_resolution_and_truth_elsewhere_than_in_the_list(folder: Path) -> None:
    annotations = folder / "DAVIS" / "Annotations"
    (annotations / "480p").rename(annotations / "Full-Resolution")
    assert compare(folder, *WHICH)[0]["J&F"] == "1"
    assert "dogs" in {one.name.rpartition("_")[0] for one in open_benchmark("DAVIS2017", folder, ["dogs"])[1]}


def test_objects_are_numbered_up_to_the_largest_in_the_first_mask(tmp_path: Path) -> None:
    root = davis(tmp_path)
    boat = root / "Annotations" / "480p" / "boat"
    shutil.rmtree(boat)
    add_masks(boat, [scene((3, 20, 20, 15, 6), (5, 0, 0, 2, i)) for i in range(4)])
    sequences = open_benchmark("davis2017", tmp_path, ["boat"])[1]
    assert [one.name for one in sequences] == ["boat_1", "boat_2", "boat_3"]
    assert np.isnan(sequences[0].boxes).all()
    assert sequences[2].boxes.tolist()[1] == [20, 20, 15, 6]
    found = tmp_path / "found"
    add_masks(found, [scene((3, 20, 20, 15, 6))] * 4)
    results = MaskResults(tracker="exact", benchmark="davis2017", folders=dict.fromkeys([one.name for one in sequences], found))
    (note,) = score(results, sequences, "davis").notes
    assert note.startswith("In no true mask: boat_1, boat_2. Frames in which the result has none either count 1")
    assert not score(results, sequences[2:], "davis").notes


# DAVIS 2016


def test_davis_2016_takes_all_that_is_not_0_for_the_object(tmp_path: Path) -> None:
    """With the masks of the archive of 2017; results as they are found: 0 and 255, 0 and 1, grey in three channels."""
    davis(tmp_path, 2016)
    whole = [(mask > 0).astype(np.uint8) for mask in DOGS]
    add_masks(tmp_path / "results" / "bits" / "dogs", whole, bits=1, kind=GREY)
    add_masks(tmp_path / "results" / "numbers" / "dogs", DOGS)
    for tracker, channels in (("black-and-white", 1), ("three-channels", 3)):
        target = tmp_path / "results" / tracker / "dogs"
        target.mkdir(parents=True)
        for i, mask in enumerate(whole):
            assert cv2.imwrite(str(target / f"{i:05}.png"), np.dstack([255 * mask] * channels))
    rows = compare(tmp_path, "--sequences", "dogs", benchmark="davis2016")
    assert {row["tracker"]: row["J&F"] for row in rows} == dict.fromkeys(
        ("bits", "numbers", "black-and-white", "three-channels"), "1"
    )


# what cannot be scored


def spoil(path: Path, labels: Labels | None) -> None:
    path.unlink() if labels is None else path.write_bytes(png(labels))


def coloured(path: Path) -> None:
    assert cv2.imwrite(str(path), np.dstack([DOGS[3] * 0, DOGS[3] * 0, DOGS[3]]))


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (lambda path: spoil(path, None), ("half has no mask for 1 of 6 frames", "00003.png")),
        (lambda path: spoil(path, scene((1, 2, 2, 3, 3), width=32, height=24)), ("00003.png' is 32x24", "true one 64x48")),
        (lambda path: spoil(path, scene((3, 2, 2, 3, 3))), ("00003.png' has the label 3", "objects 1 to 2")),
        (lambda path: spoil(path, scene((255, 2, 2, 3, 3))), ("00003.png' has the label 255", "objects 1 to 2")),
        (coloured, ("00003.png' holds colours: pixel (0, 0) is RGB (255, 0, 0)", "numbers")),
        (lambda path: path.write_bytes(path.read_bytes()[:60]), ("00003.png' is damaged",)),
        (lambda path: shutil.rmtree(path.parent), ("results of half", "lack 2 of 3 sequences", "dogs_1", "--partial")),
    ],
)
def test_masks_that_the_official_tool_refuses_are_told(
    folder: Path, change: Callable[[Path], object], parts: tuple[str, ...]
) -> None:
    change(folder / "results" / "half" / "dogs" / "00003.png")
    options = ("compare", "results", "--benchmark", "davis2017", "--root", "DAVIS")
    refused((*options, *WHICH), INPUT, *parts, folder=folder)


def test_boxes_are_no_masks_and_masks_no_boxes(folder: Path) -> None:
    for video in ("dogs", "boat"):
        write_boxes(folder / "boxes" / "near" / f"{video}.txt", walk())
        write_boxes(folder / "clips" / video / "groundtruth.txt", walk(), first_pixel=0)
    options = ("--root", "DAVIS", *WHICH)
    refused(("compare", "boxes", "--benchmark", "davis2017", *options), INPUT, "are boxes", "VIDEO/00000.png", folder=folder)
    plain = ("--benchmark", "plain", "--root", "clips")
    refused(("compare", "results", *plain), INPUT, "are masks, and those on Own sequences are boxes", folder=folder)
    masks = ("compare", "results", "--benchmark", "davis2017", *options)
    refused((*masks, "--first-pixel", "1"), INPUT, "masks have none", folder=folder)
    refused((*masks, "--preset", "pysot"), INPUT, "no mask preset 'pysot'", folder=folder)
    refused((*masks, "--protocol", "ope"), INPUT, "under 'ope'", "there are: masks", folder=folder)


def test_videos_whose_truth_is_hidden_are_told_and_left_out_on_request(folder: Path) -> None:
    """As of test-dev: the first mask and no other."""
    for path in sorted((folder / "DAVIS" / "Annotations" / "480p" / "boat").iterdir())[1:]:
        path.unlink()
    options = ("compare", "results", "--benchmark", "davis2017", "--root", "DAVIS")
    refused((*options, *WHICH), INPUT, "1 of 2 sequences", "boat", "fewer than 3 masks", "test-dev", folder=folder)
    refused(options, INPUT, "Found 2 videos", "has 30", folder=folder)
    whole = [f"video{i:02}" for i in range(28)]
    add_lines(folder / "DAVIS" / "ImageSets" / "2017" / "val.txt", ["boat", "dogs", *whole])
    ended = run(*options, "--partial", folder=folder)
    assert ended.code == 0, ended.err
    assert "has 1 sequence of the benchmark" in ended.err
    assert "davis2017, masks, 2 sequences" in ended.out


# YouTube-VOS


LATE = [scene((1, 4 + i, 10, 10, 10), *([(4, 40, 10, 12, 8)] if i >= 2 else [])) for i in range(5)]
STEMS = [f"{5 * i:05}" for i in range(5)]


@pytest.fixture
def youtube(tmp_path: Path) -> Path:
    """train/ with one video, whose object 4 appears in the third mask; held/ with the same and another category."""
    for part, category in (("train", "dog"), ("held", "yak")):
        add_meta(tmp_path / part / "meta.json", {"0a1": {1: ("dog", STEMS), 4: (category, STEMS[2:])}})
        add_masks(tmp_path / part / "Annotations" / "0a1", LATE, step=5)
    missed = [np.where((mask == 4) & (i == 4), 9, mask) for i, mask in enumerate(LATE)]
    add_masks(tmp_path / "results" / "good" / "0a1", missed, step=5)
    return tmp_path


def test_objects_of_youtube_vos_count_from_the_frame_after_that_they_appear_in(youtube: Path) -> None:
    good = youtube / "results" / "good" / "0a1"
    (good / "00000.png").unlink()  # given to the tracker
    (good / "00007.png").write_bytes(png(LATE[0]))  # of a frame without truth
    (row,) = compare(youtube, benchmark="youtubevos", root="train")
    assert float(row["J mean"]) == pytest.approx((1 + 1 / 2) / 2)  # of object 4 count 00015 and 00020, which has another number
    assert "G" not in row
    sequences = open_benchmark("youtubevos", youtube / "train")[1]
    assert [(one.name, len(one), one.object_class) for one in sequences] == [("0a1_1", 5, "dog"), ("0a1_4", 3, "dog")]


def test_seen_and_unseen_categories_make_the_score_of_youtube_vos(youtube: Path) -> None:
    (row,) = compare(youtube, benchmark="youtubevos", root="held")
    seen, unseen = (1.0, 1.0), (float(row["J unseen"]), float(row["F unseen"]))
    assert (float(row["J seen"]), float(row["F seen"])) == seen
    assert unseen == (0.5, 0.5)
    assert float(row["G"]) == pytest.approx((sum(seen) + sum(unseen)) / 4)
    by = compare(youtube, "--by", "attribute", "--measure", "region", benchmark="youtubevos", root="held")
    assert {row["attribute"]: row["good"] for row in by} == {"seen": "1", "unseen": "0.5"}


def test_only_videos_with_their_truth_are_scored(youtube: Path) -> None:
    held = youtube / "held"
    content = json.loads((held / "meta.json").read_text())
    content["videos"]["0b2"] = content["videos"]["0a1"]
    (held / "meta.json").write_text(json.dumps(content))
    add_masks(held / "Annotations" / "0b2", LATE[:1], step=5)
    assert [one.name for one in open_benchmark("youtubevos", held)[1]] == ["0a1_1", "0a1_4"]
    options = ("compare", "results", "--benchmark", "youtubevos", "--root", "held")
    refused((*options, "--sequences", "0b2"), INPUT, "not in 'held': 0b2", folder=youtube)
    refused((*options, "--sequences", "0a1_2"), INPUT, "no object '0a1_2'", folder=youtube)
    (held / "Annotations" / "0a1" / "00010.png").unlink()
    refused(options, INPUT, "No video in 'held'", "not public", folder=youtube)


# reports


def test_a_report_shows_outlines_and_the_overlap_over_time(folder: Path) -> None:
    for video in ("dogs", "boat"):
        add_pictures(folder / "DAVIS" / "JPEGImages" / "480p" / video, FRAMES)
    ring = scene((1, 20, 20, 15, 9), (0, 24, 23, 5, 3))
    (folder / "results" / "half" / "boat" / "00003.png").write_bytes(png(ring))
    more = ("--tables", "tables", "--out", "page.html")
    ended = run("report", "results", "--benchmark", "davis2017", "--root", "DAVIS", *WHICH, *more, folder=folder)
    assert ended.code == 0, ended.err
    assert {path.name for path in (folder / "tables").iterdir()} >= {"masks_ranking.csv", "masks_sequences.tex"}
    root = Page((folder / "page.html").read_text(encoding="utf-8")).root
    assert column(root.all("table", "sortable")[0], 0) == ["exact", "half"]
    data = json.loads(root.all("script")[0].text)["sequences"]
    exact, half = data["dogs_1"]["lines"]
    assert exact == [None, *[100] * 6, None]
    assert half == [None, *[33] * 6, None]
    (moment,) = [one for one in data["boat_1"]["strip"] if one["frame"] == 3]
    exact, half = moment["regions"]
    assert len(half) == 2  # outside and inside of the ring
    assert sorted(map(tuple, np.reshape(exact[0], (-1, 2)))) == [(20.5, 23.5), (20.5, 28.5), (34.5, 23.5), (34.5, 28.5)]
    assert moment["truth"] == exact
    assert moment["overlaps"][0] == 1
    assert read_labels(folder / "DAVIS" / "Annotations" / "480p" / "boat" / "00003.png")[23, 20] == 1


def test_published_rows_are_those_of_the_whole_benchmark(folder: Path) -> None:
    options = ("compare", "results", "--benchmark", "davis2017", "--root", "DAVIS", *WHICH)
    refused((*options, "--published"), INPUT, "those of all 61 sequences", folder=folder)
