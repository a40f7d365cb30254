"""The recipes of the published settings, made narrow and short: backbones that begin with ImageNet weights and are released."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import INPUT, MODEL, refused, run
from made_up_checkpoints import made_up
from safetensors.torch import save_file
from torch import Tensor
from training_runs import draw_pictures, of_pictures, parameters, rows, same, stop_after

from siamtrack.errors import SettingsError, TrainingError, WeightsError
from siamtrack.layers.imagenet import converted
from siamtrack.layers.resnet import official_name
from siamtrack.models.backbone_weights import imagenet_state
from siamtrack.models.siamdw import names_of_siamdw
from siamtrack.training.checkpoint import last_checkpoint, load_checkpoint
from siamtrack.training.loop import train
from siamtrack.training.origin import check_networks
from siamtrack.training.parameters import optimizer_of
from siamtrack.training.recipe import Recipe
from siamtrack.training.recipes import read_recipe
from siamtrack.training.sources import TrainingData

pytestmark = pytest.mark.slow
PAPERS = (
    "siamrpn-paper",
    "dasiamrpn-paper",
    "siamrpnpp-paper",
    "siamrpnpp-mobilenet-paper",
    "siamdw-paper",
    "siamdw-rpn-paper",
)
NARROW: dict[str, dict[str, Any]] = {
    "siamrpn-paper": {"width": 0.04},
    "dasiamrpn-paper": {"width": 0.04},
    "siamrpnpp-paper": {"width": 4 / 64, "neck_channels": (8, 8, 8)},
    "siamrpnpp-mobilenet-paper": {"width": 0.125, "neck_channels": (8, 8, 8)},
    "siamdw-paper": {"width": 1 / 16},
    "siamdw-rpn-paper": {"width": 1 / 16},
}
RELEASED = {
    "siamrpn-paper": ("conv4", "conv5"),
    "siamrpnpp-paper": ("layer2", "layer3", "layer4"),
    "siamrpnpp-mobilenet-paper": ("layer3", "layer4", "layer5", "layer6", "layer7"),
}


def short(name: str) -> Recipe:
    """Three epochs of two steps; what is released in the middle of the published training is released at step 2."""
    recipe = read_recipe(name)
    network = replace(recipe.network, **NARROW[name], template_size=127, search_size=159)
    first = {prefix: epoch if epoch in (0, math.inf) else 1.0 for prefix, epoch in recipe.first_epoch.items()}
    return replace(
        recipe,
        network=network,
        first_epoch=first,
        search_size=None,
        epochs=3,
        pairs_per_epoch=8,
        batch_size=4,
        accumulation=2,
        checkpoint_steps=1,
        log_steps=1,
    )


def imagenet(recipe: Recipe, seed: int = 7) -> dict[str, Tensor]:
    """Random weights for the recipe's backbone with the names and shapes of PySOT's and SiamDW's files."""
    torch.manual_seed(seed)
    network = recipe.kind.build(recipe.network)
    return {official(recipe, name): value.clone() for name, value in network.backbone.state_dict().items()}


def official(recipe: Recipe, name: str) -> str:
    if recipe.model == "siamrpnpp":
        return official_name(name) if recipe.network.backbone.startswith("resnet") else name
    if recipe.model == "siamrpn":
        return name.replace("conv", "layer")
    theirs = {ours: theirs for theirs, ours in names_of_siamdw(recipe.network).items()}
    return theirs[f"backbone.{name}"].removeprefix("features.")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    return of_pictures(draw_pictures(tmp_path_factory.mktemp("material") / "pictures"))


def last(folder: Path) -> dict[str, Any]:
    path = last_checkpoint(folder)
    assert path is not None
    return load_checkpoint(path)


def backbone_of(network: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix("backbone."): value for name, value in network.items() if name.startswith("backbone.")}


def stopped_after(steps: int, recipe: Recipe, data: TrainingData, folder: Path, **options: Any) -> dict[str, Any]:
    """The last checkpoint of a run that begins or goes on, and is interrupted after so many steps."""
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, steps)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, data, folder, workers=0, **options)
    return last(folder)


# Recipes


@pytest.mark.parametrize("name", PAPERS)
def test_tables_name_parameters_of_the_network(name: str) -> None:
    recipe = read_recipe(name)
    with torch.device("meta"):
        network = recipe.kind.build(recipe.network)
    groups = optimizer_of(recipe, network).param_groups
    assert sum(len(group["params"]) for group in groups) == len(list(network.parameters()))


@pytest.mark.parametrize(
    ("name", "pairs", "negative", "rates"),
    [
        ("siamrpn-paper", 50 * 600_000, 0.05, (0.005, 0.00025)),
        ("dasiamrpn-paper", 50 * 600_000, 0.2, (0.005, 0.00025)),
        ("siamrpnpp-paper", 20 * 600_000, 0.2, (0.005, 0.0005)),
        ("siamrpnpp-mobilenet-paper", 20 * 600_000, 0.2, (0.005, 0.0005)),
        ("siamdw-paper", 50 * 600_000, 0.0, (0.01, 0.00001)),
        ("siamdw-rpn-paper", 50 * 600_000, 0.0, (0.01, 0.00001)),
    ],
)
def test_the_published_numbers(name: str, pairs: int, negative: float, rates: tuple[float, float]) -> None:
    recipe = read_recipe(name)
    assert recipe.steps * recipe.batch_size == pytest.approx(pairs, rel=4e-3)  # without an incomplete batch
    assert recipe.sampling.negative == negative
    assert (recipe.learning_rate, recipe.final_learning_rate) == rates
    assert recipe.learning_rate_at(recipe.steps - 1) == pytest.approx(rates[1])
    assert recipe.patch_size == {"dasiamrpn-paper": 271}.get(name, 255)


def test_a_table_can_be_left_out() -> None:
    """From random weights, as the comment in the recipe says."""
    assert read_recipe("siamdw-paper", ["first_epoch={}"]).first_epoch == {}


@pytest.mark.parametrize("name", ["dasiamrpn-paper", "siamdw-rpn-paper"])
def test_a_run_from_random_weights_goes_on_exactly(tmp_path: Path, data: TrainingData, name: str) -> None:
    """Without a file of ImageNet weights: one epoch, and all that there is learns."""
    recipe = replace(short(name), first_epoch={}, epochs=1)
    train(recipe, data, tmp_path / "whole", workers=0)
    assert stopped_after(1, recipe, data, tmp_path / "stopped")["step"] == 1
    train(recipe, data, tmp_path / "stopped", workers=0)
    after = parameters(tmp_path / "whole")
    assert same(after, parameters(tmp_path / "stopped"))
    assert all(math.isfinite(float(row["loss"])) for row in rows(tmp_path / "whole", "loss"))
    torch.manual_seed(recipe.seed)
    before = recipe.kind.build(recipe.network).state_dict()
    assert not any(torch.equal(after[key], value) for key, value in before.items() if value.ndim == 4)


def test_units_of_siamdw_are_released_from_a_trained_network(tmp_path: Path, data: TrainingData) -> None:
    recipe = short("siamdw-paper")
    torch.manual_seed(7)
    initial = recipe.kind.build(recipe.network)
    start = {name: value.clone() for name, value in initial.state_dict().items()}
    with pytest.raises(SettingsError, match=r"random kernels in backbone\.stem, which never learn"):
        train(recipe, data, tmp_path / "run", workers=0)
    begun = stopped_after(2, recipe, data, tmp_path / "run", initial=initial)["network"]
    train(recipe, data, tmp_path / "run", initial=initial, workers=0)
    assert learnt(start, begun) == {"layer2.4"}
    units = ("1.0", "1.1", "1.2", "2.0", "2.2", "2.3", "2.4")
    assert learnt(start, parameters(tmp_path / "run")) == {f"layer{unit}" for unit in units}


def learnt(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    """The units of SiamDW's backbone with kernels that differ."""
    old, new = backbone_of(before), backbone_of(after)
    changed = [name for name, value in old.items() if value.ndim == 4 and not torch.equal(value, new[name])]
    return {".".join(name.split(".")[:2]) for name in changed}


@pytest.mark.parametrize("name", RELEASED)
def test_a_run_goes_on_exactly_across_the_release_of_its_backbone(tmp_path: Path, data: TrainingData, name: str) -> None:
    """Stopped before, at and after it; gone on with, with and without the file of ImageNet weights."""
    recipe = short(name)
    given = imagenet(recipe)
    start = imagenet_state(recipe.kind.build(recipe.network), given)
    train(recipe, data, tmp_path / "whole", imagenet=given, workers=0)
    for steps, reached, file in ((1, 1, given), (1, 2, given), (2, 4, None)):
        before = stopped_after(steps, recipe, data, tmp_path / "stopped", imagenet=file)
        assert before["step"] == reached
        assert same(backbone_of(before["network"]), start) == (reached <= 2)
    train(recipe, data, tmp_path / "stopped", workers=0)
    assert same(parameters(tmp_path / "whole"), parameters(tmp_path / "stopped"))
    assert all(math.isfinite(float(row["loss"])) for row in rows(tmp_path / "whole", "loss"))
    after = backbone_of(parameters(tmp_path / "whole"))
    changed = {key.split(".")[0] for key, value in after.items() if not torch.equal(value, start[key])}
    assert changed == set(RELEASED[name])
    assert last(tmp_path / "stopped")["backbone"] == last(tmp_path / "whole")["backbone"] != ""


# ImageNet weights


def test_other_imagenet_weights_are_refused(tmp_path: Path, data: TrainingData) -> None:
    recipe = replace(short("siamrpnpp-mobilenet-paper"), epochs=1)
    given, other = imagenet(recipe), imagenet(recipe, seed=8)
    stopped_after(1, recipe, data, tmp_path / "begun", imagenet=given)
    with pytest.raises(TrainingError, match="other ImageNet weights, or none"):
        train(recipe, data, tmp_path / "begun", imagenet=other, workers=0)
    train(recipe, data, tmp_path / "begun", workers=0)
    with pytest.raises(TrainingError, match="other ImageNet weights, or none"):  # what went on without them still knows
        train(recipe, data, tmp_path / "begun", imagenet=other, workers=0)
    train(recipe, data, tmp_path / "begun", imagenet=given, workers=0)
    with pytest.raises(SettingsError, match="random kernels in backbone, which never learn"):
        train(recipe, data, tmp_path / "random", workers=0)
    recipe = replace(recipe, first_epoch={})
    stopped_after(1, recipe, data, tmp_path / "random")
    with pytest.raises(TrainingError, match="other ImageNet weights, or none"):
        train(recipe, data, tmp_path / "random", imagenet=given, workers=0)


def test_imagenet_weights_that_cannot_be_used_are_refused() -> None:
    recipe = short("siamrpnpp-paper")
    given = imagenet(recipe)
    check_networks(recipe, None, None, given)
    with pytest.raises(WeightsError, match=r"do not fit the backbone resnet50 of width [\d.]+: missing: conv1\.weight"):
        check_networks(recipe, None, None, {name: v for name, v in given.items() if name != "conv1.weight"})
    with pytest.raises(WeightsError, match=r"do not fit the backbone mobilenetv2 of width [\d.]+; they look like resnet50: "):
        check_networks(short("siamrpnpp-mobilenet-paper"), None, None, given)
    with pytest.raises(SettingsError, match="give --from or --backbone, not both"):
        check_networks(recipe, None, recipe.kind.build(recipe.network), given)
    with pytest.raises(WeightsError, match=r"do not fit the backbone CIResNet22 of width [\d.]+; they look like resnet50: "):
        check_networks(short("siamdw-paper"), None, None, given)
    for name in ("siamrpn-paper", "siamdw-paper"):
        recipe = short(name)
        given = imagenet(recipe)
        check_networks(recipe, None, None, {**given, "fc.weight": torch.zeros(1000, 8)})
        first, *_ = given
        for wrong, message in (
            ({n: v for n, v in given.items() if n != first}, f"missing: {first}"),
            ({**given, first: given[first] * math.nan}, f"not finite in float32: {first}"),
            ({**given, "other": given[first]}, "do not belong to it: other"),
        ):
            with pytest.raises(WeightsError, match=message) as error:
                check_networks(recipe, None, None, wrong)
            assert "look like" not in str(error.value)
        found = imagenet_state(recipe.kind.build(recipe.network), given)
        name_of = {official(recipe, ours): ours for ours in found}
        assert torch.equal(found[name_of[first]], given[first].flip(1))  # they want blue first


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("pysot-resnet50", "a whole tracker, a siamrpnpp with resnet50 of STVIR/pysot, to begin with by --from"),
        ("pysot-mobilenetv2", "a whole tracker, a siamrpnpp with mobilenetv2 of STVIR/pysot"),
        ("siamdw", "a whole tracker, a siamdw with CIResNet22 of researchmm/SiamDW"),
        ("siammask", "a whole tracker, a siammask with resnet50 of foolwood/SiamMask"),
        ("dasiamrpn", "a whole tracker, a siamrpn of foolwood/DaSiamRPN"),
    ],
)
def test_a_file_of_another_network_is_called_by_what_it_looks_like(file: str, says: str) -> None:
    with pytest.raises(WeightsError) as error:
        check_networks(short("siamrpnpp-paper"), None, None, made_up(file))
    assert f"; they look like {says}" in str(error.value)


def test_the_backbone_of_a_tracker_may_keep_its_prefix() -> None:
    recipe = short("siamrpnpp-paper")
    given = imagenet(recipe)
    network = recipe.kind.build(recipe.network)
    prefixed = {f"backbone.{name}": value for name, value in given.items()}
    assert same(imagenet_state(network, prefixed), imagenet_state(network, given))


def test_the_command_line_begins_with_imagenet_weights(tmp_path: Path) -> None:
    draw_pictures(tmp_path / "pictures")
    narrow = ("network.width=0.0625", "network.neck_channels=[8,8,8]", "network.search_size=159", "network.backbone='resnet18'")
    brief = ("epochs=1", "pairs_per_epoch=4", "batch_size=4", "accumulation=1")
    recipe = read_recipe("siamrpnpp-paper", (*narrow, *brief))
    given = imagenet(recipe)
    save_file(given, tmp_path / "resnet18.safetensors")
    torch.save({"state_dict": {f"module.{name}": value for name, value in given.items()}}, tmp_path / "theirs.pth")
    options = [part for text in (*narrow, *brief) for part in ("--set", text)]
    command = ["train", "siamrpnpp-paper", "--data", "pictures=pictures", *options, "--workers", 0, "--device", "cpu"]
    refused([*command, "--out", "run", "--backbone", "none.pth"], MODEL, "none.pth", folder=tmp_path)
    wider = ("--set", "network.width=0.125", "--out", "run", "--backbone", "theirs.pth")
    refused([*command, *wider], MODEL, "do not fit the backbone resnet18 of width 0.125", folder=tmp_path)
    both = ("--out", "run", "--backbone", "theirs.pth", "--from", "theirs.pth")
    refused([*command, *both], MODEL, "theirs.pth", folder=tmp_path)  # a backbone is no network
    plain = ("train", "siamfc-modern", "--data", "pictures=pictures", "--out", "run")
    refused([*plain, "--backbone", "theirs.pth"], INPUT, "has the backbone AlexNet", "siamrpnpp", folder=tmp_path)
    for out, file in (("a", "resnet18.safetensors"), ("b", "theirs.pth")):
        ended = run(*command, "--out", out, "--backbone", file, folder=tmp_path)
        assert ended.code == 0, ended.err
    assert same(parameters(tmp_path / "a"), parameters(tmp_path / "b"))
    start = converted(recipe.kind.build(recipe.network).backbone, given)
    assert same(backbone_of(parameters(tmp_path / "a")), start)  # it is frozen for ten epochs
