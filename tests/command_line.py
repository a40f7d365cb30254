"""The command line inside the test's own process, and clips with known ground truth for it."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import cv2
import numpy as np

from siamtrack.box import Box, iou
from siamtrack.cli import main
from siamtrack.results import Row
from siamtrack.synthetic.scene import Scene
from siamtrack.video import VideoWriter

FAST = ("--model", "siamfc", "--set", "scales=1")
FAST_TRACKER = ("--tracker", *FAST[1:])
FRAMES = 24
INPUT, MODEL, EXTRA, OUTPUT, INTERRUPTED = 2, 3, 4, 5, 130  # exit codes


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one message, checked to be one line without a traceback."""
        (line,) = [line for line in self.err.splitlines() if line.startswith("Error: ")]
        assert "Traceback" not in self.err
        assert self.out == ""
        return line


def run(*arguments: object, folder: Path | None = None) -> Ended:
    """Runs `siamtrack` with these arguments, in a folder; warnings stay errors."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(err))
        stack.enter_context(mock.patch("sys.argv", ["siamtrack", *map(str, arguments)]))
        stack.enter_context(mock.patch.dict(os.environ, {"COLUMNS": "80"}))
        if folder is not None:
            stack.enter_context(contextlib.chdir(folder))
        try:
            main()
        except SystemExit as exit_:
            code = int(exit_.code or 0)
    return Ended(code, out.getvalue(), err.getvalue())


def scene() -> Scene:
    """Three objects in 320x240."""
    return Scene(320, 240, objects=3, seed=3)


def render(path: Path, count: int = FRAMES) -> Path:
    """The scene as a video."""
    with VideoWriter(path, fps=25) as writer:
        for frame in scene().frames(count):
            writer.write(frame.image, frame.time)
    return path


def text_of(box: Box) -> str:
    """As typed after --box."""
    return ",".join(f"{v:.2f}" for v in box)


def mean_iou(rows: list[Row], target: int, begin: int = 1) -> float:
    """Of one target with the ground truth, from the frame `begin` on."""
    truth = scene()
    overlaps = [float(iou(r.box, truth.box(target, r.frame))) for r in rows if r.target == target and r.frame >= begin]
    assert overlaps
    return float(np.mean(overlaps))


def frames_of(path: Path) -> list[int]:
    """The frames of a result, in the order of the file."""
    return [int(line.split(",")[0]) for line in path.read_text(encoding="utf-8").splitlines()[1:]]


def refused(arguments: Sequence[object], code: int, *parts: str, folder: Path) -> None:
    """Checks the exit code, that all parts are in the one message, and that the folder is as it was."""
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    ended = run(*arguments, folder=folder)
    assert ended.code == code, ended.err
    for part in parts:
        assert part in ended.error, ended.err
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == before


def pictures(folder: Path, shots: Sequence[np.ndarray]) -> Path:
    """A new folder with these pictures, BGR."""
    folder.mkdir()
    for number, shot in enumerate(shots):
        assert cv2.imwrite(str(folder / f"{number:03}.png"), shot)
    return folder


def bgr(number: int) -> np.ndarray:
    """A frame of the scene as OpenCV writes it."""
    return scene().image(number)[:, :, ::-1]
