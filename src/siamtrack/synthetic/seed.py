"""Seeds that NumPy takes."""

from __future__ import annotations

from siamtrack.errors import SettingsError


def check_seed(seed: int) -> None:
    """Refuses what is no seed.

    Raises:
        SettingsError: it is below 0, or has more than 63 bits.
    """
    if not 0 <= seed < 2**63:
        raise SettingsError(f"The seed is {seed}; expected a whole number from 0 to {2**63 - 1}.")
