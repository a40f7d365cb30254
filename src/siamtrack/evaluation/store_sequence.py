"""What a sequence was when a tracker was run on it, so that nobody takes the results for those of another of the same name.

Names alone do not tell: every folder of one's own clips is the benchmark "plain", and people go on correcting their truth.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from siamtrack.datasets.benchmark import BenchmarkSequence
from siamtrack.metrics.vot import Region

_WRITTEN_TO = 1000  # a pixel has so many steps: what files with more decimals say beyond that is no other truth


def description_of(sequence: BenchmarkSequence) -> dict[str, Any]:
    """What decides the results of a tracker on a sequence, as JSON holds it.

    Returns:
        "frames", "first" (region, pixels, 0-based) and "truth" (SHA-256 of all regions, rounded to thousandths of a pixel);
        where pictures are at hand also "picture" (SHA-256 of the file of the first one) and "size" (its width and height).
    """
    described = _of_truth(sequence)
    if sequence.frames:
        described |= {"picture": _of_picture(sequence), "size": list(sequence.image_size)}
    return described


def difference(described: Mapping[str, Any], sequence: BenchmarkSequence) -> str:
    """What is otherwise in a sequence than in the one that was described, for people; empty: nothing that is known of both."""
    now = _of_truth(sequence)
    for key, name in (("frames", "its number of frames"), ("first", "its first region")):
        if key in described and described[key] != now[key]:
            return f"{name} was {_text(described[key])} and is {_text(now[key])}"
    if "truth" in described and described["truth"] != now["truth"]:
        return "its true regions after the first differ"
    if not sequence.frames or described.get("picture") in (None, _of_picture(sequence)):
        return ""
    sizes = ["x".join(map(str, size)) for size in (described["size"], sequence.image_size)]
    return f"its pictures were {sizes[0]} and are {sizes[1]}" if sizes[0] != sizes[1] else "its first picture is another file"


def _of_truth(sequence: BenchmarkSequence) -> dict[str, Any]:
    first = [None if np.isnan(value) else round(float(value), 3) for value in sequence.regions[0]]
    return {"frames": len(sequence), "first": first, "truth": _hash_of(sequence)}


def _hash_of(sequence: BenchmarkSequence) -> str:
    regions: Sequence[Region] = sequence.regions
    lengths = np.array([len(region) for region in regions], "<i4")
    values = np.rint(np.concatenate(regions) * _WRITTEN_TO) + 0.0  # no -0
    values[np.isnan(values)] = np.nan  # of one bit pattern
    masks = "".join("" if mask is None else mask.text for mask in sequence.placed_masks)
    anchors = b"" if sequence.anchors is None else np.sign(sequence.anchors).astype("<i1").tobytes()
    return hashlib.sha256(lengths.tobytes() + values.astype("<f8").tobytes() + masks.encode() + anchors).hexdigest()


def _of_picture(sequence: BenchmarkSequence) -> str:
    return hashlib.sha256(sequence.frames[0].read_bytes()).hexdigest()


def _text(value: Any) -> str:
    return ",".join("nan" if v is None else f"{v:g}" for v in value) if isinstance(value, list) else str(value)
