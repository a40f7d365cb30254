"""`siamtrack experiment long-term` and `look-alikes`: scenes that suit, what is counted, and that a stopped one goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from siamtrack.box import Box
from siamtrack.errors import OutputError
from siamtrack.experiments import world_procedures
from siamtrack.experiments.world_procedures import Trying, run_long_term, run_look_alikes
from siamtrack.experiments.world_trials import Subject, Trial, crosses, leaves, run_trials
from siamtrack.image import Image
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
            assert seen[away[0] :].any()
            found["leaves"] += 1
        else:
            found["stays"] += 1
        found["crosses"] += crosses(one, 150)
    assert all(found.values()), found


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two small scenes, and oracles in place of a model: the first variant is lost at once, the others are right."""
    asked: list[str] = []
    scenes: dict[str, Scene] = {}
    choose = world_procedures._subjects

    class Fake:
        def __init__(self, name: str, right: bool) -> None:
            self.name, self.right, self.time = name, right, 0

        def start(self, image: Image, boxes: Sequence[Box]) -> list[int]:
            self.time = 0
            return [0]

        def step(self, image: Image, states: Sequence[int]) -> tuple[list[int], list[Prediction]]:
            self.time += 1
            box, seen = scenes["now"].truth(targets["now"], self.time)
            box = box if self.right and np.isfinite(box).all() else Box(-50, -50, 1, 1)
            return [0], [Prediction(box=box, score=seen)]

    targets: dict[str, int] = {}

    def noted(*arguments: object) -> object:
        for one in choose(*arguments):  # type: ignore[arg-type]
            scenes["now"], targets["now"] = one.scene, one.target
            asked.append(one.name)
            yield one

    def made(model: str, variants: dict[str, object]) -> dict[str, Fake]:
        return {name: Fake(name, right=number > 0) for number, name in enumerate(variants)}

    small = {name: WorldSettings(**{**vars(s), "width": 160, "height": 120}) for name, s in world_procedures._WORLDS.items()}
    monkeypatch.setattr(world_procedures, "_WORLDS", small)
    monkeypatch.setattr(world_procedures, "_subjects", noted)
    monkeypatch.setattr(world_procedures, "opened", made)
    monkeypatch.setattr(world_procedures, "QUICK_SCENES", 2)
    monkeypatch.setattr(world_procedures, "QUICK_FRAMES", 60)
    return asked


def test_both_experiments_write_tables_and_a_report(tmp_path: Path, few: list[str]) -> None:
    trying = Trying(model="siamfc", quick=True)
    table = run_long_term(tmp_path / "lt", trying)
    rows = {row[0]: row for row in table.rows}
    assert list(rows) == ["short-term", "at once", "growing"]
    assert rows["short-term"][1] == 0
    assert float(str(rows["growing"][1])) > 0.9
    table = run_look_alikes(tmp_path / "la", trying)
    assert [row[0] for row in table.rows] == ["without", "with memory"]
    for folder in ("lt", "la"):
        made = {path.name for path in (tmp_path / folder).iterdir()}
        assert {"settings.toml", "report.md", "procedures.png", "scenes.csv", "trials"} <= made
    assert len(few) == 4
    with pytest.raises(OutputError, match="other settings"):
        run_long_term(tmp_path / "lt", Trying(model="siamfc", quick=True, seed=1))
