"""Success AUC, and J of masks, on what training holds out: worlds of the held-out pictures, and clips that were kept back.

    python benchmarks/validation.py PICTURES [--clips CLIPS] [--model NAME_OR_FOLDER ...] [--scenes 20] [--frames 45]

PICTURES is the folder that was given to training as `--data pictures=` or `--data world=`; CLIPS holds NAME/groundtruth.txt and
NAME/img/*.jpg, see `clip_tracks.py`. Settings and checkpoints are chosen by this, and nothing by benchmarks.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from siamtrack.box import Box, Boxes
from siamtrack.datasets.sequences import find_sequences
from siamtrack.frames import Frame
from siamtrack.library import open_model
from siamtrack.metrics.ope import success_auc
from siamtrack.metrics.segmentation import region_similarity
from siamtrack.synthetic.material import find_material
from siamtrack.synthetic.scene import FPS
from siamtrack.synthetic.supply import Pictured
from siamtrack.synthetic.world import Scene, World
from siamtrack.synthetic.world_sequences import first_target
from siamtrack.synthetic.world_settings import WorldSettings
from siamtrack.tracking import Tracker, track

SEED = 7
FIRST_SCENE = 2**43  # far from those that training can reach
LEAST_FRAMES = 8  # of a clip

Trackers = Mapping[str, Tracker[Any]]
Row = Mapping[str, tuple[float, float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--clips", type=Path)
    parser.add_argument("--model", action="append", required=True)
    parser.add_argument("--set", action="append", default=[], dest="overrides", help="of the procedure, for all models")
    parser.add_argument("--scenes", type=int, default=20)
    parser.add_argument("--frames", type=int, default=45)
    arguments = parser.parse_args()
    trackers = {name: open_model(name, overrides=arguments.overrides) for name in arguments.model}
    supply = Pictured(find_material([arguments.pictures]).part("validation"), held_out=True)
    scenes = islice(_subjects(World(WorldSettings(), supply, SEED)), arguments.scenes)
    _tell("worlds", trackers, (_of_scene(trackers, scene, target, arguments.frames) for scene, target in scenes))
    if arguments.clips:
        _tell("clips", trackers, _of_clips(trackers, arguments.clips))


def _subjects(world: World) -> Iterator[tuple[Scene, int]]:
    for number in count(FIRST_SCENE):
        scene = world.scene(number)
        target = first_target(scene)
        if target is not None:
            yield scene, target


def _of_scene(trackers: Trackers, scene: Scene, target: int, frames: int) -> Row:
    """Over the frames in which the target is somewhere; J over all of them."""
    labelled = list(scene.frames(frames))
    truth = np.array([frame.boxes[target] for frame in labelled])
    images = [Frame(index=number, time=number / FPS, image=frame.image) for number, frame in enumerate(labelled)]
    return _measured(trackers, images, truth, np.array([frame.identity == target + 1 for frame in labelled]))


def _of_clips(trackers: Trackers, folder: Path) -> Iterator[Row]:
    for clip in find_sequences(folder):
        if len(clip.boxes) >= LEAST_FRAMES:
            yield _measured(trackers, clip.frames(), clip.boxes, None)


def _measured(trackers: Trackers, frames: Iterable[Frame], truth: Boxes, masks: NDArray[np.bool_] | None) -> Row:
    """AUC and J by model, after the first frame; NaN where there are no masks."""
    seen = list(frames)
    found = {}
    for name, tracker in trackers.items():
        steps = [step.predictions[0] for step in track(tracker, seen, [Box(*map(float, truth[0]))])]
        boxes = np.array([step.box for step in steps], float)
        auc = success_auc(boxes[1:], truth[1:]) if not np.isnan(truth[1:]).any(1).all() else np.nan
        said = [step.mask for step in steps[1:] if step.mask is not None]
        found[name] = auc, region_similarity(np.array(said), masks[1:]).mean() if said and masks is not None else np.nan
    return found


def _tell(what: str, trackers: Trackers, rows: Iterable[Row]) -> None:
    found = list(rows)
    for name in trackers:
        values = np.array([row[name] for row in found])
        shares = f"  J {np.nanmean(values[:, 1]):.4f}" if np.isfinite(values[:, 1]).any() else ""
        print(f"{what:8}{len(found):4}  {name:40}  AUC {np.nanmean(values[:, 0]):.4f}{shares}", flush=True)


if __name__ == "__main__":
    main()
