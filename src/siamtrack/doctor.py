"""What is installed and what this machine can do."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import siamtrack
from siamtrack.library import model_names
from siamtrack.model_folder import read_model_folder

PACKAGES = ("numpy", "opencv-python-headless", "openvino", "av", "onnxruntime", "torch")


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Facts as (what, found) and advice as sentences."""

    facts: list[tuple[str, str]]
    advice: list[str]


def examine() -> Findings:
    """Looks at the packages, the processor and the models."""
    import openvino

    core = openvino.Core()
    capabilities = set(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
    facts = [
        ("siamtrack", siamtrack.__version__),
        ("Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        ("processor", f"{core.get_property('CPU', 'FULL_DEVICE_NAME')}, {os.cpu_count()} cores"),
        ("instructions", ", ".join(sorted(capabilities & {"BF16", "FP16", "INT8", "FP32"})) + _extensions()),
        *((package, _installed(package)) for package in PACKAGES),
        *((f"model {name}", _state_of(name)) for name in model_names()),
    ]
    return Findings(facts=facts, advice=_advice(capabilities))


def _advice(capabilities: set[str]) -> list[str]:
    advice = []
    if "BF16" in capabilities:
        advice.append("This processor computes bfloat16: the default (--precision auto) uses it.")
    else:
        advice.append("This processor has no bfloat16: --precision int8 is the faster choice, at a small cost in accuracy.")
    if "INT8" in capabilities:
        advice.append("--precision int8 is the fastest here; 'siamtrack bench' says by how much.")
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


def _extensions() -> str:
    """What Linux says of the vector units, which decide the speed of bfloat16 and int8."""
    try:
        with open("/proc/cpuinfo", encoding="ascii") as file:  # noqa: PTH123
            flags = next((line for line in file if line.startswith("flags")), "").split()
    except OSError:
        return ""
    known = [name for name in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8") if name in flags]
    return f" ({', '.join(known)})" if known else ""


def _state_of(name: str) -> str:
    folder = read_model_folder(model_names()[name].folder)
    return f"complete, hashes right, in {folder.path}"
