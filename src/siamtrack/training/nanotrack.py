"""NanoTrack v3 as a teacher: what its published ONNX files say of training pairs, and how far a student is from it.

Source: HonglinChu/SiamTrackers, NanoTrack (Apache-2.0); see `siamtrack.models.nanotrack`, whose networks it teaches.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from siamtrack.errors import SettingsError, WeightsError
from siamtrack.layers.mobilenet_v3 import STAGES
from siamtrack.layers.rpn_losses import corners, overlaps
from siamtrack.models.nanotrack import NanoTrackNetworkSettings
from siamtrack.models.rpn_training import anchors_of
from siamtrack.runtimes.openvino_core import openvino_core
from siamtrack.trackers.anchors import anchor_grid
from siamtrack.training.lessons import Lesson, feature_loss
from siamtrack.training.recipe import Recipe

Floats = NDArray[np.float32]

STUDENT = NanoTrackNetworkSettings()
TEMPLATE_PX, SEARCH_PX, CELL_PX = STUDENT.template_size, STUDENT.search_size, STUDENT.stride
CHANNELS = 96
NOT_THERE = -7.0  # logit; a probability of one in a thousand
BACKBONE = ("Conv_0", "HardSwish_1", "Conv_12", "Conv_17", "Add_23", "Conv_36", "Add_50", "Add_64", "Conv_77", "Add_91")
"""Operations of the published backbone that end its first convolution, its stem and its bottlenecks; the last of these ends the
file."""
LOC = ("Conv_27", "Conv_59", "Conv_97", "Conv_102", "Conv_107", "Conv_112", "Conv_117", "Conv_122", "Conv_123")
"""Of the published head: the pixel-wise correlation read, both correlations joined, the blocks of the tower, and the answer."""
CLS = ("Conv_45", "Conv_61", "Conv_66", "Conv_71", "Conv_76", "Conv_81", "Conv_86", "Conv_91")
"""The same for the classes, whose answer ends the file."""


class File(NamedTuple):
    """A published file."""

    name: str
    shapes: list[tuple[int, ...]]  # that it takes
    inside: tuple[str, ...]  # operations whose answers are wanted, too


FILES = {
    "template": File(f"nanotrackv3_backbone_{TEMPLATE_PX}.onnx", [(1, 3, TEMPLATE_PX, TEMPLATE_PX)], BACKBONE),
    "search": File(f"nanotrackv3_backbone_{SEARCH_PX}.onnx", [(1, 3, SEARCH_PX, SEARCH_PX)], BACKBONE),
    "head": File("nanotrackv3_head.onnx", [(1, CHANNELS, 8, 8), (1, CHANNELS, 16, 16)], LOC + CLS),
}
"""The files by what they compute."""


class Taps(NamedTuple):
    """What the published network finds on its way through B pairs, float32."""

    template: list[Tensor]  # of the first convolution, the stem, and the nine bottlenecks, the last one (B, 96, 8, 8)
    search: list[Tensor]  # the same, the last one (B, 96, 16, 16)
    cls: list[Tensor]  # of merge, join, six blocks of the tower; logits (B, 2, 15, 15) of not the target, and of the target
    loc: list[Tensor]  # the same; logarithms (B, 4, 15, 15) of px from a cell to the left, top, right and bottom of the box


class PublishedNanoTrack(nn.Module):
    """The published network on the CPU, computed by OpenVINO pair by pair, a few at a time: its files know no batches.

    Args:
        folder: with the three files of `FILES`.
        inside: whether the operations inside are asked, too, which `forward` needs.

    Raises:
        WeightsError: a file is missing, cannot be read, has other inputs or lacks an operation.
    """

    def __init__(self, folder: Path, *, inside: bool = True) -> None:
        super().__init__()
        chosen = {part: file if inside else file._replace(inside=()) for part, file in FILES.items()}
        self._parts = {part: _compiled(folder, file) for part, file in chosen.items()}
        content = b"".join((folder / file.name).read_bytes() for file in FILES.values())
        self.register_buffer("content", torch.from_numpy(np.frombuffer(content, np.uint8).copy()))  # so that a run knows it

    def forward(self, z: Tensor, x: Tensor) -> Taps:
        """Pixels (B, 3, 127, 127) and (B, 3, 255, 255), RGB, 0..255, on any device -> float32 on the same device."""
        template, search = self.features("template", _bgr(z)), self.features("search", _bgr(x))
        head = self.head(template[-1], search[-1])
        loc, cls = head[: len(LOC)], head[len(LOC) : -1]  # behind them the distances
        return Taps(*([torch.from_numpy(values).to(z.device) for values in part] for part in (template, search, cls, loc)))

    def features(self, part: str, pixels: Floats) -> list[Floats]:
        """What `BACKBONE` and the file give for "template" (B, 3, 127, 127) or "search" pixels (B, 3, 255, 255), BGR."""
        return self._each(part, pixels)

    def head(self, template: Floats, search: Floats) -> list[Floats]:
        """What `LOC`, `CLS` and the file give for B pairs of features.

        The last two are logits (B, 2, 15, 15) of not the target, and of the target, in cells of 16 px whose middle is that of
        the patch; and distances (B, 4, 15, 15) from a cell to the left, top, right and bottom of the box, patch px.
        """
        return self._each("head", template, search)

    def _each(self, part: str, *batches: Floats) -> list[Floats]:
        queue = self._parts[part]
        answers: list[list[Floats]] = [[] for _ in batches[0]]
        queue.set_callback(lambda done, number: answers[number].extend(tensor.data.copy() for tensor in done.output_tensors))
        for number, ones in enumerate(zip(*batches, strict=True)):
            queue.start_async([one[None] for one in ones], number)
        queue.wait_all()
        return [np.concatenate(values) for values in zip(*answers, strict=True)]


class NanoTrackTeacher:
    """NanoTrack teaches networks of its own layout: what each stage of the backbone finds, and what the head says."""

    def __init__(self, teacher: PublishedNanoTrack) -> None:
        self._teacher = teacher
        self._grid = torch.from_numpy(anchor_grid(anchors_of(STUDENT), 15))[:, 0].permute(1, 2, 0).float()  # (15, 15, 4)

    def check(self, recipe: Recipe) -> None:
        """See `Teacher.check`."""
        network = recipe.network
        alike = isinstance(network, NanoTrackNetworkSettings) and network.width == 1 and not network.masks
        if not alike or recipe.patch_size != SEARCH_PX:
            width = getattr(network, "width", 1)
            raise SettingsError(
                'NanoTrack teaches networks of its own layout: model = "nanotrack" of width 1 without masks, search patches of '
                f'{SEARCH_PX} px. The recipe has model = "{recipe.model}" of width {width:g}, and {recipe.patch_size} px.'
            )
        if recipe.teaching == "parts" and network.tower != STUDENT.tower:
            raise SettingsError(
                f"The recipe has a tower of {network.tower} blocks; NanoTrack teaches parts of a tower of {STUDENT.tower}."
            )

    @torch.no_grad()
    def lesson(self, templates: Tensor, searches: Tensor, absent: Tensor) -> Lesson:
        """See `Teacher.lesson`; no response to an absent target is above `NOT_THERE`."""
        taps = self._teacher(templates, searches)
        cls, loc = taps.cls[-1], taps.loc[-1].exp()
        columns, rows = self._grid[..., 0].to(loc), self._grid[..., 1].to(loc)
        sides = [columns - loc[:, 0], rows - loc[:, 1], columns + loc[:, 2], rows + loc[:, 3]]
        of_template, of_search = ([found[1 + count] for count in STAGES] for found in (taps.template, taps.search))
        responses = cls[:, 1] - cls[:, 0]
        responses = torch.where(absent[:, None, None], responses.clamp_max(NOT_THERE), responses)
        return Lesson(responses, of_template, of_search, torch.stack(sides, 1))

    def feature_distance(self, answer: tuple[Any, ...], lesson: Lesson) -> Tensor:
        """See `Teacher.feature_distance`: the sum over the stages."""
        pairs = zip([*answer[-2], *answer[-1]], [*lesson.template, *lesson.search], strict=True)
        return torch.stack([feature_loss(said, wanted) for said, wanted in pairs]).sum() / 2

    def response_distance(self, answer: tuple[Any, ...], lesson: Lesson) -> Tensor:
        """See `Teacher.response_distance`: how badly the student's classes predict the teacher's, plus 1 - IoU of the boxes.

        Classes in nats, the sum over all cells for each that is the target: so a student becomes as sure as its teacher, which
        the halves of `select_cross_entropy` do not see to. Boxes where the teacher sees the target.
        """
        said = (answer[0][:, 1] - answer[0][:, 0]).float()
        wanted = lesson.responses
        target, other = wanted.sigmoid(), (-wanted).sigmoid()
        count = target.sum().clamp_min(1)
        missed = target * (F.softplus(-said) - F.softplus(-wanted))
        invented = other * (F.softplus(said) - F.softplus(wanted))
        classes = (missed + invented).sum() / count
        if lesson.boxes is None:
            return classes
        boxes = corners(answer[1].float().permute(0, 2, 3, 1), self._grid.to(said))
        return classes + (target * (1 - overlaps(boxes, lesson.boxes.permute(0, 2, 3, 1)))).sum() / count


def _bgr(pixels: Tensor) -> Floats:
    return np.ascontiguousarray(pixels.detach().float().cpu().flip(1).numpy())


def _compiled(folder: Path, file: File) -> Any:
    """The graph, whose answers are those of the operations inside and then its own, as a queue of requests: one a core."""
    import openvino

    path = folder / file.name
    if not path.is_file():
        names = ", ".join(known.name for known in FILES.values())
        raise WeightsError(f"There is no file '{path}'. The folder of a NanoTrack v3 has {names}.")
    core = openvino_core()
    try:
        graph = core.read_model(str(path))
    except RuntimeError:
        raise WeightsError(f"'{path}' is no ONNX file that OpenVINO can read; copy or download it again.") from None
    found = [tuple(entry.get_partial_shape().to_shape()) for entry in graph.inputs if entry.get_partial_shape().is_static]
    if found != file.shapes:
        raise WeightsError(f"'{path}' takes {found}; NanoTrack v3 takes {file.shapes}.")
    operations = {operation.get_friendly_name(): operation for operation in graph.get_ops()}
    if missing := [name for name in file.inside if name not in operations]:
        raise WeightsError(f"'{path}' has no operation {missing[0]}; the published files of NanoTrack v3 have one.")
    own = list(graph.outputs)
    chosen = [operations[name].output(0) for name in file.inside] + [entry.node.input_value(0) for entry in own]
    hints = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "THROUGHPUT"}
    return openvino.AsyncInferQueue(core.compile_model(openvino.Model(chosen, graph.get_parameters(), "taught"), "CPU", hints))
