"""NanoTrack as a teacher: made-up files of its shapes, what is read of them, and what a student is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper

from siamtrack.errors import SettingsError, WeightsError
from siamtrack.settings import from_mapping
from siamtrack.trackers.anchors import AnchorSettings, anchor_grid, encode
from siamtrack.training.lessons import Lesson, centred_cells, resampled
from siamtrack.training.nanotrack import FILES, NanoTrack, NanoTrackTeacher
from siamtrack.training.recipe import Recipe
from siamtrack.training.teacher import check_teacher, digest

STUDENT = {
    "model": "siamrpnpp",
    "loss": "box_adaptive",
    "teacher_weight": 1.0,
    "sampling": {"crop_size": 383},
    "network": {"backbone": "resnet18", "width": 0.02, "used_layers": [3], "neck_channels": [96], "anchors": 1},
}
RECIPE = from_mapping(Recipe, STUDENT, where="test")


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
    """The features are every 16th pixel, one channel after another; the head repeats the mean of two of them."""
    picked = np.zeros((96, 3, 1, 1))
    picked[np.arange(96), np.arange(96) % 3] = 1
    conv = helper.make_node("Conv", ["x0", "w"], ["y"], strides=[16, 16])
    for part in ("template", "search"):
        name, shapes = FILES[part]
        write(tmp_path / name, shapes, [conv], {"w": picked})
    name, shapes = FILES["head"]
    nodes = [helper.make_node("Conv", ["x1", "c"], ["y"]), helper.make_node("Conv", ["x1", "l"], ["b"])]
    write(tmp_path / name, shapes, nodes, {"c": np.ones((2, 96, 2, 2)), "l": np.ones((4, 96, 2, 2))})
    return tmp_path


def pixels(side: int, count: int = 2) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, side, side), generator=torch.Generator().manual_seed(side)).float()


def test_it_is_asked_pair_by_pair_in_bgr(folder: Path) -> None:
    z, x = pixels(127), pixels(255)
    cls, loc, template, search = NanoTrack(folder)(z, x)
    assert [tuple(v.shape) for v in (cls, loc, template, search)] == [
        (2, 2, 15, 15),
        (2, 4, 15, 15),
        (2, 96, 8, 8),
        (2, 96, 16, 16),
    ]
    assert torch.equal(template[:, :3], z.flip(1)[:, :, ::16, ::16])
    assert torch.equal(search[:, 3:6], x.flip(1)[:, :, ::16, ::16])


def test_files_are_checked(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no file"):
        NanoTrack(tmp_path / "nowhere")
    first, second = (folder / FILES[part][0] for part in ("template", "search"))
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    with pytest.raises(WeightsError, match=r"takes \[\(1, 3, 255, 255\)\]; NanoTrack v3 takes \[\(1, 3, 127, 127\)\]"):
        NanoTrack(folder)
    first.write_bytes(b"<html>not found</html>")
    with pytest.raises(WeightsError, match="no ONNX file"):
        NanoTrack(folder)
    first.write_bytes(content)
    before = digest(NanoTrack(folder))
    (folder / FILES["head"][0]).write_bytes((folder / FILES["head"][0]).read_bytes() + b"\x72\x00")
    assert digest(NanoTrack(folder)) != before  # a run that goes on knows its teacher


def test_whom_it_can_teach(folder: Path) -> None:
    teacher = NanoTrack(folder)
    check_teacher(teacher, RECIPE)
    for change in ({"neck_channels": [64]}, {"search_size": 287}):
        other = {**STUDENT, "network": {**STUDENT["network"], **change}, "sampling": {"crop_size": 511}}  # type: ignore[dict-item]
        with pytest.raises(SettingsError, match="NanoTrack teaches networks with one anchor"):
            check_teacher(teacher, from_mapping(Recipe, other, where="test"))
    with pytest.raises(SettingsError, match="NanoTrack teaches"):
        check_teacher(teacher, Recipe(teacher_weight=1.0))


def test_maps_are_read_between_their_cells() -> None:
    rows, columns = torch.meshgrid(centred_cells(7, 8), centred_cells(7, 8), indexing="ij")
    maps = torch.stack([2 * rows + columns, columns])  # linear: what lies between is known
    wanted = torch.tensor([-24.0, -3.5, 0.0, 24.0])
    found = resampled(maps, centred_cells(7, 8), wanted)
    down, across = torch.meshgrid(wanted, wanted, indexing="ij")
    assert torch.allclose(found, torch.stack([2 * down + across, across]), atol=1e-5)
    assert float(resampled(torch.ones(7, 7), centred_cells(7, 8), torch.tensor([40.0]))) == 0


def test_a_student_that_says_the_same_is_not_corrected(folder: Path) -> None:
    """Its cells lie between those of the teacher, so both are read from the same smooth pattern."""
    teacher = NanoTrackTeacher(NanoTrack(folder))

    def pattern(places: torch.Tensor) -> torch.Tensor:
        rows, columns = torch.meshgrid(places, places, indexing="ij")
        return torch.stack([rows * (1 + channel % 3) + columns * (channel % 5) for channel in range(96)])[None] / 50

    def response(places: torch.Tensor) -> torch.Tensor:
        rows, columns = torch.meshgrid(places, places, indexing="ij")
        return 3 - (rows[None].abs() + columns[None].abs()) / 16

    lesson = Lesson(
        response(centred_cells(15, 16)),
        pattern(torch.arange(8) * 16 + 0.5 - 127 / 2),
        pattern(torch.arange(16) * 16 + 0.5 - 255 / 2),
    )
    cls = torch.stack([torch.zeros(1, 25, 25), response(centred_cells(25, 8))], 1)
    answer = cls, torch.zeros(1, 4, 25, 25), pattern(centred_cells(15, 8)), pattern(centred_cells(31, 8))
    assert float(teacher.feature_distance(answer, lesson)) == pytest.approx(0, abs=1e-5)
    assert float(teacher.response_distance(answer, lesson)) == pytest.approx(0, abs=1e-3)
    shifted = (cls.roll(3, -1), answer[1], *(features.roll(2, -1) for features in answer[2:]))
    assert float(teacher.feature_distance(shifted, lesson)) > 0.02
    assert float(teacher.response_distance(shifted, lesson)) > 0.05


def test_a_student_is_told_of_boxes(folder: Path) -> None:
    """The teacher says them as distances to four sides from its cells, the student as offsets of an anchor from its own."""
    teacher = NanoTrackTeacher(NanoTrack(folder))
    left, top, right, bottom = -30.0, -50.0, 42.0, 10.0  # from the middle of the patch
    places = centred_cells(15, 16)
    rows, columns = torch.meshgrid(places, places, indexing="ij")
    loc = torch.stack([columns - left, rows - top, right - columns, bottom - rows])[None]
    cls = torch.stack([torch.zeros(1, 15, 15), torch.full((1, 15, 15), -30.0)], 1)
    cls[0, 1, 6:8, 7:9] = 30.0  # where the target is
    teacher._teacher = SaysAlways(cls, loc)  # type: ignore[assignment]
    lesson = teacher.lesson(pixels(127, 1), pixels(255, 1))
    assert lesson.boxes is not None
    assert torch.allclose(lesson.boxes[0].flatten(1).T, torch.tensor([left, top, right, bottom]))
    grid = anchor_grid(AnchorSettings(ratios=(1.0,)), 25)
    said = torch.tensor(encode(np.array([6.0, -20.0, 72.0, 60.0])[:, None, None, None], grid), dtype=torch.float32)
    right_classes = resampled(lesson.responses, centred_cells(15, 16), centred_cells(25, 8))
    student = torch.stack([torch.zeros(1, 25, 25), right_classes], 1)
    assert float(teacher.response_distance((student, said.reshape(1, 4, 25, 25)), lesson)) == pytest.approx(0, abs=1e-4)
    wide = said.clone()
    wide[2] += np.log(2)  # twice as wide: half of it is the target
    assert float(teacher.response_distance((student, wide.reshape(1, 4, 25, 25)), lesson)) == pytest.approx(0.5, abs=1e-2)


class SaysAlways:
    """A teacher of one pair that looks at nothing."""

    def __init__(self, cls: torch.Tensor, loc: torch.Tensor) -> None:
        self.answer = cls, loc, torch.zeros(1, 96, 8, 8), torch.zeros(1, 96, 16, 16)

    def __call__(self, *_: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self.answer


def test_a_teacher_that_sees_no_target(folder: Path) -> None:
    """The sum over cells is not divided by nothing."""
    teacher = NanoTrackTeacher(NanoTrack(folder))
    lesson = Lesson(torch.full((1, 15, 15), -30.0), torch.zeros(1, 96, 8, 8), torch.zeros(1, 96, 16, 16))
    cls = torch.zeros(1, 2, 25, 25, requires_grad=True)
    distance = teacher.response_distance((cls,), lesson)
    distance.backward()  # type: ignore[no-untyped-call]
    assert float(distance.detach()) == pytest.approx(625 * np.log(2), rel=1e-4)
    assert cls.grad is not None
    assert torch.isfinite(cls.grad).all()


def test_a_student_learns_from_it(folder: Path) -> None:
    """A step down both distances makes both smaller."""
    teacher = NanoTrackTeacher(NanoTrack(folder))
    torch.manual_seed(0)
    network = RECIPE.kind.build(RECIPE.network)
    z, x = pixels(127), pixels(255)
    lesson = teacher.lesson(z, x)
    lesson = lesson._replace(responses=lesson.responses + torch.randn(2, 15, 15))
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
