"""What people set with --set: which of it an experiment decides itself."""

from __future__ import annotations

import contextlib
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from siamtrack.errors import SettingsError


def refuse_overrides(overrides: Sequence[str], decided: Mapping[str, str]) -> None:
    """Whether the user's own settings leave alone what the experiment sets itself.

    Args:
        overrides: the user's settings, "key=value".
        decided: names of settings, and why they are not the user's.

    Raises:
        SettingsError: one of them is given.
    """
    for text in overrides:
        for name in _named(text):
            if name in decided:
                raise SettingsError(f"--set {name} would change nothing in this experiment: {decided[name]}. Leave it out.")


def _named(text: str) -> list[str]:
    """The settings that "key=value" names: those in a table, too. None in what is no such text, which is refused elsewhere."""
    for given in (text, f"{text.partition('=')[0]} = 0"):  # the second where the value is a text without its quotes
        with contextlib.suppress(tomllib.TOMLDecodeError):
            return list(flat(tomllib.loads(given)))
    return []


def flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values of a table and of those in it, by dotted names; an empty table inside is a value.

    >>> flat({"loss": "bce", "augment": {"flip": 0.5}, "weights": {}})
    {'loss': 'bce', 'augment.flip': 0.5, 'weights': {}}
    """
    found: dict[str, Any] = {}
    for key, value in table.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) and value else {f"{prefix}{key}": value}
    return found
