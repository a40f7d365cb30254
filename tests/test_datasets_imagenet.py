"""ImageNet VID and DET from folders laid out as their archives unpack."""

import math
import pickle
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from annotated_clips import put, target
from hypothesis import given, settings
from hypothesis import strategies as st

from siamtrack.datasets.imagenet_det import ImageNetDET
from siamtrack.datasets.imagenet_vid import ImageNetVID
from siamtrack.errors import DataError
from siamtrack.library import open_training_set

WIDTH, HEIGHT = 48, 32
PART, SNIPPET = "ILSVRC2015_VID_train_0000", "ILSVRC2015_train_00139005"
CLIP = f"{PART}/{SNIPPET}"
DOG, CAT = "n02084071", "n02121808"
FISH = "ILSVRC2013_train/n01443537/n01443537_1000"
STREET = "ILSVRC2014_train_0003/ILSVRC2014_train_00031215"


def shown(track, corners, *, name=DOG, occluded=0, generated=0) -> str:
    """An object as VID writes it: maxima before minima."""
    xmin, ymin, xmax, ymax = corners
    box = f"<xmax>{xmax}</xmax>\n<xmin>{xmin}</xmin>\n<ymax>{ymax}</ymax>\n<ymin>{ymin}</ymin>"
    flags = f"<occluded>{occluded}</occluded>\n<generated>{generated}</generated>"
    return f"<object>\n<trackid>{track}</trackid>\n<name>{name}</name>\n<bndbox>\n{box}\n</bndbox>\n{flags}\n</object>\n"


def still(corners, name) -> str:
    """An object as DET writes it."""
    places = "".join(f"<{k}>{v}</{k}>" for k, v in zip(("xmin", "xmax", "ymin", "ymax"), corners, strict=True))
    return f"<object><name>{name}</name><bndbox>{places}</bndbox></object>"


def document(folder, stem, *objects) -> str:
    head = f"<folder>{folder}</folder>\n<filename>{stem}</filename>\n<source>\n<database>ILSVRC_2015</database>\n</source>\n"
    size = f"<size>\n<width>{WIDTH}</width>\n<height>{HEIGHT}</height>\n</size>\n"
    return f"<annotation>\n{head}{size}{''.join(objects)}</annotation>\n"


def picture(path: Path, grey: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path.with_suffix(".jpg")), np.full((HEIGHT, WIDTH, 3), grey, np.uint8))
    path.with_suffix(".jpg").rename(path)  # OpenCV knows .JPEG on some systems only


def write_vid(base: Path, *frames: str, clip: str = CLIP) -> Path:
    """A snippet with these objects frame by frame; the folder of its annotation."""
    for number, objects in enumerate(frames):
        put(base / f"Annotations/VID/train/{clip}/{number:06}.xml", document(clip, f"{number:06}", objects))
        picture(base / f"Data/VID/train/{clip}/{number:06}.JPEG", 20 * number)
    return base / "Annotations/VID/train" / clip


def write_det(base: Path, name: str, *objects: str) -> None:
    put(base / f"Annotations/DET/train/{name}.xml", document("n", "x", *objects))
    picture(base / f"Data/DET/train/{name}.JPEG", 90)


@pytest.fixture
def vid(tmp_path):
    """A track that pauses, one that begins late, a frame without objects, odd boxes."""
    write_vid(
        tmp_path,
        shown(3, (4, 6, 20, 30)),
        shown(3, (5, 6, 21, 30), occluded=1) + shown(0, (-3, 2, WIDTH + 4, 9), name=CAT),
        "",
        shown(0, (9, 9, 9, 5), name=CAT, generated=1),
        shown(3, (0, 0, WIDTH, HEIGHT)),
    )
    return tmp_path


def test_vid_targets(vid):
    data = open_training_set(vid)
    assert (data.name, data.names) == ("imagenet_vid", [CLIP])
    clip = pickle.loads(pickle.dumps(data)).clip(CLIP)
    assert (clip.name, clip.size, len(clip.frames), clip.masks) == (CLIP, (WIDTH, HEIGHT), 5, None)
    assert [one.name for one in clip.targets] == ["3", "0"]
    dog, cat = target(clip, "3"), target(clip, "0")
    assert (dog.category, cat.category) == (DOG, CAT)
    assert dog.positions.tolist() == [0, 1, 4]
    assert dog.boxes.tolist() == [[4, 6, 16, 24], [5, 6, 16, 24], [0, 0, WIDTH, HEIGHT]]
    np.testing.assert_array_equal(dog.visibility, [1, math.nan, 1])
    assert cat.positions.tolist() == [1, 3]
    assert cat.boxes.tolist() == [[-3, 2, WIDTH + 7, 7], [9, 9, 0, -4]]
    assert dog.positions.dtype == np.int64
    assert dog.boxes.dtype == dog.visibility.dtype == np.float64


def test_vid_frames_in_order(vid):
    frames = ImageNetVID(vid).clip(CLIP).frames
    greys = [int(frames.read(position).mean().round()) for position in range(5)]
    assert greys == [0, 20, 40, 60, 80]
    assert frames.label(4).endswith("000004.JPEG")


@given(
    st.lists(
        st.dictionaries(st.integers(0, 5), st.tuples(*[st.integers(-9, 2000)] * 4, st.booleans()), max_size=3),
        min_size=1,
        max_size=6,
    )
)
@settings(max_examples=25, deadline=None)
def test_vid_reads_what_was_written(frames):
    with tempfile.TemporaryDirectory() as folder:
        for number, objects in enumerate(frames):
            text = "".join(shown(track, box[:4], occluded=int(box[4])) for track, box in objects.items())
            put(Path(folder, f"Annotations/VID/train/{CLIP}/{number:06}.xml"), document(CLIP, number, text))
        Path(folder, "Data/VID/train").mkdir(parents=True)
        clip = ImageNetVID(Path(folder)).clip(CLIP)
    assert {one.name for one in clip.targets} == {str(track) for objects in frames for track in objects}
    for one in clip.targets:
        expected = {n: objects[int(one.name)] for n, objects in enumerate(frames) if int(one.name) in objects}
        assert one.positions.tolist() == list(expected)
        corners = [(x, y, x + w, y + h) for x, y, w, h in one.boxes.tolist()]
        assert corners == [box[:4] for box in expected.values()]
        assert np.isnan(one.visibility).tolist() == [box[4] for box in expected.values()]


def test_vid_names(tmp_path):
    for clip in (
        f"{PART[:-1]}1/ILSVRC2015_train_2",
        f"{PART}/ILSVRC2015_train_9",
        "ILSVRC2017_VID_train_0000/ILSVRC2017_train_1",
    ):
        write_vid(tmp_path / "ILSVRC", "", clip=clip)
    train = tmp_path / "ILSVRC/Annotations/VID/train"
    (train / "a").symlink_to(train / PART)
    write_vid(tmp_path / "ILSVRC", "", clip="e/ILSVRC2015_val_00000000")
    put(train / PART / "notes.txt", "")
    expected = [
        f"{PART}/ILSVRC2015_train_9",
        f"{PART[:-1]}1/ILSVRC2015_train_2",
        "ILSVRC2017_VID_train_0000/ILSVRC2017_train_1",
    ]
    for root in (tmp_path, tmp_path / "ILSVRC"):
        data = open_training_set(root)
        assert (data.name, data.names) == ("imagenet_vid", expected)


def test_vid_annotations_are_read_late(vid):
    path = put(vid / f"Annotations/VID/train/{CLIP}/000002.xml", "<annotation>\n<size>\n</annotation>")
    data = ImageNetVID(vid)
    with pytest.raises(DataError, match=r"000002\.xml, line 3: .*no valid XML"):
        data.clip(CLIP)
    path.write_text("")
    with pytest.raises(DataError, match=r"000002\.xml, line 1: .*no valid XML"):
        data.clip(CLIP)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            "<xmin>4</xmin>",
            "<xmin>four</xmin>",
            r"000000\.xml, line 11: found 'four' in <object> at bndbox/xmin, expected a number",
        ),
        ("<xmin>4</xmin>", "", r"000000\.xml, line 11: found '' in <object> at bndbox/xmin"),
        ("<trackid>3</trackid>", "", r"000000\.xml, line 11: the object has no trackid"),
        ("<width>48</width>", "<width/>", r"000000\.xml, line 7: found '' in <size> at width"),
        ("</annotation>", shown(3, (1, 1, 2, 2)) + "</annotation>", r"line 23: another object of this frame has the trackid 3"),
    ],
)
def test_vid_malformed(vid, before, after, message):
    path = vid / f"Annotations/VID/train/{CLIP}/000000.xml"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    with pytest.raises(DataError, match=message):
        ImageNetVID(vid).clip(CLIP)


def test_vid_missing_files(vid):
    data = ImageNetVID(vid)
    (vid / f"Data/VID/train/{CLIP}/000001.JPEG").unlink()
    clip = data.clip(CLIP)
    with pytest.raises(DataError, match=r"000001\.JPEG' cannot be read"):
        clip.frames.read(1)
    folder = vid / f"Annotations/VID/train/{CLIP}"
    (folder / "000002.xml").unlink()
    with pytest.raises(DataError, match=r"000002\.xml' is missing; the next file is 000003\.xml"):
        data.clip(CLIP)
    for path in folder.iterdir():
        path.unlink()
    with pytest.raises(DataError, match=rf"no annotation in .*{SNIPPET}'; expected 000000\.xml"):
        data.clip(CLIP)


@pytest.mark.parametrize(("kind", "task"), [(ImageNetVID, "VID"), (ImageNetDET, "DET")])
def test_missing_folders(tmp_path, kind, task):
    with pytest.raises(DataError, match=rf"no folder '.*Annotations/{task}/train'; expected .*Data/{task}/train"):
        kind(tmp_path)
    (tmp_path / f"Annotations/{task}/train").mkdir(parents=True)
    with pytest.raises(DataError, match=rf"no folder '.*Data/{task}/train'"):
        kind(tmp_path)
    (tmp_path / f"Data/{task}/train").mkdir(parents=True)
    with pytest.raises(DataError, match=rf"no (video|annotation) in '.*Annotations/{task}/train'"):
        kind(tmp_path)


@pytest.fixture
def det(tmp_path):
    write_det(tmp_path, FISH, still((5, 30, 7, 20), "n01443537"), still((0, WIDTH, 0, HEIGHT), "n01443537"))
    write_det(tmp_path, STREET, still((12, 10, 7, 7), DOG))
    write_det(tmp_path, "ILSVRC2014_train_0003/ILSVRC2014_train_00031216")
    picture(tmp_path / "Data/DET/train/ILSVRC2013_train_extra0/ILSVRC2013_train_00000001.JPEG", 1)
    picture(tmp_path / "Data/DET/train/ILSVRC2013_train/n01443537/n01443537_1.JPEG", 1)
    put(tmp_path / f"Annotations/DET/train/{STREET.rpartition('/')[0]}/._ILSVRC2014_train_00031215.xml", "\0")
    return tmp_path


def test_det(det):
    data = open_training_set(det)
    assert data.name == "imagenet_det"
    assert data.names == [FISH, STREET, "ILSVRC2014_train_0003/ILSVRC2014_train_00031216"]
    clip = pickle.loads(pickle.dumps(data)).clip(FISH)
    assert (clip.name, clip.size, len(clip.frames)) == (FISH, (WIDTH, HEIGHT), 1)
    assert clip.frames.read(0).mean() == pytest.approx(90, abs=1)
    assert [(one.name, one.category) for one in clip.targets] == [("0", "n01443537"), ("1", "n01443537")]
    assert [one.boxes.tolist() for one in clip.targets] == [[[5, 7, 25, 13]], [[0, 0, WIDTH, HEIGHT]]]
    assert all(one.positions.tolist() == [0] and np.isnan(one.visibility).all() for one in clip.targets)
    assert data.clip(STREET).targets[0].boxes.tolist() == [[12, 7, -2, 0]]
    assert data.clip(data.names[2]).targets == ()


def test_det_names_are_in_order(tmp_path):
    names = [f"ILSVRC2014_train_000{part}/ILSVRC2014_train_{number:08}" for part in range(3) for number in range(9)]
    for name in names[::-1]:
        put(tmp_path / f"Annotations/DET/train/{name}.xml", "")
    (tmp_path / "Data/DET/train").mkdir(parents=True)
    assert ImageNetDET(tmp_path).names == names


def test_det_without_size_and_without_picture(det):
    path = det / f"Annotations/DET/train/{STREET}.xml"
    path.write_text(f"<annotation>{still((1, 2, 3, 4), DOG)}</annotation>")
    (det / f"Data/DET/train/{STREET}.JPEG").unlink()
    clip = ImageNetDET(det).clip(STREET)
    assert clip.size is None
    with pytest.raises(DataError, match=r"ILSVRC2014_train_00031215\.JPEG' cannot be read"):
        clip.frames.read(0)


def test_det_annotations_are_read_late(det):
    put(det / f"Annotations/DET/train/{FISH}.xml", "<annotation>\n<object>")
    data = ImageNetDET(det)
    with pytest.raises(DataError, match=r"n01443537_1000\.xml, line 2: .*no valid XML"):
        data.clip(FISH)


def test_both_in_one_folder(vid):
    write_det(vid, FISH, still((5, 30, 7, 20), "n01443537"))
    assert open_training_set(vid).name == "imagenet_vid"
    assert open_training_set(vid, "imagenet_det").names == [FISH]
