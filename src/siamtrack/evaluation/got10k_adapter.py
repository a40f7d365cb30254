"""Trackers for the toolkit of GOT-10k (github.com/got-10k/toolkit, package `got10k`), which also runs OTB, UAV123 and others.

    from got10k.experiments import ExperimentGOT10k
    tracker = GOT10kTracker(open_model("siamfc"), name="siamfc")
    ExperimentGOT10k("DATA/GOT-10k", subset="val").run(tracker, visualize=False)

The toolkit hands over pictures of PIL in RGB, and boxes just as the annotation files have them, with which it compares the
answers: so it is the adapter that has to know what a data set calls its first pixel.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siamtrack.errors import MissingExtraError, SettingsError
from siamtrack.tracking import Session, Tracker

Floats = NDArray[np.float64]


class GOT10kTracker:
    """What the toolkit calls a tracker; `init`, `update` and `track` are called by it.

    Args:
        tracker: as `open_model` gives it.
        name: of the folder of results, and in tables.
        first_pixel: what the data set calls the left or topmost pixel: 1 in GOT-10k, OTB, UAV123, LaSOT, TColor-128 and DTB70;
            0 in VOT, TrackingNet and NfS.

    Attributes:
        is_deterministic: true of all trackers of siamtrack: one repetition is enough.

    Raises:
        SettingsError: another first pixel than 0 or 1.
    """

    is_deterministic = True

    def __init__(self, tracker: Tracker[Any], *, name: str, first_pixel: int = 1) -> None:
        if first_pixel not in (0, 1):
            raise SettingsError(f"The first pixel is {first_pixel}; expected 0 or 1.")
        self.name = name
        self._session = Session(tracker)
        self._offset = np.array([first_pixel, first_pixel, 0, 0], np.float64)

    def init(self, image: ArrayLike, box: ArrayLike) -> None:
        """Takes the target from a frame.

        Args:
            image: of PIL, or (H, W, 3) RGB.
            box: (4,) x, y, w, h, counted from the first pixel.
        """
        self._session.init(np.asarray(image), (np.asarray(box, np.float64) - self._offset).tolist())

    def update(self, image: ArrayLike) -> Floats:
        """Where the target is in the next frame: (4,) x, y, w, h, counted from the first pixel."""
        return np.array(self._session.update(np.asarray(image)).box) + self._offset

    def track(self, img_files: Sequence[str], box: ArrayLike, visualize: bool = False) -> tuple[Floats, Floats]:
        """Follows the target through files, in the toolkit's own loop, so that time is measured and shown as for all others.

        Args:
            img_files: of the frames; named as the toolkit names it.
            box: see `init`.
            visualize: show each frame.

        Returns:
            (N, 4) boxes and (N,) seconds.

        Raises:
            MissingExtraError: the toolkit is not installed.
        """
        try:
            base = importlib.import_module("got10k.trackers").Tracker
        except ImportError:
            raise MissingExtraError("got10k", extra="got10k", purpose="The loop of the GOT-10k toolkit") from None
        boxes, seconds = base.track(self, img_files, box, visualize)
        return boxes, seconds
