"""The network in a checkpoint file of any format that is known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from siamtrack.errors import WeightsError
from siamtrack.models import rpn_formats, siamfc_formats
from siamtrack.models.checkpoint_files import listed, read_parameters
from siamtrack.models.published import Fit, fit_of, load

FORMATS = (*siamfc_formats.FORMATS, *rpn_formats.FORMATS)
_STRANGERS = {"mask_head.": "SiamMask"}  # networks that are not known here, by a beginning that many names have


def read_checkpoint(path: Path) -> Any:
    """The network in a checkpoint, in eval mode.

    Which network it is, and how wide, is found from names and shapes; template and search size are not in these files and are
    the published ones. Nothing in the file is executed, and the global random state is left as it is.

    Raises:
        WeightsError: the file cannot be read, would have to run code, or does not hold exactly the finite parameters of
            a network that is known; all missing, unexpected and wrong ones are named at once.
        MissingExtraError: a MATLAB file, and SciPy is not installed.
    """
    found = read_parameters(path)
    return load(_recognised(path, found), found, path)


def _recognised(path: Path, found: Mapping[str, Any]) -> Fit:
    fits = [fit for form in FORMATS if (fit := fit_of(form, found))]
    if not fits:
        alike = next((network for start, network in _STRANGERS.items() if any(n.startswith(start) for n in found)), "")
        raise WeightsError(
            f"'{path}' is no checkpoint of a network that is known: none of its {len(found)} parameters belongs to one. "
            f"{f'It looks like {alike}. ' if alike else ''}It holds {listed(found) or 'nothing'}. Known are the formats of "
            f"{', '.join(dict.fromkeys(f.title for f in FORMATS))}."
        )
    return max(fits, key=lambda fit: fit.shared_with(found))
