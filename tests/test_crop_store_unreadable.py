"""Crops of data that cannot all be read: what is missing is left out, listed, and cut once it can be read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from small_sets import SmallSet, add_clip, small_set, walk
from stored_crops import CROPS, SMALL, content

from siamtrack.datasets import crop_database, crop_records, crop_writing
from siamtrack.datasets.crop_store import MANIFEST, StoredCrops, read_manifest
from siamtrack.datasets.crop_writing import write_crops
from siamtrack.datasets.crops import Crop
from siamtrack.errors import DataError, OutputError


def test_unreadable_frames_are_left_out_listed_and_tried_again(tmp_path: Path) -> None:
    made, out = small_set(tmp_path / "data"), tmp_path / "out"
    picture = made.root / "b" / "002.png"
    good = picture.read_bytes()
    picture.write_bytes(good[:40])
    assert write_crops(made, out, SMALL).unreadable == 1
    (entry,) = json.loads((out / MANIFEST).read_text())["unreadable"]
    assert (entry["clip"], entry["frame"]) == ("b", 2)
    assert str(picture) in entry["reason"]
    with pytest.raises(DataError, match="row 2"):
        StoredCrops(out).crop("b", 0, 2)
    assert np.isfinite(StoredCrops(out).targets("b")[0].boxes).all()
    assert StoredCrops(out).damage("b") == []
    before = StoredCrops(out).digest()
    picture.write_bytes(good)
    tally = write_crops(made, out, SMALL)
    assert (tally.crops, tally.unreadable, tally.cut) == (CROPS, 0, 8)
    assert json.loads((out / MANIFEST).read_text())["unreadable"] == []
    assert StoredCrops(out).crop("b", 0, 2).image.any()
    assert StoredCrops(out).digest() != before


def test_a_repaired_frame_is_cut_after_an_interruption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, out = small_set(tmp_path / "data"), tmp_path / "out"
    picture = made.root / "b" / "001.png"
    good = picture.read_bytes()
    picture.write_bytes(b"")
    monkeypatch.setattr(crop_records, "BLOCK", 3)
    monkeypatch.setattr(crop_database, "BLOCK", 1)
    with (
        mock.patch.object(crop_writing, "cut_crop", side_effect=interrupted_after(13 + 2 + 2)),
        pytest.raises(KeyboardInterrupt),
    ):
        write_crops(made, out, SMALL)
    assert sum(key[:1] == b"P" for key in content(out)) == 13 + 2  # with two crops of the block that has the damaged frame
    picture.write_bytes(good)
    tally = write_crops(made, out, SMALL)
    assert (tally.cut, tally.crops) == (CROPS - 13, CROPS)
    assert StoredCrops(out).crop("b", 0, 1).image.any()


def interrupted_after(crops: int) -> Iterator[object]:
    image = np.zeros((79, 79, 3), np.uint8)
    yield from (Crop(image, (0.0, 0.0, 0.0)) for _ in range(crops))
    raise KeyboardInterrupt


def test_a_video_that_ends_early(tmp_path: Path) -> None:
    add_clip(tmp_path / "data", "c", {"0": walk(12)}, frames=9, video=True)
    tally = write_crops(SmallSet(tmp_path / "data"), tmp_path / "out", SMALL)
    assert (tally.crops, tally.unreadable) == (9, 3)


def test_stops_when_more_than_a_hundredth_cannot_be_read(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        add_clip(tmp_path / "data", name, {"0": walk(8)})
    broken = sorted((tmp_path / "data").glob("[bc]/*.png"))
    for picture in broken[:10]:
        picture.write_bytes(b"")
    made = SmallSet(tmp_path / "data")
    assert write_crops(made, tmp_path / "ten", SMALL).unreadable == 10  # few in number
    broken[10].write_bytes(b"")
    with pytest.raises(DataError, match=r"11 of \d+ frames or annotations cannot be read.*siamtrack data check"):
        write_crops(made, tmp_path / "eleven", SMALL)


def test_a_broken_annotation_is_left_out_and_tried_again(tmp_path: Path) -> None:
    made = small_set(tmp_path / "data")
    boxes = tmp_path / "data" / "b" / "boxes.json"
    good = boxes.read_text()
    boxes.write_text("{torn")
    tally = write_crops(made, tmp_path / "out", SMALL)
    assert (tally.crops, tally.unreadable) == (CROPS - 8, 1)
    (listed,) = json.loads((tmp_path / "out" / "manifest.json").read_text())["unreadable"]
    assert listed["clip"] == "b"
    assert "is no JSON" in listed["reason"]
    assert StoredCrops(tmp_path / "out").targets("b") == ()
    boxes.write_text(good)
    assert write_crops(made, tmp_path / "out", SMALL).cut == 8
    assert content(tmp_path / "out") == content_of_a_fresh_run(made, tmp_path / "fresh")


def content_of_a_fresh_run(made: SmallSet, out: Path) -> dict[bytes, bytes]:
    write_crops(made, out, SMALL)
    return content(out)


def test_what_was_cut_beside_an_unreadable_frame_is_not_cut_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("siamtrack.datasets.crop_records.BLOCK", 2)
    folder = add_clip(tmp_path / "data", "a", {"0": walk(8)})
    (folder / "005.png").write_bytes(b"")
    made = SmallSet(tmp_path / "data")
    assert write_crops(made, tmp_path / "out", SMALL).cut == 7
    assert write_crops(made, tmp_path / "out", SMALL).cut == 1  # the other one of the block with the unreadable frame
    assert read_manifest(tmp_path / "out")["total"] == 7


def test_corrected_annotations_make_other_crops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = small_set(tmp_path / "data")
    write_crops(made, tmp_path / "out", SMALL)
    monkeypatch.setattr(SmallSet, "fingerprint", lambda _: "corrected")
    with pytest.raises(OutputError, match="other clips or annotations"):
        write_crops(made, tmp_path / "out", SMALL)
