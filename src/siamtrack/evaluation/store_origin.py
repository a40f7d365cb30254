"""What results were made with, so that others are not mixed with them and a reader can repeat them."""

from __future__ import annotations

import dataclasses
import datetime
import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import siamtrack
from siamtrack.evaluation.protocols_following import ProtocolSettings
from siamtrack.library import model_names
from siamtrack.model_folder import read_model_folder
from siamtrack.tracking import Tracker

PACKAGES = {"openvino": "openvino", "onnx": "onnxruntime", "torch": "torch"}
"""Of the runtimes."""

FORMAT = 2
"""Of results on disk; since 2 the record of a sequence says what the sequence was."""


def origin_of(tracker: Tracker[Any], model: str, protocol: ProtocolSettings, *, options: Mapping[str, Any]) -> dict[str, Any]:
    """What decides the results of a tracker, and beside it "machine" and "begun", which do not.

    No tracker of siamtrack draws random numbers, so that "seed" is null; the key is there for others.

    Args:
        tracker: the opened one.
        model: the name or folder that it was opened from.
        protocol: what the protocol leaves open.
        options: that it was opened with: runtime, precision, device, threads.

    Raises:
        ModelError: the model folder was changed.
    """
    names = model_names()
    folder = read_model_folder(names[model].folder if model in names else Path(model))
    settings = getattr(tracker, "settings", None)
    packages = ("numpy", "opencv-python-headless", PACKAGES[options["runtime"]])
    return {
        "format": FORMAT,
        "model": folder.description.name,
        "weights": dict(sorted(folder.description.hashes.items())),
        "settings": dataclasses.asdict(settings) if dataclasses.is_dataclass(settings) else {},  # type: ignore[arg-type]
        "protocol": dataclasses.asdict(protocol),
        "runtime": dict(options) | {"network": getattr(getattr(tracker, "network", None), "description", None)},
        "seed": None,
        "versions": {"siamtrack": siamtrack.__version__} | {name: _version(name) for name in packages},
        "machine": {"system": platform.platform(), "processor": platform.machine(), "processors": os.cpu_count()},
        "begun": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
