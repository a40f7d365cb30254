"""NanoTrack: the network, and that the published weights have their place in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from made_up_nanotrack import ANCHOR, lesson_of, pixels
from onnx import numpy_helper

from siamtrack.errors import SettingsError
from siamtrack.models.nanotrack import NanoTrack, NanoTrackNetworkSettings
from siamtrack.models.operations import multiply_adds, parameter_count
from siamtrack.trackers.anchors import anchor_grid, decode, map_shift
from siamtrack.training.nanotrack import FILES, NanoTrackTeacher, PublishedNanoTrack
from siamtrack.training.nanotrack_parts import NanoTrackParts
from siamtrack.training.parts import verdict_of

# The network


def test_it_is_as_large_as_the_published_one() -> None:
    """Channels and cells of the published files; the maps have a cell for every 16 px that the search patch is larger."""
    network = NanoTrack().eval()
    with torch.no_grad():
        cls, loc, templates, searches = network(pixels(127), pixels(255))
    assert [tuple(v.shape[1:]) for v in templates] == [(16, 32, 32), (24, 16, 16), (40, 8, 8), (48, 8, 8), (96, 8, 8)]
    assert [tuple(v.shape[1:]) for v in searches] == [(16, 64, 64), (24, 32, 32), (40, 16, 16), (48, 16, 16), (96, 16, 16)]
    assert (cls.shape, loc.shape) == ((2, 2, 15, 15), (2, 4, 15, 15))
    assert parameter_count(network) == 540_742
    with torch.no_grad():
        kernels = network.embed(pixels(127))
        assert multiply_adds(lambda: network.match(kernels, pixels(255))) < 2 * 0.12e9  # a twentieth of SiamFC's


def test_it_says_how_far_the_sides_are() -> None:
    """Logarithms of distances in 32 px: a cell that says 0 means a box of 64 px around itself."""
    network = NanoTrack(NanoTrackNetworkSettings(tower=0)).eval()
    answer = network.head.loc.answer
    torch.nn.init.zeros_(answer.weight)
    with torch.no_grad():
        answer.bias.copy_(torch.tensor([0.5, 1.0, 2.0, 0.25]).log())  # left, top, right, bottom
        _, loc, _, _ = network(pixels(127), pixels(255))
        grid = anchor_grid(ANCHOR, 15)
        x, y, w, h = decode(loc[0].numpy()[:, None], grid)
        assert np.allclose(x - grid[0], (64 - 16) / 2, atol=1e-3)
        assert np.allclose(y - grid[1], (8 - 32) / 2, atol=1e-3)
        assert np.allclose([w, h], np.array([80, 40])[:, None, None, None], atol=1e-3)
        answer.bias.copy_(torch.tensor([1e9, -1e9, 0.0, 0.0]))  # absurd, but finite
        assert network(pixels(127), pixels(255))[1].isfinite().all()


def test_cells_lie_where_the_procedure_thinks() -> None:
    """A template that is shifted by whole strides is found there, whatever the strides leave over."""
    torch.manual_seed(0)
    network = NanoTrack(NanoTrackNetworkSettings(tower=0)).train()  # batch norm of random weights does nothing else
    scene = torch.nn.functional.interpolate(torch.rand(1, 3, 48, 48), size=384, mode="bicubic") * 255
    template = scene[..., 128:255, 128:255]
    for side in (255, 263, 287):
        for shift in (side - 127) // 2 % 16 + np.array([-32, 0, 16]):  # by which the target lies whole strides from the corner
            begin = 128 - (side - 127) // 2 + shift
            search = scene[..., begin : begin + side, begin : begin + side]
            whole = side - (side - 127) % 16
            with torch.no_grad():
                z, x = (network.backbone(p)[-1][0] for p in (template, search[..., :whole, :whole]))
                cells = network.match(network.embed(template), search)[0].shape[-1]
            apart = (x.unfold(1, 4, 1).unfold(2, 4, 1) - z[:, None, None, 2:6, 2:6]).square().sum((0, 3, 4))
            row, column = divmod(int(apart.argmin()), apart.shape[-1])
            assert row == column
            assert cells == apart.shape[-1] + 2  # the head pads by one cell
            place = 16 * (row + 1 - (cells - 1) / 2) + map_shift(side, 127, 16)  # of the cell, from the patch's middle
            assert place == -shift


@pytest.mark.parametrize("wrong", [{"width": 0.0}, {"tower": -1}, {"template_size": 128}, {"search_size": 126}])
def test_wrong_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match=f"The setting {next(iter(wrong))} is"):
        NanoTrackNetworkSettings(**wrong)  # type: ignore[arg-type]


def test_expansion_is_inside_alone() -> None:
    """Twice the channels inside the blocks; what goes from one to the next keeps its shape."""
    plain, wide = NanoTrack().eval(), NanoTrack(NanoTrackNetworkSettings(expansion=2)).eval()
    for block, other in zip(plain.backbone.blocks, wide.backbone.blocks, strict=True):
        assert other.mix[0].weight.shape[0] == 2 * block.mix[0].weight.shape[0]  # type: ignore[union-attr, index]
    assert wide.head.cls.tower[0][0].weight.shape[0] == 2 * 96  # type: ignore[index, union-attr]
    with torch.no_grad():
        shapes = [[tuple(m.shape) for m in net.backbone(pixels(127))] for net in (plain, wide)]
        answers = [[tuple(m.shape) for m in net(pixels(127), pixels(255))[:2]] for net in (plain, wide)]
    assert shapes[0] == shapes[1]
    assert answers[0] == answers[1] == [(2, 2, 15, 15), (2, 4, 15, 15)]
    assert 2 < parameter_count(wide) / parameter_count(plain) < 2.5


# The layout of the published network


def published_weights(path: Path, blue_first: bool = False) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Kernels and biases of all convolutions of a file, in its order; matrices as 1 x 1 kernels."""
    graph = onnx.load(str(path)).graph
    values = {entry.name: torch.from_numpy(numpy_helper.to_array(entry).copy()) for entry in graph.initializer}
    found = []
    for node in graph.node:
        own = [values[name] for name in node.input if name in values]
        if node.op_type in ("Conv", "Gemm") and len(own) == 2:
            found.append((own[0] if own[0].ndim == 4 else own[0][:, :, None, None], own[1]))
    if blue_first:
        found[0] = found[0][0].flip(1), found[0][1]
    return found


def fill(parts: list[torch.nn.Module], weights: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
    """Puts weights into the convolutions of these modules, in order; a batch norm behind one adds its bias and no more."""
    layers = [m for part in parts for m in part.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.BatchNorm2d)]
    for number, conv in enumerate(layers):
        if not isinstance(conv, torch.nn.Conv2d):
            continue
        kernel, bias = weights.pop(0)
        norm = layers[number + 1] if number + 1 < len(layers) else None
        with torch.no_grad():
            assert conv.weight.shape == kernel.shape
            conv.weight.copy_(kernel)
            if conv.bias is not None:
                conv.bias.copy_(bias)
            elif isinstance(norm, torch.nn.BatchNorm2d):
                norm.running_var.fill_(1 - norm.eps)
                norm.bias.copy_(bias)


@pytest.mark.shared_data
def test_with_the_published_weights_it_says_what_they_say(shared_data: Path) -> None:
    """Every stage of the backbone, the classes and the boxes; so what a teacher knows has its place in a student."""
    folder = shared_data / "weights"
    network = NanoTrack().eval()
    fill([network.backbone], published_weights(folder / FILES["search"].name, blue_first=True))
    weights = published_weights(folder / FILES["head"].name)
    cls, loc = network.head.cls, network.head.loc
    joined = {branch: [weights[n] for n in numbers] for branch, numbers in ((loc, (0, 12, 1, 13)), (cls, (6, 14, 7, 15)))}
    for branch, (fine_z, middle_z, fine_x, middle_x) in joined.items():  # kernels of both correlations are one convolution here
        pairs = [
            tuple(torch.cat(part) for part in zip(*both, strict=True)) for both in ((fine_z, middle_z), (fine_x, middle_x))
        ]
        fill([branch.template, branch.search], pairs)  # type: ignore[arg-type]
    fill([loc.weigh, loc.merge], weights[2:6])
    fill([cls.weigh, cls.merge], weights[8:12])
    fill([cls.tower, cls.answer], weights[18:31])
    fill([loc.tower, loc.answer], weights[31:])
    for branch, (kernel, bias) in ((loc, weights[16]), (cls, weights[17])):
        fill([branch.join], [(kernel, bias)])
    with torch.no_grad():
        loc.answer.bias -= np.log(32)  # their distances are pixels, ours half anchors
        teacher = NanoTrackTeacher(PublishedNanoTrack(folder))
        z, x = pixels(127), pixels(255)
        answer, lesson = network(z, x), teacher.lesson(z, x, torch.zeros(len(z), dtype=torch.bool))
    for said, wanted in zip([*answer[2], *answer[3]], [*lesson.template, *lesson.search], strict=True):
        assert float((said - wanted).abs().max()) < 1e-3 * float(wanted.abs().max())
    margin = answer[0][:, 1] - answer[0][:, 0]
    assert float((margin - lesson.responses).abs().max()) < 1e-3 * float(lesson.responses.abs().max())
    ours = lesson_of(answer).boxes
    assert ours is not None
    assert lesson.boxes is not None
    assert float((ours - lesson.boxes).abs().max()) < 0.05  # px
    with torch.no_grad():
        parts = list(NanoTrackParts(PublishedNanoTrack(folder)).parts(network, z, x))
    errors = [float(verdict_of(iter([part])).loss) for part in parts]
    assert len(errors) == 38
    assert max(errors) < 1e-6
