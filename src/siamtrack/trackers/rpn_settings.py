"""Settings of the tracking procedure of the SiamRPN family, and the published ones by name; see `siamtrack.trackers.rpn`."""

from __future__ import annotations

from dataclasses import dataclass, field

from siamtrack.settings import check_limits
from siamtrack.trackers.anchors import AnchorSettings
from siamtrack.trackers.distractors import DistractorSettings
from siamtrack.trackers.long_term import LongTermSettings
from siamtrack.trackers.mask import MaskSettings


@dataclass(frozen=True, kw_only=True)
class RPNSettings:
    """Settings of the procedure; the defaults are those of PySOT's siamrpn_r50_l234_dwxcorr.

    Raises:
        SettingsError: a value outside its range.
    """

    template_size: int = 127  # px
    search_size: int = 255  # px
    small_share: float = 0.0  # a target that covers less of the first frame is small; 0: none is
    small_search_size: int = 287  # px, for small targets
    context: float = 0.5  # margin around the target, share of w + h
    anchors: AnchorSettings = field(default_factory=AnchorSettings)
    penalty_k: float = 0.05  # how much a change of size and shape lowers the rank; 0: not at all
    window_influence: float = 0.42  # share of the cosine window in the rank
    lr: float = 0.38  # how far the size follows a proposal of score 1 and unchanged shape; 0: not at all, 1: at once
    min_size: float = 10.0  # width and height, image px
    long_term: LongTermSettings = field(default_factory=LongTermSettings)
    distractors: DistractorSettings = field(default_factory=DistractorSettings)
    mask: MaskSettings = field(default_factory=MaskSettings)

    def __post_init__(self) -> None:
        limits: dict[str, tuple[float, float]] = {
            "template_size": (16, 4096),
            "search_size": (self.template_size, 4096),
            "small_share": (0, 1),
            "small_search_size": (self.template_size if self.small_share else 1, 4096),
            "context": (0, 4),
            "penalty_k": (0, 100),
            "window_influence": (0, 1),
            "lr": (0, 1),
            "min_size": (0.01, 4096),
        }
        check_limits(self, limits)


PUBLISHED = {
    # STVIR/pysot, experiments/*/config.yaml
    "siamrpn_r50_l234_dwxcorr": {"penalty_k": 0.05, "window_influence": 0.42, "lr": 0.38},
    "siamrpn_r50_l234_dwxcorr_8gpu": {"penalty_k": 0.04, "window_influence": 0.44, "lr": 0.33},
    "siamrpn_r50_l234_dwxcorr_16gpu": {"penalty_k": 0.01, "window_influence": 0.40, "lr": 0.38},
    "siamrpn_r50_l234_dwxcorr_otb": {"penalty_k": 0.24, "window_influence": 0.50, "lr": 0.25},
    "siamrpn_r50_l234_dwxcorr_otb_8gpu": {"penalty_k": 0.24, "window_influence": 0.50, "lr": 0.25},
    "siammask_r50_l3": {
        "penalty_k": 0.10,
        "window_influence": 0.41,
        "lr": 0.32,
        "mask": {"threshold": 0.15},
    },
    "siamrpn_mobilev2_l234_dwxcorr": {"penalty_k": 0.04, "window_influence": 0.40, "lr": 0.50},
    "siamrpn_alex_dwxcorr": {"search_size": 287, "penalty_k": 0.16, "window_influence": 0.40, "lr": 0.30},
    "siamrpn_alex_dwxcorr_16gpu": {"search_size": 287, "penalty_k": 0.16, "window_influence": 0.40, "lr": 0.30},
    "siamrpn_alex_dwxcorr_otb": {"search_size": 287, "penalty_k": 0.16, "window_influence": 0.40, "lr": 0.30},
    "siamrpn_r50_l234_dwxcorr_lt": {
        "penalty_k": 0.05,
        "window_influence": 0.28,
        "lr": 0.22,
        "long_term": {"search_size": 831, "low": 0.8, "high": 0.998},
    },
    # foolwood/DaSiamRPN, code/net.py and code/run_SiamRPN.py
    "SiamRPNBIG": {"search_size": 271, "small_share": 0.004, "penalty_k": 0.055, "window_influence": 0.42, "lr": 0.295},
    "SiamRPNvot": {"search_size": 271, "penalty_k": 0.04, "window_influence": 0.44, "lr": 0.45},
    "SiamRPNotb": {"search_size": 271, "penalty_k": 0.22, "window_influence": 0.40, "lr": 0.30},
    # the inference of DaSiamRPN's paper, sec. 3.3, 3.4 and 4.1, which its code lacks; what it leaves open is SiamRPNvot's
    "DaSiamRPN": {
        "search_size": 255,
        "penalty_k": 0.04,
        "window_influence": 0.44,
        "lr": 0.45,
        "long_term": {"search_size": 767, "growth": 512, "low": 0.8, "high": 0.95},
        "distractors": {"most": 3},
    },
    # HonglinChu/SiamTrackers, NanoTrack/models/config/configv3.yaml
    "nanotrackv3": {"penalty_k": 0.138, "window_influence": 0.455, "lr": 0.348},
    # foolwood/SiamMask, experiments/siammask_sharp/config_*.json
    "SiamMask_DAVIS": {
        "penalty_k": 0.04,
        "window_influence": 0.40,
        "lr": 1.0,
        "mask": {"threshold": 0.35},
    },
    "SiamMask_VOT": {
        "penalty_k": 0.04,
        "window_influence": 0.42,
        "lr": 0.25,
        "mask": {"threshold": 0.30},
    },
    "SiamMask_VOT18": {
        "penalty_k": 0.10,
        "window_influence": 0.41,
        "lr": 0.32,
        "mask": {"threshold": 0.15},
    },
}
"""Published settings, by the names of their configurations and networks there."""
