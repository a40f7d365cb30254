"""SiamFC's network: shapes, correlation and labels, each against its definition written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from siamtrack.errors import SettingsError, WeightsError
from siamtrack.layers.alexnet import RECEPTIVE_FIELD_PX, TOTAL_STRIDE_PX, AlexNet
from siamtrack.layers.xcorr import cross_correlation, grouped_cross_correlation
from siamtrack.models.kinds import read_folded
from siamtrack.models.siamfc import SiamFC, SiamFCNetworkSettings, labels, peak_is_positive


@pytest.fixture(scope="module")
def network() -> SiamFC:
    torch.manual_seed(0)
    return SiamFC(SiamFCNetworkSettings(width=0.125)).eval()


def pixels(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 255


@pytest.mark.parametrize(("size", "cells"), [(127, 6), (255, 22), (87, 1), (94, 1), (95, 2), (247, 21), (263, 23)])
def test_size_of_the_features(network: SiamFC, size: int, cells: int) -> None:
    """256 channels at every width, so that a narrow network can learn those of a wide one."""
    with torch.no_grad():
        assert network.embed(pixels(1, 3, size, size)).shape == (1, 256, cells, cells)


def test_channels_of_the_paper() -> None:
    with torch.device("meta"):
        shapes = [tuple(p.shape) for p in AlexNet().parameters() if p.ndim == 4]
    # two groups: the second number is what one group sees
    assert shapes == [(96, 3, 11, 11), (256, 48, 5, 5), (384, 256, 3, 3), (384, 192, 3, 3), (256, 192, 3, 3)]


@pytest.mark.parametrize(("template", "search", "cells"), [(127, 255, 17), (127, 247, 16), (127, 239, 15), (95, 111, 3)])
def test_size_of_the_response(network: SiamFC, template: int, search: int, cells: int) -> None:
    with torch.no_grad():
        response, z, x = network(pixels(2, 3, template, template), pixels(2, 3, search, search))
    assert response.shape == (2, cells, cells)
    assert (x.shape[-1] - z.shape[-1] + 1) == cells


@pytest.mark.parametrize(("targets", "scales"), [(1, 1), (1, 3), (2, 1), (3, 2)])
def test_match_is_forward_of_each_scale(network: SiamFC, targets: int, scales: int) -> None:
    z, x = pixels(targets, 3, 95, 95), pixels(targets * scales, 3, 111, 111, seed=1)
    with torch.no_grad():
        (found,) = network.match(network.embed(z), x)
        expected = network(z.repeat_interleave(scales, 0), x)[0].reshape(targets, scales, 3, 3)
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()


def test_gain_and_bias(network: SiamFC) -> None:
    z, x = pixels(1, 3, 95, 95), pixels(1, 3, 111, 111, seed=1)
    with torch.no_grad():
        plain = grouped_cross_correlation(network.embed(z), network.embed(x))
        network.bias += 2.5
        shifted = network(z, x)[0]
        network.bias -= 2.5
    assert torch.allclose(shifted, 1e-3 * plain + 2.5, rtol=1e-5)


@pytest.mark.parametrize(
    ("n", "s", "c", "h", "w", "rows", "columns"),
    [(1, 1, 1, 1, 1, 1, 1), (1, 3, 4, 6, 6, 22, 22), (2, 1, 3, 2, 3, 5, 7), (3, 2, 5, 4, 1, 4, 6)],
)
def test_correlation_is_the_loop(n: int, s: int, c: int, h: int, w: int, rows: int, columns: int) -> None:
    z, x = torch.randn(n, c, h, w), torch.randn(n, s, c, rows, columns)
    expected = np.zeros((n, s, rows - h + 1, columns - w + 1))
    for i, j, row, column in np.ndindex(*expected.shape):
        window = x[i, j, :, row : row + h, column : column + w].double()
        expected[i, j, row, column] = float((window * z[i].double()).sum())
    found = cross_correlation(z, x)
    assert found.shape == expected.shape
    assert np.abs(found.numpy() - expected).max() < 1e-4
    for scale in range(s):
        assert (grouped_cross_correlation(z, x[:, scale]) - found[:, scale]).abs().max() < 1e-4


def test_the_backbone_is_shift_equivariant(network: SiamFC) -> None:
    """No padding: 8 px in the image are exactly one cell in the features, up to the order of additions in the library."""
    image = pixels(1, 3, 175, 191)
    with torch.no_grad():
        whole = network.embed(image)
        for rows, columns in ((1, 0), (0, 1), (2, 3)):
            moved = network.embed(image[:, :, TOTAL_STRIDE_PX * rows :, TOTAL_STRIDE_PX * columns :])
            difference = (moved - whole[:, :, rows:, columns:]).abs().max()
            assert difference <= 1e-6 * whole.abs().max()


def test_the_receptive_field(network: SiamFC) -> None:
    """A pixel outside the 87 x 87 px of a cell has no influence on it, the pixels at its corners may."""
    image = pixels(1, 3, 103, 103).requires_grad_()
    network.embed(image)[0, :, 1, 1].sum().backward()
    touched = image.grad.abs().sum((0, 1)) > 0
    rows, columns = touched.any(1).nonzero().ravel(), touched.any(0).nonzero().ravel()
    for places in (rows, columns):
        assert places.min() >= TOTAL_STRIDE_PX
        assert places.max() < TOTAL_STRIDE_PX + RECEPTIVE_FIELD_PX
        assert len(places) > 0.9 * RECEPTIVE_FIELD_PX


@pytest.mark.parametrize(
    "settings",
    [{"width": 0.0}, {"width": -1.0}, {"template_size": 86}, {"search_size": 126}, {"template_size": 255, "search_size": 127}],
)
def test_impossible_networks_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(SettingsError):
        SiamFCNetworkSettings(**settings)


def test_weights_of_another_width_are_refused(network: SiamFC, tmp_path) -> None:
    from safetensors.torch import save_file

    save_file({"bias": torch.zeros(())}, tmp_path / "weights.safetensors")
    with pytest.raises(WeightsError, match="does not fit"):
        read_folded("siamfc", tmp_path / "weights.safetensors", {"width": 0.125})
    with pytest.raises(SettingsError, match="Did you mean 'width'"):
        read_folded("siamfc", tmp_path / "weights.safetensors", {"widht": 0.125})


# Labels


def drawn(label: torch.Tensor) -> list[str]:
    return ["".join("#" if v > 0 else "." for v in row) for row in label]


def test_label_of_a_centred_target() -> None:
    """13 cells: all within two strides of the middle."""
    label = labels(torch.zeros(1, 2), 17)[0]
    assert set(label.unique().tolist()) == {-1.0, 1.0}
    assert [row[6:11] for row in drawn(label)[6:11]] == ["..#..", ".###.", "#####", ".###.", "..#.."]
    assert (label > 0).sum() == 13


@pytest.mark.parametrize(("x", "y"), [(8, 0), (0, -8), (-24, 16), (40, 40)])
def test_the_disc_moves_with_the_target(x: int, y: int) -> None:
    """x is the column, y the row."""
    moved = labels(torch.tensor([[x, y]], dtype=torch.float32), 17)[0]
    expected = torch.roll(labels(torch.zeros(1, 2), 17)[0], (y // 8, x // 8), (0, 1))
    assert torch.equal(moved, expected)


def test_labels_between_cells_and_on_even_maps() -> None:
    assert (labels(torch.tensor([[4.0, 4.0]]), 17) > 0).sum() == 12  # the nearest four, and two more on each side
    assert (labels(torch.tensor([[3.9, -3.9]]), 16)[0, 7, 8]) == 1
    even = labels(torch.zeros(1, 2), 16)[0]
    assert torch.equal(even, even.flip(0))
    assert torch.equal(even, even.T)


@pytest.mark.parametrize("offset", [(500.0, 0.0), (-500.0, 800.0), (100.0, 100.0)])
def test_a_target_outside_has_its_nearest_cell(offset: tuple[float, float]) -> None:
    label = labels(torch.tensor([offset]), 17)[0]
    assert (label > 0).any()
    row, column = (int(v) for v in (label > 0).nonzero()[0])
    assert column == (16 if offset[0] > 0 else 0)
    assert row == (16 if offset[1] > 0 else 8)


def test_each_item_of_a_batch_has_its_own_label() -> None:
    offsets = torch.tensor([[0.0, 0.0], [16.0, -8.0], [-31.0, 3.0]])
    together = labels(offsets, 17)
    for offset, label in zip(offsets, together, strict=True):
        assert torch.equal(labels(offset[None], 17)[0], label)


def test_peak_is_positive() -> None:
    targets = labels(torch.tensor([[0.0, 0.0], [16.0, 0.0], [0.0, 0.0], [0.0, 0.0]]), 17)
    responses = torch.zeros(4, 17, 17)
    responses[0, 8, 8] = 1  # the middle of its disc
    responses[1, 8, 12] = 1  # at the rim of a moved disc
    responses[2, 9, 10] = 1  # beside its disc
    responses[3, 0, 0] = 1
    assert float(peak_is_positive(responses, targets)) == 0.5
    assert float(peak_is_positive(responses[:2], targets[:2])) == 1
    assert float(peak_is_positive(responses[2:], targets[2:])) == 0
