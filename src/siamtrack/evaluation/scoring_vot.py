"""Scores of runs on VOT: with restarts (EAO, accuracy, robustness), or in one pass (mean overlap)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from siamtrack.datasets.benchmark import BenchmarkSequence
from siamtrack.errors import DataError
from siamtrack.evaluation.scoring_parts import Curve, Part, Scores
from siamtrack.evaluation.trajectory import Floats, TrackerResults
from siamtrack.metrics.vot import FAILURE, SupervisedSequence, frames_with, region_overlaps, runs_of
from siamtrack.metrics.vot_accuracy import AccuracyRobustness, accuracy_overlaps, accuracy_robustness, overlaps_after_burn_in
from siamtrack.metrics.vot_eao import eao, eao_curve, supervised_overlaps
from siamtrack.metrics.vot_presets import VOTPreset, eao_interval

NO_EAO = (
    "No EAO, accuracy or robustness: the tracker was run in one pass. They are defined for supervised runs only, in which a "
    "tracker is started again after each failure."
)


def score_supervised(results: TrackerResults, sequences: Sequence[BenchmarkSequence], preset: VOTPreset) -> Scores:
    """EAO, accuracy and robustness of runs with restarts.

    Raises:
        DataError: runs that were not restarted after each failure, or that do not fit their sequence.
    """
    runs = [_supervised(results, sequence) for sequence in sequences]
    for_eao = supervised_overlaps(runs, preset)
    for_accuracy = [overlaps_after_burn_in(run, preset, for_eao=known) for run, known in zip(runs, for_eao, strict=True)]
    curve = eao_curve(runs, preset, overlaps=for_eao)
    value, note = _eao(curve, results.benchmark, preset)
    numbers = _numbers(accuracy_robustness(runs, preset, overlaps=for_accuracy))
    return Scores(
        tracker=results.tracker,
        benchmark=results.benchmark,
        protocol=results.protocol,
        preset=preset.name,
        main="accuracy" if note else "eao",
        overall=Part(sequences=len(runs), numbers={"eao": value} | numbers, curves=_curves(curve, preset)),
        attributes={
            tag: _tag_part(tag, runs, for_accuracy, for_eao, results.benchmark, preset)
            for tag in sorted(set().union(*(s.tags for s in sequences)))
        },
        sequences={
            run.name: Part(sequences=1, numbers=_numbers(accuracy_robustness([run], preset, overlaps=[overlaps])))
            for run, overlaps in zip(runs, for_accuracy, strict=True)
        },
        notes=(note,) if note else (),
    )


def score_unsupervised(results: TrackerResults, sequences: Sequence[BenchmarkSequence], preset: VOTPreset) -> Scores:
    """Mean overlap of runs in one pass, with the overlap of a VOT tool: frames of all sequences count the same.

    Not counted are the first frame and those without truth; a frame without a region has no overlap. The VOT toolkit in
    Python leaves out ten frames at the start (its default burn-in) and those that the tracker says are unknown.
    """
    each = {}
    for sequence in sequences:
        rows = [_overlaps(run.regions, sequence, preset) for run in results.runs[sequence.name]]
        each[sequence.name] = np.concatenate(rows)
    return Scores(
        tracker=results.tracker,
        benchmark=results.benchmark,
        protocol=results.protocol,
        preset=preset.name,
        main="ao",
        overall=Part(sequences=len(each), numbers={"ao": _mean(np.concatenate(list(each.values())))}),
        attributes={},
        sequences={name: Part(sequences=1, numbers={"ao": _mean(values)}) for name, values in each.items()},
        notes=(NO_EAO,),
    )


def _overlaps(regions: Sequence[Floats], sequence: BenchmarkSequence, preset: VOTPreset) -> Floats:
    """Of the frames that count, 0 for a frame without a region."""
    if len(regions) != len(sequence):
        raise DataError(f"A run of sequence {sequence.name} has {len(regions)} frames, its ground truth {len(sequence)}.")
    overlaps = region_overlaps(
        regions[1:],
        sequence.regions[1:],
        size=sequence.image_size,
        rule=preset.rule,
        corners=preset.box_corners,
        bounds=preset.accuracy_bounds,
    )
    there = np.array([len(truth) > 1 and not np.isnan(truth).any() for truth in sequence.regions[1:]], bool)
    return np.asarray(np.nan_to_num(overlaps)[there])


def _supervised(results: TrackerResults, sequence: BenchmarkSequence) -> SupervisedSequence:
    width, height = sequence.image_size
    return SupervisedSequence(
        name=sequence.name,
        truth=sequence.regions,
        width=width,
        height=height,
        runs=[run.regions for run in results.runs[sequence.name]],
        tags=sequence.tags,
        practical=sequence.practical,
    )


def _eao(curve: Floats, benchmark: str, preset: VOTPreset) -> tuple[float, str]:
    """EAO, or NaN and why there is none."""
    try:
        return eao(curve, eao_interval(benchmark), preset), ""
    except DataError as error:
        return math.nan, f"No EAO: {error}"


def _tag_part(
    tag: str,
    runs: Sequence[SupervisedSequence],
    for_accuracy: Sequence[Floats],
    for_eao: Sequence[Floats],
    benchmark: str,
    preset: VOTPreset,
) -> Part:
    """Of the frames with a tag; in EAO fragments count by the share of their frames that has it."""
    tagged = [run.tag(tag) > 0 for run in runs]
    overlaps = accuracy_overlaps(runs, preset, overlaps=for_accuracy)[np.concatenate(tagged)]
    frames = sum(int(mask.sum()) for mask in tagged)
    failures = sum(
        float(np.mean([mask[frames_with(one, FAILURE)].sum() for one in runs_of(run, preset)]))
        for run, mask in zip(runs, tagged, strict=True)
    )
    curve = eao_curve(runs, preset, tag=tag, overlaps=for_eao)
    numbers = {
        "eao": _eao(curve, benchmark, preset)[0],
        "accuracy": _mean(overlaps[~np.isnan(overlaps)]),
        "failures": failures,
        "robustness": 100 * failures / frames if frames else math.nan,
    }
    return Part(sequences=sum(bool(mask.any()) for mask in tagged), numbers=numbers, curves=_curves(curve, preset))


def _numbers(scores: AccuracyRobustness) -> dict[str, float]:
    return {
        "accuracy": scores.accuracy,
        "robustness": scores.robustness,
        "failures": scores.failures,
        "reliability": scores.reliability,
    }


def _curves(curve: Floats, preset: VOTPreset) -> dict[str, Curve]:
    return {"EAO": Curve(x=np.arange(len(curve), dtype=np.float64) + preset.first_length, y=curve)}


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else math.nan
