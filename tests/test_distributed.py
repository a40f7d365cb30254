"""Two processes that train together: they learn what one learns, and they stop together."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as processes
from training_runs import RECIPE, draw_clips, parameters, rows, same

from siamtrack.errors import SettingsError, TrainingError
from siamtrack.layers import losses
from siamtrack.training.checkpoint import last_checkpoint
from siamtrack.training.distributed import joined
from siamtrack.training.loop import train
from siamtrack.training.recipe import Recipe
from siamtrack.training.sources import open_data

TOGETHER = replace(RECIPE, optimizer="sgd", learning_rate=1e-2, clip_norm=1.0, epochs=3)


def _train(rank: int, port: int, recipe: Recipe, clips: Path, run: Path, poisoned: int | None) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    right = losses.balanced_logistic_loss
    calls = []

    def poison(responses: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return right(responses, targets) * (float("nan") if rank == poisoned and len(calls) == 3 else 1)

    losses.LOSSES["logistic"] = poison  # type: ignore[index]
    data = open_data([("folder", Path(str(clips).format(rank=rank)))], recipe.crops)
    run.mkdir(exist_ok=True)
    try:
        train(recipe, data, run, workers=0)
        (run / f"rank{rank}").write_text("done")
    except TrainingError as error:
        (run / f"rank{rank}").write_text(str(error))


def in_two_processes(recipe: Recipe, clips: Path, run: Path, poisoned: int | None = None) -> list[str]:
    """How each of them ended."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    processes.spawn(_train, (port, recipe, clips, run, poisoned), nprocs=2)  # type: ignore[no-untyped-call]
    return [(run / f"rank{rank}").read_text() for rank in (0, 1)]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_clips(tmp_path_factory.mktemp("clips"))


@pytest.mark.parametrize("accumulation", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_two_processes_learn_what_one_learns(tmp_path: Path, clips: Path, accumulation: int) -> None:
    """The same curve as one process with the whole batch, batch norm, clipping and validation included, and the same weights,
    also when some layers begin later and a batch has parts; but for the order in which float32 numbers are added.
    """
    recipe = replace(TOGETHER, first_epoch={"backbone.conv1": 1.0}, ema_decay=0.9, accumulation=accumulation)
    assert in_two_processes(recipe, clips, tmp_path / "two") == ["done", "done"]
    train(recipe, open_data([("folder", clips)], recipe.crops), tmp_path / "one", workers=0)
    columns = ("loss", "gradient_norm", "validation_loss")
    for two, one in zip(rows(tmp_path / "two", *columns), rows(tmp_path / "one", *columns), strict=True):
        for name in columns:
            assert bool(two[name]) == bool(one[name])
            assert float(two[name] or 0) == pytest.approx(float(one[name] or 0), rel=2e-3), name
    for name, value in parameters(tmp_path / "one").items():
        assert torch.allclose(value.float(), parameters(tmp_path / "two")[name].float(), atol=2e-3, rtol=1e-2), name


@pytest.mark.parametrize("poisoned", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_both_stop_when_one_has_a_loss_that_is_not_finite(tmp_path: Path, clips: Path, poisoned: int) -> None:
    """And go on together, to the last bit as if nothing had been."""
    recipe = replace(TOGETHER, validation_pairs=0, checkpoint_steps=1, epochs=2)
    stopped, straight = tmp_path / "stopped", tmp_path / "straight"
    ends = in_two_processes(recipe, clips, stopped, poisoned)
    assert all("loss is nan" in end and "at step 2" in end for end in ends)
    assert [path.name for path in stopped.glob("bad_batch*")] == [f"bad_batch-rank{poisoned}.pt"]
    assert f"bad_batch-rank{poisoned}.pt" in ends[poisoned]
    assert "another process has the batch" in ends[1 - poisoned]
    last = last_checkpoint(stopped)
    assert last is not None
    assert last.name == "step-000000002.pt"
    if poisoned == 0:
        for run in (stopped, straight):
            assert in_two_processes(recipe, clips, run) == ["done", "done"]
        assert same(parameters(stopped), parameters(straight))


def test_processes_that_see_other_data_stop_at_once(tmp_path: Path, clips: Path) -> None:
    (tmp_path / "clips1").symlink_to(draw_clips(tmp_path / "fewer", clips=3))
    (tmp_path / "clips0").symlink_to(clips)
    ends = in_two_processes(TOGETHER, tmp_path / "clips{rank}", tmp_path / "run")
    assert all("do not agree" in end for end in ends)


def test_a_device_that_is_not_there_is_refused() -> None:
    for device in ("nowhere", "cuda:77"):
        with pytest.raises(SettingsError, match=f"cannot train on '{device}'"), joined(device):
            raise AssertionError
