"""What scoring answers: numbers and curves, of a benchmark and of its parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from siamtrack.datasets.benchmark import BenchmarkSequence
from siamtrack.evaluation.trajectory import Floats, MaskResults, TrackerResults
from siamtrack.metrics.presence_sequences import PresenceSummary


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """One line of a plot.

    Attributes:
        x: (T,) thresholds or lengths.
        y: (T,), in [0, 1]; NaN where there is no value.
    """

    x: Floats
    y: Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """The scores of one or more sequences taken together.

    Attributes:
        sequences: how many.
        numbers: by key of `scoring_measures.MEASURES`; NaN where there is no such number.
        curves: "success", "precision" and "normalised precision" (one pass), "EAO" (supervised), "precision", "recall" and "F"
            by threshold of the confidence (long-term), "J" and "F" over the frames of one object (masks).
    """

    sequences: int
    numbers: dict[str, float]
    curves: Mapping[str, Curve] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """The scores of one tracker on one benchmark.

    Attributes:
        tracker: its name.
        benchmark: name.
        protocol: how it was run.
        preset: name of the tool whose numbers these are.
        main: key of the number that trackers are ranked by.
        overall: of all sequences.
        attributes: by attribute, or tag of VOT, over the sequences or frames that have it.
        sequences: by name.
        presence: how well the tracker's score tells that the target is gone; None where it gave none, or nothing is absent.
        notes: what a reader of the numbers has to know.
    """

    tracker: str
    benchmark: str
    protocol: str
    preset: str
    main: str
    overall: Part
    attributes: Mapping[str, Part]
    sequences: Mapping[str, Part]
    presence: PresenceSummary | None = None
    notes: tuple[str, ...] = ()

    def with_presence(self, presence: PresenceSummary | None) -> Scores:
        """The same with what is known about presence."""
        return replace(self, presence=presence)

    @property
    def value(self) -> float:
        """The number that trackers are ranked by."""
        return self.overall.numbers[self.main]


def scores_of_parts(
    results: TrackerResults | MaskResults,
    sequences: Sequence[BenchmarkSequence],
    each: Mapping[str, Part],
    together: Callable[[Sequence[BenchmarkSequence]], Part],
    *,
    preset: str,
    main: str,
    more: Mapping[str, float],
) -> Scores:
    """The scores of a benchmark whose parts are all made in the same way: of everything, and of every attribute.

    Args:
        results: of the tracker.
        sequences: that were scored.
        each: the scores of every sequence by itself, by name.
        together: the scores of some of the sequences.
        preset: name of the tool whose numbers these are.
        main: key of the number that trackers are ranked by.
        more: further numbers of the whole benchmark.
    """
    overall = together(sequences)
    overall.numbers.update(more)
    attributes = sorted(set().union(*(s.attributes for s in sequences)))
    return Scores(
        tracker=results.tracker,
        benchmark=results.benchmark,
        protocol=results.protocol,
        preset=preset,
        main=main,
        overall=overall,
        attributes={name: together([s for s in sequences if name in s.attributes]) for name in attributes},
        sequences=each,
    )
