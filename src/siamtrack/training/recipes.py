"""Recipes by name or by file: those that come with siamtrack are TOML files in its folder `recipes`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from siamtrack.library import recipe_path
from siamtrack.settings import from_mapping, read_toml, with_overrides
from siamtrack.training.recipe import Recipe


def read_recipe(name: str, overrides: Sequence[str] = ()) -> Recipe:
    """A recipe with settings changed one by one.

    Args:
        name: of a TOML file, or of a recipe that comes with siamtrack.
        overrides: "key=value" texts.

    Raises:
        SettingsError: there is no such recipe, or it holds an unknown setting or an impossible value.
    """
    path = Path(name)
    if not path.is_file():
        path = recipe_path(name)
    return with_overrides(from_mapping(Recipe, read_toml(path), where=str(path)), overrides)
