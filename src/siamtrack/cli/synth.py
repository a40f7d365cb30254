"""Commands that draw data: the synthetic squares to train from, and the video to test on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from siamtrack.cli.interrupts import stoppable
from siamtrack.cli.progress import with_progress

console = Console(highlight=False, markup=False, soft_wrap=True)

Seed = Annotated[int | None, typer.Option(metavar="N", help="The same one draws the same.", show_default="0")]


def squares(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="For the squares; one that was begun goes on.")],
    groups: Annotated[
        int | None, typer.Option(metavar="N", help="How many; a group shares its colours.", show_default="2000")
    ] = None,
    images: Annotated[int | None, typer.Option(metavar="N", help="Pictures in each group.", show_default="250")] = None,
    size: Annotated[int | None, typer.Option(metavar="PX", help="Side of a picture.", show_default="255")] = None,
    side: Annotated[float | None, typer.Option(metavar="PX", help="Side of the square in it.", show_default="64")] = None,
    seed: Seed = None,
) -> None:
    """Draw the thesis's squares: each in the middle of a noisy ground, in groups of the same colours.

    Train from them with --data folder=FOLDER. A picture takes 120 kB, all 500,000 of the thesis 60 GB. The same command goes on
    with a folder that was begun, and one with more groups adds them.
    """
    from siamtrack.synthetic.made_folder import counted
    from siamtrack.synthetic.squares import SquaresSettings, write_squares

    settings = SquaresSettings(**given(groups=groups, images=images, size=size, side=side, seed=seed))
    count = settings.groups * settings.images
    with stoppable(f"The groups that are finished are kept in {out}; the same command goes on."):
        for _ in with_progress(write_squares(settings, out), count):
            pass
    pictures, kinds = counted(count, "picture"), counted(settings.groups, "group")
    console.print(f"{out} holds {pictures} in {kinds}. Train from it with --data folder={out}.")


def video(
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="PATH", help="Folder for the frames, or a video file such as squares.mp4.")
    ],
    frames: Annotated[int | None, typer.Option(metavar="N", help="How many.", show_default="300")] = None,
    size: Annotated[str, typer.Option(metavar="WxH", help="Of a frame, pixels.")] = "255x255",
    side: Annotated[int | None, typer.Option(metavar="PX", help="Side of the square.", show_default="40")] = None,
    max_displacement: Annotated[
        float | None, typer.Option(metavar="PX", help="How far it moves in a frame at most.", show_default="4")
    ] = None,
    seed: Seed = None,
) -> None:
    """Draw the thesis's test video: a black square that wanders over a white ground.

    The truth is in groundtruth.txt, x,y,w,h a line, in the folder or beside the video file. A video file is compressed with
    loss, and odd sides grow by a row or column; the frames in a folder are exact.
    """
    from siamtrack.synthetic.made_folder import counted
    from siamtrack.synthetic.square_video import SquareVideoSettings, write_square_video

    width, height = sides(size)
    chosen = given(frames=frames, side=side, max_displacement=max_displacement, seed=seed)
    settings = SquareVideoSettings(width=width, height=height, **chosen)
    with stoppable("Nothing is kept of the video; the same command begins it again."):
        for _ in with_progress(write_square_video(settings, out), settings.frames):
            pass
    grown = in_file(width, height) if out.is_file() else ""
    console.print(
        f"{counted(settings.frames, 'frame')} of {width}x{height}{grown} with steps of up to {settings.max_displacement:g} "
        f"pixels are in {out}."
    )


def given(**values: Any) -> dict[str, Any]:
    """The values that were given; the others keep their defaults."""
    return {name: value for name, value in values.items() if value is not None}


def sides(size: str) -> tuple[int, int]:
    """Width and height from a "WIDTHxHEIGHT" text.

    Raises:
        SettingsError: it is none.
    """
    from siamtrack.errors import SettingsError

    width, _, height = size.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise SettingsError(f"The size '{size}' is not WIDTHxHEIGHT in pixels; for example 255x255.")
    return int(width), int(height)


def in_file(width: int, height: int) -> str:
    """What becomes of these sides in a video file; nothing where they stay.

    >>> in_file(640, 360), in_file(641, 360)
    ('', ' (642x360 in the file, as codecs want even sides)')
    """
    even = f"{width + width % 2}x{height + height % 2}"
    return f" ({even} in the file, as codecs want even sides)" if (width | height) % 2 else ""
