"""Sequences in plain folders: what `siamtrack synth` writes is read back as it was drawn, or its benchmark is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmark_files import add_lines, add_pictures
from command_line import FAST, FAST_TRACKER, INPUT, refused, run

from siamtrack import bench
from siamtrack.box import Boxes
from siamtrack.datasets.benchmark import BenchmarkSequence
from siamtrack.datasets.sequences import find_sequences, frames_of
from siamtrack.errors import DataError
from siamtrack.evaluation.scoring import score
from siamtrack.evaluation.trajectory import MaskResults
from siamtrack.experiments.videos import videos_in
from siamtrack.library import open_benchmark
from siamtrack.results import read_rows
from siamtrack.synthetic.benchmark_folders import OTB, VOT, Layout, RenderedSequence, write_benchmark
from siamtrack.synthetic.square_video import SquareVideo, SquareVideoSettings, write_square_video
from siamtrack.synthetic.supply import BuiltIn
from siamtrack.synthetic.world import World
from siamtrack.synthetic.world_sequences import world_sequences
from siamtrack.synthetic.world_settings import WorldSettings

WORLD = World(WorldSettings(width=160, height=120, exits=1, most_objects=2), BuiltIn(), 4)
SQUARE = SquareVideoSettings(frames=6, width=64, height=48, side=12, max_displacement=5)


def plain(root: Path) -> list[BenchmarkSequence]:
    return open_benchmark("plain", root)[1]


def drawn(count: int = 2, frames: int = 5) -> dict[str, Boxes]:
    """The boxes of the targets by the names of their sequences."""
    found = {}
    for sequence in world_sequences(WORLD, count, frames):
        found[sequence.name] = np.array([frame.boxes[sequence.targets[0] - 1] for frame in sequence.frames])
    return found


@pytest.mark.parametrize("layout", [OTB(), VOT(region="rectangle")], ids=["otb", "vot"])
def test_boxes_are_those_that_were_drawn(tmp_path: Path, layout: Layout) -> None:
    list(write_benchmark(tmp_path, layout, world_sequences(WORLD, 2, 5), content={}))
    found = {sequence.name: sequence for sequence in plain(tmp_path)}
    for name, boxes in drawn().items():
        assert len(found[name].frames) == 5
        inside = (boxes[:, :2] >= 0).all(1) & (boxes[:, :2] + boxes[:, 2:] <= [160, 120]).all(1)  # OTB clips the others
        assert inside.sum() >= 2
        np.testing.assert_allclose(found[name].boxes[inside], boxes[inside], atol=1e-4)
        (video,) = (video for video in videos_in(tmp_path) if video.name == name)  # for experiments, too
        np.testing.assert_array_equal(video.boxes, found[name].boxes)
        assert sum(1 for _ in video.frames()) == 5


def test_polygons_stay_and_boxes_are_around_them(tmp_path: Path) -> None:
    list(write_benchmark(tmp_path, VOT(), world_sequences(WORLD, 2, 5), content={}))
    for sequence in plain(tmp_path):
        assert {len(region) for region in sequence.regions} <= {4, 8}
        assert len(sequence.regions[0]) == 8
        x, y = sequence.regions[0][0::2], sequence.regions[0][1::2]
        assert sequence.boxes[0].tolist() == [x.min(), y.min(), np.ptp(x), np.ptp(y)]
    assert [video.first_box for video in videos_in(tmp_path)] == [one.first_box for one in plain(tmp_path)]


def test_several_targets_of_otb_are_sequences_of_their_own(tmp_path: Path) -> None:
    frames = SquareVideo(SQUARE).frames()
    shift = np.array([3, 2, 1, 1])
    two = (f._replace(boxes=np.vstack([f.boxes, f.boxes + shift]), visibility=np.ones(2)) for f in frames)
    list(write_benchmark(tmp_path, OTB(), [RenderedSequence(name="a", frames=two, targets=(1, 2))], content={}))
    assert [sequence.name for sequence in plain(tmp_path)] == ["a-1", "a-2"]
    second = plain(tmp_path)[1]
    np.testing.assert_allclose(second.boxes[0], SquareVideo(SQUARE).boxes[0] + shift)
    assert len(second.frames) == 6


def test_hidden_folders_are_no_sequences(tmp_path: Path) -> None:
    list(write_benchmark(tmp_path, VOT(), world_sequences(WORLD, 1, 2), content={}))
    (sequence,) = plain(tmp_path)
    (tmp_path / sequence.name).rename(tmp_path / f".{sequence.name}-part")
    with pytest.raises(DataError, match="no sequence"):
        find_sequences(tmp_path)


def test_a_target_out_of_view_is_absent(tmp_path: Path) -> None:
    add_pictures(tmp_path / "a" / "img", range(1, 4))
    add_lines(tmp_path / "a" / "groundtruth_rect.txt", ["1,1,5,6", "NaN,NaN,NaN,NaN", "3\t4\t5\t6"])
    (sequence,) = plain(tmp_path)
    assert sequence.boxes[[0, 2]].tolist() == [[0, 0, 5, 6], [2, 3, 5, 6]]
    assert np.isnan(sequence.boxes[1]).all()


@pytest.mark.parametrize("root", ["square", "."])
def test_the_folder_of_a_video_is_a_sequence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: str) -> None:
    list(write_square_video(SQUARE, tmp_path / "square"))
    monkeypatch.chdir(tmp_path / "square" if root == "." else tmp_path)
    (sequence,) = plain(Path(root))
    (video,) = videos_in(Path(root))
    assert sequence.name == video.name == "square"  # results are kept by it
    np.testing.assert_array_equal(sequence.boxes, SquareVideo(SQUARE).boxes)


def test_a_video_file_is_followed_by_experiments_and_refused_as_a_benchmark(tmp_path: Path) -> None:
    list(write_square_video(SQUARE, tmp_path / "square" / "a.mp4"))
    (video,) = videos_in(tmp_path)
    assert sum(1 for _ in video.frames()) == 6
    np.testing.assert_array_equal(video.boxes, SquareVideo(SQUARE).boxes)
    with pytest.raises(DataError, match=r"groundtruth\.txt' are in a video.*write them to '.*img'"):
        plain(tmp_path)


def test_other_layouts_are_told_by_name(tmp_path: Path) -> None:
    small = ("--sequences", 1, "--frames", 3, "--size", "160x120")
    for layout in ("davis", "video"):
        assert run("synth", "world", "--layout", layout, "--out", layout, *small, folder=tmp_path).code == 0
    told = r"as DAVIS 2017.*davis2017-val --protocol ope to score boxes, or davis2017 to score.*names from '.*val\.txt'"
    with pytest.raises(DataError, match=told):
        plain(tmp_path / "davis")
    names = (tmp_path / "davis" / "ImageSets" / "2017" / "val.txt").read_text().split()
    assert len(open_benchmark("davis2017-val", tmp_path / "davis", names)[1]) >= 1
    masked, sequences = open_benchmark("davis2017", tmp_path / "davis", names)
    truth = {one.name: one.masks[0][0].parent for one in sequences if one.masks}
    results = MaskResults(tracker="truth", benchmark=masked.name, folders=truth)
    assert score(results, sequences, masked.preset).overall.numbers["j_and_f"] == 1
    with pytest.raises(DataError, match=r"videos with tables of boxes.*--layout otb.*--data folder="):
        plain(tmp_path / "video")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no sequence in '.*empty'.*groundtruth_rect\.txt, 1-based"):
        plain(tmp_path / "empty")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["1,2,3,4", "1,2,3"], r"groundtruth\.txt, line 2: found '1,2,3'"),
        (["1,2,3,4,5,6,7"], "line 1: found '1,2,3,4,5,6,7'.*polygon"),
        (["1,2,3,4", "1"], "line 2: found '1', a code in the results of a tracker"),
        (["1,2,inf,4"], "line 1: found '1,2,inf,4', expected finite"),
        (["1,2,x,4"], "line 1: found '1,2,x,4'"),
        (["1,2,3,4", "", "1,2,3,4"], "line 2: found ''"),
        ([], "is empty"),
    ],
)
def test_lines_that_are_no_regions_are_named(tmp_path: Path, lines: list[str], message: str) -> None:
    add_lines(tmp_path / "a" / "groundtruth.txt", lines)
    with pytest.raises(DataError, match=message):
        find_sequences(tmp_path)


def test_evaluate_runs_on_what_synth_has_written(tmp_path: Path) -> None:
    for layout in ("otb", "vot"):
        line = ("synth", "world", "--layout", layout, "--out", layout, "--sequences", 1, "--frames", 3, "--size", "160x120")
        assert run(*line, folder=tmp_path).code == 0
        line = ("evaluate", "--benchmark", "plain", "--root", layout, "--results", f"of-{layout}", "--workers", 1)
        ended = run(*line, *FAST_TRACKER, folder=tmp_path)
        assert ended.code == 0, ended.err
        assert "1 of 1 sequences are finished" in ended.out


# `siamtrack track`, `frame` and `bench`


def test_track_finds_the_frames_of_a_sequence(tmp_path: Path) -> None:
    list(write_square_video(SQUARE, tmp_path / "square"))
    list(write_square_video(SQUARE, tmp_path / "file" / "a.mp4"))
    box = ("--box", "26,18,12,12", *FAST, "--quiet")
    for source, name in (("square", "square.csv"), ("square/img", "img.csv"), ("file", "a.csv")):
        assert run("track", source, *box, folder=tmp_path).code == 0
        assert [row.frame for row in read_rows(tmp_path / name)] == list(range(6))
    first, second = (read_rows(tmp_path / name) for name in ("square.csv", "img.csv"))
    assert [row.box for row in first] == [row.box for row in second]
    refused(("track", "square"), INPUT, "No box", f"'siamtrack frame {Path('square/img')} --out", folder=tmp_path)
    refused(("track", "square", *box[:2], "--out", "square/img/a.png"), INPUT, "ending", folder=tmp_path)


def test_frame_finds_the_frames_of_a_sequence(tmp_path: Path) -> None:
    list(write_benchmark(tmp_path / "otb", OTB(), world_sequences(WORLD, 1, 3), content={}))
    list(write_benchmark(tmp_path / "vot", VOT(), world_sequences(WORLD, 1, 3), content={}))
    list(write_square_video(SQUARE, tmp_path / "file" / "a.mp4"))
    (name,) = (path.name for path in (tmp_path / "otb").iterdir() if path.is_dir())
    pictures = {}
    for source in (f"otb/{name}", f"otb/{name}/img", f"vot/{name}", "file"):
        ended = run("frame", source, "--at", 2, "--out", "out.png", folder=tmp_path)
        assert f"Frame 2 of {source}, " in ended.out, ended.err
        pictures[source] = (tmp_path / "out.png").read_bytes()
    assert len(set(pictures.values())) == 2  # the scene, and the square of the video
    assert pictures["file"] != pictures[f"otb/{name}"]
    line = ("frame", f"otb/{name}", "--out", f"otb/{name}/img/out.png")
    refused(line, 5, "belongs to the source", folder=tmp_path)


def test_bench_times_on_the_frames_of_a_sequence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "CANDIDATES", [("openvino", "auto"), ("openvino", "float32")])
    list(write_square_video(SQUARE, tmp_path / "square"))
    box = ("--box", "26,18,12,12", *FAST)
    ended = run("bench", "square", *box, "--frames", 3, folder=tmp_path)
    assert "1 target;" in ended.out, ended.err
    (tmp_path / "empty").mkdir()
    refused(("bench", "empty", *box), INPUT, "'empty'", "no pictures", folder=tmp_path)


def test_pictures_of_its_own_go_before_those_of_a_folder_inside(tmp_path: Path) -> None:
    add_pictures(tmp_path / "a", range(1, 3))
    add_pictures(tmp_path / "a" / "img", range(1, 5))
    assert run("track", "a", "--box", "5,5,12,12", *FAST, "-q", folder=tmp_path).code == 0
    assert len(read_rows(tmp_path / "a.csv")) == 2
    assert frames_of(tmp_path / "a") == tmp_path / "a" / "img"  # of a sequence


def test_results_are_not_written_among_the_frames(tmp_path: Path) -> None:
    list(write_square_video(SQUARE, tmp_path / "square"))
    line = ("track", "square", "--box", "26,18,12,12", "--sheet", "square/img/sheet.png")
    refused(line, 5, "belongs to the source", folder=tmp_path)


def test_masks_of_vot_are_boxes(tmp_path: Path) -> None:
    (tmp_path / "bag").mkdir()
    (tmp_path / "bag" / "groundtruth.txt").write_text("m3,2,5,4,0,20\nm0,0,0,0,0\n1,2,3,4\n")
    ((_, sequence),) = ((one.name, one) for one in open_benchmark("plain", tmp_path)[1])
    assert sequence.boxes[[0, 2]].tolist() == [[3, 2, 5, 4], [1, 2, 3, 4]]
    assert np.isnan(sequence.boxes[1]).all()


def test_upright_boxes_of_drawn_worlds_are_scored_as_long_term(tmp_path: Path) -> None:
    size = ["--frames", 12, "--size", "160x120", "--seed", 4]
    ended = run("synth", "world", "--layout", "vot-lt", "--out", tmp_path / "made", "--sequences", 1, *size)
    assert ended.code == 0, ended.err
    (name,) = (tmp_path / "made" / "list.txt").read_text().split()
    of = ["--benchmark", "votlt2018", "--root", tmp_path / "made", "--sequences", name]
    ended = run("evaluate", *of, *FAST_TRACKER, "--results", tmp_path / "results", "--workers", 1)
    assert ended.code == 0, ended.err
    assert "own sequences in the layout of VOT-LT2018, 1 sequence (long-term, preset vot-matlab): F " in ended.out
