"""What tests of NanoTrack share: made-up files of the published shapes, and what a teacher would have said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper

from siamtrack.trackers.anchors import AnchorSettings, anchor_grid, decode
from siamtrack.training.lessons import Lesson
from siamtrack.training.nanotrack import FILES

STUDENT = {
    "model": "nanotrack",
    "loss": "box_adaptive",
    "teacher_weight": 1.0,
    "sampling": {"crop_size": 383},
    "network": {"tower": 1},
}
ANCHOR = AnchorSettings(stride=16, ratios=(1.0,), scales=(4.0,))
TAPS = ((16, 2), (16, 2), (16, 4), (24, 8), (24, 8), (40, 16), (40, 16), (40, 16), (48, 16), (48, 16), (96, 16))
"""Channels and strides of what the made-up backbone says on its way, and at its end."""


def write_nanotrack(folder: Path) -> Path:
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
        _write(folder / file, shapes, nodes, tensors)
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
    _write(folder / file, shapes, nodes, tensors)
    return folder


def _write(path: Path, inputs: list[tuple[int, ...]], nodes: list[onnx.NodeProto], tensors: dict[str, np.ndarray]) -> None:
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


def lesson_of(answer: tuple[torch.Tensor, ...]) -> Lesson:
    """What a teacher would have said whose answer this is."""
    grid = torch.from_numpy(decode(answer[1].detach().numpy().reshape(len(answer[1]), 4, 1, 15, 15), anchor_grid(ANCHOR, 15)))
    x, y, w, h = grid[:, :, 0].float().unbind(1)
    boxes = torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 1)
    return Lesson(answer[0][:, 1] - answer[0][:, 0], answer[2], answer[3], boxes)
