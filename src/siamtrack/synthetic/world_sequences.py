"""Sequences of a world as a benchmark needs them: a target in full view in the first frame, and what VOT says of each frame."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from siamtrack.box import Box
from siamtrack.errors import DataError
from siamtrack.results import ResultWriter, Row
from siamtrack.synthetic.benchmark_folders import RenderedSequence
from siamtrack.synthetic.made_folder import begin_folder, new_file, new_video
from siamtrack.synthetic.scene import FPS
from siamtrack.synthetic.truth import Labelled
from siamtrack.synthetic.world import Scene, World

LEAST_SIDE_PX = 12.0  # of the target in the first frame
LEAST_SEEN = 0.9  # share of it
_TRIES = 200  # scenes without such a target, one after another


@dataclass(frozen=True)
class _Frames:
    """The frames of a scene, drawn when they are gone through."""

    scene: Scene
    count: int

    def __iter__(self) -> Iterator[Labelled]:
        return self.scene.frames(self.count)


def world_sequences(world: World, count: int, frames: int) -> Iterator[RenderedSequence]:
    """The first scenes of a world that have a target to follow; the others are left out, and their numbers with them.

    Args:
        world: where the scenes come from.
        count: how many sequences.
        frames: of each.

    Raises:
        DataError: no object can be seen in many scenes.
    """
    number = missed = 0
    while count and missed < _TRIES:
        scene = world.scene(number)
        target = first_target(scene)
        if target is None:
            missed += 1
        else:
            missed = 0
            count -= 1
            tags = {
                "camera_motion": [time > 0 and scene.camera_moves(time) for time in range(frames)],
                "illum_change": [time > 0 and scene.light_changes(time) for time in range(frames)],
            }
            name = f"world-{world.seed}-{number:06}"
            yield RenderedSequence(name=name, frames=_Frames(scene, frames), fps=FPS, targets=(target + 1,), tags=tags)
        number += 1
    if count:
        raise DataError(
            f"{_TRIES} scenes of the world have no object of {LEAST_SIDE_PX:g} px or more in full view in the first frame; "
            "make the frames larger, the objects larger, or the occluders and exits fewer."
        )


def scenes_left_out(names: Sequence[str]) -> int:
    """How many scenes have no target among those up to the last of these sequences, which are the first of a world."""
    return int(names[-1].rpartition("-")[2]) + 1 - len(names)


def first_target(scene: Scene) -> int | None:
    """The first object that is in full view in the first frame, and not tiny there; None without one."""
    for target in range(scene.objects):
        box, seen = scene.truth(target, 0)
        if seen >= LEAST_SEEN and min(box.w, box.h) >= LEAST_SIDE_PX:
            return target
    return None


def write_videos(out: Path, sequences: Iterable[RenderedSequence], *, content: dict[str, object]) -> Iterator[str]:
    """Writes sequences as NAME.mp4 with the boxes of all objects in NAME.csv, as `siamtrack track` writes them.

    Boxes are all: masks, tags and visibility are not written. An object that is out of view has empty cells.
    `--data folder=OUT` trains from them. One that is finished is not written again. Odd sides of the videos grow by one
    repeated row or column. For `content` see `write_benchmark`.

    Yields:
        The name of each sequence once it is there.

    Raises:
        OutputError: the folder cannot be written, or holds something else.
    """
    begin_folder(out, {"what": "videos", **content}, growing="sequences" if "sequences" in content else None)
    for sequence in sequences:
        table = out / f"{sequence.name}.csv"
        if not table.is_file():  # named last
            with (
                new_file(table) as part,
                ResultWriter(part, format="csv") as rows,
                new_video(out / f"{sequence.name}.mp4", sequence.fps) as video,
            ):
                for number, frame in enumerate(sequence.frames):
                    video.write(frame.image)
                    boxes = enumerate(map(Box._make, frame.boxes.tolist()))
                    rows.write([Row(frame=number, target=k, box=box, score=math.nan) for k, box in boxes])
        yield sequence.name
