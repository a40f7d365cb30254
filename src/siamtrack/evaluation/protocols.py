"""The protocols by name: which runs of a tracker a sequence gets.

* ope           one pass from the first frame
* tre           20 starts along the sequence; sre: 12 shifted boxes in the first frame (OTB; `protocols_otb`)
* supervised    started again after each failure; 15 repetitions, or 3 if those are the same (VOT; `protocols_vot`)
* realtime      the same once, and a camera that does not wait
* multistart    from every anchor to one end of the sequence (VOT since 2020; `protocols_multistart`)
* unsupervised  one pass; long-term: the same, with the score as confidence (VOT). The first frame holds the code 1
* got10k        one pass; 3 repetitions, or 1 if the second is the same (GOT-10k)
* masks         all objects of a video at once (DAVIS, YouTube-VOS; `protocols_masks`)

Under VOT's protocols a tracker that gives masks answers with the turned box around each, where the truth is polygons, as the
official codes of SiamMask and PySOT do: it is written, it is scored, and it decides what is a failure. Everywhere else, and
where VOT's truth is upright (2013, long-term), the answer is the upright box, which the tools of these benchmarks take. Under
"multistart" it is the mask, where the truth is masks.

A run is reported from its first frame on, which holds the box that the tracker was started with, or VOT's code 1.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from siamtrack.datasets.benchmark import Benchmark, BenchmarkSequence
from siamtrack.errors import SettingsError, nearest
from siamtrack.evaluation.layouts import VOT_EXPERIMENTS
from siamtrack.evaluation.protocols_following import Follower, ProtocolSettings, follow, start_box
from siamtrack.evaluation.protocols_multistart import multistart
from siamtrack.evaluation.protocols_otb import SHIFTS, sre_box, tre_starts
from siamtrack.evaluation.protocols_vot import RealTime, supervised
from siamtrack.evaluation.trajectory import Trajectory
from siamtrack.metrics.vot import START
from siamtrack.metrics.vot_presets import PRESETS
from siamtrack.tracking import Tracker

REPETITIONS = {"supervised": 15, "got10k": 3}
"""Of the protocols that repeat a run."""

ENOUGH_THE_SAME = {"supervised": 3, "got10k": 2}
"""So many runs that are the same, and no other, show that a tracker is deterministic."""


def check_protocol(protocol: str, benchmark: Benchmark, settings: ProtocolSettings) -> str:
    """The protocol itself, if the benchmark is run so, and with these settings.

    Raises:
        SettingsError: it cannot.
    """
    if protocol not in benchmark.protocols:
        raise SettingsError(
            f"The benchmark {benchmark.name} has no protocol '{protocol}'. {nearest(protocol, benchmark.protocols)}"
        )
    if protocol not in VOT_EXPERIMENTS and settings.preset is not None:
        raise SettingsError(
            f"The setting preset says what a failure is on VOT, and '{protocol}' has none; 'siamtrack compare --preset' gives "
            "the numbers of another tool."
        )
    if protocol == "multistart" and settings.preset not in (None, benchmark.preset):
        raise SettingsError(
            f"'{protocol}' has no failures that end a run, and one tool that scores it; leave out the setting preset."
        )
    if protocol not in REPETITIONS and settings.repetitions is not None:
        raise SettingsError(
            f"'{protocol}' says itself which runs there are; leave out the setting repetitions, which is for "
            f"{' and '.join(REPETITIONS)}."
        )
    return protocol


def settings_for(benchmark: Benchmark, settings: ProtocolSettings) -> ProtocolSettings:
    """The settings with the overlap that a VOT challenge was run with, unless one was chosen.

    Until 2015 it was not cut off at the border of the image, and pixels were counted in another way.
    """
    chosen = benchmark.preset not in PRESETS or settings.preset is not None
    return settings if chosen else replace(settings, preset=benchmark.preset)


def runs(
    tracker: Tracker[Any],
    sequence: BenchmarkSequence,
    protocol: str,
    settings: ProtocolSettings,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[Trajectory]:
    """The runs of a tracker over a sequence, each as soon as it is done.

    Args:
        tracker: as `open_model` gives it.
        sequence: with the files of its frames.
        protocol: a name; see the module.
        settings: what the protocol leaves open.
        clock: seconds, as of `time.perf_counter`.

    Raises:
        SettingsError: unknown protocol.
        DataError: the sequence cannot be run: pictures or the true region of a start are missing.
        BoxError: a tracker cannot be started with the true box.
    """
    polygons = protocol in VOT_EXPERIMENTS
    masks = protocol == "multistart"
    follower = Follower(tracker, sequence, polygons=polygons, masks=masks, frame_seconds=settings.frame_seconds, clock=clock)
    if protocol == "multistart":
        yield from multistart(follower, sequence, settings)
        return
    if protocol in ("tre", "sre"):
        starts = _tre(sequence, settings) if protocol == "tre" else _sre(sequence, settings)
        for first, box in starts:
            yield follow(follower, first, box)
        return
    yield from _repeated(_single(follower, sequence, protocol, settings), protocol, settings.repetitions)


def _tre(sequence: BenchmarkSequence, settings: ProtocolSettings) -> Iterator[tuple[int, Any]]:
    for first in tre_starts(sequence.boxes):
        yield first, start_box(sequence, first, settings.start_box)


def _sre(sequence: BenchmarkSequence, settings: ProtocolSettings) -> Iterator[tuple[int, Any]]:
    for shift in SHIFTS:
        yield 0, sre_box(start_box(sequence, 0, settings.start_box), shift, sequence.image_size)


def _single(
    follower: Follower, sequence: BenchmarkSequence, protocol: str, settings: ProtocolSettings
) -> Callable[[], Trajectory]:
    """What makes one run."""
    if protocol == "supervised":
        return lambda: supervised(follower, sequence, settings)
    if protocol == "realtime":
        camera = RealTime(follower, interval=1 / settings.fps, grace=settings.grace)
        return lambda: supervised(camera, sequence, settings)
    if protocol in ("ope", "got10k"):
        return lambda: follow(follower, 0, start_box(sequence, 0, settings.start_box))
    if protocol in ("unsupervised", "long-term"):
        return lambda: _with_start_code(follow(follower, 0, start_box(sequence, 0, settings.start_box)))
    known = ("ope", "tre", "sre", "supervised", "realtime", "multistart", "unsupervised", "long-term", "got10k")
    raise SettingsError(f"Unknown protocol '{protocol}'. {nearest(protocol, known)}")


def _with_start_code(run: Trajectory) -> Trajectory:
    return replace(run, regions=[np.array([float(START)]), *run.regions[1:]])


def _repeated(run: Callable[[], Trajectory], protocol: str, most: int | None) -> Iterator[Trajectory]:
    """Runs until there are enough, or enough that are the same; GOT-10k's tools keep one of those."""
    most = REPETITIONS.get(protocol, 1) if most is None else most
    first = run()
    yield first
    same = True
    for number in range(2, most + 1):
        another = run()
        same = same and is_same(first, another)
        enough = same and number >= ENOUGH_THE_SAME.get(protocol, most + 1)
        if not (enough and protocol == "got10k"):
            yield another
        if enough:
            return


def is_same(first: Trajectory, second: Trajectory) -> bool:
    """Whether two runs hold the same regions, bit for bit."""
    pairs = zip(first.regions, second.regions, strict=True)
    return len(first) == len(second) and all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)
