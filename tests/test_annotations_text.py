"""YOLO labels and tables of boxes."""

import math

import numpy as np
import pytest
from annotated_clips import HEIGHT, LENGTH, WIDTH, assert_same_boxes, boxes, put, write_pictures, write_video

from siamtrack.box import Box
from siamtrack.datasets.annotations.yolo_names import class_names
from siamtrack.datasets.folder import Folder
from siamtrack.errors import DataError
from siamtrack.results import ResultWriter, Row

WITHIN = 1e-6 * 2 * WIDTH  # six decimals of a share, centre and size


def yolo_line(b: np.ndarray, *tail: object, number: int = 0) -> str:
    x, y, w, h = np.array(b) / [WIDTH, HEIGHT, WIDTH, HEIGHT]
    return " ".join([str(number), *(f"{v:.6f}" for v in (x + w / 2, y + h / 2, w, h)), *map(str, tail)]) + "\n"


def yolo_frame(number: int, *tail: object) -> str:
    return "".join(yolo_line(rows[number], *tail, i + 1) for i, rows in enumerate(boxes()))


@pytest.mark.parametrize("labels", ["data/labels/train", "data/images/train"])
def test_yolo_pictures_with_track_ids(tmp_path, labels):
    for n, path in enumerate(write_pictures(tmp_path / "data/images/train", "frame_{:06d}.jpg", first=0)):
        put(tmp_path / labels / f"{path.stem}.txt", yolo_frame(n))
    put(tmp_path / "data/data.yaml", "path: ./\ntrain: train.txt\n\nnames:\n  0: person\n  1: dog\n")
    put(tmp_path / "data/train.txt", "images/train/frame_000000.jpg\n")
    data = Folder(tmp_path)
    assert data.names == ["data/images/train"]
    clip = data.clip("data/images/train")
    assert_same_boxes(clip, ["1", "2"], WITHIN)
    assert clip.targets[0].category == "person"
    assert clip.size == (WIDTH, HEIGHT)


def test_yolo_stills_with_an_empty_file(tmp_path):
    write_pictures(tmp_path / "images", "{}.jpg")
    put(tmp_path / "labels/1.txt", yolo_line((1, 2, 30, 40), number=3) + yolo_line((5, 6, 7, 8)))
    put(tmp_path / "labels/2.txt", "")
    put(tmp_path / "labels/classes.txt", "a\nb\nc\nd\n")
    data = Folder(tmp_path)
    assert data.names == ["images/1", "images/2"]
    clip = data.clip("images/1")
    assert [t.category for t in clip.targets] == ["d", "a"]
    np.testing.assert_allclose([t.boxes[0] for t in clip.targets], [[1, 2, 30, 40], [5, 6, 7, 8]], atol=WITHIN)
    assert data.clip("images/2").targets == ()


@pytest.mark.parametrize("tail", [(), (0.91,)])
def test_yolo_track_mode_of_a_video(tmp_path, tail):
    write_video(tmp_path / "walk_2.mp4")
    for n in range(LENGTH):
        put(tmp_path / f"runs/detect/track/labels/walk_2_{n + 1}.txt", yolo_frame(n, *tail))
    assert_same_boxes(Folder(tmp_path).clip("walk_2"), ["1", "2"], WITHIN)


def test_yolo_export_of_cvat_without_images_counts_from_0(tmp_path):
    write_video(tmp_path / "clip.mp4")
    for n in range(LENGTH):
        put(tmp_path / f"task/labels/train/frame_{n:06d}.txt", yolo_frame(n))
    assert_same_boxes(Folder(tmp_path).clip("clip"), ["1", "2"], WITHIN)


def test_frames_of_two_videos_in_one_folder(tmp_path):
    for name in ("a", "b"):
        for n, path in enumerate(write_pictures(tmp_path / "images", name + "_{}.jpg")):
            put(tmp_path / f"labels/{path.stem}.txt", yolo_frame(n))
    data = Folder(tmp_path)
    assert data.names == ["images/a", "images/b"]
    assert_same_boxes(data.clip("images/b"), ["1", "2"], WITHIN)


@pytest.mark.parametrize(
    ("line", "identity"),
    [
        ("0 0.25 0.5 0.75 0.5 0.5 0.75", None),
        ("0 0.25 0.5 0.75 0.5 0.5 0.75 0.25 0.625 6", "6"),
        ("0 0.5 0.625 0.5 0.25 0.875 6", "6"),
        ("0 0.5 0.625 0.5 0.25 6", "6"),
        ("0 0.5 0.625 0.5 0.25 0.875", None),
    ],
)
def test_every_kind_of_line(tmp_path, line, identity):
    (path, *_) = write_pictures(tmp_path, "a{}.jpg")
    put(path.with_suffix(".txt"), line)
    data = Folder(tmp_path)
    (found,) = data.clip(data.names[0]).targets
    np.testing.assert_allclose(found.boxes, [[0.25 * WIDTH, 0.5 * HEIGHT, 0.5 * WIDTH, 0.25 * HEIGHT]])
    assert found.name == (identity or "frame 0 box 0")


@pytest.mark.parametrize(
    "line", ["0 0.5 0.5 0.1", "0 0.5 0.5 x 0.1", "0.5 0.5 0.5 0.1 0.1", "0 50 60 20 20", "0 0.5 nan 0.1 0.1"]
)
def test_bad_yolo_lines_are_named(tmp_path, line):
    write_pictures(tmp_path / "images")
    put(tmp_path / "labels/000001.txt", yolo_line((1, 2, 3, 4)) + line + "\n")
    with pytest.raises(DataError, match=r"000001\.txt, line 2: found"):
        Folder(tmp_path).clip("images/000001")


def test_yolo_label_without_its_picture(tmp_path):
    write_pictures(tmp_path / "images", "shot{}.jpg")
    put(tmp_path / "labels/shoot1.txt", yolo_line((1, 2, 3, 4)))
    with pytest.raises(DataError, match=r"shoot1\.txt' speaks of 'shoot1', which is not in .*shot1\.jpg"):
        Folder(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "names:\n  0: person\n  1: 'traffic light'  # two words\nnc: 2\n",
        'nc: 2\nnames: ["person", "traffic light"]\n',
        "names: [person,\n  traffic light]\ntrain: x\n",
        "names:\n- person\n- traffic light\nnc: 2\n",
        "names:\n  - person\n  - traffic light\n",
        "# a comment\nnames: {0: person, 1: traffic light}\n",
    ],
)
def test_names_in_every_way_that_yaml_has(tmp_path, text):
    put(tmp_path / "data.yaml", text)
    assert class_names(tmp_path / "labels/train", tmp_path) == {0: "person", 1: "traffic light"}


@pytest.mark.parametrize("text", ["names: coco.names\n", "names: &a\n  x: y\n", "path: x\n", "names:\n  0: |\n    person\n"])
def test_names_written_in_another_way_are_not_guessed(tmp_path, text):
    put(tmp_path / "data.yaml", text)
    assert class_names(tmp_path, tmp_path) == {}


def write_csv(path):
    with ResultWriter(path) as writer:
        for n in range(LENGTH):
            writer.write([Row(frame=n, target=i, box=Box(*rows[n]), score=0.5) for i, rows in enumerate(boxes())])


@pytest.mark.parametrize("place", ["clip.mp4", "clip", "clip/img"])
def test_own_csv(tmp_path, place):
    if place.endswith(".mp4"):
        write_video(tmp_path / place)
    else:
        write_pictures(tmp_path / place)
    write_csv(tmp_path / "clip.csv")
    data = Folder(tmp_path)
    assert data.names == ["clip"]
    assert_same_boxes(data.clip("clip"), ["0", "1"], 5e-5)


def test_where_a_tracker_took_its_target_for_gone_there_is_none(tmp_path):
    write_pictures(tmp_path / "clip")
    put(
        tmp_path / "clip.csv",
        "frame,target,x,y,w,h,score,lost\n0,0,1,2,9,9,,\n1,0,1,2,9,9,0.99,0\n2,0,1,2,9,9,0.5,1\n3,0,1,2,9,9,0.99,0.0\n",
    )
    (target,) = Folder(tmp_path).clip("clip").targets
    assert np.isnan(target.boxes).any(1).tolist() == [False, False, True, False]


def test_bad_csv(tmp_path):
    write_video(tmp_path / "clip.mp4")
    path = put(tmp_path / "clip.csv", "frame,target,x,y,w,h\n0,0,1,2,3,4\n1,0,1,2,three,4\n")
    with pytest.raises(DataError, match=r"clip\.csv, line 3"):
        Folder(tmp_path).clip("clip")
    put(path, "frame,target,x,y,w,h\n40,0,1,2,3,4\n")
    with pytest.raises(DataError, match="frame 40"):
        Folder(tmp_path).clip("clip")
    put(path, "")
    with pytest.raises(DataError, match=r"clip\.csv is empty"):
        Folder(tmp_path).clip("clip")
    path.rename(tmp_path / "clap.csv")
    with pytest.raises(DataError, match=r"frames of '.*clap\.csv' are missing.*clip\.mp4"):
        Folder(tmp_path)


@pytest.mark.parametrize(("file", "first", "frames"), [("groundtruth.txt", 0, "seq"), ("groundtruth_rect.txt", 1, "seq/img")])
def test_ground_truth(tmp_path, file, first, frames):
    write_pictures(tmp_path / frames, "{}.jpg")
    lines = [f"{x + first:.4f},{y + first:.4f},{w:.4f},{h:.4f}" for x, y, w, h in boxes()[0]]
    put(tmp_path / "seq" / file, "\n".join(lines))
    assert_same_boxes(Folder(tmp_path).clip("seq"), ["0"], 5e-5, boxes()[:1])
    put(tmp_path / "seq" / file, "1,2,3,4\nnan,nan,nan,nan\n0,0,0,0\n" + "5,6,7,8\n" * (LENGTH - 3))
    nan = [math.nan] * 4
    wanted = [[1 - first, 2 - first, 3, 4], nan, nan, [5 - first, 6 - first, 7, 8]]
    np.testing.assert_array_equal(Folder(tmp_path).clip("seq").targets[0].boxes[:4], wanted)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "is empty"),
        ("1,2,3\n", "line 1"),
        ("1,2,3,4\n" * 9, "box in frame 8 .* 8 frames"),
        ("1,2,3,4\n" * 6, "6 lines for 8 frames"),
    ],
)
def test_bad_ground_truth(tmp_path, text, match):
    write_pictures(tmp_path / "seq/img")
    put(tmp_path / "seq/groundtruth.txt", text)
    with pytest.raises(DataError, match=match):
        Folder(tmp_path).clip("seq")


def test_a_table_without_a_column_is_told(tmp_path):
    """It would be easy to overlook among other clips."""
    write_video(tmp_path / "clip.mp4")
    write_csv(tmp_path / "other.csv")
    write_video(tmp_path / "other.mp4")
    put(tmp_path / "clip.csv", "frame,x,y,w,h\n0,1,2,3,4\n")
    put(tmp_path / "weather.csv", "day,rain\n1,2\n")
    data = Folder(tmp_path)
    assert data.names == ["clip", "other"]
    with pytest.raises(DataError, match=r"clip\.csv.*target"):
        data.clip("clip")
