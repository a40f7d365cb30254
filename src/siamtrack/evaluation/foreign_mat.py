"""Reading the result files of the OTB toolkit in MATLAB. SciPy, which can, is needed by nothing else in evaluation."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from siamtrack.errors import DataError, MissingExtraError
from siamtrack.evaluation.trajectory import Trajectory


def read_mat(path: Path) -> Trajectory:
    """The one-pass run in a result file of the OTB toolkit: `results{1}`, a struct with boxes `res` of type 'rect', 1-based.

    Raises:
        MissingExtraError: SciPy is not installed.
        DataError: it is no such file, holds the runs of TRE or SRE, or regions of another type.
    """
    try:
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError
    except ImportError:
        raise MissingExtraError("scipy", extra="evaluate", purpose="Reading results of the OTB toolkit (.mat)") from None
    try:
        results = loadmat(path, simplify_cells=True)["results"]
    except (KeyError, ValueError, NotImplementedError, MatReadError) as error:
        raise DataError(f"'{path}' is no result file of the OTB toolkit: {error}. Expected a cell array 'results'.") from None
    runs = [results] if isinstance(results, dict) else list(results)
    if len(runs) != 1:
        raise DataError(f"'{path}' holds {len(runs)} runs; expected one pass (OPE). TRE has 20 of them, SRE has 12.")
    kind, boxes = str(runs[0].get("type", "rect")), np.atleast_2d(np.asarray(runs[0]["res"], np.float64))
    if kind != "rect" or boxes.shape[1] != 4:
        raise DataError(
            f"'{path}' holds regions of the type '{kind}' with {boxes.shape[1]} numbers a frame; expected 'rect', x,y,w,h."
        )
    unknown = np.full(len(boxes), np.nan)
    return Trajectory(regions=list(boxes - (1, 1, 0, 0)), scores=unknown, seconds=unknown)
