"""Masks of targets on disk.

* A folder: a PNG file with a palette a frame, as DAVIS and YouTube-VOS have them. 00000.png is frame 0; its pixels are 0 where
  there is no target, and 1 for the first target, 2 for the second, and so on.
* FILE.json: run lengths as COCO has them (column by column, beginning with the pixels that are not the target; see
  cocodataset.org, "RLE"), one entry a frame and target: `{"frame": 1, "target": 0, "score": 0.98, "segmentation":
  {"size": [height, width], "counts": [...]}}`. pycocotools reads them with `mask.frPyObjects`.

In the frame that tracking begins with, only boxes are known: its picture is 0 throughout, and the JSON file has no entry.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

import numpy as np
from numpy.typing import NDArray

from siamtrack.draw import PALETTE
from siamtrack.errors import OutputError
from siamtrack.image import PICTURE_ENDINGS
from siamtrack.output_paths import check_folder, check_path, named
from siamtrack.tracking import Prediction, Step

_NO_FOLDERS = frozenset((*PICTURE_ENDINGS, ".txt", ".csv", ".jsonl", ".npy", ".npz", ".zip", ".mp4", ".webm"))
MOST_TARGETS = 255  # in a PNG file with a palette


class MaskWriter:
    """Writes the masks of a run; use it in a `with` block.

    Each file has its name when it is whole. A JSON file gets it at the end of the block, be it Ctrl-C or an error after at
    least one frame with masks; a block that fails before leaves nothing.

    Args:
        path: a folder, which is made with the first frame, or a file that ends in .json.
        targets: how many there are.

    Raises:
        OutputError: the path cannot be written, or is called like a file of another kind; the folder is not empty, or is wanted
            for more than 255 targets.
    """

    def __init__(self, path: Path, *, targets: int) -> None:
        self.path = path = named(path)
        self._as_json = path.suffix.lower() == ".json"
        if path.suffix.lower() in _NO_FOLDERS:
            raise OutputError(
                f"'{path}' is called like a file that masks are not written to; expected a folder, for PNG files, or FILE.json."
            )
        self._part = path.parent / f".{path.name}.part"
        self._lines: TextIO | None = None
        if self._as_json:
            check_path(path)
            return
        if targets > MOST_TARGETS:
            raise OutputError(f"A PNG file numbers at most {MOST_TARGETS} targets, not {targets}; write a .json file.")
        if path.is_file() or (path.is_dir() and any(path.iterdir())):
            found = "is a file" if path.is_file() else "holds other files"
            raise OutputError(f"'{path}' {found}; expected a new or an empty folder, so that nothing is lost.")
        check_folder(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if not self._as_json or (kind is not None and self._lines is None):
            return
        with self._explained():
            with self._opened() as lines:
                lines.write("]\n")
            self._part.replace(self.path)

    def write(self, step: Step) -> None:
        """Adds the masks of all targets in a frame.

        Raises:
            OutputError: a file cannot be written.
        """
        frame, predictions = step.frame.index, step.predictions
        if not self._as_json:
            labels = np.zeros(step.frame.image.shape[:2], np.uint8)
            for target, prediction in enumerate(predictions):
                if prediction.mask is not None:
                    labels[prediction.mask] = target + 1
            self._picture(self.path / f"{frame:05d}.png", palette_png(labels, target_colours()))
            return
        with self._explained():
            for target, prediction in enumerate(predictions):
                if prediction.mask is not None:
                    first = self._lines is None
                    self._opened().write(("" if first else ",\n") + json.dumps(_entry(frame, target, prediction)))

    def _opened(self) -> TextIO:
        if self._lines is None:
            self._lines = self._part.open("w", encoding="utf-8")
            self._lines.write("[")
        return self._lines

    def _picture(self, path: Path, content: bytes) -> None:
        with self._explained():
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f".{path.name}.part")
            part.write_bytes(content)
            part.replace(path)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(f"'{self.path}' cannot be written: {error.strerror}. Check the disk and the name.") from None


def run_lengths(mask: NDArray[np.bool_]) -> list[int]:
    """How many pixels are alike, column by column: those that are not the target (maybe none), those that are, and so on."""
    flat = mask.ravel(order="F")
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts = np.diff(np.concatenate([[0], changes, [flat.size]]))
    return [0, *counts.tolist()] if flat.size and flat[0] else counts.tolist()


def target_colours() -> NDArray[np.uint8]:
    """(256, 3), RGB: black, and the colours that targets are drawn in, again and again."""
    colours = np.zeros((256, 3), np.uint8)
    colours[1:] = np.resize(np.array(PALETTE, np.uint8), (255, 3))
    return colours


def palette_png(labels: NDArray[np.uint8], colours: NDArray[np.uint8]) -> bytes:
    """A PNG file (ISO/IEC 15948) whose pixels are numbers (H, W) that stand for colours (256, 3); OpenCV writes none."""
    height, width = labels.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), labels], 1)  # filter 0, none, before each row
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0),
        b"PLTE": colours.tobytes(),
        b"IDAT": zlib.compress(rows.tobytes(), 6),
        b"IEND": b"",
    }
    parts = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks.items()
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _entry(frame: int, target: int, prediction: Prediction) -> dict[str, Any]:
    assert prediction.mask is not None
    score = None if math.isnan(prediction.score) else float(f"{prediction.score:.6g}")
    segmentation = {"size": list(prediction.mask.shape), "counts": run_lengths(prediction.mask)}
    return {"frame": frame, "target": target, "score": score, "segmentation": segmentation}


def cut_out(image: NDArray[np.uint8], predictions: Sequence[Prediction]) -> NDArray[np.uint8]:
    """(H, W, 4), RGB and alpha: the picture where a target is, and nothing elsewhere."""
    alpha = np.zeros(image.shape[:2], np.uint8)
    for prediction in predictions:
        if prediction.mask is not None:
            alpha[prediction.mask] = 255
    return np.dstack([np.where(alpha[..., None] > 0, image, np.uint8(0)), alpha])
