"""`siamtrack export --preset`: which published configuration goes with which network, and what the model folder then says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoint_files import save
from command_line import INPUT, refused
from made_up_checkpoints import made_up

from siamtrack.errors import SettingsError
from siamtrack.export import checkpoint as export
from siamtrack.export.checkpoint import export_checkpoint
from siamtrack.model_folder import Description
from siamtrack.models.kinds import model_kind, model_kinds, published_procedures
from siamtrack.trackers import rpn

BENCHMARKS = ("OTB2013", "OTB2015", "VOT2015", "VOT2016", "VOT2017")
PRESETS: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {  # kind, settings that differ, presets of that network
    "ResNet-50": (
        "siamrpnpp",
        {},
        ("siamrpn_r50_l234_dwxcorr", "siamrpn_r50_l234_dwxcorr_8gpu", "siamrpn_r50_l234_dwxcorr_16gpu"),
    ),
    "ResNet-50, mean": (
        "siamrpnpp",
        {"weighted": False},
        ("siamrpn_r50_l234_dwxcorr_otb", "siamrpn_r50_l234_dwxcorr_otb_8gpu"),
    ),
    "MobileNetV2": (
        "siamrpnpp",
        {"backbone": "mobilenetv2", "width": 1.4, "used_layers": (3, 5, 7), "weighted": False},
        ("siamrpn_mobilev2_l234_dwxcorr",),
    ),
    "AlexNet, depth-wise": (
        "siamrpn",
        {"head": "depthwise"},
        ("siamrpn_alex_dwxcorr", "siamrpn_alex_dwxcorr_16gpu", "siamrpn_alex_dwxcorr_otb"),
    ),
    "AlexNet": ("siamrpn", {}, ("SiamRPNvot", "SiamRPNotb", "DaSiamRPN")),
    "AlexNet, wide": ("siamrpn", {"width": 2.0}, ("SiamRPNBIG",)),
    "CIResNet22": ("siamdw", {}, tuple(f"SiamFCRes22_{name}" for name in BENCHMARKS)),
    "CIResInception22": (
        "siamdw",
        {"backbone": "CIResInception22"},
        tuple(f"SiamFCIncep22_{name}" for name in BENCHMARKS),
    ),
    "CIResNeXt22": ("siamdw", {"backbone": "CIResNeXt22"}, tuple(f"SiamFCNext22_{name}" for name in BENCHMARKS)),
    "CIResNet22, anchors": ("siamdw", {"head": "siamrpn"}, tuple(f"SiamRPNRes22_{name}" for name in BENCHMARKS)),
    "long-term": ("siamrpnpp", {"neck_channels": (128, 256, 512)}, ("siamrpn_r50_l234_dwxcorr_lt",)),
    "SiamMask": ("siammask", {}, ("siammask_r50_l3", "SiamMask_DAVIS", "SiamMask_VOT", "SiamMask_VOT18")),
    "NanoTrack": ("nanotrack", {}, ("nanotrackv3",)),
    "CIResNet22W": ("siamdw", {"backbone": "CIResNet22W"}, ()),
    "ResNet-18": ("siamrpnpp", {"backbone": "resnet18"}, ()),
    "NanoTrack, masks": ("nanotrack", {"masks": True}, ()),
}
ALL = sorted(preset for _, _, presets in PRESETS.values() for preset in presets)


@pytest.fixture
def described(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What `export_checkpoint` would write for a network and a preset, without parameters and graphs."""

    def of(name: str, preset: str, *overrides: str) -> Description:
        kind, settings, _ = PRESETS[name]
        with torch.device("meta"):
            network = model_kind(kind).build(model_kind(kind).settings(**settings))
        found: list[Description] = []
        monkeypatch.setattr(export, "read_checkpoint", lambda path: network)
        monkeypatch.setattr(export, "export_model", lambda network, folder, description: found.append(description))
        export_checkpoint(Path("x.pth"), Path("model"), licence="", card="", preset=preset, overrides=overrides)
        assert (found[0].network["template_size"], found[0].network["search_size"]) == (
            found[0].settings["template_size"],
            found[0].settings["search_size"],
        )
        return found[0]

    return of


def test_every_published_procedure_is_named_here() -> None:
    assert sorted({*rpn.PRESETS, *(name for kind in model_kinds() for name in published_procedures(kind))}) == ALL


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_goes_with_its_own_network_alone(described: Any, name: str) -> None:
    """All against all: a SiamDW checkpoint with a preset of SiamRPN, ResNet-50 with that of MobileNetV2, and so on."""
    accepted, refusals = [], []
    for preset in ALL:
        try:
            described(name, preset)
            accepted.append(preset)
        except SettingsError as error:
            refusals.append((preset, str(error)))
    assert all(f"'{preset}' is of " in message for preset, message in refusals)
    assert accepted == sorted(PRESETS[name][2])


@pytest.mark.parametrize(
    ("name", "preset", "expected"),
    [
        (
            "ResNet-50",
            "siamrpn_r50_l234_dwxcorr",
            {"penalty_k": 0.05, "window_influence": 0.42, "lr": 0.38, "search_size": 255},
        ),
        ("AlexNet, depth-wise", "siamrpn_alex_dwxcorr", {"penalty_k": 0.16, "lr": 0.30, "search_size": 287}),
        ("AlexNet, wide", "SiamRPNBIG", {"search_size": 271, "small_share": 0.004, "small_search_size": 287, "lr": 0.295}),
        ("CIResNet22", "SiamFCRes22_VOT2017", {"scale_step": 1.1466, "scale_damping": 0.2061, "search_size": 255}),
        ("CIResInception22", "SiamFCIncep22_OTB2013", {"scale_step": 1.1767, "template_size": 135, "search_size": 263}),
        ("NanoTrack", "nanotrackv3", {"penalty_k": 0.138, "window_influence": 0.455, "lr": 0.348, "search_size": 255}),
        ("CIResNet22, anchors", "SiamRPNRes22_VOT2017", {"penalty_k": 0.038, "search_size": 271, "small_share": 0.004}),
    ],
)
def test_settings_in_the_model_folder(described: Any, name: str, preset: str, expected: dict[str, float]) -> None:
    settings = described(name, preset).settings
    assert {key: settings[key] for key in expected} == expected


def test_what_is_set_by_hand_is_stronger(described: Any) -> None:
    settings = described("AlexNet", "SiamRPNvot", "lr=0.1").settings
    assert (settings["lr"], settings["penalty_k"], settings["search_size"]) == (0.1, 0.04, 271)


@pytest.mark.parametrize(
    ("name", "preset", "message"),
    [
        ("CIResNet22", "SiamRPNvot", "'SiamRPNvot' is of the network siamrpn; the checkpoint holds siamdw"),
        ("AlexNet", "SiamRPNBIG", "is of a network with width 2.0; that of the checkpoint has width 1.0"),
        ("AlexNet", "siamrpn_alex_dwxcorr", "with head depthwise; that of the checkpoint has head up-channel"),
        ("AlexNet", "SiamRPNvott", "Unknown preset 'SiamRPNvott' of siamrpn. Did you mean 'SiamRPNvot'"),
        ("CIResNet22", "SiamFCRes22", "but those for benchmarks: SiamFCRes22_OTB2013, SiamFCRes22_OTB2015"),
        ("CIResNet22W", "SiamFCRes22W", "export without --preset"),
        ("ResNet-18", "siamrpn_r18_l234_dwxcorr", "export without --preset"),
        ("NanoTrack, masks", "nanotrackv3", "with masks False; that of the checkpoint has masks True"),
    ],
)
def test_refused(described: Any, name: str, preset: str, message: str) -> None:
    with pytest.raises(SettingsError) as error:
        described(name, preset)
    assert message in str(error.value)


def test_those_that_fit_are_named(described: Any) -> None:
    with pytest.raises(SettingsError) as error:
        described("CIResNet22, anchors", "nanotrackv3")
    fitting = str(error.value).partition("Those that fit it: ")[2].rstrip(".").split(", ")
    assert fitting == [f"SiamRPNRes22_{name}" for name in BENCHMARKS]
    for name in fitting:
        described("CIResNet22, anchors", name)


def test_the_command_line(tmp_path: Path) -> None:
    save(tmp_path / "theirs.pth", made_up("siamdw"))
    export_it = ("export", "theirs.pth", "--out", "model", "--preset")
    refused([*export_it, "SiamRPNvot"], INPUT, "is of the network siamrpn", folder=tmp_path)
    refused([*export_it, "SiamFCRes22_OTB2015"], INPUT, "has width 0.1", folder=tmp_path)
    refused([*export_it, "siamrpn_r50_l234_dwxcorr_lt"], INPUT, "siamrpnpp", folder=tmp_path)
