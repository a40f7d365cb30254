"""Objects that leave the view: they come back, from where they went or from the other side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from siamtrack.synthetic.casting import Thing, cast
from siamtrack.synthetic.supply import BuiltIn
from siamtrack.synthetic.world import LEAST_VISIBLE, World
from siamtrack.synthetic.world_settings import WorldSettings

SMALL = WorldSettings(width=160, height=120, noise=0, compression=0)


def test_objects_leave_and_come_back() -> None:
    world = World(replace(SMALL, exits=1, most_objects=1, occluders=0, motion=2.0), BuiltIn(), seed=1)
    histories = [
        "".join(str(int(world.scene(n).truth(0, time)[1] >= LEAST_VISIBLE)) for time in range(0, 600, 5)) for n in range(8)
    ]
    assert sum("10" in h and "01" in h[h.index("10") :] for h in histories if "10" in h) >= 2
    stays = World(replace(SMALL, exits=0, most_objects=1, occluders=0, camera=0), BuiltIn(), seed=1)
    assert all(stays.scene(n).truth(0, time)[1] > 0 for n in range(8) for time in range(0, 600, 20))


@pytest.mark.parametrize("elsewhere", [0.0, 1.0])
def test_objects_come_back_from_the_other_side(elsewhere: float) -> None:
    """All of those that travel do, and few of the others."""
    chosen = replace(SMALL, exits=1, elsewhere=elsewhere, most_objects=2, look_alikes=0.5, occluders=0, motion=2.0, largest=0.3)
    returns: list[bool] = []
    world = World(chosen, BuiltIn(), seed=3)
    for scene in map(world.scene, range(8)):
        for target in range(scene.objects):
            truth = [scene.truth(target, time) for time in range(300)]
            places = [(time, box[0] + box[2] / 2) for time, (box, seen) in enumerate(truth) if seen > 0]
            gaps = [(a, b) for (before, a), (after, b) in pairwise(places) if after > before + 1]
            returns += [abs(b - a) > 0.6 * SMALL.width for a, b in gaps]
            steps = [abs(b - a) for (before, a), (after, b) in pairwise(places) if after == before + 1]
            assert max(steps, default=0) < 0.3 * SMALL.width  # none jumps while it is seen
    assert len(returns) > 5
    assert all(returns) if elsewhere else np.mean(returns) < 0.3


def test_what_goes_round_is_smeared_as_if_it_did_not() -> None:
    thing = next(thing for thing in travelling() if thing.travel)
    assert thing.travel is not None
    straight = replace(thing, travel=thing.travel._replace(period=1e9))
    for time in np.arange(0, 400, 0.7):
        (_, before, after), (_, straight_before, straight_after) = (
            one.poses(float(time), time - 0.25, time + 0.25) for one in (thing, straight)
        )
        assert after.x - before.x == pytest.approx(straight_after.x - straight_before.x, abs=1e-4)
    assert max(abs(thing.poses(float(time))[0].x) for time in range(400)) <= thing.travel.period / 2


def travelling() -> Iterator[Thing]:
    chosen = replace(SMALL, exits=1, elsewhere=1, motion=2.0)
    for number in range(20):
        yield from cast(np.random.default_rng(number), chosen, BuiltIn()).objects
