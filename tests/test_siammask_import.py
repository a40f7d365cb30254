"""Checkpoints of foolwood/SiamMask at their real size, under names that are not those of our own list."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoint_files import save
from official_siammask import official_shapes
from torch import Tensor, nn

from siamtrack.errors import WeightsError
from siamtrack.models.checkpoints import read_checkpoint
from siamtrack.models.siammask import SiamMask, SiamMaskNetworkSettings, names_of_siammask

COUNTER = ".num_batches_tracked"


def checkpoint(*, refined: bool) -> dict[str, Tensor]:
    """Each parameter has a value of its own in all places, and so little to store; a variance is above 0."""
    shapes = official_shapes(refined=refined)
    return {name: torch.tensor([1 + number / 1024]).expand(shape) for number, (name, shape) in enumerate(shapes.items())}


def value(tensor: Tensor) -> float:
    assert tensor.min() == tensor.max()
    return float(tensor.min())


def assert_taken(module: Any, found: dict[str, Tensor], name: str) -> None:
    """The module has the parameters of that name; a normalisation its statistics, too."""
    for key, own in module.state_dict().items():
        if key != COUNTER[1:]:
            assert value(own) == value(found[f"{name}.{key}"]), f"{name}.{key}"


@pytest.mark.parametrize("refined", [True, False])
def test_every_parameter_has_a_place_and_none_is_left(refined: bool) -> None:
    settings = SiamMaskNetworkSettings(refined=refined)
    with torch.device("meta"):
        ours = {name: tuple(tensor.shape) for name, tensor in SiamMask(settings).state_dict().items()}
    names = {theirs: own for theirs, own in names_of_siammask(settings).items() if not theirs.endswith(COUNTER)}
    assert {theirs: ours[own] for theirs, own in names.items()} == official_shapes(refined=refined)
    assert set(names.values()) == {name for name in ours if not name.endswith(COUNTER)}


@pytest.mark.parametrize("refined", [True, False])
def test_the_published_file_becomes_the_network(tmp_path: Path, refined: bool) -> None:
    """As tools/train_siammask.py stores it: beside other things, under the names that DataParallel gives."""
    found = checkpoint(refined=refined)
    content = {"epoch": 20, "arch": "Custom", "state_dict": {f"module.{name}": tensor for name, tensor in found.items()}}
    network = read_checkpoint(save(tmp_path / "SiamMask.pth", content))
    assert isinstance(network, SiamMask)
    assert network.settings == SiamMaskNetworkSettings(refined=refined)

    backbone: Any = network.backbone
    assert_taken(backbone.stem[0], found, "features.features.conv1")
    assert_taken(backbone.stem[1], found, "features.features.bn1")
    for layer, block in (("layer1", 0), ("layer2", 3), ("layer3", 5)):
        convolutions = [m for m in backbone.get_submodule(f"{layer}.{block}.branch") if isinstance(m, nn.Conv2d)]
        norms = [m for m in backbone.get_submodule(f"{layer}.{block}.branch") if isinstance(m, nn.BatchNorm2d)]
        for number, (convolution, norm) in enumerate(zip(convolutions, norms, strict=True), 1):
            assert_taken(convolution, found, f"features.features.{layer}.{block}.conv{number}")
            assert_taken(norm, found, f"features.features.{layer}.{block}.bn{number}")
    for layer in ("layer1", "layer2", "layer3"):
        for place in (0, 1):
            shortcut = backbone.get_submodule(f"{layer}.0.shortcut")
            assert_taken(shortcut[place], found, f"features.features.{layer}.0.downsample.{place}")
    for place in (0, 1):
        assert_taken(network.neck.get_submodule("0")[place], found, f"features.downsample.downsample.{place}")  # type: ignore[index]
    for branch, name in (
        (network.head.cls, "rpn_model.cls"),
        (network.head.loc, "rpn_model.loc"),
        (network.mask, "mask_model.mask"),
    ):
        for place in (0, 1):
            assert_taken(branch.template[place], found, f"{name}.conv_kernel.{place}")
            assert_taken(branch.search[place], found, f"{name}.conv_search.{place}")
        for place in (0, 1, 3):
            assert_taken(branch.head[place], found, f"{name}.head.{place}")
    if not refined:
        assert network.refine is None
        return
    refine: Any = network.refine
    assert_taken(refine.grow, found, "refine_model.deconv")
    for step in range(3):  # from the deepest layer on, which has the highest number there
        assert_taken(refine.after[step], found, f"refine_model.post{step}")
        for place in (0, 2):
            assert_taken(refine.along[step][place], found, f"refine_model.h{2 - step}.{place}")
            assert_taken(refine.across[step][place], found, f"refine_model.v{2 - step}.{place}")


def test_one_name_less_or_more_is_told(tmp_path: Path) -> None:
    found = checkpoint(refined=True)
    del found["refine_model.h1.2.bias"]
    with pytest.raises(WeightsError, match=r"missing: refine_model\.h1\.2\.bias"):
        read_checkpoint(save(tmp_path / "less.pth", found))
    found = checkpoint(refined=True) | {"refine_model.h3.0.bias": torch.zeros(1)}
    with pytest.raises(WeightsError, match=r"refine_model\.h3\.0\.bias"):
        read_checkpoint(save(tmp_path / "more.pth", found))


@pytest.mark.shared_data
def test_pysots_checkpoint_has_the_same_parts(shared_data: Path) -> None:
    """Its backbone, neck, branches and refinement are those of the official code under other beginnings."""
    theirs = json.loads((shared_data / "networks" / "pysot_siammask_r50_l3.params.json").read_text())
    renamed = {
        "features.features.": "backbone.",
        "features.downsample.": "neck.downsample.",
        "rpn_model.": "rpn_head.",
        "mask_model.mask.": "mask_head.",
        "refine_model.": "refine_head.",
    }
    official = {}
    for name, shape in official_shapes(refined=True).items():
        start = next(start for start in renamed if name.startswith(start))
        official[renamed[start] + name.removeprefix(start)] = list(shape)
    assert official == {name: shape for name, shape in theirs.items() if not name.endswith(COUNTER)}
