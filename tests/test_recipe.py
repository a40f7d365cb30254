"""Recipes: the ones that come along, what is refused, the learning rate."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from training_runs import RECIPE

from siamtrack.errors import SettingsError
from siamtrack.library import recipe_names
from siamtrack.models.siamfc import SiamFCNetworkSettings
from siamtrack.settings import from_mapping
from siamtrack.training.clip_pairs import SamplingSettings
from siamtrack.training.recipe import Recipe
from siamtrack.training.recipes import read_recipe


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_that_comes_along_can_be_used(name: str) -> None:
    recipe = read_recipe(name)
    assert recipe.steps > 100
    assert recipe.patch_size + 2 * recipe.augment.translation <= recipe.sampling.crop_size + 1e-9


def test_the_paper_is_the_default() -> None:
    paper = read_recipe("siamfc-paper")
    assert (
        replace(paper, **{name: getattr(Recipe(), name) for name in ("search_size", "validation_pairs", "sampling")})
        == Recipe()
    )
    assert paper.steps == 50 * 6650
    rates = [paper.learning_rate_at(epoch * paper.steps_per_epoch) for epoch in range(50)]
    assert rates == pytest.approx(np.logspace(-2, -5, 50))
    assert paper.learning_rate_at(6649) == rates[0]


def test_a_recipe_is_read_by_name_and_by_file_and_changed(tmp_path: Any) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("epochs = 3\n[first_epoch]\n'backbone.conv1' = inf\n", encoding="utf-8")
    recipe = read_recipe(str(path), ["batch_size=4", "augment.grey=0.5"])
    assert (recipe.epochs, recipe.batch_size, recipe.augment.grey) == (3, 4, 0.5)
    assert recipe.first_epoch == {"backbone.conv1": math.inf}
    changed = read_recipe(str(path), ['first_epoch."backbone.conv2"=5.0', "weights.got10k=2"])
    assert changed.first_epoch == {"backbone.conv1": math.inf, "backbone.conv2": 5.0}
    assert changed.weights == {"got10k": 2.0}
    with pytest.raises(SettingsError, match="Did you mean 'siamfc-paper'"):
        read_recipe("siamfc-papr")


def test_an_unknown_key_of_a_recipe_is_named() -> None:
    with pytest.raises(SettingsError, match=r"'batchsize' in r\.toml\. Did you mean 'batch_size'"):
        from_mapping(Recipe, {"batchsize": 3}, where="r.toml")
    with pytest.raises(SettingsError, match=r"'warp_shar' in 'pictures' in r\.toml\. Did you mean 'warp_share'"):
        from_mapping(Recipe, {"pictures": {"warp_shar": 0.3}}, where="r.toml")
    with pytest.raises(SettingsError, match=r"'epochs' in r\.toml is 'x'; expected a whole number"):
        from_mapping(Recipe, {"epochs": "x"}, where="r.toml")
    with pytest.raises(SettingsError, match="Did you mean 'logistic'"):
        Recipe(loss="logistik")


@pytest.mark.parametrize(
    "change",
    [
        {"optimizer": "adam"},
        {"loss": "hinge"},
        {"schedule": "step"},
        {"precision": "float16"},
        {"batch_size": 0},
        {"batch_size": 5, "accumulation": 2},
        {"pairs_per_epoch": 3},
        {"epochs": 0},
        {"checkpoint_steps": 0},
        {"learning_rate": 0.0},
        {"learning_rate": math.nan},
        {"final_learning_rate": -1e-6},
        {"clip_norm": -1.0},
        {"ema_decay": 1.0},
        {"warmup_share": 9.0},
        {"weight_decay": math.nan},
        {"momentum": 1.0},
        {"teacher_weight": -1.0},
        {"seed": -1},
        {"validation_pairs": -1},
        {"validation_pairs": 3, "select": "best"},
        {"schedule": "geometric", "final_learning_rate": 0.0},
        {"sampling": SamplingSettings(crop_size=142)},
        {"first_epoch": {"backbone": -1.0}},
        {"rate_factor": {"backbone": math.nan}},
        {"weights": {"coco": -1.0}},
        {"search_size": 128},
        {"search_size": 87},
        {"network": SiamFCNetworkSettings(template_size=95, search_size=130)},
    ],
)
def test_impossible_recipes_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        replace(RECIPE, **change)


@pytest.mark.parametrize("wrong", ["search_size", "network.search_size"])
def test_the_size_that_does_not_fit_is_named_and_the_advice_works(wrong: str) -> None:
    with pytest.raises(SettingsError) as error:
        read_recipe("siamrpn-small", [f"{wrong}=256"])
    (advice,) = re.findall(r"for example (\S+)\.$", str(error.value))
    assert advice.startswith(f"{wrong}=")
    assert read_recipe("siamrpn-small", [f"{wrong}=256", advice]).patch_size == 255


def test_a_search_size_of_nothing_is_no_missing_one() -> None:
    with pytest.raises(SettingsError, match=r"for example search_size=255\.$"):
        read_recipe("siamrpn-small", ["search_size=0"])


@pytest.mark.parametrize(("setting", "named"), [("network.width=200", r"network\.width"), ("world.width=1", r"world\.width")])
def test_a_setting_outside_its_limits_is_named_with_its_table(setting: str, named: str) -> None:
    with pytest.raises(SettingsError, match=f"The setting {named} is"):
        read_recipe("siamdw-small", [setting])


def test_pysots_rate_rises_for_five_epochs_and_falls_from_there() -> None:
    """`LR_WARMUP` of siamrpn_r50_l234_dwxcorr_8gpu: numpy.logspace from 0.005 to 0.0005 after five epochs from 0.001 up."""
    recipe = read_recipe("siamrpnpp-paper")
    rates = [recipe.learning_rate_at(epoch * recipe.steps_per_epoch + 7) for epoch in range(20)]
    assert rates[:6] == pytest.approx([0.001, 0.00137973, 0.00190365, 0.00262653, 0.0036239, 0.005], rel=1e-4)
    assert rates[5:] == pytest.approx(np.logspace(np.log10(0.005), np.log10(0.0005), 15).tolist())


@pytest.mark.parametrize(
    "values",
    [
        {"warmup_epochs": 2},
        {"warmup_learning_rate": 0.1},
        {"warmup_epochs": 2, "warmup_learning_rate": 0.1, "warmup_share": 0.1},
    ],
)
def test_a_warmup_is_told_in_one_way(values: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="warmup_epochs is"):
        Recipe(**values)


def test_the_learning_rate_warms_up_and_falls() -> None:
    recipe = replace(RECIPE, epochs=4, pairs_per_epoch=1000, warmup_share=0.1)
    rates = [recipe.learning_rate_at(step) for step in range(recipe.steps + 1)]
    assert rates[0] == pytest.approx(1e-3 / 100)
    assert max(rates) == rates[100] == pytest.approx(1e-3)
    assert (np.diff(rates[:100]) > 0).all()
    assert (np.diff(rates[100:]) < 0).all()
    assert rates[-1] == pytest.approx(1e-6)


@pytest.mark.parametrize("schedule", ["cosine", "steps", "geometric"])
def test_a_schedule_begins_after_the_epochs_of_warmup(schedule: str) -> None:
    """With the full rate, in the first epoch after them; and ends where it would without them."""
    recipe = replace(RECIPE, epochs=20, pairs_per_epoch=200, schedule=schedule, final_learning_rate=1e-5, drop_epochs=5)
    warmed = replace(recipe, warmup_epochs=5, warmup_learning_rate=1e-4)
    rates = [warmed.learning_rate_at(step) for step in range(warmed.steps)]
    after = 5 * warmed.steps_per_epoch
    assert rates[0] == pytest.approx(1e-4)
    assert max(rates[:after]) < rates[after] == max(rates) == pytest.approx(warmed.learning_rate)
    assert rates[after + 4 * warmed.steps_per_epoch] <= rates[after]
    if schedule == "steps":
        drops = [rates[after + epoch * warmed.steps_per_epoch] for epoch in (4, 5, 10)]
        assert drops == pytest.approx([warmed.learning_rate * factor for factor in (1, 0.1, 0.01)])
    else:
        assert rates[-1] == pytest.approx(recipe.learning_rate_at(recipe.steps - 1), rel=0.05)


def test_the_other_schedules() -> None:
    recipe = replace(RECIPE, epochs=60, pairs_per_epoch=40, learning_rate=0.1)
    steps = replace(recipe, schedule="steps", drop_epochs=25, drop_factor=0.1)
    assert [steps.learning_rate_at(10 * epoch) for epoch in (0, 24, 25, 49, 50)] == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001])
    constant = replace(recipe, schedule="constant")
    assert {constant.learning_rate_at(step) for step in range(600)} == {0.1}
