"""Presets by name: each family of metrics has one for every official tool that it follows, in a table `PRESETS`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from siamtrack.errors import SettingsError, nearest

Preset = TypeVar("Preset")


def find_preset(name: str, presets: Mapping[str, Preset], family: str) -> Preset:
    """The preset of this name.

    Args:
        name: of a tool.
        presets: those of a family, by name.
        family: what the error message calls it: "VOT", "long-term", ...

    Raises:
        SettingsError: there is none.
    """
    if name not in presets:
        raise SettingsError(f"There is no {family} preset '{name}'. {nearest(name, presets)}")
    return presets[name]
