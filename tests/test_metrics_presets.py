"""Presets of all families of metrics are found by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from siamtrack.errors import SettingsError
from siamtrack.metrics import long_term, ope_presets, vot_presets
from siamtrack.metrics.presets import find_preset


@pytest.mark.parametrize("presets", [long_term.PRESETS, ope_presets.PRESETS, vot_presets.PRESETS])
def test_presets_are_found_by_the_name_they_have(presets: Mapping[str, Any]) -> None:
    assert "pysot" in presets
    for name in presets:
        assert find_preset(name, presets, "any").name == name


def test_a_wrong_name_is_told_with_the_nearest_one() -> None:
    with pytest.raises(SettingsError, match=r"no one-pass preset 'lassot'\. Did you mean 'lasot'"):
        find_preset("lassot", ope_presets.PRESETS, "one-pass")
    with pytest.raises(SettingsError, match=r"no long-term preset 'uav'\. Known: pysot, vot-matlab, vot-python"):
        find_preset("uav", long_term.PRESETS, "long-term")
