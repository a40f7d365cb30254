"""Opening models, training sets and benchmarks by name.

The folders `trackers/` and `datasets/` are the registries, and modules are imported by name here; for those of `models/`, which
need PyTorch, see `siamtrack.models.kinds`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import takewhile
from operator import attrgetter
from pathlib import Path
from typing import Any

from siamtrack.datasets.benchmark import Benchmark, BenchmarkSequence
from siamtrack.datasets.clips import TrainingSet
from siamtrack.errors import DataError, MissingExtraError, ModelError, SettingsError, nearest
from siamtrack.model_folder import (
    DESCRIPTION,
    INT8_SEARCH_GRAPH,
    MASK_GRAPH,
    SEARCH_GRAPH,
    TEMPLATE_GRAPH,
    WEIGHTS,
    ModelFolder,
    read_model_folder,
)
from siamtrack.settings import from_mapping, read_toml, with_overrides
from siamtrack.tracking import Network, Tracker

DEFAULT_MODEL = "siamnano"
RUNTIMES = ("openvino", "onnx", "torch")
CATCH_ALL = "folder"  # a person's own annotated videos: asked last, as it takes many layouts
EMBEDDED = Path(__file__).parent / "weights"


@dataclass(frozen=True, kw_only=True)
class ModelName:
    """A name that `open_model` knows: an embedded folder, and settings that differ from those in it."""

    name: str
    folder: Path
    preset: Mapping[str, Any]


def model_names() -> dict[str, ModelName]:
    """Every name that can be opened, with the embedded model behind it."""
    names: dict[str, ModelName] = {}
    for folder in sorted(path.parent for path in EMBEDDED.glob("*/model.toml")):
        names[folder.name] = ModelName(name=folder.name, folder=folder, preset={})
        tracker = read_toml(folder / DESCRIPTION)["tracker"]
        if tracker == folder.name:  # presets are names for settings of the model that is called like its procedure
            for preset, values in _tracker_module(tracker).PRESETS.items():
                names.setdefault(preset, ModelName(name=preset, folder=folder, preset=values))
    return names


def open_model(
    name: str | Path = DEFAULT_MODEL,
    *,
    runtime: str = "openvino",
    precision: str = "auto",
    device: str = "cpu",
    threads: int | None = None,
    overrides: Sequence[str] = (),
) -> Tracker[Any]:
    """A tracker, ready to run.

    Args:
        name: of an embedded model (see `siamtrack models`), or a model folder.
        runtime: who computes the network: "openvino", "onnx" or "torch".
        precision: "auto", or one that the runtime knows: "float32", "bfloat16", "float16", "int8".
        device: of the torch runtime.
        threads: at most so many, with torch for the whole process; None: all that the runtime finds.
        overrides: settings of the procedure as "key=value" texts.

    Raises:
        ModelError: no such model, or a model folder that is incomplete or altered.
        SettingsError: an unknown runtime, precision or setting, or an impossible value.
        MissingExtraError: the runtime's package is not installed.
    """
    folder, preset = find_model(name)
    module = _tracker_module(folder.description.tracker)
    settings = _described(folder)
    changed = with_overrides(replace(settings, **preset), overrides)
    # model.toml can be edited by hand; the size that the network was built for stands beside it
    built = replace(settings, template_size=folder.description.network.get("template_size", settings.template_size))
    check_of_network(folder.description.tracker, changed, built)
    settings = changed
    network = open_network(folder, runtime=runtime, precision=precision, device=device, threads=threads)
    tracker: Tracker[Any] = module.TRACKER(network, settings)
    return tracker


def open_network(
    folder: ModelFolder, *, runtime: str = "openvino", precision: str = "auto", device: str = "cpu", threads: int | None = None
) -> Network:
    """The network of a model folder on a runtime; arguments and errors as for `open_model`."""
    if runtime not in RUNTIMES:
        raise SettingsError(f"Unknown runtime '{runtime}'. {nearest(runtime, RUNTIMES)}")
    if runtime != "torch" and device != "cpu":
        raise SettingsError(f"The {runtime} runtime computes on the CPU; the device '{device}' needs --runtime torch.")
    if threads is not None and threads < 1:
        raise SettingsError(f"A network cannot be computed by {threads} threads; give at least 1, or None for all.")
    module = _runtime_module(runtime)
    if precision == "float16" and runtime != "torch":
        raise SettingsError(
            f"The {runtime} runtime has no precision 'float16' on the CPU; use auto, or --runtime torch on a GPU."
        )
    if precision not in module.PRECISIONS:
        raise SettingsError(f"The {runtime} runtime has no precision '{precision}'. {nearest(precision, module.PRECISIONS)}")
    if runtime == "torch":
        network: Network = module.torch_network(_torch_module(folder), device=device, precision=precision, threads=threads)
        return network
    if precision == "int8" and not folder.has_int8:
        raise ModelError(
            f"The model '{folder.path}' has no int8 graph; make one with: siamtrack export CHECKPOINT --out FOLDER --int8 CLIPS"
        )
    search = folder.path / (INT8_SEARCH_GRAPH if precision == "int8" else SEARCH_GRAPH)
    graphs = [folder.path / TEMPLATE_GRAPH, search, *([folder.path / MASK_GRAPH] if folder.has_masks else [])]
    if runtime == "openvino":
        kind = module.OpenVINOMaskNetwork if folder.has_masks else module.OpenVINONetwork
        network = kind(*graphs, precision=precision, threads=threads)
    else:
        kind = module.ONNXMaskNetwork if folder.has_masks else module.ONNXNetwork
        network = kind(*graphs, threads=threads)
    return network


def settings_of(name: str | Path) -> dict[str, Any]:
    """Every setting of the tracking procedure that `open_model(name)` would use."""
    folder, preset = find_model(name)
    return asdict(replace(_described(folder), **preset))


def _described(folder: ModelFolder) -> Any:
    """The settings of the tracking procedure in a model folder.

    Raises:
        ModelError: they are none.
    """
    kind, description = _tracker_module(folder.description.tracker).SETTINGS, folder.path / DESCRIPTION
    try:
        return from_mapping(kind, folder.description.settings, where="[settings]")
    except SettingsError as error:
        raise ModelError(f"'{description}': {error} Export or install the model again.") from None


def tracker_around(network: Network, procedure: str, settings: Mapping[str, Any]) -> Tracker[Any]:
    """The tracking procedure of that name in `trackers/` around a network, with these settings and else its own."""
    tracker: Tracker[Any] = _tracker_module(procedure).TRACKER(network, procedure_settings(procedure, settings))
    return tracker


def procedure_settings(procedure: str, values: Mapping[str, Any], overrides: Sequence[str] = ()) -> Any:
    """Settings of a tracking procedure: its own, changed by these values and then by "key=value" texts.

    Raises:
        SettingsError: an unknown setting, or an impossible value.
    """
    settings = from_mapping(_tracker_module(procedure).SETTINGS, values, where=f"settings of {procedure}")
    return with_overrides(settings, overrides)


def check_of_network(procedure: str, settings: Any, implied: Any) -> None:
    """Refuses settings of a tracking procedure that say something else of the network than what it is.

    Args:
        procedure: its name.
        settings: what is wanted.
        implied: settings in which all that follows from the network is right.

    Raises:
        SettingsError: says which, and what the network has.
    """
    for name in _tracker_module(procedure).OF_THE_NETWORK:
        wanted, built = (attrgetter(name)(values) for values in (settings, implied))
        if wanted != built:
            raise SettingsError(f"The setting {name} is {wanted}; the network is built for {built}. It cannot be changed.")


def procedure_presets(procedure: str) -> Mapping[str, Mapping[str, Any]]:
    """Published settings of a tracking procedure, by name."""
    found: Mapping[str, Mapping[str, Any]] = _tracker_module(procedure).PRESETS
    return found


_RECIPES = Path(__file__).parent / "recipes"


def recipe_names() -> list[str]:
    """Names of the recipes that come with siamtrack."""
    return sorted(path.stem for path in _RECIPES.glob("*.toml"))


def recipe_path(name: str) -> Path:
    """The TOML file of a recipe that comes with siamtrack.

    Raises:
        SettingsError: there is none of that name.
    """
    if name not in recipe_names():
        raise SettingsError(f"There is no recipe '{name}'. {nearest(name, recipe_names())}")
    return _RECIPES / f"{name}.toml"


def recipe_summary(name: str) -> str:
    """What a recipe that comes with siamtrack is for: what its file begins with, up to the command that runs it.

    Args:
        name: one of `recipe_names`.
    """
    lines = recipe_path(name).read_text("utf-8").splitlines()
    first = takewhile(lambda line: line.startswith("#") and not line.startswith("# siamtrack train "), lines)
    return " ".join(line.removeprefix("#").strip() for line in first).rstrip(".:")


def training_set_names() -> list[str]:
    """Every kind of training data that `open_training_set` knows: the modules of `datasets/` that end with TRAINING_SET."""
    return [name for name in _dataset_modules() if _training_set(name)]


def open_training_set(root: Path, name: str | None = None) -> TrainingSet:
    """The training set in a folder.

    Args:
        root: what the data set's archives unpack to.
        name: of the data set; None finds out.

    Raises:
        DataError: the folder is missing, is not laid out as that data set, or (without a name) as none that is known.
        SettingsError: an unknown name.
    """
    names = training_set_names()
    if name is not None and name not in names:
        raise SettingsError(f"Unknown data set '{name}'. {nearest(name, names)}")
    if root.is_file():
        raise DataError(f"'{root}' is a file; give the folder that it lies in.")
    if not root.is_dir():
        raise DataError(f"The data folder '{root}' does not exist.")
    for candidate in [name] if name else [*(n for n in names if n != CATCH_ALL), CATCH_ALL]:
        kind = _training_set(candidate)
        if kind is not None and (name or kind.recognises(root)):
            return kind(root)
    if not any(root.iterdir()):
        raise DataError(f"The data folder '{root}' is empty; expected one of the data sets {', '.join(names)}.")
    raise DataError(
        f"'{root}' is not laid out as any data set that is known: {', '.join(names)}. Stills without annotation can be trained "
        "from as pictures, but not checked or cut."
    )


def benchmark_names() -> list[str]:
    """Every benchmark that `open_benchmark` knows."""
    return sorted(_benchmarks())


def find_benchmark(name: str) -> Benchmark:
    """The benchmark of this name; capitals do not count.

    Raises:
        SettingsError: there is none; names that begin so are told, or the nearest one.
    """
    benchmarks = _benchmarks()
    if name.lower() in benchmarks:
        return benchmarks[name.lower()]
    if alike := sorted(known for known in benchmarks if known.startswith(name.lower())):
        raise SettingsError(f"Unknown benchmark '{name}'. Which one is meant: {', '.join(alike)}?")
    raise SettingsError(f"Unknown benchmark '{name}'. {nearest(name, benchmarks)}")


def open_benchmark(name: str, root: Path, sequences: Sequence[str] | None = None) -> tuple[Benchmark, list[BenchmarkSequence]]:
    """A benchmark, and its sequences in a folder.

    Args:
        name: of the benchmark; capitals do not count.
        root: the folder that its archives unpack to, or one with that folder in it.
        sequences: names of those that are wanted; None: the whole benchmark.

    Raises:
        DataError: the folder is not laid out as that benchmark, a sequence is missing, or annotation is malformed; of the whole
            benchmark none may be missing.
        SettingsError: an unknown benchmark or sequence.
    """
    benchmark = find_benchmark(name)
    if sequences is not None and not sequences:
        raise SettingsError("No sequence is named; name one or more, or none at all for the whole benchmark.")
    return benchmark, benchmark.read(root, sequences)


def _benchmarks() -> dict[str, Benchmark]:
    """By name: all that the modules of `datasets/` list as BENCHMARKS."""
    return {one.name: one for module in _dataset_modules() for one in getattr(_dataset(module), "BENCHMARKS", ())}


def _dataset_modules() -> list[str]:
    return sorted(path.stem for path in (Path(__file__).parent / "datasets").glob("[a-z]*.py"))


def _dataset(module: str) -> Any:
    return importlib.import_module(f"siamtrack.datasets.{module}")


def _training_set(name: str) -> type[TrainingSet] | None:
    found: type[TrainingSet] | None = getattr(_dataset(name), "TRAINING_SET", None)
    return found


def find_model(name: str | Path) -> tuple[ModelFolder, Mapping[str, Any]]:
    """An embedded model or a model folder, and the settings that the name stands for beside those in the folder.

    Raises:
        ModelError: there is none of that name, or the folder cannot be read.
    """
    names = model_names()
    if isinstance(name, str) and name in names:
        return read_model_folder(names[name].folder), names[name].preset
    if Path(name).is_dir():
        return read_model_folder(Path(name)), {}
    if Path(name).is_file():
        raise ModelError(
            f"'{name}' is a file; expected a model's name or a model folder. If it is a checkpoint, "
            f"'siamtrack export {name} --out FOLDER' makes a model folder of it."
        )
    raise ModelError(f"There is no model and no model folder '{name}'. {nearest(str(name), names)}")


def _tracker_module(tracker: str) -> Any:
    path = Path(__file__).parent / "trackers" / f"{tracker}.py"
    if not tracker.isidentifier() or not path.is_file():
        known = (p.stem for p in path.parent.glob("[a-z]*.py"))
        raise ModelError(f"This version of siamtrack has no tracking procedure '{tracker}'. {nearest(tracker, known)}")
    return importlib.import_module(f"siamtrack.trackers.{tracker}")


def _runtime_module(runtime: str) -> Any:
    if runtime == "torch":
        _require_torch("The torch runtime")
    return importlib.import_module(f"siamtrack.runtimes.{runtime}")


def _torch_module(folder: ModelFolder) -> Any:
    """The network as a PyTorch module with the folder's weights."""
    kinds = importlib.import_module("siamtrack.models.kinds")
    return kinds.read_folded(folder.description.model, folder.path / WEIGHTS, folder.description.network)


def _require_torch(purpose: str) -> None:
    for package in ("torch", "safetensors"):
        try:
            importlib.import_module(package)
        except ImportError:
            raise MissingExtraError(package, extra="train", purpose=purpose) from None
