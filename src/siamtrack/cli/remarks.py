"""What is taken as it was given, and told, because it is seldom meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from siamtrack.box import Box
    from siamtrack.tracking import Tracker

_LEAST_INSIDE = 0.1
_SEARCH_SIZE = "long_term.search_size"


def seldom_meant_boxes(boxes: Sequence[Box], size: tuple[int, int] | None) -> Iterator[str]:
    """Of boxes that lie nearly all outside a frame of that size, pixels."""
    for box in boxes:
        share = box.clipped(*size).area / box.area if size else 1.0
        if size and share < _LEAST_INSIDE:
            yield (
                f"the box {box.x:g},{box.y:g},{box.w:g},{box.h:g} lies {_percent(1 - share)} outside the frame of "
                f"{size[0]}x{size[1]} pixels; the target is mostly what was filled in there."
            )


def _percent(share: float) -> str:
    return f"{share:.0%}" if share < 0.995 else "all but wholly"


def idle_settings(overrides: Sequence[str], tracker: Tracker[Any]) -> Iterator[str]:
    """Of settings of the search for lost targets where there is no such search."""
    long_term = getattr(getattr(tracker, "settings", None), "long_term", None)
    if long_term is None or long_term.search_size:
        return
    names = [text.partition("=")[0].strip() for text in overrides]
    for name in names:
        if name.startswith("long_term.") and name != _SEARCH_SIZE:
            yield f"{name} does nothing while {_SEARCH_SIZE} is 0, and no target is ever lost; give --set {_SEARCH_SIZE}=831."
