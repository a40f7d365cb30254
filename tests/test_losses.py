"""Losses on the score map: each against its formula written out, at any size of score, and learnt from by a network."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from siamtrack.layers.losses import (
    CONTRASTIVE_MARGIN,
    LOSSES,
    contrastive_loss,
    triplet_loss,
)
from siamtrack.models.siamfc import SiamFC, SiamFCNetworkSettings, labels, peak_is_positive
from siamtrack.synthetic.scene import Scene

NAMES = sorted(LOSSES)
LARGEST = {torch.float32: 1e4, torch.bfloat16: 1e4, torch.float16: 6e4}
CENTRED = labels(torch.zeros(1, 2), 17)  # 13 positive and 276 negative cells


def with_gradient(name: str, responses: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    leaf = responses.detach().clone().requires_grad_()
    loss = LOSSES[name](leaf, targets)
    loss.backward()
    assert leaf.grad is not None
    return loss.detach(), leaf.grad


# Values, against the formulas in float64


def logistic(vp: NDArray[np.float64], vn: NDArray[np.float64]) -> float:
    return float(0.5 * np.log(1 + np.exp(-vp)).mean() + 0.5 * np.log(1 + np.exp(vn)).mean())


def cross_entropy(vp: NDArray[np.float64], vn: NDArray[np.float64]) -> float:
    return float(-0.5 * np.log(1 / (1 + np.exp(-vp))).mean() - 0.5 * np.log(1 - 1 / (1 + np.exp(-vn))).mean())


def contrastive(vp: NDArray[np.float64], vn: NDArray[np.float64]) -> float:
    near, far = np.log(1 + np.exp(-vp)), np.log(1 + np.exp(-vn))
    return float(0.5 * (near**2 / 2).mean() + 0.5 * (np.maximum(0, 2 * np.log(2) - far) ** 2 / 2).mean())


def triplet(vp: NDArray[np.float64], vn: NDArray[np.float64]) -> float:
    return -sum(math.log(math.exp(p) / (math.exp(p) + math.exp(n))) for p in vp for n in vn) / (len(vp) * len(vn))


FORMULAS: dict[str, Callable[[NDArray[np.float64], NDArray[np.float64]], float]] = {
    "logistic": logistic,
    "bce": cross_entropy,
    "contrastive": contrastive,
    "triplet": triplet,
}


def by_formula(name: str, responses: torch.Tensor, targets: torch.Tensor) -> float:
    maps = [(v.double().numpy(), y.numpy()) for v, y in zip(responses, targets, strict=True)]
    return float(np.mean([FORMULAS[name](v[y > 0], v[y < 0]) for v, y in maps]))


@pytest.mark.parametrize("spread", [0.0, 0.1, 1.0, 5.0])
@pytest.mark.parametrize("name", NAMES)
def test_value_is_the_formula(name: str, spread: float) -> None:
    """Of maps with 13, 13, 12 and 1 positive cells."""
    generator = torch.Generator().manual_seed(0)
    responses = (torch.randn(4, 17, 17, generator=generator, dtype=torch.float64) * spread).clamp(-20, 20)
    targets = labels(torch.tensor([[0.0, 0.0], [8.0, -8.0], [28.0, -4.0], [100.0, 100.0]]), 17)
    expected = by_formula(name, responses, targets)
    assert float(LOSSES[name](responses, targets)) == pytest.approx(expected, rel=1e-6)
    assert float(LOSSES[name](responses.float(), targets)) == pytest.approx(expected, rel=2e-5)
    assert float(LOSSES[name](responses.float(), targets.to(torch.int8))) == pytest.approx(expected, rel=2e-5)


@pytest.mark.parametrize("name", NAMES)
def test_gradient_is_that_of_the_value(name: str) -> None:
    generator = torch.Generator().manual_seed(1)
    responses = 3 * torch.randn(3, 4, 5, generator=generator, dtype=torch.float64)
    targets = torch.where(torch.rand(3, 4, 5, generator=generator) < 0.3, 1.0, -1.0)
    assert torch.autograd.gradcheck(LOSSES[name], (responses.requires_grad_(), targets))


def test_cross_entropy_is_the_logistic_loss() -> None:
    """Value and gradient, from undecided to hopeless: what a recipe calls bce trains as logistic does."""
    for scale in (0.0, 0.1, 1.0, 10.0, 100.0, 1e4):
        responses = scale * torch.randn(8, 17, 17, generator=torch.Generator().manual_seed(2))
        targets = CENTRED.expand(8, -1, -1)
        (a, a_gradient), (b, b_gradient) = (with_gradient(name, responses, targets) for name in ("logistic", "bce"))
        assert float(a) == pytest.approx(float(b), rel=1e-6)
        assert (a_gradient - b_gradient).abs().max() < 1e-6 * a_gradient.abs().max()


def test_an_undecided_map() -> None:
    zeros = torch.zeros(1, 17, 17)
    for name in ("logistic", "bce", "triplet"):
        assert float(LOSSES[name](zeros, CENTRED)) == pytest.approx(math.log(2))
    loss, gradient = with_gradient("contrastive", zeros, CENTRED)
    assert float(loss) == pytest.approx(math.log(2) ** 2 / 2)
    assert float(gradient[CENTRED > 0].sum()) == pytest.approx(-float(gradient[CENTRED < 0].sum()))  # the default margin


@pytest.mark.parametrize("margin", [0.5, CONTRASTIVE_MARGIN, 3.0])
def test_the_margin_leaves_negative_cells_alone(margin: float) -> None:
    at_margin = -math.log(math.exp(margin) - 1)
    targets = torch.tensor([[[1.0, -1.0, -1.0]]])
    responses = torch.tensor([[[9.0, at_margin - 0.01, at_margin + 0.01]]], requires_grad=True)
    contrastive_loss(responses, targets, margin=margin).backward()
    assert responses.grad[0, 0, 1] == 0
    assert responses.grad[0, 0, 2] > 0


def test_triplet_knows_differences_only() -> None:
    responses = torch.randn(2, 17, 17, generator=torch.Generator().manual_seed(3))
    targets = CENTRED.expand(2, -1, -1)
    assert float(triplet_loss(responses + 50, targets)) == pytest.approx(float(triplet_loss(responses, targets)), rel=1e-4)
    assert abs(float(with_gradient("triplet", responses, targets)[1].sum())) < 1e-6


# Balance


@st.composite
def maps(draw: st.DrawFn, largest: float = 30.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Up to 3 maps of up to 6 x 6 cells, each with positive and negative ones."""
    b, h, w = draw(st.integers(1, 3)), draw(st.integers(1, 6)), draw(st.integers(2, 6))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    scale = draw(st.floats(1e-3, 1.0)) * largest
    responses = ((2 * torch.rand(b, h * w, generator=generator, dtype=torch.float64) - 1) * scale).reshape(b, h, w)
    targets = torch.where(torch.rand(b, h * w, generator=generator) < draw(st.floats(0, 1)), 1.0, -1.0)
    targets[:, 0], targets[:, -1] = 1, -1
    return responses, targets.reshape(b, h, w)


@pytest.mark.parametrize("name", NAMES)
@given(maps())
@settings(max_examples=60, deadline=None)
def test_positive_cells_are_pulled_up_and_negative_ones_down(name: str, case: tuple[torch.Tensor, torch.Tensor]) -> None:
    responses, targets = case
    _, gradient = with_gradient(name, responses, targets)
    assert (gradient[targets > 0] < 0).all()
    pulled = responses >= -math.log(3) if name == "contrastive" else torch.ones_like(responses, dtype=torch.bool)
    assert (gradient[(targets < 0) & pulled] > 0).all()
    assert (gradient[(targets < 0) & ~pulled] == 0).all()


@pytest.mark.parametrize("name", NAMES)
@given(maps(largest=5.0), st.integers(2, 4))
@settings(max_examples=30, deadline=None)
def test_the_number_of_cells_of_a_kind_does_not_matter(name: str, case: tuple[torch.Tensor, torch.Tensor], times: int) -> None:
    """All negative cells of a map several times over: the same loss. And a batch is the mean of its maps."""
    whole = float(LOSSES[name](*case))
    singles = []
    for v, y in zip(*case, strict=True):
        more = torch.cat([v[y > 0], v[y < 0].repeat(times)])[None, None]
        singles.append(float(LOSSES[name](more, torch.cat([y[y > 0], y[y < 0].repeat(times)])[None, None])))
    assert whole == pytest.approx(sum(singles) / len(singles), rel=1e-6)


@pytest.mark.parametrize("name", ["logistic", "bce"])
def test_weights_of_a_map_sum_to_one(name: str) -> None:
    """Where every cell is hopeless its gradient is its weight: 0.5 / 13 and 0.5 / 276."""
    _, gradient = with_gradient(name, -1e3 * CENTRED, CENTRED)
    assert torch.allclose(gradient[CENTRED > 0], torch.tensor(-0.5 / 13))
    assert torch.allclose(gradient[CENTRED < 0], torch.tensor(0.5 / 276))
    assert float(gradient.abs().sum()) == pytest.approx(1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("name", NAMES)
def test_a_map_without_cells_of_one_kind(name: str, dtype: torch.dtype) -> None:
    """That half counts 0, also beside a map that has both."""
    responses = torch.full((1, 2, 3), 0.25, dtype=dtype)
    half = {
        "contrastive": (math.log1p(math.exp(-0.25)) ** 2 / 4, (2 * math.log(2) - math.log1p(math.exp(-0.25))) ** 2 / 4),
        "triplet": (0.0, 0.0),
    }.get(name, (math.log1p(math.exp(-0.25)) / 2, math.log1p(math.exp(0.25)) / 2))
    both = torch.tensor([[[1.0, -1, -1], [-1, -1, -1]]])
    for sign, expected in zip((1.0, -1.0), half, strict=True):
        alone = torch.full((1, 2, 3), sign)
        loss, gradient = with_gradient(name, responses, alone)
        assert float(loss) == pytest.approx(expected, abs=1e-6)
        assert torch.isfinite(gradient).all()
        assert bool((gradient.sign() == (0 if name == "triplet" else -sign)).all())
        loss, gradient = with_gradient(name, responses.expand(2, 2, 3), torch.cat([alone, both]))
        assert float(loss) == pytest.approx((expected + float(LOSSES[name](responses, both))) / 2, rel=1e-5)
        assert torch.isfinite(gradient).all()


# Large scores


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", LARGEST)
def test_where_every_cell_is_as_wrong_as_can_be(name: str, dtype: torch.dtype) -> None:
    wrong = LARGEST[dtype] * -CENTRED.to(dtype)
    v = float(wrong.max())  # bfloat16 rounds 1e4 to 9984
    per_positive, per_negative, expected = {
        "contrastive": (-v / 2, 0.0, v**2 / 4 + CONTRASTIVE_MARGIN**2 / 4),
        "triplet": (-1.0, 1.0, 2 * v),
    }.get(name, (-0.5, 0.5, v))
    loss, gradient = with_gradient(name, wrong, CENTRED)
    assert (loss.dtype, gradient.dtype) == (torch.float32, dtype)
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    rounding = max(torch.finfo(dtype).eps, 1e-6)
    assert gradient[CENTRED > 0].double().numpy() == pytest.approx(per_positive / 13, rel=rounding)
    assert gradient[CENTRED < 0].double().numpy() == pytest.approx(per_negative / 276, rel=rounding)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", LARGEST)
def test_where_every_cell_is_right_there_is_nothing_to_learn(name: str, dtype: torch.dtype) -> None:
    loss, gradient = with_gradient(name, LARGEST[dtype] * CENTRED.to(dtype), CENTRED)
    assert float(loss) == 0
    assert (gradient == 0).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", LARGEST)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_value_and_gradient_are_those_of_float64(name: str, dtype: torch.dtype, data: st.DataObject) -> None:
    responses, targets = data.draw(maps(largest=LARGEST[dtype]))
    rounded = responses.to(dtype)
    loss, gradient = with_gradient(name, rounded, targets)
    exact, exact_gradient = with_gradient(name, rounded.double(), targets)
    assert float(loss) == pytest.approx(float(exact), rel=1e-5, abs=1e-6)
    eps = max(torch.finfo(dtype).eps, 1e-6)
    assert torch.isfinite(gradient).all()
    assert (gradient.double() - exact_gradient).abs().max() <= eps * exact_gradient.abs().max() + 1e-6


def as_written(responses: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The logistic loss as its formula reads, which is what torch.nn.functional.soft_margin_loss computes."""
    return torch.log(1 + torch.exp(-targets * responses)).mean()


@pytest.mark.parametrize(
    ("dtype", "last", "first"),
    [  # around the logarithm of the largest number: neighbours for 16 bits, near enough for the others
        (torch.float16, 11.0859375, 11.09375),
        (torch.bfloat16, 88.5, 89.0),
        (torch.float32, 88.72, 88.73),
        (torch.float64, 709.78, 709.79),
    ],
)
def test_the_formula_as_written_overflows_and_ours_does_not(dtype: torch.dtype, last: float, first: float) -> None:
    """Why the logistic loss is known for NaN: exp is infinite, and so is the loss; its gradient is infinity / infinity."""
    one = torch.ones(1, 1, 1, dtype=dtype)
    for v, finite in ((last, True), (first, False), (4 * first, False)):
        for sign in (1, -1):
            leaf = torch.full((1, 1, 1), -sign * v, dtype=dtype, requires_grad=True)
            loss = as_written(leaf, sign * one)
            loss.backward()
            assert bool(torch.isfinite(loss)) is finite
            assert bool(leaf.grad.isnan().all()) is not finite
            for name in ("logistic", "bce"):  # one kind of cell: half the weight
                loss, gradient = with_gradient(name, leaf, sign * one)
                assert float(loss) == pytest.approx(v / 2, rel=torch.finfo(dtype).eps + 1e-6)
                assert float(gradient) == pytest.approx(-sign / 2, rel=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_an_untrained_network_without_its_gain(name: str) -> None:
    """Correlation sums thousands of products: one forward pass gives scores far beyond 88.7, and NaN to the plain formula."""
    torch.manual_seed(0)
    network = SiamFC(SiamFCNetworkSettings(width=0.25, gain=1.0))
    generator = torch.Generator().manual_seed(0)
    z, x = (255 * torch.rand(2, 3, size, size, generator=generator) for size in (127, 255))
    responses, targets = network(z, x)[0], CENTRED.expand(2, -1, -1)
    assert responses.abs().min() > 200
    for loss, finite in ((as_written, False), (LOSSES[name], True)):
        network.zero_grad()
        value = loss(responses, targets)
        value.backward(retain_graph=True)
        assert bool(torch.isfinite(value)) is finite
        assert all(torch.isfinite(p.grad).all() for p in network.backbone.parameters()) is finite


def test_the_program_of_the_documentation_prints_what_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parent.parent / "docs" / "losses.md").read_text(encoding="utf-8")
    ((program, shown),) = re.findall(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    exec(program, {})
    assert capsys.readouterr().out == shown


# Overfitting: a network that cannot learn a few pairs by heart learns nothing


def unrelated_pairs(count: int, template: int, search: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Patches of drawn scenes, and places in them that nothing in the pictures tells: they can only be learnt by heart."""
    scene, rng = Scene(320, 240, objects=4, seed=0), np.random.default_rng(0)

    def patches(size: int, first: int) -> torch.Tensor:
        frames = [scene.image(first + 9 * number) for number in range(count)]
        corners = rng.integers(0, 240 - size, (count, 2))
        cut = [frame[y : y + size, x : x + size] for frame, (y, x) in zip(frames, corners, strict=True)]
        return torch.from_numpy(np.stack(cut)).permute(0, 3, 1, 2).float()

    offsets = torch.from_numpy(rng.integers(-16, 17, (count, 2))).float()
    return patches(template, 0), patches(search, 5000), offsets


@pytest.mark.parametrize(("count", "steps"), [(1, 60), pytest.param(32, 150, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", NAMES)
def test_a_small_network_learns_pairs_by_heart(name: str, count: int, steps: int) -> None:
    z, x, offsets = unrelated_pairs(count, 95, 127)
    torch.manual_seed(0)
    network = SiamFC(SiamFCNetworkSettings(width=0.125, template_size=95, search_size=127))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    losses, accuracies = [], []
    for _ in range(steps):
        responses = network(z, x)[0]
        targets = labels(offsets, responses.shape[-1])
        loss = LOSSES[name](responses, targets)
        losses.append(loss.item())
        accuracies.append(float(peak_is_positive(responses, targets)))
        if accuracies[-1] == 1 and losses[-1] < 0.5 * losses[0]:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert accuracies[0] < 0.5
    assert accuracies[-1] == 1
    assert losses[-1] < 0.5 * losses[0]
