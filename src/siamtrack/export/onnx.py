"""A trained network as a model folder: two ONNX graphs, or three with masks, that share one file of weights.

The cut between the graphs is the one between slow and often: the template graph runs once a target, the search graph
every frame. Both take the crops as they are, uint8 and (..., H, W, 3); layout and type change inside the graph.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
import warnings
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tomli_w
import torch
from onnx import TensorProto, helper
from safetensors.torch import save_file
from torch import Tensor, nn

import siamtrack
from siamtrack.errors import ModelError, OutputError
from siamtrack.layers.folding import fold_batch_norm
from siamtrack.library import open_network
from siamtrack.model_folder import (
    DESCRIPTION,
    MASK_GRAPH,
    SEARCH_GRAPH,
    TEMPLATE_GRAPH,
    WEIGHTS,
    Description,
    hash_of,
    read_model_folder,
)
from siamtrack.trackers.mask import windows_around

HALF_PRECISION_ERROR = 1e-3  # a parameter is stored in 16 bits where that changes it by less, relative root mean square
RUNTIME_ERROR = 2e-3  # relative to the largest response, between a runtime in float32 and PyTorch


class _TemplateGraph(nn.Module):
    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, patches: Tensor) -> Tensor:
        templates: Tensor = self.network.embed(patches.permute(0, 3, 1, 2).float())
        return templates


class _SearchGraph(_TemplateGraph):
    def forward(self, templates: Tensor, patches: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        maps: tuple[Tensor, ...] = self.network.match(templates, patches.flatten(0, 1).permute(0, 3, 1, 2).float())
        return maps


class _MaskGraph(_TemplateGraph):
    def forward(self, *places: Tensor) -> Tensor:
        masks: Tensor = self.network.masks(*places)
        return masks


def export_model(network: Any, folder: Path, description: Description) -> None:
    """Writes the model folder and runs it once on every installed runtime against PyTorch before it says done.

    Args:
        network: a module with `settings.template_size`, `settings.search_size`, `embed`, `match` and the names of its maps
            `MAPS`, and `masks` and the `windows` that those need if it gives masks; batch norm is folded into its convolutions.
        folder: must not exist, or be a model folder, which is replaced whole.
        description: without hashes.

    Raises:
        OutputError: the folder cannot be written, or holds something else.
        ModelError: a runtime's answers differ from PyTorch's.
    """
    check_model_folder(folder)
    folder = folder.resolve()  # "." too has a parent and a name then
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    except OSError as error:
        raise OutputError(f"The model folder '{folder}' cannot be written: {error.strerror}.") from None
    try:
        folded = _write_weights(network, temporary / WEIGHTS)
        _write_graphs(folded, temporary)
        write_description(temporary, description)
        check_runtimes(folded, temporary)
        temporary.chmod(0o755)
        _replace(folder, temporary)
    except OSError as error:
        raise OutputError(f"The model folder '{folder}' cannot be written: {error.strerror}.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_model_folder(folder: Path) -> None:
    """Whether a model may be written there.

    Raises:
        OutputError: the folder holds something else.
    """
    if folder.exists() and not (folder / DESCRIPTION).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"'{folder.resolve()}' exists and is no model folder; give another name so that nothing is lost.")


def _replace(folder: Path, new: Path) -> None:
    """Moves the new folder to where the old one may be; the old one is deleted last."""
    old = new.with_name(f"{new.name}.old")
    if folder.exists():
        folder.rename(old)
    try:
        new.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def write_description(folder: Path, description: Description) -> None:
    """Writes model.toml with the hashes of all other files in the folder."""
    hashes = {path.name: hash_of(path) for path in sorted(folder.iterdir()) if path.name != DESCRIPTION}
    complete = replace(description, hashes=hashes, made_with=f"siamtrack {siamtrack.__version__}, PyTorch {torch.__version__}")
    text = tomli_w.dumps(dict(vars(complete)), multiline_strings=True)
    (folder / DESCRIPTION).write_text(text, encoding="utf-8")


def check_runtimes(network: Any, folder: Path) -> None:
    """Compares every installed runtime in float32 with PyTorch, on random patches of two targets.

    Raises:
        ModelError: the answers differ by more than `RUNTIME_ERROR`.
    """
    generator = torch.Generator().manual_seed(0)
    sizes = network.settings.template_size, network.settings.search_size
    patches = [torch.randint(0, 256, (2, size, size, 3), generator=generator, dtype=torch.uint8) for size in sizes]
    searches = torch.stack([patches[1], patches[1].flip(1)], 1)
    with torch.inference_mode():
        templates = _TemplateGraph(network)(patches[0])
        expected = _SearchGraph(network)(templates, searches)
    for runtime, package in (("openvino", "openvino"), ("onnx", "onnxruntime")):
        if find_spec(package) is None:
            continue
        other = open_network(read_model_folder(folder), runtime=runtime, precision="float32")
        found = other.match(other.embed(patches[0].numpy()), searches.numpy())
        for name, values, wanted in zip(network.MAPS, map(torch.from_numpy, found), expected, strict=True):
            _check_equal(values, wanted, runtime, name)
        if hasattr(network, "masks"):
            places = _places(network, expected)
            with torch.inference_mode():
                wanted = network.masks(*places)
            _check_equal(torch.from_numpy(other.masks(*(part.numpy() for part in places))), wanted, runtime, "masks")  # type: ignore[attr-defined]


def _check_equal(values: Tensor, wanted: Tensor, runtime: str, name: str) -> None:
    error = float((values - wanted).abs().max() / wanted.abs().max())
    if not error < RUNTIME_ERROR:
        raise ModelError(
            f"The {runtime} runtime differs from PyTorch by {error:.1e} of the largest value of its {name}; nothing was "
            "exported."
        )


def _places(network: Any, maps: tuple[Tensor, ...]) -> list[Tensor]:
    """What the mask graph takes, of two places of the maps of two targets."""
    _, _, correlation, *layers = (values[:, 0].numpy() for values in maps)
    cells = correlation.shape[-1]
    windows = network.windows
    found = [windows_around(correlation[n], [layer[n] for layer in layers], n, cells - 1, windows=windows) for n in range(2)]
    return [torch.from_numpy(np.stack(part)) for part in zip(*found, strict=True)]


def _write_weights(network: nn.Module, path: Path) -> Any:
    """Stores the folded parameters; returns the folded network with exactly the values that were stored."""
    folded = fold_batch_norm(network)
    stored = {name: _stored(value.detach().contiguous()) for name, value in folded.state_dict().items()}
    folded.load_state_dict({name: value.float() for name, value in stored.items()})
    save_file(stored, path)
    path.chmod(0o644)
    return folded.eval()


def _stored(value: Tensor) -> Tensor:
    if value.ndim < 2:
        return value
    half = value.half()
    error = (half.float() - value).square().mean().sqrt() / value.square().mean().sqrt().clamp_min(1e-30)
    return half if float(error) < HALF_PRECISION_ERROR else value


def _write_graphs(network: Any, folder: Path) -> None:
    settings = network.settings
    targets, scales = torch.export.Dim("targets"), torch.export.Dim("scales")
    template = torch.zeros(2, settings.template_size, settings.template_size, 3, dtype=torch.uint8)
    search = torch.zeros(2, 3, settings.search_size, settings.search_size, 3, dtype=torch.uint8)
    with torch.inference_mode():
        templates = _TemplateGraph(network)(template)
    _write_graph(folder / TEMPLATE_GRAPH, _TemplateGraph(network), {"patches": template}, ("templates",), ({0: targets},))
    side = torch.export.Dim("search_size", min=settings.template_size, max=4096)
    shapes = ({0: targets}, {0: targets, 1: scales, 2: side, 3: side})
    inputs = {"templates": templates.clone(), "patches": search}
    _write_graph(folder / SEARCH_GRAPH, _SearchGraph(network), inputs, network.MAPS, shapes)
    if hasattr(network, "masks"):
        with torch.inference_mode():
            places = _places(network, _SearchGraph(network)(templates, search))
        named = dict(zip(("cells", *network.MAPS[3:]), places, strict=True))
        count = torch.export.Dim("places")
        of_places = (({0: count},) * len(places),)  # the one argument that takes them all
        _write_graph(folder / MASK_GRAPH, _MaskGraph(network), named, ("masks",), of_places)


def _write_graph(
    path: Path, graph: nn.Module, inputs: dict[str, Tensor], outputs: tuple[str, ...], shapes: tuple[Any, ...]
) -> None:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # the exporter warns of packages that are not needed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            graph.eval(),
            tuple(inputs.values()),
            dynamo=True,
            dynamic_shapes=shapes,
            input_names=list(inputs),
            output_names=list(outputs),
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    for node in model.graph.node:
        del node.metadata_props[:]  # stack traces with paths of this machine
    _share_weights(model, path.with_name(WEIGHTS))
    onnx.save(model, path)


def _share_weights(model: onnx.ModelProto, weights: Path) -> None:
    """Makes every parameter in the graph a reference into the safetensors file, with a cast where it is stored in 16 bits."""
    where, data_start = _safetensors_index(weights)
    casts = []
    for tensor in list(model.graph.initializer):
        name = tensor.name.removeprefix("network.")
        entry = where.get(name)
        if entry is None or not entry["shape"] or entry["shape"] != list(tensor.dims):
            continue
        begin, end = entry["data_offsets"]
        half = entry["dtype"] == "F16"
        external = TensorProto(
            name=f"{tensor.name}.half" if half else tensor.name,
            data_type=TensorProto.FLOAT16 if half else TensorProto.FLOAT,
            dims=entry["shape"],
            data_location=TensorProto.EXTERNAL,
        )
        for key, value in (("location", weights.name), ("offset", data_start + begin), ("length", end - begin)):
            external.external_data.add(key=key, value=str(value))
        model.graph.initializer.remove(tensor)
        model.graph.initializer.append(external)
        if half:
            casts.append(helper.make_node("Cast", [external.name], [tensor.name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _safetensors_index(path: Path) -> tuple[dict[str, Any], int]:
    """Names, types and places of the tensors in a safetensors file, and where its data begin (8 bytes of length, then JSON)."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        return json.loads(file.read(length)), 8 + length
