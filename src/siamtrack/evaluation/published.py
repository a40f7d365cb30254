"""Scores that others have published, as reference rows beside measured ones. Only what was read at its source is here.

They were measured with the tools and on the machines of their authors, often after a search of settings on the same
benchmark: a retrained model is to be compared with a retrained model, not with these.

* siamfc       Bertinetto et al., "Fully-Convolutional Siamese Networks for Object Tracking", 2016, table 2: VOT-15
* siamdw       github.com/researchmm/SiamDW, README.md at c82b059; its "Alex" rows are SiamFC and SiamRPN with AlexNet
* siamfc-port  github.com/huanglianghua/siamfc-pytorch, README.md at 3957205, by the GOT-10k toolkit
* dasiamrpn    github.com/foolwood/DaSiamRPN, README.md at 14f07c9
* pysot        github.com/STVIR/pysot, MODEL_ZOO.md
* siammask     github.com/foolwood/SiamMask, README.md at 12ee881
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from siamtrack.datasets.benchmark import Benchmark
from siamtrack.errors import SettingsError


@dataclass(frozen=True, kw_only=True)
class PublishedScores:
    """What one source says of one tracker on one benchmark.

    Attributes:
        tracker: as the source calls it.
        benchmark: name.
        numbers: by key of `scoring_measures.MEASURES`, as printed there.
        source: where.
    """

    tracker: str
    benchmark: str
    numbers: Mapping[str, float]
    source: str


def published_scores(benchmark: str) -> list[PublishedScores]:
    """All that is known for a benchmark, source by source."""
    return [scores for scores in _ALL if scores.benchmark == benchmark]


def reference_rows(benchmark: Benchmark, *, protocol: str, sequences: int) -> list[PublishedScores]:
    """What can stand beside scores of trackers that were run under a protocol on so many sequences.

    Raises:
        SettingsError: another protocol than the benchmark's usual one, or a part of it: published scores are of neither.
    """
    if protocol != benchmark.protocols[0]:
        raise SettingsError(
            f"Published scores of {benchmark.title} are those of '{benchmark.protocols[0]}', which cannot be compared with "
            f"those of '{protocol}'; leave out --published."
        )
    if sequences < benchmark.length:
        raise SettingsError(
            f"Published scores of {benchmark.title} are those of all {benchmark.length} sequences, and these are of "
            f"{sequences}; leave out --published."
        )
    return published_scores(benchmark.name)


_SIAMFC = "Bertinetto et al. 2016, raw scores on VOT-15"
_VOT15 = """
MDNet 0.5620 46 0.3575
EBT 0.4481 49 0.3042
DeepSRDCF 0.5350 60 0.3033
SiamFC-3s 0.5335 84 0.2889
SiamFC 0.5240 87 0.2743
SRDCF 0.5260 71 0.2743
sPST 0.5230 85 0.2668
LDP 0.4688 78 0.2625
SC-EBT 0.5171 103 0.2412
NSAMF 0.5027 87 0.2376
StruckMK 0.4442 90 0.2341
S3Tracker 0.5031 100 0.2292
RAJSSC 0.5301 105 0.2262
SumShift 0.4888 97 0.2233
DAT 0.4705 113 0.2195
SO-DLT 0.5233 108 0.2190
"""

_SIAMDW = "SiamDW README"
_SIAMDW_COLUMNS = (("otb2013", "auc"), ("otb100", "auc"), ("vot2015", "eao"), ("vot2016", "eao"), ("vot2017", "eao"))
_SIAMDW_ROWS = {
    "SiamFC (AlexNet)": (0.608, 0.579, 0.289, 0.235, 0.188),
    "SiamRPN (AlexNet)": (None, 0.637, 0.349, 0.344, 0.244),
    "SiamDW CIResNet22-FC": (0.663, 0.644, 0.318, 0.303, 0.234),
    "SiamDW CIResIncep22-FC": (0.662, 0.642, 0.310, 0.295, 0.236),
    "SiamDW CIResNext23-FC": (0.659, 0.633, 0.297, 0.278, 0.229),
    "SiamDW CIResNet22-RPN": (0.674, 0.666, 0.381, 0.376, 0.294),
    "SiamDW CIResNet22-FC (GOT-10k)": (0.664, 0.654, 0.361, 0.335, 0.266),
    "SiamDW CIResNet22W-FC (GOT-10k)": (0.689, 0.674, 0.368, 0.352, 0.269),
}

_PORT = "huanglianghua/siamfc-pytorch README"
_PORT_ROWS = {
    "otb2013": (0.589, 0.781),
    "otb100": (0.578, 0.765),
    "uav123": (0.523, 0.731),
    "uav20l": (0.423, 0.572),
    "dtb70": (0.493, 0.731),
    "tcolor128": (0.510, 0.691),
    "nfs240": (0.520, 0.624),
}

_DASIAMRPN = "DaSiamRPN README"  # its R on VOT2015 counts failures of a sequence, not of a hundred frames: left out
_PYSOT = "PySOT MODEL_ZOO"
_SIAMMASK = "SiamMask README"
_SUPERVISED = {  # EAO, accuracy, robustness
    (_PYSOT, "vot2016"): {
        "SiamRPN++ ResNet-50": (0.464, 0.642, 0.196),
        "SiamRPN++ MobileNetV2": (0.455, 0.624, 0.214),
        "SiamMask ResNet-50": (0.455, 0.634, 0.219),
        "SiamRPN AlexNet, depthwise": (0.393, 0.618, 0.238),
    },
    (_PYSOT, "vot2018"): {
        "SiamMask ResNet-50": (0.423, 0.615, 0.248),
        "SiamRPN++ ResNet-50": (0.415, 0.601, 0.234),
        "SiamRPN++ MobileNetV2": (0.410, 0.586, 0.229),
        "SiamRPN AlexNet, depthwise": (0.352, 0.576, 0.290),
    },
    (_PYSOT, "vot2019"): {
        "SiamRPN++ MobileNetV2": (0.292, 0.580, 0.446),
        "SiamRPN++ ResNet-50": (0.287, 0.595, 0.467),
        "SiamMask ResNet-50": (0.283, 0.597, 0.461),
        "SiamRPN AlexNet, depthwise": (0.260, 0.573, 0.547),
    },
    (_SIAMMASK, "vot2016"): {"SiamMask": (0.433, 0.639, 0.214), "SiamMask-box": (0.412, 0.623, 0.233)},
    (_SIAMMASK, "vot2018"): {"SiamMask": (0.380, 0.609, 0.276), "SiamMask-box": (0.363, 0.584, 0.300)},
    (_DASIAMRPN, "vot2016"): {"DaSiamRPN": (0.411, 0.61, 0.22), "SiamRPN": (0.344, 0.56, 0.26)},
    (_DASIAMRPN, "vot2017"): {"DaSiamRPN": (0.326, 0.56, 0.34), "SiamRPN": (0.244, 0.49, 0.46)},
    (_DASIAMRPN, "vot2018"): {
        "DaSiamRPN (VOT2018 entry)": (0.383, 0.59, 0.28),
        "DaSiamRPN": (0.326, 0.56, 0.34),
        "SiamRPN": (0.244, 0.49, 0.46),
    },
}

_OTHERS = (
    (_SIAMDW, "SiamDW CIResNet22W-FC (GOT-10k)", "vot2018", {"eao": 0.270}),
    (_SIAMDW, "SiamDW CIResNet22W-FC (GOT-10k)", "vot2019", {"eao": 0.242}),
    (_SIAMDW, "SiamDW CIResNet22W-FC (GOT-10k)", "got10k-test", {"ao": 0.416}),
    (_SIAMDW, "SiamDW CIResNet22W-FC (GOT-10k)", "lasot", {"auc": 0.384}),
    (_PORT, "siamfc-pytorch", "got10k-test", {"ao": 0.355, "sr50": 0.390, "sr75": 0.118}),
    (_PORT, "siamfc-pytorch", "vot2018", {"accuracy": 0.502}),  # its robustness 37.25 is a weighted mean, no sum of failures
    (_DASIAMRPN, "DaSiamRPN", "vot2015", {"eao": 0.446, "accuracy": 0.63}),
    (_DASIAMRPN, "SiamRPN", "vot2015", {"eao": 0.349, "accuracy": 0.58}),
    (_DASIAMRPN, "DaSiamRPN", "otb100", {"auc": 0.655, "sr50": 0.865, "precision": 0.880}),
    (_DASIAMRPN, "SiamRPN", "otb100", {"sr50": 0.819, "precision": 0.850}),
    (_DASIAMRPN, "DaSiamRPN", "uav123", {"auc": 0.586, "precision": 0.796}),
    (_DASIAMRPN, "SiamRPN", "uav123", {"auc": 0.527, "precision": 0.748}),
    (_DASIAMRPN, "DaSiamRPN", "uav20l", {"auc": 0.617, "precision": 0.838}),
    (_DASIAMRPN, "SiamRPN", "uav20l", {"auc": 0.454, "precision": 0.617}),
    (_PYSOT, "SiamRPN++ ResNet-50 (OTB)", "otb100", {"auc": 0.696, "precision": 0.914}),
    (_PYSOT, "SiamRPN AlexNet, depthwise (OTB)", "otb100", {"auc": 0.666, "precision": 0.876}),
    (_SIAMMASK, "SiamMask", "davis2016", {"region": 0.713, "boundary": 0.674}),
    (_SIAMMASK, "SiamMask", "davis2017", {"region": 0.543, "boundary": 0.585}),
    (_PYSOT, "SiamRPN++ ResNet-50 (LT)", "votlt2018", {"f": 0.629}),
)


def _all() -> list[PublishedScores]:
    rows: list[tuple[str, str, str, Mapping[str, float]]] = []  # source, tracker, benchmark, numbers
    for line in _VOT15.split("\n")[1:-1]:
        tracker, *cells = line.split()
        rows.append((_SIAMFC, tracker, "vot2015", dict(zip(("accuracy", "failures", "eao"), map(float, cells), strict=True))))
    for tracker, values in _SIAMDW_ROWS.items():
        columns = zip(_SIAMDW_COLUMNS, values, strict=True)
        rows += [(_SIAMDW, tracker, benchmark, {key: value}) for (benchmark, key), value in columns if value is not None]
    for benchmark, (auc, precision) in _PORT_ROWS.items():
        rows.append((_PORT, "siamfc-pytorch", benchmark, {"auc": auc, "precision": precision}))
    for (source, benchmark), trackers in _SUPERVISED.items():
        for tracker, (eao, accuracy, robustness) in trackers.items():
            rows.append((source, tracker, benchmark, {"eao": eao, "accuracy": accuracy, "robustness": robustness}))
    rows += _OTHERS
    return [PublishedScores(tracker=t, benchmark=b, numbers=n, source=s) for s, t, b, n in rows]


_ALL = _all()
