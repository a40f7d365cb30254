"""What is learnt of masks: their loss, and the windows of the maps that it is computed from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from siamtrack.errors import SettingsError
from siamtrack.image import Image
from siamtrack.layers.mask_losses import mask_loss, windows_of
from siamtrack.models.kinds import model_kind
from siamtrack.models.model import Targets
from siamtrack.models.nanotrack import NanoTrackMask, NanoTrackNetworkSettings
from siamtrack.pair import SEEN, UNKNOWN
from siamtrack.synthetic.pairs import PairSettings
from siamtrack.trackers.mask import windows_around
from siamtrack.training.loop import train
from siamtrack.training.recipes import read_recipe
from siamtrack.training.sources import TrainingData, WorldData

SIZES = {"template_size": 127, "search_size": 255}
ONLY_CUTOUTS = PairSettings(warp_share=0, track_share=0, paste_share=1, grey_share=0)


def test_the_loss_is_the_official_one() -> None:
    """`select_mask_logistic_loss` of foolwood/SiamMask: enlarged corner to corner, then the soft margin loss, +1 and -1."""
    torch.manual_seed(0)
    logits, wanted = torch.randn(3, 63, 63), torch.rand(3, 127, 127) > 0.6
    wide = torch.nn.UpsamplingBilinear2d(size=[127, 127])(logits[:, None])[:, 0]
    expected = F.soft_margin_loss(wide.reshape(3, -1), 2 * wanted.float().reshape(3, -1) - 1)
    everywhere = torch.ones_like(wanted)
    assert float(mask_loss(logits, wanted, everywhere)) == pytest.approx(float(expected), rel=1e-5)
    fine = torch.randn(2, 127, 127)
    expected = F.soft_margin_loss(fine, 2 * wanted[:2].float() - 1)
    assert float(mask_loss(fine, wanted[:2], everywhere[:2])) == pytest.approx(float(expected), rel=1e-5)


def test_without_a_mask_the_loss_is_0_and_has_a_gradient() -> None:
    logits = torch.zeros(0, 63, 63, requires_grad=True)
    nothing = torch.zeros(0, 127, 127, dtype=torch.bool)
    loss = mask_loss(logits, nothing, nothing)
    loss.backward()
    assert float(loss.detach()) == 0
    assert logits.grad is not None


def test_pixels_that_do_not_count_have_no_gradient() -> None:
    logits = torch.zeros(1, 4, 4, requires_grad=True)
    wanted, counts = torch.ones(1, 4, 4, dtype=torch.bool), torch.zeros(1, 4, 4, dtype=torch.bool)
    counts[0, :2] = True
    loss = mask_loss(logits, wanted, counts)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(float(np.log(2)))
    assert logits.grad is not None
    assert logits.grad[0, :2].abs().min() > 0
    assert not logits.grad[0, 2:].any()


def test_windows_are_those_of_a_padded_map() -> None:
    maps = torch.randn(2, 3, 9, 11, generator=torch.Generator().manual_seed(0))
    pairs, tops, lefts = torch.tensor([0, 1, 1]), torch.tensor([-2, 3, 7]), torch.tensor([4, -3, 9])
    padded = F.pad(maps, (5, 5, 5, 5))
    for found, pair, top, left in zip(windows_of(maps, pairs, tops, lefts, 4), pairs, tops, lefts, strict=True):
        assert torch.equal(found, padded[pair, :, top + 5 : top + 9, left + 5 : left + 9])


class Recorded:
    """An answer that remembers which masks were asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[Tensor, Tensor, Tensor]] = []
        self.logits = torch.zeros((), requires_grad=True)

    def coarse(self, pairs: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        self.asked.append((pairs, rows, columns))
        return self.logits.expand(len(pairs), 63, 63)

    refined = coarse


def targets(masks: Tensor, *, absent: tuple[bool, ...] = (False, False)) -> Targets:
    boxes = torch.tensor([[100.0, 90, 60, 70]]).repeat(2, 1)
    return Targets(torch.zeros(2, 2), boxes, torch.tensor(absent), 255, 3, masks)


@pytest.mark.parametrize(("model", "cells", "anchors"), [("siammask", 25, 5), ("nanotrack", 15, 1)])
def test_masks_are_learnt_where_they_are_known(model: str, cells: int, anchors: int) -> None:
    kind = model_kind(model)
    settings = kind.settings(**({"masks": True} if model == "nanotrack" else {}))
    assert kind.masks(settings)
    judge = kind.losses(settings)["refinement"]
    maps = torch.zeros(2, 2 * anchors, cells, cells), torch.zeros(2, 4 * anchors, cells, cells)
    masks = torch.zeros(2, 255, 255, dtype=torch.uint8)
    masks[:, 90:160, 100:160] = SEEN
    masks[1] = UNKNOWN
    masks[0, :9, :9] = UNKNOWN  # of a part of a mask
    answer = Recorded()
    judge((*maps, answer), targets(masks))
    pairs, rows, columns = answer.asked[-1]
    assert 0 < len(pairs) <= 8
    assert set(pairs.tolist()) == {0}
    stride = 8 if model == "siammask" else 16
    for places, middle, side in ((columns, 130, 60), (rows, 125, 70)):
        away = (127.5 + stride * (places - cells // 2) - middle).abs()
        assert (away < side / 2).all()  # cells in the middle of the target
    unknown, empty = (torch.zeros(2, side, side, dtype=torch.uint8) for side in (0, 255))  # empty: too small for a pixel
    for without in (targets(masks, absent=(True, True)), targets(unknown), targets(empty)):
        judge((*maps, answer), without)
        assert len(answer.asked[-1][0]) == 0


@pytest.mark.parametrize("model", ["siammask", "nanotrack"])
def test_the_mask_that_is_wanted_lies_around_its_cell(model: str) -> None:
    """The loss is lowest for the part of the whole mask that lies in the 127 px around the cell."""
    kind = model_kind(model)
    settings = kind.settings(**({"masks": True} if model == "nanotrack" else {}))
    cells, anchors, stride = (25, 5, 8) if model == "siammask" else (15, 1, 16)
    maps = torch.zeros(2, 2 * anchors, cells, cells), torch.zeros(2, 4 * anchors, cells, cells)
    masks = torch.zeros(2, 255, 255, dtype=torch.uint8)
    masks[:, 95:155, 105:150] = SEEN
    wide = F.pad(masks, (127, 127, 127, 127))

    class Right(Recorded):
        def coarse(self, pairs: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
            corners = [(127 + 64 + stride * (places - cells // 2)).tolist() for places in (rows, columns)]
            where = zip(pairs.tolist(), *corners, strict=True)
            return torch.stack([40 * wide[pair, top : top + 127, left : left + 127].float() - 20 for pair, top, left in where])

        refined = coarse

    judge = kind.losses(settings)["refinement"]
    assert float(judge((*maps, Right()), targets(masks)).loss) < 1e-6


def test_training_and_tracking_see_the_same_windows() -> None:
    torch.manual_seed(0)
    settings = NanoTrackNetworkSettings(masks=True, width=0.25, tower=1)
    network = NanoTrackMask(settings).eval()
    z, x = torch.rand(2, 3, 127, 127) * 255, torch.rand(2, 3, 255, 255) * 255
    pairs, rows, columns = torch.tensor([0, 1, 1]), torch.tensor([0, 7, 14]), torch.tensor([14, 6, 0])
    with torch.no_grad():
        trained = network(z, x)[2].refined(pairs, rows, columns)
        maps = [values[:, 0].numpy() for values in network.match(network.embed(z), x)]
        places = [
            windows_around(maps[2][p], [layer[p] for layer in maps[3:]], r, c, windows=network.windows)
            for p, r, c in zip(pairs.tolist(), rows.tolist(), columns.tolist(), strict=True)
        ]
        tracked = network.masks(*(torch.from_numpy(np.stack(part)) for part in zip(*places, strict=True)))
    assert torch.allclose(trained, tracked, atol=1e-5 * float(tracked.abs().max()))


def test_windows_of_the_small_network_are_the_patch_around_the_cell() -> None:
    """A bright square in the search patch comes out at its place in the window of every layer."""
    settings = NanoTrackNetworkSettings(masks=True)
    network = NanoTrackMask(settings)
    image: Image = np.zeros((255, 255, 3), np.uint8)
    row, column = 9, 5
    left, top = 16 * column - 48, 16 * row - 48  # of the patch of 127 px
    image[top + 32 : top + 64, left + 64 : left + 96] = 255
    for layer, window in zip((16, 8, 4, 2), network.windows, strict=True):
        cells = image[::layer, ::layer, 0]  # cells of a map of stride s lie at the pixels 0, s, 2 s, ...
        _, seen = windows_around(
            np.zeros((1, 15, 15), np.float32), [cells[None].astype(np.float32)], row, column, windows=[window]
        )
        found = np.argwhere(seen[0] > 0) * layer
        assert found.min(0).tolist() == [32, 64]
        assert found.max(0).tolist() == [64 - layer, 96 - layer]


def test_a_trained_network_learns_masks_and_nothing_else(tmp_path: Path) -> None:
    """From one without the branch: what it has stays as it is to the last bit, the statistics of its batch norms, too."""
    torch.manual_seed(0)
    plain = model_kind("nanotrack").build(NanoTrackNetworkSettings(width=0.25, tower=1))
    texts = (
        "network.width=0.25",
        "network.tower=1",
        "network.expansion=1",
        "epochs=1",
        "pairs_per_epoch=8",
        "batch_size=4",
        "validation_pairs=0",
    )
    recipe = read_recipe("siammask-small", overrides=texts)
    before = {name: value.clone() for name, value in plain.state_dict().items()}
    trained = train(recipe, TrainingData(world=WorldData()), tmp_path / "run", initial=plain, workers=0)
    after = trained.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    fresh = set(after) - set(before)
    assert {name.split(".")[0] for name in fresh} == {"mask_template", "mask_search", "refine"}
    torch.manual_seed(recipe.seed)
    new = recipe.kind.build(recipe.network).state_dict()
    assert all(not torch.equal(after[name], new[name]) for name in fresh if name.endswith("weight") and after[name].ndim == 4)
    other = replace(recipe, network=NanoTrackNetworkSettings(masks=True))
    with pytest.raises(SettingsError, match="network to start with has"):
        train(other, TrainingData(world=WorldData()), tmp_path / "x", initial=plain)
