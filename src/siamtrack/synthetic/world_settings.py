"""What may be chosen about a world."""

from __future__ import annotations

import math
from dataclasses import dataclass

from siamtrack.errors import SettingsError
from siamtrack.settings import check_limits

GROWTH = 0.45  # log of the factor on an object's size, at most, with `growth` 1
ZOOM = 0.2  # log of the factor of a camera that moves as usual, at most, with `camera` 1
FASTEST_CAMERA = 2.0  # times as much as usual
_LONGEST = 8.0  # of an object, in the frame's shorter sides: it is drawn whole, and all of it has to fit into memory


@dataclass(frozen=True, kw_only=True)
class WorldSettings:
    """What happens in the scenes of a world. Factors: 1 as intended, 0 none of it.

    Raises:
        SettingsError: a value outside its range, or objects that would become far larger than the frame.
    """

    width: int = 640  # of the frames, pixels
    height: int = 360
    most_objects: int = 5  # 1 to so many, look-alikes included
    smallest: float = 0.06  # longer side of an object as a share of the frame's shorter side
    largest: float = 0.5
    motion: float = 1.0  # factor on the speed of the objects
    camera: float = 1.0  # factor on the motion of the camera
    growth: float = 1.0  # factor on the change of the objects' size
    turning: float = 1.0  # factor on rotation, in and out of the plane
    bending: float = 1.0  # factor on deformation
    shutter: float = 0.5  # share of the time between two frames that the shutter is open, at most: motion blur
    look_alikes: float = 0.4  # share of scenes with several objects in which one has a double
    occluders: float = 0.4  # share of scenes with things that hide others
    exits: float = 0.15  # share of objects that leave the view and come back
    elsewhere: float = 0.0  # share of those that travel across the frame and come back from the other side
    light: float = 1.0  # factor on the change of light
    noise: float = 0.3  # share of scenes recorded with noise; in whole frames only
    compression: float = 0.3  # share of scenes recorded as JPEG; in whole frames only

    def __post_init__(self) -> None:
        limits: dict[str, tuple[float, float]] = {
            "width": (32, 8192),
            "height": (32, 8192),
            "most_objects": (1, 200),
            "smallest": (0.01, 2),
            "largest": (0.01, 2),
        }
        limits |= dict.fromkeys(("motion", "camera", "growth", "turning", "bending", "light"), (0.0, 10.0))
        limits |= dict.fromkeys(
            ("shutter", "look_alikes", "occluders", "exits", "elsewhere", "noise", "compression"), (0.0, 1.0)
        )
        check_limits(self, limits)
        if self.smallest > self.largest:
            raise SettingsError(
                f"smallest is {self.smallest:g} and largest {self.largest:g}; expected a largest that is not below it."
            )
        longest = self.largest * math.exp(GROWTH * self.growth + ZOOM * FASTEST_CAMERA * self.camera)
        if longest > _LONGEST:
            raise SettingsError(
                f"An object could become {longest:.0f} times as long as the frame's shorter side; expected {_LONGEST:g} at "
                f"most. Give a smaller growth, camera or largest: they are {self.growth:g}, {self.camera:g}, {self.largest:g}."
            )

    @property
    def unit(self) -> int:
        """The frame's shorter side, pixels, that lengths are relative to."""
        return min(self.width, self.height)
