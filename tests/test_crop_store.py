"""Crops on disk: the same as those cut from the frames, whatever happens while they are written."""

from __future__ import annotations

import json
import pickle
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import lmdb
import numpy as np
import pytest
from small_sets import SmallSet, add_clip, small_set, walk
from stored_crops import CROPS, SMALL, content

from siamtrack.datasets import crop_database, crop_records
from siamtrack.datasets.crop_manifest import Storing
from siamtrack.datasets.crop_records import BLOCK, blocks_of, croppable
from siamtrack.datasets.crop_store import DATABASE, MANIFEST, StoredCrops
from siamtrack.datasets.crop_writing import write_crops
from siamtrack.datasets.crops import CropSettings, CropsOfFrames
from siamtrack.errors import DataError, MissingExtraError, OutputError, SettingsError

NOT_POSIX = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL and fork")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SmallSet:
    return small_set(tmp_path_factory.mktemp("set") / "data")


@pytest.fixture(scope="module")
def whole(made: SmallSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The crops of an undisturbed run."""
    out = tmp_path_factory.mktemp("crops") / "out"
    assert write_crops(made, out, SMALL).crops == CROPS
    return out


def rows(crops: StoredCrops | CropsOfFrames) -> Iterator[tuple[str, int, int]]:
    for clip in crops.names:
        for number, target in enumerate(crops.targets(clip)):
            yield from ((clip, number, int(index)) for index in np.flatnonzero(croppable(target.boxes)))


# Reading


def test_crops_are_those_of_the_frames_to_the_bit(made: SmallSet, whole: Path) -> None:
    stored, cut = StoredCrops(whole), CropsOfFrames(made, SMALL.crops)
    assert (stored.name, stored.settings, list(stored.names)) == (cut.name, cut.settings, list(cut.names))
    compared = list(rows(cut))
    for clip, target, index in compared:
        a, b = stored.crop(clip, target, index), cut.crop(clip, target, index)
        assert np.array_equal(a.image, b.image)
        assert a.image.flags.c_contiguous
        assert a.fill == b.fill
    assert len(compared) == CROPS
    assert {clip for clip, _, _ in compared} == {"a", "b", "c"}


def test_annotations_are_kept_as_they_were(made: SmallSet, whole: Path) -> None:
    stored, cut = StoredCrops(whole), CropsOfFrames(made, SMALL.crops)
    for clip in cut.names:
        assert stored.frame_size(clip) == cut.frame_size(clip) == (96, 64)
        assert len(stored.targets(clip)) == len(cut.targets(clip))
        for a, b in zip(stored.targets(clip), cut.targets(clip), strict=True):
            assert (a.name, a.category) == (b.name, b.category)
            for name in ("positions", "boxes", "visibility"):
                np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
                assert getattr(a, name).dtype == getattr(b, name).dtype


@pytest.mark.parametrize(("target", "index"), [(0, 3), (1, 0), (1, 1), (0, 8), (2, 0)])
def test_a_row_without_crop_is_refused(whole: Path, target: int, index: int) -> None:
    with pytest.raises(DataError, match=f"no crop of target {target} of 'a' in row {index}"):
        StoredCrops(whole).crop("a", target, index)


def test_opened_twice_pickled_and_forked(made: SmallSet, whole: Path) -> None:
    first, second = StoredCrops(whole), StoredCrops(whole)
    expected = first.crop("a", 0, 0).image
    assert np.array_equal(second.crop("a", 0, 0).image, expected)
    third = pickle.loads(pickle.dumps(first))
    assert np.array_equal(third.crop("a", 0, 0).image, expected)
    assert first.digest() == third.digest() == f"small {json.loads((whole / MANIFEST).read_text())['sha256']}"


@NOT_POSIX
def test_read_after_a_fork(whole: Path) -> None:
    script = (
        "import os, sys, pathlib\n"
        "from siamtrack.datasets import crop_store\n"
        "from siamtrack.datasets.crop_store import StoredCrops\n"
        "crops = StoredCrops(pathlib.Path(sys.argv[1]))\n"
        "before = crops.crop('c', 0, 5).image.sum()\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    same = crops.crop('c', 0, 5).image.sum() == before\n"
        "    own = [process for process, _ in crop_store._opened.values()] == [os.getpid()]\n"
        "    os._exit(0 if same and own else 1)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "assert crops.crop('c', 0, 5).image.sum() == before\n"
    )
    subprocess.run([sys.executable, "-c", script, str(whole)], check=True)


def test_jpeg_is_smaller_and_close(made: SmallSet, whole: Path, tmp_path: Path) -> None:
    write_crops(made, tmp_path / "out", Storing(crops=SMALL.crops, jpeg=90))
    jpeg, png = StoredCrops(tmp_path / "out"), StoredCrops(whole)
    a, b = jpeg.crop("a", 0, 0), png.crop("a", 0, 0)
    assert a.fill == b.fill
    assert not np.array_equal(a.image, b.image)
    assert np.abs(a.image.astype(int) - b.image).mean() < 12  # of noise, which suits JPEG least
    size = {out: sum(len(value) for key, value in content(out).items() if key[:1] == b"P") for out in (tmp_path / "out", whole)}
    assert size[tmp_path / "out"] < 0.7 * size[whole]


def test_every_third_frame(made: SmallSet, tmp_path: Path) -> None:
    write_crops(made, tmp_path / "out", Storing(crops=SMALL.crops, every=3))
    stored = StoredCrops(tmp_path / "out")
    assert [list(target.positions) for target in stored.targets("a")] == [[0, 3, 6], [0, 3, 6]]
    expected = CropsOfFrames(made, SMALL.crops).crop("a", 1, 6)
    assert np.array_equal(stored.crop("a", 1, 2).image, expected.image)


def test_damage_is_found(made: SmallSet, whole: Path, tmp_path: Path) -> None:
    out = shutil.copytree(whole, tmp_path / "out")
    key = crop_records.crop_key(1, 0, 4)
    with lmdb.open(str(out / DATABASE), subdir=False) as environment, environment.begin(write=True) as transaction:
        value = bytearray(transaction.get(key))
        value[-9] ^= 1
        transaction.put(key, bytes(value))
        transaction.delete(crop_records.crop_key(0, 0, 0))
        transaction.delete(crop_records.clip_key(3))
        record = transaction.get(crop_records.clip_key(2))
        transaction.put(crop_records.clip_key(2), record[:-1] + b"!")
    stored = StoredCrops(out)
    assert ["frames 0 to 7" in line for line in stored.damage("b")] == [True]
    assert len(stored.damage("a")) == 1
    assert "index of 'c'" in stored.damage("c")[0]
    assert "index of 'empty'" in stored.damage("empty")[0]


# Writing


def test_workers_write_the_same(made: SmallSet, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crop_records, "BLOCK", 3)  # blocks are made here, not in the workers
    write_crops(made, tmp_path / "one", SMALL)
    write_crops(made, tmp_path / "two", SMALL, workers=2)
    assert content(tmp_path / "one") == content(tmp_path / "two")
    crops = {key: value for key, value in content(whole).items() if key[:1] == b"P"}
    assert crops.items() <= content(tmp_path / "two").items()


def test_blocks_are_bounded_and_lose_nothing(tmp_path: Path) -> None:
    add_clip(tmp_path, "long", {str(k): walk(60, step=0.1, start=k) for k in range(7)}, frames=60)
    blocks = blocks_of(SmallSet(tmp_path).clip("long").targets)
    sizes = [sum(len(rows) for _, rows in block) for block in blocks]
    assert max(sizes) <= BLOCK < max(sizes) + 7
    assert [position for block in blocks for position, _ in block] == list(range(60))
    assert sum(sizes) == 420


KILLED = """
import dataclasses, os, signal, sys, pathlib
sys.path.insert(0, sys.argv[1])
from siamtrack.datasets import crop_database, crop_records, crop_writing
from small_sets import MaskedSet
from stored_crops import SMALL
crop_records.BLOCK = 3
crop_database.BLOCK = 4
data, out, moment, number = pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]), sys.argv[4], int(sys.argv[5])
log = open(sys.argv[6], "a")

def counted(function, what):
    left = [number]
    def call(*arguments):
        if what == "cut":
            print(*arguments[1], file=log, flush=True)
        left[0] -= what == moment
        if left[0] == 0 and what == moment == "transaction":
            with arguments[0]._environment.begin(write=True) as transaction:
                for key, value in arguments[0]._changes.items():
                    if value is not None:
                        transaction.put(key, value)
                os.kill(os.getpid(), signal.SIGKILL)
        result = function(*arguments)
        if left[0] == 0 and what == moment:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return call

crop_writing.cut_crop = counted(crop_writing.cut_crop, "cut")
crop_database.Database._write = counted(counted(crop_database.Database._write, "transaction"), "written")
crop_writing.write_manifest = counted(crop_writing.write_manifest, "manifest")
crop_writing.finished = counted(crop_writing.finished, "finished")
crop_writing.write_crops(MaskedSet(data), out, dataclasses.replace(SMALL, masks=sys.argv[7] == "True"))
"""


def killed_at(moment: str, number: int, made: SmallSet, out: Path, log: Path, *, masks: bool) -> int:
    here = str(Path(__file__).parent)
    arguments = [here, str(made.root), str(out), moment, str(number), str(log), str(masks)]
    return subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False).returncode


@NOT_POSIX
@pytest.mark.parametrize(
    ("moment", "number", "masks"),
    [
        ("cut", 1, False),
        ("cut", 17, False),
        ("cut", 17, True),
        ("transaction", 3, False),
        ("transaction", 3, True),
        ("written", 2, False),
        ("written", 4, False),
        ("manifest", 1, False),
        ("finished", 1, False),
    ],
)
def test_killed_at_any_moment_it_goes_on(moment: str, number: int, masks: bool, made: SmallSet, tmp_path: Path) -> None:
    undisturbed, out = tmp_path / "undisturbed", tmp_path / "out"
    assert killed_at("never", 1, made, undisturbed, tmp_path / "log-undisturbed", masks=masks) == 0
    assert killed_at(moment, number, made, out, tmp_path / "log", masks=masks) == -signal.SIGKILL
    line = rf"siamtrack data crop .* --as small --out .* --template-size 32 --size 79{' --masks' * masks}$"
    with pytest.raises(DataError, match=rf"not all there yet. Go on with: {line}"):
        StoredCrops(out)
    kept = sum(key[:1] == b"P" for key in content(out)) if (out / DATABASE).exists() else 0
    before = len((tmp_path / "log").read_text().splitlines())
    assert (kept == CROPS) == (moment == "finished")
    assert killed_at("never", 1, made, out, tmp_path / "log", masks=masks) == 0
    after = len((tmp_path / "log").read_text().splitlines()) - before
    assert kept + after == CROPS  # what was written is not cut again
    assert content(out) == content(undisturbed)
    assert {key[:1] for key in content(out)} == {b"C", b"P"}
    assert StoredCrops(out).digest() == StoredCrops(undisturbed).digest()
    with mock.patch.object(crop_records, "BLOCK", 3):
        assert not any(StoredCrops(out).damage(name) for name in made.names)


def test_done_is_done(made: SmallSet, whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SmallSet, "clip", None)  # nothing is read again
    manifest = (whole / MANIFEST).stat().st_mtime_ns
    tally = write_crops(made, whole, SMALL)
    assert (tally.cut, tally.crops, tally.clips) == (0, CROPS, 4)
    assert (whole / MANIFEST).stat().st_mtime_ns == manifest


def test_grows_when_the_map_is_full(made: SmallSet, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crop_database, "_MAP_SIZE", 32 * 1024)
    write_crops(made, tmp_path / "out", SMALL)
    assert (tmp_path / "out" / DATABASE).stat().st_size > 4 * 32 * 1024
    assert content(tmp_path / "out") == content(whole)


def test_a_full_disk(made: SmallSet, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")  # a limit that the system itself keeps
    out = tmp_path / "out"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with mock.patch.object(crop_records, "BLOCK", 3), mock.patch.object(crop_database, "BLOCK", 4):
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
        try:
            with pytest.raises(OutputError, match=r"cannot be written to '.*crops.mdb': .*The same command goes on"):
                write_crops(made, out, SMALL)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        kept = sum(key[:1] == b"P" for key in content(out))
        assert 0 < kept < CROPS
        tally = write_crops(made, out, SMALL)
        assert (tally.crops, tally.cut) == (CROPS, CROPS - kept)
        assert not any(StoredCrops(out).damage(name) for name in made.names)


# What is refused


@pytest.mark.parametrize(
    ("storing", "text"),
    [
        (Storing(crops=CropSettings(size=80, template_size=32)), "size 79, not 80"),
        (Storing(crops=SMALL.crops, jpeg=90), "jpeg none, not 90"),
        (Storing(crops=SMALL.crops, every=2), "every 1, not 2"),
    ],
)
def test_other_settings_are_refused(made: SmallSet, whole: Path, storing: Storing, text: str) -> None:
    before = content(whole)
    with pytest.raises(OutputError, match=text):
        write_crops(made, whole, storing)
    assert content(whole) == before


def test_other_clips_and_other_folders_are_refused(made: SmallSet, whole: Path, tmp_path: Path) -> None:
    add_clip(tmp_path / "data", "other", {"0": walk(3)})
    with pytest.raises(OutputError, match="other clips or annotations of 'small'"):
        write_crops(SmallSet(tmp_path / "data"), whole, SMALL)
    with pytest.raises(OutputError, match=r"holds something else \(other, ...\)"):
        write_crops(made, tmp_path / "data", SMALL)
    with pytest.raises(DataError, match="is no folder of crops"):
        StoredCrops(tmp_path / "data")


def test_impossible_settings() -> None:
    for wrong in ({"jpeg": 0}, {"jpeg": 101}, {"every": 0}):
        with pytest.raises(SettingsError):
            Storing(**wrong)


def test_without_lmdb(made: SmallSet, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lmdb", None)
    with pytest.raises(MissingExtraError, match=r"siamtrack\[train\]"):
        StoredCrops(whole)
    with pytest.raises(MissingExtraError, match="Storing crops"):
        write_crops(made, tmp_path / "out", SMALL)
    assert not (tmp_path / "out").exists()
