"""How many scales: what 1, 3 and 5 sizes of the search window bring, and what they cost."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from siamtrack.errors import DataError
from siamtrack.experiments import published
from siamtrack.experiments.following import AUC_IN_WORDS, SCORES, TRACKS, Tracked, Watch, follow, mean_scores, unwatched
from siamtrack.experiments.plots import lines
from siamtrack.experiments.report import Cell, Folder, Table, picture
from siamtrack.experiments.videos import Video, beginning, origins, scene_videos, videos_in
from siamtrack.library import model_names, open_model, settings_of
from siamtrack.model_folder import WEIGHTS, hash_of
from siamtrack.stages import UNTIMED, measure
from siamtrack.synthetic.made_folder import counted

NAME = "scales"
PRESETS = ("siamfc-1s", "siamfc-3s", "siamfc-5s")
SPEED = "speed.csv"
TIMED = 100  # frames
QUICK_SCENES = 2
QUICK_FRAMES = 40  # of each video
_SPEED = {"preset": 0, "ms a frame": 3}
_COLUMNS = {
    "preset": 0,
    "scales": 0,
    **SCORES,
    "ms a frame": 2,
    "frames a second": 1,
}
_EACH = {"preset": 0, "video": 0, "frames": 0, **SCORES}


def run_scales(out: Path, *, videos: Path | None = None, quick: bool = False, seed: int = 0, watch: Watch = unwatched) -> Table:
    """Follows every target with 1, 3 and 5 scales, times all three on the same frames, and writes the folder.

    Args:
        out: the folder.
        videos: folder of annotated sequences; None renders scenes whose objects grow and shrink.
        quick: the first QUICK_FRAMES frames of each, or of QUICK_SCENES scenes.
        seed: of the scenes.
        watch: see `siamtrack.experiments.following.Watch`.

    Returns:
        The table of the report.

    Raises:
        OutputError: see `Folder`.
        DataError: the folder holds no sequence that can be used.
    """
    everything = _videos(videos, seed, quick=quick)
    trackers = {name: open_model(name) for name in PRESETS}
    settings = {name: settings_of(name) for name in PRESETS}
    settings["experiment"] = {"name": NAME, "quick": quick, "seed": seed}
    settings["videos"] = origins(everything)
    settings["weights_sha256"] = {name: hash_of(model_names()[name].folder / WEIGHTS) for name in PRESETS}
    folder = Folder(out, settings)
    tracks = {name: follow(tracker, everything, out / TRACKS / name, watch=watch) for name, tracker in trackers.items()}
    speeds = _speeds(folder, trackers, everything)
    rows: list[list[Cell]] = []
    for name, found in tracks.items():
        ms = speeds[name]
        rows.append([name, settings[name]["scales"], *mean_scores(found).cells(), ms, 1000 / ms])
    table = Table(_COLUMNS, rows)
    folder.write_table("scales", table)
    folder.write_table("videos", _by_video(tracks))
    _draw(out, table)
    folder.finish(_report(table, everything, rendered=videos is None, quick=quick))
    return table


def _videos(folder: Path | None, seed: int, *, quick: bool) -> list[Video]:
    if folder is not None:
        found = videos_in(folder)
        return [beginning(video, QUICK_FRAMES) for video in found] if quick else found
    return scene_videos(seed, count=QUICK_SCENES, frames=QUICK_FRAMES) if quick else scene_videos(seed)


def _by_video(tracks: Mapping[str, Sequence[Tracked]]) -> Table:
    return Table(
        _EACH,
        [[name, one.video.name, len(one.boxes), *one.scores.cells()] for name, found in tracks.items() for one in found],
    )


def _speeds(folder: Folder, trackers: dict[str, Any], videos: Sequence[Video]) -> dict[str, float]:
    """Median milliseconds a frame of each tracker, all of them in turn on every frame of the longest video."""
    file = folder.path / SPEED
    if not file.is_file():
        video = max(videos, key=lambda one: len(one.boxes))
        timings = measure(trackers, islice(video.frames(), TIMED + UNTIMED), [video.first_box])
        if not all(timing.frames for timing in timings.values()):
            raise DataError(f"'{video.name}' is too short to time, and is the longest; expected more than {UNTIMED} frames.")
        folder.write(SPEED, Table(_SPEED, [[name, timing.tracker] for name, timing in timings.items()]).csv())
    with file.open(newline="", encoding="utf-8") as text:
        return {row["preset"]: float(row["ms a frame"]) for row in csv.DictReader(text)}


def _draw(out: Path, table: Table) -> None:
    points = list(zip(table.numbers("ms a frame"), table.numbers("success AUC"), strict=True))
    labels = [f"{row[0]}: {counted(int(str(row[1])), 'scale')}" for row in table.rows]
    time = "ms a frame, median, on the machine that this was run on"
    title = "Accuracy against speed of 1, 3 and 5 scales"
    lines({"success AUC, mean over the videos": points}, out / "accuracy-speed.png", title=title, x=time, labels=labels)


def _report(table: Table, videos: Sequence[Video], *, rendered: bool, quick: bool) -> str:
    frames = sum(len(video.boxes) for video in videos)
    three, five = published.SCALES[3], published.SCALES[5]
    which = "rendered scenes whose objects move, turn, grow and shrink" if rendered else "sequences of the folder given"
    which += f" (--quick: the first {QUICK_FRAMES} frames of each)" * quick
    return "\n".join(
        [
            "# 1, 3 and 5 scales\n",
            table.markdown(),
            f"The SiamFC paper (Bertinetto et al. 2016) has an expected average overlap on VOT-15 of {three.eao:.3f} with 3 "
            f"scales and {five.eao:.3f} with 5, at {three.fps} and {five.fps} frames a second on a GPU: other videos, other "
            f"weights, another machine. {AUC_IN_WORDS}\n",
            "## What was run\n",
            f"* {counted(len(videos), 'video')}, {frames} frames: {which}. Every video counts the same; "
            "the first frame, whose box is given, is not counted.",
            f"* Speed: median over up to {TIMED} frames of the longest video, of the tracker without reading; all three take "
            "turns on every frame, so that a change of the machine's speed hits all alike.",
            "* The presets have the published scales, steps, damping and windows, which are others with 5 scales than with 3; "
            "peaks are read between cells and the error of the first frame is taken away, which the published code does not.\n",
            picture("accuracy-speed.png", "Success AUC against milliseconds a frame"),
        ]
    )
