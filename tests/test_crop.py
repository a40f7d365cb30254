"""Crops of images whose value is known at every point, so that a shift by a part of a pixel shows as grey levels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from siamtrack.crop import context_side, cut, cut_windows, mean_colour

FILL = (7.0, 130.0, 251.0)
WIDTH, HEIGHT = 240, 200
repeatable = settings(deadline=None, derandomize=True, max_examples=60)


def gradient(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Red is x and green is y of the pixel's centre, one grey level a pixel; blue is neither."""
    y, x = np.mgrid[:height, :width] + 0.5
    return np.dstack([x, y, np.full_like(x, 99)]).clip(0, 255).astype(np.uint8)  # 0.5 is cut off: value = centre - 0.5


def expected(center: tuple[float, float], side: float, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Image x of the patch's columns and y of its rows, at the centres of its pixels, as levels of `gradient`."""
    places = (np.arange(size) + 0.5) * side / size - side / 2
    return center[0] + places - 0.5, center[1] + places - 0.5


def inside(coordinates: np.ndarray, length: int, margin: float) -> np.ndarray:
    return (coordinates > margin) & (coordinates < length - 1 - margin)


def unrounded(image: np.ndarray, center: tuple[float, float], side: float, size: int) -> np.ndarray:
    """The patch without the bias of rounding halves upward, which averaging meets often: the negative has it the other way."""
    positive, negative = (cut(picture, center, side, size, FILL).astype(float) for picture in (image, 255 - image))
    return (positive + 255 - negative) / 2


@repeatable
@given(
    st.floats(60, 180),
    st.floats(60, 140),
    st.floats(8, 110),
    st.sampled_from([127, 255, 64, 31]),
)
def test_every_patch_pixel_shows_its_own_place(x: float, y: float, side: float, size: int) -> None:
    """Sub-pixel positions and sizes, from 30 times enlarged to three times shrunk, within a grey level (= a pixel)."""
    step = max(side / size, size / side)
    # where up to four steps are whole pixels, the same few roundings come again and again and do not average out
    assume(min(abs(count * step - round(count * step)) for count in (1, 2, 3, 4)) > 0.02)
    patch = unrounded(gradient(), (x, y), side, size)
    columns, rows = expected((x, y), side, size)
    assert np.abs(patch[:, :, 0] - columns[None]).max() < 1.1
    assert np.abs(patch[:, :, 1] - rows[:, None]).max() < 1.1
    assert (patch[:, :, 2] == 99).all()
    # rounding to grey levels averages out over the patch, a shift of the window does not
    assert abs(patch[:, :, 0].mean() - columns.mean()) < 0.12
    assert abs(patch[:, :, 1].mean() - rows.mean()) < 0.12


@pytest.mark.parametrize("step", [1.03, 1.9, 2.0, 2.01, 2.9, 3.0, 4.5, 7.99, 15.3, 40.0])
@pytest.mark.parametrize("phase", [0.0, 0.3, 0.5, 0.9])
def test_shrinking_has_no_systematic_shift(step: float, phase: float) -> None:
    """The averaging before a large shrink begins at a whole pixel; that must not move the window.

    Of waves some thirty patch pixels long, the shift that explains the patch best is found by projection on the slope.
    Half an image pixel of shift is 0.5, a patch pixel `step`; rounding to 8 bits is what the bound is for. (At step 1 it
    is the same in every column and would look like a shift.)
    """
    size, center, length = 31, (700 + phase, 640 + phase), 10 * max(step, 3)
    y, x = np.mgrid[:1300, :1400] + 0.5
    waves = [127 + 100 * np.sin(x / length), 127 + 100 * np.sin(y / length), 0 * x]
    patch = unrounded(np.dstack(waves).round().astype(np.uint8), center, step * size, size)
    for channel, places in enumerate(expected(center, step * size, size)):
        phases = (places + 0.5) / length
        slope = 100 / length * np.cos(phases)
        shift = (slope * (patch[:, :, channel].mean(channel) - 127 - 100 * np.sin(phases))).sum() / (slope**2).sum()
        assert abs(shift) < 0.045 * max(step, 3), f"{shift:.2f} px of {step} px a patch pixel"


@pytest.mark.parametrize("step", [0.4, 1.0, 2.0])
def test_a_mirrored_image_gives_the_mirrored_patch(step: float) -> None:
    """No direction is preferred: a bias to the upper left would show twice here."""
    image = np.random.default_rng(1).integers(0, 256, (300, 320, 3)).astype(np.uint8)
    center, size = (151.3, 143.8), 40
    patch = cut(image, center, step * size, size, FILL).astype(int)
    turned = np.ascontiguousarray(image[::-1, ::-1])
    mirrored = cut(turned, (320 - center[0], 300 - center[1]), step * size, size, FILL)[::-1, ::-1].astype(int)
    assert np.abs(patch - mirrored).max() <= 2


def test_shrunk_stripes_are_grey() -> None:
    """Without averaging, some patch pixels would fall on the middle of a stripe and show its colour alone."""
    stripes = np.zeros((400, 400, 3), np.uint8)
    stripes[:, ::4] = stripes[:, 1::4] = 255
    patch = cut(stripes, (201.3, 200.0), 330.0, 41, FILL)  # 8.05 px a patch pixel
    assert patch.min() > 90
    assert patch.max() < 165


@repeatable
@given(st.floats(70, 150), st.floats(70, 130), st.floats(20, 60))
def test_crop_and_back(x: float, y: float, side: float) -> None:
    """A patch put back at its place is the image: the window of the patch that is the whole image, seen from the patch."""
    image = gradient()
    size = 127
    patch = cut(image, (x, y), side, size, FILL)
    zoom = size / side
    # the image's square [x0, x0 + 10) in patch pixels
    x0, y0 = round(x) - 5, round(y) - 5
    middle = (x0 + 5 - (x - side / 2)) * zoom, (y0 + 5 - (y - side / 2)) * zoom
    back = cut(patch, middle, 10 * zoom, 10, FILL).astype(int)
    assert np.abs(back - image[y0 : y0 + 10, x0 : x0 + 10].astype(int)).max() <= 2


def test_a_whole_aligned_window_is_copied() -> None:
    image = np.random.default_rng(2).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    assert (cut(image, (40.0, 30.0), 20.0, 20, FILL) == image[20:40, 30:50]).all()


@pytest.mark.parametrize("step", [0.5, 1.0, 1.7, 3.0, 5.2])
@pytest.mark.parametrize(("x", "y"), [(0.0, 0.0), (WIDTH, HEIGHT), (0.0, HEIGHT), (WIDTH, 100.0), (3.7, 90.2)])
def test_outside_the_frame_is_the_fill_colour(x: float, y: float, step: float) -> None:
    size = 41
    patch = cut(gradient(), (x, y), step * size, size, FILL).astype(float)
    columns, rows = expected((x, y), step * size, size)
    far = step + 1  # the border itself is a mixture, one patch pixel wide
    out = ~(inside(columns, WIDTH, -far)[None] & inside(rows, HEIGHT, -far)[:, None])
    within = inside(columns, WIDTH, 2 * far)[None] & inside(rows, HEIGHT, 2 * far)[:, None]
    assert out.any()
    assert within.any()
    assert (patch[out] == FILL).all()
    assert (patch[within][:, 2] == 99).all()
    assert np.abs(patch[:, :, 0] - columns[None])[within].max() < 1.1


@pytest.mark.parametrize("side", [10.0, 127.0, 900.0])
@pytest.mark.parametrize("center", [(-2000.0, 50.0), (50.0, -2000.0), (1e6, 1e6), (WIDTH + 1200.0, HEIGHT + 1200.0)])
def test_a_window_wholly_outside_is_nothing_but_fill(center: tuple[float, float], side: float) -> None:
    assert (cut(gradient(), center, side, 127, FILL) == FILL).all()


@pytest.mark.parametrize("size", [1, 2, 127, 255])
@pytest.mark.parametrize("side", [0.5, 1.0, 300.0])
def test_an_image_of_one_pixel(size: int, side: float) -> None:
    patch = cut(np.full((1, 1, 3), 200, np.uint8), (0.5, 0.5), side, size, FILL)
    assert patch.shape == (size, size, 3)
    if side <= 1 and size == 1:
        assert (patch == 200).all()
    if side == 300:
        assert (patch[0, 0] == FILL).all() or size < 3


@pytest.mark.parametrize(("width", "height"), [(500, 1), (1, 500), (3, 2)])
@pytest.mark.parametrize("side", [1.0, 40.0, 700.0])
def test_images_of_a_line(width: int, height: int, side: float) -> None:
    patch = cut(np.full((height, width, 3), 200, np.uint8), (width / 2, height / 2), side, 64, (200.0,) * 3)
    assert (patch == 200).all()


def test_windows_of_several_targets_are_those_of_each_alone() -> None:
    image = np.random.default_rng(3).integers(0, 256, (90, 120, 3)).astype(np.uint8)
    centers, fills = [(30.2, 40.7), (100.0, 3.3)], [FILL, (0.0, 0.0, 0.0)]
    sides = np.array([[20.0, 22.5, 25.0], [150.0, 160.0, 170.0]])
    patches = cut_windows(image, centers, sides, 63, fills)
    assert patches.shape == (2, 3, 63, 63, 3)
    assert patches.dtype == np.uint8
    for target, scale in np.ndindex(2, 3):
        alone = cut(image, centers[target], sides[target, scale], 63, fills[target])
        assert (patches[target, scale] == alone).all()


def test_the_image_is_left_as_it_is() -> None:
    image = gradient()
    before = image.copy()
    cut(image, (5.0, 5.0), 400.0, 40, FILL)
    assert (image == before).all()


def test_context_side_is_that_of_the_paper() -> None:
    assert context_side(60, 40, 0.5) == pytest.approx(np.sqrt((60 + 50) * (40 + 50)))
    assert context_side(60, 40, 0) == pytest.approx(np.sqrt(60 * 40))
    assert context_side(50, 50, 0.5) == 100


def test_mean_colour() -> None:
    image = np.random.default_rng(4).integers(0, 256, (33, 47, 3)).astype(np.uint8)
    assert mean_colour(image) == pytest.approx(tuple(image.mean((0, 1))))


def test_stored_crops_of_siamfc_pytorch(shared_data: Path) -> None:
    """The same resampling, at their windows, which they round to whole pixels.

    Their positions are those of pixel centres, half a pixel from ours, and round to even. What is left is at most the
    rounding of the fill colour and of two implementations of bilinear interpolation, and one column at the border, which
    they pad before they resample: 4 of 255 levels at most, far below one on average. One pixel of shift would be 15.
    """
    folder = shared_data / "networks"
    stored = np.load(folder / "crops.npz")
    image = stored["image"]
    for number, case in enumerate(json.loads((folder / "crops.json").read_text())["cases"]):
        side = round(case["size"])
        corner = np.round(np.array(case["center"]) - (side - 1) / 2)
        center = corner[0] + side / 2, corner[1] + side / 2
        ours = cut(image, center, side, case["out"], mean_colour(image)).astype(int)
        theirs = stored[f"siamfc_{number}"].astype(int)
        difference = np.abs(ours - theirs)
        assert difference.mean() < 0.3
        assert difference.max() <= 6
        shifted = cut(image, (center[0] + 1, center[1]), side, case["out"], mean_colour(image)).astype(int)
        assert np.abs(shifted - theirs).mean() > 4 * difference.mean() + 0.5  # the comparison sees a shift by a pixel
        rounding = np.hypot(case["center"][0] + 0.5 - center[0], case["center"][1] + 0.5 - center[1])
        assert rounding < 1.0
