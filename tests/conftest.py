"""What tests share: where the measuring data lie, a small scene, a small random model."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("siamtrack", parent=settings(), deadline=None)  # no test depends on time
settings.load_profile("siamtrack")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def shared_data() -> Path:
    """The folder of measuring data; the test is skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the measuring data are not here")
    return SHARED_DATA
