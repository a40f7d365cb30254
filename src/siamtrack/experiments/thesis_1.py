"""Experiment 1 of S. Sanchez's thesis (4.2): SiamFC learns from squares alone, and follows a square."""

from __future__ import annotations

from pathlib import Path

from siamtrack.draw import save_image
from siamtrack.experiments.following import AUC_IN_WORDS, ERRORS, TRACKS, Watch, error_row, follow, unwatched
from siamtrack.experiments.models import RUN
from siamtrack.experiments.plots import error_histograms
from siamtrack.experiments.published import THESIS_1_PX
from siamtrack.experiments.report import Folder, Table, picture
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
from siamtrack.experiments.videos import SQUARE_FRAMES, square_videos
from siamtrack.training.curves import draw_curves
from siamtrack.training.journal import RUN_LOG
from siamtrack.training.recipe import Recipe

NAME = "thesis-1"
TRAINED = "trained on squares"


def run_thesis_1(out: Path, effort: Effort, *, watch: Watch = unwatched) -> Table:
    """Trains on squares, follows the square of the video with steps of up to 4 px, and writes the folder.

    Returns:
        The table of the report.

    Raises:
        OutputError: see `Folder`.
        SettingsError: a setting of the recipe is unknown or impossible.
        TrainingError: the training had to stop.
    """
    recipe = recipe_of(effort)
    videos = square_videos(effort.seed, (4,))
    folder = Folder(out, settings_of_squares(NAME, effort, recipe, videos))
    opened = trained_on_squares(out / RUN, recipe, effort)
    (tracked,) = follow(opened.tracker, videos, out / TRACKS / "trained-on-squares", watch=watch)
    table = Table(ERRORS, [error_row(TRAINED, tracked, THESIS_1_PX)])
    folder.write_table("errors", table)
    error_histograms({TRAINED: tracked.errors}, out / "error-histograms.png", title="Steps of up to 4 px")
    draw_curves(out / RUN / RUN_LOG, out / "curves.png", title="Training on squares")
    save_image(out / "snapshots.png", snapshots(tracked.video, {TRAINED: tracked.boxes}))
    folder.finish(_report(out, table, recipe), trained={TRAINED: opened.sha256})
    return table


def _report(out: Path, table: Table, recipe: Recipe) -> str:
    return "\n".join(
        [
            "# Thesis, experiment 1: trained on squares, tested on a square\n",
            table.markdown(),
            "The published number is from S. Sanchez, *Siamese Networks for Visual Object Tracking*, 2019, table 7. The first "
            "frame, whose box is given, is not counted here. Mean x and y are signed: above 0, the box lies to the right of "
            f"the target, or below it. {AUC_IN_WORDS}\n",
            "## What was run\n",
            f"* Training: {in_words(out / RUN, recipe)}",
            f"* Settings that differ from the thesis's (recipe `{RECIPE}`): {differences(recipe)}.",
            "* Tracker: one scale, as in the thesis; otherwise the published settings of SiamFC-3s.",
            f"* Video: 255 x 255 pixels, {SQUARE_FRAMES} frames, a black square of 40 px on white, steps of up to 4 px.\n",
            picture("error-histograms.png", "Signed errors of the centre"),
            picture("curves.png", "Loss and peaks in training and on held-out pairs"),
            picture("snapshots.png", "Predicted and true boxes"),
        ]
    )
