"""Losses of region proposal networks: each against its formula in a loop, and what must have no part in them."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from siamtrack.layers.rpn_losses import box_loss, select_cross_entropy


class Case(NamedTuple):
    cls: torch.Tensor
    loc: torch.Tensor
    labels: torch.Tensor
    offsets: torch.Tensor
    weights: torch.Tensor


def made(seed: int, pairs: int = 3, anchors: int = 2, cells: int = 3, *, scale: float = 3.0, positives: float = 0.3) -> Case:
    """A network that says anything, and labels drawn at random; double precision."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=generator, dtype=torch.float64)

    kinds = drawn(pairs, anchors, cells, cells)
    labels = torch.where(kinds < positives, 1, torch.where(kinds < 0.7, 0, -1))
    positive = labels == 1
    return Case(
        cls=scale * (2 * drawn(pairs, 2 * anchors, cells, cells) - 1),
        loc=scale * (2 * drawn(pairs, 4 * anchors, cells, cells) - 1),
        labels=labels,
        offsets=2 * drawn(pairs, 4, anchors, cells, cells) - 1,
        weights=positive.double() / positive.sum((1, 2, 3), keepdim=True).clamp_min(1),
    )


cases = st.builds(
    made,
    st.integers(0, 2**31),
    pairs=st.integers(1, 3),
    anchors=st.integers(1, 2),
    cells=st.integers(1, 2),
    scale=st.floats(0.01, 100),
    positives=st.sampled_from([0.0, 0.1, 0.5, 0.7]),
)


def naive_classes(case: Case) -> float:
    """-log of the softmax, one anchor after the other."""
    found: dict[int, list[float]] = {0: [], 1: []}
    pairs, anchors, cells, _ = case.labels.shape
    for b in range(pairs):
        for a in range(anchors):
            for i in range(cells):
                for j in range(cells):
                    label = int(case.labels[b, a, i, j])
                    other, target = float(case.cls[b, a, i, j]), float(case.cls[b, anchors + a, i, j])
                    if label >= 0:
                        own = target if label else other
                        total = math.exp(other - max(other, target)) + math.exp(target - max(other, target))
                        found[label].append(math.log(total) + max(other, target) - own)
    return sum(0.5 * sum(losses) / len(losses) for losses in found.values() if losses)


def naive_boxes(case: Case, smooth: float) -> float:
    total = 0.0
    pairs, anchors, cells, _ = case.labels.shape
    for b in range(pairs):
        count = int((case.labels[b] == 1).sum())
        for a in range(anchors):
            for i in range(cells):
                for j in range(cells):
                    for k in range(4):
                        if case.labels[b, a, i, j] == 1:
                            error = abs(float(case.loc[b, k * anchors + a, i, j]) - float(case.offsets[b, k, a, i, j]))
                            total += (error**2 / (2 * smooth) if error < smooth else error - smooth / 2) / count
    return total / pairs


@given(cases)
@settings(max_examples=25)
def test_classes_are_the_loop(case: Case) -> None:
    expected = naive_classes(case)
    assert float(select_cross_entropy(case.cls, case.labels)) == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert float(select_cross_entropy(case.cls.float(), case.labels)) == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("smooth", [0.0, 0.1, 1.0])
@given(case=cases)
@settings(max_examples=20)
def test_boxes_are_the_loop(smooth: float, case: Case) -> None:
    expected = naive_boxes(case, smooth)
    assert float(box_loss(case.loc, case.offsets, case.weights, smooth=smooth)) == pytest.approx(expected, rel=1e-9)
    assert float(box_loss(case.loc.float(), case.offsets.float(), case.weights.float(), smooth=smooth)) == pytest.approx(
        expected, rel=1e-4
    )


def with_gradients(case: Case) -> tuple[list[float], torch.Tensor, torch.Tensor]:
    cls, loc = case.cls.clone().requires_grad_(), case.loc.clone().requires_grad_()
    losses = select_cross_entropy(cls, case.labels), box_loss(loc, case.offsets, case.weights)
    sum(losses).backward()
    assert cls.grad is not None
    assert loc.grad is not None
    return [float(loss.detach()) for loss in losses], cls.grad, loc.grad


@given(cases)
@settings(max_examples=10)
def test_gradients_are_those_of_the_values(case: Case) -> None:
    """Along a direction at random; the step is too small to cross a corner of L1."""
    _, cls_gradient, loc_gradient = with_gradients(case)
    generator = torch.Generator().manual_seed(0)
    along = [1e-6 * torch.rand(maps.shape, generator=generator, dtype=torch.float64) for maps in (case.cls, case.loc)]
    ahead, _, _ = with_gradients(case._replace(cls=case.cls + along[0], loc=case.loc + along[1]))
    behind, _, _ = with_gradients(case._replace(cls=case.cls - along[0], loc=case.loc - along[1]))
    slopes = [float((way * gradient).sum()) for way, gradient in zip(along, (cls_gradient, loc_gradient), strict=True)]
    assert np.subtract(ahead, behind) / 2 == pytest.approx(slopes, rel=1e-4, abs=1e-12)


@pytest.mark.parametrize("garbage", [7.0, 1e30, float("inf"), float("nan")])
def test_what_is_not_chosen_has_no_part(garbage: float) -> None:
    """Neither in the values nor in the gradients, which are 0 there."""
    case = made(2)
    unused = (case.labels < 0).repeat(1, 2, 1, 1), (case.labels != 1).repeat(1, 4, 1, 1)
    assert all(mask.any() and not mask.all() for mask in unused)
    other = case._replace(
        cls=torch.where(unused[0], garbage, case.cls),
        loc=torch.where(unused[1], -garbage, case.loc),
        offsets=torch.where(case.labels[:, None] == 1, case.offsets, 0.0),
    )
    expected, *gradients = with_gradients(case)
    found, *others = with_gradients(other)
    assert found == expected
    for mask, gradient, wanted in zip(unused, others, gradients, strict=True):
        assert torch.equal(gradient, wanted)
        assert (gradient[mask] == 0).all()
        assert (gradient[~mask] != 0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("label", [1, 0, -1])
def test_a_batch_with_one_kind_of_anchors(label: int, dtype: torch.dtype) -> None:
    """The half of the other kind is 0, and so is everything where no anchor counts; gradients are numbers."""
    case = made(3)
    labels = torch.full_like(case.labels, label)
    weights = torch.full_like(case.weights, float(label == 1) / labels[0].numel())
    one_kind = case._replace(labels=labels, weights=weights, cls=case.cls.to(dtype), loc=case.loc.to(dtype))
    losses, *gradients = with_gradients(one_kind)
    exact = one_kind._replace(cls=one_kind.cls.double(), loc=one_kind.loc.double())
    assert losses == pytest.approx([naive_classes(exact), naive_boxes(exact, 0.0) if label == 1 else 0.0], rel=1e-5)
    assert (losses[0] > 0) == (label >= 0)
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


def test_a_pair_without_positive_anchors_beside_one_that_has_some() -> None:
    """The loss of boxes is a mean over pairs, that of classes one over anchors."""
    case = made(4, pairs=2)
    labels = case.labels.clone()
    labels[0][labels[0] == 1] = -1
    weights = case.weights.clone()
    weights[0] = 0
    alone = Case(*(values[1:] for values in case))
    assert float(box_loss(case.loc, case.offsets, weights)) == pytest.approx(
        float(box_loss(alone.loc, alone.offsets, alone.weights)) / 2
    )
    assert float(select_cross_entropy(case.cls, labels)) == pytest.approx(naive_classes(case._replace(labels=labels)))


def test_undecided_and_hopeless_classes() -> None:
    labels = torch.tensor([[[[1, 0, 0, -1]]]])
    assert float(select_cross_entropy(torch.zeros(1, 2, 1, 4), labels)) == pytest.approx(math.log(2))
    wrong = torch.tensor([[[[1e4, -1e4, -1e4, 0]], [[-1e4, 1e4, 1e4, 0]]]], requires_grad=True)
    loss = select_cross_entropy(wrong, labels)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(2e4)
    assert wrong.grad is not None
    assert wrong.grad[0, :, 0].tolist() == [[0.5, -0.25, -0.25, 0], [-0.5, 0.25, 0.25, 0]]


def test_right_answers_cost_nothing() -> None:
    case = made(5)
    sure = 100.0 * torch.cat([case.labels == 0, case.labels == 1], 1)
    assert float(select_cross_entropy(sure, case.labels)) == pytest.approx(0, abs=1e-12)
    assert float(box_loss(case.offsets.flatten(1, 2), case.offsets, case.weights)) == 0
