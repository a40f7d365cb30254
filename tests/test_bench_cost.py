"""What every model costs: counts against a network worked out by hand, times on every runtime, and the table of both."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from command_line import EXTRA, INPUT, INTERRUPTED, OUTPUT, refused, run
from torch import nn

from siamtrack import cost
from siamtrack.cost import EAGER, RUNTIMES, Cost, HeldTracker, costs, notes_on, table_of
from siamtrack.export import untrained
from siamtrack.export.untrained import Untrained, published_without_weights, random_network
from siamtrack.layers.folding import fold_batch_norm
from siamtrack.models.kinds import model_kind, model_kinds, published_networks
from siamtrack.models.operations import multiply_adds, parameter_count
from siamtrack.models.siamfc import SiamFC
from siamtrack.models.siamrpn import SiamRPNNetworkSettings
from siamtrack.models.siamrpnpp import LAYERS
from siamtrack.stages import STAGES, Timing

QUICK = ("--frames", 3, "--size", "320x240")
NARROW = {"width": 0.04, "search_size": 143}

# SiamFC (Bertinetto et al. 2016, table 1), layer by layer: weights of the kernels, and the side of the map that each makes
KERNELS = [96 * 3 * 11**2, 256 * 48 * 5**2, 384 * 256 * 3**2, 384 * 192 * 3**2, 256 * 192 * 3**2]
BIASES = 96 + 256 + 384 + 384 + 256
OF_127_PX = [59, 25, 10, 8, 6]
OF_255_PX = [123, 57, 26, 24, 22]
TEMPLATE = sum(weights * side**2 for weights, side in zip(KERNELS, OF_127_PX, strict=True))
PATCH = sum(weights * side**2 for weights, side in zip(KERNELS, OF_255_PX, strict=True)) + 256 * 6**2 * 22**2
PARAMETERS = sum(KERNELS) + BIASES + 1  # the bias of the response; its gain is not learnt


def test_counts_are_those_by_hand() -> None:
    with torch.device("meta"):  # shapes alone
        network = fold_batch_norm(SiamFC())
        templates = torch.zeros(1, 256, 6, 6)
        assert parameter_count(network) == PARAMETERS
        assert multiply_adds(lambda: network.embed(torch.zeros(1, 3, 127, 127))) == TEMPLATE
        assert multiply_adds(lambda: network.match(templates, torch.zeros(3, 3, 255, 255))) == 3 * PATCH


def test_what_is_counted() -> None:
    image = torch.zeros(1, 4, 7, 6)
    groups = nn.Conv2d(4, 6, 3, groups=2)
    with torch.inference_mode():
        assert multiply_adds(lambda: groups(image)) == (5 * 4) * 6 * 2 * 9, "no bias; a kernel sees the channels of its group"
        assert multiply_adds(lambda: torch.zeros(2, 3, 4) @ torch.zeros(2, 4, 5)) == 2 * 3 * 4 * 5
        assert multiply_adds(lambda: nn.functional.max_pool2d(image.relu() + 1, 2)) == 0


def test_every_published_network_is_there_once() -> None:
    found = published_without_weights()
    names = [name for one in found for name in one.names]
    known = {name: (kind, values) for kind in model_kinds() for name, values in published_networks(kind).items()}
    assert len(known) >= 21
    assert {kind for kind, _ in known.values()} == set(model_kinds()) - {"siamfc"}  # which comes along with its weights
    backbones = {model_kind(kind).settings(**values).backbone for kind, values in known.values() if kind == "siamrpnpp"}
    assert backbones == set(LAYERS)
    assert sorted(names) == sorted(known)
    assert len({(one.kind, one.settings) for one in found}) == len(found)
    for one in found:
        for name in one.names:
            kind, values = known[name]
            assert (kind, model_kind(kind).settings(**values)) == (one.kind, one.settings)


def test_random_weights_are_the_same_every_time() -> None:
    narrow = Untrained(names=("narrow",), kind="siamrpn", settings=SiamRPNNetworkSettings(**NARROW))
    before = torch.random.get_rng_state()
    first = random_network(narrow)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.rand(1)
    second = random_network(narrow)
    torch.random.set_rng_state(before)
    for name, value in second.state_dict().items():
        assert torch.equal(first.state_dict()[name], value), name
    assert not first.training


def test_targets_are_held() -> None:
    class Tracker:
        network = "its own"

        def start(self, frame: Any, boxes: Any) -> list[int]:
            return [0 for _ in boxes]

        def step(self, frame: Any, states: list[int]) -> tuple[list[int], list[str]]:
            return [state + 1 for state in states], [f"{self.network} in {frame}" for _ in states]

    tracker = Tracker()
    held: Any = HeldTracker(tracker)
    states = held.start("frame", ["box", "box"])
    assert held.step("frame 1", states) == ([0, 0], ["its own in frame 1"] * 2)
    held.network = "a timed one"
    assert held.step("frame 2", states) == ([0, 0], ["a timed one in frame 2"] * 2)
    assert tracker.network == "its own"


def test_an_embedded_model_on_every_runtime(tmp_path: Path) -> None:
    ended = run("bench", "--all", "--models", "SiamFC-1*", *QUICK, "--out", tmp_path / "cost.csv")
    assert ended.code == 0, ended.err
    assert "timing: siamfc-1s" in ended.err
    assert "medians over 3 frames" in ended.out
    with (tmp_path / "cost.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert row.pop("model") == "siamfc-1s"
    numbers = {name: float(text) for name, text in row.items()}
    assert numbers.pop("parameters, M") == PARAMETERS / 1e6
    assert numbers.pop("GMAC template") == TEMPLATE / 1e9
    assert numbers.pop("GMAC frame") == PATCH / 1e9, "one scale"
    for part in ("network", "step"):
        speed = numbers.pop(f"times as fast {part}")
        assert speed == pytest.approx(numbers[f"{EAGER} {part}"] / numbers[f"openvino auto {part}"])
    assert list(numbers) == [f"{name} {part}" for name in RUNTIMES for part in ("network", "step")]
    assert all(numbers[f"{name} step"] > numbers[f"{name} network"] > 0 for name in RUNTIMES)


@pytest.mark.slow
def test_a_published_network_is_built_and_exported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A narrow one, and one that has the same network under another name."""
    presets = {"narrow": NARROW, "narrow_otb": NARROW, "wide": {"width": 0.1}}
    monkeypatch.setattr(untrained, "published_networks", lambda kind: presets if kind == "siamrpn" else {})
    (found,) = costs("narrow*", frames=3, size="320x240")
    assert found.names == ("narrow", "narrow_otb")
    assert list(found.timings) == [name for name in RUNTIMES if "int8" not in name]
    assert all(timing.frames == 3 and timing.median("network") > 0 for timing in found.timings.values())
    network: Any = random_network(Untrained(names=("narrow",), kind="siamrpn", settings=SiamRPNNetworkSettings(**NARROW)))
    assert found.parameters == parameter_count(fold_batch_norm(network))
    with torch.inference_mode():
        templates = network.embed(torch.zeros(1, 3, 127, 127))
        assert found.template == multiply_adds(lambda: network.embed(torch.zeros(1, 3, 127, 127)))
        assert found.frame == multiply_adds(lambda: network.match(templates, torch.zeros(1, 3, 143, 143)))


def timing(network: float, rest: float = 1.0) -> Timing:
    """Of three frames; those around the middle one differ by 10 ms."""
    spent = {"read": 5.0, "crop": rest / 2, "network": network, "decide": rest / 2}
    return Timing({stage: [spent[stage] - 10, spent[stage], spent[stage] + 10] for stage in STAGES})


def measured() -> list[Cost]:
    runtimes = {name: timing(2.0) for name in RUNTIMES} | {EAGER: timing(17.0)}
    first = Cost(names=("a",), parameters=2_500_000, template=10**8, frame=3 * 10**9, timings=runtimes)
    float_only = {name: times for name, times in runtimes.items() if name != "openvino int8"}
    return [first, Cost(names=("b", "b_otb"), parameters=10**6, template=10**7, frame=10**8, timings=float_only)]


def test_the_table() -> None:
    table = table_of(measured())
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.texts]
    assert [row["model"] for row in rows] == ["a", "b", "b_otb"]
    assert [row["parameters, M"] for row in rows] == ["2.50", "1.00", "1.00"]
    assert (rows[0]["GMAC template"], rows[0]["GMAC frame"]) == ("0.100", "3.000")
    assert (rows[0]["torch float32 network"], rows[0]["torch float32 step"]) == ("17.00", "18.00")
    assert (rows[0]["times as fast network"], rows[0]["times as fast step"]) == ("8.5", "6.0")
    assert [row["openvino int8 network"] for row in rows] == ["2.00", "-", "-"]
    assert "openvino int8 step" not in table_of(measured()[1:]).columns, "no model has one"
    notes = notes_on(measured())
    assert "medians over 3 frames" in notes[1]
    assert notes[-1] == "Measured once, as they have the same network: b, b_otb."
    assert len(notes_on(measured()[:1])) == len(notes) - 1


def test_what_is_done_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(pattern: str, **how: Any) -> Iterator[Cost]:
        yield from measured()
        raise KeyboardInterrupt

    monkeypatch.setattr(cost, "costs", stopped)
    ended = run("bench", "--all", "--out", tmp_path / "cost.md")
    assert ended.code == INTERRUPTED
    lines = (tmp_path / "cost.md").read_text(encoding="utf-8").splitlines()
    assert [line.split("|")[1].strip() for line in lines] == ["model", "---", "a", "b", "b_otb"]
    printed = [line.split() for line in ended.out.splitlines()]
    assert next(line[:6] for line in printed if "b_otb" in line[:1]) == ["b_otb", "1.00", "0.010", "0.100", "17.00", "18.00"]


@pytest.mark.parametrize(
    ("arguments", "code", "parts"),
    [
        (["video.mp4", "--all", "--box=1,2,3,4"], INPUT, ["leave out VIDEO, --box"]),
        (["--all", "--model", "siamfc", "--targets", "1", "--set", "scales=1"], INPUT, ["--targets, --model, --set"]),
        (["--all", "--models", "siamfc-1x"], INPUT, ["'siamfc-1x'", "Did you mean 'siamfc-1s'"]),
        (["--all", "--size", "big"], INPUT, ["'big'", "1280x720"]),
        (["--all", "--out", "cost.txt"], OUTPUT, ["'cost.txt'", "cost.csv"]),
        (["--all", "--out", "nowhere/cost.csv"], OUTPUT, ["'nowhere'", "does not exist"]),
        (["--out", "cost.csv"], INPUT, ["--out", "--all"]),
        (["--models", "siamfc*"], INPUT, ["--models", "--all"]),
    ],
)
def test_refused(arguments: list[str], code: int, parts: list[str], tmp_path: Path) -> None:
    refused(["bench", *arguments], code, *parts, folder=tmp_path)


def test_without_torch_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: SimpleNamespace() if name != "torch" else None)
    refused(["bench", "--all"], EXTRA, "'torch'", "siamtrack[train]", folder=tmp_path)
