"""The commands that make a model: from a checkpoint to a tracker, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import INPUT, INTERRUPTED, MODEL, OUTPUT, refused, render, run, scene, text_of
from training_runs import draw_clips, draw_pictures

from siamtrack.library import open_model
from siamtrack.model_folder import read_model_folder

torch = pytest.importorskip("torch")


@pytest.mark.slow
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
    (checkpoints / "run").mkdir()
    refused(
        ["convert", "run", "--out", "w.safetensors"],
        MODEL,
        "'run' is a folder",
        "expected a checkpoint file",
        folder=checkpoints,
    )
    refused(["convert", "nan.pth", "--out", "w.pth"], OUTPUT, "'.pth'", "w.safetensors", folder=checkpoints)
    refused(["convert", "nan.pth", "--out", "none/w.safetensors"], OUTPUT, "does not exist", folder=checkpoints)
    refused(["convert", "a.safetensors", "--out", "a.safetensors"], OUTPUT, "belongs to the source", folder=checkpoints)
    refused(["export", "nan.pth", "--out", "file"], OUTPUT, "'file'", folder=checkpoints)
    refused(["export", "nan.pth", "--out", "m", "--card", "none.md"], INPUT, "none.md", folder=checkpoints)
    refused(["export", "nan.pth", "--out", "m", "--card", "garbage.pth"], INPUT, "UTF-8", folder=checkpoints)
    refused(["export", "nan.pth", "--out", "m", "--int8", "none"], INPUT, "'none'", folder=checkpoints)


def test_training_that_cannot_begin(tmp_path: Path) -> None:
    (tmp_path / "good.toml").write_text("epochs = 2\npairs_per_epoch = 32\n", encoding="utf-8")
    (tmp_path / "bad.toml").write_text("epoch = 32\n", encoding="utf-8")
    (tmp_path / "worse.toml").write_text("epochs =\n", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    rest = ("--out", "run", "--data", "pictures=empty")
    refused(["train", "siamfc-papr", *rest], INPUT, "Did you mean 'siamfc-paper'", folder=tmp_path)
    refused(["train", "bad.toml", *rest], INPUT, "'epoch'", "Did you mean 'epochs'", folder=tmp_path)
    refused(["train", "worse.toml", *rest], INPUT, "no valid TOML", folder=tmp_path)
    refused(["train", "good.toml", *rest], INPUT, "No still images", folder=tmp_path)
    refused(["train", "good.toml", *rest, "--set", "epochs=x"], INPUT, "'epochs'", "expected a whole number", folder=tmp_path)
    refused(["train", "good.toml", *rest, "--teacher", "none.pth"], MODEL, "none.pth", folder=tmp_path)
    refused(["train", "good.toml", *rest, "--from", "none.pth"], MODEL, "none.pth", folder=tmp_path)
    refused(["train", "good.toml", *rest, "--from", "siamcf"], MODEL, "Did you mean 'siamfc'", folder=tmp_path)
    refused(["train", "good.toml", *rest, "--from", "siamfc"], INPUT, "--set batch_norm=frozen", folder=tmp_path)
    for place, words in (("empty", "NAME=PATH"), ("got10=empty", "'got10k'"), ("got10k=none", "does not exist")):
        refused(["train", "good.toml", "--out", "run", "--data", place], INPUT, words, folder=tmp_path)
    for name in ("got10k", "lasot", "coco", "folder", "imagenet_vid", "youtube_vos"):
        refused(["train", "good.toml", "--out", "run", "--data", f"{name}=empty"], INPUT, "empty", folder=tmp_path)
    from siamtrack.models.siamfc import SiamFC, SiamFCNetworkSettings

    torch.save(SiamFC(SiamFCNetworkSettings(width=0.125)).state_dict(), tmp_path / "thin.pth")
    teach = ("train", "good.toml", *rest, "--teacher", "thin.pth")
    refused([*teach], INPUT, "teacher_weight=0", folder=tmp_path)
    refused(["train", "good.toml", *rest, "--from", "thin.pth"], INPUT, "width 0.125", folder=tmp_path)
    refused(["train", "good.toml", *rest, "--set", "teacher_weight=1"], INPUT, "no teacher", folder=tmp_path)
    refused(["train", "good.toml", *rest, "--set", "clip_norm=-1"], INPUT, "clip_norm", folder=tmp_path)
    refused(["train", "good.toml", *rest[2:], "--out", "good.toml"], OUTPUT, "is a file", folder=tmp_path)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("rank", [0, 1])
def test_ctrl_c_says_how_a_training_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rank: int) -> None:
    """Once, however many processes train together."""

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("siamtrack.training.loop.train", stopped)
    monkeypatch.setenv("RANK", str(rank))
    ended = run("train", "siamfc-modern", "--data", "world", "--out", "run", folder=tmp_path)
    told = "The same command goes on from the last checkpoint in run, or begins where there is none."
    first = ("world: built-in textures and shapes\n", f"Stopped by Ctrl-C. {told}\n")
    assert (ended.code, ended.out, ended.err) == (INTERRUPTED, *(("", "") if rank else first))


TINY = ("network.width=0.05", "network.template_size=95", "network.search_size=127", "sampling.crop_size=191")
SHORT = (*TINY, "epochs=1", "pairs_per_epoch=8", "batch_size=4", "validation_pairs=4", "precision=float32", "log_steps=1")


def settings(*texts: str) -> list[str]:
    return [part for text in texts for part in ("--set", text)]


def test_from_crops_and_pictures_to_a_model(tmp_path: Path) -> None:
    """By the command line alone; a second run with the same line changes nothing, one with another recipe is refused."""
    draw_clips(tmp_path / "clips")
    draw_pictures(tmp_path / "pictures")
    ended = run("data", "crop", "clips", "--out", "crops", "--size", 191, "--template-size", 95, folder=tmp_path)
    assert ended.code == 0, ended.err
    data = ("--data", "folder=crops", "--data", "pictures=pictures")
    shown = ("data", "show", "siamfc-modern", *data, *settings(*TINY), "--out", "pairs.png")
    ended = run(*shown, "--pairs", 4, folder=tmp_path)
    assert (ended.code, "4 pairs in pairs.png" in ended.out) == (0, True), ended.err
    ended = run(*shown, "--augmentation", "each", "--validation", folder=tmp_path)
    assert "30 pairs in pairs.png" in ended.out, ended.err
    refused([*shown, "--augmentation", "blurr"], INPUT, "Did you mean 'blur'", folder=tmp_path)
    refused([*shown[:-1], "pairs.mp4"], OUTPUT, "'.mp4'", folder=tmp_path)
    train = ("train", "siamfc-modern", *data, "--out", "run", "--workers", 0, *settings(*SHORT))
    ended = run(*train, folder=tmp_path)
    assert ended.code == 0, ended.err
    assert "folder: 6 clips\npictures: 20 stills, 1 cut-outs, 0 tracks\n" in ended.out
    assert "the last step" in ended.out
    assert "epoch 1 of 1: loss" in ended.err
    before = (tmp_path / "run" / "weights.safetensors").read_bytes()
    assert run(*train, folder=tmp_path).code == 0
    assert (tmp_path / "run" / "weights.safetensors").read_bytes() == before
    ended = run(*train, "--set", "seed=5", folder=tmp_path)
    assert (ended.code, "other settings (seed)" in ended.err) == (6, True)
    ended = run(*train, "--set", "sampling.crop_size=199", folder=tmp_path)
    assert (ended.code, "were cut with 191 px" in ended.err) == (INPUT, True)
    ended = run(*train[:3], "got10k=crops", *train[4:], folder=tmp_path)
    assert (ended.code, "are of 'folder', not 'got10k'" in ended.err) == (INPUT, True)
    assert run("export", "run", "--out", "model", folder=tmp_path).code == 0
    assert open_model(tmp_path / "model").settings.template_size == 95
