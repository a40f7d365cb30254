"""Trackers of others, run in the same loop over the same sequences."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from siamtrack.box import Box
from siamtrack.datasets.sequences import Sequence
from siamtrack.trackers.anchors import AnchorSettings, anchor_grid, encode
from siamtrack.trackers.rpn import RPNTracker
from siamtrack.trackers.rpn_settings import RPNSettings
from siamtrack.tracking import Maps
from siamtrack.training.nanotrack import CELL_PX, PublishedNanoTrack

ANCHORS = AnchorSettings(stride=CELL_PX, ratios=(1.0,), scales=(4.0,))


class NanoTrackNetwork:
    """NanoTrack v3 as a network for `trackers/rpn.py`; its distances to four sides become offsets of an anchor of 64 px."""

    def __init__(self, folder: Path) -> None:
        self._network = PublishedNanoTrack(folder, inside=False)

    def embed(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `siamtrack.tracking.Network.embed`."""
        return self._network.features("template", _bgr(patches))[0]

    def match(self, templates: NDArray[np.float32], patches: NDArray[np.uint8]) -> Maps:
        """See `siamtrack.tracking.Network.match`."""
        cls, loc = self._network.head(templates, *self._network.features("search", _bgr(patches[:, 0])))
        grid = anchor_grid(ANCHORS, cls.shape[-1])
        left, top, right, bottom = np.moveaxis(loc[:, :, None], 1, 0)  # (N, 1, R, R) each
        boxes = np.stack([grid[0] + (right - left) / 2, grid[1] + (bottom - top) / 2, left + right, top + bottom], 1)
        return cls[:, None], encode(boxes, grid).reshape(len(cls), 1, 4, *cls.shape[2:]).astype(np.float32)


def nanotrack_v3(folder: Path) -> RPNTracker:
    """NanoTrack v3 with its published settings."""
    settings = RPNSettings(anchors=ANCHORS, penalty_k=0.138, window_influence=0.455, lr=0.348)
    return RPNTracker(NanoTrackNetwork(folder), settings)


def opencv(name: str, sequence: Sequence, folder: Path | None) -> Iterator[Box]:
    """The boxes of OpenCV's tracker of that name; Nano reads nanotrackv2_*.onnx from the folder."""
    if name == "Nano":
        if folder is None:
            raise SystemExit("OpenCV's Nano needs --nanotrack FOLDER with nanotrackv2_backbone.onnx and nanotrackv2_head.onnx.")
        files = cv2.TrackerNano_Params()  # type: ignore[attr-defined]
        files.backbone, files.neckhead = (str(folder / f"nanotrackv2_{part}.onnx") for part in ("backbone", "head"))
        tracker = cv2.TrackerNano_create(files)  # type: ignore[attr-defined]
    else:
        tracker = getattr(cv2, f"Tracker{name}_create")()
    for number, frame in enumerate(sequence.frames()):
        image = cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR)
        if number == 0:
            box = sequence.first_box
            tracker.init(image, tuple(round(value) for value in box))
        else:
            found, rectangle = tracker.update(image)
            box = Box(*map(float, rectangle)) if found else box
        yield box


def _bgr(patches: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.ascontiguousarray(patches[..., ::-1].transpose(0, 3, 1, 2), np.float32)
