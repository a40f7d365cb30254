import itertools
import json
import math

import numpy as np
import pytest
from annotated_clips import HEIGHT, LENGTH, WIDTH, assert_same_boxes, boxes, put, write_pictures, write_video
from hypothesis import given
from hypothesis import strategies as st

from siamtrack.box import Box
from siamtrack.datasets.annotations.tracks import Key, interpolated
from siamtrack.datasets.folder import Folder
from siamtrack.errors import DataError

lengths = st.floats(-1e4, 1e4)
drawn_keys = st.dictionaries(
    st.integers(0, 60), st.tuples(st.builds(Box, *[lengths] * 4), st.booleans()), min_size=1, max_size=6
)


@given(drawn_keys)
def test_interpolation_is_exact_at_keys_and_linear_between(drawn):
    keys = [Key(position=p, box=b, shown_after=after) for p, (b, after) in drawn.items()]
    found = interpolated("a", "", keys, "here")
    first, last = min(drawn), max(drawn)
    assert found.positions.tolist() == list(range(first, last + 1))
    for position, (box, _) in drawn.items():
        assert tuple(found.boxes[position - first]) == box
    ordered = sorted(drawn)
    for a, b in itertools.pairwise(ordered):
        for p in range(a + 1, b):
            share = (p - a) / (b - a)
            line = (1 - share) * np.array(drawn[a][0]) + share * np.array(drawn[b][0])
            expected = line if drawn[a][1] else np.full(4, math.nan)
            np.testing.assert_allclose(found.boxes[p - first], expected, atol=1e-8)


def mot_lines(shift: float, tail: str = ",1,1,0.75") -> str:
    return "".join(
        f"{n + 1},{i + 1},{b[0] + shift:.3f},{b[1] + shift:.3f},{b[2]:.3f},{b[3]:.3f}{tail}\n"
        for i, rows in enumerate(boxes())
        for n, b in enumerate(rows)
    )


def test_mot_challenge(tmp_path):
    write_pictures(tmp_path / "MOT17-02/img1")
    information = f"[Sequence]\nname=MOT17-02\nimDir=img1\nseqLength=8\nimWidth={WIDTH}\nimHeight={HEIGHT}\nimExt=.jpg\n"
    put(tmp_path / "MOT17-02/seqinfo.ini", information)
    put(tmp_path / "MOT17-02/det/det.txt", "1,-1,3,4,5,6,0.9,-1,-1,-1\n")
    put(tmp_path / "MOT17-02/gt/gt.txt", mot_lines(1) + "1,9,1,1,5,5,0,8,0.5\n")
    data = Folder(tmp_path)
    assert data.names == ["MOT17-02"]
    clip = data.clip("MOT17-02")
    assert_same_boxes(clip, ["1", "2"], 0.0011)
    assert clip.size == (WIDTH, HEIGHT)
    assert clip.targets[0].category == "pedestrian"
    assert (clip.targets[0].visibility == 0.75).all()


def test_mot15_has_ten_columns_and_no_class(tmp_path):
    write_pictures(tmp_path / "img1")
    put(tmp_path / "gt/gt.txt", mot_lines(1, ",1,2.5,-3.5,0").replace(",", ", "))
    clip = Folder(tmp_path).clip(tmp_path.name)
    assert_same_boxes(clip, ["1", "2"], 0.0011)
    assert clip.targets[0].category == ""
    assert np.isnan(clip.targets[0].visibility).all()


def test_mot_export_of_cvat_is_not_shifted(tmp_path):
    write_video(tmp_path / "clip7.mp4")
    write_video(tmp_path / "clip8.mp4")
    put(tmp_path / "task_clip7_mot/gt/gt.txt", mot_lines(0, ",1,2,1.0"))
    put(tmp_path / "task_clip7_mot/gt/labels.txt", "dog\ncat")
    data = Folder(tmp_path)
    assert data.names == ["clip7"]
    assert_same_boxes(data.clip("clip7"), ["1", "2"], 0.0011)
    assert data.clip("clip7").targets[0].category == "cat"


@pytest.mark.parametrize("line", ["1,1,2,3,x,5,1,1,1", "1,1,2,3", "1.5,1,2,3,4,5,1,1,1", "1,1,2,3,nan,5,1,1,1"])
def test_bad_mot_lines_are_named(tmp_path, line):
    write_pictures(tmp_path / "img1")
    put(tmp_path / "gt/gt.txt", "1,1,2,3,4,5,1,1,1\n" + line + "\n")
    with pytest.raises(DataError, match=r"gt\.txt, line 2: found"):
        Folder(tmp_path).clip(tmp_path.name)


def test_mot_without_frames(tmp_path):
    put(tmp_path / "seq/gt/gt.txt", mot_lines(1))
    with pytest.raises(DataError, match=r"frames of '.*gt\.txt' are missing.*img1"):
        Folder(tmp_path)


def coco(images: list[dict], annotations: list[dict], **more: object) -> str:
    named = [{"id": 1, "name": "dog", "supercategory": ""}]
    return json.dumps({"licenses": [], "info": {}, "categories": named, "images": images, "annotations": annotations, **more})


def coco_annotations(ids: dict[str, object] | None = None, nested: bool = False) -> list[dict]:
    rows = []
    for i, track in enumerate(boxes()):
        for n, b in enumerate(track):
            row = {"id": len(rows) + 1, "image_id": n + 1, "category_id": 1, "bbox": [round(v, 2) for v in b], "iscrowd": 0}
            identity = {} if ids is None else {next(iter(ids)): i}
            attributes = {"occluded": False, "rotation": 0.0, "keyframe": True}
            rows.append(row | ({"attributes": attributes | identity} if nested else identity))
    return rows


def coco_images(pattern: str, first: int, **more: object) -> list[dict]:
    size = {"width": WIDTH, "height": HEIGHT}
    return [{"id": n + 1, **size, "file_name": pattern.format(n + first), **more} for n in range(LENGTH)]


def test_coco_export_of_cvat(tmp_path):
    write_pictures(tmp_path / "images/default", "frame_{:06d}.PNG", first=0)
    text = coco(coco_images("frame_{:06d}.PNG", 0), coco_annotations({"track_id": 0}, nested=True))
    put(tmp_path / "annotations/instances_default.json", text)
    data = Folder(tmp_path)
    assert data.names == ["images/default"]
    assert_same_boxes(data.clip("images/default"), ["0", "1"], 0.0051)
    assert data.clip("images/default").targets[0].category == "dog"


def test_coco_export_of_cvat_without_images(tmp_path):
    write_video(tmp_path / "clip.mp4")
    text = coco(coco_images("frame_{:06d}.PNG", 0), coco_annotations({"track_id": 0}, nested=True))
    put(tmp_path / "export/annotations/instances_default.json", text)
    assert_same_boxes(Folder(tmp_path).clip("clip"), ["0", "1"], 0.0051)


@pytest.mark.parametrize("key", ["track_id", "instance_id"])
def test_coco_with_videos_orders_frames_by_number(tmp_path, key):
    write_pictures(tmp_path / "frames/a", "{}.jpg", first=0)
    write_pictures(tmp_path / "frames/b", "{}.jpg", first=0)
    images = [image | {"frame_id": n} for n, image in enumerate(coco_images("a/{}.jpg", 0, video_id=3))][::-1]
    other = {"id": 99, "file_name": "b/0.jpg", "video_id": 4, "frame_id": 0}
    text = coco([*images, other], coco_annotations({key: 0}), videos=[{"id": 3, "name": "a"}, {"id": 4, "name": "b"}])
    put(tmp_path / "a.json", text)
    data = Folder(tmp_path)
    assert data.names == ["frames/a", "frames/b"]
    assert_same_boxes(data.clip("frames/a"), ["0", "1"], 0.0051)
    assert data.clip("frames/b").targets == ()


def test_coco_stills_without_crowds(tmp_path):
    write_pictures(tmp_path / "images", "{}.jpg")
    rows = [{"id": 1, "image_id": 1, "bbox": [1, 2, 3, 4]}, {"id": 2, "image_id": 1, "bbox": [0, 0, 9, 9], "iscrowd": 1}]
    put(tmp_path / "a.json", coco(coco_images("{}.jpg", 1), rows))
    data = Folder(tmp_path)
    assert data.names == ["images/1"]
    (found,) = data.clip("images/1").targets
    assert found.boxes.tolist() == [[1, 2, 3, 4]]


def test_coco_box_that_cvat_turned(tmp_path):
    write_pictures(tmp_path / "images", "{}.jpg")
    row = {"id": 1, "image_id": 1, "bbox": [10, 20, 20, 40], "attributes": {"occluded": False, "rotation": 90.0}}
    put(tmp_path / "a.json", coco(coco_images("{}.jpg", 1), [row]))
    np.testing.assert_allclose(Folder(tmp_path).clip("images/1").targets[0].boxes, [[0, 30, 40, 20]], atol=1e-9)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('{\n"images": [,', r"a\.json, line 2: this is no valid JSON"),
        (coco([{"id": 1, "file_name": "0000011.jpg"}], []), r"'0000011\.jpg', which is not in .*000001\.jpg"),
        (coco([{"id": i, "file_name": "000001.jpg"} for i in (1, 2)], []), r"more than one image that is .*000001\.jpg"),
        (coco([{"id": 1}], []), "not laid out as COCO JSON: KeyError 'file_name'"),
        (coco([], [{"id": 1, "image_id": 4, "bbox": [1, 2, 3, 4]}]), "annotations of image 4"),
        (coco([{"id": 1, "file_name": "000001.jpg"}], [{"id": 8, "image_id": 1, "bbox": [1, 2, 3]}]), "annotation 8: the bbox"),
    ],
)
def test_bad_coco_files(tmp_path, text, match):
    write_pictures(tmp_path / "images")
    put(tmp_path / "a.json", text)
    with pytest.raises(DataError, match=match):
        Folder(tmp_path).clip("images/000001")


def studio_value(b: np.ndarray) -> dict[str, float]:
    shares = zip(("x", "y", "width", "height"), b, (WIDTH, HEIGHT, WIDTH, HEIGHT), strict=True)
    return {key: 100 * value / length for key, value, length in shares} | {"rotation": 0}


def studio_task(sequences: list[list[dict]], count: float = LENGTH, video: str = "/data/upload/1/0a1b2c3d-clip.mp4") -> dict:
    results = [
        {
            "id": f"region{i}",
            "type": "videorectangle",
            "from_name": "box",
            "to_name": "video",
            "value": {"framesCount": count, "duration": count / 25, "sequence": sequence, "labels": ["Car"]},
        }
        for i, sequence in enumerate(sequences)
    ]
    skipped = {"id": 1, "was_cancelled": True, "result": [{"type": "videorectangle", "value": {"sequence": [{"frame": 1}]}}]}
    return {"id": 5, "annotations": [skipped, {"id": 2, "result": results}], "data": {"id": "x", "video": video}}


def studio_keys(rows: np.ndarray) -> list[dict]:
    return [studio_value(b) | {"frame": n + 1, "enabled": True, "time": n / 25} for n, b in enumerate(rows)]


@pytest.mark.parametrize(
    "video", ["/data/upload/1/0a1b2c3d-clip.mp4", "/data/local-files/?d=somewhere%2Fclip.mp4", "s3://b/clip.mp4"]
)
def test_label_studio_video(tmp_path, video):
    write_video(tmp_path / "clip.mp4")
    put(tmp_path / "project-1.json", json.dumps([studio_task([studio_keys(rows) for rows in boxes()], video=video)]))
    clip = Folder(tmp_path).clip("clip")
    assert_same_boxes(clip, ["region0", "region1"], 1e-9)
    assert clip.targets[0].category == "Car"


def test_label_studio_keyframes(tmp_path):
    write_video(tmp_path / "clip.mp4")
    first, second = np.array([16.0, 9.6, 32, 48]), np.array([32.0, 19.2, 32, 48])
    sequence = [
        studio_value(b) | {"frame": f, "enabled": e} for b, f, e in ((first, 1, True), (second, 3, False), (first, 6, True))
    ]
    put(tmp_path / "a.json", json.dumps([studio_task([sequence])]))
    found = Folder(tmp_path).clip("clip").targets[0]
    assert found.positions.tolist() == list(range(LENGTH))
    nan = np.full(4, math.nan)
    np.testing.assert_allclose(found.boxes, [first, (first + second) / 2, second, nan, nan, first, first, first])


def test_label_studio_counts_frames_by_its_own_rate(tmp_path):
    write_video(tmp_path / "clip.mp4")
    sequence = [studio_value(np.array(b)) | {"frame": f, "enabled": False} for b, f in (((0, 0, 8, 8), 1), ((12, 0, 8, 8), 13))]
    put(tmp_path / "a.json", json.dumps([studio_task([sequence], count=2 * LENGTH)]))
    assert Folder(tmp_path).clip("clip").targets[0].positions.tolist() == list(range(7))


def test_label_studio_images_in_both_exports(tmp_path):
    write_pictures(tmp_path / "full", "full{}.png")
    write_pictures(tmp_path / "min", "min{}.png")
    value = studio_value(np.array([40.0, 20, 30, 10])) | {"rotation": 90, "rectanglelabels": ["Cat"]}
    result = {"id": "r", "type": "rectanglelabels", "original_width": WIDTH, "original_height": HEIGHT, "value": value}
    task = {"id": 1, "annotations": [{"result": [result]}], "data": {"image": "/data/upload/2/00c0ffee-full1.png"}}
    put(tmp_path / "a.json", json.dumps([task]))
    put(tmp_path / "b.json", json.dumps([{"id": 1, "image": "/data/upload/2/min2.png", "label": [value], "annotator": 1}]))
    data = Folder(tmp_path)
    assert data.names == ["full/full1", "min/min2"]
    for name in data.names:
        (found,) = data.clip(name).targets
        np.testing.assert_allclose(found.boxes, [[30, 20, 10, 30]])  # clockwise about the top left corner
        assert found.category == "Cat"


def test_label_studio_says_what_is_wrong(tmp_path):
    write_video(tmp_path / "clip.mp4")
    path = put(tmp_path / "a.json", json.dumps([studio_task([studio_keys(boxes()[0])], video="/data/upload/1/clop.mp4")]))
    with pytest.raises(DataError, match=r"'/data/upload/1/clop\.mp4', which is not in .*clip\.mp4"):
        Folder(tmp_path)
    put(path, json.dumps([studio_task([[{"frame": 1, "x": "left", "y": 0, "width": 1, "height": 1}]])]))
    with pytest.raises(DataError, match="region region0: x is 'left'"):
        Folder(tmp_path).clip("clip")
    put(path, json.dumps([studio_task([[studio_value(boxes()[0, 0]) | {"frame": 99}]])]))
    with pytest.raises(DataError, match="frame 98"):
        Folder(tmp_path).clip("clip")


def test_mot_pictures_that_are_counted_from_0(tmp_path):
    write_pictures(tmp_path / "seq/img1", "{:06d}.jpg", first=0)
    put(
        tmp_path / "seq/gt/gt.txt", "".join(line for line in mot_lines(1).splitlines(True) if not line.startswith(f"{LENGTH},"))
    )
    found = Folder(tmp_path).clip("seq").targets[0]
    assert found.positions.tolist() == list(range(LENGTH - 1))
    np.testing.assert_allclose(found.boxes, boxes()[0][: LENGTH - 1], atol=0.0011)


@pytest.mark.parametrize("sequence", [[5], {"frame": 1}, [{"frame": math.nan, "x": 1, "y": 1, "width": 1, "height": 1}]])
def test_label_studio_sequences_that_are_none(tmp_path, sequence):
    write_video(tmp_path / "clip.mp4")
    put(tmp_path / "a.json", json.dumps([studio_task([sequence])]))
    with pytest.raises(DataError, match="region0"):
        Folder(tmp_path).clip("clip")
