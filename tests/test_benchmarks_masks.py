"""DAVIS and YouTube-VOS as benchmarks: an object of a video is a sequence, its boxes come from its masks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from benchmark_files import HEIGHT, WIDTH, add_labels, add_lines, add_pictures
from numpy.typing import NDArray

from siamtrack.datasets.palette_masks import read_labels
from siamtrack.errors import DataError, SettingsError
from siamtrack.library import open_benchmark


def labels(*objects: tuple[int, int, int, int, int]) -> NDArray[np.uint8]:
    """Number, x, y, w, h of each object."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    for number, x, y, w, h in objects:
        mask[y : y + h, x : x + w] = number
    return mask


def add_davis(root: Path, video: str, masks: list[NDArray[np.uint8]]) -> None:
    add_pictures(root / "JPEGImages" / "480p" / video, range(len(masks)), digits=5)
    for number, mask in enumerate(masks):
        add_labels(root / "Annotations" / "480p" / video / f"{number:05}.png", mask)


def test_davis_2017_has_a_sequence_for_each_object_of_the_first_frame(tmp_path: Path) -> None:
    root = tmp_path / "DAVIS"
    first, second = (1, 2, 3, 10, 8), (2, 20, 5, 4, 6)
    add_davis(root, "two", [labels(first, second), labels(first), labels(first, (3, 30, 1, 2, 2), (255, 0, 0, 1, 1))])
    add_lines(root / "ImageSets" / "2017" / "val.txt", ["two"])
    one, other = open_benchmark("davis2017-val", tmp_path, ["two"])[1]
    assert (one.name, other.name) == ("two_1", "two_2")
    assert one.boxes.tolist() == [[2, 3, 10, 8]] * 3
    assert other.first_box == (20, 5, 4, 6)
    assert np.isnan(other.boxes[1:]).all()
    assert other.masks is not None
    files, number = other.masks
    assert [path.name for path in files] == ["00000.png", "00001.png", "00002.png"]
    assert (read_labels(files[0]) == number).sum() == 24
    assert other.image_size == (WIDTH, HEIGHT)
    assert [sequence.name for sequence in open_benchmark("davis2017-val", root, ["two_2"])[1]] == ["two_2"]
    with pytest.raises(SettingsError, match=r"has no object 'two_4'. Did you mean 'two_"):
        open_benchmark("davis2017-val", root, ["two_4"])
    with pytest.raises(SettingsError, match="no sequence 'three'"):
        open_benchmark("davis2017-val", root, ["three_1"])
    with pytest.raises(DataError, match=r"Found 1 video in .*; DAVIS 2017, validation has 30.*--sequences"):
        open_benchmark("davis2017-val", root)


def test_davis_2016_has_one_object_a_video(tmp_path: Path) -> None:
    add_davis(tmp_path, "bear", [labels((255, 2, 3, 10, 8)), labels((255, 4, 3, 10, 8))])
    add_lines(
        tmp_path / "ImageSets" / "480p" / "val.txt",
        [f"/JPEGImages/480p/bear/{i:05}.jpg /Annotations/480p/bear/{i:05}.png" for i in range(2)],
    )
    (bear,) = open_benchmark("davis2016-val", tmp_path, ["bear"])[1]
    assert bear.name == "bear"
    assert bear.boxes.tolist() == [[2, 3, 10, 8], [4, 3, 10, 8]]
    assert bear.masks is not None
    files, number = bear.masks
    assert number is None  # all that is not 0
    assert (read_labels(files[1]) > 0).sum() == 80


def test_youtube_vos_begins_where_the_object_appears(tmp_path: Path) -> None:
    root = tmp_path / "valid"
    frames = ["00000", "00005", "00010", "00015"]
    add_pictures(root / "JPEGImages" / "0a1", [int(frame) for frame in frames], digits=5)
    add_labels(root / "Annotations" / "0a1" / "00000.png", labels((1, 2, 3, 10, 8)))
    add_labels(root / "Annotations" / "0a1" / "00005.png", labels((4, 20, 5, 4, 6)))
    objects = {"1": {"category": "ape", "frames": frames}, "4": {"category": "ape", "frames": frames[1:]}}
    add_lines(root / "meta.json", [json.dumps({"videos": {"0a1": {"objects": objects}}})])
    one, other = open_benchmark("youtube-vos-val", tmp_path)[1]
    assert (one.name, len(one), one.first_box) == ("0a1_1", 4, (2, 3, 10, 8))
    assert (other.name, len(other), other.first_box) == ("0a1_4", 3, (20, 5, 4, 6))
    assert [path.stem for path in other.frames] == frames[1:]
    assert np.isnan(other.boxes[1:]).all()
    assert other.masks is None
    add_labels(root / "Annotations" / "0a1" / "00005.png", labels((1, 20, 5, 4, 6)))
    with pytest.raises(DataError, match="shows no object 4"):
        open_benchmark("youtube-vos-val", tmp_path, ["0a1_4"])
    add_lines(root / "meta.json", [json.dumps({"videos": {"0a1": {"objects": {"1": {"category": "ape", "frames": []}}}}})])
    with pytest.raises(DataError, match="video '0a1': expected objects with the frames"):
        open_benchmark("youtube-vos-val", tmp_path)
    for damaged in (
        {},
        {"objects": [1]},
        {"objects": {"x": {"category": "ape", "frames": frames}}},
        {"objects": {"1": None}},
        None,
    ):
        (root / "meta.json").write_text(json.dumps({"videos": {"0a1": damaged}}), encoding="utf-8")
        for name in ("youtube-vos-val", "youtubevos"):
            with pytest.raises(DataError, match=r"video '0a1': expected objects with their category"):
                open_benchmark(name, tmp_path)
