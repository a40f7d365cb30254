import math

import numpy as np
import pytest
from annotated_clips import HEIGHT, LENGTH, WIDTH, assert_same_boxes, boxes, put, target, write_pictures, write_video

from siamtrack.datasets.folder import Folder
from siamtrack.errors import DataError

NAN = [math.nan] * 4


def meta(source: str | None = "clip.mp4", kind: str = "task") -> str:
    named = f"<source>{source}</source>" if source else ""
    size = f"<original_size><width>{WIDTH}</width><height>{HEIGHT}</height></original_size>"
    return f"<version>1.1</version><meta><{kind}><id>7</id>{size}{named}</{kind}><dumped>2024</dumped></meta>"


def box(frame: int, values, outside: int = 0, keyframe: int = 1, extra: str = "") -> str:
    x, y, w, h = values
    corners = f'xtl="{x:.2f}" ytl="{y:.2f}" xbr="{x + w:.2f}" ybr="{y + h:.2f}"'
    state = f'keyframe="{keyframe}" outside="{outside}" occluded="0"'
    return f'    <box frame="{frame}" {state} {corners} z_order="0"{extra}>\n    </box>\n'


def track(name: str, shapes: str, extra: str = "") -> str:
    return f'  <track id="{name}" label="car" source="manual"{extra}>\n{shapes}  </track>\n'


def document(*parts: str, head: str | None = None) -> str:
    head = meta() if head is None else head
    return f'<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  {head}\n' + "".join(parts) + "</annotations>\n"


def drawn_tracks(extra: str = "") -> str:
    return "".join(track(str(i), "".join(box(n, b) for n, b in enumerate(rows)), extra) for i, rows in enumerate(boxes()))


def test_video_export_comes_back(tmp_path):
    write_video(tmp_path / "videos/clip.mp4")
    put(tmp_path / "task_clip_annotations/annotations.xml", document(drawn_tracks()))
    data = Folder(tmp_path)
    assert data.names == ["videos/clip"]
    clip = data.clip("videos/clip")
    assert_same_boxes(clip, ["0", "1"], 0.011)  # two rounded corners
    assert clip.targets[0].category == "car"
    assert clip.size == (WIDTH, HEIGHT)
    assert np.isnan(clip.targets[0].visibility).all()


@pytest.mark.parametrize("kind", ["task", "job"])
def test_video_export_with_its_images(tmp_path, kind):
    write_pictures(tmp_path / "export/images", "frame_{:06d}.PNG", first=0)
    put(tmp_path / "export/annotations.xml", document(drawn_tracks(), head=meta(kind=kind)))
    assert_same_boxes(Folder(tmp_path).clip("export"), ["0", "1"], 0.011)


def test_every_fifth_frame_is_found_by_its_number(tmp_path):
    for number, path in enumerate(write_pictures(tmp_path / "images", "frame_{:06d}.PNG", first=0)):
        path.rename(path.with_name(f"frame_{5 * number + 10:06d}.PNG"))
    shapes = box(10, (1, 2, 3, 4)) + box(15, (2, 2, 3, 4)) + box(20, (2, 2, 3, 4), outside=1)
    put(tmp_path / "annotations.xml", document(track("0", shapes)))
    found = Folder(tmp_path).clip(tmp_path.name).targets[0]
    assert found.positions.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(found.boxes, [[1, 2, 3, 4], [2, 2, 3, 4], NAN])


def test_keyframes_are_filled_in_until_outside(tmp_path):
    write_video(tmp_path / "clip.mp4")
    shapes = (
        box(1, (10, 20, 30, 40)) + box(3, (20, 24, 32, 40), outside=1) + box(5, (0, 0, 8, 8)) + box(7, (-4, 0, 8, 8), outside=1)
    )
    put(tmp_path / "a.xml", document(track("3", shapes)))
    found = target(Folder(tmp_path).clip("clip"), "3")
    assert found.positions.tolist() == [1, 2, 3, 4, 5, 6, 7]
    expected = [[10, 20, 30, 40], [15, 22, 31, 40], NAN, NAN, [0, 0, 8, 8], [-2, 0, 8, 8], NAN]
    np.testing.assert_array_equal(found.boxes, expected)


SHAPES = {
    '<box frame="0" outside="0" xtl="10" ytl="20" xbr="30" ybr="60" rotation="90.00"></box>': [0, 30, 40, 20],
    '<box frame="0" outside="0" xtl="10" ytl="20" xbr="30" ybr="40" rotation="45.00"></box>': [
        20 - 200**0.5,
        30 - 200**0.5,
        800**0.5,
        800**0.5,
    ],
    '<polygon frame="0" outside="0" points="1.00,9.50;4.00,2.00;3.00,5.00"></polygon>': [1, 2, 3, 7.5],
    '<ellipse frame="0" outside="0" cx="20" cy="30" rx="4" ry="8" rotation="90"></ellipse>': [12, 26, 16, 8],
    '<mask frame="0" outside="0" rle="0, 6" left="3" top="4" width="3" height="2"></mask>': [3, 4, 3, 2],
    '<box frame="0" outside="0" xtl="-5" ytl="-6.5" xbr="400" ybr="30"></box>': [-5, -6.5, 405, 36.5],
    '<skeleton frame="0" keyframe="1"><points label="a" outside="0" points="3,4"></points>'
    '<points label="b" outside="0" points="9,5"></points><points label="c" outside="1" points="99,5"></points></skeleton>': [
        *(3, 4, 6, 1)
    ],
}


@pytest.mark.parametrize(("shape", "expected"), SHAPES.items())
def test_upright_box_around_any_shape(tmp_path, shape, expected):
    write_video(tmp_path / "clip.mp4")
    put(tmp_path / "a.xml", document(track("0", shape)))
    np.testing.assert_allclose(Folder(tmp_path).clip("clip").targets[0].boxes, [expected], atol=1e-9)


def test_project_is_split_by_task(tmp_path):
    write_video(tmp_path / "one.mp4")
    write_video(tmp_path / "two.mp4")
    tasks = "".join(f"<task><id>{i}</id><source>{name}.mp4</source></task>" for i, name in ((4, "one"), (5, "two")))
    head = f"<meta><project><id>1</id><tasks>{tasks}</tasks></project></meta>"
    parts = track("0", box(0, (1, 2, 3, 4)), ' task_id="4"') + track("1", box(2, (5, 6, 7, 8)), ' task_id="5"')
    put(tmp_path / "annotations.xml", document(parts, head=head))
    data = Folder(tmp_path)
    assert data.names == ["one", "two"]
    assert [t.name for t in data.clip("one").targets] == ["0"]
    assert [t.name for t in data.clip("two").targets] == ["1"]


def image(number: int, name: str, shapes: str) -> str:
    return f'  <image id="{number}" name="{name}" width="{WIDTH}" height="{HEIGHT}">\n{shapes}  </image>\n'


def still_box(values, identity: int | None = None) -> str:
    x, y, w, h = values
    inside = "" if identity is None else f'<attribute name="track_id">{identity}</attribute>'
    corners = f'xtl="{x:.2f}" ytl="{y:.2f}" xbr="{x + w:.2f}" ybr="{y + h:.2f}"'
    return f'    <box label="car" source="manual" occluded="0" {corners} z_order="0">{inside}</box>\n'


def test_images_with_track_ids_are_a_sequence(tmp_path):
    paths = write_pictures(tmp_path / "images/walk", "{}.png")
    parts = [
        image(n, f"walk/{path.name}", "".join(still_box(b, 11 + i) for i, b in enumerate(boxes()[:, n])))
        for n, path in enumerate(paths)
    ]
    put(tmp_path / "annotations.xml", document(*parts, head=meta(None)))
    data = Folder(tmp_path)
    assert data.names == ["images/walk"]
    assert_same_boxes(data.clip("images/walk"), ["11", "12"], 0.011)


def test_images_without_track_ids_are_stills(tmp_path):
    write_pictures(tmp_path / "images", "{}.png")
    parts = image(0, "1.png", still_box((1, 2, 3, 4)) + still_box((5, 6, 7, 8))) + image(1, "2.png", "")
    put(tmp_path / "annotations.xml", document(parts, head=meta(None)))
    data = Folder(tmp_path)
    assert data.names == ["images/1"]
    clip = data.clip("images/1")
    assert len(clip.frames) == 1
    assert [t.boxes.tolist() for t in clip.targets] == [[[1, 2, 3, 4]], [[5, 6, 7, 8]]]


def test_images_of_a_video_without_its_images(tmp_path):
    write_video(tmp_path / "clip.mp4")
    parts = "".join(image(n, f"frame_{n:06d}", still_box(boxes()[0, n], 0)) for n in range(LENGTH))
    put(tmp_path / "clip_images/annotations.xml", document(parts))
    assert_same_boxes(Folder(tmp_path).clip("clip"), ["0"], 0.011, boxes()[:1])


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (document(track("0", box(0, (1, 2, 3, 4)).replace("1.00", "one"))), r"a\.xml, line 5: xtl=\"one\""),
        (document(track("0", box(0, (1, 2, 3, 4)).replace("xbr", "right"))), r"line 5: <box> has no attribute 'xbr'"),
        (document(track("0", '<box frame="1.5" xtl="1"/>')), "no whole number"),
        (document(track("0", '<polygon frame="1" points="1,2;3"/>')), "no x,y pairs"),
        (document(track("0", box(99, (1, 2, 3, 4)))), "frame 99 .* has 8 frames"),
        (document(track("0", box(3, (1, 2, 3, 4)) * 2)), "second box in frame 3"),
        (document(track("0", box(0, (1, 2, 3, 4))))[:-30], r"a\.xml, line \d+: this is no valid XML"),
    ],
)
def test_bad_files_are_named_with_the_line(tmp_path, text, match):
    write_video(tmp_path / "clip.mp4")
    put(tmp_path / "a.xml", text)
    with pytest.raises(DataError, match=match):
        Folder(tmp_path).clip("clip")


def test_missing_video_is_named_with_similar_ones(tmp_path):
    write_video(tmp_path / "clip_1.mp4")
    write_video(tmp_path / "other.mp4")
    put(tmp_path / "a.xml", document(drawn_tracks(), head=meta("clip1.mp4")))
    with pytest.raises(DataError, match=r"a\.xml' speaks of 'clip1\.mp4', which is not in .*clip_1\.mp4"):
        Folder(tmp_path)


def test_frame_without_a_picture_is_refused(tmp_path):
    write_pictures(tmp_path / "images", "frame_{:06d}.PNG", first=0)
    put(tmp_path / "annotations.xml", document(track("0", box(LENGTH, (1, 2, 3, 4)))))
    with pytest.raises(DataError, match=f"no picture has the number of frame {LENGTH}"):
        Folder(tmp_path).clip(tmp_path.name)


def test_pictures_of_a_video_export_that_are_counted_from_1(tmp_path):
    """The numbers in CVAT's file count frames, not the names of the pictures that were uploaded."""
    write_pictures(tmp_path / "images", "{:06d}.jpg", first=1)
    shapes = "".join(box(n, b) for n, b in enumerate(boxes()[0]) if n >= 2)
    put(tmp_path / "annotations.xml", document(track("0", shapes), head=meta(source=None)))
    (found,) = Folder(tmp_path).names
    assert target(Folder(tmp_path).clip(found), "0").positions.tolist() == list(range(2, LENGTH))


def test_a_frame_number_that_no_video_has(tmp_path):
    write_video(tmp_path / "clip.mp4")
    put(tmp_path / "annotations.xml", document(track("0", box(0, (1, 2, 30, 40)) + box(10**12, (1, 2, 30, 40)))))
    with pytest.raises(DataError, match="frame 1000000000000, which no video has"):
        Folder(tmp_path).clip("clip")
