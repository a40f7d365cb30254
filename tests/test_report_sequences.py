"""Single sequences in a report: overlap over time, worst moments and their pictures."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from result_files import run, sequence, walk

from siamtrack.box import iou
from siamtrack.evaluation import report_sequences
from siamtrack.evaluation.report_sequences import lines_of, overlaps_over_time, spark_path, strip_of, worst_moments
from siamtrack.metrics.vot_presets import PRESETS

LENGTH = 60


def test_overlaps_of_boxes_are_those_of_the_frames() -> None:
    truth = walk(8)
    truth[3] = np.nan
    truth[4, 2:] = 0  # as files of OTB have it where the target is out of view
    boxes = walk(8, start=15)
    boxes[5] = np.nan
    values = overlaps_over_time(run(boxes), sequence("a", truth), None)
    assert np.isnan(values[[3, 4]]).all()
    assert values[5] == 0
    assert values[[0, 1, 2, 6, 7]] == pytest.approx(iou(boxes, truth)[[0, 1, 2, 6, 7]])


def test_a_run_that_starts_later_has_no_overlaps_before() -> None:
    values = overlaps_over_time(run(walk(8)[3:], first=3), sequence("a", walk(8)), None)
    assert np.isnan(values[:3]).all()
    assert (values[3:] == 1).all()


def test_restarts_are_gaps_and_failures_zero() -> None:
    codes = [np.array([code]) for code in (2.0, 0.0, 1.0)]
    regions = [np.array([1.0]), walk(8)[1], *codes, *walk(8)[5:7], np.full(4, np.nan)]
    values = overlaps_over_time(run(regions), sequence("a", walk(8)), PRESETS["vot-python"])
    assert np.isnan(values[[0, 3, 4]]).all()
    assert values[[1, 2, 5, 6, 7]] == pytest.approx([1, 0, 1, 1, 0])


def test_polygons_are_compared_as_the_tool_does() -> None:
    corners = [np.array([x, y, x + w, y, x + w, y + h, x, y + h]) for x, y, w, h in walk(4)]
    values = overlaps_over_time(run(walk(4, start=20)), sequence("a", corners), PRESETS["pysot"])
    assert values == pytest.approx(1 / 3, abs=0.03)


def test_a_spark_stays_in_its_field_and_has_gaps() -> None:
    values = np.concatenate([np.linspace(1, 0, 50), np.full(30, np.nan), np.ones(50)])
    path = spark_path(values)
    assert path.count("M") == 2
    points = np.array(re.findall(r"[ML]([\d.]+) ([\d.]+)", path), float)
    assert len(points) <= 40
    assert (points >= 1).all()
    assert (points <= [report_sequences.SPARK_WIDTH - 1, report_sequences.SPARK_HEIGHT - 1]).all()
    assert points[-1, 1] == 1  # at the top
    assert spark_path(np.array([0.5])) == "M40 9.0"


def test_long_lines_are_means_of_pieces() -> None:
    values = np.tile([0.2, 0.4, np.nan], 400)
    lines = lines_of({"a": values, "b": np.full(1200, np.nan)})
    assert lines["step"] == 3
    assert lines["lines"] == [[30] * 400, [None] * 400]
    assert lines_of({"a": np.array([1.0, np.nan])}) == {"step": 1, "lines": [[100, None]]}


def test_a_fall_is_a_worst_moment() -> None:
    steady, lost = np.full(LENGTH, 0.8), np.where(np.arange(LENGTH) < 40, 0.9, 0.1)
    assert worst_moments([steady, lost]) == [40]
    back = np.where((np.arange(LENGTH) >= 20) & (np.arange(LENGTH) < 25), 0.0, 0.9)
    moments = worst_moments([back, lost])
    assert any(20 <= moment < 25 for moment in moments)
    assert 40 in moments
    assert worst_moments([np.full(LENGTH, np.nan)]) == []


@given(
    st.lists(st.lists(st.sampled_from([0.0, 0.3, 0.7, 1.0, np.nan]), min_size=30, max_size=30), min_size=1, max_size=3),
    st.integers(1, 6),
)
def test_moments_are_few_apart_and_in_order(rows: list[list[float]], count: int) -> None:
    values = [np.array(row) for row in rows]
    moments = worst_moments(values, count)
    known = ~np.isnan(np.stack(values)).all(0)
    assert bool(moments) == known.any()
    assert len(moments) <= count
    assert all(known[moment] for moment in moments)
    assert all(np.diff(moments) >= 3)
    if moments:
        means = [np.mean([row[i] for row in values if not np.isnan(row[i])]) for i in np.flatnonzero(known)]
        assert min(means) in [np.mean([row[m] for row in values if not np.isnan(row[m])]) for m in moments]


@pytest.mark.parametrize(("width", "height"), [(640, 480), (200, 900)])
def test_a_picture_shows_what_is_around_the_regions(tmp_path: Path, width: int, height: int) -> None:
    truth = np.tile([90.0, 300.0, 30.0, 20.0], (4, 1))
    image = np.zeros((height, width, 3), np.uint8)
    image[300:320, 90:120] = (0, 0, 255)
    paths = [tmp_path / f"{i}.png" for i in range(4)]
    for path in paths:
        cv2.imwrite(str(path), image)
    boxes = truth + np.array([40, 0, 0, 0])
    boxes[3, 0] = 5000  # far outside the picture
    one = sequence("a", truth, frames=paths)
    overlaps = overlaps_over_time(run(boxes), one, None)
    (moment,) = strip_of(one, [run(boxes)], [overlaps], count=1)
    x, y, w, h = moment["view"]
    assert 0 <= x <= 90
    assert 120 <= x + w <= width
    assert 0 <= y <= 300
    assert 320 <= y + h <= height
    assert moment["truth"] == [[90, 300, 120, 300, 120, 320, 90, 320]]
    shown = cv2.imdecode(np.frombuffer(base64.b64decode(moment["picture"].split(",")[1]), np.uint8), cv2.IMREAD_COLOR)
    scale = shown.shape[1] / w
    assert max(shown.shape) <= 400
    assert shown.shape[0] / h == pytest.approx(scale, abs=0.02)
    centre = shown[round((310 - y) * scale), round((105 - x) * scale)]
    assert centre[2] > 200
    assert max(centre[:2]) < 60


def test_there_is_no_strip_without_pictures(tmp_path: Path) -> None:
    values = [np.ones(6)]
    assert strip_of(sequence("a"), [run(walk())], values) == []
    gone = sequence("a", frames=[tmp_path / f"{i}.png" for i in range(6)])
    assert strip_of(gone, [run(walk())], values) == []
