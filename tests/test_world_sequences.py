"""Scenes of a world as benchmark folders and videos, by the command: what is read back is what was drawn."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import INPUT, INTERRUPTED, OUTPUT, refused, run

from siamtrack.datasets.crops import CropSettings
from siamtrack.datasets.palette_masks import read_labels
from siamtrack.errors import DataError
from siamtrack.library import open_training_set
from siamtrack.results import read_boxes, read_rows
from siamtrack.synthetic.benchmark_folders import TAGS, RenderedSequence
from siamtrack.synthetic.material import find_material
from siamtrack.synthetic.supply import BuiltIn, Pictured
from siamtrack.synthetic.truth import Labelled
from siamtrack.synthetic.world import Scene, World
from siamtrack.synthetic.world_sequences import scenes_left_out, world_sequences, write_videos
from siamtrack.synthetic.world_settings import WorldSettings
from siamtrack.training.recipes import read_recipe
from siamtrack.training.sources import open_data

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


@pytest.mark.parametrize(
    ("changes", "moves", "flickers"),
    [({}, True, True), ({"camera": 0.0}, False, True), ({"light": 0.0}, True, False)],
)
def test_tags_say_when_the_camera_moves_and_the_light_changes(changes: dict[str, float], moves: bool, flickers: bool) -> None:
    world = World(WorldSettings(width=160, height=120, **changes), BuiltIn(), 4)  # type: ignore[arg-type]
    sequences = list(world_sequences(world, 12, 40))
    found = {tag: np.array([sequence.tags[tag] for sequence in sequences]) for tag in ("camera_motion", "illum_change")}
    assert (bool(found["camera_motion"].any()), bool(found["illum_change"].any())) == (moves, flickers)
    assert not any(values[:, 0].any() for values in found.values())  # the first frame has none before it


def test_otb_and_going_on(tmp_path: Path, drawn: Drawn) -> None:
    line = ("synth", "world", "--out", "w", *SIZE)
    assert run(*line, folder=tmp_path).code == 0
    for name, (target, boxes, _, _) in drawn.items():
        found = read_boxes(tmp_path / "w" / name / "groundtruth_rect.txt")
        assert len(found) == 6
        whole = [row for row, b in zip(found, boxes, strict=True) if (b[target][:2] >= 0).all()]
        expected = [b[target] + [1, 1, 0, 0] for b in boxes if (b[target][:2] >= 0).all()]
        inside = [i for i, b in enumerate(expected) if b[0] + b[2] - 1 <= 160 and b[1] + b[3] - 1 <= 120]
        assert inside, name
        np.testing.assert_allclose(np.array(whole)[inside], np.array(expected)[inside])
    first = next(iter(drawn))
    kept = (tmp_path / "w" / first / "img" / "0001.jpg").stat().st_mtime_ns
    assert run(*line, folder=tmp_path).code == 0
    assert (tmp_path / "w" / first / "img" / "0001.jpg").stat().st_mtime_ns == kept
    ended = run(*line[:-1], 5, folder=tmp_path)
    assert ended.code == OUTPUT
    assert "holds other data: seed 4, not 5. Give the same settings" in ended.error


@pytest.mark.parametrize("layout", ["otb", "vot", "davis", "video"])
def test_more_sequences_are_added_to_those_there_are(tmp_path: Path, layout: str) -> None:
    line = ("synth", "world", "--layout", layout, *SIZE)
    assert run(*line, "--out", "w", folder=tmp_path).code == 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "w").rglob("*0*.*") if path.is_file()}
    more = (*line, "--sequences", 3)  # the last one counts
    assert "holds 3 sequences" in run(*more, "--out", "w", folder=tmp_path).out
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    assert run(*more, "--out", "at-once", folder=tmp_path).code == 0
    found, expected = (
        {path.relative_to(tmp_path / name): path for path in (tmp_path / name).rglob("*") if path.is_file()}
        for name in ("w", "at-once")
    )
    assert found.keys() == expected.keys()
    exact = [name for name in found if name.suffix != ".mp4"]  # an encoder with several threads is not bound to be
    assert [found[name].read_bytes() for name in exact] == [expected[name].read_bytes() for name in exact]
    parts = ("holds more already: sequences 3, not 2", "Give as many or more")
    refused((*line, "--out", "w"), OUTPUT, *parts, folder=tmp_path)


def test_settings_that_differ_are_named(tmp_path: Path) -> None:
    line = ("synth", "world", "--out", "w", *SIZE)
    assert run(*line, folder=tmp_path).code == 0
    told = "holds other data: frames 6, not 7; world.exits 0.15, not 0.5. Give the same settings to go on, or a new folder."
    refused((*line, "--frames", 7, "--set", "exits=0.5"), OUTPUT, told, folder=tmp_path)
    cutouts(tmp_path / "own")
    refused((*line, "--pictures", "own"), OUTPUT, "holds other data: other pictures.", folder=tmp_path)
    refused((*line, "--layout", "vot"), OUTPUT, "(OTB sequences, not VOT sequences)", folder=tmp_path)
    refused((*line, "--layout", "video"), OUTPUT, "(OTB sequences, not videos)", folder=tmp_path)


def cutouts(folder: Path) -> Path:
    """A folder of cut-outs alone: bright red, which no drawn ground is all over."""
    folder.mkdir()
    for number in range(3):
        picture = np.zeros((60, 60, 4), np.uint8)
        picture[10:50, 10:50] = (0, 0, 255, 255)
        picture[10:50, 10 + 10 * number : 14 + 10 * number, :3] = 255
        assert cv2.imwrite(str(folder / f"{number}.png"), picture)
    return folder


def test_cutouts_alone_move_over_drawn_grounds(tmp_path: Path) -> None:
    found = find_material([cutouts(tmp_path / "own")])
    assert (len(found.stills), len(found.cutouts)) == (0, 3)
    world = World(WorldSettings(width=160, height=120, occluders=0, light=0, most_objects=1), Pictured(found, built_in=0.0), 4)
    frame = world.scene(0).frame(0)
    assert frame.identity.any()
    assert len(np.unique(frame.image[frame.identity == 0], axis=0)) > 100  # a texture
    red, _, blue = frame.image[frame.identity == 1].mean(0)
    assert red > blue + 50
    ended = run("synth", "world", "--pictures", "own", "--out", "w", *SIZE, folder=tmp_path)
    assert (ended.code, "2 sequences" in ended.out) == (0, True), ended.err
    data = open_data([("world", tmp_path / "own")], CropSettings())
    assert data.describe() == ["world: 0 stills, 3 cut-outs, 0 tracks"]
    pair = data.pairs(read_recipe("siamfc-modern", ["world.width=160", "world.height=120"]), "training")[0]
    assert pair.search.std() > 5


def test_scenes_that_are_left_out_are_told(tmp_path: Path) -> None:
    """Few scenes have an object of 12 px here."""
    line = ("synth", "world", "--out", "w", *SIZE, "--set", "largest=0.12", "--set", "smallest=0.1", "--set", "growth=0")
    ended = run(*line, folder=tmp_path)
    assert ended.code == 0, ended.err
    numbers = sorted(int(path.name[-6:]) for path in (tmp_path / "w").glob("world-*"))
    passed = numbers[-1] + 1 - 2
    assert passed > 1
    assert f"layout otb. {passed} scenes without a target in full view in the first frame left out." in ended.out
    chosen = World(WorldSettings(width=160, height=120, largest=0.12, smallest=0.1, growth=0), BuiltIn(), 4)
    names = [sequence.name for sequence in world_sequences(chosen, 2, 6)]
    assert (scenes_left_out(names), scenes_left_out(names[:1])) == (passed, numbers[0])


def test_ctrl_c_says_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = ("synth", "world", "--out", "w", *SIZE)
    image = Scene.frame
    calls: list[int] = []

    def frame(self: Scene, time: int) -> Labelled:
        calls.append(time)
        if len(calls) == 9:  # in the second sequence
            raise KeyboardInterrupt
        return image(self, time)

    with monkeypatch.context() as patch:
        patch.setattr(Scene, "frame", frame)
        ended = run(*line, folder=tmp_path)
    assert (ended.code, ended.out) == (INTERRUPTED, "")
    assert ended.err == "Stopped by Ctrl-C. The sequences that are finished are kept in w; the same command goes on.\n"
    assert len(list((tmp_path / "w").iterdir())) == 2  # the first sequence, and what the folder is made of
    assert run(*line, folder=tmp_path).code == 0


@pytest.mark.parametrize("layout", ["otb", "davis", "video"])
def test_nothing_is_kept_of_a_first_sequence_that_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    """Whatever empty folders its layout has left, scenes of another seed may be written there."""

    def stopped(self: Scene, time: int) -> Labelled:
        raise KeyboardInterrupt

    line = ("synth", "world", "--layout", layout, "--out", "w", *SIZE)
    with monkeypatch.context() as patch:
        patch.setattr(Scene, "frame", stopped)
        assert run(*line, folder=tmp_path).code == INTERRUPTED
    ended = run(*line, "--seed", 5, folder=tmp_path)
    assert ended.code == 0, ended.err


def test_odd_sides_of_videos_are_told(tmp_path: Path) -> None:
    line = ("synth", "world", *SIZE, "--size", "161x121")
    assert (
        "161x121 (162x122 in the file, as codecs want even sides), in the layout video"
        in run(*line, "--layout", "video", "--out", "v", folder=tmp_path).out
    )
    assert "161x121, in the layout otb" in run(*line, "--out", "o", folder=tmp_path).out


def test_a_size_among_the_settings_is_told(tmp_path: Path) -> None:
    ended = run("synth", "world", "--out", "w", *SIZE, "--set", "width=176", folder=tmp_path)
    assert (ended.code, "6 frames, 176x120, in the layout otb" in ended.out) == (0, True), ended


def test_davis(tmp_path: Path, drawn: Drawn) -> None:
    assert run("synth", "world", "--layout", "davis", "--out", "w", *SIZE, folder=tmp_path).code == 0
    seen = set()
    for name, (_, _, identities, _) in drawn.items():
        numbers = {0: 0}  # of the objects in the masks: those in the first frame come first, each in their order
        for there in (np.unique(identities[0]), np.unique(identities)):
            for thing in there[there > 0].tolist():
                numbers.setdefault(thing, len(numbers))
        for number, identity in enumerate(identities):
            found = read_labels(tmp_path / "w" / "Annotations" / "480p" / name / f"{number:05}.png")
            for thing in np.unique(identity).tolist():
                assert set(found[identity == thing].tolist()) == {numbers[thing]}, (name, number, thing)
            seen |= set(found.ravel().tolist())
    assert {0, 1, 2} <= seen  # several objects, or numbers would not be told apart


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
    assert [path.name for path in (tmp_path / "w").iterdir()] == ["synthetic.json"]
    assert list(write_videos(tmp_path / "w", [sequence(stops=False)], content={})) == ["a"]
    assert sorted(path.name for path in (tmp_path / "w").iterdir()) == ["a.csv", "a.mp4", "synthetic.json"]
    assert (tmp_path / "w" / "a.csv").read_text() == (
        "frame,target,x,y,w,h,score,lost\n0,0,1.5,2,30,20.25,,\n0,1,,,,,,\n1,0,,,,,,\n1,1,1.5,2,30,20.25,,\n"
    )
    assert {row.target for row in read_rows(tmp_path / "w" / "a.csv") if row.box.absent and row.frame == 0} == {1}


@pytest.mark.slow
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
        (
            ("--out", "w", "--set", "smallest=0.9"),
            INPUT,
            "smallest is 0.9 and largest 0.5; expected a largest that",
        ),
        (("--out", "w", "--pictures", "empty"), INPUT, "No still images, cut-outs or tracks in empty"),
        (("--out", "w", "--pictures", "nowhere"), INPUT, "does not exist"),
        (("--out", "w", "--size", "32x32", "--set", "largest=0.1"), INPUT, "no object of 12 px"),
    ):
        ended = run("synth", "world", *parts, "--sequences", 1, "--frames", 2, folder=tmp_path)
        assert (ended.code, words in ended.error) == (code, True), ended.err
