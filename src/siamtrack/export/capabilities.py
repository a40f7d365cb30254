"""What siamtrack can do with every tracker of the family, read from the code: `python -m siamtrack.export.capabilities`.

The table of docs/networks.md is what this prints, and a test compares the two.
"""

from __future__ import annotations

import dataclasses
import importlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import torch

from siamtrack.library import EMBEDDED, recipe_names
from siamtrack.model_folder import DESCRIPTION
from siamtrack.models.checkpoints import FORMATS
from siamtrack.models.kinds import model_kind
from siamtrack.settings import from_mapping, read_toml
from siamtrack.training.recipes import read_recipe


class Tracker(NamedTuple):
    """A tracker of the family, by the kind of its network and by what tells it from others of that kind."""

    model: str
    network: Mapping[str, Any]
    name: str = ""  # in those of recipes and repositories of this tracker alone, where others have the same network


TRACKERS: Mapping[str, Tracker] = {
    "SiamFC": Tracker("siamfc", {}),
    "SiamDW, SiamFC's head": Tracker("siamdw", {"head": "siamfc"}),
    "SiamDW, SiamRPN's head": Tracker("siamdw", {"head": "siamrpn"}),
    "SiamRPN": Tracker("siamrpn", {}),
    "DaSiamRPN": Tracker("siamrpn", {"head": "up-channel"}, "dasiamrpn"),
    "SiamRPN++": Tracker("siamrpnpp", {}),
    "SiamMask": Tracker("siammask", {}),
    "NanoTrack v3": Tracker("nanotrack", {"masks": False}),
    "NanoTrack v3 with masks": Tracker("nanotrack", {"masks": True}),
}
COLUMNS = (
    "tracker",
    "build",
    "import",
    "train with",
    "recipes",
    "track",
    "masks",
    "long-term",
    "look-alikes",
    "export",
    "embedded",
)


def rows() -> Iterator[list[str]]:
    """A row of `COLUMNS` for each of `TRACKERS`; "-" is no."""
    for title, tracker in TRACKERS.items():
        kind = model_kind(tracker.model)
        settings = from_mapping(kind.settings, tracker.network, where=title)
        with torch.device("meta"):
            network: Any = kind.build(settings)
        procedure, _ = kind.procedure(settings)
        known = {field.name for field in dataclasses.fields(_procedure(procedure).SETTINGS)}
        exported = all(hasattr(network, name) for name in ("embed", "match", "MAPS"))
        yield [
            title,
            f"`{tracker.model}`" + "".join(f", `{name} = {_toml(value)}`" for name, value in tracker.network.items()),
            ", ".join(_imports(tracker)) or "-",
            _listed(_losses(tracker)),
            _listed(_recipes(tracker)),
            f"`{procedure}`",
            _yes(hasattr(network, "masks")),
            _yes("long_term" in known),
            _yes("distractors" in known),
            _yes(exported),
            _listed(_embedded(tracker)),
        ]


def markdown() -> str:
    """The table."""
    lines = [list(COLUMNS), ["---"] * len(COLUMNS), *rows()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _procedure(name: str) -> Any:
    return importlib.import_module(f"siamtrack.trackers.{name}")


def variants(tracker: Tracker) -> list[dict[str, Any]]:
    """Settings of its networks: each switch that the tracker leaves open is off in one and on in another."""
    found: list[dict[str, Any]] = [dict(tracker.network)]
    for field in dataclasses.fields(model_kind(tracker.model).settings):
        if isinstance(field.default, bool) and field.name not in tracker.network:
            found = [values | {field.name: on} for values in found for on in (False, True)]
    return found


def _losses(tracker: Tracker) -> list[str]:
    """Those of all its networks: SiamMask's without and with refinement learn other ones."""
    kind = model_kind(tracker.model)
    each = (kind.losses(from_mapping(kind.settings, values, where=tracker.model)) for values in variants(tracker))
    return list(dict.fromkeys(name for losses in each for name in losses))


def _imports(tracker: Tracker) -> list[str]:
    """Whose checkpoints of that kind are read; of masks that the published network does not have, nobody's."""
    if tracker.network.get("masks"):
        return []
    titles = dict.fromkeys(form.title for form in FORMATS if form.model == tracker.model)
    return [title for title in titles if not title.startswith("siamtrack") and _its_own(title, tracker)]  # ours are no import


def _recipes(tracker: Tracker) -> list[str]:
    read = ((name, read_recipe(name)) for name in recipe_names())
    of_kind = [name for name, recipe in read if recipe.model == tracker.model and _fits(vars(recipe.network), tracker)]
    return [name for name in of_kind if _its_own(name, tracker)]


def _its_own(name: str, tracker: Tracker) -> bool:
    """Whether a recipe or a repository is this tracker's, and not that of another with the same network."""
    others = {other.name for other in TRACKERS.values() if other.model == tracker.model and other.name} - {tracker.name}
    return tracker.name in name.lower() and not any(other in name.lower() for other in others)


def _embedded(tracker: Tracker) -> list[str]:
    found = []
    kind = model_kind(tracker.model)
    for path in sorted(EMBEDDED.glob(f"*/{DESCRIPTION}")):
        described = read_toml(path)
        if described["model"] == tracker.model:
            settings = from_mapping(kind.settings, described["network"], where=str(path))
            if _fits(vars(settings), tracker):
                found.append(path.parent.name)
    return found


def _fits(settings: Mapping[str, Any], tracker: Tracker) -> bool:
    return all(settings[name] == value for name, value in tracker.network.items())


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "-"


def _yes(there: bool) -> str:
    return "yes" if there else "-"


def _toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f'"{value}"'


if __name__ == "__main__":
    sys.stdout.write(markdown())
