"""The scripts in `benchmarks/` whose numbers are in the README."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from training_runs import draw_clips

from siamtrack.datasets.sequences import find_sequences


@pytest.fixture
def accuracy(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(Path(__file__).resolve().parent.parent / "benchmarks")
    yield import_module("accuracy")
    for name in ("accuracy", "peers"):
        sys.modules.pop(name, None)


def test_a_tracker_that_stops_early_is_not_scored_by_the_rest(tmp_path: Path, accuracy: ModuleType) -> None:
    (sequence,) = find_sequences(draw_clips(tmp_path, clips=1))
    auc, at_20 = accuracy._scores("siamfc", sequence.boxes, sequence)
    assert (auc, at_20) == (pytest.approx(20 / 21), 1.0)
    with pytest.raises(SystemExit, match=r"siamfc gave 3 boxes for the 5 frames of clip0"):
        accuracy._scores("siamfc", sequence.boxes[:3], sequence)
