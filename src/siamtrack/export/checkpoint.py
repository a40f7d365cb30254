"""A checkpoint, of whatever network and format, as a model folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

from siamtrack.errors import SettingsError, nearest
from siamtrack.export.onnx import check_model_folder, export_model
from siamtrack.library import (
    check_of_network,
    find_model,
    model_names,
    procedure_presets,
    procedure_settings,
    settings_of,
)
from siamtrack.model_folder import Description
from siamtrack.models.checkpoint_files import own_description
from siamtrack.models.checkpoints import read_checkpoint
from siamtrack.models.kinds import kind_of, model_kind, model_kinds, published_networks, published_procedures
from siamtrack.settings import from_mapping
from siamtrack.training.origin import trained_in

_SIZES = ("template_size", "search_size")
_BESIDE = (*_SIZES, "gain", "anchor_scores")  # settings of a network that its procedure does not depend on, or a preset decides


def export_checkpoint(
    checkpoint: Path,
    folder: Path,
    *,
    licence: str,
    card: str,
    preset: str | None = None,
    overrides: Sequence[str] = (),
    begins: Callable[[str], object] = lambda note: None,
) -> None:
    """Exports a run folder or a checkpoint file; errors as for `read_checkpoint`, `trained_in` and `export_model`.

    A run folder knows the sizes and the context that it was trained with, and else has the defaults; so does a
    file of our own. Without a preset, a file of others gets the settings of the first published configuration of its very
    network, or the defaults where none is published.

    Args:
        checkpoint: a run folder, or a file in a format that `read_checkpoint` knows.
        folder: the model folder to write; its name is the model's.
        licence: of the weights.
        card: model card, Markdown.
        preset: name of a published configuration, with its sizes and its settings of the tracking procedure; or of an
            embedded model with the same network, with those settings but for sizes and context.
        overrides: settings of the tracking procedure, "key=value".
        begins: is called when all of that and the folder have been checked, and graphs are written, which takes long; with
            a sentence on whose tracking settings these are.

    Raises:
        SettingsError: an unknown preset, or one of another network; an unknown setting, or one that the network rules out.
    """
    context: dict[str, float] = {}
    if checkpoint.is_dir():
        network, recipe = trained_in(checkpoint)
        context = {"context": recipe.context}
    else:
        network = read_checkpoint(checkpoint)
    model = kind_of(network)
    knows_sizes = checkpoint.is_dir() or own_description(checkpoint) is not None
    fitting = [] if preset or knows_sizes else _published_alike(network, model)
    chosen = preset or next(iter(fitting), None)
    tuned = _tuned(network, model, chosen) if chosen else {}
    procedure, implied = model_kind(model).procedure(network.settings)
    settings = procedure_settings(procedure, dict(implied) | context | dict(tuned), overrides)
    check_of_network(procedure, settings, procedure_settings(procedure, implied))
    description = Description(
        name=folder.name,
        model=model,
        tracker=procedure,
        licence=licence,
        card=card,
        network=asdict(network.settings),
        settings=asdict(settings),
    )
    check_model_folder(folder)
    begins(_note(chosen, fitting, [] if chosen else _all_that_fit(network, model)))
    export_model(network, folder, description)


def _note(chosen: str | None, fitting: Sequence[str], to_choose: Sequence[str]) -> str:
    """A sentence on whose tracking settings a model folder gets."""
    if chosen is None:
        presets = f", or with --preset: {', '.join(to_choose)}" if to_choose else ""
        return f"It tracks with the default settings; change them with --set{presets}."
    others = f"; {', '.join(fitting[1:])} fit, too: choose with --preset" if len(fitting) > 1 else ""
    return f"It tracks with the settings of the preset '{chosen}'{others}."


@cache
def _embedded(model: str) -> Mapping[str, tuple[Any, Mapping[str, Any]]]:
    """The embedded models of a kind: settings of their networks, and of their procedures but for what a run knows itself."""
    found = {}
    for name, known in model_names().items():
        description = find_model(name)[0].description
        if description.model == model and not known.preset:
            network = from_mapping(model_kind(model).settings, description.network, where=name)
            procedure = {key: value for key, value in settings_of(name).items() if key not in (*_SIZES, "context")}
            found[name] = network, procedure
    return found


def _published_alike(network: Any, model: str) -> list[str]:
    """Presets of this very network, without those that are tuned on single benchmarks."""
    procedure, _ = model_kind(model).procedure(network.settings)
    tuned = procedure_presets(procedure)
    return [name for name in published_networks(model) if name in tuned and not _different(name, model, network.settings)]


def _different(preset: str, model: str, found: Any) -> list[str]:
    """The settings in which the network of a preset is another one."""
    return _differences(_published(preset, model, found)[1], found)


def _tuned(network: Any, model: str, preset: str) -> Mapping[str, Any]:
    """Settings of the procedure in a published configuration, from which the network takes its sizes, too; or of a model."""
    known = _known(network, model)
    _check_name(preset, model, network)
    published, wanted = _published(preset, model, network.settings)
    if different := _differences(wanted, network.settings):
        theirs, ours = (", ".join(f"{name} {getattr(s, name)}" for name in different) for s in (wanted, network.settings))
        raise SettingsError(
            f"The preset '{preset}' is of a network with {theirs}; that of the checkpoint has {ours}. "
            f"{_fitting(network, model)}"
        )
    sizes = {name: value for name, value in {**(published or {}), **known[preset]}.items() if name in _SIZES}
    network.settings = replace(network.settings, **sizes)
    return known[preset]


def _published(preset: str, model: str, found: Any) -> tuple[Mapping[str, Any] | None, Any]:
    """What is published of the network of a preset, and all its settings; those that were found where nothing is."""
    if preset in _embedded(model):
        return None, _embedded(model)[preset][0]
    networks = published_networks(model)
    published = networks.get(preset, networks.get(preset.rpartition("_")[0]))  # SiamFCRes22_OTB2015 is of SiamFCRes22
    return published, found if published is None else replace(type(found)(), **published)


def _kinds_with(preset: str) -> list[str]:
    return [
        kind
        for kind in model_kinds()
        if preset in {**published_networks(kind), **published_procedures(kind), **_embedded(kind)}
    ]


def _known(network: Any, model: str) -> Mapping[str, Mapping[str, Any]]:
    """All presets for such a kind of network, with their settings of the procedure."""
    procedure, _ = model_kind(model).procedure(network.settings)
    embedded = {name: values for name, (_, values) in _embedded(model).items()}
    return {**procedure_presets(procedure), **published_procedures(model), **embedded}


def _check_name(preset: str, model: str, network: Any) -> None:
    """Whether a preset has settings of a procedure, and is of this kind of network or of none."""
    kinds = _kinds_with(preset)
    if kinds and model not in kinds:
        raise SettingsError(
            f"The preset '{preset}' is of the network {' or '.join(kinds)}; the checkpoint holds {model}. "
            f"{_fitting(network, model)}"
        )
    known = _known(network, model)
    if preset in known:
        return
    if not kinds:
        raise SettingsError(f"Unknown preset '{preset}' of {model}. {nearest(preset, known)}")
    tuned = [name for name in known if name.startswith(f"{preset}_")]
    raise SettingsError(
        f"The preset '{preset}' names a network, and no settings to track with are published for it"
        + (f" but those for benchmarks: {', '.join(tuned)}." if tuned else "; export without --preset to track with defaults.")
    )


def _all_that_fit(network: Any, model: str) -> list[str]:
    """The presets that are of this very network, or of none."""
    fitting = (name for name in _known(network, model) if model in (_kinds_with(name) or [model]))
    return [name for name in fitting if not _different(name, model, network.settings)]


def _fitting(network: Any, model: str) -> str:
    names = ", ".join(_all_that_fit(network, model))
    return f"Those that fit it: {names or 'none; export without --preset to track with defaults'}."


def _differences(wanted: Any, found: Any) -> list[str]:
    """The names of settings that differ, but for `_BESIDE`."""
    return [name for name, value in vars(wanted).items() if name not in _BESIDE and value != getattr(found, name)]
