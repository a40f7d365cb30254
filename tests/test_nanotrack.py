"""NanoTrack: the network, its published files as a teacher (made-up ones of their shapes), and what a student is told."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper

from siamtrack.errors import SettingsError, WeightsError
from siamtrack.models.nanotrack import NanoTrack, NanoTrackNetworkSettings
from siamtrack.models.operations import multiply_adds, parameter_count
from siamtrack.settings import from_mapping
from siamtrack.trackers.anchors import AnchorSettings, anchor_grid, decode, map_shift
from siamtrack.training.lessons import Lesson
from siamtrack.training.nanotrack import FILES, NOT_THERE, NanoTrackTeacher, PublishedNanoTrack, Taps
from siamtrack.training.nanotrack_parts import NanoTrackParts
from siamtrack.training.parts import begin_with, verdict_of
from siamtrack.training.recipe import Recipe
from siamtrack.training.teacher import check_teacher, digest

STUDENT = {
    "model": "nanotrack",
    "loss": "box_adaptive",
    "teacher_weight": 1.0,
    "sampling": {"crop_size": 383},
    "network": {"tower": 1},
}
RECIPE = from_mapping(Recipe, STUDENT, where="test")
ANCHOR = AnchorSettings(stride=16, ratios=(1.0,), scales=(4.0,))
TAPS = ((16, 2), (16, 2), (16, 4), (24, 8), (24, 8), (40, 16), (40, 16), (40, 16), (48, 16), (48, 16), (96, 16))
"""Channels and strides of what the made-up backbone says on its way, and at its end."""


def write(path: Path, inputs: list[tuple[int, ...]], nodes: list[onnx.NodeProto], tensors: dict[str, np.ndarray]) -> None:
    outputs = [name for name in ("y", "b") if any(name in node.output for node in nodes)]
    graph = helper.make_graph(
        nodes,
        "made_up",
        [helper.make_tensor_value_info(f"x{i}", onnx.TensorProto.FLOAT, shape) for i, shape in enumerate(inputs)],
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Part by part some of the pixels, one channel after another; the head sums four neighbours, a number of times."""
    for part in ("template", "search"):
        file, shapes, names = FILES[part]
        nodes, tensors, outputs = [], {}, [f"s{number}" for number in range(len(TAPS))]
        for output, name, (channels, stride) in zip(outputs, (*names, ""), TAPS, strict=True):
            picked = np.zeros((channels, 3, 1, 1))
            picked[np.arange(channels), np.arange(channels) % 3] = 1
            tensors[f"w{output}"] = picked
            nodes.append(helper.make_node("Conv", ["x0", f"w{output}"], [output], name=name, strides=[stride] * 2))
        _end(nodes, tensors, outputs, ["y"])
        write(tmp_path / file, shapes, nodes, tensors)
    file, shapes, names = FILES["head"]
    nodes, tensors, outputs = [], {}, [f"s{number}" for number in range(len(names))]
    for number, (output, name) in enumerate(zip(outputs, names, strict=True)):
        channels = {"Conv_27": 64, "Conv_45": 64, "Conv_123": 4}.get(name, 96)
        tensors[f"w{output}"] = np.full((channels, 96, 2, 2), number)
        nodes.append(helper.make_node("Conv", ["x1", f"w{output}"], [output], name=name))
    tensors |= {"c": np.ones((2, 96, 2, 2)), "l": np.ones((4, 96, 2, 2))}
    nodes += [helper.make_node("Conv", ["x1", kernel], [output]) for kernel, output in (("c", "sc"), ("l", "sl"))]
    _end(nodes, tensors, [*outputs, "sc"], ["y"])
    _end(nodes, tensors, ["sl"], ["b"])
    write(tmp_path / file, shapes, nodes, tensors)
    return tmp_path


def _end(nodes: list[onnx.NodeProto], tensors: dict[str, np.ndarray], found: list[str], outputs: list[str]) -> None:
    """The last of what is found ends the graph, with nothing of all the others, so that none of them is for nothing."""
    (output,) = outputs
    nodes += [helper.make_node("ReduceMean", [name], [f"m{name}"]) for name in found]
    tensors["zero"] = np.zeros(1)
    nodes.append(helper.make_node("Sum", [f"m{name}" for name in found], [f"means{output}"]))
    nodes.append(helper.make_node("Mul", [f"means{output}", "zero"], [f"none{output}"]))
    nodes.append(helper.make_node("Add", [found[-1], f"none{output}"], [output]))


def pixels(side: int, count: int = 2) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, side, side), generator=torch.Generator().manual_seed(side)).float()


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


# The published files as a teacher


def test_it_is_asked_pair_by_pair_in_bgr(folder: Path) -> None:
    z, x = pixels(127), pixels(255)
    found = PublishedNanoTrack(folder)(z, x)
    for taps, seen in ((found.template, z), (found.search, x)):
        for tap, (channels, stride) in zip(taps, TAPS, strict=True):
            assert tap.shape[1] == channels
            assert torch.equal(tap[:, :3], seen.flip(1)[:, :, ::stride, ::stride])
    sums = torch.nn.functional.conv2d(found.search[-1], torch.ones(1, 96, 2, 2))
    for first, taps in ((0, found.loc), (9, found.cls[:-1])):
        for number, tap in enumerate(taps, first):
            assert torch.allclose(tap, sums * number)
    assert torch.allclose(found.cls[-1], sums.expand(2, 2, 15, 15))
    assert [tuple(taps[-1].shape) for taps in found[2:]] == [(2, 2, 15, 15), (2, 4, 15, 15)]
    _, sides = PublishedNanoTrack(folder, inside=False).head(found.template[-1].numpy(), found.search[-1].numpy())
    assert np.allclose(sides, sums.expand(2, 4, 15, 15))


def test_files_are_checked(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no file"):
        PublishedNanoTrack(tmp_path / "nowhere")
    first, second = (folder / FILES[part].name for part in ("template", "search"))
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    with pytest.raises(WeightsError, match=r"takes \[\(1, 3, 255, 255\)\]; NanoTrack v3 takes \[\(1, 3, 127, 127\)\]"):
        PublishedNanoTrack(folder)
    first.write_bytes(content.replace(b"Add_23", b"Add_32"))
    with pytest.raises(WeightsError, match="has no operation Add_23"):
        PublishedNanoTrack(folder)
    first.write_bytes(b"<html>not found</html>")
    with pytest.raises(WeightsError, match="no ONNX file"):
        PublishedNanoTrack(folder)
    first.write_bytes(content)
    before = digest(PublishedNanoTrack(folder))
    (folder / FILES["head"].name).write_bytes((folder / FILES["head"].name).read_bytes() + b"\x72\x00")
    assert digest(PublishedNanoTrack(folder)) != before  # a run that goes on knows its teacher


def test_whom_it_can_teach(folder: Path) -> None:
    teacher = PublishedNanoTrack(folder)
    check_teacher(teacher, RECIPE)
    for change in ({"width": 0.5}, {"search_size": 287}):
        other = {**STUDENT, "network": {**STUDENT["network"], **change}, "sampling": {"crop_size": 511}}  # type: ignore[dict-item]
        with pytest.raises(SettingsError, match="NanoTrack teaches networks of its own layout"):
            check_teacher(teacher, from_mapping(Recipe, other, where="test"))
    with pytest.raises(SettingsError, match=r'NanoTrack teaches .* The recipe has model = "siamfc" of width 1'):
        check_teacher(teacher, Recipe(teacher_weight=1.0))


def lesson_of(answer: tuple[torch.Tensor, ...]) -> Lesson:
    """What a teacher would have said whose answer this is."""
    grid = torch.from_numpy(decode(answer[1].detach().numpy().reshape(len(answer[1]), 4, 1, 15, 15), anchor_grid(ANCHOR, 15)))
    x, y, w, h = grid[:, :, 0].float().unbind(1)
    boxes = torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 1)
    return Lesson(answer[0][:, 1] - answer[0][:, 0], answer[2], answer[3], boxes)


def test_a_student_that_says_the_same_is_not_corrected(folder: Path) -> None:
    teacher = NanoTrackTeacher(PublishedNanoTrack(folder))
    torch.manual_seed(0)
    network = NanoTrack(NanoTrackNetworkSettings(tower=1)).train()  # batch norm of random weights does nothing else
    with torch.no_grad():
        answer, other = network(pixels(127), pixels(255)), network(pixels(127).flip(3), pixels(255).flip(2))
    lesson = lesson_of(answer)
    assert float(teacher.feature_distance(answer, lesson)) == pytest.approx(0, abs=1e-5)
    assert float(teacher.response_distance(answer, lesson)) == pytest.approx(0, abs=1e-3)
    assert float(teacher.feature_distance(other, lesson)) > 0.5
    assert float(teacher.response_distance(other, lesson)) > 0.001


def test_a_student_is_told_of_boxes(folder: Path) -> None:
    """The teacher says them as distances to four sides in pixels."""
    teacher = NanoTrackTeacher(PublishedNanoTrack(folder))
    left, top, right, bottom = -30.0, -50.0, 42.0, 10.0  # from the middle of the patch
    places = (torch.arange(15) - 7) * 16.0
    rows, columns = torch.meshgrid(places, places, indexing="ij")
    loc = torch.stack([columns - left, rows - top, right - columns, bottom - rows])[None]
    cls = torch.stack([torch.zeros(1, 15, 15), torch.full((1, 15, 15), -30.0)], 1)
    cls[0, 1, 6:8, 7:9] = 30.0  # where the target is
    teacher._teacher = SaysAlways(cls, loc)  # type: ignore[assignment]
    lesson = teacher.lesson(pixels(127, 1), pixels(255, 1), torch.tensor([False]))
    assert lesson.boxes is not None
    assert torch.allclose(lesson.boxes[0, :, 6:8, 7:9].flatten(1).T, torch.tensor([left, top, right, bottom]))
    said = torch.stack(
        [(6 - columns) / 64, (-20 - rows) / 64, torch.full((15, 15), 72 / 64).log(), torch.full((15, 15), 60 / 64).log()]
    )
    assert float(teacher.response_distance((cls, said[None]), lesson)) == pytest.approx(0, abs=1e-4)
    said[2] += np.log(2)  # twice as wide: half of it is the target
    assert float(teacher.response_distance((cls, said[None]), lesson)) == pytest.approx(0.5, abs=1e-2)


def test_a_teacher_is_not_believed_where_the_target_is_absent(folder: Path) -> None:
    """What it takes for the target there is something else; what it does not take for it stays as it says."""
    teacher = NanoTrackTeacher(PublishedNanoTrack(folder))
    cls = torch.stack([torch.zeros(2, 15, 15), torch.full((2, 15, 15), -9.0)], 1)
    cls[:, 1, 7, 7] = 5.0
    teacher._teacher = SaysAlways(cls, torch.zeros(2, 4, 15, 15))  # type: ignore[assignment]
    there, absent = teacher.lesson(pixels(127), pixels(255), torch.tensor([False, True])).responses
    assert float(there[7, 7]) == 5
    assert float(absent[7, 7]) == NOT_THERE
    assert float(there[0, 0]) == float(absent[0, 0]) == -9


class SaysAlways:
    """A teacher of one pair that looks at nothing."""

    def __init__(self, cls: torch.Tensor, loc: torch.Tensor) -> None:
        self.answer = Taps([torch.zeros(1)] * 11, [torch.zeros(1)] * 11, [cls], [loc.clamp_min(1).log()])

    def __call__(self, *_: torch.Tensor) -> Taps:
        return self.answer


def test_a_teacher_that_sees_no_target(folder: Path) -> None:
    """The sum over cells is not divided by nothing."""
    teacher = NanoTrackTeacher(PublishedNanoTrack(folder))
    lesson = Lesson(torch.full((1, 15, 15), -30.0), [], [])
    cls = torch.zeros(1, 2, 15, 15, requires_grad=True)
    distance = teacher.response_distance((cls,), lesson)
    distance.backward()  # type: ignore[no-untyped-call]
    assert float(distance.detach()) == pytest.approx(225 * np.log(2), rel=1e-4)
    assert cls.grad is not None
    assert torch.isfinite(cls.grad).all()


def test_a_student_learns_from_it(folder: Path) -> None:
    """A step down both distances makes both smaller."""
    teacher = NanoTrackTeacher(PublishedNanoTrack(folder))
    torch.manual_seed(0)
    network = RECIPE.kind.build(RECIPE.network)
    z, x = pixels(127), pixels(255)
    lesson = teacher.lesson(z, x, torch.zeros(2, dtype=torch.bool))
    lesson = lesson._replace(responses=torch.randn(2, 15, 15))
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    found = []
    for _ in range(4):
        answer = network(z, x)
        distances = teacher.feature_distance(answer, lesson), teacher.response_distance(answer, lesson)
        optimizer.zero_grad()
        (distances[0] + distances[1]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        found.append([float(d.detach()) for d in distances])
    assert all(last < first for first, last in zip(found[0], found[-1], strict=True))


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


# Part by part


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
    with pytest.raises(SettingsError, match=r"The teacher is a NanoTrack, .* published files of NanoTrack v3 alone"):
        check_teacher(NanoTrack(), recipe)
    shorter = from_mapping(Recipe, {**PARTS, "network": {"tower": 5}}, where="test")
    with pytest.raises(SettingsError, match="parts of a tower of 6"):
        check_teacher(PublishedNanoTrack(folder), shorter)


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
