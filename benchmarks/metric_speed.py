"""How long it takes to score published raw results, ours beside the PySOT and the GOT-10k toolkit on the same files.

    python benchmarks/metric_speed.py FOLDER [--repeats 5]

FOLDER is that of metric_parity.py. The toolkits are timed where they can be imported: `toolkit` of STVIR/pysot, with its
compiled region.pyx, and `got10k` from PyPI. Each is timed from files of results on, with the truth in memory, on one core,
for the numbers that it gives; ours are all that `score` gives, so more. Printed are medians, in one run, in turns.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from metric_parity import PRESETS, unpacked

from siamtrack.datasets.benchmark import Benchmark, BenchmarkSequence
from siamtrack.evaluation.foreign import read_results
from siamtrack.evaluation.scoring import score

ONE_BASED = np.array([1, 1, 0, 0])
TRACKERS = {"lasot": "ATOM", "vot2018": "NanoTrack", "otb100": "ATOM"}


def ours(benchmark: Benchmark, folder: Path, sequences: Sequence[BenchmarkSequence]) -> Callable[[], object]:
    tracker, preset = folder / "results" / TRACKERS[benchmark.name], PRESETS[benchmark.name]
    return lambda: [score(found.results, sequences, preset) for found in read_results(tracker, benchmark, sequences)]


def pysot_lasot(folder: Path, sequences: Sequence[BenchmarkSequence]) -> Callable[[], object]:
    """Success, precision and normalised precision of PySOT's toolkit."""
    video_class = importlib.import_module("toolkit.datasets.lasot").LaSOTVideo
    videos = [_pysot_video(video_class, sequence) for sequence in sequences]
    for video, sequence in zip(videos, sequences, strict=True):
        video.gt_traj = (sequence.boxes + ONE_BASED).tolist()
        assert sequence.absent is not None
        video.absent = (~sequence.absent).astype(np.int8)  # 1 where the target is to be seen
    benchmark = importlib.import_module("toolkit.evaluation").OPEBenchmark(_pysot_dataset("LaSOT", videos, folder / "results"))
    steps = (benchmark.eval_success, benchmark.eval_precision, benchmark.eval_norm_precision)
    return lambda: [step([TRACKERS["lasot"]]) for step in steps]


def pysot_vot(folder: Path, sequences: Sequence[BenchmarkSequence]) -> Callable[[], object]:
    """Accuracy, robustness and EAO, without and with tags, of PySOT's toolkit."""
    video_class = importlib.import_module("toolkit.datasets.vot").VOTVideo
    videos = [_pysot_video(video_class, sequence) for sequence in sequences]
    for video, sequence in zip(videos, sequences, strict=True):
        video.gt_traj = [region.tolist() for region in sequence.regions]
        ones, zeros = [1] * len(sequence), [0] * len(sequence)
        video.tags = {"all": ones} | {tag: list(map(int, sequence.tags.get(tag, zeros))) for tag in _tags(sequences)}
    toolkit = importlib.import_module("toolkit.evaluation")
    dataset = _pysot_dataset("VOT2018", videos, folder / "results")
    robustness = toolkit.AccuracyRobustnessBenchmark(dataset)
    expected_overlap = toolkit.EAOBenchmark(dataset, tags=["all", *_tags(sequences)])
    return lambda: [part.eval([TRACKERS["vot2018"]]) for part in (robustness, expected_overlap)]


def got10k_otb(folder: Path, sequences: Sequence[BenchmarkSequence]) -> Callable[[], object]:
    """Success and precision of the GOT-10k toolkit on OTB, without its plots."""
    experiment_class = importlib.import_module("got10k.experiments").ExperimentOTB
    experiment = experiment_class.__new__(experiment_class)
    truth = _WithNames(([""] * len(sequence), sequence.boxes + ONE_BASED) for sequence in sequences)
    truth.seq_names = [_file_name(folder / "results" / TRACKERS["otb100"], sequence.name) for sequence in sequences]
    experiment.dataset, experiment.result_dir = truth, str(folder / "results")
    experiment.report_dir = str(folder / "reports")
    experiment.nbins_iou, experiment.nbins_ce = 21, 51
    experiment.plot_curves = lambda names: None
    return lambda: experiment.report([TRACKERS["otb100"]])


class _WithNames(list[Any]):
    """A got10k data set: pairs of frames and boxes, and the names."""

    seq_names: list[str]


def _pysot_video(video_class: Any, sequence: BenchmarkSequence) -> Any:
    """A video of the toolkit without the pictures that its constructor opens."""
    video = video_class.__new__(video_class)
    video.name, video.pred_trajs = sequence.name, {}
    if sequence.size:
        video.width, video.height = sequence.size
    return video


def _pysot_dataset(name: str, videos: Sequence[Any], results: Path) -> Any:
    dataset = importlib.import_module("toolkit.datasets.dataset").Dataset(name, "")
    dataset.videos = {video.name: video for video in videos}
    dataset.set_tracker(str(results), [path.name for path in results.iterdir()])
    return dataset


def _tags(sequences: Sequence[BenchmarkSequence]) -> list[str]:
    return sorted(set().union(*(sequence.tags for sequence in sequences)))


def _file_name(folder: Path, sequence: str) -> str:
    """As the tracker's file is called: the toolkit takes no other spelling."""
    (name,) = (path.stem for path in folder.glob("*.txt") if path.stem.lower() == sequence.lower().replace("-", "_"))
    return name


OTHERS = {"lasot": ("pysot", pysot_lasot), "vot2018": ("pysot", pysot_vot), "otb100": ("got10k", got10k_otb)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    for name, (tool, adapter) in OTHERS.items():
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            benchmark, sequences = unpacked(arguments.folder / f"{name}.zip", folder)
            timed = {"ours": ours(benchmark, folder, sequences)}
            with contextlib.suppress(ImportError):
                timed[tool] = adapter(folder, sequences)
            seconds = _in_turns(timed, arguments.repeats)
        told = ", ".join(f"{who} {value:.2f} s" for who, value in seconds.items())
        times = f", {seconds[tool] / seconds['ours']:.1f} times as long" if tool in seconds else f" ({tool} is not installed)"
        print(f"{name}, {len(sequences)} sequences, {sum(map(len, sequences))} frames: {told}{times}", flush=True)


def _in_turns(timed: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each."""
    seconds: dict[str, list[float]] = {who: [] for who in timed}
    for _ in range(repeats):
        for who, work in timed.items():
            with contextlib.redirect_stdout(io.StringIO()):  # the toolkits talk
                started = time.process_time()
                work()
                seconds[who].append(time.process_time() - started)
    return {who: statistics.median(values) for who, values in seconds.items()}


if __name__ == "__main__":
    main()
