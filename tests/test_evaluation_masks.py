"""`siamtrack evaluate` where results are masks: all objects of a video at once, each from its first frame."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmark_files import add_lines
from command_line import INPUT, refused, run
from mask_files import HEIGHT, WIDTH, add_masks, add_meta, add_pictures, scene

from siamtrack.box import Box
from siamtrack.datasets.palette_masks import read_labels
from siamtrack.errors import DataError, OutputError, SettingsError
from siamtrack.evaluation.protocols_following import ProtocolSettings
from siamtrack.evaluation.protocols_masks import by_video, check_masks, mask_run
from siamtrack.evaluation.runner import Where, evaluate
from siamtrack.evaluation.scoring import score
from siamtrack.evaluation.store import ResultStore
from siamtrack.image import Image
from siamtrack.library import find_benchmark, open_benchmark
from siamtrack.tracking import Prediction

FRAMES = 6
DOGS = [scene((1, 4 + i, 10, 10, 10), (2, 40, 10 + i, 12, 8)) for i in range(FRAMES)]
BOAT = [scene((1, 20, 20 + i, 15, 6)) for i in range(FRAMES)]
NO_TIMES = ProtocolSettings(frame_seconds=0.0)


def davis(folder: Path, *, pictures: bool = True) -> Path:
    root = folder / "DAVIS"
    for video, masks in (("dogs", DOGS), ("boat", BOAT)):
        add_masks(root / "Annotations" / "480p" / video, masks)
        if pictures:
            add_pictures(root / "JPEGImages" / "480p" / video, FRAMES)
    add_lines(root / "ImageSets" / "2017" / "val.txt", ["boat", "dogs"])
    return root


@dataclass(frozen=True)
class State:
    start: Box
    frame: int


class Knowing:
    """Says the true masks of `DOGS` and `BOAT`: what moves by a pixel a frame, to the right or down, as its first box tells."""

    gives_masks = True

    def __init__(self) -> None:
        self.calls: list[int] = []

    def start(self, image: Image, boxes: Sequence[Box]) -> list[State]:
        return [State(box, 0) for box in boxes]

    def step(self, image: Image, states: Sequence[State]) -> tuple[list[State], list[Prediction]]:
        self.calls.append(len(states))
        predictions = []
        for state in states:
            x, y, w, h = (int(v) for v in state.start)
            number = state.frame + 1
            x, y = (x + number, y) if w == h else (x, y + number)
            mask = np.zeros(image.shape[:2], bool)
            mask[y : y + h, x : x + w] = True
            predictions.append(Prediction(box=Box(x, y, w, h), score=1.0, mask=mask))
        return [State(state.start, state.frame + 1) for state in states], predictions


def store(folder: Path, benchmark: str = "davis2017") -> ResultStore:
    found = ResultStore(folder / "results", tracker="knowing", benchmark=find_benchmark(benchmark), protocol="masks")
    found.begin({})
    return found


def objects(root: Path, names: Sequence[str], benchmark: str = "davis2017") -> list[Any]:
    return open_benchmark(benchmark, root, sequences=names)[1]


def test_masks_are_those_of_the_tracker_with_the_numbers_of_the_objects(tmp_path: Path) -> None:
    wanted = objects(davis(tmp_path), ["dogs", "boat"])
    kept = store(tmp_path)
    outcomes = list(evaluate(Knowing, wanted, kept, NO_TIMES, Where()))
    assert [outcome.failure for outcome in outcomes] == ["", ""]
    assert kept.finished() == {"dogs_1", "dogs_2", "boat_1"}
    for video, truth in (("dogs", DOGS), ("boat", BOAT)):
        found = [read_labels(path) for path in sorted((kept.folder / video).glob("*.png"))]
        assert not found[0].any()  # the frame that the objects appear in
        assert all(np.array_equal(a, b) for a, b in zip(found[1:], truth[1:], strict=True))
    scores = score(kept.read_masks(wanted), wanted, "davis")
    assert scores.overall.numbers["j_and_f"] == 1
    assert list(evaluate(Knowing, wanted, kept, NO_TIMES, Where())) == []  # nothing is left


def test_all_objects_of_a_video_are_followed_in_one_call(tmp_path: Path) -> None:
    (members,) = by_video(objects(davis(tmp_path), ["dogs"])).values()
    tracker = Knowing()
    found = mask_run(tracker, members, ProtocolSettings())
    assert tracker.calls == [2] * (FRAMES - 1)
    assert list(found.pictures) == [f"{i:05}.png" for i in range(FRAMES)]
    assert (found.seconds >= 0).all()


def test_an_object_is_followed_from_the_frame_that_it_appears_in(tmp_path: Path) -> None:
    frames = [scene((1, 4 + i, 10, 10, 10), *([(2, 40, 10 + i - 2, 12, 8)] if i >= 2 else [])) for i in range(FRAMES)]
    root = tmp_path / "valid"
    add_masks(root / "Annotations" / "v", frames, step=5)
    add_pictures(root / "JPEGImages" / "v", FRAMES, step=5)
    stems = [f"{5 * i:05}" for i in range(FRAMES)]
    add_meta(root / "meta.json", {"v": {1: ("dog", stems), 2: ("cat", stems[2:])}})
    wanted = objects(root, ["v"], "youtubevos")
    kept = store(tmp_path, "youtubevos")
    (outcome,) = evaluate(Knowing, wanted, kept, NO_TIMES, Where())
    assert not outcome.failure
    found = [read_labels(path) for path in sorted((kept.folder / "v").glob("*.png"))]
    assert [sorted(set(np.unique(labels)) - {0}) for labels in found] == [[], [1], [1], [1, 2], [1, 2], [1, 2]]
    assert score(kept.read_masks(wanted), wanted, "youtube-vos").overall.numbers["j_and_f"] == 1


def test_a_video_with_more_objects_than_before_is_run_again(tmp_path: Path) -> None:
    root, kept = davis(tmp_path), store(tmp_path)
    list(evaluate(Knowing, objects(root, ["dogs_2"]), kept, NO_TIMES, Where()))
    assert kept.finished() == {"dogs_2"}
    assert set(np.unique(read_labels(kept.folder / "dogs" / "00003.png"))) == {0, 2}
    with pytest.raises(DataError, match="no results for 1 of 2 sequences: dogs_1"):
        kept.read_masks(objects(root, ["dogs"]))
    (outcome,) = evaluate(Knowing, objects(root, ["dogs"]), kept, NO_TIMES, Where())
    assert outcome.sequence == "dogs"
    assert kept.finished() == {"dogs_1", "dogs_2"}


def test_masks_of_other_objects_of_the_same_name_are_not_taken_for_these(tmp_path: Path) -> None:
    root, kept = davis(tmp_path), store(tmp_path)
    list(evaluate(Knowing, objects(root, ["boat"]), kept, NO_TIMES, Where()))
    add_masks(root / "Annotations" / "480p" / "boat", [scene((1, 3, 20 + i, 15, 6)) for i in range(FRAMES)])
    with pytest.raises(OutputError, match=r"results of 'boat_1' .* are of another sequence of that name"):
        list(evaluate(Knowing, objects(root, ["boat"]), kept, NO_TIMES, Where()))


def test_in_processes_as_in_this_one(tmp_path: Path) -> None:
    wanted = objects(davis(tmp_path), ["dogs", "boat"])
    alone, several = store(tmp_path / "a"), store(tmp_path / "b")
    list(evaluate(Knowing, wanted, alone, NO_TIMES, Where()))
    list(evaluate(Knowing, wanted, several, NO_TIMES, Where(workers=2)))
    files = sorted(path.relative_to(alone.folder) for path in alone.folder.rglob("*.*"))
    assert len(files) == 2 * FRAMES + 3
    assert all((alone.folder / name).read_bytes() == (several.folder / name).read_bytes() for name in files)


def test_without_pictures_a_video_cannot_be_run(tmp_path: Path) -> None:
    wanted = objects(davis(tmp_path, pictures=False), ["boat"])
    (outcome,) = evaluate(Knowing, wanted, store(tmp_path), NO_TIMES, Where())
    assert "has no frames here, only annotations" in outcome.failure


def test_a_tracker_without_masks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="the model 'boxes' gives boxes alone"):
        check_masks(object(), "boxes")  # type: ignore[arg-type]
    davis(tmp_path)
    command = ("evaluate", "--benchmark", "davis2017", "--root", "DAVIS", "--sequences", "boat", "--tracker", "siamfc")
    refused(command, INPUT, "the model 'siamfc' gives boxes alone", "davis2017-val", folder=tmp_path)
    assert not (tmp_path / "results").exists()


def test_ours_are_compared_beside_those_of_others(tmp_path: Path) -> None:
    wanted = objects(davis(tmp_path), ["dogs", "boat"])
    list(evaluate(Knowing, wanted, store(tmp_path), NO_TIMES, Where()))
    for video, masks in (("dogs", DOGS), ("boat", BOAT)):
        add_masks(tmp_path / "results" / "theirs" / video, [np.zeros((HEIGHT, WIDTH), np.uint8)] * len(masks))
    command = ("compare", "results", "--benchmark", "davis2017", "--root", "DAVIS", "--sequences", "dogs,boat")
    ended = run(*command, "--format", "csv", folder=tmp_path)
    assert ended.code == 0, ended.err
    rows = {row["tracker"]: row for row in csv.DictReader(io.StringIO(ended.out))}
    assert float(rows["knowing"]["J&F"]) == 1
    assert float(rows["theirs"]["J mean"]) == 0
    record = json.loads((tmp_path / "results/knowing/davis2017/masks/records/dogs.json").read_text())
    assert sorted(record["objects"]) == ["dogs_1", "dogs_2"]
