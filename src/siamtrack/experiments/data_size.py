"""How much data: the same training with growing shares of the videos of a data set (SiamFC paper, "Dataset size")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from siamtrack.datasets.clips import Target
from siamtrack.datasets.crops import Crop, Crops
from siamtrack.errors import SettingsError
from siamtrack.experiments.following import SCORES, TRACKS, Watch, follow, mean_scores, unwatched
from siamtrack.experiments.models import open_run
from siamtrack.experiments.plots import lines
from siamtrack.experiments.published import DATA_SIZE
from siamtrack.experiments.report import Cell, Folder, Table, picture
from siamtrack.experiments.squares_training import Effort, differences, in_words, recipe_of, told, train_in
from siamtrack.experiments.videos import Video, origins, videos_in
from siamtrack.training.clip_pairs import part
from siamtrack.training.recipe import Recipe
from siamtrack.training.sources import PICTURES, WORLD, TrainingData, open_data

NAME = "data-size"
RECIPE = "siamfc-paper"
RUNS = "runs"
SHARES = tuple(DATA_SIZE)  # per cent
QUICK = ("epochs=3", "pairs_per_epoch=1000", "precision=bfloat16", "log_steps=25")
"""What `--quick` changes in the recipe."""

_COLUMNS = {
    "share %": 0,
    "videos": 0,
    "pairs": 0,
    **SCORES,
    "published videos": 0,
    "published accuracy": 3,
    "published failures": 0,
    "published EAO": 3,
}


class ShareOfClips:
    """The crops of some clips; see `Crops`. The clips of a smaller share are among those of every larger one.

    Args:
        crops: of all clips.
        share: per cent of the videos, in the order of a hash of their names; at least one.
    """

    def __init__(self, crops: Crops, share: int) -> None:
        self._crops = crops
        self.name, self.settings = crops.name, crops.settings
        self._names = list(crops.names) if share == 100 else part(crops.names, "validation", share / 100)

    @property
    def names(self) -> Sequence[str]:
        """See `Crops`."""
        return self._names

    def targets(self, clip: str) -> tuple[Target, ...]:
        """See `Crops`."""
        return self._crops.targets(clip)

    def frame_size(self, clip: str) -> tuple[int, int]:
        """See `Crops`."""
        return self._crops.frame_size(clip)

    def crop(self, clip: str, target: int, index: int) -> Crop:
        """See `Crops`."""
        return self._crops.crop(clip, target, index)

    def digest(self) -> str:
        """That of all clips, and which of them."""
        return f"{self._crops.digest()}, {len(self._names)} clips of {len(self._crops.names)}"


def run_data_size(
    out: Path, effort: Effort, *, data: Sequence[tuple[str, Path | None]], videos: Path, watch: Watch = unwatched
) -> Table:
    """Trains with growing shares of the videos, as many steps each, follows other videos, and writes the folder.

    Args:
        out: the folder.
        effort: of each training.
        data: names and folders of data sets, as for training.
        videos: folder of annotated sequences to follow, none of which is among the data.
        watch: see `siamtrack.experiments.following.Watch`.

    Raises:
        OutputError: see `Folder`.
        DataError: data or videos cannot be used.
        SettingsError: an unknown data set, pictures that are no videos, or a setting that is impossible.
        TrainingError: a training had to stop.
    """
    recipe = _recipe(effort)
    tested = videos_in(videos)
    opened = _opened(data, recipe)
    settings = told(effort, recipe) | {"experiment": {"name": NAME}, "data": {"digest": opened.digest()}}
    folder = Folder(out, settings | {"videos": origins(tested)})
    rows: list[list[Cell]] = []
    digests: dict[str, str] = {}
    for share, published in DATA_SIZE.items():
        chosen = [ShareOfClips(crops, share) for crops in opened.crops]
        count = sum(len(crops.names) for crops in chosen)
        run = out / RUNS / f"{count}-videos"  # shares of few videos may be the same ones, which are trained on once
        train_in(run, recipe, TrainingData(crops=tuple(chosen)), effort)
        trained = open_run(run, device=effort.device)
        digests[f"{share} %"] = trained.sha256
        scores = mean_scores(follow(trained.tracker, tested, out / TRACKS / run.name, watch=watch))
        rows.append([share, count, recipe.steps * recipe.batch_size, *scores.cells(), *published])
    table = Table(_COLUMNS, rows)
    folder.write_table("data-size", table)
    _draw(out, table)
    folder.finish(_report(out, table, recipe, data, tested), trained=digests)
    return table


def _recipe(effort: Effort) -> Recipe:
    """The paper's, without held-out pairs: the share of the videos that is learnt from must be exactly the one named."""
    recipe = recipe_of(effort, RECIPE, QUICK)
    return replace(recipe, validation_pairs=0, select="last", sampling=replace(recipe.sampling, validation_share=0.0))


def _opened(data: Sequence[tuple[str, Path | None]], recipe: Recipe) -> TrainingData:
    if made := {name for name, _ in data} & {PICTURES, WORLD}:
        raise SettingsError(f"No share of the videos can be taken of '{min(made)}', which is none; give annotated videos.")
    return open_data(data, recipe.crops)


def data_in_words(data: Sequence[tuple[str, Path | None]]) -> str:
    """Names and folders of data sets, for reports."""
    return ", ".join(f"{name} ({path})" if path else name for name, path in data)


def _draw(out: Path, table: Table) -> None:
    points: dict[str, list[tuple[float, float]]] = {
        "success AUC, here": list(zip(table.numbers("share %"), table.numbers("success AUC"), strict=True)),
        "EAO on VOT-15, published": [(share, scores.eao) for share, scores in DATA_SIZE.items()],
    }
    lines(
        points,
        out / "data-size.png",
        title="Accuracy with growing shares of the training videos",
        x="share of the videos, %",
        y="success AUC, here",
        ticks=SHARES,
    )


def _report(out: Path, table: Table, recipe: Recipe, data: Sequence[tuple[str, Path | None]], tested: Sequence[Video]) -> str:
    counts: Mapping[Cell, Cell] = {row[1]: row[0] for row in table.rows}
    runs = [
        f"* {count} video{'s' if count != 1 else ''}: {in_words(out / RUNS / f'{count}-videos', recipe)}" for count in counts
    ]
    return "\n".join(
        [
            "# Growing shares of the training videos\n",
            table.markdown(),
            "The published columns are from the SiamFC paper (Bertinetto et al. 2016): shares of ImageNet VID, tested on "
            "VOT-15 with a restart after every failure. Success, precision and overlap here are of one pass through the videos "
            "without restarts: compare the course, not the numbers.\n",
            "## What was run\n",
            f"* Data: {data_in_words(data)}. A smaller share is part of every larger one, in "
            "the order of a hash of the videos' names; at least one video of each data set.",
            *runs,
            f"* Settings that differ from the paper's (recipe `{RECIPE}`): {differences(recipe, RECIPE)}.",
            f"* Tested on {len(tested)} videos, {sum(len(video.boxes) for video in tested)} frames, with one scale; every "
            "video counts the same, and the first frame, whose box is given, does not.\n",
            picture("data-size.png", "Success AUC here and published EAO"),
        ]
    )
