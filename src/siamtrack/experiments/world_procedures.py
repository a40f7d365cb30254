"""What parts of the tracking procedure bring on worlds made for them: long-term search, memory and courses of look-alikes.

Both compare one network with itself, in one run over the same frames of rendered scenes that no model was trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import count as numbers
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from siamtrack.errors import DataError
from siamtrack.experiments.following import Watch, unwatched
from siamtrack.experiments.overrides import refuse_overrides
from siamtrack.experiments.plots import bars
from siamtrack.experiments.report import Cell, Folder, Table, picture
from siamtrack.experiments.world_trials import TRIALS, Subject, Trial, crosses, leaves, opened, run_trials
from siamtrack.library import model_names, settings_of
from siamtrack.metrics.long_term import PRESETS, LongTermSequence, long_term_scores
from siamtrack.model_folder import WEIGHTS, hash_of
from siamtrack.synthetic.material import find_material
from siamtrack.synthetic.supply import BuiltIn, Pictured
from siamtrack.synthetic.world import World
from siamtrack.synthetic.world_sequences import first_target
from siamtrack.synthetic.world_settings import WorldSettings

LONG_TERM, LOOK_ALIKES = "long-term", "look-alikes"
SCENES, FRAMES = 24, 250
QUICK_SCENES, QUICK_FRAMES = 8, 120
F_PRESET = "vot-python"
_TRIES = 400  # scenes, of which one has to suit
_FIRST_SCENE = 2**42  # no training pair comes from there
_INSIDE = ("long_term.stays_inside=true", "long_term.whole_size=true")
_AS_PUBLISHED = ("long_term.stays_inside=false", "long_term.whole_size=false")


def _against_look_alikes(**used: int) -> tuple[str, ...]:
    """These parts and no others; without the search for lost targets, which finds some of them again."""
    parts = {"most": 0, "follows": 0, "colours": 0} | used
    return "long_term.search_size=0", *(f"distractors.{name}={number}" for name, number in parts.items())


_VARIANTS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    LONG_TERM: {
        "short-term": ("long_term.search_size=0",),
        "831 px": ("long_term.search_size=831", "long_term.growth=0", *_AS_PUBLISHED),
        "1535 px, inside": ("long_term.search_size=1535", "long_term.growth=0", *_INSIDE),
    },
    LOOK_ALIKES: {
        "without": _against_look_alikes(),
        "memory": _against_look_alikes(most=3),
        "courses": _against_look_alikes(follows=3),
        "memory and courses": _against_look_alikes(most=3, follows=3),
        "colours": _against_look_alikes(colours=3),
        "memory and colours": _against_look_alikes(most=3, colours=3),
    },
}
_WORLDS = {
    LONG_TERM: WorldSettings(exits=1.0, elsewhere=1.0, most_objects=3, look_alikes=0.5, occluders=0.0),
    LOOK_ALIKES: WorldSettings(most_objects=2, look_alikes=1.0, exits=0.0, largest=0.35),
}
_CHOOSES: Mapping[str, Callable[[Subject, int], bool]] = {LONG_TERM: leaves, LOOK_ALIKES: crosses}
_SCENES_ARE = {
    LONG_TERM: "in which the target leaves the view and comes back from the other side, and is seen more after it than before",
    LOOK_ALIKES: "with two objects, one the double of the other, that come across each other",
}


_MEASURES = {
    LONG_TERM: "* F is that of VOT-LT, the best over thresholds of the score, precision and recall averaged over scenes; "
    "frames in which less than 5 % of the target is to be seen count as without it.",
    LOOK_ALIKES: "* An identity switch is counted where the box goes from the target to another object: the target is to be "
    "seen, and the box overlaps the other by 0.3 or more, and by more than the target. A lasting one is counted as CLEAR MOT "
    "keeps matches: the box is on an object until their IoU is below 0.5 and that with another 0.5 or more. A double is the "
    "target in another light, or its very picture, which its place alone tells apart; scenes.csv says which.",
}


@dataclass(frozen=True, kw_only=True)
class Trying:
    """What is tried, on what.

    Attributes:
        model: name or folder of a model with an RPN head.
        pictures: folders of stills and cut-outs that scenes are made of; none: drawn textures and shapes.
        overrides: settings of the tracking procedure, of all variants.
        quick: fewer and shorter scenes.
        seed: of the scenes.
    """

    model: str
    pictures: tuple[Path, ...] = ()
    overrides: tuple[str, ...] = ()
    quick: bool = False
    seed: int = 0

    @property
    def scenes(self) -> int:
        """How many."""
        return QUICK_SCENES if self.quick else SCENES

    @property
    def frames(self) -> int:
        """Of each scene."""
        return QUICK_FRAMES if self.quick else FRAMES


def run_long_term(out: Path, trying: Trying, *, watch: Watch = unwatched) -> Table:
    """F-score (VOT-LT) of a model with and without the search for lost targets, on scenes that the target leaves.

    Args:
        out: the folder.
        trying: see `Trying`.
        watch: see `siamtrack.experiments.following.Watch`.

    Returns:
        The table of the report.

    Raises:
        OutputError: see `Folder`.
        DataError: no scene suits.
        SettingsError: the model has no such procedure.
    """
    columns = {"procedure": 0, "F": 3, "precision": 3, "recall": 3, "mean overlap": 3}

    def row(name: str, trials: Sequence[Trial]) -> list[Cell]:
        runs = [
            LongTermSequence(name=t.name, overlaps=t.overlaps[name], confidences=t.scores[name], visible=t.visible)
            for t in trials
        ]
        best = long_term_scores(runs, PRESETS[F_PRESET]).best
        return [name, *best, float(np.mean([t.mean_overlap(name) for t in trials]))]

    return _run(LONG_TERM, out, trying, columns, row, watch)


def run_look_alikes(out: Path, trying: Trying, *, watch: Watch = unwatched) -> Table:
    """How often a model goes over to the target's double with and without the module against it; see `run_long_term`."""
    columns = {
        "procedure": 0,
        "identity switches": 0,
        "to a double in another light": 0,
        "to an identical one": 0,
        "scenes with one": 0,
        "lasting switches": 0,
        "mean overlap": 3,
    }

    def row(name: str, trials: Sequence[Trial]) -> list[Cell]:
        switches = [t.switches(name) for t in trials]
        to_identical = sum(t.switches(name) for t in trials if t.identical)
        overlap = float(np.mean([t.mean_overlap(name) for t in trials]))
        lasting = sum(t.lasting_switches(name) for t in trials)
        counts = sum(switches), sum(switches) - to_identical, to_identical, sum(map(bool, switches)), lasting
        return [name, *counts, overlap]

    return _run(LOOK_ALIKES, out, trying, columns, row, watch)


def _run(
    name: str,
    out: Path,
    trying: Trying,
    columns: Mapping[str, int],
    row: Callable[[str, Sequence[Trial]], list[Cell]],
    watch: Watch,
) -> Table:
    variants = _variants(name, trying)
    trackers = opened(trying.model, variants)
    world = World(_WORLDS[name], _supply(trying), trying.seed)
    folder = Folder(out, _settings(name, trying, world, variants))
    subjects = islice(_subjects(world, _CHOOSES[name], trying.frames), trying.scenes)
    trials = run_trials(trackers, subjects, trying.frames, out / TRIALS, watch=watch)
    table = Table(columns, [row(variant, trials) for variant in variants])
    folder.write_table(name, table)
    each = {"scene": 0, "procedure": 0, "mean overlap": 3, "identity switches": 0, "lasting switches": 0, "identical double": 0}
    rows: list[list[Cell]] = [
        [t.name, v, t.mean_overlap(v), t.switches(v), t.lasting_switches(v), "yes" if t.identical else "no"]
        for t in trials
        for v in variants
    ]
    folder.write_table("scenes", Table(each, rows))
    measure = list(columns)[1]
    values = dict(zip(variants, table.numbers(measure), strict=True))
    bars(values, out / "procedures.png", y=measure, title=f"{trying.model}: {measure}")
    folder.finish(_report(name, table, trying, measure))
    return table


def _variants(name: str, trying: Trying) -> dict[str, tuple[str, ...]]:
    """The settings of each, those of all first.

    Raises:
        SettingsError: one of all is what the variants decide.
    """
    decided = {text.partition("=")[0] for texts in _VARIANTS[name].values() for text in texts}
    refuse_overrides(trying.overrides, dict.fromkeys(decided, "its procedures decide it"))
    return {variant: (*trying.overrides, *texts) for variant, texts in _VARIANTS[name].items()}


def _supply(trying: Trying) -> BuiltIn | Pictured:
    """Pictures that were held out from training.

    Raises:
        DataError: there are too few, of which none is held out.
    """
    if not trying.pictures:
        return BuiltIn(held_out=True)
    found = find_material(trying.pictures)
    part = found.part("validation")
    if not part.stills or not part.cutouts:
        raise DataError(
            f"Of {len(found.stills)} stills and {len(found.cutouts)} cut-outs {len(part.stills)} and {len(part.cutouts)} are "
            "among the twentieth that training holds out, and scenes are made of that; expected some of each. Give more."
        )
    return Pictured(part, held_out=True)


def _settings(name: str, trying: Trying, world: World, variants: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Any]]:
    names = model_names()
    model = names[trying.model].folder if trying.model in names else Path(trying.model)
    return {
        "tracker": settings_of(trying.model),
        "experiment": {"name": name, "quick": trying.quick, "seed": trying.seed, "model": trying.model},
        "world": asdict(world.settings) | {"supply": world.supply.digest()},
        "variants": {variant: list(texts) for variant, texts in variants.items()},
        "weights_sha256": {"model": hash_of(model / WEIGHTS)},
    }


def _subjects(world: World, suits: Callable[[Subject, int], bool], frames: int) -> Iterator[Subject]:
    missed = 0
    for number in numbers(_FIRST_SCENE):
        scene = world.scene(number)
        target = first_target(scene)
        subject = None if target is None or scene.objects < 2 else Subject(f"world-{world.seed}-{number}", scene, target)
        if subject is not None and suits(subject, frames):
            missed = 0
            yield subject
        elif (missed := missed + 1) > _TRIES:
            raise DataError(f"None of {_TRIES} scenes suits the experiment; give other pictures, or more of them.")


def _report(name: str, table: Table, trying: Trying, measure: str) -> str:
    made_of = "stills and cut-outs that were held out" if trying.pictures else "drawn textures and shapes"
    return "\n".join(
        [
            f"# {name.capitalize()}: `{trying.model}` with and without\n",
            table.markdown(),
            "## What was run\n",
            f"* {trying.scenes} rendered scenes of {trying.frames} frames {_SCENES_ARE[name]}, made of {made_of}; the first "
            f"that suit, of seed {trying.seed}. All procedures follow the same target through the same frames with the same "
            "network.",
            _MEASURES[name],
            "* All settings are in settings.toml.\n",
            picture("procedures.png", measure),
        ]
    )


RUNS: Mapping[str, Callable[..., Table]] = {LONG_TERM: run_long_term, LOOK_ALIKES: run_look_alikes}
"""The experiments by name."""
