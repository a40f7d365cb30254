"""NanoTrack with masks, exported: the same masks on every runtime."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from every_network import network_of
from mask_answers import assert_masks_agree, with_borders

from siamtrack.export.onnx import export_model
from siamtrack.model_folder import MASK_GRAPH, Description
from siamtrack.models.kinds import model_kind


@pytest.mark.long
def test_exported_masks_are_those_of_the_network(tmp_path: Path) -> None:
    network = copy.deepcopy(network_of("nanotrack-masks"))
    with_borders(network, network.refine.after[-1])
    procedure, implied = model_kind("nanotrack").procedure(network.settings)
    description = Description(
        name="narrow",
        model="nanotrack",
        tracker=procedure,
        licence="MIT",
        card="",
        network=vars(network.settings),
        settings=dict(implied),
    )
    export_model(network, tmp_path / "model", description)
    assert (tmp_path / "model" / MASK_GRAPH).is_file()
    assert_masks_agree(tmp_path / "model")
