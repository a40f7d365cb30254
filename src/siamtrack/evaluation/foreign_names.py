"""Which benchmark a folder of results looks like, by the names of its sequences, for error messages."""

from __future__ import annotations

import re
from collections.abc import Sequence

from siamtrack.datasets.benchmark_folders import table

_NAMES = {
    "OTB": "basketball biker blurbody bolt2 cardark carscale coke couple crossing davidce david2 deer diving fleetface "
    "faceocc1 girl2 ironman jogging lemming liquor matrix mhyang motorrolling mountainbike shaking singer1 skating2 soccer "
    "subway suv sylvester tiger1 trellis walking2 woman",
    "VOT-LT": "ballet bicycle bird1 car1 carchase cat1 deer dragon f1 felines following freestyle group1 kitesurfing "
    "liverrun longboard nissan parachute person14 rollerman skiing sup tightrope volkswagen warmup yamaha",
    "UAV123": "bike1 bird1_1 boat1 building1 car1_s car6_1 group1_1 person1_s person7_1 truck4_1 uav1_1 wakeboard1",
    "DTB70": "animal1 bmx2 basketball chasingdrones girl1 gull1 horse1 kiting manrunning1 mountainbike1 racecar soccer1 "
    "sup2 streetbasketball1 surfing03 vaulting wakeboarding1 yacht2 zebra1",
}
_PATTERNS = {
    "LaSOT": r"[a-z]+-\d{1,2}",
    "GOT-10k": r"GOT-10k_(Test|Val|Train)_\d{6}",
    "TrackingNet": r"[\w-]{11}_\d+",
    "TColor-128": r"[A-Za-z0-9]+_ce\d?",
}


def looks_like(names: Sequence[str]) -> str | None:
    """Title of the benchmark that most of the names are of, or titles with "or"; None where no known one stands out.

    >>> looks_like(["airplane-1", "airplane-9", "zebra-17"])
    'LaSOT'
    """
    shares = {title: _share(names, rf"^({pattern})$") for title, pattern in _PATTERNS.items()}
    for title, known in _NAMES.items():
        listed = known.split()
        shares[title] = sum(re.sub(r"[-_.]\d{3}$", "", name.lower()) in listed for name in names) / max(len(listed), 1)
    shares |= _challenges(names)
    best = max(shares, key=lambda title: shares[title])
    return best if shares[best] >= 0.5 else None


def _challenges(names: Sequence[str]) -> dict[str, float]:
    """By challenge of VOT, or challenges with the same sequences: which share of their names and of these are the same.

    Most sequences of a challenge were in the one before, so that a share of its names alone would not tell them apart.
    """
    found = {name.lower() for name in names}
    titles: dict[frozenset[str], str] = {}
    for year in sorted({year for row in table("vot") for year in row["years"].split()}):
        listed = frozenset(row["name"] for row in table("vot") if year in row["years"].split())
        titles[listed] = f"{titles[listed]} or VOT{year}" if listed in titles else f"VOT{year}"
    return {title: len(found & listed) / len(found | listed) for listed, title in titles.items()}


def _share(names: Sequence[str], pattern: str) -> float:
    return sum(bool(re.match(pattern, name)) for name in names) / max(len(names), 1)
