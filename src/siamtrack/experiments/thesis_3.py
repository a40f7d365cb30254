"""Experiment 3 of S. Sanchez's thesis (4.4): the tracker trained on squares beside one trained on real pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from siamtrack.draw import save_image
from siamtrack.experiments.following import AUC_IN_WORDS, ERRORS, TRACKS, Tracked, Watch, error_row, follow, unwatched
from siamtrack.experiments.models import RUN, Opened, open_run, open_tracker
from siamtrack.experiments.plots import error_histograms
from siamtrack.experiments.published import THESIS_3_PX
from siamtrack.experiments.report import Cell, Folder, Table, picture
from siamtrack.experiments.snapshots import snapshots
from siamtrack.experiments.squares_training import (
    RECIPE,
    Effort,
    differences,
    in_words,
    recipe_of,
    settings_of_squares,
    trained_on_squares,
)
from siamtrack.experiments.thesis_1 import TRAINED
from siamtrack.experiments.videos import SQUARE_FRAMES, Video, origins, square_videos, videos_in

NAME = "thesis-3"
_COMPARISON = {
    "video": 0,
    "frames": 0,
    "trained on squares px": 2,
    "published, squares px": 2,
    "model px": 2,
    "published, ImageNet px": 2,
}
_PUBLISHED = {f"squares-{px}px": errors for px, errors in THESIS_3_PX.items()}
_HISTOGRAMS = 0  # of the video with the smallest steps


class Compared(NamedTuple):
    """What is compared, and on what.

    Attributes:
        trained: folder of `thesis-1`, or of another finished run; None trains as `thesis-1` does.
        model: name of a model, model folder, or training run: the tracker that has learnt from real pictures.
        videos: folder of annotated sequences to follow as well.
    """

    trained: Path | None = None
    model: str = "siamfc"
    videos: Path | None = None


def run_thesis_3(out: Path, effort: Effort, compared: Compared, *, watch: Watch = unwatched) -> Table:
    """Follows the squares of three videos, and real targets, with both trackers, and writes the folder.

    Returns:
        The table that compares the two.

    Raises:
        OutputError: see `Folder`.
        ModelError: there is no such model or finished run.
        DataError: the folder holds no sequence that can be used.
        TrainingError: the training had to stop.
    """
    videos = [*square_videos(effort.seed), *(videos_in(compared.videos) if compared.videos else [])]
    other = open_tracker(compared.model, device=effort.device)
    given = open_run(compared.trained, device=effort.device) if compared.trained else None
    folder = Folder(out, _settings(effort, compared, videos, given, other))
    opened = given or trained_on_squares(out / RUN, recipe_of(effort), effort)
    tracks = {
        TRAINED: follow(opened.tracker, videos, out / TRACKS / "trained-on-squares", watch=watch),
        Path(compared.model).resolve().name: follow(other.tracker, videos, out / TRACKS / "model", watch=watch),
    }
    table = _comparison(tracks)
    _write(folder, tracks, table)
    folder.finish(_report(folder, effort, compared, tracks), trained={TRAINED: opened.sha256})
    return table


def _settings(
    effort: Effort, compared: Compared, videos: Sequence[Video], given: Opened | None, other: Opened
) -> dict[str, dict[str, Any]]:
    settings = {
        "model": {"name": compared.model, "weights_sha256": other.sha256},
        "tracker": other.settings,
    }
    if given is None:
        return settings_of_squares(NAME, effort, recipe_of(effort), videos) | settings
    return settings | {
        "experiment": {"name": NAME, "seed": effort.seed},
        "videos": origins(videos),
        "trained_on_squares": {"folder": str(compared.trained), "weights_sha256": given.sha256},
    }


def _comparison(tracks: Mapping[str, Sequence[Tracked]]) -> Table:
    """As the thesis's table 10."""
    rows: list[list[Cell]] = []
    for squares, other in zip(*tracks.values(), strict=True):
        video = squares.video
        then = _PUBLISHED.get(video.name)
        errors = squares.scores.center_error, other.scores.center_error
        rows.append(
            [
                *(video.name, len(video.boxes), errors[0], then.squares if then else None),
                *(errors[1], then.imagenet if then else None),
            ]
        )
    return Table(_COMPARISON, rows)


def _errors(tracks: Mapping[str, Sequence[Tracked]]) -> Table:
    return Table(
        ERRORS,
        [
            error_row(name, one, then[number] if (then := _PUBLISHED.get(one.video.name)) else None)
            for number, (name, found) in enumerate(tracks.items())
            for one in found
        ],
    )


def _write(folder: Folder, tracks: Mapping[str, Sequence[Tracked]], table: Table) -> None:
    folder.write_table("center-errors", table)
    folder.write_table("errors", _errors(tracks))
    histograms = {name: found[_HISTOGRAMS].errors for name, found in tracks.items()}
    error_histograms(histograms, folder.path / "error-histograms.png", title="Steps of up to 4 px")
    for together in zip(*tracks.values(), strict=True):
        video = together[0].video
        boxes = {name: one.boxes for name, one in zip(tracks, together, strict=True)}
        save_image(folder.path / _sheet(video), snapshots(video, boxes))


def _sheet(video: Video) -> str:
    return f"snapshots-{video.name}.png"


def _report(folder: Folder, effort: Effort, compared: Compared, tracks: Mapping[str, Sequence[Tracked]]) -> str:
    if compared.trained:
        training = [f"* Trained on squares: the run in `{compared.trained}`."]
    else:
        recipe = recipe_of(effort)
        training = [
            f"* Training on squares: {in_words(folder.path / RUN, recipe)}",
            f"* Settings that differ from the thesis's (recipe `{RECIPE}`): {differences(recipe)}.",
        ]
    videos = [one.video for one in next(iter(tracks.values()))]
    return "\n".join(
        [
            "# Thesis, experiment 3: a tracker trained on squares beside one trained on real pictures\n",
            "Mean centre error in pixels; the first frame, whose box is given, is not counted.\n",
            _comparison(tracks).markdown(),
            "The published numbers are from S. Sanchez, *Siamese Networks for Visual Object Tracking*, 2019, table 10. The "
            "second tracker of the thesis was trained on the 4417 videos of ImageNet VID; the model here has learnt from other "
            "data ('siamtrack models --card NAME' says from which).\n",
            "## What was run\n",
            *training,
            f"* Model: `{compared.model}`. Both trackers search at one scale, as in the thesis.",
            f"* squares-4px, -16px, -32px: 255 x 255 pixels, {SQUARE_FRAMES} frames, a black square of 40 px on white, steps "
            "of up to so many pixels.\n",
            "## Signed errors\n",
            f"Mean x and y: above 0, the box lies to the right of the target, or below it. {AUC_IN_WORDS}\n",
            _errors(tracks).markdown(),
            picture("error-histograms.png", f"Signed errors of the centre, {videos[_HISTOGRAMS].name}"),
            *(picture(_sheet(video), f"Both trackers and the truth, {video.name}") for video in videos),
        ]
    )
