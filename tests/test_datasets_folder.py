import pickle

import pytest
from annotated_clips import assert_same_boxes, put, write_pictures, write_video
from test_annotations import coco, coco_annotations, coco_images, mot_lines
from test_annotations_cvat import document, drawn_tracks, meta
from test_annotations_text import write_csv, yolo_frame

from siamtrack.datasets.folder import TRAINING_SET, Folder
from siamtrack.errors import DataError
from siamtrack.library import open_training_set


@pytest.fixture
def mixed(tmp_path):
    """One clip of each of five formats, two of them with the same file name."""
    write_video(tmp_path / "cvat/clip.mp4")
    put(tmp_path / "cvat/annotations.xml", document(drawn_tracks()))
    write_pictures(tmp_path / "mot/seq/img1")
    put(tmp_path / "mot/seq/gt/gt.txt", mot_lines(1))
    write_video(tmp_path / "own/clip.mp4")
    write_csv(tmp_path / "own/clip.csv")
    write_pictures(tmp_path / "coco/images", "{}.png")
    put(tmp_path / "coco/result.json", coco(coco_images("{}.png", 1), coco_annotations({"track_id": 0})))
    for n, path in enumerate(write_pictures(tmp_path / "yolo/images")):
        put(tmp_path / f"yolo/labels/{path.stem}.txt", yolo_frame(n))
    put(tmp_path / "__MACOSX/cvat/annotations.xml", "<annotations>no XML")
    put(tmp_path / "package.json", '{"name": "not an annotation"}')
    put(tmp_path / "README.txt", "0 notes about 5 clips")
    put(tmp_path / "prices.csv", "what,price\nmilk,1\n")
    return tmp_path


def test_the_fingerprint_is_that_of_the_annotations(tmp_path):
    write_pictures(tmp_path / "images/a", "{}.jpg")
    for n in range(1, 3):
        put(tmp_path / f"labels/a/{n}.txt", "0 0.5 0.5 0.1 0.1 1\n")
    write_video(tmp_path / "b.mp4")
    put(tmp_path / "b.csv", "frame,target,x,y,w,h,score\n0,0,1,2,30,40,1\n")
    before = Folder(tmp_path).fingerprint()
    assert Folder(tmp_path).fingerprint() == before
    put(tmp_path / "labels/a/2.txt", "0 0.5 0.5 0.1 0.2 1\n")
    after = Folder(tmp_path).fingerprint()
    put(tmp_path / "b.csv", "frame,target,x,y,w,h,score\n0,0,1,2,30,41,1\n")
    assert len({before, after, Folder(tmp_path).fingerprint()}) == 3


def test_mixed_formats(mixed):
    data = open_training_set(mixed)
    assert data.name == "folder"
    assert data.names == ["coco", "cvat/clip", "mot/seq", "own/clip", "yolo"]
    for name in data.names:
        clip = pickle.loads(pickle.dumps(data)).clip(name)  # as a loading process on Windows has it
        assert clip.name == name
        assert_same_boxes(clip, [t.name for t in clip.targets], 0.02)


def test_same_names_keep_their_endings(tmp_path):
    write_video(tmp_path / "clip.mp4")
    write_video(tmp_path / "clip.mkv")
    for ending in ("mp4", "mkv"):
        put(tmp_path / f"{ending}.xml", document(drawn_tracks(), head=meta(f"clip.{ending}")))
    assert Folder(tmp_path).names == ["clip.mkv", "clip.mp4"]


def test_two_annotations_of_one_clip(mixed):
    put(mixed / "cvat/again.xml", document(drawn_tracks()))
    with pytest.raises(DataError, match=r"again\.xml' and .*annotations\.xml' both annotate .*clip\.mp4'"):
        Folder(mixed)


def test_stills_within_an_annotated_sequence(mixed):
    put(mixed / "mot/seq/a.json", coco([{"id": 1, "file_name": "img1/000001.jpg"}], [{"image_id": 1, "bbox": [1, 2, 3, 4]}]))
    with pytest.raises(DataError, match=r"gt\.txt' and .*a\.json' both annotate the pictures in .*img1'"):
        Folder(mixed)


def test_a_name_that_two_files_have(tmp_path):
    write_video(tmp_path / "a/clip.mp4")
    write_video(tmp_path / "b/clip.mp4")
    put(tmp_path / "annotations.xml", document(drawn_tracks()))
    with pytest.raises(DataError, match=r"more than one: .*clip\.mp4, .*clip\.mp4"):
        Folder(tmp_path)


def test_nothing_annotated(tmp_path):
    write_video(tmp_path / "clip.mp4")
    assert not TRAINING_SET.recognises(tmp_path)
    put(tmp_path / "notes.txt", "hello")
    assert TRAINING_SET.recognises(tmp_path)
    with pytest.raises(
        DataError, match=r"no annotation in .*CVAT XML.*COCO.*Label Studio.*MOT.*YOLO.*CSV.*groundtruth.*notes\.txt"
    ):
        Folder(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        Folder(tmp_path / "elsewhere")


def test_damaged_video(tmp_path):
    put(tmp_path / "clip.mp4", "no video")
    put(tmp_path / "a.xml", document(drawn_tracks()))
    data = Folder(tmp_path)
    with pytest.raises(DataError, match=r"a\.xml' speaks of a video that cannot be read"):
        data.clip("clip")


def test_names_open_no_video_and_no_more_than_the_head_of_a_file(tmp_path):
    for i in range(200):
        put(tmp_path / f"{i}.mp4", "no video")
        put(tmp_path / f"{i}.xml", document(drawn_tracks(), head=meta(f"{i}.mp4")).replace("</annotations>", "not closed"))
    assert len(Folder(tmp_path).names) == 200


def test_an_empty_folder_is_told_as_empty(tmp_path):
    with pytest.raises(DataError, match=r"is empty; expected one of the data sets coco, davis"):
        open_training_set(tmp_path)
