"""Benchmark layouts: what the official readers look for is there, and masks and boxes come back as they were drawn."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamtrack.datasets import davis
from siamtrack.datasets.annotations.media import frame_number
from siamtrack.datasets.clips import PictureFiles, read_picture
from siamtrack.datasets.folder import Folder
from siamtrack.datasets.palette_masks import read_labels
from siamtrack.datasets.sequence_folders import read_frame_boxes
from siamtrack.errors import DataError, OutputError, SettingsError
from siamtrack.mask_files import palette_png
from siamtrack.results import read_boxes, read_rows
from siamtrack.synthetic.benchmark_folders import (
    DAVIS,
    OTB,
    VOT,
    Layout,
    RenderedSequence,
    davis_palette,
    turned_rectangle,
    write_benchmark,
)
from siamtrack.synthetic.truth import Labelled

WIDTH, HEIGHT = 64, 48
OUTLINES = {1: (-6.0, 4.0, 20.0, 10.0), 2: (30.0, 20.0, 16.0, 12.0)}  # x, y, w, h in the first frame
STEPS = {1: (3.0, 1.0), 2: (6.0, 0.0)}


def drawn(number: int) -> Labelled:
    """Object 1 comes in from the left; object 2 leaves to the right and is out from frame 6 on."""
    identity = np.zeros((HEIGHT, WIDTH), np.uint8)
    boxes, visibility = np.full((2, 4), np.nan), np.zeros(2)
    for key in (2, 1):
        (x, y, w, h), (dx, dy) = OUTLINES[key], STEPS[key]
        left, top = int(x + dx * number), int(y + dy * number)
        identity[top : top + int(h), max(left, 0) : max(left + int(w), 0)] = key
        if (seen := int((identity == key).sum())) > 0:
            boxes[key - 1], visibility[key - 1] = (left, top, w, h), seen / (w * h)
    image = np.random.default_rng(number).integers(100, 140, (HEIGHT, WIDTH, 1)).astype(np.uint8).repeat(3, axis=2)
    image[identity == 1] = (220, 30, 30)
    image[identity == 2] = (30, 30, 220)
    return Labelled(image, identity, boxes, visibility)


def sequence(name: str = "a", count: int = 8, **values: object) -> RenderedSequence:
    return RenderedSequence(name=name, frames=(drawn(number) for number in range(count)), **values)


def write(out: Path, layout: Layout, *sequences: RenderedSequence) -> list[str]:
    return list(write_benchmark(out, layout, sequences, content={"seed": 3}))


def truth(target: int, count: int = 8) -> np.ndarray:
    return np.array([drawn(number).boxes[target - 1] for number in range(count)])


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_otb_is_one_based_and_clipped_to_the_frame(tmp_path: Path) -> None:
    assert write(tmp_path, OTB(), sequence()) == ["a"]
    frames = [f"a/img/{number:04}.jpg" for number in range(1, 9)]
    assert files(tmp_path) == ["a/groundtruth_rect.txt", *frames, "synthetic.json"]
    lines = (tmp_path / "a" / "groundtruth_rect.txt").read_text(encoding="ascii").splitlines()
    assert lines[0] == "1,5,14,10"  # 6 of its 20 columns are beyond the border; the first pixel is 1,1
    assert lines[4] == "7,9,20,10"
    clip = PictureFiles(tuple(tmp_path / frame for frame in frames))
    boxes = read_frame_boxes(tmp_path / "a" / "groundtruth_rect.txt", clip, first_pixel=1)
    expected = truth(1)
    expected[:, 2] += np.minimum(expected[:, 0], 0)
    expected[:, 0] = np.maximum(expected[:, 0], 0)
    np.testing.assert_array_equal(boxes, expected)
    assert Folder(tmp_path).names == ["a"]


def test_otb_has_a_file_for_each_of_several_targets_and_nan_out_of_view(tmp_path: Path) -> None:
    write(tmp_path, OTB(), sequence("Jogging", targets=(2, 1)))
    second, first = (tmp_path / "Jogging" / f"groundtruth_rect.{number}.txt" for number in (1, 2))
    assert not (tmp_path / "Jogging" / "groundtruth_rect.txt").exists()
    assert first.read_text(encoding="ascii").startswith("1,5,14,10\n")
    lines = second.read_text(encoding="ascii").splitlines()
    assert lines[0] == "31,21,16,12"
    assert lines[5] == "61,21,4,12"
    assert lines[6:] == ["NaN,NaN,NaN,NaN"] * 2
    rows = read_rows(second, format="otb")
    np.testing.assert_array_equal([row.box for row in rows][:3], truth(2)[:3])
    assert rows[7].box.absent


def test_vot_has_what_its_toolkit_reads(tmp_path: Path) -> None:
    tags = {"camera_motion": [True] + [False] * 7}
    write(tmp_path, VOT(region="rectangle"), sequence(fps=30, tags=tags), sequence("b", targets=(2,)))
    assert (tmp_path / "list.txt").read_text(encoding="ascii") == "a\nb\n"
    facts = dict(line.split("=") for line in (tmp_path / "a" / "sequence").read_text(encoding="ascii").splitlines())
    assert facts == {
        **{"name": "a", "format": "default", "fps": "30", "channels.color": "color/%08d.jpg"},
        **{"width": "64", "height": "48", "length": "8"},
    }
    pattern = facts["channels.color"]
    assert [path for path in files(tmp_path / "a") if path.startswith("color")] == [pattern % n for n in range(1, 9)]
    assert sorted(path.stem for path in (tmp_path / "a").glob("*.tag")) == ["camera_motion", "occlusion"]
    assert (tmp_path / "a" / "camera_motion.tag").read_text(encoding="ascii") == "1\n" + "0\n" * 7
    occlusion = (tmp_path / "b" / "occlusion.tag").read_text(encoding="ascii").split()
    assert [value == "1" for value in occlusion] == [drawn(number).visibility[1] < 1 for number in range(8)]
    assert occlusion.count("1") == 4
    np.testing.assert_array_equal(read_boxes(tmp_path / "a" / "groundtruth.txt"), truth(1))  # beyond the border, too
    assert (tmp_path / "b" / "groundtruth.txt").read_text(encoding="ascii").endswith("nan,nan,nan,nan\n" * 2)


def test_vot_polygons_go_round_the_visible_pixels(tmp_path: Path) -> None:
    write(tmp_path, VOT(), sequence())
    lines = (tmp_path / "a" / "groundtruth.txt").read_text(encoding="ascii").splitlines()
    for number, line in enumerate(lines):
        corners = np.array(line.split(","), float).reshape(4, 2)
        rows, columns = np.nonzero(drawn(number).identity == 1)
        np.testing.assert_allclose(corners.min(axis=0), [columns.min(), rows.min()], atol=1e-3)
        np.testing.assert_allclose(corners.max(axis=0), [columns.max() + 1, rows.max() + 1], atol=1e-3)
        sides = np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1)
        assert sides[0] == pytest.approx(sides[2], abs=1e-3)


@given(angle=st.floats(0, 180), width=st.floats(12, 40), height=st.floats(12, 40))
@settings(max_examples=40, deadline=None)
def test_a_turned_rectangle_is_found(angle: float, width: float, height: float) -> None:
    corners = cv2.boxPoints(((60.0, 50.0), (width, height), angle))
    y, x = np.mgrid[:100, :120] + 0.5
    turn = np.deg2rad(angle)
    u = (x - 60) * np.cos(turn) + (y - 50) * np.sin(turn)
    v = (y - 50) * np.cos(turn) - (x - 60) * np.sin(turn)
    mask = (np.abs(u) <= width / 2) & (np.abs(v) <= height / 2)
    found = turned_rectangle(mask).reshape(4, 2)
    np.testing.assert_allclose(found.mean(axis=0), [60, 50], atol=1.2)
    area = cv2.contourArea(found.astype(np.float32))
    assert mask.sum() - 1e-3 <= area <= (width + 2.9) * (height + 2.9)
    assert cv2.contourArea(corners) == pytest.approx(width * height, rel=1e-3)


def test_davis_masks_come_back_exactly(tmp_path: Path) -> None:
    write(tmp_path, DAVIS(part="train"), sequence(), sequence("b", count=3))
    assert (tmp_path / "ImageSets" / "2017" / "train.txt").read_text(encoding="ascii") == "a\nb\n"
    reader = davis.DAVIS(tmp_path)
    assert list(reader.names) == ["a", "b"]
    clip = reader.clip("a")
    assert clip.size == (WIDTH, HEIGHT)
    assert [target.name for target in clip.targets] == ["1", "2"]
    for number in range(8):
        for target in clip.targets:
            np.testing.assert_array_equal(clip.mask(target, number), drawn(number).identity == int(target.name))
    clipped = truth(2)
    clipped[:, 2] = np.minimum(clipped[:, 0] + clipped[:, 2], WIDTH) - clipped[:, 0]
    np.testing.assert_array_equal(clip.targets[1].boxes, clipped)
    names = [f"{number:05}" for number in range(8)]
    assert [path.stem for path in sorted((tmp_path / "JPEGImages" / "480p" / "a").iterdir())] == names
    assert [path.stem for path in sorted((tmp_path / "Annotations" / "480p" / "a").iterdir())] == names


def test_davis_numbers_those_of_the_first_frame_first(tmp_path: Path) -> None:
    """The official evaluation follows the objects 1 to the largest number in the first mask, and looks for each of them."""
    first = drawn(0)
    first = first._replace(identity=np.where(first.identity == 1, 0, first.identity).astype(np.uint8))
    write(tmp_path, DAVIS(), RenderedSequence(name="a", frames=[first, drawn(1)]))
    found = [read_labels(tmp_path / "Annotations" / "480p" / "a" / f"{number:05}.png") for number in range(2)]
    np.testing.assert_array_equal(found[0], first.identity == 2)
    np.testing.assert_array_equal(found[1], np.array([0, 2, 1])[drawn(1).identity])


def test_davis_is_for_evaluation_unless_told_otherwise(tmp_path: Path) -> None:
    write(tmp_path, DAVIS(), sequence())
    assert [path.name for path in (tmp_path / "ImageSets" / "2017").iterdir()] == ["val.txt"]


@given(
    labels=st.lists(st.integers(0, 255), min_size=1, max_size=60),
    columns=st.integers(1, 7),
)
@settings(deadline=None)
def test_any_labels_are_kept_in_a_palette_file(labels: list[int], columns: int) -> None:
    rows = -(-len(labels) // columns)
    array = np.resize(np.array(labels, np.uint8), (rows, columns))
    data = palette_png(array, davis_palette())
    colours = davis_palette()[array]
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(decoded[:, :, ::-1], colours)
    kind = data.index(b"PLTE")
    assert struct.unpack(">I", data[kind - 4 : kind]) == (768,)
    assert struct.unpack(">I", data[kind + 772 : kind + 776]) == (zlib.crc32(data[kind : kind + 772]),)


def test_the_palette_is_that_of_davis(tmp_path: Path) -> None:
    palette = davis_palette()
    first = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128), (0, 128, 128), (128, 128, 128)]
    second = [
        (64, 0, 0),
        (191, 0, 0),
        (64, 128, 0),
        (191, 128, 0),
        (64, 0, 128),
        (191, 0, 128),
        (64, 128, 128),
        (191, 128, 128),
    ]
    third = [(0, 64, 0), (128, 64, 0), (0, 191, 0), (128, 191, 0), (0, 64, 128), (128, 64, 128)]
    grey = [(number, number, number) for number in range(22, 256)]
    assert [tuple(colour) for colour in palette.tolist()] == [*first, *second, *third, *grey]
    path = tmp_path / "mask.png"
    path.write_bytes(palette_png(np.arange(256, dtype=np.uint8).reshape(16, 16), davis_palette()))
    np.testing.assert_array_equal(read_labels(path), np.arange(256).reshape(16, 16))


@pytest.mark.parametrize("layout", [OTB(), VOT(), DAVIS()], ids=lambda layout: type(layout).__name__)
def test_frames_are_as_drawn_but_for_their_compression(tmp_path: Path, layout: Layout) -> None:
    write(tmp_path, layout, sequence(count=3))
    paths = sorted(tmp_path.rglob("*.jpg"))
    first = {"OTB": 1, "VOT": 1, "DAVIS": 0}[type(layout).__name__]
    assert [frame_number(path) for path in paths] == [first, first + 1, first + 2]
    for number, path in enumerate(paths):
        image = drawn(number).image
        assert np.abs(read_picture(path).astype(int) - image).mean() < 4
        assert path.read_bytes() == cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


@pytest.mark.parametrize("layout", [OTB(), VOT(), DAVIS()], ids=lambda layout: type(layout).__name__)
def test_a_half_written_sequence_is_written_again_and_a_finished_one_is_not(tmp_path: Path, layout: Layout) -> None:
    def breaking() -> Iterator[Labelled]:
        yield drawn(0)
        raise KeyboardInterrupt

    writing = write_benchmark(
        tmp_path, layout, [sequence(), RenderedSequence(name="b", frames=breaking())], content={"seed": 3}
    )
    assert next(writing) == "a"
    with pytest.raises(KeyboardInterrupt):
        next(writing)
    assert not list(tmp_path.rglob("b"))
    assert not list(tmp_path.rglob("list.txt")) + list(tmp_path.rglob("val.txt"))
    assert not list(tmp_path.rglob(".b-part"))
    again = sequence()
    assert write(tmp_path, layout, again, sequence("b", count=4)) == ["a", "b"]
    assert len(list(again.frames)) == 8  # untouched
    assert len(list(tmp_path.rglob("b/**/*.jpg"))) == 4
    assert not list(tmp_path.rglob("*-part"))
    direct = tmp_path / "direct"
    write(direct, layout, sequence(), sequence("b", count=4))
    there = [path for path in files(tmp_path) if not path.startswith("direct/")]
    assert there == files(direct)
    assert all((tmp_path / path).read_bytes() == (direct / path).read_bytes() for path in there)


def test_masks_without_their_frames_are_written_again(tmp_path: Path) -> None:
    """DAVIS keeps a sequence in two folders: it may be interrupted when one of them has its name."""
    write(tmp_path, DAVIS())
    (tmp_path / "Annotations" / "480p" / "a").mkdir(parents=True)
    (tmp_path / "Annotations" / "480p" / "a" / "00077.png").write_bytes(b"")
    write(tmp_path, DAVIS(), sequence(count=2))
    assert [path.name for path in sorted((tmp_path / "Annotations" / "480p" / "a").iterdir())] == ["00000.png", "00001.png"]


def test_a_folder_of_another_layout_or_content_is_refused(tmp_path: Path) -> None:
    write(tmp_path, VOT(), sequence(count=1))
    for layout, content, message in (
        (OTB(), {"seed": 3}, r"something else \(VOT sequences, not OTB sequences\)"),
        (VOT(region="rectangle"), {"seed": 3}, "other data: region polygon, not rectangle"),
        (VOT(), {"seed": 4}, "other data: seed 3, not 4"),
        (VOT(), {}, "other data: seed 3, not none"),
        (VOT(), {"seed": 3, "pictures": "5e884898da28047151d0e56f8dc6292773603d0d"}, "other data: other pictures"),
    ):
        with pytest.raises(OutputError, match=message):
            list(write_benchmark(tmp_path, layout, [], content=content))


def test_sequences_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    hidden = drawn(7)
    unseen = hidden._replace(identity=np.zeros_like(hidden.identity))
    cases = (
        (OTB(), sequence(count=0), "'a' has no frames"),
        (DAVIS(), sequence(count=0), "'a' has no frames"),
        (OTB(), sequence(targets=(3,)), "has 2 objects, and 3 was to be the target"),
        (VOT(), RenderedSequence(name="a", frames=[hidden], targets=(2,)), "Object 2 of 'a' is not in view in the first"),
        (VOT(), sequence(tags={"occlusion": [True]}), "occlusion of 'a' has 1 values for 8 frames"),
        (DAVIS(), RenderedSequence(name="a", frames=[hidden._replace(identity=hidden.identity | 255)]), "object 255"),
        (VOT(), RenderedSequence(name="a", frames=[drawn(0), unseen]), "Object 1 of 'a' has a box in frame 2, but no pixel"),
    )
    for number, (layout, bad, message) in enumerate(cases):
        with pytest.raises(DataError, match=message):
            write(tmp_path / str(number), layout, bad)
    with pytest.raises(DataError, match="Two sequences are called 'a'"):
        write(tmp_path / "twice", OTB(), sequence(count=1), sequence(count=1))
    with pytest.raises(SettingsError, match="2 targets; a sequence of VOT has one"):
        write(tmp_path / "vot", VOT(), sequence(targets=(1, 2)))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tags": {"occluded": []}}, "no tag 'occluded'"),
        ({"targets": ()}, r"are \(\)"),
        ({"targets": (0,)}, "from 1"),
        ({"fps": 0}, "0 frames a"),
        ({"name": ""}, "cannot be called ''"),
        ({"name": ".."}, r"cannot be called '\.\.'"),
        ({"name": "a/b"}, "cannot be called 'a/b'"),
    ],
)
def test_impossible_sequences_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        sequence(**values)
