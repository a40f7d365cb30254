"""The manifest of a store of crops while it is written: what it belongs to, and what is in it in the end."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2

from siamtrack.datasets.clips import TrainingSet
from siamtrack.datasets.crop_database import Database
from siamtrack.datasets.crop_records import clip_key, read_index
from siamtrack.datasets.crop_store import FORMAT, KIND, MANIFEST, command, is_store, read_manifest
from siamtrack.datasets.crops import CropSettings
from siamtrack.errors import OutputError
from siamtrack.output_paths import check_folder
from siamtrack.settings import check_limits

_SAME = ("data_set", "clips_sha256", "annotations", "crops", "jpeg", "every", "masks", "opencv")  # in every run of one store
_PART = f".{MANIFEST}.part"


@dataclass(frozen=True, kw_only=True)
class Storing:
    """How crops are cut and stored.

    Raises:
        SettingsError: a value outside its range.
    """

    crops: CropSettings = field(default_factory=CropSettings)
    jpeg: int | None = None  # quality; None: PNG, which gives back the same pixels
    every: int = 1  # of the annotated frames of a clip, keep the first of so many
    masks: bool = False  # with the masks that the data set knows

    def __post_init__(self) -> None:
        check_limits(self, {"every": (1, 10**6)} | ({} if self.jpeg is None else {"jpeg": (1, 100)}))


def new_manifest(training_set: TrainingSet, storing: Storing) -> dict[str, Any]:
    """The manifest of a store in which nothing is known to be finished."""
    return {
        "kind": KIND,
        "format": FORMAT,
        "data_set": training_set.name,
        "source": str(training_set.root),
        "clips_sha256": hashlib.sha256("\n".join(training_set.names).encode()).hexdigest(),
        "annotations": training_set.fingerprint(),
        **asdict(storing),
        "masks_left_out": training_set.has_masks and not storing.masks,
        "siamtrack": version("siamtrack"),  # not from the package itself, which lies above
        "opencv": cv2.__version__,
        "complete": False,
    }


def finished(manifest: Mapping[str, Any], database: Database, names: Sequence[str]) -> dict[str, Any]:
    """The manifest of a store in which all clips are finished."""
    clips, unreadable = [], []
    for number, name in enumerate(names):
        record = database.get(clip_key(number))
        assert record is not None
        index = read_index(record)
        crops = sum(count for count, _ in index.blocks)
        clips.append({"name": name, "crops": crops, "sha256": hashlib.sha256(record).hexdigest()})
        unreadable += [{"clip": name, "frame": at, "reason": why} for at, why in sorted(index.unreadable.items())]
    decisive = [{name: manifest[name] for name in _SAME}, clips]
    return {
        **manifest,
        "complete": True,
        "total": sum(clip["crops"] for clip in clips),
        "unreadable": unreadable,
        "sha256": hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest(),
        "clips": clips,
    }


def open_place(out: Path, manifest: dict[str, Any]) -> bool:
    """Whether the store is complete; one that is not there yet is begun.

    Raises:
        OutputError: the folder cannot be made, or holds something else.
    """
    check_folder(out)
    if is_store(out):
        _check_same(out, read_manifest(out), manifest)
        return bool(read_manifest(out)["complete"])
    others = sorted(path.name for path in out.iterdir() if path.name != _PART) if out.is_dir() else []
    if others:
        raise OutputError(f"'{out}' holds something else ({', '.join(others[:3])}, ...); give a new folder for the crops.")
    write_manifest(out, manifest)
    return False


def write_manifest(out: Path, manifest: Mapping[str, Any]) -> None:
    """Writes the manifest, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / _PART).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        (out / _PART).replace(out / MANIFEST)
    except OSError as error:
        raise OutputError(f"'{out / MANIFEST}' cannot be written: {error.strerror}. The same command goes on.") from None


def _check_same(out: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    before, now = ({name: values[name] for name in _SAME} | values["crops"] for values in (found, wanted))
    different = [name for name in before if before[name] != now[name] and name != "crops"]
    if not different:
        return
    unnamed = ("clips_sha256", "annotations")
    pairs = [f"{name} {_text(before[name])}, not {_text(now[name])}" for name in different if name not in unnamed]
    if not pairs:
        raise OutputError(
            f"'{out}' holds crops of other clips or annotations of '{found['data_set']}' than '{wanted['source']}' has now; "
            "give another folder, or remove this one."
        )
    raise OutputError(
        f"'{out}' holds other crops: {'; '.join(pairs)}. Give another folder, or go on with: {command(out, found)}"
    )


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)
