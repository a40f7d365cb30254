"""Changes of light and quality, which move nothing."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from drawn_material import noise

from siamtrack.image import Image
from siamtrack.synthetic import photometric


@pytest.mark.parametrize(
    "change",
    [
        photometric.random_blur,
        photometric.random_low_resolution,
        photometric.random_noise,
        photometric.random_compression,
        photometric.random_quality,
        lambda image, rng: photometric.random_light(image, rng, 1.0),
    ],
)
def test_changes_keep_shape_and_place(change: Callable[[Image, np.random.Generator], Image]) -> None:
    """Pure functions of picture and generator that move nothing: no offset is to be learnt from a blur."""
    image = blank = np.full((90, 90, 3), 60, np.uint8)
    image = cv2.circle(blank.copy(), (44, 44), 14, (200, 190, 180), -1)
    image = np.maximum(image, image[::-1, ::-1])  # symmetric
    before = image.copy()
    centers = []
    for seed in range(25):
        changed = change(image, np.random.default_rng(seed))
        assert changed.shape == image.shape
        assert changed.dtype == np.uint8
        assert (changed == change(image, np.random.default_rng(seed))).all()
        light = changed.max(-1).astype(float)
        light = np.clip(light - np.median(light) - 0.5 * np.ptp(light) / 2, 0, None)
        y, x = np.mgrid[:90, :90] + 0.5 - 45
        if light.sum() > 0:
            centers.append([(light * x).sum() / light.sum(), (light * y).sum() / light.sum()])
    assert (image == before).all()
    assert np.abs(np.mean(centers, axis=0)).max() < 0.15
    assert np.abs(centers).max() < 0.5


def test_grey_has_no_colour() -> None:
    image = photometric.grey(noise())
    assert (np.ptp(image.astype(int), axis=-1) == 0).all()
