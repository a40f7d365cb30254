"""What the official tools for one-pass evaluation do with first frames, bad boxes and absent targets: one preset each.

* otb-matlab   tracker_benchmark of the OTB authors, util/calcSeqErrRobust.m, perfPlot.m and plotDrawSave.m
* uav123       the same code, as UAV123's authors ship it: a target out of view (NaN) is a miss in overlap, a hit in precision
* lasot        HengLan/LaSOT_Evaluation_Toolkit, utils/calc_seq_err_robust.m, eval_tracker.m and plot_draw_save.m
* pysot        STVIR/pysot, toolkit/utils/statistics.py and toolkit/evaluation/ope_benchmark.py, for OTB, UAV123 and LaSOT
* pytracking   visionml/pytracking, analysis/extract_results.py, for OTB and LaSOT. It refuses results with NaN or a negative
               size; here such frames are misses. For UAV123 it counts the centre of an absent target as a hit, as `uav123` does
* got10k       got-10k/toolkit, experiments/got10k.py, for GOT-10k itself
* got10k-otb   the same toolkit's experiments for OTB, UAV123 and LaSOT

The tools give to invalid truth an overlap or a centre error of -1. An overlap of -1 is above no threshold, a centre error of
-1 is below each: the same frame is a miss in one curve and a hit in the other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Repair = Literal["none", "all nan", "any nan", "zero size"]
Valid = Literal["all positive", "size positive", "centre positive", "not nan"]


@dataclass(frozen=True, kw_only=True)
class OPEPreset:
    """How one tool scores a sequence and averages over sequences.

    Attributes:
        name: what it is called in `PRESETS`.
        first_frame: whether the first prediction is replaced by the truth, taken as it is, or left out.
        repair: which predictions become a copy of the one before: with four NaN ("all nan"), with any NaN ("any nan"), in both
            cases also those with a width or height of 0 or less; those with a width or height of 0 ("zero size"); or none.
            Never where the truth holds NaN, and never the first.
        valid_overlap: which rows of truth an overlap can be measured in: x, y, w and h above 0 in 1-based coordinates ("all
            positive"; boxes at the left or upper border are refused too), w and h above 0, or no NaN.
        valid_center: which rows of truth a centre error can be measured in; also: x and y of the centre above 0.
        invalid_center: what a frame with invalid truth is in the precision curve.
        invalid_normalised: what a frame with invalid truth is in the normalised precision curve.
        leave_out_invalid: whether frames with invalid truth are left out of all curves instead; else their overlap is a miss.
        absent: whether frames flagged as absent are scored as others ("kept"), are misses ("missed": the tools remove them but
            divide by the number of all frames, which is the same), or are left out.
        needs_absence_flags: whether the data set always comes with them.
        smallest_size: a true width or height below this counts as this in the normalised centre error, pixels.
        normalised: whether the single number is the value at 0.2 or the mean of the curve.
        drop_zero_sequences: whether sequences whose curve is 0 throughout are left out of the mean of that curve.
        clip: whether boxes are cut to the image.
        overlap_thresholds: how many of them, from 0 to 1; 21 or 101.
        pool_frames: whether all frames count the same in a benchmark, or all sequences.
    """

    name: str
    first_frame: Literal["truth", "predicted", "left out"] = "truth"
    repair: Repair = "none"
    valid_overlap: Valid = "all positive"
    valid_center: Valid = "all positive"
    invalid_center: Literal["hit", "miss"] = "hit"
    invalid_normalised: Literal["hit", "miss"] = "hit"
    leave_out_invalid: bool = False
    absent: Literal["kept", "missed", "left out"] = "kept"
    needs_absence_flags: bool = False
    smallest_size: float = 0
    normalised: Literal["at 0.2", "mean"] = "at 0.2"
    drop_zero_sequences: bool = False
    clip: bool = False
    overlap_thresholds: int = 21
    pool_frames: bool = False


_OTB = OPEPreset(name="otb-matlab", repair="all nan", drop_zero_sequences=True)

_ALL = (
    _OTB,
    replace(_OTB, name="uav123"),
    OPEPreset(name="lasot", repair="any nan", absent="missed", needs_absence_flags=True, drop_zero_sequences=True),
    OPEPreset(
        name="pysot", first_frame="predicted", valid_overlap="size positive", valid_center="centre positive", absent="missed"
    ),
    OPEPreset(
        name="pytracking",
        repair="zero size",
        valid_overlap="size positive",
        valid_center="size positive",
        invalid_center="miss",
        absent="missed",
    ),
    OPEPreset(
        name="got10k",
        first_frame="left out",
        valid_overlap="not nan",
        valid_center="not nan",
        leave_out_invalid=True,
        absent="left out",
        needs_absence_flags=True,
        smallest_size=1,
        normalised="mean",
        clip=True,
        overlap_thresholds=101,
        pool_frames=True,
    ),
    OPEPreset(
        name="got10k-otb",
        valid_overlap="not nan",
        valid_center="not nan",
        leave_out_invalid=True,
        smallest_size=1,
        normalised="mean",
    ),
)

PRESETS = {preset.name: preset for preset in _ALL}
"""By name."""
