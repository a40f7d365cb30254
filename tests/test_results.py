import json
import math
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamtrack import results
from siamtrack.box import ABSENT, Box
from siamtrack.errors import BoxError, OutputError, SettingsError
from siamtrack.results import FORMATS, ResultWriter, Row, format_of, read_rows

PATHS = {"csv": "run.csv", "jsonl": "run.jsonl", "otb": "run.txt", "got10k": "run", "vot": "run_001.txt"}
coordinates = st.floats(-5000, 5000, allow_nan=False)
sizes = st.floats(0.01, 5000, allow_nan=False)
boxes = st.one_of(st.just(ABSENT), st.builds(Box, coordinates, coordinates, sizes, sizes))
scores = st.one_of(st.just(math.nan), st.floats(-100, 100))


BOX = Box(10, 20, 30, 40)


def row(frame, box=BOX, target=0, score=0.5, seconds=0.01):
    return Row(frame=frame, target=target, box=box, score=score, seconds=seconds)


def write(path, rows_by_frame, **settings):
    with ResultWriter(path, **settings) as writer:
        for rows in rows_by_frame:
            writer.write(rows)


@st.composite
def runs(draw):
    targets = draw(st.integers(1, 3))
    seconds = draw(st.one_of(st.none(), st.floats(1e-5, 9)))
    return targets, [
        [row(i, draw(boxes), target, draw(scores), seconds) for target in range(targets)]
        for i in range(draw(st.integers(1, 4)))
    ]


@pytest.mark.parametrize("layout", FORMATS)
@given(runs())
@settings(max_examples=40, deadline=None)
def test_what_was_written_is_read_back(layout, run):
    targets, frames = run
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / PATHS[layout]
        write(path, frames, format=layout, targets=targets)
        back = read_rows(path, format=layout)
    written = [one for rows in frames for one in rows]
    assert [(one.frame, one.target) for one in back] == [(one.frame, one.target) for one in written]
    for new, old in zip(back, written, strict=True):
        start = layout == "vot" and old.frame == 0
        np.testing.assert_allclose(new.box, ABSENT if start else old.box, atol=1e-3)
        has_score = layout in ("csv", "jsonl") or (layout == "vot" and not start)
        np.testing.assert_allclose(new.score, old.score if has_score else math.nan, rtol=1e-5)
        if layout in ("got10k", "vot") and old.seconds is not None:
            assert new.seconds == pytest.approx(old.seconds, abs=1e-7)
        else:
            assert new.seconds is None


def test_exact_text_of_every_layout(tmp_path):
    frames = [[row(0, Box(10, 20.25, 30, 40))], [row(1, ABSENT, score=math.nan)], [row(2, Box(0, -0.00001, 1 / 3, 2))]]
    for layout in FORMATS:
        write(tmp_path / PATHS[layout], frames, format=layout)
    assert (tmp_path / "run.csv").read_bytes() == (
        b"frame,target,x,y,w,h,score,lost\n0,0,10,20.25,30,40,0.5,\n1,0,,,,,,\n2,0,0,0,0.3333,2,0.5,\n"
    )
    lines = (tmp_path / "run.jsonl").read_text().splitlines()
    assert json.loads(lines[0]) == {"frame": 0, "target": 0, "x": 10, "y": 20.25, "w": 30, "h": 40, "score": 0.5, "lost": None}
    assert json.loads(lines[1])["x"] is None
    assert (tmp_path / "run.txt").read_text().splitlines()[:2] == ["11.0000,21.2500,30.0000,40.0000", "NaN,NaN,NaN,NaN"]
    assert (tmp_path / "run/run_001.txt").read_text().splitlines()[0] == "11.000,21.250,30.000,40.000"
    assert (tmp_path / "run/run_time.txt").read_text() == "0.01000000\n" * 3
    assert (tmp_path / "run_001.txt").read_text().splitlines() == ["1", "0", "0.0000,-0.0000,0.3333,2.0000"]
    assert (tmp_path / "run_001_confidence.value").read_text() == "\nNaN\n0.5\n"
    assert len((tmp_path / "run_001_time.value").read_text().splitlines()) == 3


def test_names_of_the_files(tmp_path):
    def names(path, layout, targets=1):
        writer = ResultWriter(tmp_path / path, format=layout, targets=targets)
        return [str(p.relative_to(tmp_path)) for p in writer.paths]

    assert names("a.txt", "otb", 2) == ["a_0.txt", "a_1.txt"]
    assert names("a_001.txt", "got10k") == ["a_001.txt", "a_time.txt"]
    assert names("a.txt", "got10k") == ["a.txt", "a_time.txt"]
    assert names("a", "got10k", 2) == ["a_0/a_0_001.txt", "a_0/a_0_time.txt", "a_1/a_1_001.txt", "a_1/a_1_time.txt"]
    assert names("a.csv", None, 3) == ["a.csv"]


def test_the_folder_one_stands_in_gives_its_name(tmp_path, monkeypatch):
    (tmp_path / "Car4").mkdir()
    monkeypatch.chdir(tmp_path / "Car4")
    write(".", [[row(0)]], format="got10k")
    assert sorted(p.name for p in (tmp_path / "Car4").iterdir()) == ["Car4_001.txt", "Car4_time.txt"]
    assert len(read_rows(".", format="got10k")) == 1


def test_numbers_of_numpy_are_written_like_others(tmp_path):
    box = Box(*np.float32([1.5, 2, 3, 4]))
    for name in ("a.csv", "a.jsonl"):
        write(tmp_path / name, [[row(np.int64(3), box, score=np.float32(0.25))]])
        assert read_rows(tmp_path / name) == [row(3, Box(1.5, 2, 3, 4), score=0.25, seconds=None)]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_device_is_not_removed(tmp_path, monkeypatch):
    fifo = tmp_path / "a.csv"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    monkeypatch.setattr(results, "FileIO", FullDisk)
    FullDisk.room = 0
    with pytest.raises(OutputError):
        write(fifo, [[row(0)]])
    os.close(reader)
    assert fifo.exists()


def test_format_by_name_and_by_ending():
    assert [format_of(name) for name in ("a.csv", "a.JSONL", "a.ndjson")] == ["csv", "jsonl", "jsonl"]
    assert format_of("a.csv", "otb") == "otb"
    with pytest.raises(SettingsError, match="--format"):
        format_of("a.txt")
    with pytest.raises(SettingsError, match="Did you mean 'got10k'"):
        format_of("a.txt", "got10")


def test_backwards_and_late_starts_fill_lines_in_the_order_written(tmp_path):
    write(tmp_path / "a.txt", [[row(i, Box(i, 0, 1, 1))] for i in (7, 6, 5)], format="otb")
    assert [(one.frame, one.box.x) for one in read_rows(tmp_path / "a.txt", format="otb")] == [(0, 7), (1, 6), (2, 5)]
    write(tmp_path / "a.csv", [[row(i)] for i in (7, 3, 12)])
    assert [one.frame for one in read_rows(tmp_path / "a.csv")] == [3, 7, 12]


@pytest.mark.parametrize("frames", [(0, 2), (3, 2, 3), (1, 1), (1, 2, 1)])
def test_text_layouts_refuse_gaps(tmp_path, frames):
    with pytest.raises(OutputError, match="consecutive"):
        write(tmp_path / "a.txt", [[row(i)] for i in frames], format="otb")


def test_rows_that_do_not_belong_together_are_refused(tmp_path):
    with pytest.raises(OutputError, match="one frame at a time"):
        write(tmp_path / "a.csv", [[row(0), row(1)]])
    with pytest.raises(OutputError, match="needs each of 0 to 1"):
        write(tmp_path / "a.txt", [[row(0)]], format="otb", targets=2)
    with pytest.raises(BoxError, match="infinite"):
        write(tmp_path / "a.csv", [[row(0, Box(math.inf, 0, 1, 1))]])
    with pytest.raises(SettingsError, match="at least 1"):
        ResultWriter(tmp_path / "a.csv", targets=0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("layout", FORMATS)
def test_rows_are_on_disk_at_once_and_survive_an_interrupt(tmp_path, layout):
    path = tmp_path / PATHS[layout]
    with pytest.raises(KeyboardInterrupt), ResultWriter(path, format=layout) as writer:  # noqa: PT012
        writer.write([row(0)])
        writer.write([row(1)])
        assert len(read_rows(path, format=layout)) == 2
        raise KeyboardInterrupt
    assert len(read_rows(path, format=layout)) == 2


@pytest.mark.parametrize("layout", FORMATS)
def test_no_file_is_left_when_nothing_was_written(tmp_path, layout):
    with pytest.raises(ZeroDivisionError), ResultWriter(tmp_path / PATHS[layout], format=layout):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_the_old_result_stays_until_the_first_row(tmp_path):
    path = tmp_path / "a.csv"
    write(path, [[row(4)]])
    with pytest.raises(ZeroDivisionError), ResultWriter(path):
        raise ZeroDivisionError
    assert read_rows(path)[0].frame == 4
    write(path, [])
    assert read_rows(path) == []


class FullDisk(results.FileIO):
    room = 0

    def write(self, data):
        if FullDisk.room <= 0:
            raise OSError(28, "No space left on device")
        part = bytes(data)[: FullDisk.room]
        FullDisk.room -= len(part)
        return super().write(part)


@pytest.mark.parametrize(("room", "lines"), [(5, None), (70, 1), (100, 2)])
def test_a_full_disk_leaves_complete_lines_of_the_same_frames(tmp_path, monkeypatch, room, lines):
    monkeypatch.setattr(results, "FileIO", FullDisk)
    FullDisk.room = room
    path = tmp_path / "a_001.txt"
    with pytest.raises(OutputError, match="No space left"):
        write(path, [[row(i)] for i in range(9)], format="got10k")
    if lines is None:
        assert list(tmp_path.iterdir()) == []
    else:
        for file in tmp_path.iterdir():
            text = file.read_text()
            assert text.endswith("\n")
            assert len(text.splitlines()) == lines


def test_paths_that_cannot_be_written_are_refused_at_once(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "file").write_text("")
    for path, layout, match in (
        ("missing/a.csv", None, "does not exist"),
        ("missing/a", "got10k", "does not exist"),
        ("folder.csv", None, "is a folder"),
        ("file/a.csv", None, "is a file, not a folder"),
        ("file", "got10k", "is a file, not a folder"),
        ("a" * 300 + ".csv", None, "too long"),
    ):
        with pytest.raises(OutputError, match=match):
            ResultWriter(tmp_path / path, format=layout)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="denied"):
        ResultWriter(tmp_path / "a.csv")


def test_a_file_without_permission_is_refused(tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text("")
    monkeypatch.setattr(results.os, "access", lambda *_: False)
    with pytest.raises(OutputError, match="no permission"):
        ResultWriter(tmp_path / "a.csv")


@pytest.mark.parametrize("leftover", ["a.txt", "a_2.txt"])
def test_files_of_another_number_of_targets_are_not_mixed_in(tmp_path, leftover):
    (tmp_path / leftover).write_text("1,1,1,1\n")
    with pytest.raises(OutputError, match="another number of targets"):
        ResultWriter(tmp_path / "a.txt", format="otb", targets=2)
