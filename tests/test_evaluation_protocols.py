"""Protocols: the runs that a sequence gets, against what the official tools do."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evaluation_runs import FAR, HEIGHT, WIDTH, Scripted, benchmark, done, sequence, truth
from hypothesis import given
from hypothesis import strategies as st

from siamtrack.box import ABSENT, Box
from siamtrack.datasets.benchmark import BenchmarkSequence
from siamtrack.errors import BoxError, DataError, SettingsError
from siamtrack.evaluation.layouts import decode, encode, layout_of
from siamtrack.evaluation.protocols import check_protocol, is_same, settings_for
from siamtrack.evaluation.protocols_following import ProtocolSettings, start_box
from siamtrack.evaluation.protocols_otb import SHIFTS, SHORTEST, sre_box, tre_starts
from siamtrack.evaluation.scoring import score
from siamtrack.evaluation.trajectory import TrackerResults
from siamtrack.image import Image
from siamtrack.library import _benchmarks
from siamtrack.metrics.vot import SupervisedSequence
from siamtrack.metrics.vot_eao import check_supervised
from siamtrack.metrics.vot_presets import PRESETS
from siamtrack.tracking import Prediction

KNOWN = _benchmarks()
SLANTED = np.array([30, 10, 40, 20, 30, 30, 20, 20], float)  # a square on its corner, area 200, around 20,10,20,20


def codes(run: object) -> list[int | None]:
    return [int(region[0]) if len(region) == 1 else None for region in run.regions]  # type: ignore[attr-defined]


class TestOPE:
    def test_one_pass_with_the_true_box_first(self, tmp_path: Path) -> None:
        tracker = Scripted(lost=[5])
        (run,) = done(tracker, sequence(tmp_path, count=8), "ope")
        expected = truth(8)
        expected[5] = FAR
        assert np.array_equal(run.boxes, expected)
        assert np.isnan(run.scores[0])
        assert np.array_equal(run.scores[1:], np.arange(1, 8) / 8)
        assert tracker.seen == list(range(8))
        assert (run.first, len(tracker.started)) == (0, 1)

    def test_reading_a_picture_is_not_timed(self, tmp_path: Path) -> None:
        ticks = itertools.count()  # every look at the clock is a second later: two of them around each answer
        (run,) = done(Scripted(), sequence(tmp_path, count=5), "ope", clock=lambda: float(next(ticks)))
        assert run.seconds.tolist() == [1.0] * 5
        assert next(ticks) == 10

    def test_sequences_that_cannot_be_run(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="no frames here"):
            done(Scripted(), BenchmarkSequence(name="a", regions=list(truth(3))), "ope")
        absent = truth(5)
        absent[0] = np.nan
        with pytest.raises(DataError, match="no true region in frame 1"):
            done(Scripted(), sequence(tmp_path, "b", regions=absent), "ope")
        flat = truth(5)
        flat[0, 2] = 0
        with pytest.raises(BoxError, match="no area"):
            done(Scripted(), sequence(tmp_path, "c", regions=flat), "ope")
        torn = sequence(tmp_path, "d", count=5)
        torn.frames[3].write_bytes(b"")
        with pytest.raises(DataError, match=r"0004\.png"):
            done(Scripted(), torn, "ope")


class TestTRE:
    def test_trap_9_tre_last_start(self) -> None:
        """Of 100 frames, 81 leave 20 or more: the last run starts in the 81st, the others 81/19 apart from the first."""
        starts = tre_starts(truth(100))
        assert starts[-1] == 80
        assert starts == [0, 4, 8, 12, 17, 21, 25, 29, 34, 38, 42, 46, 51, 55, 59, 63, 68, 72, 76, 80]

    def test_frames_with_invalid_truth_are_no_starts(self) -> None:
        boxes = truth(100)
        boxes[0, 0] = -1  # column 0 in the 1-based file
        boxes[4] = np.nan
        boxes[80, 2] = 0
        starts = tre_starts(boxes)
        assert (starts[0], starts[-1]) == (1, 79)
        assert not {0, 4, 80} & set(starts)

    def test_short_sequences(self) -> None:
        assert tre_starts(truth(38)) == [*range(19), 18]  # 19 candidates: each, and the last again
        assert tre_starts(truth(20)) == [0, 0]
        with pytest.raises(DataError, match="20 frames"):
            tre_starts(truth(19))

    @given(st.lists(st.booleans(), min_size=20, max_size=400))
    def test_every_start_is_a_candidate_and_they_spread_evenly(self, valid: list[bool]) -> None:
        boxes = truth(len(valid))
        boxes[~np.array(valid)] = np.nan
        candidates = [i for i, ok in enumerate(valid) if ok and len(valid) - i >= SHORTEST]
        if not candidates:
            return
        starts = tre_starts(boxes)
        assert set(starts) <= set(candidates)
        assert (starts[0], starts[-1]) == (candidates[0], candidates[-1])
        assert len(starts) == 20 or len(candidates) < 19
        places = [candidates.index(start) for start in starts[:-1]]
        steps = set(np.diff(places))
        assert max(steps, default=0) - min(steps, default=0) <= 1

    def test_runs_begin_where_they_start_and_end_with_the_sequence(self, tmp_path: Path) -> None:
        of = sequence(tmp_path, count=45)
        runs = done(tracker := Scripted(), of, "tre")
        assert [run.first for run in runs] == tre_starts(truth(45)) == [frame for frame, _ in tracker.started]
        assert all(len(run) == 45 - run.first for run in runs)
        assert all(np.array_equal(run.boxes, truth(45)[run.first :]) for run in runs)


class TestSRE:
    BOX = Box(99, 49, 31, 22)  # 100,50,31,22 in the file

    def test_trap_8_sre_down_moves_the_box(self) -> None:
        """The Python port of the toolkit makes it wider instead."""
        assert sre_box(self.BOX, "down", (640, 480)) == Box(99, 52, 31, 22)
        assert sre_box(self.BOX, "up", (640, 480)) == Box(99, 46, 31, 22)

    def test_boxes_of_the_matlab_toolkit(self) -> None:
        """Worked out by hand from util/shiftInitBB.m."""
        boxes = {shift: tuple(sre_box(self.BOX, shift, (640, 480))) for shift in SHIFTS}
        assert boxes == {
            "left": (95, 49, 31, 22),
            "right": (103, 49, 31, 22),
            "up": (99, 46, 31, 22),
            "down": (99, 52, 31, 22),
            "topLeft": (96, 47, 34, 24),
            "topRight": (99, 47, 34, 24),
            "bottomLeft": (96, 49, 34, 24),
            "bottomRight": (99, 49, 34, 24),
            "scale_8": (102, 51, 25, 18),
            "scale_9": (101, 50, 28, 20),
            "scale_11": (97, 48, 34, 24),
            "scale_12": (96, 47, 37, 26),
        }

    @given(
        st.integers(-20, 120),
        st.integers(-20, 80),
        st.integers(1, 90),
        st.integers(1, 70),
        st.sampled_from(SHIFTS),
    )
    def test_boxes_end_inside_the_image(self, x: int, y: int, w: int, h: int, shift: str) -> None:
        moved = sre_box(Box(x, y, w, h), shift, (128, 96))
        assert moved.x >= 0
        assert moved.y >= 0
        assert moved.x + moved.w <= 128
        assert moved.y + moved.h <= 96

    @given(st.floats(20, 60), st.floats(20, 60), st.floats(8, 40), st.floats(8, 40))
    def test_far_from_the_border_shifts_are_by_a_tenth(self, x: float, y: float, w: float, h: float) -> None:
        box = Box(x, y, w, h)
        moved = {shift: sre_box(box, shift, (200, 200)) for shift in SHIFTS}
        for shift, (dx, dy) in {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}.items():
            assert moved[shift] == pytest.approx((x + dx * math.ceil(0.1 * w), y + dy * math.ceil(0.1 * h), w, h))
        for shift, ratio in {"scale_8": 0.8, "scale_12": 1.2}.items():
            assert moved[shift].center == pytest.approx(box.center, abs=1)
            assert moved[shift].w == pytest.approx(ratio * w, abs=0.5 + 1e-9)
        assert moved["topLeft"].x + moved["topLeft"].w == pytest.approx(x + w)
        assert moved["bottomRight"][:2] == pytest.approx((x, y))

    def test_twelve_runs_from_the_first_frame(self, tmp_path: Path) -> None:
        runs = done(tracker := Scripted(), sequence(tmp_path, count=4), "sre")
        assert [box for _, box in tracker.started] == [sre_box(Box(20, 15, 12, 10), s, (WIDTH, HEIGHT)) for s in SHIFTS]
        assert len(runs) == 12
        assert all(run.first == 0 and len(run) == 4 for run in runs)
        assert runs[3].boxes[0].tolist() == [20, 16, 12, 10]


class TestSupervised:
    def test_codes_of_a_tracker_that_fails_at_known_frames(self, tmp_path: Path) -> None:
        tracker = Scripted(lost=[4, 11, 27])
        run = done(tracker, of := sequence(tmp_path, count=30), "supervised")[0]
        expected: list[int | None] = [None] * 30
        for start in (0, 9, 16):
            expected[start] = 1
        for failure in (4, 11, 27):
            expected[failure] = 2
            expected[failure + 1 : failure + 5] = [0] * len(expected[failure + 1 : failure + 5])
        assert codes(run) == expected
        assert [frame for frame, _ in tracker.started[:3]] == [0, 9, 16]
        assert not {5, 6, 7, 8, 12, 13, 14, 15, 28, 29} & set(tracker.seen)
        scored = SupervisedSequence(name="a", truth=of.regions, width=WIDTH, height=HEIGHT, runs=[run.regions])
        check_supervised(scored, run.regions, np.ones(30), PRESETS["vot-matlab"], "the run")

    def test_no_answer_is_a_failure_and_a_frame_without_truth_is_none(self, tmp_path: Path) -> None:
        regions = truth(14)
        regions[6] = np.nan
        run = done(Scripted(nothing=[8], lost=[6]), sequence(tmp_path, "b", regions=regions), "supervised")[0]
        assert codes(run) == [1] + [None] * 7 + [2, 0, 0, 0, 0, 1]
        regions[13] = np.nan
        with pytest.raises(DataError, match="frame 14, in which"):
            done(Scripted(nothing=[8]), sequence(tmp_path, "c", regions=regions), "supervised")

    def test_what_lies_outside_the_image_overlaps_only_before_2016(self, tmp_path: Path) -> None:
        regions = truth(3)
        regions[2] = [20, -20, 20, 20.4]  # of it, the image holds less than a row of pixels
        of = sequence(tmp_path, regions=regions)
        outside = Scripted(says={2: Box(20, -18, 20, 18)})
        assert codes(done(outside, of, "supervised")[0]) == [1, None, 2]
        assert codes(done(outside, of, "supervised", preset="vot-matlab-2015")[0]) == [1, None, None]

    def test_three_identical_runs_are_enough_and_fifteen_the_most(self, tmp_path: Path) -> None:
        of = sequence(tmp_path, count=4)
        assert len(done(Scripted(), of, "supervised")) == 3
        assert len(done(Scripted(wobble=0.01), of, "supervised")) == 15
        assert len(done(Scripted(wobble=0.01), of, "supervised", repetitions=2)) == 2

    def test_challenges_until_2015_have_their_own_overlap(self) -> None:
        assert settings_for(KNOWN["vot2014"], ProtocolSettings()).preset == "vot-matlab-2015"
        assert settings_for(KNOWN["vot2018"], ProtocolSettings()).preset == "vot-matlab"
        for preset in ("pysot", "vot-matlab"):
            assert settings_for(KNOWN["vot2014"], ProtocolSettings(preset=preset)).preset == preset
        assert settings_for(KNOWN["otb100"], ProtocolSettings()).preset is None


class Turned(Scripted):
    """Has turned boxes, too; in the frames of `apart` they have no overlap with the truth, which the upright box has."""

    def __init__(self, *, apart: Sequence[int] = (), says: Mapping[int, Box] | None = None) -> None:
        super().__init__(says=says)
        self.apart = apart

    def step(self, frame: Image, states: Sequence[int]) -> tuple[list[int], list[Prediction]]:
        states, (prediction,) = super().step(frame, states)
        box = Box(1, 1, 5, 5) if int(frame[0, 0, 0]) in self.apart else prediction.box
        return states, [replace(prediction, polygon=diamond(box).reshape(4, 2), mask=np.zeros(frame.shape[:2], bool))]


def diamond(box: Box) -> np.ndarray:
    """Corners in the middles of the sides."""
    x, y, w, h = box
    return np.array([x + w / 2, y, x + w, y + h / 2, x + w / 2, y + h, x, y + h / 2])


class TestTurnedBoxes:
    """Of a model that gives masks; as tools/test.py of foolwood/SiamMask and of STVIR/pysot answer VOT's sequences."""

    TRUTH = tuple(diamond(Box(*box)) for box in truth(20).tolist())

    def test_they_are_answered_and_judged_where_the_truth_is_polygons(self, tmp_path: Path) -> None:
        of = sequence(tmp_path, regions=self.TRUTH)
        for protocol in ("supervised", "realtime"):
            run = done(Turned(apart=[4]), of, protocol, frame_seconds=0.01)[0]
            assert codes(run)[:11] == [1, None, None, None, 2, 0, 0, 0, 0, 1, None]
            assert np.array_equal(run.regions[2], self.TRUTH[2])
        (run,) = done(Turned(apart=[4]), of, "unsupervised")
        assert codes(run) == [1] + [None] * 19
        assert run.regions[4].tolist() == [3.5, 1, 6, 3.5, 3.5, 6, 1, 3.5]

    def test_one_without_numbers_is_a_failure(self, tmp_path: Path) -> None:
        tracker = Turned(says={4: ABSENT})
        assert codes(done(tracker, sequence(tmp_path, regions=self.TRUTH), "supervised")[0])[:6] == [1, None, None, None, 2, 0]

    def test_they_stand_in_result_files_and_in_scores(self, tmp_path: Path) -> None:
        of = replace(sequence(tmp_path, regions=self.TRUTH), size=(WIDTH, HEIGHT))
        runs = done(Turned(), of, "unsupervised")
        layout = layout_of(KNOWN["vot2018"], "unsupervised")
        for path, text in encode(layout, "a", runs).items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        again = decode(layout, tmp_path, "a", [0])
        assert np.array_equal(again[0].regions[7], self.TRUTH[7])
        results = TrackerResults(tracker="x", benchmark="vot2018", protocol="unsupervised", runs={"a": again})
        assert score(results, [of], "pysot").overall.numbers["ao"] == pytest.approx(1)
        boxes = [np.array([1.0]), *truth(20)[1:]]
        upright = replace(results, runs={"a": [replace(again[0], regions=boxes)]})
        assert score(upright, [of], "pysot").overall.numbers["ao"] < 0.7
        with pytest.raises(DataError, match=r"polygons.*mask\.threshold=0"):
            score(results, [of], "otb-matlab")

    @pytest.mark.parametrize("protocol", ["ope", "got10k"])
    def test_tools_of_boxes_get_boxes(self, tmp_path: Path, protocol: str) -> None:
        run = done(Turned(), sequence(tmp_path, regions=self.TRUTH), protocol)[0]
        assert np.array_equal(run.boxes[1:], truth(20)[1:])

    @pytest.mark.parametrize("protocol", ["supervised", "realtime", "unsupervised", "long-term"])
    def test_upright_truth_gets_boxes(self, tmp_path: Path, protocol: str) -> None:
        run = done(Turned(), sequence(tmp_path, count=6), protocol, frame_seconds=0.01)[0]
        assert np.array_equal(run.boxes[1:], truth(6)[1:])


class TestRealTime:
    """20 frames a second: 0.05 s each."""

    @staticmethod
    def seen(tmp_path: Path, seconds: float, **settings: float) -> list[int]:
        tracker = Scripted()
        done(tracker, sequence(tmp_path, count=12), "realtime", frame_seconds=seconds, **settings)
        return tracker.seen

    def test_a_tracker_in_time_sees_every_frame(self, tmp_path: Path) -> None:
        assert self.seen(tmp_path, 0.05) == list(range(12))

    def test_three_late_answers_are_forgiven_then_frames_are_missed(self, tmp_path: Path) -> None:
        """Frames 0, 1, 2 are forgiven. Frame 3 takes 2.4 frames: 4 is missed, and 5 is given with 0.4 left over."""
        assert self.seen(tmp_path, 0.12) == [0, 1, 2, 3, 5, 7, 9, 11]
        assert self.seen(tmp_path, 0.12, grace=0) == [0, 2, 4, 6, 8, 10]
        assert self.seen(tmp_path, 0.12, fps=5) == list(range(12))

    def test_a_missed_frame_gets_the_last_answer_in_no_time(self, tmp_path: Path) -> None:
        (run,) = done(Scripted(), sequence(tmp_path, count=8), "realtime", frame_seconds=0.12)
        assert np.array_equal(run.regions[4], truth(8)[3])
        assert run.seconds.tolist() == [0.12, 0.12, 0.12, 0.12, 0, 0.12, 0, 0.12]
        assert codes(run) == [1] + [None] * 7

    def test_a_start_forgives_again(self, tmp_path: Path) -> None:
        tracker = Scripted(lost=[5])
        done(tracker, sequence(tmp_path, count=18), "realtime", frame_seconds=0.12)
        assert tracker.seen == [0, 1, 2, 3, 5, 10, 11, 12, 13, 15, 17]

    def test_times_are_measured_by_the_clock(self, tmp_path: Path) -> None:
        now = iter(np.cumsum([0, 0.2] * 12).tolist())
        tracker = Scripted()
        done(tracker, sequence(tmp_path, count=12), "realtime", clock=lambda: next(now), grace=0)
        assert tracker.seen == [0, 4, 8]


class TestOthers:
    def test_one_pass_of_vot_begins_with_the_code(self, tmp_path: Path) -> None:
        for protocol in ("unsupervised", "long-term"):
            (run,) = done(tracker := Scripted(lost=[2, 3]), sequence(tmp_path, count=6), protocol)
            assert codes(run) == [1, None, None, None, None, None]
            assert len(tracker.started) == 1
            assert run.scores[5] == 5 / 8

    def test_got10k_repeats_what_differs_and_keeps_one_of_what_does_not(self, tmp_path: Path) -> None:
        of = sequence(tmp_path, count=4)
        assert len(done(Scripted(), of, "got10k")) == 1
        different = done(Scripted(wobble=0.5), of, "got10k")
        assert len(different) == 3
        assert not is_same(different[0], different[1])

    def test_protocols_that_a_benchmark_is_not_run_under_are_refused(self) -> None:
        assert check_protocol("tre", benchmark(), ProtocolSettings()) == "tre"
        with pytest.raises(SettingsError, match="has no protocol 'supervised'"):
            check_protocol("supervised", benchmark(), ProtocolSettings())
        with pytest.raises(SettingsError, match="leave out the setting repetitions, which is for supervised and got10k"):
            check_protocol("ope", benchmark(), ProtocolSettings(repetitions=2))


class TestStartBox:
    """Trap 15: the polygon is made a box by a rule that moves EAO by points."""

    def of(self, region: np.ndarray) -> BenchmarkSequence:
        return BenchmarkSequence(name="a", regions=[region])

    def test_rules(self) -> None:
        side = math.sqrt(200)
        assert start_box(self.of(SLANTED), 0, "area") == pytest.approx((30 - side / 2, 20 - side / 2, side, side))
        assert start_box(self.of(SLANTED), 0, "min-max") == (20, 10, 20, 20)
        assert start_box(self.of(SLANTED), 0, "pysot") == pytest.approx((30 - side / 2, 20 - side / 2, side + 1, side + 1))

    def test_boxes_stay_and_other_polygons_give_the_box_around_them(self) -> None:
        for rule in ("area", "pysot", "min-max"):
            assert start_box(self.of(np.array([1.5, 2, 3, 4])), 0, rule) == (1.5, 2, 3, 4)
            assert start_box(self.of(np.array([0.0, 0, 10, 0, 5, 8])), 0, rule) == (0, 0, 10, 8)

    def test_settings_are_checked(self) -> None:
        with pytest.raises(SettingsError, match="Did you mean 'min-max'"):
            ProtocolSettings(start_box="minmax")
        with pytest.raises(SettingsError, match="no VOT preset 'vot'"):
            ProtocolSettings(preset="vot")
        with pytest.raises(SettingsError, match="repetitions is 0"):
            ProtocolSettings(repetitions=0)
