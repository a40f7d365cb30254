"""One network with and without a part of its tracking procedure, on the same scenes of a world whose truth is known.

All variants see the same frames. What they said is kept a scene at a time, so that an experiment goes on after the last one.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from siamtrack.box import Box, iou
from siamtrack.errors import SettingsError
from siamtrack.experiments.following import Watch, unwatched
from siamtrack.frames import Frame
from siamtrack.library import open_model, settings_of
from siamtrack.synthetic.made_folder import write_text
from siamtrack.synthetic.scene import FPS
from siamtrack.synthetic.truth import Labelled
from siamtrack.synthetic.world import LEAST_VISIBLE, Scene
from siamtrack.tracking import Tracker

TRIALS = "trials"
CROSSES = 0.1  # overlap of the boxes of two objects, from which on they cross
MATCHED = 0.5  # overlap of a match, as MOTChallenge has it
ON_OTHER = 0.3  # overlap with another object, from which on a tracker may be on that one
_OF_PROPOSALS = {"distractors", "long_term"}  # settings of procedures that choose among proposals
_LOOKED_AT = 5  # frames from one look whether objects cross to the next

Floats = NDArray[np.float64]


class Subject(NamedTuple):
    """A target in a scene."""

    name: str
    scene: Scene
    target: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """What the variants said of one scene, after its first frame; N frames.

    Attributes:
        name: of the scene.
        visible: (N,) whether the target is.
        overlaps: (N,) with the target, by variant; 0 where it is not visible.
        scores: (N,) by variant.
        others: (N,) largest overlap with another visible object, by variant.
        identical: another object is drawn from the target's very picture, so that its place alone tells it apart.
    """

    name: str
    visible: NDArray[np.bool_]
    overlaps: Mapping[str, Floats]
    scores: Mapping[str, Floats]
    others: Mapping[str, Floats]
    identical: bool = False

    def switches(self, variant: str) -> int:
        """How often the tracker went over from the target to another object: where it was last seen on, of the two."""
        on_other = (self.others[variant] >= ON_OTHER) & (self.others[variant] > self.overlaps[variant])
        on_other &= self.visible  # where the other hides the target, a box that stays is still right
        on_target = (self.overlaps[variant] > 0) & (self.overlaps[variant] >= self.others[variant])
        steps = [bool(other) for target, other in zip(on_target, on_other, strict=True) if target or other]
        return sum(now and not before for before, now in zip([False, *steps], steps, strict=False))

    def lasting_switches(self, variant: str) -> int:
        """How often the tracker went over from the target to another object, where a match is kept as in CLEAR MOT."""
        on_target, switches = True, 0
        for target, other in zip(self.overlaps[variant][self.visible], self.others[variant][self.visible], strict=True):
            kept, next_one = (target, other) if on_target else (other, target)
            if kept < MATCHED <= next_one:
                switches += on_target
                on_target = not on_target
        return switches

    def mean_overlap(self, variant: str) -> float:
        """Over the frames in which the target is visible; NaN without one."""
        return float(self.overlaps[variant][self.visible].mean()) if self.visible.any() else math.nan


def opened(model: str, variants: Mapping[str, Sequence[str]]) -> dict[str, Tracker[Any]]:
    """The model with the settings of each variant, texts as of --set.

    Raises:
        SettingsError: a variant is one of a procedure that the model has not, or sets something that it does not know.
    """
    known = settings_of(model)
    for part in sorted({text.partition(".")[0] for texts in variants.values() for text in texts} & _OF_PROPOSALS):
        if part not in known:
            raise SettingsError(
                f"The model '{model}' makes no proposals, and the procedures of this experiment differ in '{part}', which only "
                "models have that do. Give one with an RPN head, such as one exported from a checkpoint of SiamRPN."
            )
    return {name: open_model(model, overrides=tuple(overrides)) for name, overrides in variants.items()}


def run_trials(
    trackers: Mapping[str, Tracker[Any]], subjects: Iterable[Subject], frames: int, folder: Path, *, watch: Watch = unwatched
) -> list[Trial]:
    """Follows every target with every tracker.

    Args:
        trackers: by name; in step with each other.
        subjects: each with another name.
        frames: of each scene.
        folder: for what they say, NAME.csv; a scene whose file is there is not run again.
        watch: see `siamtrack.experiments.following.Watch`.

    Raises:
        OutputError: the folder cannot be written.
    """
    found = []
    for subject in subjects:
        file = folder / f"{subject.name}.csv"
        if not file.is_file():
            write_text(file, _followed(trackers, subject, frames, watch))
        found.append(_read(file, list(trackers), identical=has_identical(subject)))
    return found


def has_identical(subject: Subject) -> bool:
    """Whether another object is drawn from the target's very picture, and not from that picture in another light."""
    pictures = [layer.levels for layer in subject.scene.shot(0).layers[: subject.scene.objects]]
    return sum(picture is pictures[subject.target] for picture in pictures) > 1


def crosses(subject: Subject, frames: int) -> bool:
    """Whether another object comes across the target, both of them in view, in every fifth of these frames after the first."""
    scene, target = subject.scene, subject.target
    for time in range(_LOOKED_AT, frames, _LOOKED_AT):
        box, seen = scene.truth(target, time)
        if seen < 0.5:
            continue
        for other in (number for number in range(scene.objects) if number != target):
            there, also_seen = scene.truth(other, time)
            if also_seen >= 0.5 and float(iou(np.array([box]), np.array([there]))[0]) > CROSSES:
                return True
    return False


def leaves(subject: Subject, frames: int) -> bool:
    """Whether the target leaves, and is seen more after that than before, in every fifth of these frames.

    It has left where it is not to be seen in two of these that follow each other.
    """
    seen = [subject.scene.truth(subject.target, time)[1] >= LEAST_VISIBLE for time in range(0, frames, _LOOKED_AT)]
    left = next((number for number, two in enumerate(pairwise(seen)) if not any(two)), len(seen))
    return sum(seen[left:]) > sum(seen[:left])


def _followed(trackers: Mapping[str, Tracker[Any]], subject: Subject, frames: int, watch: Watch) -> str:
    labelled = subject.scene.frames(frames)
    first = next(labelled)
    start = Box(*map(float, first.boxes[subject.target]))
    states = {name: tracker.start(first.image, [start]) for name, tracker in trackers.items()}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["visible", *(f"{name} {what}" for name in trackers for what in ("overlap", "score", "other"))])
    for frame, truth in _numbered(labelled, watch, frames - 1, subject.name):
        row: list[object] = [int(_visible(truth, subject.target))]
        for name, tracker in trackers.items():
            states[name], (prediction,) = tracker.step(frame.image, states[name])
            overlap, other = _overlaps(prediction.box, truth, subject.target)
            row += [f"{overlap:.6f}", f"{prediction.score:.9g}", f"{other:.6f}"]
        writer.writerow(row)
    return text.getvalue()


def _numbered(labelled: Iterator[Labelled], watch: Watch, total: int, name: str) -> Iterator[tuple[Frame, Labelled]]:
    last: list[Labelled] = []

    def frames() -> Iterator[Frame]:
        for number, truth in enumerate(labelled, 1):
            last[:] = [truth]
            yield Frame(index=number, time=number / FPS, image=truth.image)

    for frame in watch(frames(), total, name):
        yield frame, last[0]


def _visible(truth: Labelled, target: int) -> bool:
    return bool(truth.visibility[target] >= LEAST_VISIBLE)


def _overlaps(box: Box, truth: Labelled, target: int) -> tuple[float, float]:
    """With the target, and the largest with another object, of those that are visible."""
    found = np.nan_to_num(iou(np.repeat([np.array(box, np.float64)], len(truth.boxes), 0), truth.boxes))
    found[truth.visibility < LEAST_VISIBLE] = 0
    return float(found[target]), float(np.delete(found, target).max(initial=0.0))


def _read(file: Path, names: Sequence[str], *, identical: bool) -> Trial:
    with file.open(newline="", encoding="utf-8") as text:
        rows = list(csv.DictReader(text))
    columns = {key: np.array([float(row[key]) for row in rows]) for key in rows[0]}
    overlaps, scores, others = ({name: columns[f"{name} {what}"] for name in names} for what in ("overlap", "score", "other"))
    seen = columns["visible"] > 0
    return Trial(name=file.stem, visible=seen, overlaps=overlaps, scores=scores, others=others, identical=identical)
