"""The runner: results do not depend on where and in how many attempts they were made."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from evaluation_runs import Breaking, Killing, Scripted, Slow, benchmark, sequence

from siamtrack.datasets.benchmark import BenchmarkSequence
from siamtrack.errors import MissingExtraError, OutputError, SettingsError
from siamtrack.evaluation.protocols_following import ProtocolSettings
from siamtrack.evaluation.runner import Where, evaluate
from siamtrack.evaluation.runner_workers import Outcome
from siamtrack.evaluation.store import ResultStore

LENGTHS = {"a": 6, "b": 30, "c": 12, "d": 9}
NO_TIMES = ProtocolSettings(frame_seconds=0.25)


def sequences(folder: Path) -> list[BenchmarkSequence]:
    return [sequence(folder / "frames", name, count) for name, count in LENGTHS.items()]


def begun(root: Path, protocol: str = "ope") -> ResultStore:
    store = ResultStore(root, tracker="scripted", benchmark=benchmark(), protocol=protocol)
    store.begin({"settings": {}})
    return store


def results(store: ResultStore) -> dict[str, bytes]:
    """Every file, run.json aside."""
    files = [path for path in store.folder.rglob("*") if path.is_file() and path.name != "run.json"]
    return {str(path.relative_to(store.folder)): path.read_bytes() for path in files}


def ran(store: ResultStore, of: list[BenchmarkSequence], opener: Any, **where: Any) -> dict[str, Outcome]:
    return {outcome.sequence: outcome for outcome in evaluate(opener, of, store, NO_TIMES, Where(**where))}


def test_two_workers_give_what_one_gives(tmp_path: Path) -> None:
    of = sequences(tmp_path)
    one, two = begun(tmp_path / "one", "sre"), begun(tmp_path / "two", "sre")
    assert set(ran(one, of, partial(Scripted, lost=[4]), workers=1)) == set(LENGTHS)
    assert set(ran(two, of, partial(Scripted, lost=[4]), workers=2)) == set(LENGTHS)
    assert results(one) == results(two)
    assert len(results(one)) == 4 * (12 * 3 + 1)


def test_a_sequence_that_fails_stops_no_other(tmp_path: Path) -> None:
    of = sequences(tmp_path)
    of[0].frames[2].unlink()
    store = begun(tmp_path / "results")
    told = ran(store, of, Breaking, workers=1)
    assert "0003.png" in told["a"].failure
    assert told["b"].failure.startswith("ZeroDivisionError: seven (")
    assert "evaluation_runs.py, line" in told["b"].failure
    assert store.finished() == set()  # "c" and "d" have a frame 7, too
    again = ran(store, of, Scripted, workers=1)
    assert {name for name, outcome in again.items() if outcome.failure} == {"a"}
    assert store.finished() == {"b", "c", "d"}


def test_a_name_that_no_file_can_have_is_refused_before_anything_is_run(tmp_path: Path) -> None:
    of = [*sequences(tmp_path)[:1], BenchmarkSequence(name="x/y", regions=[np.zeros(4)])]
    store = begun(tmp_path / "results")
    with pytest.raises(OutputError, match="'x/y' cannot be the name"):
        ran(store, of, Scripted)
    assert store.finished() == set()


def test_a_tracker_that_cannot_be_opened_fails_each_sequence_with_the_reason(tmp_path: Path) -> None:
    told = ran(begun(tmp_path / "results"), sequences(tmp_path)[:2], partial(Scripted, nonsense=1), workers=1)
    assert all("nonsense" in outcome.failure for outcome in told.values())
    assert len(told) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_worker_that_is_killed_fails_its_sequence_only(tmp_path: Path) -> None:
    store = begun(tmp_path / "results")
    told = ran(store, sequences(tmp_path), Killing, workers=2)
    assert {name for name, outcome in told.items() if "ended from outside" in outcome.failure} == {"b", "c", "d"}
    assert store.finished() == {"a"}


def test_finished_sequences_are_not_run_again(tmp_path: Path) -> None:
    store, of = begun(tmp_path / "results"), sequences(tmp_path)
    assert set(ran(store, of[:2], Scripted)) == {"a", "b"}
    assert set(ran(store, of, partial(Scripted, lost=[3]))) == {"c", "d"}
    runs = store.read().runs
    assert np.array_equal(runs["a"][0].boxes[3], [23, 18, 12, 10])
    assert np.array_equal(runs["c"][0].boxes[3], [1, 1, 3, 3])


PROGRAM = """
import sys
from pathlib import Path
from evaluation_runs import Slow
from siamtrack.evaluation.runner import Where, evaluate
from test_evaluation_runner import NO_TIMES, begun, sequences

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    where = Where(workers=2, ray="local" if sys.argv[2] == "ray" else None)
    for outcome in evaluate(Slow, sequences(folder), begun(folder / "killed"), NO_TIMES, where):
        print(outcome.sequence, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize("where", ["here", "ray"])
def test_resumed_after_kill_9_is_as_if_undisturbed(tmp_path: Path, where: str) -> None:
    """The evaluation is killed once the first sequence is told, while the longest is under way."""
    if where == "ray":
        pytest.importorskip("ray")
    of = sequences(tmp_path)
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    paths = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])}
    killed = begun(tmp_path / "killed")
    with subprocess.Popen(
        [sys.executable, tmp_path / "program.py", tmp_path, where], stdout=subprocess.PIPE, text=True, env=paths
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline().strip()
        process.send_signal(signal.SIGKILL)
    finished = killed.finished()
    assert first in finished
    assert finished != set(LENGTHS)
    kept = results(killed)
    time.sleep(0.1)
    assert results(killed) == kept  # workers write nothing
    told = ran(killed, of, Slow, workers=2)
    assert set(told) == set(LENGTHS) - finished
    undisturbed = begun(tmp_path / "undisturbed")
    ran(undisturbed, of, Scripted, workers=1)
    assert results(killed) == results(undisturbed)


def test_closing_the_generator_ends_the_workers_at_once(tmp_path: Path) -> None:
    """As Ctrl-C does: what is finished stays."""
    store = begun(tmp_path / "results")
    outcomes = evaluate(Slow, sequences(tmp_path), store, NO_TIMES, Where(workers=2))
    first = next(outcomes).sequence
    outcomes.close()
    assert first in store.finished()
    assert not json.loads((store.folder / "records" / f"{first}.json").read_text(encoding="utf-8"))["runs"][0]["first"]


def test_a_cluster_needs_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"siamtrack\[ray\]"):
        ran(begun(tmp_path / "results"), sequences(tmp_path), Scripted, ray="auto")


def test_a_cluster_whose_machines_are_too_small_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray itself would wait for ever."""
    nodes = [{"Alive": True, "Resources": {"CPU": 4.0}}] * 2 + [{"Alive": False, "Resources": {"CPU": 64.0}}]
    nothing = lambda *_, **__: lambda worker: worker  # noqa: E731
    ray = SimpleNamespace(init=nothing, remote=nothing, nodes=lambda: nodes, shutdown=nothing)
    monkeypatch.setitem(sys.modules, "ray", ray)
    with pytest.raises(SettingsError, match="the 8 processors of a worker; give fewer --threads"):
        ran(begun(tmp_path / "results"), sequences(tmp_path), Scripted, ray="auto", threads=8)


def test_on_ray_results_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)]))
    of = sequences(tmp_path)
    here, there = begun(tmp_path / "here", "sre"), begun(tmp_path / "there", "sre")
    ran(here, of, Scripted)
    assert set(ran(there, of, Scripted, ray="local")) == set(LENGTHS)
    assert results(here) == results(there)
    told = ran(begun(tmp_path / "broken"), of, Killing, ray="local")
    assert {name for name, outcome in told.items() if "Ray lost its worker" in outcome.failure} == {"b", "c", "d"}
