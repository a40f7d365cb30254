"""How figures look, and how one becomes a picture: inline SVG of a page that may be dark, or a PNG, SVG or PDF file.

Each tracker has a colour, a dash and a marker, so that a print in grey and eyes that confuse colours can tell them apart too.
The colours were searched for: each has a contrast of 3 or more with its ground, and any two differ by 20 or more in CIELAB at
the worst of normal, red-blind, green-blind and blue-blind sight (simulated after Machado, Oliveira, Fernandes, TVCG 2009).
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from siamtrack.errors import MissingExtraError, OutputError, SettingsError, nearest

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = (
    ("#2a5595", "#4587de"),
    ("#aa1500", "#ff3322"),
    ("#009555", "#22f09a"),
    ("#bf8000", "#ffbf15"),
    ("#550055", "#ea4095"),
    ("#5580ff", "#aabfff"),
    ("#6a1515", "#bf6a55"),
    ("#555555", "#fff0f0"),
)
"""Of lines, on light and on dark ground."""

DASHES = ((), (6, 2), (2, 1.5), (7, 2, 1.5, 2))
"""Lengths of strokes and gaps in widths of the line; the first is a line without gaps."""

FORMATS = ("png", "svg", "pdf")

WIDTH = 4.6
"""Of every figure, inches: a column of a page, and the width of a phone."""

_MARKERS = "osD^vPX*"
_INK, _GRID = "#1c1e22", "#d4d7dc"  # told from the colours of lines when a page replaces them
_DPI = 200
_LOOK: dict[str, Any] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": _GRID,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "legend.handlelength": 3,
    "lines.linewidth": 1.7,
    "text.color": _INK,
    "text.parse_math": False,  # a tracker may be called $a$
    "xtick.color": _INK,
    "ytick.color": _INK,
    "pdf.fonttype": 42,  # publishers refuse Type 3
}


@dataclass(frozen=True, kw_only=True)
class Style:
    """How a tracker is drawn everywhere.

    Attributes:
        colour: index in COLOURS.
        dash: index in DASHES.
        marker: of points, as matplotlib names it.
    """

    colour: int
    dash: int
    marker: str

    @property
    def line(self) -> dict[str, Any]:
        """Arguments for a line of matplotlib."""
        return {"color": COLOURS[self.colour][0], "linestyle": (0, DASHES[self.dash]) if self.dash else "-"}

    @property
    def point(self) -> dict[str, Any]:
        """Arguments for a point of matplotlib."""
        return {"color": COLOURS[self.colour][0], "marker": self.marker, "linestyle": "none", "markersize": 8}

    @property
    def classes(self) -> str:
        """Names of the classes in the page."""
        return f"c{self.colour} d{self.dash}"


def styles_for(trackers: Sequence[str]) -> dict[str, Style]:
    """A style for each; no two of up to 32 are the same, and no two of up to 8 have the same colour."""
    colours, dashes = len(COLOURS), len(DASHES)
    return {
        name: Style(colour=i % colours, dash=(i + i // colours) % dashes, marker=_MARKERS[i % len(_MARKERS)])
        for i, name in enumerate(trackers)
    }


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A figure that can be drawn.

    Attributes:
        name: of its file, without the ending.
        title: what it shows.
        group: "overall", or "attribute" for one of many small ones.
        height: inches, with the legend.
        draw: into an empty figure.
    """

    name: str
    title: str
    group: Literal["overall", "attribute"]
    height: float
    draw: Callable[[Figure], None]


def svg_of(plot: Plot) -> str:
    """An <svg> for the inside of a page, whose colours follow the page's variables --c0, --c1, ..., --ink and --grid.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    file = io.StringIO()
    more = {"svg.fonttype": "none", "svg.hashsalt": plot.name}
    with warnings.catch_warnings(), _drawn(plot, more) as figure:
        warnings.filterwarnings("ignore", "Glyph .* missing")  # the browser has others
        about = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(file, format="svg", transparent=True, metadata=about)
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'(<g) id="[^"]*"', r"\1", svg)  # every figure has the same; a page may have each once
    opening, rest = svg.split(">", 1)
    (box,) = re.findall(r'viewBox="[^"]*"', opening)
    for i, (light, _) in enumerate(COLOURS):
        rest = rest.replace(light, f"var(--c{i})")
    return f'<svg {box} role="img">' + rest.replace(_INK, "var(--ink)").replace(_GRID, "var(--grid)")


def save_plots(plots: Sequence[Plot], folder: Path, formats: Sequence[str]) -> list[Path]:
    """Writes each plot in each format, and answers the files; the folder is made.

    Raises:
        SettingsError: no such format.
        MissingExtraError: matplotlib is not installed.
        OutputError: a file cannot be written.
    """
    check_formats(formats)
    paths = []
    for plot in plots:
        with _drawn(plot, {}) as figure:
            for ending in formats:
                path = folder / f"{plot.name}.{ending}"
                about = {"Date": None} if ending == "svg" else {"CreationDate": None} if ending == "pdf" else {}
                try:
                    folder.mkdir(parents=True, exist_ok=True)
                    figure.savefig(path, dpi=_DPI, metadata=about)
                except OSError as error:
                    raise OutputError(f"'{path}' cannot be written: {error.strerror or error}.") from None
                paths.append(path)
    return paths


def check_formats(formats: Sequence[str]) -> None:
    """Refuses formats that no figure can be written in.

    Raises:
        SettingsError: says which.
    """
    for name in formats:
        if name not in FORMATS:
            raise SettingsError(f"Figures cannot be written as '{name}'. {nearest(name, FORMATS)}")
    if not formats:
        raise SettingsError(f"No format of figures is named. Known: {', '.join(FORMATS)}.")


@contextmanager
def _drawn(plot: Plot, more: dict[str, Any]) -> Iterator[Figure]:
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("matplotlib", extra="evaluate", purpose="Drawing figures") from None
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever a matplotlibrc says: a report looks the same everywhere
        settings: Any = matplotlib.rcParams  # of whose keys each version of matplotlib has its own list
        settings.update(_LOOK | more)
        figure = Figure(figsize=(WIDTH, plot.height), layout="constrained")
        plot.draw(figure)
        yield figure
