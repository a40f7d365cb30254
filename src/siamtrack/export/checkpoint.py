"""A checkpoint, of whatever network and format, as a model folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from siamtrack.errors import SettingsError, nearest
from siamtrack.export.onnx import export_model
from siamtrack.library import procedure_presets, procedure_settings
from siamtrack.model_folder import Description
from siamtrack.models.checkpoints import read_checkpoint
from siamtrack.models.kinds import kind_of, model_kind, published_networks, published_procedures
from siamtrack.training.origin import trained_in

_SIZES = ("template_size", "search_size")


def export_checkpoint(
    checkpoint: Path, folder: Path, *, licence: str, card: str, preset: str | None = None, overrides: Sequence[str] = ()
) -> None:
    """Exports a run folder or a checkpoint file; errors as for `read_checkpoint`, `trained_in` and `export_model`.

    A run folder knows the sizes and the context that it was trained with; for a file they are the published ones.

    Args:
        checkpoint: a run folder, or a file in a format that `read_checkpoint` knows.
        folder: the model folder to write; its name is the model's.
        licence: of the weights.
        card: model card, Markdown.
        preset: name of a published configuration, with its sizes and its settings of the tracking procedure.
        overrides: settings of the tracking procedure, "key=value".

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
    tuned = _tuned(network, model, preset) if preset else {}
    procedure, implied = model_kind(model).procedure(network.settings)
    settings = procedure_settings(procedure, dict(implied) | context | dict(tuned), overrides)
    if settings.template_size != network.settings.template_size:
        raise SettingsError(
            f"The setting template_size is {settings.template_size}; the network is built for "
            f"{network.settings.template_size}. Only search_size can be changed."
        )
    description = Description(
        name=folder.name,
        model=model,
        tracker=procedure,
        licence=licence,
        card=card,
        network=asdict(network.settings),
        settings=asdict(settings),
    )
    export_model(network, folder, description)


def _tuned(network: Any, model: str, preset: str) -> Mapping[str, Any]:
    """Settings of the procedure in a published configuration; the network takes its sizes from there."""
    procedure, _ = model_kind(model).procedure(network.settings)
    known = {**procedure_presets(procedure), **published_procedures(model)}
    if preset not in known:
        raise SettingsError(f"Unknown preset '{preset}' of {model}. {nearest(preset, known)}")
    networks = published_networks(model)
    published = networks.get(preset) or networks.get(preset.rpartition("_")[0], {})  # SiamFCRes22_OTB2015 is of SiamFCRes22
    wanted = replace(type(network.settings)(), **published)
    if published and _without_sizes(wanted) != _without_sizes(network.settings):
        raise SettingsError(f"The preset '{preset}' is of a network with {wanted}; the checkpoint has {network.settings}.")
    sizes = {name: value for name, value in {**published, **known[preset]}.items() if name in _SIZES}
    network.settings = replace(network.settings, **sizes)
    return known[preset]


def _without_sizes(settings: Any) -> dict[str, Any]:
    return {name: value for name, value in asdict(settings).items() if name not in _SIZES}
