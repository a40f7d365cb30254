"""One-pass evaluation as the official tools do it: sequences are scored under a preset, then averaged.

Boxes are 0-based, as everywhere. The tools test and cut boxes in the coordinates of their files, which are 1-based in OTB,
UAV123, LaSOT and GOT-10k alike: 1 is added for these steps. Overlaps and distances do not depend on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siamtrack.box import Boxes, center_error, iou
from siamtrack.errors import DataError
from siamtrack.metrics.ope import (
    CENTER_THRESHOLDS,
    NORMALISED_PRECISION_AT,
    NORMALISED_THRESHOLDS,
    PRECISION_PX,
    normalised_center_error,
    share_above,
    share_within,
)
from siamtrack.metrics.ope_presets import OPEPreset, Repair, Valid

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_FIRST_PIXEL = (1, 1, 0, 0)  # what the tools' files add to a 0-based box


@dataclass(frozen=True, kw_only=True, eq=False)
class OPECurves:
    """What one-pass evaluation answers.

    Attributes:
        preset: what it was scored under.
        frames: how many frames the shares are of.
        success_curve: (T,) share of frames whose overlap is above each of T thresholds from 0 to 1.
        precision_curve: (51,) share of frames whose centre error is at most 0, 1, ..., 50 pixels.
        normalised_precision_curve: (51,) share of frames whose normalised centre error is at most 0, 0.01, ..., 0.5.
        average_overlap: mean overlap, misses counted as 0; GOT-10k's AO.
    """

    preset: OPEPreset
    frames: int
    success_curve: Floats
    precision_curve: Floats
    normalised_precision_curve: Floats
    average_overlap: float

    @property
    def auc(self) -> float:
        """Mean of the success curve; 20/21 at most with 21 thresholds."""
        return float(self.success_curve.mean())

    @property
    def success_rate_50(self) -> float:
        """Share of frames with an overlap above 0.5: SR_0.5, OTB's OP."""
        return float(self.success_curve[(len(self.success_curve) - 1) // 2])

    @property
    def success_rate_75(self) -> float:
        """Share of frames with an overlap above 0.75: SR_0.75."""
        return float(self.success_curve[(len(self.success_curve) - 1) * 3 // 4])

    @property
    def precision(self) -> float:
        """Share of frames with a centre error of at most 20 pixels."""
        return float(self.precision_curve[PRECISION_PX])

    @property
    def normalised_precision(self) -> float:
        """The one number of the normalised precision curve that the preset's tool reports."""
        if self.preset.normalised == "mean":
            return float(self.normalised_precision_curve.mean())
        return float(self.normalised_precision_curve[np.searchsorted(NORMALISED_THRESHOLDS, NORMALISED_PRECISION_AT)])


@dataclass(frozen=True, kw_only=True, eq=False)
class SequenceScores(OPECurves):
    """The curves of one sequence, or of several runs of it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class BenchmarkScores(OPECurves):
    """The mean curves of several sequences; NaN where the preset drops each of them.

    Attributes:
        sequences: how many there are, dropped ones included.
    """

    sequences: int


def score_sequence(
    predicted: ArrayLike,
    truth: ArrayLike,
    preset: OPEPreset,
    *,
    absent: ArrayLike | None = None,
    image_size: tuple[int, int] | None = None,
    cut_longer: bool = False,
) -> SequenceScores:
    """How well one sequence was tracked, as the preset's tool counts.

    Args:
        predicted: (N, 4) boxes, the one of the first frame included.
        truth: (N, 4) boxes. Presets differ in what NaN counts as.
        preset: what to do where tools differ.
        absent: (N,) booleans, True where the data set says that the target is not there; None where it says nothing.
        image_size: width and height, pixels; needed by presets that cut boxes to the image.
        cut_longer: whether predictions after the last frame of truth are ignored, as the LaSOT toolkit does (monkey-17 was
            cut after results had been published).

    Raises:
        DataError: wrong shapes or lengths, no frame to score, or no absence flags or size where the preset needs them.
    """
    boxes, targets = _rows(predicted, "predicted boxes"), _rows(truth, "truth")
    if cut_longer:
        boxes = boxes[: len(targets)]
    gone = _absence(absent, len(targets), preset)
    _check_lengths(len(boxes), len(targets), len(gone))
    boxes, targets = _prepared(boxes + _FIRST_PIXEL, targets + _FIRST_PIXEL, preset, image_size)

    overlaps, errors, normalised, counted = _measured(boxes, targets, preset)
    if preset.absent == "missed":
        overlaps[gone], errors[gone], normalised[gone] = -1, np.inf, np.inf
    elif preset.absent == "left out":
        counted &= ~gone
    if preset.first_frame == "left out":
        counted[:1] = False
    if not counted.any():
        raise DataError(f"None of the {len(targets)} frames can be scored under '{preset.name}': no target is in any of them.")
    return SequenceScores(
        preset=preset,
        frames=int(counted.sum()),
        success_curve=share_above(overlaps[counted], np.linspace(0, 1, preset.overlap_thresholds)),
        precision_curve=share_within(errors[counted], CENTER_THRESHOLDS),
        normalised_precision_curve=share_within(normalised[counted], NORMALISED_THRESHOLDS),
        average_overlap=float(np.nan_to_num(overlaps[counted]).clip(min=0).mean()),
    )


def join_runs(runs: Sequence[SequenceScores]) -> SequenceScores:
    """Several runs over one sequence as one, each frame counted the same: OTB's TRE (20 starts) and SRE (12 shifted boxes).

    The sum of successes over the sum of lengths, so that TRE's late, short starts weigh less. SRE runs are scored against the
    truth itself, not the shifted one.

    Raises:
        DataError: no runs, or different presets.
    """
    preset = _one_preset(runs)
    frames = np.array([run.frames for run in runs], np.float64)
    return SequenceScores(preset=preset, frames=int(frames.sum()), **_means(runs, frames, drop_zero=False))


def score_benchmark(sequences: Sequence[SequenceScores]) -> BenchmarkScores:
    """The mean over sequences, as the preset's tool takes it.

    Raises:
        DataError: no sequences, or different presets.
    """
    preset = _one_preset(sequences)
    frames = np.array([scores.frames for scores in sequences], np.float64)
    weights = frames if preset.pool_frames else np.ones(len(sequences))
    means = _means(sequences, weights, drop_zero=preset.drop_zero_sequences)
    return BenchmarkScores(preset=preset, frames=int(frames.sum()), sequences=len(sequences), **means)


def _one_preset(scores: Sequence[OPECurves]) -> OPEPreset:
    names = sorted({one.preset.name for one in scores})
    if len(names) != 1:
        raise DataError(f"Scores under {', '.join(names) or 'no preset at all'}; expected at least one, all under one preset.")
    return scores[0].preset


def _means(scores: Sequence[OPECurves], weights: Floats, *, drop_zero: bool) -> dict[str, Any]:
    """The weighted means, by the names of the fields."""
    means: dict[str, Any] = {
        name: _mean_curve(np.array([getattr(one, name) for one in scores]), weights, drop_zero=drop_zero)
        for name in ("success_curve", "precision_curve", "normalised_precision_curve")
    }
    return means | {"average_overlap": float(np.average([one.average_overlap for one in scores], weights=weights))}


def _mean_curve(curves: Floats, weights: Floats, *, drop_zero: bool) -> Floats:
    """(T,), the weighted mean of the (K, T) curves; each kind of curve drops its own rows, as the toolkits' plots do."""
    kept = curves.any(1) if drop_zero else np.ones(len(curves), np.bool_)
    if not kept.any():
        return np.full(curves.shape[1], np.nan)
    return np.asarray(np.average(curves[kept], axis=0, weights=weights[kept]))


def _rows(boxes: ArrayLike, what: str) -> Boxes:
    rows = np.asarray(boxes, np.float64)
    if rows.ndim != 2 or rows.shape[1] != 4:
        raise DataError(f"The {what} have the shape {rows.shape}; expected (frames, 4), x, y, w and h of each frame.")
    return rows


def _absence(absent: ArrayLike | None, frames: int, preset: OPEPreset) -> Flags:
    if absent is not None:
        return np.asarray(absent, np.bool_)
    if preset.needs_absence_flags:
        raise DataError(f"The preset '{preset.name}' needs to know in which frames the target is absent; give the flags.")
    return np.zeros(frames, np.bool_)


def _check_lengths(predicted: int, truth: int, absent: int) -> None:
    if predicted != truth:
        raise DataError(
            f"{predicted} predicted boxes for {truth} frames of truth; expected one for each frame, the first included."
            + (" Predictions after the last frame can be cut, if that is meant." if predicted > truth else "")
        )
    if absent != truth:
        raise DataError(f"{absent} absence flags for {truth} frames of truth; expected one for each frame.")


def _prepared(boxes: Boxes, targets: Boxes, preset: OPEPreset, image_size: tuple[int, int] | None) -> tuple[Boxes, Boxes]:
    """Both with everything done that is done before boxes are compared."""
    boxes = _repaired(boxes, targets, preset.repair)
    if preset.first_frame == "truth":
        boxes[:1] = targets[:1]  # after the repair: a bad second box becomes the first one of the tracker
    if not preset.clip:
        return boxes, targets
    if image_size is None:
        raise DataError(f"The preset '{preset.name}' cuts boxes to the image; give its width and height.")
    return _clipped(boxes, image_size), _clipped(targets, image_size)


def _measured(boxes: Boxes, targets: Boxes, preset: OPEPreset) -> tuple[Floats, Floats, Floats, Flags]:
    """(N,) each: overlap, centre error, normalised centre error, and whether the frame counts."""
    with np.errstate(invalid="ignore"):  # trackers that diverge write inf
        overlaps, errors = iou(boxes, targets), center_error(boxes, targets)
        normalised = normalised_center_error(boxes, targets, preset.smallest_size)
    valid_overlap, valid_center = _valid(targets, preset.valid_overlap), _valid(targets, preset.valid_center)
    overlaps[~valid_overlap] = -1
    errors[~valid_center] = -1 if preset.invalid_center == "hit" else np.inf
    normalised[~valid_center] = -1 if preset.invalid_normalised == "hit" else np.inf
    counted = valid_overlap if preset.leave_out_invalid else np.ones(len(targets), np.bool_)
    return overlaps, errors, normalised, counted


def _repaired(boxes: Boxes, targets: Boxes, repair: Repair) -> Boxes:
    if repair == "none":
        return boxes
    missing, sizes = np.isnan(boxes), boxes[:, 2:]
    if repair == "zero size":
        bad = (sizes == 0).any(1)
    else:
        # in MATLAB, `if` on a row is true where all of it is: the OTB code leaves a box with one NaN as it is
        bad = (missing.all(1) if repair == "all nan" else missing.any(1)) | (sizes <= 0).any(1)
    bad &= ~np.isnan(targets).any(1)
    source = np.maximum.accumulate(np.where(bad, 0, np.arange(len(boxes))))  # the last frame that was not bad, or the first
    return np.asarray(boxes[source])


def _clipped(boxes: Boxes, image_size: tuple[int, int]) -> Boxes:
    """As got10k's rect_iou does: a box that begins before the image is moved inside with its whole size, not cut."""
    size = np.array(image_size, np.float64)
    corners = np.clip(boxes[:, :2], 0, size)
    return np.hstack([corners, np.clip(boxes[:, 2:], 0, size - corners)])


def _valid(targets: Boxes, rule: Valid) -> Flags:
    if rule == "not nan":
        return np.asarray(~np.isnan(targets).any(1))
    if rule == "all positive":
        return np.asarray((targets > 0).all(1))
    if rule == "size positive":
        return np.asarray((targets[:, 2:] > 0).all(1))
    return np.asarray((targets[:, :2] + (targets[:, 2:] - 1) / 2 > 0).all(1))
