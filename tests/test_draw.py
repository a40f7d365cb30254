import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamtrack import draw
from siamtrack.box import ABSENT, Box
from siamtrack.draw import PALETTE, draw_boxes, save_image
from siamtrack.errors import OutputError
from siamtrack.polygon import box_corners

numbers = st.one_of(
    st.floats(-50, 150), st.sampled_from([math.nan, math.inf, -math.inf, 0.0, 1e-9, 1e300, -1e300, 2.0**31, -(2.0**31)])
)


def grey(height=120, width=160, value=128):
    return np.full((height, width, 3), value, np.uint8)


def test_the_line_lies_on_the_edges_in_the_colour_of_the_target():
    image = grey()
    picture = draw_boxes(image, [Box(40, 30, 60, 50)])
    assert (image == 128).all()
    for y, x in ((29, 60), (30, 60), (79, 60), (80, 60), (50, 39), (50, 40), (50, 99), (50, 100)):
        assert tuple(picture[y, x]) == PALETTE[0]
    for y, x in ((28, 60), (31, 60), (50, 38), (50, 41)):
        assert picture[y, x].max() < 60  # the dark halo
    assert (picture[32:78, 42:98] == 128).all()
    outside = picture.copy()
    outside[28:82, 38:102] = 128
    assert (outside == 128).all()


def test_a_turned_box_is_drawn_in_place_of_the_upright_one():
    box, corners = Box(40, 30, 60, 50), np.array([[70.0, 20], [110, 60], [80, 90], [40, 50]])
    picture = draw_boxes(grey(), [box], labels=["it"], polygons=[corners])
    line = (picture == PALETTE[0]).all(2)
    sides = np.zeros((120, 160), np.uint8)
    cv2.polylines(sides, [corners.astype(np.int32)], True, 1, 5)
    assert all(line[y - 1 : y + 2, x - 1 : x + 2].any() for x, y in ((90, 40), (95, 75), (60, 70), (55, 35)))
    tag = np.zeros((120, 160), bool)
    tag[:20] = True  # its label stands above it
    assert not (line & (sides == 0) & ~tag).any()
    assert (line & tag).any()
    assert (picture[50:60, 65:75] == 128).all()
    far = draw_boxes(grey(), [box], labels=["it"], polygons=[corners + 500])
    assert (far == 128).all()


def test_without_a_turned_box_the_upright_one_is_drawn():
    box = Box(40.25, 30, 60, 50)
    upright = draw_boxes(grey(), [box, ABSENT])
    assert np.array_equal(draw_boxes(grey(), [box, ABSENT], polygons=[None, None]), upright)
    assert np.array_equal(draw_boxes(grey(), [box, ABSENT], polygons=[box_corners(box), box_corners(ABSENT)]), upright)


@given(st.lists(st.tuples(numbers, numbers), min_size=4, max_size=4), st.integers(1, 90), st.integers(1, 90))
@settings(max_examples=100, deadline=None)
def test_no_turned_box_crashes(corners, height, width):
    picture = draw_boxes(grey(height, width), [Box(1, 2, 3, 4)], labels=["a label"], polygons=[np.array(corners)])
    assert picture.shape == (height, width, 3)


def test_a_shift_of_a_quarter_pixel_moves_the_line_by_that():
    def center(x):
        part = draw._covered(x - 1, x + 1, 160)
        return float((part * (np.arange(160) + 0.5)).sum() / part.sum())

    assert [center(x) for x in (40, 40.25, 40.5)] == pytest.approx([40, 40.25, 40.5])
    whole, quarter, half = (draw_boxes(grey(), [Box(40 + d, 30, 60, 50)])[50, 39].astype(int) for d in (0, 0.25, 0.5))
    assert whole[0] > quarter[0] > half[0] > 16


@pytest.mark.parametrize(
    "box", [ABSENT, Box(1, math.nan, 5, 5), Box(500, 5, 5, 5), Box(-50, 5, 49, 5), Box(5, 5, 0, 5), Box(9, 9, -5, 5)]
)
def test_absent_boxes_are_not_drawn_and_keep_their_colour(box):
    assert (draw_boxes(grey(), [box], labels=["away"], scores=[0.5]) == 128).all()
    assert tuple(draw_boxes(grey(), [box, Box(40, 30, 60, 50)])[50, 40]) == PALETTE[1]


@given(st.lists(st.builds(Box, numbers, numbers, numbers, numbers), max_size=4), st.integers(1, 90), st.integers(1, 90))
@settings(max_examples=150, deadline=None)
def test_no_box_and_no_size_crashes(boxes, height, width):
    picture = draw_boxes(grey(height, width), boxes, scores=[0.25] * len(boxes), labels=["a long label"] * len(boxes))
    assert picture.shape == (height, width, 3)
    assert picture.dtype == np.uint8


@pytest.mark.parametrize("side", [0.3, 0.5, 2.4, 5.0, 21.7])
def test_no_pixel_is_blended_twice(side):
    picture = draw_boxes(grey(80, 80), [Box(40.2, 40.2, side, side)])
    assert (picture == picture.transpose(1, 0, 2)).all()
    high, wide = (draw_boxes(grey(80, 80), [Box(40.2, 40.2, w, h)]) for w, h in ((side, 30), (30, side)))
    assert (high == wide.transpose(1, 0, 2)).all()


def test_a_box_around_the_frame_and_one_across_its_border():
    assert (draw_boxes(grey(), [Box(-1e9, -1e9, 2e9, 2e9)]) == 128).all()
    picture = draw_boxes(grey(), [Box(-30, 40, 60, 1e6)])
    assert tuple(picture[100, 30]) == PALETTE[0]
    assert tuple(picture[40, 0]) == PALETTE[0]


@pytest.mark.parametrize("size", [(240, 320), (1080, 1920), (2160, 3840)])
@pytest.mark.parametrize(
    "box", [(0, 0, 0.1, 0.1), (0.92, 0, 0.08, 0.1), (0, 0.9, 0.1, 0.1), (0.9, 0.9, 0.1, 0.1), (0, 0, 1, 1)]
)
def test_labels_stay_inside_the_frame(size, box, monkeypatch):
    written = []
    monkeypatch.setattr(
        draw, "write_text", lambda picture, text, x, baseline, height, colour: written.append((text, x, baseline, height))
    )
    draw.capital_height.cache_clear()
    monkeypatch.setattr(draw, "capital_height", lambda height: math.ceil(height))
    height, width = size
    draw_boxes(
        grey(*size), [Box(box[0] * width, box[1] * height, box[2] * width, box[3] * height)], labels=["target"], scores=[0.5]
    )
    ((text, x, baseline, letters),) = written
    assert text == "target 0.50"
    assert x >= 0
    assert x + draw.text_width(text, letters) <= width
    assert letters <= baseline <= height


def test_labels_of_neighbours_do_not_cover_each_other():
    taken = []
    picture = grey(480, 640)
    for dx in range(4):
        draw._draw_tag(picture, Box(200 + dx, 200, 120, 120), "same place", PALETTE[dx], taken)
    assert not any(draw._overlap(a, b) for i, a in enumerate(taken) for b in taken[:i])


def test_lines_and_letters_grow_with_the_frame():
    assert draw._line_width(2160, 3840) > 1.5 * draw._line_width(1080, 1920) > 3 * draw._line_width(240, 320) / 2
    assert len(set(PALETTE)) == 12


def test_scores_that_are_missing_are_not_written(monkeypatch):
    texts = []
    monkeypatch.setattr(draw, "_draw_tag", lambda *arguments: texts.append(arguments[2]))
    box = Box(40, 30, 60, 50)
    draw_boxes(grey(), [box, box, box], scores=[0.123, math.nan, math.nan], labels=["a", "b", ""])
    draw_boxes(grey(), [box], scores=[7])
    assert texts == ["a 0.12", "b", "7.00"]
    with pytest.raises(ValueError, match="zip"):
        draw_boxes(grey(), [box], labels=[])


def test_saved_pictures_come_back_in_rgb(tmp_path):
    image = grey()
    image[:, :, 0] = 250
    for name in ("a.png", "b.BMP", "c.jpg"):
        save_image(tmp_path / name, image)
        back = cv2.imread(str(tmp_path / name))[:, :, ::-1].astype(int)
        assert np.abs(back - image).max() <= (3 if name == "c.jpg" else 0)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.BMP", "c.jpg"]


def test_pictures_that_cannot_be_saved(tmp_path, monkeypatch):
    with pytest.raises(OutputError, match=r"Did you mean '.jpeg'"):
        save_image(tmp_path / "a.jpeq", grey())
    with pytest.raises(OutputError, match="no ending of a picture"):
        save_image(tmp_path / "a", grey())
    with pytest.raises(OutputError, match="folder"):
        save_image(tmp_path / "missing" / "a.png", grey())
    (tmp_path / "b.png").mkdir()
    with pytest.raises(OutputError, match="Cannot write"):
        save_image(tmp_path / "b.png", grey())
    save_image(tmp_path / "c.png", grey())
    before = (tmp_path / "c.png").read_bytes()

    def full(path, data):
        with path.open("wb") as file:
            file.write(data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OutputError, match="No space"):
        save_image(tmp_path / "c.png", grey(value=3))
    assert (tmp_path / "c.png").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b.png", "c.png"]
