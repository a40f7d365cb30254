"""Scenes of a world as benchmark folders and videos, by the command: what is read back is what was drawn."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from command_line import INPUT, OUTPUT, run

from siamtrack.errors import DataError
from siamtrack.library import open_training_set
from siamtrack.results import read_boxes, read_rows
from siamtrack.synthetic.benchmark_folders import TAGS, RenderedSequence
from siamtrack.synthetic.supply import BuiltIn
from siamtrack.synthetic.truth import Labelled
from siamtrack.synthetic.world import World
from siamtrack.synthetic.world_sequences import world_sequences, write_videos
from siamtrack.synthetic.world_settings import WorldSettings

SIZE = ("--size", "160x120", "--sequences", 2, "--frames", 6, "--seed", 4)
WORLD = World(WorldSettings(width=160, height=120), BuiltIn(), 4)


@pytest.fixture(scope="module")
def drawn() -> dict[str, tuple[int, list[np.ndarray], list[np.ndarray], list[np.ndarray]]]:
    """By name: target, boxes (N, 4), identities and frames."""
    found = {}
    for sequence in world_sequences(WORLD, 2, 6):
        frames = list(sequence.frames)
        parts = ([f.boxes for f in frames], [f.identity for f in frames], [f.image for f in frames])
        found[sequence.name] = (sequence.targets[0] - 1, *parts)
    return found


Drawn = dict[str, tuple[int, list[np.ndarray], list[np.ndarray], list[np.ndarray]]]


def test_targets_are_in_full_view_at_first(drawn: Drawn) -> None:
    for target, boxes, identities, _ in drawn.values():
        assert min(boxes[0][target][2:]) >= 12
        assert (identities[0] == target + 1).any()


def test_vot(tmp_path: Path, drawn: Drawn) -> None:
    ended = run("synth", "world", "--layout", "vot", "--out", "w", *SIZE, folder=tmp_path)
    assert (ended.code, "2 sequences of 6 frames" in ended.out) == (0, True), ended.err
    assert (tmp_path / "w" / "list.txt").read_text().split() == list(drawn)
    for name in drawn:
        folder = tmp_path / "w" / name
        assert len(list((folder / "color").glob("*.jpg"))) == 6
        for tag in TAGS:
            if (folder / f"{tag}.tag").exists():
                assert len((folder / f"{tag}.tag").read_text().split()) == 6
        assert {"camera_motion.tag", "illum_change.tag", "occlusion.tag"} <= {p.name for p in folder.iterdir()}


def test_otb_and_going_on(tmp_path: Path, drawn: Drawn) -> None:
    line = ("synth", "world", "--out", "w", *SIZE)
    assert run(*line, folder=tmp_path).code == 0
    for name, (target, boxes, _, _) in drawn.items():
        found = read_boxes(tmp_path / "w" / name / "groundtruth_rect.txt")
        assert len(found) == 6
        whole = [row for row, b in zip(found, boxes, strict=True) if (b[target][:2] >= 0).all()]
        expected = [b[target] + [1, 1, 0, 0] for b in boxes if (b[target][:2] >= 0).all()]
        inside = [i for i, b in enumerate(expected) if b[0] + b[2] - 1 <= 160 and b[1] + b[3] - 1 <= 120]
        np.testing.assert_allclose(np.array(whole)[inside], np.array(expected)[inside])
    first = next(iter(drawn))
    kept = (tmp_path / "w" / first / "img" / "0001.jpg").stat().st_mtime_ns
    assert run(*line, folder=tmp_path).code == 0
    assert (tmp_path / "w" / first / "img" / "0001.jpg").stat().st_mtime_ns == kept
    ended = run(*line[:-1], 5, folder=tmp_path)
    assert ended.code == OUTPUT
    assert "seed 4, not 5" in ended.error


def test_a_size_among_the_settings_is_told(tmp_path: Path) -> None:
    ended = run("synth", "world", "--out", "w", *SIZE, "--set", "width=176", folder=tmp_path)
    assert (ended.code, "6 frames, 176x120, in the layout otb" in ended.out) == (0, True), ended


def test_davis(tmp_path: Path, drawn: Drawn) -> None:
    assert run("synth", "world", "--layout", "davis", "--out", "w", *SIZE, folder=tmp_path).code == 0
    import cv2

    for name, (_, _, identities, _) in drawn.items():
        for number, identity in enumerate(identities):
            path = tmp_path / "w" / "Annotations" / "480p" / name / f"{number:05}.png"
            raw = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            assert (raw.any(2) == (identity > 0)).all()


def test_videos_are_training_data(tmp_path: Path, drawn: Drawn) -> None:
    assert run("synth", "world", "--layout", "video", "--out", "w", *SIZE, folder=tmp_path).code == 0
    data = open_training_set(tmp_path / "w")
    assert [Path(name).name for name in data.names] == list(drawn)
    for name in data.names:
        clip = data.clip(name)
        _, boxes, _, images = drawn[Path(name).name]
        assert len(clip.frames) == 6
        for position, image in enumerate(clip.frames.several(range(6))):
            assert not isinstance(image, DataError)
            assert np.abs(image.astype(int) - images[position]).mean() < 12
        for target in clip.targets:
            for position, box in zip(target.positions, target.boxes, strict=True):
                np.testing.assert_allclose(box, boxes[position][int(target.name)], atol=1e-3)


def test_an_interrupted_table_is_not_there(tmp_path: Path) -> None:
    """Ctrl-C in the middle of a sequence; the next run begins it again, and an object out of view has empty cells."""
    present, absent = [1.5, 2, 30, 20.25], [math.nan] * 4

    def sequence(stops: bool) -> RenderedSequence:
        def frames() -> Iterator[Labelled]:
            for boxes in ([present, absent], [absent, present]):
                yield Labelled(np.zeros((32, 48, 3), np.uint8), np.zeros((32, 48), np.uint8), np.array(boxes), np.ones(2))
            if stops:
                raise KeyboardInterrupt

        return RenderedSequence(name="a", frames=frames(), fps=25, targets=(1,), tags={})

    with pytest.raises(KeyboardInterrupt):
        list(write_videos(tmp_path / "w", [sequence(stops=True)], content={}))
    assert not (tmp_path / "w" / "a.csv").exists()
    assert list(write_videos(tmp_path / "w", [sequence(stops=False)], content={})) == ["a"]
    assert sorted(path.name for path in (tmp_path / "w").iterdir()) == ["a.csv", "a.mp4", "synthetic.json"]
    assert (tmp_path / "w" / "a.csv").read_text() == (
        "frame,target,x,y,w,h,score\n0,0,1.5,2,30,20.25,\n0,1,,,,,\n1,0,,,,,\n1,1,1.5,2,30,20.25,\n"
    )
    assert {row.target for row in read_rows(tmp_path / "w" / "a.csv") if row.box.absent and row.frame == 0} == {1}


def test_what_cannot_be_drawn(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("dear all")
    (tmp_path / "empty").mkdir()
    for parts, code, words in (
        (("--out", "other"), OUTPUT, "holds something else"),
        (("--out", "w", "--layout", "daviss"), INPUT, "'davis'"),
        (("--out", "w", "--size", "big"), INPUT, "WIDTHxHEIGHT"),
        (("--out", "w", "--size", "8x8"), INPUT, "width"),
        (("--out", "w", "--seed", -1), INPUT, "seed is -1"),
        (("--out", "w", "--set", "smalest=0.1"), INPUT, "'smallest'"),
        (("--out", "w", "--set", "smallest=0.9"), INPUT, "largest"),
        (("--out", "w", "--pictures", "empty"), INPUT, "No still images"),
        (("--out", "w", "--pictures", "nowhere"), INPUT, "does not exist"),
        (("--out", "w", "--size", "32x32", "--set", "largest=0.1"), INPUT, "no object of 12 px"),
    ):
        ended = run("synth", "world", *parts, "--sequences", 1, "--frames", 2, folder=tmp_path)
        assert (ended.code, words in ended.error) == (code, True), ended.err
