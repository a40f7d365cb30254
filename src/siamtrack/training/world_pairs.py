"""Training pairs of made-up worlds: two frames of an object in a scene that exists for this pair only.

A negative pair has the search patch around an object of another scene. Of n pictures of objects that a world is made of, one
in n such pairs shows the same picture twice.
"""

from __future__ import annotations

import numpy as np

from siamtrack.crop import context_side
from siamtrack.datasets.crops import Crop, CropSettings
from siamtrack.errors import DataError
from siamtrack.pair import Pair
from siamtrack.synthetic.shot import Window
from siamtrack.synthetic.world import Scene, World
from siamtrack.training.augment import AugmentSettings, PairPlan, plan_pair
from siamtrack.training.look_alikes import Subject

LEAST_SIDE_PX = 8.0  # of an object in its frame
_SCENE_TRIES = 50  # without an object that can be seen in two frames, one after another
_FRAME_TRIES = 6
_LENGTH = 400  # frames of a scene that pairs are taken from


class WorldPairs:
    """Pairs by number: the same world, settings and sizes give the same pair for the same number, always.

    Args:
        world: where scenes come from; its seed decides which pairs there are.
        crops: how the windows around objects are cut.
        augment: how the pairs are varied.
        max_frame_gap: between the two frames.
        min_visibility: share of the object that is seen, in either.
        search_size: side of the search patch, pixels.
        negative: share of the pairs that are of two objects.
        masked: pairs have masks, those of two objects excepted.
    """

    def __init__(
        self,
        world: World,
        crops: CropSettings,
        augment: AugmentSettings,
        *,
        max_frame_gap: int,
        min_visibility: float,
        search_size: int,
        negative: float = 0.0,
        masked: bool = False,
    ) -> None:
        self._world = world
        self._crops = crops
        self._augment = augment
        self._gap = max_frame_gap
        self._least = min_visibility
        self._search_size = search_size
        self._negative = negative
        self._masked = masked

    def __getitem__(self, number: int) -> Pair:
        return self.plan(number).drawn(lambda window: Crop(*window.masked()))

    def plan(self, number: int, *, draws_noise: bool = True) -> PairPlan[Window]:
        """What is to be painted for a pair.

        Args:
            number: of the pair.
            draws_noise: see `plan_pair`.

        Raises:
            DataError: no object of many scenes is seen in two frames, or a picture of the supply cannot be read.
        """
        rng = np.random.default_rng((self._world.seed, number, 1))
        for attempt in range(_SCENE_TRIES):
            scene = self._world.scene(number * _SCENE_TRIES + attempt)
            target, time = int(rng.integers(scene.objects)), int(rng.integers(_LENGTH))
            if (template := self._subject(scene, target, time)) is None:
                continue
            absent = bool(self._negative and rng.random() < self._negative)  # drawn where there is a share alone
            for _ in range(_FRAME_TRIES):
                if (search := self._other(rng) if absent else self._again(scene, target, time, rng)) is not None:
                    plan = plan_pair(
                        template,
                        search,
                        self._augment,
                        rng,
                        template_size=self._crops.template_size,
                        search_size=self._search_size,
                        other=self._other,
                        draws_noise=draws_noise,
                    )
                    return plan._replace(absent=absent)
        raise DataError(
            f"{_SCENE_TRIES} scenes of the world have no object that is seen in two frames; its objects are too small, too "
            "fast or outside. Change the recipe's table world."
        )

    def _again(self, scene: Scene, target: int, time: int, rng: np.random.Generator) -> Subject[Window] | None:
        """The object in another frame near that time; None where too little of it is seen."""
        gap = int(rng.integers(-self._gap, self._gap + 1))
        return self._subject(scene, target, abs(time + gap), masked=self._masked)

    def _subject(self, scene: Scene, target: int, time: int, *, masked: bool = False) -> Subject[Window] | None:
        """The object in a frame; None where too little of it is seen."""
        box, visibility = scene.truth(target, time)
        if visibility < self._least or min(box.w, box.h) < LEAST_SIDE_PX:
            return None
        settings = self._crops
        factor = settings.template_size / context_side(box.w, box.h, settings.context)
        side = settings.size / factor
        left, top = (middle - side / 2 for middle in box.center)
        window = scene.window(time, left, top, side, settings.size, target=target if masked else None)
        return Subject(window, settings.size, (factor * box.w, factor * box.h))

    def _other(self, rng: np.random.Generator) -> Subject[Window] | None:
        """An object of another scene."""
        scene = self._world.scene(int(rng.integers(2**40, 2**41)))
        return self._subject(scene, int(rng.integers(scene.objects)), int(rng.integers(_LENGTH)))


class WorldPlans:
    """What is to be painted for the pairs of the same numbers, by whoever paints many at once."""

    def __init__(self, pairs: WorldPairs) -> None:
        self._pairs = pairs

    def __getitem__(self, number: int) -> PairPlan[Window]:
        return self._pairs.plan(number, draws_noise=False)
