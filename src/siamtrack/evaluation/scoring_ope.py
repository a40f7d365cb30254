"""Scores of one-pass runs: OPE, TRE and SRE of OTB, and GOT-10k."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from siamtrack.box import Boxes
from siamtrack.datasets.benchmark import BenchmarkSequence
from siamtrack.errors import DataError
from siamtrack.evaluation.scoring_parts import Curve, Part, Scores, scores_of_parts
from siamtrack.evaluation.trajectory import TrackerResults, Trajectory
from siamtrack.metrics.center_error import mean_center_error
from siamtrack.metrics.ope import CENTER_THRESHOLDS, NORMALISED_THRESHOLDS, mean_over_classes
from siamtrack.metrics.ope_presets import OPEPreset
from siamtrack.metrics.ope_scores import OPECurves, SequenceScores, join_runs, score_benchmark, score_sequence

_Run = tuple[int, Boxes]
"""The frame that it begins with, and its boxes."""


def score_ope(results: TrackerResults, sequences: Sequence[BenchmarkSequence], preset: OPEPreset) -> Scores:
    """Success, precision, normalised precision and mean overlap of a benchmark, its attributes and its sequences.

    Several runs of a sequence count as one long one: TRE, SRE, and the repetitions of GOT-10k, as its toolkit has it.

    Raises:
        DataError: runs that do not fit their sequence, polygons, or nothing to be scored.
    """
    each, errors = {}, {}
    for sequence in sequences:
        runs = [(run.first, boxes_of(run, sequence)) for run in results.runs[sequence.name]]
        try:
            each[sequence.name] = _sequence(runs, sequence, preset)
        except DataError as error:
            raise DataError(f"{results.tracker} on sequence {sequence.name}: {error}") from None
        errors[sequence.name] = _center_error(runs, sequence)

    def part(members: Sequence[BenchmarkSequence]) -> Part:
        curves = score_benchmark([each[s.name] for s in members])
        return _part(curves, len(members), _mean([errors[s.name] for s in members]))

    return scores_of_parts(
        results,
        sequences,
        {name: _part(scores, 1, errors[name]) for name, scores in each.items()},
        part,
        preset=preset.name,
        main="ao" if preset.pool_frames else "auc",
        more=_over_classes(sequences, each) if preset.pool_frames else {},
    )


def boxes_of(run: Trajectory, sequence: BenchmarkSequence) -> Boxes:
    """(N, 4) of a run; the true box where its first frame holds the code of a start, as in VOT's files.

    Raises:
        DataError: a region is a polygon.
    """
    boxes = run.boxes
    if len(run) and len(run.regions[0]) == 1:
        boxes[0] = sequence.boxes[run.first]
    return boxes


def _sequence(runs: Sequence[_Run], sequence: BenchmarkSequence, preset: OPEPreset) -> SequenceScores:
    scores = [
        score_sequence(
            boxes,
            sequence.boxes[first:],
            preset,
            absent=None if sequence.absent is None else sequence.absent[first:],
            image_size=sequence.image_size if preset.clip else None,
        )
        for first, boxes in runs
    ]
    return scores[0] if len(scores) == 1 else join_runs(scores)


def _part(curves: OPECurves, sequences: int, center_error: float) -> Part:
    overlaps = np.linspace(0, 1, len(curves.success_curve))
    return Part(
        sequences=sequences,
        numbers={
            "auc": curves.auc,
            "precision": curves.precision,
            "normalised_precision": curves.normalised_precision,
            "ao": curves.average_overlap,
            "sr50": curves.success_rate_50,
            "sr75": curves.success_rate_75,
            "center_error": center_error,
        },
        curves={
            "success": Curve(x=overlaps, y=curves.success_curve),
            "precision": Curve(x=CENTER_THRESHOLDS, y=curves.precision_curve),
            "normalised precision": Curve(x=NORMALISED_THRESHOLDS, y=curves.normalised_precision_curve),
        },
    )


def _over_classes(sequences: Sequence[BenchmarkSequence], each: dict[str, SequenceScores]) -> dict[str, float]:
    """The means in which every class of objects counts the same; none where classes are not known."""
    classes = [s.object_class for s in sequences if s.object_class]
    if len(classes) < len(sequences):
        return {}
    scores = [each[s.name] for s in sequences]
    return {
        "mao": mean_over_classes([s.average_overlap for s in scores], classes),
        "msr50": mean_over_classes([s.success_rate_50 for s in scores], classes),
        "msr75": mean_over_classes([s.success_rate_75 for s in scores], classes),
    }


def _center_error(runs: Sequence[_Run], sequence: BenchmarkSequence) -> float:
    """Mean over the frames after the first in which both boxes are there and the truth has a size, pixels."""
    errors = []
    for first, boxes in runs:
        truth = sequence.boxes[first + 1 :]
        there = (truth[:, 2:] > 0).all(1)
        if sequence.absent is not None:
            there &= ~sequence.absent[first + 1 :]
        errors.append(mean_center_error(boxes[1:][there], truth[there]))
    return _mean(errors)


def _mean(values: Sequence[float]) -> float:
    """Of those that are numbers: a tracker that writes inf is not averaged into infinity."""
    known = [value for value in values if math.isfinite(value)]
    return float(np.mean(known)) if known else math.nan
