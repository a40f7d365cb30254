"""NanoTrack v3 as a teacher: what its published ONNX files say of training pairs, and how far a student is from it.

Source: HonglinChu/SiamTrackers, NanoTrack (Apache-2.0). A light backbone of stride 16 and a head without anchors: two classes,
and the distances to the four sides of the box, at 15 x 15 cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from siamtrack.errors import SettingsError, WeightsError
from siamtrack.layers.rpn_losses import corners, overlaps
from siamtrack.trackers.anchors import AnchorSettings, anchor_grid
from siamtrack.training.lessons import Lesson, centred_cells, feature_loss, resampled
from siamtrack.training.recipe import Recipe

Floats = NDArray[np.float32]

TEMPLATE_PX, SEARCH_PX = 127, 255
CELL_PX = 16
ANCHOR = AnchorSettings(ratios=(1.0,))  # of the students
CHANNELS = 96
FILES = {
    "template": (f"nanotrackv3_backbone_{TEMPLATE_PX}.onnx", [(1, 3, TEMPLATE_PX, TEMPLATE_PX)]),
    "search": (f"nanotrackv3_backbone_{SEARCH_PX}.onnx", [(1, 3, SEARCH_PX, SEARCH_PX)]),
    "head": ("nanotrackv3_head.onnx", [(1, CHANNELS, 8, 8), (1, CHANNELS, 16, 16)]),
}
"""By part: the file's published name, and the shapes that it takes."""


class NanoTrack(nn.Module):
    """The published network on the CPU, computed by OpenVINO one pair after another: its files know no batches.

    Args:
        folder: with the three files of `FILES`.

    Raises:
        WeightsError: a file is missing, cannot be read or has other inputs.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._parts = {part: _compiled(folder / name, shapes) for part, (name, shapes) in FILES.items()}
        content = b"".join((folder / name).read_bytes() for name, _ in FILES.values())
        self.register_buffer("content", torch.from_numpy(np.frombuffer(content, np.uint8).copy()))  # so that a run knows it

    def forward(self, z: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Pixels (B, 3, 127, 127) and (B, 3, 255, 255), RGB, 0..255, on any device -> float32 on the same device.

        Returns:
            cls (B, 2, 15, 15), loc (B, 4, 15, 15), see `head`; template features (B, 96, 8, 8) and search features
            (B, 96, 16, 16), whose cell i lies at pixel 16 i.
        """
        features = self.features("template", _bgr(z)), self.features("search", _bgr(x))
        cls, loc, template, search = (torch.from_numpy(v).to(z.device) for v in (*self.head(*features), *features))
        return cls, loc, template, search

    def features(self, part: str, pixels: Floats) -> Floats:
        """Of "template" pixels (B, 3, 127, 127) or "search" pixels (B, 3, 255, 255), BGR, 0..255."""
        return np.concatenate([self._parts[part]([one[None]])[0] for one in pixels])

    def head(self, template: Floats, search: Floats) -> tuple[Floats, Floats]:
        """What the network says of B pairs, from their features.

        Returns:
            cls (B, 2, 15, 15): logits of not the target, and of the target; cells of 16 px, their middle that of the patch.
            loc (B, 4, 15, 15): distances from a cell to the left, top, right and bottom of the box, patch px.
        """
        pairs = zip(template, search, strict=True)
        found = [[np.array(v) for v in self._parts["head"]([z[None], x[None]]).to_tuple()] for z, x in pairs]
        cls, loc = (np.concatenate(values) for values in zip(*found, strict=True))
        return cls, loc


class NanoTrackTeacher:
    """NanoTrack teaches networks with one box a cell, whose features have as many channels as its own.

    Its cells lie 16 px apart and the student's 8 px, so that each is read between those of the other.
    """

    def __init__(self, teacher: NanoTrack) -> None:
        self._teacher = teacher

    def check(self, recipe: Recipe) -> None:
        """See `Teacher.check`."""
        network = recipe.network
        channels = sum(getattr(network, "neck_channels", ()))
        sizes = network.template_size, recipe.patch_size
        if (channels, getattr(network, "anchors", 0), sizes) != (CHANNELS, 1, (TEMPLATE_PX, SEARCH_PX)):
            raise SettingsError(
                f"NanoTrack teaches networks with one anchor at a cell, {CHANNELS} channels behind the neck, templates of "
                f'{TEMPLATE_PX} px and search patches of {SEARCH_PX} px: model = "siamrpnpp" with anchors = 1 and '
                f"neck_channels = [{CHANNELS}], which this recipe has not."
            )

    @torch.no_grad()
    def lesson(self, templates: Tensor, searches: Tensor) -> Lesson:
        """See `Teacher.lesson`."""
        cls, loc, template, search = self._teacher(templates, searches)
        places = centred_cells(cls.shape[-1], CELL_PX).to(loc)
        columns, rows = places[None, None, :], places[None, :, None]
        sides = [columns - loc[:, 0], rows - loc[:, 1], columns + loc[:, 2], rows + loc[:, 3]]
        return Lesson(cls[:, 1] - cls[:, 0], template, search, torch.stack(sides, 1))

    def feature_distance(self, answer: tuple[Tensor, ...], lesson: Lesson) -> Tensor:
        """See `Teacher.feature_distance`."""
        pairs = zip(answer[-2:], (lesson.template, lesson.search), (TEMPLATE_PX, SEARCH_PX), strict=True)
        distances = [_between(said, wanted, side) for said, wanted, side in pairs]
        return (distances[0] + distances[1]) / 2

    def response_distance(self, answer: tuple[Tensor, ...], lesson: Lesson) -> Tensor:
        """See `Teacher.response_distance`: how badly the student's classes predict the teacher's, plus 1 - IoU of the boxes.

        Classes in nats, the sum over all cells for each that is the target: so a student becomes as sure as its teacher, which
        the halves of `select_cross_entropy` do not see to. Boxes where the teacher sees the target.
        """
        said = (answer[0][:, 1] - answer[0][:, 0]).float()
        cells = centred_cells(lesson.responses.shape[-1], CELL_PX), centred_cells(said.shape[-1], ANCHOR.stride)
        wanted = resampled(lesson.responses, *cells)
        target, other = wanted.sigmoid(), (-wanted).sigmoid()
        count = target.sum().clamp_min(1)
        missed = target * (F.softplus(-said) - F.softplus(-wanted))
        invented = other * (F.softplus(said) - F.softplus(wanted))
        classes = (missed + invented).sum() / count
        if lesson.boxes is None:
            return classes
        grid = torch.from_numpy(anchor_grid(ANCHOR, said.shape[-1])).to(said)[:, 0].permute(1, 2, 0)  # (R, R, 4)
        boxes = corners(answer[1].float().permute(0, 2, 3, 1), grid)
        return classes + (target * (1 - overlaps(boxes, resampled(lesson.boxes, *cells).permute(0, 2, 3, 1)))).sum() / count


def _between(said: Tensor, wanted: Tensor, side: int) -> Tensor:
    """`feature_loss` where the teacher's cells, the first ones at the border left out, lie between those of the student."""
    places = torch.arange(1, wanted.shape[-1]) * float(CELL_PX) + 0.5 - side / 2
    return feature_loss(resampled(said.float(), centred_cells(said.shape[-1], ANCHOR.stride), places), wanted[..., 1:, 1:])


def _bgr(pixels: Tensor) -> Floats:
    return np.ascontiguousarray(pixels.detach().float().cpu().flip(1).numpy())


def _compiled(path: Path, shapes: Sequence[tuple[int, ...]]) -> Any:
    import openvino

    if not path.is_file():
        names = ", ".join(name for name, _ in FILES.values())
        raise WeightsError(f"There is no file '{path}'. The folder of a NanoTrack v3 has {names}.")
    core = openvino.Core()
    try:
        graph = core.read_model(str(path))
    except RuntimeError:
        raise WeightsError(f"'{path}' is no ONNX file that OpenVINO can read; copy or download it again.") from None
    found = [tuple(entry.get_partial_shape().to_shape()) for entry in graph.inputs if entry.get_partial_shape().is_static]
    if found != shapes:
        raise WeightsError(f"'{path}' takes {found}; NanoTrack v3 takes {shapes}.")
    return core.compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
