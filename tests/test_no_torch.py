"""Tracking with an embedded model needs none of the packages for training and export."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys

BANNED = {"torch", "onnx", "onnxruntime", "scipy", "safetensors", "onnxscript", "tomli_w"}


class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BANNED:
            raise ImportError(f"{name} is not installed here")
        return None


sys.meta_path.insert(0, Refuse())

import siamtrack
from siamtrack.errors import MissingExtraError
from siamtrack.library import open_model
from siamtrack.synthetic.scene import Scene
from siamtrack.tracking import track

scene = Scene(200, 150, objects=1)
steps = list(track(open_model(threads=1), scene.frames(4), [scene.box(0, 0)]))
assert len(steps) == 4, len(steps)
assert all(0 <= v <= 200 for v in steps[-1].predictions[0].box.center), steps[-1]

for runtime, extra in (("torch", "siamtrack[train]"), ("onnx", "siamtrack[onnx]")):
    try:
        open_model(runtime=runtime)
    except MissingExtraError as error:
        assert extra in str(error), error
    else:
        raise AssertionError(f"the {runtime} runtime was opened")

import siamtrack.cli

loaded = sorted(BANNED & {name.partition(".")[0] for name in sys.modules})
assert not loaded, loaded
print("tracked")
"""


def test_tracking_without_training_packages() -> None:
    """In a fresh interpreter, where their import fails as if they were not installed."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "tracked"
