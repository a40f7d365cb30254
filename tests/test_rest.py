"""Where a target is, from a peak that lies beside it by an amount that repeats with every stride."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamtrack.trackers.rest import SHIFTS, STRIDE_PX, UNMEASURED, Rest

amounts = st.floats(-0.8, 0.8)


def peak_of(place: float, mean: float, wave: float, phase: float) -> float:
    return place + mean + wave * math.sin(2 * math.pi * place / STRIDE_PX + phase)


@given(amounts, amounts, st.floats(0, 7), st.floats(-40, 40), st.floats(-40, 40))
def test_the_place_is_found_from_the_peak(mean: float, wave: float, phase: float, x: float, y: float) -> None:
    def beside(place: tuple[float, float]) -> tuple[float, float]:
        return peak_of(place[0], mean, wave, phase), peak_of(place[1], -mean, wave / 2, phase + 1)

    rest = Rest.measured([beside(shift) for shift in SHIFTS])
    found = rest.place(beside((x, y)))
    # four phases and straight lines between them: a good half of a wave's error goes, all of a constant one
    assert abs(found[0] - x) <= 0.75 * abs(wave) + 1e-9
    assert abs(found[1] - y) <= 0.75 * abs(wave / 2) + 1e-9
    assert rest.place(beside((0.0, 0.0))) == (0.0, 0.0)


def test_on_the_whole_the_error_shrinks() -> None:
    rest = Rest.measured([(peak_of(x, 0.3, 0.6, 1.0), peak_of(y, 0.3, 0.6, 1.0)) for x, y in SHIFTS])
    places = [k / 7 for k in range(-140, 140)]
    errors = [rest.place((peak_of(p, 0.3, 0.6, 1.0), 0.0))[0] - p for p in places]
    assert abs(sum(errors) / len(errors)) < 0.06  # 0.3 of the peaks themselves
    assert sum(map(abs, errors)) / len(errors) < 0.2


def test_a_peak_of_something_else_teaches_nothing() -> None:
    peaks = [(x + 0.5, y - 0.25) for x, y in SHIFTS]
    peaks[2] = (60.0, 0.0)
    rest = Rest.measured(peaks)
    assert rest == Rest((0.5,) * 4, (-0.25,) * 4)
    peaks[0] = (-30.0, -0.25)
    assert Rest.measured(peaks).x == (0.0, 0.5, 0.0, 0.5)


@pytest.mark.parametrize("peak", [(0.0, 0.0), (3.25, -17.5)])
def test_unmeasured_is_none(peak: tuple[float, float]) -> None:
    assert UNMEASURED.place(peak) == peak
