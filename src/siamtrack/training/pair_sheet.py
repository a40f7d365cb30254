"""Training pairs as a picture to look at: template, search patch with the target's box, and the labels of the score map."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch

from siamtrack.box import Box
from siamtrack.draw import Colour, draw_boxes
from siamtrack.image import Image
from siamtrack.layers.alexnet import TOTAL_STRIDE_PX
from siamtrack.models.siamfc import labels
from siamtrack.pair import SEEN, Pair
from siamtrack.sheets import contact_sheet, with_legend

_RED: Colour = (230, 40, 50)
_BLUE: Colour = (40, 80, 220)
_WHITE: Colour = (255, 255, 255)
_GREEN: Colour = (60, 230, 130)
_GAP = 6  # px between template and search patch


def pair_sheet(pairs: Sequence[tuple[str, Pair]], *, columns: int | None = None) -> Image:
    """Captioned pairs in a grid under a legend, each search patch with the target's box and a small cross at its centre.

    Over the search patch lie the cells of SiamFC's score map, each where a template would sit in the patch: red where the
    label is the target, blue where it is background; a negative pair has background alone. A mask is outlined.

    Args:
        pairs: caption and pair each.
        columns: pairs in a row; None: as many as come near 3:2.
    """
    sheet = contact_sheet([(caption, _tile(pair)) for caption, pair in pairs], columns=columns)
    legend = [("label: target", _RED), ("label: background", _BLUE), ("centre of the target", _WHITE)]
    masked = any(pair.mask is not None for _, pair in pairs)
    return with_legend(sheet, [*legend, *([("mask of the target", _GREEN)] if masked else [])])


def _tile(pair: Pair) -> Image:
    search = pair.search.copy()
    _draw_labels(search, pair)
    if pair.mask is not None:
        outlines, _ = cv2.findContours(np.asarray(pair.mask == SEEN, np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(search, outlines, -1, _GREEN, 1)
    search = draw_boxes(search, [Box(*map(float, pair.box))])
    height = search.shape[0]
    x, y = np.floor(height / 2 + pair.offset).astype(int).tolist()
    cv2.drawMarker(search, (x, y), _WHITE, cv2.MARKER_CROSS, markerSize=7)
    template = np.zeros((height, pair.template.shape[1], 3), np.uint8) + np.uint8(40)
    top = (height - pair.template.shape[0]) // 2
    template[top : top + pair.template.shape[0]] = pair.template
    return np.hstack([template, np.full((height, _GAP, 3), 40, np.uint8), search])


def _draw_labels(search: Image, pair: Pair) -> None:
    """Colours the cells of the score map over the patch, in place."""
    size = search.shape[0]
    cells = (size - pair.template.shape[0]) // TOTAL_STRIDE_PX + 1
    positive = (labels(torch.from_numpy(pair.offset)[None], cells)[0].numpy() > 0) & (not pair.absent)
    side = cells * TOTAL_STRIDE_PX
    start = (size - side) // 2
    colours = np.where(positive[..., None], _RED, _BLUE).astype(np.float32)
    opacity = np.where(positive, 0.45, 0.12)[..., None].astype(np.float32)
    region = search[start : start + side, start : start + side]
    wide, veil = (cv2.resize(v, (side, side), interpolation=cv2.INTER_NEAREST) for v in (colours, opacity))
    region[...] = (region * (1 - veil[..., None]) + wide * veil[..., None]).astype(np.uint8)
