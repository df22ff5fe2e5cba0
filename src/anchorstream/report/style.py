"""How pictures look: on paper, and in a page that may be light or dark."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK, MUTED, LINES, PAPER = "#1b1f24", "#667079", "#d9dee3", "#fefefe"
#: Systems in order; told apart with the common colour blindnesses too (after Okabe and Ito, darker).
SERIES = ("#0067a5", "#c8500a", "#00805a", "#a8437f", "#8a6d00", "#3d8fb8", "#5b5b5b")
GOOD, BAD = "#1d7d46", "#c0262d"
LINE_STYLES: tuple[str | tuple[int, tuple[int, ...]], ...] = ("-", (0, (5, 2)), (0, (1, 1)))

#: Every picture is this wide, so that letters are equally large wherever it stands in a page.
WIDTH_IN = 5.6
_LONGEST_NAME = 40

# In a page the style sheet decides: a colour of the drawing becomes a variable of the page.
_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    LINES: "--lines",
    PAPER: "--paper",
    GOOD: "--good",
    BAD: "--bad",
    **{colour: f"--series-{i}" for i, colour in enumerate(SERIES)},
}
_RC: Any = {  # matplotlib's own type for this is a list of every key it knows
    "axes.edgecolor": LINES,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 11,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "figure.facecolor": PAPER,
    "font.size": 11,
    "grid.color": LINES,
    "grid.linewidth": 0.6,
    "legend.fontsize": 11,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.8,
    "svg.fonttype": "none",  # text stays text: small, selectable, in the page's font
    "svg.hashsalt": "anchorstream",
    "text.color": INK,
    "text.parse_math": False,  # names come from file names: a dollar sign is a dollar sign
    "xtick.color": MUTED,
    "xtick.labelsize": 10,
    "ytick.color": MUTED,
    "ytick.labelsize": 10,
}
_SVG_HEAD = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_SVG_SIZE = re.compile(r'(<svg[^>]*?) width="[^"]*" height="[^"]*"|(<svg[^>]*?) height="[^"]*" width="[^"]*"')


def colour_of(index: int) -> str:
    """The colour of the system at ``index``."""
    return SERIES[index % len(SERIES)]


def line_of(index: int) -> str | tuple[int, tuple[int, ...]]:
    """The line of the system at ``index``: where colours come round again, another pattern."""
    return LINE_STYLES[index // len(SERIES) % len(LINE_STYLES)]


def printable(text: str) -> str:
    """Text that every encoder and font renderer takes: what cannot be printed is replaced."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


@contextmanager
def drawing() -> Iterator[None]:
    """The style, without warnings about letters that the font of the picture lacks."""
    with mpl.rc_context(_RC), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield


def new_figure(height_in: float = 3.6) -> tuple[Figure, Axes]:
    """An empty figure with one pair of axes."""
    figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def shortened(name: str) -> str:
    """A name for a picture: printable, and no longer than a picture can take."""
    name = printable(name).replace("\n", " ")
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


def legend_name(name: str) -> str:
    """A name that a legend shows: those that begin with an underscore would be left out."""
    return " " + shortened(name) if name.startswith("_") else shortened(name)


def to_svg(figure: Figure, description: str) -> str:
    """The figure as an SVG element for a page, in the page's colours, as wide as there is room."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = _SVG_HEAD.sub("", buffer.getvalue().decode("utf-8"))
    svg = _SVG_SIZE.sub(r"\1\2", svg, count=1)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    label = description.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return svg.replace("<svg", f'<svg role="img" aria-label="{printable(label)}"', 1)


def save(figure: Figure, path: Path) -> None:
    """Writes the figure; the suffix says the format (png, svg, pdf)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"Date": None} if path.suffix.lower() == ".svg" else None
    figure.savefig(path, dpi=160, metadata=metadata)
