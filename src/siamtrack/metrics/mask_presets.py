"""Which frames and labels the official tools for masks count: one preset each.

* davis        github.com/davisvideochallenge/davis2017-evaluation, semi-supervised: neither the first nor the last frame; a
               result with a label above the number of objects is refused
* youtube-vos  Xu et al., ECCV 2018, section 4: all annotated frames after the one that an object appears in. The code of the
               authors' server is not public. A label of no object is left alone, as an object may have no frame that counts
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class MaskPreset:
    """How one tool chooses what counts.

    Attributes:
        name: what it is called in `PRESETS`.
        last_frame: whether the last annotated frame counts; the one that an object appears in never does.
        refuse_labels: whether a result may have no label above the number of objects in the first frame of the truth.
    """

    name: str
    last_frame: bool
    refuse_labels: bool


_ALL = (
    MaskPreset(name="davis", last_frame=False, refuse_labels=True),
    MaskPreset(name="youtube-vos", last_frame=True, refuse_labels=False),
)

PRESETS = {preset.name: preset for preset in _ALL}
"""By name."""
