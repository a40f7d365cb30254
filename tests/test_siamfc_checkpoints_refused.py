"""What is no checkpoint of SiamFC, or a damaged one, is refused with what is wrong."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoint_files import blocks, matconvnet, random_network, save, save_matconvnet
from safetensors.torch import save_file

from siamtrack.errors import MissingExtraError, WeightsError
from siamtrack.models.checkpoints import read_checkpoint


def refusal(path: Path) -> str:
    with pytest.raises(WeightsError) as error:
        read_checkpoint(path)
    message = str(error.value)
    assert str(path) in message
    assert len(message) < 1500
    return message


def test_missing_unexpected_and_wrong_ones_are_named_at_once(tmp_path: Path) -> None:
    content: dict[str, Any] = blocks(random_network())
    del content["backbone.conv2.0.bias"], content["backbone.conv1.1.running_mean"]
    content["backbone.conv6.0.weight"] = torch.zeros(1)
    content["backbone.conv4.0.weight"] = torch.zeros(38, 19, 3, 5)
    content["backbone.conv3.1.bias"] = content["backbone.conv3.1.bias"].clone().fill_(torch.nan)
    content["backbone.conv4.1.weight"] = 3
    content["backbone.conv2.1.running_var"] = -content["backbone.conv2.1.running_var"]
    message = refusal(save(tmp_path / "x.pth", content))
    assert "missing: backbone.conv2.0.bias, backbone.conv1.1.running_mean;" in message
    assert "do not belong to it: backbone.conv6.0.weight;" in message
    assert re.search(r"wrong shape: backbone\.conv4\.0\.weight is \(38, 19, 3, 5\), not \(38, \d+, 3, 3\);", message)
    assert "not finite in float32: backbone.conv3.1.bias;" in message
    assert "no arrays of floating-point numbers: backbone.conv4.1.weight;" in message
    assert "negative variance or deviation: backbone.conv2.1.running_var." in message


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 1e300])
def test_values_that_are_not_finite(tmp_path: Path, value: float) -> None:
    content = {name: value.double() for name, value in random_network().state_dict().items()}
    content["backbone.conv5.0.weight"][0, 0, 0, 0] = value
    assert "not finite in float32: backbone.conv5.0.weight" in refusal(save(tmp_path / "x.pth", content))


def test_many_names_are_summed_up(tmp_path: Path) -> None:
    content = {f"extra.{n}.weight": torch.zeros(1) for n in range(500)} | blocks(random_network())
    assert "extra.0.weight and 499 more extra.*" in refusal(save(tmp_path / "x.pth", content))
    content = {f"kind{n}.weight": torch.zeros(1) for n in range(500)}
    assert "and 492 more kinds" in refusal(save(tmp_path / "x.pth", content))


def test_our_weights_without_gain_or_bias(tmp_path: Path) -> None:
    for name in ("gain", "bias"):
        content = random_network().state_dict()
        del content[name]
        assert f"missing: {name}" in refusal(save(tmp_path / "x.pth", content))


def test_layers_that_fit_no_common_width(tmp_path: Path) -> None:
    content = blocks(random_network())  # the CFNet-like AlexNetV2 has another last layer
    content |= {"backbone.conv5.0.weight": torch.zeros(4, 19, 3, 3), "backbone.conv5.0.bias": torch.zeros(4)}
    message = refusal(save(tmp_path / "x.pth", content))
    assert "backbone.conv5.0.weight is (4, 19, 3, 3), not (256, " in message
    assert "conv1" not in message.split("Give")[0]


def test_a_name_twice(tmp_path: Path) -> None:
    content = blocks(random_network())
    content["module.backbone.conv1.0.bias"] = torch.zeros(10)
    assert "twice" in refusal(save(tmp_path / "x.pth", content))


class Intruder:
    """What a malicious checkpoint holds: unpickling it runs a command."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


def test_a_checkpoint_that_would_run_code(tmp_path: Path) -> None:
    content = {"state_dict": blocks(random_network()), "args": Intruder(f"touch {tmp_path / 'ran'}")}
    message = refusal(save(tmp_path / "x.pth", content))
    assert "refused" in message
    assert re.search(r"\((posix|nt)\.system\)", message)
    assert not (tmp_path / "ran").exists()


def test_a_whole_network_pickled(tmp_path: Path) -> None:
    message = refusal(save(tmp_path / "x.pth", random_network()))
    assert "refused" in message
    assert "siamtrack.models.siamfc.SiamFC" in message


@pytest.mark.parametrize("content", [b"", b"<html>404 Not Found</html>", b"hello world, hello world", bytes(range(256)) * 8])
def test_files_that_are_no_checkpoints(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.pth"
    path.write_bytes(content)
    message = refusal(path)
    assert "no readable checkpoint" in message
    assert "weights_only" not in message  # PyTorch's own advice is to load it unsafely


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path / "absent.pth")
    assert "is a folder; expected a checkpoint file" in refusal(tmp_path)


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.99])
def test_truncated_files(tmp_path: Path, share: float) -> None:
    network = random_network()
    save(tmp_path / "a.pth", blocks(network))
    save(tmp_path / "b.pth", blocks(network), _use_new_zipfile_serialization=False)
    save_file(network.state_dict(), tmp_path / "c.safetensors")
    save_matconvnet(tmp_path / "d.mat", matconvnet(network))
    for path in sorted(tmp_path.iterdir()):
        content = path.read_bytes()
        path.write_bytes(content[: round(share * len(content))])
        assert "readable" in refusal(path)


@pytest.mark.parametrize("content", [[1, 2], torch.zeros(3), "text", 5])
def test_a_torch_file_with_something_else(tmp_path: Path, content: object) -> None:
    assert "expected a state dict" in refusal(save(tmp_path / "x.pth", content))


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, {"weights": {"conv1.weight": torch.zeros(1)}}])
def test_a_torch_file_without_parameters(tmp_path: Path, content: object) -> None:
    assert "no parameters" in refusal(save(tmp_path / "x.pth", content))


def test_a_matlab_file_of_another_kind(tmp_path: Path) -> None:
    scipy_io = pytest.importorskip("scipy.io")
    scipy_io.savemat(tmp_path / "x.mat", {"boxes": np.zeros(4)})
    assert "no readable MatConvNet network" in refusal(tmp_path / "x.mat")
    (tmp_path / "y.mat").write_bytes(b"MATLAB 7.3 MAT-file, Platform: GLNXA64" + bytes(500))
    assert "MATLAB 7.3" in refusal(tmp_path / "y.mat")


def test_a_matconvnet_network_with_other_parameters(tmp_path: Path) -> None:
    values = matconvnet(random_network())
    del values["bn2x"]
    values |= {"conv1b": np.zeros((7, 1)), "fin_adjust_bnm": np.ones((1, 1)), "bn1x": -values["bn1x"], "bn3x": np.ones((38, 3))}
    values["conv4f"], values["conv5b"] = np.zeros((3, 3)), "text"
    message = refusal(save_matconvnet(tmp_path / "x.mat", values))
    assert "missing: bn2x(:,1), bn2x(:,2)" in message
    assert "do not belong to it: fin_adjust_bnm" in message
    assert "conv1b is (7,), not (10,)" in message
    assert "bn3x(:,2) is (38, 3), not (38,)" in message
    assert "conv4f is (3, 3), not " in message
    assert "no arrays of floating-point numbers: conv5b" in message
    assert "negative variance or deviation: bn1x(:,2)" in message


def test_a_matconvnet_network_without_scipy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_matconvnet(tmp_path / "x.mat", matconvnet(random_network()))
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(MissingExtraError, match=r"scipy.*siamtrack\[train\]"):
        read_checkpoint(path)
