"""What a run tells: held-out pairs, held-out videos, TensorBoard, curves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from training_runs import RECIPE, draw_clips, draw_pictures, of_pictures, rows, stop_after

from siamtrack.errors import SettingsError
from siamtrack.models.siamfc import SiamFC, SiamFCNetworkSettings
from siamtrack.synthetic.pairs import PairSettings
from siamtrack.training.clip_pairs import SamplingSettings, part
from siamtrack.training.loop import train
from siamtrack.training.objective import Objective
from siamtrack.training.score_pictures import score_colours, score_picture
from siamtrack.training.sources import open_data
from siamtrack.training.tracking_validation import TrackingValidation
from siamtrack.training.validation import Validation

CPU = torch.device("cpu")


def test_validation_is_the_same_every_time_and_leaves_the_network_as_it_was(tmp_path: Path) -> None:
    data = of_pictures(draw_pictures(tmp_path / "pictures"))
    recipe = replace(RECIPE, validation_pairs=8)
    torch.manual_seed(0)
    network = SiamFC(recipe.network).train()
    network.backbone.conv1[1].eval()  # a frozen one stays so
    before = {name: value.clone() for name, value in network.state_dict().items()}
    validation = Validation(recipe, data)
    first, pictures = validation.measure(Objective(network, recipe, None), CPU)
    second, _ = Validation(recipe, data).measure(Objective(network, recipe, None), CPU)
    assert first == second
    assert 0 <= first["validation_accuracy"] <= 1
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert network.training
    assert network.backbone.conv2[1].training
    assert not network.backbone.conv1[1].training
    assert len(pictures) == 4


def test_nothing_held_out_is_no_error(tmp_path: Path) -> None:
    material = draw_pictures(tmp_path / "pictures")
    assert not material.part("validation").cutouts
    pasted = replace(RECIPE, epochs=1, pictures=PairSettings(warp_share=0, paste_share=1, track_share=0, max_shift=12.0))
    train(pasted, of_pictures(material), tmp_path / "run", workers=0)
    assert {row["validation_loss"] for row in rows(tmp_path / "run")} == {""}


def test_held_out_clips_that_cannot_be_used_do_not_end_a_run(tmp_path: Path) -> None:
    folder = draw_clips(tmp_path / "clips")
    (held_out,) = part([f"clip{number}" for number in range(6)], "validation", 0.1)
    boxes = folder / held_out / "groundtruth.txt"
    whole = boxes.read_text()
    for number, text in enumerate(("10,10,4,4\n" * 5, "10,10,4,4,nonsense\n" * 5, whole)):
        boxes.write_text(text)
        if text is whole:
            for path in (folder / held_out / "img").iterdir():
                path.write_bytes(b"no picture")
        run = tmp_path / f"run{number}"
        data = open_data([("folder", folder)], RECIPE.crops)
        train(RECIPE, data, run, workers=0)
        assert {row["validation_loss"] for row in rows(run)} == {""}
        with pytest.raises(SettingsError, match="nothing is held out"):
            train(replace(RECIPE, select="best"), data, tmp_path / f"best{number}", workers=0)


def test_boxes_outside_the_frame_do_not_end_the_tracking_of_held_out_videos(tmp_path: Path) -> None:
    folder = draw_clips(tmp_path / "clips", clips=2)
    (held_out,) = part(["clip0", "clip1"], "validation", 0.1)
    boxes = folder / held_out / "groundtruth.txt"
    boxes.write_text("\n".join(["9000,9000,40,40", *boxes.read_text().splitlines()[1:]]))
    recipe = replace(RECIPE, tracking_clips=1, validation_pairs=0)
    tracking = TrackingValidation(recipe, open_data([("folder", folder)], recipe.crops))
    assert 0 <= tracking.measure(SiamFC(replace(recipe.network, template_size=127, search_size=255)), CPU) <= 1


def test_held_out_videos_are_tracked(tmp_path: Path) -> None:
    """A network that matches colours follows a drawn target; one of zeros stays where it is and falls behind."""
    draw_clips(tmp_path / "clips", clips=4, frames=12)
    sampling = SamplingSettings(validation_share=0.5)
    recipe = replace(RECIPE, tracking_clips=2, network=SiamFCNetworkSettings(width=0.25), validation_pairs=0, sampling=sampling)
    data = open_data([("folder", tmp_path / "clips")], recipe.crops)
    tracking = TrackingValidation(recipe, data)
    torch.manual_seed(0)
    random = SiamFC(recipe.network).eval()
    dead = SiamFC(recipe.network).eval()
    for value in dead.parameters():
        torch.nn.init.zeros_(value)
    found = [tracking.measure(network, CPU) for network in (random, dead)]
    assert found[0] > found[1] + 0.05
    assert found == [tracking.measure(network, CPU) for network in (random, dead)]


def test_a_run_logs_what_tracking_found(tmp_path: Path) -> None:
    draw_clips(tmp_path / "clips")
    recipe = replace(RECIPE, tracking_clips=1)
    train(recipe, open_data([("folder", tmp_path / "clips")], recipe.crops), tmp_path / "run", workers=0)
    found = [row["tracking_auc"] for row in rows(tmp_path / "run")]
    assert [text == "" for text in found] == [True, True, False, True, True, False]
    assert all(0 <= float(text) <= 1 for text in found if text)
    pictures = of_pictures(draw_pictures(tmp_path / "pictures"))
    with pytest.raises(SettingsError, match="no held-out video has frames at hand"):
        train(recipe, pictures, tmp_path / "other", workers=0)


def test_tensorboard_and_curves_hold_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = of_pictures(draw_pictures(tmp_path / "pictures"))
    with monkeypatch.context() as patch:
        stop_after(patch, 5)
        with pytest.raises(KeyboardInterrupt):
            train(RECIPE, data, tmp_path / "run", workers=0)
    train(RECIPE, data, tmp_path / "run", workers=0)
    board = EventAccumulator(str(tmp_path / "run" / "tensorboard"), size_guidance={"images": 0})
    board.Reload()
    logged = rows(tmp_path / "run")
    assert [event.step for event in board.Scalars("training/loss")] == [1, 2, 3, 4, 5, 6]  # though it was stopped after 5
    for tag, column in (("training/loss", "loss"), ("validation/loss", "validation_loss")):
        expected = [float(row[column]) for row in logged if row[column]]
        assert [event.value for event in board.Scalars(tag)] == pytest.approx(expected, rel=1e-4)
    (picture, _) = board.Images("held-out pair 0")
    decoded = cv2.imdecode(np.frombuffer(picture.encoded_image_string, np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == (127, 95 + 8 + 127 + 8 + 127, 3)
    curves = cv2.imread(str(tmp_path / "run" / "curves.png"))
    assert curves.shape[1] > 1000
    assert len(np.unique(curves.reshape(-1, 3), axis=0)) > 20


def test_scores_are_red_above_zero_and_blue_below() -> None:
    red, white, blue = score_colours(np.array([[2.0, 0.0, -1.0]], np.float32))[0].astype(int)
    assert red[0] > red[2] + 100
    assert blue[2] > blue[0] + 50
    assert (white == 255).all()
    assert (score_colours(np.zeros((2, 2), np.float32)) == 255).all()
    template, search = np.full((95, 95, 3), 10, np.uint8), np.full((127, 127, 3), 20, np.uint8)
    picture = score_picture(template, search, np.array([[1.0, -1], [-1, -1]], np.float32))
    assert (picture[20:100, 20:80] == 10).all()
    assert (picture[:, 95 + 8 : 95 + 8 + 127] == 20).all()
    assert picture[5, -120, 0] > picture[5, -120, 2]
    assert picture[5, -5, 0] < picture[5, -5, 2]
