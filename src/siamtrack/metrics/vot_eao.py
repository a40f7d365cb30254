"""Expected average overlap (EAO) of supervised VOT results (Kristan et al., "The Visual Object Tracking VOT2015 challenge").

Runs are cut at their restarts into fragments. The curve answers which mean overlap to expect on a sequence of L frames: the
mean over all fragments of at least L frames of their mean overlap in frames 2 to L, where a fragment that ended in a
failure goes on with zeros for ever. EAO is the mean of the curve over the lengths that are typical of the challenge.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from siamtrack.errors import DataError
from siamtrack.metrics.vot import (
    FAILURE,
    START,
    Floats,
    Region,
    SupervisedSequence,
    frames_with,
    region_overlaps,
    run_overlaps,
    runs_of,
)
from siamtrack.metrics.vot_presets import VOTPreset

Fragment = tuple[int, int, bool]
"""First frame, one past the last, and whether it ended in a failure."""


def eao(curve: Floats, interval: tuple[int, int], preset: VOTPreset) -> float:
    """Mean of an `eao_curve` over lengths from interval[0] to interval[1], both included (`vot_presets.eao_interval`).

    Lengths without a value are left out, and so are those longer than the curve, as in the tools.

    Raises:
        DataError: no length of the interval has a value.
    """
    low, high = (length - preset.first_length for length in interval)
    values = curve[low : high + 1]
    values = values[~np.isnan(values)]
    if not len(values):
        raise DataError(
            f"The EAO curve ends at {len(curve)} frames and has no value in the interval {interval[0]} to {interval[1]}; "
            "expected all sequences of the challenge."
        )
    return float(values.mean())


def eao_curve(
    sequences: Sequence[SupervisedSequence],
    preset: VOTPreset,
    *,
    tag: str = "all",
    overlaps: Sequence[Floats] | None = None,
) -> Floats:
    """Expected average overlap by sequence length.

    Args:
        sequences: all sequences of the challenge.
        preset: the tool to follow.
        tag: fragments are weighted by the share of their frames with this tag (vot-python itself knows only "all").
        overlaps: `supervised_overlaps` of the sequences, where they have been measured already: it is what takes the time.

    Returns:
        (L,), element i is for length i + preset.first_length; NaN where all fragments have weight 0.

    Raises:
        DataError: the results are not those of supervised runs (see `check_supervised`), or there are none.
    """
    return _curve(sequences, supervised_overlaps(sequences, preset) if overlaps is None else overlaps, preset, tag)


def supervised_overlaps(sequences: Sequence[SupervisedSequence], preset: VOTPreset) -> list[Floats]:
    """(R, N) overlaps of the runs of each sequence, as EAO takes them.

    Raises:
        DataError: the results are not those of supervised runs (see `check_supervised`).
    """
    values = []
    for sequence in sequences:
        overlaps = run_overlaps(sequence, preset, preset.eao_bounds)
        for number, (run, row) in enumerate(zip(runs_of(sequence, preset), overlaps, strict=True), 1):
            check_supervised(sequence, run, row, preset, f"Run {number} of sequence {sequence.name}")
        values.append(overlaps)
    return values


def practical_difference_curve(sequences: Sequence[SupervisedSequence], preset: VOTPreset, *, tag: str = "all") -> Floats:
    """The difference of two EAO curves that means nothing in practice, by length, shape as of `eao_curve`.

    The frames' practical differences are averaged as the overlaps are; 0 on sequences that have none
    (estimate_expected_overlap.m of the MATLAB toolkit).
    """
    values = []
    for sequence in sequences:
        practical = np.zeros(len(sequence.truth)) if sequence.practical is None else np.asarray(sequence.practical)
        values.append(np.tile(practical, (len(runs_of(sequence, preset)), 1)))
    return _curve(sequences, values, preset, tag, start=0)


def check_supervised(
    sequence: SupervisedSequence, run: Sequence[Region], overlaps: Floats, preset: VOTPreset, where: str
) -> None:
    """Whether EAO is defined for a run: the tracker was stopped wherever it lost the target, and started again.

    Args:
        sequence: the sequence.
        run: one of its runs.
        overlaps: (N,) its overlaps; only frames with 0 are looked at.
        preset: the tool to follow.
        where: what to call the run in the message.

    Raises:
        DataError: a frame has a region although nothing of the target is in it, neither by the preset's measure nor by the
            exact one nor by PySOT's, so that no rounding explains it; or restarts do not follow failures at the distance
            of the preset.
    """
    truth = sequence.truth
    lost = [
        i
        for i in np.flatnonzero(~(overlaps > 0)).tolist()
        if len(run[i]) > 1 and len(truth[i]) > 1 and not np.isnan(truth[i]).any()
    ]
    # the harness that ran the tracker may have counted pixels in another way, and painted more of them
    size, pairs = (sequence.width, sequence.height), ([run[i] for i in lost], [truth[i] for i in lost])
    exact, counted = (region_overlaps(*pairs, size=size, rule=rule) for rule in ("exact", "trax"))
    for i, overlap in zip(lost, np.fmax(exact, counted), strict=True):
        if not overlap > 0:
            raise DataError(
                f"{where} has a region without overlap in frame {i + 1} and no failure (code 2) there: the tracker was not "
                "run supervised. EAO needs runs that restart the tracker after each failure; score one-pass results with "
                "the one-pass measures."
            )
    failures = frames_with(run, FAILURE)
    expected = [0] + [f + preset.restart_after for f in failures if f + preset.restart_after < len(run)]
    starts = frames_with(run, START)
    if starts != expected:
        raise DataError(
            f"{where} starts the tracker in frames {_frames(starts)}; after its failures expected were {_frames(expected)}: "
            f"restarts come {preset.restart_after} frames after a failure."
        )


def _frames(indices: list[int]) -> str:
    """Frame numbers from 1, at most eight."""
    return ", ".join(str(i + 1) for i in indices[:8]) + (", ..." if len(indices) > 8 else "")


def fragments(run: Sequence[Region], preset: VOTPreset) -> Iterator[Fragment]:
    """The parts of a run between starts; the end may lie one past the run's (`fragment_at_end`)."""
    frames, failures = len(run), frames_with(run, FAILURE)
    if preset.fragment_end == "failure":
        starts = frames_with(run, START)
        yield from ((start, failure, True) for start, failure in zip(starts, failures, strict=False))
        if len(starts) > len(failures):
            yield starts[-1], frames, False
        return
    restarts = [failure + preset.restart_after for failure in failures]
    starts = [0] + [restart for restart in restarts if restart < frames + preset.fragment_at_end]
    yield from ((start, following + 1, True) for start, following in itertools.pairwise(starts))
    # a failure too close to the end for a restart leaves its fragment as one that did not fail
    if starts[-1] < frames:
        yield starts[-1], frames, False


def _curve(
    sequences: Sequence[SupervisedSequence], values: Sequence[Floats], preset: VOTPreset, tag: str, start: float | None = None
) -> Floats:
    """The curve of any per-frame values, (R, N) for each sequence."""
    if not sequences:
        raise DataError("There are no sequences to score; expected one or more.")
    rows, weights = [], []  # (values, failed), weight
    for sequence, runs in zip(sequences, values, strict=True):
        used = runs_of(sequence, preset)
        for run, row in zip(used, np.nan_to_num(runs), strict=True):
            for begin, end, failed in fragments(run, preset):
                rows.append((row[begin:end], failed))
                share = sequence.tag(tag)[begin:end].sum() / (end - begin)
                weights.append(share / (len(used) if preset.run_weight == "share" else 1))
    length = max(len(row) for row, _ in rows) if preset.fragment_end == "failure" else max(len(s.truth) for s in sequences)
    table, alive = np.zeros((len(rows), length)), np.zeros((len(rows), length), bool)
    for i, (row, failed) in enumerate(rows):
        table[i, : len(row)] = row
        alive[i, : length if failed else len(row)] = True
    means = np.cumsum(table[:, 1:], 1) / np.arange(1, length)
    weight = alive[:, 1:] * np.asarray(weights)[:, None]
    total = weight.sum(0)
    curve = np.where(total > 0, (means * weight).sum(0) / np.where(total > 0, total, 1), np.nan)
    return np.concatenate([[preset.curve_start if start is None else start], curve])
