"""A tracker that speaks TraX, so that the official VOT toolkit runs it like any other (github.com/votchallenge/trax).

TraX is lines on the standard streams, which the package `trax` reads and writes (`vot-trax` on PyPI). The client sends the
files of frames and the regions of targets that join; the server answers each frame with a region a target.

* The client converts a region only where the server does not take its kind. Rectangles, polygons and masks are all taken here,
  so that it is our rule and not the client's, the box around it, that makes a polygon a box.
* A client does not say which kinds of answers it takes, but it takes those that it sends. A tracker that gives masks answers
  with the turned box where a target joined as a polygon, and with the mask where it joined as a mask. All other answers are
  rectangles.
* Regions have 4 decimals in TraX, and the package holds them as 32-bit floats: rounding gives back the number that was sent
  where it is below 1024, and one that is off by less than 0.0001 above.
* Version 4 has several targets in one session. They may join later, and are answered in the order in which they joined.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from siamtrack.box import Box
from siamtrack.datasets.clips import read_picture
from siamtrack.errors import DataError, MissingExtraError, SiamtrackError
from siamtrack.evaluation.protocols_following import box_of_region
from siamtrack.image import Image
from siamtrack.metrics.vot import Region
from siamtrack.tracking import Prediction, Tracker

_DECIMALS = 4


class Targets:
    """The targets of a session, in the order in which they joined.

    Args:
        tracker: as `open_model` gives it.
        start_box: how the box that a target is taken from is made of a polygon; see `ProtocolSettings`.
    """

    def __init__(self, tracker: Tracker[Any], start_box: str) -> None:
        self._tracker, self._start_box = tracker, start_box
        self._states: list[Any] = []

    def begin(self) -> None:
        """Forgets all targets."""
        self._states = []

    def step(self, image: Image, joining: Sequence[Region]) -> list[Prediction]:
        """Where all targets are in a frame; those that join in it are where they are said to be, with a score of NaN.

        Raises:
            DataError: a region that joins has NaN in it.
            BoxError: one that no target can be taken from.
        """
        states, predictions = self._tracker.step(image, self._states) if self._states else ([], [])
        boxes = [self._box(region) for region in joining]
        self._states = states + (self._tracker.start(image, boxes) if boxes else [])
        return predictions + [Prediction(box=box, score=float("nan")) for box in boxes]

    def _box(self, region: Region) -> Box:
        if np.isnan(region).any():
            raise DataError(f"A target joins with the region {region.tolist()}; expected numbers, x,y,w,h or the corners.")
        return box_of_region(region, self._start_box)


def serve(tracker: Tracker[Any], *, name: str, start_box: str = "area") -> None:
    """Answers the client at the other end of the standard streams (or of TRAX_SOCKET) until it says that it is done.

    Args:
        tracker: as `open_model` gives it.
        name: that the client is told.
        start_box: see `ProtocolSettings`.

    Raises:
        MissingExtraError: `trax` is not installed.
        InputError: a region or a frame cannot be used; the client is told the same.
        SiamtrackError: the client went away, or what it says is not TraX.
    """
    trax = _package()
    formats = [trax.Region.RECTANGLE, trax.Region.POLYGON, trax.Region.MASK]
    server = trax.Server(formats, [trax.Image.PATH], tracker_name=name, multiobject=True)
    targets = Targets(tracker, start_box)
    kinds: list[str] = []  # of the region that each target joined with
    try:
        while (request := server.wait()).type != trax.TraxStatus.QUIT:
            if request.type == trax.TraxStatus.INITIALIZE:
                targets.begin()
                kinds = []
            image = read_picture(Path(request.image["color"].path()))
            joining = [region for region, _ in request.objects or ()]
            kinds += [region.type for region in joining]
            predictions = targets.step(image, [region_of(region) for region in joining])
            answers = zip(predictions, kinds, strict=True)
            server.status([(region_for(trax, prediction, kind), _properties(prediction)) for prediction, kind in answers])
    except SiamtrackError as error:
        server.quit(reason=str(error))
        raise
    except trax.TraxException as error:
        server.quit(reason=str(error))
        raise SiamtrackError(f"The TraX session broke off; did the client go away? {error}") from None


def region_of(region: Any) -> Region:
    """A region of the package `trax` as siamtrack has it: x,y,w,h or the corners of a polygon, pixels, 0-based.

    Of a mask it is the box around its pixels, where pixel i covers [i, i + 1).

    Raises:
        DataError: a mask without a pixel, or a region of another kind.
    """
    if region.type == "rectangle":
        return np.array([round(v, _DECIMALS) for v in region.bounds()])
    if region.type == "polygon":
        return np.array([round(v, _DECIMALS) for i in range(region.size()) for v in region.get(i)])
    if region.type == "mask":
        rows, columns = np.nonzero(region.array(normalize=True))  # its offset() ends the process (4.0.2)
        if not len(rows):
            raise DataError("The mask of a target that joins is empty; expected one with a pixel or more.")
        return np.array([columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1], np.float64)
    raise DataError(f"A target joins with a region of the kind '{region.type}'; expected a rectangle, a polygon or a mask.")


def region_for(trax: Any, prediction: Prediction, kind: str) -> Any:
    """The answer of a target that joined with a region of some kind, as a region of the package `trax`.

    Args:
        trax: the package.
        prediction: of the target.
        kind: "rectangle", "polygon" or "mask"; see the module. A mask without a pixel is told by the box.
    """
    if kind == "mask" and prediction.mask is not None and prediction.mask.any():
        return trax.Mask.create(np.ascontiguousarray(prediction.mask, np.uint8))
    if kind == "polygon" and prediction.polygon is not None and np.isfinite(prediction.polygon).all():
        return trax.Polygon.create([(float(x), float(y)) for x, y in prediction.polygon])
    return trax.Rectangle.create(*prediction.box)


def _properties(prediction: Prediction) -> dict[str, str]:
    """The toolkit keeps the confidence in SEQUENCE_001_confidence.value; the long-term challenges are scored by it."""
    known = prediction.score == prediction.score
    return {"confidence": f"{prediction.score:.6g}"} if known else {}


def _package() -> Any:
    try:
        return importlib.import_module("trax")
    except ImportError:
        raise MissingExtraError("vot-trax", extra="vot", purpose="Answering the VOT toolkit") from None
