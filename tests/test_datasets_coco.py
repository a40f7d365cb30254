"""COCO from a folder laid out as its archives unpack, and its three ways to store a mask."""

import json
import pickle
import sys

import cv2
import numpy as np
import pytest
from annotated_clips import put, target
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from siamtrack.datasets.coco import COCO
from siamtrack.datasets.coco_masks import decode_mask
from siamtrack.errors import DataError, MissingExtraError
from siamtrack.library import open_training_set

WIDTH, HEIGHT = 20, 12
JSON = "annotations/instances_train2017.json"


def rectangle(x, y, w, h) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[y : y + h, x : x + w] = True
    return mask


def polygon(x, y, w, h) -> list[float]:
    return [x, y, x + w, y, x + w, y + h, x, y + h]


def run_lengths(mask: np.ndarray) -> list[int]:
    """Lengths of runs down the columns, background first."""
    pixels = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(pixels)) + 1
    return [0] * bool(pixels[0]) + np.diff([0, *edges, len(pixels)]).tolist()


def compressed(mask: np.ndarray) -> dict:
    runs = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": [HEIGHT, WIDTH], "counts": runs["counts"].decode()}


def image(number: int, file: str = "") -> dict:
    file = file or f"{number:012}.jpg"
    return {"license": 3, "file_name": file, "height": HEIGHT, "width": WIDTH, "id": number, "flickr_url": "http://x/é.jpg"}


def annotation(number: int, of: int, box, segmentation, **more) -> dict:
    return {"segmentation": segmentation, "iscrowd": 0, "image_id": of, "bbox": box, "category_id": 18, "id": number} | more


def document() -> dict:
    """Two pictures with objects, one with a crowd only, one with nothing; not in order."""
    runs = {"size": [HEIGHT, WIDTH], "counts": run_lengths(rectangle(2, 1, 3, 4))}
    return {
        "info": {"year": 2017, "description": "größer [als] {gedacht}"},
        "licenses": [],
        "images": [image(30), image(9), image(40), image(50)],
        "annotations": [
            annotation(7001, 30, [4.5, 3.25, 5.5, 2.0], [polygon(4, 3, 5, 2)]),
            annotation(7002, 9, [2, 1, 3, 4], runs, category_id=1),
            annotation(900100030, 30, [0, 0, 20, 12], runs, iscrowd=1),
            annotation(7003, 30, [-3.0, 5.0, 0, -1.5], [polygon(0, 0, 2, 2), polygon(10, 6, 4, 3)]),
            annotation(900100040, 40, [0, 0, 20, 12], runs, iscrowd=1),
        ],
        "categories": [
            {"supercategory": "person", "id": 1, "name": "person"},
            {"supercategory": "animal", "id": 18, "name": "dog"},
        ],
    }


def write(root, content, file=JSON, pictures="train2017", **layout):
    text = content if isinstance(content, str) else json.dumps(content, **layout)
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    (root / pictures).mkdir(parents=True, exist_ok=True)
    return path


def test_targets(tmp_path):
    write(tmp_path, document())
    picture = np.full((HEIGHT, WIDTH, 3), 77, np.uint8)
    assert cv2.imwrite(str(tmp_path / "train2017/000000000030.jpg"), picture)
    data = open_training_set(tmp_path)
    assert (data.name, data.names) == ("coco", ["000000000009", "000000000030"])
    clip = pickle.loads(pickle.dumps(data)).clip("000000000030")
    assert (clip.name, clip.size, len(clip.frames)) == ("000000000030", (WIDTH, HEIGHT), 1)
    assert (clip.frames.read(0) == 77).all()
    assert [(one.name, one.category) for one in clip.targets] == [("7001", "dog"), ("7003", "dog")]
    assert [one.boxes.tolist() for one in clip.targets] == [[[4.5, 3.25, 5.5, 2]], [[-3, 5, 0, -1.5]]]
    assert all(one.positions.tolist() == [0] and np.isnan(one.visibility).all() for one in clip.targets)
    other = data.clip("000000000009")
    assert [(one.name, one.category) for one in other.targets] == [("7002", "person")]
    with pytest.raises(DataError, match=r"000000000009\.jpg' cannot be read"):
        other.frames.read(0)


LAYOUTS = [{}, {"separators": (",", ":")}, {"indent": 2}, {"ensure_ascii": False}, {"ensure_ascii": False, "indent": "\t"}]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_masks_are_found_in_the_file(tmp_path, layout, backwards, line_end):
    """Whatever lies before an annotation: characters of several bytes, blanks, other entries."""
    content = document()
    content["annotations"].append(annotation(7004, 9, [1, 1, 2, 2], [polygon(1, 1, 2, 2)], note="é漢" * 5))
    content["annotations"].append(annotation(7005, 9, [0, 0, 9, 9], compressed(rectangle(7, 2, 6, 9))))
    entries = list(content.items())[::-1] if backwards else content
    write(tmp_path, json.dumps(dict(entries), **layout).replace("\n", line_end))
    data = COCO(tmp_path)
    clip = pickle.loads(pickle.dumps(data.clip("000000000009")))
    for name, drawn in (("7002", (2, 1, 3, 4)), ("7004", (1, 1, 2, 2)), ("7005", (7, 2, 6, 9))):
        mask = clip.mask(target(clip, name), 0)
        assert mask.dtype == bool
        np.testing.assert_array_equal(mask, rectangle(*drawn))
    clip = data.clip("000000000030")
    parts = rectangle(0, 0, 2, 2) | rectangle(10, 6, 4, 3)
    np.testing.assert_array_equal(clip.mask(target(clip, "7003"), 0), parts)


def test_names_are_in_order(tmp_path):
    write(tmp_path, document() | {"images": [image(9, "b.jpg"), image(30, "a.jpg"), image(40)]})
    data = COCO(tmp_path)
    assert data.names == ["a", "b"]
    assert [one.name for one in data.clip("b").targets] == ["7002"]


def test_years_and_folders(tmp_path):
    old = document() | {"images": [image(9, "COCO_train2014_000000000009.jpg"), image(30, "COCO_train2014_000000000030.jpg")]}
    write(tmp_path, old, JSON.replace("2017", "2014"), "images/train2014")
    data = open_training_set(tmp_path)
    assert data.names == ["COCO_train2014_000000000009", "COCO_train2014_000000000030"]
    assert data.clip(data.names[0]).frames.label(0) == str(tmp_path / "images/train2014/COCO_train2014_000000000009.jpg")
    write(tmp_path, document())
    data = open_training_set(tmp_path)
    assert data.clip("000000000009").frames.label(0) == str(tmp_path / "train2017/000000000009.jpg")


def test_missing(tmp_path):
    assert not COCO.recognises(tmp_path)
    with pytest.raises(DataError, match=r"instances_train2017\.json' cannot be read: No such file.*annotations/"):
        COCO(tmp_path)
    put(tmp_path / JSON, json.dumps(document()))
    with pytest.raises(DataError, match=r"neither '.*/train2017' nor '.*/images/train2017'"):
        COCO(tmp_path)


def changed(**entries):
    content = document()
    content["annotations"][1] |= entries
    return content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"line 1, column 1: expected one of {"),
        ("[]", r"line 1, column 1: expected one of {"),
        ('{\n"images": [],\n"annotations": [{"id": 1,}]}', r"line 3, column \d+: "),
        (json.dumps(document(), indent=1)[:-400], r"line \d+, column \d+: "),
        (json.dumps(document()).replace("}, {", "} {"), r"line 1, column \d+: "),
        (json.dumps(document() | {"images": []}).replace("}, {", "} {"), r"line 1, column \d+: expected one of ,\]"),
        ({"images": [], "annotations": []}, r"has no annotation of a single object"),
        ({"images": [], "annotations": [annotation(1, 2, [0, 0, 1, 1], [], iscrowd=1)]}, r"no annotation of a single object"),
        ({"images": [1], "annotations": {"id": 1}}, r"line 1, column \d+: expected one of \["),
        (changed(category_id=91), r"annotations of category 91, which is not among its categories"),
        (changed(image_id=8), r"annotations of image 8, which is not among its images"),
        (changed(image_id="9"), r"not laid out as COCO's instances_train2017\.json: TypeError"),
        (changed(bbox=[1, 2, 3]), r"line 1, annotation 7002: found bbox \[1, 2, 3\], expected four numbers x, y, w, h"),
        (changed(bbox=[1, 2, 3, "4"]), r"annotation 7002: found bbox \[1, 2, 3, '4'\]"),
        (changed(bbox=None), r"annotation 7002: found bbox None"),
        (document() | {"images": [{"id": 9}, {"id": 30}]}, r"not laid out as .*KeyError\('file_name'\)"),
        (document() | {"images": [image(9, "a.jpg"), image(30, "a.png")]}, r"differ only in the ending"),
    ],
)
def test_odd_files(tmp_path, content, message):
    write(tmp_path, content)
    with pytest.raises(DataError, match=message):
        COCO(tmp_path)


def test_no_text(tmp_path):
    write(tmp_path, "").write_bytes(b"\xff\xfe{\x00}\x00")
    with pytest.raises(DataError, match=r"is no UTF-8 text"):
        COCO(tmp_path)


def test_file_replaced_after_opening(tmp_path):
    path = write(tmp_path, document())
    clip = COCO(tmp_path).clip("000000000009")
    for text in (json.dumps(document(), indent=1), "", json.dumps(document()).replace("7002", "7009")):
        path.write_text(text)
        with pytest.raises(DataError, match=r"has changed since it was opened"):
            clip.mask(clip.targets[0], 0)
    path.unlink()
    with pytest.raises(DataError, match=r"cannot be read: No such file"):
        clip.mask(clip.targets[0], 0)


shapes = st.lists(st.booleans(), min_size=WIDTH * HEIGHT, max_size=WIDTH * HEIGHT)


@pytest.mark.parametrize("far", [-9e4, 30.5, 1e5])
def test_polygons_that_leave_the_picture(far):
    mask = decode_mask([[0, 0, 4, 0, 4, far, 0, far]], (WIDTH, HEIGHT), "x")
    np.testing.assert_array_equal(mask, rectangle(0, 0, 4, HEIGHT if far > 0 else 0))


@given(st.floats(0.5, 9), st.floats(1, 9), st.integers(3, 40))
def test_polygons_are_filled(x, y, corners):
    """As many pixels as its area, give or take its border."""
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    points = np.stack([10 + x * np.cos(angles), 6 + y / 2 * np.sin(angles)], 1)
    mask = decode_mask([points.ravel().tolist()], (WIDTH, HEIGHT), "x")
    area = cv2.contourArea(points.astype(np.float32))
    assert abs(mask.sum() - area) <= cv2.arcLength(points.astype(np.float32), True) / 2 + 2


@given(shapes)
def test_run_lengths_and_their_text_say_the_same(pixels):
    mask = np.array(pixels).reshape(HEIGHT, WIDTH)
    runs = {"size": [HEIGHT, WIDTH], "counts": run_lengths(mask)}
    np.testing.assert_array_equal(decode_mask(runs, (WIDTH, HEIGHT), "x"), mask)
    np.testing.assert_array_equal(decode_mask(compressed(mask), (WIDTH, HEIGHT), "x"), mask)


def test_no_mask():
    assert decode_mask([], (WIDTH, HEIGHT), "x") is None
    assert decode_mask(None, (WIDTH, HEIGHT), "x") is None


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ([[1, 2, 3, 4]], "fewer than three corners"),
        ([polygon(1, 1, 3, 3), [1, 2, 3, 4, 5, 6, 7]], "odd number"),
        ([1, 2, 3, 4, 5, 6], "fewer than three corners"),
        ([[1, 2, 3, 4, 5, "x"]], "ValueError"),
        ([[1, 2, 3, 4, 5, float("nan")]], "farther away than 100000 pixels"),
        ([[0, 0, -1e9, 5, 8, 1e9]], "farther away than 100000 pixels"),
        ({"size": [WIDTH, HEIGHT], "counts": [WIDTH * HEIGHT]}, r"its size is \[20, 12\], that of the picture \[12, 20\]"),
        ({"size": [HEIGHT, WIDTH], "counts": [5, 6]}, "add up to the picture's 240 pixels"),
        ({"size": [HEIGHT, WIDTH], "counts": [-5, 245]}, "not whole numbers"),
        ({"size": [HEIGHT, WIDTH], "counts": [2.5, 237.5]}, "not whole numbers"),
        ({"size": [HEIGHT, WIDTH], "counts": ""}, "not whole numbers"),
        ({"size": [HEIGHT, WIDTH], "counts": "0"}, "add up to"),
        ({"size": [HEIGHT, WIDTH], "counts": "P"}, "end within a number"),
        ({"size": [HEIGHT, WIDTH], "counts": "0 7"}, "hold the character ' '"),
        ({"size": [HEIGHT, WIDTH], "counts": 5}, "not whole numbers"),
        ({"size": [HEIGHT, WIDTH]}, "KeyError"),
        ("M", "TypeError"),
    ],
)
def test_odd_masks(segmentation, message):
    with pytest.raises(DataError, match=message) as caught:
        decode_mask(segmentation, (WIDTH, HEIGHT), "file, annotation 3")
    assert str(caught.value).startswith("file, annotation 3: ")


def test_without_pycocotools(tmp_path, monkeypatch):
    write(tmp_path, document())
    data = COCO(tmp_path)
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    clip = data.clip("000000000030")
    with pytest.raises(MissingExtraError, match=r"Reading COCO's polygons needs the package 'pycocotools'.*siamtrack\[train\]"):
        clip.mask(clip.targets[0], 0)
    clip = data.clip("000000000009")
    assert clip.mask(clip.targets[0], 0).sum() == 12  # run lengths do without
