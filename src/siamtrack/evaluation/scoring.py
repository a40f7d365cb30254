"""From a tracker's results to its scores: of the benchmark, of each attribute and of each sequence, under a named preset.

A preset names the tool whose numbers are to come out (`siamtrack.metrics.presets`). Which family of measures applies follows
from how the tracker was run: one pass (ope, tre, sre, got10k), with restarts (supervised, realtime), from several starts
(multistart), one pass on VOT (unsupervised), with a confidence and no restart (long-term), or with masks as answers (masks).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from siamtrack.datasets.benchmark import BenchmarkSequence
from siamtrack.datasets.benchmark_folders import some
from siamtrack.errors import DataError, SettingsError, nearest
from siamtrack.evaluation.protocols_multistart import MULTISTART
from siamtrack.evaluation.scoring_long_term import score_long_term
from siamtrack.evaluation.scoring_masks import score_masks
from siamtrack.evaluation.scoring_multistart import PRESET, score_multistart
from siamtrack.evaluation.scoring_ope import score_ope
from siamtrack.evaluation.scoring_parts import Scores
from siamtrack.evaluation.scoring_presence import presence_of
from siamtrack.evaluation.scoring_vot import score_supervised, score_unsupervised
from siamtrack.evaluation.trajectory import MaskResults, TrackerResults, Trajectory
from siamtrack.metrics import long_term, mask_presets, ope_presets, vot_presets
from siamtrack.metrics.presets import find_preset

ONE_PASS = ("ope", "tre", "sre", "got10k")
RESTARTED = ("supervised", "realtime")
BOXES_OF_MASKS = "The truth is masks, and boxes around them were compared, which no tool of VOT does."


def score(results: TrackerResults | MaskResults, sequences: Sequence[BenchmarkSequence], preset: str) -> Scores:
    """All numbers of a tracker on a benchmark.

    Args:
        results: one or more runs of each of the sequences, or its masks.
        sequences: to be scored; the rest of the results is left alone.
        preset: name of the tool to follow.

    Raises:
        DataError: a sequence has no results, results do not fit the sequences, the truth is not public, or EAO is asked of
            runs that were not restarted.
        SettingsError: no preset of that name for results of this kind.
    """
    check_complete(results, sequences)
    if isinstance(results, MaskResults):
        return score_masks(results, sequences, find_preset(preset, mask_presets.PRESETS, "mask"))
    if results.protocol in RESTARTED:
        scores = score_supervised(results, sequences, find_preset(preset, vot_presets.PRESETS, "VOT"))
    elif results.protocol == MULTISTART:
        find_preset(preset, {PRESET: vot_presets.PRESETS[PRESET]}, MULTISTART)
        scores = score_multistart(results, sequences)
    elif results.protocol == "unsupervised" and (tool := overlap_tool(results.protocol, preset)):
        scores = score_unsupervised(results, sequences, tool)
    elif results.protocol == "long-term":
        scores = score_long_term(results, sequences, find_preset(preset, long_term.PRESETS, "long-term"))
    elif results.protocol in ONE_PASS or results.protocol == "unsupervised":
        _refuse_restarts(results, preset)
        scores = score_ope(results, sequences, find_preset(preset, ope_presets.PRESETS, "one-pass"))
    else:
        known = [*ONE_PASS, *RESTARTED, MULTISTART, "unsupervised", "long-term"]
        raise SettingsError(f"Runs of the protocol '{results.protocol}' have no scores. {nearest(results.protocol, known)}")
    if results.protocol != MULTISTART and any(sequence.placed_masks for sequence in sequences):
        scores = replace(scores, notes=(*scores.notes, BOXES_OF_MASKS))
    presence = presence_of(results, sequences)
    if presence is not None:
        scores.overall.numbers.update(
            auroc=presence.auroc,
            false_alarm=presence.rates.false_alarm,
            notice=presence.notice.median,
            recover=presence.recover.median,
        )
    scores.overall.numbers["milliseconds"] = _milliseconds(run for s in sequences for run in results.runs[s.name])
    return scores.with_presence(presence)


def overlap_tool(protocol: str, preset: str) -> vot_presets.VOTPreset | None:
    """The VOT tool that measures overlap in scores of a protocol under a preset; None: boxes are compared as they are."""
    return None if protocol in ONE_PASS else vot_presets.PRESETS.get(preset)


def check_complete(results: TrackerResults | MaskResults, sequences: Sequence[BenchmarkSequence]) -> None:
    """Whether every sequence has a run, and a truth to be compared with.

    Raises:
        DataError: it has not; says how many and which.
    """
    if not sequences:
        raise DataError("There are no sequences to score; expected one or more.")
    found = results.folders if isinstance(results, MaskResults) else results.runs
    missing = [sequence.name for sequence in sequences if not found.get(sequence.name)]
    if missing:
        raise DataError(
            f"{results.tracker} has no results of {len(missing)} of {len(sequences)} sequences of {results.benchmark}: "
            f"{some(missing)}. Scores of a part are no scores of the benchmark; name the sequences to score a part."
        )
    if isinstance(results, MaskResults):
        return
    hidden = [s.name for s in sequences if len(s) > 1 and all(np.isnan(region).all() for region in s.regions[1:])]
    if len(hidden) == len(sequences) and results.benchmark == "plain":
        raise DataError("No clip has a box after its first frame: there is nothing to compare with. Annotate more frames.")
    if len(hidden) == len(sequences):
        raise DataError(
            f"The ground truth of {results.benchmark} has first boxes only: there is nothing to compare with. Where the "
            "rest is not public the benchmark's server does the scoring."
        )


def _refuse_restarts(results: TrackerResults, preset: str) -> None:
    if preset in vot_presets.PRESETS and preset not in ope_presets.PRESETS:
        raise DataError(
            f"The results of {results.tracker} are of one pass ('{results.protocol}'): they have no failures and restarts, so "
            f"there is no EAO, accuracy or robustness of them ('{preset}'). Give the results of a supervised run, or score "
            f"these with one of {', '.join(ope_presets.PRESETS)}."
        )


def _milliseconds(runs: Iterable[Trajectory]) -> float:
    """Median over all frames but the first of each run, in which the tracker is started."""
    seconds = np.concatenate([run.seconds[1:] for run in runs])
    seconds = seconds[np.isfinite(seconds) & (seconds > 0)]
    return float(np.median(seconds)) * 1000 if len(seconds) else math.nan
