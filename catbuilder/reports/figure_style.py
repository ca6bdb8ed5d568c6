"""The look of the report's figures: sizes, colours, markers, legends and error bars.

One picture serves light screens, dark screens and print: it is drawn in dark ink on a transparent ground, and the
page inverts its lightness on a dark screen (`templates/report.html`). Classes have the colours of Okabe and Ito (2008)
if there are two and of Tol (2021, muted) if there are more, each with its own marker. Colour-blind readers can tell
them apart; two of them can be told apart in grey print too.
"""

from collections.abc import Sequence
from typing import Any, Literal

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from catbuilder.decisions.measures import Metric

PAGE_INCHES = 6.9  # width of the text on A4 and on letter paper, and the largest width of a figure
MARKERS = "os^Dv<>P*X"
LINES = ("-", "--", "-.", ":")
MANY_CLASSES = 3  # with more classes lines and histograms hide one another, so figures show each class by itself
_LEGEND_CHARACTERS = 105  # of a line of a legend as wide as the page

PAPER, INK = "#ffffff", "#1b1b1f"
MUTED = "#c9c9cf"  # of what stands behind: grids, objects of other groups
_TWO_CLASSES = "#d55e00", "#0072b2"
_MORE_CLASSES = (
    "#332288", "#cc6677", "#117733", "#88ccee", "#aa4499", "#ddcc77", "#44aa99", "#882255", "#999933", "#777777"
)  # fmt: skip
# viridis rises in lightness all along, with and without red-green blindness; its last third is too light on white, and
# too dark where a dark screen inverts it
SEQUENCE = LinearSegmentedColormap.from_list("sequence", colormaps["viridis"](range(0, 175)))
SHADES = LinearSegmentedColormap.from_list("shades", [PAPER, "#9ecae1", "#08519c"])  # counts, from none to all
BALANCE = LinearSegmentedColormap.from_list("balance", ["#e08214", PAPER, "#4393c3"])  # less and more than expected


def class_colour(place: int, classes: int) -> str:
    """Return the colour of a class by its place among all classes."""
    colours = _MORE_CLASSES if classes > 2 else _TWO_CLASSES
    return colours[place % len(colours)]


def error_bars(found: Sequence[Metric]) -> tuple[list[float], list[list[float]]]:
    """Return values and the lengths of their intervals below and above, as matplotlib's `errorbar` takes them."""
    values = [each.value or 0.0 for each in found]
    below = [value - (each.low or 0.0) for value, each in zip(values, found, strict=True)]
    above = [(each.high or 0.0) - value for value, each in zip(values, found, strict=True)]
    return values, [below, above]


def add_class_legend(
    figure: Figure, panel: Axes, loc: Literal["best", "upper left"] = "best", scale: float = 1.5
) -> None:
    """Add a legend inside the panel, or beside it if there are too many classes."""
    handles, labels = panel.get_legend_handles_labels()
    if len(labels) <= MANY_CLASSES:
        panel.legend(loc=loc, markerscale=scale)
    else:
        figure.legend(handles, labels, loc="outside right upper", markerscale=scale)


def legend_columns(labels: Sequence[str]) -> int:
    """Return how many columns fit in a legend below a figure of the page's width."""
    return max(1, min(len(labels), _LEGEND_CHARACTERS // (max(map(len, labels), default=0) + 9)))


def figure_settings(ground: str) -> Any:  # names of settings are literals to a type checker
    """Return matplotlib's settings for a figure on this ground: a colour, or "none" for a transparent one."""
    written = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    return {
        **dict.fromkeys(written, INK),
        "figure.facecolor": ground, "savefig.facecolor": "auto", "axes.facecolor": "none", "legend.facecolor": PAPER,
        "legend.edgecolor": MUTED, "legend.framealpha": 0.9, "legend.frameon": False, "grid.color": MUTED,
        "grid.linewidth": 0.4, "grid.alpha": 0.6, "axes.linewidth": 0.7, "axes.axisbelow": True,
        "font.size": 8, "axes.titlesize": 8.5, "axes.labelsize": 8, "xtick.labelsize": 7.5, "ytick.labelsize": 7.5,
        "legend.fontsize": 7.5, "lines.linewidth": 1.3, "svg.hashsalt": "catbuilder", "pdf.fonttype": 42,
    }  # fmt: skip
