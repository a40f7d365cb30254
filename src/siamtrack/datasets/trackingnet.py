"""TrackingNet (Müller et al., ECCV 2018; github.com/SilvioGiancola/TrackingNet-devkit): 30,132 videos, and 511 to test on.

TRAIN_0 to TRAIN_11 each hold anno/NAME.txt (x,y,w,h a line) and frames/NAME/0.jpg, 1.jpg and so on. Clips are named
TRAIN_0/NAME. Parts whose frames are not there are left out, as few people hold all of them; a part that lacks some of its
sequences is refused.

* Boxes are taken as written, 0-based: the authors' own generate_BB_frames.py draws them so, and nothing is published to the
  contrary. They come from trackers between one human box a second and often leave the image (paper; devkit issue 23).
* The test part, TEST/, is laid out alike and has the box of the first frame only: the server of the authors scores results.
  It is a benchmark and never trained from.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from siamtrack.datasets.benchmark import Benchmark, BenchmarkSequence
from siamtrack.datasets.benchmark_folders import choose_sequences, find_root, first_of
from siamtrack.datasets.clips import Clip, TrainingSet
from siamtrack.datasets.sequence_folders import (
    folders_in,
    numbered_frames,
    read_frame_boxes,
    require_folders,
    single_target_clip,
)
from siamtrack.errors import DataError

_TEST_LENGTH = 511


class TrackingNet(TrainingSet):
    """See `TrainingSet`."""

    name = "trackingnet"

    def __init__(self, root: Path) -> None:
        self.root = root
        parts = _parts(root)
        if not parts:
            raise DataError(
                f"There is no TRAIN_0/frames to TRAIN_11/frames in '{root}'; unpack at least one part of TrackingNet."
            )
        self._names = sorted(f"{part}/{name}" for part in parts for name in _sequences(root / part))

    @classmethod
    def recognises(cls, root: Path) -> bool:
        """Whether there is a part with frames."""
        return bool(_parts(root))

    @property
    def names(self) -> Sequence[str]:
        """See `TrainingSet`."""
        return self._names

    def clip(self, name: str) -> Clip:
        """See `TrainingSet`."""
        part, _, sequence = name.partition("/")
        frames = numbered_frames(self.root / part / "frames" / sequence)
        boxes = read_frame_boxes(self.root / part / "anno" / f"{sequence}.txt", frames, first_pixel=0)
        return single_target_clip(name, frames, boxes)


def _parts(root: Path) -> list[str]:
    return [name for name in folders_in(root) if re.fullmatch(r"TRAIN_\d+", name) and (root / name / "frames").is_dir()]


def _sequences(part: Path) -> list[str]:
    """Names of the annotated sequences of a part. Names begin with letters, digits, "-" and "_", as YouTube's do."""
    names = sorted(path.stem for path in (part / "anno").glob("*.txt") if not path.name.startswith("."))
    if not names:
        raise DataError(f"There are no annotations in '{part / 'anno'}'; unpack those of {part.name} there, a .txt a sequence.")
    require_folders(names, folders_in(part / "frames"), listed_in=part / "anno", looked_in=part / "frames")
    return names


def _read_test(root: Path, names: Sequence[str] | None) -> list[BenchmarkSequence]:
    root = find_root(
        root,
        lambda folder: (folder / "anno").is_dir() and (folder / "frames").is_dir() and not re.match("TRAIN", folder.name),
        names=("TEST", "TrackingNet"),
        expected="TEST/anno/NAME.txt and TEST/frames/NAME/0.jpg, and so on",
    )
    present = {path.stem for path in (root / "anno").glob("*.txt") if not path.name.startswith(".")}
    chosen = choose_sequences(names, present, complete=_TEST_LENGTH, title="TrackingNet", root=root)
    return [_test_sequence(root, name) for name in chosen]


def _test_sequence(root: Path, name: str) -> BenchmarkSequence:
    frames = numbered_frames(root / "frames" / name)
    box = read_frame_boxes(root / "anno" / f"{name}.txt", None, first_pixel=0)
    return BenchmarkSequence(name=name, regions=list(first_of(box, len(frames))), frames=frames.paths)


TRAINING_SET = TrackingNet

BENCHMARKS = (
    Benchmark(
        name="trackingnet",
        title="TrackingNet",
        citation="Müller et al.: TrackingNet: A Large-Scale Dataset and Benchmark for Object Tracking in the Wild, ECCV 2018",
        length=_TEST_LENGTH,
        protocols=("ope",),
        preset="got10k-otb",
        server="ope",
        read=_read_test,
    ),
)
