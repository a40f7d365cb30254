"""Follow any object through a video from one box: `open_model`, `read`, `track`."""

from siamtrack.box import ABSENT, Box, center_error, iou
from siamtrack.errors import SiamtrackError
from siamtrack.frames import Frame, read
from siamtrack.image import Image, as_image
from siamtrack.library import model_names, open_model
from siamtrack.tracking import Network, Prediction, Session, Step, Tracker, track

__version__ = "0.1.0"

__all__ = [
    "ABSENT",
    "Box",
    "Frame",
    "Image",
    "Network",
    "Prediction",
    "Session",
    "SiamtrackError",
    "Step",
    "Tracker",
    "as_image",
    "center_error",
    "iou",
    "model_names",
    "open_model",
    "read",
    "track",
]
