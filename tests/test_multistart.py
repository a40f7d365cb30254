"""VOT since 2020: runs from anchors, forwards and backwards, what counts as lost, and the numbers that come of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmark_files import add_lines, add_pictures
from command_line import FAST_TRACKER, run
from evaluation_runs import HEIGHT, WIDTH, Scripted, benchmark, done, frames, truth

from siamtrack.datasets.benchmark import BenchmarkSequence
from siamtrack.errors import DataError, SettingsError
from siamtrack.evaluation import foreign
from siamtrack.evaluation.foreign import read_results
from siamtrack.evaluation.foreign_folders import ResultFolder
from siamtrack.evaluation.protocols import check_protocol
from siamtrack.evaluation.protocols_following import ProtocolSettings
from siamtrack.evaluation.result_groups import find_groups
from siamtrack.evaluation.scoring import score
from siamtrack.evaluation.store import ResultStore
from siamtrack.evaluation.trajectory import TrackerResults, Trajectory
from siamtrack.image import Image
from siamtrack.library import open_benchmark
from siamtrack.metrics.vot_masks import PlacedMask, Shape
from siamtrack.metrics.vot_multistart import AnchoredRun, accuracy_robustness, multistart_eao, multistart_eao_curve
from siamtrack.synthetic.benchmark_folders import anchors
from siamtrack.tracking import Prediction

VOT2020 = benchmark("multistart", name="vot2020")
TRUE, HALF = np.array([10.0, 10, 10, 10]), np.array([10.0, 10, 10, 5])
GONE = np.full(4, np.nan)


def anchored(folder: Path, values: dict[int, int], count: int = 30, *, masks: bool = False) -> BenchmarkSequence:
    column = np.zeros(count)
    column[list(values)] = list(values.values())
    boxes = truth(count)
    placed = [PlacedMask.of(np.ones((int(h), int(w))), int(x), int(y)) for x, y, w, h in boxes] if masks else ()
    return BenchmarkSequence(
        name="a", regions=list(boxes), frames=frames(folder / "a", count), anchors=column, placed_masks=placed
    )


def followed(*answers: Shape, truth: Shape = TRUE) -> AnchoredRun:
    """A run with these answers after the start."""
    return AnchoredRun(answers=[np.array([1.0]), *answers], truth=[truth] * (len(answers) + 1), size=(WIDTH, HEIGHT))


class TestRuns:
    def test_forwards_first_and_then_backwards(self, tmp_path: Path) -> None:
        tracker = Scripted()
        first, second, third = done(tracker, anchored(tmp_path, {20: -1, 0: 1, 12: 1}), "multistart")
        assert [one.first for one in (first, second, third)] == [0, 12, 20]
        assert tracker.seen == [*range(30), *range(12, 30), *range(20, -1, -1)]
        assert [frame for frame, _ in tracker.started] == [0, 12, 20]
        assert [one.regions[0].tolist() for one in (first, second, third)] == [[1]] * 3
        assert np.array_equal(np.stack(third.regions[1:]), truth(30)[19::-1])
        assert not third.masks

    def test_a_tracker_starts_from_the_box_around_the_mask_and_answers_with_masks(self, tmp_path: Path) -> None:
        of = anchored(tmp_path, {0: 1, 29: -1}, masks=True)
        (masked, _) = done(Masked(), of, "multistart")
        assert masked.masks[0] is None
        assert all(mask is not None for mask in masked.masks[1:])
        assert np.array_equal(np.stack(masked.regions[1:]), truth(30)[1:])
        (boxes, _) = done(Masked(), replace(of, placed_masks=()), "multistart")
        assert not boxes.masks  # where the truth is boxes, so are the answers

    def test_a_sequence_without_anchors(self, tmp_path: Path) -> None:
        for values in ({}, {3: 0}):
            with pytest.raises(DataError, match=r"Sequence a has no anchors; expected anchor.value beside its groundtruth"):
                done(Scripted(), anchored(tmp_path, values), "multistart")

    def test_there_is_one_tool_and_nothing_to_repeat(self) -> None:
        of = replace(VOT2020, preset="vot-python")
        assert check_protocol("multistart", of, ProtocolSettings(preset="vot-python")) == "multistart"
        with pytest.raises(SettingsError, match="leave out the setting preset"):
            check_protocol("multistart", of, ProtocolSettings(preset="pysot"))
        with pytest.raises(SettingsError, match="leave out the setting repetitions"):
            check_protocol("multistart", of, ProtocolSettings(repetitions=3))


class Masked(Scripted):
    """Answers with a mask, too: all of its box."""

    def step(self, frame: Image, states: list[int]) -> tuple[list[int], list[Prediction]]:  # type: ignore[override]
        states, (prediction,) = super().step(frame, states)
        x, y, w, h = (int(v) for v in prediction.box)
        mask = np.zeros(frame.shape[:2], bool)
        mask[y : y + h, x : x + w] = True
        return states, [replace(prediction, mask=mask)]


class TestNumbers:
    """Expected values were worked out by hand; those of whole results are compared with the toolkit's elsewhere."""

    def test_ten_frames_without_the_target_are_a_failure_from_the_first_on(self) -> None:
        far = np.array([40.0, 30, 5, 5])
        run = followed(TRUE, HALF, *[far] * 10, TRUE)
        assert (run.lasted, run.failed) == (3, True)
        assert run.overlaps.tolist() == [0, 1, 0.5, *[0] * 11]
        kept = followed(TRUE, *[far] * 9, TRUE)
        assert (kept.lasted, kept.failed) == (12, False)
        assert followed(*[far] * 10).lasted == 0  # the frame of the start counts, too

    def test_frames_without_a_target_are_no_failure_and_begin_the_count_again(self) -> None:
        far = np.array([40.0, 30, 5, 5])
        truths: list[Shape] = [TRUE, *[TRUE] * 9, GONE, *[TRUE] * 9]
        run = AnchoredRun(answers=[np.array([1.0]), TRUE, *[far] * 18], truth=truths, size=(WIDTH, HEIGHT))
        assert not run.failed

    def test_accuracy_and_robustness(self) -> None:
        far = np.array([40.0, 30, 5, 5])
        whole, failed = followed(TRUE, TRUE, HALF), followed(TRUE, *[far] * 18)
        accuracy, robustness = accuracy_robustness([(4, [whole]), (20, [failed, failed])])
        assert accuracy == pytest.approx((2.5 + 1 + 1) / (4 + 2 + 2))
        assert robustness == pytest.approx((4 * 1 + 20 * 4 / 40) / 24)

    def test_the_curve(self) -> None:
        far = np.array([40.0, 30, 5, 5])
        whole, failed = followed(TRUE, HALF), followed(HALF, HALF, *[far] * 10)  # 3 frames and 13
        curve = multistart_eao_curve([whole, failed], 16)
        assert curve[:4].tolist() == [0, (1 + 0.5) / 2, (0.75 + 0.5) / 2, pytest.approx(1 / 3)]  # the short one has ended
        assert curve[12] == pytest.approx(1 / 12)
        assert curve[13:].tolist() == pytest.approx([1 / 12, 1 / 13, 1 / 14])  # goes on with one frame less
        assert multistart_eao_curve([whole], 6).tolist() == [0, 1, 0.75, 0, 0, 0]  # nobody knows
        assert multistart_eao(np.arange(10.0), (3, 5)) == 4

    def test_other_lengths(self) -> None:
        with pytest.raises(DataError, match="A run has 2 frames, the truth from its start on 1"):
            AnchoredRun(answers=[TRUE, TRUE], truth=[TRUE], size=(10, 10))


class TestResults:
    def stored(self, tmp_path: Path, *, masks: bool = True) -> tuple[ResultStore, BenchmarkSequence, list[Trajectory]]:
        of = anchored(tmp_path, {0: 1, 25: -1}, masks=masks)
        store = ResultStore(tmp_path / "results", tracker="mine", benchmark=VOT2020, protocol="multistart")
        store.begin({"siamtrack": "1"})
        runs = done(Masked(lost=range(12, 30)), of, "multistart")
        store.write(of, runs)
        return store, of, runs

    @pytest.mark.parametrize("masks", [True, False])
    def test_files_are_named_after_the_anchors_and_give_the_runs_back(self, tmp_path: Path, masks: bool) -> None:
        store, of, runs = self.stored(tmp_path, masks=masks)
        there = sorted(path.name for path in (store.folder / "baseline" / "a").glob("*.txt"))
        assert there == ["a_00000000.txt", "a_00000025.txt"]
        for found in (store.read().runs["a"], read_results(store.folder.parents[2], VOT2020, [of])[0].results.runs["a"]):
            assert [one.first for one in found] == [0, 25]
            assert [texts(one) for one in found] == [texts(one) for one in runs]

    def test_results_of_the_toolkit_are_found_and_score_the_same(self, tmp_path: Path) -> None:
        store, of, runs = self.stored(tmp_path)
        theirs = tmp_path / "theirs" / "mine"
        (store.folder / "baseline").rename(tmp_path / "baseline")
        theirs.mkdir(parents=True)
        (tmp_path / "baseline").rename(theirs / "baseline")
        (found,) = read_results(tmp_path / "theirs", VOT2020, [of])
        assert (found.results.protocol, found.results.tracker) == ("multistart", "mine")
        ours = TrackerResults(tracker="mine", benchmark="vot2020", protocol="multistart", runs={"a": runs})
        first, second = (score(one, [of], "vot-python") for one in (found.results, ours))
        assert first.overall.numbers["accuracy"] == second.overall.numbers["accuracy"]
        assert first.overall.numbers["followed"] == pytest.approx((12 + 0) / (30 + 26))
        (note,) = first.notes
        assert note.startswith(
            "EAO is the mean over runs of 115 to 755 frames, and the longest here has 30: only runs with a failure"
        )
        assert 0 < first.overall.numbers["eao"] < 0.1  # a failed run goes on in the curve

    def of_the_toolkit(self, tmp_path: Path) -> tuple[Path, BenchmarkSequence]:
        """A folder of results as the official stacks have them, and their sequence."""
        store, of, _ = self.stored(tmp_path)
        theirs = tmp_path / "theirs" / "mine"
        theirs.mkdir(parents=True)
        (store.folder / "baseline").rename(theirs / "baseline")
        add_lines(theirs / "realtime" / "a" / "a_00000000.txt", ["1", *["m3,2,5,4,0,20"] * 29])
        add_lines(theirs / "unsupervised" / "a" / "a_001.txt", ["1", *["m3,2,5,4,0,20"] * 29])
        return theirs.parent, of

    def test_experiments_that_are_left_to_the_toolkit_are_told(self, tmp_path: Path) -> None:
        folder, of = self.of_the_toolkit(tmp_path)
        (group,) = find_groups([folder], VOT2020, [of], preset="vot-python")
        assert (group.protocol, list(group.results)) == ("multistart", ["mine"])
        assert any(text.endswith("Left out: mine/realtime, mine/unsupervised.") for text in group.remarks)
        for name in ("realtime", "unsupervised"):
            with pytest.raises(DataError, match=f"under '{name}' .* there are: multistart. Of VOT2020 .* left to its toolkit"):
                find_groups([folder], VOT2020, [of], protocol=name)

    def test_results_of_another_benchmark_are_not_told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        found = [
            ResultFolder(tracker="mine", path=tmp_path / "mine" / name / "realtime", kind="ours", protocol="realtime")
            for name in ("vot2018", "vot2020")
        ]
        monkeypatch.setattr(foreign, "find_result_folders", lambda folder: found)
        assert foreign.left_to_toolkit(tmp_path, VOT2020) == ["mine/realtime"]
        found.pop()
        assert foreign.left_to_toolkit(tmp_path, VOT2020) == []

    def test_runs_from_frames_that_are_no_anchors_are_not_opened(self, tmp_path: Path) -> None:
        folder, of = self.of_the_toolkit(tmp_path)
        for first in (10, 99):
            add_lines(folder / "mine" / "baseline" / "a" / f"a_{first:08}.txt", ["1", "no region"])
        (found,) = read_results(folder, VOT2020, [of])
        assert isinstance(found.results, TrackerResults)
        assert [run.first for run in found.results.runs["a"]] == [0, 25]
        backwards_first = replace(of, anchors=-np.asarray(of.anchors))
        with pytest.raises(DataError, match="have 26 frames, the ground truth 5"):
            read_results(folder, VOT2020, [backwards_first])

    def test_one_pass_on_it_is_of_boxes_and_says_so(self, tmp_path: Path) -> None:
        of = anchored(tmp_path, {3: 1, 25: -1}, masks=True)
        add_lines(tmp_path / "T" / "a.txt", [",".join(map(str, box)) for box in truth(30)])
        (group,) = find_groups([tmp_path / "T"], replace(VOT2020, first_pixel=0), [of], preset="pysot")
        assert group.protocol == "ope"
        assert group.scores[0].overall.numbers["auc"] > 0.95
        assert any("boxes around them were compared" in note for note in group.scores[0].notes)
        assert group.sequences[0].anchors is None

    def test_the_first_pixel_moves_boxes_and_no_masks(self, tmp_path: Path) -> None:
        folder, of = self.of_the_toolkit(tmp_path)
        add_lines(folder / "mine" / "baseline" / "a" / "a_00000025.txt", ["1", "m3,2,5,4,0,20", *["4,3,5,4"] * 24])
        (found,) = read_results(folder, VOT2020, [of], first_pixel=1)
        assert isinstance(found.results, TrackerResults)
        _, mask, box, *_ = found.results.runs["a"][1].regions
        assert (mask.tolist(), box.tolist()) == ([3, 2, 5, 4], [3, 2, 5, 4])

    def test_a_start_that_is_missing_is_named(self, tmp_path: Path) -> None:
        _, of, runs = self.stored(tmp_path)
        results = TrackerResults(tracker="mine", benchmark="vot2020", protocol="multistart", runs={"a": runs[:1]})
        with pytest.raises(DataError, match=r"mine on sequence a lack 1 of 2 starts: there is no 'a_00000025'"):
            score(results, [of], "vot-python")
        with pytest.raises(SettingsError, match="'pysot'"):
            score(results, [of], "pysot")

    def test_masks_are_not_scored_as_boxes(self, tmp_path: Path) -> None:
        add_lines(tmp_path / "T" / "unsupervised" / "a" / "a_001.txt", ["1", "m3,2,5,4,0,20"])
        of = BenchmarkSequence(name="a", regions=list(truth(2)), size=(WIDTH, HEIGHT))
        with pytest.raises(DataError, match=r"are masks \(a\), and under 'unsupervised' boxes and polygons are compared"):
            read_results(tmp_path / "T", benchmark("supervised", "unsupervised", name="vot2018"), [of])


def texts(run: Trajectory) -> list[str]:
    return [shape_text(shape) for shape in run.shapes]


def shape_text(shape: Shape) -> str:
    return shape.text if isinstance(shape, PlacedMask) else ",".join(f"{v:.3f}" for v in shape)


def test_folders_of_vot2020(tmp_path: Path) -> None:
    add_lines(tmp_path / "list.txt", ["bag"])
    add_lines(tmp_path / "bag" / "groundtruth.txt", ["m3,2,5,4,0,20", "m0,0,0,0,0", "m4,2,2,2,0,4"])
    add_lines(tmp_path / "bag" / "anchor.value", [1, 0, -1])
    add_pictures(tmp_path / "bag" / "color", range(1, 4))
    (one,) = open_benchmark("vot2020", tmp_path, ["bag"])[1]
    assert one.anchors is not None
    assert one.anchors.tolist() == [1, 0, -1]
    assert one.boxes[[0, 2]].tolist() == [[3, 2, 5, 4], [4, 2, 2, 2]]
    assert np.isnan(one.boxes[1]).all()
    assert [shape_text(shape) for shape in one.shapes] == ["m3,2,5,4,0,20", "m0,0,0,0,0", "m4,2,2,2,0,4"]
    with pytest.raises(DataError, match=r"groundtruth\.txt' holds masks; expected boxes or polygons.*vot2020"):
        open_benchmark("vot2018", tmp_path, ["bag"])
    add_lines(tmp_path / "bag" / "anchor.value", [1])  # the toolkit fills up with 0
    assert open_benchmark("vot2020", tmp_path, ["bag"])[1][0].anchors.tolist() == [1, 0, 0]  # type: ignore[union-attr]
    add_lines(tmp_path / "bag" / "groundtruth.txt", ["3,2,5,4", "0,0,0,0", "4,2,2,2"])
    assert open_benchmark("vot2018", tmp_path, ["bag"])[1][0].anchors is None  # it is not run from them


def test_anchors_of_drawn_worlds() -> None:
    assert anchors([9] * 60) == [1, *[0] * 49, -1, *[0] * 9]
    hidden = [9] * 45 + [1] * 10 + [9] * 46
    assert np.flatnonzero(anchors(hidden)).tolist() == [0, 55, 100]  # half of the median is not to be seen in 50
    assert np.flatnonzero(anchors([9] * 10 + [0] * 91)).tolist() == [0]


def test_drawn_worlds_are_evaluated_by_one_line_and_reported(tmp_path: Path) -> None:
    made = tmp_path / "made"
    options = ["--layout", "vot-masks", "--sequences", 1, "--frames", 60, "--size", "160x120", "--seed", 3]
    assert run("synth", "world", "--out", made, *options).code == 0
    (name,) = (made / "list.txt").read_text().split()
    of = ["--benchmark", "vot2020", "--root", made, "--sequences", name]
    ended = run("evaluate", *of, *FAST_TRACKER, "--results", tmp_path / "results", "--workers", 1)
    assert ended.code == 0, ended.err
    assert "(multistart, preset vot-python): EAO 0.000, A " in ended.out
    ended = run("compare", tmp_path / "results", *of)
    assert ended.code == 0, ended.err
    ended = run("report", tmp_path / "results", *of, "--out", tmp_path / "report.html")
    assert ended.code == 0, ended.err
    assert name in (tmp_path / "report.html").read_text()
