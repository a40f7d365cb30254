"""What the settings of every network with anchors must keep to."""

from __future__ import annotations

from typing import Any

from siamtrack.settings import check_limits


def check_network(settings: Any, *, smallest_template: int) -> None:
    """Whether width, anchors, template size and search size are possible; a search patch is no smaller than the template.

    Args:
        settings: of the network.
        smallest_template: side in pixels of the smallest template that gives a map.

    Raises:
        SettingsError: a number outside its range.
    """
    limits: dict[str, tuple[float, float]] = {
        "width": (0.001, 100),
        "anchors": (1, 1000),
        "template_size": (smallest_template, 4096),
        "search_size": (settings.template_size, 4096),
    }
    check_limits(settings, limits)
