"""How crops of the small set are stored, and what a database of them holds."""

from __future__ import annotations

from pathlib import Path

import lmdb

from siamtrack.datasets.crop_manifest import Storing
from siamtrack.datasets.crop_store import DATABASE, close_readers
from siamtrack.datasets.crops import CropSettings

SMALL = Storing(crops=CropSettings(size=79, template_size=32))
CROPS = 30  # in the small set


def content(out: Path) -> dict[bytes, bytes]:
    close_readers(out / DATABASE)
    with lmdb.open(str(out / DATABASE), subdir=False, readonly=True, lock=False) as environment, environment.begin() as txn:
        return dict(txn.cursor())
