"""Polygons and rotated boxes: how they overlap, and the upright boxes that stand for them.

A polygon is a (V, 2) array of its corners in order, either way round, in the continuous pixel coordinates of
siamtrack.box. `polygon_overlaps` answers the same question in four ways, because benchmarks count pixels:

* exact    areas of the true shapes; simple polygons, convex or not
* legacy   VOT 2013 to 2015 (trax, lib/region.c with REGION_LEGACY_RASTERIZATION): float32 corners, pixel rows sampled
           from the union's top edge on, the right-hand pixel of a row left out
* trax     VOT 2016 to 2019 (trax, lib/region.c from June 2016 to November 2019; PySOT has the same file): corners rounded
           half away from zero, both ends of a row painted, a row that is one pixel wide left out
* python   the VOT toolkit in Python (vot/region/raster.py): corners rounded half to even, such rows painted too

The counts are made from the spans of each row; no mask is painted. Shapes taller than any picture are measured as "exact".
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siamtrack.box import Box
from siamtrack.errors import BoxError, SettingsError, nearest

Polygon = NDArray[np.float64]
"""(V, 2) array of corners, x and y in pixels."""

OverlapRule = Literal["exact", "legacy", "trax", "python"]
"""How an overlap is measured; see the module."""

_Floats = NDArray[np.float64]
_Spans = list[tuple[NDArray[Any], NDArray[Any]]]  # starts and ends, of pixels (whole numbers) or of shapes
_ROWS_AT_ONCE = 32_768  # keeps the working arrays in the processor's cache
_TALLEST = 131_072  # rows that are counted: no picture has more, and a tracker that diverges says 1e9
_FAR = float(2**40)  # corners beyond are taken to be there: neither float32 nor an area overflows


def box_corners(box: ArrayLike) -> Polygon:
    """The four corners of a box x, y, w, h, from the top left clockwise."""
    x, y, w, h = (float(v) for v in np.asarray(box, np.float64))
    return np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]])


def rotated_box(box: Box, degrees: float) -> Polygon:
    """The corners of a box turned about its centre, clockwise as seen on the screen (as cv2.boxPoints turns it)."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.asarray((box_corners(box) - box.center) @ [[c, s], [-s, c]] + box.center)


def polygon_area(polygon: ArrayLike) -> float:
    """Area of a simple polygon, square pixels (shoelace formula)."""
    x, y = (np.asarray(polygon, np.float64) - np.asarray(polygon, np.float64)[0]).T
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)


def min_max_box(polygon: ArrayLike, *, inclusive: bool = False) -> Box:
    """The smallest upright box around a polygon.

    Args:
        polygon: (V, 2) corners.
        inclusive: the corners are indices of pixels that belong to the target, so that width and height are one more.
    """
    left, top = np.min(np.asarray(polygon, np.float64), 0)
    right, bottom = np.max(np.asarray(polygon, np.float64), 0) + (1 if inclusive else 0)
    return Box.from_corners(float(left), float(top), float(right), float(bottom))


def area_preserving_box(polygon: ArrayLike, *, inclusive: bool = False) -> Box:
    """The upright box with a four-cornered polygon's area, centre and the proportions of its `min_max_box`.

    What trackers are started with on VOT: a min-max box round a slanted polygon is mostly background. Area is taken as
    |p1 p2| * |p2 p3|, right for rotated boxes (get_axis_aligned_bbox of PySOT, pysot/utils/bbox.py).

    Args:
        polygon: (4, 2) corners in order.
        inclusive: add one pixel to width and height, as PySOT does, and half of one to the centre, which leaves x and y
            where PySOT's tracker puts them.

    Raises:
        BoxError: not four corners, or they lie on one upright line.
    """
    points = np.asarray(polygon, np.float64)
    if points.shape != (4, 2):
        raise BoxError(f"A polygon of shape {points.shape} has no area-preserving box; expected four corners, (4, 2).")
    around = min_max_box(points)
    if not around.area > 0:
        raise BoxError(f"The polygon {points.ravel().tolist()} has no width or no height; expected one with an area.")
    area = math.dist(points[0], points[1]) * math.dist(points[1], points[2])
    scale, more = math.sqrt(area / around.area), 1 if inclusive else 0
    cx, cy = points.mean(0) + more / 2
    return Box.from_center(float(cx), float(cy), scale * around.w + more, scale * around.h + more)


def polygon_overlaps(
    first: Sequence[ArrayLike],
    second: Sequence[ArrayLike],
    *,
    rule: OverlapRule = "exact",
    bounds: tuple[float, float] | None = None,
) -> _Floats:
    """Intersection over union of polygons, pair by pair.

    Args:
        first: N polygons of three or more corners; they may differ in their number of corners.
        second: N polygons.
        rule: how it is measured; see the module.
        bounds: right and bottom end of the image; what lies outside 0..right, 0..bottom does not count. For the rules
            that count pixels they are the last column and row, which are inside. None: nothing is cut off.

    Returns:
        (N,), in [0, 1]; NaN where a corner of either polygon is NaN; 0 where no pixel is painted (C divides 0 by 0).

    Raises:
        SettingsError: unknown rule.
        BoxError: not as many polygons on both sides, or an array that is no polygon.
    """
    if rule not in get_args(OverlapRule):
        raise SettingsError(f"Unknown overlap rule '{rule}'. {nearest(rule, get_args(OverlapRule))}")
    if len(first) != len(second):
        raise BoxError(f"Found {len(first)} polygons to compare with {len(second)}; expected as many.")
    (a, a_known), (b, b_known) = _edges(first), _edges(second)
    known, overlaps = a_known & b_known, np.full(len(first), np.nan)
    a, b = a[known], b[known]
    overlaps[known] = _exact(a, b, bounds) if rule == "exact" else _counted(a, b, rule, bounds)
    return overlaps


def painted(polygon: ArrayLike, window: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    """The pixels that the rule "python" paints of a polygon.

    Args:
        polygon: (V, 2) corners, without NaN.
        window: left column, top row, width and height of what is looked at, pixels.

    Returns:
        (height, width), True where a pixel is painted.

    Raises:
        BoxError: an array that is no polygon.
    """
    left, top, width, height = window
    edges = _placed(_edges([polygon])[0].astype(np.float32), np.array([[left, top]]), "python")
    level, row = np.arange(height, dtype=np.float64), np.zeros(height, np.int64)
    columns, pixels = np.arange(width), np.zeros((height, width), bool)
    for start, end in _painted(*_nodes(edges[..., row], level, "python"), np.full(height, width), "python"):
        pixels |= (columns >= start[:, None]) & (columns < end[:, None])
    return pixels


def _edges(polygons: Sequence[ArrayLike]) -> tuple[_Floats, NDArray[np.bool_]]:
    """(N, V, 4) edges x, y of a corner and of the one before it, NaN after a polygon's last; (N,) no corner is NaN."""
    arrays = [np.asarray(polygon, np.float64) for polygon in polygons]
    for array in arrays:
        if array.ndim != 2 or array.shape[1] != 2 or len(array) < 3:
            raise BoxError(f"An array of shape {array.shape} is no polygon; expected (V, 2) with three corners or more.")
    edges = np.full((len(arrays), max(map(len, arrays), default=3), 4), np.nan)
    for row, points in zip(edges, arrays, strict=True):
        row[: len(points), :2] = points
        row[1 : len(points), 2:] = points[:-1]
        row[0, 2:] = points[-1]
    return np.clip(edges, -_FAR, _FAR), np.array([bool(np.isfinite(points).all()) for points in arrays], bool)


def _lengths(a: _Spans, b: _Spans) -> list[NDArray[Any]]:
    """The length that two sets of spans share, and that of each; the spans of one set do not overlap each other."""
    common = sum(np.maximum(np.minimum(a1, b1) - np.maximum(a0, b0), 0) for a0, a1 in a for b0, b1 in b)
    return [np.asarray(common), *(np.asarray(sum(np.maximum(end - start, 0) for start, end in spans)) for spans in (a, b))]


def _ratio(common: NDArray[Any], first: NDArray[Any], second: NDArray[Any]) -> _Floats:
    union = first + second - common
    return np.asarray(np.where(union > 0, common / np.where(union > 0, union, 1), 0))


def _exact(a: _Floats, b: _Floats, bounds: tuple[float, float] | None) -> _Floats:
    """Overlap of the true shapes.

    Between two heights at which no corner lies and no edges cross, the length that a horizontal line shares with both
    shapes is linear in the height, so that its value half way gives the area.
    """
    overlaps = np.empty(len(a))
    for start in range(0, len(a), 512):
        block = slice(start, start + 512)
        heights = _heights(np.concatenate([a[block], b[block]], 1), bounds)
        middle, step = (heights[:, 1:] + heights[:, :-1]) / 2, np.diff(heights)
        spans = [_crossed(edges[block], middle, bounds) for edges in (a, b)]
        overlaps[block] = _ratio(*(np.asarray((length * step).sum(1)) for length in _lengths(*spans)))
    return overlaps


def _heights(edges: _Floats, bounds: tuple[float, float] | None) -> _Floats:
    """(N, S) sorted heights of all corners, all crossings of edges, and all crossings with the image's left and right."""
    x, y = edges[..., 0], edges[..., 1]
    dx, dy = edges[..., 2] - x, edges[..., 3] - y
    i, j = np.triu_indices(edges.shape[1], 1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        along = ((x[:, j] - x[:, i]) * dy[:, j] - (y[:, j] - y[:, i]) * dx[:, j]) / (dx[:, i] * dy[:, j] - dy[:, i] * dx[:, j])
        found = [y, y[:, i] + along * dy[:, i]]  # of the whole lines: a height too many does no harm
        if bounds is not None:
            found += [y + (side - x) / dx * dy for side in (0.0, bounds[0])]
    low, high = np.nanmin(y, 1, keepdims=True), np.nanmax(y, 1, keepdims=True)
    heights = np.concatenate(found, 1)
    heights = np.clip(np.where(np.isfinite(heights), heights, low), low, high)
    return np.sort(heights if bounds is None else np.clip(heights, 0, bounds[1]), 1)


def _crossed(edges: _Floats, heights: _Floats, bounds: tuple[float, float] | None) -> _Spans:
    """The spans that horizontal lines have inside a polygon (even-odd), each start and end (N, S)."""
    x0, y0, x1, y1 = (edges[:, None, :, k] for k in range(4))
    level = heights[..., None]
    crossed = (y0 < level) != (y1 < level)
    with np.errstate(divide="ignore", invalid="ignore"):
        x = x0 + (level - y0) / (y1 - y0) * (x1 - x0)
    x = np.sort(np.where(crossed, x, np.nanmax(edges[..., 0], 1)[:, None, None]), -1)
    x = x if bounds is None else np.clip(x, 0, bounds[0])
    return [(x[..., k], x[..., k + 1]) for k in range(0, x.shape[-1] - 1, 2)]


def _counted(a: _Floats, b: _Floats, rule: OverlapRule, bounds: tuple[float, float] | None) -> _Floats:
    """Overlap in pixels."""
    a, b = (edges.astype(np.float32).astype(np.float64) for edges in (a, b))  # all three store corners as float32
    origin, size, overlaps = _window(a, b, rule, bounds)
    tall = np.isnan(overlaps) & (size[:, 1] > _TALLEST)
    overlaps[tall] = _exact(a[tall], b[tall], bounds)
    a, b = (_placed(edges, origin, rule) for edges in (a, b))
    for frame, level in _blocks(np.where(np.isnan(overlaps), size[:, 1], 0)):
        spans = [_painted(*_nodes(edges[..., frame], level, rule), size[frame, 0], rule) for edges in (a, b)]
        first = np.flatnonzero(np.diff(frame, prepend=-1))
        overlaps[frame[first]] = _ratio(*(np.add.reduceat(length, first) for length in _lengths(*spans)))
    return overlaps


def _window(
    a: _Floats, b: _Floats, rule: OverlapRule, bounds: tuple[float, float] | None
) -> tuple[_Floats, NDArray[np.int64], _Floats]:
    """Where the pixels are counted: (N, 2) origin, (N, 2) columns and rows, (N,) overlap where it is decided, else NaN."""
    low, high = (np.stack([ends(edges[..., :2], 1) for edges in (a, b)]) for ends in (np.nanmin, np.nanmax))
    overlaps = np.full(len(a), np.nan)
    if rule == "python":
        low, high = np.rint(low).min(0), np.rint(high).max(0)
        overlaps[(low >= high).any(1)] = 1  # two empty regions are the same to it
        if bounds is not None:
            low, high = np.maximum(low, 0), np.minimum(high, bounds)
        overlaps[(low >= high).any(1) & np.isnan(overlaps)] = 0
        return low, np.maximum(high - low + 1, 0).astype(np.int64), overlaps
    if rule == "trax":
        low, high = np.floor(low), np.ceil(high)
    if bounds is not None:
        low, high = np.maximum(low, 0), np.minimum(high, bounds)
    overlaps[(high.min(0) <= low.max(0)).any(1)] = 0  # their bounding boxes only touch, or not even that
    origin = low.min(0)
    return origin, np.maximum(np.trunc(high.max(0) - origin) + 1, 0).astype(np.int64), overlaps


def _blocks(heights: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], _Floats]]:
    """The pixel rows of all frames, some thousands at a time: (R,) index of the frame, (R,) row within its window."""
    ends = np.cumsum(heights)
    start = 0
    while start < len(heights):
        before = ends[start] - heights[start]
        stop = max(int(np.searchsorted(ends, before + _ROWS_AT_ONCE)), start + 1)
        if ends[stop - 1] > before:
            frame = np.repeat(np.arange(start, stop), heights[start:stop])
            yield frame, np.arange(len(frame)) - (ends - heights - before)[frame].astype(np.float64)
        start = stop


def _placed(edges: _Floats, origin: _Floats, rule: OverlapRule) -> NDArray[Any]:
    """(N, V, 4) edges as (4, V, N), counted from the (N, 2) origins, with corners rounded as the rule has it."""
    shift = np.tile(origin, 2)[:, None]
    edges = np.rint(edges) - shift if rule == "python" else (edges - shift).astype(np.float32)
    if rule == "trax":
        edges = np.trunc(edges + np.copysign(0.5, edges, dtype=np.float64))
    slanted = (edges[..., 1] != edges[..., 3]).any(0)
    if rule != "python" and slanted.sum() > 1:  # no row meets a level edge: of upright boxes two are enough
        edges = edges[:, slanted]
    return np.ascontiguousarray(edges.transpose(2, 1, 0))


def _nodes(edges: NDArray[Any], level: _Floats, rule: OverlapRule) -> tuple[list[NDArray[np.int64]], NDArray[np.int64]]:
    """Columns at which (R,) rows meet (4, V, R) edges: V of (R,), in order, those not met last; (R,) how many are met."""
    x0, y0, x1, y1 = edges
    y = level.astype(edges.dtype, copy=False)
    low, high = np.minimum(y0, y1), np.maximum(y0, y1)
    met = (low < y) & (y <= high) if rule == "legacy" else (low <= y) & (y <= high) & (low < high)
    with np.errstate(divide="ignore", invalid="ignore"):
        column = x0 + (y - y0) / (y1 - y0) * (x1 - x0)
    if rule == "python":  # a level edge gives the column of its corner
        level_edge = (y0 == y) & (y1 == y)
        column, met = np.where(level_edge, x0, column), met | level_edge
    whole = np.where(met, np.clip(column, -_FAR, _FAR), 2 * _FAR).astype(np.int64)  # truncated towards 0, as C does
    nodes = list(whole)
    for step in range(len(nodes)):  # exchanges of neighbours: numpy sorts many short rows slowly
        for k in range(step % 2, len(nodes) - 1, 2):
            nodes[k : k + 2] = np.minimum(nodes[k], nodes[k + 1]), np.maximum(nodes[k], nodes[k + 1])
    return nodes, met.sum(0, dtype=np.int32)  # quicker than whole words


def _painted(nodes: list[NDArray[np.int64]], count: NDArray[np.int64], width: NDArray[np.int64], rule: OverlapRule) -> _Spans:
    """The spans of columns painted in each row, (R,) first and (R,) one past the last; an empty one ends where it starts."""
    spans = []
    at, reached = np.zeros_like(count), np.zeros(len(count), np.int64)
    for k in range(len(nodes) - 1):
        start, end = nodes[k], nodes[k + 1]
        here = (at == k) & (k < count - 1)
        if rule == "legacy":
            skipped = np.zeros_like(here)
            end = np.where(end > width, width - 1, end)
        else:
            # two edges that meet in a corner: go on from the second, which loses a row of one pixel ("python" keeps it)
            skipped = here & (start == end) & ((k < count - 2) if rule == "python" else True)
            end = np.minimum(end, width - 1) + 1
        painted = here & ~skipped
        start = np.maximum(start, reached)  # a column shared by two spans counts once
        end = np.where(painted, np.maximum(end, start), start)
        spans.append((start, end))
        reached = np.where(painted, end, reached)
        at = at + skipped + 2 * painted
    return spans
