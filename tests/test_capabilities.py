"""The table of what siamtrack can do with every tracker: it is true, and the documentation has it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoint_files import save
from every_network import NETWORKS, has_rpn_head, network_of
from made_up_checkpoints import TITLES, made_up

from siamtrack.errors import SettingsError
from siamtrack.export.capabilities import COLUMNS, TRACKERS, markdown, rows
from siamtrack.export.onnx import export_model
from siamtrack.library import RUNTIMES, model_names, open_model, tracker_around
from siamtrack.model_folder import Description
from siamtrack.models.checkpoints import read_checkpoint
from siamtrack.models.kinds import kind_of, model_kind, model_kinds
from siamtrack.runtimes.torch import torch_network
from siamtrack.settings import from_mapping
from siamtrack.synthetic.scene import Scene
from siamtrack.tracking import Tracker, gives_masks
from siamtrack.training.objective import Objective
from siamtrack.training.recipe import Recipe
from siamtrack.training.recipes import read_recipe

PAGE = Path(__file__).parent.parent / "docs" / "networks.md"
NARROW = {
    "SiamFC": ["siamfc"],
    "SiamDW, SiamFC's head": ["siamdw-CIResNet22"],
    "SiamDW, SiamRPN's head": ["siamdw-CIResNet22-rpn"],
    "SiamRPN": ["siamrpn-up-channel", "siamrpn-depthwise"],
    "DaSiamRPN": ["siamrpn-up-channel"],
    "SiamRPN++": ["siamrpnpp-resnet18", "siamrpnpp-mobilenetv2"],
    "SiamMask": ["siammask-coarse", "siammask"],
    "NanoTrack v3": ["nanotrack"],
    "NanoTrack v3 with masks": ["nanotrack-masks"],
}
"""Of `every_network`, by row of the table."""

LONG_TERM = {"search_size": 271, "low": 0.5, "high": 0.6}
ROWS = {row[0]: dict(zip(COLUMNS, row, strict=True)) for row in rows()}
every_row = pytest.mark.parametrize("title", ROWS)


def listed(cell: str) -> set[str]:
    return {name.strip("`") for name in cell.split(", ")} - {"-"}


def tracker_of(network: Any, **settings: Any) -> Tracker[Any]:
    procedure, implied = model_kind(kind_of(network)).procedure(network.settings)
    return tracker_around(torch_network(network), procedure, dict(implied) | settings)


def test_the_documentation_has_the_table() -> None:
    if not PAGE.is_file():
        pytest.skip("the documentation is not here")
    assert markdown() in PAGE.read_text(encoding="utf-8"), (
        "docs/networks.md has another table; put in what 'python -m siamtrack.export.capabilities' prints."
    )


def test_every_kind_and_every_embedded_model_is_in_it() -> None:
    assert {row["build"].split("`")[1] for row in ROWS.values()} == set(model_kinds())
    embedded = {name for row in ROWS.values() for name in listed(row["embedded"])}
    assert embedded == {named.folder.name for named in model_names().values()}
    for row in ROWS.values():
        for name in listed(row["embedded"]):
            tracker = open_model(name)
            assert gives_masks(tracker) == (row["masks"] == "yes")
            assert hasattr(tracker.settings, "long_term") == (row["long-term"] == "yes")  # type: ignore[attr-defined]


def test_the_table_says_what_is_known() -> None:
    """Written down by hand: what the rest of this file cannot notice is a row, or a name in one, that has vanished."""
    assert set(ROWS) == set(NARROW)
    assert listed(ROWS["SiamMask"]["train with"]) == {"mask", "refinement"}
    assert listed(ROWS["DaSiamRPN"]["recipes"]) == {"dasiamrpn-paper"}
    assert listed(ROWS["DaSiamRPN"]["import"]) == {"foolwood/DaSiamRPN"}
    assert "dasiamrpn-paper" not in listed(ROWS["SiamRPN"]["recipes"])
    assert all(row["export"] == "yes" for row in ROWS.values())


@every_row
def test_its_networks_are_trained_with_these_losses_and_no_others(title: str) -> None:
    """Each that is there for one of its networks gives a gradient to all that this loss is said to teach."""
    names = {loss for row in ROWS.values() for loss in listed(row["train with"])}
    found = set()
    for name in NARROW[title]:
        network = copy.deepcopy(network_of(name)).train()
        if not has_rpn_head(name):  # responses of hundreds are so sure that some losses have no gradient
            network.register_forward_hook(lambda _module, _inputs, answer: (answer[0] / answer[0].std().detach(), *answer[1:]))
        model, settings = NETWORKS[name]
        for key, value in TRACKERS[title].network.items():
            assert getattr(network.settings, key) == value
        for loss in names:
            try:
                recipe = Recipe(model=model, loss=loss, network={"search_size": 143} | settings, search_size=143)
            except SettingsError:
                continue
            found.add(loss)
            network.zero_grad()
            verdict = Objective(network, recipe, None)(*a_batch(recipe.kind.masks(recipe.network)))
            assert torch.isfinite(verdict.loss)
            verdict.loss.backward()
            assert any(value.grad is not None and value.grad.any() for value in network.parameters())
    assert found == listed(ROWS[title]["train with"])


def a_batch(masked: bool) -> tuple[Any, ...]:
    """Two pairs, as `Objective` takes them."""
    scenes = [Scene(143, 143, objects=2, seed=seed).image(0) for seed in range(4)]
    pixels = torch.from_numpy(np.stack(scenes)).permute(0, 3, 1, 2).float()
    boxes = torch.tensor([[39.5, 39.5, 64, 64]] * 2)
    masks = torch.zeros((2, 143, 143) if masked else (2, 0, 0), dtype=torch.uint8)
    masks[:, 45:100, 40:104] = 1
    offsets = torch.tensor([[0.0, 0.0], [12.0, 12.0]])  # px: all 3 x 3 cells of SiamFC on the target, and some beside it
    return pixels[:2, :, 8:135, 8:135], pixels[2:], offsets, boxes, torch.zeros(2, dtype=torch.bool), masks, 0


@every_row
def test_its_networks_track(title: str) -> None:
    row = ROWS[title]
    scene = Scene(200, 150, objects=2)
    for name in NARROW[title]:
        network = network_of(name)
        assert model_kind(kind_of(network)).procedure(network.settings)[0] == row["track"].strip("`")
        for column, setting in (("long-term", {"long_term": LONG_TERM}), ("look-alikes", {"distractors": {"most": 2}})):
            if row[column] != "yes":
                with pytest.raises(SettingsError, match=next(iter(setting))):
                    tracker_of(network, **setting)
                continue
            tracker = tracker_of(network, **setting)
            states = tracker.start(scene.image(0), [scene.box(0, 0)])
            for frame in (1, 2):
                states, (prediction,) = tracker.step(scene.image(frame), states)
        tracker = tracker_of(network)
        _, (prediction,) = tracker.step(scene.image(1), tracker.start(scene.image(0), [scene.box(0, 0)]))
        assert np.isfinite(prediction.box).all()
        assert (prediction.mask is not None) == gives_masks(tracker) == (row["masks"] == "yes")


@every_row
def test_its_recipes_are_of_its_networks(title: str) -> None:
    row = ROWS[title]
    for name in listed(row["recipes"]):
        recipe = read_recipe(name)
        assert recipe.model == TRACKERS[title].model
        assert recipe.loss in listed(row["train with"])


@pytest.mark.parametrize("name", ["siamfc", "dasiamrpn", "pysot-alexnet", "siammask-base", "siamdw", "siamdw-rpn"])
def test_imported_checkpoints_are_of_its_networks(tmp_path: Path, name: str) -> None:
    network = read_checkpoint(save(tmp_path / "x.pth", made_up(name)))
    titles = [title for title, row in ROWS.items() if TITLES[name] in listed(row["import"])]
    fits = [
        title
        for title in titles
        if TRACKERS[title].model == kind_of(network)
        and all(getattr(network.settings, key) == value for key, value in TRACKERS[title].network.items())
    ]
    assert len(fits) == 1


@pytest.mark.long
@every_row
def test_its_networks_are_exported_and_opened_on_every_runtime(tmp_path: Path, title: str) -> None:
    """`export_model` compares the answers with PyTorch's."""
    assert ROWS[title]["export"] == "yes"
    name = NARROW[title][-1]
    network, model = network_of(name), NETWORKS[name][0]
    procedure, implied = model_kind(model).procedure(network.settings)
    description = Description(
        name=name,
        model=model,
        tracker=procedure,
        licence="MIT",
        card="",
        network=vars(network.settings),
        settings=dict(implied),
    )
    assert from_mapping(model_kind(model).settings, description.network, where=name) == network.settings
    export_model(network, tmp_path / "model", description)
    scene = Scene(200, 150, objects=2)
    for runtime in RUNTIMES:
        tracker = open_model(tmp_path / "model", runtime=runtime, precision="float32")
        _, (prediction,) = tracker.step(scene.image(1), tracker.start(scene.image(0), [scene.box(0, 0)]))
        assert np.isfinite(prediction.box).all()
        assert (prediction.mask is not None) == (ROWS[title]["masks"] == "yes")
