"""Scores of masks: J and F of DAVIS, and the means over seen and unseen categories of YouTube-VOS.

The masks of a video are read once for all its objects, a frame at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from siamtrack.datasets.benchmark import BenchmarkSequence
from siamtrack.datasets.benchmark_folders import some
from siamtrack.datasets.palette_masks import LabelMasks
from siamtrack.errors import DataError
from siamtrack.evaluation.protocols_masks import by_video
from siamtrack.evaluation.scoring_parts import Curve, Part, Scores, scores_of_parts
from siamtrack.evaluation.trajectory import Floats, MaskResults
from siamtrack.metrics.mask_presets import MaskPreset
from siamtrack.metrics.segmentation_scores import (
    Labels,
    MaskScores,
    davis_object_count,
    mean_scores,
    object_measures,
    object_scores,
    seen_unseen_scores,
)

SEEN, UNSEEN = "seen", "unseen"
"""Attributes: whether the category of an object is in the training set."""


def score_masks(results: MaskResults, sequences: Sequence[BenchmarkSequence], preset: MaskPreset) -> Scores:
    """J and F of a benchmark, its attributes and its objects; every mean is one over objects.

    The parts of objects have J and F over time as the curves "J" and "F", NaN in frames that do not count.

    Raises:
        DataError: a mask is missing, cannot be read or has another size than the true one, or the preset refuses its labels.
    """
    curves: dict[str, tuple[Floats, Floats]] = {}
    for members in by_video(sequences).values():
        curves |= _video(members, results.folders[members[0].name], preset, results.tracker)
    each = {
        name: object_scores(*(values[~np.isnan(values)] for values in (region, boundary)))
        for name, (region, boundary) in curves.items()
    }

    def part(members: Sequence[BenchmarkSequence]) -> Part:
        return Part(sequences=len(members), numbers=_numbers(mean_scores([each[s.name] for s in members])))

    over_categories = _over_categories(sequences, each)
    scores = scores_of_parts(
        results,
        sequences,
        {name: Part(sequences=1, numbers=_numbers(scores), curves=_over_time(*curves[name])) for name, scores in each.items()},
        part,
        preset=preset.name,
        main="g" if over_categories else "j_and_f",
        more=over_categories | {"milliseconds": math.nan},
    )
    unseen = [s.name for s in sequences if np.isnan(s.boxes).all()]
    told = f"In no true mask: {some(unseen)}. Frames in which the result has none either count 1, as in the official tool."
    return replace(scores, notes=(*scores.notes, told)) if unseen else scores


def _video(
    members: Sequence[BenchmarkSequence], folder: Path, preset: MaskPreset, tracker: str
) -> dict[str, tuple[Floats, Floats]]:
    """J and F over the frames of each object, NaN where they do not count."""
    labels = [sequence.masks[1] for sequence in members if sequence.masks]
    single = labels[0] is None
    true_paths = tuple(members[0].masks[0]) if members[0].masks else ()
    counted = slice(1, None if preset.last_frame else -1)
    paths = tuple(folder / path.name for path in true_paths)
    _check_there(paths[counted], tracker)
    truth, result = LabelMasks(true_paths, single=single), LabelMasks(paths, single=single)
    most = davis_object_count(truth.labels(0)) if preset.refuse_labels else None
    pairs = _pairs(result, truth, range(len(paths))[counted], most)
    measures = object_measures(pairs, [1 if label is None else label for label in labels])
    found = {}
    for sequence, *values in zip(members, *measures, strict=True):
        curves = np.full((2, len(paths)), np.nan)
        curves[:, counted] = values
        region, boundary = curves[:, len(paths) - len(sequence) :]
        region[0] = boundary[0] = np.nan  # the frame that the object appears in
        found[sequence.name] = region, boundary
    return found


def _check_there(paths: Sequence[Path], tracker: str) -> None:
    if missing := [path for path in paths if not path.is_file()]:
        raise DataError(
            f"{tracker} has no mask for {len(missing)} of {len(paths)} frames that count in '{missing[0].parent}': "
            f"{some(path.name for path in missing)}. Expected a file for each, named as the true mask."
        )


def _pairs(result: LabelMasks, truth: LabelMasks, frames: Sequence[int], most: int | None) -> Iterator[tuple[Labels, Labels]]:
    """Labels of the result and true ones; `most`: the largest that a result may have."""
    for frame in frames:
        found, true = result.labels(frame), truth.labels(frame)
        if found.shape != true.shape:
            size, expected = (f"{labels.shape[1]}x{labels.shape[0]}" for labels in (found, true))
            raise DataError(f"The mask '{result.paths[frame]}' is {size} pixels, the true one {expected}; expected the same.")
        if most is not None and (highest := int(found.max())) > most:
            raise DataError(
                f"The mask '{result.paths[frame]}' has the label {highest}, and the first frame of the truth has objects 1 to "
                f"{most}: the official tool scores no such result. Write 0 for the background, and the number of the object."
            )
        yield found, true


def _over_categories(sequences: Sequence[BenchmarkSequence], each: Mapping[str, MaskScores]) -> dict[str, float]:
    """YouTube-VOS's means; none where it is not known of every object whether its category is seen, or all are the same."""
    seen = [SEEN in s.attributes for s in sequences]
    if all(seen) or not all({SEEN, UNSEEN} & s.attributes for s in sequences) or not any(seen):
        return {}
    scores = [each[s.name] for s in sequences]
    means = seen_unseen_scores([s.region.mean for s in scores], [s.boundary.mean for s in scores], np.array(seen))
    return {
        "g": means.overall,
        "region_seen": means.region_seen,
        "region_unseen": means.region_unseen,
        "boundary_seen": means.boundary_seen,
        "boundary_unseen": means.boundary_unseen,
    }


def _numbers(scores: MaskScores) -> dict[str, float]:
    return {
        "j_and_f": scores.j_and_f,
        "region": scores.region.mean,
        "region_recall": scores.region.recall,
        "region_decay": scores.region.decay,
        "boundary": scores.boundary.mean,
        "boundary_recall": scores.boundary.recall,
        "boundary_decay": scores.boundary.decay,
    }


def _over_time(region: Floats, boundary: Floats) -> dict[str, Curve]:
    frames = np.arange(len(region), dtype=np.float64)
    return {"J": Curve(x=frames, y=region), "F": Curve(x=frames, y=boundary)}
