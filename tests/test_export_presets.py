"""`siamtrack export --preset`: which published configuration goes with which network, and what the model folder then says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoint_files import save
from command_line import INPUT, refused
from made_up_checkpoints import made_up
from safetensors.torch import save_file

from siamtrack.errors import SettingsError
from siamtrack.export import checkpoint as export
from siamtrack.export.checkpoint import export_checkpoint
from siamtrack.library import settings_of
from siamtrack.model_folder import Description
from siamtrack.models import checkpoints
from siamtrack.models.kinds import model_kind, model_kinds, published_procedures
from siamtrack.trackers import rpn
from siamtrack.trackers.rpn_settings import RPNSettings

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
    "CIResNet22, two scores an anchor": (
        "siamdw",
        {"head": "siamrpn", "anchor_scores": 2},
        tuple(f"SiamRPNRes22_{name}" for name in BENCHMARKS),
    ),
    "CIResNet22W": ("siamdw", {"backbone": "CIResNet22W"}, ()),
    "ResNet-18": ("siamrpnpp", {"backbone": "resnet18"}, ()),
    "NanoTrack, masks": ("nanotrack", {"masks": True}, ()),
    "siamnano": ("nanotrack", {"expansion": 2}, ()),
    "siamnano, 287 px": ("nanotrack", {"expansion": 2, "search_size": 287}, ()),
    "siamfc": ("siamfc", {}, ()),
    "siamfc, 287 px": ("siamfc", {"search_size": 287}, ()),
}
ALL = sorted({preset for _, _, presets in PRESETS.values() for preset in presets})


@pytest.fixture
def described(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What `export_checkpoint` would write for a network and a preset, without parameters and graphs."""

    def of(name: str, preset: str | None, *overrides: str, **others: Any) -> Description:
        kind, settings, _ = PRESETS[name]
        with torch.device("meta"):
            network = model_kind(kind).build(model_kind(kind).settings(**settings))
        found: list[Description] = []
        monkeypatch.setattr(export, "read_checkpoint", lambda path: network)
        monkeypatch.setattr(export, "export_model", lambda network, folder, description: found.append(description))
        export_checkpoint(Path("x.pth"), Path("model"), licence="", card="", preset=preset, overrides=overrides, **others)
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


RPN: dict[str, tuple[int, float, float, float, dict[str, Any]]] = {  # search px, k, window, lr, others
    # experiments/*/config.yaml of STVIR/pysot
    "siamrpn_r50_l234_dwxcorr": (255, 0.05, 0.42, 0.38, {}),
    "siamrpn_r50_l234_dwxcorr_8gpu": (255, 0.04, 0.44, 0.33, {}),
    "siamrpn_r50_l234_dwxcorr_16gpu": (255, 0.01, 0.40, 0.38, {}),
    "siamrpn_r50_l234_dwxcorr_otb": (255, 0.24, 0.50, 0.25, {}),
    "siamrpn_r50_l234_dwxcorr_otb_8gpu": (255, 0.24, 0.50, 0.25, {}),
    "siamrpn_mobilev2_l234_dwxcorr": (255, 0.04, 0.40, 0.50, {}),
    "siamrpn_alex_dwxcorr": (287, 0.16, 0.40, 0.30, {}),
    "siamrpn_alex_dwxcorr_16gpu": (287, 0.16, 0.40, 0.30, {}),
    "siamrpn_alex_dwxcorr_otb": (287, 0.16, 0.40, 0.30, {}),
    "siamrpn_r50_l234_dwxcorr_lt": (
        255,
        0.05,
        0.28,
        0.22,
        {"long_term": {"search_size": 831, "growth": 0, "low": 0.8, "high": 0.998}},
    ),
    "siammask_r50_l3": (255, 0.10, 0.41, 0.32, {"mask": {"threshold": 0.15}}),
    # code/net.py and code/run_SiamRPN.py of foolwood/DaSiamRPN
    "SiamRPNBIG": (271, 0.055, 0.42, 0.295, {"small_share": 0.004, "small_search_size": 287}),
    "SiamRPNvot": (271, 0.04, 0.44, 0.45, {"small_share": 0.0}),
    "SiamRPNotb": (271, 0.22, 0.40, 0.30, {"small_share": 0.0}),
    # the paper's, where it says anything
    "DaSiamRPN": (
        255,
        0.04,
        0.44,
        0.45,
        {"long_term": {"search_size": 767, "growth": 512, "low": 0.8, "high": 0.95}, "distractors": {"most": 3}},
    ),
    # config_davis.json, config_vot.json and config_vot18.json of foolwood/SiamMask
    "SiamMask_DAVIS": (255, 0.04, 0.40, 1.0, {"mask": {"threshold": 0.35}}),
    "SiamMask_VOT": (255, 0.04, 0.42, 0.25, {"mask": {"threshold": 0.30}}),
    "SiamMask_VOT18": (255, 0.10, 0.41, 0.32, {"mask": {"threshold": 0.15}}),
    # configv3.yaml of HonglinChu/SiamTrackers
    "nanotrackv3": (255, 0.138, 0.455, 0.348, {}),
    # experiments/test of researchmm/SiamDW
    "SiamRPNRes22_OTB2013": (255, 0.256, 0.074, 0.439, {}),
    "SiamRPNRes22_OTB2015": (255, 0.841, 0.390, 0.714, {}),
    "SiamRPNRes22_VOT2015": (255, 0.895, 0.370, 0.654, {}),
    "SiamRPNRes22_VOT2016": (255, 0.711, 0.355, 0.701, {}),
    "SiamRPNRes22_VOT2017": (271, 0.038, 0.347, 0.388, {"small_share": 0.004, "small_search_size": 287}),
}
FC: dict[str, tuple[int, float, float, float, float]] = {  # search px, scale step, damping, penalty, window; the same files
    "SiamFCRes22_OTB2013": (255, 1.0482, 0.3629, 0.9997, 0.3896),
    "SiamFCRes22_OTB2015": (255, 1.1897, 0.2226, 0.9370, 0.2897),
    "SiamFCRes22_VOT2015": (255, 1.1190, 0.4373, 0.9811, 0.2569),
    "SiamFCRes22_VOT2016": (255, 1.1535, 0.4596, 0.9259, 0.3309),
    "SiamFCRes22_VOT2017": (255, 1.1466, 0.2061, 0.9994, 0.3242),
    "SiamFCIncep22_OTB2013": (263, 1.1767, 0.2702, 0.9370, 0.2376),
    "SiamFCIncep22_OTB2015": (263, 1.1832, 0.3035, 0.9453, 0.2496),
    "SiamFCIncep22_VOT2015": (255, 1.1755, 0.3407, 0.9807, 0.3254),
    "SiamFCIncep22_VOT2016": (255, 1.1859, 0.5921, 0.9359, 0.2616),
    "SiamFCIncep22_VOT2017": (255, 1.1679, 0.6782, 0.9285, 0.2566),
    "SiamFCNext22_OTB2013": (263, 1.0921, 0.4428, 0.9617, 0.2913),
    "SiamFCNext22_OTB2015": (263, 1.1390, 0.1775, 0.9593, 0.2094),
    "SiamFCNext22_VOT2015": (263, 1.1849, 0.3373, 0.9417, 0.2518),
    "SiamFCNext22_VOT2016": (263, 1.1561, 0.1615, 0.9593, 0.2548),
    "SiamFCNext22_VOT2017": (255, 1.1531, 0.5706, 0.9489, 0.2581),
}


def network_of(preset: str) -> str:
    """The first network in `PRESETS` that has it."""
    return next(name for name, (_, _, presets) in PRESETS.items() if preset in presets)


@pytest.mark.parametrize("preset", ALL)
def test_every_published_setting_is_in_the_model_folder(described: Any, preset: str) -> None:
    """As the official files have them, typed a second time."""
    settings = described(network_of(preset), preset).settings
    if preset in FC:
        names = ("search_size", "scale_step", "scale_damping", "scale_penalty", "window_influence")
        assert tuple(settings[name] for name in names) == FC[preset]
        assert settings["template_size"] == settings["search_size"] - 128
        return
    *numbers, others = RPN[preset]
    assert [settings[name] for name in ("search_size", "penalty_k", "window_influence", "lr")] == numbers
    assert (settings["template_size"], settings["context"]) == (127, 0.5)
    for name, value in others.items():
        found = settings[name]
        assert {key: found[key] for key in value} == value if isinstance(value, dict) else found == value
    assert bool(settings["long_term"]["search_size"]) == ("long_term" in others)
    assert bool(settings["distractors"]["most"]) == ("distractors" in others)
    assert bool(settings["small_share"]) == bool(others.get("small_share"))


@pytest.mark.parametrize(
    ("name", "preset", "others"),
    [
        ("ResNet-50", "siamrpn_r50_l234_dwxcorr", "siamrpn_r50_l234_dwxcorr_8gpu, siamrpn_r50_l234_dwxcorr_16gpu fit"),
        ("ResNet-50, mean", "siamrpn_r50_l234_dwxcorr_otb", "siamrpn_r50_l234_dwxcorr_otb_8gpu fit"),
        ("MobileNetV2", "siamrpn_mobilev2_l234_dwxcorr", ""),
        ("AlexNet, depth-wise", "siamrpn_alex_dwxcorr", "siamrpn_alex_dwxcorr_16gpu, siamrpn_alex_dwxcorr_otb fit"),
        ("AlexNet", "SiamRPNvot", "SiamRPNotb, DaSiamRPN fit"),
        ("AlexNet, wide", "SiamRPNBIG", ""),
        ("long-term", "siamrpn_r50_l234_dwxcorr_lt", ""),
        ("SiamMask", "siammask_r50_l3", "SiamMask_DAVIS, SiamMask_VOT, SiamMask_VOT18 fit"),
        ("NanoTrack", "nanotrackv3", ""),
        (  # all of its settings are tuned on single benchmarks
            "CIResNet22",
            None,
            f", or with --preset: siamfc-3s, siamfc-5s, siamfc-1s, {', '.join(f'SiamFCRes22_{name}' for name in BENCHMARKS)}",
        ),
        ("CIResNet22, anchors", None, f", or with --preset: {', '.join(f'SiamRPNRes22_{name}' for name in BENCHMARKS)}"),
        ("ResNet-18", None, ""),
        ("NanoTrack, masks", None, ""),
    ],
)
def test_without_a_preset_a_file_gets_its_own_networks(described: Any, name: str, preset: str | None, others: str) -> None:
    notes: list[str] = []
    found = described(name, None, begins=notes.append)
    if preset is None:
        assert notes == [f"It tracks with the default settings; change them with --set{others}."]
        return
    assert found.settings == described(name, preset).settings
    assert notes[0].startswith(f"It tracks with the settings of the preset '{preset}'")
    assert others in notes[0]
    assert bool(others) == ("too" in notes[0])


@pytest.mark.parametrize("name", ["siamnano", "siamfc"])
def test_a_run_can_track_as_the_embedded_model_does_with_what_it_knows_itself(described: Any, name: str) -> None:
    notes: list[str] = []
    plain = described(name, None, begins=notes.append).settings
    assert notes[0].startswith("It tracks with the default settings; change them with --set, or with --preset: ")
    assert name in notes[0].rstrip(".").rpartition(": ")[2].split(", ")
    found = described(name, name).settings
    assert found == settings_of(name) != plain
    assert described(f"{name}, 287 px", name).settings == {**settings_of(name), "search_size": 287}


def test_a_file_of_our_own_keeps_its_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = model_kind("siamrpn").build(model_kind("siamrpn").settings(search_size=303, width=0.1))
    save_file(network.state_dict(), tmp_path / "own.safetensors", metadata=checkpoints.described(network))
    found: list[Description] = []
    monkeypatch.setattr(export, "export_model", lambda network, folder, description: found.append(description))
    export_checkpoint(tmp_path / "own.safetensors", tmp_path / "model", licence="", card="")
    assert found[0].network["search_size"] == found[0].settings["search_size"] == 303
    assert found[0].settings["lr"] == RPNSettings().lr


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
        ("NanoTrack, masks", "siamnano", "The preset 'siamnano' is of a network with expansion 2, masks False"),
        ("NanoTrack", "siammask-small", "Those that fit it: nanotrackv3."),
        ("AlexNet", "siamnano", "'siamnano' is of the network nanotrack; the checkpoint holds siamrpn"),
        ("siamnano", "nanotrackv3", "Those that fit it: siamnano."),
        ("siamnano", "siamnanno", "Unknown preset 'siamnanno' of nanotrack. Did you mean 'siamnano'"),
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
