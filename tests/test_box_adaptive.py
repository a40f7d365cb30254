"""One box a cell: which cells are the target, and how far a box is from it; each against its formula in a loop."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

from siamtrack.box import iou
from siamtrack.errors import SettingsError
from siamtrack.layers.anchor_targets import AnchorTargetSettings
from siamtrack.layers.ellipse_targets import ellipse_targets
from siamtrack.layers.rpn_losses import LARGEST, iou_loss
from siamtrack.layers.xcorr import depthwise_cross_correlation, grouped_depthwise_cross_correlation
from siamtrack.models.kinds import model_kind
from siamtrack.models.model import Targets
from siamtrack.models.rpn_training import rpn_procedure
from siamtrack.settings import from_mapping
from siamtrack.trackers.anchors import AnchorSettings, anchor_grid, decode, encode

GRID = anchor_grid(AnchorSettings(ratios=(1.0,)), 25, middle=127.5)
EVERY = AnchorTargetSettings(positives=9999, negatives=9999, absent_negatives=9999)
boxes = st.tuples(st.floats(-60, 280), st.floats(-60, 280), st.floats(0.5, 250), st.floats(0.5, 250))


def labels_of(
    box: tuple[float, ...], *, absent: bool = False, seed: int = 0, settings: AnchorTargetSettings | None = None
) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    found = ellipse_targets(
        torch.tensor([box], dtype=torch.float64),
        torch.tensor([absent]),
        torch.from_numpy(GRID),
        generator=torch.Generator().manual_seed(seed),
        settings=settings,
    )
    return found.numpy()[0, 0]


@given(boxes)
@settings(max_examples=40)
def test_every_cell_has_the_label_of_its_ellipse(box: tuple[float, ...]) -> None:
    x, y, w, h = box
    labels = labels_of(box, settings=EVERY)
    distances = np.hypot(GRID[0, 0] - x - w / 2, GRID[1, 0] - y - h / 2)
    for row in range(25):
        for column in range(25):
            across, down = GRID[0, 0, row, column] - x - w / 2, GRID[1, 0, row, column] - y - h / 2
            radius = math.hypot(across / (w / 2), down / (h / 2))
            if min(abs(radius - 0.5), abs(radius - 1), abs(distances[row, column] - distances.min())) < 1e-9:
                continue  # on the line, or the nearest
            assert labels[row, column] == (1 if radius < 0.5 else 0 if radius > 1 else -1)
    assert labels.flat[distances.argmin()] == 1


def test_as_many_are_drawn_as_the_settings_say() -> None:
    large = (27.5, 27.5, 200.0, 200.0)
    labels = labels_of(large)
    assert ((labels == 1).sum(), (labels == 0).sum()) == (16, 48)
    assert set(np.flatnonzero(labels == 1)) <= set(np.flatnonzero(labels_of(large, settings=EVERY) == 1))
    assert not np.array_equal(labels, labels_of(large, seed=1))
    assert np.array_equal(labels, labels_of(large))


def test_where_the_target_is_not_only_cells_near_the_other_object_count() -> None:
    labels = labels_of((111.5, 111.5, 32.0, 32.0), absent=True, settings=EVERY)
    expected = np.full((25, 25), -1)
    expected[9:16, 9:16] = 0
    assert np.array_equal(labels, expected)
    assert (labels_of((111.5, 111.5, 32.0, 32.0), absent=True) == 0).sum() == 16


def case(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Maps (2, 4, 3, 3), boxes, grid and labels; double precision."""
    generator = np.random.default_rng(seed)
    grid = anchor_grid(AnchorSettings(ratios=(1.0,)), 3, middle=60.0)
    wanted = np.concatenate([generator.uniform(20, 60, (2, 2)), generator.uniform(10, 90, (2, 2))], 1)
    labels = generator.integers(-1, 2, (2, 1, 3, 3))
    labels[0, 0, 0, 0] = 1
    loc = generator.normal(0, 0.5, (2, 4, 3, 3))
    return torch.tensor(loc, requires_grad=True), torch.tensor(wanted), torch.tensor(grid), torch.tensor(labels)


@pytest.mark.parametrize("seed", range(5))
def test_the_loss_of_boxes_is_one_less_their_overlap(seed: int) -> None:
    loc, wanted, grid, labels = case(seed)
    said = decode(loc.detach().numpy().reshape(2, 4, 1, 3, 3), grid.numpy())
    overlaps = []
    for pair, row, column in zip(*np.nonzero(labels.numpy()[:, 0] == 1), strict=True):
        x, y, w, h = said[pair, :, 0, row, column]
        overlaps.append(float(iou(np.array([[x - w / 2, y - h / 2, w, h]]), wanted[pair].numpy())[0]))
    loss = iou_loss(loc, wanted, grid, labels)
    assert float(loss.detach()) == pytest.approx(1 - np.mean(overlaps))
    loss.backward()  # type: ignore[no-untyped-call]
    assert loc.grad is not None
    assert ((loc.grad != 0).any(1) <= (labels[:, 0] == 1)).all()  # no other cell has a part in it


def test_the_loss_of_boxes_stays_finite() -> None:
    loc, wanted, grid, labels = case(0)
    huge = torch.full_like(loc, 1e4, requires_grad=True)
    loss = iou_loss(huge, wanted, grid, labels)
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == pytest.approx(1)
    assert huge.grad is not None
    assert torch.isfinite(huge.grad).all()
    assert float(iou_loss(loc.detach(), wanted, grid, torch.zeros_like(labels))) == 0
    exact = encode(
        (wanted[:, :, None, None, None] + torch.cat([wanted[:, 2:] / 2, 0 * wanted[:, 2:]], 1)[..., None, None, None]).numpy(),
        grid.numpy(),
    )
    assert float(iou_loss(torch.tensor(exact).reshape(2, 4, 3, 3), wanted, grid, labels)) == pytest.approx(0, abs=1e-9)
    assert LARGEST > 255 / 8  # a target as large as the patch, from an anchor of a cell


def test_the_gradient_of_the_depthwise_correlation() -> None:
    """It is written by hand."""
    generator = torch.Generator().manual_seed(0)
    templates = torch.randn(2, 3, 2, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    searches = torch.randn(2, 3, 5, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    assert gradcheck(grouped_depthwise_cross_correlation, (templates, searches))
    one_way = torch.autograd.grad(
        grouped_depthwise_cross_correlation(templates, searches).square().sum(), (templates, searches)
    )
    other = torch.autograd.grad(depthwise_cross_correlation(templates, searches[:, None]).square().sum(), (templates, searches))
    for found, expected in zip(one_way, other, strict=True):
        assert torch.allclose(found, expected)


def network_settings(anchors: int) -> object:
    values = {"backbone": "resnet18", "width": 0.02, "used_layers": (3,), "neck_channels": (4,), "anchors": anchors}
    return from_mapping(model_kind("siamrpnpp").settings, values, where="test")


def test_one_anchor_has_its_own_loss_and_procedure() -> None:
    kind = model_kind("siamrpnpp")
    assert list(kind.losses(network_settings(1))) == ["box_adaptive"]
    assert list(kind.losses(network_settings(5))) == ["rpn"]
    with pytest.raises(SettingsError, match="3 anchors at a cell"):
        kind.losses(network_settings(3))
    name, settings = rpn_procedure(network_settings(1))
    assert (name, settings["anchors"]["ratios"]) == ("rpn", (1.0,))
    assert "anchors" not in rpn_procedure(network_settings(5))[1]


def test_the_verdict_of_a_network_that_is_right() -> None:
    """Scores that are highest in the middle of the target, and boxes that are exact."""
    target = torch.tensor([[100.0, 90.0, 60.0, 40.0]])
    middle = np.array([130.0, 110.0, 60.0, 40.0])[:, None, None, None]
    loc = torch.tensor(encode(middle, GRID), dtype=torch.float32).reshape(1, 4, 25, 25)
    away = torch.tensor(np.hypot((GRID[0] - 130) / 30, (GRID[1] - 110) / 20), dtype=torch.float32)
    cls = torch.stack([torch.zeros(1, 25, 25), 50 * (0.75 - away)], 1).reshape(1, 2, 25, 25)
    judge = model_kind("siamrpnpp").losses(network_settings(1))["box_adaptive"]
    targets = Targets(torch.zeros(1, 2), target, torch.tensor([False]), 255, 0)
    verdict = judge((cls, loc), targets)
    assert float(verdict.loss) == pytest.approx(0, abs=1e-4)
    assert float(verdict.accuracy) == 1
    elsewhere = judge((cls, loc), targets._replace(boxes=target + torch.tensor([[50.0, 50.0, 0.0, 0.0]])))
    assert float(elsewhere.accuracy) == 0
    assert float(elsewhere.loss) > 5
