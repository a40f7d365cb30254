"""The procedure alone, on responses that are made up: every number that comes out has an exact answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_responses import BOX, FRAME, Fake, bump, follow, one_answer

from siamtrack.box import Box
from siamtrack.crop import context_side
from siamtrack.errors import SettingsError
from siamtrack.settings import from_mapping
from siamtrack.trackers.rest import STRIDE_PX
from siamtrack.trackers.siamfc import PRESETS, SiamFCSettings, SiamFCTracker

# What the published tracker answers


def test_ten_steps_of_the_published_tracker(shared_data: Path) -> None:
    """siamfc-pytorch on stored maps. Their boxes are 1-based: the centre in our coordinates is x - 1 + w / 2.

    Without the sub-pixel peak and the reference at rest, which they do not have. What is left is the rounding of the stored
    maps to 16 bits.
    """
    stored = np.load(shared_data / "networks" / "steps_siamfc.npz")
    facts = json.loads((shared_data / "networks" / "steps_siamfc.json").read_text())
    theirs = facts["settings"]
    settings = SiamFCSettings(
        subpixel_peak=False,
        still_reference=False,
        scales=theirs["scale_num"],
        scale_step=theirs["scale_step"],
        scale_damping=theirs["scale_lr"],
        scale_penalty=theirs["scale_penalty"],
        window_influence=theirs["window_influence"],
        upsampling=theirs["response_up"],
        context=theirs["context"],
    )
    x, y, w, h = facts["init_box_1based"]
    numbers = iter(range(10))
    network = Fake(lambda templates, patches: stored[f"response_{next(numbers)}"].astype(np.float32)[None])
    tracker = SiamFCTracker(network, settings)
    frame = np.zeros((*facts["image_size"], 3), np.uint8)
    found = follow(tracker, [frame] * 11, Box(x - 1, y - 1, w, h))
    expected = np.array(facts["boxes_1based"]) - [1, 1, 0, 0]
    assert len(found) == len(expected) == 10
    assert np.abs(np.array(found) - expected).max() < 0.05
    assert settings == SiamFCSettings(subpixel_peak=False, still_reference=False)  # the defaults are theirs


def test_presets_are_settings() -> None:
    for values in PRESETS.values():
        from_mapping(SiamFCSettings, values, where="preset")


# No drift


@pytest.mark.parametrize("search_size", [255, 247, 263, 239])  # maps of 17, 16, 18 and 15 cells
@pytest.mark.parametrize("settings", [{}, {"window_influence": 0.0}, {"scales": 1}, {"upsampling": 1}, {"upsampling": 5}])
def test_a_target_that_stands_still_stays_where_it_is(search_size: int, settings: dict[str, Any]) -> None:
    """500 steps; the middle of a map with an even number of cells lies between two cells.

    Without the reference at rest, which would hide any offset. The answer is the same in every step, so that even float32
    rounding adds up: it moves a box by 3e-5 px a step. The published peak moves it by 0.2 px a step.
    """
    cells = (search_size - 127) // STRIDE_PX + 1
    maps = [bump((0, 0), cells, height=h) for h in (4, 5, 4)][: settings.get("scales", 3)]
    tracker = SiamFCTracker(one_answer(*maps), SiamFCSettings(search_size=search_size, still_reference=False, **settings))
    (state,) = tracker.start(FRAME, [BOX])
    for number in range(500):
        (state,), _ = tracker.step(FRAME, [state])
        if number == 0:
            assert np.abs(np.subtract(state.box, BOX)).max() < 1e-4
    assert np.abs(np.subtract(state.box, BOX)).max() < 0.05


def test_the_published_peak_drifts_and_ours_does_not() -> None:
    """The trap itself: the first highest of two middle cells is a quarter of a patch pixel off, in every frame."""
    network = one_answer(*[bump((0, 0), height=h) for h in (4, 5, 4)])
    drift = {}
    for subpixel in (True, False):
        last = follow(SiamFCTracker(network, SiamFCSettings(subpixel_peak=subpixel, still_reference=False)), [FRAME] * 21)[-1]
        drift[subpixel] = np.subtract(last.center, BOX.center)
    assert np.abs(drift[True]).max() < 2e-3
    patch_px = context_side(60, 40, 0.5) / 127
    assert drift[False] == pytest.approx(-20 * 0.25 * patch_px)


@pytest.mark.parametrize("search_size", [255, 247, 263])
def test_no_mean_error_at_sub_cell_positions(search_size: int) -> None:
    """Peaks anywhere within three cells of the middle, without cosine window, which pulls to the middle on purpose.

    The mean signed error is far below the bound of the brief; each single one is below a tenth of a patch pixel.
    """
    cells = (search_size - 127) // STRIDE_PX + 1
    settings = SiamFCSettings(search_size=search_size, scales=1, window_influence=0.0, still_reference=False)
    rng = np.random.default_rng(0)
    cell_px = STRIDE_PX * context_side(60, 40, 0.5) / 127
    errors = []
    for peak in rng.uniform(-3, 3, (400, 2)):
        tracker = SiamFCTracker(one_answer(bump(tuple(peak), cells)), settings)
        (found,) = follow(tracker, [FRAME] * 2)
        errors.append(np.subtract(found.center, BOX.center) / cell_px - peak)
    mean, worst = np.mean(errors, axis=0), np.abs(errors).max()
    assert np.abs(mean).max() < 0.005  # cells
    assert worst < 0.1


def test_the_peak_in_the_first_frame_is_the_zero() -> None:
    """A texture whose response peaks beside the middle stays where it is; a peak elsewhere is not that of the target."""
    cell_px = STRIDE_PX * context_side(60, 40, 0.5) / 127
    for peak, expected in (((0.3, -0.2), 0.0), ((3, 0), 3 * cell_px)):
        settings = SiamFCSettings(scales=1, window_influence=0.0)
        (found,) = follow(SiamFCTracker(one_answer(bump(peak)), settings), [FRAME] * 2)
        assert found.center[0] - BOX.center[0] == pytest.approx(expected, abs=0.05)


def test_the_cosine_window_pulls_to_the_middle_from_all_sides_alike() -> None:
    cell_px = STRIDE_PX * context_side(60, 40, 0.5) / 127
    moves = {}
    for peak in [(2.3, 0), (-2.3, 0), (0, 2.3), (0, -2.3)]:
        tracker = SiamFCTracker(one_answer(bump(peak)), SiamFCSettings(scales=1, window_influence=0.5))
        (found,) = follow(tracker, [FRAME] * 2)
        moves[peak] = np.subtract(found.center, BOX.center) / cell_px
    right, left, down, up = moves.values()
    assert 1 < right[0] < 2.3
    # equal up to float32 rounding where it decides between two cells of the upsampled map
    assert [right[1], left[1], down[0], up[0]] == pytest.approx([0] * 4, abs=1e-3)
    assert [-left[0], down[1], -up[1]] == pytest.approx([right[0]] * 3, abs=2e-3)


def test_a_shift_in_cells_is_a_shift_in_image_pixels() -> None:
    """Whole chain of units: one cell is 8 patch pixels, a patch of 255 is 255/127 sides of the context square."""
    tracker = SiamFCTracker(one_answer(bump((2, -1))), SiamFCSettings(scales=1, window_influence=0.0))
    (found,) = follow(tracker, [FRAME] * 2)
    patch_px = np.sqrt((60 + 50) * (40 + 50)) / 127
    assert np.subtract(found.center, BOX.center) == pytest.approx([16 * patch_px, -8 * patch_px], abs=0.02)


# Size


@pytest.mark.parametrize(("heights", "direction"), [((4, 4, 6), 1), ((6, 4, 4), -1), ((4, 5, 4), 0), ((4.95, 5, 5.05), 0)])
def test_the_size_follows_the_best_scale_damped(heights: tuple[float, ...], direction: int) -> None:
    """In the last row another scale is higher by 1 %, less than the penalty of 2.55 %."""
    tracker = SiamFCTracker(one_answer(*[bump((0, 0), height=h) for h in heights]))
    (found,) = follow(tracker, [FRAME] * 2)
    change = 1 - 0.59 + 0.59 * 1.0375**direction
    assert (found.w, found.h) == pytest.approx((60 * change, 40 * change))


def test_a_shift_at_a_larger_scale_is_larger_in_the_image() -> None:
    shifts = []
    for heights in ((4, 4, 6), (6, 4, 4)):
        tracker = SiamFCTracker(one_answer(*[bump((2, 0), height=h) for h in heights]), SiamFCSettings(window_influence=0.0))
        shifts.append(follow(tracker, [FRAME] * 2)[0].center[0] - BOX.center[0])
    assert shifts[0] / shifts[1] == pytest.approx(1.0375**2, rel=1e-4)


def test_a_negative_response_is_no_reward_for_a_change_of_scale() -> None:
    """-5 times 0.9745 is more than -5; published code changes the size by that."""
    equal = bump((0, 0)) - 10  # highest: -5
    assert follow(SiamFCTracker(one_answer(equal, equal, equal)), [FRAME] * 2)[0].w == 60
    better = equal + 1
    assert follow(SiamFCTracker(one_answer(equal, equal, better)), [FRAME] * 2)[0].w > 60


@pytest.mark.parametrize(("heights", "limit"), [((4, 4, 6), 5.0), ((6, 4, 4), 0.2)])
def test_the_size_has_limits(heights: tuple[float, ...], limit: float) -> None:
    tracker = SiamFCTracker(one_answer(*[bump((0, 0), height=h) for h in heights]))
    boxes = follow(tracker, [FRAME] * 201)
    assert boxes[-1].w == pytest.approx(60 * limit)
    assert all(box.w / box.h == pytest.approx(1.5) for box in boxes)


def test_score_is_the_highest_raw_response() -> None:
    tracker = SiamFCTracker(one_answer(bump((0, 0), height=3), bump((0, 0), height=7), bump((0, 0), height=4)))
    _, (prediction,) = tracker.step(FRAME, tracker.start(FRAME, [BOX]))
    assert prediction.score == pytest.approx(7, rel=1e-3)  # of the map that was upsampled


# Settings


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("template_size", [15, 5000]),
        ("search_size", [126, 5000]),
        ("context", [-0.1, 4.1]),
        ("scales", [0, 2, 4, 101]),
        ("scale_step", [1.0, 0.97, 2.5]),
        ("scale_penalty", [-0.1, 1.1]),
        ("scale_damping", [-0.1, 1.1]),
        ("window_influence", [-0.1, 1.1]),
        ("upsampling", [0, 65]),
        ("min_scale", [0.0, 1.5]),
        ("max_scale", [0.5, 101]),
    ],
)
def test_settings_outside_their_range_are_refused(name: str, values: list[float]) -> None:
    for value in values:
        with pytest.raises(SettingsError, match=f"The setting {name} is {value}"):
            SiamFCSettings(**{name: value})
    with pytest.raises(SettingsError, match=name):
        SiamFCSettings(**{name: float("nan")})


@pytest.mark.parametrize("search_size", [127, 131, 134])
@pytest.mark.parametrize("fit", [False, True])
def test_one_cell_says_nothing_of_the_place(search_size: int, fit: bool) -> None:
    """Whatever its value, and however upsampling rounds it, the target stays; two cells are the least that can tell."""
    rng = np.random.default_rng(0)
    network = Fake(lambda templates, patches: rng.normal(5, 2, (*patches.shape[:2], 1, 1)).astype(np.float32))
    tracker = SiamFCTracker(network, SiamFCSettings(search_size=search_size, scale_damping=0, scale_fit=fit))
    boxes = follow(tracker, [FRAME] * 6)
    assert np.abs(np.array(boxes) - BOX).max() < 1e-9


def test_scale_factors_are_ascending_around_1() -> None:
    assert SiamFCSettings().scale_factors == pytest.approx([1 / 1.0375, 1, 1.0375])
    assert SiamFCSettings(scales=1).scale_factors.tolist() == [1]
    assert len(SiamFCSettings(scales=5, scale_step=1.0255).scale_factors) == 5
