"""Anyone's own annotated clips as a benchmark: the folders of `siamtrack.datasets.sequences`, NAME/groundtruth.txt and frames.

Boxes are x,y,w,h a line, 0-based, four NaN where the target is not in the frame; such frames are left out of the scores under
the usual preset. There are as many lines as pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from siamtrack.datasets import sequences
from siamtrack.datasets.benchmark import Benchmark, BenchmarkSequence
from siamtrack.datasets.benchmark_folders import choose_sequences
from siamtrack.errors import DataError, InputError
from siamtrack.frames import natural_order
from siamtrack.image import PICTURE_ENDINGS


def _read(root: Path, names: Sequence[str] | None) -> list[BenchmarkSequence]:
    if not root.is_dir():
        raise DataError(f"The folder '{root}' does not exist; expected NAME/groundtruth.txt and NAME/img/*.jpg, and so on.")
    try:
        found = {sequence.name: sequence for sequence in sequences.find_sequences(root)}
    except DataError:
        raise
    except InputError as error:  # a line that is no box
        raise DataError(str(error)) from None
    return [_sequence(found[name]) for name in choose_sequences(names, found, complete=0, title="The folder", root=root)]


def _sequence(sequence: sequences.Sequence) -> BenchmarkSequence:
    files = [path for path in sequence.images.iterdir() if path.suffix.lower() in PICTURE_ENDINGS and path.name[0] != "."]
    boxes = sequence.boxes
    if files and len(files) != len(boxes):
        raise DataError(
            f"{sequence.name}/groundtruth.txt has {len(boxes)} lines, and '{sequence.images}' holds {len(files)} pictures; "
            "expected as many."
        )
    rows = np.where(np.isnan(boxes).any(1, keepdims=True), np.nan, boxes)
    return BenchmarkSequence(name=sequence.name, regions=list(rows), frames=sorted(files, key=natural_order))


BENCHMARKS = (
    Benchmark(
        name="plain",
        title="Own sequences",
        citation="none",
        length=0,
        protocols=("ope", "tre", "sre"),
        preset="got10k-otb",
        read=_read,
    ),
)
