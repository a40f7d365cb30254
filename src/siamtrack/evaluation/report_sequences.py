"""What a report shows of single sequences: overlap over time, and the moments at which trackers go wrong."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from siamtrack.box import iou
from siamtrack.datasets.benchmark import BenchmarkSequence
from siamtrack.datasets.palette_masks import read_labels
from siamtrack.evaluation.protocols_multistart import frames_from
from siamtrack.evaluation.scoring_ope import boxes_of
from siamtrack.evaluation.trajectory import Floats, Trajectory
from siamtrack.metrics.vot import FAILURE, Region, code_of, region_overlaps
from siamtrack.metrics.vot_masks import PlacedMask, Shape, is_empty, shape_overlaps
from siamtrack.metrics.vot_presets import VOTPreset

MOMENTS = 5
"""Pictures of a strip."""

_FALL = 0.1  # in mean overlap, that is worth a picture
_POINTS = 400  # of a line; longer sequences are drawn by means of several frames
_SPARK_POINTS, SPARK_WIDTH, SPARK_HEIGHT = 40, 80, 18
_PICTURE = 400  # longer side, pixels
_SMALLEST = 160  # width of what a picture shows, pixels
_ROOM = 0.8  # around the boxes, of their extent
_QUALITY = 78
_OUTLINE = 1.0  # of a mask: so far it may lie from the true border, pixels


def overlaps_over_time(run: Trajectory, sequence: BenchmarkSequence, tool: VOTPreset | None) -> Floats:
    """(N,) overlap in every frame of the sequence.

    NaN where there is none: no truth, before the start of the run, in frames that a restart skips. A failure, and a frame with
    truth and no answer, has 0.

    Args:
        run: of a tracker.
        sequence: that it is of.
        tool: that measures (`scoring.overlap_tool`).
    """
    if sequence.anchors is not None:
        return _anchored(run, sequence)
    truth = sequence.regions[run.first :]
    if tool is None:
        # a true box without a size is no truth either
        there = (sequence.boxes[run.first :, 2:] > 0).all(1)
        with np.errstate(invalid="ignore"):
            values = np.where(there, np.nan_to_num(iou(boxes_of(run, sequence), sequence.boxes[run.first :])), np.nan)
    else:
        values = region_overlaps(
            run.regions,
            truth,
            size=sequence.image_size,
            rule=tool.rule,
            corners=tool.box_corners,
            bounds=tool.accuracy_bounds,
        )
        there = np.array([len(region) > 1 and not np.isnan(region).any() for region in truth])
        lost = [code_of(region) == FAILURE or (len(region) > 1 and bool(np.isnan(region).any())) for region in run.regions]
        values[there & np.array(lost)] = 0
    return np.concatenate([np.full(run.first, np.nan), values])


def _anchored(run: Trajectory, sequence: BenchmarkSequence) -> Floats:
    """The same for a run from an anchor, which may go backwards; its first frame has no answer."""
    frames, shapes = frames_from(sequence, run.first), sequence.shapes
    truth = [shapes[frame] for frame in frames]
    overlaps = shape_overlaps(run.shapes, truth, size=sequence.image_size)
    overlaps[[True, *(is_empty(one) for one in truth[1:])]] = np.nan
    values = np.full(len(sequence), np.nan)
    values[list(frames)] = overlaps
    return values


def spark_path(overlaps: Floats) -> str:
    """The `d` of an SVG path through the means of up to 40 pieces, in a field of SPARK_WIDTH x SPARK_HEIGHT."""
    means, _ = _means(overlaps, _SPARK_POINTS)
    xs = np.linspace(1, SPARK_WIDTH - 1, len(means)) if len(means) > 1 else [SPARK_WIDTH / 2]
    path, drawing = [], False
    for x, value in zip(xs, means, strict=True):
        if math.isnan(value):
            drawing = False
            continue
        path.append(f"{'L' if drawing else 'M'}{x:.0f} {1 + (SPARK_HEIGHT - 2) * (1 - value):.1f}")
        drawing = True
    return "".join(path)


def lines_of(overlaps: Mapping[str, Floats]) -> dict[str, Any]:
    """For the page: how many frames a point stands for, and the points of each tracker in percent, null where there is none."""
    lines, step = {}, 1
    for name, values in overlaps.items():
        means, step = _means(values, _POINTS)
        lines[name] = [None if math.isnan(v) else round(100 * v) for v in means]
    return {"step": step, "lines": list(lines.values())}


def worst_moments(overlaps: Sequence[Floats], count: int = MOMENTS) -> list[int]:
    """Frames worth looking at, in order: where the trackers' mean overlap falls most, and where it is lowest.

    A fall is the mean of a window before a frame less the mean of the window from it on, and is shown by the worst frame of
    the latter. Windows are a twentieth of the sequence and at least 3 frames; moments are at least one window apart.

    Args:
        overlaps: (N,) of each tracker.
        count: at most so many.
    """
    mean = _mean_of_known(np.stack(overlaps))
    if np.isnan(mean).all():
        return []
    window = max(3, len(mean) // 20)
    falls: dict[int, float] = {}
    for i in range(1, len(mean)):
        before, after = mean[max(i - window, 0) : i], mean[i : i + window]
        if not (np.isnan(before).all() or np.isnan(after).all()):
            at = i + int(np.nanargmin(after))
            falls[at] = max(falls.get(at, 0), float(np.nanmean(before) - np.nanmean(after)))
    chosen = [int(np.nanargmin(mean))]
    for at in sorted(falls, key=lambda at: -falls[at]):
        if len(chosen) < count and falls[at] >= _FALL and all(abs(at - other) >= window for other in chosen):
            chosen.append(at)
    return sorted(chosen)


def strip_of(
    sequence: BenchmarkSequence, answers: Sequence[Trajectory | Path], overlaps: Sequence[Floats], count: int = MOMENTS
) -> list[dict[str, Any]]:
    """The worst moments as pictures with the true region and those of all trackers; none where there are no pictures.

    Args:
        sequence: with frames.
        answers: the first run of each tracker, or the folder with its masks.
        overlaps: of each tracker.
        count: at most so many pictures.
    """
    strip = []
    for frame in worst_moments(overlaps, count) if sequence.frames else []:
        regions = [_outlines(answer, sequence, frame) for answer in answers]
        truth = _outline(sequence.shapes[frame])
        if sequence.masks and not isinstance(answers[0], Trajectory):
            truth = _outlines(sequence.masks[0][frame].parent, sequence, frame)
        shown = _picture(sequence.frames[frame], [*truth, *(outline for region in regions for outline in region)])
        if shown is None:
            return []
        moment = {"frame": frame, "picture": shown[0], "view": shown[1], "truth": truth, "regions": regions}
        measured = [float(values[frame]) for values in overlaps]
        strip.append(moment | {"overlaps": [None if math.isnan(value) else round(value, 2) for value in measured]})
    return strip


def _at(run: Trajectory, sequence: BenchmarkSequence, frame: int) -> Shape:
    frames = range(run.first, len(sequence)) if sequence.anchors is None else frames_from(sequence, run.first)
    return run.shapes[frames.index(frame)] if frame in frames else np.array([np.nan])


def _outlines(answer: Trajectory | Path, sequence: BenchmarkSequence, frame: int) -> list[list[float]]:
    """Polygons as x, y of each corner, pixels; none where there is no region."""
    if isinstance(answer, Trajectory):
        return _outline(_at(answer, sequence, frame))
    paths, label = sequence.masks or ((), None)
    labels = read_labels(answer / paths[frame].name)
    return _contours(labels > 0 if label is None else labels == label)


def _contours(mask: NDArray[np.bool_], x: int = 0, y: int = 0) -> list[list[float]]:
    """Of a mask whose top left pixel is x, y."""
    contours, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    simpler = [cv2.approxPolyDP(contour, _OUTLINE, closed=True) for contour in contours]
    # contours run through the middle of pixels at the border
    return [(contour.reshape(-1, 2) + np.array([x + 0.5, y + 0.5])).ravel().tolist() for contour in simpler]


def _outline(shape: Shape) -> list[list[float]]:
    if isinstance(shape, PlacedMask):
        return [] if shape.empty else _contours(np.ascontiguousarray(shape.pixels), shape.x, shape.y)
    return _corners(shape)


def _corners(region: Region) -> list[list[float]]:
    """One polygon; none where there is no region."""
    if len(region) < 4 or not np.isfinite(region).all():
        return []
    if len(region) == 4:
        x, y, w, h = map(float, region)
        region = np.array([x, y, x + w, y, x + w, y + h, x, y + h])
    return [[round(float(value), 1) for value in region]]


def _picture(path: Path, regions: Sequence[Sequence[float]]) -> tuple[str, tuple[int, int, int, int]] | None:
    """The part around the regions as a data URI, and where it lies: x, y, w, h, pixels; None: there is no picture."""
    image = cv2.imread(str(path)) if path.is_file() else None
    if image is None:
        return None
    x, y, w, h = view = _view(regions, image.shape[1], image.shape[0])
    scale = min(1.0, _PICTURE / max(w, h))
    size = max(1, round(w * scale)), max(1, round(h * scale))
    small = cv2.resize(image[y : y + h, x : x + w], size, interpolation=cv2.INTER_AREA)
    data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}", view


def _view(regions: Sequence[Sequence[float]], width: int, height: int) -> tuple[int, int, int, int]:
    """x, y, w, h: four to three, or narrower where the picture is; with room around what is inside the picture."""
    xs = [min(max(x, 0), width) for corners in regions for x in corners[0::2]] or [0, width]
    ys = [min(max(y, 0), height) for corners in regions for y in corners[1::2]] or [0, height]
    room = max(max(xs) - min(xs), max(ys) - min(ys)) * _ROOM
    w = max(max(xs) - min(xs) + room, (max(ys) - min(ys) + room) * 4 / 3, _SMALLEST)
    w, h = min(round(w), width), min(round(w * 3 / 4), height)
    x, y = (max(xs) + min(xs) - w) / 2, (max(ys) + min(ys) - h) / 2
    return round(min(max(x, 0), width - w)), round(min(max(y, 0), height - h)), w, h


def _means(values: Floats, most: int) -> tuple[Floats, int]:
    """Means of pieces of equal length, at most so many, and how long they are."""
    step = max(1, math.ceil(len(values) / most))
    padded = np.full(math.ceil(len(values) / step) * step, np.nan)
    padded[: len(values)] = values
    return _mean_of_known(padded.reshape(-1, step).T), step


def _mean_of_known(rows: Floats) -> Floats:
    """(R, N) -> (N,); NaN where all are."""
    known = ~np.isnan(rows)
    return np.asarray(np.where(known.any(0), np.nan_to_num(rows).sum(0) / np.maximum(known.sum(0), 1), np.nan))
