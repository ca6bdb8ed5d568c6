"""What a report is made of: sections of figures, tables and sentences; how a figure looks on light and dark paper.

A figure is drawn twice, for the colour scheme of whoever looks at it, since colours that are told apart on white are
not on black. The colours of classes are Okabe and Ito's (2008) for two classes and Tol's (2021, muted and light) for
more, each with a marker of its own: they are told apart by colour-blind readers, and two of them in grey print.
"""

import base64
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure

from catbuilder.core.files import atomic_write
from catbuilder.decisions.measures import Metric

PAGE_INCHES = 6.9  # width of the text on A4 and on letter paper, and of every figure at most
MARKERS = "os^Dv<>P*X"
LINES = ("-", "--", "-.", ":")
_SCREEN_DPI = 200
MANY = 3  # classes above which lines and histograms lie on one another, and figures show each by itself
_CHARACTERS = 105  # of a legend's line, as wide as the page
_PRINT_DPI = 300


@dataclass(frozen=True)
class Theme:
    """Colours of a figure: those of the paper, of what is written on it, and of classes and rounds."""

    name: Literal["light", "dark"]
    paper: str
    ink: str
    muted: str  # what stands behind: grids, objects of other groups
    classes: tuple[tuple[str, ...], tuple[str, ...]]  # of two classes; of more
    sequence: Colormap  # its ends are told from the paper
    shades: Colormap  # from the paper to a full colour: counts
    balance: Colormap  # from one colour over the paper to another: less and more than expected

    def colour(self, place: int, of: int) -> str:
        """Colour of a class by its place among all."""
        colours = self.classes[of > 2]
        return colours[place % len(colours)]


LIGHT = Theme(
    "light", "#ffffff", "#1b1b1f", "#c9c9cf",
    (("#d55e00", "#0072b2"),
     ("#332288", "#cc6677", "#117733", "#88ccee", "#aa4499", "#ddcc77", "#44aa99", "#882255", "#999933", "#777777")),
    LinearSegmentedColormap.from_list("light", colormaps["viridis"](range(0, 215))),
    LinearSegmentedColormap.from_list("shades", ["#ffffff", "#9ecae1", "#08519c"]),
    LinearSegmentedColormap.from_list("balance", ["#e08214", "#ffffff", "#4393c3"]),
)  # fmt: skip
DARK = Theme(
    "dark", "#17181c", "#e8e8ec", "#4b4d57",
    (("#f28e4b", "#6db3f2"),
     ("#77aadd", "#ee8866", "#44bb99", "#eedd88", "#ffaabb", "#99ddff", "#bbcc33", "#cc99ee", "#aaaa00", "#dddddd")),
    LinearSegmentedColormap.from_list("dark", colormaps["viridis"](range(95, 256))),
    LinearSegmentedColormap.from_list("shades", ["#17181c", "#2b5c8a", "#8ecbff"]),
    LinearSegmentedColormap.from_list("balance", ["#b35c12", "#17181c", "#2f75ad"]),
)  # fmt: skip


@dataclass(frozen=True)
class Drawing:
    """A figure, still to be drawn, with the words around it."""

    name: str  # of its files
    caption: str
    alt: str  # what it shows, for who cannot see it
    draw: Callable[[Theme], Figure]
    format: Literal["svg", "png", "jpg"] = "svg"  # svg for lines, png for many points, jpg for stamps
    kind: str = field(default="figure", init=False)


@dataclass(frozen=True)
class ReportTable:
    """Rows of text under their headings."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    kind: str = field(default="table", init=False)

    @property
    def numbers(self) -> list[bool]:
        """Whether each column is set flush right."""
        return [all(_is_number(row[place]) for row in self.rows if row[place]) for place in range(len(self.columns))]


@dataclass(frozen=True)
class Words:
    """A paragraph, or a list; `missing_part` says why something cannot be shown, and what would bring it."""

    text: str = ""
    items: Sequence[str] = ()
    kind: Literal["words", "missing", "verbatim"] = "words"


Part = Drawing | ReportTable | Words


@dataclass(frozen=True)
class ReportSection:
    """A chapter of the report."""

    name: str  # in links
    title: str
    parts: Sequence[Part]


def missing_part(text: str) -> Words:
    """Why something is not shown."""
    return Words(text, kind="missing")


def with_interval(value: float, low: float, high: float, signed: bool = False) -> str:
    """A proportion or a difference of two, in per cent or points, with its interval."""
    sign = "+" if signed else ""
    return f"{100 * value:{sign}.1f} [{100 * low:{sign}.1f}, {100 * high:{sign}.1f}]"


def error_bars(found: Sequence[Metric]) -> tuple[list[float], list[list[float]]]:
    """The values, and how far their intervals reach below and above them, as matplotlib's `errorbar` takes them."""
    values = [each.value or 0.0 for each in found]
    below = [value - (each.low or 0.0) for value, each in zip(values, found, strict=True)]
    above = [(each.high or 0.0) - value for value, each in zip(values, found, strict=True)]
    return values, [below, above]


def name_classes(figure: Figure, panel: Axes, loc: Literal["best", "upper left"] = "best", scale: float = 1.5) -> None:
    """A legend inside the panel, or beside it where there are too many classes for that."""
    handles, labels = panel.get_legend_handles_labels()
    if len(labels) <= MANY:
        panel.legend(loc=loc, markerscale=scale)
    else:
        figure.legend(handles, labels, loc="outside right upper", markerscale=scale)


def legend_columns(labels: Sequence[str]) -> int:
    """How many columns of a legend below a figure of the page's width nothing is cut off from."""
    return max(1, min(len(labels), _CHARACTERS // (max(map(len, labels), default=0) + 9)))


def data_uri(drawing: Drawing, theme: Theme) -> tuple[str, float]:
    """The drawn figure as a data URI, and its width in inches."""
    with _drawn(drawing, theme) as figure:
        buffer = io.BytesIO()
        figure.savefig(buffer, format=drawing.format, dpi=_SCREEN_DPI, **_options(drawing.format))
        width = float(figure.get_figwidth())
    media = {"svg": "image/svg+xml", "png": "image/png", "jpg": "image/jpeg"}[drawing.format]
    return f"data:{media};base64,{base64.b64encode(buffer.getvalue()).decode()}", width


def write_figure(drawing: Drawing, folder: Path) -> None:
    """Write the figure as PNG and PDF, for a paper or slides."""
    with _drawn(drawing, LIGHT) as figure:
        for suffix in ("png", "pdf"):
            with atomic_write(folder / f"{drawing.name}.{suffix}") as temporary:
                figure.savefig(temporary, dpi=_PRINT_DPI, **_options(suffix))


def _is_number(cell: str) -> bool:
    """Whether a cell begins with a digit and has no word in it; an interval is a number too."""
    return cell.lstrip("+-−")[:1].isdigit() and not any(letter.isalpha() for letter in cell)


@contextmanager
def _drawn(drawing: Drawing, theme: Theme) -> Iterator[Figure]:
    with rc_context(_settings(theme)):
        yield drawing.draw(theme)


def _options(suffix: str) -> dict[str, Any]:
    """Neither a date nor random names inside: the same catalogue gives the same file."""
    options: dict[str, dict[str, Any]] = {
        "svg": {"metadata": {"Date": None}},
        "pdf": {"metadata": {"CreationDate": None}},
        "jpg": {"pil_kwargs": {"quality": 88}},
    }
    return options.get(suffix, {})


def _settings(theme: Theme) -> Any:  # names of settings are literals to a type checker
    written = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    return {
        **dict.fromkeys(written, theme.ink),
        **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor", "legend.facecolor"), theme.paper),
        "legend.edgecolor": theme.muted, "legend.framealpha": 0.9, "legend.frameon": False, "grid.color": theme.muted,
        "grid.linewidth": 0.4, "grid.alpha": 0.6, "axes.linewidth": 0.7, "axes.axisbelow": True,
        "font.size": 8, "axes.titlesize": 8.5, "axes.labelsize": 8, "xtick.labelsize": 7.5, "ytick.labelsize": 7.5,
        "legend.fontsize": 7.5, "lines.linewidth": 1.3, "svg.hashsalt": "catbuilder", "pdf.fonttype": 42,
    }  # fmt: skip
