"""A SiamFC checkpoint, of whatever format, as a model folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from siamtrack.errors import WeightsError
from siamtrack.export.onnx import export_model
from siamtrack.model_folder import Description
from siamtrack.models.siamfc_checkpoints import read_checkpoint
from siamtrack.settings import with_overrides
from siamtrack.trackers.siamfc import SiamFCSettings
from siamtrack.training.checkpoint import RUN_WEIGHTS


def export_siamfc(checkpoint: Path, folder: Path, *, licence: str, card: str, overrides: Sequence[str] = ()) -> None:
    """Exports a run folder or a checkpoint file; errors as for `read_checkpoint` and `export_model`.

    Args:
        checkpoint: a run folder, or a file in a format that `read_checkpoint` knows.
        folder: the model folder to write; its name is the model's.
        licence: of the weights.
        card: model card, Markdown.
        overrides: settings of the tracking procedure, "key=value".
    """
    if checkpoint.is_dir():
        if not (checkpoint / RUN_WEIGHTS).is_file():
            raise WeightsError(
                f"The run '{checkpoint}' has no {RUN_WEIGHTS}: it is not finished. Let 'siamtrack train' go on with it."
            )
        checkpoint = checkpoint / RUN_WEIGHTS
    network = read_checkpoint(checkpoint)
    settings = with_overrides(SiamFCSettings(), overrides)
    description = Description(
        name=folder.name,
        tracker="siamfc",
        licence=licence,
        card=card,
        network=asdict(network.settings),
        settings=asdict(settings),
    )
    export_model(network, folder, description)
