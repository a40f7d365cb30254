"""NanoTrack learnt part by part: each part by itself from what a teacher of the same layout makes of it."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch
from made_up_nanotrack import STUDENT, pixels, write_nanotrack

from siamtrack.errors import SettingsError
from siamtrack.models.nanotrack import NanoTrack, NanoTrackNetworkSettings
from siamtrack.settings import from_mapping
from siamtrack.training.nanotrack import PublishedNanoTrack, Taps
from siamtrack.training.nanotrack_parts import NanoTrackParts
from siamtrack.training.parts import begin_with, verdict_of
from siamtrack.training.recipe import Recipe
from siamtrack.training.teacher import check_teacher


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_nanotrack(tmp_path)


class Knows(PublishedNanoTrack):
    """A teacher that is a network of the student's own layout."""

    def __init__(self, network: NanoTrack) -> None:
        torch.nn.Module.__init__(self)
        self._network = network

    @torch.no_grad()
    def forward(self, z: torch.Tensor, x: torch.Tensor) -> Taps:
        backbone = self._network.backbone
        features = []
        for seen in (z, x):
            found = [backbone.stem[:2](seen), backbone.stem(seen)]
            for block in backbone.blocks:
                found.append(block(found[-1]))
            features.append(found)
        answers = []
        for branch in (self._network.head.cls, self._network.head.loc):
            pixelwise, depthwise = branch.correlations(features[0][-1], features[1][-1])
            said = [pixelwise, branch.join(torch.cat((pixelwise, depthwise), 1))]
            for block in branch.tower:
                said.append(block(said[-1]))
            answers.append([*said, branch.answer(said[-1])])
        answers[1][-1] = answers[1][-1] + math.log(32)
        return Taps(*features, *answers)


def random_network(seed: int) -> NanoTrack:
    """With norms that do something."""
    torch.manual_seed(seed)
    network = NanoTrack().eval()
    for norm in network.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
            torch.nn.init.uniform_(norm.bias, -0.5, 0.5)
            torch.nn.init.uniform_(norm.running_var, 0.5, 1.5)
    return network


def test_parts_that_agree_have_no_error() -> None:
    network = random_network(0)
    parts = list(NanoTrackParts(Knows(network)).parts(network, pixels(127), pixels(255)))
    assert len(parts) == 10 + 10 + 9 + 9
    for part in parts:
        assert torch.allclose(part.said, part.wanted, atol=1e-4 * float(part.wanted.abs().max()))
    verdict = verdict_of(iter(parts))
    assert float(verdict.loss.detach()) == pytest.approx(0, abs=1e-6)
    assert float(verdict.accuracy) == pytest.approx(1, abs=1e-6)


def test_every_part_learns_by_itself() -> None:
    """Its error moves its own parameters alone, and all parameters are some part's; but for its norm it gets the teacher's."""
    network, teacher = random_network(0), random_network(1)
    owners: dict[str, int] = {}
    for number, part in enumerate(NanoTrackParts(Knows(teacher)).parts(network, pixels(127), pixels(255))):
        network.zero_grad()
        verdict_of(iter([part])).loss.backward(retain_graph=True)  # type: ignore[no-untyped-call]
        moved = {name for name, p in network.named_parameters() if p.grad is not None and p.grad.any()}
        assert moved
        place = number % 10 if number < 20 else number
        for name in moved:
            if "template" not in name and "search" not in name:  # both correlations are made of the same
                assert owners.setdefault(name, place) == place, name
    silent = {name for name, _ in network.named_parameters()} - set(owners)
    assert all("template" in name or "search" in name for name in silent)


def test_parts_begin_with_the_deviation_and_mean_that_they_should_have() -> None:
    network, teacher = random_network(0).train(), random_network(1)
    knows = NanoTrackParts(Knows(teacher))
    z, x = pixels(127, 4), pixels(255, 4)
    before = float(verdict_of(knows.parts(network, z, x)).loss.detach())
    begin_with(knows.parts(network, z, x))
    parts = list(knows.parts(network, z, x))
    for part in parts[10:20]:  # norms are those of search patches, which come last
        assert torch.allclose(part.said.mean((0, 2, 3)), part.wanted.mean((0, 2, 3)), atol=0.2 * float(part.wanted.std()))
    assert float(verdict_of(iter(parts)).loss.detach()) < before / 2
    stem = parts[10].normed
    assert stem is not None
    assert torch.allclose(network.backbone.stem[1].bias, stem.mean((0, 2, 3)), rtol=1e-4)


@pytest.mark.parametrize("expansion", [1, 2])
def test_a_student_learns_part_by_part(expansion: int) -> None:
    """One that has more channels inside its parts than the teacher, too."""
    torch.manual_seed(0)
    settings = NanoTrackNetworkSettings(expansion=expansion)
    network, knows = NanoTrack(settings).train(), NanoTrackParts(Knows(random_network(1)))
    z, x = pixels(127), pixels(255)
    begin_with(knows.parts(network, z, x))
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    losses = []
    for _ in range(12):
        loss = verdict_of(knows.parts(network, z, x)).loss
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 2


PARTS = {**STUDENT, "teaching": "parts", "teacher_weight": 0.0, "network": {}}


def test_who_can_teach_by_parts(folder: Path) -> None:
    recipe = from_mapping(Recipe, PARTS, where="test")
    check_teacher(PublishedNanoTrack(folder), recipe)
    with pytest.raises(SettingsError, match="no teacher was given"):
        check_teacher(None, recipe)
    with pytest.raises(SettingsError, match="nothing else is learnt then"):
        check_teacher(PublishedNanoTrack(folder), dataclasses.replace(recipe, teacher_weight=1.0))
    with pytest.raises(SettingsError, match=r"The teacher is a nanotrack, .* published files of NanoTrack v3 alone"):
        check_teacher(NanoTrack(), recipe)
    shorter = from_mapping(Recipe, {**PARTS, "network": {"tower": 5}}, where="test")
    with pytest.raises(SettingsError, match="parts of a tower of 6"):
        check_teacher(PublishedNanoTrack(folder), shorter)
