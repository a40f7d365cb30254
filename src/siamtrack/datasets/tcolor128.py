"""Temple-Color-128 (Liang, Blasch, Ling, TIP 2015; dabi.temple.edu/~hbling/data/TColor-128): 129 targets in 128 videos.

NAME/img/0001.jpg, NAME/NAME_gt.txt with x,y,w,h a line, 1-based as OTB (1 is taken from x and y), and NAME/NAME_frames.txt with
the first and the last frame that is annotated, "300,770" for David. The files of some folders differ from them in capitals or
"-" (Yo_yos_ce1/Yo-yos_ce1_gt.txt): the only file of its kind in the folder is taken. Jogging has a folder for each target.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from siamtrack.datasets.benchmark import Benchmark, BenchmarkSequence
from siamtrack.datasets.benchmark_folders import choose_sequences, find_root
from siamtrack.datasets.sequence_folders import frames_at_hand, frames_between, read_frame_boxes
from siamtrack.errors import DataError, InputError
from siamtrack.result_layouts import lines_of

_LENGTH = 129


def _read(root: Path, names: Sequence[str] | None) -> list[BenchmarkSequence]:
    root = find_root(
        root,
        lambda folder: any(folder.glob("*/*_gt.txt")),
        names=("TColor-128", "Temple-color-128"),
        expected="Airport_ce/img/0001.jpg, Airport_ce/Airport_ce_gt.txt and Airport_ce/Airport_ce_frames.txt, and so on",
    )
    present = {path.parent.name for path in root.glob("*/*_gt.txt")}
    chosen = choose_sequences(names, present, complete=_LENGTH, title="TColor-128", root=root)
    return [_sequence(root / name) for name in chosen]


def _sequence(folder: Path) -> BenchmarkSequence:
    first, last = _frame_range(_only(folder, "_frames.txt"))
    frames = frames_between(frames_at_hand(folder / "img"), first, last)
    file = _only(folder, "_gt.txt")
    boxes = read_frame_boxes(file, frames, first_pixel=1)
    if len(boxes) != last - first + 1:
        raise DataError(f"'{file}' has {len(boxes)} lines; expected {last - first + 1}, for the frames {first} to {last}.")
    return BenchmarkSequence(name=folder.name, regions=list(boxes), frames=() if frames is None else frames.paths)


def _only(folder: Path, ending: str) -> Path:
    files = [path for path in sorted(folder.glob(f"*{ending}")) if not path.name.startswith(".")]
    if len(files) != 1:
        raise DataError(f"'{folder}' has {len(files)} files named *{ending}; expected one.")
    return files[0]


def _frame_range(file: Path) -> tuple[int, int]:
    try:
        first, last = (int(cell) for cell in " ".join(lines_of(file)).replace(",", " ").split())
    except InputError as error:
        raise DataError(str(error)) from None
    except ValueError:
        raise DataError(f"'{file}' does not hold the numbers of the first and the last frame; expected, say, 1,148.") from None
    return first, last


BENCHMARKS = (
    Benchmark(
        name="tcolor128",
        title="TColor-128",
        citation="Liang, Blasch, Ling: Encoding Color Information for Visual Tracking: Algorithms and Benchmark, TIP 2015",
        length=_LENGTH,
        protocols=("ope",),
        preset="otb-matlab",
        first_pixel=1,
        read=_read,
    ),
)
