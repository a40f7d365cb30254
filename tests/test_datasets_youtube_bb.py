"""YouTube-BoundingBoxes: the official list with pictures as people's scripts leave them."""

import math
import pickle
import random
from pathlib import Path

import cv2
import numpy as np
import pytest
from annotated_clips import put

from siamtrack.datasets.youtube_bb import YouTubeBB
from siamtrack.errors import DataError
from siamtrack.library import open_training_set

WIDTH, HEIGHT = 40, 24
LIST = "yt_bb_detection_train.csv"
DOG, PLANT = "AA_6lO-XiK_", "-0bLFuriZ4A"  # ids of videos
ABSENT = "absent,-1.0,-1.0,-1.0,-1.0"


def line(video, milliseconds, said, *, category=(7, "dog"), target=0) -> str:
    return f"{video},{milliseconds},{category[0]},{category[1]},{target},{said}\n"


def present(*corners) -> str:
    """xmin, xmax, ymin, ymax."""
    return "present," + ",".join(str(corner) for corner in corners)


LINES = [
    line(DOG, 238000, present(0.25, 0.5, 0.25, 0.75)),
    line(DOG, 238000, present(0.5, 1.0, 0.0, 1.0), target=1),
    line(DOG, 9000, present(0.125, 0.625, 0.5, 0.5)),  # 9000 before 238000, though not as text
    line(DOG, 239000, ABSENT),
    line(DOG, 240000, "uncertain,-1.0,-1.0,-1.0,-1.0"),
    line(DOG, 241000, present(0.75, 0.5, 0.0, 1.25)),
    line(PLANT, 0, present(0.0, 1.0, 0.0, 1.0), category=(20, "potted plant")),
    line("gone_video1", 0, present(0.0, 1.0, 0.0, 1.0)),
    line(DOG, 242000, present(0.0, 0.5, 0.0, 0.5)),  # its picture was not downloaded
]


def by_class(root: Path, row: str) -> Path:
    video, time, category, _, target, *_ = row.split(",")
    return root / f"yt_bb_detection_train/{category}/{video}_{time}_{category}_{target}.jpg"


def together(root: Path, row: str, kit: str = "youtubebbdevkit2017") -> Path:
    video, time, category, _, target, *_ = row.split(",")
    return root / kit / f"youtubebb2017/JPEGImages/{video}+{category}+{target}+{time}.jpg"


def older(root: Path, row: str) -> Path:
    return together(root, row, "youtubebbdevkit")


def picture(path: Path, grey: int = 50) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((HEIGHT, WIDTH, 3), grey, np.uint8))


def write(root: Path, place=by_class, lines=LINES, file=LIST) -> Path:
    for number, row in enumerate(lines):
        if not row.startswith("gone") and ",242000," not in row:
            picture(place(root, row), 20 * number % 256)
    return put(root / file, "".join(lines))


@pytest.mark.parametrize("place", [by_class, together, older])
@pytest.mark.parametrize("file", [LIST, "youtube_boundingboxes_detection_train.csv"])
def test_clips(tmp_path, place, file):
    write(tmp_path, place, file=file)
    data = open_training_set(tmp_path)
    assert data.name == "youtube_bb"
    assert data.names == sorted([f"{DOG}+7+0", f"{DOG}+7+1", f"{PLANT}+20+0"])
    clip = pickle.loads(pickle.dumps(data)).clip(f"{DOG}+7+0")
    assert (clip.name, clip.size) == (f"{DOG}+7+0", (WIDTH, HEIGHT))
    greys = [int(clip.frames.read(position).mean().round()) for position in range(len(clip.frames))]
    assert greys == [40, 0, 60, 80, 100]
    (dog,) = clip.targets
    assert (dog.name, dog.category) == ("0", "dog")
    assert dog.positions.tolist() == [0, 1, 2, 4]
    expected = [[5, 12, 20, 0], [10, 6, 10, 12], [math.nan] * 4, [30, 0, -10, 30]]
    np.testing.assert_array_equal(dog.boxes, expected)
    np.testing.assert_array_equal(dog.visibility, [math.nan, math.nan, 0, math.nan])
    assert dog.positions.dtype == np.int64
    assert dog.boxes.dtype == dog.visibility.dtype == np.float64
    (other,) = data.clip(f"{DOG}+7+1").targets
    assert (other.name, other.boxes.tolist()) == ("1", [[20, 0, 20, 24]])
    (plant,) = data.clip(f"{PLANT}+20+0").targets
    assert (plant.category, plant.boxes.tolist()) == ("potted plant", [[0, 0, WIDTH, HEIGHT]])


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_lines_in_any_order(tmp_path, line_end):
    """The official list mixes the objects of a video; a list that is mixed throughout is read alike."""
    lines = [
        line(video, 1000 * second, present(0, second / 20, 0, (number + 1) / 4), target=number)
        for video in (DOG, PLANT)
        for number in range(3)
        for second in range(1, 6)
    ]
    write(tmp_path, lines=lines)
    random.Random(3).shuffle(lines)
    (tmp_path / LIST).write_bytes("".join(lines).replace("\n", line_end).encode().removesuffix(line_end.encode()))
    data = YouTubeBB(tmp_path)
    assert len(data.names) == 6
    for name in data.names:
        number = int(name[-1])
        expected = [[0, 0, second * WIDTH / 20, (number + 1) * HEIGHT / 4] for second in range(1, 6)]
        np.testing.assert_allclose(data.clip(name).targets[0].boxes, expected)


def test_other_files_among_the_pictures(tmp_path):
    write(tmp_path)
    put(tmp_path / f"yt_bb_detection_train/{DOG}_temp.mp4", "")  # a download that was ended
    put(tmp_path / "yt_bb_detection_train/7/Thumbs.db", "")
    picture(tmp_path / f"yt_bb_detection_train/7/{DOG}_5000_7_9.jpg")  # no line speaks of it
    picture(tmp_path / "yt_bb_detection_validation/7/abcdefghijk_5000_7_0.jpg")
    assert YouTubeBB(tmp_path).names == sorted([f"{DOG}+7+0", f"{DOG}+7+1", f"{PLANT}+20+0"])


def test_damaged_pictures(tmp_path):
    write(tmp_path)
    paths = [by_class(tmp_path, row) for row in LINES[:6] if ",7,dog,0," in row]
    by_class(tmp_path, LINES[2]).write_bytes(b"")  # the first of the clip
    data = YouTubeBB(tmp_path)
    clip = data.clip(f"{DOG}+7+0")
    assert clip.size == (WIDTH, HEIGHT)
    with pytest.raises(DataError, match=r"_9000_7_0\.jpg' cannot be decoded"):
        clip.frames.read(0)
    for path in paths:
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"_241000_7_0\.jpg' cannot be decoded"):
        data.clip(f"{DOG}+7+0")
    for path in paths:
        path.unlink()
    with pytest.raises(DataError, match=r"None of the pictures of '.*\+7\+0' in '.*yt_bb_detection_train' belongs to a line"):
        data.clip(f"{DOG}+7+0")


@pytest.mark.parametrize(
    "said",
    ["present,0.1,0.2,x,0.4", "present,0.1,0.2,0.3,", "there,0.1,0.2,0.3,0.4", ",0.1,0.2,0.3,0.4"],
)
def test_malformed_values(tmp_path, said):
    write(tmp_path, lines=[*LINES[:6], line(DOG, 1000, said), *LINES[6:]])
    data = YouTubeBB(tmp_path)
    with pytest.raises(
        DataError, match=rf"{LIST}, line 7: found '{DOG},1000,7,dog,0,{said}', expected youtube_id,timestamp_ms"
    ):
        data.clip(f"{DOG}+7+0")
    assert len(data.clip(f"{PLANT}+20+0").frames) == 1


def test_malformed_time(tmp_path):
    write(tmp_path)
    put(tmp_path / LIST, "".join(LINES).replace(",239000,", ",soon,"))
    with pytest.raises(DataError, match=rf"{LIST}, line 4: found '{DOG},soon,"):
        YouTubeBB(tmp_path).clip(f"{DOG}+7+0")


@pytest.mark.parametrize("bad", ["\n", f"{DOG},0,7,dog,0,present,0.1,0.2,0.3\n", "PK\x03\x04\n", f"{LINES[0].strip()},0\n"])
def test_other_numbers_of_cells(tmp_path, bad):
    write(tmp_path)
    put(tmp_path / LIST, LINES[0] + bad + LINES[1])
    with pytest.raises(DataError, match=rf"{LIST}, line 2: found \d+ cells, expected 10: youtube_id,timestamp_ms"):
        YouTubeBB(tmp_path)


def test_bytes_that_are_no_text(tmp_path):
    write(tmp_path)
    (tmp_path / LIST).write_bytes(b"\xff\xfe,,,,,,,,,\n" + LINES[0].encode())
    assert YouTubeBB(tmp_path).names == [f"{DOG}+7+0"]


def test_missing(tmp_path):
    assert not YouTubeBB.recognises(tmp_path)
    with pytest.raises(DataError, match=r"no '.*yt_bb_detection_train\.csv'; expected .*unpacked from \.csv\.gz"):
        YouTubeBB(tmp_path)
    put(tmp_path / LIST, "".join(LINES))
    assert YouTubeBB.recognises(tmp_path)
    with pytest.raises(
        DataError, match=r"no pictures in .*yt_bb_detection_train, youtubebbdevkit2017/youtubebb2017/JPEGImages"
    ):
        YouTubeBB(tmp_path)
    (tmp_path / "yt_bb_detection_train/7").mkdir(parents=True)
    with pytest.raises(DataError, match=r"No picture in '.*yt_bb_detection_train' belongs to a line of '.*\.csv'"):
        YouTubeBB(tmp_path)
