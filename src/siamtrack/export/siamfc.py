"""A SiamFC checkpoint, of whatever format, as a model folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from siamtrack.errors import SettingsError, TrainingError, WeightsError
from siamtrack.export.onnx import export_model
from siamtrack.model_folder import Description
from siamtrack.models.siamfc import SiamFCNetworkSettings
from siamtrack.models.siamfc_checkpoints import read_checkpoint
from siamtrack.settings import from_mapping, with_overrides
from siamtrack.trackers.siamfc import SiamFCSettings
from siamtrack.training.checkpoint import RUN_CHECKPOINT, RUN_WEIGHTS, load_checkpoint


def export_siamfc(checkpoint: Path, folder: Path, *, licence: str, card: str, overrides: Sequence[str] = ()) -> None:
    """Exports a run folder or a checkpoint file; errors as for `read_checkpoint` and `export_model`.

    A run folder knows the sizes and the context that it was trained with; for a file they are the paper's.

    Args:
        checkpoint: a run folder, or a file in a format that `read_checkpoint` knows.
        folder: the model folder to write; its name is the model's.
        licence: of the weights.
        card: model card, Markdown.
        overrides: settings of the tracking procedure, "key=value".
    """
    sizes, context = SiamFCNetworkSettings(), SiamFCSettings().context
    if checkpoint.is_dir():
        if not (checkpoint / RUN_WEIGHTS).is_file():
            raise WeightsError(
                f"The run '{checkpoint}' has no {RUN_WEIGHTS}: it is not finished. Let 'siamtrack train' go on with it."
            )
        if (checkpoint / RUN_CHECKPOINT).is_file():
            sizes, context = _trained_with(checkpoint / RUN_CHECKPOINT)
        checkpoint = checkpoint / RUN_WEIGHTS
    network = read_checkpoint(checkpoint)
    network.settings = replace(network.settings, template_size=sizes.template_size, search_size=sizes.search_size)
    trained = SiamFCSettings(template_size=sizes.template_size, search_size=sizes.search_size, context=context)
    settings = with_overrides(trained, overrides)
    if settings.template_size != sizes.template_size:
        raise SettingsError(
            f"The setting template_size is {settings.template_size}; the network is built for {sizes.template_size}. "
            "Only search_size can be changed."
        )
    description = Description(
        name=folder.name,
        tracker="siamfc",
        licence=licence,
        card=card,
        network=asdict(network.settings),
        settings=asdict(settings),
    )
    export_model(network, folder, description)


def _trained_with(path: Path) -> tuple[SiamFCNetworkSettings, float]:
    """Settings of the network and context in the recipe of a run's checkpoint."""
    try:
        recipe = load_checkpoint(path)["recipe"]
        return from_mapping(SiamFCNetworkSettings, recipe["network"], where=str(path)), float(recipe["data"]["context"])
    except (TrainingError, SettingsError) as error:
        raise WeightsError(str(error)) from None
    except (KeyError, TypeError, ValueError, AttributeError):
        raise WeightsError(f"The recipe in '{path}' is of another kind; train the network again.") from None
