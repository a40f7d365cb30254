"""SiamMask: the mask branch and the refinement as the official code computes them, exported, and followed by a tracker."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoint_files import save
from command_line import INPUT, OUTPUT, pictures, refused, run
from made_up_checkpoints import COARSE, SIAMMASK
from mask_answers import assert_masks_agree, noise, with_borders
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from siamtrack.datasets.palette_masks import read_labels
from siamtrack.errors import SettingsError
from siamtrack.export.checkpoint import export_checkpoint
from siamtrack.library import open_model
from siamtrack.models.siammask import SiamMask, SiamMaskNetworkSettings, names_of_siammask
from siamtrack.trackers.mask import windows_around
from siamtrack.training.recipe import Recipe

SMALL = replace(SIAMMASK, backbone="resnet18", width=0.125)


def small(settings: SiamMaskNetworkSettings) -> SiamMask:
    """Random, in eval mode, with numbers as trained networks have them."""
    torch.manual_seed(0)
    network = SiamMask(settings)
    with torch.no_grad():
        network.backbone.stem[0].weight /= 100
        network.train()
        for _ in range(5):  # so that batch norm knows what it sees
            network.match(network.embed(pixels(2, 127)), pixels(2, 255))
    return network.eval()


def pixels(count: int, side: int) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(side)) * 255


def conv(x: Tensor, parameters: dict[str, Tensor], name: str, **options: int) -> Tensor:
    return F.conv2d(x, parameters[f"{name}.weight"], parameters[f"{name}.bias"], **options)


def official(parameters: dict[str, Tensor], layers: list[Tensor], correlation: Tensor, row: int, column: int) -> Tensor:
    """The refinement of foolwood/SiamMask, experiments/siammask_sharp, written from its description: (127, 127)."""
    refine = "refine_model"

    def twice(x: Tensor, name: str) -> Tensor:
        first = conv(x, parameters, f"{refine}.{name}.0", padding=1).relu()
        return conv(first, parameters, f"{refine}.{name}.2", padding=1).relu()

    cell = correlation[:, :, row, column][:, :, None, None]
    out = F.conv_transpose2d(cell, parameters[f"{refine}.deconv.weight"], parameters[f"{refine}.deconv.bias"], stride=15)
    for number, (pad, stride, side, size) in enumerate(((4, 1, 15, 31), (8, 2, 31, 61), (16, 4, 61, 127))):
        padded = F.pad(layers[2 - number], (pad,) * 4)
        seen = padded[:, :, stride * row : stride * row + side, stride * column : stride * column + side]
        out = twice(out, f"h{2 - number}") + twice(seen, f"v{2 - number}")
        out = conv(F.interpolate(out, size=(size, size)), parameters, f"{refine}.post{number}", padding=1)
    return out[0, 0]


@pytest.mark.parametrize(("row", "column"), [(12, 12), (0, 24), (20, 3)])
def test_the_refinement_is_the_official_one(row: int, column: int) -> None:
    network = small(SMALL)
    theirs = {name: network.state_dict()[ours] for name, ours in names_of_siammask(SMALL).items()}
    with torch.no_grad():
        _, _, correlation, *layers = (m[:, 0] for m in network.match(network.embed(pixels(1, 127)), pixels(1, 255)))
        expected = official(theirs, layers[::-1], correlation, row, column)
        places = windows_around(
            correlation[0].numpy(), [layer[0].numpy() for layer in layers], row, column, windows=network.windows
        )
        (found,) = network.masks(*(torch.from_numpy(part)[None] for part in places))
    assert found.shape == (127, 127)
    assert float(found.std()) > 0
    assert torch.allclose(found, expected, atol=1e-5 * float(expected.abs().max()))


def test_the_coarse_mask_is_the_head_on_one_cell() -> None:
    network = small(COARSE)
    with torch.no_grad():
        _, _, correlation = network.match(network.embed(pixels(2, 127)), pixels(4, 255))
        assert correlation.shape == (2, 2, 8, 25, 25)
        every = network.mask.head(correlation.flatten(0, 1)).reshape(2, 2, 63, 63, 25, 25)
        found = network.masks(correlation[:, 1, :, 3, 20])
        trained = network.mask.coarse_at(correlation[:, 1], torch.tensor([0, 1]), torch.tensor([3, 3]), torch.tensor([20, 20]))
    assert torch.allclose(trained, every[:, 1, :, :, 3, 20], atol=1e-5)
    assert found.shape == (2, 127, 127)
    assert torch.allclose(found[:, ::126, ::126], trained[:, ::62, ::62], atol=1e-5)  # corner to corner


def test_match_is_that_of_each_target_and_patch() -> None:
    network = small(SMALL)
    with torch.no_grad():
        templates, searches = network.embed(pixels(2, 127)), pixels(4, 255)
        together = network.match(templates, searches)
        assert list(network.MAPS) == ["cls", "loc", "correlation", "layer2", "layer1", "layer0"]
        for target in range(2):
            for patch in range(2):
                alone = network.match(templates[target : target + 1], searches[2 * target + patch][None])
                for several, single in zip(together, alone, strict=True):
                    assert torch.allclose(several[target, patch], single[0, 0], atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["siammask-base", "siammask"])
def test_a_checkpoint_becomes_a_model_that_gives_masks(tmp_path: Path, name: str) -> None:
    """On every runtime the same ones; batched as one by one. `export_model` has compared the graphs themselves."""
    settings = COARSE if name == "siammask-base" else SMALL
    network = small(settings)
    last = network.mask.head[-1] if network.refine is None else network.refine.after[-1]
    assert isinstance(last, nn.Conv2d)
    with_borders(network, last)
    content = {theirs: network.state_dict()[ours] for theirs, ours in names_of_siammask(settings).items()}
    export_checkpoint(save(tmp_path / "x.pth", content), tmp_path / "model", licence="MIT", card="")
    assert (tmp_path / "model" / "mask.onnx").is_file()
    assert open_model(tmp_path / "model").settings.mask.threshold == 0.35  # type: ignore[attr-defined]
    assert_masks_agree(tmp_path / "model")
    assert_masks_come_from_the_command_line(tmp_path, noise())


def assert_masks_come_from_the_command_line(folder: Path, frame: NDArray[np.uint8]) -> None:
    pictures(folder / "frames", [frame, frame])
    follow = ("track", "frames", "--box", "60,50,40,30", "--box", "120,40,30,50")
    outputs = ("--masks", "masks", "--cut-out", "cut.webm", "--out", "boxes.txt", "--format", "vot")
    ended = run(*follow, *outputs, "--model", "model", folder=folder)
    assert ended.code == 0, ended.err
    assert sorted(path.name for path in (folder / "masks").iterdir()) == ["00000.png", "00001.png"]
    assert read_labels(folder / "masks" / "00001.png").shape == frame.shape[:2]
    assert (folder / "boxes_0.txt").read_text().splitlines()[1].count(",") == 7
    assert (folder / "cut.webm").is_file()
    refused([*follow, "--masks", "others"], INPUT, "gives boxes and no masks", "leave out --masks", folder=folder)
    assert not (folder / "others").exists()
    refused([*follow, *outputs, "--model", "model"], OUTPUT, "'masks' holds other files", folder=folder)
    refused([*follow, "--set", "mask.threshold=0.5"], INPUT, "mask", folder=folder)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"backbone": "resnet5"}, "The setting backbone is 'resnet5'"),
        ({"channels": 0}, "The setting channels is 0"),
        ({"template_size": 126}, "template_size is 126"),
        ({"template_size": 135}, "template_size is 135; masks are of patches of 127 px"),
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        SiamMaskNetworkSettings(**wrong)  # type: ignore[arg-type]


def test_it_is_trained_with_losses_of_its_own() -> None:
    assert Recipe(model="siammask", loss="refinement").masked
    with pytest.raises(SettingsError, match="loss is 'rpn'"):
        Recipe(model="siammask", loss="rpn")
    with pytest.raises(SettingsError, match="refinement"):
        Recipe(model="siammask", loss="refinement", network={"refined": False})


def test_parts_have_gradients() -> None:
    network = small(SMALL)
    cls, loc, correlation, *layers = (m[:, 0] for m in network.match(network.embed(pixels(1, 127)), pixels(1, 255)))
    places = zip(layers, (4, 8, 16), (15, 31, 61), strict=True)
    masks = network.masks(
        correlation[:, :, 0, 0], *(F.pad(layer, (pad,) * 4)[:, :, :side, :side] for layer, pad, side in places)
    )
    sum((maps.square().mean() for maps in (cls, loc, masks)), start=torch.zeros(())).backward()
    idle = [name for name, value in network.named_parameters() if value.grad is None]
    assert all(name.startswith("mask.head") for name in idle)  # of the coarse masks, which are not asked for
    assert isinstance(network.refine, nn.Module)
