"""NanoTrack's published files as a teacher (made-up ones of their shapes), and what a student is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from made_up_nanotrack import STUDENT, TAPS, lesson_of, pixels, write_nanotrack

from siamtrack.errors import SettingsError, WeightsError
from siamtrack.models.nanotrack import NanoTrack, NanoTrackNetworkSettings
from siamtrack.settings import from_mapping
from siamtrack.training.lessons import Lesson
from siamtrack.training.nanotrack import FILES, NOT_THERE, NanoTrackTeacher, PublishedNanoTrack, Taps
from siamtrack.training.recipe import Recipe
from siamtrack.training.teacher import check_teacher, digest

RECIPE = from_mapping(Recipe, STUDENT, where="test")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_nanotrack(tmp_path)


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
