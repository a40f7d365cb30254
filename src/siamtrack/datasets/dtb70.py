"""DTB70, Drone Tracking Benchmark (Li, Yeung, AAAI 2017; github.com/flyers/drone-tracking): 70 videos.

NAME/img/00001.jpg and NAME/groundtruth_rect.txt with x,y,w,h a line, laid out and 1-based as OTB (1 is taken from x and y).
anno/att/NAME.txt of the authors' toolkit has eleven 0 or 1; put beside the sequences it is found. The toolkit's own list of
names stops at ten; the paper's eleventh is motion blur.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from siamtrack.datasets.benchmark import Benchmark, BenchmarkSequence
from siamtrack.datasets.benchmark_folders import choose_sequences, find_root
from siamtrack.datasets.sequence_folders import frames_at_hand, read_attributes, read_frame_boxes

_TRUTH = "groundtruth_rect.txt"
_LENGTH = 70

ATTRIBUTES = ("SV", "ARV", "OCC", "DEF", "FCM", "IPR", "OPR", "OV", "BC", "SOA", "MB")
"""Scale, aspect ratio variation, occlusion, deformation, fast camera motion, in-plane and out-of-plane rotation, out of view,
background clutter, similar objects around, motion blur: the order of the files in att/."""


def _read(root: Path, names: Sequence[str] | None) -> list[BenchmarkSequence]:
    root = find_root(
        root,
        lambda folder: any(folder.glob(f"*/{_TRUTH}")),
        names=("DTB70",),
        expected=f"Animal1/img/00001.jpg and Animal1/{_TRUTH}, and so on",
    )
    present = {path.parent.name for path in root.glob(f"*/{_TRUTH}")}
    return [_sequence(root, name) for name in choose_sequences(names, present, complete=_LENGTH, title="DTB70", root=root)]


def _sequence(root: Path, name: str) -> BenchmarkSequence:
    frames = frames_at_hand(root / name / "img")
    return BenchmarkSequence(
        name=name,
        regions=list(read_frame_boxes(root / name / _TRUTH, frames, first_pixel=1)),
        frames=() if frames is None else frames.paths,
        attributes=read_attributes(root / "anno" / "att" / f"{name}.txt", ATTRIBUTES),
    )


BENCHMARKS = (
    Benchmark(
        name="dtb70",
        title="DTB70",
        citation="Li, Yeung: Visual Object Tracking for Unmanned Aerial Vehicles: A Benchmark and New Motion Models, AAAI 2017",
        length=_LENGTH,
        protocols=("ope",),
        preset="otb-matlab",
        first_pixel=1,
        read=_read,
    ),
)
