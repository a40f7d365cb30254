"""The parts of NanoTrack's network, and what the published one makes of each: see `siamtrack.training.parts`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from siamtrack.layers.mobilenet_v3 import InvertedResidual
from siamtrack.layers.nanotrack_head import NanoTrackBranch
from siamtrack.models.nanotrack import HALF_ANCHOR_PX, NanoTrack
from siamtrack.training.nanotrack import PublishedNanoTrack
from siamtrack.training.parts import Part


class NanoTrackParts:
    """NanoTrack teaches each of the ten parts of a backbone, and the nine of either branch of a head."""

    def __init__(self, teacher: PublishedNanoTrack) -> None:
        self._teacher = teacher

    def parts(self, network: nn.Module, templates: Tensor, searches: Tensor) -> Iterator[Part]:
        """See `PartTeacher.parts`."""
        assert isinstance(network, NanoTrack)
        with torch.no_grad():
            taps = self._teacher(templates, searches)
        for pixels, found in ((templates, taps.template), (searches, taps.search)):
            yield from _of_backbone(network, pixels, found)
        features = taps.template[-1], taps.search[-1]
        yield from _of_branch(network.head.cls, *features, taps.cls)
        yield from _of_branch(network.head.loc, *features, [*taps.loc[:-1], taps.loc[-1] - math.log(HALF_ANCHOR_PX)])


def _of_backbone(network: NanoTrack, pixels: Tensor, taps: list[Tensor]) -> Iterator[Part]:
    stem, blocks = network.backbone.stem, cast("list[InvertedResidual]", network.backbone.blocks)
    before, *found = (tap.contiguous(memory_format=torch.channels_last) for tap in taps)
    yield Part(stem(pixels), found[0], _norm(stem, 1), before)
    for block, (given, wanted) in zip(blocks, pairwise(found), strict=True):
        yield Part(block(given), wanted, _norm(block.reduce), wanted - given if block.has_shortcut else wanted)


def _of_branch(branch: NanoTrackBranch, template: Tensor, search: Tensor, taps: list[Tensor]) -> Iterator[Part]:
    merged, joined, *tower, answer = taps
    pixelwise, depthwise = branch.correlations(template, search)
    yield Part(pixelwise, merged, _norm(branch.merge), merged)
    yield Part(branch.join(torch.cat((merged, depthwise), 1)), joined, _norm(branch.join), joined)
    given = joined
    for block, wanted in zip(cast("list[nn.Sequential]", branch.tower), tower, strict=True):
        yield Part(block(given), wanted, _norm(block), wanted)
        given = wanted
    yield Part(branch.answer(given), answer)


def _norm(layers: nn.Sequential, place: int = -1) -> nn.BatchNorm2d:
    return cast("nn.BatchNorm2d", layers[place])
