"""Experiment 2 of S. Sanchez's thesis (4.3): a tracker that has learnt from real pictures follows the square."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from siamtrack.draw import save_image
from siamtrack.experiments.following import AUC_IN_WORDS, ERRORS, TRACKS, Watch, error_row, follow, unwatched
from siamtrack.experiments.models import open_tracker
from siamtrack.experiments.plots import error_histograms
from siamtrack.experiments.published import THESIS_2_PX
from siamtrack.experiments.report import Folder, Table, picture
from siamtrack.experiments.snapshots import snapshots
from siamtrack.experiments.videos import SQUARE_FRAMES, origins, square_videos

NAME = "thesis-2"


def run_thesis_2(out: Path, *, model: str = "siamfc", seed: int = 0, device: str = "auto", watch: Watch = unwatched) -> Table:
    """Follows the square of the video with steps of up to 4 px with a model, and writes the folder.

    Args:
        out: the folder.
        model: name of a model, model folder, or training run.
        seed: of the video.
        device: for a training run.
        watch: see `siamtrack.experiments.following.Watch`.

    Returns:
        The table of the report.

    Raises:
        OutputError: see `Folder`.
        ModelError: there is no such model or run.
    """
    videos = square_videos(seed, (4,))
    opened = open_tracker(model, device=device)
    settings: dict[str, dict[str, Any]] = {
        "experiment": {"name": NAME, "seed": seed},
        "model": {"name": model, "weights_sha256": opened.sha256},
        "tracker": opened.settings,
        "videos": origins(videos),
    }
    folder = Folder(out, settings)
    (tracked,) = follow(opened.tracker, videos, out / TRACKS / "model", watch=watch)
    table = Table(ERRORS, [error_row(model, tracked, THESIS_2_PX)])
    folder.write_table("errors", table)
    error_histograms({model: tracked.errors}, out / "error-histograms.png", title="Steps of up to 4 px")
    save_image(out / "snapshots.png", snapshots(tracked.video, {model: tracked.boxes}))
    folder.finish(_report(model, table))
    return table


def _report(model: str, table: Table) -> str:
    return "\n".join(
        [
            "# Thesis, experiment 2: trained on real pictures, tested on a square\n",
            table.markdown(),
            "The published number is from S. Sanchez, *Siamese Networks for Visual Object Tracking*, 2019, table 8, for a "
            "tracker trained on the 4417 videos of ImageNet VID; the model here has learnt from other data ('siamtrack models "
            "--card NAME' says from which). The first frame, whose box is given, is not counted here. Mean x and y are signed: "
            f"above 0, the box lies to the right of the target, or below it. {AUC_IN_WORDS}\n",
            "## What was run\n",
            f"* Model: `{model}`; one scale, as in the thesis.",
            f"* Video: 255 x 255 pixels, {SQUARE_FRAMES} frames, a black square of 40 px on white, steps of up to 4 px.\n",
            picture("error-histograms.png", "Signed errors of the centre"),
            picture("snapshots.png", "Predicted and true boxes"),
        ]
    )
