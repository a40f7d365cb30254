"""Options that several commands share, and boxes as they are typed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from siamtrack.box import Box

Source = Annotated[
    str, typer.Argument(metavar="VIDEO", help="Video file, folder or glob of images, sequence folder, camera number, or URL.")
]
Model = Annotated[str, typer.Option("--model", "-m", metavar="NAME", help="From 'siamtrack models', or a model folder.")]
Runtime = Annotated[str, typer.Option(metavar="NAME", help="Who computes the network: openvino, onnx or torch.")]
Precision = Annotated[str, typer.Option(metavar="NAME", help="auto (the hardware picks), float32, bfloat16, float16 or int8.")]
Device = Annotated[str, typer.Option(metavar="NAME", help="Of the torch runtime: cpu, cuda, mps, ...")]
Threads = Annotated[int | None, typer.Option(metavar="N", min=1, help="Use at most so many.", show_default="all")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting of the tracker: lr=0.5. Repeatable.")
]
RecipeOverrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting of the recipe: epochs=5. Repeatable.")
]
OutFile = Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Picture to write.")]


def frames_place(source: str) -> str:
    """The source itself, or where its frames are if it is the folder of an annotated sequence."""
    folder = Path(source)
    if "://" in source or not folder.is_dir():
        return source
    from siamtrack.datasets.sequences import frames_of, pictures_in

    return source if pictures_in(folder) else str(frames_of(folder))


def parsed_boxes(texts: Sequence[str]) -> list[Box]:
    """Boxes from "X,Y,W,H" texts.

    Raises:
        BoxError: a text is not four numbers.
    """
    from siamtrack.box import Box

    return [Box.from_text(text) for text in texts]


def check_boxes(boxes: Sequence[Box], size: tuple[int, int] | None) -> None:
    """Refuses boxes that no target can be taken from, before the slow work begins.

    Raises:
        BoxError: see `check_box`.
    """
    from siamtrack.box import check_box

    if size is not None:
        for box in boxes:
            check_box(box, *size)
