"""Boxes around what was seen through a map: against what is drawn."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from siamtrack.box import Box
from siamtrack.warp import mapped_box, mapped_cutout, paste, random_warp

ZERO = np.zeros(2, np.float32)


def round_cutout(width: int, height: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    cutout = np.zeros((height, width, 4), np.uint8)
    rows, columns = np.mgrid[:height, :width] + 0.5
    inside = ((columns / width - 0.5) ** 2 + (rows / height - 0.5) ** 2) <= 0.25
    cutout[inside] = 255
    return cutout


def drawn(
    cutout: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], matrix: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
) -> list[float]:
    patch = np.zeros((255, 255, 3), np.uint8)
    paste(patch, cutout, matrix)
    x, y, w, h = cv2.boundingRect((patch[:, :, 0] > 127).astype(np.uint8))
    return [x, y, w, h]


@given(st.integers(0, 10_000), st.integers(24, 120), st.integers(24, 120))
@example(158, 24, 24)  # tilted so much that its corner at the origin is shrunk to a third, and its middle is not
@settings(max_examples=40, deadline=None)
def test_boxes_are_those_of_what_is_drawn(seed: int, width: int, height: int) -> None:
    """A cut-out's, but for its thin tips; an ellipse's, but for the tilt within it."""
    to_middle = np.array([[1, 0, 127.5 - width / 2], [0, 1, 127.5 - height / 2], [0, 0, 1]])
    matrix = random_warp(np.random.default_rng(seed), 255, ZERO, 1.5) @ to_middle
    cutout = round_cutout(width, height)
    x, y, w, h = drawn(cutout, matrix)
    for found in (mapped_cutout(matrix, cutout), mapped_box(matrix, Box(0, 0, width, height))):
        sides = [found[0], found[1], found[0] + found[2], found[1] + found[3]]
        assert sides == pytest.approx([x, y, x + w, y + h], abs=3.0)


def test_a_turn_does_not_make_a_target_larger() -> None:
    turn = np.deg2rad(45)
    matrix = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    assert mapped_box(matrix, Box(-20, -20, 40, 40)) == pytest.approx([-20, -20, 40, 40], abs=1e-4)


def test_of_a_cutout_counts_what_is_seen() -> None:
    cutout = np.full((40, 60, 4), 255, np.uint8)
    cutout[:, 30:, 3] = 20
    assert mapped_cutout(np.eye(3), cutout) == pytest.approx([0, 0, 30, 40])
    cutout[:, :, 3] = 0
    assert mapped_cutout(np.eye(3), cutout) == pytest.approx([0, 0, 60, 40])
