"""GOT-10k, LaSOT and TrackingNet from folders laid out as their archives unpack."""

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
from annotated_clips import put

from siamtrack.datasets.got10k import GOT10k
from siamtrack.datasets.lasot import LaSOT
from siamtrack.datasets.trackingnet import TrackingNet
from siamtrack.errors import DataError
from siamtrack.library import open_training_set

META = """[METAINFO]
url: https://youtu.be/b0ZnfLI8YPw?a=100%25&t=7
begin: 00:00:29
end: 00:00:42
anno_fps: 10Hz
object_class: JetLev-Flyer
motion_class: uptaking
major_class: powered aircraft
root_class: vehicle
motion_adverb: fast
resolution: (96, 64)
"""
BOXES = "347.0000,443.0000,429.0000,272.0000\n-1,-1,-1,-1\n1.5,2.25,0,8\n12,NaN,4,4\n"


def write_frames(folder: Path, names: list[str]) -> None:
    """Each frame has its own grey, 10 times its number in the list."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        cv2.imwrite(str(folder / name), np.full((64, 96, 3), 10 * number, np.uint8))


def greys(clip) -> list[int]:
    return [round(float(clip.frames.read(position).mean())) for position in range(len(clip.frames))]


def write_got10k(folder: Path, name: str = "GOT-10k_Train_000001") -> Path:
    write_frames(folder / name, [f"{n:08d}.jpg" for n in range(1, 5)])
    put(folder / name / "._00000001.jpg", "left by macOS")
    put(folder / name / "groundtruth.txt", BOXES)
    put(folder / name / "absence.label", "0\n1\n0\n0\n")
    put(folder / name / "cover.label", "8\n0\n3\n4\n")
    put(folder / name / "cut_by_image.label", "0\n0\n0\n1\n")
    put(folder / name / "meta_info.ini", META)
    names = sorted(path.name for path in folder.glob("GOT-10k_Train_*"))
    put(folder / "list.txt", "\n".join(names) + "\n")
    return folder / name


def write_lasot(root: Path, name: str = "airplane-1", frames: int = 4) -> Path:
    folder = root / name.rpartition("-")[0] / name
    write_frames(folder / "img", [f"{n:08d}.jpg" for n in range(1, frames + 1)])
    put(folder / "groundtruth.txt", "367,101,41,16\n" * frames)
    put(folder / "full_occlusion.txt", ",".join("0100"[:frames]) + "\n")
    put(folder / "out_of_view.txt", ",".join("0001"[:frames]))
    put(folder / "nlp.txt", "white airplane landing on ground")
    return folder


def write_trackingnet(root: Path, part: str = "TRAIN_0", name: str = "-3TIfnTSM6c_2") -> Path:
    write_frames(root / part / "frames" / name, [f"{n}.jpg" for n in range(12)])
    return put(root / part / "anno" / f"{name}.txt", " 1.00,102.00,245.00,174.00\n-4.07,96.34,236.30,172.80\n" * 6)


def break_line(path: Path, number: int, text: str) -> None:
    lines = path.read_text().split("\n")
    lines[number - 1] = text
    path.write_text("\n".join(lines))


@pytest.mark.parametrize("given", ["", "train"])
def test_got10k(tmp_path, given):
    write_got10k(tmp_path / "train", "GOT-10k_Train_000002")
    write_got10k(tmp_path / "train")
    put(tmp_path / "val/list.txt", "GOT-10k_Val_000001\n")
    data = open_training_set(tmp_path / given)
    assert (data.name, list(data.names)) == ("got10k", ["GOT-10k_Train_000001", "GOT-10k_Train_000002"])
    clip = pickle.loads(pickle.dumps(data)).clip("GOT-10k_Train_000001")
    assert (clip.name, clip.size, clip.targets[0].category) == ("GOT-10k_Train_000001", (96, 64), "JetLev-Flyer")
    assert greys(clip) == [0, 10, 20, 30]
    nan = [np.nan] * 4
    np.testing.assert_array_equal(clip.targets[0].boxes, [[346, 442, 429, 272], nan, [0.5, 1.25, 0, 8], nan])
    np.testing.assert_array_equal(clip.targets[0].visibility, [1, 0, 3 / 8, 0.5])
    assert clip.targets[0].positions.tolist() == [0, 1, 2, 3]


def test_got10k_box_without_area_in_a_frame_with_the_target_stays(tmp_path):
    folder = write_got10k(tmp_path / "train")
    put(folder / "absence.label", "0\n0\n0\n0\n")
    np.testing.assert_array_equal(GOT10k(tmp_path).clip(folder.name).targets[0].boxes[1], [-2, -2, -1, -1])


def test_got10k_of_evaluation_videos(tmp_path):
    put(tmp_path / "list.txt", "GOT-10k_Val_000001\n")
    assert not GOT10k.recognises(tmp_path)
    with pytest.raises(DataError, match=r"list\.txt' names 'GOT-10k_Val_000001'; expected training sequences only"):
        GOT10k(tmp_path)


def test_got10k_list(tmp_path):
    with pytest.raises(DataError, match=r"no '.*train.list\.txt' and no '.*list\.txt'"):
        GOT10k(tmp_path)
    write_got10k(tmp_path / "train")
    put(tmp_path / "train/list.txt", "GOT-10k_Train_000001\nGOT-10k_Train_000002\nGOT-10k_Train_000003\n")
    with pytest.raises(
        DataError, match=r"names 3 sequences, and 2 of them have no folder in '.*train', .* GOT-10k_Train_000002"
    ):
        GOT10k(tmp_path)
    put(tmp_path / "train/list.txt", "\n")
    with pytest.raises(DataError, match=r"list\.txt' is empty"):
        GOT10k(tmp_path)


@pytest.mark.parametrize(
    ("file", "line", "text", "message"),
    [
        ("groundtruth.txt", 2, "1,2,x,4", r"groundtruth\.txt, line 2: found '1,2,x,4'"),
        ("groundtruth.txt", 4, "", r"groundtruth\.txt' speaks of 3 frames, and '.*000001' holds 4"),
        ("absence.label", 3, "2", r"absence\.label, line 3: found '2', expected a whole number from 0 to 1"),
        ("cover.label", 1, "9", r"cover\.label, line 1: found '9', expected a whole number from 0 to 8"),
        ("cover.label", 4, "0\n0", r"cover\.label' speaks of 5 frames, and '.*' holds 4"),
        ("meta_info.ini", 11, "resolution: 96x64", r"meta_info\.ini': found resolution '96x64', expected \(width, height\)"),
        ("meta_info.ini", 1, "", r"no meta_info\.ini of GOT-10k"),
    ],
)
def test_got10k_damaged_files(tmp_path, file, line, text, message):
    folder = write_got10k(tmp_path / "train")
    break_line(folder / file, line, text)
    with pytest.raises(DataError, match=message):
        GOT10k(tmp_path).clip(folder.name)


@pytest.mark.parametrize("file", ["groundtruth.txt", "absence.label", "cover.label", "meta_info.ini"])
def test_got10k_missing_files(tmp_path, file):
    folder = write_got10k(tmp_path / "train")
    (folder / file).unlink()
    with pytest.raises(DataError, match=rf"{file}.*No such file"):
        GOT10k(tmp_path).clip(folder.name)


def test_got10k_meta_that_says_less(tmp_path):
    folder = write_got10k(tmp_path / "train")
    put(folder / "meta_info.ini", "[METAINFO]\nanno_fps: 10Hz\n")
    clip = GOT10k(tmp_path).clip(folder.name)
    assert (clip.size, clip.targets[0].category) == (None, "")


def test_lasot(tmp_path):
    for name in ("airplane-1", "airplane-15", "bear-2"):
        write_lasot(tmp_path, name)
    put(tmp_path / "training_set.txt", "bear-2\nairplane-1\n")
    data = open_training_set(tmp_path)
    assert (data.name, list(data.names)) == ("lasot", ["airplane-1", "bear-2"])
    clip = pickle.loads(pickle.dumps(data)).clip("airplane-1")
    assert clip.targets[0].category == "airplane"
    assert greys(clip) == [0, 10, 20, 30]
    there, nan = [366, 100, 41, 16], [np.nan] * 4
    np.testing.assert_array_equal(clip.targets[0].boxes, [there, nan, there, nan])
    np.testing.assert_array_equal(clip.targets[0].visibility, [np.nan, 0, np.nan, 0])


def test_lasot_without_its_lists(tmp_path):
    write_lasot(tmp_path, "airplane-1")
    write_lasot(tmp_path, "airplane-15")
    assert LaSOT.recognises(tmp_path)
    with pytest.raises(DataError, match=r"neither '.*training_set\.txt' nor 'testing_set\.txt'"):
        open_training_set(tmp_path)
    put(tmp_path / "testing_set.txt", "airplane-15\nzebra-10\n")
    assert LaSOT(tmp_path).names == ["airplane-1"]
    put(tmp_path / "testing_set.txt", "airplane-1\nairplane-15\n")
    with pytest.raises(DataError, match="no training sequence in"):
        LaSOT(tmp_path)


def test_lasot_of_some_categories(tmp_path):
    write_lasot(tmp_path, "airplane-1")
    put(tmp_path / "training_set.txt", "airplane-1\nairplane-2\nzebra-1\n")
    with pytest.raises(DataError, match=r"names 3 sequences, and 2 of them have no folder in .* airplane-2\."):
        LaSOT(tmp_path)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("out_of_view.txt", "0,0,0", r"out_of_view\.txt' speaks of 3 frames, and '.*img' holds 4"),
        ("full_occlusion.txt", "0,0,,0", r"full_occlusion\.txt, line 1: found '', expected a whole number from 0 to 1"),
        ("groundtruth.txt", "1,2,3,4\n" * 5, r"groundtruth\.txt' speaks of 5 frames, and '.*img' holds 4"),
    ],
)
def test_lasot_damaged_files(tmp_path, file, text, message):
    folder = write_lasot(tmp_path)
    put(tmp_path / "training_set.txt", "airplane-1\n")
    put(folder / file, text)
    with pytest.raises(DataError, match=message):
        LaSOT(tmp_path).clip("airplane-1")


def test_lasot_without_frames(tmp_path):
    folder = write_lasot(tmp_path)
    put(tmp_path / "training_set.txt", "airplane-1\n")
    for path in (folder / "img").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"no frames in '.*img'"):
        LaSOT(tmp_path).clip("airplane-1")


def test_trackingnet(tmp_path):
    write_trackingnet(tmp_path)
    write_trackingnet(tmp_path, "TRAIN_11", "_aA0_0")
    put(tmp_path / "TRAIN_11/anno/.DS_Store.txt", "")
    put(tmp_path / "TRAIN_3/anno/only_annotated_0.txt", "1,2,3,4\n")  # a part whose frames were not fetched
    put(tmp_path / "TEST/anno/test_0.txt", "1,2,3,4\n")
    write_frames(tmp_path / "TEST/frames/test_0", ["0.jpg"])
    data = open_training_set(tmp_path)
    assert (data.name, list(data.names)) == ("trackingnet", ["TRAIN_0/-3TIfnTSM6c_2", "TRAIN_11/_aA0_0"])
    clip = pickle.loads(pickle.dumps(data)).clip("TRAIN_0/-3TIfnTSM6c_2")
    assert greys(clip) == list(range(0, 120, 10))  # 10.jpg after 9.jpg, not after 1.jpg
    np.testing.assert_array_equal(clip.targets[0].boxes, [[1, 102, 245, 174], [-4.07, 96.34, 236.3, 172.8]] * 6)
    assert np.isnan(clip.targets[0].visibility).all()


def test_trackingnet_incomplete(tmp_path):
    with pytest.raises(DataError, match="no TRAIN_0/frames to TRAIN_11/frames"):
        TrackingNet(tmp_path)
    path = write_trackingnet(tmp_path)
    break_line(path, 12, "")
    with pytest.raises(DataError, match=r"_2\.txt' speaks of 11 frames, and '.*_2' holds 12"):
        TrackingNet(tmp_path).clip("TRAIN_0/-3TIfnTSM6c_2")
    put(path.with_name("zip_not_extracted_0.txt"), "1,2,3,4\n")
    with pytest.raises(
        DataError, match=r"names 2 sequences, and 1 of them have no folder in '.*frames', .* zip_not_extracted_0"
    ):
        TrackingNet(tmp_path)
    for file in path.parent.iterdir():
        file.unlink()
    with pytest.raises(DataError, match=r"no annotations in '.*anno'"):
        TrackingNet(tmp_path)


def test_each_set_recognises_itself_only(tmp_path):
    write_got10k(tmp_path / "GOT10k/train")
    write_lasot(tmp_path / "LaSOT")
    write_trackingnet(tmp_path / "TrackingNet")
    (tmp_path / "nothing").mkdir()
    for kind in (GOT10k, LaSOT, TrackingNet):
        assert [path.name for path in sorted(tmp_path.iterdir()) if kind.recognises(path)] == [kind.__name__]
