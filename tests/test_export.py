"""A small random network as a model folder: what is in it, that it runs everywhere, and what is never overwritten."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file, save_file

from siamtrack.box import Box
from siamtrack.datasets.sequences import find_sequences
from siamtrack.errors import DataError, ModelError, OutputError, SettingsError, WeightsError
from siamtrack.export import onnx as export_onnx
from siamtrack.export.checkpoint import export_checkpoint
from siamtrack.export.onnx import check_runtimes
from siamtrack.export.quantise import Cost, quantise
from siamtrack.layers.folding import fold_batch_norm
from siamtrack.library import open_model, settings_of
from siamtrack.model_folder import (
    DESCRIPTION,
    INT8_SEARCH_GRAPH,
    REQUIRED,
    SEARCH_GRAPH,
    TEMPLATE_GRAPH,
    WEIGHTS,
    hash_of,
    read_model_folder,
)
from siamtrack.models.kinds import read_folded
from siamtrack.models.siamfc import SiamFC, SiamFCNetworkSettings
from siamtrack.synthetic.scene import Scene

WIDTH = 0.125


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of weights: a random network whose batch norms do something."""
    torch.manual_seed(0)
    network = SiamFC(SiamFCNetworkSettings(width=WIDTH))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.running_mean)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
    folder = tmp_path_factory.mktemp("run")
    save_file(network.state_dict(), folder / WEIGHTS)
    return folder / WEIGHTS


@pytest.fixture(scope="session")
def exported(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its model folder; read only, tests that change it make a copy."""
    folder = tmp_path_factory.mktemp("models") / "deep" / "small"
    export_checkpoint(
        run, folder, licence="CC0-1.0", card='One "card"\nof two lines.', overrides=["scales=1", "window_influence=0.2"]
    )
    return folder


@pytest.fixture
def copied(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "small"))


@pytest.fixture
def no_graphs(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The graphs come from the folder that was exported once: tracing a network takes seconds."""

    def copy(network: Any, folder: Path) -> None:
        for name in (TEMPLATE_GRAPH, SEARCH_GRAPH):
            shutil.copy(exported / name, folder / name)

    monkeypatch.setattr(export_onnx, "_write_graphs", copy)


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): hash_of(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def test_what_is_in_the_folder(exported: Path) -> None:
    assert {path.name for path in exported.iterdir()} == {DESCRIPTION, *REQUIRED}
    assert [path.name for path in exported.parent.iterdir()] == ["small"]  # nothing temporary beside it
    description = read_model_folder(exported).description
    assert description.name == "small"
    assert description.tracker == "siamfc"
    assert description.licence == "CC0-1.0"
    assert description.card.strip() == 'One "card"\nof two lines.'
    assert description.made_with.startswith("siamtrack ")
    assert description.network["width"] == WIDTH
    assert description.hashes == {name: hash_of(exported / name) for name in REQUIRED}
    assert settings_of(exported)["scales"] == 1
    assert settings_of(exported)["window_influence"] == 0.2
    assert not read_model_folder(exported).has_int8


def test_the_folder_is_readable_by_others(exported: Path) -> None:
    """A temporary folder and file are private at first."""
    assert os.name == "nt" or exported.stat().st_mode & 0o777 == 0o755
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in exported.iterdir())


def test_weights_are_stored_once(exported: Path) -> None:
    """The graphs hold references into the weights, and no path of the machine they were made on."""
    weights = (exported / WEIGHTS).stat().st_size
    for name in (TEMPLATE_GRAPH, SEARCH_GRAPH):
        assert (exported / name).stat().st_size < 40_000 < weights
        graph = onnx.load(exported / name, load_external_data=False).graph
        shared = [tensor for tensor in graph.initializer if tensor.external_data]
        places = [{entry.key: entry.value for entry in tensor.external_data} for tensor in shared]
        assert sum(len(tensor.dims) == 4 for tensor in shared) == 5  # every kernel
        assert {place["location"] for place in places} == {WEIGHTS}
        assert all(int(place["offset"]) + int(place["length"]) <= weights for place in places)
        content = (exported / name).read_bytes()
        assert b"site-packages" not in content
        assert b"/home" not in content
    assert sum(value.numel() for value in load_file(exported / WEIGHTS).values()) < weights / 2 + 4000  # 16 bits


def test_every_runtime_answers_as_the_network(exported: Path, run: Path) -> None:
    """The exported graphs against the network before batch norm was folded and kernels were stored in 16 bits."""
    network = SiamFC(SiamFCNetworkSettings(width=WIDTH))
    network.load_state_dict(load_file(run))
    network.eval()
    rng = np.random.default_rng(0)
    z, x = rng.integers(0, 256, (2, 127, 127, 3), np.uint8), rng.integers(0, 256, (2, 1, 255, 255, 3), np.uint8)
    with torch.no_grad():
        pixels = [torch.from_numpy(p.reshape(-1, *p.shape[-3:])).permute(0, 3, 1, 2).float() for p in (z, x)]
        expected = network(*pixels)[0].numpy()[:, None]
    for runtime in ("openvino", "onnx", "torch"):
        other = open_model(exported, runtime=runtime, precision="float32").network
        (found,) = other.match(other.embed(z), x)
        assert np.abs(found - expected).max() < 5e-3 * np.abs(expected).max(), runtime


def test_an_exported_model_tracks(exported: Path) -> None:
    scene = Scene(160, 120, objects=1)
    tracker = open_model(str(exported))
    states = tracker.start(scene.image(0), [scene.box(0, 0)])
    _, (prediction,) = tracker.step(scene.image(1), states)
    assert np.isfinite(prediction.box).all()


def test_the_check_notices_other_weights(copied: Path) -> None:
    description = read_model_folder(copied).description
    network = read_folded("siamfc", copied / WEIGHTS, description.network)
    check_runtimes(network, copied)
    with torch.no_grad():
        network.backbone.conv3[0].weight *= 1.5
    with pytest.raises(ModelError, match="runtime differs from PyTorch"):
        check_runtimes(network, copied)


@pytest.mark.usefixtures("no_graphs")
def test_a_model_folder_is_replaced_whole(run: Path, copied: Path) -> None:
    (copied / INT8_SEARCH_GRAPH).write_bytes(b"of the older weights")
    export_checkpoint(run, copied, licence="MIT", card="new")
    assert {path.name for path in copied.iterdir()} == {DESCRIPTION, *REQUIRED}
    assert read_model_folder(copied).description.licence == "MIT"
    assert [path.name for path in copied.parent.iterdir()] == [copied.name]


@pytest.mark.usefixtures("no_graphs")
def test_an_export_that_fails_leaves_the_old_folder(run: Path, copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(copied)

    def fails(*_: object) -> None:
        raise ModelError("the runtime differs")

    monkeypatch.setattr(export_onnx, "check_runtimes", fails)
    with pytest.raises(ModelError, match="differs"):
        export_checkpoint(run, copied, licence="MIT", card="new")
    assert contents(copied) == before
    with pytest.raises(ModelError, match="differs"):
        export_checkpoint(run, copied.with_name("new"), licence="MIT", card="new")
    assert [path.name for path in copied.parent.iterdir()] == [copied.name]  # neither half a folder nor a temporary one


@pytest.mark.usefixtures("no_graphs")
def test_an_empty_folder_may_be_filled(run: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    export_checkpoint(run, tmp_path / "empty", licence="MIT", card="")
    assert read_model_folder(tmp_path / "empty").description.name == "empty"


def test_a_folder_that_holds_something_else_is_refused(run: Path, tmp_path: Path) -> None:
    holiday = tmp_path / "holiday"
    holiday.mkdir()
    (holiday / "photo.jpg").write_bytes(b"irreplaceable")
    a_file = tmp_path / "notes"
    a_file.write_text("text")
    before = contents(tmp_path)
    for target in (holiday, a_file):
        with pytest.raises(OutputError, match="is no model folder; give another name"):
            export_checkpoint(run, target, licence="MIT", card="")
    with pytest.raises(OutputError, match="cannot be written"):
        export_checkpoint(run, a_file / "inside", licence="MIT", card="")
    assert contents(tmp_path) == before


def test_an_unfinished_run_is_refused(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "recipe.toml").write_bytes(b"")
    with pytest.raises(WeightsError, match="it is not finished"):
        export_checkpoint(run, tmp_path / "model", licence="MIT", card="")
    assert not (tmp_path / "model").exists()


def test_wrong_settings_are_refused_before_anything_is_written(run: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="Did you mean 'scales'"):
        export_checkpoint(run, tmp_path / "model", licence="MIT", card="", overrides=["scale=3"])
    assert list(tmp_path.iterdir()) == []


def test_values_that_16_bits_cannot_hold_stay_in_32(tmp_path: Path) -> None:
    """A layer that is too large for float16, or too small, is not ruined."""
    torch.manual_seed(0)
    network = SiamFC(SiamFCNetworkSettings(width=0.05))
    with torch.no_grad():
        network.backbone.conv1[0].weight *= 1e6
        network.backbone.conv2[0].weight *= 1e-9
    folded = export_onnx._write_weights(network, tmp_path / WEIGHTS)
    stored = load_file(tmp_path / WEIGHTS)
    types = {name: value.dtype for name, value in stored.items() if value.ndim == 4}
    assert [str(dtype) for dtype in types.values()] == [
        "torch.float32",
        "torch.float32",
        "torch.float16",
        "torch.float16",
        "torch.float16",
    ]
    exact = fold_batch_norm(network).state_dict()
    for name, value in folded.state_dict().items():
        scale = exact[name].abs().max().clamp_min(1e-30)
        assert (value - exact[name]).abs().max() <= 1e-3 * scale


# int8


def write_clip(folder: Path, *, seed: int, frames: int) -> None:
    scene = Scene(160, 120, objects=1, seed=seed)
    (folder / "img").mkdir(parents=True)
    for frame in scene.frames(frames):
        assert cv2.imwrite(str(folder / "img" / f"{frame.index + 1:08d}.jpg"), frame.image[:, :, ::-1])
    lines = [",".join(f"{v:.3f}" for v in scene.box(0, number)) for number in range(frames)]
    (folder / "groundtruth.txt").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for seed, name in enumerate(("apple", "pear")):
        write_clip(folder / name, seed=seed, frames=5)
    return folder


def test_clips_are_found(clips: Path) -> None:
    found = find_sequences(clips)
    assert [clip.name for clip in found] == ["apple", "pear"]
    assert find_sequences(clips / "pear")[0].name == "pear"
    assert found[1].first_box == pytest.approx(Scene(160, 120, objects=1, seed=1).box(0, 0), abs=1e-3)
    assert isinstance(found[1].first_box, Box)
    assert [frame.index for frame in found[0].frames()] == list(range(5))
    with pytest.raises(DataError, match="no sequence"):
        find_sequences(clips / "pear" / "img")


def test_int8_runs_and_says_what_it_costs(copied: Path, clips: Path) -> None:
    before = contents(copied)
    cost = quantise(copied, find_sequences(clips))
    assert isinstance(cost, Cost)
    assert cost.clips == ["apple"]  # calibrated on the other one
    assert not cost.calibrated_on_them
    assert 0 <= cost.auc_int8 <= 1
    assert 0 <= cost.auc_auto <= 1
    assert 0.5 < cost.agreement <= 1
    after = read_model_folder(copied)  # with its hash
    assert after.has_int8
    assert str(cost) in after.description.card
    assert after.description.card.startswith('One "card"')
    assert after.description.licence == "CC0-1.0"
    assert {name: contents(copied)[name] for name in REQUIRED} == {name: before[name] for name in REQUIRED}
    operations = {node.op_type for node in onnx.load(copied / INT8_SEARCH_GRAPH).graph.node}
    assert "QuantizeLinear" in operations
    assert b"site-packages" not in (copied / INT8_SEARCH_GRAPH).read_bytes()

    scene = Scene(160, 120, objects=1, seed=1)  # the clip it was calibrated on
    exact = open_model(copied, precision="float32")
    (state,) = exact.start(scene.image(0), [scene.box(0, 0)])
    patches = exact.look(scene.image(3), [state])
    (expected,) = exact.network.match(state.template[None], patches)
    for runtime in ("openvino", "onnx"):
        network = open_model(copied, runtime=runtime, precision="int8").network
        (found,) = network.match(state.template[None], patches)
        assert found.shape == (1, 1, 17, 17)
        assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.9, runtime
        assert not np.array_equal(found, expected)


def test_int8_without_clips_is_refused(copied: Path, tmp_path: Path) -> None:
    before = contents(copied)
    with pytest.raises(DataError, match="No clips"):
        quantise(copied, [])
    write_clip(tmp_path / "short" / "one", seed=0, frames=1)
    with pytest.raises(DataError, match="only one frame"):
        quantise(copied, find_sequences(tmp_path / "short"))
    assert contents(copied) == before


def test_the_cost_is_readable() -> None:
    cost = Cost(clips=["a", "b"], calibrated_on_them=True, auc_auto=0.5, auc_int8=0.25, agreement=0.75)
    assert str(cost) == "int8 on a, b (also calibrated on): success AUC 0.250 against 0.500, mean IoU between the two 0.750."
