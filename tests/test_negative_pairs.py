"""Negative pairs: a template and a search patch of two targets, from every kind of data to the losses and through a run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from drawn_material import disc, noise, write
from test_clip_pairs import clip, pairs_of, target
from test_kinds import recipe_of
from training_runs import RECIPE, draw_clips, draw_pictures, of_pictures, rows

from siamtrack.errors import SettingsError
from siamtrack.models.model import Targets
from siamtrack.models.siamfc import siamfc_losses
from siamtrack.pair import Pair
from siamtrack.synthetic import photometric
from siamtrack.synthetic.material import Material, find_material
from siamtrack.synthetic.pairs import PairSettings, PairSource
from siamtrack.training import loop
from siamtrack.training.clip_pairs import SamplingSettings
from siamtrack.training.data import Batch, batches
from siamtrack.training.loop import train
from siamtrack.training.sources import TrainingData, open_data

WORLD_RECIPE = replace(RECIPE, sampling=replace(RECIPE.sampling, negative=0.5))


def clips_shown(pair: Pair) -> tuple[int, int]:
    """The clips of template and search patch, from the colours that `test_clip_pairs.Numbered` gives their frames."""
    return int(pair.template[63, 63, 0]), int(pair.search[127, 127, 0])


# Annotated clips


def test_the_share_of_negative_pairs_and_what_they_show() -> None:
    clips = [clip(n, target(range(9), boxes=np.tile([90.0, 70, 30 + 9 * n, 60], (9, 1)))) for n in range(5)]
    pairs = pairs_of(clips, negative=0.3)
    found = [pairs[number] for number in range(120)]
    assert 0.2 < np.mean([pair.absent for pair in found]) < 0.4
    for pair in found:
        template, search = clips_shown(pair)
        assert pair.absent == (template != search)
        w, h = 30 + 9 * search, 60  # the box is that of the object in the search patch
        assert pair.box[2] / pair.box[3] == pytest.approx(w / h, rel=1e-4)
        assert np.abs(pair.box[:2] + pair.box[2:] / 2 - 127.5 - pair.offset).max() < 1e-3
    assert {clips_shown(pair)[1] for pair in found if pair.absent} == set(range(5))


def test_a_target_of_the_same_category_is_preferred() -> None:
    clips = [clip(n, target(range(3), category="duck" if n < 3 else "car")) for n in range(6)]
    pairs = pairs_of(clips, negative=1.0)
    alike = [(a < 3) == (b < 3) for a, b in (clips_shown(pairs[number]) for number in range(60))]
    assert np.mean(alike) > 0.9  # by chance 0.4


@pytest.mark.parametrize(("share", "low", "high"), [(0.5, 0.3, 0.7), (0.0, 0.0, 0.1)])
def test_both_kinds_of_negative_pairs_in_the_share_that_is_asked_for(share: float, low: float, high: float) -> None:
    """Zhu et al. 2018, sec. 3.2: of the same category, and of others."""
    clips = [clip(n, target(range(3), category="duck" if n < 3 else "car")) for n in range(6)]
    pairs = pairs_of(clips, negative=1.0, same_category=share)
    alike = [(a < 3) == (b < 3) for a, b in (clips_shown(pairs[number]) for number in range(80))]
    assert low <= np.mean(alike) <= high


def test_two_clips_of_one_video_are_no_negative_pair() -> None:
    """Named after a video on YouTube, they may well show the same object."""
    names = ["aBc4567890x_0", "aBc4567890x_1", "zYx7654321a_0"]
    clips = [replace(clip(n, target(range(3))), name=name) for n, name in enumerate(names)]
    pairs = pairs_of(clips, negative=1.0)
    found = {clips_shown(pairs[number]) for number in range(60)}
    assert {pair for pair in found if pair[0] != pair[1]} == {(0, 2), (1, 2), (2, 0), (2, 1)}


def test_without_another_clip_that_can_be_read_pairs_are_positive() -> None:
    alone = pairs_of([clip(1, target(range(5)))], negative=1.0)
    assert not any(alone[number].absent for number in range(10))
    unreadable = pairs_of([clip(1, target(range(5))), clip(77, target(range(5)))], negative=1.0)
    for number in range(20):
        pair = unreadable[number]
        assert not pair.absent
        assert "clip 77 cannot be read" in pair.skipped[0]


@pytest.mark.parametrize("share", [-0.1, 1.5, math.nan])
def test_an_impossible_share_is_refused(share: float) -> None:
    with pytest.raises(SettingsError, match="negative"):
        SamplingSettings(negative=share)


# Pictures


def coloured(folder: Path, *kinds: str) -> Material:
    """Pictures of which each is of one colour, with a white disc in the box of the tracks."""
    for number, colour in enumerate(np.eye(3, dtype=np.uint8)):
        picture = (noise(200, 240, seed=number) // 2 + 127) * colour
        picture = cv2.circle(picture, (100, 90), 25, (255, 255, 255), -1)
        if "still" in kinds:
            write(folder / "stills" / f"{number}.png", picture)
        if "track" in kinds:
            for frame in range(3):
                write(folder / f"track{number}" / "img" / f"{frame}.png", picture)
            (folder / f"track{number}" / "groundtruth.txt").write_text("70,60,60,60\n" * 3)
    if "cutout" in kinds:
        write(folder / "disc.png", disc())
    return find_material([folder])


def colour(image: np.ndarray) -> int:
    return int(image.mean((0, 1)).argmax())


@pytest.mark.parametrize("kind", ["still", "track"])
def test_the_search_patch_is_of_another_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(photometric, "random_quality", lambda image, rng: image)
    settings = PairSettings(warp_share=kind == "still", paste_share=0, track_share=kind == "track", grey_share=0)
    material = coloured(tmp_path, kind)
    source = PairSource(material, settings, seed=0, negative=0.5)
    found = [source[number] for number in range(60)]
    assert 0.3 < np.mean([pair.absent for pair in found]) < 0.7
    assert all(pair.absent == (colour(pair.template) != colour(pair.search)) for pair in found)
    only = replace(material, stills=material.stills[:1], tracks=material.tracks[:1])
    single = PairSource(only, settings, seed=0, negative=1.0)
    assert not any(single[number].absent for number in range(5))


def test_box_and_offset_are_those_of_the_other_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a mirror, too."""
    monkeypatch.setattr(photometric, "random_quality", lambda image, rng: image)
    settings = PairSettings(warp_share=0, paste_share=0, track_share=1, grey_share=0)
    source = PairSource(coloured(tmp_path, "track"), settings, seed=3, negative=1.0)
    for number in range(30):
        pair = source[number]
        assert pair.absent
        y, x = (float(where.mean()) + 0.5 - 127.5 for where in np.where(pair.search.min(2) > 128))
        assert np.abs(pair.offset - (x, y)).max() < 4
        assert np.abs(pair.box[:2] + pair.box[2:] / 2 - 127.5 - (x, y)).max() < 4


def test_a_cut_out_is_no_other_object_than_itself(tmp_path: Path) -> None:
    material = coloured(tmp_path, "still", "cutout")
    pasted = PairSource(material, PairSettings(warp_share=0, track_share=0, paste_share=1), seed=3, negative=1.0)
    assert not any(pasted[number].absent for number in range(5))
    mixed = PairSource(material, PairSettings(warp_share=1, track_share=0, paste_share=1), seed=3, negative=1.0)
    assert np.mean([mixed[number].absent for number in range(20)]) > 0.8


# Worlds, and batches


def test_the_object_of_a_negative_pair_is_in_another_scene() -> None:
    data = open_data([("world", None)], RECIPE.crops)
    plans = data.unpainted(replace(WORLD_RECIPE, paint="device"))
    found: list[Any] = [plans[number] for number in range(20)]
    assert 0.25 < np.mean([plan.absent for plan in found]) < 0.75
    for plan in found:
        assert plan.absent == (plan.template.shot.ground is not plan.search.shot.ground)


def test_batches_say_which_pairs_are_negative(tmp_path: Path) -> None:
    data = TrainingData(material=draw_pictures(tmp_path / "pictures"), world=open_data([("world", None)], RECIPE.crops).world)
    recipe = replace(WORLD_RECIPE, paint="device")
    pairs = data.pairs(recipe, "training")
    expected = [pairs[number].absent for number in range(8)]
    assert 0 < sum(expected) < 8
    (black,) = batches(data.unpainted(recipe), range(8), batch_size=8, workers=0)
    assert black.plans is not None
    for batch in (black, black.painted(torch.device("cpu"))):
        assert batch.absent.dtype == torch.bool
        assert batch.absent.tolist() == expected


def test_held_out_pairs_are_negative_as_often(tmp_path: Path) -> None:
    data = open_data([("folder", draw_clips(tmp_path))], RECIPE.crops)
    recipe = replace(RECIPE, sampling=replace(RECIPE.sampling, negative=0.5, validation_share=0.5))
    for part in ("training", "validation"):
        pairs = data.pairs(recipe, part)  # type: ignore[arg-type]
        assert 0.2 < np.mean([pairs[number].absent for number in range(30)]) < 0.8


# Losses


def targets(absent: Sequence[bool], size: int = 255) -> Targets:
    count = len(absent)
    boxes = torch.tensor([[size / 2 - 32, size / 2 - 32, 64.0, 64.0]]).expand(count, 4)
    return Targets(torch.zeros(count, 2), boxes, torch.tensor(absent), size, 0)


@pytest.mark.parametrize("loss", ["logistic", "bce", "contrastive", "triplet"])
def test_siamfc_is_told_that_there_is_no_target(loss: str) -> None:
    judge = siamfc_losses(None)[loss]
    high = torch.zeros(2, 17, 17)
    high[:, 8, 8] = 6.0
    there, one, none = (judge((high,), targets(absent)) for absent in ([False] * 2, [False, True], [True] * 2))
    assert [verdict.accuracy.item() for verdict in (there, one, none)] == [1, 1, 0]
    responses = high.clone().requires_grad_()
    verdict = judge((responses,), targets([True, True]))
    verdict.loss.backward()
    assert math.isfinite(verdict.loss.item())
    assert responses.grad is not None
    assert torch.isfinite(responses.grad).all()
    if loss == "triplet":  # it compares cells of both kinds, of which there is one alone
        assert verdict.loss.item() == 0
    else:
        assert (responses.grad > 0).all()  # every response is to fall


def test_rpn_is_told_that_there_is_no_target() -> None:
    recipe = recipe_of("siamrpn depthwise")
    judge = recipe.kind.losses(recipe.network)["rpn"]
    cls, loc = torch.zeros(1, 10, 17, 17, requires_grad=True), torch.zeros(1, 20, 17, 17, requires_grad=True)
    judge((cls, loc), targets([True])).loss.backward()
    assert cls.grad is not None
    assert loc.grad is not None
    against, towards = cls.grad.reshape(2, 5, 17, 17)
    assert (towards >= 0).all()
    assert int((towards > 0).sum()) == 16
    assert towards[:, 5:12, 5:12].sum() == towards.sum()  # among the 7 x 7 cells around the object
    assert torch.equal(against, -towards)
    assert not loc.grad.any()


# Runs


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    return of_pictures(draw_pictures(tmp_path_factory.mktemp("material") / "pictures"))


def changed(change: Callable[[Batch], Batch]) -> Callable[..., Iterator[Batch]]:
    """`siamtrack.training.data.batches` with every batch changed."""
    return lambda *args, **options: (change(batch) for batch in batches(*args, **options))


@pytest.mark.parametrize("name", ["siamfc", "siamrpn depthwise"])
def test_a_run_of_negative_pairs_alone_stays_finite(tmp_path: Path, data: TrainingData, name: str) -> None:
    recipe = recipe_of(name)
    recipe = replace(recipe, sampling=replace(recipe.sampling, negative=1.0))
    learnt = train(recipe, data, tmp_path, workers=0)
    assert all(torch.isfinite(value).all() for value in learnt.state_dict().values())
    found = rows(tmp_path, "loss", "accuracy", "validation_loss")
    assert all(math.isfinite(float(row["loss"])) for row in found)
    if name == "siamfc":
        assert {float(row["accuracy"]) for row in found} == {0.0}
    assert math.isfinite(float(found[-1]["validation_loss"]))


def test_a_run_whose_targets_fit_no_anchor_stays_finite(
    tmp_path: Path, data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Specks, and one without area: there is no positive anchor in the whole batch."""

    def small(batch: Batch) -> Batch:
        boxes = batch.boxes.clone()
        boxes[:, 2:] = 2.0
        boxes[0, 2:] = 0.0
        return batch._replace(boxes=boxes)

    monkeypatch.setattr(loop, "batches", changed(small))
    recipe = replace(recipe_of("siamrpn depthwise"), validation_pairs=0)
    learnt = train(recipe, data, tmp_path, workers=0)
    assert all(torch.isfinite(value).all() for value in learnt.state_dict().values())
    losses = [float(row["loss"]) for row in rows(tmp_path, "loss")]
    assert len(losses) == recipe.steps
    assert all(math.isfinite(loss) for loss in losses)
    assert losses[-1] < losses[0]  # of the negative anchors
