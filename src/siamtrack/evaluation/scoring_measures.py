"""The numbers that trackers are ranked by: what each is called in tables, and which end of it is good."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One number.

    Attributes:
        key: its name in data and on the command line.
        label: in the heading of a table.
        meaning: one line, with the unit.
        digits: decimals that tables show.
        lower_is_better: whether less is better.
    """

    key: str
    label: str
    meaning: str
    digits: int = 3
    lower_is_better: bool = False


_ALL = (
    Measure(key="auc", label="AUC", meaning="mean of the success curve: area under it"),
    Measure(key="precision", label="P", meaning="share of frames with a centre error of at most 20 pixels"),
    Measure(key="normalised_precision", label="NP", meaning="normalised precision, at 0.2 or as an area, by preset"),
    Measure(key="ao", label="AO", meaning="mean overlap"),
    Measure(key="sr50", label="SR 0.5", meaning="share of frames with an overlap above 0.5"),
    Measure(key="sr75", label="SR 0.75", meaning="share of frames with an overlap above 0.75"),
    Measure(key="mao", label="mAO", meaning="mean overlap, averaged over classes of objects"),
    Measure(key="msr50", label="mSR 0.5", meaning="share of frames with an overlap above 0.5, averaged over classes"),
    Measure(key="msr75", label="mSR 0.75", meaning="share of frames with an overlap above 0.75, averaged over classes"),
    Measure(key="center_error", label="CE px", meaning="mean centre error, pixels", digits=1, lower_is_better=True),
    Measure(key="eao", label="EAO", meaning="expected average overlap over the challenge's interval of lengths"),
    Measure(key="accuracy", label="A", meaning="mean overlap before failures; until VOT2019 without the burn-in"),
    Measure(key="robustness", label="R", meaning="failures per hundred frames", lower_is_better=True),
    Measure(key="followed", label="Rob", meaning="VOT since 2020: share of frames from a start to the failure"),
    Measure(key="failures", label="failures", meaning="failures of one run", digits=1, lower_is_better=True),
    Measure(key="reliability", label="reliability", meaning="chance of S frames without a failure: x axis of the AR plot"),
    Measure(key="f", label="F", meaning="best F over thresholds of the confidence"),
    Measure(key="f_precision", label="Pr", meaning="precision where F is best"),
    Measure(key="f_recall", label="Re", meaning="recall where F is best"),
    Measure(key="g", label="G", meaning="masks: mean of J and F over objects of seen and of unseen categories, all four alike"),
    Measure(key="j_and_f", label="J&F", meaning="masks: mean of J mean and F mean"),
    Measure(key="region", label="J mean", meaning="masks: intersection over union, mean over frames, then objects"),
    Measure(key="region_recall", label="J recall", meaning="masks: share of frames with a J above 0.5"),
    Measure(key="region_decay", label="J decay", meaning="masks: J of the first quarter less the last", lower_is_better=True),
    Measure(key="boundary", label="F mean", meaning="masks: how well boundaries match, mean over frames, then objects"),
    Measure(key="boundary_recall", label="F recall", meaning="masks: share of frames with an F above 0.5"),
    Measure(key="boundary_decay", label="F decay", meaning="masks: F of the first quarter less the last", lower_is_better=True),
    Measure(key="region_seen", label="J seen", meaning="masks: J mean over objects of categories that the training set has"),
    Measure(key="region_unseen", label="J unseen", meaning="masks: J mean over objects of all other categories"),
    Measure(key="boundary_seen", label="F seen", meaning="masks: F mean over objects of categories that the training set has"),
    Measure(key="boundary_unseen", label="F unseen", meaning="masks: F mean over objects of all other categories"),
    Measure(key="auroc", label="AUROC", meaning="presence: chance that a frame with the target has the higher score"),
    Measure(key="false_alarm", label="FA", meaning="presence: share of absent frames called present", lower_is_better=True),
    Measure(
        key="notice", label="notice", meaning="presence: median frames until it is noticed gone", digits=1, lower_is_better=True
    ),
    Measure(
        key="recover",
        label="recover",
        meaning="presence: median frames until it is found again",
        digits=1,
        lower_is_better=True,
    ),
    Measure(key="milliseconds", label="ms", meaning="median time a frame, ms", digits=1, lower_is_better=True),
)

MEASURES = {measure.key: measure for measure in _ALL}
"""By key, in the order of table columns."""
