"""The published SiamFC-3s weights track as they should in our procedure (the whole set: benchmarks/accuracy.py)."""

from pathlib import Path

import numpy as np
import pytest

from siamtrack.datasets.sequences import find_sequences
from siamtrack.export.checkpoint import export_checkpoint
from siamtrack.library import open_model
from siamtrack.metrics.ope import precision, success_auc
from siamtrack.tracking import track

SHORT = 60  # frames; 7 of the 26 sequences are this short


@pytest.mark.slow
@pytest.mark.shared_data
def test_published_weights_reach_their_accuracy(shared_data: Path, tmp_path: Path) -> None:
    export_checkpoint(shared_data / "weights" / "siamfc_3s_color.pth", tmp_path / "published", licence="MIT", card="")
    tracker = open_model(tmp_path / "published")
    scores = []
    for sequence in find_sequences(shared_data / "sequences"):
        if len(sequence.boxes) <= SHORT:
            boxes = np.array([s.predictions[0].box for s in track(tracker, sequence.frames(), [sequence.first_box])])
            scores.append((success_auc(boxes, sequence.boxes), precision(boxes, sequence.boxes)))
    assert len(scores) == 7
    auc, at_20_px = np.mean(scores, 0)
    # measured 0.561 and 0.565; a shift of half a patch pixel or a swap of colours costs several hundredths
    assert auc >= 0.54
    assert at_20_px >= 0.545
