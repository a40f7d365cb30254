"""Checking a whole data set, or the crops of one: in several processes, in bounded memory, and resumable.

A folder takes the results: `check.jsonl` has a line for the settings and one for each clip, written as soon as it is checked;
`samples/` has the sample crops. With them, a check that was ended at any moment goes on after the last whole line.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from siamtrack.box import Box
from siamtrack.crop import context_side
from siamtrack.datasets.check import DAMAGED, UNREADABLE, UNREADABLE_ANNOTATION, ClipReport, Finding, examine
from siamtrack.datasets.clips import Frames, PictureFiles, Target, TrainingSet
from siamtrack.datasets.crop_store import StoredCrops
from siamtrack.datasets.crops import CropSettings, croppable, cut_crop
from siamtrack.datasets.processes import in_processes, part_of
from siamtrack.draw import draw_boxes, save_image
from siamtrack.errors import DataError, OutputError
from siamtrack.image import Image
from siamtrack.output_paths import check_folder

JOURNAL, SAMPLES, SUMMARY = "check.jsonl", "samples", "report.json"
SHOWN = 24  # sample crops
LETTERS = 24  # of a clip's name in a caption
_SAMPLE = CropSettings(template_size=191)  # closer than in training, to see whether the box fits


_NO_FRAMES = PictureFiles(())


class _Wanted(NamedTuple):
    """A sample crop: number of the target, row, position of the frame, box."""

    target: int
    row: int
    position: int
    box: Box


class _Seen(NamedTuple):
    """What decoding the frames of a clip showed, by position."""

    sizes: dict[int, tuple[int, int]]
    unreadable: dict[int, str]
    samples: list[Image]


@dataclass(frozen=True, kw_only=True)
class _Clip:
    """A clip whose annotation was read, or could not be."""

    name: str
    targets: tuple[Target, ...] = ()
    frames: Frames = _NO_FRAMES
    size: tuple[int, int] | None = None
    wanted: tuple[_Wanted, ...] = ()
    error: str = ""


def run_check(
    source: TrainingSet | StoredCrops,
    out: Path,
    *,
    frames: int | None = None,
    workers: int = 1,
    watch: Callable[[int], None] = lambda clips: None,
) -> None:
    """Checks every clip, or goes on with a check that was ended. `read_reports` gives what was found.

    Args:
        source: a data set, whose annotated frames are decoded, or crops, whose hashes are compared.
        out: folder for the results; new, empty, or of an earlier check. One that was completed is done again.
        frames: decode at most so many of a clip, evenly spread; None: all that are annotated.
        workers: processes that decode; 0 or 1: this one. More of them need a main module that can be imported.
        watch: told how many clips are checked.

    Raises:
        OutputError: the folder cannot be written, or holds something else.
    """
    names = list(source.names)
    clips = hashlib.sha256("\n".join(names).encode()).hexdigest()
    of = "crops" if isinstance(source, StoredCrops) else "frames"
    same = source.digest() if isinstance(source, StoredCrops) else f"{source.root.resolve()} {source.fingerprint()}"
    done = _begin(out, {"data_set": source.name, "of": of, "at_most": frames, "clips_sha256": clips, "source": same})
    chosen = {int(number) for number in np.linspace(0, len(names) - 1, min(SHOWN, len(names)))}
    per_clip = math.ceil(SHOWN / max(len(names), 1))
    rest = [(name, per_clip * (number in chosen), number) for number, name in enumerate(names)][done:]
    checked = _check_store(source, rest) if isinstance(source, StoredCrops) else _check_set(source, rest, frames, workers)
    try:
        with closing(checked), (out / JOURNAL).open("ab") as file:
            for number, report, samples in checked:
                for k, image in enumerate(samples):
                    save_image(sample_path(out, number, k), image)
                file.write(json.dumps(report.as_json()).encode() + b"\n")
                file.flush()  # to the system, which keeps it when this process is killed
                watch(number + 1)
    except OSError as error:
        raise OutputError(f"'{out / JOURNAL}' cannot be written: {error.strerror}. The same command goes on.") from None


def read_reports(out: Path) -> Iterator[ClipReport]:
    """What `run_check` found, clip by clip."""
    with (out / JOURNAL).open("rb") as file:
        next(file)  # the settings
        for line in file:
            yield ClipReport.from_json(json.loads(line))


def sample_path(out: Path, number: int, k: int) -> Path:
    """The file of sample crop `k` of clip `number`."""
    return out / SAMPLES / f"{number:07}-{k:02}.png"


def _begin(out: Path, settings: dict[str, Any]) -> int:
    """Makes the folder ready, and says how many clips an earlier run checked."""
    check_folder(out)
    journal, first = out / JOURNAL, json.dumps(settings).encode() + b"\n"
    others = sorted(path.name for path in out.iterdir()) if out.is_dir() else []
    if others and JOURNAL not in others:
        raise OutputError(f"'{out}' holds something else ({', '.join(others[:3])}, ...); give a new folder for the check.")
    (out / SAMPLES).mkdir(parents=True, exist_ok=True)
    if not others or (out / SUMMARY).exists():  # new, or completed: from the beginning
        journal.write_bytes(first)
        (out / SUMMARY).unlink(missing_ok=True)  # after the journal, lest it be taken for one that goes on
        for picture in (out / SAMPLES).iterdir():
            picture.unlink()
    with journal.open("rb+") as file:
        if file.readline() not in (first, b""):
            raise OutputError(f"'{out}' holds a check of other data or with other settings; remove it or give another folder.")
        done, length = 0, file.tell()
        for line in file:
            if line.endswith(b"\n"):  # else it was not written to its end
                done, length = done + 1, length + len(line)
        file.truncate(length)
        if not length:
            file.write(first)
    return done


_Checked = Generator[tuple[int, ClipReport, list[Image]], None, None]


def _check_set(training_set: TrainingSet, clips: Iterable[tuple[str, int, int]], at_most: int | None, workers: int) -> _Checked:
    with closing(in_processes(_calls(training_set, clips, at_most), workers)) as results:
        for (number, clip), seen in results:
            if clip.error:
                report = ClipReport(clip=clip.name, findings=[Finding(UNREADABLE_ANNOTATION, "", None, clip.error)])
                yield number, report, []
                continue
            report = examine(clip.name, clip.targets, frames=len(clip.frames), sizes=seen.sizes, annotated_size=clip.size)
            report.findings += [Finding(UNREADABLE, "", at, reason) for at, reason in seen.unreadable.items()]
            report.samples = [_caption(clip, w) for w in clip.wanted if w.position in seen.sizes]
            yield number, report, seen.samples


def _calls(
    training_set: TrainingSet, clips: Iterable[tuple[str, int, int]], at_most: int | None
) -> Iterator[tuple[tuple[int, _Clip], Callable[..., _Seen], tuple[Any, ...]]]:
    for name, samples, number in clips:
        try:
            found = training_set.clip(name)
        except DataError as error:
            yield (number, _Clip(name=name, error=str(error))), _look, (_NO_FRAMES, [], [], [])
            continue
        wanted = tuple(_samples(found.targets, number, samples if at_most != 0 else 0))
        clip = _Clip(name=name, targets=found.targets, frames=found.frames, size=found.size, wanted=wanted)
        positions = np.unique(np.concatenate([np.zeros(0, np.int64), *(target.positions for target in found.targets)]))
        if at_most is not None and len(positions) > at_most:
            positions = positions[np.linspace(0, len(positions) - 1, at_most).astype(int)]
        asked = sorted({*map(int, positions), *(w.position for w in wanted)})
        frames, inside = part_of(found.frames, asked)
        yield (number, clip), _look, (frames, inside, asked, wanted)


def _look(frames: Frames, inside: Sequence[int], positions: Sequence[int], wanted: Sequence[_Wanted]) -> _Seen:
    """Decodes frames; `positions` is what those `inside` the given frames are in the clip."""
    seen = _Seen({}, {}, [])
    for position, image in zip(positions, frames.several(inside), strict=True):
        if isinstance(image, DataError):
            seen.unreadable[position] = str(image)
            continue
        seen.sizes[position] = image.shape[1], image.shape[0]
        seen.samples.extend(
            _drawn(cut_crop(image, w.box, _SAMPLE).image, w.box, _SAMPLE) for w in wanted if w.position == position
        )
    return seen


def _check_store(store: StoredCrops, clips: Iterable[tuple[str, int, int]]) -> _Checked:
    for name, samples, number in clips:
        damage = [Finding(DAMAGED, "", None, text) for text in store.damage(name)]
        index = store.intact_index(name)
        if index is None:
            yield number, ClipReport(clip=name, findings=damage), []
            continue
        report = examine(name, index.targets, frames=index.frames, sizes={}, annotated_size=index.size)
        if index.size is not None:
            report.frame_sizes = {"{}x{}".format(*index.size): index.frames - len(index.unreadable)}
        report.findings += [Finding(UNREADABLE, "", at, reason) for at, reason in sorted(index.unreadable.items())]
        report.findings += damage
        clip = _Clip(name=name, targets=index.targets)
        pictures = []
        for wanted in _samples(index.targets, number, samples):
            with contextlib.suppress(DataError):  # told above
                image = store.crop(name, wanted.target, wanted.row).image
                pictures.append(_drawn(image, wanted.box, store.settings))
                report.samples.append(_caption(clip, wanted))
        yield number, report, pictures


def _samples(targets: Sequence[Target], number: int, count: int) -> Iterator[_Wanted]:
    """Crops to show of clip `number`, in the order of their frames, of different targets where it has several."""
    usable = [(target, np.flatnonzero(croppable(found.boxes))) for target, found in enumerate(targets)]
    usable = [(target, rows) for target, rows in usable if len(rows)]
    chosen = set()
    for k in range(count if usable else 0):
        target, rows = usable[(number + k) % len(usable)]
        index = int(rows[int((k + number * 0.618 % 1) / count * len(rows))])
        chosen.add((int(targets[target].positions[index]), target, index))
    for position, target, index in sorted(chosen):
        yield _Wanted(target, index, position, targets[target].box(index))


def _drawn(crop: Image, box: Box, settings: CropSettings) -> Image:
    """A crop with the target's box."""
    scale = settings.template_size / context_side(box.w, box.h, settings.context)
    return draw_boxes(crop, [Box.from_center(settings.size / 2, settings.size / 2, box.w * scale, box.h * scale)])


def _caption(clip: _Clip, wanted: _Wanted) -> str:
    name = clip.name if len(clip.name) <= LETTERS else f"...{clip.name[3 - LETTERS :]}"  # the end tells clips apart
    return f"{name}, {clip.targets[wanted.target].name}, frame {wanted.position}"
