"""What the settings of every network with anchors must keep to."""

from __future__ import annotations

from typing import Any

from siamtrack.errors import SettingsError
from siamtrack.settings import check_limits

STRIDE_PX = 8
WHOLE_TEMPLATE_PX = 127  # in which the last cell ends with the last pixel


def check_network(settings: Any, *, smallest_template: int) -> None:
    """Whether width, anchors, template size and search size are possible; a search patch is no smaller than the template.

    Args:
        settings: of the network.
        smallest_template: side in pixels of the smallest template that gives a map.

    Raises:
        SettingsError: a number outside its range, or a template that does not end with a cell.
    """
    limits: dict[str, tuple[float, float]] = {
        "width": (0.001, 100),
        "anchors": (1, 1000),
        "template_size": (smallest_template, 4096),
        "search_size": (settings.template_size, 4096),
    }
    check_limits(settings, limits)
    check_whole(settings.template_size)


def check_whole(template_size: int) -> None:
    """Whether the last cell of a template ends with its last pixel, as the tracking procedure takes for granted.

    Raises:
        SettingsError: pixels are left over.
    """
    if over := (template_size - WHOLE_TEMPLATE_PX) % STRIDE_PX:
        raise SettingsError(
            f"The setting template_size is {template_size}, which leaves {over} px over at its border, and boxes would lie "
            f"beside the target; expected {WHOLE_TEMPLATE_PX} px, or a multiple of {STRIDE_PX} px more."
        )
