"""Which loss: the four that a recipe can name, on exactly the same pairs and from the same initial weights."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from siamtrack.experiments.following import AUC_IN_WORDS, TRACKS, Scores, Tracked, Watch, follow, mean_scores, unwatched
from siamtrack.experiments.overrides import refuse_overrides
from siamtrack.experiments.plots import grouped_bars, run_curves
from siamtrack.experiments.report import Cell, Folder, Table, picture
from siamtrack.experiments.squares_training import (
    RECIPE,
    Effort,
    differences,
    in_words,
    recipe_of,
    settings_of_squares,
    trained_on_squares,
)
from siamtrack.experiments.videos import Video, square_videos, videos_in
from siamtrack.layers.losses import LOSSES
from siamtrack.training.journal import RUN_LOG
from siamtrack.training.recipe import Recipe

NAME = "losses"
RUNS = "runs"


def run_losses(out: Path, effort: Effort, *, videos: Path | None = None, watch: Watch = unwatched) -> Table:
    """Trains on squares with each loss, follows the squares of the thesis's videos, and real targets, and writes the folder.

    Args:
        out: the folder.
        effort: of each training.
        videos: folder of annotated sequences to follow as well.
        watch: see `siamtrack.experiments.following.Watch`.

    Returns:
        The table of the report.

    Raises:
        OutputError: see `Folder`.
        DataError: the folder holds no sequence that can be used.
        SettingsError: a setting of the recipe is unknown or impossible, or is the loss.
        TrainingError: a training had to stop.
    """
    refuse_overrides(effort.overrides, {"loss": f"it trains with each of {', '.join(LOSSES)}"})
    recipe = recipe_of(effort)
    squares, real = square_videos(effort.seed), videos_in(videos) if videos else []
    folder = Folder(out, settings_of_squares(NAME, effort, recipe, [*squares, *real]))
    tracks: dict[str, list[Tracked]] = {}
    digests: dict[str, str] = {}
    for loss in LOSSES:
        opened = trained_on_squares(out / RUNS / loss, replace(recipe, loss=loss), effort)
        digests[loss] = opened.sha256
        tracks[loss] = follow(opened.tracker, [*squares, *real], out / TRACKS / loss, watch=watch)
    table = _table(out, recipe, tracks, squares, real)
    folder.write_table("losses", table)
    _draw(out, tracks, len(squares))
    folder.finish(_report(out, table, recipe, real), trained=digests)
    return table


def _draw(out: Path, tracks: Mapping[str, Sequence[Tracked]], squares: int) -> None:
    """The diagrams; the first videos of each are those of squares."""
    run_curves(
        {loss: out / RUNS / loss / RUN_LOG for loss in LOSSES}, out / "curves.png", title="Four losses on the same pairs"
    )
    errors = {loss: {one.video.name: one.scores.center_error for one in found[:squares]} for loss, found in tracks.items()}
    grouped_bars(errors, out / "errors.png", y="mean centre error, px", title="How far from the square")
    means = {loss: mean_scores(found[squares:]) for loss, found in tracks.items() if found[squares:]}
    accuracy = {loss: {"success AUC": mean.auc, "precision at 20 px": mean.precision} for loss, mean in means.items()}
    if accuracy:
        grouped_bars(accuracy, out / "videos.png", y="mean over the videos", title="On real videos")


def _table(
    out: Path, recipe: Recipe, tracks: Mapping[str, Sequence[Tracked]], squares: Sequence[Video], real: Sequence[Video]
) -> Table:
    columns = {"loss": 0, "peaks on the target, held-out pairs": 3}
    columns |= {f"{video.name}, centre error px": 2 for video in squares}
    columns |= {"videos, success AUC": 3, "videos, precision at 20 px": 3} if real else {}
    rows: list[list[Cell]] = []
    for loss, found in tracks.items():
        row: list[Cell] = [loss, _accuracy(out / RUNS / loss, recipe)]
        row += [one.scores.center_error for one in found[: len(squares)]]
        if real:
            scores: Scores = mean_scores(found[len(squares) :])
            row += [scores.auc, scores.precision]
        rows.append(row)
    return Table(columns, rows)


def _accuracy(run: Path, recipe: Recipe) -> float | None:
    """The share of peaks on the target in held-out pairs, of the epoch that the recipe selects; None without such pairs."""
    with (run / RUN_LOG).open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["validation_accuracy"]]
    if not rows:
        return None
    chosen = min(rows, key=lambda row: float(row["validation_loss"])) if recipe.select == "best" else rows[-1]
    return float(chosen["validation_accuracy"])


def _report(out: Path, table: Table, recipe: Recipe, real: Sequence[Video]) -> str:
    runs = [f"* `{loss}`: {in_words(out / RUNS / loss, replace(recipe, loss=loss))}" for loss in LOSSES]
    names = ", ".join(video.name for video in real)
    videos = f" Videos: {names}; each counts the same. {AUC_IN_WORDS}" if real else ""
    return "\n".join(
        [
            "# Four losses on the same pairs\n",
            table.markdown(),
            "`logistic` and `bce` are one function, computed in two ways: what differs between them is rounding, carried on "
            "through the run. The thesis went from the one to the other because its logistic loss gave NaN.\n",
            "## What was run\n",
            "* Training on squares, with the same initial weights, the same pairs in the same order, and as many steps.",
            *runs,
            f"* Settings that differ from the thesis's (recipe `{RECIPE}`): {differences(recipe)}.",
            "* Each run's result is what its recipe selects; with `select = 'best'` that is the epoch with the lowest "
            "validation loss of its own kind.",
            f"* Trackers: one scale. The first frame, whose box is given, is not counted.{videos}\n",
            picture("errors.png", "Mean centre error of each loss on the thesis's videos"),
            *([picture("videos.png", "Success AUC and precision of each loss on the videos")] if real else []),
            picture("curves.png", "Share of peaks on the target, and loss, while learning"),
        ]
    )
