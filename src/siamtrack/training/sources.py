"""The data of a run: what NAME=PATH means, and its sets mixed by weight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import numpy as np

from siamtrack.datasets.clips import TrainingSet
from siamtrack.datasets.crop_store import MANIFEST, StoredCrops
from siamtrack.datasets.crops import Crops, CropSettings, CropsOfFrames
from siamtrack.errors import DataError, SettingsError, nearest
from siamtrack.library import open_training_set, training_set_names
from siamtrack.pair import Pair
from siamtrack.synthetic.material import Material, find_material
from siamtrack.synthetic.pairs import PairSource
from siamtrack.synthetic.shot import Window
from siamtrack.synthetic.squares import Squares, SquaresSettings
from siamtrack.synthetic.supply import BuiltIn, Pictured
from siamtrack.synthetic.world import World
from siamtrack.training.augment import PairPlan
from siamtrack.training.clip_pairs import ClipPairs
from siamtrack.training.data import ByNumber, Pairs, Unpainted
from siamtrack.training.recipe import Recipe
from siamtrack.training.world_pairs import WorldPairs, WorldPlans

PICTURES = "pictures"
WORLD = "world"
SQUARES = "squares"
DRAWN = (WORLD, SQUARES)  # need no files
HELD_OUT = ", held out "  # in the digest of a world, between its two parts
VALIDATION_SEED = 1  # held-out pairs come from another stream than the training pairs, whose seed is even
_TRIES = 20  # pairs that cannot be made, one after another
_MASK_TRIES = 60  # pairs among which one must have a mask where masks are learnt
_FAR = 2**40  # numbers of pairs that take the place of others are as far away as this
Part = Literal["training", "validation"]
T = TypeVar("T")
Made = TypeVar("Made", Pair, PairPlan[Window])


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """The data sets that were given for a run, opened.

    Attributes:
        crops: annotated videos and images, cut on the fly or read back from `siamtrack data crop`.
        sets: those of them whose frames are at hand: not the ones that are crops alone.
        material: pictures for made-up pairs; None where no `pictures` were given.
        world: what made-up scenes consist of; None where no `world` was given.
    """

    crops: tuple[Crops, ...] = ()
    sets: tuple[TrainingSet, ...] = ()
    material: Material | None = None
    world: WorldData | None = None

    @property
    def names(self) -> list[str]:
        """Of the data sets, without repetition, in the order given; `pictures` and `world` last."""
        made = [PICTURES] * (self.material is not None) + [WORLD] * (self.world is not None)
        return list(dict.fromkeys([crops.name for crops in self.crops])) + made

    def pairs(self, recipe: Recipe, part: Part) -> Pairs:
        """The pairs of one part of the data, mixed by the recipe's weights.

        Raises:
            SettingsError: the recipe's weights name a set that was not given, or are all 0.
            DataError: a set makes no pair for that part.
        """
        return self._mixed(recipe, part, _pairs_of)

    def unpainted(self, recipe: Recipe) -> ByNumber[Unpainted]:
        """The pairs for training; where the recipe says so, those of worlds as what is to be painted for them.

        Raises:
            SettingsError: as `pairs`; or the recipe's `paint` does not go with its augmentation, or with the data.
            DataError: a set makes no pair for training, or no pair has the mask that the network is to learn, or crops were
                stored without the masks that there are.
        """
        if recipe.paint == "cpu":
            pairs = self.pairs(recipe, "training")
            if recipe.masked:
                self._check_masks(recipe)
            if recipe.masked and all(pairs[number].mask is None for number in range(_MASK_TRIES)):
                raise DataError(
                    f"None of {_MASK_TRIES} pairs of {', '.join(self.names)} has a mask, and {recipe.model} learns masks. Give "
                    "coco, davis or youtube_vos as they are unpacked, or what 'siamtrack data crop --masks' made of them, "
                    "pictures with cut-outs, or world."
                )
            return pairs
        if recipe.masked:
            raise SettingsError(f"paint is 'device', which makes no masks, and {recipe.model} learns them; set paint=cpu.")
        if self.world is None:
            raise SettingsError("paint is 'device', but there is no world among the data; give --data world, or set paint=cpu.")
        if recipe.augment.jpeg:
            raise SettingsError(
                f"paint is 'device', where nothing can be compressed as JPEG, and augment.jpeg is {recipe.augment.jpeg:g}; set "
                "augment.jpeg=0, or paint=cpu."
            )
        return self._mixed(recipe, "training", _unpainted_of)

    def _check_masks(self, recipe: Recipe) -> None:
        """Refuses crops that were stored without masks of a set that has them, even beside other data with masks."""
        for crops in self.crops:
            if isinstance(crops, StoredCrops) and crops.masks_left_out and recipe.weights.get(crops.name, 1.0):
                raise DataError(
                    f"The crops in '{crops.path}' were stored without the masks of {crops.name}, and {recipe.model} learns "
                    f"masks. Store them again, with masks: {crops.command_with_masks()}"
                )

    def _mixed(self, recipe: Recipe, part: Part, of: Callable[[_Source, Recipe, Part], _Found[T]]) -> ByNumber[T]:
        if missing := [name for name in recipe.weights if name not in self.names]:
            raise SettingsError(
                f"The recipe mixes {', '.join(recipe.weights)}, but there is no data for {', '.join(missing)}. Give "
                f"--data {missing[0]}=PATH, or other weights: --set 'weights={{ {self.names[0]} = 1.0 }}'."
            )
        if not any(recipe.weights.get(name, 1.0) for name in self.names):
            raise SettingsError(f"The weights of {', '.join(self.names)} are all 0; give one of them a weight.")
        sources: list[_Source] = [c for c in self.crops if recipe.weights.get(c.name, 1.0)]
        made = {PICTURES: self.material, WORLD: self.world}
        sources += [source for name, source in made.items() if source and recipe.weights.get(name, 1.0)]
        found = [entry for source in sources if (entry := of(source, recipe, part))]
        if not found:
            raise DataError(f"There is no data for {part}: {', '.join(self.describe())}. Give more clips or pictures.")
        weights = [recipe.weights.get(name, 1.0) for name, _ in found]
        return found[0][1] if len(found) == 1 else _Mixed([pairs for _, pairs in found], weights, _seed(recipe, part))

    def digest(self) -> list[str]:
        """What decides which pairs there are, a text a set. A run goes on with the same data only."""
        made = [source.digest() for source in (self.material, self.world) if source]
        return [crops.digest() for crops in self.crops] + made

    def describe(self) -> list[str]:
        """A line a set, for people."""
        lines = [f"{crops.name}: {len(crops.names)} clips" for crops in self.crops]
        if (found := self.material) is not None:
            lines.append(f"{PICTURES}: {_counted(found)}")
        if self.world is not None:
            lines.append(f"{WORLD}: {_counted(self.world.material) if self.world.material else 'built-in textures and shapes'}")
        return lines


@dataclass(frozen=True, kw_only=True)
class WorldData:
    """What made-up scenes consist of: pictures, or None for built-in textures and shapes alone."""

    material: Material | None = None

    def supply(self, part: Part) -> BuiltIn | Pictured:
        """The pictures of one part.

        Raises:
            DataError: there is no cut-out, or no still.
        """
        held_out = part == "validation"
        return BuiltIn(held_out=held_out) if self.material is None else Pictured(self.material.part(part), held_out=held_out)

    def digest(self) -> str:
        """What decides which scenes there are: those to train on, then those held out."""
        found = self.supply("training").digest()
        return found if self.material is None else f"{found}{HELD_OUT}{self.material.part('validation').digest()}"


def _counted(found: Material) -> str:
    return f"{len(found.stills)} stills, {len(found.cutouts)} cut-outs, {len(found.tracks)} tracks"


def _seed(recipe: Recipe, part: Part) -> int:
    return 2 * recipe.seed if part == "training" else VALIDATION_SEED


_Source = Crops | Material | WorldData
_Found = tuple[str, ByNumber[T]] | None


def _unpainted_of(source: _Source, recipe: Recipe, part: Part) -> _Found[Unpainted]:
    """As `_pairs_of`; a world only says what is to be painted."""
    if isinstance(source, WorldData):
        return WORLD, _Retried(WorldPlans(_world_pairs(source, recipe, part)))
    return _pairs_of(source, recipe, part)


def _world_pairs(source: WorldData, recipe: Recipe, part: Part) -> WorldPairs:
    return WorldPairs(
        World(recipe.world, source.supply(part), _seed(recipe, part)),
        recipe.crops,
        recipe.augment,
        max_frame_gap=recipe.sampling.max_frame_gap,
        min_visibility=recipe.sampling.min_visibility,
        search_size=recipe.patch_size,
        negative=recipe.sampling.negative,
        masked=recipe.masked,
    )


def _pairs_of(source: _Source, recipe: Recipe, part: Part) -> _Found[Pair]:
    """Name and pairs of a set; None where nothing of it is held out for validation."""
    seed, template_size = _seed(recipe, part), recipe.network.template_size
    sizes: dict[str, Any] = {
        "template_size": template_size,
        "search_size": recipe.patch_size,
        "masked": recipe.masked,
    }
    try:
        if isinstance(source, Material):
            drawn, negative = source.part(part), recipe.sampling.negative
            pairs = PairSource(drawn, recipe.pictures, seed=seed, context=recipe.context, negative=negative, **sizes)
            return PICTURES, _Retried(pairs)
        if isinstance(source, WorldData):
            return WORLD, _Retried(_world_pairs(source, recipe, part))
        return source.name, ClipPairs(source, recipe.sampling, recipe.augment, which=part, seed=seed, **sizes)
    except DataError:
        if part == "training":
            raise
        return None


def open_data(places: Sequence[tuple[str, Path | None]], settings: CropSettings) -> TrainingData:
    """Opens data sets.

    Args:
        places: names and folders: a data set in its official layout or the folder that `siamtrack data crop` made of it, or
            `pictures` or `world` with a folder of stills, cut-outs and tracks, or `world` without a folder for built-in
            textures and shapes, or `squares` without one for the thesis's. Names may repeat.
        settings: how crops are cut; a folder of crops must have been made with the same, or larger.

    Raises:
        DataError: a folder is missing, or is not what its name says, or nothing was given.
        SettingsError: an unknown name, one without the folder that it needs, `world` with and without one, or crops of other
            settings.
    """
    if not places:
        raise DataError("No data was given; expected --data NAME=PATH at least once.")
    for name, path in places:
        if name not in _known():
            raise SettingsError(f"Unknown data set '{name}'. {nearest(name, _known())}")
        if path is None and name not in DRAWN:
            raise SettingsError(f"The data set '{name}' needs a folder; give {name}=PATH.")
    _check_one_world([path for name, path in places if name == WORLD])
    crops: list[Crops] = []
    sets: list[TrainingSet] = []
    for name, path in places:
        if name == SQUARES:
            crops.append(CropsOfFrames(Squares(SquaresSettings()), settings))
        if path is None or name in (PICTURES, WORLD):
            continue
        if (path / MANIFEST).is_file():
            crops.append(_stored(name, path, settings))
        else:
            sets.append(open_training_set(path, name))
            crops.append(CropsOfFrames(sets[-1], settings))
    world = WorldData(material=_material(places, WORLD)) if any(name == WORLD for name, _ in places) else None
    return TrainingData(crops=tuple(crops), sets=tuple(sets), material=_material(places, PICTURES), world=world)


def _check_one_world(paths: Sequence[Path | None]) -> None:
    folders = [path for path in paths if path is not None]
    if folders and len(folders) < len(paths):
        raise SettingsError(
            f"'{WORLD}' is given alone and with a folder, and there is one world: alone it consists of built-in textures and "
            f"shapes; with folders of their pictures, and one in ten built in. Give --data {WORLD} or --data "
            f"{WORLD}={folders[0]}."
        )


def _material(places: Sequence[tuple[str, Path | None]], wanted: str) -> Material | None:
    folders = [path for name, path in places if name == wanted and path is not None]
    return find_material(folders) if folders else None


def _known() -> list[str]:
    return [*training_set_names(), PICTURES, *DRAWN]


def _stored(name: str, path: Path, settings: CropSettings) -> StoredCrops:
    stored = StoredCrops(path)
    if stored.name != name:
        raise DataError(f"The crops in '{path}' are of '{stored.name}', not '{name}'; give --data {stored.name}={path}.")
    if replace(stored.settings, size=settings.size) != settings or stored.settings.size < settings.size:
        raise SettingsError(
            f"The crops in '{path}' were cut with {_listed(stored.settings)}; the recipe wants {_listed(settings)}, or larger "
            "ones. Cut them again, or change the recipe: sampling.crop_size, context or network.template_size."
        )
    return stored


def _listed(settings: CropSettings) -> str:
    return f"{settings.size} px, template {settings.template_size} px, context {settings.context:g}"


class _Retried(Generic[Made]):
    """Pairs that are made up, where one that cannot be made gives way to another, which is told in `Pair.skipped`."""

    def __init__(self, pairs: ByNumber[Made]) -> None:
        self._pairs: ByNumber[Made] = pairs

    def __getitem__(self, number: int) -> Made:
        skipped: list[str] = []
        for attempt in range(_TRIES):
            try:
                return self._pairs[number + attempt * _FAR]._replace(skipped=tuple(skipped))
            except DataError as error:
                skipped.append(str(error))
        raise DataError(f"{_TRIES} pairs in a row cannot be made; the last one: {skipped[-1]}")


class _Mixed(Generic[T]):
    """Pairs of several sources: each number belongs to one of them, drawn by weight."""

    def __init__(self, sources: Sequence[ByNumber[T]], weights: Sequence[float], seed: int) -> None:
        self._sources = sources
        self._shares = np.array(weights) / sum(weights)
        self._seed = seed

    def __getitem__(self, number: int) -> T:
        rng = np.random.default_rng((self._seed, number, len(self._sources)))
        return self._sources[rng.choice(len(self._sources), p=self._shares)][number]


def parsed_places(texts: Sequence[str]) -> list[tuple[str, Path | None]]:
    """Names and folders from NAME=PATH texts; `world` may, and `squares` must stand alone.

    Raises:
        SettingsError: another text without "=", or squares with a folder.
    """
    places: list[tuple[str, Path | None]] = []
    for text in texts:
        name, equals, path = text.partition("=")
        if text not in DRAWN and (not equals or not path):
            known, drawn = ", ".join(_known()), " or ".join(DRAWN)
            raise SettingsError(f"'{text}' is no data set; expected NAME=PATH, NAME one of {known}; or {drawn} alone.")
        if name == SQUARES and path:
            raise SettingsError(f"'{text}': squares are drawn and take no folder; those in a folder are --data folder={path}.")
        places.append((name, Path(path) if path else None))
    return places
