"""Scores of runs from several starts (VOT since 2020): EAO, accuracy and robustness; see `siamtrack.metrics.vot_multistart`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from siamtrack.datasets.benchmark import BenchmarkSequence, counted
from siamtrack.errors import DataError
from siamtrack.evaluation.protocols_multistart import anchors_of, frames_from
from siamtrack.evaluation.scoring_parts import Curve, Part, Scores
from siamtrack.evaluation.trajectory import TrackerResults, Trajectory
from siamtrack.metrics.vot_multistart import (
    EAO_INTERVAL,
    AnchoredRun,
    Runs,
    accuracy_robustness,
    multistart_eao,
    multistart_eao_curve,
)

PRESET = "vot-python"


def score_multistart(results: TrackerResults, sequences: Sequence[BenchmarkSequence]) -> Scores:
    """The numbers of the VOT toolkit in Python, the only tool that has them.

    Raises:
        DataError: a start is missing, or a run has not as many frames as there are from its start on.
    """
    found = {one.name: (len(one), _runs(results.runs[one.name], one, results.tracker)) for one in sequences}
    overall = _part(list(found.values()))
    return Scores(
        tracker=results.tracker,
        benchmark=results.benchmark,
        protocol=results.protocol,
        preset=PRESET,
        main="eao",
        overall=overall,
        attributes={},
        sequences={name: _part([runs]) for name, runs in found.items()},
        notes=_notes([run for _, runs in found.values() for run in runs]),
    )


def _runs(runs: Sequence[Trajectory], sequence: BenchmarkSequence, tracker: str) -> Runs:
    by_start = {run.first: run for run in runs}
    wanted = anchors_of(sequence)
    if missing := [anchor for anchor in wanted if anchor not in by_start]:
        raise DataError(
            f"The results of {tracker} on sequence {sequence.name} lack {len(missing)} of {counted(len(wanted), 'start')}: "
            f"there is no '{sequence.name}_{missing[0]:08}'."
        )
    truth = sequence.shapes
    return [
        AnchoredRun(
            answers=by_start[anchor].shapes,
            truth=[truth[frame] for frame in frames_from(sequence, anchor)],
            size=sequence.image_size,
        )
        for anchor in wanted
    ]


def _notes(runs: Runs) -> tuple[str, ...]:
    (low, high), longest = EAO_INTERVAL, max(len(run.overlaps) for run in runs)
    told = (
        f"EAO is the mean over runs of {low} to {high} frames, and the longest here has {longest}: only runs with a failure "
        "count in it, as if they went on, so that it says nothing."
    )
    return () if longest > low else (told,)


def _part(sequences: Sequence[tuple[int, Runs]]) -> Part:
    curve = multistart_eao_curve([run for _, runs in sequences for run in runs])
    accuracy, followed = accuracy_robustness(sequences)
    numbers = {"eao": multistart_eao(curve, EAO_INTERVAL), "accuracy": accuracy, "followed": followed}
    curves = {"EAO": Curve(x=np.arange(len(curve), dtype=np.float64), y=curve)}
    return Part(sequences=len(sequences), numbers=numbers, curves=curves)
