"""The ways in which the VOT tools score the same result files, one field for every place where they differ.

* vot-matlab       github.com/votchallenge/toolkit-legacy with trax of 2016 to 2019: VOT2016 to VOT2019
* vot-matlab-2015  the same with the VOT2013 to VOT2015 stacks' overlap: legacy pixels, not cut off at the image. Its
                   accuracy is not cut off either: the toolkit of that time had no bounds (they came in May 2016)
* pysot            github.com/STVIR/pysot, toolkit/: the numbers that papers on Siamese trackers print
* vot-python       github.com/votchallenge/toolkit, vot/analysis/supervised.py

On the same files they differ by some thousandths of EAO, and vot-python's by more: it takes each fragment as ending at
the failure, and counts lengths from 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from siamtrack.errors import DataError
from siamtrack.polygon import OverlapRule

Bounds = Literal["none", "size", "last pixel"]
"""Where the overlap is cut off: not at all, at (width, height), or at (width - 1, height - 1)."""

BoxCorners = Literal["continuous", "inclusive", "rounded"]
"""How x,y,w,h becomes a polygon: right edge at x + w; at x + w - 1; or that with all four numbers rounded before."""


@dataclass(frozen=True, kw_only=True)
class VOTPreset:
    """How one tool scores supervised VOT results.

    Attributes:
        name: its name.
        rule: how overlap is measured.
        box_corners: how boxes become polygons.
        accuracy_bounds: where the overlap that accuracy uses is cut off.
        eao_bounds: the same for EAO.
        pooling: "frames": accuracy is the mean over all frames (each averaged over its repetitions), failures are added
            up. "sequences": both are means over sequences, weighted by their number of frames.
        repetitions: "all" runs of a sequence count, or all only if there are fifteen and else the first.
        run_weight: "share": the runs of a sequence weigh 1 together in EAO. "one": each run weighs 1.
        fragment_end: "restart": fragments that end in a failure reach to the frame of the restart. "failure": to the one
            before the failure.
        fragment_at_end: a failure whose restart would fall just past the last frame closes its fragment (which is then
            continued with zeros, as any other that fails).
        curve_start: value of the EAO curve for sequences of one frame, for which there is no overlap.
        first_length: length that stands at index 0 of the curve, when the EAO interval is looked up.
        burn_in: frames left out of accuracy from each start on.
        restart_after: frames from a failure to the restart.
        sensitivity: S in reliability = exp(-S * failures per frame).
    """

    name: str
    rule: OverlapRule = "trax"
    box_corners: BoxCorners = "continuous"
    accuracy_bounds: Bounds = "size"
    eao_bounds: Bounds = "last pixel"
    pooling: Literal["frames", "sequences"] = "frames"
    repetitions: Literal["all", "fifteen or first"] = "all"
    run_weight: Literal["share", "one"] = "share"
    fragment_end: Literal["restart", "failure"] = "restart"
    fragment_at_end: bool = False
    curve_start: float = 1
    first_length: int = 1
    burn_in: int = 10
    restart_after: int = 5
    sensitivity: float = 30


PRESETS = {
    preset.name: preset
    for preset in (
        VOTPreset(name="vot-matlab", box_corners="inclusive"),
        VOTPreset(name="vot-matlab-2015", rule="legacy", box_corners="inclusive", accuracy_bounds="none", eao_bounds="none"),
        VOTPreset(name="pysot", repetitions="fifteen or first", run_weight="one", fragment_at_end=True),
        VOTPreset(
            name="vot-python",
            rule="python",
            box_corners="rounded",
            accuracy_bounds="last pixel",
            pooling="sequences",
            run_weight="one",
            fragment_end="failure",
            curve_start=0,
            first_length=0,
        ),
    )
}
"""Preset of each tool, by name."""

EAO_INTERVALS = {
    "vot2015": (108, 371),
    "vot2016": (108, 371),
    "vot2017": (100, 356),
    "vot2018": (100, 356),
    "vot2019": (46, 291),
}
"""Shortest and longest length that the EAO of a challenge is the mean over (stack files of the VOT toolkits)."""


def eao_interval(challenge: str) -> tuple[int, int]:
    """The lengths, both included, that the EAO of a short-term challenge such as "vot2018" is the mean over.

    Raises:
        DataError: no such interval: EAO came in 2015, and the challenges from 2020 on are not run with restarts.
    """
    if challenge not in EAO_INTERVALS:
        raise DataError(
            f"There is no EAO interval for '{challenge}'; known are those of the challenges {min(EAO_INTERVALS)} to "
            f"{max(EAO_INTERVALS)}. Later ones start trackers at anchors ('multistart') and cannot be scored from restarts."
        )
    return EAO_INTERVALS[challenge]
