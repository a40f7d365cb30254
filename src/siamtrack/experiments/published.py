"""Numbers that others have published, to stand beside those that are measured here.

* S. Sanchez, "Siamese Networks for Visual Object Tracking", thesis, TU Wien and UPC, 2019: tables 7, 8 and 10. Mean centre
  error in pixels. The thesis gives 1.70 px for the tracker trained on squares in its table 7 and 3.95 px in its table 10,
  both for a video with steps of up to 4 px; it does not say whether the two are one video.
* L. Bertinetto et al., "Fully-Convolutional Siamese Networks for Object Tracking", 2016: tables of the increasing portions of
  ImageNet Video, and of raw scores and speed; on VOT-15, with a restart after every failure.
"""

from __future__ import annotations

from typing import NamedTuple

THESIS_1_PX = 1.70
THESIS_2_PX = 4.19


class CenterErrors(NamedTuple):
    """Of the thesis's two trackers on one of its synthetic videos, pixels."""

    squares: float  # trained on squares
    imagenet: float  # trained on ImageNet VID


THESIS_3_PX = {4: CenterErrors(3.95, 4.19), 16: CenterErrors(4.18, 17.70), 32: CenterErrors(4.34, 18.72)}
"""By the largest step of the target from frame to frame, pixels."""


class VOTScores(NamedTuple):
    """On VOT-15."""

    videos: int  # that were trained on
    accuracy: float  # mean overlap while tracking
    failures: int
    eao: float  # expected average overlap


DATA_SIZE = {
    2: VOTScores(88, 0.484, 183, 0.168),
    4: VOTScores(177, 0.501, 160, 0.192),
    8: VOTScores(353, 0.484, 142, 0.193),
    16: VOTScores(707, 0.522, 132, 0.219),
    32: VOTScores(1413, 0.521, 117, 0.234),
    100: VOTScores(4417, 0.524, 87, 0.274),
}
"""By the share of ImageNet VID's videos that were trained on, per cent."""


class Speed(NamedTuple):
    """Accuracy and speed of a number of scales."""

    eao: float  # expected average overlap, VOT-15
    fps: int  # frames a second, on a GPU


SCALES = {3: Speed(0.2889, 86), 5: Speed(0.2743, 58)}
"""By the number of scales."""
