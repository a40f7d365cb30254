"""Scores of runs without restarts and with a confidence: precision, recall and F of VOT-LT."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from siamtrack.datasets.benchmark import BenchmarkSequence
from siamtrack.errors import DataError
from siamtrack.evaluation.scoring_parts import Curve, Part, Scores
from siamtrack.evaluation.trajectory import Floats, TrackerResults, Trajectory
from siamtrack.metrics.long_term import LongTermPreset, LongTermScores, LongTermSequence, long_term_scores
from siamtrack.metrics.vot import region_overlaps
from siamtrack.metrics.vot_presets import PRESETS

POOLING_NOTE = "Precision and recall are averaged over sequences, F is that of the averages."


def score_long_term(results: TrackerResults, sequences: Sequence[BenchmarkSequence], preset: LongTermPreset) -> Scores:
    """Precision, recall and F at the confidence where F is best; of a sequence, where its own F is best.

    Overlaps are measured as the preset's tool does in short-term tracking, cut off at the size of the image.

    Raises:
        DataError: a run without any confidence, or that does not fit its sequence.
    """
    runs = [_sequence(results, sequence, preset) for sequence in sequences]
    having = {
        name: [run for run, sequence in zip(runs, sequences, strict=True) if name in sequence.attributes]
        for name in sorted(set().union(*(sequence.attributes for sequence in sequences)))
    }
    return Scores(
        tracker=results.tracker,
        benchmark=results.benchmark,
        protocol=results.protocol,
        preset=preset.name,
        main="f",
        overall=_part(long_term_scores(runs, preset), len(runs)),
        attributes={name: _part(long_term_scores(members, preset), len(members)) for name, members in having.items()},
        sequences={run.name: _part(long_term_scores([run], preset), 1) for run in runs},
        notes=(POOLING_NOTE,),
    )


def _sequence(results: TrackerResults, sequence: BenchmarkSequence, preset: LongTermPreset) -> LongTermSequence:
    run, *more = results.runs[sequence.name]
    if more:
        raise DataError(
            f"{results.tracker} has {len(more) + 1} runs of sequence {sequence.name}; long-term scores are those of one."
        )
    if np.isnan(run.scores).all():
        raise DataError(
            f"{results.tracker} gave no confidence for sequence {sequence.name}; long-term scores need one a frame "
            f"({sequence.name}_001_confidence.value beside the regions)."
        )
    visible = [len(region) > 1 and not np.isnan(region).any() for region in sequence.regions]
    overlaps = _overlaps(run, sequence, preset)
    return LongTermSequence(name=sequence.name, overlaps=overlaps, confidences=run.scores, visible=visible)


def _overlaps(run: Trajectory, sequence: BenchmarkSequence, preset: LongTermPreset) -> Floats:
    if len(run) != len(sequence):
        raise DataError(f"The run of sequence {sequence.name} has {len(run)} frames, its ground truth {len(sequence)}.")
    measured = PRESETS[preset.name]
    return region_overlaps(
        run.regions,
        sequence.regions,
        size=sequence.image_size,
        rule=measured.rule,
        corners=measured.box_corners,
        bounds="size",
    )


def _part(scores: LongTermScores, sequences: int) -> Part:
    f, precision, recall = scores.best
    return Part(
        sequences=sequences,
        numbers={"f": f, "f_precision": precision, "f_recall": recall},
        curves={
            name: Curve(x=scores.thresholds, y=values)
            for name, values in (("precision", scores.precision), ("recall", scores.recall), ("F", scores.f))
        },
    )
