"""Anyone's own annotated clips as a benchmark: the folders of `siamtrack.datasets.sequences`, with frames as pictures.

That is NAME/groundtruth.txt (x,y,w,h or corners of a polygon a line, 0-based) or OTB's NAME/groundtruth_rect.txt (1-based), and
pictures in NAME/img, NAME/color or NAME: what `siamtrack synth` writes, too. Four NaN where the target is not in the frame;
such frames are left out of the scores under the usual preset. There are as many lines as pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from siamtrack.datasets import sequences
from siamtrack.datasets.annotations.media import VIDEO_ENDINGS
from siamtrack.datasets.benchmark import Benchmark, BenchmarkSequence
from siamtrack.datasets.benchmark_folders import check_root, choose_sequences
from siamtrack.errors import DataError


def _read(root: Path, names: Sequence[str] | None) -> list[BenchmarkSequence]:
    check_root(root, "NAME/groundtruth.txt and NAME/img/*.jpg, and so on")
    if not sequences.truth_files(root):
        _refuse_other_layouts(root)
    found = {sequence.name: sequence for sequence in sequences.find_sequences(root)}
    return [_sequence(found[name]) for name in choose_sequences(names, found, complete=0, title="The folder", root=root)]


def _refuse_other_layouts(root: Path) -> None:
    """Names what to do with the other layouts that `siamtrack synth world` writes."""
    listed = root / "ImageSets" / "2017" / "val.txt"
    if listed.is_file():
        raise DataError(
            f"'{root}' is laid out as DAVIS 2017, with masks; give --benchmark davis2017-val --protocol ope to score boxes, or "
            f"davis2017 to score the masks of a model that gives some, and names from '{listed}' as --sequences."
        )
    if any(path.suffix.lower() in VIDEO_ENDINGS and path.with_suffix(".csv").is_file() for path in root.iterdir()):
        raise DataError(
            f"'{root}' holds videos with tables of boxes beside them, and a benchmark is read from pictures; 'siamtrack synth "
            f"world --layout otb' draws them as pictures. To train from these videos give --data folder={root}."
        )


def _sequence(sequence: sequences.Sequence) -> BenchmarkSequence:
    if sequence.images.is_file():
        raise DataError(
            f"The frames of '{sequence.truth}' are in a video, and a benchmark is read from pictures; write them to "
            f"'{sequence.truth.parent / 'img'}', one file a frame."
        )
    frames = sequences.pictures_in(sequence.images)
    if frames and len(frames) != len(sequence.regions):
        raise DataError(
            f"{sequence.truth} has {len(sequence.regions)} lines, and '{sequence.images}' holds {len(frames)} pictures; "
            "expected as many."
        )
    regions = [np.full(4, np.nan) if np.isnan(region).any() else region for region in sequence.regions]
    return BenchmarkSequence(name=sequence.name, regions=regions, frames=frames)


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
