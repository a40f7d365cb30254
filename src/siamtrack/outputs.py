"""What a tracking run leaves behind: a file of boxes, a video with them drawn, a contact sheet."""

from __future__ import annotations

import math
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from siamtrack.draw import SheetCollector, draw_boxes, save_image
from siamtrack.errors import OutputError
from siamtrack.results import ResultWriter, Row
from siamtrack.tracking import Step
from siamtrack.video import VideoWriter


class Outputs:
    """Writes each frame of a run as it comes; every path is checked when this is made, before any work is done.

    Args:
        boxes: file of boxes, or None.
        format: of that file; None: by the ending.
        video: annotated video, or None.
        sheet: contact sheet, or None.
        targets: how many are followed.
        fps: of the source, where known.

    Raises:
        OutputError: a path cannot be written.
        SettingsError: the format of the boxes is unknown.
    """

    def __init__(
        self, *, boxes: Path | None, format: str | None, video: Path | None, sheet: Path | None, targets: int, fps: float | None
    ) -> None:
        self._stack = ExitStack()
        self._paths = [path for path in (boxes, video, sheet) if path is not None]
        self._targets = targets
        self._steps = 0
        self._seconds = 0.0
        if sheet is not None and not sheet.resolve().parent.is_dir():
            raise OutputError(f"The folder of '{sheet}' does not exist; make it first or give another path.")
        with self._stack:
            self._boxes = self._stack.enter_context(ResultWriter(boxes, format=format, targets=targets)) if boxes else None
            self._video = self._stack.enter_context(VideoWriter(video, fps=fps)) if video else None
            self._sheet = SheetCollector() if sheet else None
            self._sheet_path = sheet
            self._stack = self._stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.__exit__(kind, error, trace)
        if self._sheet is not None and self._sheet_path is not None and self._steps and kind is None:
            save_image(self._sheet_path, self._sheet.sheet())

    def write(self, step: Step) -> None:
        """Adds all targets of one frame."""
        self._steps += 1
        self._seconds += step.seconds
        predictions = step.predictions
        if self._boxes is not None:
            frame = step.frame.index
            self._boxes.write(
                [
                    Row(frame=frame, target=target, box=p.box, score=p.score, seconds=step.seconds)
                    for target, p in enumerate(predictions)
                ]
            )
        if self._video is not None or self._sheet is not None:
            labels = [_label(target, p.score, self._targets) for target, p in enumerate(predictions)]
            drawn = draw_boxes(step.frame.image, [p.box for p in predictions], labels=labels)
            if self._video is not None:
                self._video.write(drawn, step.frame.time)
            if self._sheet is not None:
                self._sheet.add(f"frame {step.frame.index}", drawn)

    @property
    def steps(self) -> int:
        """Frames written so far."""
        return self._steps

    def summary(self) -> str:
        """What was done, in a sentence or two."""
        rate = f", {self._steps / self._seconds:.0f} frames a second in the tracker" if self._seconds else ""
        targets = "1 target" if self._targets == 1 else f"{self._targets} targets"
        written = f" Written: {', '.join(str(path) for path in self._paths)}." if self._paths and self._steps else ""
        return f"Followed {targets} through {self._steps} frames{rate}.{written}"


def _label(target: int, score: float, targets: int) -> str:
    name = f"{target}" if targets > 1 else ""
    return f"{name} {score:.2f}".strip() if not math.isnan(score) else name
