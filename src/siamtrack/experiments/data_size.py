"""How much data: the same training with growing shares of the videos of a data set (SiamFC paper, "Dataset size")."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from siamtrack.datasets.clips import Target, TrainingSet
from siamtrack.datasets.crop_store import StoredCrops, read_manifest
from siamtrack.datasets.crops import Crop, Crops
from siamtrack.errors import DataError, SettingsError
from siamtrack.experiments.following import AUC_IN_WORDS, SCORES, TRACKS, Watch, follow, mean_scores, unwatched
from siamtrack.experiments.models import open_run
from siamtrack.experiments.overrides import refuse_overrides
from siamtrack.experiments.plots import lines
from siamtrack.experiments.published import DATA_SIZE
from siamtrack.experiments.report import Cell, Folder, Table, picture
from siamtrack.experiments.squares_training import Effort, differences, in_words, recipe_of, told, train_in
from siamtrack.experiments.videos import Video, origins, videos_in
from siamtrack.library import open_training_set
from siamtrack.synthetic.made_folder import counted
from siamtrack.training.clip_pairs import part
from siamtrack.training.recipe import Recipe
from siamtrack.training.sources import PICTURES, WORLD, TrainingData, open_data

NAME = "data-size"
RECIPE = "siamfc-paper"
RUNS = "runs"
SHARES = tuple(DATA_SIZE)  # per cent
QUICK = ("epochs=3", "pairs_per_epoch=1000", "precision=bfloat16", "log_steps=25")
"""What `--quick` changes in the recipe."""

Places = Sequence[tuple[str, Path | None]]
"""Names of data sets, each with its folder or none; see `siamtrack.training.sources.open_data`."""

_NONE_HELD_OUT = "a share of the videos is learnt from wholly, so that none is held out, and the last weights are taken"
_DECIDED = dict.fromkeys(("validation_pairs", "select", "sampling.validation_share", "tracking_clips"), _NONE_HELD_OUT)
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

    def crop(self, clip: str, target: int, index: int, *, masked: bool = False) -> Crop:
        """See `Crops`."""
        return self._crops.crop(clip, target, index, masked=masked)

    def digest(self) -> str:
        """That of all clips, and which of them."""
        return f"{self._crops.digest()}, {len(self._names)} clips of {len(self._crops.names)}"


def run_data_size(out: Path, effort: Effort, *, data: Places, videos: Path, watch: Watch = unwatched) -> Table:
    """Trains with growing shares of the videos, as many steps each, follows other videos, and writes the folder.

    Args:
        out: the folder.
        effort: of each training.
        data: names and folders of data sets.
        videos: folder of annotated sequences to follow, none of which may be among the data. Copies are not noticed, nor are
            the videos of a folder of crops that are not where they were when it was made.
        watch: see `siamtrack.experiments.following.Watch`.

    Raises:
        OutputError: see `Folder`.
        DataError: data or videos cannot be used, or a video is learnt from and followed.
        SettingsError: an unknown data set, pictures that are no videos, a setting that is impossible or not the user's.
        TrainingError: a training had to stop.
    """
    recipe, tested = _recipe(effort), videos_in(videos)
    opened = _opened(data, recipe)
    _check_apart(opened, tested)
    _check_learnable(opened, recipe)
    settings = told(effort, recipe) | {"experiment": {"name": NAME}, "data": {"digest": opened.digest()}}
    folder = Folder(out, settings | {"videos": origins(tested)})
    rows: list[list[Cell]] = []
    digests = {}
    for share, published in DATA_SIZE.items():
        chosen = tuple(ShareOfClips(crops, share) for crops in opened.crops)
        count = sum(len(crops.names) for crops in chosen)
        measured: list[Cell] = [None] * (1 + len(SCORES))
        if not rows or rows[-1][1] != count:  # or they are the same videos, as each share is a part of the next
            run = out / RUNS / f"{count}-videos"
            train_in(run, recipe, TrainingData(crops=chosen), effort)
            trained = open_run(run, device=effort.device)
            digests[f"{share} %"] = trained.sha256
            tracked = follow(trained.tracker, tested, out / TRACKS / run.name, watch=watch)
            measured = [recipe.steps * recipe.batch_size, *mean_scores(tracked).cells()]
        rows.append([share, count, *measured, *published])
    folder.write_table("data-size", table := Table(_COLUMNS, rows))
    _draw(out, table)
    folder.finish(_report(out, table, recipe, data, tested), trained=digests)
    return table


def _recipe(effort: Effort) -> Recipe:
    """The paper's, without held-out pairs: the share of the videos that is learnt from must be exactly the one named."""
    refuse_overrides(effort.overrides, _DECIDED)
    recipe = recipe_of(effort, RECIPE, QUICK)
    return replace(recipe, validation_pairs=0, select="last", sampling=replace(recipe.sampling, validation_share=0.0))


def _opened(data: Places, recipe: Recipe) -> TrainingData:
    if made := {name for name, _ in data} & {PICTURES, WORLD}:
        raise SettingsError(
            f"No share of the videos can be taken of '{min(made)}', which has none; give annotated videos: folder=my-videos."
        )
    return open_data(data, recipe.crops)


def _check_apart(opened: TrainingData, tested: Sequence[Video]) -> None:
    """Refuses to follow a video that is learnt from.

    A folder in a data set's may well be followed, as that of the test videos of LaSOT is: what counts is the clips.
    """
    followed = {Path(video.origin["images"]): video.name for video in tested}
    for root, names, open_set in _on_disk(opened):
        if not any(path.is_relative_to(root.resolve()) for path in followed):
            continue
        training_set = open_set()
        for name in names:
            if both := _places(training_set, name) & followed.keys():
                raise DataError(
                    f"'{followed[both.pop()]}' among the videos to follow is the clip '{name}' of '{root}', which is learnt "
                    "from: it would say nothing about other videos. Give other --videos, or --data without it."
                )


def _check_learnable(opened: TrainingData, recipe: Recipe) -> None:
    """Refuses data of which the smallest share has no target within the recipe's limits; larger ones have what it has."""
    for crops in opened.crops:
        alone = TrainingData(crops=(ShareOfClips(crops, min(DATA_SIZE)),))
        alone.pairs(replace(recipe, weights={}), "training")[0]  # a pair is found, or it is told why not


def _on_disk(opened: TrainingData) -> Iterator[tuple[Path, Sequence[str], Callable[[], TrainingSet]]]:
    """Where the clips of each data set lie, which of them there are, and how the set is opened."""
    for training_set in opened.sets:
        yield training_set.root, training_set.names, partial(_itself, training_set)
    for crops in opened.crops:
        if isinstance(crops, StoredCrops) and (source := Path(read_manifest(crops.path)["source"])).is_dir():
            yield source, crops.names, partial(open_training_set, source, crops.name)


def _itself(training_set: TrainingSet) -> TrainingSet:
    return training_set


def _places(training_set: TrainingSet, name: str) -> set[Path]:
    """The video of a clip, or the folder of its pictures, also where they are links."""
    try:
        frames = training_set.clip(name).frames
    except DataError:  # nothing is learnt from it
        return set()
    if not len(frames):
        return set()
    first = Path(frames.label(0).removesuffix("#0"))
    return {first.resolve(), first.resolve().parent, first.parent.resolve()}


def data_in_words(data: Places) -> str:
    """Names and folders of data sets, for reports."""
    return ", ".join(f"{name} ({path})" if path else name for name, path in data)


def _draw(out: Path, table: Table) -> None:
    auc = list(table.columns).index("success AUC")
    counts = table.numbers("videos")
    # a share of few videos is drawn where it really lies: 2 % of ten videos are one, which is 10 %
    really = [100 * count / counts[-1] for count in counts]
    here = [(x, float(str(row[auc]))) for x, row in zip(really, table.rows, strict=True) if row[auc] is not None]
    points: dict[str, list[tuple[float, float]]] = {
        "success AUC, here": here,
        "EAO on VOT-15, published": [(share, scores.eao) for share, scores in DATA_SIZE.items()],
    }
    lines(
        points,
        out / "data-size.png",
        title="Accuracy with growing shares of the training videos",
        x="share of the videos that were trained on, %",
        ticks=SHARES,
    )


def _report(out: Path, table: Table, recipe: Recipe, data: Places, tested: Sequence[Video]) -> str:
    shares: dict[int, list[str]] = {}
    for share, count, *_ in table.rows:
        shares.setdefault(int(str(count)), []).append(f"{share} %")
    runs = [
        f"* {', '.join(named)}: {counted(count, 'video')}. {in_words(out / RUNS / f'{count}-videos', recipe)}"
        for count, named in shares.items()
    ]
    merged = "A dash: the share comes out as the same videos as the one above it, which are trained on and drawn once.\n"
    return "\n".join(
        [
            "# Growing shares of the training videos\n",
            table.markdown(),
            *([merged] if len(shares) < len(table.rows) else []),
            "The published columns are from the SiamFC paper (Bertinetto et al. 2016): shares of ImageNet VID, tested on "
            "VOT-15 with a restart after every failure. Success, precision and overlap here are of one pass through the videos "
            f"without restarts: compare the course, not the numbers. {AUC_IN_WORDS}\n",
            "## What was run\n",
            f"* Data: {data_in_words(data)}. A smaller share is part of every larger one, in "
            "the order of a hash of the videos' names; at least one video of each data set.",
            *runs,
            f"* Settings that differ from the paper's (recipe `{RECIPE}`): {differences(recipe, RECIPE)}.",
            f"* Tested on {counted(len(tested), 'video')}, {sum(len(video.boxes) for video in tested)} frames, with one scale; "
            "every video counts the same, and the first frame, whose box is given, does not.\n",
            picture("data-size.png", "Success AUC here and published EAO, over the share of the videos that it really was"),
        ]
    )
