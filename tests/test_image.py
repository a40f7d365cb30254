"""What becomes an image, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from siamtrack.errors import ImageError
from siamtrack.image import as_image


@pytest.mark.parametrize(
    ("array", "pixel"),
    [
        (np.full((2, 3), 7, np.uint8), (7, 7, 7)),
        (np.full((2, 3, 1), 7, np.uint8), (7, 7, 7)),
        (np.full((2, 3, 3), (1, 2, 3), np.uint8), (1, 2, 3)),
        (np.full((2, 3, 4), (1, 2, 3, 0), np.uint8), (1, 2, 3)),  # alpha is dropped, not multiplied in
        (np.full((2, 3), True), (255, 255, 255)),
        (np.full((2, 3), False), (0, 0, 0)),
        (np.full((2, 3), 65535, np.uint16), (255, 255, 255)),
        (np.full((2, 3), 257 * 100, np.uint16), (100, 100, 100)),
        (np.full((2, 3), 257 * 100 + 129, np.uint16), (101, 101, 101)),  # rounded, not cut off
        (np.full((2, 3), 0.0, np.float32), (0, 0, 0)),
        (np.full((2, 3), 1.0, np.float64), (255, 255, 255)),
        (np.full((2, 3, 3), 0.5, np.float16), (128, 128, 128)),
        (np.full((2, 3, 4), (0.0, 1.0, 0.2, 0.7), np.float32), (0, 255, 51)),
    ],
)
def test_what_cameras_and_files_give(array: np.ndarray[Any, Any], pixel: tuple[int, ...]) -> None:
    image = as_image(array)
    assert image.dtype == np.uint8
    assert image.shape == (2, 3, 3)
    assert image.flags.c_contiguous
    assert (image == np.array(pixel, np.uint8)).all()


@pytest.mark.parametrize("level", range(0, 256, 5))
def test_wider_types_come_back_to_the_same_level(level: int) -> None:
    grey = np.full((1, 1), level, np.uint8)
    for wide in (grey.astype(np.uint16) * 257, grey / 255, (grey / 255).astype(np.float32)):
        assert as_image(wide)[0, 0, 0] == level


def test_an_image_is_passed_through_and_not_copied() -> None:
    image = np.zeros((4, 5, 3), np.uint8)
    assert as_image(image) is image


def test_views_become_contiguous_with_the_same_pixels() -> None:
    bgr = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    rgb = as_image(bgr[:, :, ::-1])
    assert rgb.flags.c_contiguous
    assert (rgb == bgr[:, :, ::-1]).all()


def test_a_grey_image_has_channels_of_its_own() -> None:
    image = as_image(np.zeros((2, 2), np.uint8))
    image[0, 0, 0] = 9  # would fail or spread to the other channels in a broadcast view
    assert image[0, 0].tolist() == [9, 0, 0]


@pytest.mark.parametrize("shape", [(), (5,), (0, 4, 3), (4, 0), (4, 5, 2), (4, 5, 5), (1, 4, 5, 3)])
def test_shapes_that_are_no_picture_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match=r"expected \(H, W\)"):
        as_image(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64, np.uint32, np.complex64, object, "U1"])
def test_types_that_are_no_picture_are_refused(dtype: Any) -> None:
    with pytest.raises(ImageError, match="cannot be read; expected uint8"):
        as_image(np.zeros((2, 2, 3), dtype))


@pytest.mark.parametrize("value", [-0.01, 1.01, 255.0, np.nan, np.inf, -np.inf])
def test_floating_point_outside_0_to_1_is_refused(value: float) -> None:
    """A picture of 0..255 in floating point would otherwise become white."""
    array = np.full((2, 2, 3), 0.5)
    array[1, 1, 2] = value
    with pytest.raises(ImageError, match="outside"):
        as_image(array)
