"""Files that others wrote, or that are damaged; what siamtrack wrote itself is in test_results.py."""

import math

import numpy as np
import pytest

from siamtrack.errors import InputError
from siamtrack.results import read_boxes, read_rows


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,2,3,4\n5,6,7,8\n", [[1, 2, 3, 4], [5, 6, 7, 8]]),
        ("\ufeff1\t2\t3\t4\r\n5 6  7 8.5\r\n\r\n\n", [[1, 2, 3, 4], [5, 6, 7, 8.5]]),
        (" 1, 2 ,3\t4 \nNaN,nan,NaN,NaN", [[1, 2, 3, 4], [math.nan] * 4]),
        ("", np.zeros((0, 4))),
    ],
)
def test_boxes_with_every_separator(tmp_path, text, expected):
    (tmp_path / "a.txt").write_bytes(text.encode())
    got = read_boxes(tmp_path / "a.txt")
    assert got.dtype == np.float64
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ("1,2,3", "four numbers"),
        ("1,,3,4,5", "four numbers"),
        ("1,2,3,x", "found '1,2,3,x'"),
        ("1,2,inf,4", "four numbers"),
        ("", "found ''"),
        ("1", "VOT"),
        ("1,2,3,4,5,6,7,8", "Polygons"),
    ],
)
def test_bad_lines_are_named(tmp_path, line, match):
    (tmp_path / "a.txt").write_text(f"1,2,3,4\n{line}\n1,2,3,4\n")
    with pytest.raises(InputError, match=f"a.txt, line 2: .*{match}"):
        read_boxes(tmp_path / "a.txt")


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("a.csv", "", "is empty"),
        ("a.csv", "frame,x,y,w,h\n", "line 1.*missing: target"),
        ("a.csv", "frame,target,x,y,w,h,score\n0,0,1,2,3,4,5\n1,0,1,2\n", "line 3"),
        ("a.csv", "frame,target,x,y,w,h,score\n0.5,0,1,2,3,4,5\n", "line 2"),
        ("a.jsonl", "[1]\n", "line 1.*JSON object"),
        ("a.jsonl", '{"frame": 1.5, "target": 0, "x": 1, "y": 1, "w": 1, "h": 1}\n', "line 1"),
        ("a.jsonl", '{"frame": 1, "target": 0, "x": 1, "y": 1, "w": 1}\n', "line 1"),
        ("a.jsonl", '{"frame": 1, "targ', "line 1"),
    ],
)
def test_bad_csv_and_jsonl_are_named(tmp_path, name, text, match):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=match):
        read_rows(tmp_path / name)


def test_csv_of_others_with_nan_and_other_columns(tmp_path):
    (tmp_path / "a.csv").write_text("target,frame,x,y,w,h,note\n0,3,nan,nan,nan,nan,away\n")
    (one,) = read_rows(tmp_path / "a.csv")
    assert one.box.absent
    assert (one.frame, one.target) == (3, 0)
    assert math.isnan(one.score)


def test_codes_and_polygons_of_vot(tmp_path):
    (tmp_path / "a.txt").write_text("1\n1,2,3,4\n2\n0\n0.0\n1,2,3,4\n")
    assert [one.box.absent for one in read_rows(tmp_path / "a.txt", format="vot")] == [True, False, True, True, True, False]
    (tmp_path / "a.txt").write_text("1\n1,2,3,4,5,6,7,8\n")
    assert read_rows(tmp_path / "a.txt", format="vot")[1].polygon == (1, 2, 3, 4, 5, 6, 7, 8)
    (tmp_path / "a.txt").write_text("1\n1,2,3,4,5,6\n")
    with pytest.raises(InputError, match=r"line 2.*Polygons"):
        read_rows(tmp_path / "a.txt", format="vot")


def test_files_that_are_no_text(tmp_path):
    with pytest.raises(InputError, match="Cannot read"):
        read_boxes(tmp_path / "none.txt")
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(InputError, match="not a text file"):
        read_boxes(tmp_path / "a.txt")
