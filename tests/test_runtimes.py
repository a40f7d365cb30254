"""What every embedded model promises on every runtime and in every precision that is installed."""

from __future__ import annotations

import builtins
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from siamtrack.bench import CANDIDATES, PACKAGES, installed_trackers
from siamtrack.box import iou
from siamtrack.errors import MissingExtraError, ModelError, SettingsError, SiamtrackError
from siamtrack.library import EMBEDDED, model_names, open_model, open_network, settings_of
from siamtrack.model_folder import DESCRIPTION, INT8_SEARCH_GRAPH, REQUIRED, ModelFolder, hash_of, read_model_folder
from siamtrack.synthetic.scene import Scene
from siamtrack.tracking import track

FOLDERS = sorted(path.parent for path in EMBEDDED.glob("*/model.toml"))
INSTALLED = [(runtime, precision) for runtime, precision in CANDIDATES if find_spec(PACKAGES[runtime])]
FRAMES = 25
MIN_MEAN_IOU = {"float32": 0.99, "auto": 0.97, "bfloat16": 0.97, "int8": 0.97}  # with openvino in float32

MAPS: dict[str, Callable[[int], list[tuple[int, ...]]]] = {
    "siamfc": lambda margin: [(margin // 8 + 1,) * 2],
    "nanotrack": lambda margin: [(channels, *(margin // 16 + 7,) * 2) for channels in (2, 4)],
}
"""By kind of network, what it answers a target and scale where the search patch is so many pixels larger than the template."""

every_model = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
every_runtime = pytest.mark.parametrize(("runtime", "precision"), INSTALLED)


@cache
def opened(folder: Path) -> ModelFolder:
    return read_model_folder(folder)


@cache
def tracker(folder: Path, runtime: str, precision: str) -> Any:
    return open_model(folder, runtime=runtime, precision=precision)


def needs(folder: Path, precision: str) -> None:
    if precision == "int8" and not opened(folder).has_int8:
        pytest.skip("this model has no int8 graph")


@cache
def boxes(folder: Path, runtime: str, precision: str) -> np.ndarray:
    """(FRAMES, 4): an object of a small rendered clip."""
    scene = Scene(320, 240, objects=2, seed=1)
    steps = track(tracker(folder, runtime, precision), scene.frames(FRAMES), [scene.box(0, 0)])
    return np.array([step.predictions[0].box for step in steps])


def test_there_is_a_model() -> None:
    assert "siamfc" in model_names()
    assert FOLDERS


@every_model
@every_runtime
def test_the_same_boxes_on_every_runtime(folder: Path, runtime: str, precision: str) -> None:
    needs(folder, precision)
    found, expected = boxes(folder, runtime, precision), boxes(folder, "openvino", "float32")
    assert np.isfinite(found).all()
    assert iou(found, expected).mean() > MIN_MEAN_IOU[precision]


@every_model
def test_the_target_of_the_clip_is_followed(folder: Path) -> None:
    """Or boxes that agree would say nothing."""
    scene = Scene(320, 240, objects=2, seed=1)
    truth = [scene.box(0, number) for number in range(FRAMES)]
    found = boxes(folder, "openvino", "float32")
    assert iou(found, truth).mean() > 0.5
    assert np.ptp(found[:, :2], axis=0).max() > 10


@every_model
@every_runtime
def test_shapes_and_types(folder: Path, runtime: str, precision: str) -> None:
    """Any number of targets and of scales on the same opened network, in any order; nothing is remembered between calls."""
    needs(folder, precision)
    opened_tracker = tracker(folder, runtime, precision)
    settings = opened_tracker.settings
    rng = np.random.default_rng(0)
    expected = MAPS[opened(folder).description.model](settings.search_size - settings.template_size)
    for targets, scales in ((2, 3), (5, 1), (1, 5)):
        patches = rng.integers(0, 256, (targets, settings.template_size, settings.template_size, 3), np.uint8)
        searches = rng.integers(0, 256, (targets, scales, settings.search_size, settings.search_size, 3), np.uint8)
        kept = patches.copy(), searches.copy()
        templates = opened_tracker.network.embed(patches)
        maps = opened_tracker.network.match(templates, searches)
        assert templates.shape[0] == targets
        assert templates.ndim == 4
        assert [values.shape for values in maps[: len(expected)]] == [(targets, scales, *shape) for shape in expected]
        of_masks = 1 + len(settings.mask.strides) if opened(folder).has_masks else 0  # the correlation, and layers, follow
        assert len(maps) == len(expected) + of_masks
        assert {values.dtype for values in (templates, *maps)} == {np.dtype(np.float32)}
        assert all(np.isfinite(values).all() for values in (templates, *maps))
        assert (patches == kept[0]).all()
        assert (searches == kept[1]).all()
        if targets == 1:
            before = [values.copy() for values in maps]
            opened_tracker.network.match(templates, 255 - searches)
            for values, then in zip(maps, before, strict=True):
                assert (values == then).all()  # an answer is not a window into the runtime's memory


@every_model
@every_runtime
def test_a_target_in_a_batch_is_the_target_alone(folder: Path, runtime: str, precision: str) -> None:
    """float32: boxes within 1e-3 px. Other precisions sum in another order, and that shows."""
    needs(folder, precision)
    scene = Scene(320, 240, objects=3, seed=2)
    opened_tracker = tracker(folder, runtime, precision)
    starts = [scene.box(target, 0) for target in range(3)]
    states = opened_tracker.start(scene.image(0), starts)
    _, together = opened_tracker.step(scene.image(1), states)
    for start, prediction in zip(starts, together, strict=True):
        alone = opened_tracker.start(scene.image(0), [start])
        _, (single,) = opened_tracker.step(scene.image(1), alone)
        if precision == "float32":
            assert np.abs(np.subtract(single.box, prediction.box)).max() < 1e-3
        else:
            assert iou(single.box, prediction.box) > 0.9


@every_model
def test_the_order_of_colours_matters(folder: Path) -> None:
    """The crops are RGB; a network that takes them for BGR gives other templates."""
    network = tracker(folder, "openvino", "float32").network
    size = tracker(folder, "openvino", "float32").settings.template_size
    patches = np.zeros((1, size, size, 3), np.uint8)
    patches[..., 0] = np.arange(size)
    assert np.abs(network.embed(patches) - network.embed(patches[..., ::-1].copy())).max() > 0.01


@every_model
def test_threads_are_limited(folder: Path) -> None:
    for runtime in ("openvino", "onnx"):
        if find_spec(PACKAGES[runtime]):
            network = open_network(opened(folder), runtime=runtime, precision="float32", threads=1)
            size = tracker(folder, "openvino", "float32").settings.template_size
            patches = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), np.uint8)
            expected = tracker(folder, "openvino", "float32").network.embed(patches)
            assert np.abs(network.embed(patches) - expected).max() < 1e-3 * np.abs(expected).max()
    if find_spec("openvino"):
        limited = open_network(opened(folder), precision="float32", threads=1)
        assert limited._match.get_property("INFERENCE_NUM_THREADS") == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", sorted(model_names()))
def test_every_name_opens_with_all_its_settings(name: str) -> None:
    found: Any = open_model(name)
    assert asdict(found.settings) == settings_of(name)


@pytest.mark.parametrize(("name", "scales"), [("siamfc", 3), ("siamfc-3s", 3), ("siamfc-5s", 5), ("siamfc-1s", 1)])
def test_names_of_siamfc_differ_in_their_scales(name: str, scales: int) -> None:
    found: Any = open_model(name)
    assert found.settings.scales == settings_of(name)["scales"] == scales


@every_model
def test_an_embedded_model_is_described(folder: Path) -> None:
    description = opened(folder).description
    assert description.name == folder.name
    assert description.licence
    card = (folder.parent.parent / "recipes" / f"{folder.name}-card.md").read_text(encoding="utf-8")
    assert description.card.strip().startswith(card.strip())  # the measurement of int8 comes after it
    assert set(description.hashes) == {path.name for path in folder.iterdir()} - {DESCRIPTION}


def test_overrides_come_last() -> None:
    assert open_model("siamfc-5s", overrides=["scales=1", "window_influence=0.3"]).settings.window_influence == 0.3


# Refused


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"name": "siamcf"}, ModelError, "Did you mean 'siamfc'?"),
        ({"name": "/no/such/folder"}, ModelError, "no model folder '/no/such/folder'"),
        (
            {"name": __file__},
            ModelError,
            r"is a file; .*If it is a checkpoint, 'siamtrack export .*test_runtimes\.py --out FOLDER'",
        ),
        ({"name": ""}, ModelError, r"no model folder|Known:"),
        ({"runtime": "opnevino"}, SettingsError, "Unknown runtime 'opnevino'. Did you mean 'openvino'?"),
        ({"runtime": "tensorrt9"}, SettingsError, "Known: onnx, openvino, torch"),
        ({"precision": "int9"}, SettingsError, "openvino runtime has no precision 'int9'. Did you mean 'int8'?"),
        ({"precision": "float16"}, SettingsError, "no precision 'float16'"),
        ({"runtime": "onnx", "precision": "bfloat16"}, SettingsError, "onnx runtime has no precision"),
        ({"runtime": "torch", "precision": "int8"}, SettingsError, "torch runtime has no precision"),
        ({"device": "cuda"}, SettingsError, "computes on the CPU; the device 'cuda' needs --runtime torch"),
        ({"runtime": "onnx", "device": "cuda:1"}, SettingsError, "the device 'cuda:1'"),
        (
            {"name": "siamfc", "overrides": ["scale=3"]},
            SettingsError,
            "Unknown setting 'scale' in --set. Did you mean 'scales'?",
        ),
        ({"name": "siamfc", "overrides": ["scales=4"]}, SettingsError, "expected an odd number"),
        ({"name": "siamfc", "overrides": ["scales=three"]}, SettingsError, "expected a whole number"),
    ],
)
def test_what_is_refused(options: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        open_model(**options)


@pytest.mark.skipif(not find_spec("torch"), reason="torch is not installed")
@pytest.mark.parametrize("device", ["gpu", "cuda:99", "no device"])
def test_devices_that_are_not_there_are_refused(device: str) -> None:
    with pytest.raises(SiamtrackError, match=device):
        open_model(runtime="torch", device=device)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EMBEDDED / "siamfc", tmp_path / "model"))


def edit(folder: Path, change: Callable[[str], str]) -> None:
    path = folder / DESCRIPTION
    before = path.read_text(encoding="utf-8")
    path.write_text(change(before), encoding="utf-8")
    assert before != path.read_text(encoding="utf-8")


def test_a_copied_folder_opens(copied: Path) -> None:
    assert open_model(copied).settings == open_model("siamfc").settings
    assert open_model(str(copied)).settings == open_model("siamfc").settings


@pytest.mark.parametrize("name", [*REQUIRED, INT8_SEARCH_GRAPH])
def test_a_missing_file_is_named(copied: Path, name: str) -> None:
    if name not in read_model_folder(copied).description.hashes:
        pytest.skip("not in this model")
    (copied / name).unlink()
    with pytest.raises(ModelError, match=f"{name}' is missing"):
        open_model(copied)


@pytest.mark.parametrize("name", REQUIRED)
def test_an_altered_file_is_named(copied: Path, name: str) -> None:
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1  # a single bit
    (copied / name).write_bytes(content)
    with pytest.raises(ModelError, match=f"{name}' was altered"):
        open_model(copied)


def test_a_folder_without_description(copied: Path, tmp_path: Path) -> None:
    (copied / DESCRIPTION).unlink()
    for folder in (copied, tmp_path):
        with pytest.raises(ModelError, match=r"is no model folder: it has no model\.toml"):
            open_model(folder)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda text: text.replace("format = 1", "format = 2"),
            "has format 2; this version of siamtrack reads format 1",
        ),
        (lambda text: text.replace('"rgb"', '"bgr"'), "'bgr'; siamtrack gives rgb"),
        (lambda text: text.replace("[hashes]", "[hashes"), "no valid TOML"),
        (lambda text: text.replace("licence =", "license ="), "Did you mean 'licence'"),
        (lambda text: text.replace("format = 1", 'format = "1"'), "expected a whole number"),
        (lambda text: text.partition("[hashes]")[0], "has no hash for 'search.onnx'"),
        (lambda text: text.replace("name = ", "nam = ", 1), "Did you mean 'name'"),
        (lambda text: text.replace('tracker = "siamfc"', 'tracker = "siamcf"'), "Did you mean 'siamfc'"),
        (lambda text: text.replace('tracker = "siamfc"', 'tracker = "../box"'), "no tracking procedure"),
        (lambda text: text.replace("scale_step =", "scale_stop ="), "Did you mean 'scale_step'"),
        (lambda text: text.replace("scales = 3", "scales = 2"), "odd number"),
    ],
)
def test_a_description_that_cannot_be_used(copied: Path, change: Callable[[str], str], says: str) -> None:
    edit(copied, change)
    with pytest.raises(ModelError, match=says):
        open_model(copied)


def test_int8_of_a_folder_without_it(copied: Path) -> None:
    if (copied / INT8_SEARCH_GRAPH).is_file():
        expected = hash_of(copied / INT8_SEARCH_GRAPH)
        (copied / INT8_SEARCH_GRAPH).unlink()
        edit(copied, lambda text: text.replace(f'"{INT8_SEARCH_GRAPH}" = "{expected}"', ""))
    for runtime in ("openvino", "onnx"):
        with pytest.raises(ModelError, match="no int8 graph; make one with: siamtrack export"):
            open_model(copied, runtime=runtime, precision="int8")
    open_model(copied)


@pytest.mark.parametrize(
    ("runtime", "package", "extra"),
    [("onnx", "onnxruntime", "onnx"), ("torch", "torch", "train"), ("torch", "safetensors", "train")],
)
def test_a_missing_extra_names_what_to_install(monkeypatch: pytest.MonkeyPatch, runtime: str, package: str, extra: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # its import then fails
    with pytest.raises(ImportError):
        builtins.__import__(package)
    with pytest.raises(
        MissingExtraError, match=rf"needs the package '{package}'.*pip install 'siamtrack\[{extra}\]'"
    ) as caught:
        open_model(runtime=runtime)
    assert caught.value.exit_code == 4


def test_bench_goes_on_where_a_part_of_an_extra_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "safetensors", None)
    names = installed_trackers("siamfc", None, ())
    assert "openvino auto" in names
    assert not any(name.startswith("torch") for name in names)


def test_threads_reach_torch() -> None:
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    try:
        open_model(runtime="torch", threads=1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("threads", [0, -1])
def test_too_few_threads_are_refused(threads: int) -> None:
    with pytest.raises(SettingsError, match="at least 1"):
        open_model(threads=threads)
