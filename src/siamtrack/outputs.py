"""What a tracking run leaves behind: a file of boxes, masks, a video with them drawn, a cut-out, a contact sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from siamtrack.draw import draw_boxes, draw_masks, save_image
from siamtrack.mask_files import MaskWriter
from siamtrack.mask_files import cut_out as cut_out_of
from siamtrack.output_paths import check_distinct, check_picture_path
from siamtrack.results import ResultWriter, Row
from siamtrack.sheets import SheetCollector
from siamtrack.tracking import Prediction, Step
from siamtrack.video import VideoWriter

HIGHEST_FPS = 1000  # a source that says more (90000 is common where the rate varies) has no nominal rate


class Outputs:
    """Writes each frame of a run as it comes; every path is checked when this is made, before any work is done.

    Args:
        boxes: file of boxes, or None.
        format: of that file; None: by the ending.
        video: annotated video, or None.
        sheet: contact sheet, or None.
        masks: folder of PNG files, or a .json file, see `siamtrack.mask_files`; or None.
        cut_out: video of the targets alone, with alpha if it ends in .webm and on black else; or None.
        targets: how many are followed.
        fps: of the source, where known.
        source: what is read, which must not be written over; None: nothing that has a path.

    Raises:
        OutputError: a path cannot be written, is given twice, or is the source.
        SettingsError: the format of the boxes is unknown.
    """

    def __init__(
        self,
        *,
        boxes: Path | None,
        format: str | None,  # noqa: A002 - the name of the option
        video: Path | None,
        sheet: Path | None,
        targets: int,
        fps: float | None,
        masks: Path | None = None,
        cut_out: Path | None = None,
        source: str | None = None,
    ) -> None:
        self._targets = targets
        self._steps = 0
        self._lost = np.zeros(targets, np.int64)  # frames in which each was
        self._seconds = 0.0
        if sheet is not None:
            check_picture_path(sheet)
        with ExitStack() as stack:
            self._boxes = stack.enter_context(ResultWriter(boxes, format=format, targets=targets)) if boxes else None
            others = (path for path in (video, sheet, masks, cut_out) if path is not None)
            self.paths = [*(self._boxes.paths if self._boxes else ()), *others]
            check_distinct(self.paths, source)
            known_fps = fps if fps is not None and 0 < fps <= HIGHEST_FPS else None
            self._masks = stack.enter_context(MaskWriter(masks, targets=targets)) if masks else None
            self._video = stack.enter_context(VideoWriter(video, fps=known_fps)) if video else None
            transparent = cut_out is not None and cut_out.suffix.lower() == ".webm"
            self._cut_out = stack.enter_context(VideoWriter(cut_out, fps=known_fps, alpha=transparent)) if cut_out else None
            self._sheet = SheetCollector() if sheet else None
            self._sheet_path = sheet
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.__exit__(kind, error, trace)
        if self._sheet is not None and self._sheet_path is not None and self._steps and kind is None:
            save_image(self._sheet_path, self._sheet.sheet())

    def write(self, step: Step) -> None:
        """Adds all targets of one frame."""
        predictions = step.predictions
        if self._boxes is not None:
            frame = step.frame.index
            self._boxes.write(
                [
                    Row(
                        frame=frame,
                        target=target,
                        box=p.box,
                        score=p.score,
                        seconds=step.seconds,
                        polygon=None if p.polygon is None else tuple(p.polygon.ravel().tolist()),
                        lost=p.lost,
                    )
                    for target, p in enumerate(predictions)
                ]
            )
        if self._masks is not None:
            self._masks.write(step)
        if self._cut_out is not None:
            self._cut_out.write(cut_out_of(step.frame.image, predictions), step.frame.time)
        if self._video is not None or self._sheet is not None:
            labels = [_label(target, p, self._targets) for target, p in enumerate(predictions)]
            image, masks = step.frame.image, [p.mask for p in predictions]
            tinted = draw_masks(image, masks) if any(mask is not None for mask in masks) else image
            turned = [p.polygon for p in predictions]
            drawn = draw_boxes(tinted, [p.box for p in predictions], labels=labels, polygons=turned)
            if self._video is not None:
                self._video.write(drawn, step.frame.time)
            if self._sheet is not None:
                self._sheet.add(f"frame {step.frame.index}", drawn)
        self._lost += np.array([bool(p.lost) for p in predictions])
        self._steps += 1
        self._seconds += step.seconds

    @property
    def steps(self) -> int:
        """Frames written so far."""
        return self._steps

    def summary(self) -> str:
        """What was done, in a sentence or two."""
        rate = f", {self._steps / self._seconds:.3g} frames a second in the tracker" if self._seconds else ""
        written = f" Written: {_listed(self.paths)}." if self.paths and self._steps else ""
        done = f"Followed {_counted(self._targets, 'target')} through {_counted(self._steps, 'frame')}{rate}."
        return f"{done}{self._told_lost()}{written}"

    def _told_lost(self) -> str:
        """Which targets were taken for gone, and in how many frames."""
        told = [
            f"{f'#{target} ' if self._targets > 1 else ''}in {_counted(count, 'frame')}"
            for target, count in enumerate(self._lost.tolist())
            if count
        ]
        return f" Lost: {', '.join(told)}." if told else ""


def _label(target: int, prediction: Prediction, targets: int) -> str:
    name = f"#{target}" if targets > 1 else ""
    score = "" if math.isnan(prediction.score) else f"{prediction.score:.2f}"
    return " ".join(part for part in (name, score, "lost" if prediction.lost else "") if part)


def _counted(count: int, what: str) -> str:
    return f"1 {what}" if count == 1 else f"{count} {what}s"


def _listed(paths: Sequence[Path]) -> str:
    names = [str(path) for path in paths]
    return ", ".join(names) if len(names) <= 4 else f"{', '.join(names[:2])}, ... {names[-1]} ({len(names)} files)"
