"""A SiamFC checkpoint, of whatever format, as a model folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from siamtrack.errors import SettingsError, WeightsError
from siamtrack.export.onnx import export_model
from siamtrack.model_folder import Description
from siamtrack.models.checkpoints import read_checkpoint
from siamtrack.models.siamfc import SiamFCNetworkSettings
from siamtrack.settings import with_overrides
from siamtrack.trackers.siamfc import SiamFCSettings
from siamtrack.training.checkpoint import RUN_WEIGHTS
from siamtrack.training.origin import RUN_RECIPE, trained_with


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
                if (checkpoint / RUN_RECIPE).is_file()
                else f"'{checkpoint}' is no folder of a run: it has neither {RUN_RECIPE} nor {RUN_WEIGHTS}."
            )
        if (checkpoint / RUN_RECIPE).is_file():
            sizes, context = trained_with(checkpoint)
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
        model="siamfc",
        tracker="siamfc",
        licence=licence,
        card=card,
        network=asdict(network.settings),
        settings=asdict(settings),
    )
    export_model(network, folder, description)
