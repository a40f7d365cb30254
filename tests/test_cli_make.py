"""The commands that make a model: from a checkpoint to a tracker, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import INPUT, MODEL, OUTPUT, refused, render, run, scene, text_of

from siamtrack.library import open_model
from siamtrack.model_folder import read_model_folder

torch = pytest.importorskip("torch")


def test_from_a_checkpoint_to_boxes(tmp_path: Path) -> None:
    from siamtrack.models.siamfc import SiamFC, SiamFCNetworkSettings

    torch.manual_seed(0)
    network = SiamFC(SiamFCNetworkSettings(width=0.125))
    torch.save(network.state_dict(), tmp_path / "theirs.pth")
    (tmp_path / "card.md").write_text("Weights from [nowhere].\n", encoding="utf-8")
    ended = run("convert", "theirs.pth", "--out", "ours.safetensors", folder=tmp_path)
    assert ended.code == 0, ended.err
    assert "siamtrack export ours.safetensors" in ended.out
    command = ["export", "ours.safetensors", "--out", "mine", "--card", "card.md", "--licence", "MIT", "--set", "scales=1"]
    ended = run(*command, folder=tmp_path)
    assert ended.code == 0, ended.err
    assert "mine is complete" in ended.out
    description = read_model_folder(tmp_path / "mine").description
    assert (description.licence, description.settings["scales"]) == ("MIT", 1)
    assert "[nowhere]" in run("models", "--card", tmp_path / "mine").out
    clip = render(tmp_path / "clip.mp4", 3)
    assert run("track", clip, "--box", text_of(scene().box(0, 0)), "--model", "mine", folder=tmp_path).code == 0
    assert open_model(tmp_path / "mine").settings.scales == 1
    refused([*command, "--card", "none.md"], INPUT, "none.md", folder=tmp_path)


@pytest.fixture
def checkpoints(tmp_path: Path) -> Path:
    """A folder with checkpoints that cannot be used."""
    from siamtrack.models.siamfc import SiamFC

    values = SiamFC().state_dict()
    values["backbone.conv1.0.weight"][0, 0, 0, 0] = float("nan")
    torch.save(values, tmp_path / "nan.pth")
    del values["backbone.conv1.0.weight"]
    torch.save(values, tmp_path / "less.pth")
    (tmp_path / "garbage.pth").write_bytes(b"\x80garbage" * 99)
    return tmp_path


@pytest.mark.parametrize("name", ["nan.pth", "less.pth", "garbage.pth", "none.pth"])
def test_checkpoints(checkpoints: Path, name: str) -> None:
    refused(["convert", name, "--out", "w.safetensors"], MODEL, name, folder=checkpoints)
    refused(["export", name, "--out", "model"], MODEL, name, folder=checkpoints)
    assert not (checkpoints / "model").exists()


def test_outputs_of_convert_and_export(checkpoints: Path) -> None:
    (checkpoints / "file").write_text("x", encoding="utf-8")
    (checkpoints / "a.safetensors").write_bytes(b"x")
    refused(["convert", "nan.pth", "--out", "w.pth"], OUTPUT, "'.pth'", "w.safetensors", folder=checkpoints)
    refused(["convert", "nan.pth", "--out", "none/w.safetensors"], OUTPUT, "does not exist", folder=checkpoints)
    refused(["convert", "a.safetensors", "--out", "a.safetensors"], OUTPUT, "belongs to the source", folder=checkpoints)
    refused(["export", "nan.pth", "--out", "file"], OUTPUT, "'file'", folder=checkpoints)
    refused(["export", "nan.pth", "--out", "m", "--card", "none.md"], INPUT, "none.md", folder=checkpoints)
    refused(["export", "nan.pth", "--out", "m", "--card", "garbage.pth"], INPUT, "UTF-8", folder=checkpoints)
    refused(["export", "nan.pth", "--out", "m", "--int8", "none"], INPUT, "'none'", folder=checkpoints)


def test_training(tmp_path: Path) -> None:
    (tmp_path / "good.toml").write_text("pairs = 32\n", encoding="utf-8")
    (tmp_path / "bad.toml").write_text("pears = 32\n", encoding="utf-8")
    (tmp_path / "worse.toml").write_text("pairs =\n", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    out = ("--out", "run")
    refused(["train", "none.toml", "empty", *out], INPUT, "none.toml", folder=tmp_path)
    refused(["train", "bad.toml", "empty", *out], INPUT, "'pears'", "Did you mean 'pairs'", folder=tmp_path)
    refused(["train", "worse.toml", "empty", *out], INPUT, "no valid TOML", folder=tmp_path)
    refused(["train", "good.toml", "none", *out], INPUT, "'none'", "does not exist", folder=tmp_path)
    refused(["train", "good.toml", "empty", *out], INPUT, "empty", folder=tmp_path)
    refused(["train", "good.toml", "empty", *out, "--set", "pairs=x"], INPUT, "'pairs'", "expected int", folder=tmp_path)
    refused(["train", "good.toml", "empty", *out, "--teacher", "none.pth"], MODEL, "none.pth", folder=tmp_path)
    from siamtrack.models.siamfc import SiamFC, SiamFCNetworkSettings

    torch.save(SiamFC(SiamFCNetworkSettings(width=0.125)).state_dict(), tmp_path / "thin.pth")
    teach = ("train", "good.toml", "empty", *out, "--teacher", "thin.pth")
    refused([*teach], INPUT, "teacher_weight=0", folder=tmp_path)
    refused([*teach, "--set", "teacher_weight=1"], INPUT, "width 0.125", folder=tmp_path)
    refused(["train", "good.toml", "empty", *out, "--set", "teacher_weight=1"], INPUT, "no teacher", folder=tmp_path)
    refused(["train", "good.toml", "empty", *out, "--set", "clip_norm=-1"], INPUT, "clip_norm", folder=tmp_path)
    refused(["train", "good.toml", "empty", "--out", "good.toml"], OUTPUT, "is a file", folder=tmp_path)
    assert not (tmp_path / "run").exists()
