"""Every format against every other: each file is taken for what it is, and a wrong one is refused with what it looks like."""

from __future__ import annotations

import io
import pickle
import zipfile
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoint_files import save
from command_line import INPUT, MODEL, refused
from made_up_checkpoints import MOBILENET, TITLES, made_up, settings_of

from siamtrack.errors import WeightsError
from siamtrack.models.checkpoints import read_checkpoint

RPN_LINE = [name for name in TITLES if name != "siamfc"]
every_format = pytest.mark.parametrize("name", TITLES)


def refusal(path: Path) -> str:
    with pytest.raises(WeightsError) as error:
        read_checkpoint(path)
    message = str(error.value)
    assert str(path) in message
    assert len(message) < 1500
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", RPN_LINE)
def test_narrow_networks_are_known_by_their_shapes(tmp_path: Path, name: str) -> None:
    assert read_checkpoint(save(tmp_path / "x.pth", made_up(name))).settings == settings_of(name)


@every_format
def test_wrapped_in_what_training_codes_save(tmp_path: Path, name: str) -> None:
    content = made_up(name)
    plain = read_checkpoint(save(tmp_path / "x.pth", content)).state_dict()
    parallel = {f"module.{key}": value for key, value in content.items()}
    optimizer = {"state": {}, "param_groups": [{"lr": 0.1, "params": [0]}]}
    for number, (wrapped, options) in enumerate(
        (
            (parallel, {}),
            ({"epoch": 20, "state_dict": content, "optimizer": optimizer}, {}),
            ({"epoch": 20, "state_dict": parallel}, {"_use_new_zipfile_serialization": False}),
            ({"model": parallel}, {}),
        )
    ):
        found = read_checkpoint(save(tmp_path / f"{number}.pth", wrapped, **options)).state_dict()
        assert found.keys() == plain.keys()
        assert all(torch.equal(found[key], value) for key, value in plain.items())


@every_format
def test_one_tensor_missing_more_or_of_another_shape(tmp_path: Path, name: str) -> None:
    """The first, the one in the middle and the last one: the message names that one, and the format."""
    content = made_up(name)
    keys = [key for key, value in content.items() if value.ndim]
    looks = f"read in the format of {TITLES[name]}, does not hold exactly"
    for key in (keys[0], keys[len(keys) // 2], keys[-1]):
        message = refusal(save(tmp_path / "x.pth", {k: v for k, v in content.items() if k != key}))
        assert looks in message
        assert f"missing: {key}" in message
        message = refusal(save(tmp_path / "x.pth", content | {key: content[key].flatten()[:1, None, None]}))
        assert looks in message
        assert f"{key} is (1, 1, 1), not {tuple(content[key].shape)}" in message
    message = refusal(save(tmp_path / "x.pth", content | {"surplus.weight": torch.zeros(2)}))
    assert looks in message
    assert "do not belong to it: surplus.weight" in message


@pytest.mark.parametrize("pair", list(permutations(("siamfc", "dasiamrpn", "pysot-mobilenetv2", "siamdw"), 2)), ids=str)
def test_two_networks_in_one_file(tmp_path: Path, pair: tuple[str, str]) -> None:
    """That with more parameters, which is the later one of these, is the one that the file is said to hold."""
    first, second = (made_up(name) for name in pair)
    larger, smaller = max(pair, key=lambda name: len(made_up(name))), min(pair, key=lambda name: len(made_up(name)))
    message = refusal(save(tmp_path / "x.pth", first | second))
    assert f"read in the format of {TITLES[larger]}" in message
    assert "do not belong to it" in message
    assert next(iter(made_up(smaller))).split(".")[0] in message.partition("do not belong")[2]


@every_format
def test_a_prefix_that_is_not_of_data_parallel(tmp_path: Path, name: str) -> None:
    """As Lightning and others save it; which part of a larger file is meant, its owner has to say."""
    message = refusal(save(tmp_path / "x.pth", {f"net.{key}": value for key, value in made_up(name).items()}))
    assert f"looks like a checkpoint of {TITLES[name]}, with 'net.' before every name; save that part" in message


@pytest.mark.parametrize(
    ("names", "looks"),
    [
        (("backbone.conv1.weight", "neck.downsample2.downsample.0.weight", "head.box2.cls_conv.0.weight"), "SiamBAN"),
        (("backbone.conv1.weight", "car_head.cls_tower.0.weight"), "SiamCAR"),
        (("backbone.features.0.weight", "ban_head.bbox_pred.weight"), "NanoTrack"),
        (("conv1.weight", "layer1.0.conv1.weight", "fc.weight"), "tells classes of images"),  # torchvision's resnet50
        (("features.0.weight", "features.3.weight", "classifier.6.weight"), "tells classes of images"),  # and alexnet
    ],
)
def test_networks_that_are_not_known(tmp_path: Path, names: tuple[str, ...], looks: str) -> None:
    message = refusal(save(tmp_path / "x.pth", {name: torch.zeros(64, 3, 7, 7) for name in names}))
    assert "no checkpoint of a network that is known. It looks like " in message
    assert looks in message.partition("It looks like ")[2].partition(". It holds")[0]
    assert "Known are the formats of" in message


@pytest.mark.parametrize("names", [("a", "b.weight"), ("a",), ("a.b", "a.c"), ("a.b", "c.d")])
def test_what_looks_like_nothing(tmp_path: Path, names: tuple[str, ...]) -> None:
    message = refusal(save(tmp_path / "x.pth", {name: torch.zeros(3, 3) for name in names}))
    assert "no checkpoint of a network that is known. It holds" in message


def test_numbers_that_no_network_has(tmp_path: Path) -> None:
    content = made_up("dasiamrpn") | {"regress_adjust.weight": torch.zeros(40_000, 1, 1, 1)}
    message = refusal(save(tmp_path / "x.pth", content))
    assert "looks like a checkpoint of foolwood/DaSiamRPN" in message
    assert "anchors is 10000; expected 1 to 1000" in message


def test_a_layer_of_the_neck_is_missing(tmp_path: Path) -> None:
    content = {key: value for key, value in made_up("pysot-resnet50").items() if "downsample3.downsample.0" not in key}
    message = refusal(save(tmp_path / "x.pth", content))
    assert "used_layers (2, 3, 4)" in message
    assert "missing: neck.downsample3.downsample.0.weight" in message


def archive() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("SiamRPNVOT.model", "anything")
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<!DOCTYPE html><html><body>Download anyway?</body></html>", "it is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 362\n", "it is a pointer of Git LFS"),
        (archive(), "it is a ZIP archive that PyTorch did not write"),
        (b"", "its content is no PyTorch file"),
        (pickle.dumps({"a": [1, 2]}, protocol=2), "its content is no PyTorch file"),
        (pickle.dumps({"a": [1, 2]}), "its content is no PyTorch file"),
        (b"\x08\x07\x12\x07pytorch\x1a\x05" * 20, "its content is no PyTorch file"),  # ONNX begins so
        (b"\xff" * 7 + b"\0{}", "no readable checkpoint"),  # as safetensors begins, with an absurd length
    ],
)
def test_files_of_another_kind(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "x.pth"
    path.write_bytes(content)
    message = refusal(path)
    assert "no readable checkpoint" in message
    assert reason in message
    assert not any(word in message for word in ("weights_only", ".cc", "hasRecord", "pickle"))


def test_what_the_command_line_says(tmp_path: Path) -> None:
    """One message and exit code 3 for files; 2 for what was asked of a good one."""
    save(tmp_path / "ban.pth", {"head.box2.cls_conv.0.weight": torch.zeros(2)})
    save(tmp_path / "tracker.pth", made_up("pysot-mobilenetv2"))
    less: dict[str, Any] = made_up("siamdw")
    del less["features.features.layer1.0.conv1.weight"]
    save(tmp_path / "less.pth", less)
    for name, words in (("ban.pth", "SiamBAN"), ("less.pth", "researchmm/SiamDW")):
        refused(["convert", name, "--out", "w.safetensors"], MODEL, name, words, folder=tmp_path)
        refused(["export", name, "--out", "m"], MODEL, name, words, folder=tmp_path)
    start = ("train", "siamrpn-small", "--out", "run", "--data", "world", "--from")
    refused([*start, "less.pth"], MODEL, "less.pth", folder=tmp_path)
    refused([*start, "tracker.pth"], INPUT, "is a siamrpnpp, and the recipe trains the model siamrpn", folder=tmp_path)
    small = f"search_size={MOBILENET.template_size - 1}"
    refused(["export", "tracker.pth", "--out", "m", "--set", small], INPUT, "search_size is 126", folder=tmp_path)
    refused(["export", "tracker.pth", "--out", "m", "--set", "template_size=135"], INPUT, "built for 127", folder=tmp_path)
    refused(
        ["export", "tracker.pth", "--out", "m", "--set", "anchors.stride=16"],
        INPUT,
        "setting anchors.stride is 16",
        folder=tmp_path,
    )
