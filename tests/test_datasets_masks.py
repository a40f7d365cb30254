"""YouTube-VOS and DAVIS from folders laid out as their archives unpack, and the PNG masks they are made of."""

import json
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
from annotated_clips import put
from hypothesis import given
from hypothesis import strategies as st
from mask_files import GREY, PALETTE, chunk, png

from siamtrack.datasets.davis import DAVIS
from siamtrack.datasets.palette_masks import LabelMasks, read_labels, tight_boxes
from siamtrack.datasets.youtube_vos import YouTubeVOS
from siamtrack.errors import DataError
from siamtrack.library import open_training_set
from siamtrack.pair import SEEN, UNKNOWN

HEIGHT, WIDTH = 24, 40


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def scene(*objects: tuple[int, int, int, int, int], background: int = 0) -> np.ndarray:
    """Labels with rectangles number, x, y, w, h."""
    labels = np.full((HEIGHT, WIDTH), background, np.uint8)
    for number, x, y, w, h in objects:
        labels[y : y + h, x : x + w] = number
    return labels


def write_frames(folder: Path, stems: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for stem in stems:
        cv2.imwrite(str(folder / f"{stem}.jpg"), np.full((HEIGHT, WIDTH, 3), 90, np.uint8))


@given(data=st.data(), bits=st.sampled_from([1, 2, 4, 8]), kind=st.sampled_from([GREY, PALETTE]))
def test_labels_of_every_depth(tmp_path_factory, data, bits, kind):
    height, width = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 19))
    labels = np.random.default_rng(data.draw(st.integers(0, 9))).integers(0, 2**bits, (height, width), np.uint8)
    path = write(tmp_path_factory.mktemp("mask") / "a.png", png(labels, bits, kind))
    np.testing.assert_array_equal(read_labels(path), labels)


def test_palette_with_equal_colours_and_transparency(tmp_path):
    labels = scene((1, 0, 0, 5, 5), (2, 9, 9, 3, 3), (7, 20, 3, 4, 4))
    few = b"\x00\x00\x00" + b"\x80\x10\x20" * 7  # 1 to 7 look the same; entries beyond the picture's are left out, as PIL does
    extra = chunk(b"tRNS", b"\x00\xff\x40") + chunk(b"tEXt", b"Software\0test")
    np.testing.assert_array_equal(read_labels(write(tmp_path / "a.png", png(labels, palette=few, extra=extra))), labels)


def test_colour_picture_that_is_grey(tmp_path):
    mask = scene((255, 3, 4, 5, 6))
    data = cv2.imencode(".png", np.dstack([mask, mask, mask, np.full_like(mask, 255)]))[1].tobytes()
    np.testing.assert_array_equal(read_labels(write(tmp_path / "00077.png", data)), mask)
    coloured = cv2.imencode(".png", np.dstack([mask, mask, mask // 2]))[1].tobytes()
    with pytest.raises(DataError, match=r"a\.png' holds colours: pixel \(3, 4\) is RGB \(127, 255, 255\)"):
        read_labels(write(tmp_path / "a.png", coloured))


def flipped_byte(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 255]) + data[place + 1 :]


def test_damaged_masks(tmp_path):
    whole = png(scene((1, 3, 4, 5, 6)))
    path = tmp_path / "a.png"
    with pytest.raises(DataError, match=r"a\.png' cannot be read: No such file"):
        read_labels(path)
    for data in (b"", b"no PNG", whole[:40], whole[:-12]):
        with pytest.raises(DataError, match=r"a\.png' is damaged or no PNG file"):
            read_labels(write(path, data))
    with pytest.raises(DataError, match=r"a\.png' is damaged and cannot be decoded"):
        read_labels(write(path, flipped_byte(whole, len(whole) - 20)))
    sixteen = cv2.imencode(".png", scene().astype(np.uint16))[1].tobytes()
    with pytest.raises(DataError, match="16 bits a channel"):
        read_labels(write(path, sixteen))


def test_boxes_are_the_outer_edges_of_pixels(tmp_path):
    corner = write(tmp_path / "0.png", png(scene((3, 0, 0, 1, 1), (5, WIDTH - 2, HEIGHT - 3, 2, 3))))
    nothing = write(tmp_path / "1.png", png(scene()))
    boxes, size = tight_boxes(LabelMasks((corner, nothing)), [0, 1])
    assert size == (WIDTH, HEIGHT)
    nan = [np.nan] * 4
    assert sorted(boxes) == [3, 5]
    np.testing.assert_array_equal(boxes[3], [[0, 0, 1, 1], nan])
    np.testing.assert_array_equal(boxes[5], [[WIDTH - 2, HEIGHT - 3, 2, 3], nan])
    other = write(tmp_path / "2.png", png(scene()[1:]))
    with pytest.raises(DataError, match=r"2\.png' is 40x23 pixels, the others 40x24"):
        tight_boxes(LabelMasks((corner, other)), [0, 1])


STEMS = [f"{n:05d}" for n in range(10, 26)]  # every frame, annotated in 10, 15, 20 and 25
OBJECTS = {
    "1": {"category": "sedan", "frames": ["00010", "00015", "00020", "00025"]},
    "4": {"category": "person", "frames": ["00015", "00020", "00025"]},
    "6": {"category": "dog", "frames": ["00025"]},
}


@pytest.fixture
def youtube(tmp_path):
    """Object 4 is listed in 00015 and seen from 00020 on; object 6 is listed and never seen."""
    train = tmp_path / "train"
    write_frames(train / "JPEGImages/0043f083b5", STEMS)
    for n in (10, 15, 20, 25):
        later = [(4, n, 2, 3, 4)] if n >= 20 else []
        write(train / f"Annotations/0043f083b5/000{n}.png", png(scene((1, n - 10, 10, 6, 5), *later)))
    put(train / "meta.json", json.dumps({"videos": {"0043f083b5": {"objects": OBJECTS}}}))
    return tmp_path


def test_youtube_vos(youtube):
    data = open_training_set(youtube)
    assert (data.name, list(data.names)) == ("youtube_vos", ["0043f083b5"])
    clip = pickle.loads(pickle.dumps(data)).clip("0043f083b5")
    assert (len(clip.frames), clip.size) == (16, (WIDTH, HEIGHT))
    first, late, unseen = clip.targets
    assert [(t.name, t.category, t.positions.tolist()) for t in clip.targets] == [
        ("1", "sedan", [0, 5, 10, 15]),
        ("4", "person", [5, 10, 15]),
        ("6", "dog", [15]),
    ]
    np.testing.assert_array_equal(first.boxes, [[n, 10, 6, 5] for n in (0, 5, 10, 15)])
    np.testing.assert_array_equal(late.boxes, [[np.nan] * 4, [20, 2, 3, 4], [25, 2, 3, 4]])
    assert np.isnan(unseen.boxes).all()
    mask = pickle.loads(pickle.dumps(clip)).mask(late, 1)
    np.testing.assert_array_equal(mask, scene((1, 20, 2, 3, 4)) == 1)
    assert not clip.mask(late, 0).any()
    assert clip.frames.read(5).shape == (HEIGHT, WIDTH, 3)


def damage(objects: dict) -> str:
    return json.dumps({"videos": {"0043f083b5": {"objects": objects}}})


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ('{"videos":\n {"a": }}', r"meta\.json, line 2: Expecting value"),
        ("[]", r"meta\.json' has no entry \"videos\""),
        ('{"videos": {}}', "names no videos"),
        (
            '{"videos": {"other": {"objects": {}}, "0043f083b5": {"objects": {}}}}',
            r"names 2 sequences, and 1 of them have no folder in '.*JPEGImages'.*other",
        ),
        (
            damage({"1": {"category": "a", "frames": ["00010", "00030"]}}),
            r"names frame 00030 of '0043f083b5', which .* not hold",
        ),
        (damage({"1": {"category": "a"}}), r"video '0043f083b5': expected objects with their category .* \(KeyError"),
        (damage({"one": {"category": "a", "frames": ["00010"]}}), r"video '0043f083b5': expected objects .*ValueError"),
        (damage({}), "names no annotated frame of '0043f083b5'"),
    ],
)
def test_youtube_vos_damaged_meta(youtube, meta, message):
    put(youtube / "train/meta.json", meta)
    with pytest.raises(DataError, match=message):
        YouTubeVOS(youtube).clip("0043f083b5")


def test_youtube_vos_missing_files(youtube):
    (youtube / "train/Annotations/0043f083b5/00015.png").unlink()
    with pytest.raises(DataError, match=r"00015\.png' cannot be read"):
        YouTubeVOS(youtube).clip("0043f083b5")
    (youtube / "train/meta.json").unlink()
    assert not YouTubeVOS.recognises(youtube)
    with pytest.raises(DataError, match=r"meta\.json' cannot be read.*with train/ in it"):
        YouTubeVOS(youtube)


def write_davis(root: Path, masks: list[bytes], video: str = "bear") -> Path:
    stems = [f"{n:05d}" for n in range(len(masks))]
    write_frames(root / "JPEGImages/480p" / video, stems)
    for stem, mask in zip(stems, masks, strict=True):
        write(root / "Annotations/480p" / video / f"{stem}.png", mask)
    return root


def list_2016(root: Path, *videos: str) -> None:
    lines = [f"/JPEGImages/480p/{v}/{n:05d}.jpg /Annotations/480p/{v}/{n:05d}.png" for v in videos for n in range(3)]
    put(root / "ImageSets/480p/train.txt", "\n".join(lines) + "\n")


def test_davis_2017(tmp_path):
    frames = [scene((2, 5, 5, 4, 4)), scene((2, 6, 5, 4, 4), (1, 30, 1, 2, 3), (255, 0, 0, 30, 2)), scene((1, 8, 2, 1, 1))]
    write_davis(tmp_path, [png(labels) for labels in frames])
    put(tmp_path / "ImageSets/2017/train.txt", "bear\n")
    put(tmp_path / "ImageSets/2016/train.txt", "bear\n")
    data = open_training_set(tmp_path)
    assert (data.name, list(data.names)) == ("davis", ["bear"])
    clip = pickle.loads(pickle.dumps(data)).clip("bear")
    first, second = clip.targets
    assert (first.name, second.name, clip.size) == ("1", "2", (WIDTH, HEIGHT))
    assert first.positions.tolist() == second.positions.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(first.boxes, [[np.nan] * 4, [30, 1, 2, 3], [8, 2, 1, 1]])
    np.testing.assert_array_equal(second.boxes, [[5, 5, 4, 4], [6, 5, 4, 4], [np.nan] * 4])
    np.testing.assert_array_equal(clip.mask(first, 2), frames[2] == 1)
    expected = np.where(frames[1] == 255, UNKNOWN, (frames[1] == 2) * SEEN)
    np.testing.assert_array_equal(clip.mask(second, 1), expected)  # of the pixels that are 255 nobody knows what they are


@pytest.mark.parametrize("bits", [1, 8])
def test_davis_2016(tmp_path, bits):
    masks = [png(scene((2**bits - 1, n, 3, 7, 2)), bits, GREY) for n in range(3)]
    write_davis(tmp_path, masks)
    write_davis(tmp_path, masks, "swing")
    list_2016(tmp_path, "swing", "bear")
    data = open_training_set(tmp_path)
    assert list(data.names) == ["bear", "swing"]
    clip = data.clip("bear")
    (target,) = clip.targets
    assert target.name == "1"
    np.testing.assert_array_equal(target.boxes, [[n, 3, 7, 2] for n in range(3)])
    np.testing.assert_array_equal(clip.mask(target, 2), scene((1, 2, 3, 7, 2)) == 1)


def test_davis_masks_of_the_other_year(tmp_path):
    write_davis(tmp_path, [png(scene((255, 3, 3, 7, 2)), 8, GREY)])
    put(tmp_path / "ImageSets/2017/train.txt", "bear\n")
    with pytest.raises(DataError, match=r"hold 0 and 255 only, as those of 2016 do"):
        DAVIS(tmp_path).clip("bear")


def test_davis_incomplete(tmp_path):
    with pytest.raises(DataError, match=r"neither 'ImageSets.2017.train\.txt' nor 'ImageSets.480p.train\.txt'"):
        DAVIS(tmp_path)
    put(tmp_path / "ImageSets/480p/train.txt", "JPEGImages/bear\n")
    with pytest.raises(DataError, match=r"found 'JPEGImages/bear', expected a name, or /JPEGImages/480p"):
        DAVIS(tmp_path)
    write_davis(tmp_path, [png(scene())] * 2)
    list_2016(tmp_path, "bear", "swing")
    with pytest.raises(DataError, match=r"names 2 sequences, and 1 of them have no folder in '.*JPEGImages.480p', .* swing"):
        DAVIS(tmp_path)
    list_2016(tmp_path, "bear")
    with pytest.raises(DataError, match="show no object"):
        DAVIS(tmp_path).clip("bear")
    (tmp_path / "JPEGImages/480p/bear/00001.jpg").unlink()
    with pytest.raises(DataError, match="holds 2 masks for the 1 frames"):
        DAVIS(tmp_path).clip("bear")


def test_each_set_recognises_itself_only(youtube, tmp_path_factory):
    davis = write_davis(tmp_path_factory.mktemp("DAVIS"), [png(scene())])
    assert not DAVIS.recognises(davis)
    list_2016(davis, "bear")
    assert [kind.recognises(root) for kind in (YouTubeVOS, DAVIS) for root in (youtube, davis)] == [True, False, False, True]
