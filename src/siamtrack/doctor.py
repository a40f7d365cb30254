"""What is installed and what this machine can do."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import siamtrack
from siamtrack.errors import ModelError
from siamtrack.library import EMBEDDED, model_names
from siamtrack.model_folder import read_model_folder
from siamtrack.runtimes.openvino_core import openvino_core

PACKAGES = ("numpy", "opencv-python-headless", "openvino", "av", "onnxruntime", "torch")
VECTOR_UNITS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")  # as Linux names them


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Facts as (what, found) and advice as sentences."""

    facts: list[tuple[str, str]]
    advice: list[str]


def examine() -> Findings:
    """Looks at the packages, the processor and the models."""
    core = openvino_core()
    capabilities = set(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
    facts = [
        ("siamtrack", siamtrack.__version__),
        ("Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        ("processor", f"{core.get_property('CPU', 'FULL_DEVICE_NAME')}, {_cores()}"),
        ("computes in", ", ".join(sorted(capabilities & {"BF16", "FP16", "INT8", "FP32"}))),
        ("vector units", ", ".join(_vector_units()) or "not known"),
        *((package, _installed(package)) for package in PACKAGES),
        *((f"model {name}", _state_of(name)) for name in model_names()),
        ("models are in", str(EMBEDDED)),
    ]
    return Findings(facts=facts, advice=_advice(capabilities))


def _advice(capabilities: set[str]) -> list[str]:
    advice = []
    if "BF16" in capabilities:
        advice.append("This processor computes bfloat16: the default (--precision auto) uses it.")
    else:
        advice.append("This processor has no bfloat16: the default (--precision auto) is float32 here.")
    if "INT8" in capabilities:
        advice.append(
            "--precision int8 is often faster still, at a small cost in accuracy; 'siamtrack bench' says by how much."
        )
    if _installed("onnxruntime") == "not installed":
        advice.append("For --runtime onnx: pip install 'siamtrack[onnx]'.")
    if _installed("torch") == "not installed":
        advice.append("For training, exporting and --runtime torch: pip install 'siamtrack[train]'.")
    return advice


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _cores() -> str:
    """Those that this process may use, which a container can limit."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return "1 core" if usable == 1 else f"{usable} cores"


def _vector_units() -> list[str]:
    """Those that decide the speed of bfloat16 and int8, where the system says."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:  # noqa: PTH123
            flags = next((line for line in file if line.startswith("flags")), "").split()
    except OSError:
        return []
    return [name for name in VECTOR_UNITS if name in flags]


def _state_of(name: str) -> str:
    try:
        read_model_folder(model_names()[name].folder)
    except ModelError as error:
        return str(error)
    return "complete, hashes right"
