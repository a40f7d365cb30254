"""`siamtrack experiment long-term` and `look-alikes`: scenes that suit, what is counted, and that a stopped one goes on."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import INPUT, refused, run
from every_network import network_of

from siamtrack.box import Box
from siamtrack.errors import OutputError
from siamtrack.experiments import world_procedures
from siamtrack.experiments.world_procedures import Trying, run_long_term, run_look_alikes
from siamtrack.experiments.world_trials import Subject, Trial, crosses, has_identical, leaves, run_trials
from siamtrack.export.onnx import export_model
from siamtrack.image import Image
from siamtrack.model_folder import Description
from siamtrack.models.kinds import model_kind
from siamtrack.synthetic.supply import BuiltIn
from siamtrack.synthetic.world import LEAST_VISIBLE, Scene, World
from siamtrack.synthetic.world_settings import WorldSettings
from siamtrack.tracking import Prediction


def trial(overlaps: Sequence[float], others: Sequence[float], visible: Sequence[bool] | None = None) -> Trial:
    seen = np.ones(len(overlaps), bool) if visible is None else np.array(visible)
    given = {"x": np.array(overlaps)}, {"x": np.zeros(len(overlaps))}, {"x": np.array(others)}
    return Trial(name="a", visible=seen, overlaps=given[0], scores=given[1], others=given[2])


@pytest.mark.parametrize(
    ("overlaps", "others", "switches"),
    [
        ([0.8, 0.7, 0.6], [0.0, 0.1, 0.2], 0),
        ([0.8, 0.1, 0.0], [0.0, 0.5, 0.7], 1),
        ([0.8, 0.0, 0.8, 0.0], [0.0, 0.6, 0.0, 0.6], 2),
        ([0.8, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.6], 1),  # lost in between
        ([0.8, 0.4, 0.8], [0.0, 0.39, 0.0], 0),  # both there: on the one that it overlaps more
        ([0.0, 0.0], [0.6, 0.6], 1),  # begins on the other
        ([0.8, 0.0], [0.0, 0.29], 0),  # hardly on it
    ],
)
def test_switches_are_steps_from_the_target_to_another(overlaps: list[float], others: list[float], switches: int) -> None:
    assert trial(overlaps, others).switches("x") == switches


@pytest.mark.parametrize(
    ("overlaps", "others", "switches"),
    [
        ([0.8, 0.5, 0.9], [0.0, 0.7, 0.0], 0),  # its match is kept
        ([0.8, 0.4, 0.4, 0.9], [0.0, 0.5, 0.9, 0.0], 1),
        ([0.8, 0.0, 0.0, 0.8], [0.0, 0.4, 0.4, 0.0], 0),  # never a match with the other
        ([0.8, 0.4, 0.6, 0.0, 0.9, 0.0], [0.0, 0.6, 0.5, 0.5, 0.0, 0.9], 2),  # stays there as long, and goes over again
        ([0.8, 0.0, 0.0], [0.0, 0.0, 0.6], 1),  # lost in between
    ],
)
def test_lasting_switches_keep_matches_as_clear_mot(overlaps: list[float], others: list[float], switches: int) -> None:
    assert trial(overlaps, others).lasting_switches("x") == switches
    assert trial([0.9, *overlaps], [0.0, *others], [False] + [True] * len(overlaps)).lasting_switches("x") == switches


def test_overlap_counts_where_the_target_is_visible() -> None:
    assert trial([0.8, 0.0, 0.4], [0, 0, 0], [True, False, True]).mean_overlap("x") == pytest.approx(0.6)
    assert np.isnan(trial([0.8], [0], [False]).mean_overlap("x"))


@dataclass
class Oracle:
    """Follows one object of a scene, with its true boxes; counts the frames by itself."""

    scene: Scene
    object: int
    steps: int = 0

    def start(self, image: Image, boxes: Sequence[Box]) -> list[int]:
        self.steps = 0
        return [0]

    def step(self, image: Image, states: Sequence[int]) -> tuple[list[int], list[Prediction]]:
        self.steps += 1
        box, seen = self.scene.truth(self.object, self.steps)
        box = box if np.isfinite(box).all() else Box(0, 0, 1, 1)
        return [0], [Prediction(box=box, score=seen)]


def subject(number: int = 3) -> Subject:
    world = World(WorldSettings(width=160, height=120, most_objects=2, occluders=0), BuiltIn(), 1)
    scene = next(s for n in range(number, 99) if (s := world.scene(n)).objects == 2 and s.truth(0, 0)[1] > 0.9)
    return Subject("scene", scene, 0)


def test_what_trackers_say_is_read_against_the_truth(tmp_path: Path) -> None:
    one = subject()
    trackers = {"right": Oracle(one.scene, 0), "wrong": Oracle(one.scene, 1)}
    (found,) = run_trials(trackers, [one], 12, tmp_path)
    visibility = [one.scene.frame(time).visibility for time in range(1, 12)]
    assert found.visible.tolist() == [bool(v[0] >= LEAST_VISIBLE) for v in visibility]
    assert found.mean_overlap("right") == pytest.approx(1, abs=1e-6)
    both = np.array([v.min() >= LEAST_VISIBLE for v in visibility])
    assert found.others["wrong"][both] == pytest.approx(1, abs=1e-6)
    assert found.switches("right") == 0
    assert found.switches("wrong") >= 1
    steps = trackers["right"].steps
    (again,) = run_trials(trackers, [one], 12, tmp_path)  # read, not run
    assert trackers["right"].steps == steps
    assert np.array_equal(again.overlaps["wrong"], found.overlaps["wrong"])


def test_scenes_are_chosen_by_what_happens_in_them() -> None:
    world = World(WorldSettings(width=160, height=120, most_objects=2, exits=1.0, occluders=0), BuiltIn(), 1)
    found = {"leaves": 0, "stays": 0, "crosses": 0}
    for number in range(30):
        scene = world.scene(number)
        if scene.objects < 2:
            continue
        one = Subject(str(number), scene, 0)
        seen = np.array([scene.truth(0, time)[1] >= LEAST_VISIBLE for time in range(0, 150, 5)])
        if leaves(one, 150):
            away = np.flatnonzero(~seen[:-1] & ~seen[1:])
            assert len(away)
            assert seen[away[0] :].sum() > seen[: away[0]].sum()
            found["leaves"] += 1
        else:
            found["stays"] += 1
        found["crosses"] += crosses(one, 150)
    assert all(found.values()), found


def test_doubles_are_told_by_their_picture() -> None:
    """In another light each pixel differs, in the same one none does, whatever else happens to the two."""
    settings = WorldSettings(width=160, height=120, most_objects=2, look_alikes=1.0, occluders=0.0)
    world = World(settings, BuiltIn(), 1)
    found = {True: 0, False: 0}
    for scene in (s for number in range(20) if (s := world.scene(number)).objects == 2):
        first, second = (layer.levels.picture for layer in scene.shot(0).layers)
        found[has_identical(Subject("one", scene, 0))] += 1
        assert has_identical(Subject("one", scene, 1)) == np.array_equal(first, second)
    assert all(found.values()), found
    alone = World(replace(settings, look_alikes=0.0), BuiltIn(), 1)
    scenes = [s for number in range(20) if (s := alone.scene(number)).objects == 2]
    assert not any(has_identical(Subject("one", scene, 0)) for scene in scenes)


Script = Callable[[Subject, int, int], Box]
"""The box that is said of a subject in a frame; the last number counts the frames so far with both objects in view."""


def true_box(one: Subject, time: int, _: int, share: float = 1.0) -> Box:
    """Of the target, or its left part."""
    box, _ = one.scene.truth(one.target, time)
    return box._replace(w=share * box.w) if np.isfinite(box).all() else Box(-50, -50, 1, 1)


def half_box(one: Subject, time: int, both: int) -> Box:
    return true_box(one, time, both, 0.5)


def no_box(one: Subject, time: int, both: int) -> Box:
    return Box(-50, -50, 1, 1)


def strays(one: Subject, time: int, both: int) -> Box:
    """Goes over to the other object twice: for three frames, and for one."""
    return true_box(one._replace(target=1 - one.target), time, both) if both in (2, 3, 4, 8) else true_box(one, time, both)


class Scripted:
    """Says of the subject at hand what a script says; its score is how much of the target is to be seen."""

    def __init__(self, script: Script, at_hand: list[Subject]) -> None:
        self.script, self.at_hand, self.time, self.both = script, at_hand, 0, 0

    def start(self, image: Image, boxes: Sequence[Box]) -> list[int]:
        self.time = self.both = 0
        return [0]

    def step(self, image: Image, states: Sequence[int]) -> tuple[list[int], list[Prediction]]:
        self.time += 1
        one = self.at_hand[-1]
        seen = one.scene.frame(self.time).visibility
        self.both += bool(seen.min() >= LEAST_VISIBLE)
        box = self.script(one, self.time, self.both if seen.min() >= LEAST_VISIBLE else 0)
        return [0], [Prediction(box=box, score=float(seen[one.target] >= LEAST_VISIBLE))]


@pytest.fixture
def small_worlds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two small scenes."""
    small = {name: replace(settings, width=160, height=120) for name, settings in world_procedures._WORLDS.items()}
    monkeypatch.setattr(world_procedures, "_WORLDS", small)
    monkeypatch.setattr(world_procedures, "QUICK_SCENES", 2)
    monkeypatch.setattr(world_procedures, "QUICK_FRAMES", 60)


@pytest.fixture
def subjects(monkeypatch: pytest.MonkeyPatch, small_worlds: None) -> list[Subject]:
    """Those that were asked for so far; the variants follow scripts in place of a model."""
    asked: list[Subject] = []
    choose = world_procedures._subjects
    scripts: dict[str, Script] = {
        "short-term": no_box,
        "831 px": half_box,
        "1535 px, inside": true_box,
        "without": strays,
        "memory": true_box,
        "courses": true_box,
        "memory and courses": true_box,
        "colours": true_box,
        "memory and colours": true_box,
    }

    def noted(*arguments: Any) -> Iterator[Subject]:
        for one in choose(*arguments):
            asked.append(one)
            yield one

    def made(model: str, variants: Mapping[str, object]) -> dict[str, Scripted]:
        return {name: Scripted(scripts[name], asked) for name in variants}

    monkeypatch.setattr(world_procedures, "_subjects", noted)
    monkeypatch.setattr(world_procedures, "opened", made)
    return asked


def test_the_f_of_long_term_tracking(tmp_path: Path, subjects: list[Subject]) -> None:
    """Boxes that are right where the target is seen, half as wide, and nowhere; all of them know when it is seen."""
    table = run_long_term(tmp_path / "lt", Trying(model="siamfc", quick=True))
    assert list(table.columns) == ["procedure", "F", "precision", "recall", "mean overlap"]
    rows = {str(name): numbers for name, *numbers in table.rows}
    assert list(rows) == ["short-term", "831 px", "1535 px, inside"]
    assert rows["1535 px, inside"] == pytest.approx([1, 1, 1, 1], abs=1e-5)
    assert rows["831 px"] == pytest.approx([0.5, 0.5, 0.5, 0.5], abs=1e-5)
    assert rows["short-term"][0] == rows["short-term"][2] == rows["short-term"][3] == 0
    assert len(subjects) == 2
    assert_complete(tmp_path / "lt")
    with pytest.raises(OutputError, match="other settings"):
        run_long_term(tmp_path / "lt", Trying(model="siamfc", quick=True, seed=1))


def test_the_switches_between_look_alikes(tmp_path: Path, subjects: list[Subject]) -> None:
    table = run_look_alikes(tmp_path / "la", Trying(model="siamfc", quick=True))
    rows = {str(row[0]): dict(zip(table.columns, row, strict=True)) for row in table.rows}
    assert list(rows) == ["without", "memory", "courses", "memory and courses", "colours", "memory and colours"]
    identical = sum(map(has_identical, subjects))
    expected = {
        "identity switches": 4,  # two in each of two scenes
        "to a double in another light": 4 - 2 * identical,
        "to an identical one": 2 * identical,
        "scenes with one": 2,
        "lasting switches": 4,
    }
    assert {key: rows["without"][key] for key in expected} == expected
    assert {key: rows["memory"][key] for key in expected} == dict.fromkeys(expected, 0)
    assert float(str(rows["memory"]["mean overlap"])) == pytest.approx(1, abs=1e-5)
    assert_complete(tmp_path / "la")
    with (tmp_path / "la" / "scenes.csv").open(newline="") as text:
        scenes = list(csv.DictReader(text))
    for column in ("identity switches", "lasting switches"):
        assert [row[column] for row in scenes] == ["2", *["0"] * 5] * 2
    told = ["yes" if has_identical(one) else "no" for one in subjects for _ in rows]
    assert [row["identical double"] for row in scenes] == told


def assert_complete(folder: Path) -> None:
    made = {path.name for path in folder.iterdir()}
    assert {"settings.toml", "report.md", "procedures.png", "scenes.csv", "trials"} <= made


@pytest.mark.parametrize("name", ["long-term", "look-alikes"])
def test_a_model_without_proposals_is_refused(tmp_path: Path, name: str) -> None:
    command = ["experiment", name, "--model", "siamfc", "--quick", "--out", "out"]
    refused(command, INPUT, "siamfc", "RPN", folder=tmp_path)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("setting", ["long_term.growth=500", "long_term={growth=500}"])
def test_settings_that_the_procedures_differ_in_are_refused(tmp_path: Path, setting: str) -> None:
    command = ["experiment", "long-term", "--model", "siamfc", "--out", "out", "--set", setting]
    refused(command, INPUT, "--set long_term.growth would change nothing", "its procedures decide it", folder=tmp_path)
    assert not (tmp_path / "out").exists()


@pytest.mark.long
@pytest.mark.parametrize("name", ["long-term", "look-alikes"])
def test_a_real_model_is_tried_from_the_command_line(tmp_path: Path, small_worlds: None, name: str) -> None:
    network = network_of("siamrpn-up-channel")
    procedure, implied = model_kind("siamrpn").procedure(network.settings)
    card = {"licence": "MIT", "card": "", "network": vars(network.settings), "settings": dict(implied)}
    export_model(network, tmp_path / "model", Description(name="narrow", model="siamrpn", tracker=procedure, **card))
    ended = run("experiment", name, "--model", "model", "--quick", "--out", "out", folder=tmp_path)
    assert ended.code == 0, ended.err
    assert_complete(tmp_path / "out")
    with (tmp_path / "out" / f"{name}.csv").open(newline="") as text:
        rows = list(csv.DictReader(text))
    assert [row["procedure"] for row in rows] == list(world_procedures._VARIANTS[name])
    for row in rows:
        assert all(np.isfinite(float(value)) for key, value in row.items() if key != "procedure")
        assert 0 < float(row["mean overlap"]) <= 1
